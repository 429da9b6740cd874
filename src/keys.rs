//! `KeyRing`: the session keys. The first key signs and encrypts; every key verifies and decrypts.
//!
//! HKDF-SHA-256 (RFC 5869) derives one sub-key per purpose from each key, so that a value made for one
//! purpose is invalid for every other.

use std::fmt;
use std::sync::Arc;

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::{digest, hkdf, hmac, rand};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use jsonwebtoken::{DecodingKey, EncodingKey};

use crate::secret::Secret;
use crate::text;
use crate::wording::{Text, error_of_text};

pub mod certificate;
mod signing_pair;
mod token_keys;

pub use signing_pair::{PublicKey, SigningPair};
pub use token_keys::{TokenKey, token_algorithms};

/// The minimum length of a key, in bytes.
pub const KEY_BYTES_MIN: usize = 32;

/// The most keys of a ring.
pub const KEYS_MAX: usize = 8;

/// The purpose of an encrypted value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// The state of a login between its begin and its finish.
    Pending,
    /// A ticket that transfers a session to another host.
    Ticket,
    /// The tokens of a provider that belong to a session.
    Tokens,
    /// The secrets of connectors in the managed settings.
    Managed,
    /// That an administrator has signed in to the console in a browser.
    Browser,
}

/// The thumbprint of a key, which names it without revealing it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct KeyId(String);

impl KeyId {
    /// The thumbprint, as a token's `kid`.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Why a key cannot be used.
#[derive(Debug)]
pub enum KeyError {
    Encoding,
    Short { bytes: usize },
    Count { keys: usize },
    Duplicate,
}

impl KeyError {
    fn text(&self) -> Text {
        match self {
            Self::Encoding => Text::fixed(
                "a session key must be base64 or hexadecimal, as `menshen keygen` prints it",
                "会话密钥应为 base64 或十六进制，即 `menshen keygen` 输出的格式",
            ),
            Self::Short { bytes } => text!(
                "a session key must have at least {KEY_BYTES_MIN} bytes, this one has {bytes} bytes after decoding",
                "会话密钥至少 {KEY_BYTES_MIN} 字节，这一个解码后只有 {bytes} 字节"
            ),
            Self::Count { keys } => text!(
                "a key ring must have 1 to {KEYS_MAX} keys, this one has {keys}",
                "会话密钥应为 1 到 {KEYS_MAX} 个，这里有 {keys} 个"
            ),
            Self::Duplicate => Text::fixed(
                "the key ring has the same key twice",
                "同一个会话密钥写了两次",
            ),
        }
    }
}

error_of_text!(KeyError);

/// The keys of a site. Immutable: a reload builds another ring.
pub struct KeyRing {
    keys: Vec<Key>,
    epoch: u64,
}

struct Key {
    id: KeyId,
    signing: EncodingKey,
    verifying: DecodingKey,
    pending: LessSafeKey,
    ticket: LessSafeKey,
    tokens: LessSafeKey,
    managed: LessSafeKey,
    browser: LessSafeKey,
    hashing: hmac::Key,
    pair: Arc<SigningPair>,
}

impl fmt::Debug for KeyRing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ids: Vec<_> = self.keys.iter().map(|key| key.id.as_str()).collect();
        f.debug_struct("KeyRing")
            .field("keys", &ids)
            .field("epoch", &self.epoch)
            .finish()
    }
}

/// Installs aws-lc-rs as the crypto provider of this process; a second call does nothing.
pub fn install_crypto() {
    // An error only means that the provider is installed already.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let _ = jsonwebtoken::crypto::aws_lc::DEFAULT_PROVIDER.install_default();
}

/// Generates a key, in base64, for `menshen keygen` and for a store that has none yet.
pub fn generate() -> Secret<String> {
    Secret::new(STANDARD.encode(random::<KEY_BYTES_MIN>()))
}

/// Random bytes from the operating system's generator.
pub fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    rand::fill(&mut bytes).expect("the operating system gives random bytes");
    bytes
}

