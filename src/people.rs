//! `People`: the accounts and their identities.

use std::sync::Arc;
use std::time::Duration;

use access_tokens::AccessTokens;
use administrators::Administrators;
use console_sessions::ConsoleSessions;
use departments::StoredDepartments;
use directory::Directory;
use local_people::LocalPeople;
use session::{Session, Sessions};

use crate::clock::{Clock, Timestamp};
use crate::keys::KeyRing;
use crate::store::{
    Account, AccountId, Closing, ConnectorId, ExpectOutcome, LoginName, Reopening, Store,
    StoreError, Subject, SubjectRename, SubjectRenameOutcome,
};
use crate::text;
use crate::wording::{Text, error_of_text};

pub mod access_tokens;
mod administration;
pub mod administrators;
mod admission;
pub mod audit_log;
pub mod confirm;
pub mod console_sessions;
pub mod cookie;
pub mod departments;
pub mod directory;
mod directory_fields;
pub mod directory_sync;
pub mod import;
pub mod local_people;
mod mapping_preview;
pub mod new_password;
pub mod password_hash;
pub mod person_lookup;
pub mod profile;
pub mod provider_tokens;
pub mod session;
pub mod token_sessions;

use admission::normalized_fields;
pub use admission::{AdmissionPolicy, AdmitError};

/// How long a claim of the database lasts without being renewed.
const DATABASE_CLAIM: Duration = Duration::from_secs(180);

/// Why an identity is not added to the account of a person.
#[derive(Debug)]
pub enum LinkError {
    Taken { by: LoginName },
    SessionTooOld,
    SessionEnded,
    Store(StoreError),
}

impl LinkError {
    fn text(&self) -> Text {
        match self {
            Self::Taken { by } => {
                text!("the identity already belongs to {by}", "该身份已属于 {by}")
            }
            Self::SessionTooOld => Text::fixed(
                "the session began too long ago to add an identity",
                "会话开始得太久，不能添加身份",
            ),
            Self::SessionEnded => Text::fixed(
                "the session was ended, or its account is closed",
                "会话已结束，或账号已关闭",
            ),
            Self::Store(_) => Text::fixed("store the identity", "无法保存该身份"),
        }
    }

    fn cause(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Store(source) => Some(source),
            Self::Taken { .. } | Self::SessionTooOld | Self::SessionEnded => None,
        }
    }
}

error_of_text!(LinkError, caused);

/// The accounts of a store. One per process; configuration reloads keep it.
#[derive(Clone, Debug)]
pub struct People {
    store: Arc<dyn Store>,
    sessions: Arc<Sessions>,
    directory: Directory,
    access_tokens: AccessTokens,
    clock: Clock,
}

impl People {
    /// `sessions` must use the same store.
    pub fn new(store: Arc<dyn Store>, sessions: Arc<Sessions>, clock: Clock) -> Self {
        let directory = Directory::new(Arc::clone(&store) as _);
        let access_tokens =
            AccessTokens::new(Arc::clone(&store), Arc::clone(&sessions), clock.clone());
        Self {
            store,
            sessions,
            directory,
            access_tokens,
            clock,
        }
    }

    /// Read access to the accounts.
    pub fn directory(&self) -> &Directory {
        &self.directory
    }

    pub fn access_tokens(&self) -> &AccessTokens {
        &self.access_tokens
    }

    /// The local administrators of the console.
    pub fn administrators(&self) -> Administrators {
        Administrators::new(Arc::clone(&self.store), self.clock.clone())
    }

    /// The sessions of the console.
    pub fn console_sessions(&self) -> ConsoleSessions {
        ConsoleSessions::new(Arc::clone(&self.store), self.clock.clone())
    }

    /// The departments of a connector that the store knows from logins and syncs.
    pub fn stored_departments(&self, connector: &ConnectorId) -> StoredDepartments {
        StoredDepartments::new(Arc::clone(&self.store) as _, connector.clone())
    }

    /// The people of the connector of a policy whose passwords the store keeps.
    pub fn local_people(&self, policy: &AdmissionPolicy, ring: &Arc<KeyRing>) -> LocalPeople {
        LocalPeople::new(
            Arc::clone(&self.store),
            Arc::clone(&self.sessions),
            self.clock.clone(),
            Arc::clone(ring),
            policy.clone(),
        )
    }

    /// Closes an account and ends its sessions; false if it does not exist.
    ///
    /// # Errors
    /// As [`Sessions::revoke`].
    pub async fn close_account(
        &self,
        account: &AccountId,
        closing: &Closing,
    ) -> Result<bool, StoreError> {
        self.sessions.close_account(account, closing).await
    }

