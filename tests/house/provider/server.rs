//! The HTTP server of a provider. It counts every request.

use std::convert::Infallible;
use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use bytes::Bytes;
use futures_util::stream;
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt as _, Full, Limited, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::service::service_fn;
use hyper::{Response, header};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

use super::misbehavior::EndpointFault;
use super::state::{ReceivedRequest, Shared};
use super::{REALM, authorize, endpoints, token};

/// The longest request body, in bytes.
const BODY_BYTES_MAX: usize = 1 << 20;
/// The size of one chunk of an endless response, in bytes.
const CHUNK_BYTES: usize = 64 * 1024;

pub(super) type Reply = Response<BoxBody<Bytes, Infallible>>;

/// A request with its session cookie.
pub(super) struct Request {
    pub(super) received: ReceivedRequest,
    /// The value of the provider's session cookie.
    pub(super) cookie: Option<String>,
    pub(super) cookie_name: String,
}

/// Accepts connections until aborted; all connections end with this task.
pub(super) async fn accept(listener: TcpListener, tls: Option<TlsAcceptor>, shared: Arc<Shared>) {
    let port = listener.local_addr().map_or(0, |address| address.port());
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            Ok((stream, _)) = listener.accept() => {
                if shared.down.load(Ordering::SeqCst) {
                    continue;
                }
                let shared = Arc::clone(&shared);
                let tls = tls.clone();
                connections.spawn(async move {
                    let Some(tls) = tls else {
                        return serve_connection(&shared, port, stream).await;
                    };
                    // A client that rejects the certificate closes the connection.
                    if let Ok(stream) = tls.accept(stream).await {
                        serve_connection(&shared, port, stream).await;
                    }
                });
            }
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn serve_connection<S: AsyncRead + AsyncWrite + Unpin>(
    shared: &Arc<Shared>,
    port: u16,
    stream: S,
) {
    let serve = service_fn(|request| serve_request(shared, port, request));
    // A client may close the connection at any time.
    let _ = hyper::server::conn::http1::Builder::new()
        .serve_connection(TokioIo::new(stream), serve)
        .await;
}

async fn serve_request(
    shared: &Arc<Shared>,
    port: u16,
    request: hyper::Request<Incoming>,
) -> Result<Reply, io::Error> {
    let (head, body) = request.into_parts();
    let body = Limited::new(body, BODY_BYTES_MAX).collect().await;
    let body = body.map_err(io::Error::other)?.to_bytes();
    if shared.down.load(Ordering::SeqCst) {
        return Err(io::ErrorKind::ConnectionReset.into());
    }
    let text = |name: header::HeaderName| {
        let value = head.headers.get(name);
        value.map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned())
    };
    let cookie_name = format!("op-{port}");
    let cookies = text(header::COOKIE).unwrap_or_default();
    let mut pairs = cookies.split("; ").filter_map(|pair| pair.split_once('='));
    let cookie = pairs.find(|(name, _)| *name == cookie_name);
    let request = Request {
        received: ReceivedRequest {
            query: read_form(head.uri.query().unwrap_or_default()),
            form: read_form(&String::from_utf8_lossy(&body)),
            authorization: text(header::AUTHORIZATION),
        },
        cookie: cookie.map(|(_, value)| value.to_owned()),
        cookie_name,
    };
    let path = head.uri.path().strip_prefix(REALM).unwrap_or_default();
    let name = match path.trim_start_matches('/') {
        ".well-known/openid-configuration" => "discovery",
        other => other,
    };
    let fault = {
        let mut state = shared.state();
        state.count_call(name);
        state.last.insert(name.to_owned(), request.received.clone());
        state.endpoint_fault(name)
    };
    if let Some(fault) = fault {
        return fail(shared, fault).await;
    }
    let mut reply = match name {
        "discovery" => endpoints::discovery(shared),
        "keys" => endpoints::keys(shared),
        "authorize" => authorize::answer(shared, &request),
        "token" => token::answer(shared, &request),
        "userinfo" => endpoints::userinfo(shared, &request),
        "introspect" => endpoints::introspect(shared, &request),
        "end_session" => authorize::end_session(shared, &request),
        "elsewhere" => authorize::elsewhere(),
        _ => page(404, "<p>not found"),
    };
    match shared.state().content_type(name) {
        None => {}
        Some(None) => drop(reply.headers_mut().remove(header::CONTENT_TYPE)),
        Some(Some(content_type)) => {
            let content_type = content_type.parse().unwrap();
            reply
                .headers_mut()
                .insert(header::CONTENT_TYPE, content_type);
        }
    }
    Ok(reply)
}

