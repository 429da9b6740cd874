//! `check_headers` of a route: which headers a proxy that asks for a decision receives.

use schemars::JsonSchema;
use serde::Deserialize;

use super::config::RouteConfig;

/// Which headers a proxy that asks for a decision receives.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum CheckHeaders {
    /// The identity headers.
    #[default]
    Identity,
    /// Every header that the upstream would receive.
    All,
}

impl RouteConfig {
    /// The first key that adds headers other than the identity.
    pub fn first_key_beyond_identity(&self) -> Option<&'static str> {
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
