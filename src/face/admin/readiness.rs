//! `Readiness`: whether the process can serve, and what is degraded.

use std::sync::Arc;

use super::Health;
use crate::site::live::LiveSite;
use crate::telemetry::error_chain;

/// Finds out whether the process can serve.
#[derive(Debug)]
pub struct Readiness {
    health: Arc<Health>,
    live: Arc<LiveSite>,
}

/// What `/readyz` and the console say.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct ReadinessReport {
    /// Why the process cannot serve; empty if it can.
    pub(super) reasons: Vec<String>,
    /// What does not work as it should, although requests are served.
    pub(super) degraded: Vec<String>,
}

impl Readiness {
    pub fn new(health: Arc<Health>, live: Arc<LiveSite>) -> Self {
        Self { health, live }
    }

    /// Probes the store, which writes a row.
    pub(super) async fn report(&self) -> ReadinessReport {
        let mut report = ReadinessReport::default();
        if !self.health.is_site_loaded() {
            let reason = "no configuration is loaded yet";
            report.reasons.push(reason.to_owned());
        }
        if self.health.is_draining() {
            let reason = "the process is shutting down";
            report.reasons.push(reason.to_owned());
        }
        report.reasons.extend(self.store_problem().await);
        report.degraded = self.health.degraded();
        // Lost log lines do not make the process unready, because requests are still served.
        let services = self.live.services();
        report.degraded.extend(services.telemetry.log_problems());
        report.degraded.extend(self.live.settings_problem());
        if self.health.has_other_site() {
            let reason = "a menshen with another external_url uses this database";
            report.degraded.push(reason.to_owned());
        }
        if let Ok(Some(difference)) = services.sessions.clock_difference().await {
            report.degraded.push(difference.to_string());
        }
        report
    }

    /// Why the store cannot be read or written, if so.
    async fn store_problem(&self) -> Option<String> {
        let people = &self.live.services().people;
        if let Err(error) = people.ping_store().await {
            tracing::warn!(error = %error_chain(&error), "the store does not answer");
            return Some(format!("the store does not answer: {}", error.cause()));
        }
        if let Err(error) = people.try_store_write().await {
            tracing::warn!(error = %error_chain(&error), "the store cannot be written to");
            return Some(format!("the store cannot be written to: {}", error.cause()));
        }
        None
    }
}
