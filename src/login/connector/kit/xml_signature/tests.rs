//! A signer that can be dishonest in each way, and a reader that behaves as a service provider does.

use std::sync::OnceLock;

use aws_lc_rs::digest;
use aws_lc_rs::hmac;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair,
    RSA_PKCS1_SHA256, RSA_PKCS1_SHA384, RSA_PKCS1_SHA512, RSA_PSS_SHA256, RSA_PSS_SHA384,
    RSA_PSS_SHA512, RsaKeyPair,
};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::algorithms::{ENVELOPED, EXCLUSIVE};
use super::canonical::Canonical;
use super::*;
use crate::login::connector::kit::xml::{Element, XmlLimits};
use crate::secret::Secret;

mod algorithms;
mod attacks;
mod canonical;
mod forms;
mod mutations;
mod own;

pub(in super::super) const LIMITS: XmlLimits = XmlLimits {
    bytes: 256 << 10,
    elements: 10_000,
    depth: 32,
    attributes: 32,
};

pub(super) const POLICY: SignaturePolicy = SignaturePolicy {
    allow_sha1: false,
    canonical_bytes_max: 1 << 20,
};

const PROTOCOL: &str = "urn:oasis:names:tc:SAML:2.0:protocol";
const ASSERTION: &str = "urn:oasis:names:tc:SAML:2.0:assertion";
const SHA256_RSA: &str = "http://www.w3.org/2001/04/xmldsig-more#rsa-sha256";

/// A response with one assertion. `<!--sign:ID-->` is where the signature of an element goes.
const RESPONSE: &str = "<?xml version=\"1.0\"?>\
    <samlp:Response xmlns:samlp=\"urn:oasis:names:tc:SAML:2.0:protocol\" \
    xmlns:saml=\"urn:oasis:names:tc:SAML:2.0:assertion\" xmlns:xs=\"http://www.w3.org/2001/XMLSchema\" \
    ID=\"_r1\" Version=\"2.0\" InResponseTo=\"_q1\" Destination=\"https://sp.example/acs\">\n  \
    <saml:Issuer>https://idp.example</saml:Issuer><!--sign:_r1-->\n  \
    <samlp:Status><samlp:StatusCode Value=\"urn:oasis:names:tc:SAML:2.0:status:Success\"/></samlp:Status>\n  \
    <saml:Assertion ID=\"_a1\" Version=\"2.0\">\n    <saml:Issuer>https://idp.example</saml:Issuer>\
    <!--sign:_a1-->\n    \
    <saml:Subject><saml:NameID Format=\"urn:x\">alice@corp.example</saml:NameID></saml:Subject>\n    \
    <saml:AttributeStatement><saml:Attribute Name=\"role\"><saml:AttributeValue \
    xmlns:xsi=\"http://www.w3.org/2001/XMLSchema-instance\" xsi:type=\"xs:string\">reader &amp; 张三\
    </saml:AttributeValue></saml:Attribute></saml:AttributeStatement>\n  </saml:Assertion>\n\
    </samlp:Response>";

pub(in super::super) enum TestKey {
    Rsa(RsaKeyPair),
    P256(EcdsaKeyPair),
    P384(EcdsaKeyPair),
    /// A secret that an attacker knows: the public key.
    Hmac(Vec<u8>),
}

pub(in super::super) struct Signer {
    pub(in super::super) key: TestKey,
    pub(in super::super) certificate: Vec<u8>,
    pub(in super::super) pem: String,
}

fn signer(algorithm: &'static rcgen::SignatureAlgorithm) -> Signer {
    let key = if algorithm == &rcgen::PKCS_RSA_SHA256 {
        rcgen::KeyPair::generate_rsa_for(algorithm, rcgen::RsaKeySize::_2048).unwrap()
    } else {
        rcgen::KeyPair::generate_for(algorithm).unwrap()
    };
    let certificate = rcgen::CertificateParams::new(vec!["idp.example".to_owned()]);
    let certificate = certificate.unwrap().self_signed(&key).unwrap();
    let pkcs8 = key.serialize_der();
    let key_pair = |algorithm| EcdsaKeyPair::from_pkcs8(algorithm, &pkcs8).unwrap();
    Signer {
        key: if algorithm == &rcgen::PKCS_RSA_SHA256 {
            TestKey::Rsa(RsaKeyPair::from_pkcs8(&pkcs8).unwrap())
        } else if algorithm == &rcgen::PKCS_ECDSA_P256_SHA256 {
            TestKey::P256(key_pair(&ECDSA_P256_SHA256_FIXED_SIGNING))
        } else {
            TestKey::P384(key_pair(&ECDSA_P384_SHA384_FIXED_SIGNING))
        },
        certificate: certificate.der().to_vec(),
        pem: key.serialize_pem(),
    }
}

/// The identity provider of these tests.
pub(in super::super) fn idp() -> &'static Signer {
    static IDP: OnceLock<Signer> = OnceLock::new();
    IDP.get_or_init(|| signer(&rcgen::PKCS_RSA_SHA256))
}

