//! The management console (管理后台): dismisses employees.

use std::fmt::Write as _;

use super::pages::{self, Language, escape};
use super::state::State;

/// The path of the page.
pub(super) const PATH: &str = "/console";
/// The path to which its buttons post a `userid`.
pub(super) const DISMISS_PATH: &str = "/console/dismiss";

/// The employees, each with a button that dismisses them.
pub(super) fn page(state: &State, language: Language) -> String {
    let mut people = String::new();
    let dismiss = language.pick("办理离职", "Dismiss");
    for member in &state.members {
        write!(
            people,
            r#"<li><form class="staff" method="post" action="{DISMISS_PATH}"><span class="name"><b>{name}</b> <small>{userid}</small></span><button class="dismiss" name="userid" value="{userid}" data-dismiss="{userid}">{dismiss}</button></form></li>"#,
            name = escape(&member.name),
            userid = escape(&member.userid),
        )
        .expect("writing to a string does not fail");
    }
    let body = format!(
        r#"<section class="who"><h1>{title}</h1><p class="hint">{hint}</p><ul>{people}</ul></section>"#,
        title = language.pick("通讯录管理", "Contacts"),
        hint = language.pick(
            "办理离职后，成员从通讯录中删除，企业微信把变更事件加密推送给 menshen。",
            "A dismissed employee is removed, and WeCom sends an encrypted event to menshen."
        ),
    );
    pages::shell(
        language,
        language.pick("企业微信管理后台（模拟）", "WeCom console (simulated)"),
        "wide",
        &body,
    )
}
