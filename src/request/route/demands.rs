//! `Demands`: what a route demands of a session besides its connector. Most routes demand nothing.

use std::sync::Arc;
use std::time::Duration;

use schemars::JsonSchema;
use serde::Deserialize;

use super::config::RouteConfig;
use crate::clock::Timestamp;
use crate::people::profile::AuthContext;
use crate::people::session::Person;
use crate::setting::Period;
use crate::store::ConnectorId;

/// What a route demands of a session besides its connector.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Demands {
    /// Accepted authentication contexts, the preferred first; empty: any.
    pub acr_values: Vec<String>,
    /// The highest accepted age of the authentication.
    pub max_age: Option<Duration>,
    /// What the source shows at a login for this route. It affects logins only, not existing
    /// sessions.
    pub prompt: Option<LoginPrompt>,
    /// When the source must confirm who is signed in.
    pub reconfirmation: Option<Reconfirmation>,
}

/// When the source must confirm who is signed in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reconfirmation {
    /// Whether this applies to pages in frames, and not to top-level pages.
    pub embedded: bool,
    /// The connectors whose people this applies to; absent: all.
    pub only_via: Option<Arc<[ConnectorId]>>,
    /// How old the last confirmation may be.
    pub after: Duration,
}

/// What a source shows at a login.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum LoginPrompt {
    /// The login form, even to a person who is signed in there.
    Login,
    Consent,
    SelectAccount,
}

/// When a source must confirm who is signed in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum ReloadUser {
    Never,
    /// When a page is loaded in another page's frame.
    Embedded,
    /// When a top-level page is loaded.
    Always,
}

/// How old the last confirmation may be by default.
pub(super) const fn reload_after() -> Period {
    Period::s(30)
}

impl Demands {
    /// The demands in a route's configuration, if there are any. `reloading` are the connectors with
    /// `reload_user`.
    pub fn of(config: &RouteConfig, reloading: &Arc<[ConnectorId]>) -> Option<Box<Self>> {
        let reconfirmation = |embedded| Reconfirmation {
            embedded,
            only_via: None,
            after: config.reload_after.duration(),
        };
        let demands = Self {
            acr_values: config.acr_values.clone(),
            max_age: config.max_age.map(|period| period.duration()),
            prompt: config.prompt,
            reconfirmation: match config.reload_user {
                Some(ReloadUser::Never) => None,
                Some(ReloadUser::Embedded) => Some(reconfirmation(true)),
                Some(ReloadUser::Always) => Some(reconfirmation(false)),
                None => (!reloading.is_empty()).then(|| Reconfirmation {
                    only_via: Some(Arc::clone(reloading)),
                    ..reconfirmation(false)
                }),
            },
        };
        (demands != Self::default()).then(|| Box::new(demands))
    }

    /// Whether they demand a certain login, besides who the person is.
    pub fn concern_the_login(&self) -> bool {
        !self.acr_values.is_empty() || self.max_age.is_some()
    }

    /// Whether an authentication is sufficient. `login_at` is used as its time if the source reports none.
    pub fn are_met(
        &self,
        auth_context: &AuthContext,
        login_at: Option<Timestamp>,
        now: Timestamp,
    ) -> bool {
        let acr = auth_context.acr.as_ref();
        let is_accepted = || acr.is_some_and(|acr| self.acr_values.contains(acr));
        let is_recent = |max_age: Duration| {
            let authenticated_at = auth_context.auth_time.or(login_at);
            authenticated_at.is_some_and(|at| now.since(at) <= max_age)
        };
        (self.acr_values.is_empty() || is_accepted()) && self.max_age.is_none_or(is_recent)
    }

    /// Whether the source must confirm this person before the page load continues.
    pub(in crate::request) fn reconfirmation_is_due(
        &self,
        person: &Person,
        in_frame: bool,
        now: Timestamp,
    ) -> bool {
        self.reconfirmation.as_ref().is_some_and(|reconfirmation| {
            let only_via = reconfirmation.only_via.as_ref();
            reconfirmation.embedded == in_frame
                && only_via.is_none_or(|only_via| only_via.contains(&person.session.via))
                && now.since(person.confirmed_at) >= reconfirmation.after
        })
    }
}
