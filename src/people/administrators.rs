//! `Administrators`: the local administrators of the console, whose passwords the store keeps.
//!
//! They can sign in while no source works. They are not people of any connector and have no account.

use std::fmt;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::new_password::{NewPassword, UnacceptablePassword};
use super::password_hash::{NotComputed, PasswordHash};
use crate::clock::Clock;
use crate::keys;
use crate::secret::Secret;
use crate::store::{Administrator, AdministratorName, Store, StoreError};
use crate::text;
use crate::wording::{Text, error_of_text};

/// The shortest password of an administrator, in characters.
pub const ADMINISTRATOR_PASSWORD_CHARS_MIN: usize = 12;

/// The most administrators that are listed.
const LISTED_MAX: u32 = 1_000;

/// The local administrators. Clones share them.
#[derive(Clone, Debug)]
pub struct Administrators {
    store: Arc<dyn Store>,
    clock: Clock,
}

/// A password that an administrator may have, with its hash.
pub struct AdministratorPassword {
    hash: Secret<String>,
}

impl fmt::Debug for AdministratorPassword {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AdministratorPassword(…)")
    }
}

/// Why a password cannot be that of an administrator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AdministratorPasswordError {
    TooShort,
    Unacceptable(UnacceptablePassword),
    NotComputed(NotComputed),
}

impl AdministratorPasswordError {
    fn text(&self) -> Text {
        match self {
            Self::TooShort => text!(
                "the password of an administrator must have at least {ADMINISTRATOR_PASSWORD_CHARS_MIN} characters",
                "管理员的密码至少 {ADMINISTRATOR_PASSWORD_CHARS_MIN} 个字符"
            ),
            Self::Unacceptable(error) => Text::of(error),
            Self::NotComputed(error) => Text::of(error),
        }
    }

    fn cause(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Unacceptable(error) => std::error::Error::source(error),
            Self::NotComputed(error) => std::error::Error::source(error),
            Self::TooShort => None,
        }
    }
}

error_of_text!(AdministratorPasswordError, caused);

impl From<UnacceptablePassword> for AdministratorPasswordError {
    fn from(error: UnacceptablePassword) -> Self {
        Self::Unacceptable(error)
    }
}

impl From<NotComputed> for AdministratorPasswordError {
    fn from(error: NotComputed) -> Self {
        Self::NotComputed(error)
    }
}

impl AdministratorPassword {
    /// A password that an administrator may have, before it is hashed.
    pub fn check(text: &str) -> Result<NewPassword, AdministratorPasswordError> {
        if text.chars().count() < ADMINISTRATOR_PASSWORD_CHARS_MIN {
            return Err(AdministratorPasswordError::TooShort);
        }
        Ok(NewPassword::parse(text)?)
    }

    /// Checks a password and computes its hash, which takes a part of a second.
    pub fn new(text: &str) -> Result<Self, AdministratorPasswordError> {
        let password = Self::check(text)?;
        let hash = Secret::new(PasswordHash::create(password.expose())?);
        Ok(Self { hash })
    }
}

impl Administrators {
    pub fn new(store: Arc<dyn Store>, clock: Clock) -> Self {
        Self { store, clock }
    }

    /// The administrator with this name.
    ///
    /// # Errors
    /// The store did not respond.
    pub async fn find(
        &self,
        name: &AdministratorName,
    ) -> Result<Option<Administrator>, StoreError> {
        self.store.administrator(name).await
    }

    /// The administrators in the order of their names.
    ///
    /// # Errors
    /// The store did not respond.
    pub async fn list(&self) -> Result<Vec<Administrator>, StoreError> {
        self.store.administrators(LISTED_MAX).await
    }

    /// Adds an administrator; false if the name exists.
    ///
    /// # Errors
    /// The store failed: nobody was added.
    pub async fn add(
        &self,
        name: &AdministratorName,
        password: &AdministratorPassword,
    ) -> Result<bool, StoreError> {
        let now = self.clock.now();
        let administrator = Administrator {
            name: name.clone(),
            password_hash: password.hash.clone(),
            credential: random_credential(),
            created_at: now,
            password_changed_at: now,
        };
        self.store.add_administrator(&administrator).await
    }

    /// Gives an administrator another password, and ends their sessions; false if there is no such name.
    ///
    /// # Errors
    /// The store failed: nothing has changed.
    pub async fn change_password(
        &self,
        name: &AdministratorName,
        password: &AdministratorPassword,
    ) -> Result<bool, StoreError> {
        let (hash, now) = (&password.hash, self.clock.now());
        let credential = random_credential();
        self.store
            .change_administrator_password(name, hash, &credential, now)
            .await
    }

    /// Removes an administrator, and ends their sessions; false if there is no such name.
    ///
    /// # Errors
    /// The store failed: nobody was removed.
    pub async fn remove(&self, name: &AdministratorName) -> Result<bool, StoreError> {
        self.store.remove_administrator(name).await
    }
}

fn random_credential() -> String {
    URL_SAFE_NO_PAD.encode(keys::random::<16>())
}
