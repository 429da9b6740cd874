//! Logout at the CAS server, and single logout by the CAS server (CAS Protocol 3.0 §2.3).

use async_trait::async_trait;
use url::Url;

use super::super::kit::xml::{Element, XmlLimits};
use super::super::{ConnectorError, Delivery, ProviderLogout, SourceRefusal, grant};
use super::Cas;
use super::ticket::Ticket;
use crate::secret::Secret;
use crate::store::LogoutTarget;

/// The field of a logout message (§2.3.3).
pub(super) const MESSAGE_FIELD: &str = "logoutRequest";

/// The largest accepted form with a logout message, in bytes.
pub(super) const MESSAGE_BYTES_MAX: usize = 64 * 1024;

/// A logout message borrows the format of SAML 2.0.
const NAMESPACE: &str = "urn:oasis:names:tc:SAML:2.0:protocol";

const LIMITS: XmlLimits = XmlLimits {
    bytes: MESSAGE_BYTES_MAX,
    elements: 200,
    depth: 16,
    attributes: 32,
};

#[async_trait]
impl ProviderLogout for Cas {
    fn page(&self) -> Option<Url> {
        Some(self.addresses.logout.clone())
    }

    /// The return URL is the service, which the CAS server must know; the state is in its query.
    async fn end_session(
        &self,
        _id_token: Option<&Secret<String>>,
        return_url: &Url,
        state: &str,
    ) -> Option<Delivery> {
        // A browser is not redirected to a server that does not respond.
        if self.reachability.is_down() {
            return None;
        }
        let mut service = return_url.clone();
        if !state.is_empty() {
            service.query_pairs_mut().append_pair("state", state);
        }
        let params = [("service", service.as_str())];
        let page = grant::authorize_url(&self.addresses.logout, &params, &[]);
        Some(Delivery::Redirect(page))
    }

    fn read_logout_message(&self, message: &str) -> Result<Option<LogoutTarget>, ConnectorError> {
        let session = session_index(message)?;
        let ticket = session.as_deref().map(Ticket::parse).transpose()?;
        Ok(ticket.map(|ticket| LogoutTarget::Session(ticket.session_id())))
    }
}

/// The `SessionIndex` of a `LogoutRequest`, which is the ticket of the login; `None` if there is none.
fn session_index(message: &str) -> Result<Option<String>, ConnectorError> {
    let malformed =
        |why: &str| ConnectorError::InvalidResponse(SourceRefusal::fault("single logout", why));
    let root = Element::read(message.as_bytes(), LIMITS);
    let root = root.map_err(|error| malformed(&error.to_string()))?;
    if !root.is(NAMESPACE, "LogoutRequest") {
        return Err(malformed("it is not a LogoutRequest of SAML 2.0"));
    }
    let index = root.only_child(NAMESPACE, "SessionIndex");
    let index = index.map_err(|_| malformed("it has several SessionIndex"))?;
    match index {
        None => Ok(None),
        Some(index) if index.elements().next().is_some() => {
            Err(malformed("the SessionIndex has elements inside"))
        }
        Some(index) => Ok(Some(index.text().trim().to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(content: &str) -> String {
        format!(
            "<samlp:LogoutRequest xmlns:samlp='{NAMESPACE}' ID='_1' Version='2.0' \
             IssueInstant='2026-01-01T00:00:00Z'>{content}</samlp:LogoutRequest>"
        )
    }

    const NAME_ID: &str =
        "<saml:NameID xmlns:saml='urn:oasis:names:tc:SAML:2.0:assertion'>@NOT_USED@</saml:NameID>";

    #[test]
    fn only_the_session_index_names_a_session() {
        let index = "<samlp:SessionIndex> ST-1-a\n</samlp:SessionIndex>";
        let read = |content: &str| session_index(&message(content)).unwrap();
        assert_eq!(read(index).as_deref(), Some("ST-1-a"));
        assert_eq!(
            read(&format!("{NAME_ID}{index}")).as_deref(),
            Some("ST-1-a")
        );
        assert_eq!(read(NAME_ID), None);
        assert_eq!(read("<SessionIndex>ST-1-a</SessionIndex>"), None);
        let nested = format!("<x>{index}</x>");
        assert_eq!(read(&nested), None);
    }

    #[test]
    fn malformed_messages_are_refused() {
        let index = "<samlp:SessionIndex>ST-1-a</samlp:SessionIndex>";
        let good = message(index);
        assert!(session_index(&good).is_ok());
        for bad in [
            String::new(),
            "ST-1-a".to_owned(),
            message(&format!("{index}{index}")),
            message("<samlp:SessionIndex>ST<x/>-1</samlp:SessionIndex>"),
            good.replace(NAMESPACE, "urn:oasis:names:tc:SAML:1.0:protocol"),
            good.replace("LogoutRequest", "LogoutResponse"),
            format!("<!DOCTYPE x>{good}"),
            format!("<?x y?>{good}"),
            good.replace("</samlp:LogoutRequest>", ""),
            format!("{good}{}", " ".repeat(MESSAGE_BYTES_MAX)),
        ] {
            assert!(session_index(&bad).is_err(), "{bad}");
        }
    }
}
