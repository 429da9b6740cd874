//! Connections to upstreams that belong to one client, because the upstream took that client's name
//! for the connection and not for the request (NTLM, Negotiate).
//!
//! Such a connection never returns to the pool. It waits for the next request of the same caller on
//! the same client connection, no longer than one of the pool would, and is closed with that. So the
//! steps of a handshake reach the connection they belong to, and nobody inherits what somebody else
//! proved.

use std::sync::{Arc, Mutex, PoisonError, Weak};

use http::header::{AUTHORIZATION, FORWARDED, PROXY_AUTHENTICATE, VIA, WWW_AUTHENTICATE};
use http::{HeaderMap, HeaderName, HeaderValue};
use tokio::time::Instant;

use super::ForwardError;
use super::lease::Lease;
use super::parked::Parked;
use super::pool::{Pool, Upstream, Wanted, Who};
use super::wire::Wire;
use crate::request::bearer::IssuerId;
use crate::request::gate::Caller;
use crate::request::head::Connection;
use crate::request::headers::{Onward, authenticates_connection};
use crate::request::policy::Permit;
use crate::request::share::Share;
use crate::store::{SessionId, Subject};

/// How many connections to upstreams may wait for one client connection. Who speaks HTTP/1.1 uses one
/// at a time.
const KEPT_MAX: usize = 8;
/// How many of them nobody in particular may have, which is enough for a handshake.
const KEPT_FOR_NOBODY_MAX: usize = 2;

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// The connections to upstreams that wait for the next request of a client connection.
type Waiting = Mutex<Vec<One>>;

#[derive(Debug)]
struct One {
    parked: Arc<Parked>,
    upstream: Arc<Upstream>,
    holder: Holder,
}

/// For whom a connection was opened. A front proxy brings many people over one connection.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Holder {
    Person(SessionId),
    Program(IssuerId, Subject),
    /// Nobody, on a connection that carries nobody else.
    Nobody,
}

/// Where a private connection waits.
#[derive(Debug)]
pub(super) struct Place {
    client: Weak<Connection>,
    /// Absent: it does not wait.
    holder: Option<Holder>,
}

/// A request as far as private connections are concerned.
#[derive(Clone, Copy)]
pub(super) struct Claim<'a> {
    pub(super) client: &'a Arc<Connection>,
    pub(super) permit: &'a Permit,
    pub(super) onward: &'a Onward,
    pub(super) headers: &'a HeaderMap,
}

