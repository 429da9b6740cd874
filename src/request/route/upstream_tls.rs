//! `[route.upstream_tls]` in the configuration file.

use std::path::{Path, PathBuf};

use schemars::JsonSchema;
use serde::Deserialize;

use crate::secret::SecretSource;

/// TLS to upstreams that the system's authorities do not vouch for, or that want to know who we
/// are.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct UpstreamTlsConfig {
    /// PEM: whom to believe instead of the system's authorities. A certificate of the upstream that
    /// stands here itself is believed whatever its dates are, and also when it names no server.
    pub ca: Option<PathBuf>,
    /// The name that the upstream's certificate must have; absent: the host in `upstream`.
    pub server_name: Option<String>,
    /// PEM: what we show to an upstream that asks, then the ones that vouch for it.
    pub certificate: Option<PathBuf>,
    /// PEM: its private key, not encrypted.
    pub key: Option<SecretSource>,
    /// Whether the upstream's certificate counts, as it does unless this is `false`: then anybody on
    /// the way can answer in its place and read along.
    pub verify: bool,
}

impl Default for UpstreamTlsConfig {
    fn default() -> Self {
        Self {
            ca: None,
            server_name: None,
            certificate: None,
            key: None,
            verify: true,
        }
    }
}

impl UpstreamTlsConfig {
    /// The files to watch for changes, except that of the key.
    pub fn files(&self) -> impl Iterator<Item = &Path> {
        let files = [&self.ca, &self.certificate].into_iter();
        files.filter_map(Option::as_deref)
    }
}
