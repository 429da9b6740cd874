//! `BearerTokens`: Authorization → Program, or the person a token stands for, on routes that name issuers.
//! Elsewhere nobody looks.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::head::Head;
use crate::clock::{Clock, Timestamp};
use crate::expression::Document;
use crate::issuer::{ClaimError, IssuerError, LEEWAY, TokenError};
use crate::keys;
use crate::outbound::{OutboundBuildError, OutboundError};
use crate::people::profile::AuthContext;
use crate::people::session::Person;
use crate::people::token_sessions::{TokenSession, TokenSessionError, TokenSessions};
use crate::secret::SecretError;
use crate::store::{ConnectorId, StoreError, Subject};
use crate::telemetry::{BearerCounters, BearerOutcome, LogLimiter, Telemetry};

mod config;
mod introspection;
mod new_token_limits;
mod token;
mod trusted_issuer;

pub use config::{
    IntrospectionAuth, IntrospectionConfig, IssuerConfig, IssuerId, NoIssuerId, NoScopeName,
    ScopeName,
};

use token::{BearerHeader, TokenForm};
use trusted_issuer::{TokenHash, TrustedIssuer};

/// A program whose bearer token was verified. Never a person, whatever its claims say, unless its
/// issuer's tokens are configured to be people's: then it is only the way to its `holder`.
#[derive(Debug)]
pub struct Program {
    /// Whose token it brought.
    pub issuer: IssuerId,
    /// What its issuer calls it.
    pub subject: Subject,
    /// What its token is good for.
    pub scopes: Vec<String>,
    /// Its claims as rules see them.
    pub claims: Document,
    /// How whoever the token stands for proved themselves, as far as it says.
    pub auth_context: AuthContext,
    /// When the token says that it ends.
    pub ends_at: Option<Timestamp>,
    /// The person it stands for instead, where tokens of its issuer are people's and it has the
    /// scopes that its issuer asks for.
    pub holder: Option<TokenSession>,
}

impl Program {
    /// When it stops counting for sure, clocks that differ included.
    pub fn over_at(&self) -> Option<Timestamp> {
        trusted_issuer::ends_at(self)
    }

    /// Whether its token is good for all of these.
    fn has(&self, scopes: &[ScopeName]) -> bool {
        let has = |scope: &ScopeName| self.scopes.iter().any(|own| own == scope.as_str());
        scopes.iter().all(has)
    }
}

/// Whose bearer tokens count on a site, and what is remembered of them. By default nobody's do.
#[derive(Debug, Default)]
pub struct BearerTokens {
    /// Who admits the people of tokens; without issuers nobody does.
    token_sessions: Option<Arc<TokenSessions>>,
    issuers: BTreeMap<IssuerId, Arc<TrustedIssuer>>,
    /// Those whose tokens are people's.
    person_issuers: Vec<IssuerId>,
    /// For tokens that are refused before an issuer is known.
    counts_without_issuer: BearerCounters,
    /// For the audit trail: strangers cause these lines.
    refusal_log: LogLimiter,
}

/// Why a bearer token lets nobody in.
#[derive(Clone, Debug, thiserror::Error)]
pub enum BearerError {
    /// It does not prove what it says.
    #[error("a bearer token was refused")]
    Refused {
        /// Whose it would have been, when that was found out.
        issuer: Option<IssuerId>,
        /// Why.
        #[source]
        why: Arc<Refusal>,
    },
    /// It counts, but not for what this route asks.
    #[error("the token of {} lacks a scope", program.subject)]
    Scope {
        /// Whose it is.
        program: Arc<Program>,
        /// What its issuer and the route ask for, separated by spaces.
        needed: String,
    },
    /// Its client brings too many new tokens: nobody looked at it.
    #[error("the client brings too many new tokens of the issuer {issuer}")]
    Limited {
        /// Whose it would have been.
        issuer: IssuerId,
    },
    /// Its issuer could not be asked.
    #[error("ask the issuer {issuer} about a bearer token")]
    IssuerUnavailable {
        /// Which.
        issuer: IssuerId,
        /// Why.
        #[source]
        source: Arc<IssuerUnavailable>,
    },
    /// Whom it is about could not be found out.
    #[error("look for whom a bearer token is about")]
    Store(#[source] Arc<StoreError>),
}

/// Why a token is refused. For the log; whoever brought it is told nothing of it.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    /// Nobody knows which of them counts.
    #[error("there are several Authorization headers")]
    MultipleHeaders,
    /// Empty, too long, or of other letters than a token has.
    #[error("it is no token")]
    Malformed,
    /// It says that somebody issued it whom this route does not name.
    #[error("it says that {said} issued it, who does not count on this route")]
    UnknownIssuer {
        /// Whom it names, truncated.
        said: String,
    },
    /// Nobody here could read it.
    #[error("it is opaque, and no issuer of this route explains such tokens")]
    Opaque,
    /// Its issuer says so.
    #[error("its issuer says that it is not active")]
    Inactive,
    /// It was made for another purpose.
    #[error("it is no access token but of the kind `{said}`")]
    WrongKind {
        /// What it says, truncated.
        said: String,
    },
    /// Whoever brings it must prove more than that they have it.
    #[error("it is bound to a key, which a bearer does not prove")]
    KeyBound,
    /// It names nobody we can write down.
    #[error("its subject is no subject")]
    InvalidSubject,
    /// It is about nobody who may come in.
    #[error(transparent)]
    TokenSession(TokenSessionError),
    /// A logout at the provider is not remembered for as long as it lives.
    #[error("it lives for {}s, and a person's token for token_life_max = {}s at most", life.as_secs(), max.as_secs())]
    LongLived {
        /// From its issue to its end.
        life: Duration,
        /// How long it may be.
        max: Duration,
    },
    /// What every token of an issuer must be.
    #[error(transparent)]
    Token(TokenError),
}

