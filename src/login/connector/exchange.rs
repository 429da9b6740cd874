//! The data that a login exchanges with a connector: the authentication request, the next step of the
//! browser, and the authentication response.

use std::borrow::Cow;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use url::Url;

use crate::client::Client;
use crate::clock::Timestamp;
use crate::login::fields::Fields;
use crate::people::profile::Profile;
use crate::store::SessionOrigin;

/// The demands and hints of a login (OpenID Connect Core §3.1.2.1).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AuthnRequest {
    /// The acceptable authentication contexts, the preferred one first.
    pub acr_values: Vec<String>,
    /// The longest time since the person last authenticated at the source.
    pub max_age: Option<Duration>,
    /// Which page the source must show, or that it must show none.
    pub prompt: Option<Prompt>,
    /// The login name or e-mail address that the person probably uses.
    pub login_hint: Option<String>,
    /// The domain or tenant of the source that the person probably belongs to.
    pub domain_hint: Option<String>,
}

/// The page that a source must show during a login.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Prompt {
    /// No page: the source refuses the login if nobody is signed in there.
    None,
    /// The login page, even if the person is signed in there.
    Login,
    /// The consent page.
    Consent,
    /// The account chooser.
    SelectAccount,
}

impl Prompt {
    /// The value of the request parameter.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Login => "login",
            Self::Consent => "consent",
            Self::SelectAccount => "select_account",
        }
    }
}

/// The next step of the browser.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Challenge {
    /// Follow a redirect to this URL.
    Redirect(Url),
    /// Post a form, as the HTTP-POST binding of SAML does.
    Post { to: Url, fields: Fields },
    /// Show menshen's form for a user name and a password. Only with [`LoginMethod::PasswordForm`].
    PasswordForm,
    /// Show a page of menshen in the source's own app, whose scripts ask the app for a code and bring it to
    /// `/login/{connector}`. Only for kinds with [`Connector::app_page_scripts`].
    ///
    /// [`Connector::app_page_scripts`]: super::Connector::app_page_scripts
    AppPage(AppPage),
}

/// A page of menshen in the source's own app.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AppPage {
    /// The URL of the script with which pages talk to the source's app; absent: menshen serves it.
    pub client_script: Option<Url>,
    /// Values for the page's own script: names of `data-` attributes without that prefix.
    pub data: Vec<(&'static str, String)>,
    /// The source's login page for other browsers, for a person whose app gives no code.
    pub web_url: Url,
}

/// The scripts of an [`AppPage`] that menshen serves.
#[derive(Clone, Copy, Debug)]
pub struct AppPageScripts<'a> {
    /// The script that asks the app.
    pub own: &'static str,
    /// The script of the source; absent: it is at [`AppPage::client_script`].
    pub client_script: Option<&'a str>,
}

/// How the browser carries a message to a source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Delivery {
    /// In the URL of a redirect.
    Redirect(Url),
    /// In a form that a page of menshen posts.
    Post { to: Url, fields: Fields },
}

impl From<Delivery> for Challenge {
    fn from(delivery: Delivery) -> Self {
        match delivery {
            Delivery::Redirect(url) => Self::Redirect(url),
            Delivery::Post { to, fields } => Self::Post { to, fields },
        }
    }
}

/// How a person proves who they are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LoginMethod {
    /// The source sends the browser to the callback URL.
    Callback(Callback),
    /// The person enters a user name and a password in menshen's form: [`PasswordCredentials`].
    ///
    /// [`PasswordCredentials`]: super::credentials::PasswordCredentials
    PasswordForm,
    /// Only the source starts logins: it sends people to the [`EntryPoint`].
    EntryOnly,
}

impl Default for LoginMethod {
    fn default() -> Self {
        Self::Callback(Callback::default())
    }
}

