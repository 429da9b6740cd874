//! The last step of a login: redeems the response, admits the person and mints the session.

use std::sync::Arc;
use std::time::Duration;

use super::connector::credentials::PasswordCredentials;
use super::connector::{AuthnResponse, ConnectorError, SourceRefusal};
use super::limits::{HalfOpenPermit, Limits, PasswordAttempt};
use super::link::ProvenIdentity;
use super::pending::{PENDING_AGE_MAX_S, Pending};
use super::return_to::ReturnTo;
use super::ticket::CLOCK_DIFFERENCE_MAX;
use super::{ConnectorEntry, LoginError};
use crate::clock::Clock;
use crate::keys::{self, KeyRing};
use crate::people::cookie::{self, SessionClaims, Sid};
use crate::people::profile::{AuthContext, Profile, UserFields};
use crate::people::session::{MintError, NewLogin, OneTimeSession, SessionTimeouts, Sessions};
use crate::people::{AdmitError, People};
use crate::store::{ConnectorId, LoginName, SessionId, SessionOrigin, Subject};
use crate::telemetry::{AuditEvent, AuditRecord, Telemetry};
use crate::wording::Text;

/// What a login led to.
#[derive(Clone, Debug)]
pub enum LoginResult {
    /// A session was minted.
    SignedIn(Box<FinishedLogin>),
    /// The source confirmed an identity that the person may link to their account.
    Proven(ProvenIdentity),
}

impl LoginResult {
    /// The session, if one was minted.
    pub fn session(&self) -> Option<&FinishedLogin> {
        match self {
            Self::SignedIn(finished) => Some(finished),
            Self::Proven(_) => None,
        }
    }
}

#[derive(Clone, Debug)]
pub struct FinishedLogin {
    /// The content of the session cookie.
    pub claims: SessionClaims,
    /// The ID of the session in logs.
    pub public_id: SessionId,
    pub login: LoginName,
    pub via: ConnectorId,
    pub subject: Subject,
    /// The mapped profile.
    pub fields: UserFields,
    /// When and how the person authenticated at the source.
    pub auth_context: AuthContext,
    pub return_to: ReturnTo,
    cookie: CookieValue,
}

#[derive(Clone)]
struct CookieValue(String);

impl std::fmt::Debug for CookieValue {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("CookieValue(…)")
    }
}

impl FinishedLogin {
    /// The value of the session cookie. It grants access, so never log it.
    pub fn expose_cookie(&self) -> &str {
        &self.cookie.0
    }
}

/// The work that finishes one login.
pub(super) struct FinishTask {
    pub(super) entry: Arc<ConnectorEntry>,
    pub(super) ring: Arc<KeyRing>,
    pub(super) people: People,
    pub(super) sessions: Arc<Sessions>,
    pub(super) timeouts: SessionTimeouts,
    pub(super) limits: Arc<Limits>,
    pub(super) clock: Clock,
    pub(super) telemetry: Telemetry,
    /// Held until the source has responded.
    pub(super) permit: Option<HalfOpenPermit>,
}

impl FinishTask {
    /// Redeems the response at the source. Then admits the person and mints the session, unless the
    /// identity is to be linked to the account of somebody who is signed in.
    pub(super) async fn run(
        mut self,
        pending: Pending,
        response: AuthnResponse,
    ) -> Result<LoginResult, LoginError> {
        let profile = self.redeem(&pending, &response).await?;
        match &pending.link {
            Some(_) => self.prove(profile).await.map(LoginResult::Proven),
            None => {
                let finished = self
                    .admit_and_mint(pending, profile, response.origin)
                    .await?;
                Ok(LoginResult::SignedIn(Box::new(finished)))
            }
        }
    }

    async fn redeem(
        &mut self,
        pending: &Pending,
        response: &AuthnResponse,
    ) -> Result<Profile, LoginError> {
        let client = response.client;
        let mut attempt = match self.entry.uses_password_form() {
            true => Some(self.begin_password_attempt(response).await?),
            false => None,
        };
        let connector = &self.entry.connector;
        let redeemed = match &mut attempt {
            Some(attempt) => connector.redeem_password(pending, response, attempt).await,
            None => connector.redeem_response(pending, response).await,
        };
        self.entry.health.record(&redeemed, self.clock.now());
        if let (Some(attempt), Err(error)) = (attempt, &redeemed)
            && error.is_wrong_password()
        {
            attempt.record_wrong();
        }
        match &redeemed {
            Ok(_) => self.limits.record_code(&self.entry.id, client, true),
            Err(ConnectorError::CodeRejected(_)) => {
                self.limits.record_code(&self.entry.id, client, false)
            }
            Err(_) => {}
        }
        drop(self.permit.take());
        if let (Some(change), Ok(_)) = (&pending.password_change, &redeemed) {
            self.telemetry.audit(&AuditRecord {
                connector: Some(self.entry.id.as_str()),
                subject: Some(change.subject.as_str()),
                client: response.origin.address,
                reason: Some(&Text::fixed("by the person", "由本人修改")),
                ..AuditRecord::new(AuditEvent::PasswordChanged, self.clock.now())
            });
        }
        redeemed.map_err(LoginError::Connector)
    }

