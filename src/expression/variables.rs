//! The variables of an evaluation: the documents and records, and how the engine reads them.

use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, OnceLock};

use cel::ExecutionError;
use cel::common::traits::{Container, Indexer};
use cel::common::types::{
    CelBool, CelDouble, CelInt, CelList, CelMap, CelMapKey, CelNull, CelString, MAP_TYPE, Type,
};
use cel::common::value::{CowVal, Val};
use cel::context::VariableResolver;

use super::Scope;
use super::budget::{self, Budget};
use super::function::Constant;
use super::moment::Moment;

/// Owned data, converted once for many evaluations. Cheap to clone.
///
/// Whole numbers become `int`. Numbers beyond 64 signed bits become text, because rounding could make two
/// of them equal. `Debug` shows nothing, because it may hold personal data.
#[derive(Clone)]
pub struct Document(Arc<dyn Val>);

/// The variables of an evaluation.
pub trait Variables: Send + Sync {
    /// Called once for each variable of an evaluation.
    fn variable(&self, name: &str) -> Option<Variable<'_>>;

    /// The budget that all evaluations of one request share; `None`: no limit.
    fn budget(&self) -> Option<&Budget> {
        None
    }
}

/// The value of a variable.
#[derive(Clone, Copy)]
pub enum Variable<'a> {
    /// For example the `user` of a request without a session.
    Null,
    Text(&'a str),
    /// A point in time, in milliseconds since 1970.
    Moment(i64),
    Document(&'a Document),
    Record(&'a dyn Record),
}

/// A value whose fields are computed when an expression reads them, such as a request.
///
/// An expression can select, index and test its fields, but not list or return them.
pub trait Record: Send + Sync {
    fn field(&self, name: &str) -> Option<Field<'_>>;
}

/// The value of a field of a [`Record`].
#[derive(Clone)]
pub enum Field<'a> {
    Null,
    Text(Cow<'a, str>),
    Int(i64),
    Bool(bool),
    Record(&'a dyn Record),
    /// It is borrowed, not copied, unless the record is itself a field of a record.
    Document(&'a Document),
}

/// The most variables of a scope.
const VARIABLES_MAX: usize = 8;

/// The variables of one evaluation, as the engine reads them.
pub(super) struct ResolvedVariables<'a> {
    scope: Scope,
    variables: &'a dyn Variables,
    constants: &'a [Constant],
    /// By the index of the name in its scope. Filled at the first read, so that the engine can borrow a
    /// record without a box.
    resolved: [OnceLock<Option<ResolvedVariable<'a>>>; VARIABLES_MAX],
}

enum ResolvedVariable<'a> {
    Null,
    Text(CelString<'static>),
    Moment(Moment),
    Document(&'a Document),
    Record(RecordMap<'a>),
}

/// A record as a map of the engine.
#[derive(Clone, Copy)]
struct RecordMap<'a>(&'a dyn Record);

static NULL: CelNull = CelNull;

impl Document {
    /// Whether it is a map whose field of this name is null.
    pub(super) fn is_null(&self, name: &str) -> bool {
        let Some(map) = self.0.downcast_ref::<CelMap>() else {
            return false;
        };
        let mut entries = map.inner().iter();
        let found = entries.find(|(key, _)| match key {
            CelMapKey::String(text) => text.inner() == name,
            CelMapKey::Int(_) | CelMapKey::UInt(_) | CelMapKey::Bool(_) => false,
        });
        found.is_some_and(|(_, value)| value.downcast_ref::<CelNull>().is_some())
    }
}

impl From<&serde_json::Value> for Document {
    fn from(json: &serde_json::Value) -> Self {
        Self(Arc::from(convert(json)))
    }
}

impl fmt::Debug for Document {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Document(..)")
    }
}

impl fmt::Debug for Variable<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Null => "Null",
            Self::Text(_) => "Text(..)",
            Self::Moment(_) => "Moment(..)",
            Self::Document(_) => "Document(..)",
            Self::Record(_) => "Record(..)",
        })
    }
}

impl fmt::Debug for Field<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Null => "Null",
            Self::Text(_) => "Text(..)",
            Self::Int(_) => "Int(..)",
            Self::Bool(_) => "Bool(..)",
            Self::Record(_) => "Record(..)",
            Self::Document(_) => "Document(..)",
        })
    }
}

impl<'a> ResolvedVariables<'a> {
    pub(super) fn new(
        scope: Scope,
        variables: &'a dyn Variables,
        constants: &'a [Constant],
    ) -> Self {
        Self {
            scope,
            variables,
            constants,
            resolved: Default::default(),
        }
    }
}

/// The name of the variable that refers to a constant. The parser does not accept it in a source.
pub(super) fn constant_name(index: usize) -> String {
    format!("@{index}")
}

