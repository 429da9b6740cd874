//! `People`: the accounts. `admit()` finds or creates the account of an authenticated profile.

use std::sync::Arc;
use std::time::Duration;

use access_tokens::AccessTokens;
use administrators::Administrators;
use console_sessions::ConsoleSessions;
use departments::StoredDepartments;
use directory::Directory;
use directory_fields::directory_fields;
use local_people::LocalPeople;
use profile::{MappedProfile, Mapping, Profile, ProfileMappingError, UserFields};
use session::{Session, Sessions};

use crate::clock::{Clock, Timestamp};
use crate::keys::KeyRing;
use crate::store::{
    Account, AccountId, Admission, AdmissionOutcome, AdmittedIdentity, Closing, ConnectorId,
    DirectoryFields, ExpectOutcome, LinkField, LocalEntitlements, LoginName, Reopening, Store,
    StoreError, Subject, SubjectRename, SubjectRenameOutcome,
};

pub mod access_tokens;
mod administration;
pub mod administrators;
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

/// How long a claim of the database lasts without being renewed.
const DATABASE_CLAIM: Duration = Duration::from_secs(180);

/// How the accounts of a connector are found and created.
#[derive(Clone, Debug)]
pub struct AdmissionPolicy {
    /// The connector whose people are admitted.
    pub connector: ConnectorId,
    /// Maps a profile to login name and fields.
    pub mapping: Mapping,
    /// Whether a person without an account gets one.
    pub create: bool,
    /// What menshen itself gives a person whose account is created.
    pub join: Option<Arc<LocalEntitlements>>,
    /// Verified fields by which an identity may be linked to an existing account.
    pub link_by: Vec<LinkField>,
    /// Whether a later login or refresh updates the fields; otherwise those of the first login stay.
    pub sync: bool,
}

impl AdmissionPolicy {
    /// The normalized verified fields by which an identity may be linked, in the order of `link_by`.
    fn links_among(&self, verified_fields: &[(LinkField, String)]) -> Vec<(LinkField, String)> {
        let found = self.link_by.iter().filter_map(|link| {
            let verified = verified_fields.iter();
            verified.clone().find(|(field, _)| field == link).cloned()
        });
        found.collect()
    }
}

/// Why an authenticated person gets no session.
#[derive(Debug, thiserror::Error)]
pub enum AdmitError {
    /// The profile could not be mapped.
    #[error("map the profile to an account")]
    Map(#[source] ProfileMappingError),
    /// The identity is unknown, and unknown people get no account.
    #[error("there is no account {login}, and this connector creates none")]
    Unknown {
        /// The login name from the mapping.
        login: LoginName,
    },
    /// Several accounts have the verified field by which the identity would be linked.
    #[error(
        "{login} cannot be linked: several accounts have the same {}", .field.as_str()
    )]
    AmbiguousLink {
        /// The login name from the mapping.
        login: LoginName,
        field: LinkField,
    },
    /// The login name belongs to another account.
    #[error("the login {login} already belongs to account {by}, of another source")]
    LoginTaken {
        /// The login name from the mapping.
        login: LoginName,
        /// The account with this login name.
        by: AccountId,
    },
    #[error("the account {account} is closed")]
    Closed { account: AccountId },
    #[error("an administrator changed the person during the login")]
    LocalPersonChanged,
    #[error("admit the person")]
    Store(#[source] StoreError),
}

