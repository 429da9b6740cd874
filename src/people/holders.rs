//! `Holders`: people who send a token that their source signed, instead of a session cookie.
//!
//! The first time a token is seen, its person is admitted as at a login and gets a session. From then on
//! the token stands for that session, which is checked on every request like any other: a person who is
//! revoked or closed is out on the next one. The sid of the session is derived from what all spellings
//! of the token have in common, and a token gets a session only once. So a session that was ended does
//! not come back, on any process and after any restart. No cookie is set for it.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwapOption;
use serde_json::{Map, Value};

use super::cookie::{self, Handle, Sid};
use super::profile::{Fields, Profile, Proof};
use super::session::{Entitlements, Found, MintError, NewLogin, Once, Person, Terms};
use super::{AdmitError, Admittance, People};
use crate::clock::{Clock, Timestamp};
use crate::issuer::Tenant;
use crate::keys::{self, KeyRing};
use crate::secret::Secret;
use crate::store::{ConnectorId, StoreError, StoredSession};
use crate::telemetry::{AuditEvent, AuditRecord, Telemetry};

/// A token has an end of its own, so its session need not end when it is idle. This is shorter than the
/// store keeps idle sessions.
const IDLE: Duration = Duration::from_secs(14 * 86_400);

/// A verified token.
#[derive(Debug)]
pub struct Shown {
    /// The token itself.
    pub token: Secret<String>,
    /// What all its spellings have in common, and no other token has. The sid is derived from it.
    pub name: Secret<String>,
    /// Its claims.
    pub claims: Map<String, Value>,
    /// Its tenant, where the issuer has several.
    pub tenant: Tenant,
    /// How its person authenticated, as far as it says.
    pub proof: Proof,
    /// When it was issued: it admits nobody who was revoked since then.
    pub issued_at: Timestamp,
    /// When it ends at the latest.
    pub ends_at: Timestamp,
}

/// A source whose tokens identify people.
pub trait ReadsTokens: fmt::Debug + Send + Sync {
    /// The person of a token, as a login of theirs would describe them.
    fn read(&self, shown: &Shown) -> Result<Profile, NoPerson>;
}

/// Why a token identifies nobody.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoPerson {
    /// It was issued to a program for itself.
    #[error("it is a program's own, and tokens of this issuer are people's")]
    Program,
    /// It has no subject, or one that cannot be kept.
    #[error("it does not say whom it is about")]
    Subject,
}

/// Why a token admits nobody.
#[derive(Debug, thiserror::Error)]
pub enum HolderError {
    /// The connector does not read tokens.
    #[error("no connector of this name reads tokens")]
    NoConnector,
    /// It identifies nobody.
    #[error(transparent)]
    NoPerson(#[from] NoPerson),
    /// The person is not admitted.
    #[error("admit the person")]
    Admit(#[source] AdmitError),
    /// Its session was ended: signed out, revoked, closed or logged out at the source.
    #[error("its session was ended")]
    Over,
    /// The store failed.
    #[error("look for the session of the token")]
    Store(#[source] Arc<StoreError>),
}

/// The person of a token, as they were admitted.
pub struct Holder {
    /// The handle of the session, as a cookie would carry it. It is never sent.
    handle: Secret<String>,
    via: ConnectorId,
    fields: Fields,
    token: Arc<Secret<String>>,
    entitlements: ArcSwapOption<Entitlements>,
}

impl fmt::Debug for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Holder")
            .field("via", &self.via)
            .finish_non_exhaustive()
    }
}

/// One connector whose people may bring tokens.
#[derive(Clone, Debug)]
pub struct HolderTerms {
    /// Reads the token.
    pub reader: Arc<dyn ReadsTokens>,
    /// How they are admitted.
    pub admittance: Admittance,
}

/// The connectors whose people may send tokens. One per site.
#[derive(Debug)]
pub struct Holders {
    connectors: BTreeMap<ConnectorId, HolderTerms>,
    people: People,
    ring: Arc<KeyRing>,
    clock: Clock,
    telemetry: Telemetry,
}

impl Holders {
    /// Over the people of these connectors.
    pub fn new(
        connectors: impl Iterator<Item = HolderTerms>,
        people: &People,
        ring: &Arc<KeyRing>,
        clock: &Clock,
        telemetry: &Telemetry,
    ) -> Self {
        let named = connectors.map(|terms| (terms.admittance.connector.clone(), terms));
        Self {
            connectors: named.collect(),
            people: people.clone(),
            ring: Arc::clone(ring),
            clock: clock.clone(),
            telemetry: telemetry.clone(),
        }
    }

    /// Admits the person of a token, or finds the session it has. Called once for all requests that bring
    /// the same token.
    pub async fn admit(&self, via: &ConnectorId, shown: Shown) -> Result<Holder, HolderError> {
        let terms = self.connectors.get(via).ok_or(HolderError::NoConnector)?;
        let profile = terms.reader.read(&shown)?;
        let mapped = terms.admittance.mapping.map(&profile.raw);
        let mapped = mapped.map_err(|error| HolderError::Admit(AdmitError::Map(error)))?;
        let sid = Sid::derived(&[
            b"token",
            via.as_str().as_bytes(),
            profile.subject.as_str().as_bytes(),
            shown.name.expose().as_bytes(),
        ]);
        let (handle, kept) = match self.stored(sid).await? {
            Some(found) => known(sid, &found)?,
            None => {
                self.admit_new(terms, sid, &shown, profile, mapped.session_expires)
                    .await?
            }
        };
        Ok(Holder {
            handle: Secret::new(cookie::sign(&self.ring, &handle)),
            via: via.clone(),
            fields: if terms.admittance.sync {
                mapped.fields
            } else {
                kept
            },
            token: Arc::new(shown.token),
            entitlements: ArcSwapOption::empty(),
        })
    }

