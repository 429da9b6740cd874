//! `Ticket`: transfers a session to another host of the site. Sealed, short-lived, used once.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::clock::Timestamp;
use crate::keys::{self, KeyRing, Purpose};
use crate::people::cookie::{SessionClaims, Sid, VerifiedClaims};
use crate::store::AccountId;
use crate::text;
use crate::wording::{Text, error_of_text};

mod consent;
mod spent;

pub use consent::TicketConsent;
pub use spent::SpentTickets;

/// The lifetime of a ticket, in seconds.
pub const TICKET_AGE_MAX_S: u64 = 60;

/// How long after its expiry a ticket stays recorded as used in the store: the largest tolerated
/// difference between the clocks of several processes.
pub const CLOCK_DIFFERENCE_MAX: Duration = Duration::from_secs(300);

/// The lifetime of a nonce cookie, in seconds: the longest login and its ticket.
pub const NONCE_AGE_MAX_S: i64 = 660;

/// The lifetime of the nonce cookie of a page in another site's frame, in seconds: its button may be
/// pressed hours later.
pub const FRAME_NONCE_AGE_MAX_S: i64 = 24 * 3600;

/// The longest accepted ticket, in bytes.
const TICKET_BYTES_MAX: usize = 8192;

/// A secret in a cookie of one host, which binds a ticket to one browser.
#[derive(Clone, PartialEq, Eq)]
pub struct Nonce(String);

/// The hash of a nonce, which a ticket contains.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct NonceHash(String);

impl std::fmt::Debug for Nonce {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Nonce(…)")
    }
}

impl Nonce {
    pub fn random() -> Self {
        Self(base64url(&keys::random::<16>()))
    }

    pub fn from_cookie(value: &str) -> Self {
        Self(value.to_owned())
    }

    /// The value for the cookie.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// The hash for URLs and tickets.
    pub fn hash(&self) -> NonceHash {
        NonceHash(base64url(
            &keys::fingerprint(&[b"nonce", self.0.as_bytes()])[..16],
        ))
    }
}

impl NonceHash {
    pub fn parse(value: &str) -> Option<Self> {
        let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
        (value.len() == 22 && value.bytes().all(is_allowed)).then(|| Self(value.to_owned()))
    }

    /// The text, which is also part of the nonce cookie's name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The content of a ticket.
#[derive(Clone, Debug)]
pub struct Ticket {
    /// The hash of the nonce in a cookie of the other host.
    pub nonce: NonceHash,
    pub sid: Sid,
    pub account: AccountId,
    /// When the provider last confirmed the person, or could not because it was unreachable. A ticket does
    /// not renew that.
    pub confirmed_at: Timestamp,
    /// The absolute end of the session.
    pub expires_at: Timestamp,
    /// Path, query and fragment of the return address on the other host.
    pub return_path: String,
}

#[derive(Serialize, Deserialize)]
struct TicketClaims {
    #[serde(rename = "n")]
    nonce: NonceHash,
    #[serde(rename = "s")]
    sid: String,
    #[serde(rename = "a")]
    account: AccountId,
    #[serde(rename = "i")]
    confirmed_at_ms: i64,
    #[serde(rename = "e")]
    expires_at_ms: i64,
    /// When the ticket was sealed.
    #[serde(rename = "t")]
    sealed_at_ms: i64,
    #[serde(rename = "p")]
    return_path: String,
    /// A random value that identifies the ticket.
    #[serde(rename = "x")]
    id: String,
}

/// Why a ticket is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TicketError {
    Forged,
    Expired,
    /// The browser has no cookie with the nonce of the ticket.
    OtherBrowser,
    Used,
}

impl TicketError {
    fn text(&self) -> Text {
        match self {
            Self::Forged => Text::fixed(
                "the ticket was not sealed for this host",
                "凭证不属于这个主机",
            ),
            Self::Expired => text!(
                "the ticket is older than {TICKET_AGE_MAX_S} s",
                "凭证已超过 {TICKET_AGE_MAX_S} 秒"
            ),
            Self::OtherBrowser => Text::fixed(
                "the ticket was made for another browser",
                "凭证属于另一个浏览器",
            ),
            Self::Used => Text::fixed("the ticket was used before", "凭证已经用过"),
        }
    }
}

error_of_text!(TicketError);

/// A ticket that was sealed for this host. Its age and its browser are not checked yet.
pub struct UnsealedTicket(TicketClaims);

impl std::fmt::Debug for UnsealedTicket {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("UnsealedTicket(…)")
    }
}

impl UnsealedTicket {
    /// Path, query and fragment of the return address on this host.
    pub fn return_path(&self) -> &str {
        &self.0.return_path
    }

    /// The key that the store records when the ticket is used. A ticket that another browser presents has
    /// leaked, so it is recorded as used, too.
    pub fn spend_key(&self) -> [u8; 32] {
        keys::fingerprint(&[b"ticket", self.0.id.as_bytes()])
    }

    /// Until when the ticket stays recorded as used in the store.
    pub fn spent_until(&self, now: Timestamp) -> Timestamp {
        let sealed_at = Timestamp::from_unix_ms(self.0.sealed_at_ms);
        let age_max = Duration::from_secs(TICKET_AGE_MAX_S);
        sealed_at.max(now).plus(age_max).plus(CLOCK_DIFFERENCE_MAX)
    }

