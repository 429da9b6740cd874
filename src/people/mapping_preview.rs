//! What a login with a profile would make of it, without an account and without a session in the store.

use std::sync::Arc;

use serde_json::json;

use super::AdmissionPolicy;
use super::profile::{AuthContext, ProfileMappingError};
use super::session::{Entitlements, Person, RefreshDue, Session, SessionTimeouts};
use crate::clock::Timestamp;
use crate::expression::Document;
use crate::store::{AccountId, SessionId, SessionKey, Subject};

/// The bytes of the identifiers of an account and a session that do not exist.
const NOBODY: [u8; 16] = [0; 16];

impl AdmissionPolicy {
    /// The person right after a first login with this profile. Account and session are made up: nothing is
    /// stored, and whether the login name is free is not asked.
    ///
    /// # Errors
    /// A login with this profile would fail.
    pub fn preview(
        &self,
        raw: &serde_json::Value,
        timeouts: &SessionTimeouts,
        now: Timestamp,
    ) -> Result<Person, ProfileMappingError> {
        let mapped = self.mapping.map(raw)?;
        let account = AccountId::new(NOBODY);
        let subject = Subject::try_from(mapped.login.to_string());
        let ends = now.plus(timeouts.lifetime);
        let session = Session {
            public_id: SessionId::new(NOBODY),
            key: SessionKey::new([0; 32]),
            account,
            login: mapped.login.clone(),
            via: self.connector.clone(),
            subject: subject.map_err(ProfileMappingError::BadLogin)?,
            provider_sid: None,
            amr: Document::from(&json!([])),
            auth_context: AuthContext::default(),
            minted_at: now,
            expires_at: mapped
                .session_expires
                .map_or(ends, |expires| expires.min(ends)),
        };
        let join = self.join.as_ref();
        let (via, fields) = (&self.connector, mapped.fields);
        let entitlements = Entitlements::new(account, &mapped.login, join, via, fields, 0);
        Ok(Person {
            session: Arc::new(session),
            entitlements: Arc::new(entitlements),
            confirmed_at: now,
            needs_new_cookie: false,
            refresh_due: RefreshDue::NotDue,
            bearer_token: None,
            access_token: None,
            token_state: None,
        })
    }
}
