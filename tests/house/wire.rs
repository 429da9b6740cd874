//! An HTTP/1.1 client that sends given bytes and reads one answer.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// A complete HTTP answer.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    /// The first value of a header.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.header_values(name).next()
    }

    /// The values of a header.
    pub(crate) fn header_values(&self, name: &str) -> impl Iterator<Item = &str> {
        let name = name.to_owned();
        let same = move |(key, _): &&(String, String)| key.eq_ignore_ascii_case(&name);
        self.headers
            .iter()
            .filter(same)
            .map(|(_, value)| value.as_str())
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|_| panic!("no JSON: {}", self.text()))
    }

    /// The values of a request header that `/echo` of the upstream received.
    pub(crate) fn echoed(&self, name: &str) -> Vec<String> {
        let json = self.json();
        let headers = json["headers"].as_array().expect("the echo lists headers");
        let same = |pair: &&serde_json::Value| {
            pair[0]
                .as_str()
                .is_some_and(|key| key.eq_ignore_ascii_case(name))
        };
        headers
            .iter()
            .filter(same)
            .map(|pair| pair[1].as_str().unwrap().to_owned())
            .collect()
    }
}

/// Sends bytes and reads one answer. Panics after a minute without a complete answer.
pub(crate) async fn send(address: SocketAddr, bytes: &[u8]) -> Answer {
    try_send(address, bytes).await.expect("the server answers")
}

/// Sends bytes and reads until the server closes the connection; returns the status.
pub(crate) async fn send_for_status(address: SocketAddr, bytes: &[u8]) -> u16 {
    let exchange = async {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(bytes).await.unwrap();
        let mut received = Vec::new();
        stream.read_to_end(&mut received).await.unwrap();
        let line = String::from_utf8_lossy(&received).into_owned();
        let status = line
            .split(' ')
            .nth(1)
            .and_then(|status| status.parse().ok());
        status.unwrap_or_else(|| panic!("no status: {line}"))
    };
    tokio::time::timeout(Duration::from_secs(60), exchange)
        .await
        .expect("an answer within 60 s")
}

/// Like [`send`]; `None` if the connection fails or ends before the answer is complete.
pub(crate) async fn try_send(address: SocketAddr, bytes: &[u8]) -> Option<Answer> {
    let exchange = async {
        let mut stream = TcpStream::connect(address).await.ok()?;
        stream.write_all(bytes).await.ok()?;
        let mut received = Vec::new();
        loop {
            let mut piece = [0; 16384];
            let n = stream.read(&mut piece).await.unwrap_or(0);
            received.extend_from_slice(&piece[..n]);
            if let Some(answer) = parse(&received, n == 0) {
                return Some(answer);
            }
            if n == 0 {
                return None;
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(60), exchange)
        .await
        .expect("an answer within 60 s")
}

/// Parses an answer; `None` if it is not complete yet.
fn parse(bytes: &[u8], ended: bool) -> Option<Answer> {
    let end = bytes.windows(4).position(|window| window == b"\r\n\r\n")?;
    let head = String::from_utf8_lossy(&bytes[..end]).into_owned();
    let mut lines = head.split("\r\n");
    let status = lines.next()?.split(' ').nth(1)?.parse().ok()?;
    let headers: Vec<_> = lines
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name.to_owned(), value.trim().to_owned()))
        .collect();
    let answer = Answer {
        status,
        headers,
        body: Vec::new(),
    };
    let rest = &bytes[end + 4..];
    let body = if answer
        .header("transfer-encoding")
        .is_some_and(|v| v.contains("chunked"))
    {
        unchunk(rest)?
    } else if let Some(length) = answer.header("content-length").and_then(|v| v.parse().ok()) {
        let length: usize = length;
        // An answer to HEAD has a length and no body: it is complete when the connection ends.
        if rest.len() < length && !ended {
            return None;
        }
        rest[..length.min(rest.len())].to_vec()
    } else if status < 200 || status == 204 || status == 304 {
        Vec::new()
    } else if ended {
        rest.to_vec()
    } else {
        return None;
    };
    Some(Answer { body, ..answer })
}

fn unchunk(mut rest: &[u8]) -> Option<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let end = rest.windows(2).position(|window| window == b"\r\n")?;
        let size = std::str::from_utf8(&rest[..end])
            .ok()?
            .split(';')
            .next()?
            .trim();
        let size = usize::from_str_radix(size, 16).ok()?;
        rest = &rest[end + 2..];
        if size == 0 {
            return rest.ends_with(b"\r\n").then_some(body);
        }
        body.extend_from_slice(rest.get(..size)?);
        rest = rest.get(size + 2..)?;
    }
}
