//! The parts of an encrypted element.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::super::xml::Element;
use super::super::xml_signature::SIGNATURE_NAMESPACE;
use super::ENCRYPTION_NAMESPACE;

/// The most encrypted keys in one element. Senders encrypt a key for each certificate in the metadata.
const KEYS_MAX: usize = 4;

pub(super) struct Encrypted<'a> {
    /// The algorithm of the content.
    pub(super) algorithm: &'a str,
    pub(super) content: Vec<u8>,
    pub(super) keys: Vec<EncryptedKey<'a>>,
}

pub(super) struct EncryptedKey<'a> {
    pub(super) algorithm: &'a str,
    /// The hash in OAEP.
    pub(super) digest: Option<&'a str>,
    /// The mask generation function in OAEP.
    pub(super) mask: Option<&'a str>,
    pub(super) has_label: bool,
    pub(super) key: Vec<u8>,
}

impl<'a> Encrypted<'a> {
    /// The parts of `EncryptedAssertion` or `EncryptedID`: one `EncryptedData`, and encrypted keys in it or
    /// beside it.
    pub(super) fn of(encrypted: &'a Element) -> Option<Self> {
        let data = only(encrypted, ENCRYPTION_NAMESPACE, "EncryptedData")?;
        let info = data.only_child(SIGNATURE_NAMESPACE, "KeyInfo").ok()?;
        let inside = info.into_iter().flat_map(encrypted_keys);
        // A `RetrievalMethod` names the key beside it by its ID; without one, it can only be that key.
        let reference = match info {
            Some(info) => info
                .only_child(SIGNATURE_NAMESPACE, "RetrievalMethod")
                .ok()?,
            None => None,
        };
        let beside = encrypted_keys(encrypted).filter(|key| {
            reference.is_none_or(|reference| {
                let uri = reference.attribute("URI");
                let id = uri.and_then(|uri| uri.strip_prefix('#'));
                id.is_some() && key.attribute("Id") == id
            })
        });
        let keys: Vec<_> = inside.chain(beside).take(KEYS_MAX + 1).collect();
        if keys.len() > KEYS_MAX {
            return None;
        }
        Some(Self {
            algorithm: method(data)?.attribute("Algorithm")?,
            content: cipher_value(data)?,
            keys: keys.into_iter().filter_map(EncryptedKey::of).collect(),
        })
    }
}

impl<'a> EncryptedKey<'a> {
    fn of(key: &'a Element) -> Option<Self> {
        let method = method(key)?;
        let parameter = |namespace: &str, name: &str| {
            let parameter = method.only_child(namespace, name).ok()?;
            Some(parameter.and_then(|parameter| parameter.attribute("Algorithm")))
        };
        Some(Self {
            algorithm: method.attribute("Algorithm")?,
            digest: parameter(SIGNATURE_NAMESPACE, "DigestMethod")?,
            mask: parameter(super::ciphers::XMLENC11_NAMESPACE, "MGF")?,
            has_label: method
                .children_named(ENCRYPTION_NAMESPACE, "OAEPparams")
                .any(|label| !label.text().trim().is_empty()),
            key: cipher_value(key)?,
        })
    }
}

fn encrypted_keys(parent: &Element) -> impl Iterator<Item = &Element> {
    parent.children_named(ENCRYPTION_NAMESPACE, "EncryptedKey")
}

fn method(parent: &Element) -> Option<&Element> {
    only(parent, ENCRYPTION_NAMESPACE, "EncryptionMethod")
}

/// The encrypted bytes. A `CipherReference` to somewhere else is not followed.
fn cipher_value(parent: &Element) -> Option<Vec<u8>> {
    let data = only(parent, ENCRYPTION_NAMESPACE, "CipherData")?;
    let mut text = only(data, ENCRYPTION_NAMESPACE, "CipherValue")?.text();
    text.retain(|character| !character.is_ascii_whitespace());
    STANDARD.decode(text).ok()
}

fn only<'a>(parent: &'a Element, namespace: &str, name: &str) -> Option<&'a Element> {
    parent.only_child(namespace, name).ok()?
}
