//! Records a streamed response when its body ends, because only then it is known whether it was
//! complete.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::Response;
use http_body::{Frame, SizeHint};

use super::long_request::NoLongerAllowed;
use super::record::{LoggedResponse, RequestSummary, ResponseSummary};
use crate::request::forward::ForwardError;
use crate::request::headers::RequestId;
use crate::request::{Body, BodyError};
use crate::telemetry::{CutBy, Telemetry, error_chain};

/// A body that counts its bytes and writes its access record at its end.
struct Streamed {
    body: Body,
    bytes: u64,
    /// `None` once it is written.
    record: Option<Box<PendingRecord>>,
}

/// The access record as known when the head of the response is sent.
struct PendingRecord {
    telemetry: Telemetry,
    for_record: LoggedResponse,
    request: RequestSummary,
    id: RequestId,
    response_summary: ResponseSummary,
}

/// Writes the access record when the response's body ends, however it ends.
pub(super) fn record_at_end(
    response: Response<Body>,
    telemetry: &Telemetry,
    for_record: LoggedResponse,
    request: &RequestSummary,
    id: &RequestId,
    response_summary: ResponseSummary,
) -> Response<Body> {
    let record = Box::new(PendingRecord {
        telemetry: telemetry.clone(),
        for_record,
        request: request.clone(),
        id: id.clone(),
        response_summary,
    });
    response.map(|body| {
        Body::new(Streamed {
            body,
            bytes: 0,
            record: Some(record),
        })
    })
}

impl Streamed {
    fn end(&mut self, cut: Option<CutBy>) {
        if let Some(record) = self.record.take() {
            record.write(self.bytes, cut);
        }
    }

    /// Logs why the body is incomplete, and records it as cut off.
    fn fail(&mut self, error: &BodyError) {
        let cut = match error.downcast_ref() {
            Some(ForwardError::ClientAborted | ForwardError::TooLarge { .. }) => CutBy::Client,
            _ if error.is::<NoLongerAllowed>() => CutBy::Session,
            _ => CutBy::Upstream,
        };
        if let Some(record) = &self.record {
            record.warn(error, self.bytes, cut);
        }
        self.end(Some(cut));
    }
}

impl PendingRecord {
    fn write(&self, bytes: u64, cut: Option<CutBy>) {
        let response_summary = ResponseSummary {
            bytes: Some(bytes),
            cut,
            ..self.response_summary
        };
        let access = self
            .for_record
            .access_record(&self.request, &self.id, response_summary);
        self.telemetry.write_request(&access);
    }

    fn warn(&self, error: &BodyError, bytes: u64, cut: CutBy) {
        let (route, upstream) = (
            self.for_record.route_name(),
            self.for_record.upstream_name(),
        );
        let error = error_chain(&**error);
        match cut {
            CutBy::Upstream => {
                tracing::warn!(request_id = %self.id, route, upstream, %error, bytes, "a response was cut off: the upstream did not send its end");
            }
            CutBy::Client => {
                tracing::info!(request_id = %self.id, route, upstream, %error, bytes, "a response was cut off: the request body was not forwarded completely");
            }
            // This end is expected: `LongRequest::record` counts it and writes a line of the access log,
            // if that is on.
            CutBy::Session => {}
        }
    }
}

impl http_body::Body for Streamed {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let polled = Pin::new(&mut self.body).poll_frame(cx);
        match &polled {
            Poll::Ready(Some(Ok(frame))) => {
                let bytes = frame.data_ref().map_or(0, Bytes::len);
                self.bytes += bytes as u64;
                // The server may stop polling once the declared length was sent.
                if self.body.is_end_stream() {
                    self.end(None);
                }
            }
            Poll::Ready(Some(Err(error))) => self.fail(error),
            Poll::Ready(None) => self.end(None),
            Poll::Pending => {}
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Drop for Streamed {
    fn drop(&mut self) {
        // The connection or the stream was closed, by the client or by menshen.
        self.end(Some(CutBy::Client));
    }
}
