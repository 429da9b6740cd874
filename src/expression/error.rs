//! Errors of compiling an expression.

use crate::text;
use crate::wording::{Text, error_of_text};

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
#[derive(Debug)]
pub enum CompileErrorKind {
    TooLong {
        bytes_max: usize,
    },
    TooDeep {
        levels_max: usize,
    },
    MacrosTooDeep {
        levels_max: usize,
    },
    TooManyMacros {
        macros_max: usize,
    },
    Syntax {
        message: Text,
    },
    UnknownVariable {
        name: String,
        known: &'static [&'static str],
    },
    Shadowed {
        name: String,
    },
    UnknownFunction {
        /// The name; that of a method starts with a dot.
        name: String,
        /// The number of arguments without the target of a method.
        arguments: usize,
    },
    /// `matches` takes only a literal, so that every pattern is compiled once.
    ComputedPattern,
    /// The pattern of `matches` is malformed or too large.
    Pattern(regex::Error),
    /// The network of `in_network` is malformed.
    Network {
        text: String,
        source: ipnet::AddrParseError,
    },
    /// A message such as `Name{field: 1}` is constructed.
    Message,
    Thread(std::io::Error),
}

impl CompileErrorKind {
    fn text(&self) -> Text {
        match self {
            Self::TooLong { bytes_max } => text!(
                "the expression is longer than {bytes_max} bytes",
                "表达式超过 {bytes_max} 字节"
            ),
            Self::TooDeep { levels_max } => text!(
                "the expression is nested deeper than {levels_max} levels",
                "表达式的嵌套超过 {levels_max} 层"
            ),
            Self::MacrosTooDeep { levels_max } => text!(
                "macros are nested deeper than {levels_max} levels",
                "宏的嵌套超过 {levels_max} 层"
            ),
            Self::TooManyMacros { macros_max } => {
                text!("more than {macros_max} macros", "宏超过 {macros_max} 个")
            }
            Self::Syntax { message } => message.clone(),
            Self::UnknownVariable { name, known } => text!(
                "unknown variable `{name}`, known here: {}",
                "没有变量 `{name}`，这里可用的有：{}",
                known.join(", ")
            ),
            Self::Shadowed { name } => text!(
                "`{name}` is a variable: the item of a macro needs another name",
                "`{name}` 是已有的变量：宏里的元素要用别的名字"
            ),
            Self::UnknownFunction { name, arguments } => text!(
                "unknown function `{name}` with {arguments} arguments",
                "没有接受 {arguments} 个参数的函数 `{name}`"
            ),
            Self::ComputedPattern => Text::fixed(
                "the pattern of `matches` must be a literal",
                "`matches` 的正则表达式必须是字面量",
            ),
            Self::Pattern(_) => Text::fixed("malformed pattern", "正则表达式的写法有误"),
            Self::Network { text, .. } => {
                text!("malformed network `{text}`", "网段 `{text}` 的写法有误")
            }
            Self::Message => Text::fixed(
                "messages cannot be constructed",
                "这里不能构造消息（`Name{field: 1}`）",
            ),
            Self::Thread(_) => Text::fixed(
                "cannot start a thread for the parser",
                "无法启动解析表达式的线程",
            ),
        }
    }

    fn cause(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Pattern(source) => Some(source),
            Self::Network { source, .. } => Some(source),
            Self::Thread(source) => Some(source),
            Self::TooLong { .. }
            | Self::TooDeep { .. }
            | Self::MacrosTooDeep { .. }
            | Self::TooManyMacros { .. }
            | Self::Syntax { .. }
            | Self::UnknownVariable { .. }
            | Self::Shadowed { .. }
            | Self::UnknownFunction { .. }
            | Self::ComputedPattern
            | Self::Message => None,
        }
    }
}

error_of_text!(CompileErrorKind, caused);

impl CompileError {
    /// The error without the position.
    pub fn message(&self) -> Text {
        self.kind.text()
    }

    fn text(&self) -> Text {
        let message = self.message();
        match self.position {
            Some(Position { line, column, .. }) => text!(
                "{message} (line {line}, column {column})",
                "{message:#}（第 {line} 行，第 {column} 列）"
            ),
            None => message,
        }
    }

    fn cause(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.kind.cause()
    }
}

error_of_text!(CompileError, caused);

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
