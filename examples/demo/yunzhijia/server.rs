//! The HTTP server of the simulated Yunzhijia.

use std::collections::HashMap;
use std::sync::Arc;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Limited};
use hyper::body::Incoming;
use hyper::header::{CONTENT_TYPE, HeaderMap};
use hyper::{Method, Request};
use serde_json::Value;
use tokio::net::TcpListener;

use super::super::simulated_http::{self, BODY_BYTES_MAX, HTML, JSON, Reply, reply};
use super::api;
use super::pages;
use super::state::{Fault, State};

/// The state that all connections share.
pub(super) type Simulation = simulated_http::Simulation<State>;

/// The connection is closed without a response.
#[derive(Debug)]
struct Down;

impl std::fmt::Display for Down {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the simulation is down")
    }
}

impl std::error::Error for Down {}

/// Accepts connections until the task is aborted, which also ends the connections.
pub(super) async fn accept(listener: TcpListener, simulation: Arc<Simulation>) {
    let serve = move |_, request| {
        let simulation = Arc::clone(&simulation);
        async move { serve(&simulation, request).await }
    };
    simulated_http::accept(listener, serve).await;
}

async fn serve(simulation: &Simulation, request: Request<Incoming>) -> Result<Reply, Down> {
    let (head, body) = request.into_parts();
    let path = head.uri.path().to_owned();
    let Ok(body) = Limited::new(body, BODY_BYTES_MAX).collect().await else {
        return Ok(reply(413, &[], Bytes::new()));
    };
    let body = fields(&head.headers, &body.to_bytes());
    let fault = {
        let mut state = simulation.state();
        if state.is_down {
            return Err(Down);
        }
        state
            .bodies
            .entry(path.clone())
            .or_default()
            .push(body.clone());
        state.fault(&path)
    };
    match fault {
        None => {}
        Some(Fault::Hang) => return std::future::pending().await,
        Some(Fault::Answer { status, body, .. }) => {
            return Ok(reply(status, &[(CONTENT_TYPE, JSON)], body));
        }
    }
    let query = head.uri.query().unwrap_or_default();
    let query: HashMap<String, String> = url::form_urlencoded::parse(query.as_bytes())
        .into_owned()
        .collect();
    let address = head.uri.path_and_query().map_or("/", |all| all.as_str());
    let now = simulation.now();
    let mut state = simulation.state();
    Ok(match path.as_str() {
        pages::SCAN_PATH => pages::scan(&mut state, address, &query, now).reply(),
        pages::WORKBENCH_PATH => pages::workbench(&mut state, &query, now).reply(),
        pages::CONSOLE_PATH => pages::console(&state).reply(),
        pages::DISMISS_PATH if head.method == Method::POST => {
            pages::dismiss(&mut state, body["openid"].as_str()).reply()
        }
        path => {
            let token = query.get("accessToken").map_or("", String::as_str);
            match api::answer(&mut state, path, token, &body, now) {
                Some(answer) => reply(200, &[(CONTENT_TYPE, JSON)], answer.to_string().into()),
                None => reply(404, &[(CONTENT_TYPE, HTML)], "404".into()),
            }
        }
    })
}

/// The JSON of a request, or its form as JSON.
fn fields(headers: &HeaderMap, body: &[u8]) -> Value {
    let content_type = headers.get(CONTENT_TYPE).and_then(|it| it.to_str().ok());
    let is_form =
        content_type.is_some_and(|it| it.starts_with("application/x-www-form-urlencoded"));
    match is_form {
        true => {
            let pairs = url::form_urlencoded::parse(body).into_owned();
            pairs
                .map(|(name, value)| (name, Value::from(value)))
                .collect()
        }
        false => serde_json::from_slice(body).unwrap_or_default(),
    }
}
