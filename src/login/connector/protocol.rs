//! `Connector`: the login protocol with one source.

use std::fmt::Debug;
use std::sync::Arc;

use async_trait::async_trait;
use serde_json::{Map, Value};

use super::{
    AppPageScripts, AuthnRequest, AuthnResponse, Challenge, ConnectorError, EventReceiver, Finding,
    KeptState, ListedPeople, ProviderLogout, SharedAppToken, SourceDirectory, SourceRefusal,
    UnsolicitedProfile, brought,
};
use crate::login::limits::PasswordAttempt;
use crate::login::pending::Pending;
use crate::people::local_people::LocalPeople;
use crate::people::person_lookup::PersonLookup;
use crate::people::profile::Profile;
use crate::people::provider_tokens::TokenRefresh;
use crate::people::token_sessions::TokenReader;

/// The login protocol with one source.
///
/// A connector never sees a cookie, mints a session, chooses a return address or writes a response.
/// Its futures may be dropped at any await; a code that was being redeemed is then lost, and the person
/// has to log in again.
#[async_trait]
pub trait Connector: Debug + Send + Sync {
    /// Begins a login: returns the next step of the browser. Demands that the protocol cannot express are
    /// ignored, because the route checks the resulting session.
    async fn begin(
        &self,
        pending: &Pending,
        request: &AuthnRequest,
    ) -> Result<Challenge, ConnectorError>;

    /// Redeems and verifies the authentication response, and returns the profile. The caller has verified
    /// that this browser began the login.
    async fn redeem_response(
        &self,
        pending: &Pending,
        response: &AuthnResponse,
    ) -> Result<Profile, ConnectorError>;

    /// Verifies the user name and the password of a form. Only for kinds with
    /// [`LoginMethod::PasswordForm`](super::LoginMethod::PasswordForm). If the source takes several names for
    /// the same person, call [`PasswordAttempt::count_for`] before the password is sent.
    async fn redeem_password(
        &self,
        pending: &Pending,
        response: &AuthnResponse,
        _attempt: &mut PasswordAttempt,
    ) -> Result<Profile, ConnectorError> {
        self.redeem_response(pending, response).await
    }

    /// Redeems an entry token of a login that the source started, or a ticket that a program presents. Only
    /// for kinds with [`Features::entry_point`](super::Features::entry_point) or
    /// [`Callback::program_ticket`](super::Callback::program_ticket). The caller accepts `token` once, so no other parameter of the response may say who the person is.
    async fn redeem_entry_token(
        &self,
        _token: &str,
        _response: &AuthnResponse,
    ) -> Result<UnsolicitedProfile, ConnectorError> {
        Err(ConnectorError::InvalidResponse(SourceRefusal::fault(
            brought::ENTRY,
            "this kind of connector has no entry point",
        )))
    }

    /// What a custom front end or a mobile app needs to run this login itself: members of the JSON
    /// response of `/login-config`.
    fn app_login(&self, _pending: &Pending) -> Option<Map<String, Value>> {
        None
    }

    /// The scripts of [`Challenge::AppPage`].
    fn app_page_scripts(&self) -> Option<AppPageScripts<'_>> {
        None
    }

    /// Refreshes the tokens of a session, if the protocol supports it.
    fn token_refresh(self: Arc<Self>) -> Option<Arc<dyn TokenRefresh>> {
        None
    }

    /// Looks up people who are signed in, if the source allows it without their tokens.
    fn person_lookup(self: Arc<Self>) -> Option<Arc<dyn PersonLookup>> {
        None
    }

    /// Everybody who may sign in, if the connector has a list of them. Sessions of all others end.
    fn listed_people(&self) -> Option<Arc<ListedPeople>> {
        None
    }

    /// The people whose passwords the store keeps, if they are kept there.
    fn local_people(&self) -> Option<&LocalPeople> {
        None
    }

    /// The directory of the source, if it can be read without its people.
    fn source_directory(self: Arc<Self>) -> Option<Arc<dyn SourceDirectory>> {
        None
    }

    /// The reader of the events that the source sends, if the settings ask for them.
    fn events(&self) -> Option<&dyn EventReceiver> {
        None
    }

    /// Reads the person from an access token of the source that is sent as a bearer token, if the source
    /// signs its access tokens.
    fn token_reader(self: Arc<Self>) -> Option<Arc<dyn TokenReader>> {
        None
    }

    /// The logout features of the source, if it has any.
    fn logout(&self) -> Option<&dyn ProviderLogout> {
        None
    }

    /// The description of menshen for the source: SAML metadata.
    fn own_metadata(&self) -> Option<String> {
        None
    }

    /// The access token of the application, for other programs of its owner. Only for kinds with
    /// [`Features::shares_app_token`](super::Features::shares_app_token).
    fn shared_app_token(&self) -> Option<&dyn SharedAppToken> {
        None
    }

    /// The state that the connector which replaces this one takes over, when the configuration is reloaded.
    fn kept_state(&self) -> Option<KeptState> {
        None
    }

    /// Checks the settings against the source, for `check --online`.
    async fn examine(&self) -> Vec<Finding>;
}
