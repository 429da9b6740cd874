//! State that cached sessions share: raising one epoch ends all sessions of an account.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use arc_swap::ArcSwap;

use super::Entitlements;
use crate::clock::Timestamp;

/// A number that only grows, unless the database was replaced by an older copy. While it is blocked,
/// [`Self::value`] equals no number of a session.
#[derive(Debug, Default)]
pub(super) struct Epoch(AtomicU64);

/// A bit that no epoch of the store has.
const BLOCKED: u64 = 1 << 63;

impl Epoch {
    /// The value with which sessions are compared.
    pub(super) fn value(&self) -> u64 {
        self.0.load(Ordering::Acquire)
    }

    /// The number, even while the epoch is blocked.
    pub(super) fn number(&self) -> u64 {
        self.value() & !BLOCKED
    }

    /// Raises it to at least `number`; true if it was lower.
    pub(super) fn raise_to(&self, number: u64) -> bool {
        let raised = |now: u64| (now & !BLOCKED < number).then_some(now & BLOCKED | number);
        self.0
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, raised)
            .is_ok()
    }

    /// Sets it, even to a lower number. A blocked epoch stays blocked. Sessions that were loaded before must
    /// be loaded from the store again.
    pub(super) fn set(&self, number: u64) {
        let set = |now: u64| Some(now & BLOCKED | number);
        let _ = self
            .0
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, set);
    }

    /// Invalidates all sessions that refer to this epoch, whatever its number.
    pub(super) fn block(&self) {
        self.0.fetch_or(BLOCKED, Ordering::AcqRel);
    }

    /// Ends [`Self::block`]: sessions with the current number are valid.
    pub(super) fn unblock(&self) {
        self.0.fetch_and(!BLOCKED, Ordering::AcqRel);
    }
}

/// State that all sessions of one account share.
#[derive(Debug, Default)]
pub(super) struct AccountState {
    /// Grows when the account is revoked.
    pub(super) epoch: Epoch,
    changes: AtomicU64,
}

impl AccountState {
    /// Grows whenever a login may have changed the account's login name or entitlements.
    pub(super) fn changes(&self) -> u64 {
        self.changes.load(Ordering::Acquire)
    }

    pub(super) fn mark_changed(&self) {
        self.changes.fetch_add(1, Ordering::AcqRel);
    }
}

/// The mutable state of one cached session.
#[derive(Debug)]
pub(super) struct SessionState {
    ended: AtomicBool,
    used_ms: AtomicI64,
    written_ms: AtomicI64,
}

impl Default for SessionState {
    fn default() -> Self {
        Self {
            ended: AtomicBool::new(false),
            used_ms: AtomicI64::new(i64::MIN),
            written_ms: AtomicI64::new(i64::MIN),
        }
    }
}

impl SessionState {
    pub(super) fn end(&self) {
        self.ended.store(true, Ordering::Release);
    }

    pub(super) fn has_ended(&self) -> bool {
        self.ended.load(Ordering::Acquire)
    }

    pub(super) fn used_at(&self) -> Timestamp {
        Timestamp::from_unix_ms(self.used_ms.load(Ordering::Relaxed))
    }

    /// Sets the last use from the store.
    pub(super) fn set_stored_use(&self, used_at: Timestamp) {
        self.used_ms.fetch_max(used_at.unix_ms(), Ordering::Relaxed);
        self.written_ms
            .fetch_max(used_at.unix_ms(), Ordering::Relaxed);
    }

    /// Records a use; true for the one caller that must write it to the store.
    pub(super) fn touch(&self, now: Timestamp, write_every_ms: i64) -> bool {
        let now_ms = now.unix_ms();
        if self.used_ms.load(Ordering::Relaxed) < now_ms {
            self.used_ms.fetch_max(now_ms, Ordering::Relaxed);
        }
        let written = self.written_ms.load(Ordering::Relaxed);
        now_ms.saturating_sub(written) >= write_every_ms
            && self
                .written_ms
                .compare_exchange(written, now_ms, Ordering::Relaxed, Ordering::Relaxed)
                .is_ok()
    }
}

/// The current entitlements of one identity, and when its source was asked about it.
#[derive(Debug)]
pub(super) struct IdentityState {
    pub(super) entitlements: ArcSwap<Entitlements>,
    confirmed_ms: AtomicI64,
    /// When the source was last asked; zero for never.
    asked_ms: AtomicI64,
    /// How often the confirmation was withdrawn.
    withdrawals: AtomicU64,
    /// The number of withdrawals that preceded the last question to which the source answered with a
    /// confirmation. If `withdrawals` is higher, the source must be asked.
    settled_withdrawals: AtomicU64,
    /// How early questions come, in 256ths of the most that [`JITTER_DIVISOR`] allows. It is random, so
    /// that people who signed in together are not asked about together.
    jitter: u8,
}

