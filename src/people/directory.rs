//! `Directory`: reads accounts and simulates logins, for explanations of decisions.

use std::sync::Arc;

use super::session::{Person, SessionTimeouts};
use crate::clock::Timestamp;
use crate::store::{Account, AccountStore, ConnectorId, LoginName, StoreError};
use crate::text;
use crate::wording::{Text, error_of_text};

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
#[derive(Debug)]
pub enum SimulateError {
    /// No account has the login name.
    Unknown { login: LoginName },
    /// The account has no identity of that connector, or none at all.
    NoIdentity {
        login: LoginName,
        /// The requested connector.
        via: Option<ConnectorId>,
        /// The connectors of the account's identities.
        connectors: Vec<ConnectorId>,
    },
    /// The store failed.
    Store(StoreError),
}

impl SimulateError {
    fn text(&self) -> Text {
        match self {
            Self::Unknown { login } => text!(
                "no account has the login {login}",
                "没有登录名为 {login} 的账号"
            ),
            Self::NoIdentity {
                login,
                via,
                connectors,
            } => {
                let via = match via {
                    Some(via) => text!("{via}", " {via} "),
                    None => Text::fixed("any connector", "任何认证源"),
                };
                let connectors = connector_names(connectors);
                text!(
                    "{login} has never logged in through {via}; {connectors}",
                    "{login} 从未通过{via:#}登录；{connectors:#}"
                )
            }
            Self::Store(_) => Text::fixed("look up the person", "无法查找此人"),
        }
    }

    fn cause(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Store(source) => Some(source),
            Self::Unknown { .. } | Self::NoIdentity { .. } => None,
        }
    }
}

error_of_text!(SimulateError, caused);

fn connector_names(connectors: &[ConnectorId]) -> Text {
    let names: Vec<_> = connectors.iter().map(ConnectorId::as_str).collect();
    let names = names.join(", ");
    match names.is_empty() {
        true => Text::fixed("the account has no identity", "该账号没有任何身份"),
        false => text!(
            "the account has identities of {names}",
            "该账号有这些认证源的身份：{names}"
        ),
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
