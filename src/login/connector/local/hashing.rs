//! Computes hashes of passwords: off the threads that serve requests, at most one for each core and a few for
//! the console, and with a limit to the memory of all together.

use std::sync::{Arc, LazyLock};
use std::time::Duration;

use tokio::sync::{AcquireError, Semaphore};
use tokio::time::timeout;

use super::super::{ConnectorError, SourceRefusal};
use crate::people::new_password::NewPassword;
use crate::people::password_hash::{
    ARGON2_MEMORY_KIB_MAX, DEFAULT_MEMORY_KIB, NotComputed, PasswordHash,
};
use crate::secret::Secret;

/// How long a login waits until its hash may be computed, and the hash of a new password.
const WAIT_MAX: Duration = Duration::from_secs(10);

/// The most logins that wait.
const WAITING_MAX: usize = 1_000;

/// The most sign-ins to the console that wait.
const WAITING_AT_CONSOLE_MAX: usize = 100;

/// The queue of this process. All connectors share it, because they share the cores and the memory.
static QUEUE: LazyLock<HashQueue> = LazyLock::new(|| {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    HashQueue::new(cores, memory_kib(cores), WAITING_MAX)
});

static CONSOLE_QUEUE: LazyLock<HashQueue> = LazyLock::new(HashQueue::of_console);
static KNOWN_BROWSERS_QUEUE: LazyLock<HashQueue> = LazyLock::new(HashQueue::of_console);
static MACHINE_QUEUE: LazyLock<HashQueue> = LazyLock::new(HashQueue::of_console);

/// Whose hashes are computed. Each has its own slots, so that nobody can use up those of others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::login) enum HashSlots {
    /// People of connectors.
    Connectors,
    /// Logins to the console.
    Console,
    /// Administrators in browsers that are known.
    KnownBrowsers,
    /// Logins to the console from the machine itself. Clients behind a proxy there that does not name them
    /// count as such, too.
    Machine,
}

impl HashSlots {
    fn queue(self) -> &'static HashQueue {
        match self {
            Self::Connectors => &QUEUE,
            Self::Console => &CONSOLE_QUEUE,
            Self::KnownBrowsers => &KNOWN_BROWSERS_QUEUE,
            Self::Machine => &MACHINE_QUEUE,
        }
    }
}

/// The memory of all hashes that are computed at the same time, in KiB: one costly hash, or one of the default
/// cost for each core. Clients without a password choose which hashes are computed.
fn memory_kib(cores: usize) -> usize {
    let kib = |kib: u32| usize::try_from(kib).unwrap_or(usize::MAX);
    let default = kib(DEFAULT_MEMORY_KIB).saturating_mul(cores);
    default
        .max(kib(ARGON2_MEMORY_KIB_MAX))
        .min(Semaphore::MAX_PERMITS)
}

struct HashQueue {
    /// One permit for each hash that may be computed at the same time.
    computing: Arc<Semaphore>,
    /// One permit for each KiB that they may take together.
    memory: Arc<Semaphore>,
    /// One permit for each login that may wait.
    waiting: Semaphore,
}

/// Whether this is the hash of the password.
pub(in crate::login) async fn verify(
    hash: &Arc<PasswordHash>,
    password: &str,
    slots: HashSlots,
) -> Result<bool, ConnectorError> {
    slots.queue().verify(hash, password).await
}

/// The hash of a new password, with the default cost.
pub(super) async fn create(password: NewPassword) -> Result<Secret<String>, ConnectorError> {
    tracing::debug!("the hash of a new password is computed");
    let create = move || PasswordHash::create(password.expose()).map(Secret::new);
    QUEUE.compute(DEFAULT_MEMORY_KIB, create).await
}

impl HashQueue {
    fn new(at_once: usize, memory_kib: usize, waiting_max: usize) -> Self {
        Self {
            computing: Arc::new(Semaphore::new(at_once)),
            memory: Arc::new(Semaphore::new(memory_kib)),
            waiting: Semaphore::new(waiting_max),
        }
    }

    /// One hash at a time.
    fn of_console() -> Self {
        Self::new(1, memory_kib(1), WAITING_AT_CONSOLE_MAX)
    }

