//! `Facts`: what a verified assertion says, after all its conditions were checked (SAML 2.0 profiles §4.1.4.3).

use std::collections::BTreeMap;
use std::time::Duration;

use super::super::kit::xml::{self, Element};
use super::elements::{leaf_text, only};
use super::metadata::IdpMetadata;
use super::name_id::NameId;
use super::names::{ASSERTION, BEARER};
use super::refusal::ResponseRefusal;
use super::response::is_issuer;
use super::service_provider::ServiceProvider;
use crate::clock::Timestamp;

/// What an assertion must fit.
pub(super) struct AssertionRules<'a> {
    pub(super) provider: &'a ServiceProvider,
    pub(super) idp: &'a IdpMetadata,
    /// The ID of the request; absent: the assertion must answer none.
    pub(super) request_id: Option<&'a str>,
    pub(super) now: Timestamp,
    pub(super) skew: Duration,
}

/// What an assertion says.
#[derive(Debug)]
pub(super) struct Facts {
    pub(super) id: String,
    /// Until when the assertion would be accepted.
    pub(super) accepted_until: Timestamp,
    pub(super) name_id: Option<NameId>,
    pub(super) authn: Authn,
    /// By `Name`.
    pub(super) attributes: BTreeMap<String, Vec<String>>,
    /// By `FriendlyName`.
    pub(super) friendly: BTreeMap<String, Vec<String>>,
}

/// How the person authenticated.
#[derive(Debug)]
pub(super) struct Authn {
    pub(super) instant: Timestamp,
    pub(super) context: Option<String>,
    pub(super) session_index: Option<String>,
    /// `SessionNotOnOrAfter`.
    pub(super) session_ends_at: Option<Timestamp>,
}

impl AssertionRules<'_> {
    /// Checks the assertion; `name_id` is that of its subject, decrypted.
    pub(super) fn check(
        &self,
        assertion: &Element,
        name_id: Option<NameId>,
    ) -> Result<Facts, ResponseRefusal> {
        let id = assertion.attribute("ID").filter(|id| !id.is_empty());
        if assertion.attribute("Version") != Some("2.0") {
            return Err(ResponseRefusal::NoAssertionId);
        }
        let issuer = only(assertion, "Issuer")?;
        if !issuer.is_some_and(|issuer| is_issuer(issuer, self.idp)) {
            return Err(ResponseRefusal::AssertionIssuer);
        }
        if self.is_future(time(assertion, "IssueInstant")?) {
            return Err(ResponseRefusal::IssuedInFuture);
        }
        let confirmed_until = self.check_confirmation(assertion)?;
        let conditions_until = self.check_conditions(assertion)?;
        let end = conditions_until.map_or(confirmed_until, |end| end.min(confirmed_until));
        let (attributes, friendly) = attributes(assertion);
        Ok(Facts {
            id: id.ok_or(ResponseRefusal::NoAssertionId)?.to_owned(),
            accepted_until: end.plus(self.skew),
            name_id,
            authn: self.authn(assertion)?,
            attributes,
            friendly,
        })
    }

    fn is_future(&self, at: Option<Timestamp>) -> bool {
        at.is_some_and(|at| at > self.now.plus(self.skew))
    }

    /// Whether a `NotOnOrAfter` has passed.
    fn is_past(&self, end: Option<Timestamp>) -> bool {
        end.is_some_and(|end| end.plus(self.skew) <= self.now)
    }

    /// Finds a bearer confirmation that holds, and returns its end.
    fn check_confirmation(&self, assertion: &Element) -> Result<Timestamp, ResponseRefusal> {
        let subject = only(assertion, "Subject")?;
        let confirmations = subject
            .into_iter()
            .flat_map(|subject| subject.children_named(ASSERTION, "SubjectConfirmation"))
            .filter(|confirmation| confirmation.attribute("Method") == Some(BEARER));
        let mut refusal = ResponseRefusal::NoBearer;
        for confirmation in confirmations {
            match self.check_bearer(confirmation) {
                Ok(end) => return Ok(end),
                Err(error) => refusal = error,
            }
        }
        Err(refusal)
    }

    fn check_bearer(&self, confirmation: &Element) -> Result<Timestamp, ResponseRefusal> {
        let data = only(confirmation, "SubjectConfirmationData")?;
        let data = data.ok_or(ResponseRefusal::ConfirmationWithoutEnd)?;
        if data.attribute("Recipient") != Some(self.provider.consumer.as_str()) {
            return Err(ResponseRefusal::Recipient);
        }
        match (data.attribute("InResponseTo"), self.request_id) {
            (Some(answered), Some(request)) if answered == request => {}
            (None, None) => {}
            (Some(_), None) => return Err(ResponseRefusal::Solicited),
            (_, Some(_)) => return Err(ResponseRefusal::ConfirmationInResponseTo),
        }
        if self.is_future(time(data, "NotBefore")?) {
            return Err(ResponseRefusal::ConfirmationEarly);
        }
        let end = time(data, "NotOnOrAfter")?;
        if self.is_past(end) {
            return Err(ResponseRefusal::ConfirmationExpired);
        }
        end.ok_or(ResponseRefusal::ConfirmationWithoutEnd)
    }

    /// Checks the conditions, of which every one must be known (SAML 2.0 core §2.5.1.1), and returns their
    /// end.
    fn check_conditions(&self, assertion: &Element) -> Result<Option<Timestamp>, ResponseRefusal> {
        let conditions = only(assertion, "Conditions")?;
        let conditions = conditions.ok_or(ResponseRefusal::NoAudience)?;
        if self.is_future(time(conditions, "NotBefore")?) {
            return Err(ResponseRefusal::ConditionsEarly);
        }
        let end = time(conditions, "NotOnOrAfter")?;
        if self.is_past(end) {
            return Err(ResponseRefusal::ConditionsExpired);
        }
        let mut has_audience = false;
        for condition in conditions.elements() {
            let is_of_saml = condition.namespace() == Some(ASSERTION);
            match condition.local_name() {
                "AudienceRestriction" if is_of_saml => {
                    self.check_audience(condition)?;
                    has_audience = true;
                }
                // Each assertion is accepted once anyway, and menshen issues none.
                "OneTimeUse" | "ProxyRestriction" if is_of_saml => {}
                other => return Err(ResponseRefusal::UnknownCondition(other.to_owned())),
            }
        }
        match has_audience {
            true => Ok(end),
            false => Err(ResponseRefusal::NoAudience),
        }
    }

    fn check_audience(&self, restriction: &Element) -> Result<(), ResponseRefusal> {
        let mut audiences = restriction.children_named(ASSERTION, "Audience");
        let is_ours = audiences.any(|audience| {
            audience.elements().next().is_none()
                && audience.text().trim() == self.provider.entity_id
        });
        match is_ours {
            true => Ok(()),
            false => Err(ResponseRefusal::Audience),
        }
    }

    /// The first statement of how the person authenticated, and the earliest end of the session.
    fn authn(&self, assertion: &Element) -> Result<Authn, ResponseRefusal> {
        let mut first = None;
        let mut session_ends_at: Option<Timestamp> = None;
        for statement in assertion.children_named(ASSERTION, "AuthnStatement") {
            first = first.or(Some(statement));
            let end = time(statement, "SessionNotOnOrAfter")?;
            if self.is_past(end) {
                return Err(ResponseRefusal::SessionExpired);
            }
            session_ends_at = [session_ends_at, end].into_iter().flatten().min();
        }
        let statement = first.ok_or(ResponseRefusal::NoAuthnStatement)?;
        let instant = time(statement, "AuthnInstant")?;
        let context = only(statement, "AuthnContext")?;
        let context = context.and_then(|context| {
            let class = only(context, "AuthnContextClassRef").ok()?;
            let class = class.or(only(context, "AuthnContextDeclRef").ok()?);
            leaf_text(class?)
        });
        if self.is_future(instant) {
            return Err(ResponseRefusal::AuthnInFuture);
        }
        Ok(Authn {
            instant: instant.ok_or(ResponseRefusal::Time("AuthnInstant"))?,
            context: context.filter(|context| !context.is_empty()),
            session_index: statement
                .attribute("SessionIndex")
                .filter(|index| !index.is_empty())
                .map(str::to_owned),
            session_ends_at,
        })
    }
}