    /// Checks the age of the ticket, and that this browser has its nonce.
    pub fn check<'a>(
        self,
        nonce_of: impl FnOnce(&NonceHash) -> Option<&'a str>,
        now: Timestamp,
    ) -> Result<CheckedTicket, TicketError> {
        let claims = self.0;
        let sealed_at = Timestamp::from_unix_ms(claims.sealed_at_ms);
        if now.since(sealed_at).as_secs() > TICKET_AGE_MAX_S {
            return Err(TicketError::Expired);
        }
        let nonce = nonce_of(&claims.nonce)
            .map(Nonce::from_cookie)
            .ok_or(TicketError::OtherBrowser)?;
        if nonce.hash() != claims.nonce {
            return Err(TicketError::OtherBrowser);
        }
        let sid = Sid::parse(&claims.sid).ok_or(TicketError::Forged)?;
        Ok(CheckedTicket {
            ticket: Ticket {
                nonce: claims.nonce,
                sid,
                account: claims.account,
                confirmed_at: Timestamp::from_unix_ms(claims.confirmed_at_ms),
                expires_at: Timestamp::from_unix_ms(claims.expires_at_ms),
                return_path: claims.return_path,
            },
        })
    }
}

/// A ticket that passed the checks. It is not marked as used yet.
#[derive(Clone, Debug)]
pub struct CheckedTicket {
    pub ticket: Ticket,
}

impl Ticket {
    /// Seals the ticket for one host, given as `host:port`.
    pub fn seal(&self, ring: &KeyRing, host: &str, now: Timestamp) -> String {
        let claims = TicketClaims {
            nonce: self.nonce.clone(),
            sid: self.sid.expose(),
            account: self.account,
            confirmed_at_ms: self.confirmed_at.unix_ms(),
            expires_at_ms: self.expires_at.unix_ms(),
            sealed_at_ms: now.unix_ms(),
            return_path: self.return_path.clone(),
            id: base64url(&keys::random::<12>()),
        };
        let plain = serde_json::to_vec(&claims).expect("a ticket is serializable");
        ring.seal(Purpose::Ticket, host.as_bytes(), &plain)
    }

    /// Seals the ticket for the console at this `host:port`. It opens nothing else.
    pub fn seal_for_console(&self, ring: &KeyRing, host: &str, now: Timestamp) -> String {
        self.seal(ring, &console_name(host), now)
    }

    /// Unseals a ticket for the console at this `host:port`. The caller must then check it.
    pub fn unseal_for_console(
        ring: &KeyRing,
        host: &str,
        sealed: &str,
    ) -> Result<UnsealedTicket, TicketError> {
        Self::unseal(ring, &console_name(host), sealed)
    }

    /// Unseals a ticket for this host. The caller must then check it.
    pub fn unseal(ring: &KeyRing, host: &str, sealed: &str) -> Result<UnsealedTicket, TicketError> {
        if sealed.len() > TICKET_BYTES_MAX {
            return Err(TicketError::Forged);
        }
        let plain = ring
            .open(Purpose::Ticket, host.as_bytes(), sealed)
            .ok_or(TicketError::Forged)?;
        let claims = serde_json::from_slice(&plain).map_err(|_| TicketError::Forged)?;
        Ok(UnsealedTicket(claims))
    }

    /// The content of the session cookie that replaces the ticket. The cookie is valid on `host` only;
    /// without `host`, on every host that the `Domain` of the session cookie covers.
    pub fn session_claims(&self, host: Option<&str>) -> SessionClaims {
        SessionClaims {
            sid: self.sid,
            account: self.account,
            confirmed_at: self.confirmed_at,
            expires_at: self.expires_at,
            host: host.map(str::to_owned),
        }
    }

    /// A ticket for the session of a verified cookie.
    pub fn of(session: &VerifiedClaims, nonce: NonceHash, return_path: String) -> Self {
        Self {
            nonce,
            sid: session.sid,
            account: session.account,
            confirmed_at: session.confirmed_at,
            expires_at: session.expires_at,
            return_path,
        }
    }
}

/// What a ticket for the console is sealed for. A host has no space.
fn console_name(host: &str) -> String {
    format!("console {host}")
}

fn base64url(bytes: &[u8]) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ticket_is_valid_for_one_host_one_browser_and_one_minute() {
        let ring = KeyRing::new(&[keys::generate()], None).unwrap();
        let (nonce, now) = (Nonce::random(), Timestamp::from_unix_s(1_000));
        let ticket = Ticket {
            nonce: nonce.hash(),
            sid: Sid::random(),
            account: AccountId::new([1; 16]),
            confirmed_at: now,
            expires_at: now.plus(Duration::from_secs(3600)),
            return_path: "/a?b".to_owned(),
        };
        let sealed = ticket.seal(&ring, "oa.corp.example", now);
        let open = |host: &str, value: Option<&str>, now| {
            let checked = Ticket::unseal(&ring, host, &sealed)?.check(|_| value, now)?;
            Ok(checked.ticket.return_path)
        };
        let own_nonce = Some(nonce.expose());
        assert_eq!(
            open("oa.corp.example", own_nonce, now),
            Ok("/a?b".to_owned())
        );
        assert_eq!(
            open("hr.corp.example", own_nonce, now),
            Err(TicketError::Forged)
        );
        assert_eq!(
            open("oa.corp.example", None, now),
            Err(TicketError::OtherBrowser)
        );
        let other_nonce = Nonce::random();
        assert_eq!(
            open("oa.corp.example", Some(other_nonce.expose()), now),
            Err(TicketError::OtherBrowser)
        );
        let host = "oa.corp.example";
        let for_console = ticket.seal_for_console(&ring, host, now);
        assert!(Ticket::unseal_for_console(&ring, host, &for_console).is_ok());
        assert!(Ticket::unseal_for_console(&ring, host, &sealed).is_err());
        assert!(Ticket::unseal(&ring, host, &for_console).is_err());
        let late = now.plus(Duration::from_secs(TICKET_AGE_MAX_S + 1));
        assert_eq!(
            open("oa.corp.example", own_nonce, late),
            Err(TicketError::Expired)
        );
    }
}
