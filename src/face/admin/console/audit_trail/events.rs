//! The events of the audit trail for people to read.

use crate::face::page::Lang;

/// Each event with its text in Chinese and in English.
const EVENTS: [(&str, &str, &str); 23] = [
    ("login", "登录", "Signed in"),
    ("refused", "登录被拒绝", "Refused"),
    ("sign-out", "退出登录", "Signed out"),
    ("revoked", "会话被结束", "Sessions ended"),
    ("closed", "账号关闭", "Account closed"),
    ("opened", "账号重新打开", "Account opened"),
    ("renamed", "认证源改了 ID", "Subject changed"),
    ("linked", "添加身份", "Identity added"),
    ("unlinked", "移除身份", "Identity removed"),
    ("imported", "导入人员", "People imported"),
    ("synced", "通讯录同步", "Directory synced"),
    ("changed", "修改人员", "Person changed"),
    ("added", "添加人员", "Person added"),
    ("removed", "移除人员", "Person removed"),
    ("password-changed", "修改密码", "Password changed"),
    ("app-token", "领取应用令牌", "Application token"),
    ("app-token-rejected", "应用令牌失效", "App token rejected"),
    ("refresh-gone", "刷新被拒绝", "Refresh refused"),
    ("token-made", "创建访问令牌", "Access token made"),
    ("token-ended", "停用访问令牌", "Access token ended"),
    ("entitlements", "权限变化", "Entitlements changed"),
    ("console", "控制台", "Console"),
    ("config", "修改设置", "Settings"),
];

/// The text for an event; `None` if it has none.
pub(in super::super) fn event_text(event: &str, lang: Lang) -> Option<&'static str> {
    let mut events = EVENTS.iter();
    let (_, zh, en) = events.find(|(name, _, _)| *name == event)?;
    Some(match lang {
        Lang::Zh => zh,
        Lang::En => en,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::AuditEvent;

    #[test]
    fn every_event_has_a_text() {
        for event in AuditEvent::ALL {
            assert!(event_text(event.as_str(), Lang::Zh).is_some(), "{event:?}");
        }
    }
}
