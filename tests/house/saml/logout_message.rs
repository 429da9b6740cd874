//! `LogoutMessage`: requests and responses of single logout, written in canonical form.

use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use menshen::clock::Timestamp;
use url::form_urlencoded;

use super::response::{ASSERTION, IDP, PERSISTENT, PROTOCOL, new_id, status_xml};
use super::signer::Signer;
use super::{LOGOUT, deflate};

/// A message of the identity provider. Every absent part is left out.
#[derive(Clone, Debug)]
pub(crate) struct LogoutMessage {
    /// `LogoutRequest` or `LogoutResponse`.
    pub(crate) name: &'static str,
    pub(crate) id: String,
    pub(crate) issued_at: Timestamp,
    pub(crate) destination: Option<String>,
    pub(crate) not_on_or_after: Option<Timestamp>,
    pub(crate) in_response_to: Option<String>,
    pub(crate) issuer: String,
    /// What follows the issuer.
    pub(crate) content: String,
}

/// `NameID` with this format.
pub(crate) fn name_id(format: &str, value: &str) -> String {
    format!("<saml:NameID xmlns:saml=\"{ASSERTION}\" Format=\"{format}\">{value}</saml:NameID>")
}

pub(crate) fn session_index(index: &str) -> String {
    format!("<samlp:SessionIndex>{index}</samlp:SessionIndex>")
}

impl LogoutMessage {
    fn new(name: &'static str, content: String, now: Timestamp) -> Self {
        Self {
            name,
            id: new_id(),
            issued_at: now,
            destination: Some(LOGOUT.to_owned()),
            not_on_or_after: None,
            in_response_to: None,
            issuer: IDP.to_owned(),
            content,
        }
    }

    /// The identity provider ends the session with this index of a person with a persistent NameID; without
    /// an index, all sessions of the person.
    pub(crate) fn request(name: &str, index: Option<&str>, now: Timestamp) -> Self {
        let index = index.map(session_index).unwrap_or_default();
        let content = format!("{}{index}", name_id(PERSISTENT, name));
        Self::new("LogoutRequest", content, now)
    }

    /// The answer to a request of menshen.
    pub(crate) fn response(request: &str, status: &str, now: Timestamp) -> Self {
        let message = Self::new("LogoutResponse", status_xml(&[status]), now);
        Self {
            in_response_to: Some(request.to_owned()),
            ..message
        }
    }

    pub(crate) fn xml(&self) -> String {
        let Self { name, issuer, .. } = self;
        let mut xml = format!("<samlp:{name} xmlns:samlp=\"{PROTOCOL}\"");
        let times = self.not_on_or_after.map(|time| time.to_string());
        for (attribute, value) in [
            ("Destination", self.destination.clone()),
            ("ID", Some(self.id.clone())),
            ("InResponseTo", self.in_response_to.clone()),
            ("IssueInstant", Some(self.issued_at.to_string())),
            ("NotOnOrAfter", times),
            ("Version", Some("2.0".to_owned())),
        ] {
            if let Some(value) = value {
                write!(xml, " {attribute}=\"{value}\"").unwrap();
            }
        }
        write!(
            xml,
            "><saml:Issuer xmlns:saml=\"{ASSERTION}\">{issuer}</saml:Issuer>{}</samlp:{name}>",
            self.content
        )
        .unwrap();
        xml
    }

    /// The document with a signature inside, for the POST binding.
    pub(crate) fn signed_xml(&self, signer: &Signer) -> String {
        signer.sign(&self.xml(), &self.id)
    }

    fn parameter(&self) -> &'static str {
        match self.name {
            "LogoutRequest" => "SAMLRequest",
            _ => "SAMLResponse",
        }
    }

    /// The parameters of the Redirect binding without a signature.
    pub(crate) fn query(&self, relay_state: Option<&str>) -> String {
        let message = STANDARD.encode(deflate::deflated(&self.xml()));
        let mut query = form_urlencoded::Serializer::new(String::new());
        query.append_pair(self.parameter(), &message);
        if let Some(state) = relay_state {
            query.append_pair("RelayState", state);
        }
        query.finish()
    }

    /// The parameters with a signature.
    pub(crate) fn signed_query(&self, signer: &Signer, relay_state: Option<&str>) -> String {
        let method = signer.method.unwrap_or_else(|| signer.key.method());
        let encoded =
            |text: &str| -> String { form_urlencoded::byte_serialize(text.as_bytes()).collect() };
        let signed = format!("{}&SigAlg={}", self.query(relay_state), encoded(method));
        let signature = STANDARD.encode(signer.key.sign(method, signed.as_bytes()));
        format!("{signed}&Signature={}", encoded(&signature))
    }

    /// The URL of menshen with the message.
    pub(crate) fn redirect_url(&self, signer: &Signer, relay_state: Option<&str>) -> String {
        format!("{LOGOUT}?{}", self.signed_query(signer, relay_state))
    }

    /// The form of the POST binding.
    pub(crate) fn form(&self, xml: &str, relay_state: Option<&str>) -> String {
        let mut form = form_urlencoded::Serializer::new(String::new());
        form.append_pair(self.parameter(), &STANDARD.encode(xml));
        if let Some(state) = relay_state {
            form.append_pair("RelayState", state);
        }
        form.finish()
    }
}
