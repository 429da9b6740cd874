//! `TokenSessions`: sessions of people who send a bearer token instead of a session cookie.
//!
//! The first request with a token admits its person as a login does and mints a session. Later requests
//! with the token use that session, which is checked like any other, so a revocation applies to the next
//! request. The session ID is derived from the canonical form of the token, and a token gets a session
//! only once: an ended session is not minted again, in any process and after any restart. No cookie is
//! set for it.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwapOption;
use serde_json::{Map, Value};

use super::cookie::{self, SessionClaims, Sid};
use super::profile::{AuthContext, Profile, UserFields};
use super::session::{
    Entitlements, MintError, NewLogin, OneTimeSession, Person, SessionLookup, SessionTimeouts,
};
use super::{AdmissionPolicy, AdmitError, People};
use crate::clock::{Clock, Timestamp};
use crate::issuer::Tenant;
use crate::keys::{self, KeyRing};
use crate::secret::Secret;
use crate::store::{ConnectorId, SessionOrigin, StoreError, StoredSession};
use crate::telemetry::{AuditEvent, AuditRecord, Telemetry};
use crate::wording::{Text, error_of_text};

/// The idle timeout of these sessions. Tokens expire, so it only has to be shorter than the time for
/// which the store keeps idle sessions.
const IDLE_TIMEOUT: Duration = Duration::from_secs(14 * 86_400);

/// A verified token.
#[derive(Debug)]
pub struct PresentedToken {
    pub token: Secret<String>,
    /// The canonical form: equal for all encodings of the token, and different for any other token. The
    /// session ID is derived from it.
    pub canonical: Secret<String>,
    pub claims: Map<String, Value>,
    /// Its tenant, if the issuer has several.
    pub tenant: Tenant,
    /// How the person authenticated, as far as the claims show.
    pub auth_context: AuthContext,
    /// When the token was issued. A later revocation makes it invalid.
    pub issued_at: Timestamp,
    /// The latest end of the session.
    pub ends_at: Timestamp,
}

/// Reads the bearer tokens of people for one connector.
pub trait TokenReader: fmt::Debug + Send + Sync {
    /// The profile of the token's person, in the same form as at a login.
    fn read(&self, presented: &PresentedToken) -> Result<Profile, TokenSubjectError>;
}

/// Why a token does not identify a person.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokenSubjectError {
    /// The token was issued to a client for itself (client credentials grant).
    Program,
    /// The token has no valid subject.
    NoSubject,
}

impl TokenSubjectError {
    fn text(&self) -> Text {
        match self {
            Self::Program => Text::fixed(
                "it was issued to a program, and the tokens of this issuer must be those of people",
                "令牌签发给了程序，而此签发方的令牌必须属于人员",
            ),
            Self::NoSubject => Text::fixed("it has no valid subject", "令牌没有有效的 sub"),
        }
    }
}

error_of_text!(TokenSubjectError);

