//! Local administrators, and the sessions of the console.

use std::fmt;

use async_trait::async_trait;

use super::{AdministratorName, SessionKey, StoreError};
use crate::clock::Timestamp;
use crate::secret::Secret;

/// Reads and writes local administrators and the sessions of the console.
#[async_trait]
pub trait AdministratorStore: fmt::Debug + Send + Sync {
    /// The administrator with this name.
    async fn administrator(
        &self,
        name: &AdministratorName,
    ) -> Result<Option<Administrator>, StoreError>;

    /// The administrators in the order of their names, at most `max`.
    async fn administrators(&self, max: u32) -> Result<Vec<Administrator>, StoreError>;

    /// Adds an administrator; false if the name exists.
    async fn add_administrator(&self, administrator: &Administrator) -> Result<bool, StoreError>;

    /// Gives an administrator another password, and ends their sessions; false if there is no such name.
    async fn change_administrator_password(
        &self,
        name: &AdministratorName,
        password_hash: &Secret<String>,
        credential: &str,
        at: Timestamp,
    ) -> Result<bool, StoreError>;

    /// Removes an administrator, and ends their sessions; false if there is no such name.
    async fn remove_administrator(&self, name: &AdministratorName) -> Result<bool, StoreError>;

    async fn begin_console_session(&self, session: &ConsoleSession) -> Result<(), StoreError>;

    /// The session with this key. That of an administrator is found only while the password is the one
    /// with which it began. Expired sessions are found, too.
    async fn console_session(&self, key: &SessionKey)
    -> Result<Option<ConsoleSession>, StoreError>;

    /// Sets the last use of a session, never to an earlier time.
    async fn touch_console_session(
        &self,
        key: &SessionKey,
        at: Timestamp,
    ) -> Result<(), StoreError>;

    /// Ends a session; false if it had ended.
    async fn end_console_session(&self, key: &SessionKey) -> Result<bool, StoreError>;
}

/// A local administrator of the console.
#[derive(Clone, Debug)]
pub struct Administrator {
    pub name: AdministratorName,
    pub password_hash: Secret<String>,
    /// Names the password. Random; another one after each change.
    pub credential: String,
    pub created_at: Timestamp,
    pub password_changed_at: Timestamp,
}

/// A session of the console.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConsoleSession {
    /// SHA-256 of the cookie.
    pub key: SessionKey,
    pub holder: ConsoleHolder,
    pub began_at: Timestamp,
    /// The last use; it may be some seconds old.
    pub used_at: Timestamp,
    /// The end, even if the session is in use.
    pub expires_at: Timestamp,
}

/// Whose a session of the console is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ConsoleHolder {
    /// A local administrator, with the credential of the password.
    Administrator {
        name: AdministratorName,
        credential: String,
    },
    /// The person of this session.
    Person(SessionKey),
}
