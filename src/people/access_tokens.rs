//! Access tokens of people, for programs that can neither sign in nor hold a cookie. A person makes a
//! token in a session; the token then stands for this person until it ends.
//!
//! The store keeps SHA-256 of a token, without a key: it has 256 random bits, so its hash cannot be
//! guessed, and it survives a change of the session keys. Tokens are only looked up by this hash: whoever
//! measures how long a lookup takes learns something about hashes that they cannot choose.

mod change_limits;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use change_limits::ChangeLimits;
pub use change_limits::{ChangePermit, TooManyChanges};

use super::session::{Session, Sessions};
use crate::clock::{Clock, Timestamp};
use crate::keys;
use crate::secret::Secret;
use crate::store::{
    AccessTokenOutcome, AccessTokenRecord, AccountId, NewAccessToken, RevocationScope, SessionId,
    SessionKey, Store, StoreError,
};

/// The first characters of every token, by which menshen and scanners for secrets recognize one.
pub const TOKEN_PREFIX: &str = "mst_";
/// The length of 256 random bits in base64url.
const RANDOM_CHARS: usize = 43;
/// The maximum number of tokens of a person.
pub const TOKENS_PER_PERSON_MAX: u32 = 50;
/// The maximum length of a token's name, in characters.
pub const NAME_CHARS_MAX: usize = 80;

/// The value of an access token. `Debug` does not show it.
#[derive(Clone, Debug)]
pub struct AccessToken(Secret<String>);

impl AccessToken {
    fn random() -> Self {
        let bits: [u8; 32] = keys::random();
        let text = format!("{TOKEN_PREFIX}{}", URL_SAFE_NO_PAD.encode(bits));
        Self(Secret::new(text))
    }

    /// A text with the form of a token, exactly.
    pub fn parse(text: &str) -> Option<Self> {
        let is_whole = text.len() == TOKEN_PREFIX.len() + RANDOM_CHARS;
        (is_whole && starts_with_token(text.as_bytes())).then(|| Self(Secret::new(text.to_owned())))
    }

    pub fn expose(&self) -> &str {
        self.0.expose()
    }

    /// The key under which the token is stored and cached.
    pub fn key(&self) -> SessionKey {
        SessionKey::new(keys::fingerprint(&[
            b"access token",
            self.expose().as_bytes(),
        ]))
    }
}

/// Whether a text begins with the form of a token, whatever follows.
fn starts_with_token(text: &[u8]) -> bool {
    let random = text.strip_prefix(TOKEN_PREFIX.as_bytes());
    let random = random.and_then(|random| random.get(..RANDOM_CHARS));
    random.is_some_and(|random| random.iter().copied().all(is_base64url))
}

/// Whether the form of a token occurs anywhere in a text.
pub fn contains_token(text: impl IntoIterator<Item = u8>) -> bool {
    let prefix = TOKEN_PREFIX.as_bytes();
    let mut matched = 0;
    text.into_iter().any(|byte| {
        let fits = match prefix.get(matched) {
            Some(expected) => byte == *expected,
            None => is_base64url(byte),
        };
        matched = match fits {
            true => matched + 1,
            false => usize::from(prefix.first() == Some(&byte)),
        };
        matched == prefix.len() + RANDOM_CHARS
    })
}

fn is_base64url(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-_".contains(&byte)
}

/// The token with which a program sent a request, without its value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UsedAccessToken {
    /// The name that its person gave it.
    pub name: String,
    /// The names of the routes that it opens; `None`: every route that allows access tokens.
    pub routes: Option<Vec<String>>,
}

impl UsedAccessToken {
    pub fn opens_route(&self, name: &str) -> bool {
        let routes = self.routes.as_ref();
        routes.is_none_or(|routes| routes.iter().any(|route| route == name))
    }
}

/// A token to make, as the person described it.
#[derive(Clone, Debug)]
pub struct AccessTokenRequest {
    pub name: String,
    /// The names of the routes that it opens; `None`: every route that allows access tokens.
    pub routes: Option<Vec<String>>,
    /// When it ends.
    pub lifetime: Duration,
}

/// A new token.
#[derive(Clone, Debug)]
pub struct MadeAccessToken {
    pub token: AccessToken,
    /// Names the token in logs.
    pub public_id: SessionId,
    pub expires_at: Timestamp,
}

/// Why no token was made.
#[derive(Debug, thiserror::Error)]
pub enum MakeTokenError {
    #[error("the session began too long ago to make an access token")]
    SessionTooOld,
    #[error("the session was ended")]
    SessionEnded,
    #[error("the person has {TOKENS_PER_PERSON_MAX} access tokens")]
    TooMany,
    #[error("store the access token")]
    Store(#[source] StoreError),
}

/// Makes, lists and ends access tokens. One per process; configuration reloads keep it.
#[derive(Clone)]
pub struct AccessTokens {
    store: Arc<dyn Store>,
    sessions: Arc<Sessions>,
    clock: Clock,
    change_limits: Arc<ChangeLimits>,
}

impl fmt::Debug for AccessTokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AccessTokens").finish_non_exhaustive()
    }
}

impl AccessTokens {
    pub(super) fn new(store: Arc<dyn Store>, sessions: Arc<Sessions>, clock: Clock) -> Self {
        Self {
            store,
            sessions,
            clock,
            change_limits: Arc::default(),
        }
    }

