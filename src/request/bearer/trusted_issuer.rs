//! `TrustedIssuer`: an issuer whose tokens are accepted. Verifies each token once and caches the
//! result.
//!
//! The cache belongs to one issuer with its settings: changed settings build a new issuer with an
//! empty cache. So a cached result depends only on the token and on settings that did not change.
//! Requirements of the route are checked on every request, after the cache.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use moka::sync::Cache;

use super::config::{IssuerConfig, IssuerId};
use super::introspection::Introspection;
use super::new_token_limits::{Limit, NewTokenLimits, NewTokenSlot};
use super::{BuildError, IssuerUnavailable, Refusal, VerifiedToken, VerifyError, token};
use crate::client::Client;
use crate::clock::{Clock, Timestamp};
use crate::issuer::{ALGORITHMS, Issuer, IssuerSettings, LEEWAY, TokenRequirements, TokenSender};
use crate::keys;
use crate::outbound::{self, Outbound, Reach};
use crate::people::token_sessions::TokenSessions;
use crate::secret::Secret;
use crate::single_flight::SingleFlight;
use crate::store::ConnectorId;
use crate::telemetry::{BearerCounters, BearerOutcome, LogLimiter, Telemetry};
use crate::text;
use crate::wording::Text;

mod claims;

/// How many refused tokens are cached, and for how long.
const REFUSED_TOKENS_MAX: u64 = 1_000;
const REFUSED_CACHED_FOR: Duration = Duration::from_secs(2);
/// How long a valid token may be verified again regardless of the limits of its client.
const RECENTLY_VALID_FOR: Duration = Duration::from_secs(3600);

/// The fingerprint of a whole token.
pub(super) type TokenHash = [u8; 32];

type VerifyResult = Result<Arc<VerifiedToken>, VerifyError>;

/// An issuer as configured, and the cache of its tokens.
pub(super) struct TrustedIssuer {
    pub(super) id: IssuerId,
    pub(super) config: IssuerConfig,
    issuer: Issuer,
    introspection: Option<Introspection>,
    verified: Cache<TokenHash, (Arc<VerifiedToken>, Timestamp)>,
    refused: Cache<TokenHash, (Arc<Refusal>, Timestamp)>,
    /// Tokens that were valid recently. They are verified again even if invented tokens have used up
    /// the limits of their client.
    recently_valid: Cache<TokenHash, ()>,
    new_token_limits: Arc<NewTokenLimits>,
    verifications: SingleFlight<TokenHash, VerifyResult>,
    clock: Clock,
    counters: BearerCounters,
    unavailable_log: LogLimiter,
    limit_log: LogLimiter,
    /// The connector whose persons its tokens stand for, and the loader of these persons.
    people: Option<(ConnectorId, Arc<TokenSessions>)>,
}

impl fmt::Debug for TrustedIssuer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TrustedIssuer")
            .field("id", &self.id)
            .field("issuer", &self.issuer)
            .finish_non_exhaustive()
    }
}

impl TrustedIssuer {
    pub(super) fn build(
        id: &IssuerId,
        config: &IssuerConfig,
        clock: &Clock,
        telemetry: &Telemetry,
        token_sessions: &Arc<TokenSessions>,
    ) -> Result<Self, BuildError> {
        let outbound_config = outbound::Config {
            proxy: config.proxy.clone(),
            ca: config.ca.clone(),
            ca_pem: None,
            reach: Reach::Everywhere,
        };
        let outbound =
            Outbound::build(&outbound_config).map_err(|source| BuildError::Outbound {
                id: id.clone(),
                source,
            })?;
        let introspection = config
            .introspection
            .as_ref()
            .map(|config| Introspection::build(config, &outbound, clock.clone()))
            .transpose()
            .map_err(|source| BuildError::Secret {
                id: id.clone(),
                source,
            })?;
        let configured = config.algorithms.as_ref().map(|algorithms| {
            let algorithms = algorithms.iter().copied();
            algorithms.map(Into::into).collect()
        });
        let settings = IssuerSettings {
            name: config.url.clone(),
            tenants: config.tenants.clone(),
            metadata_url: config.metadata_url.clone(),
            keys_url: config.jwks_url.clone(),
            algorithms: configured.unwrap_or_else(|| ALGORITHMS.to_vec()),
        };
        Ok(Self {
            id: id.clone(),
            issuer: Issuer::new(settings, outbound, clock.clone()),
            introspection,
            verified: Cache::builder()
                .max_capacity(config.cached_max)
                .time_to_live(config.cache.duration())
                .build(),
            refused: Cache::builder()
                .max_capacity(REFUSED_TOKENS_MAX)
                .time_to_live(REFUSED_CACHED_FOR)
                .build(),
            recently_valid: Cache::builder()
                .max_capacity(config.cached_max)
                .time_to_live(RECENTLY_VALID_FOR)
                .build(),
            new_token_limits: NewTokenLimits::new(config),
            verifications: SingleFlight::default(),
            clock: clock.clone(),
            counters: telemetry.bearer_counters(id.as_str()),
            unavailable_log: LogLimiter::default(),
            limit_log: LogLimiter::default(),
            people: config
                .people
                .as_ref()
                .map(|via| (via.clone(), Arc::clone(token_sessions))),
            config: config.clone(),
        })
    }

