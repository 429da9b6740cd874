//! The expressions of the settings, and `StepReads`: what each step reads of the person and of other steps.

use super::config::{Config, StepConfig, key_path};
use crate::expression::{Expression, Scope};
use crate::setting::KeyPath;

/// The variables that differ from login to login.
const OF_ONE_LOGIN: [&str; 3] = ["code", "params", "state"];

/// Whether an expression reads a variable that differs from login to login. Without a parameter for the state,
/// `callback` carries it.
pub(super) fn is_of_one_login(config: &Config, expression: &Expression) -> bool {
    let reads_state = config.state.is_empty() && expression.reads("callback");
    reads_state || OF_ONE_LOGIN.iter().any(|name| expression.reads(name))
}

/// The indices of the steps that an expression reads, among the first `known`.
pub(super) fn steps_read_by(config: &Config, known: usize, expression: &Expression) -> Vec<usize> {
    let steps = config.step.iter().take(known).enumerate();
    let read = steps.filter(|(_, step)| expression.reads(&format!("steps.{}", step.name)));
    read.map(|(index, _)| index).collect()
}

/// What a step reads.
#[derive(Clone, Debug, Default)]
pub(super) struct StepReads {
    /// Whether it reads the code or the entry token itself.
    pub(super) code: bool,
    /// Whether it reads the code or the entry token itself, or a step that does.
    pub(super) follows_code: bool,
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
            reads.is_personal |= is_of_one_login(config, &expression);
            reads
                .steps
                .extend(steps_read_by(config, index, &expression));
        }
        reads.steps.sort_unstable();
        reads.steps.dedup();
        let mut earlier = reads.steps.iter().map(|earlier| &all[*earlier]);
        reads.is_personal |= earlier.clone().any(|step| step.is_personal);
        reads.follows_code = reads.code || earlier.any(|step| step.follows_code);
        all.push(reads);
    }
    all
}
