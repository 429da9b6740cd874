//! `PendingEndings`: sessions that were ended in this process but not yet in the store. They are over
//! here from the first moment; the store is asked again until it has written it.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::Sessions;
use crate::clock::Timestamp;
use crate::people::session::cell::{AccountCell, Epoch, SessionCell};
use crate::store::{
    AccountId, ConnectorId, LogoutTarget, Revocation, RevocationScope, SessionRecord, StoreError,
    Subject,
};
use crate::telemetry::{LogLimiter, error_chain};

/// How many endings that anybody can ask for, such as front-channel logouts, wait for the store.
const UNPROVED_MAX: usize = 10_000;
/// After so many failures in a row the rest waits for the next round.
const FAILURES_MAX: usize = 3;

/// Something that ends sessions.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Ending {
    /// Sessions are revoked.
    Revoke(RevocationScope),
    /// An account is closed.
    Close(AccountId),
    /// A provider ended one of its sessions, or all of a person.
    AtProvider {
        connector: ConnectorId,
        mark: LogoutTarget,
        message_id: Option<[u8; 32]>,
        until: Timestamp,
    },
}

/// Endings that the store did not confirm yet.
#[derive(Debug, Default)]
pub(super) struct PendingEndings {
    by_ending: Mutex<ByEnding>,
    complaints: LogLimiter,
}

type ByEnding = HashMap<Ending, Pending>;

#[derive(Debug)]
struct Pending {
    at: Timestamp,
    /// How many callers ask the store about it right now.
    asking: usize,
    pin: Pin,
    search: Search,
}

/// Whether the sessions in memory are searched for the one that an unproved ending names. The store
/// finds it by an index and the memory has none, so they are searched only when the store failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Search {
    /// The store did not fail so far.
    NotNeeded,
    /// The next round searches.
    Due,
    /// What is loaded since is compared with what is pending.
    Done,
}

/// Keeps the cell that ends the sessions alive: a cell that nothing refers to would be dropped, and the
/// sessions would count again.
#[derive(Debug)]
enum Pin {
    Session(#[expect(dead_code, reason = "kept alive only")] Arc<SessionCell>),
    Account(Arc<AccountCell>),
    Connector(Arc<Epoch>),
    Everyone,
    /// None: each load of a session looks at the pending endings.
    Loads,
}

/// One question to the store about an ending. When it is dropped before the answer, the next round asks
/// again.
struct Asking<'a> {
    sessions: &'a Sessions,
    ending: &'a Ending,
    /// Whether [`Pending::asking`] counts it. It does not when there was no room for the ending.
    counted: bool,
    answer: Answer,
}

/// The store's answer to an ending.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Answer {
    /// None yet.
    Waiting,
    /// It failed.
    Failed,
    /// It has written it.
    Confirmed,
}

impl Drop for Asking<'_> {
    fn drop(&mut self) {
        let Self {
            sessions, ending, ..
        } = self;
        let mut pending = sessions.pending.lock();
        let asking = pending.get_mut(*ending).map_or(0, |entry| {
            if self.counted {
                // It may have been removed meanwhile and added again by others.
                entry.asking = entry.asking.saturating_sub(1);
            }
            let was_searched = entry.search != Search::NotNeeded;
            if self.answer == Answer::Failed && ending.is_unproved() && !was_searched {
                entry.search = Search::Due;
            }
            entry.asking
        });
        match self.answer {
            Answer::Confirmed if asking == 0 => sessions.let_go(pending, ending),
            Answer::Confirmed => {}
            // Anybody can send the request, any number of times, so it costs no walk through the cache: the
            // next round asks the store, and after a failure walks once for all of them. What found no
            // place is left to the store.
            Answer::Waiting | Answer::Failed if ending.is_unproved() => {}
            Answer::Waiting | Answer::Failed => {
                drop(pending);
                sessions.end_cached(ending);
            }
        }
    }
}

impl PendingEndings {
    fn lock(&self) -> MutexGuard<'_, ByEnding> {
        self.by_ending
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    fn waiting(&self) -> Vec<Ending> {
        let pending = self.lock();
        let waiting = pending.iter().filter(|(_, entry)| entry.asking == 0);
        waiting.map(|(ending, _)| ending.clone()).collect()
    }

