//! What goes between the house and a connector: what a login asks for, what the browser must do, and
//! what comes back.

use std::borrow::Cow;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use url::Url;

use crate::client::Client;
use crate::clock::Timestamp;
use crate::login::fields::Fields;
use crate::people::profile::Profile;

/// What a login is asked to prove, and what may help the source; by OpenID Connect Core §3.1.2.1.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AuthnRequest {
    /// Authentication contexts that would do, the best first.
    pub acr_values: Vec<String>,
    /// How long ago the person may have proved themselves to the source at most.
    pub max_age: Option<Duration>,
    /// Whether the source must, or must not, show anything.
    pub prompt: Option<Prompt>,
    /// Whom it probably is.
    pub login_hint: Option<String>,
    /// In which of the source's domains they probably are.
    pub domain_hint: Option<String>,
}

/// What a source must show during a login.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Prompt {
    /// Nothing: who is not signed in there comes back refused.
    None,
    /// The login, also to somebody who is signed in there.
    Login,
    /// Consent.
    Consent,
    /// The choice between accounts.
    SelectAccount,
}

impl Prompt {
    /// As it stands in a request.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Login => "login",
            Self::Consent => "consent",
            Self::SelectAccount => "select_account",
        }
    }
}

/// What the browser must do next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Challenge {
    /// Go there.
    Redirect(Url),
    /// Post these fields there, as the HTTP-POST binding of SAML does.
    Post {
        /// The source's address.
        to: Url,
        /// What the form holds.
        fields: Fields,
    },
    /// Fill in our form for a user name and a password. Only where [`LoginMethod::PasswordForm`] says so.
    PasswordForm,
}

/// How the proof of who somebody is comes to us, once a login began.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LoginMethod {
    /// The source sends the browser to the callback address.
    Callback(Callback),
    /// The person types a user name and a password into a form of ours: [`PasswordCredentials`].
    ///
    /// [`PasswordCredentials`]: crate::login::credentials::PasswordCredentials
    PasswordForm,
    /// Not at all: no login begins here, people only redeem_entry_token at the [`EntryPoint`].
    EntryOnly,
}

impl Default for LoginMethod {
    fn default() -> Self {
        Self::Callback(Callback::default())
    }
}

/// What a request to the callback address looks like.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Callback {
    /// The parameter in which the source returns the name of the login: `state` in OAuth 2,
    /// `RelayState` in SAML.
    pub flow_parameter: Cow<'static, str>,
    /// Whether the parameters stand in the query or in a form.
    pub method: CallbackMethod,
    /// The largest form that is read, in bytes.
    pub form_bytes_max: usize,
}

impl Default for Callback {
    fn default() -> Self {
        Self {
            flow_parameter: Cow::Borrowed("state"),
            method: CallbackMethod::Get,
            form_bytes_max: 16 * 1024,
        }
    }
}

/// How a source sends the browser to the callback address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CallbackMethod {
    /// By a redirect.
    Get,
    /// By a form that its page posts. The cookie of the login is then one for other sites, too.
    Post,
    /// By a form, and by a redirect where something went wrong.
    GetOrPost,
}

impl CallbackMethod {
    /// Whether a redirect counts.
    pub fn accepts_get(self) -> bool {
        matches!(self, Self::Get | Self::GetOrPost)
    }

    /// Whether a form counts.
    pub fn accepts_post(self) -> bool {
        matches!(self, Self::Post | Self::GetOrPost)
    }
}

/// What came back.
#[derive(Clone, Debug)]
pub struct AuthnResponse {
    /// Query or form, parsed once.
    pub fields: Fields,
    /// Who is counted for it; absent: a proxy that names nobody.
    pub client: Option<Client>,
    /// Where an own front end got the code, as it says: one of [`Features::code_kinds`]. Absent for a
    /// plain code, and at a callback.
    ///
    /// [`Features::code_kinds`]: super::Features::code_kinds
    pub kind: Option<String>,
}

/// How people redeem_entry_token with a ticket that nobody here asked the source for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EntryPoint {
    /// The parameter that holds the ticket.
    pub parameter: Cow<'static, str>,
    /// The origins whose pages may send people here; empty: any.
    pub origins: Vec<Url>,
}

/// Whom a ticket names that nobody here asked for. What the source handed out besides, as tokens, is
/// not kept.
#[derive(Clone, Debug)]
pub struct UnsolicitedProfile {
    /// What the source says of the person whom the ticket names.
    pub profile: Profile,
    /// The ticket's own name, by which it counts once; absent: the ticket itself.
    pub token_id: Option<String>,
    /// From when on the ticket is too old to count, whoever brings it.
    pub token_expires_at: Timestamp,
}
