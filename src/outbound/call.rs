//! `OutboundCall`: the name of a call to a source, and whether it may be repeated.

use crate::text;
use crate::wording::Text;

/// A call to a source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OutboundCall {
    name: &'static str,
    repeatable: Repeatable,
}

/// Whether a call may be sent twice. This decides which connection it uses, and what happens if the
/// connection breaks before the response is complete.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Repeatable {
    /// A second call changes nothing. The call may use an idle connection, which the server may be closing
    /// at this moment. If the connection breaks, the call is repeated once on a new connection.
    Yes,
    /// The call redeems something that is valid once, such as a code or a refresh token; a source may take
    /// the second call for theft. Whether the source received the call before the connection broke is
    /// unknown, so the call is sent once, on a new connection, which no server closes as idle.
    No,
}

impl OutboundCall {
    /// A call that may be repeated. `name` appears in errors and logs.
    pub const fn repeatable(name: &'static str) -> Self {
        Self {
            name,
            repeatable: Repeatable::Yes,
        }
    }

    /// A call that must be sent once. `name` appears in errors and logs.
    pub const fn once(name: &'static str) -> Self {
        Self {
            name,
            repeatable: Repeatable::No,
        }
    }

    pub const fn name(self) -> &'static str {
        self.name
    }

    pub(super) const fn is_repeatable(self) -> bool {
        matches!(self.repeatable, Repeatable::Yes)
    }
}

/// The name of a call. That of an API has no words and stands in backticks in Chinese.
pub fn call_text(name: &'static str) -> Text {
    match name {
        "the introspection of a token" => Text::fixed(name, "令牌的 introspection"),
        "the issuer's metadata" => Text::fixed(name, "签发方的元数据"),
        "the issuer's keys" => Text::fixed(name, "签发方的公钥"),
        "the login page" => Text::fixed(name, "登录页"),
        "the metadata" => Text::fixed(name, "元数据"),
        "ticket validation" => Text::fixed(name, "验证票据"),
        "a probe" => Text::fixed(name, "探测"),
        "token" => Text::fixed(name, "令牌端点"),
        "refresh" => Text::fixed(name, "刷新令牌"),
        "authorize" => Text::fixed(name, "登录页"),
        "profile" => Text::fixed(name, "资料端点"),
        "userinfo" => Text::fixed(name, "userinfo 端点"),
        name => text!("{name}", "`{name}`"),
    }
}
