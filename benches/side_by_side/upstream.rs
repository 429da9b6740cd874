//! The application behind the proxies: it always returns the same KiB.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

/// A running upstream; it ends with the runtime.
#[derive(Debug)]
pub(crate) struct Upstream {
    pub(crate) address: SocketAddr,
    capture: Arc<Mutex<Capture>>,
}

/// Whether the next request head is captured.
#[derive(Debug)]
enum Capture {
    Off,
    Armed,
    Done(Vec<u8>),
}

impl Upstream {
    /// Serves on a free port.
    pub(crate) async fn start() -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let capture = Arc::new(Mutex::new(Capture::Off));
        let answer: Arc<[u8]> = answer().into();
        let shared = Arc::clone(&capture);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, Arc::clone(&answer), Arc::clone(&shared)));
            }
        });
        Ok(Self { address, capture })
    }

    /// Captures the head of the next request.
    pub(crate) fn capture_next_head(&self) {
        *self.capture.lock().unwrap_or_else(PoisonError::into_inner) = Capture::Armed;
    }

    /// Takes the captured head.
    pub(crate) fn captured_head(&self) -> Option<Vec<u8>> {
        let mut capture = self.capture.lock().unwrap_or_else(PoisonError::into_inner);
        match std::mem::replace(&mut *capture, Capture::Off) {
            Capture::Done(head) => Some(head),
            Capture::Armed | Capture::Off => None,
        }
    }
}

/// Responds to successive requests without bodies.
async fn serve(
    mut stream: TcpStream,
    answer: Arc<[u8]>,
    capture: Arc<Mutex<Capture>>,
) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut head = Vec::with_capacity(8 * 1024);
    loop {
        head.clear();
        while !head.ends_with(b"\r\n\r\n") {
            if stream.read_buf(&mut head).await? == 0 {
                return Ok(());
            }
        }
        {
            let mut capture = capture.lock().unwrap_or_else(PoisonError::into_inner);
            if matches!(*capture, Capture::Armed) {
                *capture = Capture::Done(head.clone());
            }
        }
        stream.write_all(&answer).await?;
    }
}

fn answer() -> Vec<u8> {
    let body = "0123456789abcdef".repeat(64);
    let head = "HTTP/1.1 200 OK\r\nserver: upstream\r\ndate: Thu, 01 Jan 2026 00:00:00 GMT\r\n\
        content-type: text/plain; charset=utf-8\r\ncache-control: no-store\r\n";
    format!("{head}content-length: {}\r\n\r\n{body}", body.len()).into_bytes()
}
