//! `BackgroundTasks`: what runs beside requests as long as menshen runs.

use std::sync::Arc;

use tokio::task::JoinSet;

use super::other_site::watch_for_other_sites;
use crate::face::admin::Health;
use crate::login::{Login, follow_department_changes, handle_events, revalidate, sync_directories};
use crate::site::live::LiveSite;

/// Ends the tasks when it is dropped.
#[derive(Debug)]
pub(super) struct BackgroundTasks {
    _tasks: JoinSet<()>,
}

impl BackgroundTasks {
    /// Starts the tasks. Each uses the site that is active at the time.
    pub(super) fn start(live: &Arc<LiveSite>, health: &Arc<Health>) -> Self {
        let events = live.site().login.events().clone();
        let mut tasks = JoinSet::new();
        tasks.spawn(handle_events(events, login_of(live)));
        tasks.spawn(revalidate(login_of(live)));
        tasks.spawn(follow_department_changes(login_of(live)));
        tasks.spawn(sync_directories(login_of(live)));
        tasks.spawn(watch_for_other_sites(Arc::clone(live), Arc::clone(health)));
        Self { _tasks: tasks }
    }
}

fn login_of(live: &Arc<LiveSite>) -> impl Fn() -> Login + Send + use<> {
    let live = Arc::clone(live);
    move || live.site().login.clone()
}
