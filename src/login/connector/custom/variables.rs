//! The variables of the expressions of one login.

use std::sync::Arc;

use serde_json::{Map, Value};

use super::step::Step;
use crate::clock::Timestamp;
use crate::expression::{Budget, Document, Field, Record, Variable, Variables};
use crate::login::fields::Fields;

/// What one login brings.
pub(super) struct LoginInput {
    /// The code, or the entry token.
    code: String,
    params: Document,
    callback: String,
    state: String,
    now: Timestamp,
    /// All expressions of the login share it.
    budget: Budget,
}

/// The answer of a step.
#[derive(Clone, Debug)]
pub(super) struct StepAnswer {
    pub(super) document: Arc<Document>,
    /// Whether another login asked for it.
    pub(super) from_cache: bool,
}

/// The variables of an expression. Those that its scope does not know are not asked for.
pub(super) struct LoginVariables<'a> {
    pub(super) input: &'a LoginInput,
    pub(super) secrets: &'a Document,
    pub(super) answers: Answers<'a>,
    /// The answer that an expression reads before it is one of `answers`.
    pub(super) answer: Option<&'a Document>,
}

/// The answers so far, as the variable `steps`.
#[derive(Clone, Copy)]
pub(super) struct Answers<'a> {
    pub(super) steps: &'a [Step],
    /// By the index of the step.
    pub(super) answers: &'a [StepAnswer],
}

impl LoginInput {
    pub(super) fn new(
        (code, params): (&str, &Fields),
        callback: String,
        state: &str,
        now: Timestamp,
    ) -> Self {
        let params = params.iter();
        let params: Map<String, Value> = params
            .map(|(name, value)| (name.to_owned(), value.into()))
            .collect();
        Self {
            code: code.to_owned(),
            params: Document::from(&Value::Object(params)),
            callback,
            state: state.to_owned(),
            now,
            budget: Budget::default(),
        }
    }

    /// The input of a request that belongs to no login.
    pub(super) fn of_nobody(callback: String, now: Timestamp) -> Self {
        Self::new(("", &Fields::default()), callback, "", now)
    }
}

impl Variables for LoginVariables<'_> {
    fn variable(&self, name: &str) -> Option<Variable<'_>> {
        let input = self.input;
        Some(match name {
            "code" => Variable::Text(&input.code),
            "params" => Variable::Document(&input.params),
            "callback" => Variable::Text(&input.callback),
            "state" => Variable::Text(&input.state),
            "secrets" => Variable::Document(self.secrets),
            "now" => Variable::Moment(input.now.unix_ms()),
            "steps" => Variable::Record(&self.answers),
            "answer" => Variable::Document(self.answer?),
            _ => return None,
        })
    }

    fn budget(&self) -> Option<&Budget> {
        Some(&self.input.budget)
    }
}

impl Record for Answers<'_> {
    fn field(&self, name: &str) -> Option<Field<'_>> {
        let index = self.steps.iter().position(|step| step.name == name)?;
        let answer = self.answers.get(index)?;
        Some(Field::Document(&answer.document))
    }
}
