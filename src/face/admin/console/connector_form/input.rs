//! `Input`: a control with its content, as the page shows it.

use serde_json::Value;

use super::field::{Choice, Control, Field};
use super::masked::is_public_key;
use super::table::{self, Members};
use crate::face::admin::console::form::Form;
use crate::face::page::Lang;

/// A control with its content.
#[derive(Debug)]
pub(super) struct Input {
    /// The key of the setting.
    pub(super) name: String,
    pub(super) label: String,
    pub(super) hint: &'static str,
    /// What the state of the site adds to the hint.
    pub(super) note: Option<String>,
    pub(super) default: &'static str,
    pub(super) is_required: bool,
    pub(super) content: Content,
    pub(super) problems: Vec<String>,
}

#[derive(Debug)]
pub(super) enum Content {
    /// A line; `kind` is the type of the control.
    Line {
        kind: &'static str,
        value: String,
    },
    Area {
        value: String,
        rows: usize,
    },
    Check {
        is_checked: bool,
    },
    Choice(Vec<ShownChoice>),
    Several(Vec<ShownChoice>),
    Secret {
        is_kept: bool,
        is_removable: bool,
        has_lines: bool,
    },
}

#[derive(Debug)]
pub(super) struct ShownChoice {
    pub(super) value: &'static str,
    pub(super) label: &'static str,
    pub(super) is_chosen: bool,
}

/// Where the content of the controls comes from.
#[derive(Clone, Copy)]
pub(super) struct Source<'a> {
    /// The settings that are kept, with markers for secrets.
    pub(super) saved: &'a Members,
    /// What was typed, and is shown in place of them.
    pub(super) typed: Option<&'a Form>,
    pub(super) lang: Lang,
}

impl Source<'_> {
    /// The controls of a setting: one, or several if it is a table of secrets.
    pub(super) fn inputs(&self, field: &Field, all: &[&Field]) -> Vec<Input> {
        let mut inputs = Vec::new();
        if matches!(field.control, Control::Secrets) {
            let saved = table::get(self.saved, field.key).and_then(Value::as_object);
            for (name, value) in saved.into_iter().flatten() {
                let content = kept_secret(Some(value), true, false);
                inputs.push(Input {
                    name: format!("{}.{name}", field.key),
                    label: format!("secrets.{name}"),
                    hint: "",
                    ..self.input(field, content)
                });
            }
        }
        if let Some(content) = self.content(field, all) {
            inputs.push(self.input(field, content));
        }
        inputs
    }

    fn input(&self, field: &Field, content: Content) -> Input {
        let is_kept = matches!(content, Content::Secret { is_kept: true, .. });
        Input {
            name: field.key.to_owned(),
            label: self.lang.pick(field.label).to_owned(),
            hint: self.lang.pick(field.hint),
            note: None,
            default: match field.control {
                Control::Check | Control::Choice(_) => "",
                _ => field.default,
            },
            is_required: field.is_required && !is_kept,
            content,
            problems: Vec::new(),
        }
    }

    /// `None`: the control is not shown.
    fn content(&self, field: &Field, all: &[&Field]) -> Option<Content> {
        let line = |kind| Content::Line {
            kind,
            value: self.text(field),
        };
        Some(match field.control {
            Control::Text | Control::Label | Control::Verbatim => line("text"),
            Control::Url => line("url"),
            Control::Number => line("number"),
            Control::Filled => Content::Line {
                kind: "text",
                value: match (self.typed, table::get(self.saved, field.key)) {
                    (None, None) => field.default.to_owned(),
                    _ => self.text(field),
                },
            },
            Control::Check => Content::Check {
                is_checked: match (self.typed, table::get(self.saved, field.key)) {
                    (Some(form), _) => form.has(field.key),
                    (None, Some(saved)) => *saved == true,
                    (None, None) => field.default == "true",
                },
            },
            Control::Switch => Content::Check {
                is_checked: match self.typed {
                    Some(form) => form.has(field.key),
                    None => table::get(self.saved, field.key).is_some(),
                },
            },
            Control::OptionalCheck => Content::Choice(self.choices(field, OPTIONAL)),
            Control::Choice(choices) => Content::Choice(self.choices(field, choices)),
            Control::Several(choices) => Content::Several(self.several(field, choices)),
            Control::List | Control::OneOrList => area(self.text(field), 3),
            Control::Lines => area(self.text(field), 1),
            Control::Table => area(self.table(field, all), 3),
            Control::Tables => area(self.tables(field), 12),
            Control::Secret => self.secret(field, false),
            Control::SecretLines => self.secret(field, true),
            Control::Keys => match self.public_keys(field) {
                Some(keys) => area(keys, 3),
                None => self.secret(field, true),
            },
            Control::SecretUrl => self.secret_url(field),
            Control::Secrets => area(String::new(), 2),
            Control::FileOnly => {
                table::get(self.saved, field.key)?;
                line("text")
            }
        })
    }

    /// The text of a setting, as it was typed or is kept.
    fn text(&self, field: &Field) -> String {
        match self.typed {
            Some(form) => form.raw(field.key).unwrap_or_default().to_owned(),
            None => table::get(self.saved, field.key).map_or_else(String::new, table::text),
        }
    }

    fn choices(&self, field: &Field, choices: &'static [Choice]) -> Vec<ShownChoice> {
        let mut chosen = self.text(field);
        if chosen.is_empty() {
            field.default.clone_into(&mut chosen);
        }
        let choices = choices.iter();
        choices
            .map(|choice| ShownChoice {
                value: choice.value,
                label: self.lang.pick(choice.label),
                is_chosen: choice.value == chosen,
            })
            .collect()
    }

    fn several(&self, field: &Field, choices: &'static [Choice]) -> Vec<ShownChoice> {
        let saved = table::get(self.saved, field.key).and_then(Value::as_array);
        let is_chosen = |value: &str| match self.typed {
            Some(form) => form.values(field.key).any(|typed| typed == value),
            None => saved.is_some_and(|saved| saved.iter().any(|saved| saved == value)),
        };
        let choices = choices.iter();
        choices
            .map(|choice| ShownChoice {
                value: choice.value,
                label: self.lang.pick(choice.label),
                is_chosen: is_chosen(choice.value),
            })
            .collect()
    }

    /// The members that have no control of their own, as lines of TOML.
    fn table(&self, field: &Field, all: &[&Field]) -> String {
        let saved = table::get(self.saved, field.key).and_then(Value::as_object);
        match (self.typed, saved) {
            (Some(_), _) | (None, None) => self.text(field),
            (None, Some(saved)) => {
                let mut further = saved.clone();
                further.retain(|name, _| {
                    let key = format!("{}.{name}", field.key);
                    all.iter().all(|other| other.key != key)
                });
                table::to_toml(&further)
            }
        }
    }

    /// An array of tables as TOML.
    fn tables(&self, field: &Field) -> String {
        match (self.typed, table::get(self.saved, field.key)) {
            (None, Some(saved)) => {
                let name = field.key.rsplit('.').next().unwrap_or_default();
                let mut members = Members::new();
                members.insert(name.to_owned(), saved.clone());
                table::to_toml(&members)
            }
            _ => self.text(field),
        }
    }

    fn secret(&self, field: &Field, has_lines: bool) -> Content {
        let saved = table::get(self.saved, field.key);
        kept_secret(saved, !field.is_required, has_lines)
    }

    /// Keys that everybody may see; `None` if they may be secrets, or if there are none.
    fn public_keys(&self, field: &Field) -> Option<String> {
        let text = match (self.typed, table::get(self.saved, field.key)) {
            (None, Some(Value::Array(keys))) => {
                let keys: Vec<_> = keys.iter().map(table::text).collect();
                keys.join("\n\n")
            }
            _ => self.text(field),
        };
        is_public_key(&text).then_some(text)
    }

    fn secret_url(&self, field: &Field) -> Content {
        let saved = table::get(self.saved, field.key);
        let is_kept = saved.is_some_and(table::is_kept_secret);
        let text = match (self.typed, is_kept) {
            (None, true) => String::new(),
            _ => self.text(field),
        };
        // A password may stand before the @.
        let text = Some(text).filter(|text| !text.contains('@'));
        match text.filter(|text| !text.is_empty() || !is_kept) {
            Some(value) => Content::Line { kind: "url", value },
            None if is_kept => self.secret(field, false),
            None => Content::Line {
                kind: "url",
                value: String::new(),
            },
        }
    }
}

