//! Private upstream connections, for authentication schemes that authenticate the connection
//! instead of the request (NTLM, Negotiate).
//!
//! Such a connection never returns to the pool. It is reserved for one caller on one client connection
//! and is closed together with the client connection, or at the idle time-out of the pool. So all
//! steps of a handshake use one upstream connection, and no other caller can use an authenticated
//! connection.

use std::sync::{Arc, Mutex, PoisonError, Weak};

use http::HeaderMap;
use http::header::{PROXY_AUTHENTICATE, WWW_AUTHENTICATE};
use tokio::time::Instant;

use super::http1::Http1Connection;
use super::parked::{Parked, ReleasedConnection};
use super::pool::Pool;
use super::upstream::Upstream;
use crate::request::bearer::IssuerId;
use crate::request::head::Connection;
use crate::request::headers::authenticates_connection;
use crate::store::{SessionId, Subject};

/// How many private connections may wait for one client connection. A client over HTTP/1.1 uses one
/// at a time.
const WAITING_MAX: usize = 8;
/// The limit for an anonymous client; enough for a handshake.
const WAITING_ANONYMOUS_MAX: usize = 2;

/// The private connections that wait for the next request of a client connection.
type WaitingConnections = Mutex<Vec<PrivateConnection>>;

#[derive(Debug)]
struct PrivateConnection {
    parked: Arc<Parked>,
    upstream: Arc<Upstream>,
    owner: ConnectionOwner,
}

/// The caller that a private connection is reserved for. It is compared because a front proxy sends
/// the requests of many callers over one connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum ConnectionOwner {
    Person(SessionId),
    Program(IssuerId, Subject),
    /// The anonymous client of a connection that does not come from a proxy.
    Anonymous,
}

/// The client connection and the caller that a private connection is reserved for.
#[derive(Debug)]
pub(super) struct ClientBinding {
    client_connection: Weak<Connection>,
    /// `None` if the connection must be closed after the request.
    owner: Option<ConnectionOwner>,
}

/// Takes the most recently used private connection that is reserved for this caller.
pub(super) fn take_reserved(
    client_connection: &Connection,
    owner: &ConnectionOwner,
    pool: &Pool,
) -> Option<(Box<Http1Connection>, Arc<Upstream>)> {
    // Most clients have no private connection.
    let waiting = client_connection
        .private_upstream_connections
        .get::<WaitingConnections>()?;
    let mut waiting = waiting.lock().unwrap_or_else(PoisonError::into_inner);
    while let Some(index) = waiting
        .iter()
        .rposition(|private| private.owner == *owner && pool.contains(&private.upstream))
    {
        let PrivateConnection {
            parked, upstream, ..
        } = waiting.remove(index);
        if let Some(connection) = parked.take(pool.settings.idle_timeout) {
            return Some((connection, upstream));
        }
    }
    None
}

impl ClientBinding {
    pub(super) fn new(client_connection: &Arc<Connection>, owner: Option<ConnectionOwner>) -> Self {
        Self {
            client_connection: Arc::downgrade(client_connection),
            owner,
        }
    }

    /// Keeps a connection for the owner's next request, as long as the client connection is open.
    /// `now` is the current time.
    pub(super) fn park(self, released: ReleasedConnection, upstream: &Arc<Upstream>, now: Instant) {
        let (Some(client_connection), Some(owner)) = (self.client_connection.upgrade(), self.owner)
        else {
            return;
        };
        let Some(parked) = upstream.park_private(released, now) else {
            return;
        };
        let waiting = &client_connection.private_upstream_connections;
        let Some(waiting) = waiting.get_or_default::<WaitingConnections>() else {
            return;
        };
        let mut waiting = waiting.lock().unwrap_or_else(PoisonError::into_inner);
        waiting.retain(|private| private.parked.is_waiting());
        let anonymous = waiting
            .iter()
            .filter(|private| private.owner == ConnectionOwner::Anonymous);
        let evicted_index = match owner {
            ConnectionOwner::Anonymous if anonymous.count() >= WAITING_ANONYMOUS_MAX => waiting
                .iter()
                .position(|private| private.owner == ConnectionOwner::Anonymous),
            _ => (waiting.len() >= WAITING_MAX).then_some(0),
        };
        let evicted = evicted_index.map(|index| waiting.remove(index));
        waiting.push(PrivateConnection {
            parked,
            upstream: Arc::clone(upstream),
            owner,
        });
        drop(waiting);
        drop(evicted);
    }
}

/// Whether a response requests or continues authentication of the connection.
pub(super) fn requests_connection_auth(response_headers: &HeaderMap) -> bool {
    [WWW_AUTHENTICATE, PROXY_AUTHENTICATE].iter().any(|name| {
        let lines = response_headers.get_all(name).iter();
        // A scheme name inside a quoted string matches, too; that only makes a connection private.
        let mut challenges = lines.flat_map(|line| line.as_bytes().split(|byte| *byte == b','));
        challenges.any(authenticates_connection)
    })
}

#[cfg(test)]
mod tests {
    use http::{HeaderName, HeaderValue};

    use super::*;

    #[test]
    fn connection_authentication_is_detected_at_any_position() {
        let is_detected = |lines: &[&str], name: HeaderName| {
            let mut headers = HeaderMap::new();
            for line in lines {
                headers.append(&name, HeaderValue::from_str(line).unwrap());
            }
            requests_connection_auth(&headers)
        };
        for lines in [
            &["NTLM"][..],
            &["ntlm TlRMTVNTUAACAAAA"],
            &["Negotiate"],
            &["NEGOTIATE oYG2MIGz"],
            &["Basic realm=\"a, b\", NTLM"],
            &["Basic realm=\"a\",Negotiate"],
            &[
                "Basic realm=\"a\"",
                "Digest realm=\"b\"",
                " Negotiate , NTLM",
            ],
        ] {
            assert!(is_detected(lines, WWW_AUTHENTICATE), "{lines:?}");
            assert!(is_detected(lines, PROXY_AUTHENTICATE), "{lines:?}");
        }
        for lines in [
            &[][..],
            &["Basic realm=\"NTLM\""],
            &["Bearer"],
            &["NTLMX"],
            &["Digest realm=\"Negotiate\""],
        ] {
            assert!(!is_detected(lines, WWW_AUTHENTICATE), "{lines:?}");
        }
    }
}
