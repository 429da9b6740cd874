//! Turns WeCom's responses into a profile: checks the membership, and selects the verified fields.

use serde_json::{Value, json};

use super::super::{ConnectorError, RefusalReason, SourceRefusal};
use super::api::{CodeOwner, ResponseObject, number};
use super::departments::DepartmentTree;
use super::tags::MemberTags;
use crate::outbound::OutboundError;
use crate::people::profile::Profile;
use crate::store::{IdError, LinkField, Subject};

/// The status of an active member (已激活).
pub(super) const ACTIVE: i64 = 1;

/// The longest accepted userid, in bytes.
const USERID_BYTES_MAX: usize = 64;

/// The userid of the member to whom a code belongs. Refuses external contacts, personal WeChat
/// accounts and members of linked corporations (`CorpId/userid`).
pub(super) fn userid(code_owner: &CodeOwner, corp_id: &str) -> Result<String, ConnectorError> {
    let not_member = |message: &str| not_a_member(code_owner.call, message);
    let Some(userid) = &code_owner.userid else {
        return Err(not_member("the code belongs to nobody in the corporation"));
    };
    if userid.contains('/') {
        return Err(not_member(
            "the code belongs to a member of a linked corporation",
        ));
    }
    let owner_corp_id = code_owner.corp_id.as_deref();
    if owner_corp_id.is_some_and(|owner| !owner.eq_ignore_ascii_case(corp_id)) {
        return Err(not_member(
            "the code belongs to a member of another corporation",
        ));
    }
    if !is_userid(userid) {
        return Err(malformed(code_owner.call, "a userid"));
    }
    Ok(userid.clone())
}

/// Whether a text can be the userid of a member of this corporation.
pub(super) fn is_userid(text: &str) -> bool {
    let fits = (1..=USERID_BYTES_MAX).contains(&text.len());
    fits && !text.contains('/') && !text.chars().any(char::is_control)
}

/// The subject of a member. WeCom compares userids without regard to case.
pub(super) fn subject(corp_id: &str, userid: &str) -> Result<Subject, IdError> {
    Subject::try_from(format!("{corp_id}:{userid}").to_ascii_lowercase())
}

/// Refuses a member who is disabled, not activated or gone, and a response about another member.
pub(super) fn require_active(member: &ResponseObject, userid: &str) -> Result<(), ConnectorError> {
    let call = "user/get";
    if !is_same_userid(member, userid) {
        return Err(malformed(call, "the requested userid"));
    }
    let status = member.get("status").and_then(number);
    if status == Some(ACTIVE) {
        return Ok(());
    }
    let message = match status {
        Some(2) => "the member is disabled (已禁用)",
        Some(4) => "the member has not activated their account (未激活)",
        Some(5) => "the member has left the corporation (退出企业)",
        Some(_) => "the member has an unknown status",
        None => "the member has no status",
    };
    let source = SourceRefusal {
        call,
        code: status.unwrap_or(0),
        message: message.to_owned(),
    };
    Err(ConnectorError::Refused {
        why: RefusalReason::Inactive,
        source,
    })
}

/// Adds the fields that the member agreed to share. Empty fields do not replace known values.
pub(super) fn add_shared_fields(
    member: &mut ResponseObject,
    shared: ResponseObject,
) -> Result<(), ConnectorError> {
    let userid = member
        .get("userid")
        .and_then(Value::as_str)
        .unwrap_or_default();
    if shared.contains_key("userid") && !is_same_userid(&shared, userid) {
        return Err(malformed(
            "getuserdetail",
            "the userid of the member who agreed",
        ));
    }
    let added = shared
        .into_iter()
        .filter(|(name, value)| name != "userid" && !value.is_null() && value.as_str() != Some(""));
    member.extend(added);
    Ok(())
}

