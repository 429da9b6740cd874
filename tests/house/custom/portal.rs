//! `Portal`: a simulated portal on loopback with a protocol of its own: an application token, then a code or a
//! ticket.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard};

use serde_json::{Value, json};
use url::form_urlencoded;

use crate::raw_connection::Message;
use crate::upstream::{ReceivedRequest, Reply, Upstream};

pub(crate) const SECRET: &str = "hunter2-of-the-portal";

/// A running portal.
#[derive(Debug)]
pub(crate) struct Portal {
    upstream: Upstream,
    state: Arc<Mutex<State>>,
}

/// The data of the portal. Tests edit it.
#[derive(Debug)]
pub(crate) struct State {
    /// Who is signed in.
    pub(crate) person: Value,
    /// The parameters with which the portal returns; `CODE` and `STATE` stand for the real ones.
    pub(crate) returns: String,
    /// The code that is issued next, instead of a random one.
    pub(crate) next_code: Option<String>,
    /// The answers that replace those of a path.
    pub(crate) replaced: BTreeMap<String, Reply>,
    /// Whether the portal closes every connection without a response.
    pub(crate) down: bool,
    /// Whether tickets are accepted more than once.
    pub(crate) reusable_tickets: bool,
    /// The status with which the portal refuses a token; 200 for one in the body alone.
    pub(crate) refusal_status: u16,
    /// Every code, ticket and token that was issued.
    pub(crate) issued: Vec<String>,
    tokens: BTreeSet<String>,
    codes: BTreeSet<String>,
}

impl Portal {
    /// Starts a portal at which 张三 is signed in.
    pub(crate) async fn start() -> Self {
        let state = Arc::new(Mutex::new(State {
            person: json!({ "id": 7, "account": "zhangsan", "name": "张三" }),
            returns: "code=CODE&state=STATE".to_owned(),
            next_code: None,
            replaced: BTreeMap::new(),
            down: false,
            reusable_tickets: false,
            refusal_status: 200,
            issued: Vec::new(),
            tokens: BTreeSet::new(),
            codes: BTreeSet::new(),
        }));
        let shared = Arc::clone(&state);
        let upstream = Upstream::start(move |request| shared.lock().unwrap().answer(request)).await;
        Self { upstream, state }
    }

    pub(crate) fn url(&self) -> &str {
        self.upstream.url()
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    /// All requests for a path.
    pub(crate) fn calls(&self, path: &str) -> Vec<Message> {
        let all = self.upstream.received().into_iter();
        all.map(|request| request.message)
            .filter(|message| message.target().split('?').next() == Some(path))
            .collect()
    }

    /// Replaces the response of a path.
    pub(crate) fn respond_with(&self, path: &str, status: u16, headers: &str, body: &str) {
        let reply = Reply::KeepAlive(response(status, headers, body));
        self.state().replaced.insert(path.to_owned(), reply);
    }

    /// Invalidates all tokens.
    pub(crate) fn revoke_tokens(&self) {
        self.state().tokens.clear();
    }

    /// A ticket of the person who is signed in.
    pub(crate) fn ticket(&self) -> String {
        let mut state = self.state();
        let ticket = state.issue("ticket");
        state.codes.insert(ticket.clone());
        ticket
    }

    /// The tables of a connector with a token and a code; `lines` follow in `[connector.ctr.custom]`.
    pub(crate) fn code_toml(&self, lines: &str) -> String {
        let url = self.url();
        format!(
            r#"
[connector.ctr.mapping]
login = "profile.account"
name = "profile.name"
email = "profile.email"
mobile = "profile.mobile"
[connector.ctr.custom]
authorize_url = "{url}/authorize?brand=a"
subject = "steps.user.return_data.id"
profile = "steps.user.return_data"
{lines}
[connector.ctr.custom.authorize]
appid = "'app1'"
redirect_uri = "callback"
state = "state"
[connector.ctr.custom.secrets]
app_secret = "{SECRET}"
[[connector.ctr.custom.step]]
name = "token"
method = "POST"
url = "{url}/token"
json = "{{'app_id': 'app1', 'app_secret': secrets.app_secret}}"
success = "answer.return_code == 0"
cache = "answer.return_data.expires_in"
[[connector.ctr.custom.step]]
name = "user"
method = "POST"
url = "{url}/user"
query = {{ access_token = "steps.token.return_data.access_token" }}
json = "{{'code': code, 'callback': callback}}"
success = "answer.return_code == 0"
"#
        )
    }

    /// The tables of a connector with a ticket that one step verifies.
    pub(crate) fn ticket_toml(&self, lines: &str) -> String {
        let url = self.url();
        format!(
            r#"
[connector.ctr.mapping]
login = "profile.account"
[connector.ctr.custom]
entry = "ticket"
subject = "steps.verify.return_data.id"
profile = "steps.verify.return_data"
{lines}
[connector.ctr.custom.secrets]
key = "{SECRET}"
[[connector.ctr.custom.step]]
name = "verify"
method = "POST"
url = "{url}/verify"
form = {{ ticket = "code", time = "unix_ms(now)", sign = "hmac_sha256(secrets.key, code + string(unix_ms(now)))" }}
success = "answer.return_code == 0"
"#
        )
    }
}

impl State {
    fn answer(&mut self, request: &ReceivedRequest) -> Reply {
        let message = &request.message;
        let target = message.target().to_owned();
        let (path, query) = target.split_once('?').unwrap_or((&target, ""));
        if self.down {
            return Reply::Close(Vec::new());
        }
        if let Some(reply) = self.replaced.get(path) {
            return reply.clone();
        }
        match path {
            "/authorize" => self.authorize(&parse(query.as_bytes())),
            "/token" => self.token(&message.body),
            "/user" => self.user(&parse(query.as_bytes()), &message.body),
            "/verify" => self.verify(&parse(&message.body)),
            _ => json_reply(404, &json!({})),
        }
    }

