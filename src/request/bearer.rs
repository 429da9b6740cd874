//! Authenticates bearer tokens, on routes that name issuers.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::head::Head;
use crate::clock::{Clock, Timestamp};
use crate::expression::Document;
use crate::issuer::LEEWAY;
use crate::keys;
use crate::people::access_tokens::{TOKEN_PREFIX, contains_token};
use crate::people::profile::AuthContext;
use crate::people::session::Person;
use crate::people::token_sessions::{TokenSession, TokenSessionError, TokenSessions};
use crate::store::{ConnectorId, Subject};
use crate::telemetry::{BearerCounters, BearerOutcome, LogLimiter, Telemetry};
use crate::wording::Text;

mod config;
mod error;
mod introspection;
mod new_token_limits;
mod token;
mod trusted_issuer;

pub use config::{
    IntrospectionAuth, IntrospectionConfig, InvalidIssuerId, InvalidScopeName, IssuerConfig,
    IssuerId, ScopeName,
};

pub use error::{BearerError, BuildError, IssuerUnavailable, Refusal};

use error::VerifyError;
use token::{BearerHeader, TokenForm};
use trusted_issuer::{TokenHash, TrustedIssuer};

/// A verified bearer token. The caller is a program, or the person `holder` if the issuer's tokens
/// stand for persons. A program is never a person, whatever the claims say.
#[derive(Debug)]
pub struct VerifiedToken {
    pub issuer: IssuerId,
    /// The issuer's name for the program or person.
    pub subject: Subject,
    pub scopes: Vec<String>,
    /// The claims as rules read them.
    pub claims: Document,
    /// The authentication of the person behind the token, as far as the claims tell.
    pub auth_context: AuthContext,
    /// When the token expires.
    pub expires_at: Option<Timestamp>,
    /// The person the token stands for, if the issuer's tokens stand for persons and the token has
    /// the issuer's scopes.
    pub holder: Option<TokenSession>,
}

impl VerifiedToken {
    /// When the token is certainly expired, with allowance for clock differences.
    pub fn certainly_expired_at(&self) -> Option<Timestamp> {
        trusted_issuer::certain_expiry(self)
    }

    /// Whether the token has all of these scopes.
    fn has_scopes(&self, scopes: &[ScopeName]) -> bool {
        let has_scope = |scope: &ScopeName| self.scopes.iter().any(|own| own == scope.as_str());
        scopes.iter().all(has_scope)
    }
}

/// Verifies the bearer tokens of a site and caches the results. By default no token is accepted.
#[derive(Debug, Default)]
pub struct BearerTokens {
    /// Loads the persons that tokens stand for; absent only in the default value.
    token_sessions: Option<Arc<TokenSessions>>,
    issuers: BTreeMap<IssuerId, Arc<TrustedIssuer>>,
    /// The issuers whose tokens stand for persons.
    person_issuers: Vec<IssuerId>,
    /// Counts tokens that are refused before their issuer is known.
    counters_without_issuer: BearerCounters,
    /// Limits audit lines about refused tokens, which anybody can cause.
    refusal_log: LogLimiter,
}

impl BearerTokens {
    /// Builds the verifier of every issuer. An issuer with unchanged settings is reused with its
    /// cache, unless it reads files or its tokens stand for persons. Reads secrets; sends no request.
    pub fn build(
        issuers: &BTreeMap<IssuerId, IssuerConfig>,
        clock: &Clock,
        telemetry: &Telemetry,
        token_sessions: &Arc<TokenSessions>,
        previous: Option<&Self>,
    ) -> Result<Self, BuildError> {
        let built = issuers.iter().map(|(id, config)| {
            let existing = previous.and_then(|bearers| bearers.issuers.get(id));
            let trusted = match existing.filter(|existing| existing.can_be_reused_for(config)) {
                Some(existing) => Arc::clone(existing),
                None => Arc::new(TrustedIssuer::build(
                    id,
                    config,
                    clock,
                    telemetry,
                    token_sessions,
                )?),
            };
            Ok((id.clone(), trusted))
        });
        Ok(Self {
            token_sessions: Some(Arc::clone(token_sessions)),
            issuers: built.collect::<Result<_, _>>()?,
            person_issuers: issuers
                .iter()
                .filter(|(_, config)| config.people.is_some())
                .map(|(id, _)| id.clone())
                .collect(),
            counters_without_issuer: telemetry.bearer_counters(""),
            refusal_log: LogLimiter::default(),
        })
    }

    /// The longest time for which a token of this connector's persons is accepted after its issue; a
    /// logout at the provider must be remembered that long. `None` if no issuer has such tokens.
    pub fn token_life_of(&self, connector: &ConnectorId) -> Option<Duration> {
        let issuers = self.issuers.values().map(|trusted| &trusted.config);
        let person_issuers = issuers.filter(|config| config.people.as_ref() == Some(connector));
        let lives = person_issuers.map(|config| config.token_life_max.duration());
        // The clocks of provider and issuer may differ in both directions.
        lives.max().map(|life| life + 2 * LEEWAY)
    }

    /// Asks every issuer whether its tokens could be verified now, for `check --online`. `Ok`
    /// describes what was found.
    pub async fn examine(&self) -> Vec<(&IssuerId, Result<Text, Arc<IssuerUnavailable>>)> {
        let mut results = Vec::with_capacity(self.issuers.len());
        for (id, trusted) in &self.issuers {
            results.push((id, trusted.examine().await));
        }
        results
    }

