//! `People`: accounts. `admit()` makes an account of a profile, or finds it.

use std::sync::Arc;

use directory::Directory;
use profile::{MappedProfile, Mapping, Profile, ProfileMappingError, UserFields};
use session::Sessions;

use crate::clock::{Clock, Timestamp};
use crate::store::{
    Account, AccountId, Admission, AdmissionOutcome, ConnectorId, LinkField, LoginName, Store,
    StoreError,
};

pub mod cookie;
pub mod directory;
pub mod profile;
pub mod session;
pub mod source;
pub mod token_sessions;

/// How the people of a connector are admitted.
#[derive(Clone, Debug)]
pub struct AdmissionPolicy {
    /// The connector.
    pub connector: ConnectorId,
    /// How a profile becomes an account.
    pub mapping: Mapping,
    /// Whether a new person gets an account.
    pub create: bool,
    /// Fields the source vouches for that may join an existing account.
    pub link_by: Vec<LinkField>,
    /// Whether the fields follow the source; otherwise those of the first login stay.
    pub sync: bool,
}

/// Why a person is not admitted, although their source authenticated them.
#[derive(Debug, thiserror::Error)]
pub enum AdmitError {
    /// Their profile gives no account.
    #[error("make an account of the profile")]
    Map(#[source] ProfileMappingError),
    /// Their identity is not known, and new people get no account.
    #[error("the directory does not know {login}, and this connector admits nobody new")]
    Unknown {
        /// The login they would have had.
        login: LoginName,
    },
    /// The login is another account's.
    #[error("the login {login} belongs to account {by} already, which another source vouches for")]
    LoginTaken {
        /// The login they would have had.
        login: LoginName,
        /// The account that has the login.
        by: AccountId,
    },
    /// The account is closed.
    #[error("the account {account} is closed")]
    Closed {
        /// The account.
        account: AccountId,
    },
    /// The store failed.
    #[error("admit the person")]
    Store(#[source] StoreError),
}

/// Accounts: who is admitted, and who is closed. One per process; it outlives every site.
#[derive(Clone, Debug)]
pub struct People {
    store: Arc<dyn Store>,
    sessions: Arc<Sessions>,
    directory: Directory,
    clock: Clock,
}

impl People {
    /// `sessions` are over the same store.
    pub fn new(store: Arc<dyn Store>, sessions: Arc<Sessions>, clock: Clock) -> Self {
        let directory = Directory::new(Arc::clone(&store) as _);
        Self {
            store,
            sessions,
            directory,
            clock,
        }
    }

    /// The accounts, to be read.
    pub fn directory(&self) -> &Directory {
        &self.directory
    }

    /// Closes an account and ends its sessions, or opens it again; false when there is none.
    ///
    /// # Errors
    /// As [`Sessions::revoke`]; an account that could not be opened stays closed.
    pub async fn close_account(
        &self,
        account: &AccountId,
        closed: bool,
    ) -> Result<bool, StoreError> {
        self.sessions.close_account(account, closed).await
    }

    /// Spends the ticket that has this hash: true for the first who asks, until `until` and after.
    ///
    /// # Errors
    /// The store did not take it.
    pub async fn spend_ticket(
        &self,
        hash: &[u8; 32],
        until: Timestamp,
    ) -> Result<bool, StoreError> {
        self.store.spend(hash, until).await
    }

    /// Asks the store whether it answers.
    ///
    /// # Errors
    /// It does not: nobody can be recognised.
    pub async fn ping_store(&self) -> Result<(), StoreError> {
        self.store.ping().await
    }

    /// Asks the store whether it can be written to.
    ///
    /// # Errors
    /// It cannot: nobody can sign in, and nothing can be ended for good.
    pub async fn try_store_write(&self) -> Result<(), StoreError> {
        self.store.probe_write().await
    }

    /// Finds, links or makes the account of a person who logs in.
    pub async fn admit(
        &self,
        policy: &AdmissionPolicy,
        profile: &Profile,
    ) -> Result<(Account, MappedProfile), AdmitError> {
        let (account, mapped) = self.find_or_create(policy, profile, true).await?;
        let (via, subject) = (&policy.connector, &profile.subject);
        self.sessions
            .update_after_login(via, subject, &account, &mapped.fields);
        Ok((account, mapped))
    }

    /// Finds, links or makes the account of a person whose token is seen for the first time. A token is
    /// no login and may be older than the last one: it changes no known identity, neither in the store
    /// nor in sessions.
    pub async fn admit_token_holder(
        &self,
        policy: &AdmissionPolicy,
        profile: &Profile,
    ) -> Result<(Account, MappedProfile), AdmitError> {
        let policy = AdmissionPolicy {
            sync: false,
            ..policy.clone()
        };
        self.find_or_create(&policy, profile, false).await
    }

    async fn find_or_create(
        &self,
        policy: &AdmissionPolicy,
        profile: &Profile,
        is_login: bool,
    ) -> Result<(Account, MappedProfile), AdmitError> {
        let mut mapped = policy.mapping.map(&profile.raw).map_err(AdmitError::Map)?;
        let vouched = normalized_fields(&profile.vouched);
        let links = policy
            .link_by
            .iter()
            .filter_map(|by| vouched.iter().find(|(field, _)| field == by).cloned())
            .collect();
        let admission = Admission {
            connector: policy.connector.clone(),
            subject: profile.subject.clone(),
            login: mapped.login.clone(),
            links,
            vouched,
            create: policy.create,
            sync: policy.sync,
            is_login,
            entitlements: serde_json::to_string(&mapped.fields).expect("fields are plain data"),
            at: self.clock.now(),
        };
        let login = mapped.login.clone();
        let admitted = self.store.admit(&admission).await;
        match admitted.map_err(AdmitError::Store)? {
            AdmissionOutcome::Account(account) => {
                if !policy.sync {
                    mapped.fields = self.first_login_fields(policy, profile, &account).await?;
                }
                Ok((account, mapped))
            }
            AdmissionOutcome::Unknown => Err(AdmitError::Unknown { login }),
            AdmissionOutcome::LoginTaken { by } => Err(AdmitError::LoginTaken { login, by }),
            AdmissionOutcome::Closed(account) => Err(AdmitError::Closed { account }),
        }
    }

    /// The fields of an identity's first login, as the store keeps them.
    async fn first_login_fields(
        &self,
        policy: &AdmissionPolicy,
        profile: &Profile,
        account: &Account,
    ) -> Result<UserFields, AdmitError> {
        let identities = self.store.identities(&account.id).await;
        let identities = identities.map_err(AdmitError::Store)?;
        let own = identities.into_iter().find(|(connector, subject, _)| {
            *connector == policy.connector && *subject == profile.subject
        });
        // An identity that is gone again has no fields; its session will not be minted.
        let text = own.map_or_else(|| "{}".to_owned(), |(_, _, fields)| fields);
        serde_json::from_str(&text)
            .map_err(|_| AdmitError::Store(self.store.report_damaged("identity")))
    }
}

/// The spelling in which vouched values are kept: the store compares them byte for byte.
fn normalized_fields(vouched: &[(LinkField, String)]) -> Vec<(LinkField, String)> {
    let folded = vouched
        .iter()
        .map(|(field, value)| (*field, normalize(*field, value)));
    folded.filter(|(_, value)| !value.is_empty()).collect()
}

fn normalize(field: LinkField, value: &str) -> String {
    match field {
        LinkField::Email => value.trim().to_ascii_lowercase(),
        LinkField::Mobile => {
            let digits: String = value
                .chars()
                .filter(|c| c.is_ascii_digit() || *c == '+')
                .collect();
            digits
                .strip_prefix("+86")
                .map(str::to_owned)
                .unwrap_or(digits)
        }
    }
}
