//! The person of a ticket or of the contacts: checks that the response is about this team and application, and
//! reads the profile.

use serde_json::{Value, json};

use super::super::kit::number::number;
use super::super::{ConnectorError, RefusalReason, SourceRefusal, brought};
use super::api::{ACQUIRE_CONTEXT, GET_PERSON, ResponseObject};
use super::departments::DepartmentTree;
use crate::outbound::OutboundError;
use crate::people::directory_sync::ListedStatus;
use crate::people::profile::Profile;
use crate::store::{IdError, Subject};

/// What is known about somebody whom the contacts do not have.
pub(super) const ABSENT: &str = "the team has nobody with this openid";

/// The longest accepted openid, in bytes. Those of Yunzhijia have 24.
const OPENID_BYTES_MAX: usize = 128;

/// The profile of a response. Yunzhijia vouches for no field.
pub(super) fn profile(
    app_id: &str,
    eid: &str,
    mut data: ResponseObject,
) -> Result<Profile, ConnectorError> {
    // An empty field is an absent one, so that the mapping can ask for it with `has`.
    data.retain(|_, value| !is_blank(value));
    if let Some(found) = data.get("appid")
        && text(found).as_deref() != Some(app_id)
    {
        let why = "the ticket was issued for another application";
        return Err(ConnectorError::InvalidResponse(SourceRefusal::fault(
            brought::CALLBACK,
            why,
        )));
    }
    let found = data.get("eid").and_then(text);
    match found {
        Some(found) if found == eid => {}
        Some(_) => {
            return Err(ConnectorError::Refused {
                why: RefusalReason::NotMember,
                source: fault("the person is in another team (eid) than the configured one"),
            });
        }
        None => return Err(invalid("the answer has no `eid`")),
    }
    let openid = data.get("openid").and_then(text);
    let openid = openid.ok_or_else(|| invalid("the answer has no `openid`"))?;
    let subject = subject(eid, &openid);
    let subject = subject.map_err(|_| invalid("`openid` is too long or malformed"))?;
    Ok(Profile::of(subject, Value::Object(data)))
}

/// The subject of a person.
pub(super) fn subject(eid: &str, openid: &str) -> Result<Subject, IdError> {
    Subject::try_from(format!("{eid}:{openid}"))
}

/// Whether a text can be an openid.
pub(super) fn is_openid(text: &str) -> bool {
    let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
    (1..=OPENID_BYTES_MAX).contains(&text.len()) && text.bytes().all(is_allowed)
}

/// Whether a person of the contacts may sign in.
pub(super) fn status(person: &ResponseObject) -> ListedStatus {
    match person.get("status").and_then(number) {
        Some(1) => ListedStatus::Active,
        Some(0) => ListedStatus::Inactive("left the team (离职)".to_owned()),
        Some(other) => ListedStatus::Unclear(format!("the unknown status {other}")),
        None => ListedStatus::Unclear("Yunzhijia sent no status".to_owned()),
    }
}

/// Refuses an answer about another person.
pub(super) fn require_requested(
    person: &ResponseObject,
    openid: &str,
) -> Result<(), ConnectorError> {
    if person.get("openId").and_then(text).as_deref() == Some(openid) {
        return Ok(());
    }
    let (call, missing) = (GET_PERSON, "the requested openId");
    Err(ConnectorError::NoUsableResponse(
        OutboundError::Incomplete { call, missing },
    ))
}

/// Refuses a person of the contacts who may not sign in.
pub(super) fn require_active(person: &ResponseObject) -> Result<(), ConnectorError> {
    match status(person) {
        ListedStatus::Active => Ok(()),
        ListedStatus::Inactive(message) | ListedStatus::Unclear(message) => {
            Err(ConnectorError::Refused {
                why: RefusalReason::Inactive,
                source: SourceRefusal::fault(GET_PERSON, &message),
            })
        }
    }
}

/// The IDs of the departments of a person of the contacts, who has at most one.
pub(super) fn department_ids(person: &ResponseObject) -> Vec<String> {
    let id = person.get("orgId").and_then(text);
    id.into_iter().collect()
}

/// Adds to the person of a ticket what the contacts have about them.
pub(super) fn add_contacts(
    data: &mut ResponseObject,
    person: ResponseObject,
    tree: &DepartmentTree,
) {
    let departments = tree.members_of(&department_ids(&person));
    let openid = data.get("openid").and_then(text).unwrap_or_default();
    let led = json!(tree.led_by(&openid));
    let known = person.into_iter().filter(|(_, value)| !is_blank(value));
    data.extend(known);
    data.extend(departments.map(|(name, value)| (name.to_owned(), value)));
    data.insert("led_department_ids".to_owned(), led);
}

/// The profile of a person of the contacts, with the members that a ticket brings except for the mobile
/// number.
pub(super) fn profile_of_contacts(
    eid: &str,
    person: ResponseObject,
    tree: &DepartmentTree,
) -> Result<Profile, ConnectorError> {
    let openid = person.get("openId").and_then(text);
    let openid = openid.filter(|openid| is_openid(openid));
    let Some(openid) = openid else {
        let (call, missing) = (GET_PERSON, "`openId`");
        let error = OutboundError::Incomplete { call, missing };
        return Err(ConnectorError::NoUsableResponse(error));
    };
    let name = person.get("name").cloned().unwrap_or_default();
    let mut data = ResponseObject::from_iter([
        ("eid".to_owned(), Value::from(eid)),
        ("openid".to_owned(), Value::from(openid)),
        ("username".to_owned(), name),
    ]);
    add_contacts(&mut data, person, tree);
    // The contacts name no application.
    profile("", eid, data)
}