/// Why it could not be found out whether a token counts. Never a yes, and never a no.
#[derive(Debug, thiserror::Error)]
pub enum IssuerUnavailable {
    /// Its metadata or keys.
    #[error(transparent)]
    Issuer(#[from] IssuerError),
    /// Its introspection.
    #[error(transparent)]
    Introspection(OutboundError),
    /// It uses_introspection no tokens.
    #[error("its metadata names no introspection endpoint: set `introspection.url`")]
    NoEndpoint,
    /// It answered with something else than an explanation.
    #[error("its answer does not say whether the token is active")]
    Unreadable,
    /// It could not be reached a moment ago.
    #[error("it could not be reached a moment ago")]
    Paused,
    /// Too many others wait.
    #[error("too many tokens wait to be verified")]
    Overloaded,
    /// The verification came to no end.
    #[error("the verification came to no end")]
    Aborted,
}

/// Why an issuer could not be built.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// The road to it.
    #[error("issuer {id}: the way to it")]
    Outbound {
        /// Which.
        id: IssuerId,
        /// Why.
        #[source]
        source: OutboundBuildError,
    },
    /// What proves us to it.
    #[error("issuer {id}: introspection client_secret")]
    Secret {
        /// Which.
        id: IssuerId,
        /// Why.
        #[source]
        source: SecretError,
    },
}

/// Why one token was not verified, shared by all who brought it.
#[derive(Clone, Debug)]
enum VerifyError {
    Refused(Arc<Refusal>),
    Limited,
    Unavailable(Arc<IssuerUnavailable>),
    Store(Arc<StoreError>),
}

impl Refusal {
    fn claim(error: ClaimError) -> Self {
        Self::Token(TokenError::Claim(error))
    }

    /// Whether the same token can only be refused again in a moment. A key may permit up, and time
    /// goes on.
    fn is_final(&self) -> bool {
        !matches!(
            self,
            Self::Token(TokenError::UnknownKey { .. } | TokenError::NotYetValid)
        )
    }
}

impl From<Refusal> for VerifyError {
    fn from(why: Refusal) -> Self {
        Self::Refused(Arc::new(why))
    }
}

impl From<IssuerUnavailable> for VerifyError {
    fn from(why: IssuerUnavailable) -> Self {
        Self::Unavailable(Arc::new(why))
    }
}

impl From<TokenSessionError> for VerifyError {
    fn from(error: TokenSessionError) -> Self {
        match error {
            TokenSessionError::Store(error) => Self::Store(error),
            other => Refusal::TokenSession(other).into(),
        }
    }
}

impl From<TokenError> for VerifyError {
    fn from(error: TokenError) -> Self {
        match error {
            TokenError::KeysUnavailable(why) => IssuerUnavailable::Issuer(why).into(),
            error => Refusal::Token(error).into(),
        }
    }
}

