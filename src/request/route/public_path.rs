//! `PublicPath`: one path that everybody may ask for, whoever may take the rest of the route.

use serde::Deserialize;

use super::config::{RouteConfigError, is_read_in_one_way};
use crate::setting::text_schema;

/// One path, and nothing below it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct PublicPath(String);

impl PublicPath {
    /// The path as configured.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for PublicPath {
    type Error = RouteConfigError;

    fn try_from(text: String) -> Result<Self, RouteConfigError> {
        match is_read_in_one_way(&text) {
            true => Ok(Self(text)),
            false => Err(RouteConfigError::PublicPath),
        }
    }
}

text_schema!(PublicPath: "a whole path");
