//! Envoy's external authorization (ext_authz v3) over gRPC.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{ALLOW, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, Version};
use http_body_util::BodyExt as _;
use prost::Message as _;
use schemars::JsonSchema;
use serde::Deserialize;
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;
use tonic::Status;
use tonic::codegen::Service as _;
use tonic_health::pb::health_server::HealthServer;

use super::admin::Health;
use super::check::{self, CheckOutcome};
use super::record::{LoggedResponse, RequestSummary};
use super::reply::RefusalStatuses;
use super::{RequestContext, reply};
use crate::request::head::{Connection, HeadError, Peer};
use crate::request::headers::{HeaderChanges, RequestId};
use crate::request::policy::{Denial, Verdict};
use crate::request::route::{CheckHeaders, Route};
use crate::request::{Body, BodyError, decide, decide_on_named_route};
use crate::site::live::LiveSite;
use crate::site::{Services, Site};
use frame::FrameError;
use grpc_check::GrpcCheck;
use health::HealthService;
pub use reflection::DESCRIPTORS;
use reflection::Reflection;
use wire::{CheckRequest, CheckResponse};

mod answer;
mod frame;
mod grpc_check;
mod health;
mod reflection;
mod wire;

/// The gRPC service and its method.
const SERVICE: &str = "envoy.service.auth.v3.Authorization";
const CHECK: &str = "/envoy.service.auth.v3.Authorization/Check";
/// The longest time for a call, and the default without `grpc-timeout`.
const CALL_TIME_MAX: Duration = Duration::from_secs(10);

/// `[ext_authz]`: answers Envoy's external authorization filter (version 3) over gRPC. Over HTTP it is
/// always answered at `/ext_authz/` below `[server] prefix`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ExtAuthzConfig {
    /// The address of a listener for plain HTTP/2: `127.0.0.1:9181`, or a `unix:` path. It also serves
    /// health and reflection. Peers must be in `trusted_proxies`. Absent: no such listener.
    #[serde(default)]
    pub grpc_listen: Option<String>,
    /// Also answers gRPC on `[server] listen`, which then accepts HTTP/2 without TLS.
    #[serde(default)]
    pub on_main: bool,
}

/// The listener that received a check.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CheckListener {
    /// The listener for gRPC, which only proxies use.
    Grpc,
    /// The main listener, where a proxy may also forward the requests of clients.
    Main,
}

/// The gRPC services.
#[derive(Debug)]
pub struct ExtAuthz {
    live: Arc<LiveSite>,
    health: HealthServer<HealthService>,
    reflection: Reflection,
}

impl ExtAuthz {
    /// Open streams end when `closing` is cancelled.
    pub fn new(live: Arc<LiveSite>, health: Arc<Health>, closing: CancellationToken) -> Self {
        let service = HealthService {
            health,
            closing: closing.clone(),
        };
        Self {
            live,
            health: HealthServer::new(service),
            reflection: Reflection::new(closing),
        }
    }

    /// Whether a request on the main listener is a check.
    pub fn is_check<B>(request: &Request<B>) -> bool {
        request.uri().path() == CHECK && is_grpc(request)
    }

    /// Answers one call. A refusal is a normal response; a gRPC error is only for invalid calls.
    pub async fn handle<B>(
        &self,
        request: Request<B>,
        connection: Arc<Connection>,
        listener: CheckListener,
    ) -> Response<Body>
    where
        B: http_body::Body<Data = Bytes> + Send + Unpin + 'static,
        B::Error: Into<BodyError>,
    {
        if request.version() != Version::HTTP_2 {
            let text = "This is a gRPC service; use HTTP/2.\n".to_owned();
            return reply::text(StatusCode::HTTP_VERSION_NOT_SUPPORTED, "text/plain", text);
        }
        if request.method() != Method::POST {
            let mut response =
                reply::text(StatusCode::METHOD_NOT_ALLOWED, "text/plain", String::new());
            response
                .headers_mut()
                .insert(ALLOW, HeaderValue::from_static("POST"));
            return response;
        }
        if !is_grpc(&request) {
            let text = "This is a gRPC service; use application/grpc.\n".to_owned();
            return reply::text(StatusCode::UNSUPPORTED_MEDIA_TYPE, "text/plain", text);
        }
        let time_limit = time_limit(request.headers());
        // Boxed, because moving this large future costs more than the allocation.
        let answer = Box::pin(self.answer(request, &connection, listener));
        let answer = timeout(time_limit, answer).await;
        answer.unwrap_or_else(|_| grpc_error(Status::deadline_exceeded("the deadline passed")))
    }

