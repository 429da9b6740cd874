//! `Moment`: the type of a point in time. Only the functions `unix` and `unix_ms` read it, so that seconds
//! and milliseconds are not mixed up.

use std::any::Any;

use cel::common::types::Type;
use cel::common::value::{StaticVal, Val};

static MOMENT_TYPE: Type = moment_type();

pub(super) const fn moment_type() -> Type {
    Type::new_unspecified_type("timestamp")
}

/// A point in time.
#[derive(Clone, Copy, Debug)]
pub(super) struct Moment {
    /// Milliseconds since 1970.
    pub(super) unix_ms: i64,
}

impl Val for Moment {
    fn get_type(&self) -> &Type {
        &MOMENT_TYPE
    }

    fn cel_type() -> &'static Type {
        &MOMENT_TYPE
    }

    fn clone_as_boxed<'v>(&self) -> Box<dyn Val + 'v>
    where
        Self: 'v,
    {
        Box::new(*self)
    }

    fn as_any(&self) -> Option<&dyn Any> {
        Some(self)
    }
}

impl StaticVal for Moment {}
