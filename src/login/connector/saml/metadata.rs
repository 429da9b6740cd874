//! `IdpMetadata`: what the metadata of an identity provider says (SAML 2.0 metadata).

use std::time::Duration;

use url::Url;

use super::super::kit::xml::{self, Element, XmlError, XmlLimits};
use super::super::kit::xml_signature::{
    self, SignaturePolicy, SignatureRefusal, SignedDocument, VerifyingKey,
};
use super::certificates::{Certificate, certificates_of};
use super::names::{METADATA, POST_BINDING, PROTOCOL, REDIRECT_BINDING};
use crate::clock::Timestamp;
use crate::text;
use crate::wording::{Text, error_of_text};

/// The longest accepted metadata, in bytes. That of a federation has some megabytes.
pub(super) const METADATA_BYTES_MAX: usize = 8 << 20;

const LIMITS: XmlLimits = XmlLimits {
    bytes: METADATA_BYTES_MAX,
    elements: 400_000,
    depth: 64,
    attributes: 64,
};

/// The most certificates of one identity provider that are read.
const CERTIFICATES_MAX: usize = 32;

/// One identity provider.
#[derive(Clone, Debug)]
pub(super) struct IdpMetadata {
    pub(super) entity_id: String,
    /// When it must not be used any longer.
    pub(super) valid_until: Option<Timestamp>,
    /// How long it may be used before it is fetched again.
    pub(super) cache_duration: Option<Duration>,
    /// The certificates of the keys with which it signs.
    pub(super) certificates: Vec<Certificate>,
    /// The keys in them.
    pub(super) signing_keys: Vec<VerifyingKey>,
    pub(super) sign_on: Endpoints,
    pub(super) logout: Endpoints,
    pub(super) wants_signed_requests: bool,
}

/// The URLs of one service, by the binding of messages to it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Endpoints {
    pub(super) redirect: Option<Endpoint>,
    pub(super) post: Option<Endpoint>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Endpoint {
    pub(super) location: Url,
    /// The URL of answers.
    pub(super) answers: Url,
}

/// How metadata is chosen and verified.
#[derive(Clone, Debug)]
pub(super) struct MetadataRules {
    /// The wanted entity, if the metadata describes several.
    pub(super) entity_id: Option<String>,
    /// The key that must have signed it.
    pub(super) signed_by: Option<VerifyingKey>,
    pub(super) allow_sha1: bool,
}

/// Why metadata is not used.
#[derive(Debug)]
pub(super) enum InvalidMetadata {
    Unreadable(XmlError),
    Root,
    Signature(SignatureRefusal),
    UnknownEntity(String),
    NoIdentityProvider,
    Several(usize),
    Repeated,
    NoEntityId,
    Time(&'static str),
    Expired,
    NoKey,
    NoSignOn,
}

impl InvalidMetadata {
    fn text(&self) -> Text {
        match self {
            Self::Unreadable(_) => Text::fixed("the metadata cannot be read", "元数据无法读取"),
            Self::Root => Text::fixed(
                "it is not SAML metadata: the root element is neither EntityDescriptor nor \
                 EntitiesDescriptor",
                "不是 SAML 元数据：根元素既不是 EntityDescriptor 也不是 EntitiesDescriptor",
            ),
            Self::Signature(_) => Text::fixed(
                "`metadata_certificate` did not sign the metadata",
                "元数据不是由 `metadata_certificate` 签名的",
            ),
            Self::UnknownEntity(it) => text!(
                "the metadata describes no SAML 2.0 identity provider named {it}",
                "元数据中没有名为 {it} 的 SAML 2.0 认证源"
            ),
            Self::NoIdentityProvider => Text::fixed(
                "the metadata describes no SAML 2.0 identity provider",
                "元数据中没有 SAML 2.0 认证源",
            ),
            Self::Several(it) => text!(
                "the metadata describes {it} identity providers: choose one with `idp_entity_id`",
                "元数据中有 {it} 个认证源：请用 `idp_entity_id` 选定一个"
            ),
            Self::Repeated => Text::fixed(
                "the metadata describes the identity provider twice",
                "元数据中同一个认证源出现了两次",
            ),
            Self::NoEntityId => Text::fixed("the metadata has no entityID", "元数据没有 entityID"),
            Self::Time(it) => text!(
                "{it} of the metadata is not a time",
                "元数据的 {it} 不是时间"
            ),
            Self::Expired => Text::fixed(
                "the validUntil of the metadata has passed",
                "元数据的 validUntil 已过",
            ),
            Self::NoKey => Text::fixed(
                "the metadata has no certificate whose key can verify signatures",
                "元数据中没有可用来验证签名的证书",
            ),
            Self::NoSignOn => Text::fixed(
                "the metadata has no SingleSignOnService with the Redirect or POST binding",
                "元数据中没有采用 Redirect 或 POST 绑定的 SingleSignOnService",
            ),
        }
    }

