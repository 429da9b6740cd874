//! The gRPC reflection service for tools such as grpcurl.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Request, Response};
use http_body::Frame;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use tonic::codegen::Service as _;
use tonic_reflection::server::Builder;

use super::frame::MESSAGE_BYTES_MAX;
use crate::request::{Body, BodyError};

/// The compiled descriptors of the files below `proto`. A test compares both.
pub const DESCRIPTORS: &[u8] = include_bytes!("proto/descriptors.bin");
/// The longest time a reflection stream stays open.
const STREAM_TIME_MAX: Duration = Duration::from_secs(60);

type GrpcFuture = Pin<Box<dyn Future<Output = Response<tonic::body::Body>> + Send>>;
type GrpcMethod = Box<dyn Fn(Request<tonic::body::Body>) -> GrpcFuture + Send + Sync>;

/// The reflection service in its current version and the one that older tools use.
pub(super) struct Reflection {
    v1: GrpcMethod,
    v1alpha: GrpcMethod,
    closing: CancellationToken,
}

impl fmt::Debug for Reflection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reflection").finish_non_exhaustive()
    }
}

fn builder() -> Builder<'static> {
    Builder::configure()
        .register_encoded_file_descriptor_set(DESCRIPTORS)
        .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
}

/// Wraps a reflection server as a [`GrpcMethod`]. A macro, because the servers of the two versions are
/// different types.
macro_rules! service_method {
    ($server:expr) => {{
        let server = $server
            .expect("the built-in descriptors are valid, as a test verifies")
            .max_decoding_message_size(MESSAGE_BYTES_MAX);
        Box::new(move |request| {
            let answer = server.clone().call(request);
            Box::pin(async move {
                match answer.await {
                    Ok(response) => response,
                    Err(never) => match never {},
                }
            }) as GrpcFuture
        })
    }};
}

impl Reflection {
    /// Open streams end when `closing` is cancelled.
    pub(super) fn new(closing: CancellationToken) -> Self {
        Self {
            v1: service_method!(builder().build_v1()),
            v1alpha: service_method!(builder().build_v1alpha()),
            closing,
        }
    }

    /// Answers a call of either version, or returns the request.
    pub(super) async fn answer(
        &self,
        request: Request<tonic::body::Body>,
    ) -> Result<Response<Body>, Request<tonic::body::Body>> {
        let call = match request.uri().path() {
            "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo" => &self.v1,
            "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo" => &self.v1alpha,
            _ => return Err(request),
        };
        // The request body ends at the same time, because the library reads until it ends.
        let request = request.map(|body| tonic::body::Body::new(self.until_closed(body, None)));
        let response = call(request).await;
        let mut trailers = HeaderMap::with_capacity(1);
        // UNAVAILABLE: the client may call again.
        trailers.insert("grpc-status", HeaderValue::from_static("14"));
        let last = Some(Frame::trailers(trailers));
        Ok(response.map(|body| Body::new(self.until_closed(body, last))))
    }

    /// A body that ends when `closing` is cancelled, or after [`STREAM_TIME_MAX`].
    fn until_closed(&self, body: tonic::body::Body, last: Option<Frame<Bytes>>) -> BodyUntilClosed {
        let closing = self.closing.clone();
        let end = async move {
            tokio::select! {
                () = closing.cancelled() => (),
                () = sleep(STREAM_TIME_MAX) => (),
            }
        };
        BodyUntilClosed {
            body,
            end: Some(Box::pin(end)),
            last,
        }
    }
}

/// A body that ends early, with `last` as its last frame, when `end` completes.
struct BodyUntilClosed {
    body: tonic::body::Body,
    end: Option<Pin<Box<dyn Future<Output = ()> + Send>>>,
    last: Option<Frame<Bytes>>,
}

impl http_body::Body for BodyUntilClosed {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let Some(end) = &mut self.end else {
            return Poll::Ready(None);
        };
        if end.as_mut().poll(cx).is_ready() {
            self.end = None;
            return Poll::Ready(self.last.take().map(Ok));
        }
        let frame = Pin::new(&mut self.body).poll_frame(cx);
        frame.map(|frame| frame.map(|frame| frame.map_err(Into::into)))
    }

    fn is_end_stream(&self) -> bool {
        self.end.is_none() || self.body.is_end_stream()
    }
}
