//! How many files and sockets this process may have open, and how they are shared out: connections
//! of clients never take those that upstreams, the store and the log need.

use std::sync::LazyLock;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// How many files are for neither clients nor upstreams: the store, the log, listeners, calls to
/// providers, and whatever the runtime opens.
const RESERVE: u64 = 256;

/// What a system without a limit is taken for.
const UNLIMITED: u64 = 1 << 20;

/// How open files are shared out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OpenFiles {
    /// How many the process may have open.
    pub limit: u64,
    /// How many of them connections of clients to the main listeners may be.
    pub clients: usize,
    /// How many of them connections to each of the other listeners may be, `[admin]` and gRPC.
    pub others: usize,
    /// How many of them connections to upstreams may be.
    pub upstreams: usize,
}

impl OpenFiles {
    /// Those of this process. The first call raises the limit as far as it may be raised without
    /// privileges: the usual one, 1,024, is for programs that wait for files by `select(2)`.
    pub fn of_process() -> Self {
        static OF_PROCESS: LazyLock<OpenFiles> = LazyLock::new(|| OpenFiles::within(raise()));
        *OF_PROCESS
    }

    /// A request that is forwarded has two connections, so upstreams get as much as all clients.
    fn within(limit: u64) -> Self {
        let free = limit - RESERVE.min(limit / 4);
        let eighths = |count| {
            let share = usize::try_from(free * count / 8).unwrap_or(usize::MAX);
            share.max(1)
        };
        Self {
            limit,
            clients: eighths(3),
            others: eighths(1) / 2,
            upstreams: eighths(4),
        }
    }
}

/// Raises the limit, and says what it is then.
fn raise() -> u64 {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    let current = current.unwrap_or(UNLIMITED);
    let wanted = maximum.unwrap_or(UNLIMITED);
    if current >= wanted {
        return current;
    }
    let raised = Rlimit {
        current: Some(wanted),
        maximum,
    };
    match setrlimit(Resource::Nofile, raised) {
        Ok(()) => wanted,
        Err(error) => {
            tracing::warn!(%error, current, wanted, "the limit of open files was not raised");
            current
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clients_upstreams_and_the_rest_fit_into_every_limit() {
        for limit in [64, 200, 1_024, 4_096, 65_536, 1 << 20, 1 << 30] {
            let files = OpenFiles::within(limit);
            let shared = (files.clients + 2 * files.others + files.upstreams) as u64;
            let free = limit - RESERVE.min(limit / 4);
            assert!((free - 6..=free).contains(&shared), "{files:?}");
        }
        let files = OpenFiles::within(0);
        assert_eq!((files.clients, files.upstreams), (1, 1));
    }

    #[test]
    fn the_limit_is_raised_as_far_as_it_may_be() {
        let files = OpenFiles::of_process();
        let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
        assert_eq!(current, maximum);
        assert_eq!(current.unwrap_or(UNLIMITED), files.limit);
    }
}