    fn cause(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Unreadable(source) => Some(source),
            Self::Signature(source) => Some(source),
            Self::Root
            | Self::UnknownEntity(_)
            | Self::NoIdentityProvider
            | Self::Several(_)
            | Self::Repeated
            | Self::NoEntityId
            | Self::Time(_)
            | Self::Expired
            | Self::NoKey
            | Self::NoSignOn => None,
        }
    }
}

error_of_text!(InvalidMetadata, caused);

impl IdpMetadata {
    /// Reads the description of one identity provider.
    pub(super) fn read(
        document: &[u8],
        rules: &MetadataRules,
        now: Timestamp,
    ) -> Result<Self, InvalidMetadata> {
        let root = Element::read(document, LIMITS).map_err(InvalidMetadata::Unreadable)?;
        let is_entity = root.is(METADATA, "EntityDescriptor");
        if !is_entity && !root.is(METADATA, "EntitiesDescriptor") {
            return Err(InvalidMetadata::Root);
        }
        let Some(key) = &rules.signed_by else {
            return Self::in_tree(&root, rules, now);
        };
        let signed = match xml_signature::is_signed(&root) {
            true => verify(&root, &root, key, rules)?,
            false => {
                // A federation may sign each entity instead of the list.
                let chain = chosen_entity(&root, rules)?;
                let entity = chain.last().copied().unwrap_or(&root);
                verify(&root, entity, key, rules)?
            }
        };
        Self::in_tree(signed.root(), rules, now)
    }

    fn in_tree(
        root: &Element,
        rules: &MetadataRules,
        now: Timestamp,
    ) -> Result<Self, InvalidMetadata> {
        let mut chain = chosen_entity(root, rules)?;
        let entity = chain.last().copied().unwrap_or(root);
        let role = only_role(entity)?;
        chain.push(role);
        let metadata = Self {
            entity_id: entity.attribute("entityID").unwrap_or_default().to_owned(),
            valid_until: valid_until(&chain)?,
            cache_duration: cache_duration(&chain)?,
            certificates: certificates_of(role, CERTIFICATES_MAX),
            signing_keys: Vec::new(),
            sign_on: endpoints(role, "SingleSignOnService"),
            logout: endpoints(role, "SingleLogoutService"),
            wants_signed_requests: matches!(
                role.attribute("WantAuthnRequestsSigned"),
                Some("true" | "1")
            ),
        };
        metadata.with_keys().checked(now)
    }

    fn with_keys(mut self) -> Self {
        for certificate in &self.certificates {
            if let Ok(key) = &certificate.key
                && !self.signing_keys.contains(key)
            {
                self.signing_keys.push(key.clone());
            }
        }
        self
    }

    fn checked(self, now: Timestamp) -> Result<Self, InvalidMetadata> {
        if self.entity_id.is_empty() {
            return Err(InvalidMetadata::NoEntityId);
        }
        if !self.is_valid_at(now) {
            return Err(InvalidMetadata::Expired);
        }
        if self.signing_keys.is_empty() {
            return Err(InvalidMetadata::NoKey);
        }
        if self.sign_on == Endpoints::default() {
            return Err(InvalidMetadata::NoSignOn);
        }
        Ok(self)
    }

    /// Whether its `validUntil` has not passed.
    pub(super) fn is_valid_at(&self, now: Timestamp) -> bool {
        self.valid_until.is_none_or(|end| now < end)
    }
}

fn verify(
    root: &Element,
    signed: &Element,
    key: &VerifyingKey,
    rules: &MetadataRules,
) -> Result<SignedDocument, InvalidMetadata> {
    let policy = SignaturePolicy {
        allow_sha1: rules.allow_sha1,
        canonical_bytes_max: 4 * METADATA_BYTES_MAX,
    };
    let keys = std::slice::from_ref(key);
    xml_signature::verify(root, signed, keys, policy).map_err(InvalidMetadata::Signature)
}

