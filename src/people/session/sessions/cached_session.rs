//! `CachedSession`: the session of a cookie or an access token in the cache, and the epochs that make it void.

use std::sync::Arc;

use crate::clock::Timestamp;
use crate::people::access_tokens::UsedAccessToken;
use crate::people::cookie::HostFingerprint;
use crate::people::session::Session;
use crate::people::session::shared_state::{AccountState, Epoch, IdentityState, SessionState};
use crate::people::session::tokens::TokenState;

/// A cached session, or the session that an access token stands for, with the epochs at its load.
pub(super) struct CachedSession {
    pub(super) session: Arc<Session>,
    /// The only host on which its cookie is valid.
    pub(super) host: Option<HostFingerprint>,
    pub(super) confirmed_at: Timestamp,
    pub(super) signed_by_first_key: bool,
    pub(super) identity: Arc<IdentityState>,
    pub(super) state: Arc<SessionState>,
    pub(super) tokens: Option<Arc<TokenState>>,
    /// Present if an access token is the credential, and not a cookie.
    pub(super) access_token: Option<Arc<UsedAccessToken>>,
    pub(super) account: Arc<AccountState>,
    pub(super) connector_epoch: Arc<Epoch>,
    pub(super) at_load: LoadEpochs,
}

/// The epochs when a session was loaded. If one has changed since, the session is void or is loaded again.
pub(super) struct LoadEpochs {
    pub(super) ring: u64,
    pub(super) account: u64,
    /// [`AccountState::changes`].
    pub(super) account_changes: u64,
    pub(super) connector: u64,
    pub(super) everyone: u64,
    pub(super) generation: u64,
}
