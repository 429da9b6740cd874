//! The HTTP server of the simulated DingTalk.

use std::collections::HashMap;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::SystemTime;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Incoming;
use hyper::header::{CACHE_CONTROL, CONTENT_TYPE, LOCATION};
use hyper::http::request::Parts;
use hyper::{Method, Request, Response, StatusCode};
use serde_json::Value;
use tokio::net::TcpListener;

use super::super::simulated_http::{self, BODY_BYTES_MAX, HTML, JSON, PageResponse, Reply};
use super::pages;
use super::state::{Fault, State};
use super::{admin, api, old_api};

/// The state that all connections share.
pub(super) type Simulation = simulated_http::Simulation<State>;

/// The parts of an API request that its response depends on.
pub(super) struct ApiRequest<'a> {
    pub(super) path: &'a str,
    pub(super) is_post: bool,
    query: &'a HashMap<String, String>,
    /// The token in the header of the newer API.
    pub(super) token: &'a str,
    pub(super) body: &'a [u8],
    pub(super) now: SystemTime,
}

impl ApiRequest<'_> {
    pub(super) fn query(&self, name: &str) -> &str {
        self.query.get(name).map_or("", String::as_str)
    }

    /// The JSON of a POST request to the older API.
    pub(super) fn json(&self) -> Result<Value, i64> {
        match self.is_post {
            true => serde_json::from_slice(self.body).map_err(|_| 40035),
            false => Err(43002),
        }
    }
}

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
    let fault = simulation.state().record_call(head.uri.path());
    let body = Limited::new(body, BODY_BYTES_MAX).collect().await;
    let body = body.map(|body| body.to_bytes()).unwrap_or_default();
    let query = head.uri.query().unwrap_or_default().to_owned();
    let request = (query, String::from_utf8_lossy(&body).into_owned());
    let path = head.uri.path().to_owned();
    simulation.state().last_requests.insert(path, request);
    match fault {
        None => {}
        Some(Fault::Hang) => std::future::pending().await,
        Some(Fault::Answer { status, body }) => {
            let status = StatusCode::from_u16(status).unwrap_or(StatusCode::OK);
            return Ok(reply(status, JSON, body));
        }
        Some(Fault::Delay(release)) => {
            let reply = respond(simulation, &head, &body);
            release.notified().await;
            return Ok(reply);
        }
    }
    Ok(respond(simulation, &head, &body))
}

fn respond(simulation: &Simulation, head: &Parts, body: &Bytes) -> Reply {
    let (path, now) = (head.uri.path(), simulation.now());
    let query = form(head.uri.query().unwrap_or_default());
    let address = head.uri.path_and_query().map_or("/", |all| all.as_str());
    let is_post = head.method == Method::POST;
    match path {
        pages::LOGIN_PATH => {
            let response = pages::login(&mut simulation.state(), address, &query, now);
            return page(response);
        }
        pages::CONSOLE_PATH => {
            let console = pages::console(&simulation.state());
            return page(PageResponse::Page(console));
        }
        pages::DISMISS_PATH if is_post => {
            let form = form(&String::from_utf8_lossy(body));
            admin::dismiss(simulation, form.get("userid").map_or("", String::as_str));
            return page(PageResponse::Redirect(pages::CONSOLE_PATH.to_owned()));
        }
        pages::JSAPI_PATH => {
            let script = pages::jsapi(&mut simulation.state(), now);
            return reply(StatusCode::OK, "text/javascript", Bytes::from(script));
        }
        _ => {}
    }
    let token = head.headers.get("x-acs-dingtalk-access-token");
    let request = ApiRequest {
        path,
        is_post,
        query: &query,
        token: token
            .and_then(|token| token.to_str().ok())
            .unwrap_or_default(),
        body,
        now,
    };
    let mut state = simulation.state();
    if let Some((status, answer)) = api::answer(&mut state, &request) {
        let status = StatusCode::from_u16(status).unwrap_or(StatusCode::OK);
        return reply(status, JSON, Bytes::from(answer.to_string()));
    }
    match old_api::answer(&mut state, &request) {
        Some(answer) => reply(StatusCode::OK, JSON, Bytes::from(answer.to_string())),
        None => reply(
            StatusCode::NOT_FOUND,
            HTML,
            Bytes::from_static(b"<h1>404</h1>"),
        ),
    }
}

fn page(response: PageResponse) -> Reply {
    match response {
        PageResponse::Page(page) => reply(StatusCode::OK, HTML, Bytes::from(page)),
        PageResponse::Redirect(to) => {
            let mut response = reply(StatusCode::FOUND, HTML, Bytes::new());
            if let Ok(to) = to.parse() {
                response.headers_mut().insert(LOCATION, to);
            }
            response
        }
    }
}

fn reply(status: StatusCode, content_type: &'static str, body: Bytes) -> Reply {
    let mut response = Response::new(Full::new(body));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(
        CACHE_CONTROL,
        hyper::header::HeaderValue::from_static("no-store"),
    );
    let content_type = hyper::header::HeaderValue::from_static(content_type);
    headers.insert(CONTENT_TYPE, content_type);
    response
}

fn form(query: &str) -> HashMap<String, String> {
    url::form_urlencoded::parse(query.as_bytes())
        .into_owned()
        .collect()
}