    /// Redirects back at once, because the person is signed in.
    fn authorize(&mut self, query: &BTreeMap<String, String>) -> Reply {
        let code = match self.next_code.take() {
            Some(code) => code,
            None => self.issue("code"),
        };
        self.codes.insert(code.clone());
        let code: String = form_urlencoded::byte_serialize(code.as_bytes()).collect();
        let state = query.get("state").map_or("", String::as_str);
        let back = self.returns.replace("CODE", &code).replace("STATE", state);
        let redirect_uri = &query["redirect_uri"];
        let separator = if redirect_uri.contains('?') { '&' } else { '?' };
        let location = format!("Location: {redirect_uri}{separator}{back}\r\n");
        Reply::KeepAlive(response(302, &location, ""))
    }

    fn token(&mut self, body: &[u8]) -> Reply {
        let body: Value = serde_json::from_slice(body).unwrap_or_default();
        if body != json!({ "app_id": "app1", "app_secret": SECRET }) {
            return refusal(200);
        }
        let token = self.issue("token");
        self.tokens.insert(token.clone());
        let data = json!({ "access_token": token, "expires_in": 7200 });
        json_reply(200, &json!({ "return_code": 0, "return_data": data }))
    }

    fn user(&mut self, query: &BTreeMap<String, String>, body: &[u8]) -> Reply {
        let token = query.get("access_token").map_or("", String::as_str);
        if !self.tokens.contains(token) {
            return refusal(self.refusal_status);
        }
        let body: Value = serde_json::from_slice(body).unwrap_or_default();
        self.redeem(body["code"].as_str().unwrap_or_default())
    }

    fn verify(&mut self, form: &BTreeMap<String, String>) -> Reply {
        let text = format!("{}{}", form["ticket"], form["time"]);
        let key = aws_lc_rs::hmac::Key::new(aws_lc_rs::hmac::HMAC_SHA256, SECRET.as_bytes());
        let tag = aws_lc_rs::hmac::sign(&key, text.as_bytes());
        let sign: String = tag
            .as_ref()
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        match form["sign"] == sign {
            true => self.redeem(&form["ticket"].clone()),
            false => refusal(200),
        }
    }

    fn redeem(&mut self, code: &str) -> Reply {
        let is_valid = match self.reusable_tickets {
            true => self.codes.contains(code),
            false => self.codes.remove(code),
        };
        match is_valid {
            true => json_reply(
                200,
                &json!({ "return_code": 0, "return_data": self.person }),
            ),
            false => refusal(200),
        }
    }

    fn issue(&mut self, what: &str) -> String {
        let random = u64::from_ne_bytes(menshen::keys::random());
        let issued = format!("{what}-{random:016x}");
        self.issued.push(issued.clone());
        issued
    }
}

fn refusal(status: u16) -> Reply {
    let body = json!({ "return_code": 40001, "return_msg": "no" });
    json_reply(status, &body)
}

fn json_reply(status: u16, body: &Value) -> Reply {
    let headers = "Content-Type: application/json\r\n";
    Reply::KeepAlive(response(status, headers, &body.to_string()))
}

fn response(status: u16, headers: &str, body: &str) -> Vec<u8> {
    let length = body.len();
    format!("HTTP/1.1 {status} X\r\n{headers}Content-Length: {length}\r\n\r\n{body}").into_bytes()
}

/// Parses a query or form. Panics if a parameter is repeated.
pub(crate) fn parse(text: &[u8]) -> BTreeMap<String, String> {
    let all: Vec<_> = form_urlencoded::parse(text).into_owned().collect();
    let map: BTreeMap<_, _> = all.iter().cloned().collect();
    assert_eq!(all.len(), map.len(), "a parameter is repeated: {all:?}");
    map
}