/// The descriptor of the wanted identity provider, with the lists around it, outermost first.
fn chosen_entity<'a>(
    root: &'a Element,
    rules: &MetadataRules,
) -> Result<Vec<&'a Element>, InvalidMetadata> {
    let mut found = Vec::new();
    collect(root, &mut Vec::new(), &mut found);
    let count = found.len();
    match &rules.entity_id {
        Some(wanted) => {
            let is_wanted = |chain: &Vec<&Element>| {
                let entity = chain.last().and_then(|entity| entity.attribute("entityID"));
                entity == Some(wanted)
            };
            let mut wanted_ones = found.into_iter().filter(is_wanted);
            match (wanted_ones.next(), wanted_ones.next()) {
                (Some(chain), None) => Ok(chain),
                (None, _) => Err(InvalidMetadata::UnknownEntity(wanted.clone())),
                (Some(_), Some(_)) => Err(InvalidMetadata::Repeated),
            }
        }
        None => match (found.pop(), count) {
            (Some(chain), 1) => Ok(chain),
            (_, 0) => Err(InvalidMetadata::NoIdentityProvider),
            (_, count) => Err(InvalidMetadata::Several(count)),
        },
    }
}

/// Collects the descriptors of identity providers, each with the lists around it.
fn collect<'a>(
    element: &'a Element,
    around: &mut Vec<&'a Element>,
    found: &mut Vec<Vec<&'a Element>>,
) {
    around.push(element);
    if element.is(METADATA, "EntityDescriptor") {
        if roles(element).next().is_some() {
            found.push(around.clone());
        }
    } else if element.is(METADATA, "EntitiesDescriptor") {
        for inner in element.elements() {
            collect(inner, around, found);
        }
    }
    around.pop();
}

/// The roles as identity provider that speak SAML 2.0.
fn roles(entity: &Element) -> impl Iterator<Item = &Element> {
    let speaks_saml2 = |role: &&Element| {
        let protocols = role.attribute("protocolSupportEnumeration");
        let mut protocols = protocols.unwrap_or_default().split_ascii_whitespace();
        protocols.any(|protocol| protocol == PROTOCOL)
    };
    entity
        .children_named(METADATA, "IDPSSODescriptor")
        .filter(speaks_saml2)
}

fn only_role(entity: &Element) -> Result<&Element, InvalidMetadata> {
    let mut roles = roles(entity);
    match (roles.next(), roles.next()) {
        (Some(role), None) => Ok(role),
        (None, _) => Err(InvalidMetadata::NoIdentityProvider),
        (Some(_), Some(_)) => Err(InvalidMetadata::Repeated),
    }
}

/// The earliest `validUntil` of the entity, its role and the lists around it.
fn valid_until(chain: &[&Element]) -> Result<Option<Timestamp>, InvalidMetadata> {
    let mut earliest: Option<Timestamp> = None;
    for text in chain.iter().filter_map(|it| it.attribute("validUntil")) {
        let end = xml::timestamp(text).ok_or(InvalidMetadata::Time("validUntil"))?;
        earliest = Some(earliest.map_or(end, |earliest| earliest.min(end)));
    }
    Ok(earliest)
}

/// The shortest `cacheDuration`.
fn cache_duration(chain: &[&Element]) -> Result<Option<Duration>, InvalidMetadata> {
    let mut shortest: Option<Duration> = None;
    for text in chain.iter().filter_map(|it| it.attribute("cacheDuration")) {
        let period = xml::duration(text).ok_or(InvalidMetadata::Time("cacheDuration"))?;
        shortest = Some(shortest.map_or(period, |shortest| shortest.min(period)));
    }
    Ok(shortest)
}

/// The first usable endpoint of a service for each binding.
fn endpoints(role: &Element, service: &str) -> Endpoints {
    let of_binding = |binding: &str| {
        let mut services = role.children_named(METADATA, service);
        services.find_map(|service| {
            let location = web_url(service.attribute("Location")?)?;
            let answers = service.attribute("ResponseLocation").and_then(web_url);
            let is_of_binding = service.attribute("Binding") == Some(binding);
            is_of_binding.then(|| Endpoint {
                answers: answers.unwrap_or_else(|| location.clone()),
                location,
            })
        })
    };
    Endpoints {
        redirect: of_binding(REDIRECT_BINDING),
        post: of_binding(POST_BINDING),
    }
}

/// A browser must not be sent to an address that runs a script.
fn web_url(text: &str) -> Option<Url> {
    let url = Url::parse(text.trim()).ok()?;
    let is_web = matches!(url.scheme(), "http" | "https") && url.has_host();
    is_web.then_some(url)
}

#[cfg(test)]
mod tests;
