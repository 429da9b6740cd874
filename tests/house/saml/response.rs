//! `SamlResponse`: a response of an identity provider, written in canonical form.

use std::fmt::Write as _;
use std::time::Duration;

use menshen::clock::Timestamp;

use super::idp::{Person, ReceivedRequest};
use super::{ACS, ENTITY_ID};

pub(crate) const PROTOCOL: &str = "urn:oasis:names:tc:SAML:2.0:protocol";
pub(crate) const ASSERTION: &str = "urn:oasis:names:tc:SAML:2.0:assertion";
pub(crate) const BEARER: &str = "urn:oasis:names:tc:SAML:2.0:cm:bearer";
pub(crate) const SUCCESS: &str = "urn:oasis:names:tc:SAML:2.0:status:Success";
pub(crate) const PASSWORD: &str = "urn:oasis:names:tc:SAML:2.0:ac:classes:Password";
pub(crate) const PERSISTENT: &str = "urn:oasis:names:tc:SAML:2.0:nameid-format:persistent";
pub(crate) const TRANSIENT: &str = "urn:oasis:names:tc:SAML:2.0:nameid-format:transient";
pub(crate) const EMAIL: &str = "urn:oasis:names:tc:SAML:1.1:nameid-format:emailAddress";

/// The entity ID of the identity provider.
pub(crate) const IDP: &str = "https://idp.example/metadata";

/// The name and format of a person.
#[derive(Clone, Debug)]
pub(crate) struct NameId {
    pub(crate) format: Option<&'static str>,
    /// Further attributes, written as they are.
    pub(crate) qualifiers: &'static str,
    /// Written as it is, so it may hold markup.
    pub(crate) xml: String,
}

/// The parts of a response. Every absent part is left out.
#[derive(Clone, Debug)]
pub(crate) struct SamlResponse {
    pub(crate) id: String,
    pub(crate) version: &'static str,
    pub(crate) issued_at: Timestamp,
    pub(crate) destination: Option<String>,
    pub(crate) in_response_to: Option<String>,
    pub(crate) issuer: Option<String>,
    /// The codes, the outer one first.
    pub(crate) status: Vec<&'static str>,
    pub(crate) assertion: Assertion,
}

#[derive(Clone, Debug)]
pub(crate) struct Assertion {
    pub(crate) id: String,
    pub(crate) version: &'static str,
    pub(crate) issued_at: Timestamp,
    pub(crate) issuer: Option<String>,
    pub(crate) name_id: Option<NameId>,
    pub(crate) confirmations: Vec<Confirmation>,
    pub(crate) not_before: Option<Timestamp>,
    pub(crate) not_on_or_after: Option<Timestamp>,
    /// An `AudienceRestriction` for each list.
    pub(crate) audiences: Vec<Vec<String>>,
    /// Further conditions.
    pub(crate) conditions: String,
    pub(crate) authn: Option<Authn>,
    /// The elements inside `AttributeStatement`.
    pub(crate) attributes: String,
}

#[derive(Clone, Debug)]
pub(crate) struct Confirmation {
    pub(crate) method: &'static str,
    pub(crate) recipient: Option<String>,
    pub(crate) in_response_to: Option<String>,
    pub(crate) not_before: Option<Timestamp>,
    pub(crate) not_on_or_after: Option<Timestamp>,
}

#[derive(Clone, Debug)]
pub(crate) struct Authn {
    pub(crate) instant: Timestamp,
    pub(crate) session_index: Option<String>,
    pub(crate) session_not_on_or_after: Option<Timestamp>,
    pub(crate) context: &'static str,
}

pub(crate) fn new_id() -> String {
    let random: [u8; 16] = menshen::keys::random();
    format!("_{:032x}", u128::from_ne_bytes(random))
}

/// `seconds` before or after a time.
pub(crate) fn shifted(time: Timestamp, seconds: i64) -> Timestamp {
    Timestamp::from_unix_ms(time.unix_ms() + seconds * 1000)
}

impl SamlResponse {
    /// The honest response, valid for a minute.
    pub(crate) fn to(request: &ReceivedRequest, person: &Person, now: Timestamp) -> Self {
        Self {
            id: new_id(),
            version: "2.0",
            issued_at: now,
            destination: Some(ACS.to_owned()),
            in_response_to: Some(request.id.clone()),
            issuer: Some(IDP.to_owned()),
            status: vec![SUCCESS],
            assertion: Assertion::to(request, person, now),
        }
    }

    /// A response that nobody requested.
    pub(crate) fn unsolicited(person: &Person, now: Timestamp) -> Self {
        let mut response = Self::to(&ReceivedRequest::default(), person, now);
        response.in_response_to = None;
        response.assertion.confirmations[0].in_response_to = None;
        response
    }

    /// The document with this element in place of the assertion.
    pub(crate) fn xml_with(&self, assertion: &str) -> String {
        let mut xml = format!("<samlp:Response xmlns:samlp=\"{PROTOCOL}\"");
        attribute(&mut xml, "Destination", self.destination.as_deref());
        attribute(&mut xml, "ID", Some(&self.id));
        attribute(&mut xml, "InResponseTo", self.in_response_to.as_deref());
        attribute(&mut xml, "IssueInstant", Some(&self.issued_at.to_string()));
        attribute(&mut xml, "Version", Some(self.version));
        xml.push('>');
        if let Some(issuer) = &self.issuer {
            write!(
                xml,
                "<saml:Issuer xmlns:saml=\"{ASSERTION}\">{issuer}</saml:Issuer>"
            )
            .unwrap();
        }
        xml.push_str(&status_xml(&self.status));
        xml.push_str(assertion);
        xml.push_str("</samlp:Response>");
        xml
    }
}

