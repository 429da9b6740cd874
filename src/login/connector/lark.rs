//! `Lark`: login with Feishu (飞书), or Lark outside China.
//!
//! Lark follows OAuth 2 with PKCE, but its responses are JSON with a `code` that is 0 for a success, whatever
//! the HTTP status. People of other tenants can have an account at the same application, so the tenant of
//! everybody is compared with the tenant of this connector.

use std::sync::Arc;

use async_trait::async_trait;
use serde_json::{Map, Value};
use url::Url;

use super::kit::app_login::members;
use super::kit::invalid_values::require_valid;
use super::kit::time_limit::{WHOLE_LOGIN, within_limit};
use super::kit::web_url::below;
use super::reachability::Reachability;
use super::{
    AuthnRequest, AuthnResponse, Challenge, Connector, ConnectorBuildError, ConnectorDeps,
    ConnectorError, EventReceiver, Finding, Prompt, SourceDirectory, grant,
};
use crate::login::pending::Pending;
use crate::people::person_lookup::PersonLookup;
use crate::people::profile::Profile;

mod api;
mod app_login;
mod config;
mod departments;
mod directory;
mod errors;
mod events;
mod examine;
mod kind;
mod lookup;
mod own_tenant;
mod person;

use api::{Api, CodeGrant};
use app_login::AppLogin;
pub use config::{Brand, Config, EventsConfig};
use departments::{Departments, Listing};
use errors::{ApiError, ConsoleSettings};
use events::Events;
pub(super) use kind::NAME as KIND_NAME;
use own_tenant::OwnTenant;

/// The kind of a code that the SDK for mobile apps or the JSAPI of the client gave.
const SDK_CODE: &str = "sdk";

/// The field with the PKCE verifier that the SDK made.
const SDK_VERIFIER: &str = "code_verifier";

/// The longest accepted verifier of the SDK, in bytes (RFC 7636 §4.1).
const SDK_VERIFIER_BYTES_MAX: usize = 128;

/// The fields of a person whom `mapping` does not map otherwise.
const MAPPING: &[(&str, &str)] = &[
    (
        "login",
        "has(profile.user_id) && profile.user_id != '' ? profile.user_id : profile.open_id",
    ),
    ("name", "profile.name"),
    (
        "email",
        "has(profile.enterprise_email) && profile.enterprise_email != '' ? \
         profile.enterprise_email : profile.email",
    ),
    ("mobile", "profile.mobile"),
    ("departments", "profile.department_names"),
    ("department_paths", "profile.department_paths"),
    ("department_ids", "profile.department_ids"),
    ("department_id_paths", "profile.department_id_paths"),
    ("led_department_ids", "profile.led_department_ids"),
    (
        "departments_without_path",
        "profile.departments_without_path",
    ),
    ("tenant_code", "profile.tenant_key"),
    ("avatar", "profile.avatar_url"),
    ("employee_no", "profile.employee_no"),
    ("position", "profile.job_title"),
];

/// The connector for one application of one tenant.
#[derive(Debug)]
pub struct Lark {
    brand: Brand,
    scopes: Vec<String>,
    authorize_url: Url,
    callback: Url,
    events_url: Url,
    console: ConsoleSettings,
    api: Api,
    /// Whether status and departments of people are read.
    uses_contacts: bool,
    tenant: OwnTenant,
    /// Whether the settings name the tenant.
    has_tenant_setting: bool,
    departments: Departments,
    events: Option<Events>,
    /// The reachability of the token endpoint. Only browsers request the login page.
    reachability: Reachability,
}

impl Lark {
    /// Builds the connector. Reads the secrets; makes no network call.
    pub fn build(config: &Config, deps: ConnectorDeps) -> Result<Self, ConnectorBuildError> {
        require_valid(&config.invalid_values())?;
        let secret = config.app_secret.read();
        let secret = secret.map_err(ConnectorBuildError::Secret)?;
        let events = config.events.as_ref();
        let events = events.map(|events| Events::build(events, &config.app_id));
        let ConnectorDeps {
            id,
            callback,
            own_pages_url,
            outbound,
            clock,
            stored_departments,
            ..
        } = deps;
        let token_url = config.token_url();
        Ok(Self {
            brand: config.brand,
            scopes: config.scopes.clone(),
            authorize_url: config.authorize_url(),
            events_url: below(&own_pages_url, ["events", id.as_str()]),
            console: ConsoleSettings {
                callback: callback.clone(),
                brand: config.brand,
            },
            callback,
            reachability: Reachability::at(&token_url, outbound.clone(), clock.clone()),
            departments: Departments::new(
                "Lark",
                "contact/departments/children",
                clock.clone(),
                stored_departments,
            ),
            tenant: OwnTenant::new(config.tenant_key.as_deref(), clock.clone()),
            api: Api::new(
                outbound,
                config.api_base(),
                token_url,
                api::App {
                    id: config.app_id.clone(),
                    secret,
                },
                clock,
            ),
            uses_contacts: config.contacts,
            has_tenant_setting: config.tenant_key.is_some(),
            events: events.transpose()?,
        })
    }

    /// The tenant whose people count.
    async fn tenant_key(&self) -> Result<Arc<str>, ConnectorError> {
        let ask = || async { self.api.tenant().await.map(|tenant| tenant.key) };
        let tenant = self.tenant.get(ask).await;
        tenant.map_err(|error| self.connector_error(error))
    }

