//! `LiveSite`: the active site and the services that are kept across reloads.

use std::sync::Arc;

use arc_swap::ArcSwap;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::{Services, Site};

/// The state of a running instance. A reload replaces the site as a whole.
#[derive(Debug)]
pub struct LiveSite {
    site: ArcSwap<Site>,
    services: Services,
    reloads: watch::Sender<u64>,
    shutdown: CancellationToken,
}

impl LiveSite {
    /// Tunnels end when `shutdown` is cancelled.
    pub fn new(site: Site, services: Services, shutdown: CancellationToken) -> Self {
        Self {
            site: ArcSwap::from_pointee(site),
            services,
            reloads: watch::Sender::new(0),
            shutdown,
        }
    }

    /// The active site.
    pub fn site(&self) -> Arc<Site> {
        self.site.load_full()
    }

    pub fn services(&self) -> &Services {
        &self.services
    }

    /// Activates another site for all later requests, and has open streams authorized again.
    pub fn replace_site(&self, site: Site) {
        self.site.store(Arc::new(site));
        self.reloads.send_modify(|number| *number += 1);
    }

    /// Notifies whenever another site becomes active.
    pub fn subscribe_to_reloads(&self) -> watch::Receiver<u64> {
        self.reloads.subscribe()
    }

    /// Cancelled at shutdown.
    pub fn shutdown(&self) -> &CancellationToken {
        &self.shutdown
    }
}
