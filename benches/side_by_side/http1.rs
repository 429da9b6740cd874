//! A keep-alive HTTP/1.1 client, and requests as browsers send them.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// The maximum size of a response, in bytes.
const ANSWER_BYTES_MAX: usize = 64 * 1024;

/// A connection and the request to send on it.
#[derive(Debug)]
pub(crate) struct Http1Client {
    stream: TcpStream,
    request: Arc<[u8]>,
    expected_status: u16,
    buffer: Vec<u8>,
}

impl Http1Client {
    pub(crate) async fn open(
        to: SocketAddr,
        request: Arc<[u8]>,
        expected_status: u16,
    ) -> io::Result<Self> {
        let stream = TcpStream::connect(to).await?;
        stream.set_nodelay(true)?;
        Ok(Self {
            stream,
            request,
            expected_status,
            buffer: Vec::with_capacity(ANSWER_BYTES_MAX),
        })
    }

    /// The bytes of the last response.
    pub(crate) fn answer(&self) -> &[u8] {
        &self.buffer
    }

    /// Sends the request, reads the response and returns whether its status is the expected one.
    pub(crate) async fn exchange(&mut self) -> io::Result<bool> {
        self.stream.write_all(&self.request).await?;
        self.buffer.clear();
        let mut status_and_bytes: Option<(u16, usize)> = None;
        loop {
            if self.stream.read_buf(&mut self.buffer).await? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            if status_and_bytes.is_none() {
                status_and_bytes = status_and_length(&self.buffer)?;
            }
            match status_and_bytes {
                Some((status, bytes)) if self.buffer.len() == bytes => {
                    return Ok(status == self.expected_status);
                }
                Some((_, bytes)) if self.buffer.len() > bytes => return Err(invalid_response()),
                _ if self.buffer.len() >= ANSWER_BYTES_MAX => return Err(invalid_response()),
                _ => {}
            }
        }
    }
}

/// The status and the total length of a response, once its head is complete.
fn status_and_length(answer: &[u8]) -> io::Result<Option<(u16, usize)>> {
    let Some(end) = answer.windows(4).position(|four| four == b"\r\n\r\n") else {
        return Ok(None);
    };
    let head = std::str::from_utf8(&answer[..end]).map_err(|_| invalid_response())?;
    let mut lines = head.split("\r\n");
    let status = lines
        .next()
        .and_then(|line| line.split(' ').nth(1)?.parse().ok());
    let length = lines.find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-length")
            .then(|| value.trim().parse::<usize>().ok())?
    });
    match (status, length) {
        // A 204 has no body, and nginx sends no `Content-Length`.
        (Some(204), None) => Ok(Some((204, end + 4))),
        (Some(status), Some(length)) => Ok(Some((status, end + 4 + length))),
        _ => Err(invalid_response()),
    }
}

fn invalid_response() -> io::Error {
    io::ErrorKind::InvalidData.into()
}

/// The headers that a browser sends when a link is clicked, without `Host`.
pub(crate) fn browser_headers(
    to: SocketAddr,
    session: Option<&str>,
) -> Vec<(&'static str, String)> {
    let session = session
        .map(|cookie| format!("; {cookie}"))
        .unwrap_or_default();
    let headers = [
        (
            "sec-ch-ua",
            "\"Chromium\";v=\"140\", \"Not=A?Brand\";v=\"24\"",
        ),
        ("sec-ch-ua-mobile", "?0"),
        ("sec-ch-ua-platform", "\"Windows\""),
        ("Upgrade-Insecure-Requests", "1"),
        (
            "User-Agent",
            "Mozilla/5.0 (Windows NT 10.0; Win64; x64) Chrome/140.0.0.0",
        ),
        (
            "Accept",
            "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8",
        ),
        ("Sec-Fetch-Site", "same-origin"),
        ("Sec-Fetch-Mode", "navigate"),
        ("Sec-Fetch-User", "?1"),
        ("Sec-Fetch-Dest", "document"),
        ("Referer", ""),
        ("Accept-Encoding", "gzip, deflate, br, zstd"),
        ("Accept-Language", "zh-CN,zh;q=0.9,en;q=0.8"),
        (
            "Cookie",
            "theme=dark; lang=zh-CN; _ga=GA1.1.1234567890.1700000000",
        ),
    ];
    let headers = headers.map(|(name, value)| match name {
        "Referer" => (name, format!("http://{to}/board")),
        "Cookie" => (name, format!("{value}{session}")),
        _ => (name, value.to_owned()),
    });
    headers.into()
}

/// The request target of a clicked link.
pub(crate) fn target(path: &str) -> String {
    format!("{path}?tab=open&page=2")
}

/// A GET request with these headers.
pub(crate) fn get(to: SocketAddr, target: &str, headers: &[(&str, String)]) -> Vec<u8> {
    let mut request = format!("GET {target} HTTP/1.1\r\nHost: {to}\r\n");
    for (name, value) in headers {
        request.extend([*name, ": ", value, "\r\n"]);
    }
    request.push_str("\r\n");
    request.into_bytes()
}
