//! RecentUnsolicited that nobody here asked for: a ticket is redeemed once, and then lets one browser in.
//!
//! Whoever can send a browser to an address can send it with a ticket of their own. So the ticket is
//! redeemed first, and whether the person comes in at once or is asked is decided by who is here.

use std::sync::Arc;
use std::time::Duration;

use moka::sync::Cache;

use super::connector::{AuthnResponse, ConnectorError};
use super::finish::{self, FinishedLogin};
use super::limits::{HalfOpenPermit, Step};
use super::pending::{FlowId, Mode, PENDING_AGE_MAX_S, Pending};
use super::return_to::ReturnTo;
use super::ticket::SpentTickets;
use super::unsolicited::{EntryTokenHash, UnsolicitedLogin};
use super::{ConnectorEntry, Login, LoginError};
use crate::keys;
use crate::people::profile::Fields;
use crate::people::session::NewLogin;
use crate::store::{Account, ConnectorId};

/// How long the browser that came in may repeat its request.
const REPEAT_WINDOW: Duration = Duration::from_secs(30);

/// How many recent_unsolicited are remembered for that.
const FINISHED_MAX: u64 = 10_000;

/// The recent_unsolicited of a moment ago. Clones share one memory.
#[derive(Clone, Debug)]
pub(super) struct RecentUnsolicited {
    /// Asked about before the source is: who repeats a ticket costs it nothing.
    tickets: SpentTickets,
    finished_logins: Cache<EntryTokenHash, Arc<FinishedLogin>>,
}

impl Default for RecentUnsolicited {
    fn default() -> Self {
        let finished_logins = Cache::builder()
            .max_capacity(FINISHED_MAX)
            .time_to_live(REPEAT_WINDOW)
            .build();
        Self {
            tickets: SpentTickets::default(),
            finished_logins,
        }
    }
}

impl Login {
    /// Redeems a ticket that nobody here asked for, once on all nodes. Nobody comes in by this alone.
    /// Cancel-safe: the work goes on without us.
    pub async fn redeem_unsolicited(
        &self,
        entry: &Arc<ConnectorEntry>,
        ticket: EntryTokenHash,
        answer: AuthnResponse,
    ) -> Result<Pending, LoginError> {
        let limits = &self.limits;
        if !self.recent_unsolicited.tickets.try_spend(ticket.bytes()) {
            return Err(LoginError::AlreadyUsed);
        }
        let taken = limits.acquire(Step::Finish, answer.client);
        let permit = taken.and_then(|()| limits.enter_circuit(&entry.id, answer.client));
        let permit = permit.map_err(|limited| {
            self.recent_unsolicited.tickets.unspend(ticket.bytes());
            LoginError::Limited(limited)
        })?;
        let home = ReturnTo::home();
        let mut pending = Pending::new(entry.id.clone(), Mode::Web, home, self.clock.now());
        (pending.connector_epoch, pending.everyone_epoch) = self.sessions.epochs_of(&entry.id);
        let (this, entry) = (self.clone(), Arc::clone(entry));
        let work = tokio::spawn(async move {
            let unsolicited = this.admit_arrival(&entry, ticket, &answer, permit).await;
            match &unsolicited {
                // What was not redeemed may be brought again.
                Err(error) if !matches!(error, LoginError::AlreadyUsed) => {
                    this.recent_unsolicited.tickets.unspend(ticket.bytes());
                }
                _ => {}
            }
            unsolicited
        });
        let unsolicited = work.await.unwrap_or(Err(LoginError::TaskFailed))?;
        pending.unsolicited = Some(Box::new(unsolicited));
        Ok(pending)
    }

