//! `ProxyUrl`: the URL of an HTTP proxy.

use std::borrow::Cow;
use std::fmt;

use crate::wording::error_of_text;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Deserialize;
use url::Url;

/// The URL of an HTTP proxy. `Display` and `Debug` omit its credentials.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct ProxyUrl(Url);

/// A text that is not the URL of an HTTP proxy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InvalidProxyUrl;

error_of_text!(InvalidProxyUrl: "a proxy is written http://host:port or https://host:port", "代理应写成 http://主机:端口 或 https://主机:端口");

impl TryFrom<String> for ProxyUrl {
    type Error = InvalidProxyUrl;

    fn try_from(text: String) -> Result<Self, InvalidProxyUrl> {
        let url = Url::parse(&text).map_err(|_| InvalidProxyUrl)?;
        let is_valid = matches!(url.scheme(), "http" | "https") && url.has_host();
        if is_valid {
            Ok(Self(url))
        } else {
            Err(InvalidProxyUrl)
        }
    }
}

impl ProxyUrl {
    /// Whether the URL contains a password.
    pub fn has_password(&self) -> bool {
        self.0.password().is_some()
    }

    /// The URL with its credentials. The caller must not print or log it.
    pub(super) fn expose(&self) -> &Url {
        &self.0
    }
}

impl fmt::Display for ProxyUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.origin().ascii_serialization())
    }
}

impl fmt::Debug for ProxyUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl JsonSchema for ProxyUrl {
    fn schema_name() -> Cow<'static, str> {
        "ProxyUrl".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "pattern": "^https?://" })
    }
}
