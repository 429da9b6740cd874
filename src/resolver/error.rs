//! `ResolveError`: why a name has no addresses.

use std::io;
use std::sync::Arc;

use super::{ABANDONED_MAX, LOOKUPS_MAX};

/// Why a name has no addresses.
#[derive(Clone, Debug, thiserror::Error)]
pub enum ResolveError {
    /// The look-up failed.
    #[error("look up {host}")]
    Failed {
        /// The host name that was looked up.
        host: Arc<str>,
        /// What the system says.
        #[source]
        source: Arc<io::Error>,
    },
    /// The name has no address.
    #[error("{host} has no address")]
    Empty {
        /// The host name that was looked up.
        host: Arc<str>,
    },
    /// Too many other names are being looked up.
    #[error("look up {host}: {LOOKUPS_MAX} other names are being looked up")]
    Busy {
        /// The host name that was looked up.
        host: Arc<str>,
    },
    /// The system answers none of very many look-ups.
    #[error(
        "look up {host}: the system has not answered {ABANDONED_MAX} earlier look-ups; names are looked up \
         again once it answers one of them"
    )]
    Stuck {
        /// The host name that was looked up.
        host: Arc<str>,
    },
}
