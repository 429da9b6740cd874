//! `WeCom`: login with WeCom (企业微信).
//!
//! WeCom does not follow OAuth 2: there is no access token of a person, only one of the application. A
//! code is valid once and for five minutes; an API call with the application's token returns the
//! member it belongs to.

use std::sync::Arc;

use async_trait::async_trait;
use serde_json::{Map, Value};
use url::Url;

use super::kit::app_login::members;
use super::kit::invalid_values::require_valid;
use super::kit::response_code::response_code;
use super::kit::time_limit::{WHOLE_LOGIN, within_limit};
use super::{
    AuthnRequest, AuthnResponse, Challenge, Connector, ConnectorBuildError, ConnectorDeps,
    ConnectorError, EventReceiver, Finding, SharedAppToken, SourceDirectory,
};
use crate::login::pending::{Mode, Pending};
use crate::people::person_lookup::PersonLookup;
use crate::people::profile::Profile;
use crate::secret::SecretSource;

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
mod member;
mod shared_app_token;
mod tags;

use api::Api;
use app_login::AppLogin;
pub use config::{AuthorizeScope, Config};
use departments::Departments;
use errors::{ApiError, ConsoleSettings};
use events::Events;
pub use events::EventsConfig;
pub(super) use kind::NAME as KIND_NAME;
use tags::{MemberTags, TagCache};

/// The kind of a code from a mini program.
const MINI_PROGRAM: &str = "miniprogram";

/// The longest accepted code, in bytes.
const CODE_BYTES_MAX: usize = 512;

/// The fields of a person whom `mapping` does not map otherwise.
const MAPPING: &[(&str, &str)] = &[
    ("login", "profile.userid"),
    ("name", "profile.name"),
    (
        "email",
        "has(profile.biz_mail) && profile.biz_mail != '' ? profile.biz_mail : profile.email",
    ),
    ("mobile", "profile.mobile"),
    ("groups", "profile.tags"),
    ("departments", "profile.department_names"),
    ("department_paths", "profile.department_paths"),
    ("department_ids", "profile.department_ids"),
    ("department_id_paths", "profile.department_id_paths"),
    ("led_department_ids", "profile.led_department_ids"),
    (
        "departments_without_path",
        "profile.departments_without_path",
    ),
    ("tags", "profile.tags"),
    ("avatar", "profile.avatar"),
    ("position", "profile.position"),
    ("gender", "profile.gender"),
    ("status", "profile.status"),
    ("is_leader", "profile.is_leader_in_dept"),
];

/// The connector for one application of one corporation.
#[derive(Debug)]
pub struct WeCom {
    corp_id: String,
    scope: AuthorizeScope,
    schema: Option<String>,
    authorize_url: Url,
    login_url: Url,
    callback: Url,
    console: ConsoleSettings,
    api: Api,
    /// The API with the Secret of 通讯录同步, if it is configured.
    contacts: Option<Api>,
    departments: Departments,
    tags: TagCache,
    events: Option<Events>,
}

impl WeCom {
    /// Builds the connector. Reads the secret; makes no network call.
    pub fn build(config: &Config, deps: ConnectorDeps) -> Result<Self, ConnectorBuildError> {
        require_valid(&config.invalid_values())?;
        let secret = config.secret.read().map_err(ConnectorBuildError::Secret)?;
        let contact_secret = config.contact_secret.as_ref().map(SecretSource::read);
        let contact_secret = contact_secret.transpose();
        let contact_secret = contact_secret.map_err(ConnectorBuildError::Secret)?;
        let events = config.events.as_ref();
        let events = events.map(|events| Events::build(events, &config.corp_id));
        let ConnectorDeps {
            callback,
            outbound,
            clock,
            stored_departments,
            ..
        } = deps;
        let agent_id = config.agent_id.to_string();
        let console = ConsoleSettings {
            callback_host: host_and_port(&callback),
            agent_id,
        };
        let api = |secret| {
            let (base, corp_id) = (config.api_base.clone(), config.corp_id.clone());
            Api::new(outbound.clone(), base, corp_id, secret, clock.clone())
        };
        Ok(Self {
            corp_id: config.corp_id.clone(),
            scope: config.scope,
            schema: config.schema.clone(),
            authorize_url: config.authorize_url.clone(),
            login_url: config.login_url.clone(),
            callback,
            console,
            api: api(secret),
            contacts: contact_secret.map(api),
            departments: Departments::new(
                "WeCom",
                "department/list",
                clock.clone(),
                stored_departments,
            ),
            tags: TagCache::new(clock.clone()),
            events: events.transpose()?,
        })
    }