fn stranger() -> &'static Signer {
    static STRANGER: OnceLock<Signer> = OnceLock::new();
    STRANGER.get_or_init(|| signer(&rcgen::PKCS_RSA_SHA256))
}

impl Signer {
    pub(in super::super) fn verifying_key(&self) -> VerifyingKey {
        VerifyingKey::from_certificate_der(&self.certificate).unwrap()
    }

    pub(in super::super) fn private_key(&self) -> PrivateKey {
        PrivateKey::from_pem(&Secret::new(self.pem.clone())).unwrap()
    }

    fn sign(&self, method: &str, message: &[u8]) -> Vec<u8> {
        let random = SystemRandom::new();
        let pair = match &self.key {
            TestKey::P256(key) | TestKey::P384(key) => {
                return key.sign(&random, message).unwrap().as_ref().to_vec();
            }
            TestKey::Hmac(secret) => {
                let key = hmac::Key::new(hmac::HMAC_SHA256, secret);
                return hmac::sign(&key, message).as_ref().to_vec();
            }
            TestKey::Rsa(pair) => pair,
        };
        let mut signature = vec![0; pair.public_modulus_len()];
        if method.ends_with("#rsa-sha1") {
            let sha1 = digest::digest(&digest::SHA1_FOR_LEGACY_USE_ONLY, message);
            let signed = sha1_with_rsa(pair, sha1.as_ref());
            return signed;
        }
        let encoding = match method.rsplit('#').next().unwrap() {
            "rsa-sha384" => &RSA_PKCS1_SHA384,
            "rsa-sha512" => &RSA_PKCS1_SHA512,
            "sha256-rsa-MGF1" => &RSA_PSS_SHA256,
            "sha384-rsa-MGF1" => &RSA_PSS_SHA384,
            "sha512-rsa-MGF1" => &RSA_PSS_SHA512,
            _ => &RSA_PKCS1_SHA256,
        };
        pair.sign(encoding, &random, message, &mut signature)
            .unwrap();
        signature
    }
}

/// The library signs no SHA-1, so no honest signature with it is made here; `forms.rs` has one by xmlsec1.
fn sha1_with_rsa(pair: &RsaKeyPair, digest: &[u8]) -> Vec<u8> {
    [digest, &vec![0; pair.public_modulus_len() - digest.len()]].concat()
}

/// How a signature is written. The default is honest.
pub(super) struct Form<'a> {
    signer: &'a Signer,
    signature_method: String,
    /// What stands inside `SignatureMethod`.
    method_content: String,
    digest_method: String,
    canonicalization: String,
    /// The elements inside `Transforms`.
    transforms: String,
    /// The prefixes of both canonicalizations that are written in `canonicalization` and `transforms`.
    prefixes: Vec<&'a str>,
    uri: Option<String>,
    /// References after the first.
    more_references: String,
    /// What follows `SignatureValue`.
    key_info: String,
    /// Changes the digest before it is signed.
    bend_digest: bool,
}

impl Default for Form<'_> {
    fn default() -> Self {
        Self {
            signer: idp(),
            signature_method: SHA256_RSA.to_owned(),
            method_content: String::new(),
            digest_method: "http://www.w3.org/2001/04/xmlenc#sha256".to_owned(),
            canonicalization: format!("<ds:CanonicalizationMethod Algorithm=\"{EXCLUSIVE}\"/>"),
            transforms: [transform(ENVELOPED), transform(EXCLUSIVE)].concat(),
            prefixes: Vec::new(),
            uri: None,
            more_references: String::new(),
            key_info: String::new(),
            bend_digest: false,
        }
    }
}

fn transform(algorithm: &str) -> String {
    format!("<ds:Transform Algorithm=\"{algorithm}\"/>")
}

pub(in super::super) fn read(document: &str) -> Element {
    Element::read(document.as_bytes(), LIMITS).unwrap()
}

fn canonical(root: &Element, element: &Element, inclusive: &[&str]) -> String {
    let canonical = Canonical {
        element,
        ancestors: &root.ancestors_of(element).unwrap(),
        inclusive,
        without: None,
        bytes_max: usize::MAX,
    };
    canonical.write().unwrap()
}