    async fn answer<B>(
        &self,
        request: Request<B>,
        connection: &Connection,
        listener: CheckListener,
    ) -> Response<Body>
    where
        B: http_body::Body<Data = Bytes> + Send + Unpin + 'static,
        B::Error: Into<BodyError>,
    {
        if request.uri().path() == CHECK {
            return self.check(request, connection, listener).await;
        }
        let request = request.map(tonic::body::Body::new);
        if request.uri().path().starts_with("/grpc.health.v1.Health/") {
            let mut health = self.health.clone();
            let Ok(response) = health.call(request).await;
            return response.map(boxed);
        }
        match self.reflection.answer(request).await {
            Ok(response) => response,
            Err(_) => grpc_error(Status::unimplemented("unknown method")),
        }
    }

    async fn check<B>(
        &self,
        request: Request<B>,
        connection: &Connection,
        listener: CheckListener,
    ) -> Response<Body>
    where
        B: http_body::Body<Data = Bytes> + Send + Unpin + 'static,
        B::Error: Into<BodyError>,
    {
        let started_at = Instant::now();
        let (site, services) = (self.live.site(), self.live.services());
        let (parts, body) = request.into_parts();
        let now = services.clock.now();
        let mut summary = RequestSummary::of(&services.telemetry, &parts, connection, now);
        let mut id = RequestId::of(&parts.headers, false);
        // The outer error is a refused peer, the inner one a malformed check.
        let check = if site.trust.includes(connection.peer) {
            match frame::read_message(body).await {
                Ok(message) => Ok(CheckRequest::decode(message)
                    .map_err(|_| HeadError::Forwarded("message"))
                    .and_then(GrpcCheck::read)),
                Err(FrameError::Compressed) => {
                    return grpc_error(Status::unimplemented(
                        "compressed messages are not supported",
                    ));
                }
                Err(FrameError::TooLong | FrameError::Incomplete | FrameError::Lost) => {
                    Ok(Err(HeadError::Forwarded("message")))
                }
            }
        } else {
            Err(check::untrusted_peer(&site, connection.peer, &id))
        };
        let outcome = match check {
            Ok(Ok(check)) => {
                id = RequestId::of(&check.headers, true);
                let from = (connection.peer, listener);
                decide_check((&site, services), &check, from, &id, &mut summary).await
            }
            Ok(Err(error)) => {
                GrpcOutcome::Refuse(check::malformed_check(&site, connection.peer, &id, error))
            }
            Err(logged) => GrpcOutcome::Refuse(logged),
        };
        match outcome {
            GrpcOutcome::Allow(logged, answer) => {
                logged.record(&services.telemetry, &summary, &id, started_at);
                frame::message_response(&answer)
            }
            GrpcOutcome::Refuse(logged) => {
                let response = logged.record(&services.telemetry, &summary, &id, started_at);
                frame::message_response(&answer::denied_response(response).await)
            }
        }
    }
}

/// The result of a gRPC check with its access record.
enum GrpcOutcome {
    Allow(LoggedResponse, CheckResponse),
    Refuse(LoggedResponse),
}

