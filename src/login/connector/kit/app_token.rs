//! `AppToken`: the access token of the application itself, which all its API calls share.
//!
//! WeCom, DingTalk, Lark and Yunzhijia issue one for an ID and a secret, and limit how often. One
//! caller requests it; all callers use it until shortly before it expires.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde_json::{Map, Value};
use tokio::time::timeout;

use super::super::{DiscardedRecently, SourceRefusal};
use super::number::number;
use crate::clock::{Clock, Timestamp};
use crate::outbound::{CALL_TIMEOUT, OutboundError};
use crate::secret::Secret;
use crate::single_flight::{CacheLookup, Cached};

/// How long before its expiry a token is replaced.
const RENEWAL_MARGIN: Duration = Duration::from_secs(300);

/// How long after a discarded token no other one is discarded, because a source limits how often it issues
/// a token.
const DISCARD_PAUSE: Duration = Duration::from_secs(60);

/// How long after a call had a token replaced no call has another one replaced, so that what makes a source
/// refuse calls does not use up its limits.
const REPLACE_PAUSE: Duration = Duration::from_secs(10);

/// The longest accepted token, in bytes. Sources document at most 512.
const TOKEN_BYTES_MAX: usize = 8192;

/// How long a lasting refusal is cached.
const REFUSAL_TTL: Duration = Duration::from_secs(60);

/// A token from the source, and its lifetime from the time of the request.
pub(crate) struct IssuedToken {
    pub(crate) token: Secret<String>,
    pub(crate) lifetime: Duration,
}

impl IssuedToken {
    /// Takes the members with these names out of a response: a token, and its lifetime in seconds, which is
    /// `lifetime_s` if it is absent. `None` without a usable token.
    pub(crate) fn take(
        fields: &mut Map<String, Value>,
        [token, lifetime]: [&str; 2],
        lifetime_s: i64,
    ) -> Option<Self> {
        let sent_lifetime_s = fields.get(lifetime).and_then(number);
        let lifetime_s = u64::try_from(sent_lifetime_s.unwrap_or(lifetime_s)).unwrap_or(0);
        Some(Self {
            token: take_token(fields, token)?,
            lifetime: Duration::from_secs(lifetime_s),
        })
    }
}

/// Takes a token out of a response.
pub(crate) fn take_token(fields: &mut Map<String, Value>, name: &str) -> Option<Secret<String>> {
    match fields.remove(name) {
        Some(Value::String(token)) if (1..=TOKEN_BYTES_MAX).contains(&token.len()) => {
            Some(Secret::new(token))
        }
        _ => None,
    }
}

/// The error of an API call, and whether it concerns the application's token.
pub(crate) trait CallError: From<SourceRefusal> + From<OutboundError> {
    /// Whether the source rejects the token of the call, so that a new one may help.
    fn is_token_refused(&self) -> bool;

    /// The refusal of a new token that an immediate retry cannot change, such as a wrong secret. Retries
    /// would only make the source block menshen. After any other error the next call requests a token at
    /// once.
    fn lasting_refusal(&self) -> Option<&SourceRefusal>;
}

/// The shared token of one application.
#[derive(Debug)]
pub(crate) struct AppToken {
    source: &'static str,
    call: &'static str,
    token: Cached<Arc<Secret<String>>, SourceRefusal>,
    /// When another program had a token discarded.
    discarded_at: Mutex<Option<Timestamp>>,
    /// When a call had a token replaced.
    replaced_at: Mutex<Option<Timestamp>>,
    clock: Clock,
}

impl AppToken {
    /// Starts without a token. `source` and `call` are names for the log.
    pub(crate) fn new(source: &'static str, call: &'static str, clock: Clock) -> Self {
        Self {
            source,
            call,
            token: Cached::new(clock.clone()),
            discarded_at: Mutex::default(),
            replaced_at: Mutex::default(),
            clock,
        }
    }

