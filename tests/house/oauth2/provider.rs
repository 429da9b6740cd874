//! `Provider`: a simulated OAuth 2 provider on loopback that follows the standard unless a test changes
//! it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard};

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::{Value, json};
use url::form_urlencoded;

use crate::raw_connection::Message;
use crate::upstream::{ReceivedRequest, Reply, Upstream};

pub(crate) const CLIENT_ID: &str = "menshen";
pub(crate) const SECRET: &str = "hunter2-of-the-client";

/// A running provider.
#[derive(Debug)]
pub(crate) struct Provider {
    upstream: Upstream,
    state: Arc<Mutex<ProviderState>>,
}

/// The data of the provider and the requests it received. Tests edit the data.
#[derive(Debug)]
pub(crate) struct ProviderState {
    /// The responses below `/api/` by the last segment of the path; `me` is the profile.
    pub(crate) api: BTreeMap<String, Value>,
    /// The page size of each list that is paginated.
    pub(crate) page_sizes: BTreeMap<String, usize>,
    /// Whether the provider closes every connection without a response.
    pub(crate) down: bool,
    /// Responses that replace those of a path.
    pub(crate) replaced_responses: BTreeMap<String, Reply>,
    /// The callback URL that is registered, for requests without `redirect_uri`.
    pub(crate) registered_callback: Option<String>,
    /// The query of the authorization response; `STATE` and `CODE` stand for the real ones.
    pub(crate) authorization_response: Option<String>,
    /// Fields that are merged into every token response; null removes a field.
    pub(crate) token_fields: Value,
    /// Every authorization request.
    pub(crate) authorize_requests: Vec<BTreeMap<String, String>>,
    /// Every form of the token endpoint.
    pub(crate) token_requests: Vec<BTreeMap<String, String>>,
    /// Every code and token that was issued.
    pub(crate) secrets: Vec<String>,
    codes: BTreeMap<String, BTreeMap<String, String>>,
    access_tokens: BTreeSet<String>,
    refresh_tokens: BTreeSet<String>,
    secrets_count: usize,
}

impl Provider {
    /// Starts a provider at which 张三 is signed in.
    pub(crate) async fn start() -> Self {
        let me = json!({ "id": 7, "login": "zhangsan", "name": "张三" });
        let state = Arc::new(Mutex::new(ProviderState {
            api: BTreeMap::from([("me".to_owned(), me)]),
            page_sizes: BTreeMap::new(),
            down: false,
            replaced_responses: BTreeMap::new(),
            registered_callback: None,
            authorization_response: None,
            token_fields: json!({}),
            authorize_requests: Vec::new(),
            token_requests: Vec::new(),
            secrets: Vec::new(),
            codes: BTreeMap::new(),
            access_tokens: BTreeSet::new(),
            refresh_tokens: BTreeSet::new(),
            secrets_count: 0,
        }));
        let shared = Arc::clone(&state);
        let upstream = Upstream::start(move |request| shared.lock().unwrap().answer(request)).await;
        Self { upstream, state }
    }

