//! Cells that cached sessions share: to revoke all sessions of a person is to raise one number.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use arc_swap::ArcSwap;

use super::Entitlements;
use crate::clock::Timestamp;

/// An epoch: a number that only grows. It can be withheld: then it equals no other.
#[derive(Debug, Default)]
pub(super) struct Epoch(AtomicU64);

/// The bit that makes a number unlike every one that a store can give.
const WITHHELD: u64 = 1 << 63;

impl Epoch {
    /// What sessions are compared with.
    pub(super) fn now(&self) -> u64 {
        self.0.load(Ordering::Acquire)
    }

    /// The number itself, withheld or not.
    pub(super) fn number(&self) -> u64 {
        self.now() & !WITHHELD
    }

    /// Raises it to at least `number`; true when it was lower.
    pub(super) fn raise_to(&self, number: u64) -> bool {
        let raised = |now: u64| (now & !WITHHELD < number).then_some(now & WITHHELD | number);
        self.0
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, raised)
            .is_ok()
    }

    /// From now on no session that was loaded under it counts, whatever the number.
    pub(super) fn withhold(&self) {
        self.0.fetch_or(WITHHELD, Ordering::AcqRel);
    }

    /// From now on sessions that are loaded under the current number count.
    pub(super) fn release(&self) {
        self.0.fetch_and(!WITHHELD, Ordering::AcqRel);
    }
}

/// What all sessions of one account share.
#[derive(Debug, Default)]
pub(super) struct AccountCell {
    /// Grows when the person is revoked.
    pub(super) epoch: Epoch,
    changes: AtomicU64,
}

impl AccountCell {
    /// Grows whenever the account may have got another login, or other entitlements by a login.
    pub(super) fn changes(&self) -> u64 {
        self.changes.load(Ordering::Acquire)
    }

    pub(super) fn may_have_changed(&self) {
        self.changes.fetch_add(1, Ordering::AcqRel);
    }
}

/// What changes about one session while it is cached.
#[derive(Debug)]
pub(super) struct SessionCell {
    ended: AtomicBool,
    used_ms: AtomicI64,
    written_ms: AtomicI64,
}

impl Default for SessionCell {
    fn default() -> Self {
        Self {
            ended: AtomicBool::new(false),
            used_ms: AtomicI64::new(i64::MIN),
            written_ms: AtomicI64::new(i64::MIN),
        }
    }
}

impl SessionCell {
    pub(super) fn end(&self) {
        self.ended.store(true, Ordering::Release);
    }

    pub(super) fn has_ended(&self) -> bool {
        self.ended.load(Ordering::Acquire)
    }

    pub(super) fn used_at(&self) -> Timestamp {
        Timestamp::from_unix_ms(self.used_ms.load(Ordering::Relaxed))
    }

    /// Sets the last use that the store has.
    pub(super) fn stored(&self, used_at: Timestamp) {
        self.used_ms.fetch_max(used_at.unix_ms(), Ordering::Relaxed);
        self.written_ms
            .fetch_max(used_at.unix_ms(), Ordering::Relaxed);
    }

    /// Notes a use; true for the one caller that should have it written to the store.
    pub(super) fn touch(&self, now: Timestamp, every_ms: i64) -> bool {
        let now_ms = now.unix_ms();
        if self.used_ms.load(Ordering::Relaxed) < now_ms {
            self.used_ms.fetch_max(now_ms, Ordering::Relaxed);
        }
        let written = self.written_ms.load(Ordering::Relaxed);
        now_ms.saturating_sub(written) >= every_ms
            && self
                .written_ms
                .compare_exchange(written, now_ms, Ordering::Relaxed, Ordering::Relaxed)
                .is_ok()
    }
}

/// The current entitlements of one identity.
#[derive(Debug)]
pub(super) struct IdentityCell(pub(super) ArcSwap<Entitlements>);

impl IdentityCell {
    /// Replaces the entitlements after a refresh, unless the store gave the current ones a higher epoch.
    pub(super) fn refreshed(&self, fresh: &Arc<Entitlements>) {
        self.0.rcu(|current| {
            let is_newer = current.numbered && current.epoch > fresh.epoch;
            Arc::clone(if is_newer { current } else { fresh })
        });
    }

    /// Replaces the entitlements unless the current ones are newer.
    pub(super) fn at_least(&self, fresh: &Arc<Entitlements>) {
        self.0.rcu(|current| {
            let newer = if current.epoch <= fresh.epoch {
                fresh
            } else {
                current
            };
            Arc::clone(newer)
        });
    }
}

/// Cells by key. A cell lives as long as something refers to it.
#[derive(Debug)]
pub(super) struct Cells<K, V>(Mutex<(HashMap<K, Weak<V>>, usize)>);

impl<K, V> Default for Cells<K, V> {
    fn default() -> Self {
        Self(Mutex::new((HashMap::new(), 64)))
    }
}

impl<K: Eq + Hash, V> Cells<K, V> {
    /// The cell of a key, made when there is none.
    pub(super) fn of(&self, key: K, make: impl FnOnce() -> V) -> Arc<V> {
        let mut guard = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (cells, sweep_at) = &mut *guard;
        if let Some(cell) = cells.get(&key).and_then(Weak::upgrade) {
            return cell;
        }
        if cells.len() >= *sweep_at {
            cells.retain(|_, cell| cell.strong_count() > 0);
            *sweep_at = (cells.len() * 2).max(64);
        }
        let cell = Arc::new(make());
        cells.insert(key, Arc::downgrade(&cell));
        cell
    }

    /// The cell of a key, when there is one.
    pub(super) fn known(&self, key: &K) -> Option<Arc<V>> {
        let guard = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        guard.0.get(key).and_then(Weak::upgrade)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_use_is_written_down_once_in_a_while_by_one_caller() {
        let cell = SessionCell::default();
        cell.stored(Timestamp::from_unix_ms(1_000));
        assert!(!cell.touch(Timestamp::from_unix_ms(1_500), 1_000));
        assert!(cell.touch(Timestamp::from_unix_ms(2_000), 1_000));
        assert!(!cell.touch(Timestamp::from_unix_ms(2_001), 1_000));
        assert_eq!(cell.used_at(), Timestamp::from_unix_ms(2_001));
    }

    #[test]
    fn a_number_never_goes_back() {
        let epoch = Epoch::default();
        assert!(epoch.raise_to(3));
        assert!(!epoch.raise_to(2));
        assert_eq!(epoch.now(), 3);
    }

    #[test]
    fn nothing_equals_a_number_that_is_withheld() {
        let epoch = Epoch::default();
        epoch.raise_to(3);
        epoch.withhold();
        assert!(![3, 4].contains(&epoch.now()));
        assert!(epoch.raise_to(4) && !epoch.raise_to(4));
        assert_ne!(epoch.now(), 4);
        assert_eq!(epoch.number(), 4);
        epoch.release();
        assert_eq!(epoch.now(), 4);
    }

    #[test]
    fn cells_nobody_stands_on_are_forgotten() {
        let cells = Cells::<u32, u32>::default();
        let kept = cells.of(1, || 1);
        for key in 2..1_000 {
            drop(cells.of(key, || key));
        }
        assert!(cells.0.lock().unwrap().0.len() <= 65);
        assert!(Arc::ptr_eq(&kept, &cells.of(1, || 9)));
        assert!(cells.known(&2).is_none());
    }
}
