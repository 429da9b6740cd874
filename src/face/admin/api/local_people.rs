//! `/api/connectors/ID/people`: the people of a connector whose passwords the store keeps. No answer has a
//! password or a hash.

use std::sync::Arc;

use axum::extract::State;
use serde::Serialize;
use serde_json::{Map, Value};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::routes;

use super::answer::ApiJson;
use super::error::{ApiError, Problem};
use super::input::{PathParameters, QueryParameters};
use super::{ApiState, Resource};
use crate::login::ConnectorEntry;
use crate::people::local_people::{LocalPeople, LocalPeopleError, fields, subject_of};
use crate::store::{ConnectorId, EndedLogins, LocalPerson, LoginName, Subject};
use crate::text;
use crate::wording::Text;

mod edit;
mod import;

/// The most people of one answer, and their number if the request does not say it.
const LISTED_MAX: u32 = 1_000;
const LISTED_DEFAULT: u32 = 100;

pub(super) fn routes() -> Resource {
    Resource::new()
        .routes(routes!(list))
        .routes(routes!(show))
        .merge(edit::routes())
        .merge(import::routes())
}

/// Which people are listed.
#[derive(serde::Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct ListParameters {
    /// The login in lower case after which the list begins: `next` of the page before.
    after: Option<String>,
    /// The most people in the response: 100 if absent, and never more than 1000.
    max: Option<u32>,
}

/// People in the order of their logins.
#[derive(Serialize, ToSchema)]
struct LocalPeopleList {
    people: Vec<LocalPersonView>,
    /// The value of `after` for the next page; `null` on the last page.
    #[schema(value_type = Option<String>)]
    next: Option<Subject>,
}

/// A person whose password the store keeps.
#[derive(Serialize, ToSchema)]
struct LocalPersonView {
    /// The login that applications receive, unless the connector maps another one.
    #[schema(value_type = String)]
    login: LoginName,
    /// The login in lower case, which identifies the person.
    #[schema(value_type = String)]
    subject: Subject,
    /// Whether the person cannot sign in.
    disabled: bool,
    /// Whether the person must choose another password before the next login.
    must_change: bool,
    created_at: i64,
    changed_at: i64,
    password_changed_at: i64,
    /// The fields: `name`, `email`, `mobile`, `groups`, `roles`, `departments`, `orgs` and others, as far as
    /// the person has them.
    #[serde(flatten)]
    #[schema(value_type = std::collections::HashMap<String, serde_json::Value>)]
    fields: Map<String, Value>,
    /// Further fields: `user.attributes` in rules.
    #[schema(value_type = std::collections::HashMap<String, serde_json::Value>)]
    attributes: Map<String, Value>,
}

impl From<LocalPerson> for LocalPersonView {
    fn from(person: LocalPerson) -> Self {
        let all = fields::of(&person).into_iter();
        let (attributes, fields) = all.partition(|(name, _)| fields::is_attribute(name));
        Self {
            login: person.login,
            subject: person.subject,
            disabled: person.disabled,
            must_change: person.must_change,
            created_at: person.created_at.unix_s(),
            changed_at: person.changed_at.unix_s(),
            password_changed_at: person.password_changed_at.unix_s(),
            fields,
            attributes,
        }
    }
}

/// What a change ended.
#[derive(Serialize, ToSchema)]
struct Ended {
    sessions: usize,
    access_tokens: usize,
}

impl From<&EndedLogins> for Ended {
    fn from(ended: &EndedLogins) -> Self {
        Self {
            sessions: ended.sessions,
            access_tokens: ended.access_tokens,
        }
    }
}

/// What a change ended, for the audit record.
fn ended_text(ended: &EndedLogins) -> Text {
    let (sessions, tokens) = (ended.sessions, ended.access_tokens);
    text!(
        "{sessions} sessions, {tokens} access tokens ended",
        "结束了 {sessions} 个会话，停用了 {tokens} 个访问令牌"
    )
}

