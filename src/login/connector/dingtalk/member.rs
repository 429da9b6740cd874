//! Turns DingTalk's answers into a profile: checks the membership, and selects the verified fields.

use serde_json::{Value, json};

use super::super::kit::department_tree::DepartmentTree;
use super::super::{ConnectorError, RefusalReason, SourceRefusal};
use super::api::{ResponseObject, UnionMember, number};
use crate::outbound::OutboundError;
use crate::people::directory_sync::ListedStatus;
use crate::people::profile::Profile;
use crate::store::{IdError, LinkField, Subject};

/// The type of a contact who is a member.
const INTERNAL: i64 = 0;

/// The country code of China.
const CHINA: &str = "86";

/// The longest accepted userid, in bytes.
const USERID_BYTES_MAX: usize = 64;

/// The call that returns the fields of a member.
const GET: &str = "topapi/v2/user/get";

/// The userid of the member with a unionId. Refuses external contacts.
pub(super) fn internal_userid(found: UnionMember) -> Result<String, ConnectorError> {
    let UnionMember {
        userid,
        contact_type,
    } = found;
    if contact_type != INTERNAL {
        let message = "the person is an external contact (外部联系人)";
        return Err(not_a_member("topapi/user/getbyunionid", message));
    }
    Ok(userid)
}

/// Whether a text can be the userid of a member.
pub(super) fn is_userid(text: &str) -> bool {
    (1..=USERID_BYTES_MAX).contains(&text.len()) && !text.chars().any(char::is_control)
}

pub(super) fn subject(corp_id: &str, userid: &str) -> Result<Subject, IdError> {
    Subject::try_from(format!("{corp_id}:{userid}"))
}

/// Refuses a member who is not active, and an answer about another member.
pub(super) fn require_active(member: &ResponseObject, userid: &str) -> Result<(), ConnectorError> {
    let found = member.get("userid").and_then(Value::as_str);
    if found != Some(userid) {
        return Err(incomplete("the requested userid"));
    }
    let message = match status(member) {
        ListedStatus::Active => return Ok(()),
        ListedStatus::Inactive(message) | ListedStatus::Unclear(message) => message,
    };
    let source = SourceRefusal::fault(GET, &message);
    let why = RefusalReason::Inactive;
    Err(ConnectorError::Refused { why, source })
}

/// Whether a member may sign in.
pub(super) fn status(member: &ResponseObject) -> ListedStatus {
    match member.get("active") {
        Some(Value::Bool(true)) => ListedStatus::Active,
        Some(Value::Bool(false)) => {
            ListedStatus::Inactive("the member is not active at DingTalk (未激活)".to_owned())
        }
        _ => ListedStatus::Unclear("DingTalk does not say whether the member is active".to_owned()),
    }
}

/// The IDs of the departments to which the member belongs directly.
pub(super) fn department_ids(member: &ResponseObject) -> Vec<i64> {
    let departments = member.get("dept_id_list").and_then(Value::as_array);
    let ids = departments.into_iter().flatten();
    ids.filter_map(number).collect()
}

/// Adds names, paths and IDs of the member's direct departments, which of them have no known path, and
/// `union_id`.
pub(super) fn add_departments(member: &mut ResponseObject, tree: &DepartmentTree<i64>) {
    let ids = department_ids(member);
    for (name, value) in tree.members_of(&ids) {
        member.insert(name.to_owned(), value);
    }
    // The tree of one person does not tell whether another hidden department has the same name, so the names
    // below a hidden one are no path.
    let is_known = |id: &i64| tree.has_path(id) && tree.reaches_root(id);
    let without_path: Vec<_> = ids.iter().filter(|id| !is_known(id)).collect();
    member.insert("departments_without_path".to_owned(), json!(without_path));
    let union_id = member.get("unionid").cloned().unwrap_or(Value::Null);
    member.insert("union_id".to_owned(), union_id);
}

/// The profile. Only fields that the organisation sets are verified; members can edit `email`.
pub(super) fn profile(corp_id: &str, member: ResponseObject) -> Result<Profile, ConnectorError> {
    let userid = member.get("userid").and_then(Value::as_str);
    let userid = userid.filter(|userid| is_userid(userid));
    let userid = userid.ok_or_else(|| incomplete("a userid"))?;
    let subject = subject(corp_id, userid).map_err(|_| incomplete("a userid"))?;
    let email = text(&member, "org_email").map(|email| (LinkField::Email, email.to_owned()));
    let mobile = mobile(&member).map(|mobile| (LinkField::Mobile, mobile));
    Ok(Profile {
        verified_fields: mobile.into_iter().chain(email).collect(),
        ..Profile::of(subject, Value::Object(member))
    })
}

/// The mobile number with its country code, which DingTalk sends apart. A number without one is of China.
fn mobile(member: &ResponseObject) -> Option<String> {
    let mobile = text(member, "mobile")?;
    let code = match member.get("state_code") {
        None | Some(Value::Null) => return Some(mobile.to_owned()),
        Some(Value::Number(code)) => code.to_string(),
        Some(Value::String(code)) => code.trim().trim_start_matches('+').to_owned(),
        Some(Value::Bool(_) | Value::Array(_) | Value::Object(_)) => return None,
    };
    match code.as_str() {
        "" | CHINA => Some(mobile.to_owned()),
        code if !code.bytes().all(|byte| byte.is_ascii_digit()) => None,
        _ if mobile.starts_with('+') => Some(mobile.to_owned()),
        code => Some(format!("+{code}{mobile}")),
    }
}

