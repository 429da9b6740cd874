//! A simulated OpenID provider on loopback: its login page, its keys and its token endpoint. It knows one client and
//! no passwords: whoever is chosen on its page is signed in.

mod pages;
mod tokens;

use std::collections::HashMap;
use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::SystemTime;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Limited};
use hyper::Request;
use hyper::body::Incoming;
use hyper::header::{ACCEPT_LANGUAGE, CONTENT_TYPE};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use url::Url;

use super::simulated_http::{self, BODY_BYTES_MAX, JSON, PageResponse, Reply, reply};
use super::source::{EMPLOYEES, Employee};
use tokens::{SigningKey, challenge};

/// The client ID of menshen.
const CLIENT_ID: &str = "menshen";
/// Its secret.
const CLIENT_SECRET: &str = "simulated-secret-of-menshen";
/// The parameter with the person who is chosen; no real page has it.
const CHOICE: &str = "simulated_choice";
/// How long a token is valid.
const TOKEN_LIFETIME_S: u64 = 300;

/// A running provider; dropping it closes its socket and every connection.
pub(super) struct OidcProvider {
    issuer: String,
    accepting: JoinHandle<()>,
}

type Simulation = simulated_http::Simulation<State>;

struct State {
    issuer: String,
    /// The only address to which a login returns.
    callback: String,
    key: SigningKey,
    /// The logins that are not redeemed, by their codes.
    codes: HashMap<String, Login>,
}

/// A person who was chosen.
struct Login {
    employee: &'static Employee,
    nonce: String,
    /// Of PKCE (RFC 7636), by S256.
    challenge: String,
}

impl OidcProvider {
    /// Binds and serves until dropped. Logins return to `callback`.
    pub(super) async fn start_at(address: SocketAddr, callback: String) -> io::Result<Self> {
        let listener = TcpListener::bind(address).await?;
        let issuer = format!("http://{}", listener.local_addr()?);
        let state = State {
            issuer: issuer.clone(),
            callback,
            key: SigningKey::generate().map_err(io::Error::other)?,
            codes: HashMap::new(),
        };
        let simulation = Simulation::new(state, Arc::new(SystemTime::now));
        let serve = move |_, request| {
            let simulation = Arc::clone(&simulation);
            async move { serve(&simulation, request).await }
        };
        let accepting = tokio::spawn(simulated_http::accept(listener, serve));
        Ok(Self { issuer, accepting })
    }

    /// The tables of a connector to this provider.
    pub(super) fn connector_toml(&self, id: &str) -> String {
        format!(
            r#"
        [connector.{id}]
        display_name = {{ zh = "统一身份认证（模拟）", en = "Single sign-on (simulated)" }}
        mapping.departments = "[profile.department]"
        mapping.badge = "profile.badge"
        [connector.{id}.oidc]
        issuer = "{issuer}"
        client_id = "{CLIENT_ID}"
        client_secret = "{CLIENT_SECRET}"
        "#,
            issuer = self.issuer
        )
    }

    /// The URL of the provider.
    pub(super) fn issuer(&self) -> &str {
        &self.issuer
    }
}

