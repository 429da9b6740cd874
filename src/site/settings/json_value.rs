//! A JSON value as the types of the configuration read it. What they refuse is said in both languages, which the
//! errors of `serde_json` do not keep.

use std::fmt;

use serde::de::value::{MapAccessDeserializer, MapDeserializer, SeqDeserializer};
use serde::de::{self, Deserializer, Expected, IntoDeserializer, Unexpected, Visitor};
use serde::forward_to_deserialize_any;
use serde_json::Value;

use crate::text;
use crate::wording::Text;

/// A value of a [`super::table::ConnectorTable`].
#[derive(Clone, Copy)]
pub(super) struct JsonValue<'a>(pub(super) &'a Value);

/// Why a value does not fit. It may repeat what is written in names only, never a value that is a text.
#[derive(Debug)]
pub(super) struct JsonError(Text);

impl JsonError {
    pub(super) fn text(&self) -> &Text {
        &self.0
    }
}

impl fmt::Display for JsonError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl std::error::Error for JsonError {}

impl de::Error for JsonError {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self(Text::of(&message))
    }

    fn invalid_type(_: Unexpected<'_>, expected: &dyn Expected) -> Self {
        let expected = Text::of(expected);
        Self(text!(
            "invalid type, expected {expected}",
            "invalid type, expected {expected:#}"
        ))
    }

    fn invalid_value(unexpected: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Self::invalid_type(unexpected, expected)
    }
}

impl<'de> IntoDeserializer<'de, JsonError> for JsonValue<'de> {
    type Deserializer = Self;

    fn into_deserializer(self) -> Self {
        self
    }
}

impl<'de> Deserializer<'de> for JsonValue<'de> {
    type Error = JsonError;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, JsonError> {
        match self.0 {
            Value::Null => visitor.visit_unit(),
            Value::Bool(value) => visitor.visit_bool(*value),
            Value::Number(number) => match (number.as_u64(), number.as_i64()) {
                (Some(number), _) => visitor.visit_u64(number),
                (None, Some(number)) => visitor.visit_i64(number),
                (None, None) => visitor.visit_f64(number.as_f64().unwrap_or(f64::NAN)),
            },
            Value::String(text) => visitor.visit_str(text),
            Value::Array(items) => {
                SeqDeserializer::new(items.iter().map(JsonValue)).deserialize_any(visitor)
            }
            Value::Object(_) => self.members().deserialize_any(visitor),
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, JsonError> {
        match self.0 {
            Value::Null => visitor.visit_none(),
            _ => visitor.visit_some(self),
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, JsonError> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, JsonError> {
        match self.0 {
            Value::String(text) => visitor.visit_enum(text.as_str().into_deserializer()),
            Value::Object(_) => visitor.visit_enum(MapAccessDeserializer::new(self.members())),
            _ => self.deserialize_any(visitor),
        }
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit unit_struct seq tuple
        tuple_struct map struct identifier ignored_any
    }
}

type Members<'a> = Box<dyn Iterator<Item = (&'a str, JsonValue<'a>)> + 'a>;

impl<'a> JsonValue<'a> {
    /// The members of an object; none of any other value.
    fn members(self) -> MapDeserializer<'a, Members<'a>, JsonError> {
        let members = self.0.as_object().into_iter().flatten();
        let members = members.map(|(key, value)| (key.as_str(), JsonValue(value)));
        MapDeserializer::new(Box::new(members))
    }
}
