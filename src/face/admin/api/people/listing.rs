//! Lists, searches and shows people.

use std::sync::Arc;

use axum::extract::State;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::routes;

use super::super::answer::ApiJson;
use super::super::error::{ApiError, Problem};
use super::super::input::{PathParameters, QueryParameters};
use super::super::{ApiState, Resource};
use crate::clock::Timestamp;
use crate::store::{
    AccountChange, AccountId, ConnectorId, DepartmentPath, GroupName, IdentityRecord,
    IdentityState, LoginName, PeopleQuery, PersonRecord, Subject,
};
use crate::text;

/// The most listed people.
const LISTED_MAX: u32 = 1_000;
/// The most listed people if the request has no `max`.
const LISTED_DEFAULT: u32 = 100;
/// The longest text that is searched, in bytes.
const TEXT_BYTES_MAX: usize = 256;
/// How many entries of the history are shown.
const CHANGES_SHOWN: u32 = 100;

pub(super) fn routes() -> Resource {
    Resource::new().routes(routes!(list)).routes(routes!(show))
}

/// Which people are listed. All conditions must hold.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(in super::super) struct PeopleParameters {
    /// A part of login, name, e-mail address or mobile number.
    text: Option<String>,
    /// The beginning of the login.
    login: Option<String>,
    /// The beginning of the name.
    name: Option<String>,
    /// The beginning of the e-mail address.
    email: Option<String>,
    /// The beginning of the mobile number.
    mobile: Option<String>,
    /// The ID or the name of a department, or the path of one that menshen itself gives; includes those
    /// below it.
    department: Option<String>,
    /// The ID of a connector of the person.
    #[param(value_type = Option<String>)]
    connector: Option<ConnectorId>,
    /// Whether the account is closed.
    closed: Option<bool>,
    /// The login after which the list begins: `next` of the page before.
    #[param(value_type = Option<String>)]
    after: Option<LoginName>,
    /// The most people in the response: 100 if absent, and never more than 1000.
    max: Option<u32>,
}

/// People in the order of their logins.
#[derive(Serialize, ToSchema)]
struct PeopleList {
    people: Vec<Person>,
    /// The value of `after` for the next page; `null` on the last page.
    #[schema(value_type = Option<String>)]
    next: Option<LoginName>,
}

/// A person.
#[derive(Serialize, ToSchema)]
struct Person {
    #[schema(value_type = String)]
    login: LoginName,
    /// The ID of the account.
    #[schema(value_type = String)]
    id: AccountId,
    name: Option<String>,
    email: Option<String>,
    mobile: Option<String>,
    created_at: i64,
    /// When the person last signed in or used a session. It is written with a delay of some minutes.
    seen_at: Option<i64>,
    /// Whether the account is closed.
    closed: bool,
    closed_at: Option<i64>,
    /// The name of the admin token, or the part of menshen, that closed the account.
    closed_by: Option<String>,
    closed_reason: Option<String>,
    /// The department that menshen itself gives the person: its path from the root.
    #[schema(value_type = Option<String>)]
    local_department: Option<DepartmentPath>,
    /// The groups that menshen itself gives the person.
    #[schema(value_type = Vec<String>)]
    local_groups: Vec<GroupName>,
}

/// A person with identities and history.
#[derive(Serialize, ToSchema)]
struct PersonDetails {
    #[serde(flatten)]
    person: Person,
    /// The ways to sign in, the most recently used first.
    identities: Vec<Identity>,
    /// The newest 100 changes, the newest first.
    history: Vec<Change>,
}

/// A way in which a person can sign in.
#[derive(Serialize, ToSchema)]
struct Identity {
    #[schema(value_type = String)]
    connector: ConnectorId,
    /// The identifier of the person at the source; `null` if only the login of the person is known until
    /// the first login.
    #[schema(value_type = Option<String>)]
    subject: Option<Subject>,
    /// `known`, `expected` (the person has not signed in with it yet) or `gone` (the source no longer has
    /// it).
    state: &'static str,
    used_at: Option<i64>,
    /// The fields of the last login or refresh.
    fields: serde_json::Value,
    departments: Vec<MemberOf>,
    tags: Vec<String>,
}

/// A department of a person.
#[derive(Serialize, ToSchema)]
struct MemberOf {
    id: String,
    /// Whether the person leads it.
    leads: bool,
}

/// A change of a person.
#[derive(Serialize, ToSchema)]
struct Change {
    at: i64,
    /// The name of the admin token, or the part of menshen, that made the change.
    by: String,
    what: &'static str,
    /// The reason or the new value.
    detail: String,
}

