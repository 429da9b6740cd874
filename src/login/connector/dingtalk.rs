//! `DingTalk`: login with DingTalk (钉钉).
//!
//! A browser brings a code for a token of the person, which tells their unionId; only a member of the
//! organisation has a userid for it. Inside the client, a page asks the client for a code that leads to the
//! userid at once.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use serde_json::{Map, Value};
use url::Url;

use super::kit::app_login::members;
use super::kit::invalid_values::require_valid;
use super::kit::response_code::{checked_code, response_code};
use super::kit::time_limit::{WHOLE_LOGIN, within_limit};
use super::{
    AppPage, AppPageScripts, AuthnRequest, AuthnResponse, Challenge, Connector,
    ConnectorBuildError, ConnectorDeps, ConnectorError, EventReceiver, Finding, SharedAppToken,
    SourceDirectory, UnsolicitedProfile,
};
use crate::clock::Clock;
use crate::login::pending::{Mode, Pending};
use crate::outbound::OutboundError;
use crate::people::person_lookup::PersonLookup;
use crate::people::profile::Profile;
use crate::secret::SecretSource;
use crate::store::ConnectorId;

mod admin_entry;
mod api;
mod app_login;
mod client_script;
mod config;
mod departments;
mod directory;
mod errors;
mod events;
mod examine;
mod kind;
mod lookup;
mod member;
mod shared_app_token;

use admin_entry::AdminEntry;
use api::{Api, Bases, ResponseObject};
use app_login::AppLogin;
pub use client_script::ClientScript;
pub use config::{AuthorizeScope, Config};
use departments::Departments;
use errors::{ApiError, ConsoleSettings};
use events::Events;
pub use events::EventsConfig;
pub(super) use kind::NAME as KIND_NAME;

/// The kind of a code from the client, which is the usual one at `/login`.
const IN_APP: &str = "in-app";
/// The kind of a code from the login page for browsers.
const WEB: &str = "web";

/// The parameters of a code; some versions have the second one.
const CODE_PARAMETERS: [&str; 2] = ["authCode", "code"];

/// The longest accepted code, in bytes.
const CODE_BYTES_MAX: usize = 512;

/// The fields of a person whom `mapping` does not map otherwise.
const MAPPING: &[(&str, &str)] = &[
    ("login", "profile.userid"),
    ("name", "profile.name"),
    (
        "email",
        "has(profile.org_email) && profile.org_email != '' ? profile.org_email : profile.email",
    ),
    ("mobile", "profile.mobile"),
    ("departments", "profile.department_names"),
    ("department_paths", "profile.department_paths"),
    ("department_ids", "profile.department_ids"),
    ("department_id_paths", "profile.department_id_paths"),
    (
        "departments_without_path",
        "profile.departments_without_path",
    ),
    ("avatar", "profile.avatar"),
    ("position", "profile.title"),
];

/// The connector for one application of one organisation.
#[derive(Debug)]
pub struct DingTalk {
    id: ConnectorId,
    scope: AuthorizeScope,
    login_url: Url,
    callback: Url,
    /// The public base URL of menshen's own pages.
    own_pages_url: Url,
    console: ConsoleSettings,
    client_script: ClientScript,
    /// Its text, if menshen serves it.
    client_script_text: Option<String>,
    api: Api,
    admin: Option<AdminEntry>,
    departments: Departments,
    events: Option<Events>,
    clock: Clock,
}

