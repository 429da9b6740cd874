//! The expressions of the settings, and `StepReads`: what each step reads of the person and of other steps.

use super::config::{Config, StepConfig, key_path};
use crate::expression::{Expression, Scope};
use crate::setting::KeyPath;

/// The variables that differ from login to login.
const OF_ONE_LOGIN: [&str; 3] = ["code", "params", "state"];

/// What a step reads.
#[derive(Clone, Debug, Default)]
pub(super) struct StepReads {
    /// Whether it reads the code or the entry token itself.
    pub(super) code: bool,
    /// Whether its answer is that of one login: it reads the code, parameters or state, or a step that does.
    pub(super) is_personal: bool,
    /// The indices of the earlier steps that it reads.
    pub(super) steps: Vec<usize>,
}

/// An expression of the settings.
#[derive(Clone, Debug)]
pub(super) struct PlacedExpression<'a> {
    pub(super) key_path: KeyPath<'a>,
    pub(super) source: &'a str,
    pub(super) scope: Scope,
    /// How many steps have answers when it is evaluated.
    pub(super) known_steps: usize,
}

/// All expressions, in the order of the settings.
pub(super) fn expressions(config: &Config) -> Vec<PlacedExpression<'_>> {
    let authorize = config
        .authorize
        .iter()
        .map(|(name, source)| PlacedExpression {
            key_path: key_path(["authorize", name]),
            source,
            scope: Scope::LoginPage,
            known_steps: 0,
        });
    let results = [("subject", &config.subject), ("profile", &config.profile)];
    let results = results.map(|(key, source)| PlacedExpression {
        key_path: key_path([key]),
        source,
        scope: Scope::SourceCall,
        known_steps: config.step.len(),
    });
    let steps = config.step.iter().enumerate();
    let steps = steps.flat_map(|(index, step)| of_step(index, step));
    results.into_iter().chain(authorize).chain(steps).collect()
}

/// The expressions of the step with this index.
fn of_step(index: usize, step: &StepConfig) -> Vec<PlacedExpression<'_>> {
    let at = |key| key_path(["step"]).item(index).key(key);
    let placed = |key_path, source, scope| PlacedExpression {
        key_path,
        source,
        scope,
        known_steps: index,
    };
    let single = [
        ("json", &step.json, Scope::SourceCall),
        ("success", &step.success, Scope::SourceAnswer),
        ("cache", &step.cache, Scope::SourceAnswer),
    ];
    let single = single
        .into_iter()
        .filter_map(|(key, source, scope)| Some(placed(at(key), source.as_deref()?, scope)));
    let tables = [
        ("query", Some(&step.query)),
        ("headers", Some(&step.headers)),
        ("form", step.form.as_ref()),
    ];
    let tables = tables
        .into_iter()
        .filter_map(|(key, table)| Some((key, table?)));
    let tables = tables.flat_map(|(key, table)| {
        let entries = table.iter();
        entries.map(move |(name, source)| placed(at(key).key(name), source, Scope::SourceCall))
    });
    single.chain(tables).collect()
}

/// What every step reads. Expressions that do not compile are left out: they are reported elsewhere.
pub(super) fn reads_of_steps(config: &Config) -> Vec<StepReads> {
    let mut all: Vec<StepReads> = Vec::new();
    for (index, step) in config.step.iter().enumerate() {
        let expressions = of_step(index, step)
            .into_iter()
            .filter_map(|placed| Expression::compile(placed.source, placed.scope).ok());
        let mut reads = StepReads::default();
        for expression in expressions {
            reads.code |= expression.reads("code");
            reads.is_personal |= OF_ONE_LOGIN.iter().any(|name| expression.reads(name));
            for (earlier, other) in config.step.iter().take(index).enumerate() {
                let is_read = expression.reads(&format!("steps.{}", other.name));
                if is_read && !reads.steps.contains(&earlier) {
                    reads.steps.push(earlier);
                }
            }
        }
        reads.is_personal |= reads.steps.iter().any(|earlier| all[*earlier].is_personal);
        all.push(reads);
    }
    all
}
