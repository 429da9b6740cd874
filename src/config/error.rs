//! `ConfigError`: all problems of the configuration with their lines, and how they are printed.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use annotate_snippets::{AnnotationKind, Level, Renderer, Snippet};

use super::full_width;
use super::mask::{Masks, mask};
use super::text::{ConfigText, line_around};
use crate::setting::KeyPath;
use crate::text;
use crate::wording::{Language, Text};

/// Why the configuration is refused. `{}` shows every problem with its line, a caret and help in English, in
/// ASCII except for quoted text of the configuration; `{:#}` shows them in Chinese.
#[derive(Clone, Debug)]
pub struct ConfigError {
    /// In the order of the text, then those of other files. Never empty.
    pub problems: Vec<Problem>,
    source: ConfigText,
}

/// One problem of the configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    pub message: Text,
    /// What is allowed, or what to do.
    pub help: Option<Text>,
    /// From 1.
    pub line: usize,
    /// In characters, from 1.
    pub column: usize,
    span: Range<usize>,
    /// Whether it is about a full-width character.
    names_character: bool,
    /// The file that has it. Absent: the configuration.
    file: Option<OtherFile>,
}

/// A file that the configuration names. It may hold secrets, so its `Debug` shows only the name.
#[derive(Clone, PartialEq, Eq)]
struct OtherFile {
    name: Arc<str>,
    text: Arc<str>,
}

impl fmt::Debug for OtherFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "OtherFile({})", self.name)
    }
}

impl ConfigError {
    pub(super) fn new(source: &ConfigText, mut problems: Vec<Problem>) -> Self {
        problems.sort_by_key(|problem| match &problem.file {
            None => (0, problem.span.start),
            // They follow in the order in which they were found.
            Some(_) => (1, 0),
        });
        let problems = problems.into_iter();
        Self {
            problems: problems
                .map(|it| it.at_full_width_character(source))
                .collect(),
            source: source.clone(),
        }
    }

    /// All problems with their lines and carets.
    pub fn in_language(&self, language: Language) -> String {
        let masks = Masks::of(&self.source.text);
        let problems = self.problems.iter();
        let rendered: Vec<_> = problems
            .map(|it| it.render(&self.source, &masks, language))
            .collect();
        rendered.join("\n\n")
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let language = match f.alternate() {
            true => Language::Chinese,
            false => Language::English,
        };
        f.write_str(&self.in_language(language))
    }
}

impl std::error::Error for ConfigError {}

impl Problem {
    pub(super) fn at(source: &ConfigText, span: Range<usize>, message: Text) -> Self {
        let (line, column) = source.line_column(span.start);
        Self {
            message,
            help: None,
            line,
            column,
            span,
            names_character: false,
            file: None,
        }
    }

    /// A problem of a file that the configuration names: `source`, in which it was found.
    pub(super) fn in_file(self, source: &ConfigText) -> Self {
        let problem = self.at_full_width_character(source);
        Self {
            file: Some(OtherFile {
                name: source.name.clone(),
                text: source.text.clone(),
            }),
            ..problem
        }
    }

    /// A problem at a value.
    pub(super) fn at_value(source: &ConfigText, key_path: &KeyPath<'_>, message: Text) -> Self {
        Self::at(source, source.value_span(key_path), message)
    }

    /// A problem at a key.
    pub(super) fn at_key(source: &ConfigText, key_path: &KeyPath<'_>, message: Text) -> Self {
        Self::at(source, source.key_span(key_path), message)
    }

    pub(super) fn with_help(mut self, help: Text) -> Self {
        self.help = Some(help);
        self
    }

    /// A problem that is a full-width character itself.
    pub(super) fn of_character(source: &ConfigText, span: Range<usize>, c: char) -> Self {
        Self {
            names_character: true,
            ..Self::at(source, span, full_width::message(c)).with_help(full_width::help(c))
        }
    }

    /// Points at the full-width character in its place, if one makes the value wrong.
    fn at_full_width_character(mut self, source: &ConfigText) -> Self {
        let written = source.text.get(self.span.clone());
        let Some(written) = written.filter(|_| self.file.is_none()) else {
            return self;
        };
        let Some(place) = full_width::in_ascii(written).filter(|_| !self.names_character) else {
            return self;
        };
        let c = written[place.clone()].chars().next().unwrap_or_default();
        let start = self.span.start;
        self.span = start + place.start..start + place.end;
        (self.line, self.column) = source.line_column(self.span.start);
        let hint = full_width::help(c);
        self.help = Some(match self.help {
            Some(help) => text!("{hint}; {help}", "{hint:#}；{help:#}"),
            None => hint,
        });
        self
    }

    /// Renders the problem with its line and a caret below it.
    fn render(&self, source: &ConfigText, masks: &Masks, language: Language) -> String {
        let file_masks = self.file.as_ref().map(|file| Masks::of(&file.text));
        let masks = file_masks.as_ref().unwrap_or(masks);
        let (text, name) = match &self.file {
            Some(file) => (&*file.text, &*file.name),
            None => (&*source.text, &*source.name),
        };
        let start = text.floor_char_boundary(self.span.start);
        let line_range = line_around(text, start);
        let line_start = line_range.start;
        let line = text[line_range].trim_end_matches('\r');
        // The span of a table continues below its header, but the caret stays on the first line.
        let start = (start - line_start).min(line.len());
        let end = text
            .floor_char_boundary(self.span.end)
            .saturating_sub(line_start);
        let span = start..end.clamp(start, line.len());
        let masks = masks.in_line(text, &(line_start..line_start + line.len()));
        // The character that is wrong says nothing about the value around it.
        let shown = self.names_character.then_some(&span);
        let snippet = Snippet::source(mask(line, &masks, shown))
            .path(name)
            .line_start(self.line)
            .annotation(AnnotationKind::Primary.span(span));
        let (error, help) = match language {
            Language::English => (Level::ERROR, Level::HELP),
            Language::Chinese => (
                Level::ERROR.with_name("错误"),
                Level::HELP.with_name("办法"),
            ),
        };
        let title = error.primary_title(self.message.in_language(language));
        let mut group = title.element(snippet);
        if let Some(text) = &self.help {
            group = group.element(help.message(text.in_language(language)));
        }
        Renderer::plain().term_width(400).render(&[group])
    }
}

#[cfg(test)]
mod tests {
    use super::super::document::Document;
    use super::*;

    /// The rendered problem at the first `word` of this configuration.
    fn render(text: &str, word: &str) -> String {
        let document = Document::parse(text).unwrap_or_default();
        let source = ConfigText::new(text, "menshen.toml", document);
        let start = text.find(word).unwrap();
        let problem = Problem::at(
            &source,
            start..start + word.len(),
            Text::same("it is wrong"),
        );
        ConfigError::new(
            &source,
            vec![problem.with_help(Text::same("write another"))],
        )
        .to_string()
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
        assert!(render("[[route]]\nname = 'shown'", "'shown'").contains("shown"));
    }
}
