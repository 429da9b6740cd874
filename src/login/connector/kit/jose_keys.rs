//! The keys of signed and encrypted tokens, as an administrator writes them: shared secrets, and public
//! keys in PEM.

use aws_lc_rs::rsa;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P384_SHA384_FIXED, ED25519, ParsedPublicKey,
};
use base64::alphabet;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig};
use base64::engine::{DecodePaddingMode, Engine as _};
use jsonwebtoken::{Algorithm, AlgorithmFamily, DecodingKey};
use schemars::JsonSchema;
use serde::Deserialize;

use crate::secret::Secret;
use crate::text;
use crate::wording::{Text, error_of_text};

/// The smallest RSA modulus, in bytes.
const RSA_BYTES_MIN: usize = 256;

/// Base64 with or without padding; the URL-safe alphabet is translated before.
const SECRET_ENCODING: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// How a shared secret is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum KeyEncoding {
    /// The bytes of the text are the secret.
    #[default]
    Text,
    /// The text is Base64 of the secret.
    Base64,
}

/// Why a key cannot be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::login::connector) enum KeyProblem {
    Base64,
    Short {
        bytes: usize,
        needed: usize,
        algorithm: &'static str,
    },
    Length {
        bytes: usize,
        needed: usize,
        algorithm: &'static str,
    },
    PemAsSecret,
    PublicKeyAsSecret,
    PrivateKey,
    PublicKey {
        algorithm: &'static str,
        expected: Text,
    },
    DecryptionKey {
        algorithm: &'static str,
        expected: Text,
    },
}

impl KeyProblem {
    fn text(&self) -> Text {
        match self {
            Self::Base64 => Text::fixed("it is not Base64", "不是 Base64"),
            Self::Short {
                bytes,
                needed,
                algorithm,
            } => text!(
                "it has {bytes} bytes, and {algorithm} needs at least {needed}",
                "有 {bytes} 字节，而 {algorithm} 至少需要 {needed} 字节"
            ),
            Self::Length {
                bytes,
                needed,
                algorithm,
            } => text!(
                "it has {bytes} bytes, and {algorithm} needs exactly {needed}",
                "有 {bytes} 字节，而 {algorithm} 需要恰好 {needed} 字节"
            ),
            Self::PemAsSecret => Text::fixed(
                "it is a key in PEM, and this algorithm needs a shared secret",
                "是 PEM 格式的密钥，而这个算法需要共享密钥",
            ),
            Self::PublicKeyAsSecret => Text::fixed(
                "it is a public key, and this algorithm needs a shared secret",
                "是公钥，而这个算法需要共享密钥",
            ),
            Self::PrivateKey => Text::fixed(
                "it is a private key: write the public key of the source",
                "是私钥：请填写对方的公钥",
            ),
            Self::PublicKey {
                algorithm,
                expected,
            } => text!(
                "it is no public key or certificate in PEM for {algorithm}: {expected}",
                "不是 {algorithm} 可用的 PEM 公钥或证书：{expected:#}"
            ),
            Self::DecryptionKey {
                algorithm,
                expected,
            } => text!(
                "it is no private key in PEM for {algorithm}: {expected}",
                "不是 {algorithm} 可用的 PEM 私钥：{expected:#}"
            ),
        }
    }
}

error_of_text!(KeyProblem);

/// The bytes of a shared secret. Refuses keys in PEM and public keys without it, because everybody may know
/// a public key.
pub(in crate::login::connector) fn shared_secret(
    text: &Secret<String>,
    encoding: KeyEncoding,
) -> Result<Secret<Vec<u8>>, KeyProblem> {
    let text = text.expose();
    let bytes = match encoding {
        KeyEncoding::Text => text.as_bytes().to_vec(),
        KeyEncoding::Base64 if is_pem(text.as_bytes()) => return Err(KeyProblem::PemAsSecret),
        KeyEncoding::Base64 => decode_base64(text).ok_or(KeyProblem::Base64)?,
    };
    let bytes = Secret::new(bytes);
    if is_pem(bytes.expose()) {
        return Err(KeyProblem::PemAsSecret);
    }
    // The lines of PEM without its marks, and the same once more in Base64.
    let inner = std::str::from_utf8(bytes.expose()).unwrap_or_default();
    match encodes_public_key(text) || encodes_public_key(inner) {
        true => Err(KeyProblem::PublicKeyAsSecret),
        false => Ok(bytes),
    }
}

/// Whether a text is a public key or a certificate in Base64, in one line or in several.
fn encodes_public_key(text: &str) -> bool {
    let line = zeroize::Zeroizing::new(text.split_whitespace().collect::<String>());
    let decoded = decode_base64(&line).map(Secret::new);
    decoded.is_some_and(|decoded| is_public_key(decoded.expose()))
}

