//! The problems of settings, in the language of the page and beside the controls that they are about.

use super::input::Input;
use crate::face::page::Lang;
use crate::site::settings::FieldProblem;

/// A problem with its remedy, in a language.
pub(in crate::face::admin::console) fn words(problem: &FieldProblem, lang: Lang) -> String {
    let message = lang.text(&problem.message);
    match (&problem.help, lang) {
        (Some(help), Lang::Zh) => format!("{message}（{}）", lang.text(help)),
        (Some(help), Lang::En) => format!("{message} ({})", lang.text(help)),
        (None, _) => message.to_owned(),
    }
}

/// Puts each problem beside the control that it is about: the one with the longest key that leads to its field.
/// Returns those that have none.
pub(super) fn place<'i>(
    problems: Vec<FieldProblem>,
    inputs: impl Iterator<Item = &'i mut Input>,
    lang: Lang,
) -> Vec<String> {
    let mut inputs: Vec<_> = inputs.collect();
    let mut others = Vec::new();
    for problem in problems {
        let leading = inputs
            .iter_mut()
            .filter(|input| leads_to(&input.name, &problem.field));
        match leading.max_by_key(|input| input.name.len()) {
            Some(input) => input.problems.push(words(&problem, lang)),
            None if problem.field.is_empty() => others.push(words(&problem, lang)),
            None => others.push(format!("{}: {}", problem.field, words(&problem, lang))),
        }
    }
    others
}

/// Whether a field is a setting or a part of it.
fn leads_to(key: &str, field: &str) -> bool {
    let rest = field.strip_prefix(key);
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
}
