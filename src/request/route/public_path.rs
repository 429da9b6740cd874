//! `PublicPath`: a path that needs no session, whatever the access of the route.

use serde::Deserialize;

use super::config_values::{RouteConfigError, has_one_reading};
use crate::setting::text_schema;

/// A single path, without those below it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct PublicPath(String);

impl PublicPath {
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for PublicPath {
    type Error = RouteConfigError;

    fn try_from(text: String) -> Result<Self, RouteConfigError> {
        match has_one_reading(&text) {
            true => Ok(Self(text)),
            false => Err(RouteConfigError::PublicPath),
        }
    }
}

text_schema!(PublicPath: "a whole path");
