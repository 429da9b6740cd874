//! The causes of problem documents that only programs receive, without a page.

use super::Lang;
use crate::login::connector::LocalizedText;

/// The cause of a problem document for a program. [`super::Cause`] has those that people see as pages, too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProgramCause {
    /// A rule denies the caller.
    Forbidden,
    /// A trusted proxy does not send what the decision needs.
    Incomplete,
    /// The bearer token is not valid.
    BadToken,
    /// The bearer token lacks a scope.
    MissingScope,
    /// A session cookie and a token name two callers.
    TwoCallers,
    /// The issuer of a bearer token does not answer.
    IssuerUnavailable,
    /// Too many unknown tokens come from one address.
    TooManyTokens,
    /// The access token is not valid.
    BadAccessToken,
    /// The access token was made for other routes or for people of another connector.
    AccessTokenElsewhere,
    /// The route demands a login in a browser.
    AccessTokenNotEnough,
    /// A page of another site or a script sends the request, and neither may.
    ForeignOrigin,
}

impl ProgramCause {
    pub const ALL: [Self; 11] = [
        Self::Forbidden,
        Self::Incomplete,
        Self::BadToken,
        Self::MissingScope,
        Self::TwoCallers,
        Self::IssuerUnavailable,
        Self::TooManyTokens,
        Self::BadAccessToken,
        Self::AccessTokenElsewhere,
        Self::AccessTokenNotEnough,
        Self::ForeignOrigin,
    ];

    /// The name in the `type` of a problem document. It never changes.
    pub fn slug(self) -> &'static str {
        match self {
            Self::Forbidden => "forbidden",
            Self::Incomplete => "untold",
            Self::BadToken => "bad-token",
            Self::MissingScope => "insufficient-scope",
            Self::TwoCallers => "two-callers",
            Self::IssuerUnavailable => "issuer-away",
            Self::TooManyTokens => "too-many-tokens",
            Self::BadAccessToken => "bad-access-token",
            Self::AccessTokenElsewhere | Self::AccessTokenNotEnough => "access-token-scope",
            Self::ForeignOrigin => "foreign-origin",
        }
    }

    pub fn title(self, lang: Lang) -> &'static str {
        lang.pick(match self {
            Self::Forbidden | Self::Incomplete => LocalizedText {
                en: "Not allowed here",
                zh: "不允许访问",
            },
            Self::BadToken => LocalizedText {
                en: "The bearer token is not valid here",
                zh: "这里不接受该 Bearer 令牌",
            },
            Self::MissingScope => LocalizedText {
                en: "The bearer token lacks the scope for this",
                zh: "Bearer 令牌缺少所需的 scope",
            },
            Self::TwoCallers => LocalizedText {
                en: "A session cookie and a bearer token came together",
                zh: "请求同时带有会话 Cookie 和 Bearer 令牌",
            },
            Self::IssuerUnavailable => LocalizedText {
                en: "The bearer token cannot be verified now",
                zh: "暂时无法验证 Bearer 令牌",
            },
            Self::TooManyTokens => LocalizedText {
                en: "Too many unknown tokens come from this address",
                zh: "来自该地址的未知令牌过多",
            },
            Self::BadAccessToken => LocalizedText {
                en: "The access token is not valid here",
                zh: "这里不接受该访问令牌",
            },
            Self::AccessTokenElsewhere => LocalizedText {
                en: "The access token was not made for this",
                zh: "该访问令牌不适用于此处",
            },
            Self::AccessTokenNotEnough => LocalizedText {
                en: "This needs a sign-in in a browser: an access token is not enough",
                zh: "此处要求在浏览器中登录，访问令牌不够",
            },
            Self::ForeignOrigin => LocalizedText {
                en: "Only from this site's own pages",
                zh: "只接受本站页面发出的请求",
            },
        })
    }

    /// What happened and what helps, in one or two sentences.
    pub fn detail(self, lang: Lang) -> &'static str {
        lang.pick(match self {
            Self::Forbidden => LocalizedText {
                en: "The access rule does not allow this request. Signing in again does not help.",
                zh: "访问规则不允许该请求，重新登录也无济于事。",
            },
            Self::Incomplete => LocalizedText {
                en: "The proxy in front does not send what the decision needs. The log of menshen says what \
                     is missing.",
                zh: "前面的代理没有发送判断所需的信息，menshen 的日志中写明了缺少什么。",
            },
            Self::BadToken => LocalizedText {
                en: "It has expired, was not issued for this, or cannot be verified. Obtain a new one.",
                zh: "令牌已过期、不是为此签发，或无法通过验证，请重新获取。",
            },
            Self::MissingScope => LocalizedText {
                en: "Obtain a token with the scope that the header WWW-Authenticate names.",
                zh: "请获取带有 WWW-Authenticate 头所列 scope 的令牌。",
            },
            Self::TwoCallers => LocalizedText {
                en: "They name two callers: send one of them.",
                zh: "二者代表不同的调用者，请只发送其中一个。",
            },
            Self::IssuerUnavailable => LocalizedText {
                en: "The issuer of the token does not answer. Send the request again later.",
                zh: "令牌的签发方没有响应，请稍后重试。",
            },
            Self::TooManyTokens => LocalizedText {
                en: "This token was not verified. Send it again later.",
                zh: "该令牌未经验证，请稍后重试。",
            },
            Self::BadAccessToken => LocalizedText {
                en: "It is unknown, has ended, or came with the name of another person. Make a new one.",
                zh: "令牌不存在、已失效，或与用户名不符，请重新创建。",
            },
            Self::AccessTokenElsewhere => LocalizedText {
                en: "Make an access token for this application.",
                zh: "请为该应用创建访问令牌。",
            },
            Self::AccessTokenNotEnough => LocalizedText {
                en: "Open the address in a browser and sign in there.",
                zh: "请在浏览器中打开该地址并登录。",
            },
            Self::ForeignOrigin => LocalizedText {
                en: "A script or a page of another site sent this request, so nothing was done.",
                zh: "该请求来自脚本或其他网站的页面，因此未作处理。",
            },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_cause_has_texts_in_both_languages() {
        for (at, cause) in ProgramCause::ALL.into_iter().enumerate() {
            assert_eq!(cause as usize, at, "ALL has {cause:?} at its place");
            assert!(!cause.slug().is_empty());
            for text in [ProgramCause::title, ProgramCause::detail] {
                let (en, zh) = (text(cause, Lang::En), text(cause, Lang::Zh));
                assert!(!en.is_empty() && en.is_ascii(), "{cause:?}: {en}");
                assert!(!zh.is_empty() && !zh.is_ascii(), "{cause:?}: {zh}");
            }
        }
        assert_eq!(
            ProgramCause::ForeignOrigin as usize + 1,
            ProgramCause::ALL.len(),
            "ALL includes the last variant"
        );
    }
}
