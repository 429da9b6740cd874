//! The limit of open files, divided among clients, upstreams and the rest: connections of clients never
//! use up the files that upstreams, the store and the log need.

use std::sync::LazyLock;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Files for neither clients nor upstreams: the store, the log, listeners, calls to sources, and files of
/// the runtime.
const RESERVE: u64 = 256;

/// The limit that is assumed on a system without one.
const UNLIMITED: u64 = 1 << 20;

/// The division of the limit of open files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OpenFiles {
    /// Files that the process may have open.
    pub limit: u64,
    /// Connections of clients to the main listeners.
    pub clients: usize,
    /// Connections of clients to each other listener, `[admin]` and gRPC.
    pub per_other_listener: usize,
    /// Connections to upstreams.
    pub upstreams: usize,
}

impl OpenFiles {
    /// The division for this process. The first call raises the soft limit to the hard limit: the usual
    /// soft limit, 1,024, is meant for programs that use `select(2)`.
    pub fn of_process() -> Self {
        static OF_PROCESS: LazyLock<OpenFiles> = LazyLock::new(|| OpenFiles::divide(raise_limit()));
        *OF_PROCESS
    }

    /// A forwarded request has two connections, so upstreams get as many files as all clients.
    fn divide(limit: u64) -> Self {
        let divided = limit - RESERVE.min(limit / 4);
        let eighths = |count| {
            let share = usize::try_from(divided * count / 8).unwrap_or(usize::MAX);
            share.max(1)
        };
        Self {
            limit,
            clients: eighths(3),
            per_other_listener: eighths(1) / 2,
            upstreams: eighths(4),
        }
    }
}

/// Raises the soft limit. Returns the limit in force afterwards.
fn raise_limit() -> u64 {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    let current = current.unwrap_or(UNLIMITED);
    let hard_limit = maximum.unwrap_or(UNLIMITED);
    if current >= hard_limit {
        return current;
    }
    let raised = Rlimit {
        current: Some(hard_limit),
        maximum,
    };
    match setrlimit(Resource::Nofile, raised) {
        Ok(()) => hard_limit,
        Err(error) => {
            tracing::warn!(%error, current, wanted = hard_limit, "cannot raise the limit of open files: fewer connections are accepted");
            current
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_parts_fit_into_every_limit() {
        for limit in [64, 200, 1_024, 4_096, 65_536, 1 << 20, 1 << 30] {
            let files = OpenFiles::divide(limit);
            let assigned = (files.clients + 2 * files.per_other_listener + files.upstreams) as u64;
            let divided = limit - RESERVE.min(limit / 4);
            // Rounding down loses a few files.
            assert!((divided - 6..=divided).contains(&assigned), "{files:?}");
        }
        let files = OpenFiles::divide(0);
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
