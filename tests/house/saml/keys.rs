//! The keys of the simulated identity provider, of an attacker, and of menshen.

use std::fmt;
use std::sync::LazyLock;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair,
    RSA_PKCS1_SHA256, RSA_PKCS1_SHA384, RSA_PKCS1_SHA512, RSA_PSS_SHA256, RSA_PSS_SHA384,
    RSA_PSS_SHA512, RsaKeyPair,
};
use aws_lc_rs::{digest, hmac};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use menshen::login::connector::kit::xml_signature::VerifyingKey;
use rcgen::PublicKeyData as _;

use super::rsa_sha1;

/// A private key with a self-signed certificate.
pub(crate) struct TestKey {
    pair: Pair,
    pkcs8: Vec<u8>,
    pub(crate) private_pem: String,
    pub(crate) certificate_pem: String,
    pub(crate) certificate_der: Vec<u8>,
    /// `SubjectPublicKeyInfo` in DER.
    pub(crate) public_der: Vec<u8>,
}

enum Pair {
    Rsa(Box<RsaKeyPair>),
    Ecdsa(EcdsaKeyPair),
}

macro_rules! keys {
    ($($(#[$doc:meta])* $name:ident = $algorithm:ident;)*) => {$(
        $(#[$doc])*
        pub(crate) fn $name() -> &'static TestKey {
            static KEY: LazyLock<TestKey> = LazyLock::new(|| TestKey::generate(&rcgen::$algorithm));
            &KEY
        }
    )*};
}

keys! {
    /// The first key of the identity provider.
    first = PKCS_RSA_SHA256;
    /// The key to which it changes.
    second = PKCS_RSA_SHA256;
    p256 = PKCS_ECDSA_P256_SHA256;
    p384 = PKCS_ECDSA_P384_SHA384;
    /// The key of an attacker.
    stranger = PKCS_RSA_SHA256;
    /// The key of menshen.
    own = PKCS_RSA_SHA256;
}

pub(crate) const RSA_SHA1: &str = "http://www.w3.org/2000/09/xmldsig#rsa-sha1";
pub(crate) const RSA_SHA256: &str = "http://www.w3.org/2001/04/xmldsig-more#rsa-sha256";
pub(crate) const ECDSA_SHA256: &str = "http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha256";
pub(crate) const ECDSA_SHA384: &str = "http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha384";
pub(crate) const HMAC_SHA256: &str = "http://www.w3.org/2001/04/xmldsig-more#hmac-sha256";

impl TestKey {
    fn generate(algorithm: &'static rcgen::SignatureAlgorithm) -> Self {
        let key = if algorithm == &rcgen::PKCS_RSA_SHA256 {
            rcgen::KeyPair::generate_rsa_for(algorithm, rcgen::RsaKeySize::_2048).unwrap()
        } else {
            rcgen::KeyPair::generate_for(algorithm).unwrap()
        };
        let certificate = rcgen::CertificateParams::new(vec!["idp.example".to_owned()]);
        let certificate = certificate.unwrap().self_signed(&key).unwrap();
        let pkcs8 = key.serialize_der();
        let ecdsa = |curve| Pair::Ecdsa(EcdsaKeyPair::from_pkcs8(curve, &pkcs8).unwrap());
        let pair = if algorithm == &rcgen::PKCS_RSA_SHA256 {
            Pair::Rsa(Box::new(RsaKeyPair::from_pkcs8(&pkcs8).unwrap()))
        } else if algorithm == &rcgen::PKCS_ECDSA_P256_SHA256 {
            ecdsa(&ECDSA_P256_SHA256_FIXED_SIGNING)
        } else {
            ecdsa(&ECDSA_P384_SHA384_FIXED_SIGNING)
        };
        Self {
            pair,
            private_pem: key.serialize_pem(),
            certificate_pem: certificate.pem(),
            certificate_der: certificate.der().to_vec(),
            public_der: key.subject_public_key_info(),
            pkcs8,
        }
    }

    /// The method that fits this key by default.
    pub(crate) fn method(&self) -> &'static str {
        match &self.pair {
            Pair::Rsa(_) => RSA_SHA256,
            Pair::Ecdsa(_) if self.public_der.len() < 100 => ECDSA_SHA256,
            Pair::Ecdsa(_) => ECDSA_SHA384,
        }
    }

    /// The signature of any bytes by the method with this identifier. With HMAC the shared secret is the
    /// certificate, which everybody knows.
    pub(crate) fn sign(&self, method: &str, message: &[u8]) -> Vec<u8> {
        let random = SystemRandom::new();
        if method == HMAC_SHA256 {
            let key = hmac::Key::new(hmac::HMAC_SHA256, &self.certificate_der);
            return hmac::sign(&key, message).as_ref().to_vec();
        }
        let pair = match &self.pair {
            Pair::Ecdsa(pair) => return pair.sign(&random, message).unwrap().as_ref().to_vec(),
            Pair::Rsa(pair) => pair,
        };
        let encoding = match method.rsplit('#').next().unwrap() {
            "rsa-sha1" => {
                let sha1 = digest::digest(&digest::SHA1_FOR_LEGACY_USE_ONLY, message);
                return rsa_sha1::sign(&self.pkcs8, sha1.as_ref());
            }
            "rsa-sha384" => &RSA_PKCS1_SHA384,
            "rsa-sha512" => &RSA_PKCS1_SHA512,
            "sha256-rsa-MGF1" => &RSA_PSS_SHA256,
            "sha384-rsa-MGF1" => &RSA_PSS_SHA384,
            "sha512-rsa-MGF1" => &RSA_PSS_SHA512,
            _ => &RSA_PKCS1_SHA256,
        };
        let mut signature = vec![0; pair.public_modulus_len()];
        pair.sign(encoding, &random, message, &mut signature)
            .unwrap();
        signature
    }

    /// `ds:KeyInfo` with the certificate.
    pub(crate) fn key_info(&self) -> String {
        format!(
            "<ds:KeyInfo xmlns:ds=\"http://www.w3.org/2000/09/xmldsig#\"><ds:X509Data>\
             <ds:X509Certificate>{}</ds:X509Certificate></ds:X509Data></ds:KeyInfo>",
            self.certificate_base64()
        )
    }

    pub(crate) fn certificate_base64(&self) -> String {
        STANDARD.encode(&self.certificate_der)
    }

    pub(crate) fn verifying_key(&self) -> VerifyingKey {
        VerifyingKey::from_certificate_der(&self.certificate_der).unwrap()
    }
}

impl fmt::Debug for TestKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.method())
    }
}
