//! Setting types of `[connector.ID]` that all kinds share.

use schemars::JsonSchema;
use serde::Deserialize;

/// When a login starts automatically.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum AutoLogin {
    Never,
    /// Inside the source's own app.
    #[default]
    InApp,
    Always,
}

/// Which people get an account.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum AdmissionConfig {
    /// Everybody whom the source confirms.
    #[default]
    Create,
    /// Only people who have an account or are linked to one.
    Existing,
}

/// Where a login without a return address ends: a path or a URL of this site.
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
