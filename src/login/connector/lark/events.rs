//! `Events`: the events of Lark about people and departments;
//! <https://open.feishu.cn/document/server-docs/event-subscription-guide/overview>.

use std::time::Duration;

use aws_lc_rs::constant_time::verify_slices_are_equal;
use http::HeaderMap;
use serde_json::{Map, Value, json};

use super::super::directory_events::require_current;
use super::super::{
    ConnectorBuildError, DeliveryRequest, DirectoryEvent, EventDelivery, EventError, EventReceiver,
};
use super::{EventsConfig, Lark};
use crate::clock::Timestamp;
use crate::keys;
use crate::secret::{Secret, SecretSource};
use crate::text;

mod cipher;
mod message;

use cipher::EventCipher;
use message::EventHeader;

/// The longest text that Lark lets menshen repeat when it verifies the URL, in bytes.
const CHALLENGE_BYTES_MAX: usize = 256;

/// The token and the key of the application's events.
#[derive(Debug)]
pub(super) struct Events {
    app_id: String,
    verification_token: Secret<String>,
    cipher: Option<EventCipher>,
    time_tolerance: Duration,
}

/// Why a delivery does not come from Lark. The reasons go to the log; the sender gets the same response for
/// all.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum NotFromLark {
    #[error("the signature is missing or does not match: check `events.encrypt_key`")]
    Signature,
    #[error("the message is not encrypted, but the settings have an `events.encrypt_key`")]
    NotEncrypted,
    #[error("the message is encrypted, but the settings have no `events.encrypt_key`")]
    Encrypted,
    #[error("the message cannot be decrypted: check `events.encrypt_key`")]
    Decryption,
    #[error("the token is not `events.verification_token`")]
    Token,
    #[error("the event is for another application than `app_id`")]
    App,
}

/// The message of a delivery, and its signature.
struct Opened {
    message: Map<String, Value>,
    signature: SignatureCheck,
}

/// What a signature proves.
#[derive(Clone, Copy)]
enum SignatureCheck {
    /// Without a key Lark signs nothing, and the token alone proves the sender.
    NotConfigured,
    Missing,
    /// Lark made it at this time.
    Verified(Timestamp),
}

impl Events {
    /// Reads the secrets. Fails if one cannot be read, or if the token is empty.
    pub(super) fn build(config: &EventsConfig, app_id: &str) -> Result<Self, ConnectorBuildError> {
        let read = |secret: &SecretSource| secret.read().map_err(ConnectorBuildError::Secret);
        let key = config.encrypt_key.as_ref().map(read).transpose()?;
        let verification_token = read(&config.verification_token)?;
        if verification_token.expose().is_empty() {
            let text = text!(
                "events.verification_token is empty",
                "events.verification_token 是空的"
            );
            return Err(ConnectorBuildError::Setting(text));
        }
        Ok(Self {
            app_id: app_id.to_owned(),
            verification_token,
            cipher: key.map(EventCipher::new),
            time_tolerance: config.time_tolerance.duration(),
        })
    }

    /// Verifies the signature of the raw body, and decrypts the message.
    fn open(&self, headers: &HeaderMap, body: &[u8]) -> Result<Opened, EventError> {
        let outer = object_of(body).ok_or(EventError::Malformed("the body"))?;
        let encrypted = outer.get("encrypt").and_then(Value::as_str);
        match (&self.cipher, encrypted) {
            (None, None) => Ok(Opened {
                message: outer,
                signature: SignatureCheck::NotConfigured,
            }),
            (None, Some(_)) => Err(not_from_lark(NotFromLark::Encrypted)),
            (Some(_), None) => Err(not_from_lark(NotFromLark::NotEncrypted)),
            (Some(cipher), Some(encrypted)) => {
                let signature = match signature_of(headers) {
                    Some(signature) if cipher.verifies(&signature, body) => {
                        SignatureCheck::Verified(signature.made_at()?)
                    }
                    Some(_) => return Err(not_from_lark(NotFromLark::Signature)),
                    None => SignatureCheck::Missing,
                };
                let plain = cipher.decrypt(encrypted);
                let message = plain.as_deref().and_then(object_of);
                let message = message.ok_or_else(|| not_from_lark(NotFromLark::Decryption))?;
                Ok(Opened { message, signature })
            }
        }
    }

