//! `user.in_department(DEPARTMENT)` and `user.leads(DEPARTMENT)`.
//!
//! A department is written as its id at the source, or as its path from the root, such as
//! `总公司/研发中心/平台部`. The root may be left out: `研发中心/平台部`. No other name may be left out, so that
//! a department of the same name elsewhere in the tree does not match.

use cel::ExecutionError;
use cel::common::types::{CelBool, CelList, CelString};
use cel::common::value::{CowVal, Val};

use super::budget;

/// The names of the fields of `user` that the functions read.
const PATHS: &str = "department_paths";
const IDS: &str = "department_ids";
const ID_PATHS: &str = "department_id_paths";
const LED_IDS: &str = "led_department_ids";

type CallResult<'b, 'v> = Result<CowVal<'b, 'v>, ExecutionError>;

/// Whether the person belongs to the department or to one below it.
pub(super) fn in_department<'b, 'v>(arguments: Vec<CowVal<'b, 'v>>) -> CallResult<'b, 'v> {
    let function = "in_department";
    let (user, department) = arguments_of(&arguments, function)?;
    let ids = texts(user, IDS)?;
    let by_id = ids.contains(&department)
        || texts(user, ID_PATHS)?
            .iter()
            .any(|path| path.split('/').any(|id| id == department));
    let belongs = by_id
        || (!is_only_id(department, &ids)
            && texts(user, PATHS)?
                .iter()
                .any(|path| is_below(path, department)));
    answer(function, belongs)
}

/// Whether the person leads this very department.
pub(super) fn leads<'b, 'v>(arguments: Vec<CowVal<'b, 'v>>) -> CallResult<'b, 'v> {
    let function = "leads";
    let (user, department) = arguments_of(&arguments, function)?;
    let led = texts(user, LED_IDS)?;
    let (ids, paths) = (texts(user, IDS)?, texts(user, PATHS)?);
    let by_id = led.contains(&department);
    // The paths are in the order of the ids.
    let leads_path = |department: &str| {
        let mut departments = ids.iter().zip(&paths);
        departments.any(|(id, path)| led.contains(id) && is_same(path, department))
    };
    let leads = by_id || (!is_only_id(department, &ids) && leads_path(department));
    answer(function, leads)
}

/// A number names a department by its id where the source has ids, so that a department whose name is a
/// number does not match.
fn is_only_id(department: &str, ids: &[&str]) -> bool {
    !ids.is_empty() && department.bytes().all(|byte| byte.is_ascii_digit())
}

fn is_same(path: &str, department: &str) -> bool {
    path == department || below_root(path) == Some(department)
}

/// Whether `path` is the path of the department or of one below it.
fn is_below(path: &str, department: &str) -> bool {
    let within = |path: &str| {
        path.strip_prefix(department)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    };
    !department.is_empty() && (within(path) || below_root(path).is_some_and(within))
}

fn below_root(path: &str) -> Option<&str> {
    path.split_once('/').map(|(_, rest)| rest)
}

fn arguments_of<'a, 'v>(
    arguments: &'a [CowVal<'_, 'v>],
    function: &'static str,
) -> Result<(&'a (dyn Val + 'v), &'a str), ExecutionError> {
    if let [user, department] = arguments
        && let Some(department) = department.downcast_ref::<CelString>()
    {
        return Ok((user.as_ref(), department.inner()));
    }
    Err(ExecutionError::function_error(
        function,
        "not a user and a department",
    ))
}

/// A field of `user` that is a list of texts; empty if there is no such field.
fn texts<'a, 'v>(user: &'a (dyn Val + 'v), field: &str) -> Result<Vec<&'a str>, ExecutionError> {
    let Some(CowVal::Borrowed(list)) = user
        .as_indexer()
        .and_then(|fields| fields.get(&CelString::from(field)).ok())
    else {
        return Ok(Vec::new());
    };
    let Some(list) = list.downcast_ref::<CelList>() else {
        return Ok(Vec::new());
    };
    let mut texts = Vec::with_capacity(list.inner().len());
    for item in list.inner() {
        let Some(text) = item.downcast_ref::<CelString>() else {
            continue;
        };
        if !budget::charge_read(text.inner()) {
            return Err(ExecutionError::function_error(
                "reading departments",
                "too much work",
            ));
        }
        texts.push(text.inner());
    }
    Ok(texts)
}

fn answer<'b, 'v>(function: &'static str, holds: bool) -> CallResult<'b, 'v> {
    match budget::charge(1) {
        true => Ok(CowVal::owned(CelBool::from(holds))),
        false => Err(ExecutionError::function_error(function, "too much work")),
    }
}
