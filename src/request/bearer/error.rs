//! Why bearer tokens are not accepted or cannot be verified.

use std::sync::Arc;
use std::time::Duration;

use super::{IssuerId, VerifiedToken};
use crate::issuer::{ClaimError, IssuerError, TokenError};
use crate::outbound::{OutboundBuildError, OutboundError};
use crate::people::token_sessions::TokenSessionError;
use crate::secret::SecretError;
use crate::store::StoreError;
use crate::text;
use crate::wording::{Text, error_of_text};

/// Why a bearer token is not accepted.
#[derive(Clone, Debug, thiserror::Error)]
pub enum BearerError {
    /// The token is invalid.
    #[error("a bearer token was refused")]
    Refused {
        /// Absent if it is refused before its issuer is known.
        issuer: Option<IssuerId>,
        #[source]
        why: Arc<Refusal>,
    },
    /// The token is valid but lacks a scope.
    #[error("the token of {} lacks a scope", token.subject)]
    Scope {
        token: Arc<VerifiedToken>,
        /// The scopes that its issuer and the route require, separated by spaces.
        needed: String,
    },
    /// The client sends too many new tokens; this one was not verified.
    #[error("the client sends too many new tokens of the issuer {issuer}")]
    Limited { issuer: IssuerId },
    /// The issuer could not be asked.
    #[error("ask the issuer {issuer} about a bearer token")]
    IssuerUnavailable {
        issuer: IssuerId,
        #[source]
        source: Arc<IssuerUnavailable>,
    },
    /// The person the token stands for could not be loaded.
    #[error("load the person of a bearer token")]
    Store(#[source] Arc<StoreError>),
}

/// Why a token is refused. The reason goes to the log and not to the client.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    #[error("there are several Authorization headers")]
    MultipleHeaders,
    /// Empty, too long, or with characters that a token cannot have.
    #[error("it is not a bearer token (RFC 6750)")]
    Malformed,
    /// People give it to programs; no issuer knows it.
    #[error("it is an access token of a person, which is not accepted here")]
    AccessToken,
    /// It names an issuer that the route does not accept.
    #[error("its issuer {found} is not accepted on this route")]
    UnknownIssuer {
        /// The issuer in the token, truncated.
        found: String,
    },
    /// No issuer of the route can introspect it.
    #[error("it is opaque, and no issuer of this route has introspection configured")]
    Opaque,
    #[error("its issuer says that it is not active")]
    Inactive,
    /// It was issued for another purpose.
    #[error("it is not an access token but of the type `{found}`")]
    WrongType {
        /// The type in the token, truncated.
        found: String,
    },
    /// It is valid only together with a proof of possession.
    #[error("it is bound to a key, and proof of possession is not supported")]
    KeyBound,
    #[error("its subject is empty, too long, or has control characters")]
    InvalidSubject,
    /// The person it stands for is not admitted.
    #[error(transparent)]
    TokenSession(TokenSessionError),
    /// It lives longer than a logout at the provider is remembered.
    #[error("it lives for {}s, and a person's token for token_life_max = {}s at most", life.as_secs(), max.as_secs())]
    LongLived {
        /// From `iat` to `exp`.
        life: Duration,
        /// The configured maximum.
        max: Duration,
    },
    /// It fails a check that applies to every token of an issuer.
    #[error(transparent)]
    Token(TokenError),
}

/// Why a token could not be verified. It is neither accepted nor refused.
#[derive(Debug)]
pub enum IssuerUnavailable {
    /// The issuer's metadata or keys.
    Issuer(IssuerError),
    Introspection(OutboundError),
    NoEndpoint,
    InvalidIntrospection,
    /// The issuer was unreachable a moment ago and is not asked again yet.
    Paused,
    Overloaded,
    /// The verification task ended without a result.
    Aborted,
}

impl IssuerUnavailable {
    fn text(&self) -> Text {
        match self {
            Self::Issuer(source) => Text::of(source),
            Self::Introspection(source) => Text::of(source),
            Self::NoEndpoint => Text::fixed(
                "its metadata names no introspection endpoint: set `introspection.url`",
                "它的元数据没有 introspection 端点：请设置 `introspection.url`",
            ),
            Self::InvalidIntrospection => Text::fixed(
                "its introspection response does not say whether the token is active",
                "它的 introspection 响应没有说明令牌是否有效",
            ),
            Self::Paused => Text::fixed(
                "it could not be reached a moment ago",
                "刚才无法访问它，暂时不再请求",
            ),
            Self::Overloaded => {
                Text::fixed("too many tokens wait to be verified", "等待验证的令牌过多")
            }
            Self::Aborted => Text::fixed(
                "the verification ended without a result",
                "验证没有得出结果",
            ),
        }
    }

    fn cause(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Issuer(source) => std::error::Error::source(source),
            Self::Introspection(source) => std::error::Error::source(source),
            Self::NoEndpoint
            | Self::InvalidIntrospection
            | Self::Paused
            | Self::Overloaded
            | Self::Aborted => None,
        }
    }
}

error_of_text!(IssuerUnavailable, caused);

impl From<IssuerError> for IssuerUnavailable {
    fn from(source: IssuerError) -> Self {
        Self::Issuer(source)
    }
}

/// Why an issuer could not be built.
#[derive(Debug)]
pub enum BuildError {
    Outbound {
        id: IssuerId,
        source: OutboundBuildError,
    },
    Secret {
        id: IssuerId,
        source: SecretError,
    },
}

impl BuildError {
    fn text(&self) -> Text {
        match self {
            Self::Outbound { id, .. } => text!(
                "issuer {id}: build its HTTP client",
                "签发方 {id}：无法建立访问它的 HTTP 客户端"
            ),
            Self::Secret { id, .. } => text!(
                "issuer {id}: introspection client_secret",
                "签发方 {id}：introspection 的 client_secret"
            ),
        }
    }

    fn cause(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Outbound { source, .. } => Some(source),
            Self::Secret { source, .. } => Some(source),
        }
    }
}

error_of_text!(BuildError, caused);

/// Why a token was not verified, shared by all requests with this token.
#[derive(Clone, Debug)]
pub(super) enum VerifyError {
    Refused(Arc<Refusal>),
    Limited,
    Unavailable(Arc<IssuerUnavailable>),
    Store(Arc<StoreError>),
}

impl Refusal {
    pub(super) fn claim(error: ClaimError) -> Self {
        Self::Token(TokenError::Claim(error))
    }

    /// Whether the same token will be refused again in the next moments. A missing key may be
    /// published, and a token that is not valid yet becomes valid.
    pub(super) fn is_final(&self) -> bool {
        !matches!(
            self,
            Self::Token(TokenError::UnknownKey { .. } | TokenError::NotYetValid)
        )
    }
}

impl From<Refusal> for VerifyError {
    fn from(why: Refusal) -> Self {
        Self::Refused(Arc::new(why))
    }
}

impl From<IssuerUnavailable> for VerifyError {
    fn from(why: IssuerUnavailable) -> Self {
        Self::Unavailable(Arc::new(why))
    }
}

impl From<TokenSessionError> for VerifyError {
    fn from(error: TokenSessionError) -> Self {
        match error {
            TokenSessionError::Store(error) => Self::Store(error),
            other => Refusal::TokenSession(other).into(),
        }
    }
}

impl From<TokenError> for VerifyError {
    fn from(error: TokenError) -> Self {
        match error {
            TokenError::KeysUnavailable(why) => IssuerUnavailable::Issuer(why).into(),
            error => Refusal::Token(error).into(),
        }
    }
}
