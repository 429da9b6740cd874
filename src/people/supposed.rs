//! `suppose()`: who somebody would be if they signed in now. Asks the store, changes nothing.

use super::session::{Person, Terms};
use crate::clock::Timestamp;
use crate::store::{ConnectorId, LoginName, Store, StoreError};

/// Somebody the directory knows, as if they had just signed in.
#[derive(Clone, Debug)]
pub struct Supposed {
    /// Who they would be.
    pub person: Person,
    /// Whether their account is closed, so that they cannot sign in at all.
    pub closed: bool,
    /// The connectors they are known by, the one they came in by last first.
    pub connectors: Vec<ConnectorId>,
}

/// Why nobody can be supposed.
#[derive(Debug, thiserror::Error)]
pub enum SupposeError {
    /// No account has the login.
    #[error("the directory knows nobody whose login is {login}")]
    Unknown {
        /// What was asked for.
        login: LoginName,
    },
    /// The account has no identity of that connector, or none at all.
    #[error("{login} never came in through {}; {}", .via.as_ref().map_or("any connector", ConnectorId::as_str), known(.connectors))]
    NeverThrough {
        /// Whose account.
        login: LoginName,
        /// What was asked for.
        via: Option<ConnectorId>,
        /// What they are known by.
        connectors: Vec<ConnectorId>,
    },
    /// The store.
    #[error("look for the person")]
    Store(#[source] StoreError),
}

fn known(connectors: &[ConnectorId]) -> String {
    let names: Vec<_> = connectors.iter().map(ConnectorId::as_str).collect();
    match names.is_empty() {
        true => "they are known by none".to_owned(),
        false => format!("they are known by {}", names.join(", ")),
    }
}

/// The account of a login, as if it had just signed in: through `via`, or through the connector it
/// came in by last. Closed accounts are answered, too.
pub async fn suppose(
    store: &dyn Store,
    login: &LoginName,
    via: Option<&ConnectorId>,
    terms: &Terms,
    now: Timestamp,
) -> Result<Supposed, SupposeError> {
    let account = store.account_by_login(login).await;
    let account = account
        .map_err(SupposeError::Store)?
        .ok_or_else(|| SupposeError::Unknown {
            login: login.clone(),
        })?;
    let identities = store.identities(&account.id).await;
    let identities = identities.map_err(SupposeError::Store)?;
    let mut connectors: Vec<ConnectorId> = Vec::new();
    for (connector, _, _) in &identities {
        if !connectors.contains(connector) {
            connectors.push(connector.clone());
        }
    }
    let mut identities = identities.into_iter();
    let Some(identity) = identities.find(|(own, _, _)| via.is_none_or(|via| via == own)) else {
        return Err(SupposeError::NeverThrough {
            login: account.login,
            via: via.cloned(),
            connectors,
        });
    };
    let closed = account.closed;
    let person = Person::supposed(account, identity, terms, now).map_err(SupposeError::Store)?;
    Ok(Supposed {
        person,
        closed,
        connectors,
    })
}
