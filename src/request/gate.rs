//! `Gate` identifies the caller of a request by its session cookie and, on routes that accept them,
//! its access token or bearer token.

use std::sync::Arc;

use super::access_token::{self, AccessTokenError, AccessTokenLimits};
use super::bearer::{BearerError, BearerTokens, VerifiedToken};
use super::head::Head;
use super::route::Route;
use crate::keys::KeyRing;
use crate::people::session::{
    AfterRefresh, NoSession, Person, RefreshDue, Refresher, SessionLookup, SessionTimeouts,
    Sessions,
};
use crate::store::{ConnectorId, StoreError};
use crate::telemetry::LogLimiter;

/// Who sent a request.
#[derive(Clone, Debug)]
pub enum Caller {
    /// A caller without accepted credentials, with the reason.
    Anonymous(LoginReason),
    Person(Person),
    Program(Arc<VerifiedToken>),
}

/// Why a login is needed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LoginReason {
    /// The request has no accepted credentials.
    NotSignedIn,
    /// The session has ended.
    Expired,
    /// The session was created by a connector that the route does not accept.
    OtherConnector,
    /// The route demands a stronger or more recent authentication.
    StepUp,
}

impl LoginReason {
    /// The value of the log field `reason`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::NotSignedIn => "nobody",
            Self::Expired => "expired",
            Self::OtherConnector => "other connector",
            Self::StepUp => "step up",
        }
    }
}

