//! `UnsolicitedLogin`: a login that the source started, before its session is minted.

use serde::{Deserialize, Serialize};

use crate::clock::Timestamp;
use crate::keys;
use crate::people::profile::AuthContext;
use crate::secret::Secret;
use crate::store::{AccountId, ConnectorId, LoginName, Subject};

/// A person whose entry token was redeemed, and who has no session yet. It is part of the sealed
/// pending login.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct UnsolicitedLogin {
    /// The account of the person.
    #[serde(rename = "i")]
    pub account: AccountId,
    #[serde(rename = "l")]
    pub login: LoginName,
    /// The display name.
    #[serde(rename = "n", default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The epoch of the account at admission.
    #[serde(rename = "e")]
    pub(super) account_epoch: u64,
    #[serde(rename = "s")]
    pub(super) subject: Subject,
    /// The ID of the session at the source.
    #[serde(rename = "p", default, skip_serializing_if = "Option::is_none")]
    pub(super) provider_sid: Option<String>,
    /// When and how the person authenticated at the source.
    #[serde(rename = "f", default)]
    pub(super) auth_context: AuthContext,
    /// The latest end of the session, if the source sets one.
    #[serde(rename = "x", default, skip_serializing_if = "Option::is_none")]
    pub(super) expires_at: Option<Timestamp>,
    /// The name of the person and the session at the source, with which menshen ends that session.
    #[serde(
        rename = "h",
        default,
        skip_serializing_if = "Option::is_none",
        with = "secret_text"
    )]
    pub(super) logout_hint: Option<Secret<String>>,
    #[serde(rename = "t")]
    pub(super) token: EntryTokenHash,
}

/// Serializes a secret, because the pending login is sealed.
mod secret_text {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    use crate::secret::Secret;

    #[expect(clippy::ref_option, reason = "serde passes fields by reference")]
    pub(super) fn serialize<S: Serializer>(
        secret: &Option<Secret<String>>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        secret.as_ref().map(Secret::expose).serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<Secret<String>>, D::Error> {
        Ok(Option::<String>::deserialize(deserializer)?.map(Secret::new))
    }
}

/// The hash by which a used entry token is recognized.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct EntryTokenHash([u8; 32]);

impl EntryTokenHash {
    /// The hash of a token for this connector.
    pub fn of(via: &ConnectorId, token: &str) -> Self {
        // The label never changes, so that tokens stay spent when menshen is updated.
        let parts = [b"arrival", via.as_str().as_bytes(), token.as_bytes()];
        Self(keys::fingerprint(&parts))
    }

    pub(super) fn bytes(&self) -> &[u8; 32] {
        &self.0
    }
}
