//! `[connector.ID.saml]`: the settings of one SAML identity provider.

use std::borrow::Cow;
use std::fmt;
use std::path::{Path, PathBuf};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{Error as _, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use url::Url;

use super::names;
use crate::secret::SecretSource;
use crate::setting::Period;
use crate::text;

/// Login with a SAML 2.0 identity provider such as Keycloak, Entra ID, AD FS or Shibboleth. `external_url`
/// must be https.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The metadata of the identity provider: its URL (https, or http on this machine), or
    /// `{ file = "/path" }`. It names the keys that sign assertions, so who can change it can sign in as anybody.
    pub metadata: MetadataSource,
    /// Whether metadata is fetched from another machine over plain http. Who can change it in transit can then
    /// sign in as anybody, unless `metadata_certificate` is set.
    #[serde(default)]
    pub allow_http: bool,
    /// A PEM certificate. Then the metadata must be signed by its key.
    #[serde(default)]
    pub metadata_certificate: Option<PathBuf>,
    /// The entity ID of the identity provider, if the metadata describes several.
    #[serde(default)]
    pub idp_entity_id: Option<String>,
    /// How long metadata from a URL is used before it is fetched again, at least `10s`. `validUntil` and
    /// `cacheDuration` in it shorten this. It is also fetched when a signature names no key in it, at most
    /// every ten seconds.
    #[serde(default = "default_metadata_refresh")]
    pub metadata_refresh: Period,
    /// The entity ID of menshen. Absent: the URL of its metadata, `PREFIX/saml/ID/metadata`.
    #[serde(default)]
    pub entity_id: Option<String>,
    /// The private key of menshen in PEM, RSA with at least 2048 bits: it signs requests and decrypts
    /// assertions. Without it requests are not signed, nothing encrypted is accepted, and there is no single
    /// logout.
    #[serde(default)]
    pub private_key: Option<SecretSource>,
    /// The PEM certificate of `private_key`, which is part of the metadata of menshen.
    #[serde(default)]
    pub certificate: Option<PathBuf>,
    /// The text of the PEM certificate, in place of `certificate`.
    #[serde(default)]
    pub certificate_pem: Option<String>,
    /// How login requests reach the identity provider: `redirect` (in a URL) or `post` (in a form).
    #[serde(default)]
    pub binding: Binding,
    /// The format of the `NameID` to request: `persistent`, `transient`, `email`, `unspecified` or a URN. A
    /// `NameID` of another format is refused. Absent or `unspecified`: the identity provider chooses, and any
    /// is accepted.
    #[serde(default)]
    pub name_id_format: Option<String>,
    /// CEL over `profile`: the ID that identifies the account. It must never change and never be given to
    /// another person. Absent: the `NameID`, unless it is transient.
    #[serde(default)]
    pub subject: Option<String>,
    /// What must be signed: `any` (the assertion or the response), `assertion`, `response` or `both`.
    #[serde(default)]
    pub signed: Signed,
    /// Whether assertions must be encrypted: `optional` or `required`.
    #[serde(default)]
    pub encrypted: Encrypted,
    /// Whether signatures with SHA-1 are accepted.
    #[serde(default)]
    pub allow_sha1: bool,
    /// Whether assertions that are encrypted with AES-CBC are accepted. Only in a response that is signed.
    #[serde(default)]
    pub allow_cbc: bool,
    /// Whether the identity provider may start logins. Anybody could then sign a person in as somebody
    /// else; if another person is signed in already, menshen asks first.
    #[serde(default)]
    pub idp_initiated: bool,
    /// The clock difference to the identity provider that is tolerated.
    #[serde(default = "default_clock_skew")]
    pub clock_skew: Period,
}

/// Where the metadata of the identity provider is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MetadataSource {
    Url(Url),
    File(PathBuf),
}

/// How login requests reach the identity provider.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Binding {
    #[default]
    Redirect,
    Post,
}

/// What must be signed. A signature that is there and is not valid refuses the response in any case.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Signed {
    /// The assertion or the response.
    #[default]
    Any,
    Assertion,
    Response,
    Both,
}

/// Whether assertions must be encrypted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Encrypted {
    #[default]
    Optional,
    Required,
}

impl MetadataSource {
    /// The file, if it is one.
    pub fn file(&self) -> Option<&Path> {
        match self {
            Self::File(path) => Some(path),
            Self::Url(_) => None,
        }
    }
}

impl Signed {
    pub(super) fn needs_assertion(self) -> bool {
        matches!(self, Self::Assertion | Self::Both)
    }

    pub(super) fn needs_response(self) -> bool {
        matches!(self, Self::Response | Self::Both)
    }
}

impl Config {
    /// The URN of `name_id_format`; `None` if it is neither a short name nor a URN.
    pub(super) fn name_id_format(&self) -> Option<&str> {
        Some(match self.name_id_format.as_deref()? {
            "persistent" => names::PERSISTENT,
            "transient" => names::TRANSIENT,
            "email" => names::EMAIL,
            "unspecified" => names::UNSPECIFIED,
            other if other.starts_with("urn:") => other,
            _ => return None,
        })
    }

    /// The format that a `NameID` must have: any is right if none or the unspecified one was asked for
    /// (SAML 2.0 core §3.4.1.1).
    pub(super) fn restricting_format(&self) -> Option<&str> {
        let format = self.name_id_format();
        format.filter(|format| *format != names::UNSPECIFIED)
    }
}

impl<'de> Deserialize<'de> for MetadataSource {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(SourceVisitor)
    }
}

struct SourceVisitor;

impl<'de> Visitor<'de> for SourceVisitor {
    type Value = MetadataSource;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let expected = text!(
            "a URL, or {{ file = \"/path\" }}",
            " URL 或 {{ file = \"/路径\" }}"
        );
        fmt::Display::fmt(&expected, f)
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<MetadataSource, E> {
        let url = Url::parse(text);
        let url = url.map_err(|_| {
            E::custom(text!(
                "this is not a URL: write https://..., or {{ file = \"/path\" }}",
                "这不是 URL：请写 https://...，或 {{ file = \"/路径\" }}"
            ))
        })?;
        Ok(MetadataSource::Url(url))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<MetadataSource, A::Error> {
        let Some(key) = map.next_key::<String>()? else {
            return Err(A::Error::custom(text!("`file` is missing", "缺少 `file`")));
        };
        if key != "file" {
            return Err(A::Error::unknown_field(&key, &["file"]));
        }
        let file = MetadataSource::File(map.next_value()?);
        match map.next_key::<String>()? {
            None => Ok(file),
            Some(other) => Err(A::Error::unknown_field(&other, &["file"])),
        }
    }
}

impl JsonSchema for MetadataSource {
    fn schema_name() -> Cow<'static, str> {
        "MetadataSource".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "oneOf": [
            { "type": "string", "format": "uri" },
            { "type": "object", "required": ["file"], "additionalProperties": false,
              "properties": { "file": { "type": "string" } } },
        ] })
    }
}

fn default_metadata_refresh() -> Period {
    Period::s(3_600)
}

fn default_clock_skew() -> Period {
    Period::s(60)
}
