//! `ConnectorError`: why a login failed at its source.

use std::error::Error;

use crate::issuer::IssuerError;
use crate::outbound;
use crate::wording::Text;

/// What a browser or an app brings, in the place of an API call. Anybody can bring anything, so a refusal of it
/// says nothing about the source.
pub(crate) mod brought {
    /// The parameters of a callback.
    pub(crate) const CALLBACK: &str = "callback";
    /// The error that the login page returns in a callback.
    pub(crate) const AUTHORIZE: &str = "authorize";
    /// The parameters of an arrival.
    pub(crate) const ENTRY: &str = "entry";
    /// A signed token of a portal.
    pub(crate) const TOKEN: &str = "the token";
    pub(crate) const SAML_RESPONSE: &str = "the SAML response";
    /// The form for a user name and a password.
    pub(crate) const FORM: &str = "the form";

    pub(super) const ALL: [&str; 6] = [CALLBACK, AUTHORIZE, ENTRY, TOKEN, SAML_RESPONSE, FORM];
}

/// Why a login failed at its source.
#[derive(Debug, thiserror::Error)]
pub enum ConnectorError {
    /// The source rejects the code as used or expired. The login restarts once, automatically.
    #[error("the source rejects the code as used or expired")]
    CodeRejected(#[source] SourceRefusal),
    /// The login page of the source timed out, so there is no code. The login restarts once,
    /// automatically.
    #[error("the login at the source took too long")]
    LoginExpired(#[source] SourceRefusal),
    /// The source does not confirm this person. Each reason has its own page.
    #[error("the source does not confirm this person: {why}")]
    Refused {
        why: RefusalReason,
        #[source]
        source: SourceRefusal,
    },
    /// The authorization response or a token is invalid: a parameter is missing or repeated, or a
    /// signature does not match.
    #[error("the source's response is invalid")]
    InvalidResponse(#[source] SourceRefusal),
    /// The source rejects the settings of this connector. The remedy is for the administrator.
    #[error(
        "the source rejects the settings of this connector; remedy: {}",
        remedy.for_operator()
    )]
    Misconfigured {
        remedy: Text,
        #[source]
        source: SourceRefusal,
    },
    /// The source cannot check anybody now: it cannot be reached, is busy, or refuses menshen itself.
    #[error("the source cannot be asked now")]
    Unavailable(#[source] Box<dyn Error + Send + Sync>),
    /// The source is overloaded or limits the rate of requests.
    #[error("the source is busy or limits the rate of requests")]
    Busy(#[source] SourceRefusal),
    /// The source did not respond, or its response is not in the expected format.
    #[error("the source sent no usable response")]
    NoUsableResponse(#[source] outbound::OutboundError),
    /// The source is not known well enough to begin or finish a login: its metadata could not be loaded.
    #[error("the metadata of the source is not available")]
    MetadataUnavailable(#[source] Box<dyn Error + Send + Sync>),
    /// The metadata or the keys of the source's issuer could not be loaded.
    #[error("the metadata or keys of the source cannot be loaded")]
    Issuer(#[source] IssuerError),
}

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

impl std::fmt::Display for RefusalReason {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Declined => "declined",
            Self::WrongPassword => "wrong user name or password",
            Self::PasswordExpired => "the password has expired or must be changed",
            Self::NotMember => "not a member",
            Self::Inactive => "inactive",
            Self::NotVisibleToApp => "not visible to the application",
            Self::InsufficientAuth => {
                "the authentication is weaker or older than the route demands"
            }
            Self::InteractionRequired => "the source must show a page",
        })
    }
}

/// The error that a source returned, or the fault that menshen found in its response. Holds no code,
/// token or secret.
#[derive(Clone, Debug, thiserror::Error)]
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
}

impl std::fmt::Display for SourceRefusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self {
            call,
            code,
            message,
        } = self;
        match code {
            0 => write!(f, "{call}: {message}"),
            code => write!(f, "{call} answered {code}: {message}"),
        }
    }
}
