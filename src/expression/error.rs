//! Why an expression is refused when it is compiled, and why it has no value when evaluated.

use std::borrow::Cow;
use std::fmt;

use cel::ExecutionError;

/// An expression that was refused, and where in its source.
#[derive(Debug)]
pub struct CompileError {
    /// What is wrong.
    pub kind: CompileErrorKind,
    /// Where, when it is known.
    pub position: Option<Position>,
}

/// A place in the source of an expression.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Position {
    /// Bytes before it.
    pub offset: usize,
    /// Its line, from 1.
    pub line: usize,
    /// Its column in characters, from 1.
    pub column: usize,
}

/// What is wrong with a source.
#[derive(Debug, thiserror::Error)]
pub enum CompileErrorKind {
    /// The source is too long.
    #[error("the expression is longer than {bytes_max} bytes")]
    TooLong {
        /// The limit.
        bytes_max: usize,
    },
    /// Brackets or operators are nested too deeply.
    #[error("the expression is nested deeper than {levels_max} levels")]
    TooDeep {
        /// The limit.
        levels_max: usize,
    },
    /// Macros such as `exists` are nested too deeply.
    #[error("macros are nested deeper than {levels_max} levels")]
    MacrosTooDeep {
        /// The limit.
        levels_max: usize,
    },
    /// There are too many macros.
    #[error("more than {macros_max} macros")]
    TooManyMacros {
        /// The limit.
        macros_max: usize,
    },
    /// It is not CEL.
    #[error("{message}")]
    Syntax {
        /// What the parser says.
        message: String,
    },
    /// A variable that is not lent here.
    #[error("unknown variable `{name}`, known here: {}", .known.join(", "))]
    UnknownVariable {
        /// What was written.
        name: String,
        /// What could have been.
        known: &'static [&'static str],
    },
    /// A macro calls its item by the name of a variable.
    #[error("`{name}` is a variable, a macro must call its item differently")]
    Shadowed {
        /// The name.
        name: String,
    },
    /// A function that does not exist, or not in this form.
    #[error("unknown function `{name}` with {arguments} arguments")]
    UnknownFunction {
        /// What was written; a method starts with a dot.
        name: String,
        /// How many arguments, not counting what a method is called on.
        arguments: usize,
    },
    /// The pattern of `matches` is computed.
    #[error("the pattern of `matches` must be a literal")]
    ComputedPattern,
    /// The pattern of `matches` is malformed or too large.
    #[error("malformed pattern")]
    Pattern(#[source] regex::Error),
    /// The network of `in_network` is malformed.
    #[error("malformed network `{text}`")]
    Network {
        /// What was written.
        text: String,
        /// What the parser of networks says.
        #[source]
        source: ipnet::AddrParseError,
    },
    /// A message such as `Name{field: 1}` is constructed.
    #[error("messages cannot be constructed")]
    Message,
    /// The thread that parses could not start.
    #[error("no thread to parse on")]
    Thread(#[source] std::io::Error),
}

/// Why an evaluation has no value. It carries names and types, never data.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EvalError {
    /// A fact, field, key or item is not there.
    #[error("{name} is missing")]
    Missing {
        /// The name as the expression has it, else a description.
        name: String,
    },
    /// Something is of a type that cannot be used so.
    #[error("wrong type: {problem}")]
    WrongType {
        /// The operation and the types it met.
        problem: String,
    },
    /// It would cost more than one request may.
    #[error("evaluating it takes too much work")]
    BudgetExceeded,
    /// An operation did not succeed on values of the right type.
    #[error("{operation} failed")]
    Failed {
        /// The function or operator.
        operation: Cow<'static, str>,
    },
}

impl CompileError {
    /// What is wrong, without the position.
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
    /// The place `offset` bytes into `source`; past its end, the end.
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

    /// The place of a line and a column in characters, both from 1.
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
    /// Says what `error` says, without the data it may hold.
    pub(super) fn translate(error: ExecutionError, source: &str) -> Self {
        match error {
            ExecutionError::NoSuchKey(key) | ExecutionError::UndeclaredReference(key) => {
                // A computed key is data; one that is written in the source is not.
                let written = source.contains(key.as_str());
                let name = if written {
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
                let on_null = call
                    .argument_types()
                    .first()
                    .is_some_and(|t| t == "null_type");
                match (call.function(), on_null) {
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
            ExecutionError::FunctionError { function, .. } => Self::Failed {
                operation: format!("`{function}`").into(),
            },
            ExecutionError::DivisionByZero(_) | ExecutionError::RemainderByZero(_) => {
                Self::Failed {
                    operation: "division by zero".into(),
                }
            }
            ExecutionError::Overflow(..) => Self::Failed {
                operation: "arithmetic".into(),
            },
            ExecutionError::DuplicateKey(_) => Self::Failed {
                operation: "a repeated key".into(),
            },
            _ => Self::WrongType {
                problem: "a value that cannot be used so".into(),
            },
        }
    }
}
