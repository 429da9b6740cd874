//! A simulated login: builds the person as after a login, without minting a session.

use std::sync::Arc;

use super::load::session_of;
use super::updates::entitlements_of;
use crate::clock::Timestamp;
use crate::people::profile::AuthContext;
use crate::people::session::{Person, RefreshDue, SessionTimeouts};
use crate::store::{
    Account, ConnectorId, SessionId, SessionKey, SessionRecord, StoreError, StoredSession, Subject,
};

impl Person {
    /// The person after a login through one of the account's identities, with the fields of its last login
    /// or refresh. The session is not stored, and has neither tokens nor an authentication context.
    pub(in crate::people) fn simulated(
        account: Account,
        (via, subject, fields): (ConnectorId, Subject, String),
        timeouts: &SessionTimeouts,
        now: Timestamp,
    ) -> Result<Self, StoreError> {
        let record = SessionRecord {
            key: SessionKey::new([0; 32]),
            public_id: SessionId::new([0; 16]),
            account: account.id,
            connector: via,
            subject,
            provider_sid: None,
            auth_context: serde_json::to_string(&AuthContext::default())
                .expect("an authentication context is plain data"),
            minted_at: now,
            expires_at: now.plus(timeouts.lifetime),
            used_at: now,
        };
        let stored = StoredSession {
            session: record,
            account,
            entitlements: fields,
            entitlements_epoch: 0,
            connector_epoch: 0,
            everyone_epoch: 0,
            tokens: None,
        };
        let entitlements = Arc::new(entitlements_of(&stored)?);
        Ok(Self {
            session: Arc::new(session_of(stored.session, stored.account)?),
            entitlements,
            confirmed_at: now,
            needs_new_cookie: false,
            refresh_due: RefreshDue::NotDue,
            bearer_token: None,
            access_token: None,
            token_state: None,
        })
    }
}