/// A text that is not empty.
fn text<'a>(member: &'a ResponseObject, name: &str) -> Option<&'a str> {
    let text = member.get(name)?.as_str()?.trim();
    Some(text).filter(|text| !text.is_empty())
}

/// The refusal of a person who does not belong to the organisation.
pub(super) fn not_a_member(call: &'static str, message: &str) -> ConnectorError {
    ConnectorError::Refused {
        why: RefusalReason::NotMember,
        source: SourceRefusal::fault(call, message),
    }
}

fn incomplete(missing: &'static str) -> ConnectorError {
    ConnectorError::NoUsableResponse(OutboundError::Incomplete { call: GET, missing })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn object(value: Value) -> ResponseObject {
        value.as_object().unwrap().clone()
    }

    #[test]
    fn only_internal_members_are_accepted() {
        let found = |contact_type| UnionMember {
            userid: "zhangsan".to_owned(),
            contact_type,
        };
        assert_eq!(internal_userid(found(0)).unwrap(), "zhangsan");
        for contact_type in [1, 2, -1] {
            let error = internal_userid(found(contact_type)).unwrap_err();
            let ConnectorError::Refused { why, .. } = error else {
                panic!("{error:?}")
            };
            assert_eq!(why, RefusalReason::NotMember);
        }
    }

    #[test]
    fn only_the_requested_active_member_is_accepted() {
        let member = |active: Value| object(json!({ "userid": "zhangsan", "active": active }));
        assert!(require_active(&member(json!(true)), "zhangsan").is_ok());
        for bad in [json!(false), json!("true"), json!(1), Value::Null] {
            let error = require_active(&member(bad.clone()), "zhangsan").unwrap_err();
            let ConnectorError::Refused { why, .. } = error else {
                panic!("{bad}: {error:?}")
            };
            assert_eq!(why, RefusalReason::Inactive);
        }
        for other in ["lisi", "Zhangsan", ""] {
            let checked = require_active(&member(json!(true)), other);
            assert!(matches!(checked, Err(ConnectorError::NoUsableResponse(_))));
        }
    }

    #[test]
    fn departments_below_a_hidden_one_have_names_and_no_path() {
        let tree = DepartmentTree::read_as(
            &[
                json!({ "dept_id": 1, "name": "总公司" }),
                json!({ "dept_id": 2, "name": "研发", "parent_id": 1 }),
                json!({ "dept_id": 7, "name": "外派", "parent_id": 6 }),
            ],
            ["dept_id", "name", "parent_id"],
        );
        let mut member = object(json!({ "dept_id_list": [2, 7, "9"], "unionid": "u1" }));
        add_departments(&mut member, &tree);
        assert_eq!(member["department_names"], json!(["研发", "外派", "9"]));
        assert_eq!(
            member["department_paths"],
            json!(["总公司/研发", "外派", "9"])
        );
        assert_eq!(member["department_ids"], json!([2, 7, 9]));
        assert_eq!(member["departments_without_path"], json!([7, 9]));
        assert_eq!(member["union_id"], "u1");
    }

    #[test]
    fn the_identity_is_the_userid_and_only_fields_of_the_organisation_are_verified() {
        let member = object(json!({
            "userid": "ZhangSan", "mobile": " 13800000000", "email": "own@home", "org_email": "",
        }));
        let profile = profile("dingA", member).unwrap();
        assert_eq!(profile.subject.as_str(), "dingA:ZhangSan");
        assert_eq!(
            profile.verified_fields,
            [(LinkField::Mobile, "13800000000".to_owned())]
        );
        for odd in [
            json!({}),
            json!({ "userid": "a\nb" }),
            json!({ "userid": "x".repeat(65) }),
        ] {
            assert!(super::profile("dingA", object(odd)).is_err());
        }
    }

    #[test]
    fn a_number_of_another_country_is_verified_with_its_code() {
        let verified = |state_code: Value, mobile: &str| {
            let member = json!({ "userid": "a", "mobile": mobile, "state_code": state_code });
            let fields = profile("dingA", object(member)).unwrap().verified_fields;
            fields.into_iter().next().map(|(_, value)| value)
        };
        for (state_code, mobile, expected) in [
            (json!("86"), "13800000000", Some("13800000000")),
            (json!("+86"), "13800000000", Some("13800000000")),
            (json!(86), "13800000000", Some("13800000000")),
            (json!(null), "13800000000", Some("13800000000")),
            (json!(""), "13800000000", Some("13800000000")),
            (json!("1"), "3800000000", Some("+13800000000")),
            (json!(852), "51234567", Some("+85251234567")),
            (json!("+852"), "+85251234567", Some("+85251234567")),
            (json!("1-684"), "13800000000", None),
            (json!("US"), "13800000000", None),
            (json!(-1), "13800000000", None),
            (json!([86]), "13800000000", None),
            (json!("1"), " ", None),
        ] {
            let found = verified(state_code.clone(), mobile);
            assert_eq!(found.as_deref(), expected, "{state_code} {mobile}");
        }
    }
}
