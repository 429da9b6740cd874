//! `Events`: the callbacks of WeCom about members and departments (接收消息).

use std::time::Duration;

use schemars::JsonSchema;
use serde::Deserialize;

use super::super::directory_events::require_current;
use super::super::kit::message_cipher::{MessageCipher, SignedParts};
use super::super::kit::xml::{Element, XmlLimits};
use super::super::{
    ConnectorBuildError, DeliveryRequest, DirectoryEvent, EventDelivery, EventError, EventReceiver,
};
use crate::clock::Timestamp;
use crate::keys;
use crate::login::fields::Fields;
use crate::secret::SecretSource;
use crate::setting::Period;
use crate::text;

mod message;

/// The limits of the document around an encrypted message. WeCom's messages have a few kilobytes.
const ENVELOPE_LIMITS: XmlLimits = XmlLimits {
    bytes: 64 << 10,
    elements: 16,
    depth: 2,
    attributes: 8,
};

/// The longest text that WeCom lets menshen repeat when it verifies the URL, in bytes. Its texts have about
/// twenty digits.
const ECHO_BYTES_MAX: usize = 64;

/// `[connector.ID.wecom.events]`.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct EventsConfig {
    /// The Token of the receiving URL `PREFIX/events/ID`: 应用 → 接收消息 → 设置API接收, or 管理工具 →
    /// 通讯录同步 → 设置接收事件服务器.
    pub token: SecretSource,
    /// The EncodingAESKey from the same page: 43 letters and digits.
    pub encoding_aes_key: SecretSource,
    /// The receiver in the messages; absent: `corp_id`.
    #[serde(default)]
    pub receive_id: Option<String>,
    /// How far the time of a message may be from the clock of this machine.
    #[serde(default = "default_time_tolerance")]
    pub time_tolerance: Period,
}

fn default_time_tolerance() -> Period {
    Period::s(300)
}

/// Verifies and reads the callbacks of one application.
#[derive(Debug)]
pub(super) struct Events {
    corp_id: String,
    cipher: MessageCipher,
    time_tolerance: Duration,
}

/// The signed parameters in the query of a callback.
struct Signed<'a> {
    signature: &'a str,
    timestamp: &'a str,
    nonce: &'a str,
}

impl Events {
    /// Reads token and key. Fails if one cannot be read, or if the key has not 43 letters and digits.
    pub(super) fn build(config: &EventsConfig, corp_id: &str) -> Result<Self, ConnectorBuildError> {
        let read = |secret: &SecretSource| secret.read().map_err(ConnectorBuildError::Secret);
        let receive_id = config.receive_id.as_deref().unwrap_or(corp_id);
        let (token, key) = (read(&config.token)?, read(&config.encoding_aes_key)?);
        let cipher = MessageCipher::new(token, &key, receive_id.to_owned()).map_err(|error| {
            ConnectorBuildError::Setting(text!(
                "events.encoding_aes_key: {error}",
                "events.encoding_aes_key：{error:#}"
            ))
        })?;
        Ok(Self {
            corp_id: corp_id.to_owned(),
            cipher,
            time_tolerance: config.time_tolerance.duration(),
        })
    }

    /// Verifies the signature and the time of a callback, and decrypts its message.
    fn open(
        &self,
        signed: &Signed<'_>,
        encrypted: &str,
        now: Timestamp,
    ) -> Result<Vec<u8>, EventError> {
        let parts = SignedParts {
            signature: signed.signature,
            timestamp: signed.timestamp,
            nonce: signed.nonce,
            encrypted,
        };
        let opened = self.cipher.open(parts);
        let message = opened.map_err(|error| EventError::NotAuthentic(error.into()))?;
        let timestamp_s: i64 = signed
            .timestamp
            .parse()
            .map_err(|_| EventError::Malformed("timestamp"))?;
        let signed_at = Timestamp::from_unix_s(timestamp_s);
        require_current(signed_at, now, self.time_tolerance)?;
        Ok(message)
    }
}

impl EventReceiver for Events {
    fn verify_url(&self, query: &Fields, now: Timestamp) -> Result<Vec<u8>, EventError> {
        let signed = Signed::of(query)?;
        // If the `+` of Base64 is not percent-encoded, form decoding turns it into a space.
        let echo = one(query, "echostr")?.replace(' ', "+");
        let text = self.open(&signed, &echo, now)?;
        // The signature of an event fits here as well: whoever has seen one must not get it decrypted.
        let is_echo = text.len() <= ECHO_BYTES_MAX
            && text
                .iter()
                .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'));
        match is_echo {
            true => Ok(text),
            false => Err(EventError::Malformed("echostr")),
        }
    }

    fn receive(&self, request: &DeliveryRequest<'_>) -> Result<EventDelivery, EventError> {
        let signed = Signed::of(request.query)?;
        let envelope = Element::read(request.body, ENVELOPE_LIMITS)
            .map_err(|_| EventError::Malformed("the body"))?;
        let encrypted = envelope
            .child_text("Encrypt")
            .ok_or(EventError::Malformed("Encrypt"))?;
        let message = self.open(&signed, &encrypted, request.received_at)?;
        let change = message::read(&message, &self.corp_id)
            .map_err(|error| EventError::Unreadable(error.into()))?;
        let event = DirectoryEvent {
            // A repeated delivery has the same message under another nonce.
            id: keys::fingerprint(&[b"wecom event", self.corp_id.as_bytes(), &message]),
            change,
        };
        Ok(EventDelivery {
            events: vec![event],
            receipt: None,
        })
    }
}

impl<'a> Signed<'a> {
    fn of(query: &'a Fields) -> Result<Self, EventError> {
        Ok(Self {
            signature: one(query, "msg_signature")?,
            timestamp: one(query, "timestamp")?,
            nonce: one(query, "nonce")?,
        })
    }
}

fn one<'a>(query: &'a Fields, name: &'static str) -> Result<&'a str, EventError> {
    let value = query.one(name).ok().flatten();
    value.ok_or(EventError::Malformed(name))
}
