//! The provider's tokens of a session in memory, shared by all its requests, and their refresh schedule.

use std::borrow::Cow;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwapOption;
use serde::{Deserialize, Serialize};
use tokio::sync::watch;
use tokio::time::Instant;
use zeroize::Zeroizing;

use crate::clock::Timestamp;
use crate::keys::{KeyRing, Purpose};
use crate::people::provider_tokens::ProviderTokens;
use crate::secret::Secret;
use crate::store::{SessionKey, StoredTokens};

/// The maximum size of sealed tokens.
const TOKENS_BYTES_MAX: usize = 256 * 1024;
/// The minimum and maximum time before its expiry at which an access token is refreshed; at most half
/// of its lifetime.
const MARGIN_MIN: Duration = Duration::from_secs(30);
const MARGIN_MAX: Duration = Duration::from_secs(300);
/// The minimum pause between refreshes, even for short-lived tokens, and after the first failure.
const PAUSE_MIN: Duration = Duration::from_secs(5);
/// The maximum pause after repeated failures.
const PAUSE_MAX: Duration = Duration::from_secs(300);

/// Whether a session's tokens are due for a refresh.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RefreshDue {
    NotDue,
    /// The access token expires soon: requests use it while the refresh runs in the background.
    Soon,
    /// The access token has expired: the request waits for the refresh.
    Now,
}

/// The current tokens of one session. `Debug` prints no token.
#[derive(Debug)]
pub(crate) struct TokenState {
    /// When the refresh is due; the hot path reads only this field.
    due_ms: AtomicI64,
    current: ArcSwapOption<CurrentTokens>,
    progress: Mutex<RefreshProgress>,
}

/// Tokens with their version in the store.
#[derive(Debug)]
struct CurrentTokens {
    tokens: Arc<ProviderTokens>,
    version: u64,
}

/// The running refresh, and the failures since the last success.
#[derive(Debug, Default)]
struct RefreshProgress {
    refreshing: Option<ActiveRefresh>,
    failures: u32,
}

/// A running refresh. It ends when its [`RefreshGuard`] is dropped.
#[derive(Clone, Debug)]
pub(super) struct ActiveRefresh {
    pub(super) began_at: Instant,
    ended: watch::Receiver<()>,
}

/// Held by the task of a refresh. Dropping it wakes the waiting requests and allows the next refresh.
#[derive(Debug)]
pub(super) struct RefreshGuard {
    state: Arc<TokenState>,
    /// When to try again if the task panics.
    again_at: Option<Timestamp>,
    _ended: watch::Sender<()>,
}

/// What a request must do when a refresh is due.
#[derive(Debug)]
pub(super) enum RefreshStart {
    /// Look the session up again: another request has refreshed the tokens.
    NotDue,
    /// Wait for the running refresh if the access token has expired.
    Joined(ActiveRefresh),
    /// Run the refresh while holding the guard.
    Begun(ActiveRefresh, RefreshGuard),
}

impl Default for TokenState {
    fn default() -> Self {
        Self {
            due_ms: AtomicI64::new(i64::MAX),
            current: ArcSwapOption::empty(),
            progress: Mutex::default(),
        }
    }
}

impl TokenState {
    /// Whether a refresh is due.
    pub(super) fn due(&self, now: Timestamp) -> RefreshDue {
        if self.due_ms.load(Ordering::Acquire) > now.unix_ms() {
            return RefreshDue::NotDue;
        }
        let current = self.current.load();
        match current
            .as_ref()
            .and_then(|current| current.tokens.access_expires_at)
        {
            Some(end) if end > now => RefreshDue::Soon,
            _ => RefreshDue::Now,
        }
    }

    /// The current tokens.
    pub(super) fn tokens(&self) -> Option<Arc<ProviderTokens>> {
        self.current
            .load()
            .as_ref()
            .map(|current| Arc::clone(&current.tokens))
    }

    /// The tokens with their version.
    pub(super) fn current(&self) -> Option<(Arc<ProviderTokens>, u64)> {
        let current = self.current.load();
        current
            .as_ref()
            .map(|current| (Arc::clone(&current.tokens), current.version))
    }

