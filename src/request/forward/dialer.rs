//! `Dialer`: the name resolver and the limit on open sockets that all upstream connections share.

use std::sync::{Arc, LazyLock};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

use super::ForwardError;
use crate::open_files::OpenFiles;
use crate::resolver::Resolver;
use crate::telemetry::LogLimiter;

/// Permission to open one socket; it is returned on drop.
pub(super) type SocketPermit = OwnedSemaphorePermit;

/// Shared by all pools of the process.
#[derive(Clone, Debug)]
pub(super) struct Dialer {
    pub(super) resolver: Resolver,
    free_sockets: Arc<Semaphore>,
    /// Limits the warnings about requests that wait for a socket.
    wait_log: Arc<LogLimiter>,
}

impl Dialer {
    /// The instance that the process uses.
    pub(super) fn of_process() -> Self {
        static OF_PROCESS: LazyLock<Dialer> = LazyLock::new(|| {
            let sockets_max = OpenFiles::of_process().upstreams;
            Dialer::new(Resolver::system(), sockets_max)
        });
        OF_PROCESS.clone()
    }

    pub(super) fn new(resolver: Resolver, sockets_max: usize) -> Self {
        let free_sockets = Semaphore::new(sockets_max.min(Semaphore::MAX_PERMITS));
        Self {
            resolver,
            free_sockets: Arc::new(free_sockets),
            wait_log: Arc::default(),
        }
    }

    /// Waits for permission to open a socket.
    pub(super) async fn acquire_socket(
        &self,
        wait_max: Duration,
    ) -> Result<SocketPermit, ForwardError> {
        let free_sockets = Arc::clone(&self.free_sockets);
        if let Ok(permit) = Arc::clone(&free_sockets).try_acquire_owned() {
            return Ok(permit);
        }
        if self.wait_log.allow() {
            tracing::warn!(
                "requests wait for a connection to their upstream: the limit of open files is reached"
            );
        }
        let permit = timeout(wait_max, free_sockets.acquire_owned()).await;
        permit.ok().and_then(Result::ok).ok_or(ForwardError::Busy)
    }

    /// Whether every socket is in use. Connections are then closed instead of kept for reuse.
    pub(super) fn is_exhausted(&self) -> bool {
        self.free_sockets.available_permits() == 0
    }
}
