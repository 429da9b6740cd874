//! Encrypts as senders do, and in ways that are refused.

use aws_lc_rs::aead::{Aad, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::cipher::{EncryptingKey, EncryptionContext, UnboundCipherKey};
use aws_lc_rs::encoding::{AsDer as _, PublicKeyX509Der};
use aws_lc_rs::iv::FixedLength;
use aws_lc_rs::rsa::{
    OAEP_SHA1_MGF1SHA1, OaepAlgorithm, OaepPublicEncryptingKey, Pkcs1PublicEncryptingKey,
    PublicEncryptingKey,
};
use aws_lc_rs::signature::KeyPair as _;
use aws_lc_rs::{aead, cipher};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::{ENCRYPTION_NAMESPACE, PLAIN, SAML};
use crate::login::connector::kit::xml_encryption::ciphers::*;
use crate::login::connector::kit::xml_signature::tests::{Signer, TestKey, idp};

/// How an element is encrypted. The default is what samlp sends.
pub(super) struct Form<'a> {
    pub(super) plain: &'a [u8],
    pub(super) content_method: &'a str,
    pub(super) key_bytes: usize,
    pub(super) key_method: &'a str,
    /// What stands inside the method of the key.
    pub(super) key_parameters: &'a str,
    pub(super) oaep: Option<&'static OaepAlgorithm>,
    pub(super) key_place: KeyPlace,
    /// Adds another encrypted key in front, for another recipient.
    pub(super) other_key: bool,
}

#[derive(Clone, Copy)]
pub(super) enum KeyPlace {
    Inside,
    Beside,
    BesideWithReference,
}

impl Default for Form<'_> {
    fn default() -> Self {
        Self {
            plain: PLAIN.as_bytes(),
            content_method: AES_256_GCM_METHOD,
            key_bytes: 32,
            key_method: RSA_OAEP_MGF1P_METHOD,
            key_parameters: "",
            oaep: Some(&OAEP_SHA1_MGF1SHA1),
            key_place: KeyPlace::Inside,
            other_key: false,
        }
    }
}

fn encrypt_content(method: &str, key: &[u8], plain: &[u8]) -> Vec<u8> {
    let gcm = match (method, key.len()) {
        (method, _) if method.ends_with("-cbc") => {
            let padding = 16 - plain.len() % 16;
            // Only the last byte of the padding is prescribed.
            let mut padded = [plain, &vec![7; padding]].concat();
            *padded.last_mut().unwrap() = padding.to_le_bytes()[0];
            return encrypt_blocks(key, padded);
        }
        (_, 16) => &aead::AES_128_GCM,
        (_, 24) => &aead::AES_192_GCM,
        _ => &aead::AES_256_GCM,
    };
    let sealing = LessSafeKey::new(UnboundKey::new(gcm, key).unwrap());
    let nonce = [9; 12];
    let mut sealed = plain.to_vec();
    let unique = Nonce::assume_unique_for_key(nonce);
    sealing
        .seal_in_place_append_tag(unique, Aad::empty(), &mut sealed)
        .unwrap();
    [&nonce[..], &sealed].concat()
}

pub(super) fn encrypt_blocks(key: &[u8], mut blocks: Vec<u8>) -> Vec<u8> {
    let algorithm = match key.len() {
        16 => &cipher::AES_128,
        24 => &cipher::AES_192,
        _ => &cipher::AES_256,
    };
    let encrypting = UnboundCipherKey::new(algorithm, key).unwrap();
    let encrypting = EncryptingKey::cbc(encrypting).unwrap();
    let iv = EncryptionContext::Iv128(FixedLength::from([5; 16]));
    encrypting.less_safe_encrypt(&mut blocks, iv).unwrap();
    [&[5; 16][..], &blocks].concat()
}

fn public_key(signer: &Signer) -> PublicEncryptingKey {
    let TestKey::Rsa(pair) = &signer.key else {
        panic!("no RSA key");
    };
    let der: PublicKeyX509Der<'_> = pair.public_key().as_der().unwrap();
    PublicEncryptingKey::from_der(der.as_ref()).unwrap()
}

fn encrypt_key(signer: &Signer, oaep: Option<&'static OaepAlgorithm>, key: &[u8]) -> Vec<u8> {
    let public = public_key(signer);
    let mut encrypted = vec![0; public.key_size_bytes()];
    match oaep {
        Some(algorithm) => {
            let public = OaepPublicEncryptingKey::new(public).unwrap();
            public
                .encrypt(algorithm, key, &mut encrypted, None)
                .unwrap();
        }
        None => {
            let public = Pkcs1PublicEncryptingKey::new(public).unwrap();
            public.encrypt(key, &mut encrypted).unwrap();
        }
    }
    encrypted
}

pub(super) fn encrypt(form: &Form<'_>) -> String {
    let key = vec![3; form.key_bytes];
    let content = encrypt_content(form.content_method, &key, form.plain);
    let encrypted_key = |key: &[u8], id: &str| {
        format!(
            "<e:EncryptedKey Id=\"{id}\"><e:EncryptionMethod Algorithm=\"{}\">{}</e:EncryptionMethod>\
             <e:CipherData><e:CipherValue>{}</e:CipherValue></e:CipherData></e:EncryptedKey>",
            form.key_method,
            form.key_parameters,
            STANDARD.encode(encrypt_key(idp(), form.oaep, key)),
        )
    };
    let mut keys = encrypted_key(&key, "_k1");
    if form.other_key {
        keys.insert_str(0, &encrypted_key(&[8; 5], "_k0"));
    }
    let reference = "<ds:RetrievalMethod URI=\"#_k1\"/>".to_owned();
    let (inside, beside) = match form.key_place {
        KeyPlace::Inside => (keys, String::new()),
        KeyPlace::Beside => (String::new(), keys),
        KeyPlace::BesideWithReference => (reference, keys),
    };
    format!(
        "<r xmlns:saml=\"{SAML}\"><saml:EncryptedID><e:EncryptedData \
         xmlns:e=\"{ENCRYPTION_NAMESPACE}\"><e:EncryptionMethod Algorithm=\"{}\"/>\
         <ds:KeyInfo xmlns:ds=\"http://www.w3.org/2000/09/xmldsig#\">{inside}</ds:KeyInfo>\
         <e:CipherData><e:CipherValue>{}</e:CipherValue></e:CipherData></e:EncryptedData>{}\
         </saml:EncryptedID></r>",
        form.content_method,
        STANDARD.encode(content),
        beside.replace(
            "<e:EncryptedKey",
            &format!("<e:EncryptedKey xmlns:e=\"{ENCRYPTION_NAMESPACE}\"")
        ),
    )
}