    async fn admit_arrival(
        &self,
        entry: &ConnectorEntry,
        ticket: EntryTokenHash,
        answer: &AuthnResponse,
        permit: Option<HalfOpenPermit>,
    ) -> Result<UnsolicitedLogin, LoginError> {
        let arrived = entry.connector.redeem_entry_token(answer).await;
        match &arrived {
            Ok(_) => self.limits.record_code(&entry.id, answer.client, true),
            Err(ConnectorError::Stale(_)) => {
                self.limits.record_code(&entry.id, answer.client, false)
            }
            Err(_) => {}
        }
        drop(permit);
        let arrived = arrived.map_err(LoginError::Connector)?;
        let profile = arrived.profile;
        let failed = |source| LoginError::Admit {
            subject: profile.subject.clone(),
            source,
        };
        let spent = match &arrived.token_id {
            Some(id) => {
                keys::fingerprint(&[b"ticket", entry.id.as_str().as_bytes(), id.as_bytes()])
            }
            None => *ticket.bytes(),
        };
        // Before anything is written about the person: a ticket that is repeated changes nothing.
        let first = self
            .people
            .spend_ticket(&spent, arrived.token_expires_at)
            .await;
        if !first.map_err(|error| failed(crate::people::AdmitError::Store(error)))? {
            return Err(LoginError::AlreadyUsed);
        }
        let admitted = self.people.admit(&entry.admittance, &profile).await;
        let (account, mapped) = admitted.map_err(failed)?;
        Ok(UnsolicitedLogin {
            account: account.id,
            login: account.login,
            name: mapped.fields.name,
            account_epoch: account.epoch,
            subject: profile.subject,
            provider_sid: profile.provider_sid,
            proof: profile.facts,
            expires_at: mapped.session_expires,
            ticket,
        })
    }

    /// Lets somebody in whose ticket was redeemed, once.
    pub async fn finish_unsolicited(
        &self,
        pending: &Pending,
    ) -> Result<Arc<FinishedLogin>, LoginError> {
        let (Some(unsolicited), Some(entry)) =
            (&pending.unsolicited, self.entry(&pending.connector))
        else {
            return Err(LoginError::UnknownConnector);
        };
        // The button may be pressed twice.
        if let Some(finished) = self
            .recent_unsolicited
            .finished_logins
            .get(&unsolicited.ticket)
        {
            return Ok(finished);
        }
        let failed = |source| LoginError::Admit {
            subject: unsolicited.subject.clone(),
            source,
        };
        let until = Duration::from_secs(PENDING_AGE_MAX_S + 1);
        let until = pending.begun_at.plus(until);
        let once = keys::fingerprint(&[b"unsolicited enters", pending.flow.as_str().as_bytes()]);
        let first = self.people.spend_ticket(&once, until).await;
        if !first.map_err(|error| failed(crate::people::AdmitError::Store(error)))? {
            return Err(LoginError::AlreadyUsed);
        }
        let login = NewLogin {
            account: Account {
                id: unsolicited.account,
                login: unsolicited.login.clone(),
                epoch: unsolicited.account_epoch,
                closed: false,
            },
            via: entry.id.clone(),
            subject: unsolicited.subject.clone(),
            provider_sid: unsolicited.provider_sid.clone(),
            proof: unsolicited.proof.clone(),
            tokens: None,
            expires_at: unsolicited.expires_at,
            began_at: pending.begun_at,
            connector_epoch: pending.connector_epoch,
            everyone_epoch: pending.everyone_epoch,
        };
        let fields = Fields {
            name: unsolicited.name.clone(),
            ..Fields::default()
        };
        let minter = finish::SessionMinter {
            ring: &self.ring,
            sessions: &self.sessions,
            terms: &self.terms,
        };
        let finished = minter
            .mint(login, fields, pending.return_to.clone())
            .await?;
        let finished = Arc::new(finished);
        let finished_logins = &self.recent_unsolicited.finished_logins;
        finished_logins.insert(unsolicited.ticket, Arc::clone(&finished));
        Ok(finished)
    }

    /// Whoever came in by a ticket a moment ago: their browser may repeat its request.
    pub fn recent_unsolicited_login(&self, ticket: &EntryTokenHash) -> Option<Arc<FinishedLogin>> {
        self.recent_unsolicited.finished_logins.get(ticket)
    }

    /// Seals an unsolicited for the browser that must be asked first.
    pub fn seal_pending(&self, pending: &mut Pending) -> String {
        pending.seal(&self.ring)
    }

    /// Opens the memory of an unsolicited.
    pub fn open_unsolicited(
        &self,
        via: &ConnectorId,
        flow: &FlowId,
        sealed: Option<&str>,
    ) -> Result<Pending, super::PendingError> {
        let sealed = sealed.ok_or(super::PendingError::Missing)?;
        let pending = Pending::open(&self.ring, flow, via, sealed, self.clock.now())?;
        match pending.unsolicited {
            Some(_) => Ok(pending),
            None => Err(super::PendingError::Forged),
        }
    }
}
