//! `Held`: what was ended and is not stored yet. It holds in this process from the first moment, and
//! is stored as soon as the store takes it.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::Sessions;
use crate::clock::Timestamp;
use crate::people::session::cell::{AccountCell, Epoch, SessionCell};
use crate::store::{
    AccountId, ConnectorId, LogoutMark, Revocation, Scope, SessionRecord, StoreError, Subject,
};
use crate::telemetry::{Seldom, chain};

/// How much of what anybody may say, as a front-channel logout, is kept for later.
const UNPROVED_MAX: usize = 10_000;
/// After so many failures one after the other the rest waits for the next round.
const FAILURES_MAX: usize = 3;

/// Something that ends sessions.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Ending {
    /// Sessions are revoked.
    Revoke(Scope),
    /// An account is closed.
    Close(AccountId),
    /// A provider ended a session of its own, or all of a person.
    AtProvider {
        connector: ConnectorId,
        mark: LogoutMark,
        notice: Option<[u8; 32]>,
        until: Timestamp,
    },
}

/// Endings that the store did not confirm.
#[derive(Debug, Default)]
pub(super) struct Held {
    holds: Mutex<Holds>,
    complaints: Seldom,
}

type Holds = HashMap<Ending, Hold>;

/// One of them.
#[derive(Debug)]
struct Hold {
    at: Timestamp,
    /// How many ask the store about it right now.
    asking: usize,
    pin: Pin,
}

/// Keeps alive what sessions are measured by: a cell that nobody held would be forgotten, and what it
/// says with it.
#[derive(Debug)]
enum Pin {
    Session(#[expect(dead_code, reason = "held for its life alone")] Arc<SessionCell>),
    Account(Arc<AccountCell>),
    Connector(Arc<Epoch>),
    Everyone,
    /// Every load looks for it.
    Loads,
}

/// Somebody who asks the store about an ending. Whoever goes away before the answer leaves the rest to
/// the next round.
struct Asking<'a> {
    sessions: &'a Sessions,
    ending: &'a Ending,
    /// Whether it is counted among those who ask. An ending that found no place is held by nobody,
    /// or by somebody else.
    counted: bool,
    answer: Answer,
}

/// What the store said to an ending.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Answer {
    /// Nothing yet.
    Waiting,
    /// It did not take it.
    Failed,
    /// It knows it now.
    Confirmed,
}

impl Drop for Asking<'_> {
    fn drop(&mut self) {
        let Self {
            sessions, ending, ..
        } = self;
        let mut held = sessions.held.lock();
        let asking = held.get_mut(*ending).map_or(0, |hold| {
            if self.counted {
                // An ending that was forgotten meanwhile may be held anew, by others.
                hold.asking = hold.asking.saturating_sub(1);
            }
            hold.asking
        });
        match self.answer {
            Answer::Confirmed if asking == 0 => sessions.let_go(held, ending),
            Answer::Confirmed => {}
            // Anybody may ask and go away: the next round asks the store.
            Answer::Waiting if ending.is_unproved() => {}
            Answer::Waiting | Answer::Failed => {
                drop(held);
                sessions.end_cached(ending);
            }
        }
    }
}

impl Held {
    fn lock(&self) -> MutexGuard<'_, Holds> {
        self.holds.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn waiting(&self) -> Vec<Ending> {
        let held = self.lock();
        let waiting = held.iter().filter(|(_, hold)| hold.asking == 0);
        waiting.map(|(ending, _)| ending.clone()).collect()
    }

    pub(super) fn holds(&self, ending: &Ending) -> bool {
        self.lock().contains_key(ending)
    }

    /// Whether a provider ended this session, which the store still has.
    pub(super) fn ends(&self, session: &SessionRecord) -> bool {
        let held = self.lock();
        held.keys().any(|ending| match ending {
            Ending::AtProvider {
                connector, mark, ..
            } => {
                let provider_sid = session.provider_sid.as_deref();
                *connector == session.connector && names(mark, provider_sid, &session.subject)
            }
            Ending::Revoke(_) | Ending::Close(_) => false,
        })
    }
}

impl Ending {
    /// Whose sessions end, as far as it says so itself.
    fn scope(&self) -> Option<Scope> {
        match self {
            Self::Revoke(scope) => Some(scope.clone()),
            Self::Close(account) => Some(Scope::Account(*account)),
            Self::AtProvider { .. } => None,
        }
    }

    /// Whether anybody could have said so: no notice of the provider proves it.
    fn is_unproved(&self) -> bool {
        let Self::AtProvider { mark, notice, .. } = self else {
            return false;
        };
        notice.is_none() && matches!(mark, LogoutMark::ProviderSession(_))
    }
}

impl Sessions {
    /// Ends what `ending` says: here first, then in the store; answers the entries of the log. Nothing
    /// when the store had heard of it before, or has no such account.
    ///
    /// # Errors
    /// It is not stored. It holds here all the same, and is stored later.
    pub(super) async fn end(&self, ending: Ending) -> Result<Option<Vec<Revocation>>, StoreError> {
        let (at, counted) = self.hold(&ending);
        let ended = self.ask_to_end(&ending, at, counted).await;
        if let Err(error) = &ended
            && !error.is_an_answer()
            && (!ending.is_unproved() || self.held.complaints.may_speak())
        {
            tracing::error!(
                error = %chain(error),
                "sessions were ended in this process, but not in the store: it is asked again until it takes it"
            );
        }
        ended
    }

