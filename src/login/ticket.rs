//! `Ticket`: brings a session to another host of the site: sealed, short-lived, spent once.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::clock::Timestamp;
use crate::keys::{self, KeyRing, Purpose};
use crate::people::cookie::{SessionHandle, Sid, VerifiedHandle};
use crate::store::AccountId;

mod consent;
mod spent;

pub use consent::TicketConsent;
pub use spent::SpentTickets;

/// How long a ticket may take from one host to the other, in seconds.
pub const TICKET_AGE_MAX_S: u64 = 60;

/// For so long after a ticket's end the store still knows that it was spent: the clocks of several
/// processes may differ by as much.
const SPENT_SLACK: Duration = Duration::from_secs(300);

/// How long a host remembers the nonce that its ticket must name, in seconds: as long as a login.
pub const NONCE_AGE_MAX_S: i64 = 660;

/// The same for a page in another site's frame, in seconds: its button may be pressed hours later.
pub const FRAME_NONCE_AGE_MAX_S: i64 = 24 * 3600;

/// The longest ticket that is looked at, in bytes.
const TICKET_BYTES_MAX: usize = 8192;

/// A secret that one host gave one browser before the ticket was made.
#[derive(Clone, PartialEq, Eq)]
pub struct Nonce(String);

/// What a ticket names of a nonce.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct NonceHash(String);

impl std::fmt::Debug for Nonce {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Nonce(…)")
    }
}

impl Nonce {
    /// A new one.
    pub fn random() -> Self {
        Self(text(&keys::random::<16>()))
    }

    /// As it came back in a cookie.
    pub fn from_cookie(value: &str) -> Self {
        Self(value.to_owned())
    }

    /// For the cookie.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// For the address and the ticket.
    pub fn hash(&self) -> NonceHash {
        NonceHash(text(
            &keys::fingerprint(&[b"nonce", self.0.as_bytes()])[..16],
        ))
    }
}

impl NonceHash {
    /// From its text, when it can be one.
    pub fn parse(value: &str) -> Option<Self> {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
        (value.len() == 22 && value.bytes().all(plain)).then(|| Self(value.to_owned()))
    }

    /// Its text; also names the nonce's cookie.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// What a ticket says.
#[derive(Clone, Debug)]
pub struct Ticket {
    /// For which browser, as one host knows it.
    pub nonce: NonceHash,
    /// Which session.
    pub sid: Sid,
    /// Whose.
    pub account: AccountId,
    /// When the source last said who they are: a ticket makes nobody fresher.
    pub issued_at: Timestamp,
    /// The session's absolute end.
    pub expires_at: Timestamp,
    /// Where the person goes on the other host: a path.
    pub to: String,
}

#[derive(Serialize, Deserialize)]
struct TicketClaims {
    n: NonceHash,
    s: String,
    a: AccountId,
    i: i64,
    e: i64,
    t: i64,
    p: String,
    /// Makes every ticket different, and is what is spent.
    x: String,
}

/// Why a ticket lets nobody in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TicketError {
    /// Not sealed by this site for this host.
    #[error("the ticket was not sealed for this host")]
    Forged,
    /// Too old.
    #[error("the ticket is older than {TICKET_AGE_MAX_S} s")]
    Expired,
    /// This browser has no such nonce on this host.
    #[error("the ticket was made for another browser")]
    OtherBrowser,
    /// It was used before.
    #[error("the ticket was used before")]
    Used,
}

/// A ticket that this site sealed for this host, whoever brings it and whenever.
pub struct UnsealedTicket(TicketClaims);

impl std::fmt::Debug for UnsealedTicket {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("UnsealedTicket(…)")
    }
}

impl UnsealedTicket {
    /// Where its person goes on this host: a path.
    pub fn to(&self) -> &str {
        &self.0.p
    }

    /// What is spent in the store when it is used, or shown by a browser that is not its own.
    pub fn spend_key(&self) -> [u8; 32] {
        keys::fingerprint(&[b"ticket", self.0.x.as_bytes()])
    }

    /// Until when the store remembers that it was spent.
    pub fn spent_until(&self, now: Timestamp) -> Timestamp {
        let made_at = Timestamp::from_unix_ms(self.0.t);
        let age_max = Duration::from_secs(TICKET_AGE_MAX_S);
        made_at.max(now).plus(age_max).plus(SPENT_SLACK)
    }

