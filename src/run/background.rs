//! `BackgroundTasks`: what runs beside requests as long as menshen runs.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;
use tokio::task::JoinSet;

use super::other_site::watch_for_other_sites;
use crate::face::admin::Health;
use crate::login::{Login, follow_department_changes, handle_events, revalidate, sync_directories};
use crate::site::live::LiveSite;

/// The pause before a task that panicked is started again.
const RESTART_AFTER: Duration = Duration::from_secs(1);

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
        let login = login_of(live);
        tasks.spawn(restarted("events of sources", move || {
            handle_events(events.clone(), login.clone())
        }));
        let login = login_of(live);
        tasks.spawn(restarted("revalidation", move || revalidate(login.clone())));
        let login = login_of(live);
        tasks.spawn(restarted("changes of departments", move || {
            follow_department_changes(login.clone())
        }));
        let login = login_of(live);
        tasks.spawn(restarted("directory syncs", move || {
            sync_directories(login.clone())
        }));
        let (live, health) = (Arc::clone(live), Arc::clone(health));
        tasks.spawn(restarted("search for other sites", move || {
            watch_for_other_sites(Arc::clone(&live), Arc::clone(&health))
        }));
        Self { _tasks: tasks }
    }
}

/// Runs a task that never ends, and starts it again after a panic: people who left would otherwise stay
/// signed in, and nobody would notice.
async fn restarted<F: Future<Output = ()>>(what: &'static str, start: impl Fn() -> F) {
    // A task keeps its state in itself, or behind locks that a panic does not poison for others.
    while AssertUnwindSafe(start()).catch_unwind().await.is_err() {
        tracing::error!(what, "a background task panicked: it is started again");
        tokio::time::sleep(RESTART_AFTER).await;
    }
}

fn login_of(live: &Arc<LiveSite>) -> impl Fn() -> Login + Clone + Send + use<> {
    let live = Arc::clone(live);
    move || live.site().login.clone()
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_task_that_panics_is_started_again() {
        let starts = AtomicUsize::new(0);
        restarted("a test", || async {
            assert!(
                starts.fetch_add(1, Ordering::Relaxed) > 1,
                "it panics twice"
            );
        })
        .await;
        assert_eq!(starts.into_inner(), 3);
    }
}
