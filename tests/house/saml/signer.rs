//! Writes signatures into documents, honest and dishonest ones.
//!
//! The documents of the tests are written in canonical form: attributes in order, no empty-element tags, and
//! each element that is signed declares its prefixes itself. So the text of an element is what its signature
//! covers, and no canonicalization is needed.

use aws_lc_rs::digest;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::keys::{self, TestKey};

pub(crate) const SIGNATURE: &str = "http://www.w3.org/2000/09/xmldsig#";
pub(crate) const ENVELOPED: &str = "http://www.w3.org/2000/09/xmldsig#enveloped-signature";
pub(crate) const EXCLUSIVE: &str = "http://www.w3.org/2001/10/xml-exc-c14n#";
pub(crate) const SHA1: &str = "http://www.w3.org/2000/09/xmldsig#sha1";
pub(crate) const SHA256: &str = "http://www.w3.org/2001/04/xmlenc#sha256";
pub(crate) const SHA384: &str = "http://www.w3.org/2001/04/xmldsig-more#sha384";
pub(crate) const SHA512: &str = "http://www.w3.org/2001/04/xmlenc#sha512";

/// How a signature is made.
#[derive(Clone, Debug)]
pub(crate) struct Signer {
    pub(crate) key: &'static TestKey,
    /// Absent: the method of the key.
    pub(crate) method: Option<&'static str>,
    pub(crate) digest: &'static str,
    pub(crate) canonicalization: &'static str,
    pub(crate) transforms: Vec<&'static str>,
    /// Absent: the ID of the element.
    pub(crate) reference: Option<String>,
    /// A second `Reference`, or anything else at its place.
    pub(crate) more_references: String,
    /// What follows `SignatureValue`.
    pub(crate) key_info: String,
}

impl Signer {
    /// An honest signer.
    pub(crate) fn with(key: &'static TestKey) -> Self {
        Self {
            key,
            method: None,
            digest: SHA256,
            canonicalization: EXCLUSIVE,
            transforms: vec![ENVELOPED, EXCLUSIVE],
            reference: None,
            more_references: String::new(),
            key_info: String::new(),
        }
    }

    /// The document with a signature of its element with this ID, at the place that SAML prescribes.
    pub(crate) fn sign(&self, document: &str, id: &str) -> String {
        let element = element_text(document, id);
        let signed = with_signature(element, &self.signature(element, id));
        document.replacen(element, &signed, 1)
    }

    /// The signature of a text as that of the element with this ID.
    pub(crate) fn signature(&self, text: &str, id: &str) -> String {
        let digest = STANDARD.encode(digest_of(self.digest, text.as_bytes()));
        let own = format!("#{id}");
        let uri = self.reference.as_ref().unwrap_or(&own);
        let transforms: String = self.transforms.iter().map(|it| transform(it)).collect();
        let method = self.method.unwrap_or_else(|| self.key.method());
        let signed_info = format!(
            "<ds:CanonicalizationMethod Algorithm=\"{}\"></ds:CanonicalizationMethod>\
             <ds:SignatureMethod Algorithm=\"{method}\"></ds:SignatureMethod>\
             <ds:Reference URI=\"{uri}\"><ds:Transforms>{transforms}</ds:Transforms>\
             <ds:DigestMethod Algorithm=\"{}\"></ds:DigestMethod>\
             <ds:DigestValue>{digest}</ds:DigestValue></ds:Reference>{}</ds:SignedInfo>",
            self.canonicalization, self.digest, self.more_references
        );
        let message = format!("<ds:SignedInfo xmlns:ds=\"{SIGNATURE}\">{signed_info}");
        let value = self.key.sign(method, message.as_bytes());
        format!(
            "<ds:Signature xmlns:ds=\"{SIGNATURE}\"><ds:SignedInfo>{signed_info}\
             <ds:SignatureValue>{}</ds:SignatureValue>{}</ds:Signature>",
            STANDARD.encode(value),
            self.key_info
        )
    }
}

fn transform(algorithm: &str) -> String {
    format!("<ds:Transform Algorithm=\"{algorithm}\"></ds:Transform>")
}

fn digest_of(method: &str, bytes: &[u8]) -> Vec<u8> {
    let algorithm = match method {
        SHA1 => &digest::SHA1_FOR_LEGACY_USE_ONLY,
        SHA384 => &digest::SHA384,
        SHA512 => &digest::SHA512,
        _ => &digest::SHA256,
    };
    digest::digest(algorithm, bytes).as_ref().to_vec()
}

/// An element with a signature after its issuer, or else as its first child.
pub(crate) fn with_signature(element: &str, signature: &str) -> String {
    let start_end = element.find('>').unwrap() + 1;
    let first_child = element[start_end..].starts_with("<saml:Issuer");
    let issuer_end = "</saml:Issuer>";
    let at = match element.find(issuer_end) {
        Some(at) if first_child => at + issuer_end.len(),
        _ => start_end,
    };
    format!("{}{signature}{}", &element[..at], &element[at..])
}

/// The text of the element with this ID.
pub(crate) fn element_text<'a>(document: &'a str, id: &str) -> &'a str {
    let attribute = format!(" ID=\"{id}\"");
    let at = document.find(&attribute);
    let at = at.unwrap_or_else(|| panic!("no {id} in {document}"));
    let start = document[..at].rfind('<').unwrap();
    from_start_tag(&document[start..])
}

/// The text of the first element with this name.
pub(crate) fn named_text<'a>(document: &'a str, name: &str) -> &'a str {
    let starts = [format!("<{name} "), format!("<{name}>")];
    let found = starts.iter().filter_map(|start| document.find(start)).min();
    let start = found.unwrap_or_else(|| panic!("no {name} in {document}"));
    from_start_tag(&document[start..])
}

/// The element with whose start tag the text begins.
fn from_start_tag(text: &str) -> &str {
    let name = text[1..].split([' ', '>']).next().unwrap();
    let (start, end) = (format!("<{name}"), format!("</{name}>"));
    let mut depth = 0;
    for (at, _) in text.match_indices('<') {
        let rest = &text[at..];
        let is_start = rest
            .strip_prefix(&start)
            .is_some_and(|rest| rest.starts_with([' ', '>']));
        if is_start {
            depth += 1;
        } else if rest.starts_with(&end) {
            depth -= 1;
            if depth == 0 {
                return &text[..at + end.len()];
            }
        }
    }
    panic!("{name} has no end: {text}");
}

/// The document with one piece replaced, which must be there.
pub(crate) fn bent(document: &str, from: &str, to: &str) -> String {
    assert!(document.contains(from), "{from} is not in {document}");
    document.replacen(from, to, 1)
}

/// The honest signer of the identity provider.
pub(crate) fn honest() -> Signer {
    Signer::with(keys::first())
}
