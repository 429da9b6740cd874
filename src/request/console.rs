//! `ConsoleRules`: decides who may use the web console, and what for.

use crate::expression::{CompileError, EvalError, Expression, Scope, Variable, Variables};
use crate::people::session::Person;
use crate::text;
use crate::wording::{Text, error_of_text};

/// What somebody may do in the console.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConsoleRight {
    /// See everything, and change it.
    Change,
    /// See everything.
    View,
}

/// `allow` and `view` of `[console]`.
#[derive(Clone, Debug, Default)]
pub struct ConsoleRules {
    allow: Option<Expression>,
    view: Option<Expression>,
}

/// A rule that does not compile.
#[derive(Debug)]
pub struct ConsoleRuleError {
    pub key: &'static str,
    pub source: CompileError,
}

impl ConsoleRuleError {
    fn text(&self) -> Text {
        let Self { key, .. } = self;
        text!("{key} does not compile", "{key} 无法编译")
    }

    fn cause(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.source)
    }
}

error_of_text!(ConsoleRuleError, caused);

struct PersonVariables<'a>(&'a Person);

impl Variables for PersonVariables<'_> {
    fn variable(&self, name: &str) -> Option<Variable<'_>> {
        (name == "user").then(|| Variable::Document(&self.0.entitlements.user))
    }
}

impl ConsoleRules {
    pub fn compile(allow: Option<&str>, view: Option<&str>) -> Result<Self, ConsoleRuleError> {
        let compile = |key, source: Option<&str>| {
            let compiled = source.map(|source| Expression::compile(source, Scope::User));
            let compiled = compiled.transpose();
            compiled.map_err(|source| ConsoleRuleError { key, source })
        };
        Ok(Self {
            allow: compile("allow", allow)?,
            view: compile("view", view)?,
        })
    }

    /// Whether any person can enter.
    pub fn admit_people(&self) -> bool {
        self.allow.is_some() || self.view.is_some()
    }

    /// What a person may do; `None`: not even look. A rule that fails admits nobody.
    pub fn right_of(&self, person: &Person) -> Option<ConsoleRight> {
        if admits("allow", self.allow.as_ref(), person) {
            return Some(ConsoleRight::Change);
        }
        admits("view", self.view.as_ref(), person).then_some(ConsoleRight::View)
    }
}

fn admits(key: &str, rule: Option<&Expression>, person: &Person) -> bool {
    let Some(rule) = rule else { return false };
    match rule.evaluate_bool(&PersonVariables(person)) {
        Ok(admitted) => admitted,
        // A field that this person does not have.
        Err(EvalError::Missing { .. }) => false,
        Err(error) => {
            let login = person.session.login.as_str();
            tracing::warn!(key, login, %error, "a rule of [console] failed, so it does not admit");
            false
        }
    }
}