impl Claim<'_> {
    /// A connection for the request: the one that was kept for its caller, else a free one. What
    /// belongs to one client begins with a connection of its own.
    ///
    /// Most requests get a connection without waiting. What waits or connects is in a box, so that
    /// the future of every request does not have room for it.
    ///
    /// `now` is the time; what comes with the lease is the time when it was had.
    pub(super) async fn lease(
        self,
        pool: &Pool,
        wanted: Wanted,
        now: Instant,
    ) -> Result<(Lease, Instant), ForwardError> {
        let turn = pool.turn();
        let may_share = self.client.kept.is_empty() && !self.is_private();
        if may_share && let Some(lease) = pool.lease_now(wanted, self.who(), turn, now) {
            return Ok((lease, now));
        }
        let lease = Box::pin(self.lease_later(pool, wanted, turn)).await?;
        Ok((lease, Instant::now()))
    }

    async fn lease_later(
        self,
        pool: &Pool,
        wanted: Wanted,
        turn: usize,
    ) -> Result<Lease, ForwardError> {
        // A connection that was logged in is worth more than its age: another one asks for the login again.
        if wanted != Wanted::New
            && let Some(kept) = self.kept(pool)
        {
            return pool.lease_kept(kept, self.place(), self.who()).await;
        }
        if !self.is_private() {
            return pool.lease(wanted, self.who(), turn).await;
        }
        let mut lease = pool.lease(Wanted::New, self.who(), turn).await?;
        lease.private = Some(self.place());
        Ok(lease)
    }

    fn who(self) -> Who {
        match self.permit.caller() {
            Caller::Person(_) | Caller::Program(_) => Who::Known,
            Caller::Nobody(_) => Who::Anonymous,
        }
    }

    /// Whether the request must not go over a connection that somebody else may use.
    fn is_private(self) -> bool {
        // `Proxy-Authorization` is for us, and never sent on.
        let mut sent = self.headers.get_all(AUTHORIZATION).iter();
        self.permit.route().private_connections
            || self.onward.authenticates_connection()
            || sent.any(begins_with_scheme)
    }

    /// A connection that was kept for this caller, the one used last first.
    fn kept(self, pool: &Pool) -> Option<(Box<Wire>, Arc<Upstream>)> {
        // Most clients never have one.
        let kept = self.client.kept.get::<Waiting>()?;
        let holder = self.holder()?;
        let mut kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
        while let Some(at) = kept
            .iter()
            .rposition(|one| one.holder == holder && pool.has(&one.upstream))
        {
            let One {
                parked, upstream, ..
            } = kept.remove(at);
            if let Some(wire) = parked.take(pool.settings.idle) {
                return Some((wire, upstream));
            }
        }
        None
    }

    /// Where this caller's private connection is to wait.
    pub(super) fn place(self) -> Box<Place> {
        Box::new(Place {
            client: Arc::downgrade(self.client),
            holder: self.holder(),
        })
    }

    fn holder(self) -> Option<Holder> {
        match self.permit.caller() {
            Caller::Person(person) => Some(Holder::Person(person.session.public_id)),
            Caller::Program(program) => Some(Holder::Program(
                program.issuer.clone(),
                program.subject.clone(),
            )),
            // Behind a proxy the next nobody may be another one.
            Caller::Nobody(_) => (!self.is_relayed()).then_some(Holder::Nobody),
        }
    }

    fn is_relayed(self) -> bool {
        let traces = [VIA, FORWARDED, X_FORWARDED_FOR];
        self.onward.comes_from_trusted()
            || traces.iter().any(|name| self.headers.contains_key(name))
    }
}

impl Place {
    /// Keeps a connection for the next request, while the client's is open. `now` is the time.
    pub(super) fn keep(
        self,
        held: (Box<Wire>, Option<Share>, Who),
        upstream: &Arc<Upstream>,
        now: Instant,
    ) {
        let (Some(client), Some(holder)) = (self.client.upgrade(), self.holder) else {
            return;
        };
        let Some(parked) = upstream.park_private(held, now) else {
            return;
        };
        let Some(kept) = client.kept.get_or_default::<Waiting>() else {
            return;
        };
        let mut kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.retain(|one| one.parked.waits());
        let nobodys = kept.iter().filter(|one| one.holder == Holder::Nobody);
        let closed = match holder {
            Holder::Nobody if nobodys.count() >= KEPT_FOR_NOBODY_MAX => {
                kept.iter().position(|one| one.holder == Holder::Nobody)
            }
            _ => (kept.len() >= KEPT_MAX).then_some(0),
        };
        let closed = closed.map(|at| kept.remove(at));
        kept.push(One {
            parked,
            upstream: Arc::clone(upstream),
            holder,
        });
        drop(kept);
        drop(closed);
    }
}

/// Whether an answer asks for, or speaks of, authentication that binds the connection.
pub(super) fn binds(answer: &HeaderMap) -> bool {
    [WWW_AUTHENTICATE, PROXY_AUTHENTICATE].iter().any(|name| {
        let lines = answer.get_all(name).iter();
        // A name within a quoted text is taken for a scheme, which harms nobody.
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
    fn a_scheme_that_binds_the_connection_is_seen_wherever_it_stands() {
        let answer = |lines: &[&str], name: HeaderName| {
            let mut headers = HeaderMap::new();
            for line in lines {
                headers.append(&name, HeaderValue::from_str(line).unwrap());
            }
            binds(&headers)
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
