//! `Link`: the connections of one node to PostgreSQL, which a test can slow down or cut.

use std::net::Ipv4Addr;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// The state of a link.
#[derive(Clone, Copy, Debug, Default)]
struct State {
    /// The delay before each piece of data is passed on, in either direction.
    delay: Duration,
    is_cut: bool,
    /// Connections of an older generation are closed.
    generation: u64,
}

/// A TCP relay to PostgreSQL. Dropping it closes its socket and every connection.
#[derive(Debug)]
pub(super) struct Link {
    pub(super) port: u16,
    state: watch::Sender<State>,
    accepting: JoinHandle<()>,
}

impl Link {
    pub(super) async fn to(port: u16) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let own_port = listener.local_addr().unwrap().port();
        let (state, receiver) = watch::channel(State::default());
        let accepting = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let receiver = receiver.clone();
                if !receiver.borrow().is_cut {
                    tokio::spawn(relay(client, port, receiver));
                }
            }
        });
        Self {
            port: own_port,
            state,
            accepting,
        }
    }

    /// Delays each piece of data from now on.
    pub(super) fn delay(&self, delay: Duration) {
        self.state.send_modify(|state| state.delay = delay);
    }

    /// Closes every connection; new ones work.
    pub(super) fn tear(&self) {
        self.state.send_modify(|state| state.generation += 1);
    }

    /// Closes every connection, and new ones at once, until [`Self::mend`].
    pub(super) fn cut(&self) {
        self.state.send_modify(|state| {
            state.is_cut = true;
            state.generation += 1;
        });
    }

    pub(super) fn mend(&self) {
        self.state.send_modify(|state| state.is_cut = false);
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

/// Relays until either side closes or the link is torn.
async fn relay(client: TcpStream, port: u16, mut state: watch::Receiver<State>) {
    let Ok(server) = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await else {
        return;
    };
    let generation = state.borrow().generation;
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = server.into_split();
    let forth = pass(from_client, to_server, state.clone());
    let back = pass(from_server, to_client, state.clone());
    let torn = state.wait_for(|state| state.generation != generation);
    tokio::select! {
        () = forth => {}
        () = back => {}
        // The link is torn or dropped.
        _ = torn => {}
    }
}

async fn pass(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, state: watch::Receiver<State>) {
    let mut buffer = vec![0; 16 * 1024];
    while let Ok(length @ 1..) = from.read(&mut buffer).await {
        let delay = state.borrow().delay;
        tokio::time::sleep(delay).await;
        if to.write_all(&buffer[..length]).await.is_err() {
            return;
        }
    }
}
