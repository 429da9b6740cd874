//! Accepts the connections of one listener until the drain begins.

use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::sleep;

use super::listen::Listener;
use super::listener_options::ListenerOptions;
use super::{Handler, SharedState, connection};

pub(super) async fn accept<H: Handler>(
    shared: Arc<SharedState<H>>,
    listener: Listener,
    options: ListenerOptions,
) {
    // The pauses after failures to accept a connection.
    const PAUSE_MIN: Duration = Duration::from_millis(10);
    const PAUSE_MAX: Duration = Duration::from_secs(1);
    let mut drain = pin!(shared.drain.cancelled());
    let mut pause = PAUSE_MIN;
    loop {
        let next = async {
            let accepted = listener.accept().await?;
            let permit =
                if let Ok(permit) = Arc::clone(&shared.connection_permits).try_acquire_owned() {
                    permit
                } else {
                    if shared.accept_log.allow() {
                        let max = shared.limits.connections_max;
                        tracing::warn!(max, "connections_max is reached: new connections wait");
                    }
                    let permit = Arc::clone(&shared.connection_permits).acquire_owned().await;
                    permit.map_err(io::Error::other)?
                };
            io::Result::Ok((accepted, permit))
        };
        let accepted = tokio::select! {
            biased;
            () = &mut drain => return,
            accepted = next => accepted,
        };
        match accepted {
            Ok(((stream, peer), permit)) => {
                pause = PAUSE_MIN;
                let guards = (
                    permit,
                    shared.tracker.token(),
                    shared.telemetry.track_connection(),
                );
                let served =
                    connection::serve(Arc::clone(&shared), options.clone(), stream, peer, guards);
                tokio::spawn(served);
            }
            Err(error) if needs_no_pause(&error) => {}
            Err(error) => {
                if shared.accept_log.allow() {
                    let address = &listener.address;
                    tracing::error!(%address, %error, "accepting a connection failed");
                }
                // Out of files or memory: retrying at once would only use up the processor.
                sleep(pause).await;
                pause = (pause * 2).min(PAUSE_MAX);
            }
        }
    }
}

/// Whether the client disconnected before accept(2), or a signal interrupted the call: no resource is
/// exhausted.
fn needs_no_pause(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionRefused
            | io::ErrorKind::Interrupted
    )
}
