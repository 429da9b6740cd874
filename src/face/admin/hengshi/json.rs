//! Reads a request body as one JSON object, strictly: no member twice, bounded depth, UTF-8.

use std::fmt;

use serde::de::{DeserializeSeed, Error as _, MapAccess, SeqAccess, Visitor};
use serde::{Deserializer, de};
use serde_json::{Map, Number, Value};

/// The deepest nesting of objects and arrays; the body itself is the first level.
pub(super) const DEPTH_MAX: usize = 32;

/// Why a body is not one JSON object. `Display` shows nothing of the body but the name of a member.
#[derive(Debug, thiserror::Error)]
pub(super) enum JsonError {
    #[error("it is not an object")]
    NotAnObject,
    #[error("line {line}, column {column}: {what}")]
    Malformed {
        line: usize,
        column: usize,
        what: &'static str,
    },
    #[error("the member {0:?} is there twice")]
    Duplicate(String),
    #[error("it is nested deeper than {DEPTH_MAX} levels")]
    TooDeep,
}

/// The longest name of a member that an error repeats, in characters.
const NAME_CHARS_MAX: usize = 64;

/// What the deserializer reports in a message, because its errors have no other place.
const DUPLICATE: &str = "duplicate member ";
const TOO_DEEP: &str = "too deep";

/// Parses the body.
pub(super) fn parse_object(body: &[u8]) -> Result<Map<String, Value>, JsonError> {
    let mut deserializer = serde_json::Deserializer::from_slice(body);
    let parsed = Level(1).deserialize(&mut deserializer);
    let parsed = parsed.and_then(|value| deserializer.end().map(|()| value));
    match parsed {
        Ok(Value::Object(object)) => Ok(object),
        Ok(_) => Err(JsonError::NotAnObject),
        Err(error) => Err(json_error(&error)),
    }
}

fn json_error(error: &serde_json::Error) -> JsonError {
    let text = error.to_string();
    if text.starts_with(TOO_DEEP) || text.starts_with("recursion limit") {
        return JsonError::TooDeep;
    }
    if let Some(rest) = text.strip_prefix(DUPLICATE) {
        let name = rest.rsplit_once(" at line ").map_or(rest, |(name, _)| name);
        return JsonError::Duplicate(name.chars().take(NAME_CHARS_MAX).collect());
    }
    let what = match error.classify() {
        serde_json::error::Category::Eof => "it ends too early",
        _ => "it is not JSON",
    };
    JsonError::Malformed {
        line: error.line(),
        column: error.column(),
        what,
    }
}

/// Reads a value at this level of nesting.
struct Level(usize);

impl<'de> DeserializeSeed<'de> for Level {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl Level {
    /// The level of the members, if they may be there.
    fn below<E: de::Error>(&self) -> Result<Self, E> {
        match self.0 > DEPTH_MAX {
            true => Err(E::custom(TOO_DEEP)),
            false => Ok(Self(self.0 + 1)),
        }
    }
}

impl<'de> Visitor<'de> for Level {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_bool<E: de::Error>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E: de::Error>(self, value: i64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_u64<E: de::Error>(self, value: u64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_f64<E: de::Error>(self, value: f64) -> Result<Value, E> {
        let number = Number::from_f64(value);
        number
            .map(Value::Number)
            .ok_or_else(|| E::custom("not a number"))
    }

    fn visit_str<E: de::Error>(self, value: &str) -> Result<Value, E> {
        Ok(Value::String(value.to_owned()))
    }

    fn visit_string<E: de::Error>(self, value: String) -> Result<Value, E> {
        Ok(Value::String(value))
    }

    fn visit_unit<E: de::Error>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Value, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = list.next_element_seed(self.below()?)? {
            items.push(item);
        }
        Ok(Value::Array(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
        let mut object = Map::new();
        while let Some(name) = map.next_key::<String>()? {
            let value = map.next_value_seed(self.below()?)?;
            if object.contains_key(&name) {
                return Err(A::Error::custom(format!("{DUPLICATE}{name}")));
            }
            object.insert(name, value);
        }
        Ok(Value::Object(object))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nested(levels: usize) -> String {
        let inner = levels - 1;
        format!("{{\"a\":{}{}}}", "[".repeat(inner), "]".repeat(inner))
    }

    #[test]
    fn one_object_is_read_with_its_types() {
        let object = parse_object(b" {\"a\": 1, \"b\": \"1\", \"c\": [true, null, 1.5]} ").unwrap();
        let expected = serde_json::json!({ "a": 1, "b": "1", "c": [true, null, 1.5] });
        assert_eq!(Value::Object(object), expected);
        assert!(parse_object(nested(DEPTH_MAX).as_bytes()).is_ok());
    }

    #[test]
    fn anything_else_is_refused() {
        for (body, words) in [
            (&b""[..], "too early"),
            (b"{", "too early"),
            (b"[]", "not an object"),
            (b"\"a\"", "not an object"),
            (b"null", "not an object"),
            (b"{} {}", "not JSON"),
            (b"{'a': 1}", "not JSON"),
            (b"{\"a\": NaN}", "not JSON"),
            (b"{\"a\": \"\xff\"}", "not JSON"),
            (b"{\"a\": 1, \"a\": 1}", "\"a\" is there twice"),
            (b"{\"a\": {\"b\": 1, \"b\": 2}}", "\"b\" is there twice"),
            (b"{\"a\": \"hunter2\" hunter2}", "not JSON"),
        ] {
            let error = parse_object(body).unwrap_err().to_string();
            assert!(error.contains(words), "{error}");
            assert!(!error.contains("hunter2"), "{error}");
        }
        for levels in [DEPTH_MAX + 1, 1000, 100_000] {
            let body = nested(levels);
            let error = parse_object(body.as_bytes()).unwrap_err();
            assert!(matches!(error, JsonError::TooDeep), "{levels}: {error}");
        }
    }
}
