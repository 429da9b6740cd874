//! Reads the messages inside deliveries: changes of members and departments;
//! <https://open.dingtalk.com/document/orgapp/address-book-events>.

use serde_json::{Map, Value};

use super::super::super::DirectoryChange;
use super::super::api::number;
use super::super::member;

/// The most people or departments of one event.
const IDS_MAX: usize = 2_000;

/// Why an authentic message cannot be read.
#[derive(Debug, thiserror::Error)]
pub(super) enum MessageError {
    #[error("it is no JSON object")]
    Json,
    #[error("it lacks {0}")]
    Missing(&'static str),
    #[error("it has more than {IDS_MAX} ids")]
    TooMany,
    #[error("its UserId has no userid")]
    InvalidUserid,
    #[error("it is about another organisation than `corp_id`")]
    OtherOrganisation,
}

/// The changes that a message reports; none for all other messages. Fields of members are not taken over:
/// DingTalk is asked.
pub(super) fn read(message: &[u8], corp_id: &str) -> Result<Vec<DirectoryChange>, MessageError> {
    let message: Map<String, Value> =
        serde_json::from_slice(message).map_err(|_| MessageError::Json)?;
    let kind = field(&message, "EventType").and_then(Value::as_str);
    let kind = kind.ok_or(MessageError::Missing("EventType"))?;
    let change: fn(_) -> DirectoryChange = match kind {
        "user_leave_org" => DirectoryChange::PersonDeleted,
        "user_modify_org" | "user_active_org" => DirectoryChange::PersonUpdated,
        "user_add_org" => DirectoryChange::PersonAdded,
        "org_dept_create" | "org_dept_modify" | "org_dept_remove" => {
            require_organisation(&message, corp_id)?;
            return departments(&message);
        }
        _ => return Ok(Vec::new()),
    };
    require_organisation(&message, corp_id)?;
    let subject = |userid: &Value| {
        let userid = userid.as_str().filter(|userid| member::is_userid(userid));
        let subject = userid.and_then(|userid| member::subject(corp_id, userid).ok());
        subject.ok_or(MessageError::InvalidUserid)
    };
    let userids = ids(&message, "UserId")?.into_iter();
    userids.map(|userid| subject(userid).map(change)).collect()
}

fn require_organisation(message: &Map<String, Value>, corp_id: &str) -> Result<(), MessageError> {
    let organisation = field(message, "CorpId").and_then(Value::as_str);
    match organisation {
        Some(other) if other != corp_id => Err(MessageError::OtherOrganisation),
        Some(_) | None => Ok(()),
    }
}

fn departments(message: &Map<String, Value>) -> Result<Vec<DirectoryChange>, MessageError> {
    let ids = ids(message, "DeptId")?.into_iter();
    let ids = ids.map(|id| number(id).map(|id| id.to_string()));
    Ok(ids.map(DirectoryChange::Department).collect())
}

/// A list, or its only element.
fn ids<'a>(
    message: &'a Map<String, Value>,
    name: &'static str,
) -> Result<Vec<&'a Value>, MessageError> {
    let ids: Vec<_> = match field(message, name) {
        Some(Value::Array(ids)) => ids.iter().collect(),
        Some(one @ (Value::String(_) | Value::Number(_))) => vec![one],
        _ => return Err(MessageError::Missing(name)),
    };
    if ids.len() > IDS_MAX {
        return Err(MessageError::TooMany);
    }
    Ok(ids)
}

/// A member of a message. Newer events begin their names in lower case.
fn field<'a>(message: &'a Map<String, Value>, name: &str) -> Option<&'a Value> {
    let mut members = message.iter();
    let found = members.find(|(key, _)| key.eq_ignore_ascii_case(name));
    found.map(|(_, value)| value)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn changes(message: &Value) -> Result<Vec<DirectoryChange>, MessageError> {
        read(message.to_string().as_bytes(), "dingA")
    }

    fn subject(userid: &str) -> crate::store::Subject {
        member::subject("dingA", userid).unwrap()
    }

    #[test]
    fn every_person_of_an_event_is_a_change() {
        for (kind, expected) in [
            (
                "user_leave_org",
                DirectoryChange::PersonDeleted as fn(_) -> _,
            ),
            (
                "user_modify_org",
                DirectoryChange::PersonUpdated as fn(_) -> _,
            ),
            (
                "user_active_org",
                DirectoryChange::PersonUpdated as fn(_) -> _,
            ),
            ("user_add_org", DirectoryChange::PersonAdded as fn(_) -> _),
        ] {
            let message = json!({
                "EventType": kind, "CorpId": "dingA", "UserId": ["a", "b"], "TimeStamp": "1",
            });
            let expected = ["a", "b"].map(|userid| expected(subject(userid)));
            assert_eq!(changes(&message).unwrap(), expected, "{kind}");
            let newer = json!({ "eventType": kind, "userId": ["a", "b"], "timeStamp": 1 });
            assert_eq!(changes(&newer).unwrap(), expected, "{kind}");
        }
    }

    #[test]
    fn every_department_of_an_event_is_a_change() {
        for kind in ["org_dept_create", "org_dept_modify", "org_dept_remove"] {
            let message = json!({ "EventType": kind, "DeptId": [2, "3"] });
            let expected = ["2", "3"].map(|id| DirectoryChange::Department(Some(id.to_owned())));
            assert_eq!(changes(&message).unwrap(), expected, "{kind}");
        }
    }

    #[test]
    fn other_events_change_nothing() {
        for kind in [
            "check_url",
            "org_admin_add",
            "org_change",
            "bpms_task_change",
            "",
        ] {
            let message = json!({ "EventType": kind, "CorpId": "dingB" });
            assert_eq!(changes(&message).unwrap(), [], "{kind}");
        }
    }

    #[test]
    fn malformed_messages_and_those_of_others_are_refused() {
        for message in [
            json!({}),
            json!([]),
            json!({ "EventType": 1 }),
            json!({ "EventType": "user_leave_org" }),
            json!({ "EventType": "user_leave_org", "UserId": [1] }),
            json!({ "EventType": "user_leave_org", "UserId": [""] }),
            json!({ "EventType": "user_leave_org", "UserId": {} }),
            json!({ "EventType": "org_dept_modify" }),
            json!({ "EventType": "user_leave_org", "UserId": ["a"], "CorpId": "dingB" }),
            json!({ "EventType": "org_dept_modify", "DeptId": [1], "CorpId": "dinga" }),
            json!({ "EventType": "user_leave_org", "UserId": vec!["a"; IDS_MAX + 1] }),
        ] {
            assert!(changes(&message).is_err(), "{message}");
        }
        assert!(read(b"{", "dingA").is_err() && read(b"\xff", "dingA").is_err());
    }
}
