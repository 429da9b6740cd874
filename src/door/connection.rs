//! One connection, from the first byte to the last: PROXY header, TLS, HTTP.

use std::convert::Infallible;
use std::fmt;
use std::future::poll_fn;
use std::io;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Poll;
use std::time::Duration;

use http::header::EXPECT;
use http::{Request, StatusCode};
use hyper::body::Incoming;
use hyper::server::conn::{http1, http2};
use hyper::service::{Service, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::{Instant, sleep_until, timeout};
use tokio_rustls::TlsAcceptor;

use super::activity::{Activity, Advice, Noted, OpenBody, Place, Watch};
use super::framing::{self, Framing, Watched};
use super::listen::Wire;
use super::progress::Upload;
use super::proxy_protocol::{self, ProxyError};
use super::{DoorLimits, Hall, Handle, preface, redirect};
use crate::request::Body;
use crate::request::head::{Connection, ConnectionExtension, Peer};
use crate::telemetry::error_chain;

/// How long a load balancer may take for its PROXY header.
const PROXY_HEADER_WITHIN: Duration = Duration::from_secs(5);
/// How long a client may take for its TLS handshake.
const HANDSHAKE_WITHIN: Duration = Duration::from_secs(10);

/// What is special about the place a connection came in at.
#[derive(Clone)]
pub(super) struct Manner {
    pub(super) tls: Option<TlsAcceptor>,
    pub(super) redirect_https: bool,
    pub(super) proxy_protocol: bool,
    /// Whether HTTP/2 is understood without TLS, too.
    pub(super) http2: bool,
    /// Where `redirect_https` leads, unless to 443.
    pub(super) https_port: Option<u16>,
    /// Whether the case of header names is kept over HTTP/1.1.
    pub(super) header_case: Arc<AtomicBool>,
}

impl fmt::Debug for Manner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Manner")
            .field("tls", &self.tls.is_some())
            .finish_non_exhaustive()
    }
}

