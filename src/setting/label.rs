//! `Label`: a text of the configuration that people read on pages.

use std::borrow::Cow;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde::ser::{Serialize, SerializeMap as _, Serializer};

use crate::text;
use crate::wording::{Text, error_of_text};

/// The longest label, in characters.
pub const LABEL_CHARS_MAX: usize = 200;

/// A text that people read: the same in both languages of the pages, or one for each.
///
/// It is written as a text, or as a table `{ zh = "…", en = "…" }`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Label {
    zh: String,
    en: String,
}

/// Why a text is no label.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InvalidLabel {
    Empty,
    TooLong,
    ControlCharacter,
}

impl InvalidLabel {
    fn text(&self) -> Text {
        match self {
            Self::Empty => Text::fixed("the text is empty", "文本是空的"),
            Self::TooLong => text!(
                "the text has more than {LABEL_CHARS_MAX} characters",
                "文本超过 {LABEL_CHARS_MAX} 个字符"
            ),
            Self::ControlCharacter => Text::fixed(
                "the text has a line break or another control character",
                "文本含有换行或其他控制字符",
            ),
        }
    }
}

error_of_text!(InvalidLabel);

impl Label {
    /// The same text in both languages.
    pub fn same(text: impl Into<String>) -> Result<Self, InvalidLabel> {
        let text = text.into();
        Self::each(text.clone(), text)
    }

    /// A text for each language.
    pub fn each(zh: impl Into<String>, en: impl Into<String>) -> Result<Self, InvalidLabel> {
        let label = Self {
            zh: zh.into(),
            en: en.into(),
        };
        check(&label.zh).and_then(|()| check(&label.en))?;
        Ok(label)
    }

    /// The name of something that is named by its ID alone.
    pub fn of_id(id: &impl fmt::Display) -> Self {
        Self {
            zh: id.to_string(),
            en: id.to_string(),
        }
    }

    /// The text for pages in Chinese.
    pub fn zh(&self) -> &str {
        &self.zh
    }

    /// The text for pages in English.
    pub fn en(&self) -> &str {
        &self.en
    }
}

fn check(text: &str) -> Result<(), InvalidLabel> {
    if text.trim().is_empty() {
        return Err(InvalidLabel::Empty);
    }
    if text.chars().nth(LABEL_CHARS_MAX).is_some() {
        return Err(InvalidLabel::TooLong);
    }
    match text.chars().any(char::is_control) {
        true => Err(InvalidLabel::ControlCharacter),
        false => Ok(()),
    }
}

/// The table form of a [`Label`].
#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct LabelTable {
    zh: String,
    en: String,
}

struct LabelVisitor;

impl<'de> Visitor<'de> for LabelVisitor {
    type Value = Label;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let expected = text!(
            "a text, or {{ zh = \"…\", en = \"…\" }}",
            "文本，或 {{ zh = \"…\", en = \"…\" }}"
        );
        fmt::Display::fmt(&expected, f)
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Label, E> {
        Label::same(text).map_err(E::custom)
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Label, A::Error> {
        let LabelTable { zh, en } = LabelTable::deserialize(MapAccessDeserializer::new(map))?;
        Label::each(zh, en).map_err(serde::de::Error::custom)
    }
}

impl<'de> Deserialize<'de> for Label {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(LabelVisitor)
    }
}

impl Serialize for Label {
    /// A text if both languages have the same one.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if self.zh == self.en {
            return serializer.serialize_str(&self.zh);
        }
        let mut table = serializer.serialize_map(Some(2))?;
        table.serialize_entry("zh", &self.zh)?;
        table.serialize_entry("en", &self.en)?;
        table.end()
    }
}

impl JsonSchema for Label {
    fn schema_name() -> Cow<'static, str> {
        "Label".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let text = json_schema!({ "type": "string", "minLength": 1, "maxLength": LABEL_CHARS_MAX });
        json_schema!({
            "description": "a text, or one in Chinese (zh) and one in English (en)",
            "anyOf": [
                text,
                {
                    "type": "object",
                    "properties": { "zh": text, "en": text },
                    "required": ["zh", "en"],
                    "additionalProperties": false
                }
            ]
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(value: serde_json::Value) -> Result<Label, String> {
        serde_json::from_value(value).map_err(|error| error.to_string())
    }

    #[test]
    fn a_label_is_a_text_or_one_in_each_language() {
        let same = read(json!("企业微信")).unwrap();
        assert_eq!((same.zh(), same.en()), ("企业微信", "企业微信"));
        assert_eq!(serde_json::to_value(&same).unwrap(), json!("企业微信"));
        let each = json!({ "zh": "企业微信", "en": "WeCom" });
        let label = read(each.clone()).unwrap();
        assert_eq!((label.zh(), label.en()), ("企业微信", "WeCom"));
        assert_eq!(serde_json::to_value(&label).unwrap(), each);
    }

    #[test]
    fn a_label_has_both_languages_and_a_text_of_one_line() {
        for bad in [
            json!(""),
            json!("  "),
            json!("two\nlines"),
            json!("长".repeat(LABEL_CHARS_MAX + 1)),
            json!(7),
            json!({ "zh": "企业微信" }),
            json!({ "zh": "企业微信", "en": "" }),
            json!({ "zh": "企业微信", "en": "WeCom", "fr": "WeCom" }),
        ] {
            assert!(read(bad.clone()).is_err(), "{bad}");
        }
        assert!(read(json!("长".repeat(LABEL_CHARS_MAX))).is_ok());
    }
}
