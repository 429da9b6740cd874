//! `check --online`: compares the settings with the WeCom console.

use serde_json::Value;

use super::api::{ResponseObject, number};
use super::departments::{self, DepartmentTree};
use super::errors::ApiError;
use super::{ConnectorError, Finding, WeCom};
use crate::telemetry::error_chain;
use crate::text;
use crate::wording::Text;

/// Checks everything that needs no login.
pub(super) async fn examine(wecom: &WeCom) -> Vec<Finding> {
    let mut findings = settings(wecom);
    if let Err(error) = wecom.api.token().await {
        findings.push(failed(
            wecom,
            text!("corp_id and secret", "corp_id 和 secret"),
            error,
        ));
        return findings;
    }
    findings.push(Finding::good(text!(
        "WeCom accepts corp_id and secret",
        "企业微信接受 corp_id 和 secret"
    )));
    match wecom.api.agent(&wecom.console.agent_id).await {
        Ok(agent) => findings.extend(application(wecom, &agent)),
        Err(error) => findings.push(failed(wecom, Text::same("agent_id"), error)),
    }
    findings.push(match wecom.api.departments().await {
        Ok(list) => departments(&departments::read(&list)),
        Err(error) => failed(
            wecom,
            text!("departments have no names", "部门没有名称"),
            error,
        ),
    });
    findings
}

/// The checks that need no network.
fn settings(wecom: &WeCom) -> Vec<Finding> {
    let host = &wecom.console.callback_host;
    let mut findings = vec![Finding::good(text!(
        "enter {host} at the application twice: 网页授权及JS-SDK → 可信域名, and 企业微信授权登录 → \
         授权回调域 (logins return to {})",
        "请在该应用中填写 {host} 两处：网页授权及JS-SDK → 可信域名，和 企业微信授权登录 → \
         授权回调域（登录后返回 {}）",
        wecom.callback
    ))];
    if !is_corp_id(&wecom.corp_id) {
        findings.push(Finding::bad(text!(
            "corp_id {:?} has an unusual form: copy it from 我的企业 → 企业信息 → 企业ID",
            "corp_id {:?} 的形式不常见：请从 我的企业 → 企业信息 → 企业ID 复制",
            wecom.corp_id
        )));
    }
    if wecom.api.sends_secret_unencrypted() {
        findings.push(Finding::bad(text!(
            "api_base is not https: the Secret is sent unencrypted",
            "api_base 不是 https：Secret 会以明文发送"
        )));
    }
    findings
}

fn application(wecom: &WeCom, agent: &ResponseObject) -> Vec<Finding> {
    let text = |name: &str| agent.get(name).and_then(Value::as_str).unwrap_or_default();
    let (name, agent_id) = (text("name"), &wecom.console.agent_id);
    let is_disabled = agent
        .get("close")
        .and_then(number)
        .is_some_and(|close| close != 0);
    let mut findings = vec![if is_disabled {
        Finding::bad(text!(
            "the application {name} ({agent_id}) is disabled: enable it (启用)",
            "应用 {name}（{agent_id}）已停用：请启用"
        ))
    } else {
        Finding::good(text!(
            "the application {name} ({agent_id}) is enabled",
            "应用 {name}（{agent_id}）已启用"
        ))
    }];
    let (trusted_domain, host) = (text("redirect_domain"), &wecom.console.callback_host);
    findings.push(if trusted_domain.eq_ignore_ascii_case(host) {
        Finding::good(text!(
            "its 可信域名 is {trusted_domain}",
            "它的可信域名是 {trusted_domain}"
        ))
    } else if trusted_domain.is_empty() {
        Finding::bad(text!(
            "it has no 可信域名: enter {host}",
            "它没有可信域名：请填写 {host}"
        ))
    } else {
        Finding::bad(text!(
            "its 可信域名 is {trusted_domain}: enter {host}, including the port",
            "它的可信域名是 {trusted_domain}：请填写 {host}，包括端口"
        ))
    });
    findings
}

fn departments(tree: &DepartmentTree) -> Finding {
    let (all, unnamed_count) = (tree.len(), tree.unnamed_count());
    if all == 0 {
        return Finding::bad(text!(
            "the application sees no department: widen its 可见范围",
            "应用看不到任何部门：请扩大它的可见范围"
        ));
    }
    if unnamed_count > 0 {
        return Finding::bad(text!(
            "{unnamed_count} of {all} departments come without a name",
            "{all} 个部门中有 {unnamed_count} 个没有名称"
        ));
    }
    Finding::good(text!(
        "the application sees {all} departments",
        "应用能看到 {all} 个部门"
    ))
}

fn failed(wecom: &WeCom, what: Text, error: ApiError) -> Finding {
    let error = error.into_error(&wecom.console);
    let text = match &error {
        ConnectorError::Misconfigured { remedy, source } => {
            text!(
                "{what}: {remedy}: {source}",
                "{what:#}：{remedy:#}：{source:#}"
            )
        }
        other => text!("{what}: {}", "{what:#}：{:#}", error_chain(other)),
    };
    Finding::bad(text)
}

fn is_corp_id(text: &str) -> bool {
    let rest = text.strip_prefix("ww").or_else(|| text.strip_prefix("wx"));
    let is_hex_digit = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
    rest.is_some_and(|rest| rest.len() == 16 && rest.bytes().all(is_hex_digit))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::tests::wecom;
    use super::*;

    #[test]
    fn an_unusual_corp_id_is_recognized() {
        assert!(is_corp_id("ww6d656e7368656e01") && is_corp_id("wx5823bf96d3bd56c7"));
        for odd in [
            "",
            "1000002",
            "ww6d656e7368656e0",
            "WW6d656e7368656e01",
            "wwzzzzzzzzzzzzzzzz",
        ] {
            assert!(!is_corp_id(odd), "{odd}");
        }
    }

    #[test]
    fn the_findings_always_name_the_callback_host() {
        let findings = settings(&wecom(""));
        assert!(findings[0].good && findings[0].text.to_string().contains("sso.corp.example at"));
        assert_eq!(findings.len(), 1);
        assert_eq!(settings(&wecom("api_base = 'http://127.0.0.1:1'")).len(), 1);
        let odd = settings(&wecom("api_base = 'http://relay.corp.example'"));
        assert!(
            odd.iter()
                .any(|finding| !finding.good && finding.text.to_string().contains("https"))
        );
    }

    #[test]
    fn a_wrong_trusted_domain_is_a_bad_finding() {
        let found = |domain: &str, close: i64| {
            let agent = json!({ "name": "OA", "close": close, "redirect_domain": domain });
            application(&wecom(""), agent.as_object().unwrap())
        };
        assert!(
            found("sso.corp.example", 0)
                .iter()
                .all(|finding| finding.good)
        );
        assert!(!found("sso.corp.example", 1)[0].good);
        for domain in ["", "corp.example", "sso.corp.example:8443"] {
            assert!(!found(domain, 0)[1].good, "{domain}");
        }
    }

    #[test]
    fn the_finding_for_an_untrusted_ip_address_names_it() {
        let message = "not allow, hint: [1], from ip: 203.0.113.9, more info at x";
        let refusal = super::super::errors::refusal("agent/get", 60020, message, &[]);
        let finding = failed(
            &wecom(""),
            Text::same("agent_id"),
            ApiError::Refused(refusal),
        );
        assert!(
            !finding.good && finding.text.to_string().contains("enter 203.0.113.9"),
            "{finding:?}"
        );
    }
}
