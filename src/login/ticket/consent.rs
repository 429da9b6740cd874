//! `TicketConsent`: what a person is asked before their session goes to a host that only a wildcard covers,
//! or into a page in another site's frame.

use serde::{Deserialize, Serialize};

use super::NonceHash;
use crate::clock::Timestamp;
use crate::keys::{self, KeyRing, Purpose};
use crate::login::return_to::ReturnTo;
use crate::people::cookie::Sid;

/// How long the question may stand, in seconds.
const CONSENT_AGE_MAX_S: u64 = 600;

/// The longest sealed question that is looked at, in bytes.
const CONSENT_BYTES_MAX: usize = 16 * 1024;

/// Where a session shall go, sealed for that session: only its own browser was shown the page.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TicketConsent {
    /// Where the person wants to go, on another host.
    #[serde(rename = "p")]
    pub place: ReturnTo,
    /// For which browser, as that host knows it.
    #[serde(rename = "n")]
    pub nonce: NonceHash,
    /// Whether a page in another site's frame waits for the ticket.
    #[serde(rename = "f", default)]
    pub for_frame: bool,
    /// When they were asked.
    #[serde(rename = "t")]
    pub at: Timestamp,
}

impl TicketConsent {
    /// Seals it for the page that asks.
    pub fn seal(&self, ring: &KeyRing, sid: &Sid) -> String {
        let plain = serde_json::to_vec(self).expect("a question is plain data");
        ring.seal(Purpose::Ticket, &name(sid), &plain)
    }

    /// Opens what was sealed for this session, while it is fresh.
    pub fn open(ring: &KeyRing, sid: &Sid, sealed: &str, now: Timestamp) -> Option<Self> {
        if sealed.len() > CONSENT_BYTES_MAX {
            return None;
        }
        let plain = ring.open(Purpose::Ticket, &name(sid), sealed)?;
        let asked: Self = serde_json::from_slice(&plain).ok()?;
        (now.since(asked.at).as_secs() <= CONSENT_AGE_MAX_S).then_some(asked)
    }
}

/// No host has this name: a ticket is sealed under its host.
fn name(sid: &Sid) -> [u8; 32] {
    keys::fingerprint(&[b"asked", sid.key().as_bytes()])
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_question_counts_for_one_session_and_ten_minutes() {
        let ring = KeyRing::new(&[keys::generate()], None).unwrap();
        let (sid, now) = (Sid::random(), Timestamp::from_unix_s(1_000));
        let asked = TicketConsent {
            place: ReturnTo::path("/a?b").unwrap(),
            nonce: crate::login::ticket::Nonce::random().hash(),
            for_frame: true,
            at: now,
        };
        let sealed = asked.seal(&ring, &sid);
        let open = |sid: &Sid, now| TicketConsent::open(&ring, sid, &sealed, now);
        assert_eq!(open(&sid, now), Some(asked));
        assert_eq!(open(&Sid::random(), now), None);
        let late = now.plus(Duration::from_secs(CONSENT_AGE_MAX_S + 1));
        assert_eq!(open(&sid, late), None);
    }
}
