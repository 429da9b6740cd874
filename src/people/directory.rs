//! `Directory`: reads accounts, and simulates a login: builds the person that a login would build now.

use std::sync::Arc;

use super::session::{Person, SessionTimeouts};
use crate::clock::Timestamp;
use crate::store::{Account, AccountStore, ConnectorId, LoginName, StoreError};

/// The accounts of a store, to be read.
#[derive(Clone, Debug)]
pub struct Directory(Arc<dyn AccountStore>);

/// A person of the directory, as if they had just signed in.
#[derive(Clone, Debug)]
pub struct SimulatedLogin {
    /// The person that the login would build.
    pub person: Person,
    /// Whether their account is closed, so that they cannot sign in at all.
    pub closed: bool,
    /// The connectors through which they have signed in, the last one first.
    pub connectors: Vec<ConnectorId>,
}

/// Why a login cannot be simulated.
#[derive(Debug, thiserror::Error)]
pub enum SimulateError {
    /// No account has the login.
    #[error("the directory knows nobody whose login is {login}")]
    Unknown {
        /// What was asked for.
        login: LoginName,
    },
    /// The account has no identity of that connector, or none at all.
    #[error("{login} never came in through {}; {}", .via.as_ref().map_or("any connector", ConnectorId::as_str), connector_names(.connectors))]
    NoIdentity {
        /// Whose account.
        login: LoginName,
        /// The connector that was asked for.
        via: Option<ConnectorId>,
        /// The connectors through which they have signed in.
        connectors: Vec<ConnectorId>,
    },
    /// The store did not answer.
    #[error("look for the person")]
    Store(#[source] StoreError),
}

fn connector_names(connectors: &[ConnectorId]) -> String {
    let names: Vec<_> = connectors.iter().map(ConnectorId::as_str).collect();
    match names.is_empty() {
        true => "they are known by none".to_owned(),
        false => format!("they are known by {}", names.join(", ")),
    }
}

impl Directory {
    /// Reads the accounts of `store`.
    pub fn new(store: Arc<dyn AccountStore>) -> Self {
        Self(store)
    }

    /// The account that has this login, compared without case.
    pub async fn account_by_login(&self, login: &LoginName) -> Result<Option<Account>, StoreError> {
        self.0.account_by_login(login).await
    }

    /// The person of an account as a login would build them now: through `via`, or through the
    /// connector that they used last. Closed accounts are answered, too. Nothing is written.
    pub async fn simulate_login(
        &self,
        login: &LoginName,
        via: Option<&ConnectorId>,
        timeouts: &SessionTimeouts,
        now: Timestamp,
    ) -> Result<SimulatedLogin, SimulateError> {
        let account = self.account_by_login(login).await;
        let account =
            account
                .map_err(SimulateError::Store)?
                .ok_or_else(|| SimulateError::Unknown {
                    login: login.clone(),
                })?;
        let identities = self.0.identities(&account.id).await;
        let identities = identities.map_err(SimulateError::Store)?;
        let mut connectors: Vec<ConnectorId> = Vec::new();
        for (connector, _, _) in &identities {
            if !connectors.contains(connector) {
                connectors.push(connector.clone());
            }
        }
        let mut identities = identities.into_iter();
        let Some(identity) = identities.find(|(own, _, _)| via.is_none_or(|via| via == own)) else {
            return Err(SimulateError::NoIdentity {
                login: account.login,
                via: via.cloned(),
                connectors,
            });
        };
        let closed = account.closed;
        let person = Person::simulated(account, identity, timeouts, now);
        Ok(SimulatedLogin {
            person: person.map_err(SimulateError::Store)?,
            closed,
            connectors,
        })
    }
}