impl Input {
    pub(super) fn has_hint(&self) -> bool {
        !self.hint.is_empty() || self.note.is_some() || !self.default.is_empty()
    }

    /// Whether the control does not show what was typed into it.
    pub(super) fn hides(&self, form: &Form) -> bool {
        let is_shown = match &self.content {
            Content::Line { value, .. } | Content::Area { value, .. } => !value.is_empty(),
            Content::Check { .. } | Content::Choice(_) | Content::Several(_) => true,
            Content::Secret { .. } => false,
        };
        !is_shown && form.value(&self.name).is_some()
    }

    /// The IDs of what describes the control; empty: there is nothing.
    pub(super) fn described_by(&self) -> String {
        let ids = [
            (self.has_hint(), "hint"),
            (!self.problems.is_empty(), "problem"),
        ];
        let ids = ids.into_iter().filter(|(is_there, _)| *is_there);
        let ids: Vec<_> = ids.map(|(_, id)| format!("{}-{id}", self.name)).collect();
        ids.join(" ")
    }
}

const OPTIONAL: &[Choice] = &[
    super::field::choice("", "默认", "Default"),
    super::field::choice("true", "是", "Yes"),
    super::field::choice("false", "否", "No"),
];

fn kept_secret(saved: Option<&Value>, is_removable: bool, has_lines: bool) -> Content {
    match saved {
        // Where the configuration file says that it is.
        Some(place @ Value::Object(_)) => Content::Line {
            kind: "text",
            value: table::text(place),
        },
        saved => Content::Secret {
            is_kept: saved.is_some(),
            is_removable,
            has_lines,
        },
    }
}

fn area(value: String, rows_min: usize) -> Content {
    let rows = value.lines().count().clamp(rows_min, 24);
    Content::Area { value, rows }
}