impl From<LocalPeopleError> for ApiError {
    fn from(error: LocalPeopleError) -> Self {
        match error {
            LocalPeopleError::Store(error) => Self::Store(error),
            LocalPeopleError::Unknown { .. } => Self::NotFound(Text::of(&error)),
            LocalPeopleError::Taken { .. } | LocalPeopleError::Contended => {
                Self::Conflict(Text::of(&error))
            }
            LocalPeopleError::Login(source) => {
                Self::Malformed(text!("login: {source}", "login：{source:#}"))
            }
            LocalPeopleError::NoPassword
            | LocalPeopleError::OtherLogin
            | LocalPeopleError::Field(_) => {
                Self::Malformed(text!("the body: {error}", "请求体：{error:#}"))
            }
        }
    }
}

/// The connector with this ID, if the store keeps its people.
fn entry_of(state: &ApiState, id: &str) -> Result<(Arc<ConnectorEntry>, LocalPeople), ApiError> {
    let site = state.live.site();
    let entry = id.parse::<ConnectorId>().ok();
    let entry = entry.and_then(|id| site.login.entry(&id).cloned());
    let entry = entry.ok_or_else(|| ApiError::no_connector(id))?;
    match entry.connector.local_people().cloned() {
        Some(people) => Ok((entry, people)),
        None => Err(ApiError::NotFound(text!(
            "the store does not keep the people of the connector {id}",
            "认证源 {id} 的人员不在数据库里"
        ))),
    }
}

/// The login that applications receive, unless the mapping of the connector says otherwise.
fn mapped_login(entry: &ConnectorEntry, login: &LoginName) -> String {
    format!("{}{login}", entry.config.login_prefix)
}

/// Lists the people of a connector.
#[utoipa::path(
    get, path = "/api/connectors/{id}/people", operation_id = "listLocalPeople", tag = "local people",
    params(("id" = String, Path, description = "The ID of the connector"), ListParameters),
    responses(
        (status = 200, body = LocalPeopleList, description = "People in the order of their logins"),
        (status = 400, body = Problem, description = "A parameter is wrong"),
        (status = 404, body = Problem, description = "The store does not keep the people of such a connector"),
    )
)]
async fn list(
    State(state): State<Arc<ApiState>>,
    PathParameters(id): PathParameters<String>,
    QueryParameters(parameters): QueryParameters<ListParameters>,
) -> Result<ApiJson<LocalPeopleList>, ApiError> {
    let (_, people) = entry_of(&state, &id)?;
    let after = parameters.after.as_deref().map(subject_of).transpose();
    let after =
        after.map_err(|error| ApiError::Malformed(text!("after: {error}", "after：{error:#}")))?;
    let max = parameters.max.unwrap_or(LISTED_DEFAULT).min(LISTED_MAX);
    // One more shows whether there is a next page.
    let mut found = people.list(after.as_ref(), max + 1).await?;
    let max = usize::try_from(max).unwrap_or(usize::MAX);
    let has_next = found.len() > max;
    found.truncate(max);
    let next = found.last().filter(|_| has_next);
    Ok(ApiJson(LocalPeopleList {
        next: next.map(|last| last.subject.clone()),
        people: found.into_iter().map(LocalPersonView::from).collect(),
    }))
}

/// Shows a person of a connector.
#[utoipa::path(
    get, path = "/api/connectors/{id}/people/{login}", operation_id = "showLocalPerson",
    tag = "local people",
    params(
        ("id" = String, Path, description = "The ID of the connector"),
        ("login" = String, Path, description = "The login of the person"),
    ),
    responses(
        (status = 200, body = LocalPersonView, description = "The person, without the password"),
        (status = 404, body = Problem, description = "There is no such connector or person"),
    )
)]
async fn show(
    State(state): State<Arc<ApiState>>,
    PathParameters((id, login)): PathParameters<(String, String)>,
) -> Result<ApiJson<LocalPersonView>, ApiError> {
    let (_, people) = entry_of(&state, &id)?;
    let subject = subject_of(&login).ok();
    let found = match &subject {
        Some(subject) => people.find(subject).await?,
        None => None,
    };
    let unknown = || {
        ApiError::NotFound(text!(
            "nobody has the login {login} at {id}",
            "{id} 没有登录名 {login}"
        ))
    };
    Ok(ApiJson(found.ok_or_else(unknown)?.into()))
}
