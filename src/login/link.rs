//! Links a further identity to the account of a person who is signed in.
//!
//! The person authenticates at another source, and confirms on a page of menshen that names both. Only
//! then can that identity sign in to the account.

use serde::{Deserialize, Serialize};

use crate::store::{AccountId, LoginName, Subject};

/// A login that signs nobody in: its identity is to be linked to this account. Part of the sealed
/// pending login.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LinkRequest {
    /// The account of the person who began the login.
    #[serde(rename = "i")]
    pub account: AccountId,
    /// Absent until the source has confirmed the identity.
    #[serde(rename = "p", default, skip_serializing_if = "Option::is_none")]
    pub identity: Option<ProvenIdentity>,
}

impl LinkRequest {
    pub(super) fn new(account: AccountId) -> Self {
        Self {
            account,
            identity: None,
        }
    }
}

/// An identity that a source has confirmed and that has no session.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProvenIdentity {
    #[serde(rename = "s")]
    pub subject: Subject,
    /// The login name from the mapping.
    #[serde(rename = "l")]
    pub login: LoginName,
    /// The display name.
    #[serde(rename = "n", default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
}
