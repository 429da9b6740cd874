//! Single logout in both directions (SAML 2.0 profiles §4.4).

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use quick_xml::escape::escape;
use tokio::time::timeout;
use url::Url;

use super::super::{ConnectorError, Delivery, LogoutMessage, ProviderLogout, ReceivedLogout};
use super::Saml;
use super::config::Binding;
use super::logout_message::{LogoutRefusal, LogoutRequest, LogoutRules, SignedMessage};
use super::metadata::{Endpoint, IdpMetadata};
use super::name_id::SessionAtProvider;
use super::names::{
    ASSERTION, PROTOCOL, RELAY_STATE_BYTES_MAX, REQUEST_FIELD, RESPONSE_FIELD, SUCCESS,
};
use super::request::{MessageError, Outgoing};
use super::response::check_status;
use crate::keys;
use crate::secret::Secret;
use crate::telemetry::error_chain;

/// How long a sign-out waits for metadata that is not cached.
const METADATA_TIMEOUT: Duration = Duration::from_secs(2);

/// How long the identity provider may accept our request.
const REQUEST_LIFETIME: Duration = Duration::from_secs(300);

#[async_trait]
impl ProviderLogout for Saml {
    fn page(&self) -> Option<Url> {
        let logout = &self.metadata.cached()?.logout;
        let endpoint = logout.redirect.as_ref().or(logout.post.as_ref())?;
        Some(endpoint.location.clone())
    }

    /// The answer goes to the logout URL that the identity provider knows, so `return_url` is not sent.
    async fn end_session(
        &self,
        id_token: Option<&Secret<String>>,
        _return_url: &Url,
        state: &str,
    ) -> Option<Delivery> {
        let session: SessionAtProvider = serde_json::from_str(id_token?.expose()).ok()?;
        let idp = match self.metadata.cached() {
            Some(idp) => idp,
            None => timeout(METADATA_TIMEOUT, self.metadata.current())
                .await
                .ok()?
                .ok()?,
        };
        let request = self.logout_request(&idp, &session, state);
        match request {
            Ok(delivery) => Some(delivery),
            Err(MessageError::NoEndpoint) => None,
            Err(error) => {
                let error = error_chain(&error);
                tracing::error!(%error, "a logout request to an identity provider cannot be made");
                None
            }
        }
    }

    async fn receive_logout(
        &self,
        message: LogoutMessage<'_>,
    ) -> Option<Result<ReceivedLogout, ConnectorError>> {
        self.provider.key.as_ref()?;
        Some(self.receive(message).await)
    }
}

impl Saml {
    fn logout_request(
        &self,
        idp: &IdpMetadata,
        session: &SessionAtProvider,
        state: &str,
    ) -> Result<Delivery, MessageError> {
        let id = random_id();
        let now = self.clock.now();
        let outgoing = Outgoing {
            provider: &self.provider,
            field: REQUEST_FIELD,
            id: &id,
            relay_state: Some(state).filter(|state| state.len() <= RELAY_STATE_BYTES_MAX),
        };
        let preferred = Binding::Redirect;
        outgoing.deliver(&idp.logout, preferred, Endpoint::of_requests, |destination| {
            let index = session.session_index.as_deref().map(|index| {
                let index = escape(index);
                format!("<samlp:SessionIndex>{index}</samlp:SessionIndex>")
            });
            format!(
                "<samlp:LogoutRequest xmlns:samlp=\"{PROTOCOL}\" xmlns:saml=\"{ASSERTION}\" ID=\"{id}\" \
                 Version=\"2.0\" IssueInstant=\"{now}\" NotOnOrAfter=\"{}\" Destination=\"{}\">\
                 <saml:Issuer>{}</saml:Issuer>{}{}</samlp:LogoutRequest>",
                now.plus(REQUEST_LIFETIME),
                escape(destination),
                escape(self.provider.entity_id.as_str()),
                session.name_id.to_xml(),
                index.unwrap_or_default(),
            )
        })
    }