/// Why an identity is not added to the account of a person.
#[derive(Debug, thiserror::Error)]
pub enum LinkError {
    #[error("the identity already belongs to {by}")]
    Taken { by: LoginName },
    #[error("the session began too long ago to add an identity")]
    SessionTooOld,
    #[error("the session was ended, or its account is closed")]
    SessionEnded,
    #[error("store the identity")]
    Store(#[source] StoreError),
}

/// Why a person is admitted.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Occasion {
    Login,
    /// A bearer token of the person is used for the first time.
    BearerToken,
}

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

    /// Finds, links or creates the account of a person who logs in. The returned fields include what menshen
    /// itself gives the person.
    pub async fn admit(
        &self,
        policy: &AdmissionPolicy,
        profile: &Profile,
    ) -> Result<(Account, MappedProfile), AdmitError> {
        let found = self
            .find_or_create(policy, profile, Occasion::Login)
            .await?;
        Ok(self.admitted_at_login(policy, profile, found))
    }

    /// As [`Self::admit`], for a login with a one-time token that has this hash. All processes together admit
    /// somebody once with it; `None` for the others. A person who is not admitted has not spent it.
    pub async fn admit_once(
        &self,
        policy: &AdmissionPolicy,
        profile: &Profile,
        token: (&[u8; 32], Timestamp),
    ) -> Result<Option<(Account, MappedProfile)>, AdmitError> {
        let occasion = Occasion::Login;
        let (admission, mapped) = self.admission_of(policy, profile, occasion)?;
        let admitted = self.store.admit_once(&admission, token.0, token.1).await;
        let Some(outcome) = admitted.map_err(AdmitError::Store)? else {
            return Ok(None);
        };
        let found = self.account_of(policy, profile, outcome, mapped).await?;
        Ok(Some(self.admitted_at_login(policy, profile, found)))
    }

    fn admitted_at_login(
        &self,
        policy: &AdmissionPolicy,
        profile: &Profile,
        (admitted, mut mapped): (AdmittedIdentity, MappedProfile),
    ) -> (Account, MappedProfile) {
        let (via, subject) = (&policy.connector, &profile.subject);
        self.sessions
            .update_after_login(via, subject, &admitted, &mapped.fields);
        if let Some(local) = &admitted.account.local {
            mapped.fields.add_local(local);
        }
        (admitted.account, mapped)
    }

    /// Finds, links or creates the account of a person whose bearer token is used for the first time. The
    /// token may be older than the last login, so it changes no known identity.
    pub async fn admit_token_holder(
        &self,
        policy: &AdmissionPolicy,
        profile: &Profile,
    ) -> Result<(Account, MappedProfile), AdmitError> {
        let policy = AdmissionPolicy {
            sync: false,
            ..policy.clone()
        };
        let found = self.find_or_create(&policy, profile, Occasion::BearerToken);
        let (admitted, mapped) = found.await?;
        Ok((admitted.account, mapped))
    }

    async fn find_or_create(
        &self,
        policy: &AdmissionPolicy,
        profile: &Profile,
        occasion: Occasion,
    ) -> Result<(AdmittedIdentity, MappedProfile), AdmitError> {
        let (admission, mapped) = self.admission_of(policy, profile, occasion)?;
        let outcome = self.store.admit(&admission).await;
        let outcome = outcome.map_err(AdmitError::Store)?;
        self.account_of(policy, profile, outcome, mapped).await
    }

    fn admission_of(
        &self,
        policy: &AdmissionPolicy,
        profile: &Profile,
        occasion: Occasion,
    ) -> Result<(Admission, MappedProfile), AdmitError> {
        let mapped = policy.mapping.map(&profile.raw).map_err(AdmitError::Map)?;
        let verified_fields = normalized_fields(&profile.verified_fields);
        let admission = Admission {
            connector: policy.connector.clone(),
            subject: profile.subject.clone(),
            login: mapped.login.clone(),
            links: policy.links_among(&verified_fields),
            vouched: verified_fields,
            create: policy.create,
            join: policy.join.clone(),
            sync: policy.sync,
            is_login: occasion == Occasion::Login,
            entitlements: serde_json::to_string(&mapped.fields).expect("fields are plain data"),
            fields: directory_fields(&mapped.fields),
            local_revision: profile.local_revision,
            at: self.clock.now(),
        };
        Ok((admission, mapped))
    }

    async fn account_of(
        &self,
        policy: &AdmissionPolicy,
        profile: &Profile,
        outcome: AdmissionOutcome,
        mut mapped: MappedProfile,
    ) -> Result<(AdmittedIdentity, MappedProfile), AdmitError> {
        let login = mapped.login.clone();
        match outcome {
            AdmissionOutcome::Account(admitted) => {
                if !policy.sync {
                    let (via, subject) = (&policy.connector, &profile.subject);
                    let account = &admitted.account.id;
                    let stored = self.stored_fields(via, subject, account).await;
                    mapped.fields = stored.map_err(AdmitError::Store)?;
                }
                Ok((admitted, mapped))
            }
            AdmissionOutcome::Unknown => Err(AdmitError::Unknown { login }),
            AdmissionOutcome::AmbiguousLink { field } => {
                Err(AdmitError::AmbiguousLink { login, field })
            }
            AdmissionOutcome::LoginTaken { by } => Err(AdmitError::LoginTaken { login, by }),
            AdmissionOutcome::Closed(account) => Err(AdmitError::Closed { account }),
            AdmissionOutcome::LocalPersonChanged => Err(AdmitError::LocalPersonChanged),
        }
    }

    /// The stored fields of an identity.
    async fn stored_fields(
        &self,
        via: &ConnectorId,
        subject: &Subject,
        account: &AccountId,
    ) -> Result<UserFields, StoreError> {
        let identities = self.store.identities(account).await?;
        let identity = identities
            .into_iter()
            .find(|(connector, known, _)| connector == via && known == subject);
        // If the identity has just been removed, no session is minted, and its fields do not matter.
        let text = identity.map_or_else(|| "{}".to_owned(), |(_, _, fields)| fields);
        serde_json::from_str(&text).map_err(|_| self.store.report_damaged("identity"))
    }

    /// An admission that succeeds only for a known identity and changes none of its fields.
    fn admission_of_known(
        &self,
        via: &ConnectorId,
        subject: &Subject,
        login: LoginName,
    ) -> Admission {
        Admission {
            connector: via.clone(),
            subject: subject.clone(),
            login,
            links: Vec::new(),
            vouched: Vec::new(),
            create: false,
            join: None,
            sync: false,
            is_login: false,
            entitlements: "{}".to_owned(),
            fields: DirectoryFields::default(),
            local_revision: None,
            at: self.clock.now(),
        }
    }
}

/// Normalizes verified fields: the store compares them byte by byte.
fn normalized_fields(fields: &[(LinkField, String)]) -> Vec<(LinkField, String)> {
    let normalized = fields
        .iter()
        .map(|(field, value)| (*field, normalize(*field, value)));
    normalized.filter(|(_, value)| !value.is_empty()).collect()
}

fn normalize(field: LinkField, value: &str) -> String {
    match field {
        LinkField::Email => value.trim().to_ascii_lowercase(),
        LinkField::Mobile => {
            let digits: String = value
                .chars()
                .filter(|c| c.is_ascii_digit() || *c == '+')
                .collect();
            // A number without a country code is one of China, too.
            digits
                .strip_prefix("+86")
                .map(str::to_owned)
                .unwrap_or(digits)
        }
    }
}
