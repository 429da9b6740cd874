//! `Live`: the site that is served now, and what outlives it. A reload replaces the site whole.

use std::sync::Arc;

use arc_swap::ArcSwap;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::{Shared, Site};

/// The state of a running menshen that every request needs.
#[derive(Debug)]
pub struct Live {
    site: ArcSwap<Site>,
    shared: Shared,
    reloads: watch::Sender<u64>,
    closing: CancellationToken,
}

impl Live {
    /// Serves a first site; tunnels end when `closing` is cancelled.
    pub fn new(site: Site, shared: Shared, closing: CancellationToken) -> Self {
        Self {
            site: ArcSwap::from_pointee(site),
            shared,
            reloads: watch::Sender::new(0),
            closing,
        }
    }

    /// The site that is served now.
    pub fn site(&self) -> Arc<Site> {
        self.site.load_full()
    }

    /// What outlives every site.
    pub fn shared(&self) -> &Shared {
        &self.shared
    }

    /// Serves another site from the next request on; what lasts is judged again.
    pub fn swap(&self, site: Site) {
        self.site.store(Arc::new(site));
        self.reloads.send_modify(|number| *number += 1);
    }

    /// Changes whenever another site is served.
    pub fn reloads(&self) -> watch::Receiver<u64> {
        self.reloads.subscribe()
    }

    /// Cancelled when everything that is open ends.
    pub fn closing(&self) -> &CancellationToken {
        &self.closing
    }
}
