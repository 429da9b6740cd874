//! The HTTP server of the simulated Lark.

use std::convert::Infallible;
use std::sync::Arc;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Limited};
use hyper::body::Incoming;
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderName, USER_AGENT};
use hyper::http::request::Parts;
use hyper::{Method, Request};
use serde_json::Value;
use tokio::net::TcpListener;

use super::super::simulated_http::{self, BODY_BYTES_MAX, JSON, PageResponse, Reply, reply};
use super::api::{self, ApiRequest};
use super::authorize::{self, PageRequest};
use super::errors::{ApiFailure, failure};
use super::events::{self, ContactChange, EventSealer};
use super::pages;
use super::state::{Fault, State};

/// The state that all connections share.
pub(super) type Simulation = simulated_http::Simulation<State>;

/// Accepts connections until the task is aborted, which also ends the connections.
pub(super) async fn accept(listener: TcpListener, simulation: Arc<Simulation>) {
    let serve = move |_, request| {
        let simulation = Arc::clone(&simulation);
        async move { serve(&simulation, request).await }
    };
    simulated_http::accept(listener, serve).await;
}

async fn serve(simulation: &Simulation, request: Request<Incoming>) -> Result<Reply, Infallible> {
    let (head, body) = request.into_parts();
    let query = head.uri.query().unwrap_or_default();
    let fault = simulation.state().record_call(head.uri.path(), query);
    Ok(match fault {
        None => respond(simulation, &head, body).await,
        Some(Fault::Hang) => std::future::pending().await,
        Some(Fault::Fail { code, .. }) => failed(&failure(code)),
        Some(Fault::Answer { status, body, .. }) => reply(status, &[(CONTENT_TYPE, JSON)], body),
    })
}

async fn respond(simulation: &Simulation, head: &Parts, body: Incoming) -> Reply {
    let path = head.uri.path();
    let query = head.uri.query().unwrap_or_default().as_bytes();
    let now = simulation.now();
    if path == "/open-apis/authen/v1/authorize" {
        let request = PageRequest {
            address: head.uri.path_and_query().map_or("/", |all| all.as_str()),
            query: api::map(query),
            user_agent: header_text(&head.headers, &USER_AGENT),
            now,
        };
        return authorize::login(&mut simulation.state(), &request).reply();
    }
    if path == pages::CONSOLE_PATH {
        return PageResponse::Page(pages::console(&simulation.state())).reply();
    }
    let Ok(body) = Limited::new(body, BODY_BYTES_MAX).collect().await else {
        return reply(413, &[], Bytes::new());
    };
    let body = body.to_bytes();
    let is_post = head.method == Method::POST;
    if path == pages::DISMISS_PATH && is_post {
        let form = api::map(&body);
        dismiss(simulation, form.get("user_id").map_or("", String::as_str));
        return PageResponse::Redirect(pages::CONSOLE_PATH.to_owned()).reply();
    }
    let token = header_text(&head.headers, &AUTHORIZATION);
    let request = ApiRequest {
        path,
        is_post,
        query: api::pairs(query),
        body: fields(&head.headers, &body),
        token: token.strip_prefix("Bearer ").unwrap_or_default(),
        now,
    };
    match api::answer(&mut simulation.state(), &request) {
        Some(Ok(answer)) => json(200, &answer),
        Some(Err(failure)) => failed(&failure),
        None => reply(
            404,
            &[(CONTENT_TYPE, "text/plain")],
            "404 page not found".into(),
        ),
    }
}

/// The JSON or the form of a request.
fn fields(headers: &HeaderMap, body: &[u8]) -> Value {
    match header_text(headers, &CONTENT_TYPE).starts_with("application/x-www-form-urlencoded") {
        true => serde_json::to_value(api::map(body)).unwrap_or_default(),
        false => serde_json::from_slice(body).unwrap_or_default(),
    }
}

/// Removes an employee and sends the event.
fn dismiss(simulation: &Simulation, user_id: &str) {
    let now = simulation.now();
    let mut state = simulation.state();
    let before = state.people.len();
    state.people.retain(|one| one.user_id != user_id);
    if state.people.len() == before {
        return;
    }
    if let Some(url) = state.event_url.clone() {
        let message = events::event(ContactChange::UserDeleted(user_id), now);
        let event = EventSealer::default().seal(&message, now);
        tokio::spawn(events::deliver(url, event));
    }
}

fn failed(failure: &ApiFailure) -> Reply {
    json(failure.status, &failure.body)
}

fn json(status: u16, answer: &Value) -> Reply {
    reply(
        status,
        &[(CONTENT_TYPE, JSON)],
        Bytes::from(answer.to_string()),
    )
}

fn header_text<'a>(headers: &'a HeaderMap, name: &HeaderName) -> &'a str {
    let value = headers.get(name).and_then(|value| value.to_str().ok());
    value.unwrap_or_default()
}
