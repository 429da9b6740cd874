//! `LoginPage`: which login page of a source people see that has one for its own client.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::login::pending::Mode;

/// How people sign in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum LoginPage {
    /// Chosen by the User-Agent.
    #[default]
    Auto,
    /// Always the QR page.
    Web,
    /// Always as inside the client.
    InApp,
}

impl LoginPage {
    /// The mode of every login, unless the User-Agent decides.
    pub(crate) fn forced(self) -> Option<Mode> {
        match self {
            Self::Auto => None,
            Self::Web => Some(Mode::Web),
            Self::InApp => Some(Mode::InApp),
        }
    }
}
