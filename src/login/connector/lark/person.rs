//! Turns Lark's responses into a profile: checks tenant and status, and adds departments.

use serde_json::{Value, json};

use super::super::{ConnectorError, RefusalReason, SourceRefusal};
use super::api::Object;
use super::config::is_identifier;
use super::departments::DepartmentTree;
use crate::outbound::OutboundError;
use crate::people::profile::Profile;
use crate::store::{IdError, Subject};
use crate::text;
use crate::wording::Text;

/// The permission without which the contact API sends no status.
const STATUS_PERMISSION: &str = "contact:user.employee:readonly";

const CONTACT_CALL: &str = "contact/users";

/// Whether a person may sign in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Status {
    Active,
    /// Frozen, gone, or not there yet; the text says which.
    Inactive(&'static str),
    /// Lark sent none.
    Missing,
}

/// The union_id of a person whose token was used. Refuses people of other tenants.
pub(super) fn union_id_of(info: &Object, tenant: &str) -> Result<String, ConnectorError> {
    let call = "authen/user_info";
    let found = text(info, "tenant_key").ok_or_else(|| malformed(call, "`tenant_key`"))?;
    if found != tenant {
        let shown = match is_identifier(found) {
            true => found,
            false => "a tenant with an invalid key",
        };
        return Err(ConnectorError::Refused {
            why: RefusalReason::NotMember,
            source: SourceRefusal {
                call,
                code: 0,
                message: format!(
                    "the person belongs to the tenant {shown}, and this connector lets in that of {tenant}"
                ),
            },
        });
    }
    let union_id = text(info, "union_id").filter(|id| is_identifier(id));
    let union_id = union_id.ok_or_else(|| malformed(call, "`union_id`"))?;
    Ok(union_id.to_owned())
}

/// The subject of a person.
pub(super) fn subject(tenant: &str, union_id: &str) -> Result<Subject, IdError> {
    Subject::try_from(format!("{tenant}:{union_id}"))
}

/// Refuses a person who is not active, and a response about another person.
pub(super) fn require_active(found: &Object, union_id: &str) -> Result<(), ConnectorError> {
    if text(found, "union_id") != Some(union_id) {
        return Err(malformed(CONTACT_CALL, "the requested union_id"));
    }
    match status(found) {
        Status::Active => Ok(()),
        Status::Inactive(why) => Err(ConnectorError::Refused {
            why: RefusalReason::Inactive,
            source: fault(why),
        }),
        Status::Missing => Err(ConnectorError::Misconfigured {
            remedy: status_remedy(),
            source: fault("Lark sent no status of the person"),
        }),
    }
}

/// What to do if Lark sends no status.
pub(super) fn status_remedy() -> Text {
    text!(
        "give the application the permission {STATUS_PERMISSION} (权限管理, Permissions & Scopes), and \
         publish a version",
        "请给应用加上权限 {STATUS_PERMISSION}（权限管理），并发布版本"
    )
}

/// The status that Lark sends with a person.
pub(super) fn status(found: &Object) -> Status {
    let Some(status) = found.get("status").and_then(Value::as_object) else {
        return Status::Missing;
    };
    let is = |name: &str| status.get(name).and_then(Value::as_bool) == Some(true);
    let reasons = [
        (
            "is_resigned",
            "the person has left the organisation (已离职)",
        ),
        (
            "is_exited",
            "the person has quit the organisation (主动退出)",
        ),
        ("is_frozen", "the person's account is frozen (暂停使用)"),
    ];
    let reason = reasons.iter().find(|(name, _)| is(name));
    match reason {
        Some((_, why)) => Status::Inactive(why),
        None if is("is_activated") => Status::Active,
        None if status.contains_key("is_activated") => {
            Status::Inactive("the person has not joined yet (未激活)")
        }
        None => Status::Missing,
    }
}

/// The IDs of the departments to which a person belongs directly.
pub(super) fn department_ids(found: &Object) -> Vec<String> {
    let ids = found.get("department_ids").and_then(Value::as_array);
    let ids = ids.into_iter().flatten().filter_map(Value::as_str);
    let ids = ids.filter(|id| is_identifier(id));
    ids.map(str::to_owned).collect()
}

