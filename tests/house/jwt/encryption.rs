//! `Recipient`: a key of menshen, and tokens that are encrypted for it.

use aws_lc_rs::aead::{self, Aad, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::agreement::{self, ECDH_P256, ECDH_P384, UnparsedPublicKey};
use aws_lc_rs::cipher::{self, EncryptionContext, PaddedBlockEncryptingKey, UnboundCipherKey};
use aws_lc_rs::hmac;
use aws_lc_rs::iv::FixedLength;
use aws_lc_rs::kdf::{SskdfDigestAlgorithmId, get_sskdf_digest_algorithm, sskdf_digest};
use aws_lc_rs::key_wrap::{AES_128, AES_256, AesKek, KeyWrap as _};
use aws_lc_rs::rsa::{
    OAEP_SHA1_MGF1SHA1, OAEP_SHA256_MGF1SHA256, OaepPublicEncryptingKey, PublicEncryptingKey,
};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use rcgen::{KeyPair, PublicKeyData as _};
use serde_json::{Value, json};

use crate::provider::merge;

/// Every algorithm for keys.
pub(super) const KEY_ALGORITHMS: [&str; 9] = [
    "dir",
    "A128KW",
    "A256KW",
    "A128GCMKW",
    "A256GCMKW",
    "RSA-OAEP",
    "RSA-OAEP-256",
    "ECDH-ES",
    "ECDH-ES+A256KW",
];

/// Every algorithm for content.
pub(super) const CONTENT_ALGORITHMS: [&str; 4] =
    ["A128GCM", "A256GCM", "A128CBC-HS256", "A256CBC-HS512"];

/// A key of menshen for one pair of algorithms.
pub(super) struct Recipient {
    pub(super) alg: String,
    pub(super) enc: String,
    secret: Vec<u8>,
    pair: Option<KeyPair>,
    curve: (&'static agreement::Algorithm, &'static str),
}

fn random(bytes: usize) -> Vec<u8> {
    let mut random = vec![0; bytes];
    aws_lc_rs::rand::fill(&mut random).unwrap();
    random
}

fn key_bytes(enc: &str) -> usize {
    match enc {
        "A128GCM" => 16,
        "A256GCM" | "A128CBC-HS256" => 32,
        _ => 64,
    }
}

fn encoded(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// How a content key gets to the recipient.
struct SentKey {
    content_key: Vec<u8>,
    encrypted_key: Vec<u8>,
    header: Value,
}

impl Recipient {
    pub(super) fn new(alg: &str, enc: &str) -> Self {
        let secret_bytes = match alg {
            "dir" => key_bytes(enc),
            "A128KW" | "A128GCMKW" => 16,
            _ => 32,
        };
        let pair = match alg {
            "RSA-OAEP" | "RSA-OAEP-256" => Some(&rcgen::PKCS_RSA_SHA256),
            "ECDH-ES" => Some(&rcgen::PKCS_ECDSA_P384_SHA384),
            "ECDH-ES+A256KW" => Some(&rcgen::PKCS_ECDSA_P256_SHA256),
            _ => None,
        };
        Self {
            alg: alg.to_owned(),
            enc: enc.to_owned(),
            secret: random(secret_bytes),
            pair: pair.map(|kind| KeyPair::generate_for(kind).unwrap()),
            curve: match alg {
                "ECDH-ES" => (&ECDH_P384, "P-384"),
                _ => (&ECDH_P256, "P-256"),
            },
        }
    }

    /// The key that decrypts: the shared secret in Base64, or the private key in PEM.
    pub(super) fn key(&self) -> String {
        match &self.pair {
            Some(pair) => pair.serialize_pem(),
            None => STANDARD.encode(&self.secret),
        }
    }

    /// The table `decrypt` of a connector.
    pub(super) fn toml(&self, id: &str) -> String {
        let key = self.key();
        let key = match &self.pair {
            Some(_) => format!("key = '''{key}'''"),
            None => format!("key_encoding = 'base64'\nkey = '{key}'"),
        };
        let Self { alg, enc, .. } = self;
        format!("[connector.{id}.jwt.decrypt]\nalgorithm = '{alg}'\nmethod = '{enc}'\n{key}\n")
    }

    /// Encrypts a text. `more` are further members of the header, or other values of its members.
    pub(super) fn encrypt(&self, plain: &str, more: &Value) -> String {
        let sent = self.send_key();
        let mut header = json!({ "alg": self.alg, "enc": self.enc, "cty": "JWT" });
        merge(&mut header, &sent.header);
        merge(&mut header, more);
        let header = encoded(header.to_string().as_bytes());
        let (iv, ciphertext, tag) = seal(
            &self.enc,
            &sent.content_key,
            header.as_bytes(),
            plain.as_bytes(),
        );
        let [key, iv, ciphertext, tag] =
            [&sent.encrypted_key, &iv, &ciphertext, &tag].map(|bytes| encoded(bytes));
        format!("{header}.{key}.{iv}.{ciphertext}.{tag}")
    }

    fn send_key(&self) -> SentKey {
        let content_key = random(key_bytes(&self.enc));
        let sent = |content_key: &[u8], encrypted_key: Vec<u8>, header| SentKey {
            content_key: content_key.to_vec(),
            encrypted_key,
            header,
        };
        match self.alg.as_str() {
            "dir" => sent(&self.secret, Vec::new(), json!({})),
            "A128KW" | "A256KW" => {
                let wrapped = wrap(&self.secret, &content_key);
                sent(&content_key, wrapped, json!({}))
            }
            "A128GCMKW" | "A256GCMKW" => {
                let (iv, encrypted, tag) = seal_gcm(&self.secret, b"", &content_key);
                let header = json!({ "iv": encoded(&iv), "tag": encoded(&tag) });
                sent(&content_key, encrypted, header)
            }
            "RSA-OAEP" | "RSA-OAEP-256" => {
                let pair = self.pair.as_ref().unwrap();
                let key = PublicEncryptingKey::from_der(&pair.subject_public_key_info()).unwrap();
                let key = OaepPublicEncryptingKey::new(key).unwrap();
                let algorithm = match self.alg.as_str() {
                    "RSA-OAEP" => &OAEP_SHA1_MGF1SHA1,
                    _ => &OAEP_SHA256_MGF1SHA256,
                };
                let mut encrypted = vec![0; key.ciphertext_size()];
                key.encrypt(algorithm, &content_key, &mut encrypted, None)
                    .unwrap();
                sent(&content_key, encrypted, json!({}))
            }
            "ECDH-ES" => {
                let (agreed, header) = self.agree(&self.enc, key_bytes(&self.enc));
                sent(&agreed, Vec::new(), header)
            }
            _ => {
                let (agreed, header) = self.agree(&self.alg, 32);
                sent(&content_key, wrap(&agreed, &content_key), header)
            }
        }
    }

    /// The key that is agreed with a new ephemeral key, and the header that sends the latter.
    fn agree(&self, algorithm: &str, bytes: usize) -> (Vec<u8>, Value) {
        let (curve, name) = self.curve;
        let ephemeral = agreement::PrivateKey::generate(curve).unwrap();
        let public = ephemeral.compute_public_key().unwrap();
        let (x, y) = public.as_ref()[1..].split_at(public.as_ref().len() / 2);
        let epk = json!({ "kty": "EC", "crv": name, "x": encoded(x), "y": encoded(y) });
        let (sender, receiver) = ("portal", "menshen");
        let mut info = Vec::new();
        for field in [algorithm, sender, receiver] {
            info.extend_from_slice(&u32::try_from(field.len()).unwrap().to_be_bytes());
            info.extend_from_slice(field.as_bytes());
        }
        info.extend_from_slice(&u32::try_from(bytes * 8).unwrap().to_be_bytes());
        let pair = self.pair.as_ref().unwrap();
        let peer = UnparsedPublicKey::new(curve, pair.public_key_raw().to_vec());
        let mut key = vec![0; bytes];
        agreement::agree(&ephemeral, peer, (), |shared| {
            let hash = get_sskdf_digest_algorithm(SskdfDigestAlgorithmId::Sha256).unwrap();
            sskdf_digest(hash, shared, &info, &mut key).map_err(|_| ())
        })
        .unwrap();
        let header = json!({
            "epk": epk,
            "apu": encoded(sender.as_bytes()),
            "apv": encoded(receiver.as_bytes()),
        });
        (key, header)
    }
}

fn wrap(key: &[u8], content_key: &[u8]) -> Vec<u8> {
    let block_cipher = if key.len() == 16 { &AES_128 } else { &AES_256 };
    let mut wrapped = vec![0; content_key.len() + 8];
    let key = AesKek::new(block_cipher, key).unwrap();
    key.wrap(content_key, &mut wrapped).unwrap();
    wrapped
}

/// The initialization vector, the encrypted bytes and the tag.
type Sealed = (Vec<u8>, Vec<u8>, Vec<u8>);

fn seal(enc: &str, key: &[u8], additional: &[u8], plain: &[u8]) -> Sealed {
    match enc {
        "A128GCM" | "A256GCM" => seal_gcm(key, additional, plain),
        _ => seal_cbc(key, additional, plain),
    }
}

fn seal_gcm(key: &[u8], additional: &[u8], plain: &[u8]) -> Sealed {
    let algorithm = match key.len() {
        16 => &aead::AES_128_GCM,
        _ => &aead::AES_256_GCM,
    };
    let key = LessSafeKey::new(UnboundKey::new(algorithm, key).unwrap());
    let iv: [u8; 12] = random(12).try_into().unwrap();
    let mut bytes = plain.to_vec();
    let nonce = Nonce::assume_unique_for_key(iv);
    let tag = key
        .seal_in_place_separate_tag(nonce, Aad::from(additional), &mut bytes)
        .unwrap();
    (iv.to_vec(), bytes, tag.as_ref().to_vec())
}

fn seal_cbc(key: &[u8], additional: &[u8], plain: &[u8]) -> Sealed {
    let (mac_key, cipher_key) = key.split_at(key.len() / 2);
    let (block_cipher, mac) = match cipher_key.len() {
        16 => (&cipher::AES_128, hmac::HMAC_SHA256),
        _ => (&cipher::AES_256, hmac::HMAC_SHA512),
    };
    let iv: [u8; 16] = random(16).try_into().unwrap();
    let unbound = UnboundCipherKey::new(block_cipher, cipher_key).unwrap();
    let encrypting = PaddedBlockEncryptingKey::cbc_pkcs7(unbound).unwrap();
    let mut bytes = plain.to_vec();
    let context = EncryptionContext::Iv128(FixedLength::from(iv));
    encrypting.less_safe_encrypt(&mut bytes, context).unwrap();
    let bits = u64::try_from(additional.len()).unwrap() * 8;
    let input = [additional, &iv, &bytes, &bits.to_be_bytes()].concat();
    let tag = hmac::sign(&hmac::Key::new(mac, mac_key), &input);
    let tag = tag.as_ref()[..mac_key.len()].to_vec();
    (iv.to_vec(), bytes, tag)
}
