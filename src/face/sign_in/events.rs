//! `/events/{connector}`: the source reports changes of its people and departments.

use bytes::Bytes;
use http::{Method, Response, StatusCode};

use super::super::RequestContext;
use super::super::page::Cause;
use super::super::record::LoggedResponse;
use super::super::reply;
use super::read_body_within;
use crate::login::connector::{DeliveryRequest, EventDelivery, EventError, EventReceiver};
use crate::login::fields::Fields;
use crate::request::{Body, BodyError};
use crate::store::ConnectorId;
use crate::telemetry::{LogLimiter, error_chain};

/// The largest delivery that is read, in bytes.
const DELIVERY_BYTES_MAX: usize = 64 * 1024;

const PLAIN_TEXT: &str = "text/plain; charset=utf-8";

/// `GET` verifies the URL, `POST` delivers an event. Both are signed. The event is handled after the
/// response, because sources wait only a few seconds for it.
pub(super) async fn answer<B>(
    context: &RequestContext<'_>,
    via: &ConnectorId,
    query: &Fields,
    body: Option<B>,
) -> LoggedResponse
where
    B: http_body::Body<Data = Bytes> + Send + Unpin + 'static,
    B::Error: Into<BodyError>,
{
    let login = &context.site.login;
    let receiver = login.entry(via).and_then(|entry| entry.connector.events());
    let Some(receiver) = receiver else {
        return LoggedResponse::own_path(
            "no events",
            reply::problem(context, Cause::NotFound, None),
        );
    };
    let client = context.head.client_for_limits();
    if login.check_event_request_limit(client).is_err() {
        // Any client can cause this line.
        static LOG_LIMITER: LogLimiter = LogLimiter::new();
        if LOG_LIMITER.allow() {
            tracing::warn!(connector = %via, client = %context.head.client_ip, "too many requests to /events: some are refused");
        }
        return too_many();
    }
    match *context.head.method {
        Method::GET => verify_url(context, via, receiver, query),
        Method::POST => {
            let body = read_body_within(body, DELIVERY_BYTES_MAX).await;
            let delivery = body.ok_or(EventError::Malformed("the body"));
            let delivery = delivery.and_then(|body| {
                receiver.receive(&DeliveryRequest {
                    query,
                    headers: context.head.headers,
                    body: &body,
                    received_at: context.head.received_at,
                })
            });
            match delivery {
                Ok(_) if login.check_event_limit(via).is_err() => too_many_of_source(via),
                Ok(delivery) => accept(context, via, delivery),
                Err(error) => refused(context, via, &error),
            }
        }
        _ => LoggedResponse::own_path("method", reply::method_not_allowed("GET, POST")),
    }
}

/// Queues the events of a delivery. If not all of them fit, the source delivers them again; those that were
/// queued are recognized.
fn accept(
    context: &RequestContext<'_>,
    via: &ConnectorId,
    delivery: EventDelivery,
) -> LoggedResponse {
    for event in delivery.events {
        if let Err(full) = context.site.login.accept_event(via, event) {
            context
                .services
                .telemetry
                .count_limit_reached("login.waiting_events_max");
            tracing::warn!(connector = %via, "{full}: the source must send this one again");
            let response = plain(StatusCode::SERVICE_UNAVAILABLE, "try again later\n");
            return LoggedResponse::own_path("too many events", response);
        }
    }
    let response = match &delivery.receipt {
        Some(receipt) => reply::json(StatusCode::OK, receipt),
        None => plain(StatusCode::OK, ""),
    };
    LoggedResponse::own_path("event", response)
}

fn verify_url(
    context: &RequestContext<'_>,
    via: &ConnectorId,
    receiver: &dyn EventReceiver,
    query: &Fields,
) -> LoggedResponse {
    let verified = receiver.verify_url(query, context.head.received_at);
    let echo = verified.and_then(|echo| {
        String::from_utf8(echo).map_err(|error| EventError::Unreadable(error.into()))
    });
    match echo {
        Ok(_) if context.site.login.check_event_limit(via).is_err() => too_many_of_source(via),
        Ok(echo) => {
            tracing::info!(connector = %via, "the source verified the URL for its events");
            let response = reply::text(StatusCode::OK, PLAIN_TEXT, echo);
            LoggedResponse::own_path("events verified", response)
        }
        Err(error) => refused(context, via, &error),
    }
}

/// The response to an invalid request. The sender does not learn whether the signature, the key or the
/// receiver is wrong.
fn refused(context: &RequestContext<'_>, via: &ConnectorId, error: &EventError) -> LoggedResponse {
    // Any client can cause this line.
    static LOG_LIMITER: LogLimiter = LogLimiter::new();
    if LOG_LIMITER.allow() {
        tracing::warn!(request_id = %context.id, connector = %via, client = %context.head.client_ip, error = %error_chain(error), "a request to /events was refused");
    }
    let status = match error {
        EventError::Malformed(_) | EventError::Unreadable(_) => StatusCode::BAD_REQUEST,
        EventError::NotAuthentic(_) | EventError::NotCurrent { .. } => StatusCode::FORBIDDEN,
    };
    LoggedResponse::own_path("event refused", plain(status, "the request is not valid\n"))
}

/// The source itself sends more than it may: it delivers the event again.
fn too_many_of_source(via: &ConnectorId) -> LoggedResponse {
    static LOG_LIMITER: LogLimiter = LogLimiter::new();
    if LOG_LIMITER.allow() {
        tracing::warn!(connector = %via, "the source delivers too many events: some are refused");
    }
    too_many()
}

fn too_many() -> LoggedResponse {
    let response = plain(StatusCode::TOO_MANY_REQUESTS, "too many requests\n");
    LoggedResponse::own_path("too many events", response)
}

fn plain(status: StatusCode, text: &str) -> Response<Body> {
    reply::text(status, PLAIN_TEXT, text.to_owned())
}