    /// Stores what waits for it; answers how much is left.
    pub async fn store_held(&self, round: usize) -> usize {
        let mut waiting = self.held.waiting();
        // One that the store never takes must not keep the others from it.
        let first = round % waiting.len().max(1);
        waiting.rotate_left(first);
        let (mut stored, mut failures) = (0_usize, 0);
        for ending in waiting {
            let Some(at) = self.hold_again(&ending) else {
                continue;
            };
            match self.ask_to_end(&ending, at, true).await {
                Err(error) if !error.is_an_answer() => failures += 1,
                Ok(_) | Err(_) => (stored, failures) = (stored + 1, 0),
            }
            if failures >= FAILURES_MAX {
                break;
            }
        }
        if stored > 0 {
            tracing::info!(
                stored,
                "what was ended while the store failed is stored now"
            );
        }
        self.held.lock().len()
    }

    async fn ask_to_end(
        &self,
        ending: &Ending,
        at: Timestamp,
        counted: bool,
    ) -> Result<Option<Vec<Revocation>>, StoreError> {
        let mut asking = Asking {
            sessions: self,
            ending,
            counted,
            answer: Answer::Waiting,
        };
        let store = &self.store;
        let ended = match ending {
            Ending::Revoke(scope) => {
                let revoked = store.revoke(scope, at).await;
                revoked.map(|entry| Some(vec![entry]))
            }
            Ending::Close(account) => {
                let closed = store.close_account(account, true, at).await;
                closed.map(|entry| entry.map(|entry| vec![entry]))
            }
            Ending::AtProvider {
                connector,
                mark,
                notice,
                until,
            } => {
                let (notice, until) = (notice.as_ref(), *until);
                store
                    .end_at_provider(connector, mark, notice, at, until)
                    .await
            }
        };
        match &ended {
            Ok(entries) => {
                for entry in entries.iter().flatten() {
                    self.apply(entry);
                }
                asking.answer = Answer::Confirmed;
            }
            Err(error) if error.is_an_answer() => asking.answer = Answer::Confirmed,
            Err(_) => asking.answer = Answer::Failed,
        }
        ended
    }

    /// Lets an ending hold here, before the store is asked: whoever asks may go away meanwhile.
    /// Answers since when, and whether it found a place.
    fn hold(&self, ending: &Ending) -> (Timestamp, bool) {
        let at = self.clock.now();
        let mut held = self.held.lock();
        let is_new = ending.is_unproved() && !held.contains_key(ending);
        let unproved = held.keys().filter(|held| held.is_unproved());
        if is_new && unproved.count() >= UNPROVED_MAX {
            return (at, false);
        }
        let at = match held.entry(ending.clone()) {
            Entry::Occupied(mut known) => {
                let hold = known.get_mut();
                hold.asking += 1;
                hold.at = hold.at.max(at);
                hold.at
            }
            Entry::Vacant(new) => {
                let (asking, pin) = (1, self.pin(ending));
                new.insert(Hold { at, asking, pin }).at
            }
        };
        drop(held);
        // What anybody may say wakes nobody before it is known to end something.
        if !ending.is_unproved() {
            self.changed();
        }
        (at, true)
    }

    /// For the next round; nothing when somebody else is at it.
    fn hold_again(&self, ending: &Ending) -> Option<Timestamp> {
        let mut held = self.held.lock();
        let hold = held.get_mut(ending).filter(|hold| hold.asking == 0)?;
        hold.asking += 1;
        Some(hold.at)
    }

    fn pin(&self, ending: &Ending) -> Pin {
        match ending.scope() {
            None => Pin::Loads,
            Some(Scope::Session(key)) => {
                let cell = self.live.of(key, SessionCell::default);
                cell.end();
                Pin::Session(cell)
            }
            Some(Scope::Account(account)) => {
                let cell = self.accounts.of(account, AccountCell::default);
                cell.epoch.withhold();
                Pin::Account(cell)
            }
            Some(Scope::Connector(connector)) => {
                let epoch = self.connector_epoch(&connector);
                epoch.withhold();
                Pin::Connector(epoch)
            }
            Some(Scope::Everyone) => {
                self.everyone.withhold();
                Pin::Everyone
            }
        }
    }

    /// What waits is not to be stored any more.
    pub(super) fn forget(&self, ending: &Ending) {
        self.let_go(self.held.lock(), ending);
    }

    /// The store has it, and what it answered was taken over.
    fn let_go(&self, mut held: MutexGuard<'_, Holds>, ending: &Ending) {
        let Some(hold) = held.remove(ending) else {
            return;
        };
        let scope = ending.scope();
        if scope.is_some() && held.keys().any(|other| other.scope() == scope) {
            return;
        }
        match hold.pin {
            Pin::Account(cell) => cell.epoch.release(),
            Pin::Connector(epoch) => epoch.release(),
            Pin::Everyone => self.everyone.release(),
            Pin::Session(_) | Pin::Loads => {}
        }
    }

    /// Ends the sessions in memory that a provider ended. Only when the store failed: it knows them
    /// without looking at every one.
    fn end_cached(&self, ending: &Ending) {
        let Ending::AtProvider {
            connector, mark, ..
        } = ending
        else {
            return;
        };
        let mut ended = false;
        for (_, entry) in &self.cache {
            let session = &entry.session;
            let provider_sid = session.provider_sid.as_deref();
            if session.via == *connector && names(mark, provider_sid, &session.subject) {
                entry.cell.end();
                ended = true;
            }
        }
        if ended || !ending.is_unproved() {
            self.changed();
        }
    }
}

/// Whether a mark names a session, as the store compares them.
fn names(mark: &LogoutMark, provider_sid: Option<&str>, subject: &Subject) -> bool {
    match mark {
        LogoutMark::ProviderSession(sid) => provider_sid == Some(sid),
        LogoutMark::SessionOf {
            sid,
            subject: whose,
        } => provider_sid.map_or(whose == subject, |it| it == sid),
        LogoutMark::Subject(whose) => whose == subject,
    }
}