/// Adds to a person of the contact API the names of departments, and the members that `user_info` has.
pub(super) fn complete(found: &mut Object, union_id: &str, tree: &DepartmentTree) {
    let ids = department_ids(found);
    let added = tree.members_of(&ids);
    found.extend(added.map(|(name, value)| (name.to_owned(), value)));
    let led = json!(tree.led_by(union_id));
    found.insert("led_department_ids".to_owned(), led);
    let avatar = found.get("avatar").and_then(Value::as_object).cloned();
    for (name, size) in [
        ("avatar_url", "avatar_72"),
        ("avatar_thumb", "avatar_72"),
        ("avatar_middle", "avatar_240"),
        ("avatar_big", "avatar_640"),
    ] {
        if let Some(url) = avatar.as_ref().and_then(|avatar| avatar.get(size)) {
            found.insert(name.to_owned(), url.clone());
        }
    }
}

/// The profile. Lark vouches for no field: people can have numbers and addresses that nobody verified.
pub(super) fn profile(
    tenant: &str,
    union_id: &str,
    mut person: Object,
) -> Result<Profile, ConnectorError> {
    let subject = subject(tenant, union_id);
    let subject = subject.map_err(|_| malformed(CONTACT_CALL, "a union_id"))?;
    person.insert("tenant_key".to_owned(), Value::from(tenant));
    Ok(Profile::of(subject, Value::Object(person)))
}

/// A text that is not empty.
pub(super) fn text<'a>(fields: &'a Object, name: &str) -> Option<&'a str> {
    let text = fields.get(name).and_then(Value::as_str);
    text.filter(|text| !text.is_empty())
}

fn fault(message: &str) -> SourceRefusal {
    SourceRefusal::fault(CONTACT_CALL, message)
}

fn malformed(call: &'static str, missing: &'static str) -> ConnectorError {
    ConnectorError::NoUsableResponse(OutboundError::Incomplete { call, missing })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn object(value: Value) -> Object {
        value.as_object().unwrap().clone()
    }

    #[test]
    fn only_people_of_the_tenant_are_accepted() {
        let info = |tenant: &str, union_id: &str| {
            object(json!({ "tenant_key": tenant, "union_id": union_id, "open_id": "ou_1" }))
        };
        assert_eq!(union_id_of(&info("t1", "on_1"), "t1").unwrap(), "on_1");
        for tenant in ["t2", "T1", "t1 ", "<script>"] {
            let error = union_id_of(&info(tenant, "on_1"), "t1").unwrap_err();
            let ConnectorError::Refused { why, source } = error else {
                panic!("{tenant}")
            };
            assert_eq!(why, RefusalReason::NotMember, "{tenant}");
            assert!(!source.message.contains('<'), "{}", source.message);
        }
        for (tenant, union_id) in [("", "on_1"), ("t1", ""), ("t1", "a:b"), ("t1", "on 1")] {
            let error = union_id_of(&info(tenant, union_id), "t1").unwrap_err();
            assert!(matches!(error, ConnectorError::NoUsableResponse(_)));
        }
    }

    #[test]
    fn only_somebody_who_joined_and_neither_left_nor_is_frozen_is_active() {
        let status = |value: Value| status(&object(json!({ "status": value })));
        let all = |frozen: bool, resigned: bool, exited: bool, activated: bool| {
            status(json!({
                "is_frozen": frozen, "is_resigned": resigned, "is_exited": exited,
                "is_activated": activated, "is_unjoin": false,
            }))
        };
        assert_eq!(all(false, false, false, true), Status::Active);
        for (flags, word) in [
            ([true, false, false, true], "暂停"),
            ([false, true, false, true], "离职"),
            ([false, false, true, true], "退出"),
            ([true, true, false, false], "离职"),
            ([false, false, false, false], "未激活"),
        ] {
            let [frozen, resigned, exited, activated] = flags;
            let Status::Inactive(why) = all(frozen, resigned, exited, activated) else {
                panic!("{flags:?}")
            };
            assert!(why.contains(word), "{flags:?}: {why}");
        }
        for unknown in [
            json!({}),
            json!(null),
            json!([]),
            json!({ "is_frozen": false }),
        ] {
            assert_eq!(status(unknown.clone()), Status::Missing, "{unknown}");
        }
        assert_eq!(super::status(&Object::new()), Status::Missing);
    }

    #[test]
    fn no_field_is_vouched_for() {
        let person = object(json!({ "mobile": "+8613800000000", "enterprise_email": "a@b.c" }));
        let profile = profile("t1", "on_1", person).unwrap();
        assert_eq!(profile.subject.as_str(), "t1:on_1");
        assert_eq!(profile.verified_fields, []);
        assert_eq!(profile.raw["tenant_key"], "t1");
    }
}
