//! `Pending`: the state of a login between its start and its callback. It is sealed into a cookie
//! of the browser; the server stores nothing.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::link::LinkRequest;
use super::return_to::{self, ReturnTo};
use super::ticket::NonceHash;
use super::unsolicited::UnsolicitedLogin;
use crate::clock::Timestamp;
use crate::keys::{self, KeyRing, Purpose};
use crate::store::{ConnectorId, SessionKey, Subject};
use crate::text;
use crate::wording::{Text, error_of_text};

mod flow_id;

pub use flow_id::{FlowId, InvalidFlowId};

/// The longest duration of a login, in seconds.
pub const PENDING_AGE_MAX_S: u64 = 600;

/// The longest sealed value, in bytes: enough for a return address of 4,000 bytes without JSON escapes.
pub const PENDING_BYTES_MAX: usize = 5_900;

/// Which login page of a source a login uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Mode {
    /// The page for ordinary browsers, often with a QR code.
    Web,
    /// The page for the source's own app, which needs no click.
    InApp,
}

/// The state of a login that its callback needs.
#[derive(Clone, Serialize, Deserialize)]
pub struct Pending {
    #[serde(rename = "f")]
    pub flow: FlowId,
    /// The connector; a callback of another one is refused.
    #[serde(rename = "c")]
    pub connector: ConnectorId,
    #[serde(rename = "m")]
    pub mode: Mode,
    /// A random value of this login, for protocols with a nonce.
    #[serde(rename = "n")]
    pub nonce: String,
    /// The PKCE verifier (RFC 7636), for protocols that use it.
    #[serde(rename = "v")]
    pub verifier: String,
    #[serde(rename = "r")]
    pub return_to: ReturnTo,
    #[serde(rename = "t")]
    pub begun_at: Timestamp,
    /// The connector's revocation epoch at the start.
    #[serde(rename = "e")]
    pub connector_epoch: u64,
    /// The revocation epoch of everyone at the start.
    #[serde(rename = "a")]
    pub everyone_epoch: u64,
    /// The version of the managed settings in which the connector was last changed before the start; 0 for one
    /// of the file.
    #[serde(rename = "g", default, skip_serializing_if = "is_zero")]
    pub settings_version: u64,
    /// How often the login was restarted automatically.
    #[serde(rename = "y", default, skip_serializing_if = "is_zero")]
    pub retries: u8,
    /// Whether the login began without a click.
    #[serde(rename = "u", default, skip_serializing_if = "is_false")]
    pub automatic: bool,
    /// Whether this is a silent login for a person who has a session.
    #[serde(rename = "q", default, skip_serializing_if = "is_false")]
    pub silent: bool,
    /// The hash of the nonce of the host or frame that needs a ticket.
    #[serde(rename = "k", default, skip_serializing_if = "Option::is_none")]
    pub ticket_for: Option<NonceHash>,
    /// Whether a page in another site's frame waits for the ticket.
    #[serde(rename = "w", default, skip_serializing_if = "is_false")]
    pub for_frame: bool,
    /// The browser's session at the start, for a callback to which browsers send no session cookie.
    #[serde(
        rename = "o",
        default,
        skip_serializing_if = "Option::is_none",
        with = "key_text"
    )]
    pub replaces: Option<SessionKey>,
    /// The longest time since the person authenticated at the source, in seconds. If set, the source
    /// must report that time.
    #[serde(rename = "x", default, skip_serializing_if = "Option::is_none")]
    pub max_age: Option<u32>,
    /// Whether the person must authenticate at the source after the login began.
    #[serde(rename = "l", default, skip_serializing_if = "is_false")]
    pub reauthenticates: bool,
    /// A login that the source started and the person must confirm. No callback finishes it.
    #[serde(rename = "z", default, skip_serializing_if = "Option::is_none")]
    pub unsolicited: Option<Box<UnsolicitedLogin>>,
    /// The account to which the identity is to be linked. Such a login signs nobody in.
    #[serde(rename = "b", default, skip_serializing_if = "Option::is_none")]
    pub link: Option<Box<LinkRequest>>,
    /// The person who changes their password. The response must have the old and the new one.
    #[serde(rename = "h", default, skip_serializing_if = "Option::is_none")]
    pub password_change: Option<Box<PasswordChange>>,
}

/// A change of a password by the person themselves.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PasswordChange {
    #[serde(rename = "s")]
    pub subject: Subject,
    /// Whether this browser has just proved the password and gets no session before the change. Otherwise
    /// the person must be signed in.
    #[serde(rename = "d", default, skip_serializing_if = "is_false")]
    pub is_demanded: bool,
}

/// Serializes a session key as base64url, which is shorter than a JSON array.
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
        let key = bytes.try_into();
        let key = key.map_err(|_| D::Error::custom("not the key of a session"))?;
        Ok(Some(SessionKey::new(key)))
    }
}

fn is_zero<N: Copy + PartialEq + Default>(number: &N) -> bool {
    *number == N::default()
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde passes fields by reference"
)]
fn is_false(value: &bool) -> bool {
    !*value
}