fn decode_base64(text: &str) -> Option<Vec<u8>> {
    let standard = zeroize::Zeroizing::new(text.replace('-', "+").replace('_', "/"));
    SECRET_ENCODING.decode(standard.as_bytes()).ok()
}

/// Whether bytes are one DER sequence of 128 bytes or more, as certificates are. Of random secrets one in
/// millions is.
fn is_long_sequence(bytes: &[u8]) -> bool {
    match bytes {
        [0x30, 0x81, length, content @ ..] => usize::from(*length) == content.len(),
        [0x30, 0x82, high, low, content @ ..] => {
            usize::from(u16::from_be_bytes([*high, *low])) == content.len()
        }
        _ => false,
    }
}

/// Whether bytes are a public key or a certificate in DER, which is the content of PEM.
fn is_public_key(bytes: &[u8]) -> bool {
    const SEQUENCE: u8 = 0x30;
    // Random bytes of this length may be a key on Ed25519, too.
    const RAW_BYTES: usize = 32;
    let mut algorithms = [
        Algorithm::RS256,
        Algorithm::ES256,
        Algorithm::ES384,
        Algorithm::EdDSA,
    ]
    .into_iter();
    bytes.first() == Some(&SEQUENCE)
        && bytes.len() > RAW_BYTES
        && (is_long_sequence(bytes) || algorithms.any(|algorithm| fits(algorithm, bytes)))
}

fn is_pem(bytes: &[u8]) -> bool {
    const MARK: &[u8] = b"-----BEGIN";
    bytes.windows(MARK.len()).any(|window| window == MARK)
}

/// A key that verifies signatures: for HMAC a shared secret that is as long as the hash, else a public key
/// or certificate in PEM.
pub(in crate::login::connector) fn verification_key(
    algorithm: Algorithm,
    text: &Secret<String>,
    encoding: KeyEncoding,
) -> Result<DecodingKey, KeyProblem> {
    if algorithm.family() != AlgorithmFamily::Hmac {
        return public_key(algorithm, text.expose());
    }
    let secret = shared_secret(text, encoding)?;
    let bytes = secret.expose().len();
    // RFC 7518 §3.2.
    let (algorithm, needed) = match algorithm {
        Algorithm::HS384 => ("HS384", 48),
        Algorithm::HS512 => ("HS512", 64),
        _ => ("HS256", 32),
    };
    if bytes < needed {
        return Err(KeyProblem::Short {
            bytes,
            needed,
            algorithm,
        });
    }
    Ok(DecodingKey::from_secret(secret.expose()))
}

fn public_key(algorithm: Algorithm, text: &str) -> Result<DecodingKey, KeyProblem> {
    if text.contains("PRIVATE KEY-----") {
        return Err(KeyProblem::PrivateKey);
    }
    let pem = text.as_bytes();
    let (key, algorithm_name, expected) = match algorithm {
        Algorithm::ES256 => (
            DecodingKey::from_ec_pem(pem),
            "ES256",
            text!("a key on P-256", "应为 P-256 上的密钥"),
        ),
        Algorithm::ES384 => (
            DecodingKey::from_ec_pem(pem),
            "ES384",
            text!("a key on P-384", "应为 P-384 上的密钥"),
        ),
        Algorithm::EdDSA => (
            DecodingKey::from_ed_pem(pem),
            "EdDSA",
            text!("an Ed25519 key", "应为 Ed25519 密钥"),
        ),
        _ => {
            let expected = text!(
                "an RSA key of at least 2048 bits",
                "应为至少 2048 位的 RSA 密钥"
            );
            (DecodingKey::from_rsa_pem(pem), "RSA signatures", expected)
        }
    };
    let usable = key
        .ok()
        .filter(|key| key.try_get_as_bytes().is_ok_and(|key| fits(algorithm, key)));
    usable.ok_or(KeyProblem::PublicKey {
        algorithm: algorithm_name,
        expected,
    })
}

