//! The values of `[connector.ID]` that every kind has.

use schemars::JsonSchema;
use serde::Deserialize;

/// When a login starts without a click.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum AutoLogin {
    /// Never.
    Never,
    /// Inside the source's own client.
    #[default]
    InApp,
    /// Always.
    Always,
}

/// Who gets an account.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum AdmissionConfig {
    /// Everybody the source vouches for.
    #[default]
    Create,
    /// Only people the directory already has.
    Existing,
}

/// Where a login without a target lands: a path or a URL of this site.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct HomePages {
    /// In an ordinary browser.
    pub desktop: String,
    /// On a phone.
    pub mobile: String,
}

impl Default for HomePages {
    fn default() -> Self {
        Self {
            desktop: "/".to_owned(),
            mobile: "/".to_owned(),
        }
    }
}
