//! `Oidc`: login by OpenID Connect.
//!
//! The authorization code flow, always with PKCE (S256) and a nonce. The first request to the provider
//! is made by the first login, so that menshen starts and serves while the provider is down.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use serde_json::{Map, Value};
use tokio::time::timeout;
use url::Url;

use super::grant::{
    self, OAuthClient, TokenEndpoint, TokenEndpointDialect, TokenResponse, invalid_response,
};
use super::reachability::SUCCESS_TTL;
use super::{
    AuthnRequest, AuthnResponse, Challenge, Connector, ConnectorBuildError, ConnectorDeps,
    ConnectorError, Finding, ProviderLogout,
};
use crate::clock::Clock;
use crate::issuer::{self, Issuer, Metadata};
use crate::login::pending::Pending;
use crate::outbound::{Outbound, OutboundError, PROBE_TIMEOUT};
use crate::people::profile::Profile;
use crate::people::provider_tokens::{ProviderTokens, TokenRefresh};
use crate::people::token_sessions::TokenReader;
use crate::store::{ConnectorId, Subject};
use crate::text;

mod authorization;
mod bearer;
mod config;
mod errors;
mod examine;
mod id_token;
mod kind;
mod logout;
mod refresh;
mod userinfo;

pub use config::{Config, ResponseMode};
use id_token::{ExpectedIdToken, IdToken, IdTokenError, IdTokenOrigin};
pub(super) use kind::NAME as KIND_NAME;

/// The time limit of all requests of one login together.
const LOGIN_TIMEOUT: Duration = Duration::from_secs(25);

/// The default mapping of a profile.
const MAPPING: &[(&str, &str)] = &[
    (
        "login",
        "has(profile.preferred_username) && profile.preferred_username != '' ? \
         profile.preferred_username : \
         has(profile.email) && profile.email != '' ? profile.email : profile.sub",
    ),
    ("name", "profile.name"),
    ("email", "profile.email"),
    ("mobile", "profile.phone_number"),
    ("groups", "profile.groups"),
];

/// A client of one issuer.
#[derive(Debug)]
pub struct Oidc {
    id: ConnectorId,
    config: Config,
    scope: String,
    client: OAuthClient,
    issuer: Issuer,
    callback: Url,
    /// The base URL of menshen's own pages.
    own_pages_url: Url,
    outbound: Outbound,
    clock: Clock,
    /// Whether the last request to the issuer got no response.
    is_unresponsive: AtomicBool,
}

impl Oidc {
    /// Builds the connector. Reads the secret or key; sends no request.
    pub fn build(config: &Config, deps: ConnectorDeps) -> Result<Self, ConnectorBuildError> {
        if let Some((key, why)) = config.setting_problems().into_iter().next() {
            return Err(ConnectorBuildError::Setting(text!(
                "{key}: {why}",
                "{key}：{why:#}"
            )));
        }
        let ConnectorDeps {
            id,
            callback,
            own_pages_url,
            outbound,
            clock,
            ..
        } = deps;
        let settings = issuer::IssuerSettings {
            name: config.issuer.clone(),
            tenants: config.tenants.clone(),
            metadata_url: config.metadata_url.clone(),
            keys_url: config.jwks_url.clone(),
            algorithms: config.algorithms(),
        };
        Ok(Self {
            id,
            scope: config.scopes.join(" "),
            client: OAuthClient::build(config.client(), clock.clone())?,
            issuer: Issuer::new(settings, outbound.clone(), clock.clone()),
            config: config.clone(),
            callback,
            own_pages_url,
            outbound,
            clock,
            is_unresponsive: AtomicBool::new(false),
        })
    }

    /// Records if the issuer did not respond. Until it responds, a logout does not redirect to it.
    fn record_error(&self, error: &ConnectorError) {
        if error.is_no_response() {
            self.is_unresponsive.store(true, Ordering::Relaxed);
        }
    }

    fn record_success(&self) {
        self.is_unresponsive.store(false, Ordering::Relaxed);
    }

    async fn metadata(&self) -> Result<Arc<Metadata>, ConnectorError> {
        let metadata = self.issuer.metadata().await.map_err(errors::from_issuer);
        metadata.inspect_err(|error| self.record_error(error))
    }

    /// The metadata for a login that begins. It is fetched again if it is not fresh, so that no browser
    /// is redirected to a provider that does not respond. A provider that accepts the connection but
    /// is slow, or sends an unusable response, is still used with the cached metadata.
    async fn metadata_for_login(&self) -> Result<Arc<Metadata>, ConnectorError> {
        let request = self.issuer.metadata_newer_than(SUCCESS_TTL);
        let result = timeout(PROBE_TIMEOUT, request).await;
        match (result, self.issuer.cached_metadata()) {
            (Ok(Ok(metadata)), _) => Ok(metadata),
            (Ok(Err(error)), Some(cached)) if !error.is_no_response() || error.is_timeout() => {
                Ok(cached)
            }
            (Err(_), Some(cached)) => Ok(cached),
            (Ok(Err(error)), _) => {
                let error = errors::from_issuer(error);
                self.record_error(&error);
                Err(error)
            }
            (Err(_), None) => self.metadata().await,
        }
    }

