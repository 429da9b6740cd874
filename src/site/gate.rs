//! Builds the gate of a site.

use std::sync::Arc;

use super::{BuildError, Config, Services, Site};
use crate::keys::KeyRing;
use crate::login::Login;
use crate::people::session::{RefreshTimeouts, Refresher, SessionTimeouts};
use crate::people::token_sessions::TokenSessions;
use crate::request::access_token::AccessTokenLimits;
use crate::request::bearer::BearerTokens;
use crate::request::gate::Gate;
use crate::telemetry::LogLimiter;

/// Builds the gate, which identifies callers by their session or their token.
pub(super) fn build(
    config: &Config,
    services: &Services,
    (ring, timeouts): (&Arc<KeyRing>, SessionTimeouts),
    login: &Login,
    previous: Option<&Site>,
) -> Result<Gate, BuildError> {
    let token_sessions = Arc::new(TokenSessions::new(
        login.token_sessions(),
        &services.people,
        ring,
        &services.clock,
        &services.telemetry,
    ));
    let bearers = BearerTokens::build(
        &config.issuers,
        &services.clock,
        &services.telemetry,
        &token_sessions,
        previous.map(|site| &site.gate.bearers),
    );
    Ok(Gate {
        sessions: Arc::clone(&services.sessions),
        refresher: Refresher::new(
            Arc::clone(&services.sessions),
            Arc::clone(ring),
            services.telemetry.clone(),
            login.refreshable_connectors(),
            RefreshTimeouts::default(),
        ),
        ring: Arc::clone(ring),
        timeouts,
        connectors: config.connectors.keys().cloned().collect(),
        bearers: bearers.map_err(BuildError::Bearer)?,
        access_token_limits: AccessTokenLimits::new(
            config.session.unknown_access_tokens_per_client_per_minute,
            previous.map(|site| &site.gate.access_token_limits),
        ),
        conflict_log: LogLimiter::default(),
        outage_log: LogLimiter::default(),
    })
}
