//! `Pending`: the sealed memory between begin and finish. It lives in the browser; we store nothing.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::return_to::{self, ReturnTo};
use super::ticket::NonceHash;
use super::unsolicited::UnsolicitedLogin;
use crate::clock::Timestamp;
use crate::keys::{self, KeyRing, Purpose};
use crate::store::{ConnectorId, SessionKey};

/// How long a login may take, in seconds.
pub const PENDING_AGE_MAX_S: u64 = 600;

/// The longest sealed value, in bytes: one with a return address of 4,000 bytes, if it needs no
/// escapes.
pub const PENDING_BYTES_MAX: usize = 5_900;

/// The longest login id that is looked at, in bytes.
const FLOW_BYTES: usize = 32;

/// The name of one login under way: 32 characters of `a-z0-9`, also its `state` at the source.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct FlowId(String);

/// Not the name of a login.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not the state of a login of ours")]
pub struct InvalidFlowId;

impl FlowId {
    fn random() -> Self {
        const LETTERS: &[u8; 32] = b"abcdefghijkmnpqrstuvwxyz23456789";
        let text = keys::random::<FLOW_BYTES>();
        Self(
            text.iter()
                .map(|byte| char::from(LETTERS[usize::from(byte & 31)]))
                .collect(),
        )
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for FlowId {
    type Error = InvalidFlowId;

    fn try_from(text: String) -> Result<Self, InvalidFlowId> {
        let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
        if text.len() == FLOW_BYTES && text.bytes().all(plain) {
            Ok(Self(text))
        } else {
            Err(InvalidFlowId)
        }
    }
}

impl From<FlowId> for String {
    fn from(flow: FlowId) -> Self {
        flow.0
    }
}

impl fmt::Display for FlowId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Which of a source's doors a login uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Mode {
    /// A page in an ordinary browser, often with a QR code.
    Web,
    /// Inside the source's own client, without a click.
    InApp,
}

/// Everything a callback needs to know of its begin.
#[derive(Clone, Serialize, Deserialize)]
pub struct Pending {
    /// Which login.
    #[serde(rename = "f")]
    pub flow: FlowId,
    /// Through which connector; a callback for another one is refused.
    #[serde(rename = "c")]
    pub connector: ConnectorId,
    /// Through which of its doors.
    #[serde(rename = "m")]
    pub mode: Mode,
    /// A secret that only this login knows, for protocols that send one along.
    #[serde(rename = "n")]
    pub nonce: String,
    /// The verifier of RFC 7636, for protocols that have it.
    #[serde(rename = "v")]
    pub verifier: String,
    /// Where the person wants to go.
    #[serde(rename = "r")]
    pub return_to: ReturnTo,
    /// When it began.
    #[serde(rename = "t")]
    pub begun_at: Timestamp,
    /// The connector's number then.
    #[serde(rename = "e")]
    pub connector_epoch: u64,
    /// Everyone's number then.
    #[serde(rename = "a")]
    pub everyone_epoch: u64,
    /// How often it was begun again by itself.
    #[serde(rename = "y", default, skip_serializing_if = "is_zero")]
    pub retries: u8,
    /// Whether it began without a person's click.
    #[serde(rename = "u", default, skip_serializing_if = "is_false")]
    pub automatic: bool,
    /// Whether the source was asked to show nothing, for somebody who is here already.
    #[serde(rename = "q", default, skip_serializing_if = "is_false")]
    pub silent: bool,
    /// The hash of the nonce of the host that wants the session, when it is another one.
    #[serde(rename = "k", default, skip_serializing_if = "Option::is_none")]
    pub ticket_for: Option<NonceHash>,
    /// Whether a page in another site's frame waits for the ticket.
    #[serde(rename = "w", default, skip_serializing_if = "is_false")]
    pub for_frame: bool,
    /// The session this browser had when it began, for an answer that comes without its cookie.
    #[serde(
        rename = "o",
        default,
        skip_serializing_if = "Option::is_none",
        with = "key_text"
    )]
    pub replaces: Option<SessionKey>,
    /// How long ago the person may have proved themselves to the source at most, in seconds: a
    /// source that was asked must say when it was.
    #[serde(rename = "x", default, skip_serializing_if = "Option::is_none")]
    pub max_age: Option<u32>,
    /// Who arrived with a ticket, when no login began here: a person is asked before they come in. No
    /// callback counts for it.
    #[serde(rename = "z", default, skip_serializing_if = "Option::is_none")]
    pub unsolicited: Option<Box<UnsolicitedLogin>>,
}

