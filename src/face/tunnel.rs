//! Runs tunnels, such as WebSocket connections, while their request is allowed.

use super::long_request::LongRequest;
use crate::request::forward::{Tunnel, TunnelEnd};
use crate::telemetry::StreamKind;

/// Runs a tunnel in its own task until either side closes it, its request is no longer allowed, or
/// the process shuts down.
pub(super) fn spawn(tunnel: Tunnel, request: LongRequest) {
    tokio::spawn(async move {
        let live = &request.live;
        let _counted = live.services().telemetry.track_tunnel();
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
