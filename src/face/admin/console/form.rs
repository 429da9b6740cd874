//! `Form`: the body of a POST.

use std::time::Duration;

use aws_lc_rs::constant_time::verify_slices_are_equal;
use bytes::Bytes;
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use tokio::time::timeout;

use crate::login::fields::Fields;
use crate::request::BodyError;

/// The longest form, in bytes.
const FORM_BYTES_MAX: usize = 64 * 1024;

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
    pub(super) async fn read<B>(body: B) -> Result<Self, FormError>
    where
        B: http_body::Body<Data = Bytes> + Send + Unpin + 'static,
        B::Error: Into<BodyError>,
    {
        let read = Limited::new(body, FORM_BYTES_MAX).collect();
        let read = timeout(BODY_TIMEOUT, read).await;
        let read = read.map_err(|_| FormError::Malformed)?;
        let bytes = read.map_err(|error| match error.is::<LengthLimitError>() {
            true => FormError::TooLarge,
            false => FormError::Malformed,
        });
        let fields = Fields::parse(&bytes?.to_bytes());
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

    /// The button that was pressed.
    pub(super) fn action(&self) -> &str {
        self.value("action").unwrap_or_default()
    }

    pub(super) fn has_csrf_token(&self, expected: &str) -> bool {
        let sent = self.raw("csrf").unwrap_or_default();
        verify_slices_are_equal(sent.as_bytes(), expected.as_bytes()).is_ok()
    }
}
