//! `ConfigError`: all problems of the configuration with their lines, and how they are printed.

use std::fmt;
use std::ops::Range;

use annotate_snippets::{AnnotationKind, Level, Renderer, Snippet};

use super::text::ConfigText;
use crate::setting::KeyPath;

/// Why the configuration is refused. `Display` shows every problem with its line, a caret and help, in
/// ASCII except for quoted text of the configuration.
#[derive(Clone, Debug)]
pub struct ConfigError {
    /// In the order of the text. Never empty.
    pub problems: Vec<Problem>,
    rendering: String,
}

/// One problem of the configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    pub message: String,
    /// What is allowed, or what to do.
    pub help: Option<String>,
    /// From 1.
    pub line: usize,
    /// In characters, from 1.
    pub column: usize,
    span: Range<usize>,
    /// Whether the values of the line are masked.
    is_masked: bool,
}

impl ConfigError {
    pub(super) fn new(source: &ConfigText, mut problems: Vec<Problem>) -> Self {
        problems.sort_by_key(|problem| problem.span.start);
        let renderings: Vec<_> = problems
            .iter()
            .map(|problem| problem.render(source))
            .collect();
        Self {
            problems,
            rendering: renderings.join("\n\n"),
        }
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.rendering)
    }
}

impl std::error::Error for ConfigError {}

impl Problem {
    pub(super) fn at(source: &ConfigText, span: Range<usize>, message: impl Into<String>) -> Self {
        let (line, column) = source.line_column(span.start);
        Self {
            message: message.into(),
            help: None,
            line,
            column,
            span,
            is_masked: false,
        }
    }

    /// A problem at a value.
    pub(super) fn at_value(
        source: &ConfigText,
        key_path: &KeyPath<'_>,
        message: impl Into<String>,
    ) -> Self {
        Self::at(source, source.value_span(key_path), message)
    }

    /// A problem at a key.
    pub(super) fn at_key(
        source: &ConfigText,
        key_path: &KeyPath<'_>,
        message: impl Into<String>,
    ) -> Self {
        Self::at(source, source.key_span(key_path), message)
    }

    pub(super) fn with_help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// Masks the values of its line, which may be secrets.
    pub(super) fn with_masked_line(mut self) -> Self {
        self.is_masked = true;
        self
    }

    /// Masks the values of its line if one of these secrets is at the same place.
    pub(super) fn with_masked_secrets(mut self, secret_spans: &[Range<usize>]) -> Self {
        let own = &self.span;
        let is_at_problem =
            |secret: &Range<usize>| secret.start < own.end && own.start < secret.end;
        self.is_masked |= secret_spans.iter().any(is_at_problem);
        self
    }

    /// Renders the problem with its line and a caret below it.
    fn render(&self, source: &ConfigText) -> String {
        let text = &*source.text;
        let start = text.floor_char_boundary(self.span.start);
        let line_start = text[..start].rfind('\n').map_or(0, |newline| newline + 1);
        let line_end = text[start..]
            .find('\n')
            .map_or(text.len(), |length| start + length);
        let line = text[line_start..line_end].trim_end_matches('\r');
        // The span of a table continues below its header, but the caret stays on the first line.
        let start = (start - line_start).min(line.len());
        let end = text
            .floor_char_boundary(self.span.end)
            .saturating_sub(line_start);
        let span = start..end.clamp(start, line.len());
        let is_masked = self.is_masked || may_hold_secret(&text[..line_end]);
        let shown_line = if is_masked {
            mask_values(line)
        } else {
            line.to_owned()
        };
        let snippet = Snippet::source(shown_line)
            .path(&*source.name)
            .line_start(self.line)
            .annotation(AnnotationKind::Primary.span(span));
        let mut group = Level::ERROR.primary_title(&*self.message).element(snippet);
        if let Some(help) = &self.help {
            group = group.element(Level::HELP.message(&**help));
        }
        Renderer::plain().term_width(400).render(&[group])
    }
}