    /// Adopts the tokens of the store if they are newer. If they cannot be decrypted, the session has no
    /// tokens.
    pub(super) fn adopt_stored(&self, ring: &KeyRing, session: &SessionKey, stored: &StoredTokens) {
        let opened = open(ring, session, &stored.sealed);
        let mut progress = self.progress.lock().unwrap_or_else(PoisonError::into_inner);
        let current_version = self
            .current
            .load()
            .as_ref()
            .map_or(0, |current| current.version);
        match opened {
            Some((tokens, received_at)) if current_version < stored.version => {
                progress.failures = 0;
                self.set(tokens, stored.version, received_at);
            }
            None if current_version <= stored.version => {
                self.current.store(None);
                self.due_ms.store(i64::MAX, Ordering::Release);
            }
            Some(_) | None => {}
        }
    }

    /// Replaces the tokens after a refresh.
    pub(super) fn replace(&self, tokens: ProviderTokens, version: u64, received_at: Timestamp) {
        let mut progress = self.progress.lock().unwrap_or_else(PoisonError::into_inner);
        let current_version = self
            .current
            .load()
            .as_ref()
            .map_or(0, |current| current.version);
        if current_version <= version {
            progress.failures = 0;
            self.set(tokens, version, received_at);
        }
    }

    /// Postpones the next refresh until `at`.
    pub(super) fn wait_until(&self, at: Timestamp) {
        self.due_ms.store(at.unix_ms(), Ordering::Release);
    }

    /// Schedules the next refresh after a failure; the pause doubles with each failure.
    pub(super) fn record_failure(&self, now: Timestamp) {
        let mut progress = self.progress.lock().unwrap_or_else(PoisonError::into_inner);
        let pause = PAUSE_MIN.saturating_mul(1 << progress.failures.min(16));
        progress.failures = progress.failures.saturating_add(1);
        self.wait_until(now.plus(pause.min(PAUSE_MAX)));
    }

    /// Joins the running refresh, or begins one if it is still due.
    pub(super) fn start(self: &Arc<Self>, now: Timestamp) -> RefreshStart {
        let mut progress = self.progress.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(refreshing) = &progress.refreshing {
            return RefreshStart::Joined(refreshing.clone());
        }
        if self.due(now) == RefreshDue::NotDue {
            return RefreshStart::NotDue;
        }
        let (ending, ended) = watch::channel(());
        let refreshing = ActiveRefresh {
            began_at: Instant::now(),
            ended,
        };
        progress.refreshing = Some(refreshing.clone());
        let guard = RefreshGuard {
            state: Arc::clone(self),
            again_at: Some(now.plus(PAUSE_MIN)),
            _ended: ending,
        };
        RefreshStart::Begun(refreshing, guard)
    }

    fn set(&self, tokens: ProviderTokens, version: u64, received_at: Timestamp) {
        let due = refresh_at(&tokens, received_at).map_or(i64::MAX, Timestamp::unix_ms);
        let tokens = Arc::new(tokens);
        self.current
            .store(Some(Arc::new(CurrentTokens { tokens, version })));
        self.due_ms.store(due, Ordering::Release);
    }
}

impl ActiveRefresh {
    pub(super) async fn ended(mut self) {
        // No value is sent: this returns when the sender is dropped.
        let _ = self.ended.changed().await;
    }
}

impl RefreshGuard {
    /// Ends a refresh that has scheduled the next one.
    pub(super) fn finish(mut self) {
        self.again_at = None;
    }
}

impl Drop for RefreshGuard {
    fn drop(&mut self) {
        if let Some(at) = self.again_at {
            self.state.wait_until(at);
        }
        let mut progress = self
            .state
            .progress
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        progress.refreshing = None;
    }
}

/// When to refresh: a fifth of the lifetime before the expiry, within the limits above. `None` without a
/// refresh token or a known expiry.
fn refresh_at(tokens: &ProviderTokens, received_at: Timestamp) -> Option<Timestamp> {
    tokens.refresh.as_ref()?;
    let lifetime = tokens.access_expires_at?.since(received_at);
    let margin = (lifetime / 5).clamp(MARGIN_MIN, MARGIN_MAX);
    let after = lifetime.saturating_sub(margin.min(lifetime / 2));
    Some(received_at.plus(after.max(PAUSE_MIN)))
}

/// The plaintext of sealed tokens.
#[derive(Serialize, Deserialize)]
struct PlainTokens<'a> {
    access: Option<Cow<'a, str>>,
    access_expires_at: Option<Timestamp>,
    refresh: Option<Cow<'a, str>>,
    id: Option<Cow<'a, str>>,
    received_at: Timestamp,
}