async fn fail(shared: &Arc<Shared>, fault: EndpointFault) -> Result<Reply, io::Error> {
    Ok(match fault {
        EndpointFault::Html => page(200, "<h1>Please log in to the network</h1>"),
        EndpointFault::HtmlStatus(status) => page(status, "<h1>Bad gateway</h1>"),
        EndpointFault::Redirect(status) => {
            redirect(status, &format!("{}/elsewhere", shared.issuer))
        }
        EndpointFault::Response(status, content_type, text) => {
            text_reply(status, content_type, text)
        }
        EndpointFault::Json(status, text) => text_reply(status, "application/json", text),
        EndpointFault::Disconnect => return Err(io::ErrorKind::ConnectionReset.into()),
        EndpointFault::NoResponse => std::future::pending().await,
        EndpointFault::UnfinishedBody => {
            let first = stream::once(async { Ok(Frame::data(Bytes::from_static(b"{\"acce"))) });
            let never = stream::pending::<Result<Frame<Bytes>, Infallible>>();
            let body = StreamBody::new(futures_util::StreamExt::chain(first, never));
            streamed_reply(200, "application/json", body.boxed())
        }
        EndpointFault::Endless => {
            let shared = Arc::clone(shared);
            let chunk = Bytes::from(vec![b' '; CHUNK_BYTES]);
            let chunks = stream::repeat_with(move || {
                shared.streamed.fetch_add(CHUNK_BYTES, Ordering::SeqCst);
                Ok::<_, Infallible>(Frame::data(chunk.clone()))
            });
            streamed_reply(200, "application/json", StreamBody::new(chunks).boxed())
        }
    })
}

fn streamed_reply(status: u16, content_type: &str, body: BoxBody<Bytes, Infallible>) -> Reply {
    Response::builder()
        .status(status)
        .header(header::CONTENT_TYPE, content_type)
        .header(header::CACHE_CONTROL, "no-store")
        .body(body)
        .unwrap()
}

fn text_reply(status: u16, content_type: &str, body: String) -> Reply {
    streamed_reply(status, content_type, Full::new(Bytes::from(body)).boxed())
}

pub(super) fn json_reply(status: u16, value: &Value) -> Reply {
    text_reply(status, "application/json", value.to_string())
}

pub(super) fn page(status: u16, html: &str) -> Reply {
    text_reply(
        status,
        "text/html; charset=utf-8",
        format!("<!doctype html>{html}"),
    )
}

pub(super) fn redirect(status: u16, to: &str) -> Reply {
    let mut reply = text_reply(status, "text/plain", String::new());
    reply
        .headers_mut()
        .insert(header::LOCATION, to.parse().unwrap());
    reply
}

/// Escapes text for HTML.
pub(super) fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('"', "&quot;")
        .replace('<', "&lt;")
}

/// Serializes `application/x-www-form-urlencoded` text.
pub(super) fn form(pairs: &[(&str, &str)]) -> String {
    url::form_urlencoded::Serializer::new(String::new())
        .extend_pairs(pairs)
        .finish()
}

fn read_form(text: &str) -> Vec<(String, String)> {
    url::form_urlencoded::parse(text.as_bytes())
        .into_owned()
        .collect()
}

/// Decodes one form-encoded value.
pub(super) fn decode_form(text: &str) -> String {
    let mut pairs = url::form_urlencoded::parse(text.as_bytes());
    pairs
        .next()
        .map(|(name, _)| name.into_owned())
        .unwrap_or_default()
}