impl DingTalk {
    /// Builds the connector. Reads the secrets, and the script of the client from a file; makes no network call.
    pub fn build(config: &Config, deps: ConnectorDeps) -> Result<Self, ConnectorBuildError> {
        require_valid(&config.invalid_values())?;
        let app_secret = config.app_secret.read();
        let app_secret = app_secret.map_err(ConnectorBuildError::Secret)?;
        let sso_secret = config.sso_secret.as_ref().map(SecretSource::read);
        let sso_secret = sso_secret.transpose();
        let sso_secret = sso_secret.map_err(ConnectorBuildError::Secret)?;
        let events = config.events.as_ref();
        let events = events.map(|it| Events::build(it, &config.app_key, &config.corp_id));
        let bases = Bases {
            newer: config.api_base.clone(),
            older: config.oapi_base.clone(),
        };
        let app_key = config.app_key.clone();
        Ok(Self {
            api: Api::new(deps.outbound, bases, app_key, app_secret, &deps.clock),
            departments: Departments::new(deps.clock.clone(), deps.stored_departments),
            id: deps.id,
            scope: config.scope,
            login_url: config.login_url.clone(),
            callback: deps.callback,
            own_pages_url: deps.own_pages_url,
            console: ConsoleSettings {
                app_key: config.app_key.clone(),
                corp_id: config.corp_id.clone(),
            },
            client_script_text: config.jsapi_url.read()?,
            client_script: config.jsapi_url.clone(),
            admin: sso_secret.map(|secret| AdminEntry { secret }),
            events: events.transpose()?,
            clock: deps.clock,
        })
    }

    /// The URL of the login page for browsers;
    /// <https://open.dingtalk.com/document/orgapp/obtain-identity-credentials>.
    fn web_url(&self, pending: &Pending) -> Url {
        let mut url = self.login_url.clone();
        url.query_pairs_mut()
            .append_pair("redirect_uri", self.callback.as_str())
            .append_pair("response_type", "code")
            .append_pair("client_id", &self.console.app_key)
            .append_pair("scope", self.scope.as_str())
            .append_pair("state", pending.flow.as_str())
            .append_pair("prompt", "consent");
        // A `+` for the space in the scope is no space to DingTalk; a real one is written as %2B here.
        let query = url.query().unwrap_or_default().replace('+', "%20");
        url.set_query(Some(&query));
        url
    }

    /// The page that asks the client.
    fn app_page(&self, pending: &Pending) -> AppPage {
        AppPage {
            client_script: self.client_script.url().cloned(),
            data: vec![
                ("corp-id", self.console.corp_id.clone()),
                ("client-id", self.console.app_key.clone()),
            ],
            web_url: self.web_url(pending),
        }
    }

    /// The userid behind a code of the login page for browsers.
    async fn userid_by_web(&self, code: &str) -> Result<String, ConnectorError> {
        let failed = |error| self.connector_error(error);
        let user = self.api.user_token(code).await.map_err(failed)?;
        if self.scope == AuthorizeScope::Organisation {
            let call = "v1.0/oauth2/userAccessToken";
            match &user.corp_id {
                Some(corp_id) if *corp_id == self.console.corp_id => {}
                Some(_) => {
                    let message = "the person chose another organisation";
                    return Err(member::not_a_member(call, message));
                }
                None => {
                    let missing = "`corpId`";
                    let error = OutboundError::Incomplete { call, missing };
                    return Err(ConnectorError::NoUsableResponse(error));
                }
            }
        }
        let union_id = self.api.union_id(&user.token).await.map_err(failed)?;
        let found = self.api.member_of_union(&union_id).await;
        member::internal_userid(found.map_err(failed)?)
    }

    /// The active member with this userid, without departments.
    async fn active_member(&self, userid: &str) -> Result<ResponseObject, ConnectorError> {
        let found = self.api.member(userid).await;
        let found = found.map_err(|error| self.connector_error(error))?;
        member::require_active(&found, userid)?;
        Ok(found)
    }

    /// Redeems the code and loads its member.
    async fn redeem(&self, response: &AuthnResponse) -> Result<ResponseObject, ConnectorError> {
        let code = response_code(&response.fields, &CODE_PARAMETERS, "code", CODE_BYTES_MAX)?;
        let userid = match response.kind.as_deref() {
            None | Some(WEB) => self.userid_by_web(code).await?,
            Some(_) => {
                let redeemed = self.api.redeem_in_app(code).await;
                redeemed.map_err(|error| self.connector_error(error))?
            }
        };
        self.active_member(&userid).await
    }