/// A time in an attribute, if the element has it.
fn time(element: &Element, name: &'static str) -> Result<Option<Timestamp>, ResponseRefusal> {
    let text = element.attribute(name);
    let read = text.map(|text| xml::timestamp(text).ok_or(ResponseRefusal::Time(name)));
    read.transpose()
}

type Attributes = BTreeMap<String, Vec<String>>;

/// The attributes by name and by friendly name. Values of equal names are joined: Keycloak writes an element
/// for each value.
fn attributes(assertion: &Element) -> (Attributes, Attributes) {
    let (mut by_name, mut by_friendly_name) = (Attributes::new(), Attributes::new());
    let statements = assertion.children_named(ASSERTION, "AttributeStatement");
    for attribute in statements.flat_map(|it| it.children_named(ASSERTION, "Attribute")) {
        let values = attribute.children_named(ASSERTION, "AttributeValue");
        let values: Vec<String> = values.filter_map(attribute_value).collect();
        let names = [
            (&mut by_name, attribute.attribute("Name")),
            (&mut by_friendly_name, attribute.attribute("FriendlyName")),
        ];
        for (attributes, name) in names {
            if let Some(name) = name {
                let known = attributes.entry(name.to_owned()).or_default();
                known.extend(values.iter().cloned());
            }
        }
    }
    (by_name, by_friendly_name)
}

/// The text of a value, with its blanks: that of somebody else may differ in them alone. One that holds a
/// `NameID`, such as eduPersonTargetedID, is the text of that; other elements have no meaning here.
fn attribute_value(value: &Element) -> Option<String> {
    let mut inner = value.elements();
    match (inner.next(), inner.next()) {
        (None, _) => Some(xml::without_layout(&value.text()).to_owned()),
        (Some(name_id), None) if name_id.is(ASSERTION, "NameID") => leaf_text(name_id),
        _ => None,
    }
}