    /// Refuses implausible credentials, and any after too many wrong ones, without a request to the source.
    async fn begin_password_attempt(
        &self,
        response: &AuthnResponse,
    ) -> Result<PasswordAttempt, LoginError> {
        let credentials = PasswordCredentials::of(&response.fields);
        let login = credentials.map_err(LoginError::Connector)?.login;
        let attempt = self
            .limits
            .begin_password_attempt(&self.entry.id, login, response.client);
        attempt.await.map_err(LoginError::Limited)
    }

    async fn prove(&self, profile: Profile) -> Result<ProvenIdentity, LoginError> {
        let failed = |source| LoginError::Admit {
            subject: profile.subject.clone(),
            source,
        };
        let mapped = self.entry.admission.mapping.map(&profile.raw);
        let mapped = mapped.map_err(|error| failed(AdmitError::Map(error)))?;
        if let Some(response) = &profile.response_id {
            let key = one_time_key(&self.entry.id, &response.id);
            let until = response.accepted_until.plus(CLOCK_DIFFERENCE_MAX);
            let spent = self.people.spend_ticket(&key, until).await;
            if !spent.map_err(|error| failed(AdmitError::Store(error)))? {
                return Err(used_before());
            }
        }
        Ok(ProvenIdentity {
            subject: profile.subject,
            login: mapped.login,
            name: mapped.fields.name,
        })
    }

    async fn admit_and_mint(
        self,
        pending: Pending,
        profile: Profile,
        origin: SessionOrigin,
    ) -> Result<FinishedLogin, LoginError> {
        let admission = &self.entry.admission;
        let admitted = match &profile.response_id {
            None => self.people.admit(admission, &profile).await.map(Some),
            Some(response) => {
                let key = one_time_key(&self.entry.id, &response.id);
                let until = response.accepted_until.plus(CLOCK_DIFFERENCE_MAX);
                let token = (&key, until);
                self.people.admit_once(admission, &profile, token).await
            }
        };
        let admitted = admitted.map_err(|source| LoginError::Admit {
            subject: profile.subject.clone(),
            source,
        })?;
        let (account, mapped) = admitted.ok_or_else(used_before)?;
        let once = profile.response_id.map(|_| one_session_of(&pending));
        let login = NewLogin {
            account,
            via: self.entry.id.clone(),
            subject: profile.subject,
            provider_sid: profile.provider_sid,
            expires_at: profile.auth_context.earlier_end(mapped.session_expires),
            auth_context: profile.auth_context,
            tokens: profile.tokens,
            origin,
            began_at: pending.begun_at,
            connector_epoch: pending.connector_epoch,
            everyone_epoch: pending.everyone_epoch,
            needs_current_password: self.entry.connector.local_people().is_some(),
        };
        let minter = SessionMinter {
            ring: &self.ring,
            sessions: &self.sessions,
            timeouts: &self.timeouts,
        };
        let return_to = pending.return_to;
        let minted = minter.mint(login, mapped.fields, return_to, once).await;
        minted.map_err(|error| match error {
            LoginError::AlreadyUsed => used_before(),
            error => error,
        })
    }
}

/// The spend key of a response or an entry token with an ID, which is accepted once.
pub(super) fn one_time_key(via: &ConnectorId, id: &str) -> [u8; 32] {
    // The label never changes, so that responses stay spent when menshen is updated.
    keys::fingerprint(&[b"ticket", via.as_str().as_bytes(), id.as_bytes()])
}

/// At most one session for each pending login, also if its source answers twice.
fn one_session_of(pending: &Pending) -> OneTimeSession {
    let via = pending.connector.as_str();
    OneTimeSession {
        sid: Sid::random(),
        spend_key: keys::fingerprint(&[b"flow", via.as_bytes(), pending.flow.as_str().as_bytes()]),
        until: pending
            .begun_at
            .plus(Duration::from_secs(PENDING_AGE_MAX_S + 1)),
    }
}

fn used_before() -> LoginError {
    LoginError::Connector(ConnectorError::InvalidResponse(SourceRefusal::fault(
        "the response",
        "the assertion was used before",
    )))
}

/// The dependencies for minting a session.
pub(super) struct SessionMinter<'a> {
    pub(super) ring: &'a KeyRing,
    pub(super) sessions: &'a Sessions,
    pub(super) timeouts: &'a SessionTimeouts,
}

impl SessionMinter<'_> {
    /// Mints the session of an admitted person. With `once` it fails if a session was minted for the same
    /// spend key before.
    pub(super) async fn mint(
        &self,
        login: NewLogin,
        fields: UserFields,
        return_to: ReturnTo,
        once: Option<OneTimeSession>,
    ) -> Result<FinishedLogin, LoginError> {
        let (login_name, subject) = (login.account.login.clone(), login.subject.clone());
        let (via, auth_context) = (login.via.clone(), login.auth_context.clone());
        let minted = match once {
            None => self.sessions.mint(self.ring, login, self.timeouts).await,
            Some(once) => {
                let minting = self
                    .sessions
                    .mint_once(self.ring, login, self.timeouts, once);
                minting.await
            }
        };
        let minted = minted.map_err(|source| match source {
            MintError::Spent => LoginError::AlreadyUsed,
            source => LoginError::Mint {
                subject: subject.clone(),
                source,
            },
        })?;
        Ok(FinishedLogin {
            cookie: CookieValue(cookie::sign(self.ring, &minted.claims)),
            claims: minted.claims,
            public_id: minted.public_id,
            login: login_name,
            via,
            subject,
            fields,
            auth_context,
            return_to,
        })
    }
}
