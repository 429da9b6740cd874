//! `Gate::identify()`: Head → Caller. The session cookie, and on some routes a bearer token, as far
//! as the request itself proves them.

use std::sync::Arc;

use super::bearer::{BearerError, BearerTokens, Program};
use super::head::Head;
use super::route::Route;
use crate::keys::KeyRing;
use crate::people::session::{
    AfterRefresh, NoSession, Person, RefreshDue, Refresher, SessionLookup, SessionTimeouts,
    Sessions,
};
use crate::store::{ConnectorId, StoreError};
use crate::telemetry::LogLimiter;

/// Who is asking.
#[derive(Clone, Debug)]
pub enum Caller {
    /// Anonymous we know, and why.
    Anonymous(LoginReason),
    /// A person with a session.
    Person(Person),
    /// A program with a verified bearer token.
    Program(Arc<Program>),
}

/// LoginReason somebody must log in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LoginReason {
    /// They brought nothing that counts.
    NotSignedIn,
    /// Their session is over.
    Expired,
    /// Their session came through a connector that does not count here.
    OtherConnector,
    /// The route demands a stronger proof than theirs.
    StepUp,
}

impl LoginReason {
    /// The one as_str of the records.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::NotSignedIn => "nobody",
            Self::Expired => "expired",
            Self::OtherConnector => "other connector",
            Self::StepUp => "step up",
        }
    }
}

/// LoginReason it could not be found out who is asking.
#[derive(Debug, thiserror::Error)]
pub enum GateError {
    /// A bearer token that lets nobody in.
    #[error(transparent)]
    Bearer(#[from] BearerError),
    /// A person's session and a program's token at once, both good: nobody knows who asks.
    #[error("a session and a bearer token came together")]
    TwoCallers,
    /// The store could not be asked.
    #[error("look for the session")]
    Unavailable(#[source] Arc<StoreError>),
}

/// What callers are known by. One per site; the sessions outlive it.
#[derive(Debug)]
pub struct Gate {
    /// Who is here.
    pub sessions: Arc<Sessions>,
    /// Who renews their tokens.
    pub refresher: Arc<Refresher>,
    /// What their cookies are verified with.
    pub ring: Arc<KeyRing>,
    /// How long they may stay.
    pub terms: SessionTimeouts,
    /// Whose sessions count on this site at all.
    pub connectors: Vec<ConnectorId>,
    /// Whose bearer tokens count, on routes that name them.
    pub bearers: BearerTokens,
    /// Leave to complain of requests with two good session cookies.
    pub conflict_log: LogLimiter,
}

impl Gate {
    /// Says who is asking, after their source was asked again where that is due. On a public route
    /// trouble is nobody; elsewhere it is an error.
    ///
    /// A bearer token on a route that names issuers must be good, whatever else is there.
    pub async fn identify(&self, route: &Route, head: &Head<'_>) -> Result<Caller, GateError> {
        let (issuers, scopes) = (&route.issuers, &route.scopes);
        if let Some(program) = self.bearers.authenticate(issuers, scopes, head).await? {
            // In a box: programs are few among those who ask.
            return Box::pin(self.caller_by_token(program, head)).await;
        }
        match (self.refreshed_caller(head).await, route.is_public(head)) {
            (Err(error), true) => {
                tracing::warn!(error = %crate::telemetry::error_chain(&error), "a public route goes on without identity");
                Ok(Caller::Anonymous(LoginReason::NotSignedIn))
            }
            (found, _) => found,
        }
    }

    async fn refreshed_caller(&self, head: &Head<'_>) -> Result<Caller, GateError> {
        let caller = self.person(head).await?;
        if let Caller::Person(person) = &caller
            && person.refresh_due != RefreshDue::NotDue
            // In a box: what is seldom done makes no other request's way longer.
            && Box::pin(self.refresher.refresh_if_due(person)).await == AfterRefresh::FindAgain
        {
            return self.person(head).await;
        }
        Ok(caller)
    }

    /// Who brings a verified token, and perhaps a session, too: one of two only if it is the same
    /// person.
    async fn caller_by_token(
        &self,
        program: Arc<Program>,
        head: &Head<'_>,
    ) -> Result<Caller, GateError> {
        let session = match self.person(head).await? {
            Caller::Person(person) => Some(person.session.account),
            Caller::Anonymous(_) | Caller::Program(_) => None,
        };
        let Some(holder) = &program.holder else {
            return match session {
                Some(_) => Err(GateError::TwoCallers),
                None => Ok(Caller::Program(program)),
            };
        };
        let person = self.bearers.person_of(&program, holder).await?;
        match session {
            Some(account) if account != person.session.account => Err(GateError::TwoCallers),
            Some(_) | None => Ok(self.caller_of(person)),
        }
    }

    /// Who asks a page of ours that tells people who they are: by their cookie, or by a token of an
    /// issuer whose tokens are people's.
    pub async fn person_by_cookie_or_token(&self, head: &Head<'_>) -> Result<Caller, GateError> {
        match self.bearers.authenticate_person(head).await? {
            Some(program) => self.caller_by_token(program, head).await,
            None => self.person(head).await,
        }
    }

    /// Who brings this session cookie, on any route. No source is asked: whoever signs out, for one,
    /// waits for none.
    pub async fn person(&self, head: &Head<'_>) -> Result<Caller, GateError> {
        let Some(cookie) = head.credentials.session else {
            if head.credentials.conflicting && self.conflict_log.allow() {
                tracing::warn!(
                    host = %head.host,
                    client = %head.client,
                    "a browser sends two session cookies that name different sessions, so it is \
                     nobody: two sites with the same keys share a cookie's name, or somebody planted one"
                );
            }
            return Ok(Caller::Anonymous(LoginReason::NotSignedIn));
        };
        let (ring, host) = (&self.ring, head.host.as_str());
        let found = self.sessions.find(ring, &self.terms, cookie, host).await;
        match found.map_err(GateError::Unavailable)? {
            SessionLookup::Person(person) => Ok(self.caller_of(person)),
            SessionLookup::Missing(NoSession::Ended) => Ok(Caller::Anonymous(LoginReason::Expired)),
            SessionLookup::Missing(NoSession::Unknown) => {
                Ok(Caller::Anonymous(LoginReason::NotSignedIn))
            }
        }
    }

    /// Somebody with a session, as far as their connector is still configured.
    pub fn caller_of(&self, person: Person) -> Caller {
        match self.connectors.contains(&person.session.via) {
            true => Caller::Person(person),
            false => Caller::Anonymous(LoginReason::Expired),
        }
    }
}
