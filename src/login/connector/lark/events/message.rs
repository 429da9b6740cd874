//! Reads the messages inside events: changes of people and departments;
//! <https://open.feishu.cn/document/server-docs/contact-v3/user/events/deleted>.

use serde_json::{Map, Value};

use super::super::super::DirectoryChange;
use super::super::config::is_identifier;
use super::super::person;
use crate::store::Subject;

/// The states of a person who has left. A frozen account may be used again later.
const GONE: [&str; 2] = ["is_resigned", "is_exited"];

/// The header of an event (version 2.0).
pub(super) struct EventHeader<'a> {
    pub(super) event_id: Option<&'a str>,
    pub(super) token: Option<&'a str>,
    pub(super) app_id: Option<&'a str>,
    event_type: Option<&'a str>,
    tenant_key: Option<&'a str>,
}

/// Why an authentic event cannot be read.
#[derive(Debug, thiserror::Error)]
pub(super) enum MessageError {
    #[error("its {0} is missing or malformed")]
    Missing(&'static str),
}

impl<'a> EventHeader<'a> {
    /// The header of a message; every field is absent in an event of version 1.
    pub(super) fn of(message: &'a Map<String, Value>) -> Self {
        let header = message.get("header");
        let text = |name: &str| header?.get(name)?.as_str();
        Self {
            event_id: text("event_id"),
            token: text("token"),
            app_id: text("app_id"),
            event_type: text("event_type"),
            tenant_key: text("tenant_key"),
        }
    }
}

/// The change that an event reports; `None` for all other events, and for those of other tenants.
pub(super) fn read(
    header: &EventHeader<'_>,
    message: &Map<String, Value>,
    tenant: Option<&str>,
) -> Result<Option<DirectoryChange>, MessageError> {
    let Some(kind) = header.event_type else {
        return Ok(None);
    };
    let object = message.get("event").and_then(|event| event.get("object"));
    let id = |name: &str| {
        let id = object.and_then(|object| object.get(name)?.as_str());
        id.filter(|id| is_identifier(id))
    };
    let of = header.tenant_key.filter(|key| is_identifier(key));
    let of = of.ok_or(MessageError::Missing("tenant_key"));
    // An application of several tenants gets the events of all.
    if let (Ok(of), Some(tenant)) = (&of, tenant)
        && *of != tenant
    {
        return Ok(None);
    }
    let subject = || -> Result<Subject, MessageError> {
        let missing = MessageError::Missing("union_id");
        let union_id = id("union_id");
        match (union_id, of) {
            (Some(union_id), Ok(of)) => person::subject(of, union_id).map_err(|_| missing),
            (_, Err(error)) => Err(error),
            (None, _) => Err(missing),
        }
    };
    let has_gone = || {
        let status = object.and_then(|object| object.get("status"));
        let is =
            |name: &str| status.and_then(|status| status.get(name)) == Some(&Value::Bool(true));
        GONE.iter().any(|name| is(name))
    };
    Ok(match kind {
        "contact.user.deleted_v3" => Some(DirectoryChange::PersonDeleted(subject()?)),
        // Lark reports somebody who leaves by a changed status as well.
        "contact.user.updated_v3" if has_gone() => Some(DirectoryChange::PersonDeleted(subject()?)),
        "contact.user.updated_v3" => Some(DirectoryChange::PersonUpdated(subject()?)),
        "contact.user.created_v3" => Some(DirectoryChange::PersonAdded(subject()?)),
        "contact.department.created_v3"
        | "contact.department.updated_v3"
        | "contact.department.deleted_v3" => {
            let id = id("open_department_id").map(str::to_owned);
            Some(DirectoryChange::Department(id))
        }
        "contact.scope.updated_v3" => Some(DirectoryChange::Department(None)),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn change(
        kind: &str,
        tenant_key: &str,
        object: Value,
    ) -> Result<Option<DirectoryChange>, MessageError> {
        let message = json!({
            "schema": "2.0",
            "header": { "event_id": "e1", "event_type": kind, "tenant_key": tenant_key },
            "event": { "object": object },
        });
        let message = message.as_object().unwrap();
        read(&EventHeader::of(message), message, Some("t1"))
    }

    #[test]
    fn changes_of_people_and_departments_are_read() {
        let person =
            |status: Value| json!({ "union_id": "on_1", "open_id": "ou_1", "status": status });
        let subject: Subject = "t1:on_1".parse().unwrap();
        let deleted = DirectoryChange::PersonDeleted(subject.clone());
        let updated = DirectoryChange::PersonUpdated(subject.clone());
        for (kind, object, expected) in [
            (
                "contact.user.deleted_v3",
                person(json!(null)),
                deleted.clone(),
            ),
            (
                "contact.user.updated_v3",
                person(json!({ "is_resigned": true })),
                deleted.clone(),
            ),
            (
                "contact.user.updated_v3",
                person(json!({ "is_exited": true })),
                deleted,
            ),
            (
                "contact.user.updated_v3",
                person(json!({ "is_frozen": true })),
                updated.clone(),
            ),
            (
                "contact.user.updated_v3",
                person(json!({ "is_resigned": false })),
                updated,
            ),
            (
                "contact.user.created_v3",
                person(json!({})),
                DirectoryChange::PersonAdded(subject),
            ),
            (
                "contact.department.updated_v3",
                json!({ "open_department_id": "od-1" }),
                DirectoryChange::Department(Some("od-1".to_owned())),
            ),
            (
                "contact.department.deleted_v3",
                json!({ "open_department_id": "../od-1" }),
                DirectoryChange::Department(None),
            ),
            (
                "contact.scope.updated_v3",
                json!({}),
                DirectoryChange::Department(None),
            ),
        ] {
            let read = change(kind, "t1", object.clone()).unwrap();
            assert_eq!(read, Some(expected), "{kind} {object}");
        }
    }

    #[test]
    fn events_of_other_tenants_and_other_kinds_change_nothing() {
        let person = json!({ "union_id": "on_1" });
        for (kind, tenant) in [
            ("contact.user.deleted_v3", "t2"),
            ("contact.department.updated_v3", "t2"),
            ("im.message.receive_v1", "t1"),
            ("", "t1"),
        ] {
            assert_eq!(
                change(kind, tenant, person.clone()).unwrap(),
                None,
                "{kind}"
            );
        }
        let first_version = json!({ "type": "event_callback", "event": { "type": "user_leave" } });
        let first_version = first_version.as_object().unwrap();
        let header = EventHeader::of(first_version);
        assert_eq!(read(&header, first_version, None).unwrap(), None);
    }

    #[test]
    fn an_event_without_its_person_cannot_be_read() {
        for object in [
            json!({}),
            json!({ "union_id": "a:b" }),
            json!({ "union_id": 7 }),
            json!(null),
        ] {
            for kind in ["deleted", "updated", "created"] {
                let kind = format!("contact.user.{kind}_v3");
                assert!(
                    change(&kind, "t1", object.clone()).is_err(),
                    "{kind} {object}"
                );
            }
        }
        assert!(change("contact.user.deleted_v3", "", json!({ "union_id": "on_1" })).is_err());
    }
}