    pub(crate) fn url(&self) -> &str {
        self.upstream.url()
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, ProviderState> {
        self.state.lock().unwrap()
    }

    /// All requests for a path.
    pub(crate) fn calls(&self, path: &str) -> Vec<Message> {
        let all = self
            .upstream
            .received()
            .into_iter()
            .map(|request| request.message);
        all.filter(|message| message.target().split('?').next() == Some(path))
            .collect()
    }

    /// Sets the person who is signed in.
    pub(crate) fn person(&self, me: Value) {
        self.state().api.insert("me".to_owned(), me);
    }

    /// Replaces the response of a path.
    pub(crate) fn respond_with(&self, path: &str, status: u16, headers: &str, body: &str) {
        let length = body.len();
        let answer =
            format!("HTTP/1.1 {status} X\r\n{headers}Content-Length: {length}\r\n\r\n{body}");
        let reply = Reply::KeepAlive(answer.into_bytes());
        self.state()
            .replaced_responses
            .insert(path.to_owned(), reply);
    }

    /// Stops responding at this path.
    pub(crate) fn hang(&self, path: &str) {
        let reply = Reply::HoldOpen(Vec::new());
        self.state()
            .replaced_responses
            .insert(path.to_owned(), reply);
    }

    /// Stops responding to all requests.
    pub(crate) fn start_outage(&self) {
        self.state().down = true;
    }

    /// Responds again.
    pub(crate) fn end_outage(&self) {
        self.state().down = false;
    }

    /// Removes all replaced responses.
    pub(crate) fn restore(&self) {
        let mut state = self.state();
        state.replaced_responses.clear();
        state.authorization_response = None;
        state.token_fields = json!({});
    }

    /// `[connector.ID]` with these lines, and `[connector.ID.oauth2]` without a preset.
    pub(crate) fn connector_toml(&self, id: &str, connector: &str, more: &str) -> String {
        let subject = "subject = \"string(profile.id)\"";
        let mapping = format!(
            "[connector.{id}.mapping]\nlogin = \"profile.login\"\nname = \"profile.name\"\n\
             email = \"profile.email\"\ngroups = \"profile.groups\"\n"
        );
        let kind = self.oauth2_toml(id, &format!("{subject}\n{more}"));
        format!("[connector.{id}]\n{connector}\n{mapping}{kind}")
    }

    /// `[connector.ID.oauth2]` with its endpoints.
    pub(crate) fn oauth2_toml(&self, id: &str, more: &str) -> String {
        let url = self.url();
        format!(
            "[connector.{id}.oauth2]\nclient_id = \"{CLIENT_ID}\"\nclient_secret = \"{SECRET}\"\n\
             authorize_url = \"{url}/authorize\"\ntoken_url = \"{url}/token\"\n\
             profile_url = \"{url}/api/me\"\n{more}\n"
        )
    }
}

impl ProviderState {
    fn answer(&mut self, request: &ReceivedRequest) -> Reply {
        let message = &request.message;
        let target = message.target();
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        if self.down {
            return Reply::Close(Vec::new());
        }
        if path == "/token" {
            self.token_requests.push(parse_form(&message.body));
        }
        if let Some(reply) = self.replaced_responses.get(path) {
            return reply.clone();
        }
        match path {
            "/authorize" => self.authorize(parse_form(query.as_bytes())),
            "/token" => self.token(message),
            "/logout" => Reply::KeepAlive(answer(200, "", "bye")),
            _ => match path.strip_prefix("/api/") {
                Some(name) => self.profile(message, name, &parse_form(query.as_bytes())),
                None => Reply::KeepAlive(answer(404, "", "{}")),
            },
        }
    }

    /// Redirects back at once, because the person is signed in.
    fn authorize(&mut self, query: BTreeMap<String, String>) -> Reply {
        let callback = query
            .get("redirect_uri")
            .or(self.registered_callback.as_ref());
        let Some(callback) = callback.cloned() else {
            let html = "Content-Type: text/html\r\n";
            return Reply::KeepAlive(answer(400, html, "<html>no such client"));
        };
        self.authorize_requests.push(query.clone());
        let code = self.new_secret("code");
        let back = self
            .authorization_response
            .as_deref()
            .unwrap_or("code=CODE&state=STATE");
        let back = back
            .replace("CODE", &code)
            .replace("STATE", &query["state"]);
        let to = format!("{callback}?{back}");
        self.codes.insert(code, query);
        Reply::KeepAlive(answer(302, &format!("Location: {to}\r\n"), ""))
    }

    fn token(&mut self, message: &Message) -> Reply {
        let form = parse_form(&message.body);
        let refusal = |status, error: &str| {
            let body = json!({ "error": error, "error_description": ERROR_DESCRIPTION });
            Reply::KeepAlive(answer(status, JSON, &body.to_string()))
        };
        if !is_authenticated(message, &form) {
            return refusal(401, "invalid_client");
        }
        let is_valid = match form["grant_type"].as_str() {
            "authorization_code" => self.codes.remove(&form["code"]).is_some_and(|query| {
                let is_verified =
                    query.get("code_challenge") == form.get("code_verifier").map(s256).as_ref();
                is_verified && query.get("redirect_uri") == form.get("redirect_uri")
            }),
            "refresh_token" => self.refresh_tokens.remove(&form["refresh_token"]),
            _ => return refusal(400, "unsupported_grant_type"),
        };
        if !is_valid {
            return refusal(400, "invalid_grant");
        }
        let (access, refresh) = (self.new_secret("access"), self.new_secret("refresh"));
        self.access_tokens.insert(access.clone());
        self.refresh_tokens.insert(refresh.clone());
        let mut body = json!({ "access_token": access, "token_type": "bearer",
                               "expires_in": 3600, "refresh_token": refresh });
        for (name, value) in self.token_fields.as_object().unwrap() {
            match value {
                Value::Null => body.as_object_mut().unwrap().remove(name),
                value => body
                    .as_object_mut()
                    .unwrap()
                    .insert(name.clone(), value.clone()),
            };
        }
        Reply::KeepAlive(answer(200, JSON, &body.to_string()))
    }