    /// Whether this issuer was built from these settings. An issuer that reads files is always rebuilt;
    /// so is an issuer whose tokens stand for persons, because it depends on a connector.
    pub(super) fn can_be_reused_for(&self, config: &IssuerConfig) -> bool {
        let introspection = config.introspection.as_ref();
        let secret = introspection.map(|introspection| &introspection.client_secret);
        let reads_files =
            config.ca.is_some() || secret.is_some_and(|secret| secret.file().is_some());
        self.config == *config && !reads_files && self.people.is_none()
    }

    /// Loads the keys or calls introspection, as `check --online` does, and describes the result.
    pub(super) async fn examine(&self) -> Result<Text, Arc<IssuerUnavailable>> {
        let Some(introspection) = &self.introspection else {
            let keys = self
                .issuer
                .count_keys()
                .await
                .map_err(IssuerUnavailable::Issuer)?;
            return Ok(text!(
                "its keys are loaded: {keys}",
                "已取得它的公钥：{keys} 个"
            ));
        };
        let random_token = URL_SAFE_NO_PAD.encode(keys::random::<32>());
        match introspection
            .introspect(&self.issuer, &random_token, None)
            .await
        {
            Err(VerifyError::Unavailable(why)) => Err(why),
            Ok(_) | Err(VerifyError::Refused(_) | VerifyError::Limited | VerifyError::Store(_)) => {
                Ok(text!(
                    "its introspection endpoint answers",
                    "它的 introspection 端点有响应"
                ))
            }
        }
    }

    /// Whether an unverified token names this issuer.
    pub(super) fn is_named(&self, issuer: &str) -> bool {
        self.issuer.tenant_of(issuer).is_some()
    }

    /// Whether tokens are verified by introspection and not by their signature.
    pub(super) fn uses_introspection(&self) -> bool {
        self.introspection.is_some()
    }

    /// The cached result for a token.
    pub(super) fn find_cached(&self, hash: &TokenHash) -> Option<VerifyResult> {
        let result = self.cached(hash)?;
        self.counters.count(match result {
            Ok(_) => BearerOutcome::Cached,
            Err(_) => BearerOutcome::Refused,
        });
        Some(result)
    }

    fn cached(&self, hash: &TokenHash) -> Option<VerifyResult> {
        let now = self.clock.now();
        if let Some((token, until)) = self.verified.get(hash) {
            return (now < until).then_some(Ok(token));
        }
        let (why, until) = self.refused.get(hash)?;
        (now < until).then_some(Err(VerifyError::Refused(why)))
    }

    /// Verifies a token, once for all concurrent requests with it and independently of any of them.
    /// Cancel-safe.
    pub(super) async fn verify(
        self: &Arc<Self>,
        hash: TokenHash,
        token: &str,
        client: Option<Client>,
    ) -> VerifyResult {
        let verification = self.verifications.try_run(hash, || {
            // Another request may have cached it meanwhile: a finished task leaves the list after
            // its result is cached.
            if let Some(result) = self.cached(&hash) {
                return Err(result);
            }
            let slot = self.take_slot(&hash, client).map_err(Err)?;
            let (this, token) = (Arc::clone(self), Secret::new(token.to_owned()));
            Ok(async move {
                let result = this.verify_now(token.expose(), client, slot.as_ref()).await;
                this.store_in_cache(hash, &result);
                result
            })
        });
        match verification {
            Ok(verification) => verification
                .await
                .unwrap_or_else(|_| Err(IssuerUnavailable::Aborted.into())),
            Err(result) => result,
        }
    }

