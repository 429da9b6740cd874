//! Errors of compiling and of evaluating an expression.

use std::borrow::Cow;
use std::fmt;

use cel::ExecutionError;

use super::department::UNKNOWN_NAMES;

/// Why an expression does not compile, and where.
#[derive(Debug)]
pub struct CompileError {
    pub kind: CompileErrorKind,
    pub position: Option<Position>,
}

/// A position in the source of an expression.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Position {
    /// In bytes.
    pub offset: usize,
    /// From 1.
    pub line: usize,
    /// In characters, from 1.
    pub column: usize,
}

/// What is wrong with a source.
#[derive(Debug, thiserror::Error)]
pub enum CompileErrorKind {
    #[error("the expression is longer than {bytes_max} bytes")]
    TooLong { bytes_max: usize },
    #[error("the expression is nested deeper than {levels_max} levels")]
    TooDeep { levels_max: usize },
    #[error("macros are nested deeper than {levels_max} levels")]
    MacrosTooDeep { levels_max: usize },
    #[error("more than {macros_max} macros")]
    TooManyMacros { macros_max: usize },
    #[error("{message}")]
    Syntax { message: String },
    #[error("unknown variable `{name}`, known here: {}", .known.join(", "))]
    UnknownVariable {
        name: String,
        known: &'static [&'static str],
    },
    #[error("`{name}` is a variable: the item of a macro needs another name")]
    Shadowed { name: String },
    #[error("unknown function `{name}` with {arguments} arguments")]
    UnknownFunction {
        /// The name; that of a method starts with a dot.
        name: String,
        /// The number of arguments without the target of a method.
        arguments: usize,
    },
    /// `matches` takes only a literal, so that every pattern is compiled once.
    #[error("the pattern of `matches` must be a literal")]
    ComputedPattern,
    /// The pattern of `matches` is malformed or too large.
    #[error("malformed pattern")]
    Pattern(#[source] regex::Error),
    /// The network of `in_network` is malformed.
    #[error("malformed network `{text}`")]
    Network {
        text: String,
        #[source]
        source: ipnet::AddrParseError,
    },
    /// A message such as `Name{field: 1}` is constructed.
    #[error("messages cannot be constructed")]
    Message,
    #[error("cannot start a thread for the parser")]
    Thread(#[source] std::io::Error),
}

/// Why an evaluation has no value. It holds names and types, never data, so it may be logged.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EvalError {
    /// A variable, field, key or item does not exist.
    #[error("{name} is missing")]
    Missing {
        /// The name from the source, or a description.
        name: String,
    },
    #[error("wrong type: {problem}")]
    WrongType {
        /// The operation and the types of its operands.
        problem: String,
    },
    /// The [`super::Budget`] of the request is used up.
    #[error("evaluating it takes too much work")]
    BudgetExceeded,
    /// An operation failed on values of the right type.
    #[error("{problem}")]
    Failed {
        /// What failed.
        problem: Cow<'static, str>,
    },
}

impl CompileError {
    /// The error without the position.
    pub fn message(&self) -> String {
        self.kind.to_string()
    }
}

impl fmt::Display for CompileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.kind)?;
        match self.position {
            Some(position) => write!(f, " (line {}, column {})", position.line, position.column),
            None => Ok(()),
        }
    }
}

impl std::error::Error for CompileError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        std::error::Error::source(&self.kind)
    }
}

impl Position {
    /// The position `offset` bytes into `source`, or its end.
    pub(super) fn at_offset(source: &str, offset: usize) -> Self {
        let offset = source.floor_char_boundary(offset);
        let before = &source[..offset];
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        let line = 1 + before.matches('\n').count();
        Self {
            offset,
            line,
            column: 1 + before[line_start..].chars().count(),
        }
    }

    /// The position of a line and a column in characters, both from 1.
    pub(super) fn at_column(source: &str, line: usize, column: usize) -> Self {
        let lines = source.split_inclusive('\n').take(line.saturating_sub(1));
        let line_start: usize = lines.map(str::len).sum();
        let within = source[line_start..]
            .char_indices()
            .nth(column.saturating_sub(1));
        Self::at_offset(
            source,
            within.map_or(source.len(), |(index, _)| line_start + index),
        )
    }
}

impl EvalError {
    /// Converts an error of the engine and drops the data it may hold.
    pub(super) fn translate(error: ExecutionError, source: &str) -> Self {
        match error {
            ExecutionError::NoSuchKey(key) | ExecutionError::UndeclaredReference(key) => {
                // A computed key is data and is not repeated.
                let is_in_source = source.contains(key.as_str());
                let name = if is_in_source {
                    format!("`{key}`")
                } else {
                    "a computed key".into()
                };
                Self::Missing { name }
            }
            ExecutionError::IndexOutOfBounds(_) => Self::Missing {
                name: "a list item".into(),
            },
            ExecutionError::NoSuchOverload(call) => {
                let is_on_null = call
                    .argument_types()
                    .first()
                    .is_some_and(|t| t == "null_type");
                match (call.function(), is_on_null) {
                    ("_._" | "_[_]", true) => Self::Missing {
                        name: "a field of null".into(),
                    },
                    _ => Self::WrongType {
                        problem: call.to_string(),
                    },
                }
            }
            ExecutionError::UnexpectedType { got, want } => Self::WrongType {
                problem: format!("{got} instead of {want}"),
            },
            ExecutionError::UnsupportedBinaryOperator(operator, ..) => Self::WrongType {
                problem: format!("`{operator}` does not take these operands"),
            },
            ExecutionError::FunctionError { message, .. } if message == UNKNOWN_NAMES => {
                Self::Failed {
                    problem: UNKNOWN_NAMES.into(),
                }
            }
            ExecutionError::FunctionError { function, .. } => Self::Failed {
                problem: format!("`{function}` failed").into(),
            },
            ExecutionError::DivisionByZero(_) | ExecutionError::RemainderByZero(_) => {
                Self::Failed {
                    problem: "division by zero".into(),
                }
            }
            ExecutionError::Overflow(..) => Self::Failed {
                problem: "the result of an operation is too large or too small".into(),
            },
            ExecutionError::DuplicateKey(_) => Self::Failed {
                problem: "a map has the same key twice".into(),
            },
            _ => Self::WrongType {
                problem: "a value that cannot be used here".into(),
            },
        }
    }
}