    /// Opens it while it is fresh and for this browser's nonces.
    pub fn check<'a>(
        self,
        nonce_of: impl FnOnce(&NonceHash) -> Option<&'a str>,
        now: Timestamp,
    ) -> Result<CheckedTicket, TicketError> {
        let found = self.0;
        let made_at = Timestamp::from_unix_ms(found.t);
        if now.since(made_at).as_secs() > TICKET_AGE_MAX_S {
            return Err(TicketError::Expired);
        }
        let nonce = nonce_of(&found.n)
            .map(Nonce::from_cookie)
            .ok_or(TicketError::OtherBrowser)?;
        if nonce.hash() != found.n {
            return Err(TicketError::OtherBrowser);
        }
        let sid = Sid::parse(&found.s).ok_or(TicketError::Forged)?;
        Ok(CheckedTicket {
            ticket: Ticket {
                nonce: found.n,
                sid,
                account: found.a,
                issued_at: Timestamp::from_unix_ms(found.i),
                expires_at: Timestamp::from_unix_ms(found.e),
                to: found.p,
            },
        })
    }
}

/// A ticket that opened; it still must be spent.
#[derive(Clone, Debug)]
pub struct CheckedTicket {
    /// What it says.
    pub ticket: Ticket,
}

impl Ticket {
    /// Seals it for one host (`host:port` as the browser names it).
    pub fn seal(&self, ring: &KeyRing, host: &str, now: Timestamp) -> String {
        let sealed = TicketClaims {
            n: self.nonce.clone(),
            s: self.sid.expose(),
            a: self.account,
            i: self.issued_at.unix_ms(),
            e: self.expires_at.unix_ms(),
            t: now.unix_ms(),
            p: self.to.clone(),
            x: text(&keys::random::<12>()),
        };
        let plain = serde_json::to_vec(&sealed).expect("a ticket is plain data");
        ring.seal(Purpose::Ticket, host.as_bytes(), &plain)
    }

    /// Unseals what was sealed for this host; it still must be checked.
    pub fn unseal(ring: &KeyRing, host: &str, sealed: &str) -> Result<UnsealedTicket, TicketError> {
        if sealed.len() > TICKET_BYTES_MAX {
            return Err(TicketError::Forged);
        }
        let plain = ring
            .open(Purpose::Ticket, host.as_bytes(), sealed)
            .ok_or(TicketError::Forged)?;
        let found = serde_json::from_slice(&plain).map_err(|_| TicketError::Forged)?;
        Ok(UnsealedTicket(found))
    }

    /// The handle of the cookie it is exchanged for: it names its host and counts on no other.
    /// Without a host it counts wherever the site's cookie reaches.
    pub fn handle(&self, host: Option<&str>) -> SessionHandle {
        SessionHandle {
            sid: self.sid,
            account: self.account,
            issued_at: self.issued_at,
            expires_at: self.expires_at,
            host: host.map(str::to_owned),
        }
    }

    /// A ticket for the session of a cookie that was verified.
    pub fn of(session: &VerifiedHandle, nonce: NonceHash, to: String) -> Self {
        Self {
            nonce,
            sid: session.sid,
            account: session.account,
            issued_at: session.issued_at,
            expires_at: session.expires_at,
            to,
        }
    }
}

fn text(bytes: &[u8]) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ticket_counts_for_one_host_one_browser_and_a_minute() {
        let ring = KeyRing::new(&[keys::generate()], None).unwrap();
        let (nonce, now) = (Nonce::random(), Timestamp::from_unix_s(1_000));
        let ticket = Ticket {
            nonce: nonce.hash(),
            sid: Sid::random(),
            account: AccountId::new([1; 16]),
            issued_at: now,
            expires_at: now.plus(Duration::from_secs(3600)),
            to: "/a?b".to_owned(),
        };
        let sealed = ticket.seal(&ring, "oa.corp.example", now);
        let open = |host: &str, value: Option<&str>, now| {
            let opened = Ticket::unseal(&ring, host, &sealed)?.check(|_| value, now)?;
            Ok(opened.ticket.to)
        };
        let good = Some(nonce.expose());
        assert_eq!(open("oa.corp.example", good, now), Ok("/a?b".to_owned()));
        assert_eq!(open("hr.corp.example", good, now), Err(TicketError::Forged));
        assert_eq!(
            open("oa.corp.example", None, now),
            Err(TicketError::OtherBrowser)
        );
        let other = Nonce::random();
        assert_eq!(
            open("oa.corp.example", Some(other.expose()), now),
            Err(TicketError::OtherBrowser)
        );
        let late = now.plus(Duration::from_secs(TICKET_AGE_MAX_S + 1));
        assert_eq!(
            open("oa.corp.example", good, late),
            Err(TicketError::Expired)
        );
    }
}