/// Why a connection ended before it spoke HTTP.
#[derive(Debug, thiserror::Error)]
enum Refused {
    #[error("a PROXY header is taken from trusted_proxies only")]
    Stranger,
    #[error("the PROXY header took longer than {} s", PROXY_HEADER_WITHIN.as_secs())]
    SlowHeader,
    #[error("take the PROXY header")]
    Header(#[source] ProxyError),
    #[error("the TLS handshake took longer than {} s", HANDSHAKE_WITHIN.as_secs())]
    SlowHandshake,
    #[error("shake hands in TLS")]
    Handshake(#[source] io::Error),
    #[error("no request came in {0:?}")]
    Silent(Duration),
    #[error("read the first bytes")]
    Unread(#[source] io::Error),
    #[error("the door is being closed")]
    Closing,
    #[error("its address has all the connections it may have")]
    Greedy,
}

/// Serves a connection to its end.
pub(super) async fn serve<H: Handle>(
    hall: Arc<Hall<H>>,
    manner: Manner,
    wire: Wire,
    peer: Peer,
    place: Place,
) {
    if let Err(refused) = greet(&hall, &manner, wire, peer, place).await {
        match refused {
            Refused::Greedy => {}
            Refused::Stranger | Refused::Header(_) | Refused::SlowHeader => {
                if hall.refusals.allow() {
                    tracing::warn!(?peer, error = %error_chain(&refused), "a connection was refused");
                }
            }
            Refused::SlowHandshake
            | Refused::Handshake(_)
            | Refused::Silent(_)
            | Refused::Unread(_)
            | Refused::Closing => {
                tracing::debug!(?peer, error = %error_chain(&refused), "a connection came to nothing");
            }
        }
    }
}

/// Finds out who is there and what they speak, then serves them.
async fn greet<H: Handle>(
    hall: &Arc<Hall<H>>,
    manner: &Manner,
    mut wire: Wire,
    mut peer: Peer,
    place: Place,
) -> Result<(), Refused> {
    if manner.proxy_protocol {
        peer = hall
            .unless_closing(named_peer(hall, &mut wire, peer))
            .await?;
    }
    let activity = Activity::new(place, hall.welcome(peer).ok_or(Refused::Greedy)?);
    let mut connection = Connection {
        peer,
        tls: false,
        server_name: None,
        tls_subject: None,
        kept: ConnectionExtension::default(),
    };
    let Some(acceptor) = &manner.tls else {
        if manner.http2 {
            return greet_either(hall, manner, wire, connection, activity).await;
        }
        let stream = Noted::new(wire, Arc::clone(&activity));
        serve_http1(hall, manner, stream, connection, activity).await;
        return Ok(());
    };
    let handshake = async {
        let shaken = timeout(HANDSHAKE_WITHIN, acceptor.accept(wire)).await;
        shaken
            .map_err(|_| Refused::SlowHandshake)?
            .map_err(Refused::Handshake)
    };
    let stream = hall.unless_closing(handshake).await?;
    let session = stream.get_ref().1;
    connection.tls = true;
    connection.server_name = session.server_name().map(str::to_ascii_lowercase);
    let speaks_h2 = session.alpn_protocol() == Some(b"h2");
    let stream = Noted::new(stream, Arc::clone(&activity));
    if speaks_h2 {
        serve_http2(hall, manner, stream, connection, activity).await;
    } else {
        serve_http1(hall, manner, stream, connection, activity).await;
    }
    Ok(())
}

/// Serves whoever speaks either version without TLS.
async fn greet_either<H: Handle>(
    hall: &Arc<Hall<H>>,
    manner: &Manner,
    wire: Wire,
    connection: Connection,
    activity: Arc<Activity>,
) -> Result<(), Refused> {
    let within = hall.limits.header_read.duration();
    let begin = async {
        let looked = timeout(within, preface::look(wire)).await;
        looked
            .map_err(|_| Refused::Silent(within))?
            .map_err(Refused::Unread)
    };
    let (stream, speaks_h2) = hall.unless_closing(begin).await?;
    activity.hear();
    let stream = Noted::new(stream, Arc::clone(&activity));
    if speaks_h2 {
        serve_http2(hall, manner, stream, connection, activity).await;
    } else {
        serve_http1(hall, manner, stream, connection, activity).await;
    }
    Ok(())
}

async fn named_peer<H>(hall: &Hall<H>, wire: &mut Wire, peer: Peer) -> Result<Peer, Refused> {
    if !hall.trust.load().includes(peer) {
        return Err(Refused::Stranger);
    }
    let read = timeout(PROXY_HEADER_WITHIN, proxy_protocol::read(wire)).await;
    let named = read
        .map_err(|_| Refused::SlowHeader)?
        .map_err(Refused::Header)?;
    Ok(named.unwrap_or(peer))
}

impl<H> Hall<H> {
    /// Does something that may wait for a client, but not longer than the door is open.
    async fn unless_closing<T>(
        &self,
        work: impl Future<Output = Result<T, Refused>>,
    ) -> Result<T, Refused> {
        tokio::select! {
            done = work => done,
            () = self.leave.cancelled() => Err(Refused::Closing),
        }
    }
}

async fn serve_http1<H: Handle, T: AsyncRead + AsyncWrite + Send + Unpin + 'static>(
    hall: &Arc<Hall<H>>,
    manner: &Manner,
    stream: Noted<T>,
    connection: Connection,
    activity: Arc<Activity>,
) {
    let (peer, header_bytes_max) = (connection.peer, hall.limits.header_bytes_max);
    let (stream, framing) = Watched::new(stream, header_bytes_max);
    // Our own clock watches heads and idle times: hyper's costs a timer per request. A limit on
    // the number of headers is hyper's own, 100: to set another costs memory per request.
    let http = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(None)
        .preserve_header_case(manner.header_case.load(Ordering::Relaxed))
        .max_header_size(header_bytes_max)
        .max_buf_size(header_bytes_max.max(DoorLimits::BUFFER_BYTES_MIN))
        .serve_connection(
            TokioIo::new(stream),
            answering(
                hall,
                manner,
                connection,
                Arc::clone(&activity),
                Some(framing),
            ),
        )
        .with_upgrades();
    attend(http, |http| http.graceful_shutdown(), hall, peer, &activity).await;
}

async fn serve_http2<H: Handle, T: AsyncRead + AsyncWrite + Send + Unpin + 'static>(
    hall: &Arc<Hall<H>>,
    manner: &Manner,
    stream: Noted<T>,
    connection: Connection,
    activity: Arc<Activity>,
) {
    let peer = connection.peer;
    let http = http2::Builder::new(activity.streams())
        .timer(TokioTimer::new())
        .keep_alive_interval(Duration::from_secs(30))
        .keep_alive_timeout(Duration::from_secs(20))
        .max_concurrent_streams(hall.limits.streams_max)
        .max_header_list_size(u32::try_from(hall.limits.header_bytes_max).unwrap_or(u32::MAX))
        .initial_stream_window_size(256 * 1024)
        .initial_connection_window_size(1024 * 1024)
        .max_send_buf_size(64 * 1024)
        // Streams opened only to be reset (CVE-2023-44487) end the connection. Those that were handed
        // on before their reset came are counted by `Resets`.
        .max_pending_accept_reset_streams(20)
        .max_local_error_reset_streams(256)
        .serve_connection(
            TokioIo::new(stream),
            answering(hall, manner, connection, Arc::clone(&activity), None),
        );
    attend(http, |http| http.graceful_shutdown(), hall, peer, &activity).await;
}

/// What hyper asks for every request of a connection.
fn answering<H: Handle>(
    hall: &Arc<Hall<H>>,
    manner: &Manner,
    connection: Connection,
    activity: Arc<Activity>,
    framing: Option<Arc<Framing>>,
) -> impl Service<
    Request<Incoming>,
    Response = http::Response<OpenBody>,
    Error = Infallible,
    Future = impl Future<Output = Result<http::Response<OpenBody>, Infallible>> + Send + 'static,
> + Send
+ 'static {
    // Requests of HTTP/2 come in streams; only those of HTTP/1.1 are read beside hyper.
    let in_streams = framing.is_none();
    // One count of the connection's own: the hall's would be shared by all processors.
    let guest = Arc::new(Guest {
        hall: Arc::clone(hall),
        connection: Arc::new(connection),
        redirects: manner.redirect_https,
        https_port: manner.https_port,
        framing,
    });
    service_fn(move |request: Request<Incoming>| {
        let open = activity.receive(in_streams);
        let guest = Arc::clone(&guest);
        let framing = guest.framing.as_ref();
        let clear = framing.is_none_or(|framing| framing.is_clear(&request));
        async move {
            // Who waits to be asked for a body has sent none.
            let sends = !http_body::Body::is_end_stream(request.body());
            let waits = sends && !in_streams && request.headers().contains_key(EXPECT);
            let drains = clear && !waits;
            let request = request.map(|body| Upload::new(body, open.notes(), drains));
            let response = if !clear {
                guest.refuse_unclear()
            } else if !open.is_welcome() {
                guest.hall.too_many(guest.connection.peer, &open)
            } else if guest.redirects {
                redirect::to_https(&request, guest.https_port)
            } else {
                let connection = Arc::clone(&guest.connection);
                // hyper moves the future of a request, and keeps room for it while a connection is
                // idle: so only a pointer to the handler's stands in it.
                in_place(|| guest.hall.handler.handle(request, connection)).await
            };
            if let (StatusCode::SWITCHING_PROTOCOLS, Some(framing)) =
                (response.status(), &guest.framing)
            {
                framing.stop();
            }
            Ok(response.map(|body| OpenBody::new(body, open)))
        }
    })
}

