//! `LiveSite`: the active site and the services that are kept across reloads.
//!
//! A reload of the file and a change of the managed settings are made one at a time. Each builds a whole
//! site before it replaces the active one.

use std::sync::Arc;

use arc_swap::ArcSwap;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::settings::Settings;
use super::{Degradation, Services, Site};
use crate::telemetry::{ActiveNames, Telemetry};

mod change;
mod ended;
mod follow;
mod kinds;
mod load;
mod node;
mod plan;
mod trial;
mod versions;

pub use load::Reload;
pub(super) use load::load;
use node::Node;
pub use node::SeenNode;
use trial::Trials;
pub use trial::{EXAMINE_TIMEOUT, Trial};
pub use versions::stored_version;

/// The state of a running instance. A reload or a change replaces the site as a whole.
#[derive(Debug)]
pub struct LiveSite {
    site: ArcSwap<Site>,
    services: Services,
    reloads: watch::Sender<u64>,
    shutdown: CancellationToken,
    /// Held during a reload and during a change of the managed settings.
    changing: tokio::sync::Mutex<()>,
    /// Why the newest managed settings are not in force.
    settings_problem: watch::Sender<Option<Degradation>>,
    trials: Trials,
    node: Node,
}

impl LiveSite {
    /// Tunnels end when `shutdown` is cancelled.
    pub fn new(site: Site, services: Services, shutdown: CancellationToken) -> Self {
        show_names(&site, &services.telemetry);
        Self {
            site: ArcSwap::from_pointee(site),
            node: Node::new(services.clock.now()),
            services,
            reloads: watch::Sender::new(0),
            shutdown,
            changing: tokio::sync::Mutex::new(()),
            settings_problem: watch::Sender::new(None),
            trials: Trials::default(),
        }
    }

    /// The active site.
    pub fn site(&self) -> Arc<Site> {
        self.site.load_full()
    }

    /// The settings in force.
    pub fn settings(&self) -> Arc<Settings> {
        Arc::clone(&self.site.load().settings)
    }

    pub fn services(&self) -> &Services {
        &self.services
    }

    /// Activates another site for all later requests, and has open streams authorized again.
    pub fn replace_site(&self, site: Site) {
        show_names(&site, &self.services.telemetry);
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

    /// Why the newest managed settings are not in force on this node, without secrets; `None` if they are.
    pub fn settings_problem(&self) -> Option<Degradation> {
        self.settings_problem.borrow().clone()
    }

    fn set_settings_problem(&self, problem: Option<Degradation>) {
        self.settings_problem.send_if_modified(|current| {
            if *current == problem {
                return false;
            }
            match &problem {
                Some(problem) => tracing::error!("{}", problem.whole.for_operator()),
                None => tracing::info!("the newest managed settings are in force again"),
            }
            *current = problem;
            true
        });
    }
}

/// Shows the logins of all connectors, and removes the metrics of what the site does not have.
fn show_names(site: &Site, telemetry: &Telemetry) {
    let config = site.settings.config();
    let routes = site.routes.all().iter();
    let connectors = config.connectors.keys();
    let issuers = config.issuers.keys();
    telemetry.retain_names(&ActiveNames {
        routes: routes.map(|route| route.name.as_str().to_owned()).collect(),
        upstreams: site.forwarder.failure_names(),
        connectors: connectors
            .clone()
            .map(|id| id.as_str().to_owned())
            .collect(),
        issuers: issuers.map(|id| id.as_str().to_owned()).collect(),
    });
    for id in connectors {
        telemetry.show_logins(id.as_str());
    }
}
