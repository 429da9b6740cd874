//! Login with Yunzhijia (云之家).
//!
//! The app opens the home address of an application with a ticket, and its QR page returns one. A call with
//! the token of the application returns the person of a ticket and their team.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use serde_json::{Map, Value, json};
use url::Url;

use super::kit::invalid_values::require_valid;
use super::kit::response_code::{checked_code, invalid_response, response_code};
use super::kit::time_limit::{WHOLE_LOGIN, within_limit};
use super::kit::web_url::below;
use super::reachability::Reachability;
use super::{
    AuthnRequest, AuthnResponse, Challenge, Connector, ConnectorBuildError, ConnectorDeps,
    ConnectorError, CurrentAppToken, DiscardedRecently, Finding, RefusalReason, SharedAppToken,
    SourceDirectory, SourceRefusal, UnsolicitedProfile,
};
use crate::clock::Clock;
use crate::login::fields::Fields;
use crate::login::pending::Pending;
use crate::people::person_lookup::PersonLookup;
use crate::people::profile::{Profile, ResponseId};

mod api;
mod config;
mod departments;
mod directory;
mod errors;
mod examine;
mod kind;
mod lookup;
mod person;

use api::{Api, App, GET_DEPARTMENTS, GET_PERSON, ResponseObject};
pub use config::Config;
use departments::{DepartmentTree, Departments};
use errors::ApiError;
pub(super) use kind::NAME as KIND_NAME;

/// How long Yunzhijia accepts a ticket.
const TICKET_LIFETIME: Duration = Duration::from_secs(3_600);

/// The parameter of a ticket.
const TICKET_PARAMETER: &str = "ticket";

/// The parameter of a ticket that a custom front end sends.
const FRONT_END_PARAMETER: &str = "code";

/// The longest accepted ticket, in bytes.
const TICKET_BYTES_MAX: usize = 1024;

/// The fields of a person whom `mapping` does not map otherwise.
const MAPPING: &[(&str, &str)] = &[
    (
        "login",
        "has(profile.jobNo) ? profile.jobNo : profile.openid",
    ),
    ("name", "profile.username"),
    ("mobile", "profile.mobile"),
    ("tenant_code", "profile.eid"),
    ("departments", "profile.department_names"),
    ("department_paths", "profile.department_paths"),
    ("department_ids", "profile.department_ids"),
    ("department_id_paths", "profile.department_id_paths"),
    ("led_department_ids", "profile.led_department_ids"),
    (
        "departments_without_path",
        "profile.departments_without_path",
    ),
    ("avatar", "profile.photoUrl"),
    ("position", "profile.jobTitle"),
];

/// The connector for one application of one team.
#[derive(Debug)]
pub struct Yunzhijia {
    app_id: String,
    eid: String,
    base: Url,
    callback: Url,
    /// The home address of the application.
    entry_url: String,
    api: Api,
    /// Whether the contacts of the team are read.
    uses_contacts: bool,
    departments: Departments,
    clock: Clock,
    reachability: Reachability,
}

impl Yunzhijia {
    /// Builds the connector. Reads the secret; makes no network call.
    pub fn build(config: &Config, deps: ConnectorDeps) -> Result<Self, ConnectorBuildError> {
        require_valid(&config.invalid_values())?;
        let secret = config.app_secret.read();
        let secret = secret.map_err(ConnectorBuildError::Secret)?;
        let (outbound, clock) = (deps.outbound, deps.clock);
        Ok(Self {
            app_id: config.app_id.clone(),
            eid: config.eid.clone(),
            callback: deps.callback,
            entry_url: format!("{}/enter/{}", deps.own_pages_url, deps.id),
            reachability: Reachability::at(&config.base, outbound.clone(), clock.clone()),
            api: Api::new(
                outbound,
                config.base.clone(),
                App {
                    id: config.app_id.clone(),
                    secret,
                },
                config.eid.clone(),
                clock.clone(),
            ),
            uses_contacts: config.contacts,
            departments: Departments::new(
                "Yunzhijia",
                GET_DEPARTMENTS,
                clock.clone(),
                deps.stored_departments,
            ),
            base: config.base.clone(),
            clock,
        })
    }

    /// The page with the QR code. Yunzhijia spells it so.
    fn scan_page(&self, pending: &Pending) -> Url {
        let mut url = below(&self.base, ["opencloud", "openthird", "qrconnet"]);
        url.query_pairs_mut()
            .append_pair("appid", &self.app_id)
            .append_pair("redirect_uri", self.callback.as_str())
            .append_pair("state", pending.flow.as_str());
        url
    }

    /// Redeems a ticket, checks team and application of its person, and adds what the contacts have about
    /// them.
    async fn redeem(&self, ticket: &str) -> Result<Profile, ConnectorError> {
        let (mut data, contact) = within_limit(WHOLE_LOGIN, self.person_of(ticket)).await?;
        if let Some(contact) = contact {
            let tree = self.tree_for(&contact).await;
            person::add_contacts(&mut data, contact, &tree);
        }
        person::profile(&self.app_id, &self.eid, data)
    }