/// SHA-256 of `parts`. Each part is preceded by its length, so that different tuples have different inputs.
pub fn fingerprint(parts: &[&[u8]]) -> [u8; 32] {
    let mut context = digest::Context::new(&digest::SHA256);
    for part in parts {
        context.update(&(part.len() as u64).to_be_bytes());
        context.update(part);
    }
    let mut hash = [0; 32];
    hash.copy_from_slice(context.finish().as_ref());
    hash
}

/// Why a text cannot be a session key.
pub fn problem_of(text: &Secret<String>) -> Option<KeyError> {
    Key::new(text).err()
}

impl KeyRing {
    /// Builds the ring; the first key signs.
    ///
    /// The epoch is that of `previous` if the keys and their order are the same, otherwise one more. A cached
    /// verification from another epoch must be repeated.
    pub fn new(texts: &[Secret<String>], previous: Option<&Self>) -> Result<Self, KeyError> {
        if texts.is_empty() || texts.len() > KEYS_MAX {
            return Err(KeyError::Count { keys: texts.len() });
        }
        let keys = texts.iter().map(Key::new).collect::<Result<Vec<_>, _>>()?;
        for (index, key) in keys.iter().enumerate() {
            if keys[..index].iter().any(|other| other.id == key.id) {
                return Err(KeyError::Duplicate);
            }
        }
        let epoch = match previous {
            None => 1,
            Some(ring) if ring.key_ids().eq(keys.iter().map(|key| &key.id)) => ring.epoch,
            Some(ring) => ring.epoch + 1,
        };
        Ok(Self { keys, epoch })
    }

    /// A number that differs between two rings of this process with different keys.
    pub fn epoch(&self) -> u64 {
        self.epoch
    }

    /// The thumbprint of the signing key.
    pub fn signing_key_id(&self) -> &KeyId {
        &self.keys[0].id
    }

    /// The thumbprints of all keys, the signing key first.
    pub fn key_ids(&self) -> impl Iterator<Item = &KeyId> {
        self.keys.iter().map(|key| &key.id)
    }

    /// The sub-key that signs session cookies (HS256).
    pub fn signing_key(&self) -> &EncodingKey {
        &self.keys[0].signing
    }

    /// The sub-key that verifies signatures of the key `id`, if the ring has that key.
    pub fn verifying_key(&self, id: &str) -> Option<&DecodingKey> {
        self.keys
            .iter()
            .find(|key| key.id.as_str() == id)
            .map(|key| &key.verifying)
    }

    /// The key pair of the signing key, for signatures that others verify.
    pub fn signing_pair(&self) -> &Arc<SigningPair> {
        &self.keys[0].pair
    }

    /// The public keys of all keys, so that signatures of older keys stay valid.
    pub fn public_keys(&self) -> impl Iterator<Item = &PublicKey> {
        self.keys.iter().map(|key| key.pair.public())
    }

    /// HMAC-SHA-256 of `parts` with a sub-key of the signing key: the same on all nodes, and nobody else can
    /// compute it. Each part is preceded by its length.
    pub fn keyed_hash(&self, parts: &[&[u8]]) -> [u8; 32] {
        self.keys[0].hash(parts)
    }

    /// Whether [`Self::keyed_hash`] of `parts` begins with these bytes, with any key of the ring.
    pub fn has_keyed_hash(&self, parts: &[&[u8]], start: &[u8]) -> bool {
        self.keys.iter().any(|key| {
            let hash = key.hash(parts);
            let begins = hash.get(..start.len());
            begins.is_some_and(|begins| verify_slices_are_equal(begins, start).is_ok())
        })
    }

    /// Encrypts `plain` with AES-256-GCM, with `name` as additional data; the result is URL-safe base64.
    pub fn seal(&self, purpose: Purpose, name: &[u8], plain: &[u8]) -> String {
        let nonce = random::<NONCE_LEN>();
        let mut sealed = plain.to_vec();
        self.keys[0]
            .aead_key(purpose)
            .seal_in_place_append_tag(
                Nonce::assume_unique_for_key(nonce),
                Aad::from(name),
                &mut sealed,
            )
            .expect("sealing a short buffer in memory succeeds");
        let mut bytes = Vec::with_capacity(NONCE_LEN + sealed.len());
        bytes.extend_from_slice(&nonce);
        bytes.extend_from_slice(&sealed);
        URL_SAFE_NO_PAD.encode(bytes)
    }

