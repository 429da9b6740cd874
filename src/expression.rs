//! CEL expressions for mappings, rules and headers: compiled once, evaluated within limits.
//!
//! An [`Expression`] reads variables, which the caller passes as [`Variables`]: owned data as a
//! [`Document`], computed fields as a [`Record`]. They are borrowed, not copied.
//!
//! Limits: a source of [`SOURCE_BYTES_MAX`], a syntax tree of [`DEPTH_MAX`] levels, [`MACROS_MAX`]
//! macros in [`MACRO_LEVELS_MAX`] levels over [`OUTER_ITEMS_MAX`] and [`INNER_ITEMS_MAX`] items,
//! literal patterns only, and a [`Budget`] of steps for all evaluations of one request. The author of
//! an expression is trusted; the data it reads is not.

mod budget;
mod capitals;
mod check;
mod department;
mod digest;
mod error;
mod eval_error;
mod function;
mod literal_chars;
mod moment;
mod parse;
mod parser_message;
mod result_type;
mod syntax_help;
#[cfg(test)]
mod tests;
mod value;
mod variables;

use std::fmt;
use std::sync::Arc;

use cel::{Context, IdedExpr};

pub use self::budget::{Budget, STEPS_MAX};
pub use self::check::{DEPTH_MAX, MACRO_LEVELS_MAX, MACROS_MAX};
pub use self::department::KNOWN_DEPARTMENT_PATHS;
pub use self::error::{CompileError, CompileErrorKind, Position};
pub use self::eval_error::EvalError;
pub use self::function::{INNER_ITEMS_MAX, OUTER_ITEMS_MAX};
pub use self::literal_chars::LiteralChars;
pub use self::parse::SOURCE_BYTES_MAX;
pub use self::value::Value;
pub use self::variables::{Document, Field, Record, Variable, Variables};

use self::check::CheckedTree;
use self::function::Constant;
use self::variables::ResolvedVariables;

/// A compiled expression.
///
/// Cheap to clone. Two expressions are equal if they have the same source and scope.
#[derive(Clone)]
pub struct Expression {
    compiled: Arc<Compiled>,
}

/// Where an expression is used, which decides the variables it may read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// Reads the raw profile of a person: `profile`.
    Mapping,
    /// Decides about a request or computes a header: `user`, `request`, `session`, `claims`.
    Rule,
    /// Decides about a person, whatever they request: `user`.
    User,
    /// Computes a parameter of the page at which a login begins: `callback`, `state`, `secrets`, `now`.
    LoginPage,
    /// Computes a request to a source, or reads its answers: also `code`, `params` and `steps`.
    SourceCall,
    /// Reads the answer of a source to one request: also `answer`.
    SourceAnswer,
}

struct Compiled {
    source: Box<str>,
    scope: Scope,
    root: IdedExpr,
    /// The number of nodes of `root`.
    nodes: u64,
    /// Compiled literals, which the tree refers to by index.
    constants: Vec<Constant>,
    /// Every path that is read from a variable, such as `request.path`.
    reads: Vec<Box<str>>,
    /// Every value that the source names, such as `user.login` or `request.headers["x-a"]`.
    names: Vec<Box<str>>,
    /// Every function and method that is called.
    calls: Vec<Box<str>>,
    literal_chars: LiteralChars,
}

impl Expression {
    /// Compiles `source`, of at most [`SOURCE_BYTES_MAX`] bytes.
    ///
    /// Slow: it parses on a thread of its own, because parsing is recursive.
    ///
    /// # Errors
    ///
    /// Syntax errors, variables outside the scope, unknown functions, malformed literal patterns and
    /// networks, and everything that exceeds a limit.
    pub fn compile(source: &str, scope: Scope) -> Result<Self, CompileError> {
        let CheckedTree {
            root,
            nodes,
            constants,
            reads,
            names,
            calls,
            literal_chars,
        } = parse::parse(source, scope)?;
        let source = source.into();
        let compiled = Compiled {
            source,
            scope,
            root,
            nodes,
            constants,
            reads,
            names,
            calls,
            literal_chars,
        };
        Ok(Self {
            compiled: Arc::new(compiled),
        })
    }

    pub fn source(&self) -> &str {
        &self.compiled.source
    }

    pub fn literal_chars(&self) -> LiteralChars {
        self.compiled.literal_chars
    }

    /// Whether the expression may read `path`, such as `request.path`, or a field of it. Reading a
    /// variable as a whole counts as reading all its fields.
    pub fn reads(&self, path: &str) -> bool {
        let within = |inner: &str, outer: &str| {
            inner
                .strip_prefix(outer)
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
        };
        self.compiled
            .reads
            .iter()
            .any(|read| within(read, path) || within(path, read))
    }

    /// The fields that the expression selects from a variable by name, such as `token` in
    /// `steps.token.id`. A field that is selected by an index, such as `steps['token']`, is not among them.
    pub fn fields_of<'a>(&'a self, variable: &'a str) -> impl Iterator<Item = &'a str> {
        self.compiled.reads.iter().filter_map(move |read| {
            let field = read.strip_prefix(variable)?.strip_prefix('.')?;
            field.split('.').next()
        })
    }

