//! `Demands`: what a route asks of a session besides who proved it. Most routes ask nothing.

use std::time::Duration;

use schemars::JsonSchema;
use serde::Deserialize;

use super::config::RouteConfig;
use crate::clock::Timestamp;
use crate::people::profile::AuthContext;
use crate::people::session::Person;
use crate::setting::Period;

/// What a route asks of a session besides who proved it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Demands {
    /// Authentication contexts that are enough, the best first; empty: any.
    pub acr_values: Vec<String>,
    /// How long ago the person may have proved themselves at most.
    pub max_age: Option<Duration>,
    /// What the source shows at a login for this route. It makes no session insufficient.
    pub prompt: Option<LoginPrompt>,
    /// When the source is asked again who sits there.
    pub reload: Option<Reload>,
}

/// When the source is asked again who sits there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reload {
    /// Whether pages in another page's frame are meant, and not those in a window.
    pub embedded: bool,
    /// How old the source's last word may be.
    pub after: Duration,
}

/// What a source shows at a login.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum LoginPrompt {
    /// The login, also to somebody who is signed in there.
    Login,
    /// Consent.
    Consent,
    /// The choice between accounts.
    SelectAccount,
}

/// When a source is asked again who sits there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum ReloadUser {
    /// Never.
    #[default]
    Never,
    /// When a page is loaded into another page's frame.
    Embedded,
    /// When a page is loaded into a window.
    Always,
}

/// How old the source's last word may be unless the route says otherwise.
pub(super) const fn reload_after() -> Period {
    Period::s(30)
}

impl Demands {
    /// Of a route as it is written; nothing when it asks nothing.
    pub fn of(config: &RouteConfig) -> Option<Box<Self>> {
        let reload = |embedded| Reload {
            embedded,
            after: config.reload_after.duration(),
        };
        let demands = Self {
            acr_values: config.acr_values.clone(),
            max_age: config.max_age.map(|period| period.duration()),
            prompt: config.prompt,
            reload: match config.reload_user {
                ReloadUser::Never => None,
                ReloadUser::Embedded => Some(reload(true)),
                ReloadUser::Always => Some(reload(false)),
            },
        };
        (demands != Self::default()).then(|| Box::new(demands))
    }

    /// Whether what a login proved is enough. `proved_at` is when, for a source that does not say.
    pub fn are_met(
        &self,
        auth_context: &AuthContext,
        proved_at: Option<Timestamp>,
        now: Timestamp,
    ) -> bool {
        let acr = auth_context.acr.as_ref();
        let known = || acr.is_some_and(|acr| self.acr_values.contains(acr));
        let fresh = |max_age: Duration| {
            let at = auth_context.auth_time.or(proved_at);
            at.is_some_and(|at| now.since(at) <= max_age)
        };
        (self.acr_values.is_empty() || known()) && self.max_age.is_none_or(fresh)
    }

    /// Whether the source should be asked again before this person goes on.
    pub(in crate::request) fn reload_is_due(
        &self,
        person: &Person,
        in_frame: bool,
        now: Timestamp,
    ) -> bool {
        self.reload.is_some_and(|reload| {
            reload.embedded == in_frame && now.since(person.confirmed_at) >= reload.after
        })
    }
}
