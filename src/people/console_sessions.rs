//! `ConsoleSessions`: the sessions of the console. They have their own cookie and their own end.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::session::{Person, Refresher, SessionTimeouts};
use crate::clock::{Clock, Timestamp};
use crate::keys;
use crate::store::{
    Administrator, AdministratorName, ConsoleHolder, ConsoleSession, SessionKey, Store, StoreError,
};

/// The length of a secret in a cookie, in bytes.
const SECRET_LENGTH: usize = 43;

/// The sessions of the console. Clones share them.
#[derive(Clone, Debug)]
pub struct ConsoleSessions {
    store: Arc<dyn Store>,
    clock: Clock,
}

/// The secret id of a session of the console, in its cookie. `Debug` does not show it.
#[derive(Clone, PartialEq, Eq)]
pub struct ConsoleSecret(String);

impl fmt::Debug for ConsoleSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ConsoleSecret(…)")
    }
}

/// A valid session of the console.
#[derive(Clone, Debug)]
pub struct OpenConsoleSession {
    /// The token that every form of this session has.
    pub csrf_token: String,
    pub user: ConsoleUser,
    pub began_at: Timestamp,
    pub expires_at: Timestamp,
}

/// Who uses the console.
#[derive(Clone, Debug)]
pub enum ConsoleUser {
    Administrator(AdministratorName),
    /// A person whose session exists. What the person may do is decided for each request.
    Person(Person),
}

impl ConsoleSecret {
    fn random() -> Self {
        Self(URL_SAFE_NO_PAD.encode(keys::random::<32>()))
    }

    /// The secret in the value of a cookie; `None` if menshen cannot have made it.
    pub fn parse(text: &str) -> Option<Self> {
        let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
        (text.len() == SECRET_LENGTH && text.bytes().all(is_allowed)).then(|| Self(text.to_owned()))
    }

    /// The value of the cookie.
    pub fn expose(&self) -> &str {
        &self.0
    }

    fn key(&self) -> SessionKey {
        SessionKey::new(keys::fingerprint(&[b"console session", self.0.as_bytes()]))
    }

    fn csrf_token(&self) -> String {
        URL_SAFE_NO_PAD.encode(keys::fingerprint(&[b"console form", self.0.as_bytes()]))
    }
}

impl ConsoleSessions {
    pub fn new(store: Arc<dyn Store>, clock: Clock) -> Self {
        Self { store, clock }
    }

    /// Begins a session of an administrator, as they were when they proved their password.
    ///
    /// # Errors
    /// The store failed.
    pub async fn begin_for_administrator(
        &self,
        administrator: &Administrator,
        lifetime: Duration,
    ) -> Result<ConsoleSecret, StoreError> {
        let holder = ConsoleHolder::Administrator {
            name: administrator.name.clone(),
            credential: administrator.credential.clone(),
        };
        self.begin(holder, lifetime).await
    }

    /// Begins a session of the person whose session has this key.
    ///
    /// # Errors
    /// The store failed.
    pub async fn begin_for_person(
        &self,
        session: SessionKey,
        lifetime: Duration,
    ) -> Result<ConsoleSecret, StoreError> {
        self.begin(ConsoleHolder::Person(session), lifetime).await
    }

    async fn begin(
        &self,
        holder: ConsoleHolder,
        lifetime: Duration,
    ) -> Result<ConsoleSecret, StoreError> {
        let (secret, now) = (ConsoleSecret::random(), self.clock.now());
        let session = ConsoleSession {
            key: secret.key(),
            holder,
            began_at: now,
            used_at: now,
            expires_at: now.plus(lifetime),
        };
        self.store.begin_console_session(&session).await?;
        Ok(secret)
    }

    /// The session of a cookie, read from the store, and its use is recorded. `None` if it ended, if it was
    /// not used for `idle_timeout`, or if the session of its person ended, also because their provider
    /// refuses a refresh that is due. `refresher` must use the same store.
    ///
    /// # Errors
    /// The store failed.
    pub async fn find(
        &self,
        secret: &ConsoleSecret,
        idle_timeout: Duration,
        (refresher, timeouts): (&Arc<Refresher>, &SessionTimeouts),
    ) -> Result<Option<OpenConsoleSession>, StoreError> {
        let key = secret.key();
        let Some(session) = self.store.console_session(&key).await? else {
            return Ok(None);
        };
        let now = self.clock.now();
        let unused_for = now.since(session.used_at);
        if session.expires_at <= now || unused_for >= idle_timeout {
            self.store.end_console_session(&key).await?;
            return Ok(None);
        }
        let user = match session.holder {
            ConsoleHolder::Administrator { name, .. } => ConsoleUser::Administrator(name),
            ConsoleHolder::Person(person) => {
                match refresher.find_person(&person, timeouts).await? {
                    Some(person) => ConsoleUser::Person(person),
                    None => return Ok(None),
                }
            }
        };
        // In the store the last use may be late by a tenth of the idle timeout.
        if unused_for >= idle_timeout / 10 {
            self.store.touch_console_session(&key, now).await?;
        }
        Ok(Some(OpenConsoleSession {
            csrf_token: secret.csrf_token(),
            user,
            began_at: session.began_at,
            expires_at: session.expires_at,
        }))
    }

    /// Ends a session; false if it had ended.
    ///
    /// # Errors
    /// The store failed.
    pub async fn end(&self, secret: &ConsoleSecret) -> Result<bool, StoreError> {
        self.store.end_console_session(&secret.key()).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_parsed_only_in_its_own_form() {
        let secret = ConsoleSecret::random();
        assert_eq!(ConsoleSecret::parse(secret.expose()), Some(secret.clone()));
        assert_ne!(secret.csrf_token(), secret.expose());
        for bad in ["", "short", &"x".repeat(44), &"<".repeat(43)] {
            assert_eq!(ConsoleSecret::parse(bad), None, "{bad}");
        }
        assert!(!format!("{secret:?}").contains(secret.expose()));
    }
}