/// A text that is not blank, or a whole number as text. Larger numbers were rounded when they were read.
pub(super) fn text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()).filter(|text| !text.trim().is_empty()),
        Value::Number(number) if number.is_i64() || number.is_u64() => Some(number.to_string()),
        Value::Number(_) | Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => {
            None
        }
    }
}

fn is_blank(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::String(text) => text.trim().is_empty(),
        Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => false,
    }
}

fn invalid(why: &str) -> ConnectorError {
    ConnectorError::InvalidResponse(fault(why))
}

fn fault(why: &str) -> SourceRefusal {
    SourceRefusal::fault(ACQUIRE_CONTEXT, why)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(data: &Value) -> Result<Profile, ConnectorError> {
        profile("500001", "17951708", data.as_object().unwrap().clone())
    }

    #[test]
    fn the_subject_is_team_and_openid_and_empty_fields_are_absent() {
        let found = read(&json!({
            "appid": "500001", "eid": "17951708", "openid": "5de5", "username": "张三", "jobNo": " ",
            "mobile": null,
        }));
        let found = found.unwrap();
        assert_eq!(found.subject.as_str(), "17951708:5de5");
        let expected = json!({
            "appid": "500001", "eid": "17951708", "openid": "5de5", "username": "张三",
        });
        assert_eq!(found.raw, expected);
        assert!(found.verified_fields.is_empty());
        let numbers = read(&json!({ "eid": 17951708, "openid": 7 })).unwrap();
        assert_eq!(numbers.subject.as_str(), "17951708:7");
    }

    #[test]
    fn another_team_another_application_and_nobody_are_refused() {
        for data in [
            json!({ "eid": "17951709", "openid": "5de5" }),
            json!({ "eid": "", "openid": "5de5" }),
            json!({ "openid": "5de5" }),
            json!({ "eid": ["17951708"], "openid": "5de5" }),
            json!({ "eid": "17951708" }),
            json!({ "eid": "17951708", "openid": "" }),
            json!({ "eid": "17951708", "openid": true }),
            json!({ "eid": "17951708", "openid": "5de5", "appid": "500002" }),
            json!({ "eid": "17951708", "openid": "5de5", "appid": ["500001"] }),
        ] {
            assert!(read(&data).is_err(), "{data}");
        }
        // Larger numbers are rounded, so that several people would have the same.
        for (openid, is_accepted) in [
            ("18446744073709551615", true),
            ("-9223372036854775808", true),
            ("18446744073709551616", false),
            ("1.5", false),
            ("1e3", false),
        ] {
            let data = format!("{{\"eid\": \"17951708\", \"openid\": {openid}}}");
            let found = read(&serde_json::from_str(&data).unwrap());
            assert_eq!(found.is_ok(), is_accepted, "{openid}");
        }
        let foreign = read(&json!({ "eid": "17951709", "openid": "5de5" }));
        assert!(matches!(
            foreign,
            Err(ConnectorError::Refused {
                why: RefusalReason::NotMember,
                ..
            })
        ));
    }

    fn contact(more: &Value) -> ResponseObject {
        let mut person = json!({
            "openId": "5de5", "name": "张三", "orgId": "d-2", "jobNo": "zhangsan", "status": "1",
            "jobTitle": "", "photoUrl": "https://x.example/1",
        });
        for (name, value) in more.as_object().unwrap() {
            person[name] = value.clone();
        }
        person.as_object().unwrap().clone()
    }

    #[test]
    fn a_person_of_the_contacts_has_the_subject_and_fields_of_a_login() {
        let tree = DepartmentTree::default();
        let found = profile_of_contacts("17951708", contact(&json!({})), &tree).unwrap();
        assert_eq!(found.subject.as_str(), "17951708:5de5");
        assert_eq!(found.raw["username"], "张三");
        assert_eq!(found.raw["jobNo"], "zhangsan");
        assert_eq!(found.raw["department_ids"], json!(["d-2"]));
        assert_eq!(found.raw.get("jobTitle"), None);
        for openid in [json!(""), json!(null), json!("a:b"), json!("a b")] {
            let odd = contact(&json!({ "openId": openid }));
            assert!(profile_of_contacts("17951708", odd, &tree).is_err());
        }
        let unassigned = contact(&json!({ "orgId": "" }));
        let found = profile_of_contacts("17951708", unassigned, &tree).unwrap();
        assert_eq!(found.raw["department_names"], json!([]));
    }

    #[test]
    fn only_a_clear_status_lets_a_person_in() {
        let status_of = |sent: Value| status(&contact(&json!({ "status": sent })));
        assert_eq!(status_of(json!("1")), ListedStatus::Active);
        assert_eq!(status_of(json!(1)), ListedStatus::Active);
        assert!(matches!(status_of(json!("0")), ListedStatus::Inactive(_)));
        for unclear in [json!("2"), json!(null), json!("yes"), json!({})] {
            let status = status_of(unclear.clone());
            assert!(matches!(status, ListedStatus::Unclear(_)), "{unclear}");
        }
    }
}
