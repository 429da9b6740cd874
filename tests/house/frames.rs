//! An HTTP/2 client (RFC 9113) for which the test chooses each frame. It never enlarges its windows by itself.

use std::net::SocketAddr;

use tokio::net::TcpStream;

use crate::raw_connection::RawConnection;

pub(crate) const DATA: u8 = 0;
pub(crate) const HEADERS: u8 = 1;
pub(crate) const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const WINDOW_UPDATE: u8 = 8;

const ACK: u8 = 1;
pub(crate) const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;

/// A table that enables HTTP/2 without TLS on the main listener.
pub(crate) const HTTP2_WITHOUT_TLS: &str = "[ext_authz]\non_main = true\n";
/// A line of `[server]`: there is a trusted proxy, as `on_main` requires, but it is not the test client.
pub(crate) const TRUST_ONLY_ANOTHER_HOST: &str = "trusted_proxies = [\"192.0.2.1\"]\n";

/// A connection over HTTP/2.
#[derive(Debug)]
pub(crate) struct Frames(RawConnection<TcpStream>);

/// A frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Frame {
    pub(crate) kind: u8,
    pub(crate) flags: u8,
    pub(crate) stream: u32,
    pub(crate) payload: Vec<u8>,
}

impl Frames {
    /// Connects with this initial window for each stream, in bytes.
    pub(crate) async fn open(address: SocketAddr, window: u32) -> Self {
        let mut frames = Self(RawConnection::open(address).await);
        frames.0.send("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await;
        let initial_window = [&[0, 4][..], &window.to_be_bytes()].concat();
        frames.send(SETTINGS, 0, 0, &initial_window).await;
        frames
    }

    pub(crate) async fn send(&mut self, kind: u8, flags: u8, stream: u32, payload: &[u8]) {
        self.try_send(kind, flags, stream, payload).await.unwrap();
    }

    pub(crate) async fn try_send(
        &mut self,
        kind: u8,
        flags: u8,
        stream: u32,
        payload: &[u8],
    ) -> std::io::Result<()> {
        let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
        let stream = stream.to_be_bytes();
        let frame = [&length[1..], &[kind, flags], &stream, payload].concat();
        self.0.try_send(frame).await
    }

    /// Opens a stream with a request. A body follows unless `flags` has [`END_STREAM`].
    pub(crate) async fn send_request(
        &mut self,
        stream: u32,
        flags: u8,
        method_host_path: (&str, &str, &str),
        headers: &[(&str, &str)],
    ) {
        let block = request(method_host_path, headers);
        self.send(HEADERS, flags | END_HEADERS, stream, &block)
            .await;
    }

    /// Opens a stream with a request without a body, unless the connection is closed.
    pub(crate) async fn try_get(&mut self, stream: u32, host: &str, path: &str) -> bool {
        let headers = request(("GET", host, path), &[]);
        let flags = END_STREAM | END_HEADERS;
        self.try_send(HEADERS, flags, stream, &headers)
            .await
            .is_ok()
    }

    /// Opens a stream with a request without a body.
    pub(crate) async fn get(&mut self, stream: u32, host: &str, path: &str) {
        self.send_request(stream, END_STREAM, ("GET", host, path), &[])
            .await;
    }

    /// Enlarges a window; stream 0 is the connection.
    pub(crate) async fn enlarge_window(&mut self, stream: u32, bytes: u32) {
        let bytes = bytes.to_be_bytes();
        self.send(WINDOW_UPDATE, 0, stream, &bytes).await;
    }

    /// Whether the server closed the connection. Frames that arrive are kept for [`Self::next`].
    pub(crate) fn is_closed(&mut self) -> bool {
        let mut piece = [0; 1024];
        loop {
            match self.0.stream.try_read(&mut piece) {
                Ok(0) => return true,
                Ok(count) => self.0.unparsed.extend_from_slice(&piece[..count]),
                Err(error) => return error.kind() != std::io::ErrorKind::WouldBlock,
            }
        }
    }

    /// The next frame of any stream; `None` at the end of the connection.
    pub(crate) async fn next(&mut self) -> Option<Frame> {
        loop {
            let head = self.0.read_bytes(9).await?;
            let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
            let frame = Frame {
                kind: head[3],
                flags: head[4],
                stream: u32::from_be_bytes([head[5], head[6], head[7], head[8]]),
                payload: self.0.read_bytes(length as usize).await?,
            };
            match (frame.kind, frame.flags) {
                (SETTINGS, 0) => self.try_send(SETTINGS, ACK, 0, &[]).await.ok()?,
                (PING, 0) => self.try_send(PING, ACK, 0, &frame.payload).await.ok()?,
                _ if frame.stream != 0 => return Some(frame),
                _ => {}
            }
        }
    }

    /// The next frame of a stream; frames of other streams are skipped.
    pub(crate) async fn next_of_stream(&mut self, stream: u32) -> Option<Frame> {
        loop {
            let frame = self.next().await?;
            if frame.stream == stream {
                return Some(frame);
            }
        }
    }

    /// Reads until a stream is reset and returns the size of the body received before.
    pub(crate) async fn body_bytes_before_reset(&mut self, stream: u32) -> usize {
        let mut bytes = 0;
        loop {
            let frame = self
                .next_of_stream(stream)
                .await
                .expect("the connection stays open");
            match frame.kind {
                RST_STREAM => return bytes,
                DATA => bytes += frame.payload.len(),
                _ => {}
            }
            assert_eq!(
                frame.flags & END_STREAM,
                0,
                "the stream ended without a reset: {frame:?}"
            );
        }
    }

    /// Reads the body of a response to its end.
    pub(crate) async fn body(&mut self, stream: u32) -> Vec<u8> {
        let mut body = Vec::new();
        loop {
            let frame = self
                .next_of_stream(stream)
                .await
                .expect("the connection stays open");
            assert_ne!(frame.kind, RST_STREAM, "{frame:?}");
            if frame.kind == DATA {
                body.extend_from_slice(&frame.payload);
            }
            if frame.flags & END_STREAM != 0 {
                return body;
            }
        }
    }
}

/// The header block of a request.
fn request((method, host, path): (&str, &str, &str), headers: &[(&str, &str)]) -> Vec<u8> {
    let pseudo_headers = [
        (":method", method),
        (":scheme", "http"),
        (":authority", host),
        (":path", path),
    ];
    let mut block = Vec::new();
    for (name, value) in pseudo_headers.iter().chain(headers) {
        // A literal field without indexing and with a literal name (RFC 7541 §6.2.2).
        block.push(0);
        for text in [name, value] {
            // The length: a prefix of seven bits, then the rest in groups of seven (RFC 7541 §5.1).
            match u8::try_from(text.len()) {
                Ok(short @ 0..127) => block.push(short),
                _ => {
                    let rest = u16::try_from(text.len() - 127).unwrap();
                    let [low, high] = [rest % 128, rest / 128].map(|part| part as u8);
                    block.extend([127, 0x80 | low, high]);
                }
            }
            block.extend_from_slice(text.as_bytes());
        }
    }
    block
}
