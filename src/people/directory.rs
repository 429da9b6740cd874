//! `Directory`: reads accounts and simulates logins, for explanations of decisions.

use std::sync::Arc;

use super::session::{Person, SessionTimeouts};
use crate::clock::Timestamp;
use crate::store::{Account, AccountStore, ConnectorId, LoginName, StoreError};

/// Read access to the accounts of a store.
#[derive(Clone, Debug)]
pub struct Directory(Arc<dyn AccountStore>);

/// The result of a simulated login.
#[derive(Clone, Debug)]
pub struct SimulatedLogin {
    /// The person with session and entitlements as after a login.
    pub person: Person,
    /// Whether the account is closed, so that a real login fails.
    pub closed: bool,
    /// The connectors of the account's identities, most recently used first.
    pub connectors: Vec<ConnectorId>,
}

/// Why a login cannot be simulated.
#[derive(Debug, thiserror::Error)]
pub enum SimulateError {
    /// No account has the login name.
    #[error("no account has the login {login}")]
    Unknown { login: LoginName },
    /// The account has no identity of that connector, or none at all.
    #[error("{login} has never logged in through {}; {}", .via.as_ref().map_or("any connector", ConnectorId::as_str), connector_names(.connectors))]
    NoIdentity {
        login: LoginName,
        /// The requested connector.
        via: Option<ConnectorId>,
        /// The connectors of the account's identities.
        connectors: Vec<ConnectorId>,
    },
    /// The store failed.
    #[error("look up the person")]
    Store(#[source] StoreError),
}

fn connector_names(connectors: &[ConnectorId]) -> String {
    let names: Vec<_> = connectors.iter().map(ConnectorId::as_str).collect();
    match names.is_empty() {
        true => "the account has no identity".to_owned(),
        false => format!("the account has identities of {}", names.join(", ")),
    }
}

impl Directory {
    /// Reads the accounts of `store`.
    pub fn new(store: Arc<dyn AccountStore>) -> Self {
        Self(store)
    }

    /// The account with this login name, compared without case.
    pub async fn account_by_login(&self, login: &LoginName) -> Result<Option<Account>, StoreError> {
        self.0.account_by_login(login).await
    }

    /// Builds the person that a login would build now: through `via`, or through the connector of the last
    /// login. Accepts closed accounts, too. Writes nothing.
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
        let Some(identity) =
            identities.find(|(connector, _, _)| via.is_none_or(|via| via == connector))
        else {
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
