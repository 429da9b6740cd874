//! `GET /api/people` and `GET /api/people/LOGIN`: lists, finds and shows people.

use http::{Response, StatusCode};
use serde_json::{Value, json};

use super::super::api::ApiError;
use super::super::{Admin, json_response};
use crate::clock::Timestamp;
use crate::request::Body;
use crate::store::{
    Account, AccountChange, IdentityRecord, IdentityState, LoginName, PeopleQuery, PersonRecord,
};

/// The limit of `max`, and its default.
const LISTED_MAX: u32 = 1_000;
const LISTED: u32 = 100;
/// The longest text that is searched, in bytes.
const TEXT_BYTES_MAX: usize = 256;
/// How many entries of the history are shown.
const CHANGES_SHOWN: u32 = 100;

/// A page of people. `next` is the login after which the next page begins; null on the last page.
pub(super) async fn list(admin: &Admin, query: &str) -> Result<Response<Body>, ApiError> {
    let mut query = parse(query)?;
    let max = query.max;
    // One more shows whether there is a next page.
    query.max += 1;
    let mut found = admin.people.list(&query).await?;
    let has_next = found.len() > usize::try_from(max).unwrap_or(usize::MAX);
    found.truncate(usize::try_from(max).unwrap_or(usize::MAX));
    let next = found.last().filter(|_| has_next).map(|last| &last.login);
    let people: Vec<_> = found.iter().map(person_json).collect();
    Ok(json_response(
        StatusCode::OK,
        &json!({ "people": people, "next": next }),
    ))
}

/// One person with identities and history.
pub(super) async fn show(admin: &Admin, account: &Account) -> Result<Response<Body>, ApiError> {
    let person = admin.people.person(&account.id).await?;
    let person = person.ok_or(ApiError::NotFound)?;
    let (identities, changes) = admin.people.details(&account.id, CHANGES_SHOWN).await?;
    let mut shown = person_json(&person);
    let identities: Vec<_> = identities.iter().map(identity_json).collect();
    let history: Vec<_> = changes.iter().map(change_json).collect();
    shown["identities"] = identities.into();
    shown["history"] = history.into();
    Ok(json_response(StatusCode::OK, &shown))
}

/// Parses the query of a list.
pub(super) fn parse(query: &str) -> Result<PeopleQuery, ApiError> {
    let mut parsed = PeopleQuery {
        max: LISTED,
        ..PeopleQuery::default()
    };
    for (name, value) in url::form_urlencoded::parse(query.as_bytes()) {
        if value.len() > TEXT_BYTES_MAX {
            return Err(ApiError::Malformed("a parameter is longer than 256 bytes"));
        }
        let value = value.into_owned();
        match name.as_ref() {
            "text" => parsed.text = Some(value),
            "login" => parsed.login = Some(value),
            "name" => parsed.name = Some(value),
            "email" => parsed.email = Some(value),
            "mobile" => parsed.mobile = Some(value),
            "department" => parsed.department = Some(value),
            "connector" => {
                let id = value.parse();
                let malformed = |_| ApiError::Malformed("not the id of a connector");
                parsed.connector = Some(id.map_err(malformed)?);
            }
            "closed" => {
                let closed = value.parse();
                let malformed = |_| ApiError::Malformed("closed must be true or false");
                parsed.closed = Some(closed.map_err(malformed)?);
            }
            "after" => {
                let login = LoginName::try_from(value);
                let malformed = |_| ApiError::Malformed("after must be a login name");
                parsed.after = Some(login.map_err(malformed)?);
            }
            "max" => {
                let max: u32 = value
                    .parse()
                    .map_err(|_| ApiError::Malformed("max must be a number"))?;
                parsed.max = max.min(LISTED_MAX);
            }
            _ => {
                return Err(ApiError::Malformed(
                    "unknown parameter; known are text, login, name, email, mobile, department, \
                     connector, closed, after and max",
                ));
            }
        }
    }
    Ok(parsed)
}

fn person_json(person: &PersonRecord) -> Value {
    let seconds = |at: Option<Timestamp>| at.map(Timestamp::unix_s);
    json!({
        "login": person.login,
        "id": person.id,
        "name": person.name,
        "email": person.email,
        "mobile": person.mobile,
        "created_at": person.created_at.unix_s(),
        "seen_at": seconds(person.seen_at),
        "closed": person.closed,
        "closed_at": seconds(person.closed_at),
        "closed_by": person.closed_by,
        "closed_reason": person.closed_reason,
    })
}

fn identity_json(identity: &IdentityRecord) -> Value {
    let state = match identity.state {
        IdentityState::Known => "known",
        IdentityState::Expected => "expected",
        IdentityState::Gone => "gone",
    };
    let fields: Value = serde_json::from_str(&identity.fields).unwrap_or(Value::Null);
    let departments = identity
        .memberships
        .iter()
        .map(|membership| json!({ "id": membership.department, "leads": membership.leads }));
    json!({
        "connector": identity.connector,
        "subject": identity.subject,
        "state": state,
        "used_at": identity.used_at.map(Timestamp::unix_s),
        "fields": fields,
        "departments": departments.collect::<Vec<_>>(),
        "tags": identity.tags,
    })
}

fn change_json(change: &AccountChange) -> Value {
    json!({
        "at": change.at.unix_s(),
        "by": change.by,
        "what": change.kind.as_str(),
        "detail": change.detail,
    })
}
