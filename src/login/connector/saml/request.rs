//! Login requests: `AuthnRequest` of SAML 2.0 core §3.4.1.

use quick_xml::escape::escape;

use super::super::kit::xml_signature::SignError;
use super::super::{AuthnRequest, Delivery};
use super::config::Binding;
use super::encoding::{encode_form, message_url};
use super::metadata::{Endpoint, Endpoints};
use super::names::{ASSERTION, POST_BINDING, PROTOCOL, RELAY_STATE, REQUEST_FIELD};
use super::service_provider::ServiceProvider;
use crate::clock::Timestamp;
use crate::login::connector::Prompt;
use crate::login::fields::Fields;
use crate::login::pending::Pending;

/// Why a message to the identity provider cannot be made.
#[derive(Debug, thiserror::Error)]
pub(super) enum MessageError {
    #[error("the identity provider has no such service with the Redirect or POST binding")]
    NoEndpoint,
    #[error("the message cannot be signed")]
    Sign(#[from] SignError),
    #[error("the message cannot be signed")]
    SignQuery,
}

/// The ID of the request of a login. An XML ID does not begin with a digit.
pub(super) fn request_id(pending: &Pending) -> String {
    format!("_{}", pending.nonce)
}

/// What a login request asks for.
pub(super) struct LoginRequest<'a> {
    pub(super) provider: &'a ServiceProvider,
    pub(super) pending: &'a Pending,
    pub(super) authn: &'a AuthnRequest,
    pub(super) name_id_format: Option<&'a str>,
    pub(super) at: Timestamp,
}

/// Whether the person must authenticate anew. SAML has no `max_age`: the provider could only be asked for an
/// authentication that is not older than the request.
pub(super) fn forces_authentication(pending: &Pending, authn: &AuthnRequest) -> bool {
    let is_asked = matches!(authn.prompt, Some(Prompt::Login | Prompt::SelectAccount));
    !pending.silent && (is_asked || pending.max_age.is_some())
}

impl LoginRequest<'_> {
    /// The request as the browser carries it.
    pub(super) fn deliver(
        &self,
        sign_on: &Endpoints,
        preferred: Binding,
    ) -> Result<Delivery, MessageError> {
        let outgoing = Outgoing {
            provider: self.provider,
            field: REQUEST_FIELD,
            id: &request_id(self.pending),
            relay_state: Some(self.pending.flow.as_str()),
        };
        outgoing.deliver(sign_on, preferred, Endpoint::of_requests, |destination| {
            self.text(destination)
        })
    }

    fn text(&self, destination: &str) -> String {
        let Self {
            provider, authn, ..
        } = self;
        let mut flags = String::new();
        if forces_authentication(self.pending, authn) {
            flags.push_str(" ForceAuthn=\"true\"");
        }
        if self.pending.silent {
            flags.push_str(" IsPassive=\"true\"");
        }
        let policy = match self.name_id_format {
            None => String::new(),
            Some(format) => format!(
                "<samlp:NameIDPolicy Format=\"{}\" AllowCreate=\"true\"/>",
                escape(format)
            ),
        };
        format!(
            "<samlp:AuthnRequest xmlns:samlp=\"{PROTOCOL}\" xmlns:saml=\"{ASSERTION}\" ID=\"{}\" \
             Version=\"2.0\" IssueInstant=\"{}\" Destination=\"{}\"{flags} \
             ProtocolBinding=\"{POST_BINDING}\" AssertionConsumerServiceURL=\"{}\">\
             <saml:Issuer>{}</saml:Issuer>{policy}{}</samlp:AuthnRequest>",
            request_id(self.pending),
            self.at,
            escape(destination),
            escape(provider.consumer.as_str()),
            escape(provider.entity_id.as_str()),
            requested_context(&authn.acr_values),
        )
    }
}

fn requested_context(acr_values: &[String]) -> String {
    if acr_values.is_empty() {
        return String::new();
    }
    let classes: String = acr_values
        .iter()
        .map(|class| {
            let class = escape(class.as_str());
            format!("<saml:AuthnContextClassRef>{class}</saml:AuthnContextClassRef>")
        })
        .collect();
    format!(
        "<samlp:RequestedAuthnContext Comparison=\"exact\">{classes}</samlp:RequestedAuthnContext>"
    )
}

/// A message to the identity provider.
pub(super) struct Outgoing<'a> {
    pub(super) provider: &'a ServiceProvider,
    pub(super) field: &'static str,
    pub(super) id: &'a str,
    pub(super) relay_state: Option<&'a str>,
}

impl Outgoing<'_> {
    /// Makes the message for the preferred binding, or for the other one if the service has only that.
    /// `text` gets the URL to which the message goes.
    pub(super) fn deliver(
        &self,
        service: &Endpoints,
        preferred: Binding,
        address: impl Fn(&Endpoint) -> &url::Url,
        text: impl FnOnce(&str) -> String,
    ) -> Result<Delivery, MessageError> {
        let (by_post, endpoint) = match (preferred, &service.redirect, &service.post) {
            (Binding::Post, _, Some(post)) | (_, None, Some(post)) => (true, post),
            (_, Some(redirect), _) => (false, redirect),
            (_, None, None) => return Err(MessageError::NoEndpoint),
        };
        let to = address(endpoint);
        let text = text(to.as_str());
        let relay_state = self
            .relay_state
            .filter(|state| !state.is_empty())
            .map(|state| (RELAY_STATE, state));
        let key = self.provider.key.as_ref();
        if !by_post {
            let message = (self.field, text.as_str());
            let url = message_url(to, message, relay_state, key.map(|key| &key.private));
            return url.map(Delivery::Redirect).ok_or(MessageError::SignQuery);
        }
        let text = match key {
            Some(key) => key.sign(&text, self.id)?,
            None => text,
        };
        let mut fields = Fields::default();
        fields.push(self.field, &encode_form(&text));
        if let Some((name, value)) = relay_state {
            fields.push(name, value);
        }
        Ok(Delivery::Post {
            to: to.clone(),
            fields,
        })
    }
}

impl Endpoint {
    pub(super) fn of_requests(&self) -> &url::Url {
        &self.location
    }

    pub(super) fn of_answers(&self) -> &url::Url {
        &self.answers
    }
}
