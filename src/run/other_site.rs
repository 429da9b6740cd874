//! Notices another site that uses the same database.

use std::sync::Arc;
use std::time::Duration;

use crate::face::admin::Health;
use crate::site::live::LiveSite;

/// How often this site claims the database.
const CLAIM_EVERY: Duration = Duration::from_secs(60);

/// Claims the database for the site, all nodes of which have the same `external_url`, and reports when
/// another one has claimed it. Nothing is refused: after `external_url` is changed, the claim of the old one
/// ends by itself.
pub(super) async fn watch_for_other_sites(live: Arc<LiveSite>, health: Arc<Health>) {
    let mut has_other = false;
    loop {
        let site = live.site().external_url.origin().ascii_serialization();
        let claimed = live.services().people.claim_database(&site).await;
        // What fails is reported by the probes of the store.
        if let Ok(is_alone) = claimed {
            if !is_alone && !has_other {
                tracing::error!(
                    external_url = %site,
                    "a menshen with another external_url uses this database: accounts and sessions of \
                     one count at the other; give each site its own database"
                );
            }
            has_other = !is_alone;
            health.set_has_other_site(has_other);
        }
        tokio::time::sleep(CLAIM_EVERY).await;
    }
}
