//! `Claims`: typed access to the claims of a verified token.

use std::fmt;

use serde_json::{Map, Value};

use crate::clock::Timestamp;

/// The claims of a verified token. `Debug` shows only their names.
#[derive(Clone, PartialEq)]
pub struct Claims(Map<String, Value>);

/// A claim that is missing or has the wrong type.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the claim `{0}` is missing or malformed")]
pub struct ClaimError(pub &'static str);

/// The end of the year 9999. A later time is refused.
const TIMESTAMP_MAX_S: f64 = 253_402_300_799.0;

impl fmt::Debug for Claims {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

impl Claims {
    pub fn new(claims: Map<String, Value>) -> Self {
        Self(claims)
    }

    pub fn get(&self, name: &str) -> Option<&Value> {
        self.0.get(name)
    }

    /// A claim that must be a string and not empty.
    pub fn text(&self, name: &'static str) -> Result<&str, ClaimError> {
        let text = self.0.get(name).and_then(Value::as_str);
        text.filter(|text| !text.is_empty()).ok_or(ClaimError(name))
    }

    /// A string or a list of strings; empty if the claim is absent.
    pub fn texts(&self, name: &'static str) -> Result<Vec<&str>, ClaimError> {
        match self.0.get(name) {
            None => Ok(Vec::new()),
            Some(Value::String(text)) => Ok(vec![text]),
            Some(Value::Array(items)) => items
                .iter()
                .map(|item| item.as_str().ok_or(ClaimError(name)))
                .collect(),
            Some(_) => Err(ClaimError(name)),
        }
    }

    /// A `NumericDate` (RFC 7519 §2): seconds since 1970.
    pub fn timestamp(&self, name: &'static str) -> Result<Option<Timestamp>, ClaimError> {
        let Some(value) = self.0.get(name) else {
            return Ok(None);
        };
        let seconds = value.as_f64().ok_or(ClaimError(name))?;
        if !(0.0..=TIMESTAMP_MAX_S).contains(&seconds) {
            return Err(ClaimError(name));
        }
        let whole = value
            .as_i64()
            .or_else(|| format!("{:.0}", seconds.floor()).parse().ok());
        whole
            .map(|s| Some(Timestamp::from_unix_s(s)))
            .ok_or(ClaimError(name))
    }

    pub fn into_map(self) -> Map<String, Value> {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn claims(value: Value) -> Claims {
        match value {
            Value::Object(map) => Claims::new(map),
            other => panic!("{other}"),
        }
    }

    #[test]
    fn a_timestamp_is_a_number_between_1970_and_9999() {
        let timestamp = |value: Value| claims(json!({ "exp": value })).timestamp("exp");
        assert_eq!(
            timestamp(json!(2_147_483_648_i64)),
            Ok(Some(Timestamp::from_unix_s(2_147_483_648)))
        );
        assert_eq!(timestamp(json!(1.9)), Ok(Some(Timestamp::from_unix_s(1))));
        assert_eq!(claims(json!({})).timestamp("exp"), Ok(None));
        for bad in [
            json!(1e300),
            json!(-1),
            json!("1700000000"),
            json!(null),
            json!([1]),
        ] {
            assert_eq!(timestamp(bad.clone()), Err(ClaimError("exp")), "{bad}");
        }
    }

    #[test]
    fn a_list_of_strings_holds_only_strings() {
        let aud = |value: Value| {
            claims(json!({ "aud": value }))
                .texts("aud")
                .map(|texts| texts.len())
        };
        assert_eq!(aud(json!("a")), Ok(1));
        assert_eq!(aud(json!(["a", "b"])), Ok(2));
        assert_eq!(aud(json!(["a", 1])), Err(ClaimError("aud")));
        assert_eq!(aud(json!({ "a": 1 })), Err(ClaimError("aud")));
    }

    #[test]
    fn debug_shows_names_and_no_values() {
        let shown = format!("{:?}", claims(json!({ "email": "zhangsan@corp.example" })));
        assert!(
            shown.contains("email") && !shown.contains("zhangsan"),
            "{shown}"
        );
    }
}