    /// Finds the session of a token; nothing when it was ended.
    ///
    /// # Errors
    /// The store failed. The request must not pass.
    pub async fn find(&self, holder: &Holder) -> Result<Option<Person>, Arc<StoreError>> {
        let terms = Terms {
            lifetime: IDLE,
            idle_timeout: IDLE,
        };
        let sessions = &self.people.sessions;
        let found = sessions.find(&self.ring, &terms, holder.handle.expose(), "");
        Ok(match found.await? {
            Found::Person(person) => Some(holder.with_fields_of_token(person)),
            Found::Missing(_) => None,
        })
    }

    async fn stored(&self, sid: Sid) -> Result<Option<StoredSession>, HolderError> {
        let found = self.people.sessions.stored(&sid.key()).await;
        found.map_err(|error| HolderError::Store(Arc::new(error)))
    }

    /// Admits the person and mints the one session that this token ever gets.
    async fn admit_new(
        &self,
        terms: &HolderTerms,
        sid: Sid,
        shown: &Shown,
        profile: Profile,
        session_expires: Option<Timestamp>,
    ) -> Result<(Handle, Fields), HolderError> {
        let via = &terms.admittance.connector;
        let (connector_epoch, everyone_epoch) = self.people.sessions.epochs_of(via);
        let admitted = self.people.admit_holder(&terms.admittance, &profile).await;
        let (account, kept) = admitted.map_err(|error| match error {
            AdmitError::Store(error) => HolderError::Store(Arc::new(error)),
            other => HolderError::Admit(other),
        })?;
        let ends_at = session_expires.map_or(shown.ends_at, |end| end.min(shown.ends_at));
        let login = NewLogin {
            account,
            via: via.clone(),
            subject: profile.subject,
            provider_sid: profile.provider_sid,
            proof: profile.facts,
            tokens: None,
            expires_at: Some(ends_at),
            began_at: shown.issued_at,
            connector_epoch,
            everyone_epoch,
        };
        let once = Once {
            sid,
            what: keys::fingerprint(&[b"a token's session", sid.key().as_bytes()]),
            until: shown.ends_at,
        };
        let lifetime = Terms {
            lifetime: shown.ends_at.since(self.clock.now()),
            idle_timeout: IDLE,
        };
        let (name, subject) = (login.account.login.clone(), login.subject.clone());
        let minted = self
            .people
            .sessions
            .mint_once(&self.ring, login, &lifetime, once);
        match minted.await {
            Ok(minting) => {
                self.telemetry.audit(&AuditRecord {
                    connector: Some(via.as_str()),
                    subject: Some(subject.as_str()),
                    login: Some(name.as_str()),
                    account: Some(&minting.handle.account),
                    session: Some(&minting.public_id),
                    reason: Some("token"),
                    ..AuditRecord::new(AuditEvent::Login, self.clock.now())
                });
                Ok((minting.handle, kept.fields))
            }
            // Another process admitted them a moment ago, or this session was ended.
            Err(MintError::Spent) => match self.stored(sid).await? {
                Some(found) => known(sid, &found),
                None => Err(HolderError::Over),
            },
            Err(MintError::Closed | MintError::Revoked) => Err(HolderError::Over),
            Err(MintError::Store(error)) => Err(HolderError::Store(Arc::new(error))),
        }
    }
}

/// The handle and the fields of a session that the token already has.
fn known(sid: Sid, found: &StoredSession) -> Result<(Handle, Fields), HolderError> {
    if found.account.closed {
        return Err(HolderError::Over);
    }
    let fields = serde_json::from_str(&found.entitlements);
    let damaged = |_| HolderError::Store(Arc::new(StoreError::Damaged { record: "identity" }));
    let handle = Handle {
        sid,
        account: found.account.id,
        issued_at: found.session.minted_at,
        expires_at: found.session.expires_at,
        host: None,
    };
    Ok((handle, fields.map_err(damaged)?))
}

impl Holder {
    /// Through which connector.
    pub fn via(&self) -> &ConnectorId {
        &self.via
    }

    /// The person of a session with the fields that this token gives, whatever other tokens and logins
    /// give.
    fn with_fields_of_token(&self, person: Person) -> Person {
        let (session, login) = (&person.session, &person.session.login);
        let made = self.entitlements.load_full();
        let entitlements = made.filter(|made| made.login == *login).unwrap_or_else(|| {
            let fields = self.fields.clone();
            let fresh = Entitlements::new(session.account, login, &self.via, fields, 0);
            let fresh = Arc::new(fresh);
            self.entitlements.store(Some(Arc::clone(&fresh)));
            fresh
        });
        Person {
            entitlements,
            sign_again: false,
            token: Some(Arc::clone(&self.token)),
            ..person
        }
    }
}
