//! Changes the login or the fields of a person.

use std::sync::Arc;

use axum::Extension;
use axum::extract::State;
use serde::{Deserialize, Deserializer};
use utoipa::ToSchema;
use utoipa_axum::routes;

use super::super::answer::{ApiJson, Done, audit_reason_of_stored, audit_record};
use super::super::error::{ApiError, Problem};
use super::super::input::{JsonBody, PathParameters};
use super::super::{ApiState, Resource};
use crate::face::admin::tokens::AdminToken;
use crate::store::{
    DepartmentPath, EditOutcome, GroupName, LOCAL_GROUPS_MAX, LoginName, PersonEdit,
};
use crate::telemetry::{AuditEvent, AuditRecord};
use crate::text;
use crate::wording::Text;

/// The longest field of a person, in characters.
const FIELD_CHARS_MAX: usize = 256;

pub(super) fn routes() -> Resource {
    Resource::new().routes(routes!(edit))
}

/// What changes. An absent field stays as it is; null removes it.
#[derive(Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
struct PersonChange {
    /// The new login. Sessions continue under it.
    #[schema(value_type = Option<String>)]
    login: Option<LoginName>,
    #[serde(deserialize_with = "present")]
    #[schema(value_type = Option<String>, max_length = 256)]
    name: Option<Option<String>>,
    #[serde(deserialize_with = "present")]
    #[schema(value_type = Option<String>, max_length = 256)]
    email: Option<Option<String>>,
    #[serde(deserialize_with = "present")]
    #[schema(value_type = Option<String>, max_length = 256)]
    mobile: Option<Option<String>>,
    /// The department that menshen itself gives the person: its path from the root.
    #[serde(deserialize_with = "present")]
    #[schema(value_type = Option<String>, max_length = 256)]
    local_department: Option<Option<DepartmentPath>>,
    /// All groups that menshen itself gives the person.
    #[serde(deserialize_with = "present")]
    #[schema(value_type = Option<Vec<String>>, max_items = 100)]
    local_groups: Option<Option<Vec<GroupName>>>,
}

impl PersonChange {
    /// The names of the fields that the request has.
    fn field_names(&self) -> String {
        let fields = [
            ("login", self.login.is_some()),
            ("name", self.name.is_some()),
            ("email", self.email.is_some()),
            ("mobile", self.mobile.is_some()),
            ("local_department", self.local_department.is_some()),
            ("local_groups", self.local_groups.is_some()),
        ];
        let sent = fields.into_iter().filter(|(_, is_sent)| *is_sent);
        let names: Vec<_> = sent.map(|(name, _)| name).collect();
        names.join(", ")
    }
}

/// Distinguishes null from an absent field.
fn present<'de, D, T>(deserializer: D) -> Result<Option<Option<T>>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    Option::<T>::deserialize(deserializer).map(Some)
}

/// Changes the login or the fields of a person.
#[utoipa::path(
    patch, path = "/api/people/{login}", operation_id = "changePerson", tag = "people",
    params(("login" = String, Path, description = "The login of the person")),
    request_body = PersonChange,
    responses(
        (status = 200, body = Done, description = "The person is changed"),
        (status = 400, body = Problem, description = "A field is wrong"),
        (status = 404, body = Problem, description = "Nobody has this login"),
        (status = 409, body = Problem, description = "The new login belongs to somebody else"),
    )
)]
async fn edit(
    State(state): State<Arc<ApiState>>,
    Extension(token): Extension<AdminToken>,
    PathParameters(login): PathParameters<String>,
    JsonBody(change): JsonBody<PersonChange>,
) -> Result<ApiJson<Done>, ApiError> {
    let account = super::find(&state, &login).await?;
    let fields = change.field_names();
    let edit = PersonEdit {
        login: change.login,
        name: field("name", change.name)?,
        email: field("email", change.email)?,
        mobile: field("mobile", change.mobile)?,
        local_department: change.local_department,
        local_groups: groups(change.local_groups)?,
        vouched: Vec::new(),
    };
    let login = edit.login.clone().unwrap_or(account.login);
    match state.people.edit(&account.id, edit, &token.name).await? {
        EditOutcome::Stored { .. } => {}
        EditOutcome::Unknown => return Err(ApiError::no_account(&account.id)),
        EditOutcome::LoginTaken { by } => {
            let detail = text!(
                "the login {login} belongs to account {by}",
                "登录名 {login} 属于账号 {by}"
            );
            return Err(ApiError::Conflict(detail));
        }
    }
    // The names of the fields, because their values are personal data.
    let reason = audit_reason_of_stored(&Text::same(fields));
    state.telemetry.audit(&AuditRecord {
        account: Some(&account.id),
        login: Some(login.as_str()),
        ..audit_record(&token, AuditEvent::PersonChanged, &reason)
    });
    Ok(Done::answer())
}

/// The new value of a field without white space around it; an empty text removes the field.
fn field(name: &str, value: Option<Option<String>>) -> Result<Option<Option<String>>, ApiError> {
    let Some(Some(text)) = &value else {
        return Ok(value);
    };
    let text = text.trim();
    if text.chars().count() > FIELD_CHARS_MAX || text.chars().any(char::is_control) {
        return Err(ApiError::Malformed(text!(
            "the body: {name} is longer than {FIELD_CHARS_MAX} characters or has control characters",
            "请求体：{name} 超过 {FIELD_CHARS_MAX} 个字符，或含有控制字符"
        )));
    }
    Ok(Some((!text.is_empty()).then(|| text.to_owned())))
}

/// The new groups, each once.
fn groups(value: Option<Option<Vec<GroupName>>>) -> Result<Option<Vec<GroupName>>, ApiError> {
    let Some(sent) = value else { return Ok(None) };
    let mut groups = Vec::new();
    for group in sent.unwrap_or_default() {
        if !groups.contains(&group) {
            groups.push(group);
        }
    }
    match groups.len() > LOCAL_GROUPS_MAX {
        true => Err(ApiError::Malformed(text!(
            "the body: local_groups has more than {LOCAL_GROUPS_MAX} groups",
            "请求体：local_groups 超过 {LOCAL_GROUPS_MAX} 个组"
        ))),
        false => Ok(Some(groups)),
    }
}
