//! `NameId`: how the identity provider calls a person, and the session of a login there.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use quick_xml::escape::escape;
use serde::{Deserialize, Serialize};

use super::super::kit::xml::{self, Element};
use super::super::kit::xml_encryption::{self, DecryptionPolicy};
use super::elements::only;
use super::names::{ASSERTION, PERSISTENT, TRANSIENT, UNSPECIFIED};
use super::refusal::ResponseRefusal;
use super::service_provider::ServiceProvider;
use crate::keys;

/// A `NameID`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct NameId {
    #[serde(rename = "v")]
    pub(super) value: String,
    #[serde(rename = "f", default, skip_serializing_if = "Option::is_none")]
    format: Option<String>,
    #[serde(rename = "q", default, skip_serializing_if = "Option::is_none")]
    name_qualifier: Option<String>,
    #[serde(rename = "s", default, skip_serializing_if = "Option::is_none")]
    sp_name_qualifier: Option<String>,
}

/// With what menshen ends a session at the identity provider.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct SessionAtProvider {
    #[serde(rename = "n")]
    pub(super) name_id: NameId,
    #[serde(rename = "i", default, skip_serializing_if = "Option::is_none")]
    pub(super) session_index: Option<String>,
}

impl SessionAtProvider {
    pub(super) fn id(&self) -> String {
        self.name_id.session_id(self.session_index.as_deref())
    }
}

impl NameId {
    /// The `NameID` or `EncryptedID` directly inside an element; `None` if there is none. `root` is the tree of
    /// the element.
    pub(super) fn inside(
        root: &Element,
        parent: &Element,
        provider: &ServiceProvider,
        decryption: DecryptionPolicy,
    ) -> Result<Option<Self>, ResponseRefusal> {
        let plain = only(parent, "NameID")?;
        let encrypted = only(parent, "EncryptedID")?;
        match (plain, encrypted) {
            (None, None) => Ok(None),
            (Some(_), Some(_)) => Err(ResponseRefusal::Repeated("NameID")),
            (Some(name_id), None) => Ok(Self::of(name_id)),
            (None, Some(encrypted)) => {
                let key = provider.private_key();
                let key = key.ok_or(ResponseRefusal::NotOpened)?;
                let opened = xml_encryption::decrypt(root, encrypted, key, decryption);
                let opened = opened.map_err(|_| ResponseRefusal::NotOpened)?;
                match opened.is(ASSERTION, "NameID") {
                    true => Ok(Self::of(&opened)),
                    false => Err(ResponseRefusal::NotOpened),
                }
            }
        }
    }

    /// `None` if it is empty, has blanks at its ends, or has elements inside.
    fn of(element: &Element) -> Option<Self> {
        let attribute = |name: &str| {
            let value = element.attribute(name);
            value.filter(|value| !value.is_empty()).map(str::to_owned)
        };
        if element.elements().next().is_some() {
            return None;
        }
        Some(Self {
            value: xml::name_in(&element.text())?,
            format: attribute("Format"),
            name_qualifier: attribute("NameQualifier"),
            sp_name_qualifier: attribute("SPNameQualifier"),
        })
    }

    /// The format; without one it is the unspecified one (SAML 2.0 core §2.2.2).
    pub(super) fn format(&self) -> &str {
        self.format.as_deref().unwrap_or(UNSPECIFIED)
    }

    /// Whether it names the person in this session only.
    pub(super) fn is_transient(&self) -> bool {
        self.format() == TRANSIENT
    }

    /// Whether its qualifiers say that another service, or, of a persistent one, another identity provider knows
    /// the person by it (SAML 2.0 core §8.3.7).
    pub(super) fn is_of_others(&self, idp: &str, own: &str) -> bool {
        let is_other = |qualifier: &Option<String>, known: &str| {
            qualifier.as_ref().is_some_and(|given| given != known)
        };
        is_other(&self.sp_name_qualifier, own)
            || (self.format() == PERSISTENT && is_other(&self.name_qualifier, idp))
    }

    /// The group of the sessions of this person at the identity provider. A hash, so that the store has no
    /// name.
    pub(super) fn session_group(&self) -> String {
        // The labels never change, so that sessions keep their IDs when menshen is updated.
        let hash = keys::fingerprint(&[b"saml name id", self.value.as_bytes()]);
        URL_SAFE_NO_PAD.encode(hash)
    }

    /// The ID of one session of this person at the identity provider.
    pub(super) fn session_id(&self, session_index: Option<&str>) -> String {
        let group = self.session_group();
        let Some(index) = session_index else {
            return format!("{group}.");
        };
        let parts = [b"saml session", self.value.as_bytes(), index.as_bytes()];
        let hash = keys::fingerprint(&parts);
        format!("{group}.{}", URL_SAFE_NO_PAD.encode(hash))
    }

    /// The same `NameID` for a message of menshen.
    pub(super) fn to_xml(&self) -> String {
        let mut attributes = String::new();
        for (name, value) in [
            ("Format", &self.format),
            ("NameQualifier", &self.name_qualifier),
            ("SPNameQualifier", &self.sp_name_qualifier),
        ] {
            if let Some(value) = value {
                attributes.push_str(&format!(" {name}=\"{}\"", escape(value.as_str())));
            }
        }
        let value = escape(self.value.as_str());
        format!("<saml:NameID{attributes}>{value}</saml:NameID>")
    }
}
