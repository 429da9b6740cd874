//! `MetadataDocument`: the metadata of the simulated identity provider, written in canonical form.

use std::fmt::Write as _;

use menshen::clock::Timestamp;

use super::keys::{self, TestKey};
use super::response::{IDP, PERSISTENT, PROTOCOL};
use super::signer::Signer;

pub(crate) const METADATA: &str = "urn:oasis:names:tc:SAML:2.0:metadata";
pub(crate) const REDIRECT: &str = "urn:oasis:names:tc:SAML:2.0:bindings:HTTP-Redirect";
pub(crate) const POST: &str = "urn:oasis:names:tc:SAML:2.0:bindings:HTTP-POST";

/// What the metadata says. Tests edit it.
#[derive(Clone, Debug)]
pub(crate) struct MetadataDocument {
    /// The URL of the server.
    pub(crate) base: String,
    pub(crate) entity_id: String,
    /// The keys for signatures.
    pub(crate) keys: Vec<&'static TestKey>,
    /// The value of `use`; absent: the keys are for everything.
    pub(crate) key_use: Option<&'static str>,
    pub(crate) valid_until: Option<Timestamp>,
    pub(crate) cache_duration: Option<&'static str>,
    pub(crate) sso_bindings: Vec<&'static str>,
    pub(crate) logout_bindings: Vec<&'static str>,
    /// Who signs the document.
    pub(crate) signer: Option<Signer>,
    /// Further entities; with any the root is `EntitiesDescriptor`.
    pub(crate) others: Vec<String>,
}

impl Default for MetadataDocument {
    fn default() -> Self {
        Self {
            base: String::new(),
            entity_id: IDP.to_owned(),
            keys: vec![keys::first()],
            key_use: Some("signing"),
            valid_until: None,
            cache_duration: None,
            sso_bindings: vec![REDIRECT, POST],
            logout_bindings: vec![REDIRECT, POST],
            signer: None,
            others: Vec::new(),
        }
    }
}

impl MetadataDocument {
    pub(crate) fn xml(&self) -> String {
        let document = match self.others.is_empty() {
            true => self.entity("_md"),
            false => format!(
                "<md:EntitiesDescriptor xmlns:md=\"{METADATA}\" ID=\"_md\">{}{}</md:EntitiesDescriptor>",
                self.others.concat(),
                self.entity("_entity")
                    .replace(&format!(" xmlns:md=\"{METADATA}\""), "")
            ),
        };
        match &self.signer {
            Some(signer) => signer.sign(&document, "_md"),
            None => document,
        }
    }

    fn entity(&self, id: &str) -> String {
        let mut xml = format!("<md:EntityDescriptor xmlns:md=\"{METADATA}\" ID=\"{id}\"");
        if let Some(duration) = self.cache_duration {
            write!(xml, " cacheDuration=\"{duration}\"").unwrap();
        }
        write!(xml, " entityID=\"{}\"", self.entity_id).unwrap();
        if let Some(until) = self.valid_until {
            write!(xml, " validUntil=\"{until}\"").unwrap();
        }
        write!(
            xml,
            "><md:IDPSSODescriptor protocolSupportEnumeration=\"{PROTOCOL}\">"
        )
        .unwrap();
        for key in &self.keys {
            let key_use = self.key_use.map(|it| format!(" use=\"{it}\""));
            let (key_use, info) = (key_use.unwrap_or_default(), key.key_info());
            write!(xml, "<md:KeyDescriptor{key_use}>{info}</md:KeyDescriptor>").unwrap();
        }
        let service = |name: &str, path: &str, binding: &&str| {
            let base = &self.base;
            format!("<md:{name} Binding=\"{binding}\" Location=\"{base}{path}\"></md:{name}>")
        };
        for binding in &self.logout_bindings {
            xml.push_str(&service("SingleLogoutService", "/slo", binding));
        }
        write!(xml, "<md:NameIDFormat>{PERSISTENT}</md:NameIDFormat>").unwrap();
        for binding in &self.sso_bindings {
            xml.push_str(&service("SingleSignOnService", "/sso", binding));
        }
        xml.push_str("</md:IDPSSODescriptor></md:EntityDescriptor>");
        xml
    }
}

/// Another identity provider in the same metadata.
pub(crate) fn other_entity(entity_id: &str) -> String {
    let other = MetadataDocument {
        base: "https://elsewhere.example".to_owned(),
        entity_id: entity_id.to_owned(),
        keys: vec![keys::stranger()],
        ..MetadataDocument::default()
    };
    let xml = other.entity("_other");
    xml.replace(&format!(" xmlns:md=\"{METADATA}\""), "")
}
