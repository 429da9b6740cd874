//! `user.in_department(DEPARTMENT)` and `user.leads(DEPARTMENT)`.
//!
//! A department is written as its ID at the source, or as its path from the root, such as
//! `总公司/研发中心/平台部`. The root may be left out: `研发中心/平台部`. No other name may be left out, so that
//! a department of the same name elsewhere in the tree does not match. An ID with its connector, such as
//! `corp:5`, does not match the department 5 of another connector.
//!
//! If the answer depends on names that are not known, there is none: the evaluation fails, and an error
//! denies. Otherwise `!user.in_department('外包')` would let in people of whom menshen knows only IDs.

use cel::ExecutionError;
use cel::common::types::{CelBool, CelList, CelString};
use cel::common::value::{CowVal, Val};

use super::budget;

/// The field of `user` that replaces `department_paths` if some of them are not known. Those are empty texts.
pub const KNOWN_DEPARTMENT_PATHS: &str = "@known_department_paths";

/// The message of the error about names that are not known.
pub(super) const UNKNOWN_NAMES: &str = "the names of the person's departments are not known";

/// The names of the fields of `user` that the functions read.
const CONNECTOR: &str = "connector";
const PATHS: &str = "department_paths";
const IDS: &str = "department_ids";
const ID_PATHS: &str = "department_id_paths";
const LED_IDS: &str = "led_department_ids";

type CallResult<'b, 'v> = Result<CowVal<'b, 'v>, ExecutionError>;

/// How a rule names a department.
enum Named<'a> {
    ById(&'a str),
    ByIdOrPath(&'a str),
    /// A department of another connector.
    Elsewhere,
}

/// Whether the person belongs to the department or to one below it.
pub(super) fn in_department<'b, 'v>(arguments: Vec<CowVal<'b, 'v>>) -> CallResult<'b, 'v> {
    let function = "in_department";
    let (user, department) = arguments_of(&arguments, function)?;
    let ids = texts(user, IDS)?;
    let (id, path) = match named(user, department, &ids)? {
        Named::Elsewhere => return answer(function, false),
        Named::ById(id) => (id, None),
        Named::ByIdOrPath(name) => (name, Some(name)),
    };
    if ids.contains(&id) {
        return answer(function, true);
    }
    let id_paths = texts(user, ID_PATHS)?;
    let is_within = |path: &&str| path.split('/').any(|above| above == id);
    let belongs = id_paths.iter().any(is_within)
        || match path {
            Some(path) => Paths::of(user, &ids, &id_paths)?.any(|one| one.is_below(path))?,
            None => false,
        };
    answer(function, belongs)
}

/// Whether the person leads this very department.
pub(super) fn leads<'b, 'v>(arguments: Vec<CowVal<'b, 'v>>) -> CallResult<'b, 'v> {
    let function = "leads";
    let (user, department) = arguments_of(&arguments, function)?;
    let led = texts(user, LED_IDS)?;
    let ids = texts(user, IDS)?;
    let (id, path) = match named(user, department, &ids)? {
        Named::Elsewhere => return answer(function, false),
        Named::ById(id) => (id, None),
        Named::ByIdOrPath(name) => (name, Some(name)),
    };
    let leads = led.contains(&id)
        || match path.filter(|_| !led.is_empty()) {
            Some(path) => {
                let id_paths = texts(user, ID_PATHS)?;
                let is_led = |at: usize| ids.get(at).is_some_and(|id| led.contains(id));
                Paths::of(user, &ids, &id_paths)?.any(|one| match is_led(one.at) {
                    true => one.is_same(path),
                    false => Match::No,
                })?
            }
            None => false,
        };
    answer(function, leads)
}

/// What the text of a rule means. A number is an ID where the source has IDs, so that a department whose
/// name is a number does not match; the same holds for a number behind the ID of a connector.
fn named<'d>(
    user: &dyn Val,
    department: &'d str,
    ids: &[&str],
) -> Result<Named<'d>, ExecutionError> {
    let is_number = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if let Some((connector, id)) = department.split_once(':') {
        if is_connector(user, connector)? {
            return Ok(Named::ById(id));
        }
        if is_number(id) {
            return Ok(Named::Elsewhere);
        }
    }
    Ok(match !ids.is_empty() && is_number(department) {
        true => Named::ById(department),
        false => Named::ByIdOrPath(department),
    })
}

/// Whether a path is the department that a rule names.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Match {
    Yes,
    No,
    /// It depends on names that are not known.
    Unknown,
}

/// One path of a person.
struct PathAt<'a> {
    at: usize,
    /// Empty: not known.
    path: &'a str,
    /// Whether the path begins at the root; otherwise above its first name are departments that the
    /// source hides.
    is_from_root: bool,
}

