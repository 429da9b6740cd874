//! `Events`: the events of DingTalk about members and departments (事件订阅, by HTTP).

use std::time::Duration;

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};

use super::super::directory_events::require_current;
use super::super::kit::message_cipher::{CipherError, MessageCipher, SignedParts};
use super::super::{
    ConnectorBuildError, DeliveryRequest, DirectoryChange, DirectoryEvent, EventDelivery,
    EventError, EventReceiver,
};
use crate::clock::Timestamp;
use crate::keys;
use crate::login::fields::Fields;
use crate::secret::SecretSource;
use crate::setting::Period;
use crate::text;

mod message;

/// What DingTalk expects, encrypted, as the answer to every delivery.
const ACCEPTED: &[u8] = b"success";

/// `[connector.ID.dingtalk.events]`.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct EventsConfig {
    /// The 签名 token of the receiving URL `PREFIX/events/ID`: the application → 开发配置 → 事件订阅 → HTTP推送.
    pub token: SecretSource,
    /// The 加密 aes_key from the same page: 43 letters and digits.
    pub encoding_aes_key: SecretSource,
    /// How far the time of a delivery may be from the clock of this machine.
    #[serde(default = "default_time_tolerance")]
    pub time_tolerance: Period,
}

fn default_time_tolerance() -> Period {
    Period::s(300)
}

/// Verifies and reads the deliveries for one application.
#[derive(Debug)]
pub(super) struct Events {
    corp_id: String,
    /// One for each receiver that a delivery may name: the application, or as in older subscriptions the
    /// organisation.
    ciphers: [MessageCipher; 2],
    time_tolerance: Duration,
}

/// Why a delivery is not authentic.
#[derive(Debug, thiserror::Error)]
enum NotAuthentic {
    #[error("the message is for neither `app_key` nor `corp_id`")]
    Receiver,
    #[error(transparent)]
    Cipher(CipherError),
}

/// The body of a delivery.
#[derive(Deserialize)]
struct Envelope {
    encrypt: String,
}

impl Events {
    /// Reads token and key. Fails if one cannot be read, or if the key has not 43 letters and digits.
    pub(super) fn build(
        config: &EventsConfig,
        app_key: &str,
        corp_id: &str,
    ) -> Result<Self, ConnectorBuildError> {
        let read = |secret: &SecretSource| secret.read().map_err(ConnectorBuildError::Secret);
        let (token, key) = (read(&config.token)?, read(&config.encoding_aes_key)?);
        let cipher = |receiver: &str| {
            let cipher = MessageCipher::new(token.clone(), &key, receiver.to_owned());
            cipher.map_err(|error| {
                ConnectorBuildError::Setting(text!(
                    "events.encoding_aes_key: {error}",
                    "events.encoding_aes_key：{error:#}"
                ))
            })
        };
        Ok(Self {
            ciphers: [cipher(app_key)?, cipher(corp_id)?],
            corp_id: corp_id.to_owned(),
            time_tolerance: config.time_tolerance.duration(),
        })
    }

    /// Verifies and decrypts a delivery. Returns also the cipher of its receiver.
    fn open(&self, parts: SignedParts<'_>) -> Result<(Vec<u8>, &MessageCipher), EventError> {
        let mut error = NotAuthentic::Receiver;
        for cipher in &self.ciphers {
            match cipher.open(parts) {
                Ok(message) => return Ok((message, cipher)),
                Err(CipherError::Receiver) => {}
                Err(other) => error = NotAuthentic::Cipher(other),
            }
        }
        Err(EventError::NotAuthentic(error.into()))
    }

    /// Refuses what was signed too long ago. The time has milliseconds.
    fn require_current(&self, timestamp: &str, now: Timestamp) -> Result<(), EventError> {
        let timestamp_ms = timestamp.parse();
        let timestamp_ms = timestamp_ms.map_err(|_| EventError::Malformed("timestamp"))?;
        let signed_at = Timestamp::from_unix_ms(timestamp_ms);
        require_current(signed_at, now, self.time_tolerance)
    }
}

impl EventReceiver for Events {
    fn receive(&self, request: &DeliveryRequest<'_>) -> Result<EventDelivery, EventError> {
        let DeliveryRequest {
            query,
            body,
            received_at: now,
            ..
        } = *request;
        let signature = match query.has("signature") {
            true => one(query, "signature")?,
            false => one(query, "msg_signature")?,
        };
        let timestamp = one(query, "timestamp")?;
        let envelope: Envelope =
            serde_json::from_slice(body).map_err(|_| EventError::Malformed("the body"))?;
        let parts = SignedParts {
            signature,
            timestamp,
            nonce: one(query, "nonce")?,
            encrypted: &envelope.encrypt,
        };
        let (message, cipher) = self.open(parts)?;
        self.require_current(timestamp, now)?;
        let changes = message::read(&message, &self.corp_id)
            .map_err(|error| EventError::Unreadable(error.into()))?;
        let changes = changes.into_iter().enumerate();
        Ok(EventDelivery {
            events: changes
                .map(|(index, change)| self.event(&message, index, change))
                .collect(),
            receipt: Some(receipt(cipher, now)?),
        })
    }
}

impl Events {
    fn event(&self, message: &[u8], index: usize, change: DirectoryChange) -> DirectoryEvent {
        let index = index.to_string();
        let parts: [&[u8]; 4] = [
            b"dingtalk event",
            self.corp_id.as_bytes(),
            index.as_bytes(),
            message,
        ];
        DirectoryEvent {
            // A repeated delivery has the same message under another nonce.
            id: keys::fingerprint(&parts),
            change: Some(change),
        }
    }
}

/// The answer to a delivery.
fn receipt(cipher: &MessageCipher, now: Timestamp) -> Result<Value, EventError> {
    let timestamp = now.unix_ms().to_string();
    let nonce = keys::random::<8>();
    let nonce: String = nonce.iter().map(|byte| format!("{byte:02x}")).collect();
    let sealed = cipher.seal(ACCEPTED, &timestamp, &nonce);
    let sealed = sealed.map_err(|error| EventError::Unreadable(error.into()))?;
    Ok(json!({
        "msg_signature": sealed.signature,
        "timeStamp": timestamp,
        "nonce": nonce,
        "encrypt": sealed.encrypted,
    }))
}

fn one<'a>(query: &'a Fields, name: &'static str) -> Result<&'a str, EventError> {
    let value = query.one(name).ok().flatten();
    value.ok_or(EventError::Malformed(name))
}
