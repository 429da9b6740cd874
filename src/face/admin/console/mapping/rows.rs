//! `Rows`: the fields of the mapping on the page.

use std::collections::BTreeMap;

use serde_json::Value;

use super::super::texts::Texts;
use super::Attempt;
use crate::people::profile::{FIXED_FIELDS, is_fixed_field};
use crate::site::settings::PreviewedField;

/// The predefined fields that are always shown; the others are folded away while they have no expression.
const USUAL_FIELDS: usize = 7;
/// About the characters that fit into a line of a control.
const LINE_CHARS: usize = 44;
/// The most lines of a control.
const LINES_MAX: usize = 8;

/// The fields, in the order of the page.
pub(super) struct Rows {
    /// The predefined fields that are mapped or usual.
    pub(super) fields: Vec<Row>,
    /// The other predefined fields.
    pub(super) unmapped: Vec<Row>,
    /// All others, which become `user.attributes`.
    pub(super) attributes: Vec<Row>,
}

/// A field.
pub(super) struct Row {
    pub(super) field: String,
    /// What it means; empty for one that its name explains.
    pub(super) meaning: &'static str,
    /// The expression of the kind; empty: none.
    pub(super) default: &'static str,
    /// The expression that replaces it; empty: none.
    pub(super) expression: String,
    /// The height of the control, in lines.
    pub(super) lines: usize,
    /// What somebody else saved meanwhile, if it differs.
    pub(super) saved: Option<String>,
    pub(super) shown: Shown,
}

/// What the mapping makes of the profile for a field.
pub(super) enum Shown {
    /// Nothing is mapped, or there is no profile.
    Nothing,
    /// The profile has no value for it.
    Absent,
    /// The items of a list, or one value.
    Values(Vec<String>),
    Problem(String),
}

impl Rows {
    pub(super) fn new(
        texts: &'static Texts,
        defaults: &[(&'static str, &'static str)],
        attempt: &Attempt,
        previewed: Vec<PreviewedField>,
    ) -> Self {
        let previewed = previewed.into_iter();
        let mut previewed: BTreeMap<_, _> = previewed.map(|it| (it.field, it.value)).collect();
        let mut row = |field: &str| {
            let default = defaults.iter().find(|(name, _)| *name == field);
            let default = default.map_or("", |(_, expression)| expression);
            let expression = attempt.mapping.get(field).cloned().unwrap_or_default();
            let longer = default.chars().count().max(expression.chars().count());
            let lines = longer.div_ceil(LINE_CHARS).max(expression.lines().count());
            let shown = match attempt.field_problems.get(field) {
                Some(problem) => Shown::Problem(problem.clone()),
                None => Shown::of(previewed.remove(field)),
            };
            let saved = attempt.saved.as_ref();
            let saved = saved.map(|saved| saved.get(field).cloned().unwrap_or_default());
            Row {
                field: field.to_owned(),
                meaning: meaning(texts, field),
                default,
                lines: lines.clamp(1, LINES_MAX),
                saved: saved.filter(|saved| *saved != expression),
                expression,
                shown,
            }
        };
        let fixed: Vec<_> = FIXED_FIELDS.iter().map(|field| row(field)).collect();
        let is_shown = |(index, row): &(usize, Row)| *index < USUAL_FIELDS || row.is_mapped();
        let (fields, unmapped) = fixed
            .into_iter()
            .enumerate()
            .partition::<Vec<_>, _>(is_shown);
        let without_index =
            |rows: Vec<(usize, Row)>| rows.into_iter().map(|(_, row)| row).collect();
        let saved = attempt.saved.iter().flat_map(BTreeMap::keys);
        let named = attempt.mapping.keys().chain(saved).map(String::as_str);
        let named = defaults.iter().map(|(field, _)| *field).chain(named);
        let mut attributes: Vec<_> = named.filter(|field| !is_fixed_field(field)).collect();
        let mut seen = std::collections::BTreeSet::new();
        attributes.retain(|field| seen.insert(*field));
        Self {
            fields: without_index(fields),
            unmapped: without_index(unmapped),
            attributes: attributes.into_iter().map(row).collect(),
        }
    }
}

impl Row {
    fn is_mapped(&self) -> bool {
        !self.default.is_empty() || !self.expression.is_empty() || self.saved.is_some()
    }

    pub(super) fn has_problem(&self) -> bool {
        matches!(self.shown, Shown::Problem(_))
    }
}

impl Shown {
    fn of(value: Option<Result<Value, String>>) -> Self {
        match value {
            None => Self::Nothing,
            Some(Err(problem)) => Self::Problem(problem),
            Some(Ok(Value::Array(items))) => Self::Values(items.iter().filter_map(text).collect()),
            Some(Ok(value)) => Self::Values(text(&value).into_iter().collect()),
        }
        .or_absent()
    }

    fn or_absent(self) -> Self {
        match self {
            Self::Values(values) if values.is_empty() => Self::Absent,
            other => other,
        }
    }
}

/// A value as text; `None` for one that counts as absent.
fn text(value: &Value) -> Option<String> {
    match value {
        Value::Null => None,
        Value::String(text) => Some(text.trim().to_owned()).filter(|text| !text.is_empty()),
        other => Some(other.to_string()),
    }
}

/// What a predefined field means.
fn meaning(texts: &'static Texts, field: &str) -> &'static str {
    match field {
        "login" => texts.field_login,
        "name" => texts.field_name,
        "email" => texts.field_email,
        "mobile" => texts.field_mobile,
        "groups" => texts.field_groups,
        "roles" => texts.field_roles,
        "departments" => texts.field_departments,
        "department_paths" => texts.field_department_paths,
        "led_department_ids" => texts.field_led,
        "tags" => texts.field_tags,
        "session_expires" => texts.field_session_expires,
        _ => "",
    }
}
