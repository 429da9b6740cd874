//! `Profile`: a person's data from a provider at one login.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::provider_tokens::ProviderTokens;
use crate::clock::Timestamp;
use crate::store::{LinkField, Subject};

mod mapping;
mod response_id;
mod user_fields;

pub use mapping::{
    FIXED_FIELDS, MappedProfile, Mapping, MappingCompileError, MappingConfig, ProfileMappingError,
    evaluate_over_profile, is_fixed_field,
};
pub use response_id::ResponseId;
pub use user_fields::UserFields;

/// A person's data from a provider at one login.
#[derive(Clone)]
pub struct Profile {
    /// The subject identifier at the provider; together with the connector's ID it is unique.
    pub subject: Subject,
    /// The unchanged response of the provider.
    pub raw: serde_json::Value,
    /// Fields that the provider has verified, and that the person cannot edit.
    pub verified_fields: Vec<(LinkField, String)>,
    /// The session ID at the provider.
    pub provider_sid: Option<String>,
    /// How the person authenticated.
    pub auth_context: AuthContext,
    /// The provider's tokens, if there are any.
    pub tokens: Option<ProviderTokens>,
    /// The ID by which the response is accepted once; absent: the provider itself accepts its code once.
    pub response_id: Option<ResponseId>,
    /// The state of a local person whom the store keeps, from which the profile was read. The person is
    /// admitted only as long as it is the current one.
    pub local_revision: Option<i64>,
}

impl Profile {
    /// A profile of which the provider verified no field, and whose provider said nothing about the
    /// authentication and accepts its code once.
    pub fn of(subject: Subject, raw: serde_json::Value) -> Self {
        Self {
            subject,
            raw,
            verified_fields: Vec::new(),
            provider_sid: None,
            auth_context: AuthContext::default(),
            tokens: None,
            response_id: None,
            local_revision: None,
        }
    }
}

/// How a person authenticated at the provider (OpenID Connect Core §2: `acr`, `amr`, `auth_time`).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuthContext {
    /// Authentication context class, as the provider names it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub acr: Option<String>,
    /// Authentication methods references.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub amr: Vec<String>,
    /// When the person last authenticated at the provider.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub auth_time: Option<Timestamp>,
    /// Until when the source vouches for the person. The earlier of what its response says and of
    /// `session_expires` of the mapping counts, and is the latest end of the session.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vouched_until: Option<Timestamp>,
}

impl AuthContext {
    /// The latest end of the session: what the response of the source says, or `session_expires` of the
    /// mapping if that is earlier.
    pub fn earlier_end(&self, session_expires: Option<Timestamp>) -> Option<Timestamp> {
        let ends = [self.vouched_until, session_expires];
        ends.into_iter().flatten().min()
    }
}

impl fmt::Debug for Profile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Profile")
            .field("subject", &self.subject)
            .finish_non_exhaustive()
    }
}