/// Whether the last line of the text may contain a secret: the value of a key such as `client_secret`,
/// or a URL with credentials.
fn may_hold_secret(text_up_to_line_end: &str) -> bool {
    const SECRET_KEY_ENDINGS: [&str; 5] = ["secret", "password", "token", "keys", "private_key"];
    for (lines_back, line) in text_up_to_line_end.lines().rev().enumerate() {
        if lines_back == 0 && line.split("://").skip(1).any(|rest| rest.contains('@')) {
            return true;
        }
        let mut keys = line.split('=').map(|part| {
            let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
            let part = part.trim_end().trim_end_matches(['"', '\'']);
            part.rsplit(|c| !is_word(c)).next().unwrap_or_default()
        });
        // `key` alone is that of a signed or encrypted token.
        let is_secret =
            |key: &str| key == "key" || SECRET_KEY_ENDINGS.iter().any(|end| key.ends_with(end));
        if keys.any(is_secret) {
            return true;
        }
        // Earlier lines matter only if this line continues a value that begins there.
        if line.contains('=') || line.trim_start().starts_with('[') {
            return false;
        }
    }
    false
}

/// Replaces every byte except keys and punctuation by `*`, so that the caret still points at the same
/// column. It also works on invalid TOML, such as a secret without quotes.
fn mask_values(line: &str) -> String {
    let mut masked = String::with_capacity(line.len());
    let mut quote = None;
    let mut rest = line;
    while let Some(c) = rest.chars().next() {
        let length = match quote {
            None if starts_with_key(rest, &masked) => rest.find('=').unwrap_or(rest.len()),
            _ => c.len_utf8(),
        };
        let (word, after) = rest.split_at(length);
        rest = after;
        match quote {
            Some(open) if c == open => quote = None,
            None if c == '"' || c == '\'' => quote = Some(c),
            None if length > c.len_utf8() || "{}[],=. \t".contains(c) => {}
            _ => {
                masked.extend(std::iter::repeat_n('*', word.len()));
                continue;
            }
        }
        masked.push_str(word);
    }
    masked
}

/// Whether `rest` starts with a key and `=`. `before` is the text of the line before it.
fn starts_with_key(rest: &str, before: &str) -> bool {
    let can_start = matches!(before.trim_end().chars().last(), None | Some('{' | ','));
    let Some((word, _)) = rest.split_once('=') else {
        return false;
    };
    let is_key_character = |c: char| c.is_ascii_alphanumeric() || "_-.".contains(c);
    can_start && !word.trim().is_empty() && word.trim().chars().all(is_key_character)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The rendered problem at the first `word` of this configuration.
    fn render(text: &str, word: &str) -> String {
        let source = ConfigText::new(text, "menshen.toml");
        let start = text.find(word).unwrap();
        let problem = Problem::at(&source, start..start + word.len(), "it is wrong");
        ConfigError::new(&source, vec![problem.with_help("write another")]).to_string()
    }

    #[test]
    fn a_problem_is_shown_with_its_line_and_a_caret() {
        let shown = render("[server]\nlisten = 7\n", "7");
        let expected = "\
error: it is wrong
 --> menshen.toml:2:10
  |
2 | listen = 7
  |          ^
  |
  = help: write another";
        assert_eq!(shown, expected);
    }

    #[test]
    fn a_secret_is_masked_but_its_key_is_shown() {
        for text in [
            "secret = 'hunter2' bad",
            "wecom = { secret = \"hunter2\", bad = 1 }",
            "keys = [\n 'hunter2', bad\n]",
            "secret = hunter2== bad",
            "secret = \"hunter2 bad",
            "proxy = 'http://u:hunter2@a' bad",
            "\"token\" = 'hunter2' bad",
            "jwt = { key = 'hunter2', bad = 1 }",
            "secret = '\u{5f20}hunter2' bad",
        ] {
            let shown = render(text, "bad");
            assert!(!shown.contains("hunter2"), "{shown}");
            assert_eq!(text.contains("secret"), shown.contains("secret"), "{shown}");
            assert!(shown.contains('^'), "{shown}");
        }
        assert!(render("[[route]]\nname = 'shown' bad", "bad").contains("shown"));
    }
}
