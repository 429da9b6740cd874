//! A gRPC client, which encodes messages with menshen's own descriptors.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::time::Duration;

use bytes::{BufMut, Bytes, BytesMut};
use futures_util::{StreamExt, stream};
use http::{HeaderMap, Request, Response, Version};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::client::conn::http2::{SendRequest, handshake};
use hyper_util::rt::{TokioExecutor, TokioIo};
use menshen::face::ext_authz::DESCRIPTORS;
use prost_reflect::prost::Message;
use prost_reflect::{DescriptorPool, DynamicMessage, MessageDescriptor, SerializeOptions};
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::timeout;

pub(crate) const CHECK: &str = "/envoy.service.auth.v3.Authorization/Check";
const CALL_TIMEOUT: Duration = Duration::from_secs(60);

type RequestBody = UnsyncBoxBody<Bytes, Infallible>;

/// A connection over HTTP/2.
pub(crate) struct GrpcClient {
    sender: SendRequest<RequestBody>,
    pool: DescriptorPool,
}

/// The result of a call.
#[derive(Clone, Debug)]
pub(crate) struct GrpcResponse {
    pub(crate) http: u16,
    /// `grpc-status`, from the headers or the trailers.
    pub(crate) status: Option<u32>,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl GrpcResponse {
    pub(crate) fn message(&self) -> Bytes {
        let messages = messages_in(&self.body);
        assert_eq!(messages.len(), 1, "one message: {self:?}");
        messages[0].clone()
    }
}

/// A message with its length prefix.
pub(crate) fn length_prefixed(message: &[u8]) -> Bytes {
    let mut bytes = BytesMut::new();
    bytes.put_u8(0);
    bytes.put_u32(u32::try_from(message.len()).unwrap());
    bytes.put_slice(message);
    bytes.freeze()
}

/// All messages of a body.
pub(crate) fn messages_in(mut body: &[u8]) -> Vec<Bytes> {
    let mut messages = Vec::new();
    while let [flag, a, b, c, d, rest @ ..] = body {
        assert_eq!(*flag, 0);
        let (message, more) = rest.split_at(u32::from_be_bytes([*a, *b, *c, *d]) as usize);
        messages.push(Bytes::copy_from_slice(message));
        body = more;
    }
    assert!(body.is_empty());
    messages
}

fn endless_body(body: Bytes) -> RequestBody {
    let first_frame = stream::once(async { Ok(Frame::data(body)) });
    StreamBody::new(first_frame.chain(stream::pending())).boxed_unsync()
}

impl GrpcClient {
    /// Connects with prior knowledge of HTTP/2.
    pub(crate) async fn connect(address: SocketAddr) -> Self {
        Self::over(TcpStream::connect(address).await.unwrap()).await
    }

    /// Connects over an open stream.
    pub(crate) async fn over<S>(stream: S) -> Self
    where
        S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        let (sender, connection) = handshake(TokioExecutor::new(), TokioIo::new(stream))
            .await
            .unwrap();
        tokio::spawn(connection);
        Self {
            sender,
            pool: DescriptorPool::decode(DESCRIPTORS).unwrap(),
        }
    }

    fn descriptor(&self, name: &str) -> MessageDescriptor {
        let name = format!("envoy.service.auth.v3.{name}");
        self.pool.get_message_by_name(&name).unwrap()
    }

    /// Encodes a `CheckRequest` from JSON.
    pub(crate) fn encode_request(&self, check: &Value) -> Vec<u8> {
        let request = DynamicMessage::deserialize(self.descriptor("CheckRequest"), check);
        request.unwrap().encode_to_vec()
    }

    /// Decodes a `CheckResponse` to JSON.
    pub(crate) fn decode_response(&self, response: &GrpcResponse) -> Value {
        assert_eq!(
            (response.http, response.status),
            (200, Some(0)),
            "{response:?}"
        );
        assert_eq!(response.headers["content-type"], "application/grpc");
        let message = DynamicMessage::decode(self.descriptor("CheckResponse"), response.message());
        let message = message.unwrap();
        // Every field in the response is in the descriptors.
        assert_eq!(message.unknown_fields().count(), 0);
        let options = SerializeOptions::new().use_proto_field_name(true);
        message
            .serialize_with_options(serde_json::value::Serializer, &options)
            .unwrap()
    }

    /// Sends a check and returns the response. The call must succeed.
    pub(crate) async fn check(&mut self, check: &Value) -> Value {
        let check = self.encode_request(check);
        self.check_bytes(&check).await
    }

    /// Sends a check of raw bytes, which may be invalid.
    pub(crate) async fn check_bytes(&mut self, check: &[u8]) -> Value {
        let response = self.call(CHECK, &[], length_prefixed(check)).await;
        self.decode_response(&response)
    }

    /// Calls a method with a body and reads the whole response.
    pub(crate) async fn call(
        &mut self,
        path: &str,
        headers: &[(&str, &str)],
        body: Bytes,
    ) -> GrpcResponse {
        self.call_with(path, headers, Full::new(body).boxed_unsync())
            .await
    }

    /// Calls a method with a body that never ends.
    pub(crate) async fn call_endless(
        &mut self,
        path: &str,
        headers: &[(&str, &str)],
        body: Bytes,
    ) -> GrpcResponse {
        self.call_with(path, headers, endless_body(body)).await
    }

    /// Begins a call with a body that never ends.
    pub(crate) async fn open_endless(&mut self, path: &str, body: Bytes) -> Response<Incoming> {
        self.open_with(path, &[], endless_body(body)).await
    }

    async fn call_with(
        &mut self,
        path: &str,
        headers: &[(&str, &str)],
        body: RequestBody,
    ) -> GrpcResponse {
        let response = self.open_with(path, headers, body).await;
        let (head, body) = response.into_parts();
        let body = timeout(CALL_TIMEOUT, body.collect())
            .await
            .unwrap()
            .unwrap();
        let status = |headers: &HeaderMap| {
            let status = headers.get("grpc-status")?.to_str().ok()?;
            status.parse().ok()
        };
        GrpcResponse {
            http: head.status.as_u16(),
            status: status(&head.headers).or_else(|| body.trailers().and_then(status)),
            headers: head.headers,
            body: body.to_bytes(),
        }
    }

    /// Begins a call. `headers` are added to the usual headers and replace those of the same name.
    pub(crate) async fn open(
        &mut self,
        path: &str,
        headers: &[(&str, &str)],
        body: Bytes,
    ) -> Response<Incoming> {
        let body = Full::new(body).boxed_unsync();
        self.open_with(path, headers, body).await
    }

    async fn open_with(
        &mut self,
        path: &str,
        headers: &[(&str, &str)],
        body: RequestBody,
    ) -> Response<Incoming> {
        let mut request = Request::post(format!("http://menshen{path}")).version(Version::HTTP_2);
        let is_replaced = |name: &str| headers.iter().any(|(is_replaced, _)| *is_replaced == name);
        for (name, value) in [("content-type", "application/grpc"), ("te", "trailers")] {
            if !is_replaced(name) {
                request = request.header(name, value);
            }
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(body).unwrap();
        let sent = async {
            self.sender.ready().await.unwrap();
            self.sender.send_request(request).await.unwrap()
        };
        timeout(CALL_TIMEOUT, sent).await.unwrap()
    }
}
