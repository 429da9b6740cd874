//! `Mirror`: an upstream that answers each request with the bytes of that request.

use std::net::SocketAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};

use crate::wire::Answer;

/// A running mirror. Dropping it closes its socket and every connection.
pub(crate) struct Mirror {
    address: SocketAddr,
    accepting: JoinHandle<()>,
}

impl Mirror {
    pub(crate) async fn start() -> Self {
        Self::answering("").await
    }

    /// A mirror that adds these header lines to every answer; each ends with CR LF.
    pub(crate) async fn answering(lines: &'static str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let accepting = tokio::spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                connections.spawn(answer_with_request(stream, lines));
            }
        });
        Self { address, accepting }
    }

    pub(crate) fn base_url(&self) -> String {
        format!("http://{}", self.address)
    }
}

impl Drop for Mirror {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn answer_with_request(mut stream: TcpStream, lines: &str) {
    let mut received = Vec::new();
    while !is_complete(&received) {
        let mut piece = [0; 4096];
        match stream.read(&mut piece).await {
            Ok(n) if n > 0 => received.extend_from_slice(&piece[..n]),
            _ => return,
        }
    }
    let head = format!(
        "HTTP/1.1 200 OK\r\nX-Mirror: yes\r\n{lines}Content-Length: {}\r\nConnection: close\r\n\r\n",
        received.len()
    );
    // The client may have closed the connection.
    let _ = stream.write_all(head.as_bytes()).await;
    let _ = stream.write_all(&received).await;
}

fn is_complete(bytes: &[u8]) -> bool {
    let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") else {
        return false;
    };
    let head = String::from_utf8_lossy(&bytes[..end]).to_lowercase();
    let body = &bytes[end + 4..];
    let length = head.split("\r\ncontent-length: ").nth(1);
    match length.and_then(|rest| rest.split("\r\n").next()) {
        Some(length) => body.len() >= length.parse().unwrap(),
        None if head.contains("\r\ntransfer-encoding: chunked") => body.ends_with(b"0\r\n\r\n"),
        None => true,
    }
}

/// The request that the mirror received; `None` if the answer is not from the mirror.
pub(crate) fn received_bytes(answer: &Answer) -> Option<&[u8]> {
    (answer.header("x-mirror") == Some("yes")).then_some(&answer.body)
}

/// The target of the request that the mirror received.
pub(crate) fn received_target(answer: &Answer) -> Option<&[u8]> {
    let line = received_bytes(answer)?
        .split(|byte| *byte == b'\r')
        .next()?;
    let from = line.iter().position(|byte| *byte == b' ')? + 1;
    let to = line.iter().rposition(|byte| *byte == b' ')?;
    line.get(from..to)
}

/// The headers of the request that the mirror received, names in lower case.
pub(crate) fn received_headers(answer: &Answer) -> Vec<(String, String)> {
    let text =
        String::from_utf8_lossy(received_bytes(answer).expect("the answer is from the mirror"));
    let head = text.split("\r\n\r\n").next().unwrap();
    let lines = head.split("\r\n").skip(1);
    lines
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name.to_lowercase(), value.trim().to_owned()))
        .collect()
}

/// The values of one of these headers.
pub(crate) fn received_values(answer: &Answer, name: &str) -> Vec<String> {
    let all = received_headers(answer).into_iter();
    all.filter(|(key, _)| key == name)
        .map(|(_, value)| value)
        .collect()
}
