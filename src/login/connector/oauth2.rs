//! Login by OAuth 2 for providers without ID tokens: the authorization code is redeemed for an access
//! token, and the profile is fetched with it.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use tokio::time::timeout;
use url::Url;

use super::grant::{self, OAuthClient, TokenEndpoint, TokenEndpointDialect, TokenResponse};
use super::reachability::Reachability;
use super::{
    AuthnRequest, AuthnResponse, Challenge, Connector, ConnectorBuildError, ConnectorDeps,
    ConnectorError, Delivery, Finding, ProviderLogout,
};
use crate::clock::Clock;
use crate::login::pending::Pending;
use crate::outbound::{Outbound, OutboundError};
use crate::people::profile::{AuthContext, Profile};
use crate::people::provider_tokens::{ProviderTokens, TokenRefresh};
use crate::secret::Secret;
use crate::telemetry::error_chain;
use crate::wording::Text;

mod config;
mod examine;
mod kind;
mod presets;
mod profile;
mod refresh;
mod settings;

pub use config::{Config, ProfileAuth};
pub(super) use kind::NAME as KIND_NAME;
pub use presets::Preset;
use profile::FetchedProfile;
use settings::ProviderSettings;

/// The time limit of all requests of one login together.
const LOGIN_TIMEOUT: Duration = Duration::from_secs(25);

/// The return parameter of OpenID Connect RP-Initiated Logout 1.0, which also defines `state`.
const OIDC_RETURN_PARAM: &str = "post_logout_redirect_uri";

/// The OAuth 2 client of one provider.
#[derive(Debug)]
pub struct OAuth2 {
    settings: ProviderSettings,
    client: OAuthClient,
    callback: Url,
    outbound: Outbound,
    clock: Clock,
    /// The reachability of the token endpoint. Only browsers request the login page.
    reachability: Reachability,
}

impl OAuth2 {
    /// Builds the connector. Reads the secret or key; sends no request.
    pub fn build(config: &Config, deps: ConnectorDeps) -> Result<Self, ConnectorBuildError> {
        let settings = ProviderSettings::of(config)
            .map_err(|error| ConnectorBuildError::Setting(Text::of(&error_chain(&error))))?;
        let ConnectorDeps {
            callback,
            outbound,
            clock,
            ..
        } = deps;
        Ok(Self {
            reachability: Reachability::at(&settings.token_url, outbound.clone(), clock.clone()),
            settings,
            client: OAuthClient::build(config.client(), clock.clone())?,
            callback,
            outbound,
            clock,
        })
    }

    /// The logout page of the provider with the URL to return to. `state` is added if the page uses the
    /// parameter of OpenID Connect.
    fn logout_page(&self, return_url: &Url, state: &str) -> Option<Url> {
        let (page, parameter) = self.settings.logout.as_ref()?;
        let mut page = page.clone();
        if let Some(parameter) = parameter {
            page.query_pairs_mut()
                .append_pair(parameter, return_url.as_str());
            if parameter == OIDC_RETURN_PARAM && !state.is_empty() {
                page.query_pairs_mut().append_pair("state", state);
            }
        }
        Some(page)
    }

    /// Records in [`Reachability`] if the token endpoint did not respond.
    fn record_error(&self, error: &ConnectorError) {
        if error.is_no_response() {
            self.reachability.record_failure();
        }
    }

