//! Reads logout messages of the identity provider (SAML 2.0 core §3.7).

use super::super::kit::xml::{self, Element, XmlError};
use super::super::kit::xml_encryption::DecryptionPolicy;
use super::super::kit::xml_signature::{self, SignatureRefusal, VerifyingKey, verify_query};
use super::super::{ConnectorError, LogoutMessage, LogoutNotice, SourceRefusal};
use super::config::{Binding, Config};
use super::encoding::{DecodeError, decode_form, decode_query};
use super::metadata::IdpMetadata;
use super::name_id::NameId;
use super::names::{ASSERTION, PROTOCOL, RELAY_STATE, REQUEST_FIELD, RESPONSE_FIELD};
use super::refusal::ResponseRefusal;
use super::response::{LIMITS, is_issuer, signature_policy};
use super::service_provider::ServiceProvider;
use crate::clock::Timestamp;
use crate::store::LogoutTarget;
use crate::telemetry::error_chain;
use std::time::Duration;

/// The longest accepted message, in bytes.
const MESSAGE_BYTES_MAX: usize = 64 * 1024;

/// The maximum age of a message, which providers send at once. A used message is remembered until it is older.
const AGE_MAX: Duration = Duration::from_secs(300);

/// The most sessions that one message names.
const SESSIONS_MAX: usize = 32;