    /// Takes a slot for a new token. Recently valid tokens need none; the cache limits how many
    /// there are.
    fn take_slot(
        &self,
        hash: &TokenHash,
        client: Option<Client>,
    ) -> Result<Option<NewTokenSlot>, VerifyError> {
        if self.recently_valid.contains_key(hash) {
            return Ok(None);
        }
        match self.new_token_limits.take(client) {
            Ok(slot) => Ok(Some(slot)),
            Err(limit) => Err(self.limit_error(client, limit)),
        }
    }

    fn limit_error(&self, client: Option<Client>, limit: Limit) -> VerifyError {
        let (Some(client), Some(key)) = (client, limit.key()) else {
            return IssuerUnavailable::Overloaded.into();
        };
        self.counters.count(BearerOutcome::Limited);
        if self.limit_log.allow() {
            tracing::warn!(
                issuer = %self.id,
                %client,
                "a client sends more new bearer tokens than [issuer.{}] {} allows: they get 503",
                self.id,
                key
            );
        }
        VerifyError::Limited
    }

    async fn verify_now(
        &self,
        token: &str,
        client: Option<Client>,
        slot: Option<&NewTokenSlot>,
    ) -> VerifyResult {
        let requirements = TokenRequirements {
            audiences: &self.config.audiences,
            token_type: None,
            requires_expiry: self.introspection.is_none(),
            sender: TokenSender::Client(client),
        };
        let (claims, tenant) = match (&self.introspection, &self.config.introspection) {
            (Some(introspection), Some(config)) => {
                let claims = introspection.introspect(&self.issuer, token, slot).await?;
                let needs_audience = !config.audience_optional;
                let tenant =
                    self.issuer
                        .check_introspected(&claims, &requirements, needs_audience)?;
                (claims, tenant)
            }
            _ => {
                let verified = self.issuer.verify_token(token, &requirements).await?;
                (verified.claims, verified.tenant)
            }
        };
        token::require_bearer(&claims)?;
        let presented = match &self.people {
            Some(_) => Some(self.presented_token(token, &claims, &tenant)?),
            None => None,
        };
        let verified = self.verified_token(claims, &tenant)?;
        let holder = match (&self.people, presented) {
            // A token without the required scopes is refused on every request: its person gets no
            // account, no session and no audit line.
            (Some((via, token_sessions)), Some(presented))
                if verified.has_scopes(&self.config.scopes) =>
            {
                Some(token_sessions.admit(via, presented).await?)
            }
            _ => None,
        };
        Ok(Arc::new(VerifiedToken { holder, ..verified }))
    }

    fn store_in_cache(&self, hash: TokenHash, result: &VerifyResult) {
        let now = self.clock.now();
        match result {
            Ok(token) => {
                self.counters.count(BearerOutcome::Verified);
                self.recently_valid.insert(hash, ());
                let until = now.plus(self.config.cache.duration());
                let until = token.expires_at.map_or(until, |end| until.min(end));
                if now < until {
                    self.verified.insert(hash, (Arc::clone(token), until));
                }
            }
            Err(VerifyError::Refused(why)) => {
                self.counters.count(BearerOutcome::Refused);
                self.recently_valid.invalidate(&hash);
                if why.is_final() {
                    let until = now.plus(REFUSED_CACHED_FOR);
                    self.refused.insert(hash, (Arc::clone(why), until));
                }
            }
            // Counted where the limit was reached.
            Err(VerifyError::Limited) => {}
            // Logged where the request is decided.
            Err(VerifyError::Store(_)) => self.counters.count(BearerOutcome::Unavailable),
            Err(VerifyError::Unavailable(why)) => {
                self.counters.count(BearerOutcome::Unavailable);
                if self.unavailable_log.allow() {
                    let error = crate::telemetry::error_chain(&**why);
                    tracing::warn!(issuer = %self.id, %error, "bearer tokens cannot be verified");
                }
            }
        }
    }
}

/// When a token that is accepted now is certainly expired, whatever the cache.
pub(super) fn certain_expiry(token: &VerifiedToken) -> Option<Timestamp> {
    token.expires_at.map(|end| end.plus(LEEWAY))
}
