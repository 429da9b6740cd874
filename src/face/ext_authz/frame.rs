//! gRPC framing of unary calls.
//!
//! Written by hand, because an unreadable check must be refused. Libraries answer it with a gRPC error,
//! which an Envoy with `failure_mode_allow` lets pass.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::{Buf, BufMut, Bytes, BytesMut};
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderName, HeaderValue, Response};
use http_body::Frame;
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use prost::Message;

use crate::request::{Body, BodyError};

/// The maximum size of a message: all headers, and the part of a body that Envoy may send.
pub(super) const MESSAGE_BYTES_MAX: usize = 1024 * 1024;
/// The flag and length before every message.
const PREFIX_BYTES: usize = 5;
/// The HTTP/2 library writes pieces of up to this size together with headers and trailers. A longer
/// piece needs a system call of its own, which takes longer than the check.
const PIECE_BYTES_MAX: usize = 255;
const GRPC_STATUS: HeaderName = HeaderName::from_static("grpc-status");

/// Why a body is not one message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum FrameError {
    #[error("the message is longer than {MESSAGE_BYTES_MAX} bytes")]
    TooLong,
    /// The server does not advertise any compression.
    #[error("the message is compressed")]
    Compressed,
    #[error("the body is not one complete message")]
    Incomplete,
    /// The client closed the stream.
    #[error("the body did not arrive completely")]
    Lost,
}

pub(super) async fn read_message<B>(body: B) -> Result<Bytes, FrameError>
where
    B: http_body::Body<Data = Bytes>,
    B::Error: Into<BodyError>,
{
    let body = Limited::new(body, PREFIX_BYTES + MESSAGE_BYTES_MAX).collect();
    let body = body.await.map_err(|error| {
        if error.is::<LengthLimitError>() {
            FrameError::TooLong
        } else {
            FrameError::Lost
        }
    })?;
    let mut bytes = body.to_bytes();
    if bytes.len() < PREFIX_BYTES {
        return Err(FrameError::Incomplete);
    }
    let (flag, length) = (bytes.get_u8(), bytes.get_u32());
    match flag {
        0 if usize::try_from(length) == Ok(bytes.len()) => Ok(bytes),
        1 => Err(FrameError::Compressed),
        _ => Err(FrameError::Incomplete),
    }
}

pub(super) fn message_response(message: &impl Message) -> Response<Body> {
    let length = message.encoded_len();
    let mut bytes = BytesMut::with_capacity(PREFIX_BYTES + length);
    bytes.put_u8(0);
    bytes.put_u32(u32::try_from(length).unwrap_or(u32::MAX));
    message
        .encode(&mut bytes)
        .expect("a growing buffer has room for every message");
    let mut response = Response::new(Body::new(MessageBody::Message(bytes.freeze())));
    response
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    response
}

/// A body with one message and the trailers of a successful call.
enum MessageBody {
    Message(Bytes),
    Trailers,
    Done,
}

impl http_body::Body for MessageBody {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let (next, frame) = match &mut *self {
            Self::Message(rest) if rest.len() > PIECE_BYTES_MAX => {
                let piece = rest.split_to(PIECE_BYTES_MAX);
                (
                    Self::Message(std::mem::take(rest)),
                    Some(Frame::data(piece)),
                )
            }
            Self::Message(rest) => (Self::Trailers, Some(Frame::data(std::mem::take(rest)))),
            Self::Trailers => {
                let mut trailers = HeaderMap::with_capacity(1);
                trailers.insert(GRPC_STATUS, HeaderValue::from_static("0"));
                (Self::Done, Some(Frame::trailers(trailers)))
            }
            Self::Done => (Self::Done, None),
        };
        *self = next;
        Poll::Ready(frame.map(Ok))
    }

    fn is_end_stream(&self) -> bool {
        matches!(self, Self::Done)
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::Full;

    use super::*;
    use crate::face::ext_authz::wire::{CheckResponse, Status};

    async fn read(bytes: &'static [u8]) -> Result<Bytes, FrameError> {
        read_message(Full::new(Bytes::from_static(bytes))).await
    }

    #[tokio::test]
    async fn only_one_complete_message_is_read() {
        assert_eq!(read(b"\0\0\0\0\0").await.unwrap(), "");
        assert_eq!(read(b"\0\0\0\0\x02ab").await.unwrap(), "ab");
        for (bytes, expected) in [
            (&b""[..], FrameError::Incomplete),
            (b"\0\0\0\0", FrameError::Incomplete),
            (b"\0\0\0\0\x03ab", FrameError::Incomplete),
            (b"\0\0\0\0\x01ab", FrameError::Incomplete),
            (b"\0\0\0\0\0\0\0\0\0\0", FrameError::Incomplete),
            (b"\x02\0\0\0\x02ab", FrameError::Incomplete),
            (b"\x01\0\0\0\x02ab", FrameError::Compressed),
        ] {
            assert_eq!(read(bytes).await, Err(expected), "{bytes:?}");
        }
    }

    #[tokio::test]
    async fn a_too_long_message_is_distinct_from_a_broken_one() {
        let mut long = vec![0; PREFIX_BYTES + MESSAGE_BYTES_MAX];
        long[1..5].copy_from_slice(&(1024_u32 * 1024).to_be_bytes());
        assert!(
            read_message(Full::new(Bytes::from(long.clone())))
                .await
                .is_ok()
        );
        long.push(0);
        let read = read_message(Full::new(Bytes::from(long))).await;
        assert_eq!(read, Err(FrameError::TooLong));
    }

    #[tokio::test]
    async fn a_response_is_one_message_and_trailers() {
        let answer = CheckResponse {
            status: Some(Status { code: 7 }),
            ..CheckResponse::default()
        };
        let body = message_response(&answer)
            .into_body()
            .collect()
            .await
            .unwrap();
        assert_eq!(body.trailers().unwrap()["grpc-status"], "0");
        let bytes = body.to_bytes();
        let read = read_message(Full::new(bytes)).await.unwrap();
        assert_eq!(CheckResponse::decode(read).unwrap(), answer);
    }
}