/// The document with a signature of the element `id` at its mark.
pub(super) fn sign(document: &str, id: &str, form: &Form<'_>) -> String {
    let root = read(document);
    let signed = canonical(&root, root.with_id(id).unwrap(), &form.prefixes);
    let algorithm = match form.digest_method.rsplit('#').next().unwrap() {
        "sha1" => &digest::SHA1_FOR_LEGACY_USE_ONLY,
        "sha384" => &digest::SHA384,
        "sha512" => &digest::SHA512,
        _ => &digest::SHA256,
    };
    let mut value = digest::digest(algorithm, signed.as_bytes())
        .as_ref()
        .to_vec();
    if form.bend_digest {
        value[0] ^= 1;
    }
    let uri = form.uri.clone().unwrap_or_else(|| format!("#{id}"));
    let signed_info = format!(
        "<ds:SignedInfo>\n{}\n<ds:SignatureMethod Algorithm=\"{}\">{}</ds:SignatureMethod>\n\
         <ds:Reference URI=\"{uri}\"><ds:Transforms>{}</ds:Transforms>\
         <ds:DigestMethod Algorithm=\"{}\"/><ds:DigestValue>{}</ds:DigestValue></ds:Reference>{}\
         </ds:SignedInfo>",
        form.canonicalization,
        form.signature_method,
        form.method_content,
        form.transforms,
        form.digest_method,
        STANDARD.encode(value),
        form.more_references,
    );
    let mark = format!("<!--sign:{id}-->");
    let signature = |value: &str| {
        format!(
            "<ds:Signature xmlns:ds=\"{SIGNATURE_NAMESPACE}\">{signed_info}\
             <ds:SignatureValue>\n{value}\n</ds:SignatureValue>{}</ds:Signature>",
            form.key_info
        )
    };
    assert!(document.contains(&mark), "no place for a signature of {id}");
    // The prefixes in scope at its place belong to the canonical form of SignedInfo.
    let unsigned = read(&document.replace(&mark, &signature("")));
    let mut message = None;
    unsigned.visit(&mut |element| {
        if element.is(SIGNATURE_NAMESPACE, "SignedInfo")
            && canonical(&unsigned, element, &[]).contains(&format!("URI=\"{uri}\""))
        {
            message = Some(canonical(&unsigned, element, &form.prefixes));
        }
    });
    let value = form
        .signer
        .sign(&form.signature_method, message.unwrap().as_bytes());
    document.replace(&mark, &signature(&STANDARD.encode(value)))
}

/// A response whose assertion is signed.
pub(super) fn signed_assertion() -> String {
    sign(RESPONSE, "_a1", &Form::default())
}

/// What the reader learned from a response.
#[derive(Debug, PartialEq, Eq)]
struct Facts {
    name_id: String,
    roles: Vec<String>,
}

fn alice() -> Facts {
    Facts {
        name_id: "alice@corp.example".to_owned(),
        roles: vec!["reader & 张三".to_owned()],
    }
}

#[derive(Debug)]
enum Refusal {
    Xml(XmlError),
    /// Not exactly one.
    Assertions,
    Signature(SignatureRefusal),
}

/// Reads a response as a service provider does: one assertion, and facts only from what is signed.
fn facts(document: &str, keys: &[VerifyingKey]) -> Result<Facts, Refusal> {
    facts_under(document, keys, POLICY)
}

fn facts_under(
    document: &str,
    keys: &[VerifyingKey],
    policy: SignaturePolicy,
) -> Result<Facts, Refusal> {
    let response = Element::read(document.as_bytes(), LIMITS).map_err(Refusal::Xml)?;
    let mut assertions = 0;
    response.visit(&mut |element| {
        assertions += usize::from(element.local_name() == "Assertion");
    });
    let assertion = response
        .only_child(ASSERTION, "Assertion")
        .map_err(Refusal::Xml)?;
    let Some(assertion) =
        assertion.filter(|_| assertions == 1 && response.is(PROTOCOL, "Response"))
    else {
        return Err(Refusal::Assertions);
    };
    let signed_response = is_signed(&response)
        .then(|| verify(&response, &response, keys, policy))
        .transpose()
        .map_err(Refusal::Signature)?;
    let signed_assertion = match &signed_response {
        Some(signed) if !is_signed(assertion) => {
            let inside = signed.root().only_child(ASSERTION, "Assertion").unwrap();
            return Ok(read_facts(inside.unwrap()));
        }
        _ => verify(&response, assertion, keys, policy).map_err(Refusal::Signature)?,
    };
    Ok(read_facts(signed_assertion.root()))
}

fn read_facts(assertion: &Element) -> Facts {
    let subject = assertion.only_child(ASSERTION, "Subject").unwrap();
    let name_id = subject.and_then(|subject| subject.only_child(ASSERTION, "NameID").unwrap());
    let mut roles = Vec::new();
    assertion.visit(&mut |element| {
        if element.is(ASSERTION, "AttributeValue") {
            roles.push(element.text());
        }
    });
    Facts {
        name_id: name_id.map(Element::text).unwrap_or_default(),
        roles,
    }
}

/// The refusal of a document under the key of the identity provider.
fn refusal(document: &str) -> SignatureRefusal {
    match facts(document, &[idp().verifying_key()]) {
        Err(Refusal::Signature(refusal)) => refusal,
        other => panic!("{other:?}: {document}"),
    }
}

#[track_caller]
fn reads_alice(document: &str) {
    let read = facts(document, &[idp().verifying_key()]);
    assert_eq!(read.expect(document), alice());
}