    /// Decrypts what any key of the ring sealed for the same purpose and name.
    pub fn open(&self, purpose: Purpose, name: &[u8], sealed: &str) -> Option<Vec<u8>> {
        let bytes = URL_SAFE_NO_PAD.decode(sealed).ok()?;
        let (nonce, body) = bytes.split_first_chunk::<NONCE_LEN>()?;
        self.keys.iter().find_map(|key| {
            let mut body = body.to_vec();
            let nonce = Nonce::assume_unique_for_key(*nonce);
            let opened = key
                .aead_key(purpose)
                .open_in_place(nonce, Aad::from(name), &mut body);
            opened.ok().map(|plain| plain.to_vec())
        })
    }
}

impl Key {
    fn new(text: &Secret<String>) -> Result<Self, KeyError> {
        let bytes = decode(text.expose()).ok_or(KeyError::Encoding)?;
        if bytes.expose().len() < KEY_BYTES_MIN {
            return Err(KeyError::Short {
                bytes: bytes.expose().len(),
            });
        }
        let root = hkdf::Salt::new(hkdf::HKDF_SHA256, b"menshen").extract(bytes.expose());
        let id = derive(&root, "key id");
        let session = derive(&root, "session");
        Ok(Self {
            id: KeyId(URL_SAFE_NO_PAD.encode(&id.expose()[..8])),
            signing: EncodingKey::from_secret(session.expose()),
            verifying: DecodingKey::from_secret(session.expose()),
            pending: sealing_key(&derive(&root, "pending")),
            ticket: sealing_key(&derive(&root, "ticket")),
            tokens: sealing_key(&derive(&root, "tokens")),
            managed: sealing_key(&derive(&root, "managed")),
            browser: sealing_key(&derive(&root, "browser")),
            hashing: hmac::Key::new(hmac::HMAC_SHA256, derive(&root, "hashing").expose()),
            pair: Arc::new(SigningPair::derive(&root)),
        })
    }

    fn hash(&self, parts: &[&[u8]]) -> [u8; 32] {
        let mut context = hmac::Context::with_key(&self.hashing);
        for part in parts {
            context.update(&(part.len() as u64).to_be_bytes());
            context.update(part);
        }
        let mut hash = [0; 32];
        hash.copy_from_slice(context.sign().as_ref());
        hash
    }

    fn aead_key(&self, purpose: Purpose) -> &LessSafeKey {
        match purpose {
            Purpose::Pending => &self.pending,
            Purpose::Ticket => &self.ticket,
            Purpose::Tokens => &self.tokens,
            Purpose::Managed => &self.managed,
            Purpose::Browser => &self.browser,
        }
    }
}

fn decode(text: &str) -> Option<Secret<Vec<u8>>> {
    let text = text.trim();
    let is_hexadecimal = text.len() >= 2 * KEY_BYTES_MIN
        && text.len().is_multiple_of(2)
        && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    let bytes = if is_hexadecimal {
        text.as_bytes()
            .chunks_exact(2)
            .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok())
            .collect::<Option<Vec<u8>>>()?
    } else {
        let url_safe = text
            .trim_end_matches('=')
            .replace('+', "-")
            .replace('/', "_");
        URL_SAFE_NO_PAD.decode(url_safe).ok()?
    };
    Some(Secret::new(bytes))
}

fn derive(root: &hkdf::Prk, purpose: &str) -> Secret<Vec<u8>> {
    expand(root, &[purpose.as_bytes()])
}

fn expand(root: &hkdf::Prk, info: &[&[u8]]) -> Secret<Vec<u8>> {
    let expanded = root
        .expand(info, hkdf::HKDF_SHA256)
        .expect("32 bytes are within HKDF's limit");
    let mut bytes = vec![0; 32];
    expanded
        .fill(&mut bytes)
        .expect("the buffer has the length of the output");
    Secret::new(bytes)
}

fn sealing_key(bytes: &Secret<Vec<u8>>) -> LessSafeKey {
    let key = UnboundKey::new(&AES_256_GCM, bytes.expose()).expect("the sub-key has 32 bytes");
    LessSafeKey::new(key)
}

#[cfg(test)]
mod tests;
