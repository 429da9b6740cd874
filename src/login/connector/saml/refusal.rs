//! `ResponseRefusal`: why a response of the identity provider is refused. The reason goes to the log; the page
//! is the same for most of them.

use super::super::kit::xml::XmlError;
use super::super::kit::xml_signature::SignatureRefusal;
use super::super::{ConnectorError, RefusalReason, SourceRefusal, brought};
use super::encoding::DecodeError;
use super::names::STATUS;
use crate::expression::EvalError;
use crate::telemetry::error_chain;
use crate::text;
use crate::wording::Text;

/// The call in errors of which a signed response tells. What stands in one without a signature is the word of
/// the browser.
const SIGNED_RESPONSE: &str = "the signed SAML response";

/// The longest message of an error, in characters.
const MESSAGE_CHARS_MAX: usize = 300;

#[derive(Debug, thiserror::Error)]
pub(super) enum ResponseRefusal {
    #[error("it is missing or repeated")]
    Missing,
    #[error(transparent)]
    Encoding(#[from] DecodeError),
    #[error("the response cannot be read")]
    Unreadable(#[source] XmlError),
    #[error("it is not a Response of SAML 2.0")]
    NotResponse,
    #[error("the signature of the response is refused")]
    ResponseSignature(#[source] SignatureRefusal),
    #[error("the signature of the assertion is refused")]
    AssertionSignature(#[source] SignatureRefusal),
    #[error("the response is not signed")]
    ResponseUnsigned,
    #[error("the assertion is not signed")]
    AssertionUnsigned,
    #[error("neither the response nor the assertion is signed")]
    Unsigned,
    #[error("the response has no assertion")]
    NoAssertion,
    #[error("the response has several assertions")]
    SeveralAssertions,
    #[error("the assertion is not encrypted")]
    NotEncrypted,
    /// One answer for every failure of decryption: who could distinguish them could decrypt by asking.
    #[error("the assertion cannot be opened")]
    NotOpened,
    #[error("the Destination of the response is not the callback URL")]
    Destination,
    #[error("the Issuer of the response is not the identity provider")]
    ResponseIssuer,
    #[error("the response does not answer the request of this login")]
    ResponseInResponseTo,
    #[error("the response answers a request, so it cannot begin a login")]
    Solicited,
    #[error("the status of the response is {0}")]
    Status(Status),
    #[error("the response has no status")]
    NoStatus,
    #[error("the Issuer of the assertion is not the identity provider")]
    AssertionIssuer,
    #[error("it is not an assertion of SAML 2.0 with an ID")]
    NoAssertionId,
    #[error("the assertion was issued in the future")]
    IssuedInFuture,
    #[error("the assertion has no bearer confirmation")]
    NoBearer,
    #[error("the confirmation is for another Recipient")]
    Recipient,
    #[error("the confirmation has no NotOnOrAfter")]
    ConfirmationWithoutEnd,
    #[error("the confirmation has expired")]
    ConfirmationExpired,
    #[error("the confirmation is not valid yet")]
    ConfirmationEarly,
    #[error("the confirmation does not answer the request of this login")]
    ConfirmationInResponseTo,
    #[error("the assertion has no Audience")]
    NoAudience,
    #[error("the Audience of the assertion is another service")]
    Audience,
    #[error("the Condition {0} is not known")]
    UnknownCondition(String),
    #[error("the conditions are not valid yet")]
    ConditionsEarly,
    #[error("the conditions have expired")]
    ConditionsExpired,
    #[error("the assertion has no AuthnStatement")]
    NoAuthnStatement,
    #[error("the session at the provider has expired")]
    SessionExpired,
    #[error("{0} is not a time")]
    Time(&'static str),
    #[error("the assertion has {0} twice")]
    Repeated(&'static str),
    #[error("the assertion names no subject: it has no NameID, or a transient one; set `subject`")]
    NoSubject,
    #[error("the Format of the NameID is {0}, not the one of `name_id_format`")]
    NameIdFormat(String),
    #[error("the NameID names the person for another service or another identity provider")]
    NameIdOfOthers,
    #[error("the value of `subject` is not a text or a whole number")]
    Subject,
    #[error("`subject` has no value")]
    SubjectExpression(#[source] EvalError),
    #[error("the authentication is older than the login")]
    NotForced,
    #[error("the person authenticates in the future")]
    AuthnInFuture,
}

/// The status of a response that is no success: the codes without their common beginning.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Status {
    pub(super) code: String,
    pub(super) detail: Option<String>,
    pub(super) message: Option<String>,
    /// Whether the identity provider signed it.
    pub(super) is_signed: bool,
}

impl std::fmt::Display for Status {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let shown = |text: &str| {
            let text = text.strip_prefix(STATUS).unwrap_or(text);
            let printable = text.chars().filter(|c| !c.is_control());
            printable.take(80).collect::<String>()
        };
        f.write_str(&shown(&self.code))?;
        if let Some(detail) = &self.detail {
            write!(f, ", {}", shown(detail))?;
        }
        if let Some(message) = &self.message {
            write!(f, ": {}", shown(message))?;
        }
        Ok(())
    }
}

impl ResponseRefusal {
    /// Whether a key that is not in the metadata may have signed.
    pub(super) fn is_unknown_key(&self) -> bool {
        matches!(
            self,
            Self::ResponseSignature(SignatureRefusal::NoKeyVerifies)
                | Self::AssertionSignature(SignatureRefusal::NoKeyVerifies)
        )
    }

    /// The same in a response whose signature was verified.
    pub(super) fn signed(self) -> Self {
        match self {
            Self::Status(status) => Self::Status(Status {
                is_signed: true,
                ..status
            }),
            other => other,
        }
    }

    /// The error of a login. In a silent one every answer but a success says that the person must sign in:
    /// such answers are often not signed, and the person could write one to keep a session.
    pub(super) fn into_error(self, silent: bool) -> ConnectorError {
        let message = error_chain(&self).to_string();
        let is_signed = matches!(&self, Self::Status(status) if status.is_signed);
        let source = SourceRefusal {
            call: match is_signed {
                true => SIGNED_RESPONSE,
                false => brought::SAML_RESPONSE,
            },
            code: 0,
            message: message.chars().take(MESSAGE_CHARS_MAX).collect(),
        };
        let refused = |why| ConnectorError::Refused {
            why,
            source: source.clone(),
        };
        match self {
            Self::NotForced => refused(RefusalReason::InsufficientAuth),
            Self::Status(_) if silent => refused(RefusalReason::InteractionRequired),
            Self::Status(status) => match status.name() {
                "NoPassive" => refused(RefusalReason::InteractionRequired),
                "NoAuthnContext" => refused(RefusalReason::InsufficientAuth),
                "AuthnFailed" | "RequestDenied" | "UnknownPrincipal" => {
                    refused(RefusalReason::Declined)
                }
                name => ConnectorError::Misconfigured {
                    remedy: remedy(name),
                    source,
                },
            },
            _ => ConnectorError::InvalidResponse(source),
        }
    }
}

impl Status {
    /// The more exact code without the common beginning.
    fn name(&self) -> &str {
        let code = self.detail.as_ref().unwrap_or(&self.code);
        code.strip_prefix(STATUS).unwrap_or(code)
    }
}

fn remedy(status: &str) -> Text {
    match status {
        "InvalidNameIDPolicy" => {
            text!(
                "the identity provider does not offer this `name_id_format`: change it, or remove the key",
                "身份提供方不支持这种 `name_id_format`：请修改，或删除这个键"
            )
        }
        "Requester" => {
            text!(
                "register menshen at the identity provider again, with its entity ID, callback URL and \
             certificate: `menshen check --online` prints them",
                "请在身份提供方重新登记 menshen 的实体 ID、回调 URL 和证书：`menshen check --online` 会显示它们"
            )
        }
        _ => text!(
            "the log of the identity provider says why it refuses",
            "身份提供方的日志会说明拒绝的原因"
        ),
    }
}

impl From<ResponseRefusal> for ConnectorError {
    fn from(refusal: ResponseRefusal) -> Self {
        refusal.into_error(false)
    }
}
