//! `check --online`: compares the settings with DingTalk's console.

use super::errors::ApiError;
use super::{DingTalk, Finding};
use crate::telemetry::error_chain;

/// The department above all others.
const ROOT: i64 = 1;

/// Checks everything that needs no login.
pub(super) async fn examine(dingtalk: &DingTalk) -> Vec<Finding> {
    let mut findings = addresses(dingtalk);
    if let Err(error) = dingtalk.api.token().await {
        findings.push(failed(dingtalk, "app_key and app_secret", error));
        return findings;
    }
    let text = "DingTalk accepts app_key and app_secret";
    findings.push(Finding::good(text));
    findings.push(match dingtalk.api.departments_below(ROOT).await {
        Ok(below) => {
            let count = below.len();
            Finding::good(format!(
                "the application sees {count} departments below the topmost one"
            ))
        }
        Err(error) => failed(dingtalk, "departments", error),
    });
    findings.push(match dingtalk.api.members(ROOT, 0).await {
        Ok(_) => Finding::good("the application may read members"),
        Err(error) => failed(dingtalk, "members", error),
    });
    findings
}

/// What must be entered in the console.
fn addresses(dingtalk: &DingTalk) -> Vec<Finding> {
    let DingTalk {
        callback,
        own_pages_url,
        id,
        ..
    } = dingtalk;
    let mut findings = vec![
        Finding::good(format!(
            "enter {callback} at the application under 开发配置 → 安全设置 → 重定向URL（回调域名）"
        )),
        Finding::good(format!(
            "for logins inside the client, the 首页地址 of the application is a page of this site, such as \
             {own_pages_url}/start?connector={id}"
        )),
    ];
    if dingtalk.events.is_some() {
        findings.push(Finding::good(format!(
            "enter {own_pages_url}/events/{id} at the application under 开发配置 → 事件订阅 → HTTP推送 → 请求网址"
        )));
    }
    if dingtalk.admin.is_some() {
        findings.push(Finding::good(format!(
            "enter {own_pages_url}/enter/{id} as the 管理后台地址 of the application"
        )));
    }
    findings
}

fn failed(dingtalk: &DingTalk, what: &str, error: ApiError) -> Finding {
    let error = dingtalk.connector_error(error);
    Finding::bad(format!("{what}: {}", error_chain(&error)))
}
