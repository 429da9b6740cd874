//! `Budget`: how much the expressions of one request may cost together, however often they are
//! evaluated.
//!
//! The engine counts nothing itself. Counted are the nodes of an expression, once for every item
//! that a macro walks, and the bytes of a request that it reads or matches.

use std::cell::Cell;
use std::sync::atomic::{AtomicU64, Ordering};

/// How many steps the expressions of one request may take, all together. A step is about a node of
/// an expression: a tenth of a microsecond.
pub const STEPS_MAX: u64 = 250_000;

/// How many bytes of a text are read in a step.
const BYTES_READ: usize = 64;
/// How many bytes of a text are matched in a step.
const BYTES_MATCHED: usize = 16;

thread_local! {
    /// What is left to the evaluation that runs on this thread.
    static REMAINING: Cell<u64> = const { Cell::new(u64::MAX) };
}

/// What is left to one request.
#[derive(Debug)]
pub struct Budget(AtomicU64);

impl Default for Budget {
    fn default() -> Self {
        Self(AtomicU64::new(STEPS_MAX))
    }
}

/// A copy has as much left, and is spent for itself: [`Budget::continue_from`] makes one of two again.
impl Clone for Budget {
    fn clone(&self) -> Self {
        Self(AtomicU64::new(self.remaining()))
    }
}

impl Budget {
    /// Whether nothing is left: what was evaluated last has no value.
    pub fn is_spent(&self) -> bool {
        self.remaining() == 0
    }

    /// Begins anew, for whoever evaluates a second time only to explain.
    pub fn reset(&self) {
        self.0.store(STEPS_MAX, Ordering::Relaxed);
    }

    /// Leaves as much as another has left, that was copied from this one and evaluated with since.
    pub fn continue_from(&self, copy: &Self) {
        self.0.store(copy.remaining(), Ordering::Relaxed);
    }

    fn remaining(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// Evaluates something within what is left, which is all there is without a limit. Nothing when it
/// was not enough: then no part of the answer counts.
pub(super) fn run_within<T>(budget: Option<&Budget>, evaluate: impl FnOnce() -> T) -> Option<T> {
    let Some(budget) = budget else {
        REMAINING.set(u64::MAX);
        return Some(evaluate());
    };
    REMAINING.set(budget.remaining());
    let answer = evaluate();
    let left = REMAINING.replace(u64::MAX);
    budget.0.store(left, Ordering::Relaxed);
    (left > 0).then_some(answer)
}

/// Takes some steps; says whether there were as many left.
pub(super) fn charge(steps: u64) -> bool {
    let left = REMAINING.get().saturating_sub(steps);
    REMAINING.set(left);
    left > 0
}

/// What a text that is read costs.
pub(super) fn charge_read(text: &str) -> bool {
    charge(steps(text.len() / BYTES_READ + 1))
}

/// What a text that is matched costs.
pub(super) fn charge_match(text: &str) -> bool {
    charge(steps(text.len() / BYTES_MATCHED + 1))
}

/// What so many items cost, each so many nodes.
pub(super) fn charge_items(items: usize, nodes: i64) -> bool {
    charge(steps(items).saturating_mul(u64::try_from(nodes).unwrap_or(u64::MAX)))
}

fn steps(count: usize) -> u64 {
    u64::try_from(count).unwrap_or(u64::MAX)
}
