//! `Readiness`: whether the process can serve, and what is degraded.

use std::sync::Arc;

use super::Health;
use crate::site::Degradation;
use crate::site::live::LiveSite;
use crate::telemetry::error_chain;
use crate::text;
use crate::wording::Text;

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
    pub(super) reasons: Vec<Text>,
    /// What does not work as it should, although requests are served.
    pub(super) degraded: Vec<Degradation>,
}

impl Readiness {
    pub fn new(health: Arc<Health>, live: Arc<LiveSite>) -> Self {
        Self { health, live }
    }

    /// Probes the store, which writes a row.
    pub(super) async fn report(&self) -> ReadinessReport {
        let mut report = ReadinessReport::default();
        if !self.health.is_site_loaded() {
            let reason = Text::fixed("no configuration is loaded yet", "配置尚未载入");
            report.reasons.push(reason);
        }
        if self.health.is_draining() {
            let reason = Text::fixed("the process is shutting down", "进程正在停止");
            report.reasons.push(reason);
        }
        report.reasons.extend(self.store_problem().await);
        report.degraded = self.health.degraded();
        // Lost log lines do not make the process unready, because requests are still served.
        let services = self.live.services();
        let log_problems = services.telemetry.log_problems().into_iter();
        report.degraded.extend(log_problems.map(Into::into));
        report.degraded.extend(self.live.settings_problem());
        if self.health.has_other_site() {
            let reason = Text::fixed(
                "a menshen with another external_url uses this database",
                "另一个 external_url 不同的 menshen 在使用这个数据库",
            );
            report.degraded.push(reason.into());
        }
        if let Ok(Some(difference)) = services.sessions.clock_difference().await {
            report.degraded.push(Text::of(&difference).into());
        }
        report
    }

    /// Why the store cannot be read or written, if so.
    async fn store_problem(&self) -> Option<Text> {
        let people = &self.live.services().people;
        if let Err(error) = people.ping_store().await {
            tracing::warn!(error = %error_chain(&error), "the store does not answer");
            let why = error.cause();
            return Some(text!(
                "the store does not answer: {why}",
                "数据库没有响应：{why:#}"
            ));
        }
        if let Err(error) = people.try_store_write().await {
            tracing::warn!(error = %error_chain(&error), "the store cannot be written to");
            let why = error.cause();
            return Some(text!(
                "the store cannot be written to: {why}",
                "数据库无法写入：{why:#}"
            ));
        }
        None
    }
}
