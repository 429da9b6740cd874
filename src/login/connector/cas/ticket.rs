//! `Ticket`: what a CAS server gives a browser or a program, and what menshen validates.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::super::ConnectorError;
use super::errors::invalid_response;
use crate::keys;
use crate::login::fields::Fields;

/// The parameter of a ticket.
pub(super) const PARAMETER: &str = "ticket";

/// The longest accepted ticket, in bytes. Servers must support 256 (CAS Protocol 3.0 §3.1.1).
const BYTES_MAX: usize = 256;

/// The beginning of a ticket that a proxy requests for a person (§3.2.1).
const PROXY_PREFIX: &str = "PT-";

/// A ticket with an allowed length and allowed characters. It is valid once; never log it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Ticket<'a>(&'a str);

impl<'a> Ticket<'a> {
    /// The ticket in the parameters of a callback; `None` if they have none.
    pub(super) fn of(fields: &'a Fields) -> Result<Option<Self>, ConnectorError> {
        let parameter = fields.one(PARAMETER);
        let text = parameter.map_err(|_| invalid_response("the ticket is repeated"))?;
        text.map(Self::parse).transpose()
    }

    pub(super) fn parse(text: &'a str) -> Result<Self, ConnectorError> {
        let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
        if text.is_empty() || text.len() > BYTES_MAX || !text.bytes().all(is_allowed) {
            let why =
                "the ticket is empty, too long, or has other characters than A-Z a-z 0-9 - . _ ~";
            return Err(invalid_response(why));
        }
        Ok(Self(text))
    }

    pub(super) fn as_str(self) -> &'a str {
        self.0
    }

    /// Whether a proxy requested it.
    pub(super) fn is_proxy_ticket(self) -> bool {
        self.0.starts_with(PROXY_PREFIX)
    }

    /// The ID of the session at the source, which single logout names by the ticket. A hash, so that the
    /// store has no ticket.
    pub(super) fn session_id(self) -> String {
        // The label never changes, so that sessions keep their IDs when menshen is updated.
        let hash = keys::fingerprint(&[b"cas ticket", self.0.as_bytes()]);
        URL_SAFE_NO_PAD.encode(hash)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_short_tickets_of_unreserved_characters_are_accepted() {
        let longest = format!("ST-{}", "x".repeat(253));
        for good in ["ST-1-aZ09.x_y~z", "x", &longest] {
            assert!(Ticket::parse(good).is_ok(), "{good}");
        }
        let too_long = format!("{longest}x");
        for bad in [
            "",
            "ST 1",
            "ST-1%20",
            "ST-1\n",
            "ST-1&service=x",
            "ST-é",
            "ST-1/",
            &too_long,
        ] {
            assert!(Ticket::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_repeated_ticket_is_refused() {
        let read = |query: &str| {
            let fields = Fields::parse(query.as_bytes()).unwrap();
            Ticket::of(&fields).map(|ticket| ticket.map(|ticket| ticket.as_str().to_owned()))
        };
        assert_eq!(read("ticket=ST-1").unwrap(), Some("ST-1".to_owned()));
        assert_eq!(read("state=1").unwrap(), None);
        assert!(read("ticket=ST-1&ticket=ST-1").is_err());
    }

    #[test]
    fn the_session_id_does_not_reveal_the_ticket() {
        let id = Ticket("ST-1-secret").session_id();
        assert!(!id.contains("secret"));
        assert_eq!(id, Ticket("ST-1-secret").session_id());
        assert_ne!(id, Ticket("ST-1-secreT").session_id());
    }
}
