//! `ConnectorError`: why a login failed at its source.

use std::error::Error;

use crate::issuer::IssuerError;
use crate::outbound;
use crate::text;
use crate::wording::{Text, error_of_text};

/// The names of what a browser or an app sends, which stand for API calls in [`SourceRefusal::call`]. Anybody can
/// send anything, so its refusal says nothing about the source.
pub(crate) mod brought {
    use crate::outbound::call_text;
    use crate::wording::Text;

    /// The parameters of a callback.
    pub(crate) const CALLBACK: &str = "callback";
    /// The error that the login page returns in a callback.
    pub(crate) const AUTHORIZE: &str = "authorize";
    /// The parameters of a request to an entry point.
    pub(crate) const ENTRY: &str = "entry";
    /// A signed token of a portal.
    pub(crate) const TOKEN: &str = "the token";
    pub(crate) const SAML_RESPONSE: &str = "the SAML response";
    /// The form for a user name and a password.
    pub(crate) const FORM: &str = "the form";

    pub(super) const ALL: [&str; 6] = [CALLBACK, AUTHORIZE, ENTRY, TOKEN, SAML_RESPONSE, FORM];

    /// The name in both languages: one of these, or that of an API call.
    pub(super) fn text(name: &'static str) -> Text {
        match name {
            CALLBACK => Text::fixed(CALLBACK, "回调"),
            AUTHORIZE => Text::fixed(AUTHORIZE, "登录页"),
            ENTRY => Text::fixed(ENTRY, "入口"),
            TOKEN => Text::fixed(TOKEN, "令牌"),
            SAML_RESPONSE => Text::fixed(SAML_RESPONSE, "SAML 响应"),
            FORM => Text::fixed(FORM, "表单"),
            call => call_text(call),
        }
    }
}

/// Why a login failed at its source.
#[derive(Debug)]
pub enum ConnectorError {
    /// The source rejects the code as used or expired. The login restarts once, automatically.
    CodeRejected(SourceRefusal),
    /// The login page of the source timed out, so there is no code. The login restarts once,
    /// automatically.
    LoginExpired(SourceRefusal),
    /// The source does not confirm this person. Each reason has its own page.
    Refused {
        why: RefusalReason,
        source: SourceRefusal,
    },
    /// The authorization response or a token is invalid: a parameter is missing or repeated, or a
    /// signature does not match.
    InvalidResponse(SourceRefusal),
    /// The source rejects the settings of this connector. The remedy is for the administrator.
    Misconfigured { remedy: Text, source: SourceRefusal },
    /// The source cannot check anybody now: it cannot be reached, is busy, or refuses menshen itself.
    Unavailable(Box<dyn Error + Send + Sync>),
    /// The source is overloaded or limits the rate of requests.
    Busy(SourceRefusal),
    /// The source did not respond, or its response is not in the expected format.
    NoUsableResponse(outbound::OutboundError),
    /// The source is not known well enough to begin or finish a login: its metadata could not be loaded.
    MetadataUnavailable(Box<dyn Error + Send + Sync>),
    /// The metadata or the keys of the source's issuer could not be loaded.
    Issuer(IssuerError),
}

impl ConnectorError {
    fn text(&self) -> Text {
        match self {
            Self::CodeRejected(_) => Text::fixed(
                "the source rejects the code as used or expired",
                "认证源拒绝了授权码：已经用过或已过期",
            ),
            Self::LoginExpired(_) => Text::fixed(
                "the login at the source took too long",
                "在认证源登录用时过长",
            ),
            Self::Refused { why, .. } => text!(
                "the source does not confirm this person: {why}",
                "认证源没有确认此人：{why:#}"
            ),
            Self::InvalidResponse(_) => {
                Text::fixed("the source's response is invalid", "认证源的响应无效")
            }
            Self::Misconfigured { remedy, .. } => {
                // A line of the log has the remedy in the language of the operator.
                let shown = remedy.for_operator();
                text!(
                    "the source rejects the settings of this connector; remedy: {shown}",
                    "认证源拒绝了这里的设置；办法：{remedy:#}"
                )
            }
            Self::Unavailable(_) => {
                Text::fixed("the source cannot be asked now", "现在无法询问认证源")
            }
            Self::Busy(_) => Text::fixed(
                "the source is busy or limits the rate of requests",
                "认证源繁忙，或限制了请求频率",
            ),
            Self::NoUsableResponse(_) => Text::fixed(
                "the source sent no usable response",
                "认证源没有给出可用的响应",
            ),
            Self::MetadataUnavailable(_) => Text::fixed(
                "the metadata of the source is not available",
                "无法取得认证源的元数据",
            ),
            Self::Issuer(_) => Text::fixed(
                "the metadata or keys of the source cannot be loaded",
                "无法加载认证源的元数据或公钥",
            ),
        }
    }

