//! Verifies a `Response` and returns its assertion as its signer signed it.
//!
//! A signature proves nothing about the tree that was received. So the assertion that is returned comes from
//! the bytes whose digest is signed, and what stands around it in the received tree can only refuse.

use super::super::kit::xml::{Element, XmlLimits};
use super::super::kit::xml_encryption::{self, DecryptionPolicy};
use super::super::kit::xml_signature::{
    self, PrivateKey, SignaturePolicy, SignedDocument, VerifyingKey, is_signed,
};
use super::config::{Config, Encrypted};
use super::metadata::IdpMetadata;
use super::names::{ASSERTION, ENTITY, PROTOCOL, SUCCESS};
use super::refusal::{ResponseRefusal, Status};
use super::service_provider::ServiceProvider;

/// The longest accepted message, in bytes.
pub(super) const MESSAGE_BYTES_MAX: usize = 256 * 1024;

pub(super) const LIMITS: XmlLimits = XmlLimits {
    bytes: MESSAGE_BYTES_MAX,
    elements: 10_000,
    depth: 64,
    attributes: 64,
};

/// The canonical form can be several times as long as the document.
const CANONICAL_BYTES_MAX: usize = 4 * MESSAGE_BYTES_MAX;

/// With what a response is verified.
pub(super) struct ResponseRules<'a> {
    pub(super) config: &'a Config,
    pub(super) provider: &'a ServiceProvider,
    pub(super) idp: &'a IdpMetadata,
    /// The ID of the request; absent: the response must answer none.
    pub(super) request_id: Option<&'a str>,
}

/// The assertion of a verified response.
#[derive(Debug)]
pub(super) struct VerifiedAssertion {
    vouched: Vouched,
    /// How encrypted parts of the assertion are opened.
    pub(super) decryption: DecryptionPolicy,
}

/// Who vouches for an assertion.
#[derive(Debug)]
enum Vouched {
    /// Its own signature.
    Assertion(SignedDocument),
    /// The signature of the response, in which it stands.
    Response(SignedDocument),
    /// The signature of the response, which covers the ciphertext of the assertion.
    Ciphertext(Element),
}

impl VerifiedAssertion {
    /// The assertion, from the bytes whose digest is signed.
    pub(super) fn element(&self) -> Result<&Element, ResponseRefusal> {
        match &self.vouched {
            Vouched::Assertion(document) => Ok(document.root()),
            Vouched::Ciphertext(assertion) => Ok(assertion),
            Vouched::Response(document) => plain_assertions(document.root())
                .next()
                .ok_or(ResponseRefusal::NoAssertion),
        }
    }
}

pub(super) fn signature_policy(config: &Config) -> SignaturePolicy {
    SignaturePolicy {
        allow_sha1: config.allow_sha1,
        canonical_bytes_max: CANONICAL_BYTES_MAX,
    }
}

