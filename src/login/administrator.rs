//! `AdministratorLogins`: signs local administrators in to the console.

use std::sync::Arc;

use super::config::LoginConfig;
use super::connector::ConnectorError;
use super::connector::credentials::PASSWORD_BYTES_MAX;
use super::connector::local::{InvalidHash, PasswordHash, verify_password};
use super::limits::{Limited, WrongPasswords};
use crate::client::Client;
use crate::clock::Clock;
use crate::people::administrators::Administrators;
use crate::setting::Period;
use crate::store::{Administrator, AdministratorName, StoreError};

/// How many wrong passwords a name or a client address may send in [`PAUSE`].
const WRONG_PASSWORDS_MAX: u32 = 5;
const PAUSE: Period = Period::s(60);

/// What the wrong passwords are counted for, instead of a connector. It is not an id of one: those have no
/// capital letter.
const COUNTED_AT: &str = "Console";

/// Signs local administrators in. One per process, because it counts wrong passwords.
#[derive(Debug)]
pub struct AdministratorLogins {
    administrators: Administrators,
    wrong_passwords: Arc<WrongPasswords>,
    /// The hash that is computed for a name that does not exist.
    nobody: Arc<PasswordHash>,
}

/// Why nobody is signed in.
#[derive(Debug, thiserror::Error)]
pub enum AdministratorLoginError {
    /// The name does not exist, or the password is wrong. Nothing tells which.
    #[error("the name or the password is wrong")]
    Wrong {
        /// The administrator whose password it is not. For the log only.
        name: Option<AdministratorName>,
    },
    #[error("{0}")]
    TooManyWrong(Limited),
    /// Too many hashes are being computed.
    #[error("the password was not verified")]
    Busy(#[source] ConnectorError),
    #[error("read the administrator")]
    Store(#[source] StoreError),
    #[error("the stored hash cannot be used")]
    DamagedHash(#[source] InvalidHash),
}

impl AdministratorLogins {
    pub fn new(administrators: Administrators, clock: Clock) -> Self {
        let limits = LoginConfig {
            wrong_passwords_per_login: WRONG_PASSWORDS_MAX,
            wrong_passwords_per_client: WRONG_PASSWORDS_MAX,
            wrong_passwords_pause: PAUSE,
            ..LoginConfig::default()
        };
        Self {
            administrators,
            wrong_passwords: WrongPasswords::new(&limits, clock),
            nobody: Arc::new(PasswordHash::of_nobody()),
        }
    }

    /// The administrator with this name and password. Takes as long for a name that does not exist.
    pub async fn sign_in(
        &self,
        name: &str,
        password: &str,
        client: Option<Client>,
    ) -> Result<Administrator, AdministratorLoginError> {
        let begun = self.wrong_passwords.begin(COUNTED_AT, name, client).await;
        let attempt = begun.map_err(AdministratorLoginError::TooManyWrong)?;
        let found = match name.parse::<AdministratorName>() {
            Ok(name) => self.administrators.find(&name).await,
            Err(_) => Ok(None),
        };
        let found = found.map_err(AdministratorLoginError::Store)?;
        let found = found.filter(|_| password.len() <= PASSWORD_BYTES_MAX);
        let hash = match &found {
            Some(administrator) => {
                let parsed = PasswordHash::parse(administrator.password_hash.expose());
                Arc::new(parsed.map_err(AdministratorLoginError::DamagedHash)?)
            }
            None => Arc::clone(&self.nobody),
        };
        let verified = verify_password(&hash, password).await;
        let is_right = verified.map_err(AdministratorLoginError::Busy)?;
        match found {
            Some(administrator) if is_right => Ok(administrator),
            found => {
                attempt.record_wrong();
                let name = found.map(|administrator| administrator.name);
                Err(AdministratorLoginError::Wrong { name })
            }
        }
    }
}