/// Decides about the request of a check: for the route that the check names, else for the route of the
/// request's URL.
async fn decide_check(
    (site, services): (&Site, &Services),
    check: &GrpcCheck,
    (peer, listener): (Peer, CheckListener),
    id: &RequestId,
    summary: &mut RequestSummary,
) -> GrpcOutcome {
    let head = check.original();
    let head =
        head.and_then(|original| check::original_head(site, original, peer, summary.received_at));
    let head = match head {
        Ok(head) => head,
        Err(error) => return GrpcOutcome::Refuse(check::malformed_check(site, peer, id, error)),
    };
    summary.set_original(&head);
    let context = RequestContext {
        site,
        services,
        head: &head,
        id,
        statuses: RefusalStatuses::Check,
    };
    let verdict = match check.route.as_ref().map(|name| route_named(site, name)) {
        None => decide(&site.routes, &site.gate, &head).await,
        Some(Some(route)) => decide_on_named_route(route, &site.gate, &head).await,
        Some(None) => {
            if site.request_warnings.allow() {
                tracing::warn!(request_id = %id, "a check names an unknown route in context_extensions, so it is denied");
            }
            Verdict::Deny(Denial::NoRoute)
        }
    };
    match check::outcome_of(&context, verdict, Some(StatusCode::FOUND)).await {
        CheckOutcome::Allow(permit, cookie) => {
            let headers = match listener {
                CheckListener::Grpc => CheckHeaders::All,
                CheckListener::Main => permit.route().headers.on_checks,
            };
            let changes =
                HeaderChanges::for_request(&permit, &head, site.rewrite_options(), headers);
            if let Some(denial) = permit.denial_if_too_costly(&head) {
                return GrpcOutcome::Refuse(check::too_costly(&context, &denial));
            }
            let answer = answer::ok_response(&permit, &changes, cookie.as_deref(), id);
            GrpcOutcome::Allow(LoggedResponse::allowed(&permit).for_check(), answer)
        }
        CheckOutcome::Refuse(_, reason, logged) => {
            GrpcOutcome::Refuse(check::with_reason_header(*logged, reason).for_check())
        }
    }
}

fn route_named<'a>(site: &'a Site, name: &[u8]) -> Option<&'a Arc<Route>> {
    let name = std::str::from_utf8(name).ok()?;
    site.routes.by_name(name)
}

fn is_grpc<B>(request: &Request<B>) -> bool {
    let content_type = request.headers().get(CONTENT_TYPE);
    matches!(
        content_type.map(HeaderValue::as_bytes),
        Some(b"application/grpc" | b"application/grpc+proto")
    )
}

/// The time limit of a call.
fn time_limit(headers: &HeaderMap) -> Duration {
    let value = headers
        .get("grpc-timeout")
        .and_then(|value| value.to_str().ok());
    let requested = value.and_then(parse_timeout).unwrap_or(CALL_TIME_MAX);
    requested.min(CALL_TIME_MAX)
}

/// Parses `grpc-timeout`: at most eight digits and a unit.
fn parse_timeout(text: &str) -> Option<Duration> {
    let (digits, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    if digits.is_empty() || digits.len() > 8 || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let count: u64 = digits.parse().ok()?;
    match unit {
        "H" => Some(Duration::from_secs(count * 3600)),
        "M" => Some(Duration::from_secs(count * 60)),
        "S" => Some(Duration::from_secs(count)),
        "m" => Some(Duration::from_millis(count)),
        "u" => Some(Duration::from_micros(count)),
        "n" => Some(Duration::from_nanos(count)),
        _ => None,
    }
}

fn grpc_error(status: Status) -> Response<Body> {
    status.into_http().map(boxed)
}

fn boxed(body: tonic::body::Body) -> Body {
    Body::new(body.map_err(Into::into))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grpc_timeouts_are_parsed_and_capped() {
        for (text, expected) in [
            ("200m", Duration::from_millis(200)),
            ("1S", Duration::from_secs(1)),
            ("99999999u", Duration::from_micros(99_999_999)),
            ("0n", Duration::ZERO),
            ("99999999H", CALL_TIME_MAX),
            ("1M", CALL_TIME_MAX),
            ("999999999n", CALL_TIME_MAX),
            ("", CALL_TIME_MAX),
            ("S", CALL_TIME_MAX),
            ("+1S", CALL_TIME_MAX),
            ("1s", CALL_TIME_MAX),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert("grpc-timeout", HeaderValue::from_static(text));
            assert_eq!(time_limit(&headers), expected.min(CALL_TIME_MAX), "{text}");
        }
        assert_eq!(time_limit(&HeaderMap::new()), CALL_TIME_MAX);
    }
}
