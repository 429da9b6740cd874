//! Signs, encrypts and delivers events as Lark does (事件订阅).

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use aws_lc_rs::cipher::{AES_256, EncryptingKey, EncryptionContext, UnboundCipherKey};
use aws_lc_rs::digest;
use aws_lc_rs::iv::FixedLength;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use url::Url;

use super::super::simulated_http::EventRequest;
use super::people::{APP_ID, Person, TENANT_KEY, open_id, union_id};
use super::state::random;

/// The Verification Token of the application.
pub const VERIFICATION_TOKEN: &str = "simulatedVerificationToken1";
/// The Encrypt Key of the application.
pub const ENCRYPT_KEY: &str = "simulated-encrypt-key-of-events";

/// How long the receiver may take.
const DELIVERY_TIMEOUT: Duration = Duration::from_secs(3);

/// A change of the contacts.
#[derive(Clone, Copy, Debug)]
pub enum ContactChange<'a> {
    UserCreated(&'a str),
    /// A changed person, with the status that the event reports.
    UserUpdated(&'a Person),
    UserDeleted(&'a str),
    DepartmentUpdated(&'a str),
    ScopeUpdated,
}

/// The message of an event about a change.
pub fn event(change: ContactChange<'_>, at: SystemTime) -> Value {
    let person = |user_id: &str| json!({ "open_id": open_id(user_id), "union_id": union_id(user_id), "user_id": user_id });
    let (kind, object) = match change {
        ContactChange::UserCreated(user_id) => ("contact.user.created_v3", person(user_id)),
        ContactChange::UserUpdated(changed) => {
            let mut object = person(&changed.user_id);
            object["status"] = changed.status();
            ("contact.user.updated_v3", object)
        }
        ContactChange::UserDeleted(user_id) => ("contact.user.deleted_v3", person(user_id)),
        ContactChange::DepartmentUpdated(id) => {
            let object = json!({ "open_department_id": id, "department_id": format!("d{id}") });
            ("contact.department.updated_v3", object)
        }
        ContactChange::ScopeUpdated => ("contact.scope.updated_v3", json!({})),
    };
    json!({
        "schema": "2.0",
        "header": {
            "event_id": random(16),
            "event_type": kind,
            "create_time": at.duration_since(UNIX_EPOCH).unwrap_or_default().as_millis().to_string(),
            "token": VERIFICATION_TOKEN,
            "app_id": APP_ID,
            "tenant_key": TENANT_KEY,
        },
        "event": { "object": object },
    })
}

/// Signs and encrypts for one application.
#[derive(Clone, Debug)]
pub struct EventSealer {
    /// Absent: events are sent as they are.
    pub encrypt_key: Option<String>,
}

/// A request that delivers an event.
#[derive(Clone, Debug)]
pub struct DeliveredEvent {
    pub headers: Vec<(String, String)>,
    pub body: String,
}

impl Default for EventSealer {
    fn default() -> Self {
        Self {
            encrypt_key: Some(ENCRYPT_KEY.to_owned()),
        }
    }
}

impl EventSealer {
    /// The request with a message.
    pub fn seal(&self, message: &Value, at: SystemTime) -> DeliveredEvent {
        let body = match &self.encrypt_key {
            None => message.to_string(),
            Some(key) => {
                json!({ "encrypt": encrypt(key, message.to_string().as_bytes()) }).to_string()
            }
        };
        self.sign(body, at)
    }

    /// The request with this body, which is signed if there is a key.
    pub fn sign(&self, body: String, at: SystemTime) -> DeliveredEvent {
        let mut headers = Vec::new();
        if let Some(key) = &self.encrypt_key {
            let timestamp = at.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
            let (timestamp, nonce) = (timestamp.to_string(), random(8));
            let signed = format!("{timestamp}{nonce}{key}{body}");
            let hash = digest::digest(&digest::SHA256, signed.as_bytes());
            let signature = hash.as_ref().iter().map(|byte| format!("{byte:02x}"));
            headers = vec![
                ("X-Lark-Signature".to_owned(), signature.collect()),
                ("X-Lark-Request-Timestamp".to_owned(), timestamp),
                ("X-Lark-Request-Nonce".to_owned(), nonce),
            ];
        }
        DeliveredEvent { headers, body }
    }
}

fn encrypt(key: &str, plain: &[u8]) -> String {
    let key = digest::digest(&digest::SHA256, key.as_bytes());
    let mut iv = [0; 16];
    aws_lc_rs::rand::fill(&mut iv).expect("the system provides random bytes");
    let padding = 16 - plain.len() % 16;
    let padding_byte = u8::try_from(padding).expect("at most 16");
    let mut bytes = plain.to_vec();
    bytes.resize(plain.len() + padding, padding_byte);
    let unbound = UnboundCipherKey::new(&AES_256, key.as_ref()).expect("a key has 32 bytes");
    EncryptingKey::cbc(unbound)
        .and_then(|key| {
            let iv = EncryptionContext::Iv128(FixedLength::from(iv));
            key.less_safe_encrypt(&mut bytes, iv)
        })
        .expect("whole blocks are encrypted");
    STANDARD.encode([&iv[..], &bytes].concat())
}

/// Delivers an event until the receiver accepts it, a few times at most.
pub(super) async fn deliver(to: Url, event: DeliveredEvent) {
    let mut headers = event.headers;
    let content_type = "application/json; charset=utf-8";
    headers.push(("Content-Type".to_owned(), content_type.to_owned()));
    let event = EventRequest {
        to,
        headers,
        body: event.body,
        time_limit: DELIVERY_TIMEOUT,
    };
    event.deliver(|_| true).await;
}
