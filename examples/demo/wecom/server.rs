//! The HTTP server of the simulated WeCom.

use std::collections::HashMap;
use std::convert::Infallible;
use std::net::IpAddr;
use std::sync::Arc;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Incoming;
use hyper::header::{
    ACCEPT_LANGUAGE, CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderMap, HeaderName,
    LOCATION, REFERRER_POLICY, USER_AGENT,
};
use hyper::http::request::Parts;
use hyper::{Method, Request, Response, StatusCode};
use serde_json::Value;
use tokio::net::TcpListener;

use super::super::simulated_http::{self, BODY_BYTES_MAX, PageResponse, Reply};
use super::api::{self, ApiRequest};
use super::authorize::{self, PageRequest};
use super::console;
use super::events::{self, ContactChange, EventSealer};
use super::state::{Fault, State};

/// The state that all connections share.
pub(super) type Simulation = simulated_http::Simulation<State>;

/// Accepts connections until the task is aborted, which also ends the connections.
pub(super) async fn accept(listener: TcpListener, simulation: Arc<Simulation>) {
    let serve = move |peer, request| {
        let simulation = Arc::clone(&simulation);
        async move { serve(&simulation, peer, request).await }
    };
    simulated_http::accept(listener, serve).await;
}

async fn serve(
    simulation: &Simulation,
    peer: IpAddr,
    request: Request<Incoming>,
) -> Result<Reply, Infallible> {
    let (head, body) = request.into_parts();
    let fault = simulation
        .state()
        .record_call(head.uri.path(), head.uri.query().unwrap_or_default());
    match fault {
        None => {}
        Some(Fault::Hang) => std::future::pending().await,
        Some(Fault::Fail { errcode, .. }) => {
            return Ok(json(&api::error(errcode, peer, simulation.now())));
        }
        Some(Fault::Answer { status, body, .. }) => {
            let status = StatusCode::from_u16(status).unwrap_or(StatusCode::OK);
            return Ok(reply(status, &[(CONTENT_TYPE, JSON)], body));
        }
        Some(Fault::Delay(release)) => {
            let reply = respond(simulation, peer, &head, body).await;
            release.notified().await;
            return Ok(reply);
        }
    }
    Ok(respond(simulation, peer, &head, body).await)
}

async fn respond(simulation: &Simulation, peer: IpAddr, head: &Parts, body: Incoming) -> Reply {
    let path = head.uri.path();
    let query = form(head.uri.query().unwrap_or_default());
    let now = simulation.now();
    let address = head.uri.path_and_query().map_or("/", |all| all.as_str());
    let page_request = |query| PageRequest {
        address,
        query,
        user_agent: header_text(&head.headers, &USER_AGENT),
        accept_language: header_text(&head.headers, &ACCEPT_LANGUAGE),
        now,
    };
    match path.trim_end_matches('/') {
        "/wwlogin/sso/login" | "/wwopen/sso/qrConnect" => page_reply(authorize::web_login(
            &mut simulation.state(),
            &page_request(query),
        )),
        "/connect/oauth2/authorize" => page_reply(authorize::in_app_login(
            &mut simulation.state(),
            &page_request(query),
        )),
        console::PATH => {
            let language = page_request(query).language();
            let page = console::page(&simulation.state(), language);
            page_reply(PageResponse::Page(page))
        }
        _ => {
            let Ok(body) = Limited::new(body, BODY_BYTES_MAX).collect().await else {
                return reply(StatusCode::PAYLOAD_TOO_LARGE, &[], Bytes::new());
            };
            let body = body.to_bytes();
            let is_post = head.method == Method::POST;
            if path == console::DISMISS_PATH && is_post {
                let form = form(&String::from_utf8_lossy(&body));
                dismiss(simulation, form.get("userid").map_or("", String::as_str));
                let console = console::PATH.to_owned();
                return page_reply(PageResponse::Redirect(console));
            }
            let api_request = ApiRequest {
                path,
                is_post,
                query,
                body: &body,
                peer,
                now,
            };
            let answer = api::answer(&mut simulation.state(), &api_request);
            answer.map_or_else(not_found, |answer| json(&answer))
        }
    }
}

fn not_found() -> Reply {
    let text = Bytes::from_static(b"404 page not found");
    reply(StatusCode::NOT_FOUND, &[], text)
}

/// Removes an employee and sends the event.
fn dismiss(simulation: &Simulation, userid: &str) {
    let now = simulation.now();
    let mut state = simulation.state();
    state
        .members
        .retain(|member| !member.userid.eq_ignore_ascii_case(userid));
    if let Some(url) = state.event_url.clone() {
        let message = ContactChange::UserDeleted(userid).message(now);
        let event = EventSealer::default().seal(&message, now);
        tokio::spawn(events::deliver(url, event));
    }
}

const JSON: &str = "application/json; charset=UTF-8";
const PAGE_POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'";

fn json(answer: &Value) -> Reply {
    let code = answer["errcode"].to_string();
    let message = answer["errmsg"].as_str().unwrap_or_default();
    let [code_name, message_name] = ["error-code", "error-msg"].map(HeaderName::from_static);
    let headers = [
        (CONTENT_TYPE, JSON),
        (code_name, code.as_str()),
        (message_name, message),
    ];
    reply(StatusCode::OK, &headers, Bytes::from(answer.to_string()))
}

fn page_reply(response: PageResponse) -> Reply {
    match response {
        PageResponse::Page(page) => {
            let headers = [
                (CONTENT_TYPE, "text/html; charset=utf-8"),
                (CONTENT_SECURITY_POLICY, PAGE_POLICY),
                (REFERRER_POLICY, "no-referrer"),
            ];
            reply(StatusCode::OK, &headers, Bytes::from(page))
        }
        PageResponse::Redirect(address) => {
            reply(StatusCode::FOUND, &[(LOCATION, &address)], Bytes::new())
        }
    }
}

/// Builds a response; an invalid header value makes it a 500.
fn reply(status: StatusCode, headers: &[(HeaderName, &str)], body: Bytes) -> Reply {
    let mut response = Response::builder()
        .status(status)
        .header(CACHE_CONTROL, "no-store");
    for (name, value) in headers {
        response = response.header(name, *value);
    }
    response.body(Full::new(body)).unwrap_or_else(|_| {
        let mut failed = Response::new(Full::default());
        *failed.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
        failed
    })
}

fn form(query: &str) -> HashMap<String, String> {
    url::form_urlencoded::parse(query.as_bytes())
        .into_owned()
        .collect()
}

fn header_text<'a>(headers: &'a HeaderMap, name: &HeaderName) -> &'a str {
    headers
        .get(name)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default()
}