/// A key as short text: the memory has little room.
mod key_text {
    use base64::Engine as _;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    use serde::de::Error as _;
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    use crate::store::SessionKey;

    #[expect(clippy::ref_option, reason = "serde passes fields by reference")]
    pub(super) fn serialize<S: Serializer>(
        key: &Option<SessionKey>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        let text = key.map(|key| URL_SAFE_NO_PAD.encode(key.as_bytes()));
        text.serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<SessionKey>, D::Error> {
        let Some(text) = Option::<String>::deserialize(deserializer)? else {
            return Ok(None);
        };
        let bytes = URL_SAFE_NO_PAD.decode(text).map_err(D::Error::custom)?;
        let hash = bytes.try_into();
        let hash = hash.map_err(|_| D::Error::custom("not the key of a session"))?;
        Ok(Some(SessionKey::new(hash)))
    }
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde passes fields by reference"
)]
fn is_zero(number: &u8) -> bool {
    *number == 0
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde passes fields by reference"
)]
fn is_false(truth: &bool) -> bool {
    !*truth
}

impl fmt::Debug for Pending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pending")
            .field("connector", &self.connector)
            .finish_non_exhaustive()
    }
}

/// Why a callback's memory of its begin cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PendingError {
    /// No cookie of this login came along: another browser, or it was blocked or used.
    #[error("this browser has no memory of the login")]
    Missing,
    /// It was not sealed by this site, or for another login or connector.
    #[error("the memory of the login was not sealed for it")]
    Forged,
    /// The login began too long ago.
    #[error("the login began more than {PENDING_AGE_MAX_S} s ago")]
    Expired,
}

/// A pending login does not fit into the cookies that hold it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "sealed, it has {bytes} bytes and a browser's cookies hold {PENDING_BYTES_MAX}: the provider \
     sends too much with the subject, the session ID or the authentication methods"
)]
pub struct PendingTooLarge {
    bytes: usize,
}

impl Pending {
    /// A fresh login with its own state, nonce and verifier.
    pub fn new(
        connector: ConnectorId,
        mode: Mode,
        return_to: ReturnTo,
        begun_at: Timestamp,
    ) -> Self {
        let verifier = keys::random::<32>();
        let nonce = keys::random::<16>();
        Self {
            flow: FlowId::random(),
            connector,
            mode,
            nonce: text(&nonce),
            verifier: text(&verifier),
            return_to,
            begun_at,
            connector_epoch: 0,
            everyone_epoch: 0,
            retries: 0,
            automatic: false,
            silent: false,
            ticket_for: None,
            for_frame: false,
            replaces: None,
            max_age: None,
            unsolicited: None,
        }
    }

    /// Seals it for the browser. What does not fit into its cookies is left out: first the display
    /// name, then the query of the return address, then its path.
    pub fn seal(&mut self, ring: &KeyRing) -> Result<String, PendingTooLarge> {
        let mut sealed = self.seal_once(ring);
        if sealed.len() <= PENDING_BYTES_MAX {
            return Ok(sealed);
        }
        if let Some(unsolicited) = &mut self.unsolicited
            && unsolicited.name.take().is_some()
        {
            sealed = self.seal_once(ring);
            if sealed.len() <= PENDING_BYTES_MAX {
                return Ok(sealed);
            }
        }
        return_to::log_shortened(self.return_to.local().len());
        self.return_to = self.return_to.without_query();
        sealed = self.seal_once(ring);
        if sealed.len() <= PENDING_BYTES_MAX {
            return Ok(sealed);
        }
        self.return_to = self.return_to.root();
        sealed = self.seal_once(ring);
        match sealed.len() {
            ..=PENDING_BYTES_MAX => Ok(sealed),
            bytes => Err(PendingTooLarge { bytes }),
        }
    }

    fn seal_once(&self, ring: &KeyRing) -> String {
        let plain = serde_json::to_vec(self).expect("a pending login is plain data");
        ring.seal(Purpose::Pending, &name(&self.flow, &self.connector), &plain)
    }

    /// Opens what this site sealed for this login and connector, while it is fresh.
    pub fn open(
        ring: &KeyRing,
        flow: &FlowId,
        connector: &ConnectorId,
        sealed: &str,
        now: Timestamp,
    ) -> Result<Self, PendingError> {
        if sealed.len() > PENDING_BYTES_MAX {
            return Err(PendingError::Forged);
        }
        let plain = ring
            .open(Purpose::Pending, &name(flow, connector), sealed)
            .ok_or(PendingError::Forged)?;
        let pending: Self = serde_json::from_slice(&plain).map_err(|_| PendingError::Forged)?;
        if now.since(pending.begun_at).as_secs() > PENDING_AGE_MAX_S {
            return Err(PendingError::Expired);
        }
        Ok(pending)
    }
}

