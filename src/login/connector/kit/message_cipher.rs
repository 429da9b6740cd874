//! `MessageCipher`: the signature and the encryption of callbacks, which WeCom and DingTalk share;
//! <https://developer.work.weixin.qq.com/document/path/96211>.

use aws_lc_rs::cipher::{
    AES_256, DecryptingKey, DecryptionContext, EncryptingKey, EncryptionContext, UnboundCipherKey,
};
use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::digest;
use aws_lc_rs::iv::FixedLength;
use base64::alphabet;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig, STANDARD};
use base64::engine::{DecodePaddingMode, Engine as _};

use crate::keys;
use crate::secret::Secret;
use crate::text;
use crate::wording::{Text, error_of_text};

/// Padded messages have a multiple of this length, although the block of AES has only 16 bytes.
const PADDED_TO: usize = 32;
/// The random bytes at the start of a message.
const RANDOM_BYTES: usize = 16;
/// The length field after them.
const LENGTH_BYTES: usize = 4;

/// Decodes `EncodingAESKey`. Its last character carries two bits that belong to no byte. They are rarely
/// zero, so a strict decoder refuses most keys.
const KEY_ENCODING: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_allow_trailing_bits(true)
        .with_decode_padding_mode(DecodePaddingMode::RequireNone),
);

/// The characters of `EncodingAESKey`.
const KEY_CHARS: usize = 43;

/// The token and the key of one callback URL.
#[derive(Debug)]
pub(crate) struct MessageCipher {
    token: Secret<String>,
    key: Secret<[u8; 32]>,
    receive_id: String,
}

/// The parameters of a callback that its signature covers.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SignedParts<'a> {
    pub(crate) signature: &'a str,
    pub(crate) timestamp: &'a str,
    pub(crate) nonce: &'a str,
    /// The encrypted message, in Base64.
    pub(crate) encrypted: &'a str,
}

/// An encrypted message, and its signature.
#[derive(Debug)]
pub(crate) struct SealedMessage {
    pub(crate) signature: String,
    /// In Base64.
    pub(crate) encrypted: String,
}

/// `EncodingAESKey` is not 43 letters and digits, which always decode to 32 bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct InvalidAesKey;

impl InvalidAesKey {
    fn text(&self) -> Text {
        Text::fixed("it is not 43 letters and digits", "应为 43 个字母和数字")
    }
}

error_of_text!(InvalidAesKey);

/// Why a callback was not opened. The reasons go to the log; the sender gets the same response for all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CipherError {
    Signature,
    Decryption,
    Receiver,
    Encryption,
}

impl CipherError {
    fn text(&self) -> Text {
        match self {
            Self::Signature => Text::fixed(
                "the signature does not match: check `token`",
                "签名不符：请检查 `token`",
            ),
            Self::Decryption => Text::fixed(
                "the message cannot be decrypted: check `encoding_aes_key`",
                "无法解密消息：请检查 `encoding_aes_key`",
            ),
            Self::Receiver => Text::fixed(
                "the message is for another receiver than `receive_id`",
                "消息的接收方不是 `receive_id`",
            ),
            Self::Encryption => Text::fixed("the answer cannot be encrypted", "无法加密响应"),
        }
    }
}

error_of_text!(CipherError);

/// What is wrong with an `EncodingAESKey`, and what to do.
pub(crate) fn malformed_key(text: &Secret<String>) -> Option<(Text, Text)> {
    let error = decode_key(text.expose()).err()?;
    let help = text!(
        "copy the EncodingAESKey from the console of the provider",
        "请从认证源的管理后台复制 EncodingAESKey"
    );
    Some((Text::of(&error), help))
}

impl MessageCipher {
    pub(crate) fn new(
        token: Secret<String>,
        encoding_aes_key: &Secret<String>,
        receive_id: String,
    ) -> Result<Self, InvalidAesKey> {
        Ok(Self {
            token,
            key: decode_key(encoding_aes_key.expose())?,
            receive_id,
        })
    }

    /// Verifies the signature, then decrypts the message. Without the signature nothing is decrypted: the
    /// encryption has no integrity of its own.
    pub(crate) fn open(&self, parts: SignedParts<'_>) -> Result<Vec<u8>, CipherError> {
        let expected = self.signature(&parts);
        verify_slices_are_equal(expected.as_bytes(), parts.signature.as_bytes())
            .map_err(|_| CipherError::Signature)?;
        let encrypted = STANDARD
            .decode(parts.encrypted)
            .map_err(|_| CipherError::Decryption)?;
        let plain = self.decrypt(encrypted).ok_or(CipherError::Decryption)?;
        let (message, receiver) = split(&plain).ok_or(CipherError::Decryption)?;
        if receiver != self.receive_id.as_bytes() {
            return Err(CipherError::Receiver);
        }
        Ok(message.to_vec())
    }

