//! `Console`: the settings of the web console that a site is built from.

use std::time::Duration;

use schemars::JsonSchema;
use serde::Deserialize;
use url::Url;

use crate::request::console::{ConsoleRuleError, ConsoleRules};
use crate::setting::Period;

/// The path below which the console is.
pub const CONSOLE_PATH: &str = "/console/";

/// `[console]`: the web console.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ConsoleConfig {
    /// The scheme, host and port of the console as browsers type them, such as
    /// `https://menshen.corp.example:9443`. Required for `allow` and `view`: people return there after their
    /// login. With https the cookies of the console are sent over https only.
    #[serde(default)]
    pub external_url: Option<Url>,
    /// Who may change things: CEL over `user`, such as `'运维' in user.departments`. It is evaluated again for
    /// each request. Absent: nobody but local administrators.
    #[serde(default)]
    pub allow: Option<String>,
    /// Who may only look: CEL over `user`.
    #[serde(default)]
    pub view: Option<String>,
    /// Whether local administrators may sign in. `menshen admin add NAME` makes one.
    #[serde(default = "local_default")]
    pub local: bool,
    /// How long a session of the console lasts, even if it is used.
    #[serde(default = "lifetime_default")]
    pub lifetime: Period,
    /// How long a session of the console lasts without a request.
    #[serde(default = "idle_timeout_default")]
    pub idle_timeout: Period,
    /// The address of a listener of its own, such as `127.0.0.1:9443`, or a `unix:` path. Absent: the console
    /// is on the listener of `[admin]`.
    #[serde(default)]
    pub listen: Option<String>,
}

const fn local_default() -> bool {
    true
}

const fn lifetime_default() -> Period {
    Period::s(8 * 3600)
}

const fn idle_timeout_default() -> Period {
    Period::s(30 * 60)
}

/// The web console of a site.
#[derive(Clone, Debug)]
pub struct Console {
    /// The origin that browsers use.
    pub external_url: Option<Url>,
    pub rules: ConsoleRules,
    /// Whether local administrators may sign in.
    pub local: bool,
    pub lifetime: Duration,
    pub idle_timeout: Duration,
}

impl Console {
    pub(super) fn build(config: &ConsoleConfig) -> Result<Self, ConsoleRuleError> {
        Ok(Self {
            external_url: config.external_url.clone(),
            rules: ConsoleRules::compile(config.allow.as_deref(), config.view.as_deref())?,
            local: config.local,
            lifetime: config.lifetime.duration(),
            idle_timeout: config.idle_timeout.duration(),
        })
    }

    /// Whether people can sign in with their login.
    pub fn admits_people(&self) -> bool {
        self.external_url.is_some() && self.rules.admit_people()
    }

    /// Whether a person can return to this page after a login: a page of the console, at its origin.
    pub fn has_page(&self, origin: &Url, path: &str) -> bool {
        let own = self.external_url.as_ref();
        let is_there = own.is_some_and(|own| own.origin() == origin.origin());
        is_there && self.admits_people() && path.starts_with(CONSOLE_PATH)
    }
}
