//! `ResolveError`: why a look-up failed.

use std::io;
use std::sync::Arc;

use super::{ABANDONED_MAX, LOOKUPS_MAX};

/// Why a look-up failed.
#[derive(Clone, Debug, thiserror::Error)]
pub enum ResolveError {
    #[error("look up {host}")]
    Failed {
        host: Arc<str>,
        #[source]
        source: Arc<io::Error>,
    },
    #[error("{host} has no address")]
    Empty { host: Arc<str> },
    #[error("look up {host}: {LOOKUPS_MAX} other names are being looked up")]
    Busy { host: Arc<str> },
    /// Too many look-ups were abandoned.
    #[error(
        "look up {host}: the system has not answered {ABANDONED_MAX} earlier look-ups; look-ups \
         continue when it answers one of them"
    )]
    Stuck { host: Arc<str> },
}
