//! `check --online`: what must be entered at the portal, and the requests that are the same for everybody.

use super::super::Finding;
use super::Custom;
use super::config::OWN_STATE_PARAMETER;
use super::variables::LoginInput;
use crate::telemetry::error_chain;

/// Checks everything that needs no login.
pub(super) async fn examine(custom: &Custom) -> Vec<Finding> {
    let mut findings = addresses(custom);
    let input = LoginInput::of_nobody(custom.callback_of(""), custom.clock.now());
    let results = custom.runner.run_shared(&input).await;
    let checked = results.len();
    for (step, result) in custom.runner.steps().iter().zip(results) {
        findings.push(match result {
            Ok(()) => Finding::good(format!("the portal answers the step `{}`", step.name)),
            Err(error) => Finding::bad(error_chain(&error.into_error()).to_string()),
        });
    }
    let left = custom.runner.steps().iter().skip(checked);
    let left: Vec<_> = left.map(|step| format!("`{}`", step.name)).collect();
    if !left.is_empty() {
        findings.push(Finding::good(format!(
            "only a login shows whether these steps are right: {}",
            left.join(", ")
        )));
    }
    findings
}

fn addresses(custom: &Custom) -> Vec<Finding> {
    let mut findings = Vec::new();
    if custom.authorize.is_some() {
        let query = match custom.config.state.is_empty() {
            true => format!(", with any value of `{OWN_STATE_PARAMETER}` in its query"),
            false => String::new(),
        };
        findings.push(Finding::good(format!(
            "register {} at the portal as the address to return to{query}",
            custom.callback
        )));
    }
    if let Some(parameter) = &custom.config.entry {
        findings.push(Finding::good(format!(
            "the portal sends people to {}, with what it issues in the parameter `{parameter}` of the URL or \
             of a form",
            custom.entry_url
        )));
    }
    findings
}
