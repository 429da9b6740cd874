//! `Value`: the result of an evaluation, independent of the engine.

use std::collections::BTreeMap;

use cel::common::types::{
    CelBool, CelDouble, CelInt, CelList, CelMap, CelMapKey, CelNull, CelOptional, CelString,
    CelUInt,
};
use cel::common::value::Val;

use super::eval_error::{EvalError, type_shown};
use crate::text;
use crate::wording::Text;

/// The result of an evaluation.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    Null,
    Bool(bool),
    Int(i64),
    Float(f64),
    Text(String),
    List(Vec<Self>),
    /// Keys of other types are converted to text.
    Map(BTreeMap<String, Self>),
}

impl Value {
    /// Copies a value of the engine. An empty optional is [`EvalError::Missing`].
    pub(super) fn from_engine(value: &dyn Val) -> Result<Self, EvalError> {
        if let Some(text) = value.downcast_ref::<CelString>() {
            return Ok(Self::Text(text.inner().to_owned()));
        }
        if let Some(list) = value.downcast_ref::<CelList>() {
            let items = list
                .inner()
                .iter()
                .map(|item| Self::from_engine(item.as_ref()));
            return items.collect::<Result<_, _>>().map(Self::List);
        }
        if let Some(map) = value.downcast_ref::<CelMap>() {
            let entries = map.inner().iter();
            let entries =
                entries.map(|(key, item)| Ok((key_text(key), Self::from_engine(item.as_ref())?)));
            return entries.collect::<Result<_, _>>().map(Self::Map);
        }
        if let Some(optional) = value.downcast_ref::<CelOptional>() {
            let missing = || EvalError::Missing {
                name: Text::fixed("an optional value", "可选的值"),
            };
            return Self::from_engine(optional.inner().ok_or_else(missing)?);
        }
        Self::scalar_from_engine(value)
    }

    fn scalar_from_engine(value: &dyn Val) -> Result<Self, EvalError> {
        if let Some(int) = value.downcast_ref::<CelInt>() {
            Ok(Self::Int(*int.inner()))
        } else if let Some(bool) = value.downcast_ref::<CelBool>() {
            Ok(Self::Bool(*bool.inner()))
        } else if let Some(float) = value.downcast_ref::<CelDouble>() {
            Ok(Self::Float(*float.inner()))
        } else if let Some(uint) = value.downcast_ref::<CelUInt>() {
            let too_large = |_| EvalError::Failed {
                problem: Text::fixed("an unsigned number is too large", "无符号整数过大"),
            };
            i64::try_from(*uint.inner())
                .map(Self::Int)
                .map_err(too_large)
        } else if value.downcast_ref::<CelNull>().is_some() {
            Ok(Self::Null)
        } else {
            Err(wrong_type(value, &Text::fixed("a value", "可用的值")))
        }
    }
}

impl From<Value> for serde_json::Value {
    /// A number that is not finite becomes null.
    fn from(value: Value) -> Self {
        match value {
            Value::Null => Self::Null,
            Value::Bool(boolean) => boolean.into(),
            Value::Int(number) => number.into(),
            Value::Float(number) => number.into(),
            Value::Text(text) => text.into(),
            Value::List(items) => items.into_iter().map(Self::from).collect(),
            Value::Map(entries) => entries
                .into_iter()
                .map(|(key, value)| (key, Self::from(value)))
                .collect(),
        }
    }
}

/// Reads a bool of the engine; no other type is converted.
pub(super) fn read_bool(value: &dyn Val) -> Result<bool, EvalError> {
    match value.downcast_ref::<CelBool>() {
        Some(bool) => Ok(*bool.inner()),
        None => Err(wrong_type(value, &Text::fixed("a bool", "布尔值"))),
    }
}

fn wrong_type(value: &dyn Val, expected: &Text) -> EvalError {
    let found = type_shown(value.get_type().name());
    EvalError::wrong_type(text!(
        "the result is {found}, not {expected}",
        "结果是{found:#}，不是{expected:#}"
    ))
}

fn key_text(key: &CelMapKey<'_>) -> String {
    match key {
        CelMapKey::String(text) => text.inner().to_owned(),
        CelMapKey::Int(int) => int.inner().to_string(),
        CelMapKey::UInt(uint) => uint.inner().to_string(),
        CelMapKey::Bool(bool) => bool.inner().to_string(),
    }
}