    pub(super) fn contains(&self, ending: &Ending) -> bool {
        self.lock().contains_key(ending)
    }

    /// The provider's sessions that the next search is for, each with its connectors.
    fn due(&self) -> HashMap<String, Vec<ConnectorId>> {
        let mut due = HashMap::<_, Vec<_>>::new();
        for (ending, entry) in self.lock().iter_mut() {
            if entry.search == Search::Due
                && let Some((connector, sid)) = ending.unproved()
            {
                entry.search = Search::Done;
                let connectors = due.entry(sid.to_owned()).or_default();
                if !connectors.contains(connector) {
                    connectors.push(connector.clone());
                }
            }
        }
        due
    }

    /// Whether a provider ended this session, although the store still has it.
    pub(super) fn ends(&self, session: &SessionRecord) -> bool {
        let pending = self.lock();
        pending.keys().any(|ending| match ending {
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
    /// Whose sessions end; nothing when only the store knows.
    fn scope(&self) -> Option<RevocationScope> {
        match self {
            Self::Revoke(scope) => Some(scope.clone()),
            Self::Close(account) => Some(RevocationScope::Account(*account)),
            Self::AtProvider { .. } => None,
        }
    }

    /// Whether anybody can have sent the request: no logout message of the provider proves it.
    fn is_unproved(&self) -> bool {
        self.unproved().is_some()
    }

    /// The same; whose session it ends, and which.
    fn unproved(&self) -> Option<(&ConnectorId, &str)> {
        match self {
            Self::AtProvider {
                connector,
                mark: LogoutTarget::Session(sid),
                message_id: None,
                ..
            } => Some((connector, sid)),
            Self::AtProvider { .. } | Self::Revoke(_) | Self::Close(_) => None,
        }
    }
}

impl Sessions {
    /// Ends sessions: here first, then in the store; answers the entries of the log. Nothing when the
    /// logout message was spent before, or when there is no such account.
    ///
    /// # Errors
    /// The store failed. The sessions are over here all the same, and the store is asked again.
    pub(super) async fn end(&self, ending: Ending) -> Result<Option<Vec<Revocation>>, StoreError> {
        let (at, counted) = self.add(&ending);
        let ended = self.ask_to_end(&ending, at, counted).await;
        if let Err(error) = &ended
            && !error.is_definitive()
            && (!ending.is_unproved() || self.pending.complaints.allow())
        {
            tracing::error!(
                error = %error_chain(error),
                "sessions were ended in this process, but not in the store: menshen tries again until they are"
            );
        }
        ended
    }

    /// Asks the store to write the pending endings; answers how many are left.
    pub async fn store_pending(&self, round: usize) -> usize {
        self.end_cached_unproved();
        let mut waiting = self.pending.waiting();
        // One that the store never accepts must not keep the others waiting.
        let first = round % waiting.len().max(1);
        waiting.rotate_left(first);
        let (mut stored, mut failures) = (0_usize, 0);
        for ending in waiting {
            let Some(at) = self.retry(&ending) else {
                continue;
            };
            match self.ask_to_end(&ending, at, true).await {
                Err(error) if !error.is_definitive() => failures += 1,
                Ok(_) | Err(_) => (stored, failures) = (stored + 1, 0),
            }
            if failures >= FAILURES_MAX {
                break;
            }
        }
        if stored > 0 {
            tracing::info!(
                stored,
                "sessions that were ended while the store failed are now ended in it"
            );
        }
        self.pending.lock().len()
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
                message_id,
                until,
            } => {
                let (message_id, until) = (message_id.as_ref(), *until);
                store
                    .apply_provider_logout(connector, mark, message_id, at, until)
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
            Err(error) if error.is_definitive() => asking.answer = Answer::Confirmed,
            Err(_) => asking.answer = Answer::Failed,
        }
        ended
    }

    /// Ends the sessions here, before the store is asked: the caller may be dropped meanwhile. Answers
    /// since when they are over, and whether there was room for the ending.
    fn add(&self, ending: &Ending) -> (Timestamp, bool) {
        let at = self.clock.now();
        let mut pending = self.pending.lock();
        let is_new = ending.is_unproved() && !pending.contains_key(ending);
        let unproved = pending.keys().filter(|ending| ending.is_unproved());
        if is_new && unproved.count() >= UNPROVED_MAX {
            return (at, false);
        }
        let at = match pending.entry(ending.clone()) {
            Entry::Occupied(mut known) => {
                let entry = known.get_mut();
                entry.asking += 1;
                entry.at = entry.at.max(at);
                entry.at
            }
            Entry::Vacant(new) => {
                let entry = Pending {
                    at,
                    asking: 1,
                    pin: self.pin(ending),
                    search: Search::NotNeeded,
                };
                new.insert(entry).at
            }
        };
        drop(pending);
        // A request that anybody can send wakes no connection before it is known to end a session.
        if !ending.is_unproved() {
            self.changed();
        }
        (at, true)
    }

    /// Counts one more question about it; nothing when another is under way.
    fn retry(&self, ending: &Ending) -> Option<Timestamp> {
        let mut pending = self.pending.lock();
        let entry = pending.get_mut(ending).filter(|entry| entry.asking == 0)?;
        entry.asking += 1;
        Some(entry.at)
    }

    fn pin(&self, ending: &Ending) -> Pin {
        match ending.scope() {
            None => Pin::Loads,
            Some(RevocationScope::Session(key)) => {
                let cell = self.live.of(key, SessionCell::default);
                cell.end();
                Pin::Session(cell)
            }
            Some(RevocationScope::Account(account)) => {
                let cell = self.accounts.of(account, AccountCell::default);
                cell.epoch.withhold();
                Pin::Account(cell)
            }
            Some(RevocationScope::Connector(connector)) => {
                let epoch = self.connector_epoch(&connector);
                epoch.withhold();
                Pin::Connector(epoch)
            }
            Some(RevocationScope::Everyone) => {
                self.everyone.withhold();
                Pin::Everyone
            }
        }
    }

    /// Removes an ending that is no longer to be written.
    pub(super) fn forget(&self, ending: &Ending) {
        self.let_go(self.pending.lock(), ending);
    }

    /// Removes an ending whose answer from the store was applied.
    fn let_go(&self, mut pending: MutexGuard<'_, ByEnding>, ending: &Ending) {
        let Some(entry) = pending.remove(ending) else {
            return;
        };
        let scope = ending.scope();
        if scope.is_some() && pending.keys().any(|other| other.scope() == scope) {
            return;
        }
        match entry.pin {
            Pin::Account(cell) => cell.epoch.release(),
            Pin::Connector(epoch) => epoch.release(),
            Pin::Everyone => self.everyone.release(),
            Pin::Session(_) | Pin::Loads => {}
        }
    }

    /// Ends the sessions in memory that a provider ended. It walks through all of them, so only when the
    /// store, which has an index, failed.
    fn end_cached(&self, ending: &Ending) {
        let Ending::AtProvider {
            connector, mark, ..
        } = ending
        else {
            // Those ended with the cell that is pinned; what lasts is to be judged again.
            return self.changed();
        };
        for (_, entry) in &self.cache {
            let session = &entry.session;
            let provider_sid = session.provider_sid.as_deref();
            if session.via == *connector && names(mark, provider_sid, &session.subject) {
                entry.cell.end();
            }
        }
        self.changed();
    }

    /// The same for all that anybody may have said since the last round, in one search.
    fn end_cached_unproved(&self) {
        let due = self.pending.due();
        if due.is_empty() {
            return;
        }
        let mut ended = false;
        for (_, entry) in &self.cache {
            let session = &entry.session;
            let sid = session.provider_sid.as_ref();
            let connectors = sid.and_then(|sid| due.get(sid));
            if connectors.is_some_and(|ended_at| ended_at.contains(&session.via)) {
                entry.cell.end();
                ended = true;
            }
        }
        // What anybody may say wakes nobody before it ended something.
        if ended {
            self.changed();
        }
    }
}

/// Whether a mark names a session, as the store compares them.
fn names(mark: &LogoutTarget, provider_sid: Option<&str>, subject: &Subject) -> bool {
    match mark {
        LogoutTarget::Session(sid) => provider_sid == Some(sid),
        LogoutTarget::SessionAndSubject {
            sid,
            subject: whose,
        } => provider_sid.map_or(whose == subject, |it| it == sid),
        LogoutTarget::Subject(whose) => whose == subject,
    }
}
