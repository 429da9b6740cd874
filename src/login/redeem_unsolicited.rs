//! Logins that a provider starts: redeems the token that a browser brings to the entry point, and
//! mints the session.
//!
//! Any page can send a browser to the entry point with a token of its own choice. So redeeming and
//! minting are separate steps: if another person is signed in, the face asks for confirmation between
//! them.

use std::sync::Arc;
use std::time::Duration;

use moka::sync::Cache;

use super::connector::{AuthnResponse, ConnectorError};
use super::finish::{FinishedLogin, SessionMinter, one_time_key};
use super::limits::{HalfOpenPermit, Step};
use super::pending::{FlowId, Mode, PENDING_AGE_MAX_S, Pending, PendingError};
use super::return_to::ReturnTo;
use super::ticket::{CLOCK_DIFFERENCE_MAX, SpentTickets};
use super::unsolicited::{EntryTokenHash, UnsolicitedLogin};
use super::{ConnectorEntry, Login, LoginError};
use crate::keys;
use crate::people::cookie::Sid;
use crate::people::profile::UserFields;
use crate::people::provider_tokens::ProviderTokens;
use crate::people::session::{NewLogin, OneTimeSession};
use crate::single_flight::SingleFlight;
use crate::store::{Account, ConnectorId, SessionOrigin};

/// How long a repeated request gets the session of the first request.
const REPEAT_WINDOW: Duration = Duration::from_secs(30);

/// The most finished logins that are cached for repeated requests.
const FINISHED_MAX: u64 = 10_000;

/// The result of minting, for every request that waits for it.
type MintResult = Result<Arc<FinishedLogin>, Arc<LoginError>>;

/// Recent logins that a provider started. Clones share their state.
#[derive(Clone, Debug)]
pub(super) struct RecentUnsolicited {
    /// Used entry tokens. They are checked first, so that a repeated token causes no call to the source.
    spent_tokens: SpentTickets,
    minting: SingleFlight<FlowId, MintResult>,
    finished: Cache<EntryTokenHash, Arc<FinishedLogin>>,
}

impl Default for RecentUnsolicited {
    fn default() -> Self {
        Self {
            spent_tokens: SpentTickets::default(),
            minting: SingleFlight::default(),
            finished: Cache::builder()
                .max_capacity(FINISHED_MAX)
                .time_to_live(REPEAT_WINDOW)
                .build(),
        }
    }
}

impl Login {
    /// Redeems an entry token and admits its person. All processes together accept a token once. Mints no
    /// session. Cancel-safe: the work continues in a task of its own.
    pub async fn redeem_unsolicited(
        &self,
        entry: &Arc<ConnectorEntry>,
        token: String,
        response: AuthnResponse,
    ) -> Result<Pending, LoginError> {
        let hash = EntryTokenHash::of(&entry.id, &token);
        let (limits, tokens) = (&self.limits, &self.recent_unsolicited.spent_tokens);
        if !tokens.try_spend(hash.bytes()) {
            return Err(LoginError::AlreadyUsed);
        }
        let acquired = limits.acquire(Step::EntryToken, response.client);
        let permit = acquired.and_then(|()| limits.enter_circuit(&entry.id, response.client));
        let permit = permit.map_err(|limited| {
            tokens.unspend(hash.bytes());
            LoginError::Limited(limited)
        })?;
        let return_to = ReturnTo::login_host_root();
        let mut pending = Pending::new(entry.id.clone(), Mode::Web, return_to, self.clock.now());
        (pending.connector_epoch, pending.everyone_epoch) = self.sessions.epochs_of(&entry.id);
        let (this, entry) = (self.clone(), Arc::clone(entry));
        let task = tokio::spawn(async move {
            let admitted = this
                .admit_unsolicited(&entry, (&token, hash), &response, permit)
                .await;
            match &admitted {
                Ok(_) | Err(LoginError::AlreadyUsed) => {}
                // A token that was not redeemed may be sent again.
                Err(_) => this.recent_unsolicited.spent_tokens.unspend(hash.bytes()),
            }
            admitted
        });
        let unsolicited = task.await.unwrap_or(Err(LoginError::TaskFailed))?;
        pending.unsolicited = Some(Box::new(unsolicited));
        Ok(pending)
    }

    async fn admit_unsolicited(
        &self,
        entry: &ConnectorEntry,
        (token, hash): (&str, EntryTokenHash),
        response: &AuthnResponse,
        permit: Option<HalfOpenPermit>,
    ) -> Result<UnsolicitedLogin, LoginError> {
        let redeemed = entry.connector.redeem_entry_token(token, response).await;
        entry.health.record(&redeemed, self.clock.now());
        let (limits, client) = (&self.limits, response.client);
        match &redeemed {
            Ok(_) => limits.record_code(&entry.id, client, true),
            Err(ConnectorError::CodeRejected(_)) => limits.record_code(&entry.id, client, false),
            Err(_) => {}
        }
        drop(permit);
        let redeemed = redeemed.map_err(LoginError::Connector)?;
        let profile = redeemed.profile;
        let failed = |source| LoginError::Admit {
            subject: profile.subject.clone(),
            source,
        };
        let spend_key = match &redeemed.token_id {
            Some(id) => one_time_key(&entry.id, id),
            None => *hash.bytes(),
        };
        // In one step: a repeated token changes no account, and a failure of the store spends nothing.
        let until = redeemed.token_expires_at.plus(CLOCK_DIFFERENCE_MAX);
        let token_key = (&spend_key, until);
        let admitted = self
            .people
            .admit_once(&entry.admission, &profile, token_key);
        let admitted = admitted.await.map_err(failed)?;
        let (account, mapped) = admitted.ok_or(LoginError::AlreadyUsed)?;
        Ok(UnsolicitedLogin {
            account: account.id,
            login: account.login,
            name: mapped.fields.name,
            account_epoch: account.epoch,
            subject: profile.subject,
            provider_sid: profile.provider_sid,
            expires_at: profile.auth_context.earlier_end(mapped.session_expires),
            auth_context: profile.auth_context,
            logout_hint: profile.tokens.and_then(|tokens| tokens.id),
            token: hash,
        })
    }

