//! Authorization checks over gRPC as Envoy sends them, with hand-written messages.

use std::io;
use std::net::SocketAddr;

use bytes::{BufMut as _, Bytes, BytesMut};
use http::{HeaderMap, Request, StatusCode, Uri, Version};
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::http2::{SendRequest, handshake};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::TcpStream;

/// The path of the gRPC method.
const CHECK: &str = "/envoy.service.auth.v3.Authorization/Check";
/// The size of the flag and the length before every message.
const PREFIX_BYTES: usize = 5;
/// The beginning of a response that allows the request: an empty `status`, then `ok_response`.
const OK_PREFIX: [u8; 3] = [0x0a, 0x00, 0x1a];

/// Sends one check at a time over a shared connection.
#[derive(Debug)]
pub(crate) struct GrpcClient {
    sender: SendRequest<Full<Bytes>>,
    uri: Uri,
    check_request: Bytes,
    answer: Bytes,
}

/// Opens connections and distributes the clients over them.
pub(crate) async fn open(
    to: SocketAddr,
    check_request: &[u8],
    clients: usize,
    connections: usize,
) -> io::Result<Vec<GrpcClient>> {
    let mut senders = Vec::with_capacity(connections);
    for _ in 0..connections.clamp(1, clients) {
        let stream = TcpStream::connect(to).await?;
        stream.set_nodelay(true)?;
        let (sender, connection) = handshake(TokioExecutor::new(), TokioIo::new(stream))
            .await
            .map_err(io::Error::other)?;
        tokio::spawn(connection);
        senders.push(sender);
    }
    let uri: Uri = format!("http://{to}{CHECK}")
        .parse()
        .map_err(io::Error::other)?;
    let mut framed = BytesMut::with_capacity(PREFIX_BYTES + check_request.len());
    framed.put_u8(0);
    framed.put_u32(u32::try_from(check_request.len()).map_err(io::Error::other)?);
    framed.put_slice(check_request);
    let check_request = framed.freeze();
    let shared = senders.into_iter().cycle().take(clients);
    let clients = shared.map(|sender| GrpcClient {
        sender,
        uri: uri.clone(),
        check_request: check_request.clone(),
        answer: Bytes::new(),
    });
    Ok(clients.collect())
}

impl GrpcClient {
    /// The last response message with its prefix.
    pub(crate) fn answer(&self) -> &[u8] {
        &self.answer
    }

    /// Sends the check and returns whether the request is allowed.
    pub(crate) async fn exchange(&mut self) -> io::Result<bool> {
        let request = Request::post(self.uri.clone())
            .version(Version::HTTP_2)
            .header("content-type", "application/grpc")
            .header("te", "trailers")
            .header("grpc-timeout", "1S")
            .body(Full::new(self.check_request.clone()))
            .map_err(io::Error::other)?;
        self.sender.ready().await.map_err(io::Error::other)?;
        let response = self.sender.send_request(request).await;
        let (head, body) = response.map_err(io::Error::other)?.into_parts();
        let body = body.collect().await.map_err(io::Error::other)?;
        let has_ok_status = |headers: &HeaderMap| {
            let status = headers.get("grpc-status");
            status.is_some_and(|status| status == "0")
        };
        let is_ok = body.trailers().is_some_and(has_ok_status);
        self.answer = body.to_bytes();
        let message = self.answer.get(PREFIX_BYTES..).unwrap_or_default();
        Ok(head.status == StatusCode::OK && is_ok && message.starts_with(&OK_PREFIX))
    }
}

/// The `CheckRequest` of Envoy for a GET request to `host`, including fields that menshen does not
/// read.
pub(crate) fn check_request(host: SocketAddr, target: &str, headers: &[(&str, String)]) -> Vec<u8> {
    let address = |port| {
        let socket = message([text(2, "127.0.0.1"), number(3, port)]);
        message([field(1, &message([field(1, &socket)]))])
    };
    let host_text = host.to_string();
    let headers_of_envoy = [
        (":authority", host_text.as_str()),
        (":method", "GET"),
        (":path", target),
        (":scheme", "http"),
        ("x-forwarded-proto", "http"),
        ("x-request-id", REQUEST_ID),
    ];
    let pair = |name: &str, value: &str| field(3, &message([text(1, name), text(2, value)]));
    let mut http = message([text(1, "6128749301837460913"), text(2, "GET")]);
    for (name, value) in headers_of_envoy {
        http.extend(pair(name, value));
    }
    for (name, value) in headers {
        http.extend(pair(&name.to_ascii_lowercase(), value));
    }
    http.extend(message([
        text(4, target),
        text(5, &host_text),
        text(6, "http"),
        text(10, "HTTP/1.1"),
    ]));
    let time = message([number(1, 1_700_000_000), number(2, 123_456_000)]);
    let request = message([field(1, &time), field(2, &http)]);
    message([field(
        1,
        &message([
            field(1, &address(53_412)),
            field(2, &address(host.port().into())),
            field(4, &request),
            // Empty, as Envoy sends it.
            field(11, &[]),
        ]),
    )])
}

const REQUEST_ID: &str = "7c1f0f3e-5a52-4c3c-9a3f-0d8b0a3f5b11";

fn message<const N: usize>(fields: [Vec<u8>; N]) -> Vec<u8> {
    fields.concat()
}

fn text(tag: u8, text: &str) -> Vec<u8> {
    field(tag, text.as_bytes())
}

fn field(tag: u8, content: &[u8]) -> Vec<u8> {
    let mut bytes = vec![tag << 3 | 2];
    write_varint(&mut bytes, content.len() as u64);
    bytes.extend_from_slice(content);
    bytes
}

fn number(tag: u8, number: u64) -> Vec<u8> {
    let mut bytes = vec![tag << 3];
    write_varint(&mut bytes, number);
    bytes
}

fn write_varint(bytes: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        bytes.push((value & 0x7f) as u8 | 0x80);
        value >>= 7;
    }
    bytes.push(value as u8);
}