    /// Reopens an account and restores the identities that were detached when it was closed; `None` if it
    /// does not exist.
    ///
    /// # Errors
    /// The store failed: the account stays closed.
    pub async fn reopen_account(
        &self,
        account: &AccountId,
        by: &str,
    ) -> Result<Option<Reopening>, StoreError> {
        self.sessions.reopen_account(account, by).await
    }

    /// Closes the account of an identity that its source no longer has, and ends its sessions. The
    /// identity is detached: if the source gives its subject to somebody again, that person is not signed
    /// in to this account. Returns the account, if there is one.
    ///
    /// # Errors
    /// The store failed. If the account was found, it is closed in this process, and the write is retried.
    pub async fn close_account_of(
        &self,
        connector: &ConnectorId,
        subject: &Subject,
        by: &str,
        reason: &str,
    ) -> Result<Option<Account>, StoreError> {
        let found = self.store.account_by_identity(connector, subject).await?;
        let Some(account) = found else {
            return Ok(None);
        };
        let closing = Closing {
            by: by.to_owned(),
            reason: reason.to_owned(),
            gone: Some((connector.clone(), subject.clone())),
            by_sync_of: None,
        };
        self.close_account(&account.id, &closing).await?;
        Ok(Some(account))
    }

    /// Gives an identity the new subject that its source uses for the same person. Account and sessions
    /// stay.
    ///
    /// # Errors
    /// The store failed: nothing has changed.
    pub async fn rename_subject(
        &self,
        rename: &SubjectRename,
    ) -> Result<SubjectRenameOutcome, StoreError> {
        self.sessions.rename_subject(rename).await
    }

    /// Lets the person of a session sign in to their account with a further identity, which its source has
    /// confirmed.
    pub async fn link_identity(
        &self,
        session: &Session,
        connector: &ConnectorId,
        subject: &Subject,
    ) -> Result<(), LinkError> {
        let (identity, now) = ((connector, subject), self.clock.now());
        if !session.may_get_credentials(now) {
            return Err(LinkError::SessionTooOld);
        }
        let by = session.login.as_str();
        let expected = self.store.expect_identity(&session.key, identity, by, now);
        match expected.await.map_err(LinkError::Store)? {
            ExpectOutcome::Expected => Ok(()),
            ExpectOutcome::SessionEnded => Err(LinkError::SessionEnded),
            ExpectOutcome::Taken { by } => Err(LinkError::Taken { by }),
        }
    }

    /// Takes an identity off an account and ends the sessions and access tokens that came through it; false
    /// if the account has no such identity.
    ///
    /// # Errors
    /// The store failed. If it has removed the identity nevertheless, its log ends the sessions in this
    /// process too.
    pub async fn remove_identity(
        &self,
        account: &AccountId,
        connector: &ConnectorId,
        subject: &Subject,
        by: &str,
    ) -> Result<bool, StoreError> {
        let (identity, now) = ((connector, subject), self.clock.now());
        let removed = self.store.remove_identity(account, identity, by, now);
        let Some(entries) = removed.await? else {
            return Ok(false);
        };
        for entry in &entries {
            self.sessions.apply_change(entry);
        }
        Ok(true)
    }

    /// Spends the ticket with this hash: true for the first caller only, at least until `until`.
    ///
    /// # Errors
    /// The store failed.
    pub async fn spend_ticket(
        &self,
        hash: &[u8; 32],
        until: Timestamp,
    ) -> Result<bool, StoreError> {
        self.store.spend(hash, until).await
    }

    /// Whether a process of this site has handled this event.
    ///
    /// # Errors
    /// The store failed.
    pub async fn is_event_handled(&self, event_id: &[u8; 32]) -> Result<bool, StoreError> {
        self.store.is_spent(event_id).await
    }

    /// Records that this event was handled. A repeated delivery is recognized at least until `until`.
    ///
    /// # Errors
    /// The store failed.
    pub async fn record_handled_event(
        &self,
        event_id: &[u8; 32],
        until: Timestamp,
    ) -> Result<(), StoreError> {
        // Two processes may have handled it at the same time.
        self.store.spend(event_id, until).await.map(|_is_first| ())
    }

    /// Claims the database for the site with this URL; false while another site has claimed it.
    ///
    /// # Errors
    /// The store failed.
    pub async fn claim_database(&self, site: &str) -> Result<bool, StoreError> {
        let now = self.clock.now();
        let until = now.plus(DATABASE_CLAIM);
        self.store.lease("site", site, now, until).await
    }

    /// Probes a read of the store.
    ///
    /// # Errors
    /// The store does not respond, so no session can be loaded.
    pub async fn ping_store(&self) -> Result<(), StoreError> {
        self.store.ping().await
    }

    /// Probes a write to the store.
    ///
    /// # Errors
    /// Writes fail, so nobody can sign in and no revocation can be stored.
    pub async fn try_store_write(&self) -> Result<(), StoreError> {
        self.store.probe_write().await
    }
}
