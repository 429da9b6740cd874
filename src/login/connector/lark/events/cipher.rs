//! The signature and the encryption of events;
//! <https://open.feishu.cn/document/server-docs/event-subscription-guide/event-subscription-configure-/encrypt-key-encryption-configuration-case>.

use aws_lc_rs::cipher::{AES_256, DecryptingKey, DecryptionContext, UnboundCipherKey};
use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::digest;
use aws_lc_rs::iv::FixedLength;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::Signature;
use crate::secret::Secret;

/// The length of a block and of the initialization vector, in bytes.
const BLOCK: usize = 16;

/// The Encrypt Key of an application.
#[derive(Debug)]
pub(super) struct EventCipher {
    encrypt_key: Secret<String>,
    /// The SHA-256 of `encrypt_key`.
    aes_key: Secret<[u8; 32]>,
}

impl EventCipher {
    pub(super) fn new(encrypt_key: Secret<String>) -> Self {
        let hash = digest::digest(&digest::SHA256, encrypt_key.expose().as_bytes());
        let mut aes_key = [0; 32];
        aes_key.copy_from_slice(hash.as_ref());
        Self {
            encrypt_key,
            aes_key: Secret::new(aes_key),
        }
    }

    /// Whether a signature is that of this body: the SHA-256 of time, nonce, key and body, in lower-case
    /// hexadecimal.
    pub(super) fn verifies(&self, signature: &Signature<'_>, body: &[u8]) -> bool {
        let mut hash = digest::Context::new(&digest::SHA256);
        for part in [
            signature.timestamp,
            signature.nonce,
            self.encrypt_key.expose(),
        ] {
            hash.update(part.as_bytes());
        }
        hash.update(body);
        let hash = hash.finish();
        let expected: String = hash.as_ref().iter().map(|b| format!("{b:02x}")).collect();
        verify_slices_are_equal(expected.as_bytes(), signature.signature.as_bytes()).is_ok()
    }

    /// AES-256-CBC with the padding of PKCS #7; the initialization vector comes first. `None` if that is not
    /// what the text is.
    pub(super) fn decrypt(&self, encrypted: &str) -> Option<Vec<u8>> {
        let bytes = STANDARD.decode(encrypted).ok()?;
        let (iv, encrypted) = bytes.split_first_chunk::<BLOCK>()?;
        if encrypted.is_empty() || !encrypted.len().is_multiple_of(BLOCK) {
            return None;
        }
        let unbound = UnboundCipherKey::new(&AES_256, self.aes_key.expose()).ok()?;
        let decrypting = DecryptingKey::cbc(unbound).ok()?;
        let iv = DecryptionContext::Iv128(FixedLength::from(*iv));
        let mut plain = encrypted.to_vec();
        decrypting.decrypt(&mut plain, iv).ok()?;
        let padding = usize::from(*plain.last()?);
        if !(1..=BLOCK).contains(&padding) {
            return None;
        }
        let end = plain.len() - padding;
        let is_padded = plain[end..]
            .iter()
            .all(|byte| usize::from(*byte) == padding);
        plain.truncate(end);
        is_padded.then_some(plain)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cipher(key: &str) -> EventCipher {
        EventCipher::new(Secret::new(key.to_owned()))
    }

    /// A request, whose signature and text were computed by another program.
    const BODY: &str = concat!(
        r#"{"encrypt":"AAECAwQFBgcICQoLDA0ODz6GewAK7JdMyc7jU/MG2FuoQgXEXi/uJUro0ovIIkoGsFMuftM/o5FgMiG15sL"#,
        "XQuTcPQxRNFpk4Z7OqCae+DsU1+CvFugxl/qNtHJNfLHvi28TKvKXrLQQShCl4iXjGftEqAJxW426CgsFApv/NohyafRunfwLogglgA",
        "39LbuLbFeg6T5RIzQTOr6aaw3wMyk02JYz5P9kC0LuWQkIvcyN94UiwfQpi7sgnCp9SpPaIZmOiwpe9VzghhqtIqi4V8+KXcjUhefNt",
        "hjbc08UtXFeVn8KXC5YgzE02Ua18cvtQKkSjuU0e2jU+MWGeH7SqQOx65i7bTFNn+eWDgi+Xss27cjJ3GHLOXQuVwP93B8RJjp2nEKF",
        r#"KoizpFS1zGZjQw=="}"#
    );

    #[test]
    fn the_sample_of_the_documentation_is_decrypted() {
        let cipher = cipher("test key");
        let plain = cipher.decrypt("P37w+VZImNgPEO1RBhJ6RtKl7n6zymIbEG1pReEzghk=");
        assert_eq!(plain.as_deref(), Some(&b"hello world"[..]));
        for other in [
            "",
            "AAAA",
            "P37w+VZImNgPEO1RBhJ6Rg==",
            "P37w+VZImNgPEO1RBhJ6RtKl7n6zymIbEG1pReEzgh",
        ] {
            assert_eq!(cipher.decrypt(other), None, "{other}");
        }
        let wrong = super::tests::cipher("other key");
        assert_ne!(
            wrong
                .decrypt("P37w+VZImNgPEO1RBhJ6RtKl7n6zymIbEG1pReEzghk=")
                .as_deref(),
            Some(&b"hello world"[..])
        );
    }

    #[test]
    fn the_signature_covers_time_nonce_and_every_byte_of_the_body() {
        let cipher = cipher("lark-test-encrypt-key");
        let signature = Signature {
            signature: "f1bab3a5ed3359a329ac524736ce39540643173a844c86b1ce08876bf3ed7e62",
            timestamp: "1700000000",
            nonce: "lark-nonce",
        };
        assert!(cipher.verifies(&signature, BODY.as_bytes()));
        assert!(!cipher.verifies(&signature, format!("{BODY} ").as_bytes()));
        for other in [
            Signature {
                timestamp: "1700000001",
                ..signature
            },
            Signature {
                nonce: "",
                ..signature
            },
            Signature {
                signature: "",
                ..signature
            },
            Signature {
                signature: &signature.signature.to_uppercase(),
                ..signature
            },
        ] {
            assert!(!cipher.verifies(&other, BODY.as_bytes()));
        }
        let body: serde_json::Value = serde_json::from_str(BODY).unwrap();
        let plain = cipher.decrypt(body["encrypt"].as_str().unwrap()).unwrap();
        let event: serde_json::Value = serde_json::from_slice(&plain).unwrap();
        assert_eq!(event["event"]["object"]["union_id"], "on_1");
    }
}
