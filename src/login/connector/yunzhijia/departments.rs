//! The departments of the team.

use std::collections::{BTreeSet, HashMap};

use serde_json::Value;

use super::super::kit::department_cache::DepartmentCache;
use super::super::kit::department_tree::{self, DEPARTMENTS_MAX, TreeDepartment, read_list};
use super::api::{Api, GET_DEPARTMENTS, PAGE_SIZE, ResponseObject};
use super::errors::ApiError;
use super::person::text;
use crate::outbound::OutboundError;

/// All departments that the application may see.
pub(super) type DepartmentTree = department_tree::DepartmentTree<String>;

/// Those of the last listing.
pub(super) type Departments = DepartmentCache<String>;

/// The most departments above all listed ones that are asked for. There is one, the team itself.
const TOPMOST_MAX: usize = 20;

/// Reads all departments, and the one above them: the list does not have the team itself.
pub(super) async fn load(api: &Api) -> Result<DepartmentTree, ApiError> {
    let mut departments = listed(api).await?;
    for id in parents_beyond(&departments) {
        match api.department(&id).await {
            Ok(Some(found)) => {
                departments.insert(id, department(&found));
            }
            Ok(None) | Err(ApiError::Refused { .. }) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(DepartmentTree::of(departments))
}

async fn listed(api: &Api) -> Result<HashMap<String, TreeDepartment<String>>, ApiError> {
    let mut all = HashMap::new();
    let mut begin = 0;
    loop {
        let page = api.departments(begin).await?;
        let (page_len, known) = (page.len(), all.len());
        all.extend(read_list(&page, read));
        if page_len < PAGE_SIZE {
            return Ok(all);
        }
        if all.len() > DEPARTMENTS_MAX {
            tracing::warn!("more than {DEPARTMENTS_MAX} departments: the others are not read");
            return Ok(all);
        }
        if all.len() == known {
            let missing = "an end of its pages";
            let call = GET_DEPARTMENTS;
            return Err(OutboundError::Incomplete { call, missing }.into());
        }
        begin += page_len;
    }
}

/// The parents that are not among the departments.
fn parents_beyond(departments: &HashMap<String, TreeDepartment<String>>) -> Vec<String> {
    let parents = departments.values().filter_map(|one| one.parent.clone());
    let beyond: BTreeSet<_> = parents
        .filter(|parent| !departments.contains_key(parent))
        .collect();
    beyond.into_iter().take(TOPMOST_MAX).collect()
}

fn read(one: &Value) -> Option<(String, TreeDepartment<String>)> {
    let one = one.as_object()?;
    Some((text(one.get("orgId")?)?, department(one)))
}

fn department(one: &ResponseObject) -> TreeDepartment<String> {
    let name = one.get("name").and_then(Value::as_str);
    let parent = one.get("parentId").and_then(text);
    let mut department = TreeDepartment::named(name, parent);
    let leaders = one.get("inChargers").and_then(Value::as_array);
    let leaders = leaders.into_iter().flatten();
    let leaders = leaders.filter_map(|leader| text(leader.get("openId")?));
    department.leaders.extend(leaders);
    department
}