/// Why a token gets no session.
#[derive(Debug, thiserror::Error)]
pub enum TokenSessionError {
    /// The connector has no [`TokenReader`].
    #[error("no connector of this name accepts bearer tokens")]
    NoConnector,
    /// The token does not identify a person.
    #[error(transparent)]
    TokenSubjectError(#[from] TokenSubjectError),
    #[error("admit the person")]
    Admit(#[source] AdmitError),
    /// The session was ended by sign-out, revocation, a closed account or a logout at the provider.
    #[error("its session was ended")]
    Ended,
    #[error("look up the session of the token")]
    Store(#[source] Arc<StoreError>),
}

/// The session of a token, and the fields that the token gives its person.
pub struct TokenSession {
    /// The value that a session cookie would have. It is never sent.
    signed_cookie: Secret<String>,
    via: ConnectorId,
    fields: UserFields,
    token: Arc<Secret<String>>,
    entitlements: ArcSwapOption<Entitlements>,
}

impl fmt::Debug for TokenSession {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenSession")
            .field("via", &self.via)
            .finish_non_exhaustive()
    }
}

/// A connector whose bearer tokens are accepted.
#[derive(Clone, Debug)]
pub struct TokenConnector {
    pub reader: Arc<dyn TokenReader>,
    pub admission: AdmissionPolicy,
}

/// The connectors whose people may send bearer tokens. One per site.
#[derive(Debug)]
pub struct TokenSessions {
    connectors: BTreeMap<ConnectorId, TokenConnector>,
    people: People,
    ring: Arc<KeyRing>,
    clock: Clock,
    telemetry: Telemetry,
}

impl TokenSessions {
    pub fn new(
        connectors: impl Iterator<Item = TokenConnector>,
        people: &People,
        ring: &Arc<KeyRing>,
        clock: &Clock,
        telemetry: &Telemetry,
    ) -> Self {
        let with_id =
            |connector: TokenConnector| (connector.admission.connector.clone(), connector);
        Self {
            connectors: connectors.map(with_id).collect(),
            people: people.clone(),
            ring: Arc::clone(ring),
            clock: clock.clone(),
            telemetry: telemetry.clone(),
        }
    }

    /// Admits the person of a token, or finds the session of the token. The caller shares one call among
    /// all requests with the same token.
    pub async fn admit(
        &self,
        via: &ConnectorId,
        presented: PresentedToken,
    ) -> Result<TokenSession, TokenSessionError> {
        let connector = self
            .connectors
            .get(via)
            .ok_or(TokenSessionError::NoConnector)?;
        let profile = connector.reader.read(&presented)?;
        let mapped = connector.admission.mapping.map(&profile.raw);
        let mapped = mapped.map_err(|error| TokenSessionError::Admit(AdmitError::Map(error)))?;
        let sid = Sid::derived(&[
            b"token",
            via.as_str().as_bytes(),
            profile.subject.as_str().as_bytes(),
            presented.canonical.expose().as_bytes(),
        ]);
        let (claims, stored_fields) = match self.stored(sid).await? {
            Some(found) => session_of_token(sid, &found)?,
            None => {
                self.admit_new(connector, sid, &presented, profile, mapped.session_expires)
                    .await?
            }
        };
        Ok(TokenSession {
            signed_cookie: Secret::new(cookie::sign(&self.ring, &claims)),
            via: via.clone(),
            fields: if connector.admission.sync {
                mapped.fields
            } else {
                stored_fields
            },
            token: Arc::new(presented.token),
            entitlements: ArcSwapOption::empty(),
        })
    }

    /// Finds the person of a token's session; `None` if the session was ended.
    ///
    /// # Errors
    /// The store failed. The request must be denied.
    pub async fn find(&self, session: &TokenSession) -> Result<Option<Person>, Arc<StoreError>> {
        let timeouts = SessionTimeouts {
            // Only minting uses the lifetime.
            lifetime: IDLE_TIMEOUT,
            idle_timeout: IDLE_TIMEOUT,
        };
        let sessions = &self.people.sessions;
        let found = sessions.find(&self.ring, &timeouts, session.signed_cookie.expose(), "");
        Ok(match found.await? {
            SessionLookup::Person(person) => Some(session.with_token_fields(person)),
            SessionLookup::Missing(_) => None,
        })
    }

    async fn stored(&self, sid: Sid) -> Result<Option<StoredSession>, TokenSessionError> {
        let found = self.people.sessions.find_stored(&sid.key()).await;
        found.map_err(|error| TokenSessionError::Store(Arc::new(error)))
    }

    /// Admits the person and mints the only session of this token.
    async fn admit_new(
        &self,
        connector: &TokenConnector,
        sid: Sid,
        presented: &PresentedToken,
        profile: Profile,
        session_expires: Option<Timestamp>,
    ) -> Result<(SessionClaims, UserFields), TokenSessionError> {
        let via = &connector.admission.connector;
        let (connector_epoch, everyone_epoch) = self.people.sessions.epochs_of(via);
        let admitted = self
            .people
            .admit_token_holder(&connector.admission, &profile)
            .await;
        let (account, mapped) = admitted.map_err(|error| match error {
            AdmitError::Store(error) => TokenSessionError::Store(Arc::new(error)),
            other => TokenSessionError::Admit(other),
        })?;
        let ends_at = session_expires.map_or(presented.ends_at, |end| end.min(presented.ends_at));
        let login = NewLogin {
            account,
            via: via.clone(),
            subject: profile.subject,
            provider_sid: profile.provider_sid,
            auth_context: profile.auth_context,
            tokens: None,
            expires_at: Some(ends_at),
            origin: SessionOrigin::default(),
            began_at: presented.issued_at,
            connector_epoch,
            everyone_epoch,
            needs_current_password: false,
        };
        let once = OneTimeSession {
            sid,
            spend_key: keys::fingerprint(&[b"a token's session", sid.key().as_bytes()]),
            until: presented.ends_at,
        };
        let timeouts = SessionTimeouts {
            lifetime: presented.ends_at.since(self.clock.now()),
            idle_timeout: IDLE_TIMEOUT,
        };
        let (login_name, subject) = (login.account.login.clone(), login.subject.clone());
        let minted = self
            .people
            .sessions
            .mint_once(&self.ring, login, &timeouts, once);
        match minted.await {
            Ok(minted_session) => {
                self.telemetry.audit(&AuditRecord {
                    connector: Some(via.as_str()),
                    subject: Some(subject.as_str()),
                    login: Some(login_name.as_str()),
                    account: Some(&minted_session.claims.account),
                    session: Some(&minted_session.public_id),
                    reason: Some(&Text::fixed("token", "令牌")),
                    ..AuditRecord::new(AuditEvent::Login, self.clock.now())
                });
                Ok((minted_session.claims, mapped.fields))
            }
            // Another process has just minted the session, or it was ended.
            Err(MintError::Spent) => match self.stored(sid).await? {
                Some(found) => session_of_token(sid, &found),
                None => Err(TokenSessionError::Ended),
            },
            Err(MintError::Closed | MintError::Revoked) => Err(TokenSessionError::Ended),
            Err(MintError::Store(error)) => Err(TokenSessionError::Store(Arc::new(error))),
        }
    }
}

/// The claims and the stored fields of a token's existing session.
fn session_of_token(
    sid: Sid,
    stored: &StoredSession,
) -> Result<(SessionClaims, UserFields), TokenSessionError> {
    if stored.account.closed {
        return Err(TokenSessionError::Ended);
    }
    let fields = serde_json::from_str(&stored.entitlements);
    let damaged =
        |_| TokenSessionError::Store(Arc::new(StoreError::Damaged { record: "identity" }));
    let claims = SessionClaims {
        sid,
        account: stored.account.id,
        confirmed_at: stored.session.minted_at,
        expires_at: stored.session.expires_at,
        host: None,
    };
    Ok((claims, fields.map_err(damaged)?))
}

impl TokenSession {
    /// The connector of the token.
    pub fn via(&self) -> &ConnectorId {
        &self.via
    }

    /// The person of a session with the fields of this token, even if other tokens and logins of the
    /// person have other fields.
    fn with_token_fields(&self, person: Person) -> Person {
        let (session, login) = (&person.session, &person.session.login);
        let local = &person.entitlements.local;
        let cached = self.entitlements.load_full();
        let entitlements = cached
            .filter(|cached| cached.login == *login && cached.local == *local)
            .unwrap_or_else(|| {
                let fields = self.fields.clone();
                let (account, local) = (session.account, local.as_ref());
                let fresh = Entitlements::new(account, login, local, &self.via, fields, 0);
                let fresh = Arc::new(fresh);
                self.entitlements.store(Some(Arc::clone(&fresh)));
                fresh
            });
        Person {
            entitlements,
            needs_new_cookie: false,
            bearer_token: Some(Arc::clone(&self.token)),
            ..person
        }
    }
}