/// Why a caller could not be identified.
#[derive(Debug, thiserror::Error)]
pub enum GateError {
    /// The bearer token was not accepted or could not be verified.
    #[error(transparent)]
    Bearer(#[from] BearerError),
    /// The access token was not accepted.
    #[error("an access token was refused")]
    AccessToken(#[source] AccessTokenError),
    /// A valid session and a valid token of different callers in one request.
    #[error("the request has both a session and a bearer token")]
    TwoCallers,
    #[error("load the session")]
    Unavailable(#[source] Arc<StoreError>),
}

/// Identifies callers. There is one per site; sessions outlive it.
#[derive(Debug)]
pub struct Gate {
    pub sessions: Arc<Sessions>,
    /// Refreshes the provider's tokens of sessions.
    pub refresher: Arc<Refresher>,
    /// The keys that verify a session cookie when its session is loaded.
    pub ring: Arc<KeyRing>,
    /// How long sessions last.
    pub timeouts: SessionTimeouts,
    /// The connectors whose sessions this site accepts.
    pub connectors: Vec<ConnectorId>,
    /// Verifies bearer tokens on routes that name issuers.
    pub bearers: BearerTokens,
    /// Limits unknown access tokens on routes that allow access tokens.
    pub access_token_limits: Arc<AccessTokenLimits>,
    /// Limits the log lines about requests with two valid session cookies.
    pub conflict_log: LogLimiter,
    /// Limits the warnings of a store outage: every request and every recheck would write one.
    pub outage_log: LogLimiter,
}

impl Gate {
    /// Identifies the caller, after a token refresh if one is due. On a public route a session that
    /// cannot be loaded makes the caller anonymous; elsewhere it is an error.
    ///
    /// On a route that names issuers a bearer token must be valid, whatever other credentials the
    /// request has; so must an access token on a route that allows them.
    pub async fn identify(&self, route: &Route, head: &Head<'_>) -> Result<Caller, GateError> {
        if route.access_tokens && access_token::is_sent(head.headers) {
            // Boxed because it is rare: the future of ordinary requests stays small.
            return Box::pin(self.caller_by_access_token(route, head)).await;
        }
        let (issuers, scopes) = (&route.issuers, &route.scopes);
        if let Some(token) = self.bearers.authenticate(issuers, scopes, head).await? {
            // Boxed because it is rare: the future of ordinary requests stays small.
            return Box::pin(self.caller_by_token(token, head)).await;
        }
        match (self.refreshed_caller(head).await, route.is_public(head)) {
            (Err(error), true) => {
                if self.outage_log.allow() {
                    tracing::warn!(
                        route = route.name.as_str(),
                        error = %crate::telemetry::error_chain(&error),
                        "the session could not be loaded: a request to a public route goes on without identity"
                    );
                }
                Ok(Caller::Anonymous(LoginReason::NotSignedIn))
            }
            (result, _) => result,
        }
    }

    async fn refreshed_caller(&self, head: &Head<'_>) -> Result<Caller, GateError> {
        let caller = self.person(head).await?;
        if let Caller::Person(person) = &caller
            && person.refresh_due != RefreshDue::NotDue
            // Boxed because it is rare: the future of ordinary requests stays small.
            && Box::pin(self.refresher.refresh_if_due(person)).await == AfterRefresh::FindAgain
        {
            return self.person(head).await;
        }
        Ok(caller)
    }

    /// Identifies the person of an access token. If the request has a session, too, it must belong to the
    /// same person.
    async fn caller_by_access_token(
        &self,
        route: &Route,
        head: &Head<'_>,
    ) -> Result<Caller, GateError> {
        let sessions = (&self.sessions, &self.ring);
        let limits = &self.access_token_limits;
        let found = access_token::find_person(sessions, limits, route, head).await;
        let person = found.map_err(|error| match error {
            access_token::FindError::Refused(why) => GateError::AccessToken(why),
            access_token::FindError::Store(error) => GateError::Unavailable(error),
        })?;
        match self.person(head).await? {
            Caller::Person(other) if other.session.account != person.session.account => {
                Err(GateError::TwoCallers)
            }
            Caller::Person(_) | Caller::Anonymous(_) | Caller::Program(_) => {
                Ok(self.caller_of(person))
            }
        }
    }

    /// The caller for whom a verified token stands: a person or a program. If the request has a session,
    /// too, it must belong to the same person.
    async fn caller_by_token(
        &self,
        token: Arc<VerifiedToken>,
        head: &Head<'_>,
    ) -> Result<Caller, GateError> {
        let session_account = match self.person(head).await? {
            Caller::Person(person) => Some(person.session.account),
            Caller::Anonymous(_) | Caller::Program(_) => None,
        };
        let Some(holder) = &token.holder else {
            return match session_account {
                Some(_) => Err(GateError::TwoCallers),
                None => Ok(Caller::Program(token)),
            };
        };
        let person = self.bearers.person_of(&token, holder).await?;
        match session_account {
            Some(account) if account != person.session.account => Err(GateError::TwoCallers),
            Some(_) | None => Ok(self.caller_of(person)),
        }
    }

    /// Identifies the person who requests an own path, by session cookie or by a token that stands
    /// for a person.
    pub async fn person_by_cookie_or_token(&self, head: &Head<'_>) -> Result<Caller, GateError> {
        match self.bearers.authenticate_person(head).await? {
            Some(token) => self.caller_by_token(token, head).await,
            None => self.person(head).await,
        }
    }

    /// Identifies the person of the session cookie, regardless of route. No provider is contacted.
    pub async fn person(&self, head: &Head<'_>) -> Result<Caller, GateError> {
        let Some(cookie) = head.credentials.session_cookie else {
            if head.credentials.conflicting && self.conflict_log.allow() {
                tracing::warn!(
                    host = %head.host,
                    client = %head.client_ip,
                    "a request has two session cookies that name different sessions and counts as not signed in: \
                     two sites share keys and cookie name, or another person planted one of the cookies"
                );
            }
            return Ok(Caller::Anonymous(LoginReason::NotSignedIn));
        };
        let (ring, host) = (&self.ring, head.host.as_str());
        let session = self.sessions.find(ring, &self.timeouts, cookie, host).await;
        match session.map_err(GateError::Unavailable)? {
            SessionLookup::Person(person) => Ok(self.caller_of(person)),
            SessionLookup::Missing(NoSession::Ended) => Ok(Caller::Anonymous(LoginReason::Expired)),
            SessionLookup::Missing(NoSession::Unknown) => {
                Ok(Caller::Anonymous(LoginReason::NotSignedIn))
            }
        }
    }

    /// The caller for a loaded session; anonymous if its connector is no longer configured.
    pub fn caller_of(&self, person: Person) -> Caller {
        match self.connectors.contains(&person.session.via) {
            true => Caller::Person(person),
            false => Caller::Anonymous(LoginReason::Expired),
        }
    }
}
