//! Reads a request body as one JSON object, strictly: no member twice, bounded depth, UTF-8. For HENGSHI's API
//! and our own.

use std::fmt;

use serde::de::{DeserializeSeed, Error as _, MapAccess, SeqAccess, Visitor};
use serde::{Deserializer, de};
use serde_json::{Map, Number, Value};

use crate::setting::Step;
use crate::text;
use crate::wording::{Text, error_of_text};

/// The deepest nesting of objects and arrays; the body itself is the first level.
pub(in crate::face::admin) const DEPTH_MAX: usize = 32;

/// Why a body is not one JSON object. `Display` shows nothing of the body but the name of a member.
#[derive(Debug)]
pub(in crate::face::admin) enum JsonError {
    NotAnObject,
    Malformed {
        line: usize,
        column: usize,
        what: Text,
    },
    Duplicate {
        /// The names of the members around it and its own, such as `wecom.secret`.
        path: String,
        line: usize,
        column: usize,
    },
    TooDeep,
}

impl JsonError {
    fn text(&self) -> Text {
        match self {
            Self::NotAnObject => Text::fixed("it is not an object", "不是对象"),
            Self::Malformed { line, column, what } => text!(
                "line {line}, column {column}: {what}",
                "第 {line} 行，第 {column} 列：{what:#}"
            ),
            Self::Duplicate { path, line, column } => text!(
                "line {line}, column {column}: the member {path:?} is there twice",
                "第 {line} 行，第 {column} 列：成员 {path:?} 出现了两次"
            ),
            Self::TooDeep => text!(
                "it is nested deeper than {DEPTH_MAX} levels",
                "嵌套超过 {DEPTH_MAX} 层"
            ),
        }
    }
}

error_of_text!(JsonError);

/// The longest path of a member that an error repeats, in characters.
const PATH_CHARS_MAX: usize = 128;

/// What the deserializer reports in a message, because its errors have no other place.
const DUPLICATE: &str = "duplicate member ";
const TOO_DEEP: &str = "too deep";

/// Parses the body.
pub(in crate::face::admin) fn parse_object(body: &[u8]) -> Result<Map<String, Value>, JsonError> {
    let mut deserializer = serde_json::Deserializer::from_slice(body);
    let whole = Level {
        depth: 1,
        place: None,
    };
    let parsed = whole.deserialize(&mut deserializer);
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
        let path = rest.rsplit_once(" at line ").map_or(rest, |(path, _)| path);
        return JsonError::Duplicate {
            path: path.chars().take(PATH_CHARS_MAX).collect(),
            line: error.line(),
            column: error.column(),
        };
    }
    let what = match error.classify() {
        serde_json::error::Category::Eof => Text::fixed("it ends too early", "结束得太早"),
        _ => Text::fixed("it is not JSON", "不是 JSON"),
    };
    JsonError::Malformed {
        line: error.line(),
        column: error.column(),
        what,
    }
}

/// Where a value is.
#[derive(Clone, Copy)]
struct Place<'p> {
    around: Option<&'p Self>,
    step: Step<'p>,
}

impl fmt::Display for Place<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(around) = self.around {
            around.fmt(f)?;
        }
        match (self.step, self.around) {
            (Step::Key(name), None) => f.write_str(name),
            (Step::Key(name), Some(_)) => write!(f, ".{name}"),
            (Step::Item(index), _) => write!(f, "[{index}]"),
        }
    }
}

/// Reads a value at this level of nesting.
struct Level<'p> {
    depth: usize,
    place: Option<Place<'p>>,
}

impl<'de> DeserializeSeed<'de> for Level<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl Level<'_> {
    /// The level of a member, if there may be one.
    fn below<'b, E: de::Error>(&'b self, step: Step<'b>) -> Result<Level<'b>, E> {
        if self.depth > DEPTH_MAX {
            return Err(E::custom(TOO_DEEP));
        }
        Ok(Level {
            depth: self.depth + 1,
            place: Some(self.place_of(step)),
        })
    }

    fn place_of<'b>(&'b self, step: Step<'b>) -> Place<'b> {
        Place {
            around: self.place.as_ref(),
            step,
        }
    }
}

impl<'de> Visitor<'de> for Level<'_> {
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
        while let Some(item) = list.next_element_seed(self.below(Step::Item(items.len()))?)? {
            items.push(item);
        }
        Ok(Value::Array(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
        let mut object = Map::new();
        while let Some(name) = map.next_key::<String>()? {
            if object.contains_key(&name) {
                let place = self.place_of(Step::Key(&name));
                return Err(A::Error::custom(format!("{DUPLICATE}{place}")));
            }
            let value = map.next_value_seed(self.below(Step::Key(&name))?)?;
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
            (b"{\"a\": {\"b\": 1, \"b\": 2}}", "\"a.b\" is there twice"),
            (
                b"{\"a\": [0,\n{\"b\": 1, \"b\": 2}]}",
                "line 2, column 12: the member \"a[1].b\" is there twice",
            ),
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
