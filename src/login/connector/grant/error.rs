//! The errors of a token endpoint (RFC 6749 §5.2), what they mean for a login, and their remedies.

use url::Url;

use super::super::{ConnectorError, RefusalReason, SourceRefusal};
use crate::outbound::OutboundError;
use crate::people::provider_tokens::RefreshError;
use crate::text;
use crate::wording::Text;

/// The longest error message that is kept, in characters.
const MESSAGE_CHARS_MAX: usize = 300;

/// The shortest value that is redacted, in bytes. Shorter values are not secrets and may be common words.
const REDACTED_BYTES_MIN: usize = 6;

/// Why a token endpoint issued no tokens.
#[derive(Debug)]
pub(super) enum TokenEndpointError {
    /// Its response has an error code.
    Refused {
        /// The error code, such as `invalid_grant`.
        error: String,
        refusal: SourceRefusal,
    },
    /// It sent no usable response.
    NoUsableResponse(OutboundError),
}

/// How to react to an error code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ErrorClass {
    /// The code or the refresh token was used, has expired or was revoked.
    GrantRejected,
    Busy,
    AccessDenied,
    Misconfigured,
}

impl TokenEndpointError {
    /// The error of a login whose code could not be redeemed.
    pub(super) fn at_redemption(self, callback: &Url) -> ConnectorError {
        let (error, refusal) = match self {
            Self::Refused { error, refusal } => (error, refusal),
            Self::NoUsableResponse(error) => return no_usable_response(error),
        };
        match classify(&error, refusal.code) {
            ErrorClass::GrantRejected => ConnectorError::CodeRejected(refusal),
            ErrorClass::Busy => ConnectorError::Busy(refusal),
            ErrorClass::AccessDenied => ConnectorError::Refused {
                why: RefusalReason::NotVisibleToApp,
                source: refusal,
            },
            ErrorClass::Misconfigured => ConnectorError::Misconfigured {
                remedy: remedy(&error, callback),
                source: refusal,
            },
        }
    }

    /// The error of a refresh. A session ends only if the provider rejects the refresh token itself.
    pub(super) fn at_refresh(self, callback: &Url) -> RefreshError {
        match self {
            Self::Refused { error, refusal }
                if classify(&error, refusal.code) == ErrorClass::GrantRejected =>
            {
                RefreshError::Gone(Box::new(refusal))
            }
            other => RefreshError::Unavailable(Box::new(other.at_redemption(callback))),
        }
    }
}

/// The error of a login for a request without a usable response. Status 429 means that the provider is
/// busy.
fn no_usable_response(error: OutboundError) -> ConnectorError {
    match error {
        OutboundError::Status {
            call,
            status: status @ 429,
            ..
        } => ConnectorError::Busy(source_refusal(
            call,
            i64::from(status),
            "too many requests",
            None,
            &[],
        )),
        other => ConnectorError::NoUsableResponse(other),
    }
}

/// The error of a provider, limited in length and without the `redacted` values of the request.
pub(in super::super) fn source_refusal(
    call: &'static str,
    code: i64,
    error: &str,
    description: Option<&str>,
    redacted: &[&str],
) -> SourceRefusal {
    let mut message = match description.map(str::trim) {
        Some(description) if !description.is_empty() => format!("{error}: {description}"),
        _ => error.to_owned(),
    };
    for secret in redacted
        .iter()
        .filter(|secret| secret.len() >= REDACTED_BYTES_MIN)
    {
        message = message.replace(secret, "…");
    }
    SourceRefusal {
        call,
        code,
        message: message
            .chars()
            .filter(|c| !c.is_control())
            .take(MESSAGE_CHARS_MAX)
            .collect(),
    }
}

fn classify(error: &str, status: i64) -> ErrorClass {
    match error {
        "invalid_grant" | "bad_verification_code" | "bad_refresh_token" | "expired_token" => {
            ErrorClass::GrantRejected
        }
        "temporarily_unavailable" | "server_error" | "slow_down" => ErrorClass::Busy,
        "access_denied" | "unverified_user_email" => ErrorClass::AccessDenied,
        _ if status == 429 => ErrorClass::Busy,
        _ => ErrorClass::Misconfigured,
    }
}

/// The remedy for an error code, for the administrator.
pub(super) fn remedy(error: &str, callback: &Url) -> Text {
    match error {
        "invalid_client" | "incorrect_client_credentials" => {
            text!(
                "copy `client_id` and `client_secret` (or the key in `private_key`) again from the \
            provider; if they are right, the provider may expect another authentication method: \
            set `client_auth`",
                "请从认证源处重新复制 `client_id` 和 `client_secret`（或 `private_key` 中的私钥）；如果都正确，认证源可能要求别的认证方式：请设置 `client_auth`"
            )
        }
        "unauthorized_client" => text!(
            "the provider does not allow the authorization code flow to this \
        `client_id`: enable it there",
            "认证源不允许这个 `client_id` 使用授权码流程：请在认证源处开启"
        ),
        "redirect_uri_mismatch" | "invalid_redirect_uri" => {
            text!(
                "register exactly {callback} as redirect URI at the provider",
                "请在认证源处把 {callback} 登记为重定向 URI，一字不差"
            )
        }
        "invalid_scope" => {
            text!(
                "the provider does not know or allow one of `scopes`: allow them to this \
        `client_id`, or remove some",
                "认证源不认识或不允许 `scopes` 中的某一项：请在认证源处允许，或删除一些"
            )
        }
        "unsupported_response_type" => {
            text!(
                "the provider does not support the authorization code flow at \
        this URL: check `authorize_url`, and allow the flow to this `client_id`",
                "认证源在这个 URL 上不支持授权码流程：请检查 `authorize_url`，并在认证源处允许该流程"
            )
        }
        "unsupported_grant_type" => {
            text!(
                "the token endpoint does not accept authorization codes: check \
        `token_url`",
                "令牌端点不接受授权码：请检查 `token_url`"
            )
        }
        "invalid_request" => text!(
            "the provider considers the request invalid: check `client_id`, that {callback} is \
            registered there as redirect URI, and whether it requires further parameters",
            "认证源认为请求无效：请检查 `client_id`，{callback} 是否已在认证源处登记为重定向 URI，以及是否还需要别的参数"
        ),
        _ => text!(
            "look up this error in the documentation of the provider; {callback} must be registered \
            there as redirect URI, and `client_id` and `client_secret` must match",
            "请在认证源的文档中查找这个错误；{callback} 必须在认证源处登记为重定向 URI，`client_id` 和 `client_secret` 必须一致"
        ),
    }
}
