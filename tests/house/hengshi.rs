//! HENGSHI's API: `/api/authentication-configs/…` on the administrator's listener.

mod codes;
mod fields;
mod keys;
mod logins;
mod manual;
mod nodes;
mod round_trips;
mod secrets;
mod sync;
mod unavailable;
mod which_connector;

use serde_json::{Value, json};

use crate::setup::{Menshen, NO_LOGIN_LIMITS, Setup};
use crate::wire::{self, Answer};

const TOKEN: &str = "correct-horse-battery-staple";

/// The beginning of all paths.
const PREFIX: &str = "/api/authentication-configs/";

/// The listener of the API, in a configuration without connectors.
fn setup() -> Setup {
    Setup::default().without_connector().tables(&admin_tables())
}

fn admin_tables() -> String {
    format!(
        "[admin]\nlisten = \"127.0.0.1:0\"\ntoken = \"{TOKEN}\"\n\
         wrong_tokens_per_client_per_minute = 1000000\n\
         [[admin.tokens]]\nname = \"looker\"\ntoken = \"looker-{TOKEN}\"\nview = true\n\
         {NO_LOGIN_LIMITS}"
    )
}

/// A request.
#[derive(Clone, Debug)]
struct Call {
    method: &'static str,
    path: String,
    headers: String,
    body: Vec<u8>,
}

impl Call {
    fn new(method: &'static str, path: &str) -> Self {
        Self {
            method,
            path: path.to_owned(),
            headers: format!("Authorization: Bearer {TOKEN}\r\n"),
            body: Vec::new(),
        }
    }

    fn get(path: &str) -> Self {
        Self::new("GET", path)
    }

    /// With a JSON body.
    fn put(path: &str, body: &Value) -> Self {
        Self::new("PUT", path)
            .header("Content-Type: application/json")
            .text(&body.to_string())
    }

    fn header(mut self, line: &str) -> Self {
        self.headers.push_str(line);
        self.headers.push_str("\r\n");
        self
    }

    fn text(self, body: &str) -> Self {
        Self {
            body: body.as_bytes().to_vec(),
            ..self
        }
    }

    async fn send(&self, menshen: &Menshen) -> Answer {
        let Self {
            method,
            path,
            headers,
            body,
        } = self;
        let length = body.len();
        // A path of another API is whole.
        let prefix = if path.starts_with('/') { "" } else { PREFIX };
        let head = format!(
            "{method} {prefix}{path} HTTP/1.1\r\nHost: 127.0.0.1\r\n{headers}\
             Content-Length: {length}\r\nConnection: close\r\n\r\n"
        );
        let address = menshen.running.admin_address();
        let address = address.expect("there is an admin listener");
        wire::send(address, &[head.as_bytes(), body].concat()).await
    }
}

/// Asserts what every answer has, and returns its envelope.
#[track_caller]
fn envelope(answer: &Answer) -> Value {
    assert_eq!(answer.header("content-type"), Some("application/json"));
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    let envelope = answer.json();
    let members: Vec<_> = envelope.as_object().unwrap().keys().collect();
    assert_eq!(members.len(), 4, "{envelope}");
    let version = envelope["version"].as_str().unwrap();
    let (name, hash) = version.split_once('#').unwrap();
    assert_eq!(name, concat!("menshen@", env!("CARGO_PKG_VERSION")));
    assert!(hash.len() == 8 && hash.bytes().all(|byte| byte.is_ascii_hexdigit()));
    let code = envelope["code"].as_u64().unwrap();
    match code {
        0 => assert_eq!((answer.status, &envelope["msg"]), (200, &json!("success"))),
        code => assert_eq!(code / 100, u64::from(answer.status), "{envelope}"),
    }
    envelope
}

/// Sends a request that succeeds; returns the data.
async fn data_of(menshen: &Menshen, call: &Call) -> Value {
    let envelope = envelope(&call.send(menshen).await);
    assert_eq!(envelope["code"], 0, "{call:?}: {envelope}");
    envelope["data"].clone()
}

async fn get(menshen: &Menshen, path: &str) -> Value {
    data_of(menshen, &Call::get(path)).await
}

async fn put(menshen: &Menshen, path: &str, body: &Value) -> Value {
    data_of(menshen, &Call::put(path, body)).await
}

/// The names of the fields with problems in an envelope.
fn problem_fields(envelope: &Value) -> Vec<&str> {
    let problems = envelope["data"]["problems"].as_array();
    let problems = problems.map(Vec::as_slice).unwrap_or_default();
    problems
        .iter()
        .map(|problem| problem["field"].as_str().unwrap())
        .collect()
}

/// What must not change when a request is refused.
async fn state_of(menshen: &Menshen) -> (u64, usize, u64) {
    let live = menshen.running.live();
    let stored = live.services().store.newest_managed_version().await;
    let site = std::sync::Arc::as_ptr(&live.site()) as usize;
    (live.settings().version(), site, stored.unwrap())
}

/// Sends a request that is refused, and asserts that it changes nothing; returns the envelope.
async fn refused(menshen: &Menshen, call: &Call, code: u64) -> Value {
    let before = state_of(menshen).await;
    let envelope = envelope(&call.send(menshen).await);
    assert_eq!(envelope["code"], code, "{call:?}: {envelope}");
    assert_eq!(state_of(menshen).await, before, "{call:?}");
    envelope
}

/// The settings of WeCom as the manual has them, for the simulated WeCom.
fn wecom_fields(menshen: &Menshen) -> Value {
    use crate::wecom::{AGENT_ID, CORP_ID, SECRET};
    json!({
        "key": CORP_ID, "agentId": AGENT_ID.to_string(), "secret": SECRET,
        "menshen": { "wecom": {
            "api_base": menshen.wecom.base_url(),
            "authorize_url": menshen.wecom.authorize_url(),
            "login_url": menshen.wecom.login_url(),
        } },
    })
}

/// The same object with some members replaced; null removes one.
fn with(object: &Value, members: &Value) -> Value {
    let mut object = object.clone();
    for (name, value) in members.as_object().unwrap() {
        match value {
            Value::Null => object.as_object_mut().unwrap().remove(name),
            value => object
                .as_object_mut()
                .unwrap()
                .insert(name.clone(), value.clone()),
        };
    }
    object
}