    /// Mints the one session of a redeemed entry token. A request that is repeated within
    /// 30 seconds, or that arrives while the first runs, gets the same session. Cancel-safe: the
    /// work continues in a task of its own.
    pub async fn finish_unsolicited(
        &self,
        pending: &Pending,
        origin: SessionOrigin,
    ) -> Result<Arc<FinishedLogin>, Arc<LoginError>> {
        let Some(unsolicited) = &pending.unsolicited else {
            return Err(Arc::new(LoginError::UnknownConnector));
        };
        let recent = &self.recent_unsolicited;
        let minting = recent.minting.try_run(pending.flow.clone(), || {
            if let Some(finished) = recent.finished.get(&unsolicited.token) {
                return Err(finished);
            }
            let (this, pending, token) = (self.clone(), pending.clone(), unsolicited.token);
            Ok(async move {
                let finished = Arc::new(
                    this.mint_unsolicited(&pending, origin)
                        .await
                        .map_err(Arc::new)?,
                );
                let recent = &this.recent_unsolicited.finished;
                recent.insert(token, Arc::clone(&finished));
                Ok(finished)
            })
        });
        match minting {
            Ok(call) => call
                .await
                .unwrap_or_else(|_| Err(Arc::new(LoginError::TaskFailed))),
            Err(finished) => Ok(finished),
        }
    }

    /// Mints the session and spends the flow in one transaction, so that an outage of the store
    /// spends nothing.
    async fn mint_unsolicited(
        &self,
        pending: &Pending,
        origin: SessionOrigin,
    ) -> Result<FinishedLogin, LoginError> {
        let (Some(unsolicited), Some(entry)) =
            (&pending.unsolicited, self.entry(&pending.connector))
        else {
            return Err(LoginError::UnknownConnector);
        };
        let pending_lifetime = Duration::from_secs(PENDING_AGE_MAX_S + 1);
        let once = OneTimeSession {
            sid: Sid::random(),
            // The label never changes, so that flows stay spent when menshen is updated.
            spend_key: keys::fingerprint(&[b"arrival enters", pending.flow.as_str().as_bytes()]),
            until: pending.begun_at.plus(pending_lifetime),
        };
        let login = NewLogin {
            account: Account {
                id: unsolicited.account,
                login: unsolicited.login.clone(),
                epoch: unsolicited.account_epoch,
                closed: false,
                local: None,
            },
            via: entry.id.clone(),
            subject: unsolicited.subject.clone(),
            provider_sid: unsolicited.provider_sid.clone(),
            auth_context: unsolicited.auth_context.clone(),
            tokens: unsolicited.logout_hint.clone().map(|hint| ProviderTokens {
                id: Some(hint),
                ..ProviderTokens::default()
            }),
            expires_at: unsolicited.expires_at,
            origin,
            began_at: pending.begun_at,
            connector_epoch: pending.connector_epoch,
            everyone_epoch: pending.everyone_epoch,
            needs_current_password: false,
        };
        let fields = UserFields {
            name: unsolicited.name.clone(),
            ..UserFields::default()
        };
        let minter = SessionMinter {
            ring: &self.ring,
            sessions: &self.sessions,
            timeouts: &self.timeouts,
        };
        let return_to = pending.return_to.clone();
        minter.mint(login, fields, return_to, Some(once)).await
    }

    /// The login that this entry token finished recently, for a browser that repeats its request.
    pub fn recent_unsolicited_login(&self, token: &EntryTokenHash) -> Option<Arc<FinishedLogin>> {
        self.recent_unsolicited.finished.get(token)
    }

    /// Seals an unsolicited login for the browser that must confirm it.
    pub fn seal_pending(&self, pending: &mut Pending) -> Result<String, LoginError> {
        pending.seal(&self.ring).map_err(LoginError::TooLarge)
    }

    /// Opens a sealed unsolicited login.
    pub fn open_unsolicited(
        &self,
        via: &ConnectorId,
        flow: &FlowId,
        sealed: Option<&str>,
    ) -> Result<Pending, PendingError> {
        let sealed = sealed.ok_or(PendingError::Missing)?;
        let pending = Pending::open(&self.ring, flow, via, sealed, self.clock.now())?;
        match pending.unsolicited {
            Some(_) => Ok(pending),
            None => Err(PendingError::Forged),
        }
    }
}