impl BearerTokens {
    /// Builds every issuer; one whose settings did not change is taken over with what it remembers.
    /// Reads secrets, asks nobody.
    pub fn build(
        issuers: &BTreeMap<IssuerId, IssuerConfig>,
        clock: &Clock,
        telemetry: &Telemetry,
        token_sessions: &Arc<TokenSessions>,
        previous: Option<&Self>,
    ) -> Result<Self, BuildError> {
        let built = issuers.iter().map(|(id, config)| {
            let known = previous.and_then(|bearers| bearers.issuers.get(id));
            let trusted = match known.filter(|known| known.has_settings(config)) {
                Some(known) => Arc::clone(known),
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
            counts_without_issuer: telemetry.bearer_counters(""),
            refusal_log: LogLimiter::default(),
        })
    }

    /// How long after a logout at the provider a token of this connector's people may come that was
    /// issued before it; nothing where it has no such tokens.
    pub fn token_life_of(&self, connector: &ConnectorId) -> Option<Duration> {
        let issuers = self.issuers.values().map(|trusted| &trusted.config);
        let person_issuers = issuers.filter(|config| config.people.as_ref() == Some(connector));
        let lives = person_issuers.map(|config| config.token_life_max.duration());
        // The clocks of both may differ, and so may what the token and the logout were dated by.
        lives.max().map(|life| life + 2 * LEEWAY)
    }

    /// Asks every issuer whether its tokens could be verified now; for `check --online`.
    pub async fn examine(&self) -> Vec<(&IssuerId, Result<String, Arc<IssuerUnavailable>>)> {
        let mut found = Vec::with_capacity(self.issuers.len());
        for (id, trusted) in &self.issuers {
            found.push((id, trusted.examine().await));
        }
        found
    }

    /// Leave to write down that a token was refused, once a second.
    pub fn may_log_refusal(&self) -> bool {
        self.refusal_log.allow()
    }

    /// Whose token a request to a page of ours brings, among those that are people's.
    pub async fn authenticate_person(
        &self,
        head: &Head<'_>,
    ) -> Result<Option<Arc<Program>>, BearerError> {
        self.authenticate(&self.person_issuers, &[], head).await
    }

    /// Which program brings a bearer token of one of these issuers; nothing when nobody brings one, and
    /// without issuers nobody looks. A token that is there and does not count, or is not good for
    /// what its issuer and `scopes` ask, is an error, whatever else the request brings.
    pub async fn authenticate(
        &self,
        issuers: &[IssuerId],
        scopes: &[ScopeName],
        head: &Head<'_>,
    ) -> Result<Option<Arc<Program>>, BearerError> {
        if issuers.is_empty() {
            return Ok(None);
        }
        let token = match token::read_header(head.headers) {
            BearerHeader::Absent => return Ok(None),
            BearerHeader::Invalid(why) => return Err(self.refused(why)),
            BearerHeader::Token(token) => token,
        };
        let hash = keys::fingerprint(&[b"bearer", token.as_bytes()]);
        let program = match self.cached(issuers, &hash) {
            Some(found) => found?,
            None => {
                let trusted = self.issuer_of(issuers, token);
                let trusted = trusted.map_err(|why| self.refused(why))?;
                let verdict = trusted.verify(hash, token, head.client_for_limits()).await;
                verdict.map_err(|fault| named(trusted, fault))?
            }
        };
        self.require_scopes(scopes, program).map(Some)
    }

    /// The person a token stands for now; an error when their session was ended.
    pub async fn person_of(
        &self,
        program: &Program,
        holder: &TokenSession,
    ) -> Result<Person, BearerError> {
        let found = match &self.token_sessions {
            Some(token_sessions) => token_sessions.find(holder).await,
            None => Ok(None),
        };
        match found {
            Ok(Some(person)) => Ok(person),
            Ok(None) => Err(BearerError::Refused {
                issuer: Some(program.issuer.clone()),
                why: Arc::new(Refusal::TokenSession(TokenSessionError::Ended)),
            }),
            Err(error) => Err(BearerError::Store(error)),
        }
    }

    /// Whoever verified a token remembers it; nobody else has an entry of it.
    fn cached(
        &self,
        issuers: &[IssuerId],
        hash: &TokenHash,
    ) -> Option<Result<Arc<Program>, BearerError>> {
        let mut trusted = issuers.iter().filter_map(|id| self.issuers.get(id));
        trusted.find_map(|trusted| {
            let known = trusted.find_cached(hash)?;
            Some(known.map_err(|fault| named(trusted, fault)))
        })
    }

    /// Whom to ask about a token: the issuer it names, or the one that uses_introspection opaque tokens. A
    /// token is shown to nobody else.
    fn issuer_of(&self, issuers: &[IssuerId], token: &str) -> Result<&Arc<TrustedIssuer>, Refusal> {
        let mut trusted = issuers.iter().filter_map(|id| self.issuers.get(id));
        match token::form(token)? {
            TokenForm::Signed { issuer } => trusted
                .find(|trusted| trusted.is_named(&issuer))
                .ok_or_else(|| Refusal::UnknownIssuer {
                    said: token::truncated(&issuer),
                }),
            TokenForm::Opaque => trusted
                .find(|trusted| trusted.uses_introspection())
                .ok_or(Refusal::Opaque),
        }
    }

    /// Whether it has every scope that its issuer and a route ask for. Asked on every request.
    fn require_scopes(
        &self,
        of_route: &[ScopeName],
        program: Arc<Program>,
    ) -> Result<Arc<Program>, BearerError> {
        let trusted = self.issuers.get(&program.issuer);
        let of_issuer = trusted.map_or(&[][..], |trusted| &trusted.config.scopes);
        if program.has(of_issuer) && program.has(of_route) {
            return Ok(program);
        }
        let needed = of_issuer.iter().chain(of_route).map(ScopeName::as_str);
        let needed: Vec<_> = needed.collect();
        Err(BearerError::Scope {
            program,
            needed: needed.join(" "),
        })
    }

    fn refused(&self, why: Refusal) -> BearerError {
        self.counts_without_issuer.count(BearerOutcome::Refused);
        BearerError::Refused {
            issuer: None,
            why: Arc::new(why),
        }
    }
}

fn named(trusted: &TrustedIssuer, fault: VerifyError) -> BearerError {
    let issuer = trusted.id.clone();
    match fault {
        VerifyError::Refused(why) => BearerError::Refused {
            issuer: Some(issuer),
            why,
        },
        VerifyError::Limited => BearerError::Limited { issuer },
        VerifyError::Unavailable(source) => BearerError::IssuerUnavailable { issuer, source },
        VerifyError::Store(error) => BearerError::Store(error),
    }
}