    async fn redeem_of_admin(&self, code: &str) -> Result<ResponseObject, ConnectorError> {
        let not_configured = || ConnectorError::InvalidResponse(admin_entry::not_configured());
        let admin = self.admin.as_ref().ok_or_else(not_configured)?;
        let code = checked_code(code, "code", CODE_BYTES_MAX)?;
        let corp_id = &self.console.corp_id;
        let found = self.api.administrator(corp_id, &admin.secret, code).await;
        let found = found.map_err(|error| self.connector_error(error))?;
        self.active_member(&admin_entry::userid(found, corp_id)?)
            .await
    }

    async fn with_departments(&self, mut member: ResponseObject) -> ResponseObject {
        let ids = member::department_ids(&member);
        let load = |id| self.api.department(id);
        let tree = self.departments.tree_with(&ids, load).await;
        member::add_departments(&mut member, &tree);
        member
    }

    async fn profile_of(
        &self,
        redeeming: impl Future<Output = Result<ResponseObject, ConnectorError>> + Send,
    ) -> Result<Profile, ConnectorError> {
        let member = within_limit(WHOLE_LOGIN, redeeming).await?;
        let member = self.with_departments(member).await;
        member::profile(&self.console.corp_id, member)
    }

    fn connector_error(&self, error: ApiError) -> ConnectorError {
        error.into_error(&self.console)
    }
}

#[async_trait]
impl Connector for DingTalk {
    async fn begin(
        &self,
        pending: &Pending,
        _request: &AuthnRequest,
    ) -> Result<Challenge, ConnectorError> {
        // The page brings a code for a session, so an identity is added with the page for browsers.
        Ok(match pending.mode {
            Mode::InApp if pending.link.is_none() => Challenge::AppPage(self.app_page(pending)),
            Mode::InApp | Mode::Web => Challenge::Redirect(self.web_url(pending)),
        })
    }

    async fn redeem_response(
        &self,
        _pending: &Pending,
        response: &AuthnResponse,
    ) -> Result<Profile, ConnectorError> {
        self.profile_of(self.redeem(response)).await
    }

    async fn redeem_entry_token(
        &self,
        token: &str,
        _response: &AuthnResponse,
    ) -> Result<UnsolicitedProfile, ConnectorError> {
        let profile = self.profile_of(self.redeem_of_admin(token)).await?;
        let code_age_max = Duration::from_secs(admin_entry::CODE_AGE_MAX_S);
        Ok(UnsolicitedProfile {
            profile,
            token_id: None,
            token_expires_at: self.clock.now().plus(code_age_max),
        })
    }

    fn app_login(&self, pending: &Pending) -> Option<Map<String, Value>> {
        let login = AppLogin {
            corp_id: &self.console.corp_id,
            client_id: &self.console.app_key,
            scope: self.scope.as_str(),
            redirect_uri: &self.callback,
            web_url: self.web_url(pending),
        };
        Some(members(&login))
    }

    fn app_page_scripts(&self) -> Option<AppPageScripts<'_>> {
        Some(AppPageScripts {
            own: include_str!("dingtalk/page.js"),
            client_script: self.client_script_text.as_deref(),
        })
    }

    fn person_lookup(self: Arc<Self>) -> Option<Arc<dyn PersonLookup>> {
        Some(self)
    }

    fn source_directory(self: Arc<Self>) -> Option<Arc<dyn SourceDirectory>> {
        Some(self)
    }

    fn events(&self) -> Option<&dyn EventReceiver> {
        self.events
            .as_ref()
            .map(|events| events as &dyn EventReceiver)
    }

    fn shared_app_token(&self) -> Option<&dyn SharedAppToken> {
        Some(self)
    }

    async fn examine(&self) -> Vec<Finding> {
        examine::examine(self).await
    }
}

#[cfg(test)]
mod tests;