/// The IDs of the departments to which the member belongs directly.
pub(super) fn department_ids(member: &ResponseObject) -> Vec<i64> {
    let departments = member.get("department").and_then(Value::as_array);
    let ids = departments.into_iter().flatten();
    ids.filter_map(number).collect()
}

/// Adds names, paths and IDs of the member's direct departments, which of them have no known path, and
/// which the member leads.
pub(super) fn add_departments(member: &mut ResponseObject, tree: &DepartmentTree) {
    let ids = department_ids(member);
    let led = led_departments(member);
    for (name, value) in tree.members_of(&ids) {
        member.insert(name.to_owned(), value);
    }
    member.insert("led_department_ids".to_owned(), json!(led));
}

/// Adds the names of the member's tags.
pub(super) fn add_tags(member: &mut ResponseObject, tags: &MemberTags, tree: &DepartmentTree) {
    let userid = member.get("userid").and_then(Value::as_str);
    let departments = department_ids(member);
    let names = tags.of(userid.unwrap_or_default(), &departments, tree);
    member.insert("tags".to_owned(), json!(names));
}

/// The departments that the member leads: `is_leader_in_dept` has a 1 at their index in `department`.
fn led_departments(member: &ResponseObject) -> Vec<i64> {
    let list = |name| member.get(name).and_then(Value::as_array);
    let departments = list("department").into_iter().flatten();
    let leader_flags = list("is_leader_in_dept").into_iter().flatten();
    let led = departments
        .zip(leader_flags)
        .filter_map(|(department, flag)| {
            let is_leader = number(flag) == Some(1);
            number(department).filter(|_| is_leader)
        });
    led.collect()
}

/// The profile. Only fields that the corporation sets are verified; members can edit `email`.
pub(super) fn profile(corp_id: &str, member: ResponseObject) -> Result<Profile, ConnectorError> {
    let userid = member
        .get("userid")
        .and_then(Value::as_str)
        .unwrap_or_default();
    let subject = subject(corp_id, userid).map_err(|_| malformed("user/get", "a userid"))?;
    let verified_fields = [
        (LinkField::Mobile, "mobile"),
        (LinkField::Email, "biz_mail"),
    ];
    let verified_fields = verified_fields.into_iter().filter_map(|(field, name)| {
        let value = member.get(name)?.as_str()?.trim();
        (!value.is_empty()).then(|| (field, value.to_owned()))
    });
    let verified_fields = verified_fields.collect();
    Ok(Profile {
        verified_fields,
        ..Profile::of(subject, Value::Object(member))
    })
}

/// Whether the response has this userid. WeCom compares userids without regard to case.
fn is_same_userid(response: &ResponseObject, userid: &str) -> bool {
    let found = response.get("userid").and_then(Value::as_str);
    found.is_some_and(|found| found.eq_ignore_ascii_case(userid))
}

fn not_a_member(call: &'static str, message: &str) -> ConnectorError {
    let source = SourceRefusal {
        call,
        code: 0,
        message: message.to_owned(),
    };
    ConnectorError::Refused {
        why: RefusalReason::NotMember,
        source,
    }
}

fn malformed(call: &'static str, missing: &'static str) -> ConnectorError {
    ConnectorError::NoUsableResponse(OutboundError::Incomplete { call, missing })
}

#[cfg(test)]
mod tests {
    use super::super::departments;
    use super::*;

    fn response(value: Value) -> ResponseObject {
        value.as_object().unwrap().clone()
    }

    fn code_owner(userid: Option<&str>, corp_id: Option<&str>) -> CodeOwner {
        let owned = |text: &str| text.to_owned();
        let (userid, corp_id) = (userid.map(owned), corp_id.map(owned));
        CodeOwner {
            call: "auth/getuserinfo",
            userid,
            user_ticket: None,
            corp_id,
        }
    }

