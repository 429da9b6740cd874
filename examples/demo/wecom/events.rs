//! Signs, encrypts and delivers events as WeCom does (通讯录变更事件).

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use aws_lc_rs::cipher::{
    AES_256, DecryptingKey, DecryptionContext, EncryptingKey, EncryptionContext, UnboundCipherKey,
};
use aws_lc_rs::digest;
use aws_lc_rs::iv::FixedLength;
use base64::alphabet;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig, STANDARD};
use base64::engine::{DecodePaddingMode, Engine as _};
use url::Url;

use super::super::simulated_http::EventRequest;
use super::people::CORP_ID;

/// The Token that the administrator entered at the receiving URL.
pub const EVENT_TOKEN: &str = "simulatedEventToken1";
/// The EncodingAESKey of the receiving URL. Like most such keys, it ends in bits that belong to no byte.
pub const EVENT_AES_KEY: &str = "c2ltdWxhdGVkRW5jb2RpbmdBRVNLZXlPZldlQ29tMzJ";

/// How long the receiver may take.
const DELIVERY_TIMEOUT: Duration = Duration::from_secs(5);

/// A change of the contacts.
#[derive(Clone, Copy, Debug)]
pub enum ContactChange<'a> {
    UserCreated(&'a str),
    UserUpdated(&'a str),
    UserRenamed { from: &'a str, to: &'a str },
    UserDeleted(&'a str),
    DepartmentUpdated(u32),
}

/// Signs and encrypts for one receiving URL.
#[derive(Clone, Debug)]
pub struct EventSealer {
    pub token: String,
    /// 43 characters.
    pub aes_key: String,
    pub receive_id: String,
}

/// A signed and encrypted message.
#[derive(Clone, Debug)]
pub struct SealedEvent {
    /// `msg_signature`, `timestamp` and `nonce`, percent-encoded.
    pub query: String,
    /// The encrypted message in Base64.
    pub encrypted: String,
    pub body: String,
}

impl Default for EventSealer {
    fn default() -> Self {
        Self {
            token: EVENT_TOKEN.to_owned(),
            aes_key: EVENT_AES_KEY.to_owned(),
            receive_id: CORP_ID.to_owned(),
        }
    }
}

impl ContactChange<'_> {
    /// The message of the event. Like newer callbacks it has only IDs.
    pub fn message(&self, at: SystemTime) -> String {
        let cdata = |name: &str, value: &str| format!("<{name}><![CDATA[{value}]]></{name}>");
        let (kind, fields) = match *self {
            Self::UserCreated(userid) => ("create_user", cdata("UserID", userid)),
            Self::UserUpdated(userid) => ("update_user", cdata("UserID", userid)),
            Self::UserRenamed { from, to } => (
                "update_user",
                cdata("UserID", from) + &cdata("NewUserID", to),
            ),
            Self::UserDeleted(userid) => ("delete_user", cdata("UserID", userid)),
            Self::DepartmentUpdated(id) => ("update_party", format!("<Id>{id}</Id>")),
        };
        format!(
            "<xml>{}{}<CreateTime>{}</CreateTime>{}{}<ChangeType>{kind}</ChangeType>{fields}</xml>",
            cdata("ToUserName", CORP_ID),
            cdata("FromUserName", "sys"),
            unix_s(at),
            cdata("MsgType", "event"),
            cdata("Event", "change_contact"),
        )
    }
}

impl EventSealer {
    /// Seals a message for a delivery.
    pub fn seal(&self, message: &str, at: SystemTime) -> SealedEvent {
        self.seal_padded(self.padded(message), at)
    }

    /// Seals a message for a delivery with this timestamp, which has another unit at other sources.
    pub fn seal_with(&self, message: &str, timestamp: &str) -> SealedEvent {
        self.sign_with(self.encrypt(self.padded(message)), timestamp)
    }

    /// The message with random bytes, length, receiver and padding.
    fn padded(&self, message: &str) -> Vec<u8> {
        let length = u32::try_from(message.len()).expect("messages are short");
        let mut plain = random::<16>().to_vec();
        plain.extend(length.to_be_bytes());
        plain.extend(message.as_bytes());
        plain.extend(self.receive_id.as_bytes());
        let padding = 32 - plain.len() % 32;
        let padding_byte = u8::try_from(padding).expect("at most 32");
        plain.resize(plain.len() + padding, padding_byte);
        plain
    }

    /// Seals bytes that are padded already.
    pub fn seal_padded(&self, bytes: Vec<u8>, at: SystemTime) -> SealedEvent {
        self.sign(self.encrypt(bytes), at)
    }

    fn encrypt(&self, mut bytes: Vec<u8>) -> String {
        let key = aes_key(&self.aes_key);
        let iv: [u8; 16] = key[..16].try_into().expect("a key has 32 bytes");
        let unbound = UnboundCipherKey::new(&AES_256, &key).expect("a key has 32 bytes");
        EncryptingKey::cbc(unbound)
            .and_then(|key| {
                let iv = EncryptionContext::Iv128(FixedLength::from(iv));
                key.less_safe_encrypt(&mut bytes, iv)
            })
            .expect("whole blocks are encrypted");
        STANDARD.encode(bytes)
    }

    /// The message that a receiver answers, if it is signed and encrypted with these settings.
    pub fn open(
        &self,
        encrypted: &str,
        timestamp: &str,
        nonce: &str,
        signature: &str,
    ) -> Option<String> {
        if self.signature([timestamp, nonce, encrypted]) != signature {
            return None;
        }
        let key = aes_key(&self.aes_key);
        let iv: [u8; 16] = key[..16].try_into().ok()?;
        let key = DecryptingKey::cbc(UnboundCipherKey::new(&AES_256, &key).ok()?).ok()?;
        let iv = DecryptionContext::Iv128(FixedLength::from(iv));
        let mut bytes = STANDARD.decode(encrypted).ok()?;
        key.decrypt(&mut bytes, iv).ok()?;
        let end = bytes.len().checked_sub(usize::from(*bytes.last()?))?;
        let (length, rest) = bytes.get(16..end)?.split_first_chunk::<4>()?;
        let length = usize::try_from(u32::from_be_bytes(*length)).ok()?;
        let (message, receiver) = rest.split_at_checked(length)?;
        let is_receiver = receiver == self.receive_id.as_bytes();
        is_receiver.then(|| String::from_utf8_lossy(message).into_owned())
    }

    /// Signs an encrypted message.
    pub fn sign(&self, encrypted: String, at: SystemTime) -> SealedEvent {
        self.sign_with(encrypted, &unix_s(at).to_string())
    }

    fn signature(&self, parts: [&str; 3]) -> String {
        let [timestamp, nonce, encrypted] = parts;
        let mut parts = [&*self.token, timestamp, nonce, encrypted];
        parts.sort_unstable();
        let hash = digest::digest(&digest::SHA1_FOR_LEGACY_USE_ONLY, parts.concat().as_bytes());
        hash.as_ref()
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect()
    }

    fn sign_with(&self, encrypted: String, timestamp: &str) -> SealedEvent {
        let nonce: String = random::<8>()
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        let signature = self.signature([timestamp, &nonce, &encrypted]);
        SealedEvent {
            query: format!("msg_signature={signature}&timestamp={timestamp}&nonce={nonce}"),
            body: format!(
                "<xml><ToUserName><![CDATA[{}]]></ToUserName><AgentID><![CDATA[]]></AgentID>\
                 <Encrypt><![CDATA[{encrypted}]]></Encrypt></xml>",
                self.receive_id
            ),
            encrypted,
        }
    }
}

impl SealedEvent {
    /// The query by which WeCom verifies a URL.
    pub fn verification_query(&self) -> String {
        let echo: String =
            url::form_urlencoded::byte_serialize(self.encrypted.as_bytes()).collect();
        format!("{}&echostr={echo}", self.query)
    }
}

/// Delivers an event until the receiver accepts it, a few times at most.
pub(super) async fn deliver(mut to: Url, event: SealedEvent) {
    to.set_query(Some(&event.query));
    let event = EventRequest {
        to,
        headers: vec![("Content-Type".to_owned(), "text/xml".to_owned())],
        body: event.body,
        time_limit: DELIVERY_TIMEOUT,
    };
    event.deliver(|_| true).await;
}

fn aes_key(text: &str) -> Vec<u8> {
    let config = GeneralPurposeConfig::new()
        .with_decode_allow_trailing_bits(true)
        .with_decode_padding_mode(DecodePaddingMode::RequireNone);
    GeneralPurpose::new(&alphabet::STANDARD, config)
        .decode(text)
        .expect("an EncodingAESKey is 43 characters of Base64")
}

fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    aws_lc_rs::rand::fill(&mut bytes).expect("the system provides random bytes");
    bytes
}

fn unix_s(at: SystemTime) -> u64 {
    at.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}