    /// The paths that the expression reads below a variable, such as `attributes.level` of `user`. What is
    /// selected by an index is not among them.
    pub fn paths_below<'a>(&'a self, variable: &'a str) -> impl Iterator<Item = &'a str> {
        let reads = self.compiled.reads.iter();
        reads.filter_map(move |read| read.strip_prefix(variable)?.strip_prefix('.'))
    }

    /// Whether the expression can have no other value than an error, or one that is no bool.
    pub fn is_never_bool(&self) -> bool {
        result_type::is_never_bool(&self.compiled.root)
    }

    /// Whether the expression calls this function.
    pub fn calls(&self, function: &str) -> bool {
        self.compiled.calls.iter().any(|call| &**call == function)
    }

    /// Every value that the expression reads, each as an expression, in the order of the source: for
    /// `'a' in user.groups && request.headers['x-b'] == 'c'` these are `user.groups` and
    /// `request.headers["x-b"]`. Slow, because it compiles them.
    pub fn named_values(&self) -> Vec<Self> {
        let names = &self.compiled.names;
        let indexed = names.iter().enumerate();
        let distinct = indexed.filter(|(index, name)| !names[..*index].contains(name));
        distinct
            .filter_map(|(_, name)| Self::compile(name, self.compiled.scope).ok())
            .collect()
    }

    /// The first field of `variable`, such as `user.email`, that the source names and that is null.
    pub fn null_field(&self, variable: &str, fields: &Document) -> Option<&str> {
        let names = self.compiled.names.iter().map(|name| &**name);
        names.into_iter().find(|name| {
            let field = name
                .strip_prefix(variable)
                .and_then(|it| it.strip_prefix('.'));
            field.is_some_and(|field| fields.is_null(field))
        })
    }

    /// The first string or pattern with a capital letter that the expression compares with a field. Slow,
    /// because it parses the source again.
    pub fn capitals_compared_with(&self, variable: &str, field: &str) -> Option<String> {
        let found = parse::with_parsed(self.source(), |program| {
            let root = program.expression();
            Ok(capitals::first_compared_with(root, variable, field))
        });
        found.ok().flatten()
    }

    /// Evaluates the expression with the values of `variables`.
    ///
    /// # Errors
    ///
    /// [`EvalError::Missing`] for a variable, field, key or item that does not exist,
    /// [`EvalError::BudgetExceeded`] if the [`Budget`] is spent, the other variants for everything else
    /// that has no value.
    pub fn evaluate(&self, variables: &dyn Variables) -> Result<Value, EvalError> {
        self.run(variables, Value::from_engine)
    }

    /// Evaluates the expression to a bool. After an error the caller must deny.
    ///
    /// # Errors
    ///
    /// As [`Expression::evaluate`], and [`EvalError::WrongType`] if the value is not a bool.
    pub fn evaluate_bool(&self, variables: &dyn Variables) -> Result<bool, EvalError> {
        self.run(variables, value::read_bool)
    }

    fn run<T>(
        &self,
        variables: &dyn Variables,
        read: impl FnOnce(&dyn cel::common::value::Val) -> Result<T, EvalError>,
    ) -> Result<T, EvalError> {
        let compiled = &*self.compiled;
        let resolved = ResolvedVariables::new(compiled.scope, variables, &compiled.constants);
        let mut context = Context::with_env(function::environment());
        context.set_variable_resolver(&resolved);
        let evaluated = budget::run_within(variables.budget(), || {
            if !budget::charge(compiled.nodes) {
                return Err(EvalError::BudgetExceeded);
            }
            match cel::Value::resolve_val(&compiled.root, &context) {
                Ok(value) => read(value.as_ref()),
                Err(error) => Err(EvalError::translate(error, &compiled.source)),
            }
        });
        // The engine ignores an error within `||` or `exists`, so a spent budget is checked here.
        evaluated.unwrap_or(Err(EvalError::BudgetExceeded))
    }
}

impl Scope {
    /// The variables that an expression in this scope may read.
    pub fn variables(self) -> &'static [&'static str] {
        match self {
            Self::Mapping => &["profile"],
            Self::Rule => &["user", "request", "session", "claims"],
            Self::User => &["user"],
            Self::LoginPage => &["callback", "state", "secrets", "now"],
            Self::SourceCall => &[
                "code", "params", "callback", "state", "secrets", "now", "steps",
            ],
            Self::SourceAnswer => &[
                "code", "params", "callback", "state", "secrets", "now", "steps", "answer",
            ],
        }
    }

    /// Whether expressions may call the functions that only requests to a source need, such as digests.
    fn has_source_functions(self) -> bool {
        match self {
            Self::Mapping | Self::Rule | Self::User => false,
            Self::LoginPage | Self::SourceCall | Self::SourceAnswer => true,
        }
    }
}

impl PartialEq for Expression {
    fn eq(&self, other: &Self) -> bool {
        self.compiled.scope == other.compiled.scope && self.source() == other.source()
    }
}

impl Eq for Expression {}

impl fmt::Debug for Expression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Expression").field(&self.source()).finish()
    }
}
