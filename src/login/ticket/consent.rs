//! `TicketConsent`: the question that a person confirms before their session is transferred to a host
//! that only a wildcard route serves, or into a page in another site's frame.

use serde::{Deserialize, Serialize};

use super::NonceHash;
use crate::clock::Timestamp;
use crate::keys::{self, KeyRing, Purpose};
use crate::login::return_to::ReturnTo;
use crate::people::cookie::Sid;

/// How long the question can be confirmed, in seconds.
const CONSENT_AGE_MAX_S: u64 = 600;

/// The longest accepted sealed question, in bytes.
const CONSENT_BYTES_MAX: usize = 16 * 1024;

/// The target of a session transfer, sealed for that session, so that no other session can confirm it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TicketConsent {
    /// The return address on the other host.
    #[serde(rename = "p")]
    pub return_to: ReturnTo,
    /// The hash of the nonce in a cookie of the other host.
    #[serde(rename = "n")]
    pub nonce: NonceHash,
    /// Whether a page in another site's frame waits for the ticket.
    #[serde(rename = "f", default)]
    pub for_frame: bool,
    /// When the question was shown.
    #[serde(rename = "t")]
    pub asked_at: Timestamp,
}

impl TicketConsent {
    /// Seals the question for the form of the page.
    pub fn seal(&self, ring: &KeyRing, sid: &Sid) -> String {
        let plain = serde_json::to_vec(self).expect("a question is serializable");
        ring.seal(Purpose::Ticket, &binding(sid), &plain)
    }

    /// Opens a question that was sealed for this session and has not expired.
    pub fn open(ring: &KeyRing, sid: &Sid, sealed: &str, now: Timestamp) -> Option<Self> {
        if sealed.len() > CONSENT_BYTES_MAX {
            return None;
        }
        let plain = ring.open(Purpose::Ticket, &binding(sid), sealed)?;
        let consent: Self = serde_json::from_slice(&plain).ok()?;
        (now.since(consent.asked_at).as_secs() <= CONSENT_AGE_MAX_S).then_some(consent)
    }
}

/// The associated data of the seal. It is not a host name, so a ticket never opens as a question.
fn binding(sid: &Sid) -> [u8; 32] {
    keys::fingerprint(&[b"asked", sid.key().as_bytes()])
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_question_can_be_confirmed_by_one_session_for_ten_minutes() {
        let ring = KeyRing::new(&[keys::generate()], None).unwrap();
        let (sid, now) = (Sid::random(), Timestamp::from_unix_s(1_000));
        let consent = TicketConsent {
            return_to: ReturnTo::on_login_host("/a?b").unwrap(),
            nonce: crate::login::ticket::Nonce::random().hash(),
            for_frame: true,
            asked_at: now,
        };
        let sealed = consent.seal(&ring, &sid);
        let open = |sid: &Sid, now| TicketConsent::open(&ring, sid, &sealed, now);
        assert_eq!(open(&sid, now), Some(consent));
        assert_eq!(open(&Sid::random(), now), None);
        let late = now.plus(Duration::from_secs(CONSENT_AGE_MAX_S + 1));
        assert_eq!(open(&sid, late), None);
    }
}
