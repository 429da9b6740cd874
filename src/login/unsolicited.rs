//! `UnsolicitedLogin`: somebody who came with a ticket that nobody here asked for.

use serde::{Deserialize, Serialize};

use crate::clock::Timestamp;
use crate::keys;
use crate::people::profile::AuthContext;
use crate::store::{AccountId, ConnectorId, LoginName, Subject};

/// Somebody whose ticket was redeemed, and who has no session of it yet. It may travel in the sealed
/// memory of a browser.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UnsolicitedLogin {
    /// The account that the ticket named, when the unsolicited was checked.
    #[serde(rename = "i")]
    pub account: AccountId,
    /// What applications call them.
    #[serde(rename = "l")]
    pub login: LoginName,
    /// What people call them.
    #[serde(rename = "n", default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The account's number when it was admitted.
    #[serde(rename = "e")]
    pub(super) account_epoch: u64,
    /// What the source calls them.
    #[serde(rename = "s")]
    pub(super) subject: Subject,
    /// The session's name at the source.
    #[serde(rename = "p", default, skip_serializing_if = "Option::is_none")]
    pub(super) provider_sid: Option<String>,
    /// What the ticket proves besides.
    #[serde(rename = "f", default)]
    pub(super) auth_context: AuthContext,
    /// The session ends no later.
    #[serde(rename = "x", default, skip_serializing_if = "Option::is_none")]
    pub(super) expires_at: Option<Timestamp>,
    /// What the ticket is remembered by.
    #[serde(rename = "t")]
    pub(super) token: EntryTokenHash,
}

/// What a ticket is remembered by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct EntryTokenHash([u8; 32]);

impl EntryTokenHash {
    /// That of a ticket for a connector.
    pub fn of(via: &ConnectorId, ticket: &str) -> Self {
        let parts = [b"arrival", via.as_str().as_bytes(), ticket.as_bytes()];
        Self(keys::fingerprint(&parts))
    }

    pub(super) fn bytes(&self) -> &[u8; 32] {
        &self.0
    }
}