impl ResponseRules<'_> {
    /// Verifies signatures, decrypts the assertion, and checks what the response says about itself.
    pub(super) fn verify(&self, message: &[u8]) -> Result<VerifiedAssertion, ResponseRefusal> {
        let root = Element::read(message, LIMITS).map_err(ResponseRefusal::Unreadable)?;
        if !root.is(PROTOCOL, "Response") || root.attribute("Version") != Some("2.0") {
            return Err(ResponseRefusal::NotResponse);
        }
        let signed_response = match is_signed(&root) {
            false => None,
            true => {
                let verified = self.verify_signature(&root, &root);
                Some(verified.map_err(ResponseRefusal::ResponseSignature)?)
            }
        };
        let response = signed_response.as_ref().map_or(&root, SignedDocument::root);
        self.check_response(response)
            .map_err(|refusal| match signed_response {
                Some(_) => refusal.signed(),
                None => refusal,
            })?;
        if signed_response.is_none() && self.config.signed.needs_response() {
            return Err(ResponseRefusal::ResponseUnsigned);
        }
        self.assertion(&root, signed_response)
    }

    fn check_response(&self, response: &Element) -> Result<(), ResponseRefusal> {
        if response.attribute("Destination") != Some(self.provider.consumer.as_str()) {
            return Err(ResponseRefusal::Destination);
        }
        let issuer = response.only_child(ASSERTION, "Issuer");
        let issuer = issuer.map_err(|_| ResponseRefusal::ResponseIssuer)?;
        if issuer.is_some_and(|issuer| !is_issuer(issuer, self.idp)) {
            return Err(ResponseRefusal::ResponseIssuer);
        }
        match (response.attribute("InResponseTo"), self.request_id) {
            (Some(answered), Some(request)) if answered == request => {}
            (None, None) => {}
            (Some(_), None) => return Err(ResponseRefusal::Solicited),
            (_, Some(_)) => return Err(ResponseRefusal::ResponseInResponseTo),
        }
        check_status(response)
    }

    /// The one assertion, which is signed itself or a part of a signed response.
    fn assertion(
        &self,
        root: &Element,
        signed_response: Option<SignedDocument>,
    ) -> Result<VerifiedAssertion, ResponseRefusal> {
        let decryption = DecryptionPolicy {
            // CBC does not notice alterations, so it counts only where a signature was verified first.
            allow_cbc: self.config.allow_cbc && signed_response.is_some(),
            limits: LIMITS,
        };
        let decrypted;
        let (tree, assertion) = match only_assertion(root)? {
            Found::Plain(_) if self.config.encrypted == Encrypted::Required => {
                return Err(ResponseRefusal::NotEncrypted);
            }
            Found::Plain(assertion) => (root, assertion),
            Found::Encrypted(encrypted) => {
                // If the response is signed, its canonical form has the same ciphertext, but lacks
                // declarations that the plain text may need.
                decrypted = self.open(root, encrypted, decryption)?;
                (&decrypted, &decrypted)
            }
        };
        let is_encrypted = !std::ptr::eq(tree, root);
        if !is_signed(assertion) && self.config.signed.needs_assertion() {
            return Err(ResponseRefusal::AssertionUnsigned);
        }
        let vouched = match signed_response {
            _ if is_signed(assertion) => {
                let verified = self.verify_signature(tree, assertion);
                Vouched::Assertion(verified.map_err(ResponseRefusal::AssertionSignature)?)
            }
            None => return Err(ResponseRefusal::Unsigned),
            Some(_) if is_encrypted => Vouched::Ciphertext(assertion.clone()),
            Some(response) => Vouched::Response(response),
        };
        Ok(VerifiedAssertion {
            vouched,
            decryption,
        })
    }

    fn open(
        &self,
        root: &Element,
        encrypted: &Element,
        policy: DecryptionPolicy,
    ) -> Result<Element, ResponseRefusal> {
        let key: &PrivateKey = self
            .provider
            .private_key()
            .ok_or(ResponseRefusal::NotOpened)?;
        let opened = xml_encryption::decrypt(root, encrypted, key, policy);
        let opened = opened.map_err(|_| ResponseRefusal::NotOpened)?;
        match opened.is(ASSERTION, "Assertion") {
            true => Ok(opened),
            false => Err(ResponseRefusal::NotOpened),
        }
    }

    fn verify_signature(
        &self,
        tree: &Element,
        signed: &Element,
    ) -> Result<SignedDocument, xml_signature::SignatureRefusal> {
        let keys: &[VerifyingKey] = &self.idp.signing_keys;
        xml_signature::verify(tree, signed, keys, signature_policy(self.config))
    }
}

/// An assertion in a response.
enum Found<'a> {
    Plain(&'a Element),
    Encrypted(&'a Element),
}

fn plain_assertions(response: &Element) -> impl Iterator<Item = &Element> {
    response.children_named(ASSERTION, "Assertion")
}

/// The only assertion. One at another place of the document, where another reader might look for it, refuses
/// the response too.
fn only_assertion(root: &Element) -> Result<Found<'_>, ResponseRefusal> {
    let mut anywhere = 0;
    root.visit(&mut |element| {
        let is_assertion =
            element.is(ASSERTION, "Assertion") || element.is(ASSERTION, "EncryptedAssertion");
        anywhere += usize::from(is_assertion);
    });
    let plain = plain_assertions(root).next();
    let encrypted = root.children_named(ASSERTION, "EncryptedAssertion").next();
    match (plain, encrypted, anywhere) {
        (Some(assertion), _, 1) => Ok(Found::Plain(assertion)),
        (None, Some(encrypted), 1) => Ok(Found::Encrypted(encrypted)),
        (_, _, 0 | 1) => Err(ResponseRefusal::NoAssertion),
        (_, _, _) => Err(ResponseRefusal::SeveralAssertions),
    }
}

/// Whether an `Issuer` names the identity provider.
pub(super) fn is_issuer(issuer: &Element, idp: &IdpMetadata) -> bool {
    let is_entity = issuer
        .attribute("Format")
        .is_none_or(|format| format == ENTITY);
    is_entity && issuer.elements().next().is_none() && issuer.text().trim() == idp.entity_id
}

/// The error of a `StatusResponseType` that is no success.
pub(super) fn check_status(response: &Element) -> Result<(), ResponseRefusal> {
    let only = |parent: &Element, name: &'static str| {
        let child = parent.only_child(PROTOCOL, name);
        child.map(|child| child.cloned()).ok().flatten()
    };
    let status = only(response, "Status").ok_or(ResponseRefusal::NoStatus)?;
    let code = only(&status, "StatusCode").ok_or(ResponseRefusal::NoStatus)?;
    let value = code.attribute("Value").unwrap_or_default();
    if value == SUCCESS {
        return Ok(());
    }
    let detail = only(&code, "StatusCode");
    let detail = detail.and_then(|detail| detail.attribute("Value").map(str::to_owned));
    let message = only(&status, "StatusMessage").map(|message| message.text());
    Err(ResponseRefusal::Status(Status {
        code: value.to_owned(),
        detail,
        message: message.filter(|message| !message.trim().is_empty()),
        is_signed: false,
    }))
}
