//! What a custom front end or a mobile app needs to run a login itself (`/login-config`).

use serde::Serialize;
use serde_json::{Map, Value};

/// The members of the JSON response. Empty for what is no JSON object.
pub(crate) fn members(login: &impl Serialize) -> Map<String, Value> {
    match serde_json::to_value(login) {
        Ok(Value::Object(members)) => members,
        _ => Map::new(),
    }
}