impl fmt::Debug for Pending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pending")
            .field("connector", &self.connector)
            .finish_non_exhaustive()
    }
}

/// Why the sealed state of a login cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PendingError {
    /// The flow cookie is missing: the callback is in another browser, or the cookie was blocked or
    /// cleared.
    Missing,
    /// The flow cookie was not sealed by this site, or it was sealed for another login or connector.
    Forged,
    /// The login began too long ago.
    Expired,
    /// An administrator has changed the connector since the login began: the response belongs to the former
    /// settings.
    SettingsChanged,
    /// The connector is disabled or gone since the login began.
    ConnectorGone,
}

impl PendingError {
    fn text(&self) -> Text {
        match self {
            Self::Missing => Text::fixed(
                "the browser sent no flow cookie for this login",
                "浏览器没有发送这次登录的 Cookie",
            ),
            Self::Forged => Text::fixed(
                "the flow cookie was not sealed for this login",
                "登录的 Cookie 不属于这次登录",
            ),
            Self::Expired => text!(
                "the login began more than {PENDING_AGE_MAX_S} s ago",
                "登录开始已超过 {PENDING_AGE_MAX_S} 秒"
            ),
            Self::SettingsChanged => Text::fixed(
                "the settings of the connector were changed after the login began",
                "登录开始后，认证源的设置有过修改",
            ),
            Self::ConnectorGone => {
                Text::fixed("the connector is no longer in force", "认证源已不再生效")
            }
        }
    }
}

error_of_text!(PendingError);

/// A pending login is too long for the flow cookies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "sealed, it has {bytes} bytes, but the flow cookies have room for {PENDING_BYTES_MAX}: the provider \
     sends too much with the subject, the session ID or the authentication methods"
)]
pub struct PendingTooLarge {
    bytes: usize,
}

impl Pending {
    /// A new login with its own flow ID, nonce and verifier.
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
            nonce: base64url(&nonce),
            verifier: base64url(&verifier),
            return_to,
            begun_at,
            settings_version: 0,
            connector_epoch: 0,
            everyone_epoch: 0,
            retries: 0,
            automatic: false,
            silent: false,
            ticket_for: None,
            for_frame: false,
            replaces: None,
            max_age: None,
            reauthenticates: false,
            unsolicited: None,
            link: None,
            password_change: None,
        }
    }

    /// Seals it for the browser. If it is too long for the flow cookies, parts are left out: first the
    /// display name, then the query of the return address, then its path.
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
        if let Some(identity) = self.link.as_mut().and_then(|link| link.identity.as_mut())
            && identity.name.take().is_some()
        {
            sealed = self.seal_once(ring);
            if sealed.len() <= PENDING_BYTES_MAX {
                return Ok(sealed);
            }
        }
        return_to::log_shortened(self.return_to.path_query_fragment().len());
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

    /// Whether the source has responded and the person must still confirm, or choose another password. No
    /// callback and no ordinary form finishes it.
    pub(super) fn awaits_confirmation(&self) -> bool {
        let proven = self
            .link
            .as_ref()
            .is_some_and(|link| link.identity.is_some());
        self.unsolicited.is_some() || self.password_change.is_some() || proven
    }

    fn seal_once(&self, ring: &KeyRing) -> String {
        let plain = serde_json::to_vec(self).expect("a pending login is serializable");
        ring.seal(
            Purpose::Pending,
            &binding(&self.flow, &self.connector),
            &plain,
        )
    }

    /// Opens a login that this site sealed for this flow and connector and that has not expired.
    pub fn open(
        ring: &KeyRing,
        flow: &FlowId,
        connector: &ConnectorId,
        sealed: &str,
        now: Timestamp,
    ) -> Result<Self, PendingError> {
        let pending = Self::unseal(ring, flow, connector, sealed)?;
        if now.since(pending.begun_at).as_secs() > PENDING_AGE_MAX_S {
            return Err(PendingError::Expired);
        }
        Ok(pending)
    }

    /// As [`Self::open`], even if it has expired.
    pub(super) fn unseal(
        ring: &KeyRing,
        flow: &FlowId,
        connector: &ConnectorId,
        sealed: &str,
    ) -> Result<Self, PendingError> {
        if sealed.len() > PENDING_BYTES_MAX {
            return Err(PendingError::Forged);
        }
        let plain = ring
            .open(Purpose::Pending, &binding(flow, connector), sealed)
            .ok_or(PendingError::Forged)?;
        serde_json::from_slice(&plain).map_err(|_| PendingError::Forged)
    }
}

/// The associated data of the seal, so that it opens only for this flow and connector.
fn binding(flow: &FlowId, connector: &ConnectorId) -> [u8; 32] {
    keys::fingerprint(&[flow.as_str().as_bytes(), connector.as_str().as_bytes()])
}

fn base64url(bytes: &[u8]) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(bytes)
}

#[cfg(test)]
mod tests;