/// Why a logout message is refused.
#[derive(Debug, thiserror::Error)]
pub(super) enum LogoutRefusal {
    #[error("it has not exactly one SAMLRequest or SAMLResponse")]
    Missing,
    #[error(transparent)]
    Encoding(#[from] DecodeError),
    #[error("the message cannot be read")]
    Unreadable(#[source] XmlError),
    #[error("the signature is refused")]
    Signature(#[source] SignatureRefusal),
    #[error("it is not a {0} of SAML 2.0 with an ID")]
    Kind(&'static str),
    #[error("the Issuer is not the identity provider")]
    Issuer,
    #[error("the Destination is not the logout URL")]
    Destination,
    #[error("{0} is not a time")]
    Time(&'static str),
    #[error("it is too old or from the future")]
    Age,
    #[error("it has expired")]
    Expired,
    #[error("it names nobody")]
    NoName,
    #[error("the name of the person cannot be read")]
    Name(#[source] ResponseRefusal),
    #[error("it names too many sessions")]
    TooManySessions,
}

impl LogoutRefusal {
    /// Whether a key that is not in the metadata may have signed.
    pub(super) fn is_unknown_key(&self) -> bool {
        matches!(self, Self::Signature(SignatureRefusal::NoKeyVerifies))
    }
}

impl From<LogoutRefusal> for ConnectorError {
    fn from(refusal: LogoutRefusal) -> Self {
        Self::InvalidResponse(SourceRefusal {
            call: "single logout",
            code: 0,
            message: error_chain(&refusal).to_string(),
        })
    }
}

/// A message whose signature was verified.
pub(super) struct SignedMessage {
    /// The message, from the bytes that are signed.
    pub(super) root: Element,
    pub(super) is_request: bool,
    pub(super) relay_state: Option<String>,
    /// How it arrived.
    pub(super) binding: Binding,
}

impl SignedMessage {
    pub(super) fn read(
        message: LogoutMessage<'_>,
        keys: &[VerifyingKey],
        config: &Config,
    ) -> Result<Self, LogoutRefusal> {
        match message {
            LogoutMessage::Query(query) => Self::of_query(query, keys, config),
            LogoutMessage::Form(form) => {
                let field = |name| form.one(name).map_err(|_| LogoutRefusal::Missing);
                let (text, is_request) = match (field(REQUEST_FIELD)?, field(RESPONSE_FIELD)?) {
                    (Some(text), None) => (text, true),
                    (None, Some(text)) => (text, false),
                    _ => return Err(LogoutRefusal::Missing),
                };
                let message = decode_form(text, MESSAGE_BYTES_MAX)?;
                let root = Element::read(&message, LIMITS).map_err(LogoutRefusal::Unreadable)?;
                let policy = signature_policy(config);
                let signed = xml_signature::verify(&root, &root, keys, policy);
                Ok(Self {
                    root: signed.map_err(LogoutRefusal::Signature)?.root().clone(),
                    is_request,
                    relay_state: field(RELAY_STATE)?.map(str::to_owned),
                    binding: Binding::Post,
                })
            }
        }
    }

    /// The signature of the Redirect binding is in the query and covers the whole message.
    fn of_query(
        query: &str,
        keys: &[VerifyingKey],
        config: &Config,
    ) -> Result<Self, LogoutRefusal> {
        let signed = verify_query(query, keys, signature_policy(config));
        let signed = signed.map_err(LogoutRefusal::Signature)?;
        let message = decode_query(&signed.message, MESSAGE_BYTES_MAX)?;
        Ok(Self {
            root: Element::read(&message, LIMITS).map_err(LogoutRefusal::Unreadable)?,
            is_request: signed.parameter == REQUEST_FIELD,
            relay_state: signed.relay_state,
            binding: Binding::Redirect,
        })
    }
}

/// What a logout message must fit.
pub(super) struct LogoutRules<'a> {
    pub(super) config: &'a Config,
    pub(super) provider: &'a ServiceProvider,
    pub(super) idp: &'a IdpMetadata,
    pub(super) now: Timestamp,
}

/// A `LogoutRequest` that holds.
pub(super) struct LogoutRequest {
    pub(super) id: String,
    pub(super) notice: LogoutNotice,
}

impl LogoutRules<'_> {
    /// Checks a `LogoutRequest`, and returns what it ends.
    pub(super) fn request(&self, root: &Element) -> Result<LogoutRequest, LogoutRefusal> {
        let (id, accepted_until) = self.check_message(root, "LogoutRequest")?;
        let end = time(root, "NotOnOrAfter")?;
        if end.is_some_and(|end| end.plus(self.skew()) <= self.now) {
            return Err(LogoutRefusal::Expired);
        }
        let decryption = DecryptionPolicy {
            // The signature of the message was verified.
            allow_cbc: self.config.allow_cbc,
            limits: LIMITS,
        };
        let name_id = NameId::inside(root, root, self.provider, decryption);
        let name_id = name_id.map_err(LogoutRefusal::Name)?;
        let name_id = name_id.ok_or(LogoutRefusal::NoName)?;
        let notice = LogoutNotice {
            // The suffix never changes, so that messages stay used when menshen is updated.
            id: format!("{id} 0"),
            target: target(root, &name_id)?,
            accepted_until,
        };
        Ok(LogoutRequest { notice, id })
    }

    /// Checks a `LogoutResponse`, but not its status.
    pub(super) fn response(&self, root: &Element) -> Result<(), LogoutRefusal> {
        self.check_message(root, "LogoutResponse").map(|_| ())
    }

    fn skew(&self) -> Duration {
        self.config.clock_skew.duration()
    }

    /// Checks what all messages have; returns the ID, and until when the message is young enough.
    fn check_message(
        &self,
        root: &Element,
        kind: &'static str,
    ) -> Result<(String, Timestamp), LogoutRefusal> {
        let id = root.attribute("ID").filter(|id| !id.is_empty());
        let id = id.ok_or(LogoutRefusal::Kind(kind))?;
        if !root.is(PROTOCOL, kind) || root.attribute("Version") != Some("2.0") {
            return Err(LogoutRefusal::Kind(kind));
        }
        let issuer = root.only_child(ASSERTION, "Issuer").ok().flatten();
        if !issuer.is_some_and(|issuer| is_issuer(issuer, self.idp)) {
            return Err(LogoutRefusal::Issuer);
        }
        if root.attribute("Destination") != Some(self.provider.logout.as_str()) {
            return Err(LogoutRefusal::Destination);
        }
        let issued_at = time(root, "IssueInstant")?;
        let issued_at = issued_at.ok_or(LogoutRefusal::Time("IssueInstant"))?;
        // A used message is forgotten after some time, so an old one is never accepted.
        let tolerance = self.skew().min(AGE_MAX);
        let accepted_until = issued_at.plus(AGE_MAX + tolerance);
        if accepted_until < self.now || issued_at > self.now.plus(tolerance) {
            return Err(LogoutRefusal::Age);
        }
        Ok((id.to_owned(), accepted_until))
    }
}

/// The sessions that end: all of the person, or those that are named. Sessions whose assertion named no
/// session end as well.
fn target(root: &Element, name_id: &NameId) -> Result<LogoutTarget, LogoutRefusal> {
    let indexes = root.children_named(PROTOCOL, "SessionIndex");
    let indexes: Vec<_> = indexes
        .map(|index| xml::without_layout(&index.text()).to_owned())
        .collect();
    if indexes.len() > SESSIONS_MAX {
        return Err(LogoutRefusal::TooManySessions);
    }
    if indexes.is_empty() {
        return Ok(LogoutTarget::SessionGroup(name_id.session_group()));
    }
    let named = indexes.iter().map(|index| Some(index.as_str()));
    let ids = named.chain([None]).map(|index| name_id.session_id(index));
    Ok(LogoutTarget::Sessions(ids.collect()))
}

fn time(element: &Element, name: &'static str) -> Result<Option<Timestamp>, LogoutRefusal> {
    let text = element.attribute(name);
    let read = text.map(|text| xml::timestamp(text).ok_or(LogoutRefusal::Time(name)));
    read.transpose()
}
