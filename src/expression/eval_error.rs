//! Errors of evaluating an expression.

use cel::{ExecutionError, OverloadError};

use super::department::UNKNOWN_NAMES;
use crate::text;
use crate::wording::{Text, error_of_text};

/// The name of the type of null.
const NULL: &str = "null_type";

/// Why an evaluation has no value. It holds names and types, never data, so it may be logged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EvalError {
    /// A variable, field, key or item does not exist.
    Missing {
        /// The name from the source, or a description.
        name: Text,
    },
    WrongType {
        /// The operation and the types of its operands.
        problem: Text,
        /// Whether an operand is null, such as a field that has no value.
        of_null: bool,
    },
    /// The [`super::Budget`] of the request is used up.
    BudgetExceeded,
    /// An operation failed on values of the right type.
    Failed { problem: Text },
}

impl EvalError {
    fn text(&self) -> Text {
        match self {
            Self::Missing { name } => text!("{name} is missing", "{name:#}不存在"),
            Self::WrongType { problem, .. } => {
                text!("wrong type: {problem}", "类型不对：{problem:#}")
            }
            Self::BudgetExceeded => {
                Text::fixed("evaluating it takes too much work", "求值的工作量过大")
            }
            Self::Failed { problem } => problem.clone(),
        }
    }

    /// Converts an error of the engine and drops the data it may hold.
    pub(super) fn translate(error: ExecutionError, source: &str) -> Self {
        match error {
            ExecutionError::NoSuchKey(key) | ExecutionError::UndeclaredReference(key) => {
                // A computed key is data and is not repeated.
                Self::missing(match source.contains(key.as_str()) {
                    true => text!("`{key}`", "`{key}` "),
                    false => Text::fixed("a computed key", "计算得到的键"),
                })
            }
            ExecutionError::IndexOutOfBounds(_) => {
                Self::missing(Text::fixed("a list item", "列表的元素"))
            }
            ExecutionError::NoSuchOverload(call) => Self::of_overload(&call),
            ExecutionError::UnexpectedType { got, want } => Self::wrong_type(text!(
                "{got} instead of {want}",
                "应为 {want}，实际是 {got}"
            )),
            ExecutionError::UnsupportedBinaryOperator(operator, ..) => {
                let operator = operator_shown(operator);
                Self::wrong_type(text!(
                    "`{operator}` does not take these operands",
                    "`{operator}` 不能用于这些操作数"
                ))
            }
            ExecutionError::FunctionError { message, .. } if message == UNKNOWN_NAMES => {
                Self::failed(Text::fixed(UNKNOWN_NAMES, "此人所在部门的名称未知"))
            }
            ExecutionError::FunctionError { function, .. } => {
                Self::failed(text!("`{function}` failed", "`{function}` 失败"))
            }
            ExecutionError::DivisionByZero(_) | ExecutionError::RemainderByZero(_) => {
                Self::failed(Text::fixed("division by zero", "除数为零"))
            }
            ExecutionError::Overflow(..) => Self::failed(Text::fixed(
                "the result of an operation is too large or too small",
                "运算结果过大或过小",
            )),
            ExecutionError::DuplicateKey(_) => Self::failed(Text::fixed(
                "a map has the same key twice",
                "映射中同一个键出现了两次",
            )),
            _ => Self::wrong_type(Text::fixed(
                "a value that cannot be used here",
                "有的值不能用在这里",
            )),
        }
    }

    /// An operator or function has these types for none of its forms.
    fn of_overload(call: &OverloadError) -> Self {
        let types = call.argument_types();
        let is_on_null = types.first().is_some_and(|name| name == NULL);
        if is_on_null && matches!(call.function(), "_._" | "_[_]") {
            return Self::missing(Text::fixed("a field of null", "null 的字段"));
        }
        let operator = operator_shown(call.function());
        let shown: Vec<_> = types.iter().map(|name| type_shown(name)).collect();
        let shown = Text::join(&shown, &Text::fixed(" and ", "和"));
        Self::WrongType {
            problem: text!(
                "`{operator}` cannot be applied to {shown}",
                "`{operator}` 不能用于{shown:#}"
            ),
            of_null: types.iter().any(|name| name == NULL),
        }
    }

    fn missing(name: Text) -> Self {
        Self::Missing { name }
    }

    pub(super) fn wrong_type(problem: Text) -> Self {
        Self::WrongType {
            problem,
            of_null: false,
        }
    }

    fn failed(problem: Text) -> Self {
        Self::Failed { problem }
    }
}

error_of_text!(EvalError);

/// An operator as it is written; the engine calls `>` `_>_`.
fn operator_shown(name: &str) -> &str {
    match name {
        "_[_]" => "[ ]",
        "_?_:_" => "? :",
        "@in" => "in",
        name => name.trim_matches('_'),
    }
}

/// A type of CEL in words.
pub(super) fn type_shown(name: &str) -> Text {
    match name {
        "string" => Text::fixed("a text", "文本"),
        "int" | "uint" => Text::fixed("a whole number", "整数"),
        "double" => Text::fixed("a number", "小数"),
        "bool" => Text::fixed("true or false", "布尔值"),
        "list" => Text::fixed("a list", "列表"),
        "map" => Text::fixed("a map", "映射"),
        NULL => Text::fixed("null", " null "),
        "bytes" => Text::fixed("bytes", "字节串"),
        "google.protobuf.Timestamp" => Text::fixed("a point in time", "时间点"),
        "google.protobuf.Duration" => Text::fixed("a period", "时长"),
        other => Text::same(other.to_owned()),
    }
}
