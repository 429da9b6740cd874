//! `check --online`: compares the settings with the WeCom console.

use std::error::Error;

use serde_json::Value;

use super::api::{ResponseObject, number};
use super::departments::{self, DepartmentTree};
use super::errors::ApiError;
use super::{ConnectorError, Finding, WeCom};

/// Checks everything that needs no login.
pub(super) async fn examine(wecom: &WeCom) -> Vec<Finding> {
    let mut findings = settings(wecom);
    if let Err(error) = wecom.api.token().await {
        findings.push(failed(wecom, "corp_id and secret", error));
        return findings;
    }
    findings.push(Finding::good("WeCom accepts corp_id and secret"));
    match wecom.api.agent(&wecom.console.agent_id).await {
        Ok(agent) => findings.extend(application(wecom, &agent)),
        Err(error) => findings.push(failed(wecom, "agent_id", error)),
    }
    findings.push(match wecom.api.departments().await {
        Ok(list) => departments(&departments::read(&list)),
        Err(error) => failed(wecom, "departments have no names", error),
    });
    findings
}

/// The checks that need no network.
fn settings(wecom: &WeCom) -> Vec<Finding> {
    let host = &wecom.console.callback_host;
    let mut findings = vec![Finding::good(format!(
        "enter {host} at the application twice: 网页授权及JS-SDK → 可信域名, and 企业微信授权登录 → \
         授权回调域 (logins return to {})",
        wecom.callback
    ))];
    if !is_corp_id(&wecom.corp_id) {
        findings.push(Finding::bad(format!(
            "corp_id {:?} has an unusual form: copy it from 我的企业 → 企业信息 → 企业ID",
            wecom.corp_id
        )));
    }
    if wecom.api.sends_secret_unencrypted() {
        findings.push(Finding::bad(
            "api_base is not https: the Secret is sent unencrypted",
        ));
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
        Finding::bad(format!(
            "the application {name} ({agent_id}) is disabled: enable it (启用)"
        ))
    } else {
        Finding::good(format!("the application {name} ({agent_id}) is enabled"))
    }];
    let (trusted_domain, host) = (text("redirect_domain"), &wecom.console.callback_host);
    findings.push(if trusted_domain.eq_ignore_ascii_case(host) {
        Finding::good(format!("its 可信域名 is {trusted_domain}"))
    } else if trusted_domain.is_empty() {
        Finding::bad(format!("it has no 可信域名: enter {host}"))
    } else {
        Finding::bad(format!(
            "its 可信域名 is {trusted_domain}: enter {host}, including the port"
        ))
    });
    findings
}

fn departments(tree: &DepartmentTree) -> Finding {
    let (all, unnamed_count) = (tree.len(), tree.unnamed_count());
    if all == 0 {
        return Finding::bad("the application sees no department: widen its 可见范围");
    }
    if unnamed_count > 0 {
        return Finding::bad(format!(
            "{unnamed_count} of {all} departments come without a name"
        ));
    }
    Finding::good(format!("the application sees {all} departments"))
}

fn failed(wecom: &WeCom, what: &str, error: ApiError) -> Finding {
    let error = error.into_error(&wecom.console);
    let mut text = match &error {
        ConnectorError::Misconfigured { remedy, .. } => {
            format!("{what}: {}", remedy.for_operator())
        }
        other => format!("{what}: {other}"),
    };
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(&format!(": {cause}"));
        source = cause.source();
    }
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
        assert!(findings[0].good && findings[0].text.contains("sso.corp.example at"));
        assert_eq!(findings.len(), 1);
        assert_eq!(settings(&wecom("api_base = 'http://127.0.0.1:1'")).len(), 1);
        let odd = settings(&wecom("api_base = 'http://relay.corp.example'"));
        assert!(
            odd.iter()
                .any(|finding| !finding.good && finding.text.contains("https"))
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
        let finding = failed(&wecom(""), "agent_id", ApiError::Refused(refusal));
        assert!(
            !finding.good && finding.text.contains("enter 203.0.113.9"),
            "{finding:?}"
        );
    }
}
