//! Verifies the signature of one element and returns what is signed.

use std::collections::HashSet;

use super::super::xml::{Element, XmlLimits};
use super::canonical::Canonical;
use super::structure::Signature;
use super::verifying_key::VerifyingKey;
use super::{SIGNATURE_NAMESPACE, SignaturePolicy, SignatureRefusal};

/// The canonical form comes from a tree that was within its limits.
const CANONICAL_LIMITS: XmlLimits = XmlLimits {
    bytes: usize::MAX,
    elements: usize::MAX,
    depth: usize::MAX,
    attributes: usize::MAX,
};

/// An element as its signer signed it, without the signature. Only [`verify`] makes one.
#[derive(Debug)]
pub struct SignedDocument {
    root: Element,
}

impl SignedDocument {
    /// The signed element, read from the bytes whose digest is signed.
    pub fn root(&self) -> &Element {
        &self.root
    }
}

/// Whether the element holds a signature, which need not be valid.
pub fn is_signed(element: &Element) -> bool {
    signatures(element).next().is_some()
}

/// Verifies the signature that `signed`, an element of the tree under `root`, holds about itself. One of
/// `keys` must verify it; what the signature says of keys is ignored.
pub fn verify(
    root: &Element,
    signed: &Element,
    keys: &[VerifyingKey],
    policy: SignaturePolicy,
) -> Result<SignedDocument, SignatureRefusal> {
    check_ids(root)?;
    let ancestors = root.ancestors_of(signed);
    let ancestors = ancestors.ok_or(SignatureRefusal::ForeignElement)?;
    let id = signed.attribute("ID").filter(|id| !id.is_empty());
    let id = id.ok_or(SignatureRefusal::MissingId)?;
    let element = only_signature(signed)?;
    let signature = Signature::of(element, policy)?;
    if signature.reference.id != id {
        return Err(SignatureRefusal::ForeignReference);
    }
    // The signature is verified before the digest: nobody without a key makes us canonicalize a document.
    check_signature(&signature, &ancestors, signed, element, keys)?;
    let canonical = Canonical {
        element: signed,
        ancestors: &ancestors,
        inclusive: &signature.reference.prefixes,
        without: Some(element),
        bytes_max: policy.canonical_bytes_max,
    };
    let canonical = canonical.write().map_err(|_| SignatureRefusal::TooLarge)?;
    let digest = signature.reference.hash.digest(canonical.as_bytes());
    if digest.as_ref() != signature.reference.digest {
        return Err(SignatureRefusal::Digest);
    }
    let root = Element::read(canonical.as_bytes(), CANONICAL_LIMITS);
    let root = root.map_err(SignatureRefusal::Unreadable)?;
    Ok(SignedDocument { root })
}

fn check_signature(
    signature: &Signature<'_>,
    ancestors: &[&Element],
    signed: &Element,
    element: &Element,
    keys: &[VerifyingKey],
) -> Result<(), SignatureRefusal> {
    let mut around = ancestors.to_vec();
    around.extend([signed, element]);
    let signed_info = Canonical {
        element: signature.signed_info,
        ancestors: &around,
        inclusive: &signature.signed_info_prefixes,
        without: None,
        bytes_max: SIGNED_INFO_BYTES_MAX,
    };
    let signed_info = signed_info.write();
    let signed_info = signed_info.map_err(|_| SignatureRefusal::TooLarge)?;
    let is_verified = keys.iter().any(|key| {
        key.verifies(
            signature.algorithm,
            signed_info.as_bytes(),
            &signature.value,
        )
    });
    if is_verified {
        Ok(())
    } else {
        Err(SignatureRefusal::NoKeyVerifies)
    }
}

/// The most bytes of `SignedInfo` in canonical form. Usual ones have 1 KiB.
const SIGNED_INFO_BYTES_MAX: usize = 16 << 10;

fn signatures(element: &Element) -> impl Iterator<Item = &Element> {
    element.children_named(SIGNATURE_NAMESPACE, "Signature")
}

fn only_signature(element: &Element) -> Result<&Element, SignatureRefusal> {
    let mut signatures = signatures(element);
    let first = signatures.next().ok_or(SignatureRefusal::Unsigned)?;
    match signatures.next() {
        None => Ok(first),
        Some(_) => Err(SignatureRefusal::SeveralSignatures),
    }
}

/// Refuses a document in which two elements have the same identifier, in whatever spelling of the attribute
/// another reader might look for it.
fn check_ids(root: &Element) -> Result<(), SignatureRefusal> {
    let mut ids = HashSet::new();
    let mut are_unique = true;
    root.visit(&mut |element| {
        for attribute in element.attributes() {
            if attribute.name.local_name().eq_ignore_ascii_case("id") {
                are_unique &= ids.insert(attribute.value.as_str());
            }
        }
    });
    if are_unique {
        Ok(())
    } else {
        Err(SignatureRefusal::RepeatedId)
    }
}