    /// Permits a person to make or end one token. The caller holds the permit until that is done.
    ///
    /// # Errors
    /// The account changes tokens too often, or is changing one now. The store is not asked.
    pub fn begin_change(&self, account: &AccountId) -> Result<ChangePermit<'_>, TooManyChanges> {
        self.change_limits.begin(account, &self.clock)
    }

    /// Whether a session began recently enough to make tokens.
    pub fn may_make(&self, session: &Session) -> bool {
        session.may_get_credentials(self.clock.now())
    }

    /// Makes a token for the person of a session.
    pub async fn make(
        &self,
        session: &Session,
        request: &AccessTokenRequest,
    ) -> Result<MadeAccessToken, MakeTokenError> {
        if !self.may_make(session) {
            return Err(MakeTokenError::SessionTooOld);
        }
        let token = AccessToken::random();
        let now = self.clock.now();
        let chosen_end = now.plus(request.lifetime);
        let vouched_until = session.auth_context.vouched_until;
        let new = NewAccessToken {
            key: token.key(),
            public_id: SessionId::new(keys::random()),
            session: session.key,
            name: request.name.clone(),
            routes: request.routes.clone(),
            created_at: now,
            expires_at: vouched_until.map_or(chosen_end, |end| end.min(chosen_end)),
        };
        let made = self
            .store
            .create_access_token(&new, TOKENS_PER_PERSON_MAX)
            .await;
        match made.map_err(MakeTokenError::Store)? {
            AccessTokenOutcome::Created => Ok(MadeAccessToken {
                token,
                public_id: new.public_id,
                expires_at: new.expires_at,
            }),
            AccessTokenOutcome::SessionEnded => Err(MakeTokenError::SessionEnded),
            AccessTokenOutcome::TooMany => Err(MakeTokenError::TooMany),
        }
    }

    /// The tokens of an account that can be used, newest first.
    ///
    /// # Errors
    /// The store failed.
    pub async fn list(&self, account: &AccountId) -> Result<Vec<AccessTokenRecord>, StoreError> {
        let (now, max) = (self.clock.now(), TOKENS_PER_PERSON_MAX);
        self.store.access_tokens(account, now, max).await
    }

    /// The token of an account that has this public ID and can be used.
    ///
    /// # Errors
    /// The store failed.
    pub async fn find(
        &self,
        account: &AccountId,
        public_id: &SessionId,
    ) -> Result<Option<AccessTokenRecord>, StoreError> {
        let tokens = self.list(account).await?;
        let mut tokens = tokens.into_iter();
        Ok(tokens.find(|token| token.public_id == *public_id))
    }

    /// Ends a token.
    ///
    /// # Errors
    /// The store failed. The token has ended in this process, and the write is retried.
    pub async fn end(&self, token: &AccessTokenRecord) -> Result<(), StoreError> {
        let scope = RevocationScope::Session(token.key);
        self.sessions.revoke(&scope).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_has_a_prefix_and_256_random_bits_and_is_not_shown() {
        let token = AccessToken::random();
        let other = AccessToken::random();
        assert_eq!(token.expose().len(), 47);
        assert!(token.expose().starts_with("mst_"));
        assert_ne!(token.expose(), other.expose());
        assert!(token.key() != other.key());
        assert!(!format!("{token:?}").contains("mst_"));
        let parsed = AccessToken::parse(token.expose()).unwrap();
        assert!(parsed.key() == token.key());
    }

    #[test]
    fn only_the_whole_form_is_a_token() {
        let whole = format!("mst_{}", "aB-_9".repeat(9));
        let whole = &whole[..47];
        assert!(AccessToken::parse(whole).is_some());
        assert!(starts_with_token(format!("{whole}\n").as_bytes()));
        for bad in [
            &whole[..46],
            &format!("{whole}a"),
            &whole.replace("mst_", "MST_"),
            &whole.replace("aB", "a."),
            "mst_",
            "",
        ] {
            assert!(AccessToken::parse(bad).is_none(), "{bad}");
        }
    }

    #[test]
    fn a_token_is_found_anywhere_in_a_text() {
        let whole = format!("mst_{}", "aB-_9".repeat(9));
        let whole = &whole[..47];
        for (text, contains) in [
            (whole.to_owned(), true),
            (format!("x{whole}x"), true),
            (format!("mst_mst_{whole}"), true),
            (format!("mst_short mst{whole}"), true),
            (whole[..46].to_owned(), false),
            (format!("{}.{}", &whole[..40], &whole[40..]), false),
            (whole.to_uppercase(), false),
            (String::new(), false),
        ] {
            assert_eq!(contains_token(text.bytes()), contains, "{text}");
        }
    }

    #[test]
    fn a_token_opens_the_named_routes_or_all() {
        let token = |routes: Option<&[&str]>| UsedAccessToken {
            name: String::new(),
            routes: routes.map(|names| names.iter().map(|name| (*name).to_owned()).collect()),
        };
        assert!(token(None).opens_route("git"));
        assert!(token(Some(&["svn", "git"])).opens_route("git"));
        assert!(!token(Some(&["svn"])).opens_route("git"));
        assert!(!token(Some(&[])).opens_route("git"));
    }
}
