//! An open tunnel (WebSocket) stays open as long as its request would still be allowed.

use super::long_request::LongRequest;
use crate::request::forward::{Tunnel, TunnelEnd};
use crate::telemetry::StreamKind;

/// Lets a tunnel run in a task of its own until either side ends it, or it is no longer allowed.
pub(super) fn keep(tunnel: Tunnel, request: LongRequest) {
    tokio::spawn(async move {
        let live = &request.live;
        let _open = live.services().telemetry.track_tunnel();
        let end = tunnel.run(async {
            tokio::select! {
                () = request.until_refused() => request.record(StreamKind::Tunnel),
                () = live.shutdown().cancelled() => {}
            }
        });
        let end: TunnelEnd = end.await;
        tracing::debug!(request_id = %request.id, ?end, "a tunnel ended");
    });
}