/// `Status` with nested codes.
pub(crate) fn status_xml(codes: &[&str]) -> String {
    let starts: String = codes
        .iter()
        .map(|code| format!("<samlp:StatusCode Value=\"{code}\">"))
        .collect();
    let ends = "</samlp:StatusCode>".repeat(codes.len());
    format!("<samlp:Status>{starts}{ends}</samlp:Status>")
}

impl Assertion {
    fn to(request: &ReceivedRequest, person: &Person, now: Timestamp) -> Self {
        let end = now.plus(Duration::from_secs(60));
        Self {
            id: new_id(),
            version: "2.0",
            issued_at: now,
            issuer: Some(IDP.to_owned()),
            name_id: Some(person.name_id.clone()),
            confirmations: vec![Confirmation {
                method: BEARER,
                recipient: Some(ACS.to_owned()),
                in_response_to: Some(request.id.clone()),
                not_before: None,
                not_on_or_after: Some(end),
            }],
            not_before: Some(now),
            not_on_or_after: Some(end),
            audiences: vec![vec![ENTITY_ID.to_owned()]],
            conditions: String::new(),
            authn: Some(Authn {
                instant: person.authenticated_at.unwrap_or(now),
                session_index: Some(new_id()),
                session_not_on_or_after: None,
                context: person.context,
            }),
            attributes: person.attributes.clone(),
        }
    }

    pub(crate) fn xml(&self) -> String {
        let mut xml = format!("<saml:Assertion xmlns:saml=\"{ASSERTION}\"");
        attribute(&mut xml, "ID", Some(&self.id));
        attribute(&mut xml, "IssueInstant", Some(&self.issued_at.to_string()));
        attribute(&mut xml, "Version", Some(self.version));
        xml.push('>');
        if let Some(issuer) = &self.issuer {
            write!(xml, "<saml:Issuer>{issuer}</saml:Issuer>").unwrap();
        }
        self.write_subject(&mut xml);
        self.write_conditions(&mut xml);
        if let Some(authn) = &self.authn {
            authn.write(&mut xml);
        }
        if !self.attributes.is_empty() {
            let attributes = &self.attributes;
            write!(
                xml,
                "<saml:AttributeStatement>{attributes}</saml:AttributeStatement>"
            )
            .unwrap();
        }
        xml.push_str("</saml:Assertion>");
        xml
    }

    fn write_subject(&self, xml: &mut String) {
        xml.push_str("<saml:Subject>");
        if let Some(name_id) = &self.name_id {
            xml.push_str("<saml:NameID");
            attribute(xml, "Format", name_id.format);
            let NameId {
                qualifiers,
                xml: value,
                ..
            } = name_id;
            write!(xml, "{qualifiers}>{value}</saml:NameID>").unwrap();
        }
        for confirmation in &self.confirmations {
            let method = confirmation.method;
            write!(xml, "<saml:SubjectConfirmation Method=\"{method}\">").unwrap();
            xml.push_str("<saml:SubjectConfirmationData");
            attribute(xml, "InResponseTo", confirmation.in_response_to.as_deref());
            time(xml, "NotBefore", confirmation.not_before);
            time(xml, "NotOnOrAfter", confirmation.not_on_or_after);
            attribute(xml, "Recipient", confirmation.recipient.as_deref());
            xml.push_str("></saml:SubjectConfirmationData></saml:SubjectConfirmation>");
        }
        xml.push_str("</saml:Subject>");
    }

    fn write_conditions(&self, xml: &mut String) {
        xml.push_str("<saml:Conditions");
        time(xml, "NotBefore", self.not_before);
        time(xml, "NotOnOrAfter", self.not_on_or_after);
        xml.push('>');
        for audiences in &self.audiences {
            xml.push_str("<saml:AudienceRestriction>");
            for audience in audiences {
                write!(xml, "<saml:Audience>{audience}</saml:Audience>").unwrap();
            }
            xml.push_str("</saml:AudienceRestriction>");
        }
        write!(xml, "{}</saml:Conditions>", self.conditions).unwrap();
    }
}

impl Authn {
    fn write(&self, xml: &mut String) {
        xml.push_str("<saml:AuthnStatement");
        time(xml, "AuthnInstant", Some(self.instant));
        attribute(xml, "SessionIndex", self.session_index.as_deref());
        time(xml, "SessionNotOnOrAfter", self.session_not_on_or_after);
        let context = self.context;
        write!(
            xml,
            "><saml:AuthnContext><saml:AuthnContextClassRef>{context}</saml:AuthnContextClassRef>\
             </saml:AuthnContext></saml:AuthnStatement>"
        )
        .unwrap();
    }
}

/// `Attribute` with these values.
pub(crate) fn saml_attribute(name: &str, friendly_name: Option<&str>, values: &[&str]) -> String {
    let mut xml = "<saml:Attribute".to_owned();
    attribute(&mut xml, "FriendlyName", friendly_name);
    attribute(&mut xml, "Name", Some(name));
    xml.push('>');
    for value in values {
        write!(xml, "<saml:AttributeValue>{value}</saml:AttributeValue>").unwrap();
    }
    xml.push_str("</saml:Attribute>");
    xml
}

fn attribute(xml: &mut String, name: &str, value: Option<&str>) {
    if let Some(value) = value {
        let value = value.replace('&', "&amp;").replace('<', "&lt;");
        write!(xml, " {name}=\"{}\"", value.replace('"', "&quot;")).unwrap();
    }
}

fn time(xml: &mut String, name: &str, time: Option<Timestamp>) {
    attribute(xml, name, time.map(|time| time.to_string()).as_deref());
}
