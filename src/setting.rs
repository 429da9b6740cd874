//! What the configuration of every module needs: types of values, paths and positions in a document, names of
//! secrets, and the messages of parsers.

use std::borrow::Cow;
use std::fmt;
use std::time::Duration;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::Visitor;
use serde::{Deserialize, Deserializer};
use url::Url;

use crate::text;
use crate::wording::error_of_text;

mod key_path;
mod label;
mod parser_messages;
mod position;
mod secret_name;

pub use key_path::{KeyPath, Step};
pub use label::{InvalidLabel, LABEL_CHARS_MAX, Label};
pub use parser_messages::{toml_message, toml_message_parts, value_message};
pub use position::line_column;
pub use secret_name::names_secret;

/// Whether the host of a URL is this machine.
pub fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(url::Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        Some(url::Host::Ipv4(ip)) => ip.is_loopback(),
        Some(url::Host::Ipv6(ip)) => ip.is_loopback(),
        None => false,
    }
}

/// Whether requests to a URL leave this machine without TLS.
pub fn sends_in_clear_text(url: &Url) -> bool {
    url.scheme() != "https" && !is_loopback(url)
}

/// Whether a URL has only a scheme (`http` or `https`), a host and perhaps a port.
pub fn is_origin(url: &Url) -> bool {
    matches!(url.scheme(), "http" | "https")
        && url.has_host()
        && url.path() == "/"
        && url.query().is_none()
        && url.fragment().is_none()
        && url.username().is_empty()
        && url.password().is_none()
}

/// A length of time: a number and one of `ms`, `s`, `m`, `h`, `d`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Period(Duration);

/// A text that is not a period.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InvalidPeriod;

error_of_text!(InvalidPeriod: "a period is a whole number and a unit: 500ms, 30s, 5m, 12h or 7d", "时长应为整数加单位：500ms、30s、5m、12h 或 7d");

impl Period {
    pub const fn s(seconds: u64) -> Self {
        Self(Duration::from_secs(seconds))
    }

    pub const fn duration(self) -> Duration {
        self.0
    }
}

impl TryFrom<String> for Period {
    type Error = InvalidPeriod;

    fn try_from(text: String) -> Result<Self, InvalidPeriod> {
        let end = text
            .find(|c: char| !c.is_ascii_digit())
            .ok_or(InvalidPeriod)?;
        let number: u64 = text[..end].parse().map_err(|_| InvalidPeriod)?;
        let unit_ms = match &text[end..] {
            "ms" => 1,
            "s" => 1_000,
            "m" => 60_000,
            "h" => 3_600_000,
            "d" => 86_400_000,
            _ => return Err(InvalidPeriod),
        };
        number
            .checked_mul(unit_ms)
            .map(|ms| Self(Duration::from_millis(ms)))
            .ok_or(InvalidPeriod)
    }
}

impl<'de> Deserialize<'de> for Period {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(PeriodVisitor)
    }
}

struct PeriodVisitor;

impl Visitor<'_> for PeriodVisitor {
    type Value = Period;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let expected = text!(
            "a period in quotes, with its unit: \"30s\", \"5m\", \"12h\" or \"7d\"",
            "带单位和引号的时长：\"30s\"、\"5m\"、\"12h\" 或 \"7d\""
        );
        fmt::Display::fmt(&expected, f)
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Period, E> {
        text.to_owned().try_into().map_err(E::custom)
    }
}

impl JsonSchema for Period {
    fn schema_name() -> Cow<'static, str> {
        "Period".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "pattern": "^[0-9]+(ms|s|m|h|d)$" })
    }
}

/// Implements `JsonSchema` for types that are written as a string.
macro_rules! text_schema {
    ($($name:ident: $description:literal),* $(,)?) => {$(
        impl schemars::JsonSchema for $name {
            fn schema_name() -> std::borrow::Cow<'static, str> {
                stringify!($name).into()
            }

            fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
                schemars::json_schema!({ "type": "string", "description": $description })
            }
        }
    )*};
}
pub(crate) use text_schema;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_period_has_a_number_and_a_unit() {
        let parse = |text: &str| Period::try_from(text.to_owned()).map(Period::duration);
        assert_eq!(parse("12h"), Ok(Duration::from_secs(43_200)));
        assert_eq!(parse("250ms"), Ok(Duration::from_millis(250)));
        for bad in [
            "",
            "12",
            "h",
            "-1s",
            "1.5h",
            "1 h",
            "12hours",
            "99999999999999999999s",
        ] {
            assert_eq!(parse(bad), Err(InvalidPeriod), "{bad}");
        }
    }
}
