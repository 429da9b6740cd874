//! `[route.upstream_tls]` in the configuration file.

use std::path::{Path, PathBuf};

use schemars::JsonSchema;
use serde::Deserialize;

use crate::secret::SecretSource;

/// TLS to upstreams with other certificate authorities, or that require a client certificate.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct UpstreamTlsConfig {
    /// PEM: the certificate authorities to trust instead of the system's. The upstream's own
    /// certificate may be listed as well; it is then accepted regardless of its dates and names.
    pub ca: Option<PathBuf>,
    /// The name that the upstream's certificate must have; absent: the host in `upstream`.
    pub server_name: Option<String>,
    /// PEM: the client certificate for upstreams that require one, followed by its intermediates.
    pub certificate: Option<PathBuf>,
    /// PEM: its private key, not encrypted.
    pub key: Option<SecretSource>,
    /// Whether the upstream's certificate is verified, as by default. With `false`, an attacker on
    /// the network path can impersonate the upstream and read the traffic.
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