impl PeopleParameters {
    /// The query of the store, for at most `listed_max` people.
    pub(in super::super) fn query(self, listed_max: u32) -> Result<PeopleQuery, ApiError> {
        for (name, text) in [
            ("text", &self.text),
            ("login", &self.login),
            ("name", &self.name),
            ("email", &self.email),
            ("mobile", &self.mobile),
            ("department", &self.department),
        ] {
            if text
                .as_ref()
                .is_some_and(|text| text.len() > TEXT_BYTES_MAX)
            {
                let detail = text!(
                    "the query: {name} is longer than {TEXT_BYTES_MAX} bytes",
                    "查询：{name} 超过 {TEXT_BYTES_MAX} 字节"
                );
                return Err(ApiError::Malformed(detail));
            }
        }
        Ok(PeopleQuery {
            text: self.text,
            login: self.login,
            name: self.name,
            email: self.email,
            mobile: self.mobile,
            department: self.department,
            connector: self.connector,
            closed: self.closed,
            after: self.after,
            max: self.max.unwrap_or(LISTED_DEFAULT).min(listed_max),
        })
    }
}

/// Lists people.
#[utoipa::path(
    get, path = "/api/people", operation_id = "listPeople", tag = "people",
    params(PeopleParameters),
    responses(
        (status = 200, body = PeopleList, description = "People in the order of their logins"),
        (status = 400, body = Problem, description = "A parameter is wrong"),
    )
)]
async fn list(
    State(state): State<Arc<ApiState>>,
    QueryParameters(parameters): QueryParameters<PeopleParameters>,
) -> Result<ApiJson<PeopleList>, ApiError> {
    let mut query = parameters.query(LISTED_MAX)?;
    let max = usize::try_from(query.max).unwrap_or(usize::MAX);
    // One more shows whether there is a next page.
    query.max += 1;
    let mut found = state.people.list(&query).await?;
    let has_next = found.len() > max;
    found.truncate(max);
    let next = found.last().filter(|_| has_next);
    Ok(ApiJson(PeopleList {
        next: next.map(|last| last.login.clone()),
        people: found.into_iter().map(Person::from).collect(),
    }))
}

/// Shows a person with identities and history.
#[utoipa::path(
    get, path = "/api/people/{login}", operation_id = "showPerson", tag = "people",
    params(("login" = String, Path, description = "The login of the person")),
    responses(
        (status = 200, body = PersonDetails, description = "The person"),
        (status = 404, body = Problem, description = "Nobody has this login"),
    )
)]
async fn show(
    State(state): State<Arc<ApiState>>,
    PathParameters(login): PathParameters<String>,
) -> Result<ApiJson<PersonDetails>, ApiError> {
    let account = super::find(&state, &login).await?;
    let person = state.people.person(&account.id).await?;
    let person = person.ok_or_else(|| ApiError::no_account(&account.id))?;
    let (identities, changes) = state.people.details(&account.id, CHANGES_SHOWN).await?;
    Ok(ApiJson(PersonDetails {
        person: person.into(),
        identities: identities.into_iter().map(Identity::from).collect(),
        history: changes.into_iter().map(Change::from).collect(),
    }))
}

impl From<PersonRecord> for Person {
    fn from(person: PersonRecord) -> Self {
        Self {
            login: person.login,
            id: person.id,
            name: person.name,
            email: person.email,
            mobile: person.mobile,
            created_at: person.created_at.unix_s(),
            seen_at: person.seen_at.map(Timestamp::unix_s),
            closed: person.closed,
            closed_at: person.closed_at.map(Timestamp::unix_s),
            closed_by: person.closed_by,
            closed_reason: person.closed_reason,
            local_department: person.local.department,
            local_groups: person.local.groups,
        }
    }
}

impl From<IdentityRecord> for Identity {
    fn from(identity: IdentityRecord) -> Self {
        let departments = identity.memberships.into_iter();
        let departments = departments.map(|membership| MemberOf {
            id: membership.department,
            leads: membership.leads,
        });
        Self {
            connector: identity.connector,
            subject: identity.subject,
            state: match identity.state {
                IdentityState::Known => "known",
                IdentityState::Expected => "expected",
                IdentityState::Gone => "gone",
            },
            used_at: identity.used_at.map(Timestamp::unix_s),
            fields: serde_json::from_str(&identity.fields).unwrap_or_default(),
            departments: departments.collect(),
            tags: identity.tags,
        }
    }
}

impl From<AccountChange> for Change {
    fn from(change: AccountChange) -> Self {
        Self {
            at: change.at.unix_s(),
            by: change.by,
            what: change.kind.as_str(),
            detail: change.detail,
        }
    }
}
