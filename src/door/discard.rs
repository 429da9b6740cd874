//! Reads and discards the rest of a request body after its response.
//!
//! If a server closes a connection or resets a stream while the client is sending, many clients discard
//! the response: they report a broken connection instead of a 401 or a 413.

use std::time::Duration;

use bytes::Bytes;
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use tokio::runtime::Handle;
use tokio::time::timeout;

/// The most that is discarded, in bytes. A longer body is aborted.
const BYTES_MAX: usize = 16 * 1024 * 1024;
const TIMEOUT: Duration = Duration::from_secs(10);

/// Discards a body in a task of its own.
pub(super) fn spawn(body: Incoming) {
    // While the runtime shuts down there is none, and the body is dropped.
    if let Ok(runtime) = Handle::try_current() {
        runtime.spawn(timeout(TIMEOUT, read_to_limit(body)));
    }
}

async fn read_to_limit(mut body: Incoming) {
    let mut bytes_left = BYTES_MAX;
    while let Some(Ok(frame)) = body.frame().await {
        let bytes = frame.data_ref().map_or(0, Bytes::len);
        bytes_left = match bytes_left.checked_sub(bytes) {
            Some(bytes_left) => bytes_left,
            None => return,
        };
    }
}