    /// The URL of the login page for ordinary browsers;
    /// <https://developer.work.weixin.qq.com/document/path/98171>.
    fn web_url(&self, pending: &Pending) -> Url {
        let mut url = self.login_url.clone();
        url.query_pairs_mut()
            .append_pair("login_type", "CorpApp")
            .append_pair("appid", &self.corp_id)
            .append_pair("agentid", &self.console.agent_id)
            .append_pair("redirect_uri", self.callback.as_str())
            .append_pair("state", pending.flow.as_str());
        url
    }

    /// The URL of the login page for the WeCom client, which requires exactly this parameter order and
    /// fragment;
    /// <https://developer.work.weixin.qq.com/document/path/96441>.
    fn in_app_url(&self, pending: &Pending) -> Url {
        let mut url = self.authorize_url.clone();
        url.query_pairs_mut()
            .append_pair("appid", &self.corp_id)
            .append_pair("redirect_uri", self.callback.as_str())
            .append_pair("response_type", "code")
            .append_pair("scope", self.scope.as_str())
            .append_pair("state", pending.flow.as_str())
            .append_pair("agentid", &self.console.agent_id);
        url.set_fragment(Some("wechat_redirect"));
        url
    }

    /// Redeems the code and loads its member, without departments.
    async fn fetch_member(
        &self,
        response: &AuthnResponse,
    ) -> Result<api::ResponseObject, ConnectorError> {
        let code = response_code(&response.fields, &["code"], "code", CODE_BYTES_MAX)?;
        let code_owner = match response.kind.as_deref() {
            Some(MINI_PROGRAM) => self.api.redeem_mini_program(code).await,
            _ => self.api.redeem(code).await,
        };
        let code_owner = code_owner.map_err(|error| self.connector_error(error))?;
        let userid = member::userid(&code_owner, &self.corp_id)?;
        let mut member = self
            .api
            .member(&userid)
            .await
            .map_err(|error| self.connector_error(error))?;
        member::require_active(&member, &userid)?;
        if let (AuthorizeScope::PrivateInfo, Some(ticket)) = (self.scope, &code_owner.user_ticket) {
            // A failure here ends the login: without these fields the person could get a second account.
            let shared = self
                .api
                .shared_fields(ticket)
                .await
                .map_err(|error| self.connector_error(error))?;
            member::add_shared_fields(&mut member, shared)?;
        }
        Ok(member)
    }

    /// Adds departments and tags. Returns whether the tags are known.
    async fn add_organisation(&self, member: &mut api::ResponseObject) -> bool {
        let ids = member::department_ids(member);
        let load = || async {
            let list = self.api.departments().await?;
            Ok::<_, ApiError>(departments::read(&list))
        };
        let tree = self.departments.tree_with(&ids, load).await;
        member::add_departments(member, &tree);
        let tags = self.tags.get(|| MemberTags::load(&self.api)).await;
        if let Some(tags) = &tags {
            member::add_tags(member, tags, &tree);
        }
        tags.is_some()
    }

    fn connector_error(&self, error: ApiError) -> ConnectorError {
        error.into_error(&self.console)
    }
}

#[async_trait]
impl Connector for WeCom {
    async fn begin(
        &self,
        pending: &Pending,
        _request: &AuthnRequest,
    ) -> Result<Challenge, ConnectorError> {
        Ok(Challenge::Redirect(match pending.mode {
            Mode::Web => self.web_url(pending),
            Mode::InApp => self.in_app_url(pending),
        }))
    }

    async fn redeem_response(
        &self,
        _pending: &Pending,
        response: &AuthnResponse,
    ) -> Result<Profile, ConnectorError> {
        let mut member = within_limit(WHOLE_LOGIN, self.fetch_member(response)).await?;
        self.add_organisation(&mut member).await;
        member::profile(&self.corp_id, member)
    }

    fn app_login(&self, pending: &Pending) -> Option<Map<String, Value>> {
        let login = AppLogin {
            corp_id: &self.corp_id,
            agent_id: &self.console.agent_id,
            schema: self.schema.as_deref(),
            redirect_uri: &self.callback,
            web_url: self.web_url(pending),
            in_app_url: self.in_app_url(pending),
        };
        Some(members(&login))
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

/// The host and, unless it is the default, the port: what the WeCom console compares.
fn host_and_port(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    url.port()
        .map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
}

#[cfg(test)]
mod tests;