    async fn receive(&self, message: LogoutMessage<'_>) -> Result<ReceivedLogout, ConnectorError> {
        let idp = self.idp().await?;
        let read =
            |idp: &IdpMetadata| SignedMessage::read(message, &idp.signing_keys, &self.config);
        let (idp, signed) = match read(&idp) {
            Err(refusal) if refusal.is_unknown_key() => match self.metadata.refetch().await {
                Some(newer) => {
                    let signed = read(&newer);
                    (newer, signed)
                }
                None => (idp, Err(refusal)),
            },
            signed => (idp, signed),
        };
        match signed {
            Ok(signed) if signed.is_request => self.answer_request(&idp, &signed),
            Ok(signed) => Ok(self.read_answer(&idp, signed)),
            Err(refusal) if is_answer(message) => {
                let error = error_chain(&refusal);
                tracing::warn!(%error, "the answer of an identity provider to a sign-out is refused");
                Ok(ReceivedLogout::Answer {
                    is_confirmed: false,
                    state: None,
                })
            }
            Err(refusal) => Err(refusal.into()),
        }
    }

    fn rules<'a>(&'a self, idp: &'a IdpMetadata) -> LogoutRules<'a> {
        LogoutRules {
            config: &self.config,
            provider: &self.provider,
            idp,
            now: self.clock.now(),
        }
    }

    fn answer_request(
        &self,
        idp: &Arc<IdpMetadata>,
        signed: &SignedMessage,
    ) -> Result<ReceivedLogout, ConnectorError> {
        let request: Result<LogoutRequest, LogoutRefusal> = self.rules(idp).request(&signed.root);
        let request = request?;
        let answer = match self.logout_response(idp, signed, &request.id) {
            Ok(answer) => Some(answer),
            Err(error) => {
                let error = error_chain(&error);
                tracing::warn!(%error, "an identity provider gets no answer to its logout request");
                None
            }
        };
        Ok(ReceivedLogout::Request {
            notice: request.notice,
            answer,
        })
    }

    fn logout_response(
        &self,
        idp: &IdpMetadata,
        request: &SignedMessage,
        request_id: &str,
    ) -> Result<Delivery, MessageError> {
        let id = random_id();
        let outgoing = Outgoing {
            provider: &self.provider,
            field: RESPONSE_FIELD,
            id: &id,
            relay_state: request.relay_state.as_deref(),
        };
        let now = self.clock.now();
        outgoing.deliver(&idp.logout, request.binding, Endpoint::of_answers, |destination| {
            format!(
                "<samlp:LogoutResponse xmlns:samlp=\"{PROTOCOL}\" xmlns:saml=\"{ASSERTION}\" ID=\"{id}\" \
                 Version=\"2.0\" IssueInstant=\"{now}\" Destination=\"{}\" InResponseTo=\"{}\">\
                 <saml:Issuer>{}</saml:Issuer><samlp:Status><samlp:StatusCode Value=\"{SUCCESS}\"/>\
                 </samlp:Status></samlp:LogoutResponse>",
                escape(destination),
                escape(request_id),
                escape(self.provider.entity_id.as_str()),
            )
        })
    }

    /// An answer only decides what the page says: the session here has ended before.
    fn read_answer(&self, idp: &IdpMetadata, signed: SignedMessage) -> ReceivedLogout {
        let checked = self.rules(idp).response(&signed.root);
        if let Err(refusal) = &checked {
            let error = error_chain(refusal);
            tracing::warn!(%error, "the answer of an identity provider to a sign-out is refused");
        }
        ReceivedLogout::Answer {
            is_confirmed: checked.is_ok() && check_status(&signed.root).is_ok(),
            state: signed.relay_state,
        }
    }
}

/// Whether a message claims to be the answer to our request.
fn is_answer(message: LogoutMessage<'_>) -> bool {
    match message {
        LogoutMessage::Form(form) => form.has(RESPONSE_FIELD) && !form.has(REQUEST_FIELD),
        LogoutMessage::Query(query) => {
            let has =
                |name| url::form_urlencoded::parse(query.as_bytes()).any(|(key, _)| key == name);
            has(RESPONSE_FIELD) && !has(REQUEST_FIELD)
        }
    }
}

/// The ID of a message. An XML ID does not begin with a digit.
fn random_id() -> String {
    let random = keys::random::<20>();
    let hex: String = random.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("_{hex}")
}
