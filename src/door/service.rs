//! Answers the requests of one connection: limits, request framing, the redirect to https, then the
//! [`Handler`].

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;

use http::header::EXPECT;
use http::{Request, StatusCode};
use hyper::body::Incoming;
use hyper::service::{Service, service_fn};

use super::activity::Activity;
use super::framing::{self, Framing};
use super::listener_options::ListenerOptions;
use super::progress::RequestBody;
use super::tracked_body::TrackedBody;
use super::{Handler, OwnFiles, SharedState, redirect};
use crate::request::Body;
use crate::request::head::Connection;

/// The service that answers the requests of a connection.
pub(super) fn http_service<H: Handler>(
    shared: &Arc<SharedState<H>>,
    options: &ListenerOptions,
    connection: Connection,
    activity: Arc<Activity>,
    framing: Option<Arc<Framing>>,
) -> impl Service<
    Request<Incoming>,
    Response = http::Response<TrackedBody>,
    Error = Infallible,
    Future = impl Future<Output = Result<http::Response<TrackedBody>, Infallible>> + Send + 'static,
> + Send
+ 'static {
    // Only HTTP/1.1 has a `Framing`.
    let is_http2 = framing.is_none();
    // Each connection has an `Arc` of its own: all processors would contend for the reference count of
    // `shared`.
    let state = Arc::new(ConnectionState {
        shared: Arc::clone(shared),
        connection: Arc::new(connection),
        redirects_to_https: options.redirect_https,
        https_port: options.https_port,
        own_files: options.own_files.clone(),
        framing,
    });
    service_fn(move |request: Request<Incoming>| {
        let open_request = activity.begin_request(is_http2);
        let state = Arc::clone(&state);
        let framing = state.framing.as_ref();
        let is_unambiguous = framing.is_none_or(|framing| framing.is_unambiguous(&request));
        async move {
            // A client that expects `100 Continue` has not sent its body yet.
            let has_body = !http_body::Body::is_end_stream(request.body());
            let expects_continue = has_body && !is_http2 && request.headers().contains_key(EXPECT);
            let discards_rest = is_unambiguous && !expects_continue;
            let progress = open_request.progress();
            let request = request.map(|body| RequestBody::new(body, progress, discards_rest));
            let response = if !is_unambiguous {
                state.refuse_ambiguous()
            } else if !open_request.is_within_limit() {
                let peer = state.connection.peer;
                state.shared.too_many_requests(peer, &open_request)
            } else if state.redirects_to_https {
                redirect::file_or_redirect(&request, &state.own_files, state.https_port)
            } else {
                let connection = Arc::clone(&state.connection);
                // hyper moves the future of a request and reserves its size in every connection, so
                // the large future of the handler is boxed.
                box_in_place(|| state.shared.handler.handle(request, connection)).await
            };
            if let (StatusCode::SWITCHING_PROTOCOLS, Some(framing)) =
                (response.status(), &state.framing)
            {
                framing.stop();
            }
            Ok(response.map(|body| TrackedBody::new(body, open_request)))
        }
    })
}

/// Creates a future in its box. `Box::pin` would create it on the stack and copy all of it, including
/// the space that it does not use yet.
fn box_in_place<F>(create: impl FnOnce() -> F) -> Pin<Box<F>> {
    let uninit = Box::new_uninit();
    Box::into_pin(Box::write(uninit, create()))
}

/// The state that all requests of a connection share.
struct ConnectionState<H> {
    shared: Arc<SharedState<H>>,
    connection: Arc<Connection>,
    redirects_to_https: bool,
    https_port: Option<u16>,
    own_files: OwnFiles,
    /// How the HTTP/1.1 requests frame their bodies; absent over HTTP/2, where framing is unambiguous.
    framing: Option<Arc<Framing>>,
}

impl<H> ConnectionState<H> {
    fn refuse_ambiguous(&self) -> http::Response<Body> {
        if self.shared.refusal_log.allow() {
            let peer = self.connection.peer;
            tracing::warn!(
                ?peer,
                "a request was refused: its Content-Length and Transfer-Encoding do not say unambiguously where its body ends"
            );
        }
        framing::refusal()
    }
}
