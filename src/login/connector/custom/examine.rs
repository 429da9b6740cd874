//! `check --online`: what must be entered at the portal, and the requests that are the same for everybody.

use super::super::Finding;
use super::Custom;
use super::config::OWN_STATE_PARAMETER;
use super::error::StepError;
use super::variables::LoginInput;
use crate::telemetry::error_chain;
use crate::text;
use crate::wording::Text;

/// Checks everything that needs no login.
pub(super) async fn examine(custom: &Custom) -> Vec<Finding> {
    let mut findings = addresses(custom);
    let input = LoginInput::of_nobody(custom.callback_of(""), custom.clock.now());
    let results = custom.runner.run_shared(&input).await;
    let checked = results.len();
    for (step, result) in custom.runner.steps().iter().zip(results) {
        findings.push(match result {
            Ok(()) => Finding::good(text!(
                "the portal answers the step `{}`",
                "门户对步骤 `{}` 有响应",
                step.name
            )),
            Err(error) => failed(error),
        });
    }
    let left = custom.runner.steps().iter().skip(checked);
    let left: Vec<_> = left.map(|step| format!("`{}`", step.name)).collect();
    if !left.is_empty() {
        findings.push(Finding::good(text!(
            "only a login shows whether these steps are right: {}",
            "以下步骤只有在登录时才能验证：{}",
            left.join(", ")
        )));
    }
    findings
}

fn failed(error: StepError) -> Finding {
    let (step, why) = (error.step.clone(), Text::of(&error_chain(&*error.fault)));
    let error = error.into_error();
    let error = error_chain(&error);
    Finding::bad(text!(
        "{error}",
        "步骤 `{step}`：{why:#}；请检查它的 `url`、表达式和密钥"
    ))
}

fn addresses(custom: &Custom) -> Vec<Finding> {
    let mut findings = Vec::new();
    if custom.authorize.is_some() {
        let query = match custom.config.state.is_empty() {
            true => text!(
                ", with any value of `{OWN_STATE_PARAMETER}` in its query",
                "，其查询参数 `{OWN_STATE_PARAMETER}` 可为任意值"
            ),
            false => Text::default(),
        };
        findings.push(Finding::good(text!(
            "register {} at the portal as the address to return to{query}",
            "请在门户把 {} 登记为登录后返回的地址{query:#}",
            custom.callback
        )));
    }
    if let Some(parameter) = &custom.config.entry {
        findings.push(Finding::good(text!(
            "the portal sends people to {}, with what it issues in the parameter `{parameter}` of the \
             URL or of a form",
            "门户应让浏览器跳转到 {}，并把它签发的内容放在 URL 或表单的参数 `{parameter}` 中",
            custom.entry_url
        )));
    }
    findings
}
