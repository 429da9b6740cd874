//! Converts errors of the TOML parser and of serde into problems with a position, the allowed values
//! and a suggestion.

use std::ops::Range;

use super::Config;
use super::error::Problem;
use super::text::ConfigText;

/// How many items of an array [`narrow_to_item`] tries at most.
const ITEMS_MAX: usize = 64;

/// The edit distance up to which a name is suggested.
const DISTANCE_MAX: usize = 2;

/// The problem of a document that cannot be parsed.
pub(super) fn problem(source: &ConfigText, error: &toml::de::Error) -> Problem {
    let span = error.span().unwrap_or(0..0);
    let message = error.message().trim_end();
    if let Some((written, allowed)) = split_unknown(message, "unknown field") {
        let problem = Problem::at(source, span, format!("unknown key `{written}`"));
        // The unknown key may be a mistyped `secret`, so its value is masked.
        return problem
            .with_help(suggestion(written, &allowed))
            .with_masked_line();
    }
    let span = narrow_to_item(source, span, message);
    if let Some((written, allowed)) = split_unknown(message, "unknown variant") {
        let problem = Problem::at(source, span, format!("`{written}` is not a choice here"));
        return problem.with_help(suggestion(written, &allowed));
    }
    if let Some(rest) = message.strip_prefix("missing field `") {
        let key = rest.trim_end_matches('`');
        let problem = Problem::at(source, span, format!("`{key}` is missing"));
        return problem.with_help(match key {
            "server" => "add [server] with external_url = \"https://...\"".to_owned(),
            _ => format!("add {key} = ... to this table"),
        });
    }
    other_problem(source, span, message)
}

/// A syntax error, a wrong type, or an error of the type of a value.
fn other_problem(source: &ConfigText, span: Range<usize>, message: &str) -> Problem {
    // serde repeats the value, which may be a secret.
    if let Some(rest) = message.strip_prefix("invalid type: ") {
        let (found, expected) = rest
            .rsplit_once(", expected ")
            .unwrap_or((rest, "another type"));
        let found = match found.split([' ', '`', '"']).next().unwrap_or(found) {
            "integer" => "an integer",
            "floating" => "a number with a fraction",
            "boolean" => "true or false",
            "sequence" => "an array",
            "map" => "a table",
            "string" => "a text",
            _ => "this value",
        };
        let problem = Problem::at(source, span, format!("{found} does not fit here"));
        return problem.with_help(format!("expected {}", type_in_words(expected)));
    }
    let (what, help) = match (message.split_once(", expected "), message.split_once(": ")) {
        (Some((what, "nothing")), _) => (what, None),
        (Some((what, expected)), _) => {
            (what, Some(format!("expected {}", type_in_words(expected))))
        }
        (None, Some((what, help))) => (what, Some(help.to_owned())),
        (None, None) => (message, None),
    };
    let problem = Problem::at(source, span, what);
    match help {
        Some(help) => problem.with_help(help),
        None => problem,
    }
}

/// The expected type in words, without names of Rust types.
fn type_in_words(expected: &str) -> &str {
    match expected {
        "a sequence" => "an array: [...]",
        "a map" => "a table",
        "a string" => "a text in quotes",
        "literal string" => "a text in quotes",
        "a boolean" => "true or false",
        "u8" | "u16" | "u32" | "u64" | "usize" => "a whole number, not below 0",
        other if other.starts_with("struct ") => "a table",
        other => other,
    }
}

/// The parser reports an invalid item of an array with the span of the whole array. Parses the document
/// again with each item as the only one, and returns the span of the first item with the same error.
fn narrow_to_item(source: &ConfigText, span: Range<usize>, message: &str) -> Range<usize> {
    let text = &*source.text;
    let Some(written) = text
        .get(span.clone())
        .filter(|written| written.starts_with('['))
    else {
        return span;
    };
    let Ok(array) = toml::de::DeValue::parse(written) else {
        return span;
    };
    let items = array
        .get_ref()
        .as_array()
        .into_iter()
        .flat_map(|items| items.iter());
    let mut items = items.map(toml::Spanned::span).take(ITEMS_MAX);
    let fails_alone = |item: &Range<usize>| {
        let (before, after) = (&text[..span.start], &text[span.end..]);
        let document = format!("{before}[{}]{after}", &written[item.clone()]);
        toml::from_str::<Config>(&document)
            .is_err_and(|error| error.message().trim_end() == message)
    };
    match items.find(fails_alone) {
        Some(item) => span.start + item.start..span.start + item.end,
        None => span,
    }
}

/// Splits ``unknown field `x`, expected one of `a`, `b` `` into `x` and the allowed names.
fn split_unknown<'a>(message: &'a str, what: &str) -> Option<(&'a str, Vec<&'a str>)> {
    let rest = message.strip_prefix(what)?.trim_start().strip_prefix('`')?;
    let (written, rest) = rest.split_once('`')?;
    // Every other part between backticks is a name.
    Some((written, rest.split('`').skip(1).step_by(2).collect()))
}

fn suggestion(written: &str, allowed: &[&str]) -> String {
    let list = match allowed {
        [] => return "nothing is allowed here".to_owned(),
        names => format!("allowed here: {}", names.join(", ")),
    };
    let near = allowed
        .iter()
        .map(|name| (edit_distance(written, name), name))
        .min();
    match near {
        Some((distance, name)) if distance <= DISTANCE_MAX.min(written.len() / 2) => {
            format!("did you mean `{name}`? {list}")
        }
        _ => list,
    }
}

/// How many letters of `written` to insert, delete, replace or swap with their neighbour until it is
/// `name`, ignoring case; `usize::MAX` if their lengths alone exceed [`DISTANCE_MAX`].
fn edit_distance(written: &str, name: &str) -> usize {
    let a: Vec<char> = written.to_lowercase().chars().collect();
    // Keys are in lower case.
    let b: Vec<char> = name.chars().collect();
    if a.len().abs_diff(b.len()) > DISTANCE_MAX {
        return usize::MAX;
    }
    // `rows[i][j]` is the distance between the first `i` letters of `a` and the first `j` of `b`.
    let mut rows = vec![vec![0; b.len() + 1]; a.len() + 1];
    for i in 0..=a.len() {
        for j in 0..=b.len() {
            rows[i][j] = match (i, j) {
                (0, _) | (_, 0) => i + j,
                _ => {
                    let replaced = rows[i - 1][j - 1] + usize::from(a[i - 1] != b[j - 1]);
                    let best = replaced.min(rows[i - 1][j] + 1).min(rows[i][j - 1] + 1);
                    let swapped = i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1];
                    if swapped {
                        best.min(rows[i - 2][j - 2] + 1)
                    } else {
                        best
                    }
                }
            };
        }
    }
    rows[a.len()][b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_near_name_is_suggested_and_a_far_one_is_not() {
        assert_eq!(edit_distance("scpe", "scope"), 1);
        assert_eq!(edit_distance("agnet_id", "agent_id"), 1);
        assert_eq!(edit_distance("Listen", "listen"), 0);
        assert!(suggestion("lisen", &["listen", "limits"]).starts_with("did you mean `listen`?"));
        assert_eq!(suggestion("xyzzy", &["a", "b"]), "allowed here: a, b");
    }
}