impl Drop for OidcProvider {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn serve(simulation: &Simulation, request: Request<Incoming>) -> Result<Reply, Infallible> {
    let (head, body) = request.into_parts();
    let Ok(body) = Limited::new(body, BODY_BYTES_MAX).collect().await else {
        return Ok(reply(413, &[], Bytes::new()));
    };
    let query = parameters(head.uri.query().unwrap_or_default().as_bytes());
    let mut state = simulation.state();
    Ok(match head.uri.path() {
        "/.well-known/openid-configuration" => json_reply(200, &metadata(&state.issuer)),
        "/jwks" => json_reply(200, &json!({ "keys": [state.key.public_jwk()] })),
        "/authorize" => {
            let address = head.uri.path_and_query().map_or("/", |all| all.as_str());
            let language = head.headers.get(ACCEPT_LANGUAGE);
            let language = language.and_then(|value| value.to_str().ok());
            authorize(&mut state, &query, address, language.unwrap_or_default()).reply()
        }
        "/token" => match token(&mut state, &parameters(&body.to_bytes()), simulation.now()) {
            Some(answer) => json_reply(200, &answer),
            None => json_reply(400, &json!({ "error": "invalid_grant" })),
        },
        "/logout" => logout(&state, &query).reply(),
        _ => reply(404, &[], Bytes::new()),
    })
}

/// OpenID Connect Discovery 1.0 §3.
fn metadata(issuer: &str) -> Value {
    json!({
        "issuer": issuer,
        "authorization_endpoint": format!("{issuer}/authorize"),
        "token_endpoint": format!("{issuer}/token"),
        "jwks_uri": format!("{issuer}/jwks"),
        "end_session_endpoint": format!("{issuer}/logout"),
        "response_types_supported": ["code"],
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": ["ES256"],
        "token_endpoint_auth_methods_supported": ["client_secret_post"],
        "code_challenge_methods_supported": ["S256"],
    })
}

/// The page with the people, or the redirect back after one was chosen.
fn authorize(
    state: &mut State,
    query: &HashMap<String, String>,
    address: &str,
    accept_language: &str,
) -> PageResponse {
    let text = |name: &str| query.get(name).map_or("", String::as_str);
    let is_registered = text("client_id") == CLIENT_ID && text("redirect_uri") == state.callback;
    let (true, Ok(mut back)) = (is_registered, Url::parse(text("redirect_uri"))) else {
        return PageResponse::Page(pages::unknown_client(accept_language));
    };
    let chosen = EMPLOYEES
        .iter()
        .find(|employee| employee.login == text(CHOICE));
    let Some(employee) = chosen else {
        return PageResponse::Page(pages::people(address, accept_language));
    };
    let code = tokens::random_text();
    let login = Login {
        employee,
        nonce: text("nonce").to_owned(),
        challenge: text("code_challenge").to_owned(),
    };
    state.codes.insert(code.clone(), login);
    back.query_pairs_mut()
        .append_pair("code", &code)
        .append_pair("state", text("state"));
    PageResponse::Redirect(back.into())
}

/// The tokens for a code, which is accepted once; `None` if anything does not fit.
fn token(state: &mut State, form: &HashMap<String, String>, now: SystemTime) -> Option<Value> {
    let text = |name: &str| form.get(name).map_or("", String::as_str);
    if (text("client_id"), text("client_secret")) != (CLIENT_ID, CLIENT_SECRET) {
        return None;
    }
    let Login {
        employee,
        nonce,
        challenge: expected,
    } = state.codes.remove(text("code"))?;
    if challenge(text("code_verifier")) != expected || text("redirect_uri") != state.callback {
        return None;
    }
    let now_s = now.duration_since(SystemTime::UNIX_EPOCH).ok()?.as_secs();
    let id_token = state.key.sign(&json!({
        "iss": state.issuer,
        "aud": CLIENT_ID,
        "sub": employee.badge,
        "iat": now_s,
        "exp": now_s + TOKEN_LIFETIME_S,
        "auth_time": now_s,
        "nonce": nonce,
        "preferred_username": employee.login,
        "name": employee.name,
        "department": employee.department,
        "badge": employee.badge,
    }))?;
    Some(json!({
        "access_token": tokens::random_text(),
        "token_type": "Bearer",
        "expires_in": TOKEN_LIFETIME_S,
        "id_token": id_token,
    }))
}

/// RP-Initiated Logout 1.0 §2: the provider keeps no session, so it only leads back.
fn logout(state: &State, query: &HashMap<String, String>) -> PageResponse {
    let text = |name: &str| query.get(name).map_or("", String::as_str);
    let to = Url::parse(text("post_logout_redirect_uri"));
    let origin = Url::parse(&state.callback).map(|callback| callback.origin());
    match (to, origin) {
        (Ok(mut to), Ok(origin)) if to.origin() == origin => {
            to.query_pairs_mut().append_pair("state", text("state"));
            PageResponse::Redirect(to.into())
        }
        _ => PageResponse::Redirect("/".to_owned()),
    }
}

fn parameters(text: &[u8]) -> HashMap<String, String> {
    url::form_urlencoded::parse(text).into_owned().collect()
}

fn json_reply(status: u16, value: &Value) -> Reply {
    reply(status, &[(CONTENT_TYPE, JSON)], value.to_string().into())
}