/// Seals tokens for one session; `None` if they are too large.
pub(super) fn seal(
    ring: &KeyRing,
    session: &SessionKey,
    tokens: &ProviderTokens,
    received_at: Timestamp,
) -> Option<String> {
    fn exposed(secret: Option<&Secret<String>>) -> Option<Cow<'_, str>> {
        secret.map(|token| Cow::Borrowed(token.expose().as_str()))
    }
    let plain = PlainTokens {
        access: exposed(tokens.access.as_ref()),
        access_expires_at: tokens.access_expires_at,
        refresh: exposed(tokens.refresh.as_ref()),
        id: exposed(tokens.id.as_ref()),
        received_at,
    };
    let plain = Zeroizing::new(serde_json::to_vec(&plain).expect("tokens are plain data"));
    let sealed = ring.seal(Purpose::Tokens, session.as_bytes(), &plain);
    (sealed.len() <= TOKENS_BYTES_MAX).then_some(sealed)
}

/// Decrypts the tokens of this session with a key of the ring.
fn open(ring: &KeyRing, session: &SessionKey, sealed: &str) -> Option<(ProviderTokens, Timestamp)> {
    let plain = ring.open(Purpose::Tokens, session.as_bytes(), sealed)?;
    let plain = Zeroizing::new(plain);
    let plain: PlainTokens<'_> = serde_json::from_slice(&plain).ok()?;
    let secret = |text: Option<Cow<'_, str>>| text.map(|text| Secret::new(text.into_owned()));
    let tokens = ProviderTokens {
        access: secret(plain.access),
        access_expires_at: plain.access_expires_at,
        refresh: secret(plain.refresh),
        id: secret(plain.id),
    };
    Some((tokens, plain.received_at))
}

#[cfg(test)]
mod tests {
    use super::*;

    const RECEIVED_AT: Timestamp = Timestamp::from_unix_s(1_000);

    fn tokens_living(lifetime_s: i64) -> ProviderTokens {
        ProviderTokens {
            access: Some(Secret::new("access".to_owned())),
            access_expires_at: Some(Timestamp::from_unix_s(1_000 + lifetime_s)),
            refresh: Some(Secret::new("refresh".to_owned())),
            id: None,
        }
    }

    #[test]
    fn tokens_are_refreshed_before_they_expire_and_never_at_every_request() {
        for (lifetime_s, after_s) in [
            (86_400, 86_100),
            (3_600, 3_300),
            (600, 480),
            (60, 30),
            (40, 20),
            (8, 5),
            (1, 5),
            (0, 5),
            (-60, 5),
        ] {
            let due_at = refresh_at(&tokens_living(lifetime_s), RECEIVED_AT);
            assert_eq!(
                due_at,
                Some(Timestamp::from_unix_s(1_000 + after_s)),
                "{lifetime_s}"
            );
        }
    }

    #[test]
    fn tokens_without_refresh_token_or_known_expiry_are_never_due() {
        let without_refresh_token = ProviderTokens {
            refresh: None,
            ..tokens_living(60)
        };
        assert_eq!(refresh_at(&without_refresh_token, RECEIVED_AT), None);
        let without_expiry = ProviderTokens {
            access_expires_at: None,
            ..tokens_living(60)
        };
        assert_eq!(refresh_at(&without_expiry, RECEIVED_AT), None);
    }

    #[test]
    fn older_tokens_never_replace_newer_ones() {
        let ring = KeyRing::new(&[crate::keys::generate()], None).unwrap();
        let key = SessionKey::new([7; 32]);
        let stored = |version, access: &str| {
            let tokens = ProviderTokens {
                access: Some(Secret::new(access.to_owned())),
                ..tokens_living(60)
            };
            let sealed = seal(&ring, &key, &tokens, RECEIVED_AT).unwrap();
            StoredTokens { version, sealed }
        };
        let state = TokenState::default();
        for (version, access, expected) in
            [(1, "a", "a"), (3, "c", "c"), (2, "b", "c"), (3, "x", "c")]
        {
            state.adopt_stored(&ring, &key, &stored(version, access));
            let current = state.tokens().unwrap();
            assert_eq!(current.access.as_ref().unwrap().expose(), expected);
        }
        state.replace(tokens_living(60), 2, RECEIVED_AT);
        assert_eq!(state.current().unwrap().1, 3);
    }

    #[test]
    fn debug_shows_no_token() {
        let state = TokenState::default();
        state.replace(tokens_living(60), 1, RECEIVED_AT);
        let shown = format!("{state:?}");
        assert!(
            !shown.contains("\"access\"") && !shown.contains("\"refresh\""),
            "{shown}"
        );
        assert!(shown.contains("version: 1"), "{shown}");
    }
}
