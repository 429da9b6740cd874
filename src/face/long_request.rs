//! Ends long requests that are no longer allowed: streamed responses, uploads and tunnels.
//!
//! A short response only reads the clock. A long one gets a task that rechecks it, so that it ends even
//! while its client reads nothing.

use std::net::IpAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bytes::Bytes;
use http::request::Parts;
use http_body::{Body as _, Frame, SizeHint};
use tokio::task::AbortHandle;
use tokio::time::Instant;

use super::recheck::{AllowedRequest, until_refused};
use super::record::named_access_token;
use crate::request::gate::Caller;
use crate::request::head::Connection;
use crate::request::headers::RequestId;
use crate::request::policy::Permit;
use crate::request::{Body, BodyError};
use crate::site::live::LiveSite;
use crate::telemetry::{StreamEnd, StreamKind};

/// An allowed request that is still running, with everything a recheck needs.
pub(super) struct LongRequest {
    pub(super) live: Arc<LiveSite>,
    pub(super) parts: Parts,
    pub(super) connection: Arc<Connection>,
    pub(super) permit: Permit,
    pub(super) id: RequestId,
    pub(super) client: IpAddr,
    /// When the request was sent to the upstream.
    pub(super) sent_at: Instant,
}

impl LongRequest {
    /// Completes when the request is no longer allowed.
    pub(super) async fn until_refused(&self) {
        let request = AllowedRequest {
            parts: &self.parts,
            connection: &self.connection,
            permit: &self.permit,
        };
        until_refused(&self.live, request).await;
    }

    /// Writes the record of a request that was ended early.
    pub(super) fn record(&self, kind: StreamKind) {
        let services = self.live.services();
        let caller = self.permit.caller();
        let person = match caller {
            Caller::Person(person) => Some(person),
            Caller::Program(_) | Caller::Anonymous(_) => None,
        };
        let session = person.filter(|person| person.access_token.is_none());
        services.telemetry.record_stream_end(&StreamEnd {
            at: services.clock.now(),
            request_id: self.id.as_str(),
            client: self.client,
            route: self.permit.route().name.as_str(),
            login: person.map(|person| person.session.login.as_str()),
            session: session.map(|person| &person.session.public_id as &dyn std::fmt::Display),
            access_token: person.and_then(named_access_token),
            program: match caller {
                Caller::Program(program) => {
                    Some((program.issuer.as_str(), program.subject.as_str()))
                }
                Caller::Person(_) | Caller::Anonymous(_) => None,
            },
            kind,
            open_for: self.sent_at.elapsed(),
        });
    }
}

/// Awaits `work`, and after `recheck_after` only while its request is still allowed.
pub(super) async fn run_while_allowed<T>(
    work: impl Future<Output = T>,
    recheck_after: Duration,
    live: &LiveSite,
    request: AllowedRequest<'_>,
) -> Option<T> {
    let refused = async {
        tokio::time::sleep(recheck_after).await;
        until_refused(live, request).await;
    };
    tokio::select! {
        biased;
        done = work => Some(done),
        () = refused => None,
    }
}

/// A response body whose request is rechecked after `recheck_after`.
pub(super) struct RecheckedBody {
    stage: Stage,
    recheck_at: Instant,
}

enum Stage {
    /// Sent less than `recheck_after` ago.
    Short(Body, Option<Box<LongRequest>>),
    /// Rechecked by a task.
    Rechecked(Arc<RevocableBody>, AbortHandle),
}

/// The request is no longer allowed, so its response is cut off.
#[derive(Debug, thiserror::Error)]
#[error("the request is no longer allowed")]
pub(super) struct NoLongerAllowed;

impl RecheckedBody {
    /// Wraps the body. The recheck starts with the first poll after `recheck_after`.
    pub(super) fn wrap(body: Body, request: LongRequest) -> Body {
        let recheck_at = request.sent_at + request.permit.route().limits.recheck_after;
        Body::new(Self {
            stage: Stage::Short(body, Some(Box::new(request))),
            recheck_at,
        })
    }

    fn recheck_when_long(&mut self) {
        let Stage::Short(body, request) = &mut self.stage else {
            return;
        };
        if Instant::now() < self.recheck_at || body.is_end_stream() {
            return;
        }
        let Some(request) = request.take() else {
            return;
        };
        let body = std::mem::replace(body, super::reply::empty());
        let body = Arc::new(RevocableBody::new(body));
        let revocable = Arc::clone(&body);
        let task = tokio::spawn(async move {
            request.until_refused().await;
            if revocable.revoke() {
                request.record(StreamKind::ResponseBody);
            }
        });
        self.stage = Stage::Rechecked(body, task.abort_handle());
    }
}

impl Drop for RecheckedBody {
    fn drop(&mut self) {
        if let Stage::Rechecked(body, task) = &self.stage {
            task.abort();
            // The task may keep its reference a moment longer; close the upstream's connection now.
            body.revoke();
        }
    }
}

impl http_body::Body for RecheckedBody {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        self.recheck_when_long();
        match &mut self.stage {
            Stage::Short(body, _) => Pin::new(body).poll_frame(cx),
            Stage::Rechecked(body, _) => body.poll_frame(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.stage {
            Stage::Short(body, _) => body.is_end_stream(),
            Stage::Rechecked(body, _) => {
                let state = body.state();
                !state.is_revoked && state.body.as_ref().is_none_or(|body| body.is_end_stream())
            }
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.stage {
            Stage::Short(body, _) => body.size_hint(),
            Stage::Rechecked(body, _) => {
                let state = body.state();
                let body = state.body.as_ref();
                body.map(|body| body.size_hint()).unwrap_or_default()
            }
        }
    }
}

/// A body that another task can take away from its reader.
struct RevocableBody(Mutex<State>);

struct State {
    body: Option<Body>,
    is_revoked: bool,
    reader: Option<Waker>,
}

impl RevocableBody {
    fn new(body: Body) -> Self {
        Self(Mutex::new(State {
            body: Some(body),
            is_revoked: false,
            reader: None,
        }))
    }

    /// Takes the body away and returns whether it was still there.
    fn revoke(&self) -> bool {
        let mut state = self.state();
        state.is_revoked = true;
        let (body, reader) = (state.body.take(), state.reader.take());
        drop(state);
        if let Some(reader) = reader {
            reader.wake();
        }
        body.is_some()
    }

    fn poll_frame(&self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let mut state = self.state();
        if state.is_revoked {
            return Poll::Ready(Some(Err(Box::new(NoLongerAllowed))));
        }
        let Some(body) = &mut state.body else {
            return Poll::Ready(None);
        };
        let polled = Pin::new(body).poll_frame(cx);
        if polled.is_pending() {
            state.reader = Some(cx.waker().clone());
        }
        polled
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // No holder of the lock panics between two related changes.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