fn name(flow: &FlowId, connector: &ConnectorId) -> [u8; 32] {
    keys::fingerprint(&[flow.as_str().as_bytes(), connector.as_str().as_bytes()])
}

fn text(bytes: &[u8]) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(bytes)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    /// Every host is one of ours.
    struct Anywhere;

    impl return_to::Destinations for Anywhere {
        fn serves(&self, _: &url::Url) -> bool {
            true
        }

        fn home(&self) -> &url::Url {
            static HOME: std::sync::LazyLock<url::Url> =
                std::sync::LazyLock::new(|| url::Url::parse("https://sso.corp.example").unwrap());
            &HOME
        }

        fn is_own_path(&self, path: &str) -> bool {
            path.starts_with("/.menshen/")
        }
    }

    fn ring() -> KeyRing {
        KeyRing::new(&[keys::generate()], None).unwrap()
    }

    fn pending(return_to: &str) -> Pending {
        Pending::new(
            "corp".parse().unwrap(),
            Mode::Web,
            ReturnTo::path(return_to).unwrap(),
            Timestamp::from_unix_s(1_000),
        )
    }

    #[test]
    fn a_login_is_remembered_by_the_browser_that_began_it() {
        let (ring, mut begun) = (ring(), pending("/a?b=c"));
        let sealed = begun.seal(&ring).unwrap();
        let now = begun.begun_at.plus(Duration::from_secs(PENDING_AGE_MAX_S));
        let opened = Pending::open(&ring, &begun.flow, &begun.connector, &sealed, now).unwrap();
        assert_eq!(opened.return_to, begun.return_to);
        assert_eq!(opened.verifier, begun.verifier);
    }

    #[test]
    fn another_login_another_connector_or_a_late_one_is_refused() {
        let (ring, mut begun) = (ring(), pending("/"));
        let (sealed, now) = (begun.seal(&ring).unwrap(), begun.begun_at);
        let open = |flow: &FlowId, connector: &str, now| {
            Pending::open(&ring, flow, &connector.parse().unwrap(), &sealed, now).map(drop)
        };
        assert_eq!(open(&begun.flow, "corp", now), Ok(()));
        assert_eq!(
            open(&FlowId::random(), "corp", now),
            Err(PendingError::Forged)
        );
        assert_eq!(open(&begun.flow, "other", now), Err(PendingError::Forged));
        let late = now.plus(Duration::from_secs(PENDING_AGE_MAX_S + 1));
        assert_eq!(open(&begun.flow, "corp", late), Err(PendingError::Expired));
    }

    #[test]
    fn a_long_return_address_keeps_its_path_and_the_cookie_stays_small() {
        let ring = ring();
        let kept = format!("/report?{}", "x".repeat(3992));
        let mut begun = pending(&kept);
        let host = "https://a-host-with-a-long-name.oa.corp.example";
        begun.return_to =
            ReturnTo::parse(&format!("{host}{}", &kept[..3990 - host.len()]), &Anywhere).unwrap();
        begun.ticket_for = Some(crate::login::ticket::Nonce::random().hash());
        begun.replaces = Some(SessionKey::new([7; 32]));
        begun.max_age = Some(u32::MAX);
        (begun.retries, begun.automatic, begun.silent) = (1, true, true);
        let before = begun.return_to.clone();
        assert!(begun.seal(&ring).unwrap().len() <= PENDING_BYTES_MAX);
        assert_eq!(begun.return_to, before);
        let long = format!("/report?{}", "\"".repeat(4000));
        let mut begun = pending(&long);
        assert!(begun.seal(&ring).unwrap().len() <= PENDING_BYTES_MAX);
        assert_eq!(begun.return_to, ReturnTo::path("/report").unwrap());
        let mut begun = pending(&format!("/{}", "y".repeat(5000)));
        assert!(begun.seal(&ring).unwrap().len() <= PENDING_BYTES_MAX);
        assert_eq!(begun.return_to, ReturnTo::path("/").unwrap());
    }

    #[test]
    fn a_state_is_plain_letters_and_never_the_same() {
        let (one, two) = (FlowId::random(), FlowId::random());
        assert_ne!(one, two);
        assert!(FlowId::try_from(one.to_string()).is_ok());
        for bad in [
            "",
            "short",
            &"A".repeat(32),
            &"a".repeat(33),
            &"-".repeat(32),
        ] {
            assert!(FlowId::try_from(bad.to_owned()).is_err(), "{bad}");
        }
    }
}