    /// The person of a ticket, and the same person in the contacts.
    async fn person_of(
        &self,
        ticket: &str,
    ) -> Result<(ResponseObject, Option<ResponseObject>), ConnectorError> {
        let acquired = self.api.acquire_context(ticket).await;
        let data = acquired.map_err(|error| {
            let error = error.into_error();
            if error.is_no_response() {
                self.reachability.record_failure();
            }
            error
        })?;
        self.reachability.record_success();
        if !self.uses_contacts {
            return Ok((data, None));
        }
        let subject = person::profile(&self.app_id, &self.eid, data.clone())?.subject;
        let openid = self.openid_of(&subject).unwrap_or_default();
        let found = self
            .api
            .person(openid)
            .await
            .map_err(ApiError::into_error)?;
        let found = found.ok_or_else(|| ConnectorError::Refused {
            why: RefusalReason::NotVisibleToApp,
            source: SourceRefusal::fault(GET_PERSON, person::ABSENT),
        })?;
        person::require_requested(&found, openid)?;
        person::require_active(&found)?;
        Ok((data, Some(found)))
    }

    async fn tree_for(&self, person: &ResponseObject) -> Arc<DepartmentTree> {
        let ids = person::department_ids(person);
        let load = || departments::load(&self.api);
        self.departments.tree_with(&ids, load).await
    }

    /// By which a ticket counts once, whether it comes from the app or from the QR page.
    fn once(&self, ticket: &str) -> ResponseId {
        ResponseId::of_secret(ticket, self.clock.now().plus(TICKET_LIFETIME))
    }

    /// Refuses a response for another application.
    fn require_own_app(&self, fields: &Fields) -> Result<(), ConnectorError> {
        let one = |name: &str| {
            let repeated = |_| invalid_response("a parameter is repeated");
            fields.one(name).map_err(repeated)
        };
        let app_id = match one("appId")? {
            None => one("appid")?,
            found => found,
        };
        match app_id {
            Some(found) if found != self.app_id => {
                Err(invalid_response("it is for another application (appId)"))
            }
            _ => Ok(()),
        }
    }
}

/// Refuses what cannot be a ticket.
fn checked_ticket(ticket: &str) -> Result<&str, ConnectorError> {
    let ticket = checked_code(ticket, TICKET_PARAMETER, TICKET_BYTES_MAX)?;
    match ticket.contains(char::is_whitespace) {
        true => Err(invalid_response("the ticket is malformed")),
        false => Ok(ticket),
    }
}

#[async_trait]
impl Connector for Yunzhijia {
    async fn begin(
        &self,
        pending: &Pending,
        _request: &AuthnRequest,
    ) -> Result<Challenge, ConnectorError> {
        let reachable = self.reachability.check().await;
        reachable.map_err(ConnectorError::NoUsableResponse)?;
        Ok(Challenge::Redirect(self.scan_page(pending)))
    }

    async fn redeem_response(
        &self,
        _pending: &Pending,
        response: &AuthnResponse,
    ) -> Result<Profile, ConnectorError> {
        let fields = &response.fields;
        self.require_own_app(fields)?;
        let names = [TICKET_PARAMETER, FRONT_END_PARAMETER];
        let ticket = response_code(fields, &names, TICKET_PARAMETER, TICKET_BYTES_MAX)?;
        let ticket = checked_ticket(ticket)?;
        Ok(Profile {
            response_id: Some(self.once(ticket)),
            ..self.redeem(ticket).await?
        })
    }

    async fn redeem_entry_token(
        &self,
        token: &str,
        response: &AuthnResponse,
    ) -> Result<UnsolicitedProfile, ConnectorError> {
        self.require_own_app(&response.fields)?;
        let ticket = checked_ticket(token)?;
        let once = self.once(ticket);
        Ok(UnsolicitedProfile {
            profile: self.redeem(ticket).await?,
            token_id: Some(once.id),
            token_expires_at: once.accepted_until,
        })
    }

    fn app_login(&self, pending: &Pending) -> Option<Map<String, Value>> {
        let members = [
            ("app_id", json!(self.app_id)),
            ("eid", json!(self.eid)),
            ("redirect_uri", json!(self.callback)),
            ("web_url", json!(self.scan_page(pending))),
        ];
        let members = members.map(|(name, value)| (name.to_owned(), value));
        Some(members.into_iter().collect())
    }

    fn person_lookup(self: Arc<Self>) -> Option<Arc<dyn PersonLookup>> {
        self.uses_contacts.then_some(self as Arc<dyn PersonLookup>)
    }

    fn source_directory(self: Arc<Self>) -> Option<Arc<dyn SourceDirectory>> {
        self.uses_contacts
            .then_some(self as Arc<dyn SourceDirectory>)
    }

    fn shared_app_token(&self) -> Option<&dyn SharedAppToken> {
        Some(self)
    }

    async fn examine(&self) -> Vec<Finding> {
        examine::examine(self).await
    }
}

#[async_trait]
impl SharedAppToken for Yunzhijia {
    async fn app_token(&self) -> Result<CurrentAppToken, ConnectorError> {
        let token = self.api.token().await;
        let token = token.map_err(ApiError::into_error)?;
        Ok(CurrentAppToken {
            usable_for: self.api.usable_for(&token),
            token,
        })
    }

    fn discard_app_token(&self, rejected: &str) -> Result<(), DiscardedRecently> {
        self.api.discard_token(rejected)
    }
}
