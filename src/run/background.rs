//! `BackgroundTasks`: what runs beside requests as long as menshen runs.

use std::sync::Arc;

use tokio::task::JoinSet;

use super::certificates::watch_certificates;
use super::other_site::watch_for_other_sites;
use crate::background_task::restart_after_panics;
use crate::door::Tls;
use crate::face::admin::Health;
use crate::login::{
    Login, follow_department_changes, follow_listed_people, handle_events, revalidate,
    sync_directories,
};
use crate::people::audit_log::{AuditLog, delete_old_audit_lines, store_audit_lines};
use crate::site::live::LiveSite;

/// Ends the tasks when it is dropped.
#[derive(Debug)]
pub(super) struct BackgroundTasks {
    _tasks: JoinSet<()>,
}

impl BackgroundTasks {
    /// Starts the tasks. Each uses the site that is active at the time.
    pub(super) fn start(
        live: &Arc<LiveSite>,
        health: &Arc<Health>,
        tls: Option<&Arc<Tls>>,
    ) -> Self {
        let events = live.site().login.events().clone();
        let mut tasks = JoinSet::new();
        let login = login_of(live);
        tasks.spawn(restart_after_panics("events of sources", move || {
            handle_events(events.clone(), login.clone())
        }));
        let login = login_of(live);
        tasks.spawn(restart_after_panics("revalidation", move || {
            revalidate(login.clone())
        }));
        let login = login_of(live);
        tasks.spawn(restart_after_panics("changes of departments", move || {
            follow_department_changes(login.clone())
        }));
        let login = login_of(live);
        tasks.spawn(restart_after_panics("directory syncs", move || {
            sync_directories(login.clone())
        }));
        let (reloads, login) = (live.subscribe_to_reloads(), login_of(live));
        tasks.spawn(restart_after_panics("lists of people", move || {
            follow_listed_people(reloads.clone(), login.clone())
        }));
        let follower = Arc::clone(live);
        tasks.spawn(restart_after_panics("managed settings", move || {
            Arc::clone(&follower).follow_settings()
        }));
        let node = Arc::clone(live);
        tasks.spawn(restart_after_panics("report of this node", move || {
            Arc::clone(&node).report_node()
        }));
        let audit = audit_of(live);
        tasks.spawn(restart_after_panics("audit lines", move || {
            store_audit_lines(audit())
        }));
        let audit = audit_of(live);
        tasks.spawn(restart_after_panics("deletion of audit lines", move || {
            delete_old_audit_lines(audit())
        }));
        if let Some(tls) = tls {
            let (tls, services) = (Arc::clone(tls), live.services());
            let (telemetry, clock) = (services.telemetry.clone(), services.clock.clone());
            tasks.spawn(restart_after_panics("expiry of certificates", move || {
                watch_certificates(Arc::clone(&tls), telemetry.clone(), clock.clone())
            }));
        }
        let (live, health) = (Arc::clone(live), Arc::clone(health));
        tasks.spawn(restart_after_panics("search for other sites", move || {
            watch_for_other_sites(Arc::clone(&live), Arc::clone(&health))
        }));
        Self { _tasks: tasks }
    }
}

fn audit_of(live: &Arc<LiveSite>) -> impl Fn() -> Arc<AuditLog> + Send + use<> {
    let audit = Arc::clone(&live.services().audit);
    move || Arc::clone(&audit)
}

fn login_of(live: &Arc<LiveSite>) -> impl Fn() -> Login + Clone + Send + use<> {
    let live = Arc::clone(live);
    move || live.site().login.clone()
}