    fn cause(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::CodeRejected(source) => Some(source),
            Self::LoginExpired(source) => Some(source),
            Self::Refused { source, .. } => Some(source),
            Self::InvalidResponse(source) => Some(source),
            Self::Misconfigured { source, .. } => Some(source),
            Self::Unavailable(source) => Some(&**source),
            Self::Busy(source) => Some(source),
            Self::NoUsableResponse(source) => Some(source),
            Self::MetadataUnavailable(source) => Some(&**source),
            Self::Issuer(source) => Some(source),
        }
    }
}

error_of_text!(ConnectorError, caused);

impl ConnectorError {
    /// Whether the user name or the password is wrong.
    pub fn is_wrong_password(&self) -> bool {
        matches!(
            self,
            Self::Refused {
                why: RefusalReason::WrongPassword,
                ..
            }
        )
    }

    /// Whether it concerns only what a browser or an app brought. The source was not asked.
    pub fn is_of_browser(&self) -> bool {
        match self {
            Self::CodeRejected(source)
            | Self::LoginExpired(source)
            | Self::Refused { source, .. }
            | Self::InvalidResponse(source)
            | Self::Misconfigured { source, .. }
            | Self::Busy(source) => brought::ALL.contains(&source.call),
            Self::Unavailable(_)
            | Self::NoUsableResponse(_)
            | Self::MetadataUnavailable(_)
            | Self::Issuer(_) => false,
        }
    }

    /// The error code of the source, or the HTTP status; 0 if it sent none.
    pub fn source_code(&self) -> i64 {
        let mut error: Option<&dyn Error> = Some(self);
        while let Some(one) = error {
            if let Some(refusal) = one.downcast_ref::<SourceRefusal>() {
                return refusal.code;
            }
            error = one.source();
        }
        0
    }

    /// Whether the source sent no response at all.
    pub fn is_no_response(&self) -> bool {
        match self {
            Self::NoUsableResponse(error) => error.is_no_response(),
            Self::Issuer(error) => error.is_no_response(),
            Self::Unavailable(_) | Self::MetadataUnavailable(_) => true,
            Self::CodeRejected(_)
            | Self::LoginExpired(_)
            | Self::Refused { .. }
            | Self::InvalidResponse(_)
            | Self::Misconfigured { .. }
            | Self::Busy(_) => false,
        }
    }
}

/// Why a source does not confirm a person.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RefusalReason {
    /// The person cancelled the login at the source.
    Declined,
    /// The user name or the password is wrong; the page does not say which.
    WrongPassword,
    /// The password has expired, or must be changed before it counts.
    PasswordExpired,
    /// The person is not a member of the organisation.
    NotMember,
    /// The membership is disabled, not activated or ended.
    Inactive,
    /// The person is a member, but the source does not show them to this application.
    NotVisibleToApp,
    /// The authentication is weaker or older than the route demands.
    InsufficientAuth,
    /// A silent login failed because the source must show a page.
    InteractionRequired,
}

impl RefusalReason {
    fn text(self) -> Text {
        match self {
            Self::Declined => Text::fixed("declined", "此人取消了登录"),
            Self::WrongPassword => Text::fixed("wrong user name or password", "用户名或密码错误"),
            Self::PasswordExpired => Text::fixed(
                "the password has expired or must be changed",
                "密码已过期或必须修改",
            ),
            Self::NotMember => Text::fixed("not a member", "不是成员"),
            Self::Inactive => Text::fixed("inactive", "已停用"),
            Self::NotVisibleToApp => {
                Text::fixed("not visible to the application", "不在应用的可见范围内")
            }
            Self::InsufficientAuth => Text::fixed(
                "the authentication is weaker or older than the route demands",
                "认证的强度或时间达不到路由的要求",
            ),
            Self::InteractionRequired => {
                Text::fixed("the source must show a page", "认证源必须显示页面")
            }
        }
    }
}

impl std::fmt::Display for RefusalReason {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.text().fmt(f)
    }
}

/// The error that a source returned, or the fault that menshen found in its response. Holds no code,
/// token or secret.
#[derive(Clone, Debug)]
pub struct SourceRefusal {
    /// The name of the API call, or of what a browser brought.
    pub call: &'static str,
    /// The error code of the source, or the HTTP status; 0 for a fault that menshen found.
    pub code: i64,
    /// The error message of the source, limited in length.
    pub message: String,
}

impl SourceRefusal {
    /// A fault that menshen found in the response to a call.
    pub(crate) fn fault(call: &'static str, message: &str) -> Self {
        Self {
            call,
            code: 0,
            message: message.to_owned(),
        }
    }

    fn text(&self) -> Text {
        let Self {
            call,
            code,
            message,
        } = self;
        let called = brought::text(call);
        match code {
            0 => text!("{call}: {message}", "{called:#}：`{message}`"),
            code => text!(
                "{call} answered {code}: {message}",
                "响应（{called:#}）是 {code}：`{message}`"
            ),
        }
    }
}

error_of_text!(SourceRefusal);