    fn profile(&self, message: &Message, name: &str, query: &BTreeMap<String, String>) -> Reply {
        let bearer = message
            .single_header("authorization")
            .and_then(|v| v.strip_prefix("Bearer "));
        let token = bearer.or_else(|| query.get("access_token").map(String::as_str));
        if !token.is_some_and(|token| self.access_tokens.contains(token)) {
            return Reply::KeepAlive(answer(401, JSON, "{\"message\":\"Bad credentials\"}"));
        }
        match self.api.get(name) {
            None => Reply::KeepAlive(answer(404, JSON, "{\"message\":\"Not Found\"}")),
            Some(Value::Array(all)) if self.page_sizes.contains_key(name) => {
                let length = self.page_sizes[name];
                assert_eq!(query["per_page"], length.to_string());
                let number: usize = query.get("page").map_or(1, |page| page.parse().unwrap());
                let page: Vec<_> = all
                    .iter()
                    .skip(length * (number - 1))
                    .take(length)
                    .collect();
                Reply::KeepAlive(answer(200, JSON, &json!(page).to_string()))
            }
            Some(body) => Reply::KeepAlive(answer(200, JSON, &body.to_string())),
        }
    }

    /// Issues an access token without a login.
    pub(crate) fn issue_access_token(&mut self) -> String {
        let access = self.new_secret("access");
        self.access_tokens.insert(access.clone());
        access
    }

    /// Issues a refresh token without a login.
    pub(crate) fn issue_refresh_token(&mut self) -> String {
        let refresh = self.new_secret("refresh");
        self.refresh_tokens.insert(refresh.clone());
        refresh
    }

    /// Invalidates all issued codes.
    pub(crate) fn invalidate_codes(&mut self) {
        self.codes.clear();
    }

    fn new_secret(&mut self, what: &str) -> String {
        self.secrets_count += 1;
        let random = u64::from_ne_bytes(menshen::keys::random());
        let secret = format!("{what}-{}-{random:016x}", self.secrets_count);
        self.secrets.push(secret.clone());
        secret
    }
}

/// The `error_description` of refused token requests.
pub(crate) const ERROR_DESCRIPTION: &str = "simulated refusal";

const JSON: &str = "Content-Type: application/json; charset=utf-8\r\n";

fn answer(status: u16, headers: &str, body: &str) -> Vec<u8> {
    let length = body.len();
    format!("HTTP/1.1 {status} X\r\n{headers}Content-Length: {length}\r\n\r\n{body}").into_bytes()
}

/// Whether the client is authenticated by the header or the form, but not by both (RFC 6749 §2.3).
fn is_authenticated(message: &Message, form: &BTreeMap<String, String>) -> bool {
    let basic = message
        .single_header("authorization")
        .and_then(|value| value.strip_prefix("Basic "));
    let in_form = form.get("client_secret");
    match (basic, in_form) {
        (Some(basic), None) => {
            let text = STANDARD.decode(basic).unwrap();
            text == format!("{CLIENT_ID}:{SECRET}").as_bytes()
        }
        (None, Some(secret)) => secret == SECRET && form["client_id"] == CLIENT_ID,
        _ => false,
    }
}

/// Parses a query or form. Panics if a parameter is repeated.
fn parse_form(text: &[u8]) -> BTreeMap<String, String> {
    let all: Vec<_> = form_urlencoded::parse(text).into_owned().collect();
    let map: BTreeMap<_, _> = all.iter().cloned().collect();
    assert_eq!(all.len(), map.len(), "a parameter is repeated: {all:?}");
    map
}

fn s256(verifier: &String) -> String {
    use aws_lc_rs::digest;
    URL_SAFE_NO_PAD.encode(digest::digest(&digest::SHA256, verifier.as_bytes()))
}
