//! Computes hashes of passwords: off the threads that serve requests, and at most one for each core.

use std::sync::{Arc, LazyLock};
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::time::timeout;

use super::super::{ConnectorError, SourceRefusal};
use crate::people::new_password::NewPassword;
use crate::people::password_hash::{NotComputed, PasswordHash};
use crate::secret::Secret;

/// How long a login waits until its hash may be computed, and the hash of a new password.
const WAIT_MAX: Duration = Duration::from_secs(10);

/// The most logins that wait.
const WAITING_MAX: usize = 1_000;

/// The queue of this process. All connectors share it, because they share the cores.
static QUEUE: LazyLock<HashQueue> = LazyLock::new(|| {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    HashQueue::new(cores, WAITING_MAX)
});

struct HashQueue {
    /// One permit for each hash that may be computed at the same time.
    computing: Arc<Semaphore>,
    /// One permit for each login that may wait.
    waiting: Semaphore,
}

/// Whether this is the hash of the password.
pub(super) async fn verify(
    hash: &Arc<PasswordHash>,
    password: &str,
) -> Result<bool, ConnectorError> {
    QUEUE.verify(hash, password).await
}

/// The hash of a new password, with the default cost.
pub(super) async fn create(password: NewPassword) -> Result<Secret<String>, ConnectorError> {
    tracing::debug!("the hash of a new password is computed");
    let create = move || PasswordHash::create(password.expose()).map(Secret::new);
    QUEUE.compute(create).await
}

impl HashQueue {
    fn new(at_once: usize, waiting_max: usize) -> Self {
        Self {
            computing: Arc::new(Semaphore::new(at_once)),
            waiting: Semaphore::new(waiting_max),
        }
    }

    async fn verify(
        &self,
        hash: &Arc<PasswordHash>,
        password: &str,
    ) -> Result<bool, ConnectorError> {
        tracing::debug!(cost = %hash.cost(), "the hash of a password is computed");
        let (hash, password) = (Arc::clone(hash), Secret::new(password.to_owned()));
        self.compute(move || hash.verify(password.expose())).await
    }

    /// Waits until a hash may be computed, and computes it.
    async fn compute<T: Send + 'static>(
        &self,
        compute: impl FnOnce() -> Result<T, NotComputed> + Send + 'static,
    ) -> Result<T, ConnectorError> {
        let too_many = |_| busy("too many passwords are being verified");
        let waiting = self.waiting.try_acquire().map_err(too_many)?;
        let permit = timeout(WAIT_MAX, Arc::clone(&self.computing).acquire_owned()).await;
        drop(waiting);
        let Ok(Ok(permit)) = permit else {
            return Err(busy("too many passwords are being verified"));
        };
        let computed = tokio::task::spawn_blocking(move || {
            // Held until the end, even if the login was given up meanwhile.
            let _permit = permit;
            compute()
        });
        match computed.await {
            Ok(computed) => computed.map_err(|error| busy(&error.to_string())),
            Err(_) => Err(busy("the computation was interrupted")),
        }
    }
}

fn busy(message: &str) -> ConnectorError {
    ConnectorError::Busy(SourceRefusal {
        call: "the hash of the password",
        code: 0,
        message: message.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use std::pin::pin;
    use std::task::{Context, Waker};

    use super::*;

    fn hunter2x() -> Arc<PasswordHash> {
        let hash = "$2b$04$abcdefghijklmnopqrstuu.bA.d73e/MYtOXkqQmEhtK96VmvRV4e";
        Arc::new(PasswordHash::parse(hash).unwrap())
    }

    /// Whether the login waits.
    fn is_waiting<T>(login: std::pin::Pin<&mut impl Future<Output = T>>) -> bool {
        let mut context = Context::from_waker(Waker::noop());
        login.poll(&mut context).is_pending()
    }

    #[tokio::test]
    async fn only_so_many_hashes_are_computed_at_once() {
        let (queue, hash) = (HashQueue::new(2, 10), hunter2x());
        let both = Arc::clone(&queue.computing).acquire_many_owned(2).await;
        let mut right = pin!(queue.verify(&hash, "hunter2x"));
        assert!(is_waiting(right.as_mut()));
        drop(both);
        assert!(right.await.unwrap());
        assert!(!queue.verify(&hash, "hunter2y").await.unwrap());
        assert_eq!(queue.computing.available_permits(), 2);
        assert!(verify(&hash, "hunter2x").await.unwrap());
        let cores = std::thread::available_parallelism().unwrap().get();
        assert!(QUEUE.computing.available_permits() <= cores);
    }

    #[tokio::test(start_paused = true)]
    async fn only_so_many_logins_wait_and_none_for_ever() {
        let (queue, hash) = (HashQueue::new(1, 2), hunter2x());
        let only = Arc::clone(&queue.computing).acquire_owned().await;
        let mut first = pin!(queue.verify(&hash, "hunter2x"));
        let mut second = pin!(queue.verify(&hash, "hunter2x"));
        assert!(is_waiting(first.as_mut()) && is_waiting(second.as_mut()));
        let third = queue.verify(&hash, "hunter2x").await;
        assert!(matches!(third, Err(ConnectorError::Busy(_))), "{third:?}");
        // The clock is paused, so the longest wait passes at once.
        for waited in [first.await, second.await] {
            assert!(matches!(waited, Err(ConnectorError::Busy(_))), "{waited:?}");
        }
        drop(only);
        assert!(queue.verify(&hash, "hunter2x").await.unwrap());
    }
}
