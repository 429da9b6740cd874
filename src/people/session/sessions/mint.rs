//! Mints the session of a login, unless the account was closed or revoked during the login.

use super::Sessions;
use crate::clock::Timestamp;
use crate::keys::{self, KeyRing};
use crate::people::cookie::{SessionClaims, Sid};
use crate::people::profile::AuthContext;
use crate::people::provider_tokens::ProviderTokens;
use crate::people::session::{SessionTimeouts, tokens};
use crate::store::{
    Account, ConnectorId, MintOutcome, NewSession, SessionId, SessionOrigin, SessionRecord,
    StoreError, Subject,
};
use crate::wording::{Text, error_of_text};

/// The longest User-Agent that is stored, in characters.
const USER_AGENT_CHARS_MAX: usize = 256;

/// A login for which a session is minted.
#[derive(Clone, Debug)]
pub struct NewLogin {
    /// The account as it was admitted, with its epoch at that time.
    pub account: Account,
    pub via: ConnectorId,
    pub subject: Subject,
    /// The session ID at the provider.
    pub provider_sid: Option<String>,
    pub auth_context: AuthContext,
    pub tokens: Option<ProviderTokens>,
    /// The latest end of the session, if the provider limits it.
    pub expires_at: Option<Timestamp>,
    /// From where the login was sent.
    pub origin: SessionOrigin,
    pub began_at: Timestamp,
    /// The connector's epoch at the start of the login.
    pub connector_epoch: u64,
    /// The epoch of everyone at the start of the login.
    pub everyone_epoch: u64,
    /// Whether `provider_sid` must name the current password of a local person.
    pub needs_current_password: bool,
}

/// A session of which at most one is minted, such as that of a bearer token.
#[derive(Clone, Copy, Debug)]
pub struct OneTimeSession {
    pub sid: Sid,
    /// The value that is recorded as spent in the transaction that stores the session, so that there is
    /// no second one.
    pub spend_key: [u8; 32],
    /// Until when `spend_key` is remembered as spent.
    pub until: Timestamp,
}

/// Why no session was minted.
#[derive(Debug)]
pub enum MintError {
    Closed,
    /// The account, the connector or everyone was revoked during the login.
    Revoked,
    /// The `spend_key` of a [`OneTimeSession`] was spent before.
    Spent,
    Store(StoreError),
}

impl MintError {
    fn text(&self) -> Text {
        match self {
            Self::Closed => Text::fixed(
                "the account was closed during the login",
                "登录过程中账号被关闭",
            ),
            Self::Revoked => Text::fixed(
                "a revocation took effect during the login",
                "登录过程中会话被吊销",
            ),
            Self::Spent => Text::fixed("a session was minted for it before", "已为它建立过会话"),
            Self::Store(_) => Text::fixed("mint the session", "无法建立会话"),
        }
    }

    fn cause(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Store(source) => Some(source),
            Self::Closed | Self::Revoked | Self::Spent => None,
        }
    }
}

error_of_text!(MintError, caused);

#[derive(Clone, Debug)]
pub struct MintedSession {
    /// The content of its cookie.
    pub claims: SessionClaims,
    /// Names the session in logs.
    pub public_id: SessionId,
}

impl Sessions {
    /// Mints a session with a new session ID. `ring` seals the provider's tokens; tokens that are too large
    /// are dropped.
    pub async fn mint(
        &self,
        ring: &KeyRing,
        login: NewLogin,
        timeouts: &SessionTimeouts,
    ) -> Result<MintedSession, MintError> {
        self.mint_as(ring, login, timeouts, Sid::random(), None)
            .await
    }

    /// Mints a session unless one was minted for the same token before.
    pub async fn mint_once(
        &self,
        ring: &KeyRing,
        login: NewLogin,
        timeouts: &SessionTimeouts,
        once: OneTimeSession,
    ) -> Result<MintedSession, MintError> {
        let spend_once = Some((once.spend_key, once.until));
        self.mint_as(ring, login, timeouts, once.sid, spend_once)
            .await
    }

    async fn mint_as(
        &self,
        ring: &KeyRing,
        login: NewLogin,
        timeouts: &SessionTimeouts,
        sid: Sid,
        spend_once: Option<([u8; 32], Timestamp)>,
    ) -> Result<MintedSession, MintError> {
        let now = self.clock.now();
        let end = now.plus(timeouts.lifetime);
        let expires_at = login.expires_at.map_or(end, |earlier| earlier.min(end));
        let record = SessionRecord {
            key: sid.key(),
            public_id: SessionId::new(keys::random()),
            account: login.account.id,
            connector: login.via,
            subject: login.subject,
            provider_sid: login.provider_sid,
            auth_context: serde_json::to_string(&AuthContext {
                vouched_until: login.expires_at,
                ..login.auth_context
            })
            .expect("an authentication context is plain data"),
            minted_at: now,
            expires_at,
            used_at: now,
        };
        let public_id = record.public_id;
        let sealed = login.tokens.map(|tokens| {
            let sealed = tokens::seal(ring, &record.key, &tokens, now);
            if sealed.is_none() {
                tracing::warn!(connector = %record.connector, "the tokens of a login are too large to be stored: its session continues without them");
            }
            sealed
        });
        let new_session = NewSession {
            record,
            origin: stored_origin(login.origin),
            account_epoch: login.account.epoch,
            connector_epoch: login.connector_epoch,
            everyone_epoch: login.everyone_epoch,
            began_at: login.began_at,
            needs_current_password: login.needs_current_password,
            tokens: sealed.flatten(),
            spend_once,
        };
        match self
            .store
            .mint(&new_session)
            .await
            .map_err(MintError::Store)?
        {
            MintOutcome::Session => Ok(MintedSession {
                claims: SessionClaims {
                    sid,
                    account: login.account.id,
                    confirmed_at: now,
                    expires_at,
                    host: None,
                },
                public_id,
            }),
            MintOutcome::Spent => Err(MintError::Spent),
            MintOutcome::AccountClosed => Err(MintError::Closed),
            MintOutcome::Revoked | MintOutcome::LoggedOut => Err(MintError::Revoked),
        }
    }
}

/// The origin with a User-Agent of limited length and without control characters.
fn stored_origin(origin: SessionOrigin) -> SessionOrigin {
    let user_agent = origin.user_agent.map(|text| {
        let text = text.chars().filter(|c| !c.is_control());
        text.take(USER_AGENT_CHARS_MAX).collect::<String>()
    });
    SessionOrigin {
        user_agent: user_agent.filter(|text| !text.is_empty()),
        ..origin
    }
}
