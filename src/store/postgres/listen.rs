//! `Announcements`: other nodes say by NOTIFY that they wrote into the log of revocations.

use std::sync::{Arc, Weak};
use std::time::Duration;

use sqlx::PgPool;
use sqlx::postgres::PgListener;
use tokio::sync::Notify;

/// The channel of NOTIFY. A notification says only that the log has grown: the log says what happened.
pub(super) const CHANNEL: &str = "menshen_revocation";
/// The delay before a lost connection is opened again.
const RETRY_AFTER: Duration = Duration::from_secs(1);
/// A silent connection is tested this often: a firewall that forgets it closes it without a word.
const TEST_EVERY: Duration = Duration::from_secs(30);
/// The timeout of a test.
const TEST_TIMEOUT: Duration = Duration::from_secs(5);

/// Wakes the reader of the log when another node has written to it.
#[derive(Debug, Default)]
pub(super) struct Announcements(Notify);

impl Announcements {
    /// Listens on a connection of `pool` until the store is dropped.
    pub(super) fn start(pool: PgPool) -> Arc<Self> {
        let announcements = Arc::new(Self::default());
        tokio::spawn(listen(pool, Arc::downgrade(&announcements)));
        announcements
    }

    /// Waits for an announcement, or returns at once if one came since the last call. Cancel-safe.
    pub(super) async fn next(&self) {
        self.0.notified().await;
    }
}

async fn listen(pool: PgPool, announcements: Weak<Announcements>) {
    let mut is_failing = false;
    while announcements.strong_count() > 0 {
        let why = match receive(&pool, &announcements, &mut is_failing).await {
            Ok(()) => return,
            Err(error) => error,
        };
        if pool.is_closed() {
            return;
        }
        // Logged once per outage. The log of revocations is still polled.
        if !is_failing {
            tracing::warn!(error = %why, "the connection that listens for revocations of other nodes is lost: menshen reads their log twice a second");
        }
        is_failing = true;
        tokio::time::sleep(RETRY_AFTER).await;
    }
}

/// Passes announcements on until the connection is lost.
async fn receive(
    pool: &PgPool,
    announcements: &Weak<Announcements>,
    is_failing: &mut bool,
) -> Result<(), sqlx::Error> {
    let mut listener = PgListener::connect_with(pool).await?;
    listener.eager_reconnect(false);
    listener.listen(CHANNEL).await?;
    if std::mem::take(is_failing) {
        tracing::info!("menshen listens again for revocations of other nodes");
    }
    loop {
        // The log is read at once: announcements before LISTEN were missed.
        match announcements.upgrade() {
            Some(announcements) => announcements.0.notify_one(),
            None => return Ok(()),
        }
        match tokio::time::timeout(TEST_EVERY, listener.try_recv()).await {
            Ok(received) => received?.ok_or_else(lost).map(drop)?,
            Err(_) => test(&mut listener).await?,
        }
    }
}

/// Checks that the server still answers on this connection.
async fn test(listener: &mut PgListener) -> Result<(), sqlx::Error> {
    let answer = sqlx::query("SELECT 1").execute(listener);
    let answer = tokio::time::timeout(TEST_TIMEOUT, answer).await;
    answer.map_err(|_| lost())?.map(drop)
}

fn lost() -> sqlx::Error {
    sqlx::Error::Io(std::io::ErrorKind::ConnectionAborted.into())
}