    /// Whether a refused token may be logged now: at most one a second.
    pub fn may_log_refusal(&self) -> bool {
        self.refusal_log.allow()
    }

    /// Authenticates a token that stands for a person, for menshen's own paths.
    pub async fn authenticate_person(
        &self,
        head: &Head<'_>,
    ) -> Result<Option<Arc<VerifiedToken>>, BearerError> {
        self.authenticate(&self.person_issuers, &[], head).await
    }

    /// Authenticates the bearer token of a request, if it has one and `issuers` is not empty. A
    /// token that is invalid, or lacks a scope of its issuer or of `scopes`, is an error, whatever
    /// other credentials the request has.
    pub async fn authenticate(
        &self,
        issuers: &[IssuerId],
        scopes: &[ScopeName],
        head: &Head<'_>,
    ) -> Result<Option<Arc<VerifiedToken>>, BearerError> {
        if issuers.is_empty() {
            return Ok(None);
        }
        let token = match token::read_header(head.headers) {
            BearerHeader::Absent => return Ok(None),
            BearerHeader::Invalid(why) => return Err(self.refusal(why)),
            BearerHeader::Token(token) => token,
        };
        // A token of a person is disclosed to no issuer.
        if token.starts_with(TOKEN_PREFIX) || contains_token(token.bytes()) {
            return Err(self.refusal(Refusal::AccessToken));
        }
        let hash = keys::fingerprint(&[b"bearer", token.as_bytes()]);
        let verified = match self.cached(issuers, &hash) {
            Some(result) => result?,
            None => {
                let trusted = self.issuer_of(issuers, token);
                let trusted = trusted.map_err(|why| self.refusal(why))?;
                let result = trusted.verify(hash, token, head.client_for_limits()).await;
                result.map_err(|error| with_issuer(trusted, error))?
            }
        };
        self.require_scopes(scopes, verified).map(Some)
    }

    /// The person a token stands for; an error if their session was ended.
    pub async fn person_of(
        &self,
        token: &VerifiedToken,
        holder: &TokenSession,
    ) -> Result<Person, BearerError> {
        let person = match &self.token_sessions {
            Some(token_sessions) => token_sessions.find(holder).await,
            None => Ok(None),
        };
        match person {
            Ok(Some(person)) => Ok(person),
            Ok(None) => Err(BearerError::Refused {
                issuer: Some(token.issuer.clone()),
                why: Arc::new(Refusal::TokenSession(TokenSessionError::Ended)),
            }),
            Err(error) => Err(BearerError::Store(error)),
        }
    }

    /// The cached result. Only the issuer that verified a token has it in its cache.
    fn cached(
        &self,
        issuers: &[IssuerId],
        hash: &TokenHash,
    ) -> Option<Result<Arc<VerifiedToken>, BearerError>> {
        let mut trusted = issuers.iter().filter_map(|id| self.issuers.get(id));
        trusted.find_map(|trusted| {
            let result = trusted.find_cached(hash)?;
            Some(result.map_err(|error| with_issuer(trusted, error)))
        })
    }

    /// The issuer that verifies a token: the one it names or, for an opaque token, the first with
    /// introspection. The token is disclosed to no other.
    fn issuer_of(&self, issuers: &[IssuerId], token: &str) -> Result<&Arc<TrustedIssuer>, Refusal> {
        let mut trusted = issuers.iter().filter_map(|id| self.issuers.get(id));
        match token::form_of(token)? {
            TokenForm::Signed { issuer } => trusted
                .find(|trusted| trusted.is_named(&issuer))
                .ok_or_else(|| Refusal::UnknownIssuer {
                    found: token::truncated(&issuer),
                }),
            TokenForm::Opaque => trusted
                .find(|trusted| trusted.uses_introspection())
                .ok_or(Refusal::Opaque),
        }
    }

    /// Requires every scope of the issuer and the route; checked on every request.
    fn require_scopes(
        &self,
        route_scopes: &[ScopeName],
        token: Arc<VerifiedToken>,
    ) -> Result<Arc<VerifiedToken>, BearerError> {
        let trusted = self.issuers.get(&token.issuer);
        let issuer_scopes = trusted.map_or(&[][..], |trusted| &trusted.config.scopes);
        if token.has_scopes(issuer_scopes) && token.has_scopes(route_scopes) {
            return Ok(token);
        }
        let needed = issuer_scopes.iter().chain(route_scopes);
        let needed = needed.map(ScopeName::as_str);
        let needed: Vec<_> = needed.collect();
        Err(BearerError::Scope {
            token,
            needed: needed.join(" "),
        })
    }

    /// Counts a token that is refused before its issuer is known.
    fn refusal(&self, why: Refusal) -> BearerError {
        self.counters_without_issuer.count(BearerOutcome::Refused);
        BearerError::Refused {
            issuer: None,
            why: Arc::new(why),
        }
    }
}

fn with_issuer(trusted: &TrustedIssuer, error: VerifyError) -> BearerError {
    let issuer = trusted.id.clone();
    match error {
        VerifyError::Refused(why) => BearerError::Refused {
            issuer: Some(issuer),
            why,
        },
        VerifyError::Limited => BearerError::Limited { issuer },
        VerifyError::Unavailable(source) => BearerError::IssuerUnavailable { issuer, source },
        VerifyError::Store(error) => BearerError::Store(error),
    }
}
