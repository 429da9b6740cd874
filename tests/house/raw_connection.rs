//! `RawConnection`: a connection on which a test sends bytes and reads HTTP/1.1 messages, as client or
//! as server.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::wire::Answer;

/// How long a test waits for bytes, a connection or a condition before it fails.
pub(crate) const TEST_TIMEOUT: Duration = Duration::from_secs(60);

/// A connection, and the bytes that were read from it and belong to the next message.
#[derive(Debug)]
pub(crate) struct RawConnection<S> {
    pub(crate) stream: S,
    pub(crate) unparsed: Vec<u8>,
}

/// A request or an answer; its headers determine the length of its body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Message {
    pub(crate) start_line: String,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Message {
    pub(crate) fn header_values(&self, name: &str) -> Vec<&str> {
        let same = |(key, _): &&(String, String)| key.eq_ignore_ascii_case(name);
        let found = self.headers.iter().filter(same);
        found.map(|(_, value)| value.as_str()).collect()
    }

    /// The value of a header. Panics if it is repeated.
    pub(crate) fn single_header(&self, name: &str) -> Option<&str> {
        match self.header_values(name)[..] {
            [] => None,
            [one] => Some(one),
            _ => panic!("{name} is repeated: {self:?}"),
        }
    }

    /// The target of a request.
    pub(crate) fn target(&self) -> &str {
        self.start_line.split(' ').nth(1).unwrap_or("")
    }

    fn status(&self) -> u16 {
        let status = self.start_line.split(' ').nth(1);
        status.and_then(|text| text.parse().ok()).unwrap_or(0)
    }
}

impl RawConnection<TcpStream> {
    pub(crate) async fn open(address: SocketAddr) -> Self {
        Self::over(TcpStream::connect(address).await.unwrap())
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> RawConnection<S> {
    pub(crate) fn over(stream: S) -> Self {
        let unparsed = Vec::new();
        Self { stream, unparsed }
    }

    pub(crate) async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.try_send(bytes).await.expect("the other side reads");
    }

    pub(crate) async fn try_send(&mut self, bytes: impl AsRef<[u8]>) -> io::Result<()> {
        timeout(TEST_TIMEOUT, self.stream.write_all(bytes.as_ref()))
            .await
            .expect("the other side reads in time")
    }

    /// The next answer; interim answers (1xx) are skipped.
    pub(crate) async fn read_answer(&mut self) -> Answer {
        self.try_read_answer().await.expect("an answer comes")
    }

    /// Like [`Self::read_answer`]; `None` if the connection ends before the answer is complete.
    pub(crate) async fn try_read_answer(&mut self) -> Option<Answer> {
        loop {
            let mut message = self.read_head().await?;
            let status = message.status();
            if status != 101 && status < 200 {
                continue;
            }
            if status >= 200 && status != 204 && status != 304 {
                message.body = self.read_body(&message, true).await?;
            }
            return Some(answer(message));
        }
    }

    /// The head of the next answer, without its body.
    pub(crate) async fn read_answer_head(&mut self) -> Answer {
        answer(self.read_head().await.expect("the head of an answer comes"))
    }

    /// The next request; `None` at the end of the connection.
    pub(crate) async fn read_request(&mut self) -> Option<Message> {
        let mut message = self.read_head().await?;
        message.body = self.read_body(&message, false).await?;
        Some(message)
    }

    /// The head of the next message; `None` at the end of the connection.
    pub(crate) async fn read_head(&mut self) -> Option<Message> {
        let end = loop {
            if let Some(at) = find(&self.unparsed, b"\r\n\r\n") {
                break at;
            }
            self.read_more().await?;
        };
        let head: Vec<u8> = self.unparsed.drain(..end + 4).collect();
        let head = String::from_utf8_lossy(&head[..end]).into_owned();
        let mut lines = head.split("\r\n");
        let start_line = lines.next()?.to_owned();
        let pair = |line: &str| {
            let (name, value) = line.split_once(':').unwrap_or((line, ""));
            (name.to_owned(), value.trim().to_owned())
        };
        let headers = lines.map(pair).collect();
        let body = Vec::new();
        Some(Message {
            start_line,
            headers,
            body,
        })
    }

    /// The next `count` bytes; `None` if the connection ends before.
    pub(crate) async fn read_bytes(&mut self, count: usize) -> Option<Vec<u8>> {
        while self.unparsed.len() < count {
            self.read_more().await?;
        }
        Some(self.unparsed.drain(..count).collect())
    }

    /// All bytes until the end of the connection.
    pub(crate) async fn read_to_end(&mut self) -> Vec<u8> {
        while self.read_more().await.is_some() {}
        std::mem::take(&mut self.unparsed)
    }

    /// One chunk of a chunked body; empty at its end.
    pub(crate) async fn read_chunk(&mut self) -> Option<Vec<u8>> {
        let size = self.read_line().await?;
        let size = usize::from_str_radix(size.split(';').next()?.trim(), 16).ok()?;
        if size > 0 {
            let data = self.read_bytes(size).await?;
            self.read_bytes(2).await?;
            return Some(data);
        }
        while !self.read_line().await?.is_empty() {}
        Some(Vec::new())
    }

    async fn read_body(&mut self, head: &Message, until_close: bool) -> Option<Vec<u8>> {
        if head.single_header("transfer-encoding").is_some() {
            let mut body = Vec::new();
            loop {
                let chunk = self.read_chunk().await?;
                if chunk.is_empty() {
                    return Some(body);
                }
                body.extend_from_slice(&chunk);
            }
        }
        match head.single_header("content-length") {
            Some(length) => self.read_bytes(length.parse().ok()?).await,
            None if until_close => Some(self.read_to_end().await),
            None => Some(Vec::new()),
        }
    }

    async fn read_line(&mut self) -> Option<String> {
        let end = loop {
            if let Some(at) = find(&self.unparsed, b"\r\n") {
                break at;
            }
            self.read_more().await?;
        };
        let line: Vec<u8> = self.unparsed.drain(..end + 2).collect();
        Some(String::from_utf8_lossy(&line[..end]).into_owned())
    }

    /// Reads more bytes; `None` at the end of the connection or if the peer reset it.
    async fn read_more(&mut self) -> Option<()> {
        let mut piece = vec![0; 64 * 1024];
        let read = timeout(TEST_TIMEOUT, self.stream.read(&mut piece)).await;
        let count = read.expect("the other side goes on in time").unwrap_or(0);
        self.unparsed.extend_from_slice(&piece[..count]);
        (count > 0).then_some(())
    }
}

fn answer(message: Message) -> Answer {
    Answer {
        status: message.status(),
        headers: message.headers,
        body: message.body,
    }
}

fn find(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    bytes.windows(wanted.len()).position(|part| part == wanted)
}