    fn verify_token(&self, token: Option<&str>) -> Result<(), EventError> {
        let expected = self.verification_token.expose().as_bytes();
        let token = token.unwrap_or_default().as_bytes();
        verify_slices_are_equal(expected, token).map_err(|_| not_from_lark(NotFromLark::Token))
    }

    /// Reads a delivery. `tenant` is that of the connector, if it is known: events of others change nothing.
    fn read(
        &self,
        request: &DeliveryRequest<'_>,
        tenant: Option<&str>,
    ) -> Result<EventDelivery, EventError> {
        let Opened { message, signature } = self.open(request.headers, request.body)?;
        let text = |name: &str| message.get(name).and_then(Value::as_str);
        if text("type") == Some("url_verification") {
            self.verify_token(text("token"))?;
            let challenge = text("challenge").filter(|text| text.len() <= CHALLENGE_BYTES_MAX);
            let challenge = challenge.ok_or(EventError::Malformed("challenge"))?;
            return Ok(EventDelivery {
                events: Vec::new(),
                receipt: Some(json!({ "challenge": challenge })),
            });
        }
        // The request that verifies the URL may lack a signature; no event does.
        match signature {
            SignatureCheck::NotConfigured => {}
            SignatureCheck::Missing => return Err(not_from_lark(NotFromLark::Signature)),
            SignatureCheck::Verified(made_at) => {
                require_current(made_at, request.received_at, self.time_tolerance)?;
            }
        }
        let header = EventHeader::of(&message);
        self.verify_token(header.token.or_else(|| text("token")))?;
        if header.app_id.is_some_and(|app_id| app_id != self.app_id) {
            return Err(not_from_lark(NotFromLark::App));
        }
        let id = header.event_id.or_else(|| text("uuid"));
        let id = id.ok_or(EventError::Malformed("event_id"))?;
        let change = message::read(&header, &message, tenant)
            .map_err(|error| EventError::Unreadable(error.into()))?;
        let event = DirectoryEvent {
            id: keys::fingerprint(&[b"lark event", self.app_id.as_bytes(), id.as_bytes()]),
            change,
        };
        Ok(EventDelivery {
            events: vec![event],
            receipt: None,
        })
    }
}

impl EventReceiver for Lark {
    fn receive(&self, request: &DeliveryRequest<'_>) -> Result<EventDelivery, EventError> {
        match &self.events {
            Some(events) => events.read(request, self.tenant.known().as_deref()),
            None => Err(EventError::Malformed("the connector takes no events")),
        }
    }
}

/// The signature of a delivery, and what it covers besides the body.
struct Signature<'a> {
    signature: &'a str,
    timestamp: &'a str,
    nonce: &'a str,
}

impl Signature<'_> {
    fn made_at(&self) -> Result<Timestamp, EventError> {
        let unix_s = self.timestamp.parse();
        let unix_s = unix_s.map_err(|_| EventError::Malformed("X-Lark-Request-Timestamp"))?;
        Ok(Timestamp::from_unix_s(unix_s))
    }
}

/// `None` without a signature. Headers that are repeated or incomplete make one that does not match.
fn signature_of(headers: &HeaderMap) -> Option<Signature<'_>> {
    headers.get("x-lark-signature")?;
    let one = |name: &str| {
        let mut values = headers.get_all(name).iter();
        match (values.next(), values.next()) {
            (Some(value), None) => value.to_str().unwrap_or_default(),
            _ => "",
        }
    };
    Some(Signature {
        signature: one("x-lark-signature"),
        timestamp: one("x-lark-request-timestamp"),
        nonce: one("x-lark-request-nonce"),
    })
}

fn object_of(json: &[u8]) -> Option<Map<String, Value>> {
    match serde_json::from_slice(json) {
        Ok(Value::Object(object)) => Some(object),
        _ => None,
    }
}

fn not_from_lark(why: NotFromLark) -> EventError {
    EventError::NotAuthentic(why.into())
}
