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
use super::parked::Parked;
use super::pool::{CallerKind, Pool, Upstream};
use crate::request::bearer::IssuerId;
use crate::request::client_quota::QuotaGuard;
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
    client: Weak<Connection>,
    /// `None` if the connection must be closed after the request.
    owner: Option<ConnectionOwner>,
}

/// Takes the most recently used private connection that is reserved for this caller.
pub(super) fn take_reserved(
    client: &Connection,
    owner: &ConnectionOwner,
    pool: &Pool,
) -> Option<(Box<Http1Connection>, Arc<Upstream>)> {
    // Most clients have no private connection.
    let waiting = client.extension.get::<WaitingConnections>()?;
    let mut waiting = waiting.lock().unwrap_or_else(PoisonError::into_inner);
    while let Some(at) = waiting
        .iter()
        .rposition(|private| private.owner == *owner && pool.contains(&private.upstream))
    {
        let PrivateConnection {
            parked, upstream, ..
        } = waiting.remove(at);
        if let Some(connection) = parked.take(pool.settings.idle) {
            return Some((connection, upstream));
        }
    }
    None
}

impl ClientBinding {
    pub(super) fn new(client: &Arc<Connection>, owner: Option<ConnectionOwner>) -> Self {
        Self {
            client: Arc::downgrade(client),
            owner,
        }
    }

    /// Keeps a connection for the owner's next request, as long as the client connection is open.
    /// `now` is the current time.
    pub(super) fn park(
        self,
        held: (Box<Http1Connection>, Option<QuotaGuard>, CallerKind),
        upstream: &Arc<Upstream>,
        now: Instant,
    ) {
        let (Some(client), Some(owner)) = (self.client.upgrade(), self.owner) else {
            return;
        };
        let Some(parked) = upstream.park_private(held, now) else {
            return;
        };
        let Some(waiting) = client.extension.get_or_default::<WaitingConnections>() else {
            return;
        };
        let mut waiting = waiting.lock().unwrap_or_else(PoisonError::into_inner);
        waiting.retain(|private| private.parked.is_waiting());
        let anonymous = waiting
            .iter()
            .filter(|private| private.owner == ConnectionOwner::Anonymous);
        let evicted = match owner {
            ConnectionOwner::Anonymous if anonymous.count() >= WAITING_ANONYMOUS_MAX => waiting
                .iter()
                .position(|private| private.owner == ConnectionOwner::Anonymous),
            _ => (waiting.len() >= WAITING_MAX).then_some(0),
        };
        let evicted = evicted.map(|at| waiting.remove(at));
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
pub(super) fn asks_for_connection_auth(answer: &HeaderMap) -> bool {
    [WWW_AUTHENTICATE, PROXY_AUTHENTICATE].iter().any(|name| {
        let lines = answer.get_all(name).iter();
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
        let answer = |lines: &[&str], name: HeaderName| {
            let mut headers = HeaderMap::new();
            for line in lines {
                headers.append(&name, HeaderValue::from_str(line).unwrap());
            }
            asks_for_connection_auth(&headers)
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
            assert!(answer(lines, WWW_AUTHENTICATE), "{lines:?}");
            assert!(answer(lines, PROXY_AUTHENTICATE), "{lines:?}");
        }
        for lines in [
            &[][..],
            &["Basic realm=\"NTLM\""],
            &["Bearer"],
            &["NTLMX"],
            &["Digest realm=\"Negotiate\""],
        ] {
            assert!(!answer(lines, WWW_AUTHENTICATE), "{lines:?}");
        }
    }
}
