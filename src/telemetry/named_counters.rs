//! `NamedCounters`: counters of what the configuration names, which end with it.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;

use super::Telemetry;
use super::metrics::Labels;

/// Counters whose first label is the name of something in the configuration, or empty.
#[derive(Debug, Default)]
pub(super) struct NamedCounters {
    family: Family<Labels, Counter>,
    /// The labels of all counters.
    labels: Mutex<BTreeSet<Labels>>,
}

/// What the active configuration names.
#[derive(Debug, Default)]
pub struct ActiveNames {
    pub routes: BTreeSet<String>,
    /// As in [`Telemetry::count_upstream_failure`].
    pub upstreams: BTreeSet<String>,
    pub connectors: BTreeSet<String>,
    pub issuers: BTreeSet<String>,
}

impl NamedCounters {
    /// The metric, to be registered.
    pub(super) fn family(&self) -> Family<Labels, Counter> {
        self.family.clone()
    }

    pub(super) fn counter(&self, labels: Labels) -> Counter {
        let mut known = self.labels.lock().unwrap_or_else(PoisonError::into_inner);
        let counter = self.family.get_or_create_owned(&labels);
        known.insert(labels);
        counter
    }

    /// Removes the counters of all names but these. Those with an empty name stay.
    pub(super) fn retain(&self, active: &BTreeSet<String>) {
        let mut known = self.labels.lock().unwrap_or_else(PoisonError::into_inner);
        known.retain(|labels| {
            let name = labels.first().map_or("", |(_, name)| name);
            let is_active = name.is_empty() || active.contains(name);
            if !is_active {
                self.family.remove(labels);
            }
            is_active
        });
    }
}

impl Telemetry {
    /// Removes the metrics of everything but these: otherwise reloads and changed connectors leave more and more.
    pub fn retain_names(&self, active: &ActiveNames) {
        let metrics = &self.0.metrics;
        metrics.routes.retain(active);
        for counters in [&metrics.logins, &metrics.refreshes, &metrics.app_tokens] {
            counters.retain(&active.connectors);
        }
        metrics.bearers.retain(&active.issuers);
    }
}
