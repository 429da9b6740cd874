//! `check --online`: compares the settings with DingTalk's console.

use super::errors::ApiError;
use super::{DingTalk, Finding};
use crate::telemetry::error_chain;
use crate::text;
use crate::wording::Text;

/// The department above all others.
const ROOT: i64 = 1;

/// Checks everything that needs no login.
pub(super) async fn examine(dingtalk: &DingTalk) -> Vec<Finding> {
    let mut findings = addresses(dingtalk);
    if let Err(error) = dingtalk.api.token().await {
        findings.push(failed(
            dingtalk,
            text!("app_key and app_secret", "app_key 和 app_secret"),
            error,
        ));
        return findings;
    }
    let text = text!(
        "DingTalk accepts app_key and app_secret",
        "钉钉接受 app_key 和 app_secret"
    );
    findings.push(Finding::good(text));
    findings.push(match dingtalk.api.departments_below(ROOT).await {
        Ok(below) => {
            let count = below.len();
            Finding::good(text!(
                "the application sees {count} departments below the topmost one",
                "应用能看到根部门下的 {count} 个部门"
            ))
        }
        Err(error) => failed(dingtalk, text!("departments", "部门"), error),
    });
    findings.push(match dingtalk.api.members(ROOT, 0).await {
        Ok(_) => Finding::good(text!(
            "the application may read members",
            "应用可以读取成员"
        )),
        Err(error) => failed(dingtalk, text!("members", "成员"), error),
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
        Finding::good(text!(
            "enter {callback} at the application under 开发配置 → 安全设置 → 重定向URL（回调域名）",
            "请在该应用的 开发配置 → 安全设置 → 重定向URL（回调域名） 中填写 {callback}"
        )),
        Finding::good(text!(
            "for logins inside the client, the 首页地址 of the application is a page of this site, \
             such as {own_pages_url}/start?connector={id}",
            "要在客户端内登录，应用的 首页地址 应为本站点的页面，例如 \
             {own_pages_url}/start?connector={id}"
        )),
    ];
    if dingtalk.events.is_some() {
        findings.push(Finding::good(text!(
            "enter {own_pages_url}/events/{id} at the application under 开发配置 → 事件订阅 → HTTP推送 \
             → 请求网址",
            "请在该应用的 开发配置 → 事件订阅 → HTTP推送 → 请求网址 中填写 {own_pages_url}/events/{id}"
        )));
    }
    if dingtalk.admin.is_some() {
        findings.push(Finding::good(text!(
            "enter {own_pages_url}/enter/{id} as the 管理后台地址 of the application",
            "请把 {own_pages_url}/enter/{id} 填为该应用的 管理后台地址"
        )));
    }
    findings
}

fn failed(dingtalk: &DingTalk, what: Text, error: ApiError) -> Finding {
    let error = dingtalk.connector_error(error);
    Finding::bad(text!("{what}: {}", "{what:#}：{:#}", error_chain(&error)))
}
