//! `Attempt`: the mapping and the profile on the page, saved or typed, with their problems.

use std::collections::BTreeMap;

use http::StatusCode;

use super::super::connector_form::problem::words;
use super::super::form::Form;
use super::super::texts::Texts;
use crate::expression::Scope;
use crate::face::page::Lang;
use crate::login::connector::SettingProblem;
use crate::setting::KeyPath;
use crate::site::settings::FieldProblem;

/// What the controls of the mapping have before the names of their fields.
const PREFIX: &str = "mapping.";
/// The longest name of a field, in characters.
const FIELD_CHARS_MAX: usize = 64;

/// A mapping that is tried on a profile.
#[derive(Debug)]
pub(super) struct Attempt {
    lang: Lang,
    pub(super) status: StatusCode,
    /// A problem of the whole.
    pub(super) problem: Option<String>,
    /// The expressions that differ from the default of the kind, by field.
    pub(super) mapping: BTreeMap<String, String>,
    /// The problems of expressions, by field.
    pub(super) field_problems: BTreeMap<String, String>,
    /// What somebody else saved meanwhile.
    pub(super) saved: Option<BTreeMap<String, String>>,
    /// The profile as JSON; absent: the sample of the kind.
    pub(super) profile: Option<String>,
    /// A further field that could not be added, and why.
    pub(super) new_field: String,
    pub(super) new_expression: String,
    pub(super) new_problem: Option<&'static str>,
}

impl Attempt {
    /// The saved mapping, and the sample.
    pub(super) fn of_saved(lang: Lang, mapping: BTreeMap<String, String>) -> Self {
        let field_problems = problems(lang, &mapping);
        Self {
            lang,
            status: StatusCode::OK,
            problem: None,
            mapping,
            field_problems,
            saved: None,
            profile: None,
            new_field: String::new(),
            new_expression: String::new(),
            new_problem: None,
        }
    }

    /// What was typed. An empty expression is the default of the kind.
    pub(super) fn typed(lang: Lang, texts: &'static Texts, form: &Form) -> Self {
        let names = form.names().filter_map(|name| name.strip_prefix(PREFIX));
        let mapping = names.filter_map(|field| {
            let expression = form.value(&format!("{PREFIX}{field}"))?;
            Some((field.to_owned(), expression.to_owned()))
        });
        let mut mapping: BTreeMap<_, _> = mapping.collect();
        let text = |name: &str| form.value(name).unwrap_or_default().to_owned();
        let (mut field, mut expression) = (text("field"), text("expression"));
        let new_problem = match (field.is_empty(), expression.is_empty()) {
            (true, true) => None,
            (false, false) if !is_field_name(&field) => Some(texts.bad_field_name),
            (false, false) if mapping.contains_key(&field) => Some(texts.field_exists),
            (false, false) => {
                mapping.insert(std::mem::take(&mut field), std::mem::take(&mut expression));
                None
            }
            _ => Some(texts.incomplete_field),
        };
        Self {
            profile: form.raw("profile").map(str::to_owned),
            new_field: field,
            new_expression: expression,
            new_problem,
            ..Self::of_saved(lang, mapping)
        }
    }

    pub(super) fn has_problems(&self) -> bool {
        self.new_problem.is_some() || !self.field_problems.is_empty()
    }

    /// The expressions that compile, by field.
    pub(super) fn compiling(&self) -> impl Iterator<Item = (String, String)> {
        let mapping = self.mapping.iter();
        let compiling = mapping.filter(|(field, _)| !self.field_problems.contains_key(*field));
        compiling.map(|(field, expression)| (field.clone(), expression.clone()))
    }

    pub(super) fn with_problem(self, status: StatusCode, problem: String) -> Self {
        Self {
            status,
            problem: Some(problem),
            ..self
        }
    }

    /// The same with problems of a save. Those of other settings than the mapping are problems of the whole.
    pub(super) fn with_field_problems(mut self, problems: Vec<FieldProblem>) -> Self {
        let mut others = Vec::new();
        for problem in problems {
            match problem.field.strip_prefix(PREFIX) {
                Some(field) => {
                    let field = field.to_owned();
                    self.field_problems
                        .insert(field, words(&problem, self.lang));
                }
                None => others.push(format!("{}: {}", problem.field, words(&problem, self.lang))),
            }
        }
        Self {
            status: StatusCode::UNPROCESSABLE_ENTITY,
            problem: (!others.is_empty()).then(|| others.join("; ")),
            ..self
        }
    }

    /// The same beside what somebody else saved.
    pub(super) fn beside(self, saved: BTreeMap<String, String>) -> Self {
        Self {
            saved: Some(saved),
            ..self
        }
    }
}

/// The expressions that do not compile.
fn problems(lang: Lang, mapping: &BTreeMap<String, String>) -> BTreeMap<String, String> {
    let problem = |(field, expression): (&String, &String)| {
        let path = KeyPath::of(["mapping", field]);
        let problem = SettingProblem::expression(path, expression, Scope::Mapping)?;
        Some((field.clone(), words(&problem.into(), lang)))
    };
    mapping.iter().filter_map(problem).collect()
}

fn is_field_name(name: &str) -> bool {
    let is_allowed = |c: char| c.is_ascii_alphanumeric() || c == '_';
    name.len() <= FIELD_CHARS_MAX && name.chars().all(is_allowed)
}
