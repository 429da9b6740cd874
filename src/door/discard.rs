//! What is still to come of a request's body when the answer is there: it is read and thrown away.
//!
//! Closing a connection, or resetting a stream, while its client is sending makes many clients throw
//! away the answer: they see a broken connection instead of a 401 or a 413.

use std::time::Duration;

use bytes::Bytes;
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use tokio::runtime::Handle;
use tokio::time::timeout;

/// How much of a body is read for nothing, in bytes. Who sends more is cut off.
const BYTES_MAX: usize = 16 * 1024 * 1024;
/// How long it is waited for.
const TIMEOUT: Duration = Duration::from_secs(10);

/// Reads a body to its end, or to its limits, beside whatever else goes on.
pub(super) fn rest_of(body: Incoming) {
    // A runtime that ends has no time for it.
    if let Ok(runtime) = Handle::try_current() {
        runtime.spawn(timeout(TIMEOUT, read(body)));
    }
}

async fn read(mut body: Incoming) {
    let mut left = BYTES_MAX;
    while let Some(Ok(frame)) = body.frame().await {
        let bytes = frame.data_ref().map_or(0, Bytes::len);
        let Some(rest) = left.checked_sub(bytes) else {
            return;
        };
        left = rest;
    }
}
