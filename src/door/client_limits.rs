//! Limits of one client address, and the responses and log lines when it reaches them.

use std::sync::Arc;

use http::header::{CACHE_CONTROL, CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderValue, Response, StatusCode};
use http_body_util::{BodyExt as _, Full};

use super::SharedState;
use super::activity::{ClientLimits, OpenRequest};
use crate::request::Body;
use crate::request::head::Peer;

/// The names of the limits in log lines and metrics.
const CONNECTIONS: &str = "connections_per_client_max";
const REQUESTS: &str = "requests_per_client_max";
const RESETS: &str = "stream_resets";

/// The body of the response to a request beyond `requests_per_client_max`.
const TOO_MANY_REQUESTS: &str = "Too many requests at once from your address. Try again in a few seconds.\n\
                     您所在的地址同时发出的请求过多，请几秒后再试。\n";

impl<H> SharedState<H> {
    /// Counts a connection of a client; `None` if the client has reached its limit. Trusted proxies and
    /// peers on a unix socket are not limited, because they are not single clients.
    pub(super) fn admit_connection(&self, peer: Peer) -> Option<ClientLimits> {
        let trust = self.trust.load();
        let Peer::Ip(address) = peer else {
            return Some(ClientLimits::default());
        };
        if trust.includes(peer) {
            return Some(ClientLimits::default());
        }
        let client = trust.client_for_limits(address);
        let connection = self.connection_quota.take(client);
        if connection.is_none() {
            self.telemetry.count_limit_reached(CONNECTIONS);
            if self.client_limit_log.allow() {
                let max = self.connection_quota.max();
                tracing::warn!(%client, key = CONNECTIONS, max, "a client reached its limit of connections: a further connection was closed");
            }
        }
        let counters = self.request_quota.counters(client);
        let request_quota = (Arc::clone(&self.request_quota), counters);
        connection.map(|connection| ClientLimits {
            _connection: Some(connection),
            request_quota: Some(request_quota),
        })
    }

    /// The response to a request beyond the limit.
    pub(super) fn too_many_requests(
        &self,
        client: Peer,
        open_request: &OpenRequest,
    ) -> Response<Body> {
        self.telemetry.count_limit_reached(REQUESTS);
        if self.client_limit_log.allow() {
            let max = open_request.requests_max();
            tracing::warn!(
                ?client,
                key = REQUESTS,
                max,
                "a client reached its limit of concurrent requests: a further request was refused"
            );
        }
        let body = Full::from(TOO_MANY_REQUESTS).map_err(|never| match never {});
        let mut response = Response::new(body.boxed_unsync());
        *response.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
        for (name, value) in [
            (CONTENT_TYPE, "text/plain; charset=utf-8"),
            (CACHE_CONTROL, "no-store"),
            (RETRY_AFTER, "5"),
        ] {
            let value = HeaderValue::from_static(value);
            response.headers_mut().insert(name, value);
        }
        response
    }

    /// Counts and logs a connection that is closed because of too many resets.
    pub(super) fn log_resets(&self, client: Peer) {
        self.telemetry.count_limit_reached(RESETS);
        if self.client_limit_log.allow() {
            tracing::warn!(
                ?client,
                key = RESETS,
                "a client reset too many HTTP/2 streams before their responses: its connection was closed"
            );
        }
    }

    /// Counts and logs a request that is aborted because its client is slow.
    pub(super) fn log_slow_client(&self, client: Peer, key: &'static str) {
        self.telemetry.count_limit_reached(key);
        if self.client_limit_log.allow() {
            let within = self.limits.progress_interval.duration();
            tracing::warn!(
                ?client,
                key,
                ?within,
                "a client was too slow: its request was aborted"
            );
        }
    }
}
