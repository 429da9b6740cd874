//! Encrypts assertions, as identity providers do and in ways that are refused.

use aws_lc_rs::aead::{Aad, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::cipher::{EncryptingKey, EncryptionContext, UnboundCipherKey};
use aws_lc_rs::iv::FixedLength;
use aws_lc_rs::rsa::{
    OAEP_SHA1_MGF1SHA1, OAEP_SHA256_MGF1SHA256, OaepAlgorithm, OaepPublicEncryptingKey,
    Pkcs1PublicEncryptingKey, PublicEncryptingKey,
};
use aws_lc_rs::{aead, cipher};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::keys::{self, TestKey};
use super::response::ASSERTION;
use super::signer::SIGNATURE;

const ENCRYPTION: &str = "http://www.w3.org/2001/04/xmlenc#";

pub(crate) const AES_128_GCM: &str = "http://www.w3.org/2009/xmlenc11#aes128-gcm";
pub(crate) const AES_192_GCM: &str = "http://www.w3.org/2009/xmlenc11#aes192-gcm";
pub(crate) const AES_256_GCM: &str = "http://www.w3.org/2009/xmlenc11#aes256-gcm";
pub(crate) const AES_128_CBC: &str = "http://www.w3.org/2001/04/xmlenc#aes128-cbc";
pub(crate) const AES_256_CBC: &str = "http://www.w3.org/2001/04/xmlenc#aes256-cbc";
pub(crate) const TRIPLE_DES: &str = "http://www.w3.org/2001/04/xmlenc#tripledes-cbc";

/// The encryption of a key.
#[derive(Clone, Copy, Debug)]
pub(crate) enum KeyCipher {
    /// The identifier of 2001, whose hash is SHA-1 if none is given.
    OaepMgf1p,
    OaepSha256,
    Pkcs1,
}

/// How an assertion is encrypted.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Encryption {
    pub(crate) content: &'static str,
    pub(crate) key: KeyCipher,
    pub(crate) recipient: &'static TestKey,
    /// Changes a bit of the encrypted content at this place.
    pub(crate) altered_at: Option<usize>,
}

impl Default for Encryption {
    /// For menshen, with what its metadata offers.
    fn default() -> Self {
        Self {
            content: AES_256_GCM,
            key: KeyCipher::OaepMgf1p,
            recipient: keys::own(),
            altered_at: None,
        }
    }
}

impl Encryption {
    pub(crate) fn of_content(content: &'static str) -> Self {
        Self {
            content,
            ..Self::default()
        }
    }

    /// `EncryptedAssertion` with this element inside.
    pub(crate) fn encrypt(self, assertion: &str) -> String {
        let key: [u8; 32] = menshen::keys::random();
        let key = match self.content {
            AES_128_GCM | AES_128_CBC => &key[..16],
            AES_192_GCM | TRIPLE_DES => &key[..24],
            _ => &key[..],
        };
        let mut content = encrypted_content(self.content, key, assertion.as_bytes());
        if let Some(at) = self.altered_at {
            content[at] ^= 1;
        }
        let (method, parameters) = self.key_method();
        format!(
            "<saml:EncryptedAssertion xmlns:saml=\"{ASSERTION}\">\
             <xenc:EncryptedData xmlns:xenc=\"{ENCRYPTION}\" Type=\"{ENCRYPTION}Element\">\
             <xenc:EncryptionMethod Algorithm=\"{}\"></xenc:EncryptionMethod>\
             <ds:KeyInfo xmlns:ds=\"{SIGNATURE}\"><xenc:EncryptedKey>\
             <xenc:EncryptionMethod Algorithm=\"{method}\">{parameters}</xenc:EncryptionMethod>\
             <xenc:CipherData><xenc:CipherValue>{}</xenc:CipherValue></xenc:CipherData>\
             </xenc:EncryptedKey></ds:KeyInfo><xenc:CipherData><xenc:CipherValue>{}</xenc:CipherValue>\
             </xenc:CipherData></xenc:EncryptedData></saml:EncryptedAssertion>",
            self.content,
            STANDARD.encode(self.encrypted_key(key)),
            STANDARD.encode(content),
        )
    }

    fn key_method(self) -> (&'static str, String) {
        match self.key {
            KeyCipher::OaepMgf1p => (
                "http://www.w3.org/2001/04/xmlenc#rsa-oaep-mgf1p",
                String::new(),
            ),
            KeyCipher::Pkcs1 => ("http://www.w3.org/2001/04/xmlenc#rsa-1_5", String::new()),
            KeyCipher::OaepSha256 => (
                "http://www.w3.org/2009/xmlenc11#rsa-oaep",
                // The prefix `ds` is declared around it.
                "<ds:DigestMethod Algorithm=\"http://www.w3.org/2001/04/xmlenc#sha256\"></ds:DigestMethod>\
                 <e11:MGF xmlns:e11=\"http://www.w3.org/2009/xmlenc11#\" \
                 Algorithm=\"http://www.w3.org/2009/xmlenc11#mgf1sha256\"></e11:MGF>"
                    .to_owned(),
            ),
        }
    }

    fn encrypted_key(self, key: &[u8]) -> Vec<u8> {
        let public = PublicEncryptingKey::from_der(&self.recipient.public_der).unwrap();
        let mut encrypted = vec![0; public.key_size_bytes()];
        let oaep: &'static OaepAlgorithm = match self.key {
            KeyCipher::OaepMgf1p => &OAEP_SHA1_MGF1SHA1,
            KeyCipher::OaepSha256 => &OAEP_SHA256_MGF1SHA256,
            KeyCipher::Pkcs1 => {
                let public = Pkcs1PublicEncryptingKey::new(public).unwrap();
                public.encrypt(key, &mut encrypted).unwrap();
                return encrypted;
            }
        };
        let public = OaepPublicEncryptingKey::new(public).unwrap();
        public.encrypt(oaep, key, &mut encrypted, None).unwrap();
        encrypted
    }
}

fn encrypted_content(method: &str, key: &[u8], plain: &[u8]) -> Vec<u8> {
    let gcm = match method {
        AES_128_GCM => &aead::AES_128_GCM,
        AES_192_GCM => &aead::AES_192_GCM,
        AES_256_GCM => &aead::AES_256_GCM,
        _ => return encrypted_blocks(key, plain),
    };
    let nonce: [u8; 12] = menshen::keys::random();
    let mut sealed = plain.to_vec();
    LessSafeKey::new(UnboundKey::new(gcm, key).unwrap())
        .seal_in_place_append_tag(
            Nonce::assume_unique_for_key(nonce),
            Aad::empty(),
            &mut sealed,
        )
        .unwrap();
    [&nonce[..], &sealed].concat()
}

/// AES-CBC. The library has no Triple DES, so AES with a key of that length stands in for it; a reader that
/// accepts neither does not notice.
fn encrypted_blocks(key: &[u8], plain: &[u8]) -> Vec<u8> {
    let algorithm = match key.len() {
        16 => &cipher::AES_128,
        24 => &cipher::AES_192,
        _ => &cipher::AES_256,
    };
    let padding = 16 - plain.len() % 16;
    let mut blocks = [plain, &vec![0; padding]].concat();
    *blocks.last_mut().unwrap() = u8::try_from(padding).unwrap();
    let iv: [u8; 16] = menshen::keys::random();
    let key = EncryptingKey::cbc(UnboundCipherKey::new(algorithm, key).unwrap()).unwrap();
    let context = EncryptionContext::Iv128(FixedLength::from(iv));
    key.less_safe_encrypt(&mut blocks, context).unwrap();
    [&iv[..], &blocks].concat()
}
