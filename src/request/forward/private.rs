//! Private upstream connections, for authentication schemes that authenticate the connection
//! instead of the request (NTLM, Negotiate).
//!
//! Such a connection never returns to the pool. It is reserved for one caller on one client connection
//! and is closed together with the client connection, or at the idle time-out of the pool. So all
//! steps of a handshake use one upstream connection, and no other caller can use an authenticated
//! connection.

use std::sync::{Arc, Mutex, PoisonError, Weak};

use http::header::{AUTHORIZATION, FORWARDED, PROXY_AUTHENTICATE, VIA, WWW_AUTHENTICATE};
use http::{HeaderMap, HeaderName, HeaderValue};
use tokio::time::Instant;

use super::ForwardError;
use super::http1::Http1Connection;
use super::lease::Lease;
use super::parked::Parked;
use super::pool::{CallerKind, Freshness, Pool, Upstream};
use crate::request::bearer::IssuerId;
use crate::request::client_quota::QuotaGuard;
use crate::request::gate::Caller;
use crate::request::head::Connection;
use crate::request::headers::{RequestRewrite, authenticates_connection};
use crate::request::policy::Permit;
use crate::store::{SessionId, Subject};

/// How many private connections may wait for one client connection. A client over HTTP/1.1 uses one
/// at a time.
const WAITING_MAX: usize = 8;
/// The limit for an anonymous client; enough for a handshake.
const WAITING_ANONYMOUS_MAX: usize = 2;

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

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
enum ConnectionOwner {
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

/// The parts of a request that determine which connection it may use.
#[derive(Clone, Copy)]
pub(super) struct LeaseContext<'a> {
    pub(super) client: &'a Arc<Connection>,
    pub(super) permit: &'a Permit,
    pub(super) request_rewrite: &'a RequestRewrite,
    pub(super) headers: &'a HeaderMap,
}

impl LeaseContext<'_> {
    /// Leases a connection: a private one that is reserved for the caller, otherwise one of the
    /// pool. A request that needs a private connection and has none gets a new one.
    ///
    /// Most requests get an idle connection without waiting. The future that waits or connects is
    /// boxed, so that the future of these requests is small.
    ///
    /// `now` is the current time; the result contains the time at which the lease was obtained.
    pub(super) async fn lease(
        self,
        pool: &Pool,
        freshness: Freshness,
        now: Instant,
    ) -> Result<(Lease, Instant), ForwardError> {
        let offset = pool.next_offset();
        let may_share = self.client.extension.is_empty() && !self.needs_private_connection();
        if may_share && let Some(lease) = pool.try_lease(freshness, self.caller_kind(), offset, now)
        {
            return Ok((lease, now));
        }
        let lease = Box::pin(self.lease_with_wait(pool, freshness, offset)).await?;
        Ok((lease, Instant::now()))
    }

    async fn lease_with_wait(
        self,
        pool: &Pool,
        freshness: Freshness,
        offset: usize,
    ) -> Result<Lease, ForwardError> {
        // An authenticated connection is reused at any age: a new one would need a new handshake.
        if freshness != Freshness::New
            && let Some(waiting) = self.take_private_connection(pool)
        {
            return pool
                .lease_private(waiting, self.binding(), self.caller_kind())
                .await;
        }
        if !self.needs_private_connection() {
            return pool.lease(freshness, self.caller_kind(), offset).await;
        }
        let mut lease = pool
            .lease(Freshness::New, self.caller_kind(), offset)
            .await?;
        lease.binding = Some(self.binding());
        Ok(lease)
    }

    fn caller_kind(self) -> CallerKind {
        match self.permit.caller() {
            Caller::Person(_) | Caller::Program(_) => CallerKind::Authenticated,
            Caller::Anonymous(_) => CallerKind::Anonymous,
        }
    }

    /// Whether the request must not share its connection with other callers.
    fn needs_private_connection(self) -> bool {
        // `Proxy-Authorization` is addressed to menshen and is never forwarded.
        let mut sent = self.headers.get_all(AUTHORIZATION).iter();
        self.permit.route().private_connections
            || self.request_rewrite.authenticates_connection()
            || sent.any(begins_with_scheme)
    }

    /// Takes the most recently used private connection that is reserved for the caller.
    fn take_private_connection(self, pool: &Pool) -> Option<(Box<Http1Connection>, Arc<Upstream>)> {
        // Most clients have no private connection.
        let waiting = self.client.extension.get::<WaitingConnections>()?;
        let owner = self.owner()?;
        let mut waiting = waiting.lock().unwrap_or_else(PoisonError::into_inner);
        while let Some(at) = waiting
            .iter()
            .rposition(|private| private.owner == owner && pool.contains(&private.upstream))
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

    pub(super) fn binding(self) -> Box<ClientBinding> {
        Box::new(ClientBinding {
            client: Arc::downgrade(self.client),
            owner: self.owner(),
        })
    }

    fn owner(self) -> Option<ConnectionOwner> {
        match self.permit.caller() {
            Caller::Person(person) => Some(ConnectionOwner::Person(person.session.public_id)),
            Caller::Program(program) => Some(ConnectionOwner::Program(
                program.issuer.clone(),
                program.subject.clone(),
            )),
            // Behind a proxy, the next anonymous request may come from another client.
            Caller::Anonymous(_) => (!self.is_relayed()).then_some(ConnectionOwner::Anonymous),
        }
    }

    fn is_relayed(self) -> bool {
        let traces = [VIA, FORWARDED, X_FORWARDED_FOR];
        self.request_rewrite.comes_from_trusted_proxy()
            || traces.iter().any(|name| self.headers.contains_key(name))
    }
}

impl ClientBinding {
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

fn begins_with_scheme(value: &HeaderValue) -> bool {
    authenticates_connection(value.as_bytes())
}

#[cfg(test)]
mod tests {
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
