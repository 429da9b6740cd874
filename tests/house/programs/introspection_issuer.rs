//! `IntrospectionIssuer`: a simulated issuer of opaque tokens (RFC 7662).

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::upstream::{ReceivedRequest, Reply, Upstream};

/// The client ID that the issuer accepts.
pub(super) const CLIENT: &str = "client of menshen";
/// The client secret, with characters that headers and forms encode differently.
pub(super) const SECRET: &str = "s:e+c%r&e=t";

pub(super) struct IntrospectionIssuer {
    upstream: Upstream,
    state: Arc<Mutex<IssuerState>>,
}

#[derive(Default)]
struct IssuerState {
    responses: HashMap<String, Value>,
    /// The response to every request, if set.
    answer_all_with: Option<Reply>,
    /// Whether requests about unknown tokens never get a response.
    hang_on_unknown_tokens: bool,
    introspected_tokens: Vec<String>,
}

impl IntrospectionIssuer {
    pub(super) async fn start() -> Self {
        let state = Arc::new(Mutex::new(IssuerState::default()));
        let shared = Arc::clone(&state);
        let upstream = Upstream::start(move |request| answer(&shared, request)).await;
        Self { upstream, state }
    }

    /// `[issuer.ID]` with the introspection endpoint `path`.
    pub(super) fn toml(&self, id: &str, path: &str, lines: &str) -> String {
        format!(
            "[issuer.{id}]\nurl = \"{url}\"\naudiences = [\"menshen\"]\n[issuer.{id}.introspection]\n\
             url = \"{url}{path}\"\nclient_id = \"{CLIENT}\"\nclient_secret = \"{SECRET}\"\n{lines}\n",
            url = self.upstream.url()
        )
    }

    pub(super) fn url(&self) -> &str {
        self.upstream.url()
    }

    /// Sets the response for a token.
    pub(super) fn set_response(&self, token: &str, response: Value) {
        self.state
            .lock()
            .unwrap()
            .responses
            .insert(token.to_owned(), response);
    }

    /// The introspection response for an active token of the program `sub`.
    pub(super) fn active_claims(&self, sub: &str) -> Value {
        json!({ "active": true, "sub": sub, "aud": "menshen", "scope": "read", "iss": self.url() })
    }

    /// Sets the response to every request.
    pub(super) fn answer_all_with(&self, reply: Option<Reply>) {
        self.state.lock().unwrap().answer_all_with = reply;
    }

    /// Sets whether requests about unknown tokens never get a response.
    pub(super) fn hang_on_unknown_tokens(&self, hang_on_unknown_tokens: bool) {
        self.state.lock().unwrap().hang_on_unknown_tokens = hang_on_unknown_tokens;
    }

    /// The tokens of all requests so far.
    pub(super) fn introspected_tokens(&self) -> Vec<String> {
        self.state.lock().unwrap().introspected_tokens.clone()
    }
}

pub(super) fn reply(status: u16, content_type: &str, body: &str) -> Reply {
    let length = body.len();
    let head = format!(
        "HTTP/1.1 {status} X\r\nContent-Type: {content_type}\r\nContent-Length: {length}\r\n"
    );
    Reply::KeepAlive(format!("{head}\r\n{body}").into_bytes())
}

fn answer(state: &Mutex<IssuerState>, request: &ReceivedRequest) -> Reply {
    let state = &mut *state.lock().unwrap();
    let form: HashMap<String, String> = url::form_urlencoded::parse(&request.message.body)
        .into_owned()
        .collect();
    let token = form.get("token").cloned().unwrap_or_default();
    state.introspected_tokens.push(token.clone());
    if let Some(reply) = &state.answer_all_with {
        return reply.clone();
    }
    if state.hang_on_unknown_tokens && !state.responses.contains_key(&token) {
        return Reply::HoldOpen(Vec::new());
    }
    let form_encode =
        |text: &str| -> String { url::form_urlencoded::byte_serialize(text.as_bytes()).collect() };
    let basic = STANDARD.encode(format!("{}:{}", form_encode(CLIENT), form_encode(SECRET)));
    let authorization = request.message.single_header("authorization");
    let in_header = authorization == Some(&*format!("Basic {basic}"));
    let in_form = authorization.is_none()
        && form.get("client_id").map(String::as_str) == Some(CLIENT)
        && form.get("client_secret").map(String::as_str) == Some(SECRET);
    let is_authenticated = match request.message.target() {
        "/basic" => in_header,
        "/post" => in_form,
        _ => false,
    };
    if !is_authenticated || form.get("token_type_hint").map(String::as_str) != Some("access_token")
    {
        return reply(401, "application/json", "{\"error\":\"invalid_client\"}");
    }
    let response = state.responses.get(&token).cloned();
    let response = response.unwrap_or_else(|| json!({ "active": false }));
    reply(200, "application/json", &response.to_string())
}
