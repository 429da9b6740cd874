//! Minting: a session for somebody who was just proved, if everything it stands on still stands.

use super::Sessions;
use crate::clock::Timestamp;
use crate::keys::{self, KeyRing};
use crate::people::cookie::{Handle, Sid};
use crate::people::profile::Proof;
use crate::people::session::{Terms, tokens};
use crate::people::source::Tokens;
use crate::store::{
    Account, ConnectorId, Minted, NewSession, SessionId, SessionRecord, StoreError, Subject,
};

/// What a session is minted from.
#[derive(Clone, Debug)]
pub struct NewLogin {
    /// Who came in; the number is the one it was admitted under.
    pub account: Account,
    /// Who proved them.
    pub via: ConnectorId,
    /// What that source calls them.
    pub subject: Subject,
    /// The session's name at the provider.
    pub provider_sid: Option<String>,
    /// What the login proved besides.
    pub proof: Proof,
    /// What the source handed out besides.
    pub tokens: Option<Tokens>,
    /// The session ends no later.
    pub expires_at: Option<Timestamp>,
    /// When the login began.
    pub began_at: Timestamp,
    /// The connector's number then.
    pub connector_epoch: u64,
    /// Everyone's number then.
    pub everyone_epoch: u64,
}

/// A session that something gets once, whatever becomes of it.
#[derive(Clone, Copy, Debug)]
pub struct Once {
    /// Its name.
    pub sid: Sid,
    /// What is spent by it.
    pub what: [u8; 32],
    /// How long that is remembered.
    pub until: Timestamp,
}

/// Why no session was minted.
#[derive(Debug, thiserror::Error)]
pub enum MintError {
    /// The account was closed while they logged in.
    #[error("the account was closed during the login")]
    Closed,
    /// The person, the connector or everyone was revoked while they logged in.
    #[error("the login was overtaken by a revocation")]
    Revoked,
    /// What the session was for has had one.
    #[error("it has had its session")]
    Spent,
    /// The store.
    #[error("mint the session")]
    Store(#[source] StoreError),
}

/// A session that was minted.
#[derive(Clone, Debug)]
pub struct Minting {
    /// What its cookie says.
    pub handle: Handle,
    /// For logs and audit.
    pub public_id: SessionId,
}

impl Sessions {
    /// Mints a session: a new id at every login. Answers the handle to sign. `ring` seals its tokens;
    /// those that are too large are left out.
    pub async fn mint(
        &self,
        ring: &KeyRing,
        login: NewLogin,
        terms: &Terms,
    ) -> Result<Minting, MintError> {
        self.mint_as(ring, login, terms, Sid::random(), None).await
    }

    /// The same for something that gets a session once.
    pub(in crate::people) async fn mint_once(
        &self,
        ring: &KeyRing,
        login: NewLogin,
        terms: &Terms,
        once: Once,
    ) -> Result<Minting, MintError> {
        let spends = Some((once.what, once.until));
        self.mint_as(ring, login, terms, once.sid, spends).await
    }

    async fn mint_as(
        &self,
        ring: &KeyRing,
        login: NewLogin,
        terms: &Terms,
        sid: Sid,
        spends: Option<([u8; 32], Timestamp)>,
    ) -> Result<Minting, MintError> {
        let now = self.clock.now();
        let end = now.plus(terms.lifetime);
        let expires_at = login.expires_at.map_or(end, |earlier| earlier.min(end));
        let record = SessionRecord {
            key: sid.key(),
            public_id: SessionId::new(keys::random()),
            account: login.account.id,
            connector: login.via,
            subject: login.subject,
            provider_sid: login.provider_sid,
            facts: serde_json::to_string(&login.proof).expect("a proof is plain data"),
            minted_at: now,
            expires_at,
            used_at: now,
        };
        let public_id = record.public_id;
        let sealed = login.tokens.map(|tokens| {
            let sealed = tokens::seal(ring, &record.key, &tokens, now);
            if sealed.is_none() {
                tracing::warn!(connector = %record.connector, "tokens are too large to be kept");
            }
            sealed
        });
        let new = NewSession {
            record,
            account_epoch: login.account.epoch,
            connector_epoch: login.connector_epoch,
            everyone_epoch: login.everyone_epoch,
            began_at: login.began_at,
            tokens: sealed.flatten(),
            spends,
        };
        match self.store.mint(&new).await.map_err(MintError::Store)? {
            Minted::Session => Ok(Minting {
                handle: Handle {
                    sid,
                    account: login.account.id,
                    issued_at: now,
                    expires_at,
                    host: None,
                },
                public_id,
            }),
            Minted::Spent => Err(MintError::Spent),
            Minted::AccountClosed => Err(MintError::Closed),
            Minted::Revoked | Minted::LoggedOut => Err(MintError::Revoked),
        }
    }
}
