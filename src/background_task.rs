//! Background tasks that go on after a panic.

use std::panic::AssertUnwindSafe;
use std::time::Duration;

use futures_util::FutureExt as _;

/// The pause before a task that panicked is started again.
const RESTART_AFTER: Duration = Duration::from_secs(1);

/// Runs a task until it returns, and starts it again after a panic: people who left would otherwise stay
/// signed in, and nobody would notice.
pub async fn restart_after_panics<F: Future<Output = ()>>(
    what: &'static str,
    start: impl Fn() -> F,
) {
    // A task keeps its state in itself, or behind locks that a panic does not poison for others.
    while AssertUnwindSafe(start()).catch_unwind().await.is_err() {
        tracing::error!(what, "a background task panicked: it is started again");
        tokio::time::sleep(RESTART_AFTER).await;
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_task_that_panics_is_started_again() {
        let starts = AtomicUsize::new(0);
        restart_after_panics("a test", || async {
            assert!(
                starts.fetch_add(1, Ordering::Relaxed) > 1,
                "it panics twice"
            );
        })
        .await;
        assert_eq!(starts.into_inner(), 3);
    }
}
