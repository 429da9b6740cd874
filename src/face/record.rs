//! What the access record contains about a request and its response.

use std::borrow::Cow;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::Duration;

use http::request::Parts;
use http::{HeaderValue, Method, Response, StatusCode};
use tokio::time::Instant;

use super::streamed;
use crate::clock::Timestamp;
use crate::people::session::Person;
use crate::request::Body;
use crate::request::gate::Caller;
use crate::request::head::{Connection, Head, Peer};
use crate::request::headers::RequestId;
use crate::request::policy::Permit;
use crate::request::route::Route;
use crate::telemetry::{AccessRecord, CutBy, FaceLabel, Telemetry, VerdictLabel};

/// The request's part of an access record.
#[derive(Clone, Debug)]
pub(super) struct RequestSummary {
    pub(super) received_at: Timestamp,
    /// The peer, and after the head is parsed the client, which a trusted proxy may name.
    pub(super) client: IpAddr,
    /// The further fields; absent when the access log is off.
    logged: Option<Box<LoggedRequest>>,
}

#[derive(Clone, Debug)]
struct LoggedRequest {
    method: Method,
    host: String,
    path: String,
}

impl RequestSummary {
    pub(super) fn of(
        telemetry: &Telemetry,
        parts: &Parts,
        connection: &Connection,
        received_at: Timestamp,
    ) -> Self {
        let client = match connection.peer {
            Peer::Ip(ip) => ip.to_canonical(),
            Peer::Unix => IpAddr::V4(Ipv4Addr::LOCALHOST),
        };
        let logged = telemetry.has_access_log().then(|| {
            let host = parts
                .headers
                .get(http::header::HOST)
                .map(|host| String::from_utf8_lossy(host.as_bytes()));
            let authority = || parts.uri.authority().map(|name| name.as_str().into());
            let host = host.or_else(authority);
            Box::new(LoggedRequest {
                method: parts.method.clone(),
                host: host.unwrap_or_default().into_owned(),
                // Never the query, which holds codes, states and tickets.
                path: parts.uri.path().to_owned(),
            })
        });
        Self {
            received_at,
            client,
            logged,
        }
    }

    /// Replaces the request of a check by the original request that the check is about.
    pub(super) fn set_original(&mut self, head: &Head<'_>) {
        self.client = head.client_ip;
        if let Some(logged) = &mut self.logged {
            logged.method = head.method.clone();
            logged.host = match head.port {
                Some(port) => format!("{}:{port}", head.host),
                None => head.host.to_string(),
            };
            logged.path = head.path.as_str().to_owned();
        }
    }
}

/// A response, and what the access record contains about it.
#[derive(Debug)]
pub(super) struct LoggedResponse {
    response: Option<Response<Body>>,
    face: FaceLabel,
    verdict: VerdictLabel,
    /// The `reason` of the access record. Administrators search for these words, so they never change.
    reason: Cow<'static, str>,
    route: Option<Arc<Route>>,
    caller: Option<Caller>,
    upstream_took: Option<Duration>,
    /// When the head of the upstream's response arrived.
    answered_at: Option<Instant>,
    upstream: Option<HeaderValue>,
    /// Whether the body of the response still arrives from the upstream.
    is_streaming: bool,
}

/// The response's part of an access record.
#[derive(Clone, Copy, Debug)]
pub(super) struct ResponseSummary {
    pub(super) status: StatusCode,
    /// From the arrival of the request to the head of the response.
    pub(super) took: Duration,
    pub(super) bytes: Option<u64>,
    pub(super) cut: Option<CutBy>,
}

/// The public ID and the name of the access token that a person's program sent.
pub(super) fn named_access_token(person: &Person) -> Option<(&dyn fmt::Display, &str)> {
    let used = person.access_token.as_ref()?;
    Some((&person.session.public_id, &used.name))
}

impl LoggedResponse {
    /// The response to a request for one of menshen's own paths. `record_reason` is the `reason` of the
    /// access record. An error, such as that of a failed login, is not recorded as allowed.
    pub(super) fn own_path(record_reason: &'static str, response: Response<Body>) -> Self {
        let is_error = response.status().is_client_error() || response.status().is_server_error();
        let verdict = match is_error {
            true => VerdictLabel::Deny,
            false => VerdictLabel::Allow,
        };
        Self::new(FaceLabel::Own, verdict, record_reason).with_response(response)
    }

    pub(super) fn login_needed(
        record_reason: &'static str,
        route: &Arc<Route>,
        response: Response<Body>,
    ) -> Self {
        Self {
            route: Some(Arc::clone(route)),
            ..Self::new(FaceLabel::Proxy, VerdictLabel::Login, record_reason)
        }
        .with_response(response)
    }

    pub(super) fn denied(
        record_reason: impl Into<Cow<'static, str>>,
        route: Option<&Arc<Route>>,
        caller: Option<&Caller>,
        response: Response<Body>,
    ) -> Self {
        Self {
            route: route.cloned(),
            caller: caller.cloned(),
            ..Self::new(FaceLabel::Proxy, VerdictLabel::Deny, record_reason)
        }
        .with_response(response)
    }