    fn token_endpoint<'a>(
        &'a self,
        metadata: &'a Metadata,
    ) -> Result<TokenEndpoint<'a>, ConnectorError> {
        let url = metadata.token_endpoint.as_ref();
        Ok(TokenEndpoint {
            outbound: &self.outbound,
            url: url.ok_or_else(|| errors::missing_endpoint("token_endpoint"))?,
            callback: &self.callback,
            dialect: TokenEndpointDialect::default(),
        })
    }

    /// The client with an authentication method that the provider supports.
    fn client_for(&self, metadata: &Metadata) -> OAuthClient {
        self.client
            .with_supported_methods(&metadata.token_endpoint_auth_methods)
    }

    /// The userinfo endpoint, if the provider has one and the configuration uses it.
    fn userinfo_endpoint<'a>(&self, metadata: &'a Metadata) -> Option<&'a Url> {
        let endpoint = metadata.userinfo_endpoint.as_ref();
        endpoint.filter(|_| self.config.userinfo)
    }

    async fn fetch_profile(
        &self,
        pending: &Pending,
        response: &AuthnResponse,
    ) -> Result<Profile, ConnectorError> {
        let metadata = self.metadata().await?;
        self.check_response(&metadata, pending, &response.fields)?;
        let code = grant::authorization_code(&response.fields, &self.callback)?;
        let granted = self
            .client_for(&metadata)
            .redeem(
                self.token_endpoint(&metadata)?,
                code,
                Some(&pending.verifier),
            )
            .await?;
        self.record_success();
        let token = granted.id_token.as_ref();
        let token = token.ok_or_else(|| IdTokenError::Missing.into_login_error())?;
        let expected = ExpectedIdToken {
            client_id: &self.config.client_id,
            access_token: &granted.access,
            origin: IdTokenOrigin::Login(pending, code),
        };
        let verified = id_token::verify(&self.issuer, &self.clock, token, expected).await;
        let id_token = verified.map_err(IdTokenError::into_login_error)?;
        if let Ok(Some(iss)) = response.fields.one("iss")
            && id_token.claims.text("iss") != Ok(iss)
        {
            return Err(invalid_response(
                "its iss names another tenant than the ID token",
            ));
        }
        let userinfo = match self.userinfo_endpoint(&metadata) {
            None => None,
            Some(url) => {
                let sub = self.provider_sub(&id_token.subject);
                let userinfo = userinfo::fetch(&self.outbound, url, &granted.access, sub).await;
                Some(userinfo.map_err(userinfo::UserinfoError::into_login_error)?)
            }
        };
        Ok(self.profile(id_token, userinfo, granted))
    }

    /// `sub` as the provider sends it: the subject without the tenant.
    fn provider_sub<'a>(&self, subject: &'a Subject) -> &'a str {
        let subject = subject.as_str();
        match subject.split_once(':') {
            Some((_, sub)) if self.issuer.name().serves_tenants() => sub,
            _ => subject,
        }
    }

    /// The profile that the mapping reads.
    fn raw_profile(
        &self,
        subject: &Subject,
        claims: Map<String, Value>,
        userinfo: Option<Map<String, Value>>,
    ) -> Map<String, Value> {
        let raw = userinfo::merge_claims(claims, userinfo);
        if userinfo::has_distributed_groups(&raw) {
            tracing::warn!(
                connector = %self.id,
                %subject,
                "the provider sends no groups because the person has too many for a token: let it \
                 send only the groups of this application, or roles instead of groups"
            );
        }
        raw
    }

    fn profile(
        &self,
        id_token: IdToken,
        userinfo: Option<Map<String, Value>>,
        granted: TokenResponse,
    ) -> Profile {
        let raw = self.raw_profile(&id_token.subject, id_token.claims.into_map(), userinfo);
        Profile {
            subject: id_token.subject,
            verified_fields: userinfo::verified_emails(&raw),
            raw: Value::Object(raw),
            provider_sid: id_token.provider_sid,
            auth_context: id_token.auth_context,
            tokens: Some(self.tokens(granted)),
            response_id: None,
            local_revision: None,
        }
    }

    fn tokens(&self, granted: TokenResponse) -> ProviderTokens {
        let now = self.clock.now();
        ProviderTokens {
            access: Some(granted.access),
            access_expires_at: granted.expires_in.map(|lifetime| now.plus(lifetime)),
            refresh: granted.refresh,
            id: granted.id_token,
        }
    }
}

#[async_trait]
impl Connector for Oidc {
    async fn begin(
        &self,
        pending: &Pending,
        request: &AuthnRequest,
    ) -> Result<Challenge, ConnectorError> {
        let metadata = self.metadata_for_login().await?;
        let endpoint = metadata.authorization_endpoint.as_ref();
        let endpoint =
            endpoint.ok_or_else(|| errors::missing_endpoint("authorization_endpoint"))?;
        Ok(Challenge::Redirect(
            self.authorize_url(endpoint, pending, request),
        ))
    }

    async fn redeem_response(
        &self,
        pending: &Pending,
        response: &AuthnResponse,
    ) -> Result<Profile, ConnectorError> {
        let result = timeout(LOGIN_TIMEOUT, self.fetch_profile(pending, response)).await;
        let result = result.unwrap_or_else(|_| {
            Err(ConnectorError::NoUsableResponse(OutboundError::Timeout {
                call: "the whole login",
            }))
        });
        result.inspect_err(|error| self.record_error(error))
    }

    fn token_refresh(self: Arc<Self>) -> Option<Arc<dyn TokenRefresh>> {
        Some(self)
    }

    fn token_reader(self: Arc<Self>) -> Option<Arc<dyn TokenReader>> {
        Some(self)
    }

    fn logout(&self) -> Option<&dyn ProviderLogout> {
        Some(self)
    }

    async fn examine(&self) -> Vec<Finding> {
        examine::examine(self).await
    }
}

#[cfg(test)]
mod tests;
