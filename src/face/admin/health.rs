//! `Health`: the state of the process for probes.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use crate::site::Degradation;

/// The state of the process for health and readiness probes.
#[derive(Debug, Default)]
pub struct Health {
    site_loaded: AtomicBool,
    draining: AtomicBool,
    degraded: Mutex<Vec<Degradation>>,
    has_other_site: AtomicBool,
}

impl Health {
    /// Called when the first site is loaded and requests can be decided.
    pub fn set_site_loaded(&self) {
        self.site_loaded.store(true, Ordering::Release);
    }

    /// Called at shutdown, so that load balancers send no further requests.
    pub fn set_draining(&self) {
        self.draining.store(true, Ordering::Release);
    }

    /// Whether a site is loaded and the process is not shutting down, without the store; for the gRPC
    /// health check.
    pub fn is_serving(&self) -> bool {
        self.is_site_loaded() && !self.is_draining()
    }

    /// Whether a site with another `external_url` uses the same database.
    pub fn set_has_other_site(&self, has_other_site: bool) {
        self.has_other_site.store(has_other_site, Ordering::Release);
    }

    /// Replaces the list of degradations, such as a refused reload.
    pub fn set_degraded(&self, reasons: Vec<Degradation>) {
        *self.degraded.lock().unwrap_or_else(PoisonError::into_inner) = reasons;
    }

    pub(super) fn is_site_loaded(&self) -> bool {
        self.site_loaded.load(Ordering::Acquire)
    }

    pub(super) fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Acquire)
    }

    pub(super) fn has_other_site(&self) -> bool {
        self.has_other_site.load(Ordering::Acquire)
    }

    pub(super) fn degraded(&self) -> Vec<Degradation> {
        let degraded = self.degraded.lock().unwrap_or_else(PoisonError::into_inner);
        degraded.clone()
    }
}