/// The format of requests to the callback URL.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Callback {
    /// The parameter that returns the flow ID: `state` in OAuth 2, `RelayState` in SAML.
    pub flow_parameter: Cow<'static, str>,
    /// Whether the parameters are in the query or in a form.
    pub method: CallbackMethod,
    /// The largest accepted form, in bytes.
    pub form_bytes_max: usize,
    /// The parameter in which a program presents a ticket of a person without a pending login, if the
    /// protocol has such tickets. [`Connector::redeem_entry_token`] redeems it.
    ///
    /// [`Connector::redeem_entry_token`]: super::Connector::redeem_entry_token
    pub program_ticket: Option<&'static str>,
    /// The messages that the source itself posts to the callback URL when it ends a session.
    pub logout_message: Option<LogoutMessageForm>,
    /// The parameter that holds the response, if the source can also post one without a pending login. It
    /// is accepted only with an [`EntryPoint`] at [`EntryPlace::Callback`].
    pub response_parameter: Option<&'static str>,
}

/// The form of a logout message that a source posts to the callback URL.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogoutMessageForm {
    /// The field that holds the message.
    pub field: &'static str,
    /// The largest accepted form, in bytes.
    pub bytes_max: usize,
}

impl Default for Callback {
    fn default() -> Self {
        Self {
            flow_parameter: Cow::Borrowed("state"),
            method: CallbackMethod::Get,
            form_bytes_max: 16 * 1024,
            program_ticket: None,
            logout_message: None,
            response_parameter: None,
        }
    }
}

/// How a source sends the browser to the callback URL.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CallbackMethod {
    /// With a redirect.
    Get,
    /// With a form that its page posts. The flow cookie must then be `SameSite=None`.
    Post,
    /// With a form, and with a redirect in case of an error.
    GetOrPost,
}

impl CallbackMethod {
    pub fn accepts_get(self) -> bool {
        matches!(self, Self::Get | Self::GetOrPost)
    }

    pub fn accepts_post(self) -> bool {
        matches!(self, Self::Post | Self::GetOrPost)
    }
}

/// The authentication response that a browser or an app sends to menshen.
#[derive(Clone, Debug)]
pub struct AuthnResponse {
    /// The parameters of the query or the form.
    pub fields: Fields,
    /// The client whose rate limits apply; absent: a trusted proxy did not name the client.
    pub client: Option<Client>,
    /// From where the person sends the response, for the list of sessions.
    pub origin: SessionOrigin,
    /// The kind of code that a custom front end sends: `code`, or one of [`Features::code_kinds`]. Absent at
    /// a callback.
    ///
    /// [`Features::code_kinds`]: super::Features::code_kinds
    pub kind: Option<String>,
}

/// The URL to which a source sends people who did not start a login at menshen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EntryPoint {
    /// The parameter that holds the entry token.
    pub parameter: Cow<'static, str>,
    /// The origins whose pages may send people to the entry point; empty: any.
    pub origins: Vec<Url>,
    /// Whether the token is also accepted in the URL of an application.
    pub on_routes: bool,
    pub place: EntryPlace,
}

/// The URL of an entry point.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum EntryPlace {
    /// `/enter/{connector}`, with the return address in `rd`.
    #[default]
    Enter,
    /// The callback URL, to which the source posts a form with the token.
    Callback {
        /// The field with the return address.
        return_field: &'static str,
        /// The longest accepted token, in bytes.
        token_bytes_max: usize,
    },
}

/// The result of redeeming an entry token. Of the tokens of the source only [`ProviderTokens::id`] is kept.
///
/// [`ProviderTokens::id`]: crate::people::provider_tokens::ProviderTokens::id
#[derive(Clone, Debug)]
pub struct UnsolicitedProfile {
    pub profile: Profile,
    /// The ID by which the token is accepted once, which is that of [`Profile::response_id`] if the source
    /// also sends such tokens to the callback URL; absent: the token itself.
    pub token_id: Option<String>,
    /// When the token expires.
    pub token_expires_at: Timestamp,
}
