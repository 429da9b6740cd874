//! STAND-IN: the settings of door, face and telemetry, until those modules are merged.

use std::borrow::Cow;
use std::path::PathBuf;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::value::MapAccessDeserializer;
use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer};

use crate::secret::SecretSource;

/// STAND-IN for `door::listen::ListenConfig`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListenConfig {
    /// `host:port` or `unix:/path`.
    pub address: String,
    /// Whether TLS ends here; absent: when there is a certificate.
    pub tls: Option<bool>,
    /// Sends browsers to https.
    pub redirect_https: bool,
    /// Expects a PROXY header.
    pub proxy_protocol: bool,
}

impl ListenConfig {
    /// The default: this machine only.
    pub fn loopback() -> Self {
        Self::at("127.0.0.1:8080")
    }

    fn at(address: &str) -> Self {
        Self {
            address: address.to_owned(),
            tls: None,
            redirect_https: false,
            proxy_protocol: false,
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Table {
    address: String,
    #[serde(default)]
    tls: Option<bool>,
    #[serde(default)]
    redirect_https: bool,
    #[serde(default)]
    proxy_protocol: bool,
}

impl<'de> Deserialize<'de> for ListenConfig {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Either;
        impl<'de> Visitor<'de> for Either {
            type Value = ListenConfig;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("an address or a table { address = \"...\" }")
            }

            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<ListenConfig, E> {
                if text.contains(':') {
                    return Ok(ListenConfig::at(text));
                }
                Err(E::custom(
                    "an address to listen on is host:port or unix:/path",
                ))
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<ListenConfig, A::Error> {
                let Table {
                    address,
                    tls,
                    redirect_https,
                    proxy_protocol,
                } = Table::deserialize(MapAccessDeserializer::new(map))?;
                Ok(ListenConfig {
                    address,
                    tls,
                    redirect_https,
                    proxy_protocol,
                })
            }
        }
        deserializer.deserialize_any(Either)
    }
}

impl JsonSchema for ListenConfig {
    fn schema_name() -> Cow<'static, str> {
        "ListenConfig".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": ["string", "object"] })
    }
}

/// STAND-IN for `door::tls::TlsConfig`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TlsConfig {
    /// A PEM file with the certificate and its chain; read again when it changes.
    pub certificate: PathBuf,
    /// A PEM file with its private key.
    pub key: PathBuf,
    /// Further pairs, chosen by the name the client asks for.
    #[serde(default)]
    pub more: Vec<Pair>,
}

/// STAND-IN for a further pair.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Pair {
    /// Its certificate and chain.
    pub certificate: PathBuf,
    /// Its private key.
    pub key: PathBuf,
}

impl TlsConfig {
    /// Every file it names.
    pub fn files(&self) -> Vec<PathBuf> {
        let more = self
            .more
            .iter()
            .flat_map(|pair| [&pair.certificate, &pair.key]);
        [&self.certificate, &self.key]
            .into_iter()
            .chain(more)
            .cloned()
            .collect()
    }
}

/// STAND-IN for `door::DoorLimits`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct DoorLimits {
    /// Connections at a time, in all.
    pub connections_max: u32,
}

impl Default for DoorLimits {
    fn default() -> Self {
        Self {
            connections_max: 10_000,
        }
    }
}

/// STAND-IN for `face::admin::AdminConfig`.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AdminConfig {
    /// Its own address, for nobody but you and your monitoring.
    pub listen: ListenConfig,
    /// The bearer token of the admin API. Absent: health and metrics only.
    #[serde(default)]
    pub token: Option<SecretSource>,
}

/// STAND-IN for `telemetry::LogConfig`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct LogConfig {
    /// `error`, `warn`, `info`, `debug`, `trace`, or a filter such as `menshen=debug,info`.
    pub level: String,
    /// `text` or `json`.
    pub format: String,
}

impl Default for LogConfig {
    fn default() -> Self {
        Self {
            level: "info".to_owned(),
            format: "text".to_owned(),
        }
    }
}
