//! `check_headers` of a route: what another proxy is answered that asks about a request.

use schemars::JsonSchema;
use serde::Deserialize;

use super::config::RouteConfig;

/// What another proxy is answered about a request that may pass.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum CheckHeaders {
    /// Who it is.
    #[default]
    Identity,
    /// All that the upstream would get.
    All,
}

impl RouteConfig {
    /// The first key by which the upstream gets more than the identity.
    pub fn beyond_identity(&self) -> Option<&'static str> {
        let keys = [
            ("basic_auth", self.basic_auth.is_some()),
            ("headers", !self.headers.is_empty()),
            ("pass_access_token", self.pass_access_token),
            ("pass_id_token", self.pass_id_token),
            ("assertion", self.assertion),
        ];
        keys.into_iter()
            .find_map(|(key, is_set)| is_set.then_some(key))
    }
}
