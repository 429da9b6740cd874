//! `Form`: the body of a POST.

use std::time::Duration;

use aws_lc_rs::constant_time::verify_slices_are_equal;
use bytes::Bytes;
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use tokio::time::timeout;

use crate::login::fields::{FIELDS_MAX, Fields};
use crate::request::BodyError;

/// How large a form may be.
#[derive(Clone, Copy, Debug)]
pub(super) struct FormLimits {
    bytes_max: usize,
    fields_max: usize,
}

const USUAL: FormLimits = FormLimits {
    bytes_max: 64 * 1024,
    fields_max: FIELDS_MAX,
};

/// The settings of a connector: they have many fields, and several certificates.
const CONNECTOR: FormLimits = FormLimits {
    bytes_max: 512 * 1024,
    fields_max: 512,
};

impl FormLimits {
    /// Those of the forms of a page. A browser without a session sends no settings of connectors.
    pub(super) fn of(path: &str, has_session: bool) -> Self {
        match has_session && path.starts_with("/connectors/") {
            true => CONNECTOR,
            false => USUAL,
        }
    }
}

/// How long a form may take to arrive.
const BODY_TIMEOUT: Duration = Duration::from_secs(10);

/// The fields of a form.
#[derive(Debug, Default)]
pub(super) struct Form(Fields);

/// Why a form is not read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum FormError {
    TooLarge,
    Malformed,
}

impl Form {
    pub(super) async fn read<B>(body: B, limits: FormLimits) -> Result<Self, FormError>
    where
        B: http_body::Body<Data = Bytes> + Send + Unpin + 'static,
        B::Error: Into<BodyError>,
    {
        let read = Limited::new(body, limits.bytes_max).collect();
        let read = timeout(BODY_TIMEOUT, read).await;
        let read = read.map_err(|_| FormError::Malformed)?;
        let bytes = read.map_err(|error| match error.is::<LengthLimitError>() {
            true => FormError::TooLarge,
            false => FormError::Malformed,
        });
        let fields = Fields::parse_at_most(&bytes?.to_bytes(), limits.fields_max);
        fields.map(Self).ok_or(FormError::Malformed)
    }

    /// The value of a field without spaces at its ends; absent if it is empty, repeated, or has a NUL, which
    /// PostgreSQL does not store.
    pub(super) fn value(&self, name: &str) -> Option<&str> {
        let value = self.raw(name)?.trim();
        Some(value).filter(|value| !value.is_empty())
    }

    /// The value of a field as it was sent.
    pub(super) fn raw(&self, name: &str) -> Option<&str> {
        let value = self.0.one(name).ok().flatten();
        value.filter(|value| !value.contains('\0'))
    }

    /// The names of all fields.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|(name, _)| name)
    }

    /// Every value of a field that may be repeated.
    pub(super) fn values<'f>(&'f self, name: &'f str) -> impl Iterator<Item = &'f str> {
        let named = self.0.iter().filter(move |(other, _)| *other == name);
        named.map(|(_, value)| value)
    }

    /// Whether a field is there, such as a box that is ticked.
    pub(super) fn has(&self, name: &str) -> bool {
        self.0.has(name)
    }

    /// The button that was pressed.
    pub(super) fn action(&self) -> &str {
        self.value("action").unwrap_or_default()
    }

    pub(super) fn has_csrf_token(&self, expected: &str) -> bool {
        let sent = self.raw("csrf").unwrap_or_default();
        verify_slices_are_equal(sent.as_bytes(), expected.as_bytes()).is_ok()
    }
}
