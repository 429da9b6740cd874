//! The statuses that the recipient of a refusal knows.

use http::StatusCode;

/// Who receives a refusal: a client, or a proxy that asked whether a request may pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::face) enum RefusalStatuses {
    /// A client knows every status.
    Client,
    /// A check is refused with 401, 403 or 503.
    Check,
    /// A check of Envoy over HTTP is refused with 401 or 403, because `failure_mode_allow` would let a request
    /// pass that is refused with 5xx.
    EnvoyCheck,
}

impl RefusalStatuses {
    /// The status to send for the status of a refusal.
    pub(in crate::face) fn of(self, status: StatusCode) -> StatusCode {
        match (self, status) {
            (Self::Client, _)
            | (Self::Check | Self::EnvoyCheck, StatusCode::UNAUTHORIZED)
            | (Self::Check, StatusCode::SERVICE_UNAVAILABLE) => status,
            (Self::Check | Self::EnvoyCheck, _) => StatusCode::FORBIDDEN,
        }
    }
}
