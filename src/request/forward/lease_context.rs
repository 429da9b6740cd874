//! `LeaseContext`: which upstream connection a request may use, a private one or one of the pool.

use std::sync::Arc;

use http::header::{AUTHORIZATION, FORWARDED, VIA};
use http::{HeaderMap, HeaderName};
use tokio::time::Instant;

use super::ForwardError;
use super::lease::Lease;
use super::pool::Pool;
use super::private::{self, ClientBinding, ConnectionOwner};
use super::upstream::{CallerKind, Freshness};
use crate::request::gate::Caller;
use crate::request::head::Connection;
use crate::request::headers::{RequestRewrite, authenticates_connection};
use crate::request::policy::Permit;

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// The parts of a request that determine which connection it may use.
#[derive(Clone, Copy)]
pub(super) struct LeaseContext<'a> {
    pub(super) client_connection: &'a Arc<Connection>,
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
        let search_from = pool.next_search_start();
        let has_no_private = self
            .client_connection
            .private_upstream_connections
            .is_empty();
        let may_share = has_no_private && !self.needs_private_connection();
        if may_share
            && let Some(lease) = pool.try_lease(freshness, self.caller_kind(), search_from, now)
        {
            return Ok((lease, now));
        }
        let lease = Box::pin(self.lease_with_wait(pool, freshness, search_from)).await?;
        Ok((lease, Instant::now()))
    }

    async fn lease_with_wait(
        self,
        pool: &Pool,
        freshness: Freshness,
        search_from: usize,
    ) -> Result<Lease, ForwardError> {
        // A private connection is reused at any age: it may be authenticated, and a new one would need a new
        // handshake.
        if freshness != Freshness::New
            && let Some(owner) = self.owner()
            && let Some((connection, upstream)) =
                private::take_reserved(self.client_connection, &owner, pool)
        {
            let slot = pool.wait_for_slot(&upstream, self.caller_kind()).await?;
            let mut lease = Lease::new(connection, slot, true);
            lease.binding = Some(self.binding());
            return Ok(lease);
        }
        if !self.needs_private_connection() {
            return pool.lease(freshness, self.caller_kind(), search_from).await;
        }
        let mut lease = pool
            .lease(Freshness::New, self.caller_kind(), search_from)
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
        let mut credentials = self.headers.get_all(AUTHORIZATION).iter();
        self.permit.route().private_connections
            || self.request_rewrite.authenticates_connection()
            || credentials.any(|value| authenticates_connection(value.as_bytes()))
    }

    /// Who gets the connection after this request.
    pub(super) fn binding(self) -> Box<ClientBinding> {
        Box::new(ClientBinding::new(self.client_connection, self.owner()))
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

    /// Whether a proxy in front of menshen sent the request.
    fn is_relayed(self) -> bool {
        let proxy_headers = [VIA, FORWARDED, X_FORWARDED_FOR];
        self.request_rewrite.comes_from_trusted_proxy()
            || proxy_headers
                .iter()
                .any(|name| self.headers.contains_key(name))
    }
}
