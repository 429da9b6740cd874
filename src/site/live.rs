//! `LiveSite`: the site that is served now, and what outlives it. A reload replaces the site whole.

use std::sync::Arc;

use arc_swap::ArcSwap;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::{Services, Site};

/// The state of a running menshen that every request needs.
#[derive(Debug)]
pub struct LiveSite {
    site: ArcSwap<Site>,
    services: Services,
    reloads: watch::Sender<u64>,
    shutdown: CancellationToken,
}

impl LiveSite {
    /// Serves a first site; tunnels end when `closing` is cancelled.
    pub fn new(site: Site, services: Services, shutdown: CancellationToken) -> Self {
        Self {
            site: ArcSwap::from_pointee(site),
            services,
            reloads: watch::Sender::new(0),
            shutdown,
        }
    }

    /// The site that is served now.
    pub fn site(&self) -> Arc<Site> {
        self.site.load_full()
    }

    /// What outlives every site.
    pub fn services(&self) -> &Services {
        &self.services
    }

    /// Serves another site from the next request on; what lasts is judged again.
    pub fn replace_site(&self, site: Site) {
        self.site.store(Arc::new(site));
        self.reloads.send_modify(|number| *number += 1);
    }

    /// Changes whenever another site is served.
    pub fn subscribe_to_reloads(&self) -> watch::Receiver<u64> {
        self.reloads.subscribe()
    }

    /// Cancelled when everything that is open ends.
    pub fn shutdown(&self) -> &CancellationToken {
        &self.shutdown
    }
}