/// Whether a public key has the type and curve, and for RSA the length, that the algorithm needs.
fn fits(algorithm: Algorithm, key: &[u8]) -> bool {
    match algorithm {
        Algorithm::ES256 => ParsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, key).is_ok(),
        Algorithm::ES384 => ParsedPublicKey::new(&ECDSA_P384_SHA384_FIXED, key).is_ok(),
        Algorithm::EdDSA => ParsedPublicKey::new(&ED25519, key).is_ok(),
        _ => rsa::PublicKey::from_der(key).is_ok_and(|key| key.modulus_len() >= RSA_BYTES_MIN),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secret(text: &str) -> Secret<String> {
        Secret::new(text.to_owned())
    }

    #[test]
    fn a_shared_secret_is_a_text_or_base64_in_either_alphabet() {
        let bytes = |text: &str, encoding| {
            shared_secret(&secret(text), encoding).map(|secret| secret.expose().clone())
        };
        assert_eq!(bytes("a+b ", KeyEncoding::Text), Ok(b"a+b ".to_vec()));
        for text in ["+/+/", "-_-_"] {
            assert_eq!(
                bytes(text, KeyEncoding::Base64),
                Ok(vec![0xfb, 0xff, 0xbf]),
                "{text}"
            );
        }
        for text in ["YWI=", "YWI"] {
            assert_eq!(
                bytes(text, KeyEncoding::Base64),
                Ok(b"ab".to_vec()),
                "{text}"
            );
        }
        for text in ["YWI!", "Y", "YW I="] {
            assert_eq!(
                bytes(text, KeyEncoding::Base64),
                Err(KeyProblem::Base64),
                "{text}"
            );
        }
    }

    #[test]
    fn a_shared_secret_is_as_long_as_the_hash() {
        for (algorithm, needed) in [
            (Algorithm::HS256, 32),
            (Algorithm::HS384, 48),
            (Algorithm::HS512, 64),
        ] {
            let key = |bytes: usize| {
                let text = secret(&"k".repeat(bytes));
                verification_key(algorithm, &text, KeyEncoding::Text)
            };
            assert!(key(needed).is_ok(), "{algorithm:?}");
            let problem = key(needed - 1).unwrap_err();
            assert!(
                matches!(problem, KeyProblem::Short { bytes, .. } if bytes == needed - 1),
                "{algorithm:?}: {problem}"
            );
        }
    }

    #[test]
    fn pem_is_no_shared_secret_however_it_is_written() {
        let pem = "-----BEGIN PUBLIC KEY-----\nMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE\n";
        let in_base64 = base64::engine::general_purpose::STANDARD.encode(pem);
        for (text, encoding) in [
            (pem, KeyEncoding::Text),
            (pem, KeyEncoding::Base64),
            (&in_base64, KeyEncoding::Base64),
        ] {
            let key = verification_key(Algorithm::HS256, &secret(text), encoding);
            assert_eq!(key.unwrap_err(), KeyProblem::PemAsSecret, "{text}");
        }
    }

    #[test]
    fn a_public_key_without_pem_is_no_shared_secret() {
        // Ed25519, in the form that PEM wraps.
        let public = "MCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=";
        for encoding in [KeyEncoding::Text, KeyEncoding::Base64] {
            let key = verification_key(Algorithm::HS256, &secret(public), encoding);
            assert_eq!(key.unwrap_err(), KeyProblem::PublicKeyAsSecret);
            let other = public.replacen("MCow", "AAAA", 1);
            assert!(verification_key(Algorithm::HS256, &secret(&other), encoding).is_ok());
        }
    }

    #[test]
    fn a_certificate_without_pem_is_no_shared_secret() {
        use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
        let certificate = |algorithm, names: &[&str]| {
            let names: Vec<_> = names.iter().map(|name| (*name).to_owned()).collect();
            let mut parameters = rcgen::CertificateParams::new(names).unwrap();
            parameters.distinguished_name = rcgen::DistinguishedName::new();
            let pair = rcgen::KeyPair::generate_for(algorithm).unwrap();
            parameters.self_signed(&pair).unwrap().der().to_vec()
        };
        let short = certificate(&rcgen::PKCS_ED25519, &[]);
        assert!(short.len() < 256, "{}", short.len());
        for der in [
            short,
            certificate(&rcgen::PKCS_ED25519, &["portal.corp.example"]),
            certificate(&rcgen::PKCS_ECDSA_P256_SHA256, &["portal.corp.example"]),
            certificate(&rcgen::PKCS_RSA_SHA256, &["portal.corp.example"]),
        ] {
            let line = STANDARD.encode(&der);
            let lines: Vec<_> = line.as_bytes().chunks(64).collect();
            let lines = String::from_utf8(lines.join(&b"\r\n"[..])).unwrap();
            for (text, encoding) in [
                (line.clone(), KeyEncoding::Base64),
                (line.clone(), KeyEncoding::Text),
                (URL_SAFE_NO_PAD.encode(&der), KeyEncoding::Base64),
                (lines, KeyEncoding::Text),
                (STANDARD.encode(&line), KeyEncoding::Base64),
            ] {
                let key = verification_key(Algorithm::HS256, &secret(&text), encoding);
                assert_eq!(key.unwrap_err(), KeyProblem::PublicKeyAsSecret, "{text}");
            }
            // The same bytes with another first one are a secret.
            let other = STANDARD.encode([&[0x31], &der[1..]].concat());
            let key = verification_key(Algorithm::HS256, &secret(&other), KeyEncoding::Base64);
            assert!(key.is_ok());
        }
    }
}
