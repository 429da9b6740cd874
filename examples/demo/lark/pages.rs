//! The HTML pages of the simulated Lark, without scripts or other files.

use std::fmt::Write as _;

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

use super::authorize::{CHOICE, REFUSAL};
use super::people::{Person, TENANT_KEY};
use super::state::State;

/// The path of the management console.
pub(super) const CONSOLE_PATH: &str = "/console";
/// The path to which its buttons post a `user_id`.
pub(super) const DISMISS_PATH: &str = "/console/dismiss";

/// The login page: the people who may scan the code.
pub(super) fn login(state: &State, redirect_uri: &str, address: &str) -> String {
    let mut people = String::new();
    for person in &state.people {
        let link = with_parameter(address, CHOICE, &person.user_id);
        write!(
            people,
            r#"<li><a href="{link}" data-userid="{id}"><b>{name}</b> <small>{id}</small> <small>{badge}</small></a></li>"#,
            link = escape(&link),
            id = escape(&person.user_id),
            name = escape(&person.name),
            badge = badge(person),
        )
        .expect("writing to a string does not fail");
    }
    shell(
        "飞书登录（模拟）",
        &format!(
            r#"<h1>谁在扫码？</h1><p>登录到 <code>{to}</code>。选一位员工，就当是他用飞书扫了码并点了“授权”。</p>
<ul>{people}</ul><p><a data-refuse href="{refuse}">拒绝授权</a></p>"#,
            to = escape(redirect_uri),
            refuse = escape(&with_parameter(address, REFUSAL, "1")),
        ),
    )
}

/// The management console: the employees, each with a button that dismisses them.
pub(super) fn console(state: &State) -> String {
    let mut people = String::new();
    let employees = state.people.iter();
    for person in employees.filter(|one| one.tenant_key == TENANT_KEY) {
        write!(
            people,
            r#"<li><form method="post" action="{DISMISS_PATH}"><b>{name}</b> <small>{id}</small> <button name="user_id" value="{id}" data-dismiss="{id}">办理离职</button></form></li>"#,
            id = escape(&person.user_id),
            name = escape(&person.name),
        )
        .expect("writing to a string does not fail");
    }
    shell(
        "飞书管理后台（模拟）",
        &format!(
            "<h1>成员管理</h1><p>办理离职后，飞书把变更事件加密推送给 menshen。</p><ul>{people}</ul>"
        ),
    )
}

/// An error page.
pub(super) fn notice(what: &str, why: &str) -> String {
    let body = format!("<h1>{}</h1><p>{}</p>", escape(what), escape(why));
    shell(what, &body)
}

/// Adds a query parameter to a URL.
pub(super) fn with_parameter(address: &str, name: &str, value: &str) -> String {
    let separator = if address.contains('?') { '&' } else { '?' };
    format!(
        "{address}{separator}{name}={}",
        utf8_percent_encode(value, NON_ALPHANUMERIC)
    )
}

fn badge(person: &Person) -> &'static str {
    match person {
        person if person.tenant_key != TENANT_KEY => "其他企业",
        person if person.is_resigned || person.is_exited => "已离职",
        person if person.is_frozen => "已暂停",
        person if !person.is_activated => "未激活",
        person if !person.may_use_app => "不在可用范围",
        _ => "",
    }
}

fn escape(text: &str) -> String {
    let text = text.replace('&', "&amp;").replace('<', "&lt;");
    text.replace('"', "&quot;")
}

fn shell(title: &str, body: &str) -> String {
    format!(
        r#"<!doctype html><html lang="zh-CN"><head><meta charset="utf-8"><title>{title}</title>
<meta name="viewport" content="width=device-width,initial-scale=1"><style>{STYLE}</style></head><body><main>
<p class="plainly"><b>模拟</b> 这不是飞书，只是演示和测试用的替身；没有真的身份，也不会连到外网。</p>{body}</main></body></html>"#
    )
}

const STYLE: &str = "
:root{color-scheme:light dark}body{margin:0;font:16px/1.6 system-ui,'PingFang SC','WenQuanYi Micro Hei',sans-serif}
main{max-width:560px;margin:0 auto;padding:5vh 16px}.plainly{padding:9px 14px;border-radius:10px;background:#fff3d9;color:#8a4b00}
ul{list-style:none;padding:0}li{border-top:1px solid #8884}li a,li form{display:block;padding:12px 4px}small{opacity:.7}";