/// A question comes early by at most the interval divided by this.
const JITTER_DIVISOR: u32 = 5;

impl IdentityState {
    pub(super) fn new(entitlements: Arc<Entitlements>) -> Self {
        let [jitter] = crate::keys::random();
        Self {
            entitlements: ArcSwap::new(entitlements),
            confirmed_ms: AtomicI64::new(0),
            asked_ms: AtomicI64::new(0),
            withdrawals: AtomicU64::new(0),
            settled_withdrawals: AtomicU64::new(0),
            jitter,
        }
    }

    /// Records that the source confirmed the person at a login.
    pub(super) fn confirm(&self, at: Timestamp) {
        self.confirmed_ms.fetch_max(at.unix_ms(), Ordering::AcqRel);
    }

    /// Makes a question due whatever the interval.
    pub(super) fn withdraw_confirmation(&self) {
        self.withdrawals.fetch_add(1, Ordering::AcqRel);
        self.asked_ms.store(0, Ordering::Release);
    }

    /// Records that the source is asked now. Returns the number of withdrawals, for [`Self::settle`].
    pub(super) fn begin_question(&self, at: Timestamp) -> u64 {
        self.asked_ms.store(at.unix_ms(), Ordering::Release);
        self.withdrawals.load(Ordering::Acquire)
    }

    /// Records that the source confirmed the person. A confirmation that was withdrawn after the question
    /// began stays withdrawn.
    pub(super) fn settle(&self, withdrawals_before: u64, at: Timestamp) {
        self.settled_withdrawals
            .fetch_max(withdrawals_before, Ordering::AcqRel);
        self.confirm(at);
    }

    /// When the source was last asked, if it must be asked again now. Without an interval only after
    /// [`Self::withdraw_confirmation`]. A question that failed is repeated after `retry_after`.
    pub(super) fn due(
        &self,
        now: Timestamp,
        interval: Option<Duration>,
        retry_after: Duration,
    ) -> Option<Timestamp> {
        let timestamp = |ms: &AtomicI64| Timestamp::from_unix_ms(ms.load(Ordering::Acquire));
        let (confirmed_at, asked_at) = (timestamp(&self.confirmed_ms), timestamp(&self.asked_ms));
        let settled = self.settled_withdrawals.load(Ordering::Acquire);
        let is_withdrawn = self.withdrawals.load(Ordering::Acquire) != settled;
        let is_due = is_withdrawn
            || interval.is_some_and(|interval| {
                let early = interval / JITTER_DIVISOR * u32::from(self.jitter) / 256;
                now.since(confirmed_at) >= interval - early
            });
        let may_ask = asked_at.unix_ms() == 0 || now.since(asked_at) >= retry_after;
        (is_due && may_ask).then_some(asked_at)
    }

    /// Replaces the entitlements by those that a login or a refresh wrote, unless the current ones have a
    /// higher epoch from the store.
    pub(super) fn replace_after_write(&self, fresh: &Arc<Entitlements>) {
        self.entitlements.rcu(|current| {
            let is_newer = current.has_store_epoch && current.epoch > fresh.epoch;
            Arc::clone(if is_newer { current } else { fresh })
        });
    }

    /// As [`Self::replace_after_write`], with entitlements that are made of the current ones: what changes at
    /// the same time, such as the login name, is not overwritten.
    pub(super) fn replace_fields(&self, make: impl Fn(&Entitlements) -> Entitlements) {
        self.entitlements.rcu(|current| {
            let fresh = make(current);
            match current.has_store_epoch && current.epoch > fresh.epoch {
                true => Arc::clone(current),
                false => Arc::new(fresh),
            }
        });
    }

    /// Replaces the entitlements unless `fresh` is older than the current ones.
    pub(super) fn replace_unless_older(&self, fresh: &Arc<Entitlements>) {
        self.entitlements.rcu(|current| {
            let newer = if current.epoch <= fresh.epoch {
                fresh
            } else {
                current
            };
            Arc::clone(newer)
        });
    }
}

/// The smallest size at which a [`WeakMap`] is swept.
const SWEEP_SIZE_MIN: usize = 64;

/// A map of weak references. A value lives as long as something else refers to it. At the size in the
/// second field, keys without a value are swept out.
#[derive(Debug)]
pub(super) struct WeakMap<K, V>(Mutex<(HashMap<K, Weak<V>>, usize)>);

impl<K, V> Default for WeakMap<K, V> {
    fn default() -> Self {
        Self(Mutex::new((HashMap::new(), SWEEP_SIZE_MIN)))
    }
}

