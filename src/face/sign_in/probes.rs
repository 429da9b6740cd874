//! `/ping` and `/ready`: health probes of load balancers.

use std::time::Duration;

use http::request::Parts;
use http::{Method, StatusCode};

use super::super::record::LoggedResponse;
use super::super::reply;
use crate::site::{Services, Site};

/// How long a readiness probe waits for the store.
const READY_TIMEOUT: Duration = Duration::from_secs(2);

/// Answers a health probe of a load balancer that has no `Host` header, as in HTTP/1.0.
pub(in crate::face) async fn answer_probe(
    site: &Site,
    services: &Services,
    parts: &Parts,
) -> Option<LoggedResponse> {
    let path = parts.uri.path();
    let below_prefix = path.strip_prefix(site.prefix.as_str());
    match below_prefix.unwrap_or(path) {
        "/ping" if site.routes.is_own_path(path) => Some(ping(&parts.method)),
        "/ready" if site.routes.is_own_path(path) => Some(ready(services, &parts.method).await),
        _ => None,
    }
}

pub(super) fn ping(method: &Method) -> LoggedResponse {
    let response = reply::text(StatusCode::OK, "text/plain", "OK\n".to_owned());
    LoggedResponse::own_path("ping", reply::without_body_if_head(method, response))
}

/// Readiness: requests can be authorized only while the store answers.
pub(super) async fn ready(services: &Services, method: &Method) -> LoggedResponse {
    let ping = services.people.ping_store();
    let result = tokio::time::timeout(READY_TIMEOUT, ping).await;
    let (status, text) = match result {
        Ok(Ok(())) => (StatusCode::OK, "OK\n"),
        Ok(Err(_)) | Err(_) => (
            StatusCode::SERVICE_UNAVAILABLE,
            "the store does not answer\n",
        ),
    };
    let response = reply::text(status, "text/plain", text.to_owned());
    LoggedResponse::own_path("ready", reply::without_body_if_head(method, response))
}