    /// Encrypts and signs a message, as the source does.
    pub(crate) fn seal(
        &self,
        message: &[u8],
        timestamp: &str,
        nonce: &str,
    ) -> Result<SealedMessage, CipherError> {
        let encrypted = self.encrypt(message).ok_or(CipherError::Encryption)?;
        let encrypted = STANDARD.encode(encrypted);
        let parts = SignedParts {
            signature: "",
            timestamp,
            nonce,
            encrypted: &encrypted,
        };
        Ok(SealedMessage {
            signature: self.signature(&parts),
            encrypted,
        })
    }

    /// The SHA-1 that the source requires, of the four texts in byte order, in lower-case hexadecimal.
    fn signature(&self, parts: &SignedParts<'_>) -> String {
        let token = self.token.expose().as_str();
        let mut texts = [token, parts.timestamp, parts.nonce, parts.encrypted];
        texts.sort_unstable();
        let mut hash = digest::Context::new(&digest::SHA1_FOR_LEGACY_USE_ONLY);
        for text in texts {
            hash.update(text.as_bytes());
        }
        let hash = hash.finish();
        hash.as_ref()
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect()
    }

    /// AES-256-CBC; the initialization vector is the first half of the key. Removes the padding.
    fn decrypt(&self, mut bytes: Vec<u8>) -> Option<Vec<u8>> {
        if bytes.is_empty() || !bytes.len().is_multiple_of(PADDED_TO) {
            return None;
        }
        let (key, iv) = self.key_and_vector()?;
        let decrypting = DecryptingKey::cbc(key).ok()?;
        let iv = DecryptionContext::Iv128(iv);
        decrypting.decrypt(&mut bytes, iv).ok()?;
        let padding = usize::from(*bytes.last()?);
        if !(1..=PADDED_TO).contains(&padding) || padding > bytes.len() {
            return None;
        }
        let end = bytes.len() - padding;
        let is_padded = bytes[end..]
            .iter()
            .all(|byte| usize::from(*byte) == padding);
        bytes.truncate(end);
        is_padded.then_some(bytes)
    }

    /// Adds random bytes, length, receiver and padding, and encrypts.
    fn encrypt(&self, message: &[u8]) -> Option<Vec<u8>> {
        let mut bytes = keys::random::<RANDOM_BYTES>().to_vec();
        bytes.extend(u32::try_from(message.len()).ok()?.to_be_bytes());
        bytes.extend(message);
        bytes.extend(self.receive_id.as_bytes());
        let padding = PADDED_TO - bytes.len() % PADDED_TO;
        bytes.resize(bytes.len() + padding, u8::try_from(padding).ok()?);
        let (key, iv) = self.key_and_vector()?;
        let encrypting = EncryptingKey::cbc(key).ok()?;
        let iv = EncryptionContext::Iv128(iv);
        encrypting.less_safe_encrypt(&mut bytes, iv).ok()?;
        Some(bytes)
    }

    fn key_and_vector(&self) -> Option<(UnboundCipherKey, FixedLength<16>)> {
        let key = self.key.expose();
        let iv: [u8; 16] = key[..16].try_into().ok()?;
        Some((UnboundCipherKey::new(&AES_256, key).ok()?, iv.into()))
    }
}

/// Decodes `EncodingAESKey`.
fn decode_key(text: &str) -> Result<Secret<[u8; 32]>, InvalidAesKey> {
    let is_plain = text.len() == KEY_CHARS && text.bytes().all(|byte| byte.is_ascii_alphanumeric());
    let decoded = is_plain.then(|| KEY_ENCODING.decode(text));
    let bytes = decoded.and_then(Result::ok).map(zeroize::Zeroizing::new);
    let key = bytes.and_then(|bytes| <[u8; 32]>::try_from(bytes.as_slice()).ok());
    key.map(Secret::new).ok_or(InvalidAesKey)
}

/// Splits a decrypted message into its content and its receiver.
fn split(plain: &[u8]) -> Option<(&[u8], &[u8])> {
    let rest = plain.get(RANDOM_BYTES..)?;
    let (length, rest) = rest.split_first_chunk::<LENGTH_BYTES>()?;
    let length = usize::try_from(u32::from_be_bytes(*length)).ok()?;
    rest.split_at_checked(length)
}

#[cfg(test)]
mod tests;