impl<K: Eq + Hash, V> WeakMap<K, V> {
    /// The value of a key; created if there is none.
    pub(super) fn get_or_insert_with(&self, key: K, make: impl FnOnce() -> V) -> Arc<V> {
        let mut guard = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (map, sweep_size) = &mut *guard;
        if let Some(state) = map.get(&key).and_then(Weak::upgrade) {
            return state;
        }
        if map.len() >= *sweep_size {
            map.retain(|_, state| state.strong_count() > 0);
            *sweep_size = (map.len() * 2).max(SWEEP_SIZE_MIN);
        }
        let state = Arc::new(make());
        map.insert(key, Arc::downgrade(&state));
        state
    }

    /// The values that something else refers to.
    pub(super) fn values(&self) -> Vec<Arc<V>> {
        let guard = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        guard.0.values().filter_map(Weak::upgrade).collect()
    }

    /// Removes all keys, so that new values are created.
    pub(super) fn clear(&self) {
        let mut guard = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        guard.0.clear();
    }

    /// The value of a key, if there is one.
    pub(super) fn get(&self, key: &K) -> Option<Arc<V>> {
        let guard = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        guard.0.get(key).and_then(Weak::upgrade)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_use_is_written_once_per_interval_by_one_caller() {
        let state = SessionState::default();
        state.set_stored_use(Timestamp::from_unix_ms(1_000));
        assert!(!state.touch(Timestamp::from_unix_ms(1_500), 1_000));
        assert!(state.touch(Timestamp::from_unix_ms(2_000), 1_000));
        assert!(!state.touch(Timestamp::from_unix_ms(2_001), 1_000));
        assert_eq!(state.used_at(), Timestamp::from_unix_ms(2_001));
    }

    #[test]
    fn a_question_is_due_after_the_interval_a_withdrawal_or_a_failure() {
        let at = |s: i64| Timestamp::from_unix_s(1_000 + s);
        let [interval, retry] = [600, 60].map(Duration::from_secs);
        let fields = crate::people::profile::UserFields::default();
        let (login, via) = ("zhangsan".parse().unwrap(), "corp".parse().unwrap());
        let account = crate::store::AccountId::new([0; 16]);
        let entitlements = Entitlements::new(account, &login, None, &via, fields, 0);
        let state = IdentityState::new(Arc::new(entitlements));
        state.confirm(at(0));
        let is_due = |s: i64, interval| state.due(at(s), interval, retry).is_some();
        // Early by at most a fifth of the interval.
        assert!(!is_due(479, Some(interval)) && is_due(600, Some(interval)));
        assert!(!is_due(100_000, None));
        let withdrawals = state.begin_question(at(600));
        assert!(!is_due(659, Some(interval)) && is_due(660, Some(interval)));
        state.settle(withdrawals, at(600));
        assert!(!is_due(1_079, Some(interval)) && is_due(1_200, Some(interval)));
        state.withdraw_confirmation();
        assert!(is_due(601, Some(interval)) && is_due(601, None));
        let withdrawals = state.begin_question(at(601));
        state.withdraw_confirmation();
        state.settle(withdrawals, at(601));
        assert!(is_due(602, None), "withdrawn while the source was asked");
        let withdrawals = state.begin_question(at(602));
        state.settle(withdrawals, at(602));
        assert!(!is_due(100_000, None));
    }

    #[test]
    fn a_lower_number_does_not_lower_an_epoch() {
        let epoch = Epoch::default();
        assert!(epoch.raise_to(3));
        assert!(!epoch.raise_to(2));
        assert_eq!(epoch.value(), 3);
    }

    #[test]
    fn a_blocked_epoch_equals_no_number() {
        let epoch = Epoch::default();
        epoch.raise_to(3);
        epoch.block();
        assert!(![3, 4].contains(&epoch.value()));
        assert!(epoch.raise_to(4) && !epoch.raise_to(4));
        assert_ne!(epoch.value(), 4);
        assert_eq!(epoch.number(), 4);
        epoch.set(2);
        assert_eq!(epoch.number(), 2);
        assert_ne!(epoch.value(), 2);
        epoch.unblock();
        assert_eq!(epoch.value(), 2);
    }

    #[test]
    fn unreferenced_values_are_dropped() {
        let map = WeakMap::<u32, u32>::default();
        let referenced = map.get_or_insert_with(1, || 1);
        for key in 2..1_000 {
            drop(map.get_or_insert_with(key, || key));
        }
        assert!(map.0.lock().unwrap().0.len() <= SWEEP_SIZE_MIN + 1);
        assert!(Arc::ptr_eq(&referenced, &map.get_or_insert_with(1, || 9)));
        assert!(map.get(&2).is_none());
    }
}
