//! The problems of a text that is not TOML.

use super::error::Problem;
use super::parse_error::syntax_problem;
use super::text::ConfigText;
use super::{full_width, lists, quotes, syntax_mistakes};

/// The most full-width characters that are reported.
const CHARACTERS_MAX: usize = 50;

/// Each line with a full-width character, and what the parser says, unless it is about one of these lines.
pub(super) fn problems(source: &ConfigText, error: &toml::de::Error) -> Vec<Problem> {
    let text = &*source.text;
    let places = full_width::outside_of_strings(text).into_iter();
    let characters = places.take(CHARACTERS_MAX).filter_map(|span| {
        let c = text[span.clone()].chars().next()?;
        Some(Problem::of_character(source, span, c))
    });
    let mut problems: Vec<_> = characters.collect();
    let mut first = syntax_problem(source, error);
    let span = error.span().unwrap_or(0..0);
    let help = quotes::help(text, &span)
        .or_else(|| lists::help_for_header(text, &span))
        .or_else(|| syntax_mistakes::help(error.message(), text, &span));
    if let Some(help) = help {
        first = first.with_help(help);
    }
    // After a wrong quote, the parser finds fault with lines that are fine.
    if problems.iter().all(|problem| problem.line > first.line) {
        problems.push(first);
    }
    problems
}
