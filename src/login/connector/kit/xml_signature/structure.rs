//! The parts of a signature. Only the form that SAML 2.0 §5.4 prescribes is read; everything else in it is
//! refused before any key is used.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::super::xml::{Element, Node};
use super::algorithms::{ENVELOPED, EXCLUSIVE, Hash, SignatureAlgorithm};
use super::{SIGNATURE_NAMESPACE, SignaturePolicy, SignatureRefusal};

/// The most prefixes in one list of `InclusiveNamespaces`. Okta and Shibboleth name one.
const PREFIXES_MAX: usize = 16;

/// What a signature says.
pub(super) struct Signature<'a> {
    pub(super) signed_info: &'a Element,
    /// The inclusive prefixes for `signed_info`.
    pub(super) signed_info_prefixes: Vec<&'a str>,
    pub(super) algorithm: SignatureAlgorithm,
    pub(super) value: Vec<u8>,
    pub(super) reference: Reference<'a>,
}

/// What is signed.
pub(super) struct Reference<'a> {
    pub(super) id: &'a str,
    /// The inclusive prefixes for the signed element.
    pub(super) prefixes: Vec<&'a str>,
    pub(super) hash: Hash,
    pub(super) digest: Vec<u8>,
}

impl<'a> Signature<'a> {
    pub(super) fn of(
        signature: &'a Element,
        policy: SignaturePolicy,
    ) -> Result<Self, SignatureRefusal> {
        let mut parts = Parts::of(signature)?;
        let signed_info = parts.next("SignedInfo")?;
        let value = parts.next("SignatureValue")?;
        // What `KeyInfo` says is ignored: keys come from the metadata of the source.
        parts.skip("KeyInfo");
        parts.end()?;
        let mut parts = Parts::of(signed_info)?;
        let canonicalization = parts.next("CanonicalizationMethod")?;
        let method = parts.next("SignatureMethod")?;
        let reference = parts.next("Reference")?;
        if parts.skip("Reference") {
            return Err(SignatureRefusal::SeveralReferences);
        }
        parts.end()?;
        Parts::of(method)?.end()?;
        Ok(Self {
            signed_info,
            signed_info_prefixes: exclusive_prefixes(canonicalization)?
                .ok_or(SignatureRefusal::Canonicalization)?,
            algorithm: SignatureAlgorithm::of_signature_method(algorithm(method)?, policy)?,
            value: decode(value, "SignatureValue")?,
            reference: Reference::of(reference, policy)?,
        })
    }
}

impl<'a> Reference<'a> {
    fn of(reference: &'a Element, policy: SignaturePolicy) -> Result<Self, SignatureRefusal> {
        let uri = reference.attribute("URI");
        let id = uri.and_then(|uri| uri.strip_prefix('#'));
        let mut parts = Parts::of(reference)?;
        let transforms = parts.next("Transforms")?;
        let method = parts.next("DigestMethod")?;
        let digest = parts.next("DigestValue")?;
        parts.end()?;
        Parts::of(method)?.end()?;
        Ok(Self {
            id: id.ok_or(SignatureRefusal::ForeignReference)?,
            prefixes: prefixes_of_transforms(transforms)?,
            hash: Hash::of_digest_method(algorithm(method)?, policy)?,
            digest: decode(digest, "DigestValue")?,
        })
    }
}

/// The inclusive prefixes, if the transforms are the two that are allowed, in their order.
fn prefixes_of_transforms(transforms: &Element) -> Result<Vec<&str>, SignatureRefusal> {
    let mut parts = Parts::of(transforms)?;
    let enveloped = parts.next("Transform")?;
    let Ok(exclusive) = parts.next("Transform") else {
        return Err(SignatureRefusal::Transforms);
    };
    if parts.end().is_err() || algorithm(enveloped)? != ENVELOPED {
        return Err(SignatureRefusal::Transforms);
    }
    Parts::of(enveloped)?.end()?;
    exclusive_prefixes(exclusive)?.ok_or(SignatureRefusal::Transforms)
}

/// The inclusive prefixes of a canonicalization; `None` if it is not the exclusive one without comments.
fn exclusive_prefixes(method: &Element) -> Result<Option<Vec<&str>>, SignatureRefusal> {
    if algorithm(method)? != EXCLUSIVE {
        return Ok(None);
    }
    let mut parts = Parts::of(method)?;
    let list = parts.next_of(EXCLUSIVE, "InclusiveNamespaces");
    parts.end()?;
    let Some(list) = list else {
        return Ok(Some(Vec::new()));
    };
    Parts::of(list)?.end()?;
    let list = list.attribute("PrefixList").unwrap_or_default();
    let mut prefixes: Vec<&str> = Vec::new();
    for prefix in list.split_ascii_whitespace() {
        let prefix = if prefix == "#default" { "" } else { prefix };
        if !prefixes.contains(&prefix) {
            prefixes.push(prefix);
        }
        if prefixes.len() > PREFIXES_MAX {
            return Err(SignatureRefusal::UnexpectedContent("a long PrefixList"));
        }
    }
    Ok(Some(prefixes))
}

fn algorithm(method: &Element) -> Result<&str, SignatureRefusal> {
    let algorithm = method.attribute("Algorithm");
    algorithm.ok_or(SignatureRefusal::Missing("an algorithm"))
}

/// The bytes in an element that holds base64, which may be broken into lines.
fn decode(element: &Element, name: &'static str) -> Result<Vec<u8>, SignatureRefusal> {
    if element.elements().next().is_some() {
        return Err(SignatureRefusal::UnexpectedContent("an element in base64"));
    }
    let mut text = element.text();
    text.retain(|character| !character.is_ascii_whitespace());
    let bytes = STANDARD.decode(text);
    bytes.map_err(|_| SignatureRefusal::Encoding(name))
}

/// The elements of a parent whose content is prescribed, in their order.
struct Parts<'a>(Vec<&'a Element>);

impl<'a> Parts<'a> {
    fn of(parent: &'a Element) -> Result<Self, SignatureRefusal> {
        let is_text = |child: &Node| match child {
            Node::Text(text) => !text.trim_ascii().is_empty(),
            Node::Element(_) => false,
        };
        if parent.children().iter().any(is_text) {
            return Err(SignatureRefusal::UnexpectedContent("text between elements"));
        }
        let mut elements: Vec<_> = parent.elements().collect();
        elements.reverse();
        Ok(Self(elements))
    }

    fn next(&mut self, name: &'static str) -> Result<&'a Element, SignatureRefusal> {
        let next = self.next_of(SIGNATURE_NAMESPACE, name);
        next.ok_or(SignatureRefusal::Missing(name))
    }

    fn next_of(&mut self, namespace: &str, name: &str) -> Option<&'a Element> {
        self.0.pop_if(|element| element.is(namespace, name))
    }

    /// Skips an element with this name if it is next.
    fn skip(&mut self, name: &str) -> bool {
        self.next_of(SIGNATURE_NAMESPACE, name).is_some()
    }

    fn end(&self) -> Result<(), SignatureRefusal> {
        if self.0.is_empty() {
            Ok(())
        } else {
            Err(SignatureRefusal::UnexpectedContent("a further element"))
        }
    }
}
