//! Arrivals that nobody here asked for: a ticket is redeemed once, and then lets one browser in.
//!
//! Whoever can send a browser to an address can send it with a ticket of their own. So the ticket is
//! redeemed first, and whether the person comes in at once or is asked is decided by who is here.

use std::sync::Arc;
use std::time::Duration;

use moka::sync::Cache;

use super::arrival::{Arrival, TicketHash};
use super::connector::{Answer, ConnectorError};
use super::finish::{self, Finished};
use super::limits::{Step, Trial};
use super::pending::{FlowId, Mode, PENDING_AGE_MAX_S, Pending};
use super::return_to::ReturnTo;
use super::ticket::SpentTickets;
use super::{Entry, Login, LoginError};
use crate::keys;
use crate::people::profile::Fields;
use crate::people::session::NewLogin;
use crate::store::{Account, ConnectorId};

/// How long the browser that came in may repeat its request.
const REPEATED_WITHIN: Duration = Duration::from_secs(30);

/// How many arrivals are remembered for that.
const REPEATED_MAX: u64 = 10_000;

/// The arrivals of a moment ago. Clones share one memory.
#[derive(Clone, Debug)]
pub(super) struct Arrivals {
    /// Asked about before the source is: who repeats a ticket costs it nothing.
    tickets: SpentTickets,
    came_in: Cache<TicketHash, Arc<Finished>>,
}

impl Default for Arrivals {
    fn default() -> Self {
        let came_in = Cache::builder()
            .max_capacity(REPEATED_MAX)
            .time_to_live(REPEATED_WITHIN)
            .build();
        Self {
            tickets: SpentTickets::default(),
            came_in,
        }
    }
}

impl Login {
    /// Redeems a ticket that nobody here asked for, once on all nodes. Nobody comes in by this alone.
    /// Cancel-safe: the work goes on without us.
    pub async fn redeem(
        &self,
        entry: &Arc<Entry>,
        ticket: TicketHash,
        answer: Answer,
    ) -> Result<Pending, LoginError> {
        let limits = &self.limits;
        if !self.arrivals.tickets.is_first(ticket.bytes()) {
            return Err(LoginError::TicketSpent);
        }
        let taken = limits.take(Step::Finish, answer.client);
        let trial = taken.and_then(|()| limits.may_ask(&entry.id, answer.client));
        let trial = trial.map_err(|limited| {
            self.arrivals.tickets.forget(ticket.bytes());
            LoginError::Limited(limited)
        })?;
        let home = ReturnTo::home();
        let mut pending = Pending::new(entry.id.clone(), Mode::Web, home, self.clock.now());
        (pending.connector_epoch, pending.everyone_epoch) = self.sessions.epochs_of(&entry.id);
        let (this, entry) = (self.clone(), Arc::clone(entry));
        let work = tokio::spawn(async move {
            let arrival = this.admit_arrival(&entry, ticket, &answer, trial).await;
            match &arrival {
                // What was not redeemed may be brought again.
                Err(error) if !matches!(error, LoginError::TicketSpent) => {
                    this.arrivals.tickets.forget(ticket.bytes());
                }
                _ => {}
            }
            arrival
        });
        let arrival = work.await.unwrap_or(Err(LoginError::Dropped))?;
        pending.arrival = Some(Box::new(arrival));
        Ok(pending)
    }

    async fn admit_arrival(
        &self,
        entry: &Entry,
        ticket: TicketHash,
        answer: &Answer,
        trial: Option<Trial>,
    ) -> Result<Arrival, LoginError> {
        let arrived = entry.connector.arrive(answer).await;
        match &arrived {
            Ok(_) => self.limits.asked(&entry.id, answer.client, true),
            Err(ConnectorError::Stale(_)) => self.limits.asked(&entry.id, answer.client, false),
            Err(_) => {}
        }
        drop(trial);
        let arrived = arrived.map_err(LoginError::Connector)?;
        let profile = arrived.profile;
        let failed = |source| LoginError::Admit {
            subject: profile.subject.clone(),
            source,
        };
        let spent = match &arrived.ticket_id {
            Some(id) => {
                keys::fingerprint(&[b"ticket", entry.id.as_str().as_bytes(), id.as_bytes()])
            }
            None => *ticket.bytes(),
        };
        // Before anything is written about the person: a ticket that is repeated changes nothing.
        let first = self
            .people
            .spend_ticket(&spent, arrived.ticket_ends_at)
            .await;
        if !first.map_err(|error| failed(crate::people::AdmitError::Store(error)))? {
            return Err(LoginError::TicketSpent);
        }
        let admitted = self.people.admit(&entry.admittance, &profile).await;
        let (account, mapped) = admitted.map_err(failed)?;
        Ok(Arrival {
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
    pub async fn enter(&self, pending: &Pending) -> Result<Arc<Finished>, LoginError> {
        let (Some(arrival), Some(entry)) = (&pending.arrival, self.entry(&pending.connector))
        else {
            return Err(LoginError::NoConnector);
        };
        // The button may be pressed twice.
        if let Some(finished) = self.arrivals.came_in.get(&arrival.ticket) {
            return Ok(finished);
        }
        let failed = |source| LoginError::Admit {
            subject: arrival.subject.clone(),
            source,
        };
        let until = Duration::from_secs(PENDING_AGE_MAX_S + 1);
        let until = pending.begun_at.plus(until);
        let once = keys::fingerprint(&[b"arrival enters", pending.flow.as_str().as_bytes()]);
        let first = self.people.spend_ticket(&once, until).await;
        if !first.map_err(|error| failed(crate::people::AdmitError::Store(error)))? {
            return Err(LoginError::TicketSpent);
        }
        let login = NewLogin {
            account: Account {
                id: arrival.account,
                login: arrival.login.clone(),
                epoch: arrival.account_epoch,
                closed: false,
            },
            via: entry.id.clone(),
            subject: arrival.subject.clone(),
            provider_sid: arrival.provider_sid.clone(),
            proof: arrival.proof.clone(),
            tokens: None,
            expires_at: arrival.expires_at,
            began_at: pending.begun_at,
            connector_epoch: pending.connector_epoch,
            everyone_epoch: pending.everyone_epoch,
        };
        let fields = Fields {
            name: arrival.name.clone(),
            ..Fields::default()
        };
        let minting = finish::Minting {
            ring: &self.ring,
            sessions: &self.sessions,
            terms: &self.terms,
        };
        let finished = minting
            .mint(login, fields, pending.return_to.clone())
            .await?;
        let finished = Arc::new(finished);
        let came_in = &self.arrivals.came_in;
        came_in.insert(arrival.ticket, Arc::clone(&finished));
        Ok(finished)
    }

    /// Whoever came in by a ticket a moment ago: their browser may repeat its request.
    pub fn came_in_by(&self, ticket: &TicketHash) -> Option<Arc<Finished>> {
        self.arrivals.came_in.get(ticket)
    }

    /// Seals an arrival for the browser that must be asked first.
    pub fn hold(&self, pending: &mut Pending) -> String {
        pending.seal(&self.ring)
    }

    /// Opens the memory of an arrival.
    pub fn held(
        &self,
        via: &ConnectorId,
        flow: &FlowId,
        sealed: Option<&str>,
    ) -> Result<Pending, super::PendingError> {
        let sealed = sealed.ok_or(super::PendingError::Missing)?;
        let pending = Pending::open(&self.ring, flow, via, sealed, self.clock.now())?;
        match pending.arrival {
            Some(_) => Ok(pending),
            None => Err(super::PendingError::Forged),
        }
    }
}
