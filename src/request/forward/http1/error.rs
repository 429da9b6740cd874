//! Why an exchange with an upstream failed.

use std::io;

use super::chunked::ChunkError;
use super::response_head::ResponseHeadError;
use super::{HEAD_BYTES_MAX, INTERIM_RESPONSES_MAX};

/// Why an exchange produced no response.
#[derive(Debug)]
pub(in crate::request::forward) enum ExchangeError {
    /// The connection was closed before anything was sent.
    NotSent,
    /// The connection was closed or failed before the first byte of the response.
    NoResponse(Http1Error),
    /// The connection was closed or failed within the response head.
    IncompleteHead(Http1Error),
    /// The response is invalid, or the request body ended early.
    Invalid(Http1Error),
    TimedOut,
}

/// A failure of an HTTP/1.1 connection.
#[derive(Debug, thiserror::Error)]
pub(in crate::request::forward) enum Http1Error {
    #[error("the connection failed")]
    Io(#[source] io::Error),
    #[error("the connection was closed before the end of the response")]
    Closed,
    #[error("read the head of the response")]
    InvalidHead(#[source] ResponseHeadError),
    #[error("the head of the response is longer than {HEAD_BYTES_MAX} bytes")]
    HeadTooLong,
    #[error("the upstream sent more than {INTERIM_RESPONSES_MAX} interim responses")]
    TooManyInterimResponses,
    #[error("read a chunk of the response")]
    Chunk(#[source] ChunkError),
    #[error("the request body ended early")]
    RequestBody,
}
