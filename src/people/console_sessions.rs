//! `ConsoleSessions`: the sessions of the console. They have their own cookie and their own end.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::session::{Person, Refresher, SessionTimeouts};
use crate::clock::{Clock, Timestamp};
use crate::keys::{self, KeyRing};
use crate::store::{
    Administrator, AdministratorName, ConsoleHolder, ConsoleSession, SessionKey, Store, StoreError,
};

/// The length of what is random in a secret, and of its signature, in bytes.
const RANDOM_LENGTH: usize = 24;
const SIGNATURE_LENGTH: usize = 8;

/// What the signature of a secret is for.
const SIGNED_AS: &[u8] = b"console session";

/// The sessions of the console. Clones share them.
#[derive(Clone, Debug)]
pub struct ConsoleSessions {
    store: Arc<dyn Store>,
    clock: Clock,
}

/// The secret ID of a session of the console, in its cookie. `Debug` does not show it.
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
    fn random(ring: &KeyRing) -> Self {
        let mut bytes = keys::random::<RANDOM_LENGTH>().to_vec();
        let hash = ring.keyed_hash(&[SIGNED_AS, &bytes]);
        bytes.extend_from_slice(&hash[..SIGNATURE_LENGTH]);
        Self(URL_SAFE_NO_PAD.encode(bytes))
    }

    /// The secret in the value of a cookie; `None` if menshen has not made it. So a made-up one causes no read
    /// from the store.
    pub fn parse(ring: &KeyRing, text: &str) -> Option<Self> {
        let mut bytes = [0; RANDOM_LENGTH + SIGNATURE_LENGTH];
        let length = URL_SAFE_NO_PAD.decode_slice(text, &mut bytes).ok()?;
        let (random, signature) = bytes.split_at(RANDOM_LENGTH);
        let is_signed =
            length == bytes.len() && ring.has_keyed_hash(&[SIGNED_AS, random], signature);
        is_signed.then(|| Self(text.to_owned()))
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
        ring: &KeyRing,
        administrator: &Administrator,
        lifetime: Duration,
    ) -> Result<ConsoleSecret, StoreError> {
        let holder = ConsoleHolder::Administrator {
            name: administrator.name.clone(),
            credential: administrator.credential.clone(),
        };
        self.begin(ring, holder, lifetime).await
    }

    /// Begins a session of the person whose session has this key.
    ///
    /// # Errors
    /// The store failed.
    pub async fn begin_for_person(
        &self,
        ring: &KeyRing,
        session: SessionKey,
        lifetime: Duration,
    ) -> Result<ConsoleSecret, StoreError> {
        let holder = ConsoleHolder::Person(session);
        self.begin(ring, holder, lifetime).await
    }

    async fn begin(
        &self,
        ring: &KeyRing,
        holder: ConsoleHolder,
        lifetime: Duration,
    ) -> Result<ConsoleSecret, StoreError> {
        let (secret, now) = (ConsoleSecret::random(ring), self.clock.now());
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
    fn a_secret_is_parsed_only_in_its_own_form_and_with_a_key_of_the_ring() {
        let [old, new] = [keys::generate(), keys::generate()];
        let ring = KeyRing::new(std::slice::from_ref(&old), None).unwrap();
        let secret = ConsoleSecret::random(&ring);
        assert_eq!(
            ConsoleSecret::parse(&ring, secret.expose()),
            Some(secret.clone())
        );
        assert_ne!(secret.csrf_token(), secret.expose());
        assert_eq!(secret.expose().len(), 43);
        let longer = format!("{}A", secret.expose());
        let made_up = URL_SAFE_NO_PAD.encode(keys::random::<32>());
        for bad in [
            "",
            "short",
            &longer,
            &made_up,
            &"x".repeat(44),
            &"<".repeat(43),
        ] {
            assert_eq!(ConsoleSecret::parse(&ring, bad), None, "{bad}");
        }
        assert!(!format!("{secret:?}").contains(secret.expose()));
        let both = KeyRing::new(&[new.clone(), old], None).unwrap();
        assert!(ConsoleSecret::parse(&both, secret.expose()).is_some());
        let other = KeyRing::new(&[new], None).unwrap();
        assert_eq!(ConsoleSecret::parse(&other, secret.expose()), None);
    }
}
