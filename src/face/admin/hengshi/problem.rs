//! `FieldError`: what is wrong with one field of a request, in both languages.

use serde::Serialize;
use serde_json::Value;

use crate::face::page::Lang;

/// A text in both languages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::face::admin) struct Words {
    pub(super) zh: String,
    pub(super) en: String,
}

impl Words {
    pub(super) fn new(zh: impl Into<String>, en: impl Into<String>) -> Self {
        Self {
            zh: zh.into(),
            en: en.into(),
        }
    }

    pub(super) fn in_lang(&self, lang: Lang) -> &str {
        match lang {
            Lang::Zh => &self.zh,
            Lang::En => &self.en,
        }
    }
}

/// What is wrong with one field. Contains no secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::face::admin) struct FieldError {
    /// The name of the field as in the request; below `menshen` the path of the key.
    pub(super) field: String,
    pub(super) words: Words,
    /// The configuration file and its line, if the file sets it.
    pub(super) at: Option<(String, usize)>,
}

/// An item of `problems` in a response.
#[derive(Serialize)]
struct ShownError<'a> {
    field: &'a str,
    message: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    file: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    line: Option<usize>,
}

impl FieldError {
    pub(super) fn new(
        field: impl Into<String>,
        zh: impl Into<String>,
        en: impl Into<String>,
    ) -> Self {
        Self {
            field: field.into(),
            words: Words::new(zh, en),
            at: None,
        }
    }

    pub(super) fn shown(&self, lang: Lang) -> Value {
        let at = self.at.as_ref();
        let shown = ShownError {
            field: &self.field,
            message: self.words.in_lang(lang),
            file: at.map(|(file, _)| file.as_str()),
            line: at.map(|(_, line)| *line),
        };
        serde_json::to_value(shown).unwrap_or(Value::Null)
    }
}