impl PathAt<'_> {
    /// Whether the path is that of the department or of one below it.
    fn is_below(&self, department: &str) -> Match {
        self.compare(department, |path, department| {
            path.strip_prefix(department)
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        })
    }

    fn is_same(&self, department: &str) -> Match {
        self.compare(department, |path, department| path == department)
    }

    fn compare(&self, department: &str, matches: impl Fn(&str, &str) -> bool) -> Match {
        if department.is_empty() {
            return Match::No;
        }
        if self.path.is_empty() {
            return Match::Unknown;
        }
        let below_root = self.is_from_root.then(|| below_first(self.path)).flatten();
        if matches(self.path, department)
            || below_root.is_some_and(|path| matches(path, department))
        {
            return Match::Yes;
        }
        // The names that the rule has before its end may be those of the hidden departments.
        let mut rest = (!self.is_from_root).then_some(department);
        while let Some(end) = rest.and_then(below_first) {
            if matches(self.path, end) {
                return Match::Unknown;
            }
            rest = Some(end);
        }
        Match::No
    }
}

/// The paths of a person.
struct Paths<'a> {
    paths: Vec<&'a str>,
    ids: &'a [&'a str],
    id_paths: &'a [&'a str],
    /// Whether each path is known.
    is_complete: bool,
}

impl<'a> Paths<'a> {
    fn of(
        user: &'a dyn Val,
        ids: &'a [&'a str],
        id_paths: &'a [&'a str],
    ) -> Result<Self, ExecutionError> {
        let known = match list(user, PATHS) {
            Some(_) => None,
            None => list(user, KNOWN_DEPARTMENT_PATHS),
        };
        let is_complete = known.is_none();
        let field = if is_complete {
            PATHS
        } else {
            KNOWN_DEPARTMENT_PATHS
        };
        Ok(Self {
            paths: texts(user, field)?,
            ids,
            id_paths,
            is_complete,
        })
    }

    /// Whether a path matches; an error if none does and one of them may.
    fn any(&self, matches: impl Fn(&PathAt<'_>) -> Match) -> Result<bool, ExecutionError> {
        let levels = |path: &str| path.split('/').count();
        let mut is_unknown = !self.is_complete && self.paths.len() < self.ids.len();
        for (at, path) in self.paths.iter().enumerate() {
            let id_path = self.id_paths.get(at).copied().unwrap_or_default();
            let one = PathAt {
                at,
                path,
                is_from_root: levels(id_path) <= levels(path),
            };
            match matches(&one) {
                Match::Yes => return Ok(true),
                Match::Unknown => is_unknown = true,
                Match::No => {}
            }
        }
        match is_unknown {
            true => Err(ExecutionError::function_error(
                "in_department",
                UNKNOWN_NAMES,
            )),
            false => Ok(false),
        }
    }
}

/// What stands behind the first name of a path.
fn below_first(path: &str) -> Option<&str> {
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

/// Whether the person signed in through this connector.
fn is_connector(user: &dyn Val, connector: &str) -> Result<bool, ExecutionError> {
    let fields = user.as_indexer();
    let found = fields.and_then(|fields| fields.get(&CelString::from(CONNECTOR)).ok());
    let found = found
        .as_ref()
        .and_then(|own| own.downcast_ref::<CelString>());
    match found.is_none_or(|own| budget::charge_read(own.inner())) {
        true => Ok(found.is_some_and(|own| own.inner() == connector)),
        false => Err(too_much_work()),
    }
}

/// A field of `user` that is a list of texts; empty if there is no such field.
fn texts<'a, 'v>(user: &'a (dyn Val + 'v), field: &str) -> Result<Vec<&'a str>, ExecutionError> {
    let Some(list) = list(user, field) else {
        return Ok(Vec::new());
    };
    let mut texts = Vec::with_capacity(list.inner().len());
    for item in list.inner() {
        let Some(text) = item.downcast_ref::<CelString>() else {
            continue;
        };
        if !budget::charge_read(text.inner()) {
            return Err(too_much_work());
        }
        texts.push(text.inner());
    }
    Ok(texts)
}

fn list<'a, 'v>(user: &'a (dyn Val + 'v), field: &str) -> Option<&'a CelList<'v>> {
    let fields = user.as_indexer()?;
    match fields.get(&CelString::from(field)).ok()? {
        CowVal::Borrowed(list) => list.downcast_ref::<CelList>(),
        CowVal::Owned(_) => None,
    }
}

fn too_much_work() -> ExecutionError {
    ExecutionError::function_error("reading departments", "too much work")
}

fn answer<'b, 'v>(function: &'static str, holds: bool) -> CallResult<'b, 'v> {
    match budget::charge(1) {
        true => Ok(CowVal::owned(CelBool::from(holds))),
        false => Err(ExecutionError::function_error(function, "too much work")),
    }
}