    /// The token; `request` is called if there is none. Concurrent callers wait for one request, at most
    /// [`CALL_TIMEOUT`]; if the requesting caller is dropped, the next one takes over.
    pub(crate) async fn get<F, E>(
        &self,
        request: impl FnOnce() -> F,
    ) -> Result<Arc<Secret<String>>, E>
    where
        F: Future<Output = Result<IssuedToken, E>>,
        E: CallError,
    {
        let permit = match timeout(CALL_TIMEOUT, self.token.get()).await {
            Ok(CacheLookup::Value(token)) => return Ok(token),
            Ok(CacheLookup::RecentFailure(refusal)) => return Err(refusal.into()),
            Ok(CacheLookup::LoadPermit(permit)) => permit,
            Err(_) => return Err(OutboundError::Timeout { call: self.call }.into()),
        };
        let requested_at = self.clock.now();
        let error = match request().await {
            Ok(IssuedToken { token, lifetime }) => {
                let age = self.clock.now().since(requested_at);
                return Ok(permit.store(
                    Arc::new(token),
                    usable_lifetime(lifetime).saturating_sub(age),
                ));
            }
            Err(error) => error,
        };
        let Some(refusal) = error.lasting_refusal() else {
            return Err(error);
        };
        let until = self.clock.now().plus(REFUSAL_TTL);
        tracing::warn!(
            code = refusal.code,
            %until,
            "{} refuses to issue the application's token: no new request before `until`, even if the \
            settings are corrected meanwhile",
            self.source
        );
        // Every login that fails meanwhile logs when the next request may be sent.
        let message = format!("{}, and no new request before {until}", refusal.message);
        let refusal = SourceRefusal {
            message,
            ..*refusal
        };
        Err(permit.fail(refusal, REFUSAL_TTL).into())
    }

    /// Makes a call with the token. If the source rejects the token, the call is repeated once with a new
    /// one, unless a call had a token replaced a moment ago.
    pub(crate) async fn call<F, C, T, E>(
        &self,
        request: impl Fn() -> F,
        call: impl Fn(Arc<Secret<String>>) -> C,
    ) -> Result<T, E>
    where
        F: Future<Output = Result<IssuedToken, E>>,
        C: Future<Output = Result<T, E>>,
        E: CallError,
    {
        let token = self.get(&request).await?;
        match call(Arc::clone(&token)).await {
            Err(error) if error.is_token_refused() && self.may_replace(&token) => {
                call(self.get(&request).await?).await
            }
            result => result,
        }
    }

    /// How long this token is used before it is replaced; zero if it was replaced already.
    pub(crate) fn usable_for(&self, token: &Arc<Secret<String>>) -> Duration {
        let current = self.token.latest();
        let current = current.filter(|current| Arc::ptr_eq(&current.value, token));
        current.map_or(Duration::ZERO, |current| {
            current.fresh_until.since(self.clock.now())
        })
    }

    /// Discards the token if it is `rejected`, for a program that saw the source reject it.
    pub(crate) fn discard(&self, rejected: &str) -> Result<(), DiscardedRecently> {
        let current = self.token.latest();
        if current.is_none_or(|current| current.value.expose() != rejected) {
            return Ok(());
        }
        let now = self.clock.now();
        let mut discarded_at = self
            .discarded_at
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(at) = *discarded_at
            && now.since(at) < DISCARD_PAUSE
        {
            let retry_after = DISCARD_PAUSE.saturating_sub(now.since(at));
            return Err(DiscardedRecently { retry_after });
        }
        *discarded_at = Some(now);
        self.token.remove_if(|token| token.expose() == rejected);
        Ok(())
    }

    /// Discards this token unless it was replaced already. False if no token may be discarded now.
    fn may_replace(&self, refused: &Secret<String>) -> bool {
        let is_refused = |token: &Secret<String>| token.expose() == refused.expose();
        let current = self.token.latest();
        if !current.is_some_and(|current| is_refused(&current.value)) {
            return true;
        }
        let now = self.clock.now();
        let mut replaced_at = self
            .replaced_at
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if replaced_at.is_some_and(|at| now.since(at) < REPLACE_PAUSE) {
            return false;
        }
        *replaced_at = Some(now);
        self.token.remove_if(|token| is_refused(token));
        true
    }
}

/// How long a token is used: until the margin before its expiry, but at least for half the margin or
/// half the lifetime, whichever is shorter.
pub(crate) fn usable_lifetime(lifetime: Duration) -> Duration {
    lifetime
        .saturating_sub(RENEWAL_MARGIN)
        .max(lifetime.min(RENEWAL_MARGIN) / 2)
}

#[cfg(test)]
mod tests;