    fn token_endpoint(&self) -> TokenEndpoint<'_> {
        TokenEndpoint {
            outbound: &self.outbound,
            url: &self.settings.token_url,
            callback: &self.callback,
            dialect: TokenEndpointDialect {
                token_type_optional: true,
                tokens_pointer: self.settings.token_at.as_deref(),
                omits_redirect_uri: !self.settings.send_redirect_uri,
            },
        }
    }

    /// Redeems the code and fetches the profile.
    async fn fetch_profile(
        &self,
        pending: &Pending,
        response: &AuthnResponse,
    ) -> Result<(FetchedProfile, TokenResponse), ConnectorError> {
        let code = grant::authorization_code(&response.fields, &self.callback)?;
        let verifier = self.settings.pkce.then_some(pending.verifier.as_str());
        let granted = self
            .client
            .redeem(self.token_endpoint(), code, verifier)
            .await
            .inspect_err(|error| self.record_error(error))?;
        self.reachability.record_success();
        let fetched = profile::fetch(&self.outbound, &self.settings, &granted.access).await?;
        Ok((fetched, granted))
    }

    /// The new tokens, and the old ones that were not replaced.
    fn tokens(&self, granted: TokenResponse, old: ProviderTokens) -> ProviderTokens {
        let now = self.clock.now();
        ProviderTokens {
            access: Some(granted.access),
            access_expires_at: granted.expires_in.map(|lifetime| now.plus(lifetime)),
            refresh: granted.refresh.or(old.refresh),
            id: granted.id_token.or(old.id),
        }
    }

    /// The URL of the authorization request (RFC 6749 §4.1.1). Configured parameters cannot replace
    /// those that bind the response to this login.
    fn authorize_url(&self, pending: &Pending, request: &AuthnRequest) -> Url {
        let settings = &self.settings;
        let challenge = settings
            .pkce
            .then(|| grant::pkce_challenge(&pending.verifier));
        let return_url = settings
            .return_param
            .as_ref()
            .map(|name| (name, pending.return_to.absolute(&self.callback)));
        let mut own_params = vec![("response_type", "code"), ("client_id", self.client.id())];
        if settings.send_redirect_uri {
            own_params.push(("redirect_uri", self.callback.as_str()));
        }
        own_params.extend(settings.scope.as_deref().map(|scope| ("scope", scope)));
        own_params.push(("state", pending.flow.as_str()));
        if let Some(challenge) = &challenge {
            own_params.push(("code_challenge", challenge));
            own_params.push(("code_challenge_method", "S256"));
        }
        own_params.extend(self.optional_params(request));
        if let Some((name, url)) = &return_url {
            own_params.push((name, url));
        }
        let configured_params: Vec<_> = settings
            .params
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
            .collect();
        grant::authorize_url(&settings.authorize_url, &own_params, &configured_params)
    }

    /// The optional parameters that the provider supports.
    fn optional_params<'a>(&'a self, request: &'a AuthnRequest) -> Vec<(&'static str, &'a str)> {
        let defaults = self.settings.defaults;
        let mut optional = Vec::new();
        if let (Some(name), Some(hint)) = (defaults.login_hint, &request.login_hint) {
            optional.push((name, hint.as_str()));
        }
        if let (Some(name), Some(hint)) = (defaults.domain_hint, &request.domain_hint) {
            optional.push((name, hint.as_str()));
        }
        if let Some(prompt) = request.prompt.filter(|_| defaults.supports_prompt) {
            optional.push(("prompt", prompt.as_str()));
        }
        optional
    }
}

#[async_trait]
impl Connector for OAuth2 {
    async fn begin(
        &self,
        pending: &Pending,
        request: &AuthnRequest,
    ) -> Result<Challenge, ConnectorError> {
        let reachable = self.reachability.check().await;
        reachable.map_err(ConnectorError::NoUsableResponse)?;
        Ok(Challenge::Redirect(self.authorize_url(pending, request)))
    }

    async fn redeem_response(
        &self,
        pending: &Pending,
        response: &AuthnResponse,
    ) -> Result<Profile, ConnectorError> {
        let result = timeout(LOGIN_TIMEOUT, self.fetch_profile(pending, response)).await;
        let (fetched, granted) = result.unwrap_or_else(|_| {
            Err(ConnectorError::NoUsableResponse(OutboundError::Timeout {
                call: "the whole login",
            }))
        })?;
        Ok(Profile {
            subject: fetched.subject,
            raw: fetched.raw,
            verified_fields: fetched.verified_fields,
            provider_sid: None,
            auth_context: AuthContext::default(),
            tokens: Some(self.tokens(granted, ProviderTokens::default())),
            response_id: None,
            local_revision: None,
        })
    }

    fn token_refresh(self: Arc<Self>) -> Option<Arc<dyn TokenRefresh>> {
        Some(self)
    }

    fn logout(&self) -> Option<&dyn ProviderLogout> {
        Some(self)
    }

    async fn examine(&self) -> Vec<Finding> {
        examine::examine(self).await
    }
}

#[async_trait]
impl ProviderLogout for OAuth2 {
    fn page(&self) -> Option<Url> {
        self.settings.logout.as_ref().map(|(page, _)| page.clone())
    }

    async fn end_session(
        &self,
        _id_token: Option<&Secret<String>>,
        return_url: &Url,
        state: &str,
    ) -> Option<Delivery> {
        // A browser is not redirected to a provider that does not respond.
        let is_down = self.reachability.is_down();
        let page = self.logout_page(return_url, state);
        page.filter(|_| !is_down).map(Delivery::Redirect)
    }
}

#[cfg(test)]
mod tests;
