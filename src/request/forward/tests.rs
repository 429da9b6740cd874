use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures_util::StreamExt as _;
use http::{Request, StatusCode};
use http_body_util::{Empty, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, oneshot};

use super::*;
use crate::request::fixture::{Sender, anonymous, permit_and_rewrite, route};
use crate::request::gate::Caller;
use crate::request::head::{Peer, PrivateUpstreamConnections};
use crate::request::route::{HostHeader, Route, UpstreamUrl};

mod connections;
mod host_names;
mod parked;
mod responses;
mod sockets;
mod tunnels;

/// The upstream at this port of the loopback address.
fn http_upstream(port: u16) -> UpstreamUrl {
    UpstreamUrl::Tcp {
        tls: false,
        host: "127.0.0.1".to_owned(),
        port,
    }
}

fn forwarder(upstreams: Vec<UpstreamUrl>) -> Forwarder {
    let settings = PoolSettings::new(upstreams, Duration::from_secs(10));
    Forwarder::build(vec![settings], None).unwrap()
}

/// A short time-out that a busy machine still meets.
const SHORT_TIMEOUT: Duration = Duration::from_secs(1);

fn route_with_short_timeouts() -> Route {
    let mut route = route();
    route.limits.response = SHORT_TIMEOUT;
    route.limits.idle = SHORT_TIMEOUT;
    route
}

fn request(method: Method, body: impl Into<Bytes>) -> Request<Full<Bytes>> {
    let request = Request::builder()
        .method(method)
        .uri("/a?b")
        .header("host", "oa.corp.example");
    request.body(Full::new(body.into())).unwrap()
}

async fn send<B>(
    forwarder: &Forwarder,
    route: Route,
    request: Request<B>,
) -> Result<UpstreamResponse, ForwardError>
where
    B: http_body::Body<Data = Bytes> + Send + Unpin + 'static,
    B::Error: Into<BodyError>,
{
    send_over(forwarder, route, (anonymous(), &connection()), request).await
}

fn connection() -> Arc<Connection> {
    Arc::new(Connection {
        peer: Peer::Ip([10, 0, 0, 9].into()),
        tls: true,
        server_name: None,
        tls_subject: None,
        private_upstream_connections: PrivateUpstreamConnections::default(),
    })
}

/// Forwards a request from this caller over this client connection.
async fn send_over<B>(
    forwarder: &Forwarder,
    route: Route,
    (caller, connection): (Caller, &Arc<Connection>),
    request: Request<B>,
) -> Result<UpstreamResponse, ForwardError>
where
    B: http_body::Body<Data = Bytes> + Send + Unpin + 'static,
    B::Error: Into<BodyError>,
{
    let (mut parts, body) = request.into_parts();
    let upgrade = parts.extensions.remove::<OnUpgrade>();
    let (permit, request_rewrite) =
        permit_and_rewrite(&Arc::new(route), caller, &parts, Sender::Client);
    let request = ClientRequest {
        parts: &parts,
        upgrade,
        body,
        connection,
        now: Instant::now(),
    };
    let forwarded = forwarder.forward(&permit, &request_rewrite, request).await;
    let forwarded = forwarded.map_err(|failure| failure.error)?;
    Ok(forwarded.response)
}

/// The body of a response as text.
async fn body_text(forwarded: Result<UpstreamResponse, ForwardError>) -> String {
    let UpstreamResponse::Response(response) = forwarded.unwrap() else {
        panic!("it was upgraded")
    };
    let body = response.into_body().collect().await.unwrap().to_bytes();
    String::from_utf8(body.to_vec()).unwrap()
}

/// Starts a server that runs `script` on each connection, and returns its port. The script gets the
/// number of the connection, from 1.
async fn start_server<F, Fut>(script: F) -> u16
where
    F: Fn(usize, TcpStream) -> Fut + Send + 'static,
    Fut: Future<Output = ()> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        let mut number = 0;
        while let Ok((stream, _)) = listener.accept().await {
            number += 1;
            tokio::spawn(script(number, stream));
        }
    });
    port
}

/// Reads one head, in lower case; `None` at the end of the connection.
async fn read_head_in_lower_case(stream: &mut TcpStream) -> Option<String> {
    let mut read = Vec::new();
    while !read.ends_with(b"\r\n\r\n") {
        read.push(stream.read_u8().await.ok()?);
    }
    Some(String::from_utf8(read).unwrap().to_ascii_lowercase())
}

async fn write(stream: &mut TcpStream, text: &str) {
    stream.write_all(text.as_bytes()).await.unwrap();
}

/// Starts a server that echoes request bodies, and returns its port.
async fn start_echo_server() -> u16 {
    start_server(|_, stream| async move {
        let service = service_fn(|request: Request<Incoming>| async move {
            Ok::<_, hyper::Error>(Response::new(request.into_body()))
        });
        let io = TokioIo::new(stream);
        let _ = hyper::server::conn::http1::Builder::new()
            .serve_connection(io, service)
            .await;
    })
    .await
}

/// Starts a proxy that forwards every request, and returns its port. Using or dropping the second result
/// stops its tunnel.
async fn start_proxy(forwarder: Forwarder, route: Route) -> (u16, oneshot::Sender<()>) {
    let (stop, stopped) = oneshot::channel::<()>();
    let stopped = Arc::new(std::sync::Mutex::new(Some(stopped)));
    let forwarder = Arc::new(forwarder);
    let port = start_server(move |_, stream| {
        let (forwarder, route, stopped) =
            (Arc::clone(&forwarder), route.clone(), Arc::clone(&stopped));
        async move {
            let service = service_fn(move |request: Request<Incoming>| {
                let (forwarder, route) = (Arc::clone(&forwarder), route.clone());
                let stopped = Arc::clone(&stopped);
                async move {
                    match send(&forwarder, route, request).await {
                        Ok(UpstreamResponse::Response(response)) => Ok::<_, hyper::Error>(response),
                        Ok(UpstreamResponse::Upgraded { response, tunnel }) => {
                            let stopped = stopped.lock().unwrap().take().unwrap();
                            tokio::spawn(tunnel.run(async { drop(stopped.await) }));
                            Ok(response)
                        }
                        Err(_) => {
                            let mut response = Response::new(response_body::empty());
                            *response.status_mut() = StatusCode::BAD_GATEWAY;
                            Ok(response)
                        }
                    }
                }
            });
            let serving = hyper::server::conn::http1::Builder::new()
                .serve_connection(TokioIo::new(stream), service)
                .with_upgrades();
            let _ = serving.await;
        }
    })
    .await;
    (port, stop)
}
