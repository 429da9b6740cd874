//! The contact API, `/open-apis/contact/v3/*`.

use serde_json::{Value, json};

use super::api::{ApiRequest, success};
use super::errors::{ApiFailure, failure};
use super::people::{Department, Permission, Person, TENANT_KEY, open_id, union_id};
use super::state::State;

const ROOT: &str = "0";

/// The most entries of a page; more are refused.
const PAGE_MAX: usize = 50;

type Answer = Result<Value, ApiFailure>;

/// Responds to a request; `None` for an unknown path.
pub(super) fn answer(state: &State, request: &ApiRequest<'_>, path: &str) -> Option<Answer> {
    let parts: Vec<_> = path.split('/').collect();
    let respond = || match parts.as_slice() {
        ["users", "batch"] => users(state, request),
        ["users", "find_by_department"] => members(state, request),
        ["users", id] => user(state, request, id),
        ["departments", id] => department(state, id),
        ["departments", id, "children"] => children(state, request, id),
        ["scopes"] => scopes(state, request),
        _ => Err(failure(0)),
    };
    let is_known = matches!(
        parts.as_slice(),
        ["users", _] | ["departments", _] | ["departments", _, "children"] | ["scopes"]
    );
    is_known.then(|| {
        request.authorize(state, Permission::Contacts)?;
        respond()
    })
}

/// Whether the application sees a department: all, or those of its range with all below them.
fn sees_department(state: &State, id: &str) -> bool {
    let Some((departments, _)) = &state.range else {
        return true;
    };
    let mut at = id;
    for _ in 0..32 {
        if departments.iter().any(|one| one == at) {
            return true;
        }
        match state.departments.iter().find(|one| one.id == at) {
            Some(department) => at = &department.parent,
            None => return false,
        }
    }
    false
}

fn sees_person(state: &State, person: &Person) -> bool {
    let Some((_, people)) = &state.range else {
        return person.tenant_key == TENANT_KEY;
    };
    person.tenant_key == TENANT_KEY
        && (people.contains(&person.user_id)
            || person
                .departments
                .iter()
                .any(|id| sees_department(state, id)))
}

fn to_json(state: &State, person: &Person) -> Value {
    person.contact(|permission| state.has(permission))
}

/// Whether an ID of the requested type names a person.
fn is_named(request: &ApiRequest<'_>, person: &Person, id: &str) -> bool {
    match request.param("user_id_type") {
        Some("union_id") => union_id(&person.user_id) == id,
        Some("user_id") => person.user_id == id,
        _ => open_id(&person.user_id) == id,
    }
}

fn user(state: &State, request: &ApiRequest<'_>, id: &str) -> Answer {
    let found = state.people.iter().find(|one| is_named(request, one, id));
    let person = found.ok_or_else(|| failure(state.unknown_person_code))?;
    match sees_person(state, person) {
        true => Ok(success(json!({ "user": to_json(state, person) }))),
        false => Err(failure(41050)),
    }
}

fn users(state: &State, request: &ApiRequest<'_>) -> Answer {
    let ids = request.query.iter().filter(|(name, _)| name == "user_ids");
    let ids: Vec<_> = ids.map(|(_, id)| id).collect();
    if ids.is_empty() || ids.len() > PAGE_MAX {
        return Err(failure(40001));
    }
    let people = state.people.iter().filter(|one| sees_person(state, one));
    let asked = people.filter(|one| ids.iter().any(|id| is_named(request, one, id)));
    let items: Vec<_> = asked.map(|one| to_json(state, one)).collect();
    Ok(success(json!({ "items": items })))
}

fn members(state: &State, request: &ApiRequest<'_>) -> Answer {
    let id = request
        .param("department_id")
        .ok_or_else(|| failure(40001))?;
    if !sees_department(state, id) || (id == ROOT && state.range.is_some()) {
        return Err(failure(40004));
    }
    let people = state.people.iter().filter(|one| {
        one.tenant_key == TENANT_KEY
            && !one.is_resigned
            && one.departments.iter().any(|it| it == id)
    });
    let all: Vec<_> = people.map(|one| to_json(state, one)).collect();
    page(request, all)
}

fn department(state: &State, id: &str) -> Answer {
    if !sees_department(state, id) {
        return Err(failure(40004));
    }
    if id == ROOT {
        let root = json!({ "name": "示例公司", "open_department_id": ROOT, "department_id": ROOT,
                           "parent_department_id": ROOT, "status": { "is_deleted": false } });
        return Ok(success(json!({ "department": root })));
    }
    let found = state.departments.iter().find(|one| one.id == id);
    let department = found.ok_or_else(|| failure(40004))?;
    Ok(success(json!({ "department": department.to_json() })))
}

fn children(state: &State, request: &ApiRequest<'_>, id: &str) -> Answer {
    if !sees_department(state, id) || (id == ROOT && state.range.is_some()) {
        return Err(failure(40004));
    }
    // The SDK for Python writes `True`.
    let fetch_child = request.param("fetch_child");
    let is_recursive = fetch_child.is_some_and(|value| value.eq_ignore_ascii_case("true"));
    let is_below = |department: &Department| {
        let mut at = department.parent.as_str();
        for _ in 0..32 {
            if at == id {
                return true;
            }
            match state.departments.iter().find(|one| one.id == at) {
                Some(parent) if is_recursive => at = &parent.parent,
                _ => return false,
            }
        }
        false
    };
    let below = state.departments.iter().filter(|one| is_below(one));
    page(request, below.map(Department::to_json).collect())
}

fn scopes(state: &State, request: &ApiRequest<'_>) -> Answer {
    let (departments, people) = match &state.range {
        Some((departments, people)) => (departments.clone(), people.clone()),
        None => {
            let tops = state.departments.iter().filter(|one| one.parent == ROOT);
            let at_root = state.people.iter().filter(|one| one.departments == [ROOT]);
            (
                tops.map(|one| one.id.clone()).collect(),
                at_root.map(|one| one.user_id.clone()).collect(),
            )
        }
    };
    let ids = people
        .iter()
        .map(|user_id| match request.param("user_id_type") {
            Some("union_id") => union_id(user_id),
            _ => open_id(user_id),
        });
    let ids: Vec<_> = ids.collect();
    Ok(success(json!({
        "department_ids": departments, "user_ids": ids, "group_ids": [], "has_more": false,
    })))
}

/// The page of a list that a request asks for. The token of a page is the number of entries before it.
fn page(request: &ApiRequest<'_>, all: Vec<Value>) -> Answer {
    let size = request.param("page_size").map_or(Ok(10), str::parse);
    let size = size.ok().filter(|size| (1..=PAGE_MAX).contains(size));
    let size = size.ok_or_else(|| failure(40011))?;
    let from = match request.param("page_token") {
        None => 0,
        Some(token) => token.parse().map_err(|_| failure(40012))?,
    };
    let count = all.len();
    let items: Vec<_> = all.into_iter().skip(from).take(size).collect();
    let end = from + items.len();
    let mut data = json!({ "has_more": end < count, "page_token": "" });
    if end < count {
        data["page_token"] = json!(end.to_string());
    }
    // Like Lark, an empty list is absent.
    if !items.is_empty() {
        data["items"] = json!(items);
    }
    Ok(success(data))
}