impl VariableResolver for ResolvedVariables<'_> {
    fn resolve<'b>(&'b self, variable: &str) -> Option<CowVal<'b, 'b>> {
        if let Some(index) = variable.strip_prefix('@') {
            let constant = self.constants.get(index.parse::<usize>().ok()?)?;
            return Some(CowVal::Borrowed(constant));
        }
        // The engine resolves `user.login` before `user`: only the latter is a variable.
        let position = self
            .scope
            .variables()
            .iter()
            .position(|name| *name == variable)?;
        let resolved = self.resolved.get(position)?.get_or_init(|| {
            Some(match self.variables.variable(variable)? {
                Variable::Null => ResolvedVariable::Null,
                Variable::Text(text) => ResolvedVariable::Text(CelString::from(text.to_owned())),
                Variable::Moment(unix_ms) => ResolvedVariable::Moment(Moment { unix_ms }),
                Variable::Document(document) => ResolvedVariable::Document(document),
                Variable::Record(record) => ResolvedVariable::Record(RecordMap(record)),
            })
        });
        Some(CowVal::Borrowed(match resolved.as_ref()? {
            ResolvedVariable::Null => &NULL,
            ResolvedVariable::Text(text) => text,
            ResolvedVariable::Moment(moment) => moment,
            ResolvedVariable::Document(document) => &*document.0,
            ResolvedVariable::Record(fields) => fields,
        }))
    }
}

impl fmt::Debug for RecordMap<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Record(..)")
    }
}

impl Val for RecordMap<'_> {
    fn get_type(&self) -> &Type {
        <Self as Val>::cel_type()
    }

    fn cel_type() -> &'static Type {
        &MAP_TYPE
    }

    fn as_container(&self) -> Option<&dyn Container> {
        Some(self)
    }

    fn as_indexer<'b, 'v>(&'b self) -> Option<&'b (dyn Indexer + 'v)>
    where
        Self: 'v,
    {
        Some(self)
    }

    fn clone_as_boxed<'v>(&self) -> Box<dyn Val + 'v>
    where
        Self: 'v,
    {
        Box::new(*self)
    }
}

impl Container for RecordMap<'_> {
    fn contains(&self, name: &dyn Val) -> Result<bool, ExecutionError> {
        text(name).map(|name| self.0.field(name).is_some())
    }
}

impl Indexer for RecordMap<'_> {
    fn get<'b, 'v>(&'b self, name: &dyn Val) -> Result<CowVal<'b, 'v>, ExecutionError>
    where
        Self: 'v,
    {
        let name = text(name)?;
        let field = self
            .0
            .field(name)
            .ok_or_else(|| ExecutionError::no_such_key(name))?;
        Ok(match field {
            Field::Null => CowVal::Borrowed(&NULL),
            Field::Text(text) => match budget::charge_read(&text) {
                true => CowVal::owned(CelString::from(text)),
                false => return Err(budget_exceeded(name)),
            },
            Field::Int(int) => CowVal::owned(CelInt::from(int)),
            Field::Bool(bool) => CowVal::owned(CelBool::from(bool)),
            Field::Record(record) => CowVal::owned(RecordMap(record)),
            Field::Document(document) => CowVal::Borrowed(&*document.0),
        })
    }

    fn steal<'v>(self: Box<Self>, name: &dyn Val) -> Result<Box<dyn Val + 'v>, ExecutionError>
    where
        Self: 'v,
    {
        self.get(name).map(CowVal::into_owned)
    }
}

fn budget_exceeded(name: &str) -> ExecutionError {
    ExecutionError::function_error(name, "too much work")
}

fn text(name: &dyn Val) -> Result<&str, ExecutionError> {
    let unexpected = || ExecutionError::UnexpectedType {
        got: name.get_type().name().to_owned(),
        want: "string".to_owned(),
    };
    name.downcast_ref::<CelString>()
        .map(CelString::inner)
        .ok_or_else(unexpected)
}

fn convert(json: &serde_json::Value) -> Box<dyn Val> {
    match json {
        serde_json::Value::Null => Box::new(CelNull),
        serde_json::Value::Bool(bool) => Box::new(CelBool::from(*bool)),
        serde_json::Value::Number(number) => {
            if let Some(int) = number.as_i64() {
                Box::new(CelInt::from(int))
            } else if let Some(float) = number.as_f64().filter(|_| number.is_f64()) {
                Box::new(CelDouble::from(float))
            } else {
                Box::new(CelString::from(number.to_string()))
            }
        }
        serde_json::Value::String(text) => Box::new(CelString::from(text.clone())),
        serde_json::Value::Array(items) => {
            Box::new(CelList::from(items.iter().map(convert).collect::<Vec<_>>()))
        }
        serde_json::Value::Object(entries) => {
            let entries = entries.iter().map(|(name, item)| {
                (
                    CelMapKey::String(CelString::from(name.clone())),
                    convert(item),
                )
            });
            Box::new(CelMap::from(entries.collect::<HashMap<_, _>>()))
        }
    }
}