    fn reason_of(error: ConnectorError) -> RefusalReason {
        match error {
            ConnectorError::Refused { why, .. } => why,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn only_members_of_this_corporation_are_accepted() {
        let members = [
            code_owner(Some("ZhangSan"), None),
            code_owner(Some("ZhangSan"), Some("WW1")),
        ];
        for code_owner in members {
            assert_eq!(userid(&code_owner, "ww1").unwrap(), "ZhangSan");
        }
        let strangers = [
            code_owner(None, None),
            code_owner(Some("ww2/lisi"), None),
            code_owner(Some("ZhangSan"), Some("ww2")),
        ];
        for code_owner in strangers {
            assert_eq!(
                reason_of(userid(&code_owner, "ww1").unwrap_err()),
                RefusalReason::NotMember
            );
        }
        let long = code_owner(Some(&"x".repeat(65)), None);
        assert!(matches!(
            userid(&long, "ww1"),
            Err(ConnectorError::NoUsableResponse(_))
        ));
    }

    #[test]
    fn only_active_members_are_accepted() {
        let member = |status: Value| response(json!({ "userid": "ZhangSan", "status": status }));
        for good in [json!(1), json!("1")] {
            assert!(require_active(&member(good), "zhangsan").is_ok());
        }
        for bad in [
            json!(2),
            json!("2"),
            json!(4),
            json!(5),
            json!(0),
            Value::Null,
        ] {
            let error = require_active(&member(bad), "zhangsan").unwrap_err();
            assert_eq!(reason_of(error), RefusalReason::Inactive);
        }
        let checked = require_active(&member(json!(1)), "lisi");
        assert!(matches!(checked, Err(ConnectorError::NoUsableResponse(_))));
    }

    #[test]
    fn shared_fields_are_added_and_empty_ones_replace_nothing() {
        let mut member = response(json!({ "userid": "ZhangSan", "name": "张三", "mobile": "1" }));
        let shared =
            json!({ "userid": "zhangsan", "mobile": "", "biz_mail": "z@c", "avatar": null });
        add_shared_fields(&mut member, response(shared)).unwrap();
        let expected =
            json!({ "userid": "ZhangSan", "name": "张三", "mobile": "1", "biz_mail": "z@c" });
        assert_eq!(Value::Object(member.clone()), expected);
        assert!(
            add_shared_fields(
                &mut member,
                response(json!({ "userid": "lisi", "mobile": "2" }))
            )
            .is_err()
        );
        assert_eq!(member["mobile"], "1");
    }

    #[test]
    fn departments_are_named_with_their_paths() {
        let tree = departments::read(&[
            json!({ "id": 1, "name": "总公司", "parentid": 0 }),
            json!({ "id": 2, "name": "研发", "parentid": 1 }),
        ]);
        let mut member = response(json!({ "department": [2, "9"], "is_leader_in_dept": ["1", 0] }));
        add_departments(&mut member, &tree);
        assert_eq!(member["department_names"], json!(["研发", "9"]));
        assert_eq!(member["department_paths"], json!(["总公司/研发", "9"]));
        assert_eq!(member["department_ids"], json!([2, 9]));
        assert_eq!(member["department_id_paths"], json!(["1/2", "9"]));
        assert_eq!(member["led_department_ids"], json!([2]));
        assert_eq!(member["departments_without_path"], json!([9]));
        let mut none = ResponseObject::new();
        add_departments(&mut none, &tree);
        assert_eq!(none["department_ids"], json!([]));
        assert_eq!(none["led_department_ids"], json!([]));
    }

    #[test]
    fn the_identity_ignores_case_and_the_e_mail_address_that_members_edit() {
        let member = response(json!({
            "userid": "ZhangSan", "mobile": "13800000000", "email": "own@home", "biz_mail": "",
        }));
        let profile = profile("WWabc", member).unwrap();
        assert_eq!(profile.subject.as_str(), "wwabc:zhangsan");
        assert_eq!(profile.raw["userid"], "ZhangSan");
        assert_eq!(
            profile.verified_fields,
            [(LinkField::Mobile, "13800000000".to_owned())]
        );
    }
}
