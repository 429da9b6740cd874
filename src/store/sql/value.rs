//! `Value`: a value of a statement.

use std::borrow::Cow;

use super::super::{
    AccountId, AdministratorName, ConnectorId, LinkField, LoginName, SessionId, SessionKey, Subject,
};
use crate::clock::Timestamp;
use crate::telemetry::AuditLineId;

/// A value of a statement.
pub(in crate::store) enum Value<'a> {
    Bytes(&'a [u8]),
    /// A text, or NULL.
    Text(Option<Cow<'a, str>>),
    Number(i64),
    Boolean(bool),
}

/// The values of a statement, `$1` first.
macro_rules! values {
    ($($value:expr),*) => {
        &[$($crate::store::sql::Value::from($value)),*]
    };
}

pub(super) use values;

macro_rules! bytes {
    ($($id:ty),*) => {$(
        impl<'a> From<&'a $id> for Value<'a> {
            fn from(id: &'a $id) -> Self {
                Self::Bytes(id.as_bytes())
            }
        }
    )*};
}

bytes!(AccountId, AuditLineId, SessionId, SessionKey);

macro_rules! texts {
    ($($id:ty),*) => {$(
        impl<'a> From<&'a $id> for Value<'a> {
            fn from(id: &'a $id) -> Self {
                id.as_str().into()
            }
        }
    )*};
}

texts!(AdministratorName, ConnectorId, LoginName, Subject, String);

impl<'a> From<&'a [u8]> for Value<'a> {
    fn from(bytes: &'a [u8]) -> Self {
        Self::Bytes(bytes)
    }
}

impl<'a> From<&'a [u8; 32]> for Value<'a> {
    fn from(bytes: &'a [u8; 32]) -> Self {
        Self::Bytes(bytes)
    }
}

impl<'a> From<&'a str> for Value<'a> {
    fn from(text: &'a str) -> Self {
        Self::Text(Some(text.into()))
    }
}

impl From<String> for Value<'_> {
    fn from(text: String) -> Self {
        Self::Text(Some(text.into()))
    }
}

impl<'a> From<Cow<'a, str>> for Value<'a> {
    fn from(text: Cow<'a, str>) -> Self {
        Self::Text(Some(text))
    }
}

impl<'a> From<Option<&'a str>> for Value<'a> {
    fn from(text: Option<&'a str>) -> Self {
        Self::Text(text.map(Cow::from))
    }
}

impl From<Option<String>> for Value<'_> {
    fn from(text: Option<String>) -> Self {
        Self::Text(text.map(Cow::from))
    }
}

impl<'a> From<&'a Option<String>> for Value<'a> {
    fn from(text: &'a Option<String>) -> Self {
        text.as_deref().into()
    }
}

impl From<LinkField> for Value<'_> {
    fn from(field: LinkField) -> Self {
        field.as_str().into()
    }
}

impl From<i64> for Value<'_> {
    fn from(number: i64) -> Self {
        Self::Number(number)
    }
}

impl From<u32> for Value<'_> {
    fn from(number: u32) -> Self {
        Self::Number(number.into())
    }
}

/// Counters of the store fit into the signed numbers of databases.
impl From<u64> for Value<'_> {
    fn from(number: u64) -> Self {
        Self::Number(number.cast_signed())
    }
}

impl From<Timestamp> for Value<'_> {
    fn from(time: Timestamp) -> Self {
        Self::Number(time.unix_ms())
    }
}

impl From<bool> for Value<'_> {
    fn from(value: bool) -> Self {
        Self::Boolean(value)
    }
}