    pub(super) fn map_response(mut self, change: impl FnOnce(&mut Response<Body>)) -> Self {
        self.response.as_mut().map(change);
        self
    }

    /// Marks it as the response to a check.
    pub(super) fn for_check(self) -> Self {
        Self {
            face: FaceLabel::Check,
            ..self
        }
    }

    pub(super) fn status(&self) -> StatusCode {
        let response = self.response.as_ref();
        response.map_or(StatusCode::OK, Response::status)
    }

    /// An allowed request whose response is not known yet.
    pub(super) fn allowed(permit: &Permit) -> Self {
        Self {
            route: Some(Arc::clone(permit.route())),
            caller: Some(permit.caller().clone()),
            ..Self::new(FaceLabel::Proxy, VerdictLabel::Allow, "")
        }
    }

    fn new(face: FaceLabel, verdict: VerdictLabel, reason: impl Into<Cow<'static, str>>) -> Self {
        Self {
            response: None,
            face,
            verdict,
            reason: reason.into(),
            route: None,
            caller: None,
            upstream_took: None,
            answered_at: None,
            upstream: None,
            is_streaming: false,
        }
    }

    pub(super) fn with_upstream_times(self, sent_at: Instant, answered_at: Instant) -> Self {
        Self {
            upstream_took: Some(answered_at.saturating_duration_since(sent_at)),
            answered_at: Some(answered_at),
            ..self
        }
    }

    pub(super) fn with_upstream(self, upstream: HeaderValue) -> Self {
        Self {
            upstream: Some(upstream),
            ..self
        }
    }

    pub(super) fn with_upstream_response(self, upstream: HeaderValue, is_streaming: bool) -> Self {
        Self {
            upstream: Some(upstream),
            is_streaming,
            ..self
        }
    }

    pub(super) fn with_reason(self, reason: impl Into<Cow<'static, str>>) -> Self {
        Self {
            reason: reason.into(),
            ..self
        }
    }

    pub(super) fn with_response(self, response: Response<Body>) -> Self {
        Self {
            response: Some(response),
            ..self
        }
    }

    /// Writes the access record and returns the response. A streamed response is recorded when it
    /// ends.
    pub(super) fn record(
        mut self,
        telemetry: &Telemetry,
        request: &RequestSummary,
        id: &RequestId,
        started_at: Instant,
    ) -> Response<Body> {
        let response = self.response.take().unwrap_or_default();
        self.record_response(response, telemetry, request, id, started_at)
    }

    /// Like [`Self::record`], with the response as an argument, so that forwarding need not move it into
    /// this value.
    pub(super) fn record_response(
        self,
        response: Response<Body>,
        telemetry: &Telemetry,
        request: &RequestSummary,
        id: &RequestId,
        started_at: Instant,
    ) -> Response<Body> {
        let answered_at = self.answered_at.unwrap_or_else(Instant::now);
        let response_summary = ResponseSummary {
            status: response.status(),
            took: answered_at.saturating_duration_since(started_at),
            bytes: http_body::Body::size_hint(response.body()).exact(),
            cut: None,
        };
        if self.is_streaming {
            telemetry.count_request(&self.access_record(request, id, response_summary));
            return streamed::record_at_end(
                response,
                telemetry,
                self,
                request,
                id,
                response_summary,
            );
        }
        telemetry.record_request(&self.access_record(request, id, response_summary));
        response
    }

    pub(super) fn access_record<'a>(
        &'a self,
        request: &'a RequestSummary,
        id: &'a RequestId,
        response_summary: ResponseSummary,
    ) -> AccessRecord<'a> {
        let person = match &self.caller {
            Some(Caller::Person(person)) => Some(person),
            _ => None,
        };
        let program = match &self.caller {
            Some(Caller::Program(program)) => {
                Some((program.issuer.as_str(), program.subject.as_str()))
            }
            _ => None,
        };
        let logged = request.logged.as_deref();
        AccessRecord {
            at: request.received_at,
            request_id: id.as_str(),
            client: request.client,
            method: logged.map_or("", |logged| logged.method.as_str()),
            host: logged.map_or("", |logged| &logged.host),
            path: logged.map_or("", |logged| &logged.path),
            face: self.face,
            route: self.route_name(),
            route_counters: self.route.as_ref().map(|route| &route.counters),
            login: person.map(|person| person.session.login.as_str()),
            session: person
                .filter(|person| person.access_token.is_none())
                .map(|person| &person.session.public_id as &dyn fmt::Display),
            access_token: person.and_then(named_access_token),
            program,
            verdict: self.verdict,
            reason: Some(&*self.reason).filter(|reason| !reason.is_empty()),
            status: response_summary.status.as_u16(),
            upstream: self.upstream_name(),
            took: response_summary.took,
            upstream_took: self.upstream_took,
            bytes: response_summary.bytes,
            cut: response_summary.cut,
        }
    }

    pub(super) fn route_name(&self) -> Option<&str> {
        self.route.as_ref().map(|route| route.name.as_str())
    }

    /// The upstream that answered, as `host:port`.
    pub(super) fn upstream_name(&self) -> Option<&str> {
        self.upstream.as_ref().and_then(|name| name.to_str().ok())
    }
}
