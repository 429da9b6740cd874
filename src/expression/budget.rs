//! `Budget`: the limit of steps for all evaluations of one request.
//!
//! The engine has no such limit. Steps are charged for the nodes of an expression (in a macro once for
//! each item) and for the bytes of text that it reads or matches.

use std::cell::Cell;
use std::sync::atomic::{AtomicU64, Ordering};

/// The steps of one request. A step costs about as much as a node of an expression: 0.1 µs.
pub const STEPS_MAX: u64 = 250_000;

/// The bytes of text that are read in one step.
const BYTES_READ_PER_STEP: usize = 64;
/// The bytes of text that are matched with a pattern in one step.
const BYTES_MATCHED_PER_STEP: usize = 16;

thread_local! {
    /// The steps left to the evaluation on this thread.
    static REMAINING: Cell<u64> = const { Cell::new(u64::MAX) };
}

/// The steps left to one request.
#[derive(Debug)]
pub struct Budget(AtomicU64);

impl Default for Budget {
    fn default() -> Self {
        Self(AtomicU64::new(STEPS_MAX))
    }
}

/// A copy starts with the remaining steps and is charged separately. [`Budget::continue_from`] takes
/// over its remaining steps.
impl Clone for Budget {
    fn clone(&self) -> Self {
        Self(AtomicU64::new(self.remaining()))
    }
}

impl Budget {
    pub fn is_spent(&self) -> bool {
        self.remaining() == 0
    }

    /// Restores all steps, for an evaluation that only explains a decision.
    pub fn reset(&self) {
        self.0.store(STEPS_MAX, Ordering::Relaxed);
    }

    /// Takes over the remaining steps of a copy of this budget.
    pub fn continue_from(&self, copy: &Self) {
        self.0.store(copy.remaining(), Ordering::Relaxed);
    }

    fn remaining(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// Evaluates within the budget, or without a limit if there is none. Returns `None` if the steps did not
/// suffice: then the result must not be used.
pub(super) fn run_within<T>(budget: Option<&Budget>, evaluate: impl FnOnce() -> T) -> Option<T> {
    let Some(budget) = budget else {
        REMAINING.set(u64::MAX);
        return Some(evaluate());
    };
    REMAINING.set(budget.remaining());
    let result = evaluate();
    let remaining = REMAINING.replace(u64::MAX);
    budget.0.store(remaining, Ordering::Relaxed);
    (remaining > 0).then_some(result)
}

/// Subtracts steps; returns whether any are left.
pub(super) fn charge(steps: u64) -> bool {
    let remaining = REMAINING.get().saturating_sub(steps);
    REMAINING.set(remaining);
    remaining > 0
}

pub(super) fn charge_read(text: &str) -> bool {
    charge(steps(text.len() / BYTES_READ_PER_STEP + 1))
}

pub(super) fn charge_match(text: &str) -> bool {
    charge(steps(text.len() / BYTES_MATCHED_PER_STEP + 1))
}

/// Charges for a macro that evaluates `nodes` nodes for each item of a list.
pub(super) fn charge_items(items: usize, nodes: i64) -> bool {
    charge(steps(items).saturating_mul(u64::try_from(nodes).unwrap_or(u64::MAX)))
}

fn steps(count: usize) -> u64 {
    u64::try_from(count).unwrap_or(u64::MAX)
}