/// Boxes a future. `Box::pin` makes it on the stack and copies all of it, even room that is not used
/// yet; here it is made in its box, so that only its arguments are copied.
fn in_place<F>(make: impl FnOnce() -> F) -> Pin<Box<F>> {
    let room = Box::new_uninit();
    Box::into_pin(Box::write(room, make()))
}

/// What all requests of a connection share.
struct Guest<H> {
    hall: Arc<Hall<H>>,
    connection: Arc<Connection>,
    redirects: bool,
    https_port: Option<u16>,
    /// What the heads of HTTP/1.1 requests say; in HTTP/2 there is one way to say it.
    framing: Option<Arc<Framing>>,
}

impl<H> Guest<H> {
    fn refuse_unclear(&self) -> http::Response<Body> {
        if self.hall.refusals.allow() {
            let peer = self.connection.peer;
            tracing::warn!(
                ?peer,
                "a request was refused that does not say in one clear way where its body ends"
            );
        }
        framing::refusal()
    }
}

/// Drives a connection, ends it when its client has gone silent, sees it off when the door closes.
///
/// The wake-up calls for closing are registered once, not at every turn: the task keeps its waker,
/// and registering takes a lock that all connections share.
async fn attend<C: Future<Output = hyper::Result<()>>, H>(
    http: C,
    see_off: fn(Pin<&mut C>),
    hall: &Hall<H>,
    peer: Peer,
    activity: &Activity,
) {
    let mut http = pin!(http);
    let mut leave = pin!(hall.leave.cancelled());
    let mut cut = pin!(hall.cut.cancelled());
    let soon = hall.limits.header_read.min(hall.limits.progress_interval);
    let mut wake = pin!(sleep_until(Instant::now() + soon.duration()));
    let (mut registered, mut told, mut leaving) = (false, false, false);
    let mut watch = Watch::default();
    let outcome = poll_fn(|cx| {
        loop {
            if let Poll::Ready(outcome) = http.as_mut().poll(cx) {
                return Poll::Ready(outcome.map_err(|error| error_chain(&error).to_string()));
            }
            if activity.resets_too_much() {
                hall.tell_of_resets(peer);
                return Poll::Ready(Err("the client reset too many of its streams".to_owned()));
            }
            if told && cut.as_mut().poll(cx).is_ready() {
                return Poll::Ready(Err("the door was closed over it".to_owned()));
            }
            if !told && (!registered || hall.closing.load(Ordering::Acquire)) {
                registered = true;
                if leave.as_mut().poll(cx).is_ready() {
                    if !activity.was_heard() {
                        return Poll::Ready(Ok(()));
                    }
                    (told, leaving) = (true, true);
                    see_off(http.as_mut());
                    continue;
                }
            }
            if wake.as_mut().poll(cx).is_pending() {
                return Poll::Pending;
            }
            let advice = activity.advise(&hall.limits, leaving, &mut watch);
            watch
                .ended
                .drain(..)
                .for_each(|key| hall.tell_of(peer, key));
            match advice {
                Advice::Ask(at) => wake.as_mut().reset(at),
                Advice::Cut(why) => return Poll::Ready(Err(why.to_owned())),
                Advice::Slow(key) => {
                    hall.tell_of(peer, key);
                    return Poll::Ready(Err(format!("the client was slower than {key}")));
                }
                Advice::Leave => {
                    leaving = true;
                    wake.as_mut()
                        .reset(Instant::now() + hall.limits.header_read.duration());
                    see_off(http.as_mut());
                }
            }
        }
    })
    .await;
    if let Err(reason) = outcome {
        tracing::debug!(reason, "a connection ended early");
    }
}
