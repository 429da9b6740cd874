//! The contacts, `/gateway/opendata-control/data/*`: forms in, and pages of departments and people out. They need
//! a token with the scope `app`.

use serde_json::{Value, json};

use super::api::refusal;
use super::people::{Department, EID, Person};
use super::state::State;

pub(super) const PREFIX: &str = "/gateway/opendata-control/data/";

/// The most entries of one page, and their number if the request does not say it.
const PAGE_MAX: usize = 1000;

/// Responds to a call; `None` for an unknown one. `scope` is that of its token, if the token is valid.
pub(super) fn answer(
    state: &State,
    call: &str,
    scope: Option<&str>,
    form: &Value,
) -> Option<Value> {
    let call = call.strip_prefix(PREFIX)?;
    let known = ["getallorgs", "getorg", "getorgpersons", "getperson"];
    if !known.contains(&call) {
        return None;
    }
    Some(match scope {
        None => refusal(1201, "accessToken无效"),
        Some("app") if form["eid"] == EID => found(state, call, form),
        Some("app") => refusal(1301, "企业未授权"),
        Some(_) => refusal(10_000_401, "认证失败，授权级别须为app"),
    })
}

fn found(state: &State, call: &str, form: &Value) -> Value {
    let text = |name: &str| form[name].as_str().unwrap_or_default();
    let Some((begin, count)) = range(form) else {
        return refusal(1302, "count不能大于1000");
    };
    match call {
        "getallorgs" => {
            let listed = state
                .departments
                .iter()
                .filter(|one| !one.parent.is_empty());
            let page = listed.skip(begin).take(count);
            success(&page.map(|one| department(state, one)).collect())
        }
        "getorg" => match state.departments.iter().find(|one| one.id == text("orgId")) {
            Some(one) => success(&department(state, one)),
            None => refusal(1303, "部门不存在"),
        },
        "getorgpersons" => {
            if !state.departments.iter().any(|one| one.id == text("orgId")) {
                return refusal(1303, "部门不存在");
            }
            let team = state.people.iter().filter(|one| one.eid == EID);
            let members = team.filter(|one| !one.has_left && one.org == text("orgId"));
            let members: Value = members
                .skip(begin)
                .take(count)
                .map(|one| person(state, one))
                .collect();
            success(&json!({ "inChargers": [], "members": members }))
        }
        _ => {
            let is_asked = |one: &&Person| one.openid == text("openId") && one.eid == EID;
            let found = state.people.iter().find(is_asked);
            success(&found.into_iter().map(|one| person(state, one)).collect())
        }
    }
}

/// How many entries are left out, and the most that follow; `None` if a page would be too long.
fn range(form: &Value) -> Option<(usize, usize)> {
    let number = |name: &str| form[name].as_str().and_then(|text| text.parse().ok());
    let count = number("count").unwrap_or(PAGE_MAX);
    (count <= PAGE_MAX).then(|| (number("begin").unwrap_or(0), count))
}

fn department(state: &State, department: &Department) -> Value {
    let leader = state
        .people
        .iter()
        .find(|one| one.openid == department.leader);
    json!({
        "name": department.name, "orgId": department.id, "parentId": department.parent,
        "inChargers": leader.into_iter().map(|one| person(state, one)).collect::<Value>(),
    })
}

fn person(state: &State, person: &Person) -> Value {
    let department = state.departments.iter().find(|one| one.id == person.org);
    json!({
        "openId": person.openid, "name": person.name, "orgId": person.org,
        "department": department.map_or("", |one| one.name.as_str()), "jobNo": person.job_no,
        "jobTitle": person.title, "gender": "0", "isAdmin": "0", "globalId": "g-1",
        "photoUrl": "https://static.yunzhijia.example/photo",
        "status": if person.has_left { "0" } else { "1" },
    })
}

/// A response of the contacts: the code of a success is 100 here.
fn success(data: &Value) -> Value {
    json!({ "success": true, "error": null, "errorCode": 100, "data": data })
}