    /// The URL of the login page, which is the same inside the client and in other browsers.
    fn login_url(&self, pending: &Pending, prompt: Option<Prompt>) -> Url {
        let challenge = grant::pkce_challenge(&pending.verifier);
        let scope = self.scopes.join(" ");
        let mut params = vec![
            ("client_id", self.api.app_id()),
            ("redirect_uri", self.callback.as_str()),
            ("response_type", "code"),
            ("state", pending.flow.as_str()),
            ("code_challenge", &challenge),
            ("code_challenge_method", "S256"),
        ];
        if !scope.is_empty() {
            params.push(("scope", &scope));
        }
        // Lark has no other value.
        if prompt == Some(Prompt::Consent) {
            params.push(("prompt", Prompt::Consent.as_str()));
        }
        let mut url = grant::authorize_url(&self.authorize_url, &params, &[]);
        // Lark documents %20 between scopes. A plus sign of a value is %2B here.
        let query = url.query().map(|query| query.replace('+', "%20"));
        url.set_query(query.as_deref());
        url
    }

    /// Redeems the code and loads its person.
    async fn fetch_person(
        &self,
        pending: &Pending,
        response: &AuthnResponse,
    ) -> Result<Profile, ConnectorError> {
        let tenant = self.tenant_key().await?;
        let grant = self.code_grant(pending, response)?;
        let token = self.api.redeem(&grant).await;
        if matches!(&token, Err(ApiError::NoUsableResponse(error)) if error.is_no_response()) {
            self.reachability.record_failure();
        }
        let token = token.map_err(|error| self.connector_error(error))?;
        self.reachability.record_success();
        let info = self.api.user_info(&token).await;
        let info = info.map_err(|error| self.connector_error(error))?;
        let union_id = person::union_id_of(&info, &tenant)?;
        if !self.uses_contacts {
            return person::profile(&tenant, &union_id, info);
        }
        let found = self.active_person(&union_id).await?;
        self.profile_with_departments(&tenant, &union_id, found)
            .await
    }

    /// The person of the contact API, who must be active.
    async fn active_person(&self, union_id: &str) -> Result<api::Object, ConnectorError> {
        let found = self.api.user(union_id).await;
        let found = found.map_err(|error| self.connector_error(error))?;
        person::require_active(&found, union_id)?;
        Ok(found)
    }

    async fn profile_with_departments(
        &self,
        tenant: &str,
        union_id: &str,
        mut found: api::Object,
    ) -> Result<Profile, ConnectorError> {
        let ids = person::department_ids(&found);
        let load = || async { Listing::load(&self.api).await.map(|listing| listing.tree) };
        let tree = self.departments.tree_with(&ids, load).await;
        person::complete(&mut found, union_id, &tree);
        person::profile(tenant, union_id, found)
    }

    /// What the token endpoint needs. A code of the SDK has no redirect URI, and its verifier comes from the
    /// app, if the app uses one.
    fn code_grant<'a>(
        &'a self,
        pending: &'a Pending,
        response: &'a AuthnResponse,
    ) -> Result<CodeGrant<'a>, ConnectorError> {
        let code = grant::authorization_code(&response.fields, &self.callback)?;
        if response.kind.as_deref() != Some(SDK_CODE) {
            return Ok(CodeGrant {
                code,
                redirect_uri: Some(self.callback.as_str()),
                verifier: Some(&pending.verifier),
            });
        }
        let malformed = || grant::invalid_response("its code_verifier is malformed or repeated");
        let verifier = response.fields.one(SDK_VERIFIER).map_err(|_| malformed())?;
        let is_verifier = |text: &str| {
            (1..=SDK_VERIFIER_BYTES_MAX).contains(&text.len())
                && text.bytes().all(|byte| byte.is_ascii_graphic())
        };
        if verifier.is_some_and(|verifier| !is_verifier(verifier)) {
            return Err(malformed());
        }
        Ok(CodeGrant {
            code,
            redirect_uri: None,
            verifier,
        })
    }

    fn connector_error(&self, error: ApiError) -> ConnectorError {
        error.into_error(&self.console)
    }
}

#[async_trait]
impl Connector for Lark {
    async fn begin(
        &self,
        pending: &Pending,
        request: &AuthnRequest,
    ) -> Result<Challenge, ConnectorError> {
        let reachable = self.reachability.check().await;
        reachable.map_err(ConnectorError::NoUsableResponse)?;
        // Without it nobody could be let in at the end of the login.
        self.tenant_key().await?;
        Ok(Challenge::Redirect(self.login_url(pending, request.prompt)))
    }

    async fn redeem_response(
        &self,
        pending: &Pending,
        response: &AuthnResponse,
    ) -> Result<Profile, ConnectorError> {
        within_limit(WHOLE_LOGIN, self.fetch_person(pending, response)).await
    }

    fn app_login(&self, pending: &Pending) -> Option<Map<String, Value>> {
        let login = AppLogin {
            app_id: self.api.app_id(),
            brand: self.brand,
            scopes: &self.scopes,
            redirect_uri: &self.callback,
            url: self.login_url(pending, None),
        };
        Some(members(&login))
    }

    fn person_lookup(self: Arc<Self>) -> Option<Arc<dyn PersonLookup>> {
        self.uses_contacts.then_some(self as Arc<dyn PersonLookup>)
    }

    fn source_directory(self: Arc<Self>) -> Option<Arc<dyn SourceDirectory>> {
        self.uses_contacts
            .then_some(self as Arc<dyn SourceDirectory>)
    }

    fn events(&self) -> Option<&dyn EventReceiver> {
        self.events.as_ref().map(|_| self as &dyn EventReceiver)
    }

    async fn examine(&self) -> Vec<Finding> {
        examine::examine(self).await
    }
}
