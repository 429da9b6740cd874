//! `Help`: where people get help, as a text or an address.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::Deserialize;
use url::Url;

use crate::setting::Label;
use crate::text;
use crate::wording::{Text, error_of_text};

/// Where people get help: a label, of which each text may be an address.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "Label")]
pub struct Help(Label);

/// Why a text is not where people get help.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum InvalidHelp {
    Address(String),
}

impl InvalidHelp {
    fn text(&self) -> Text {
        match self {
            Self::Address(it) => text!(
                "`{it}` is not an address that browsers can open",
                "`{it}` 不是浏览器能打开的地址"
            ),
        }
    }
}

error_of_text!(InvalidHelp);

/// What a page shows in one language.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HelpLine<'a> {
    /// The text, or the address as people read it.
    pub text: &'a str,
    /// The address, if the text is one.
    pub address: Option<&'a str>,
}

impl Help {
    pub fn label(&self) -> &Label {
        &self.0
    }
}

impl<'a> HelpLine<'a> {
    /// The line for one text of [`Help::label`].
    pub fn of(text: &'a str) -> Self {
        match readable(text) {
            Some(readable) => Self {
                text: readable,
                address: Some(text),
            },
            None => Self {
                text,
                address: None,
            },
        }
    }
}

/// An address without its scheme; `None` if a text is no address.
fn readable(text: &str) -> Option<&str> {
    if let Some(rest) = text
        .strip_prefix("https://")
        .or_else(|| text.strip_prefix("http://"))
    {
        return Some(rest.trim_end_matches('/'));
    }
    let rest = text
        .strip_prefix("mailto:")
        .or_else(|| text.strip_prefix("tel:"))?;
    Some(rest.split('?').next().unwrap_or(rest))
}

impl TryFrom<Label> for Help {
    type Error = InvalidHelp;

    fn try_from(label: Label) -> Result<Self, InvalidHelp> {
        for text in [label.zh(), label.en()] {
            let Some(readable) = readable(text) else {
                continue;
            };
            let is_plain = text.bytes().all(|byte| byte.is_ascii_graphic());
            if !is_plain || readable.is_empty() || Url::parse(text).is_err() {
                return Err(InvalidHelp::Address(text.to_owned()));
            }
        }
        Ok(Self(label))
    }
}

impl JsonSchema for Help {
    fn schema_name() -> Cow<'static, str> {
        "Help".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        Label::json_schema(generator)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_a_link_and_everything_else_is_a_text() {
        for (text, shown, is_address) in [
            (
                "https://it.corp.example/help/",
                "it.corp.example/help",
                true,
            ),
            ("mailto:it@corp.example?subject=x", "it@corp.example", true),
            ("tel:+86-10-1234", "+86-10-1234", true),
            ("IT 服务台，内线 8000", "IT 服务台，内线 8000", false),
            ("javascript:alert(1)", "javascript:alert(1)", false),
        ] {
            let line = HelpLine::of(text);
            assert_eq!((line.text, line.address.is_some()), (shown, is_address));
            let help = Label::same(text).map(Help::try_from);
            assert!(matches!(help, Ok(Ok(_))), "{text}");
        }
    }

    #[test]
    fn an_address_that_browsers_cannot_open_is_refused() {
        for text in [
            "https://",
            "https://it corp",
            "mailto:",
            "tel:?x",
            "https://帮助",
        ] {
            let help = Label::same(text).map(Help::try_from);
            assert!(matches!(help, Ok(Err(InvalidHelp::Address(_)))), "{text}");
        }
    }
}
