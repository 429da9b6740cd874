//! Sends a request on a connection of a pool and retries it on a new one if that is safe.

use http::Method;
use http::request::Parts;
use tokio::time::Instant;

use super::http1::{ExchangeError, ExpectedHead, Http1Error, ResponseHead};
use super::lease::Lease;
use super::lease_context::LeaseContext;
use super::pool::Pool;
use super::private;
use super::upload_body::{UploadBody, UploadProgress, UploadState};
use super::upstream::Freshness;
use super::{ForwardError, ForwardFailure, Phase};
use crate::request::client_quota::QuotaGuard;
use crate::request::headers::{BodyLength, RequestRewrite, ResponseRewrite};
use crate::request::route::Limits;

/// Everything about a request in progress except its body.
pub(super) struct OutgoingRequest<'a> {
    pub(super) lease_context: LeaseContext<'a>,
    pub(super) request_rewrite: &'a RequestRewrite,
    pub(super) response_rewrite: &'a ResponseRewrite,
    pub(super) parts: &'a Parts,
    pub(super) length: BodyLength,
    pub(super) upload: Option<&'a UploadProgress>,
    pub(super) limits: &'a Limits,
    pub(super) now: Instant,
}

impl OutgoingRequest<'_> {
    fn expected_head(&self) -> ExpectedHead {
        ExpectedHead {
            for_head_request: self.parts.method == Method::HEAD,
            keeps_header_case: self.response_rewrite.keeps_header_case(),
        }
    }
}

/// Why the upload failed, if it did.
fn upload_error(request: &OutgoingRequest<'_>, lease: &Lease) -> Option<ForwardError> {
    match request.upload.map(UploadProgress::state)? {
        UploadState::TooLarge => Some(ForwardError::TooLarge {
            bytes_max: request.limits.body_bytes_max,
            partly_sent: lease.connection().has_sent_bytes(),
        }),
        UploadState::Incomplete => Some(ForwardError::ClientAborted),
        UploadState::Sending | UploadState::Sent => None,
    }
}

/// Whether a request that failed in this way may be sent once more.
fn may_retry_after(error: &ExchangeError, is_repeatable: bool) -> bool {
    match error {
        ExchangeError::NotSent => true,
        ExchangeError::NoResponse(_) | ExchangeError::IncompleteHead(_) => is_repeatable,
        ExchangeError::Invalid(_) | ExchangeError::TimedOut => false,
    }
}

/// Sends a request and returns the head of the response. If the connection breaks before that, the
/// request is retried once on a new connection, provided that nothing was sent or that it is
/// idempotent and has no body.
pub(super) async fn exchange_with_retry(
    pool: &Pool,
    request: &OutgoingRequest<'_>,
    body: Option<UploadBody>,
    share: Option<QuotaGuard>,
) -> Result<(Lease, Box<ResponseHead>), ForwardFailure> {
    let OutgoingRequest { parts, upload, .. } = *request;
    let is_repeatable = upload.is_none() && parts.method.is_idempotent();
    let mut body = body.map(|body| (body, request.length.known()));
    let failure = |error| ForwardFailure::before_lease(pool, error);
    let freshness = if is_repeatable {
        Freshness::Any
    } else {
        Freshness::Recent
    };
    let context = &request.lease_context;
    let lease = context.lease(pool, freshness, request.now).await;
    let (mut lease, mut leased_at) = lease.map_err(failure)?;
    lease.attach_share(share);
    let mut has_retry = true;
    loop {
        let (connection, endpoint) = lease.connection_and_endpoint();
        request.request_rewrite.write(
            connection.head(),
            parts,
            request.response_rewrite,
            endpoint.origin(),
            request.length,
        );
        let deadline = || match upload.map(|upload| (upload.state(), upload.last_read_at())) {
            Some((UploadState::Sending, read_at)) => read_at + request.limits.idle,
            Some((
                UploadState::Sent | UploadState::TooLarge | UploadState::Incomplete,
                read_at,
            )) => read_at + request.limits.response,
            None => leased_at + request.limits.response,
        };
        // A request that must not be repeated is not sent on a connection that the upstream has
        // closed.
        let is_closed = lease.is_reused && !is_repeatable && lease.connection().is_closed_by_peer();
        let result = match is_closed {
            true => Err(ExchangeError::NotSent),
            false => {
                let connection = lease.connection_mut();
                connection
                    .exchange(&mut body, request.expected_head(), deadline)
                    .await
            }
        };
        let error = match result {
            Ok(head) => {
                let binds_connection =
                    head.has_challenge && private::requests_connection_auth(&head.headers);
                if binds_connection && lease.binding.is_none() {
                    lease.binding = Some(context.binding());
                }
                return Ok((lease, head));
            }
            Err(error) => error,
        };
        // A connection that was closed while it was idle does not use up the retry.
        let was_closed_while_idle = lease.is_reused && matches!(error, ExchangeError::NotSent);
        let may_retry = has_retry && may_retry_after(&error, is_repeatable);
        let final_error = match upload_error(request, &lease) {
            None if may_retry => None,
            None => Some(error.into_error(waiting_phase(upload))),
            upload_error => upload_error,
        };
        if let Some(error) = final_error {
            return Err(ForwardFailure::at_upstream(lease, error));
        }
        has_retry = was_closed_while_idle;
        let share = lease.close();
        let next = context.lease(pool, Freshness::New, Instant::now()).await;
        (lease, leased_at) = next.map_err(failure)?;
        lease.attach_share(share);
    }
}

impl ExchangeError {
    /// The error for a request that is not retried. `phase` is what it was waiting for.
    fn into_error(self, phase: Phase) -> ForwardError {
        match self {
            Self::TimedOut => ForwardError::Timeout(phase),
            Self::NotSent => ForwardError::UpstreamDisconnected(Box::new(Http1Error::Closed)),
            Self::NoResponse(error) => ForwardError::UpstreamDisconnected(Box::new(error)),
            Self::Invalid(Http1Error::RequestBody) => ForwardError::ClientAborted,
            Self::IncompleteHead(error) | Self::Invalid(error) => {
                ForwardError::InvalidResponse(Box::new(error))
            }
        }
    }
}

/// What a request with this upload is waiting for.
fn waiting_phase(upload: Option<&UploadProgress>) -> Phase {
    match upload.map(UploadProgress::state) {
        Some(UploadState::Sending) => Phase::RequestBody,
        _ => Phase::Response,
    }
}