    async fn verify(
        &self,
        hash: &Arc<PasswordHash>,
        password: &str,
    ) -> Result<bool, ConnectorError> {
        tracing::debug!(cost = %hash.cost(), "the hash of a password is computed");
        let (hash, password) = (Arc::clone(hash), Secret::new(password.to_owned()));
        let memory_kib = hash.memory_kib();
        self.compute(memory_kib, move || hash.verify(password.expose()))
            .await
    }

    /// Waits until a hash may be computed, and computes it.
    async fn compute<T: Send + 'static>(
        &self,
        memory_kib: u32,
        compute: impl FnOnce() -> Result<T, NotComputed> + Send + 'static,
    ) -> Result<T, ConnectorError> {
        let too_many = |_| busy("too many passwords are being verified");
        let waiting = self.waiting.try_acquire().map_err(too_many)?;
        // The memory first: what waits for it holds no core.
        let permits = timeout(WAIT_MAX, async {
            let memory = Arc::clone(&self.memory).acquire_many_owned(memory_kib);
            let memory = memory.await?;
            let core = Arc::clone(&self.computing).acquire_owned().await?;
            Ok::<_, AcquireError>((memory, core))
        });
        let permits = permits.await;
        drop(waiting);
        let Ok(Ok(permits)) = permits else {
            return Err(busy("too many passwords are being verified"));
        };
        let computed = tokio::task::spawn_blocking(move || {
            // Held until the end, even if the login was given up meanwhile.
            let _permits = permits;
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
        let (queue, hash) = (HashQueue::new(2, 1_000, 10), hunter2x());
        let both = Arc::clone(&queue.computing).acquire_many_owned(2).await;
        let mut right = pin!(queue.verify(&hash, "hunter2x"));
        assert!(is_waiting(right.as_mut()));
        drop(both);
        assert!(right.await.unwrap());
        assert!(!queue.verify(&hash, "hunter2y").await.unwrap());
        assert_eq!(queue.computing.available_permits(), 2);
        let verified = verify(&hash, "hunter2x", HashSlots::Connectors).await;
        assert!(verified.unwrap());
        let cores = std::thread::available_parallelism().unwrap().get();
        assert!(QUEUE.computing.available_permits() <= cores);
    }

    #[tokio::test]
    async fn hashes_that_are_computed_at_once_take_no_more_than_the_memory() {
        // 64 KiB each.
        let costly = "$argon2id$v=19$m=64,t=1,p=1$c2FsdHNhbHRzYWx0MDAwMQ$\
                      SIvjSCzzIqRmWInu9Drbbw";
        let costly = Arc::new(PasswordHash::parse(costly).unwrap());
        let (queue, cheap) = (HashQueue::new(4, 100, 10), hunter2x());
        let first = Arc::clone(&queue.memory).acquire_many_owned(costly.memory_kib());
        let first = first.await;
        let mut second = pin!(queue.verify(&costly, "guess"));
        assert!(is_waiting(second.as_mut()), "cores are free, memory is not");
        assert_eq!(queue.computing.available_permits(), 4);
        drop(first);
        assert!(!second.await.unwrap());
        assert!(queue.verify(&cheap, "hunter2x").await.unwrap());
        assert_eq!(queue.memory.available_permits(), 100);
        // Any hash that is accepted can be computed.
        assert!(memory_kib(1) >= usize::try_from(ARGON2_MEMORY_KIB_MAX).unwrap());
        assert!(memory_kib(1_000) > memory_kib(1));
    }

    #[tokio::test(start_paused = true)]
    async fn only_so_many_logins_wait_and_none_for_ever() {
        let (queue, hash) = (HashQueue::new(1, 1_000, 2), hunter2x());
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

    #[tokio::test]
    async fn nobody_uses_up_the_slots_of_others() {
        use HashSlots::{Connectors, Console, KnownBrowsers, Machine};
        let hash = hunter2x();
        // The other tests of this process use those of connectors.
        for (full, others) in [
            (Console, [Connectors, KnownBrowsers, Machine]),
            (KnownBrowsers, [Connectors, Console, Machine]),
            (Machine, [Connectors, Console, KnownBrowsers]),
        ] {
            let slots = Arc::clone(&full.queue().computing);
            let _all = slots.acquire_owned().await;
            assert!(is_waiting(pin!(verify(&hash, "hunter2x", full)).as_mut()));
            for other in others {
                assert!(verify(&hash, "hunter2x", other).await.unwrap());
            }
        }
    }
}
