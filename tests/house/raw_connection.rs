//! `RawConnection`: a connection that stays open, from either end: messages as they come over the wire.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::wire::Answer;

/// How long a test waits for what must come.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// One connection and what was read of it too early.
#[derive(Debug)]
pub(crate) struct RawConnection<S> {
    pub(crate) stream: S,
    pub(crate) early: Vec<u8>,
}

/// A request or an answer, framed as its own headers say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Message {
    pub(crate) first: String,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Message {
    pub(crate) fn all(&self, name: &str) -> Vec<&str> {
        let same = |(key, _): &&(String, String)| key.eq_ignore_ascii_case(name);
        let found = self.headers.iter().filter(same);
        found.map(|(_, value)| value.as_str()).collect()
    }

    pub(crate) fn one(&self, name: &str) -> Option<&str> {
        match self.all(name)[..] {
            [] => None,
            [one] => Some(one),
            _ => panic!("{name} came more than once: {self:?}"),
        }
    }

    /// The target of a request.
    pub(crate) fn target(&self) -> &str {
        self.first.split(' ').nth(1).unwrap_or("")
    }

    fn status(&self) -> u16 {
        let status = self.first.split(' ').nth(1);
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
        let early = Vec::new();
        Self { stream, early }
    }

    pub(crate) async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.try_send(bytes).await.expect("the other side reads");
    }

    pub(crate) async fn try_send(&mut self, bytes: impl AsRef<[u8]>) -> io::Result<()> {
        timeout(PATIENCE, self.stream.write_all(bytes.as_ref()))
            .await
            .expect("the other side reads in time")
    }

    /// The next answer, interim ones left out.
    pub(crate) async fn answer(&mut self) -> Answer {
        self.try_answer().await.expect("an answer comes")
    }

    /// The same; nothing when the connection ended before the answer was whole.
    pub(crate) async fn try_answer(&mut self) -> Option<Answer> {
        loop {
            let mut message = self.head().await?;
            let status = message.status();
            if status != 101 && status < 200 {
                continue;
            }
            if status >= 200 && status != 204 && status != 304 {
                message.body = self.body(&message, true).await?;
            }
            return Some(answer(message));
        }
    }

    /// The head of the next answer alone.
    pub(crate) async fn answer_head(&mut self) -> Answer {
        answer(self.head().await.expect("the head of an answer comes"))
    }

    /// The next request; nothing at the end of the connection.
    pub(crate) async fn request(&mut self) -> Option<Message> {
        let mut message = self.head().await?;
        message.body = self.body(&message, false).await?;
        Some(message)
    }

    /// The head of the next message; nothing at the end of the connection.
    pub(crate) async fn head(&mut self) -> Option<Message> {
        let end = loop {
            if let Some(at) = find(&self.early, b"\r\n\r\n") {
                break at;
            }
            self.fill().await?;
        };
        let head: Vec<u8> = self.early.drain(..end + 4).collect();
        let head = String::from_utf8_lossy(&head[..end]).into_owned();
        let mut lines = head.split("\r\n");
        let first = lines.next()?.to_owned();
        let pair = |line: &str| {
            let (name, value) = line.split_once(':').unwrap_or((line, ""));
            (name.to_owned(), value.trim().to_owned())
        };
        let headers = lines.map(pair).collect();
        let body = Vec::new();
        Some(Message {
            first,
            headers,
            body,
        })
    }

    /// Exactly so many bytes.
    pub(crate) async fn bytes(&mut self, count: usize) -> Option<Vec<u8>> {
        while self.early.len() < count {
            self.fill().await?;
        }
        Some(self.early.drain(..count).collect())
    }

    /// Whatever comes until the end of the connection.
    pub(crate) async fn rest(&mut self) -> Vec<u8> {
        while self.fill().await.is_some() {}
        std::mem::take(&mut self.early)
    }

    /// One chunk of a chunked body; empty at its end.
    pub(crate) async fn chunk(&mut self) -> Option<Vec<u8>> {
        let size = self.text_line().await?;
        let size = usize::from_str_radix(size.split(';').next()?.trim(), 16).ok()?;
        if size > 0 {
            let data = self.bytes(size).await?;
            self.bytes(2).await?;
            return Some(data);
        }
        while !self.text_line().await?.is_empty() {}
        Some(Vec::new())
    }

    async fn body(&mut self, head: &Message, to_the_end: bool) -> Option<Vec<u8>> {
        if head.one("transfer-encoding").is_some() {
            let mut body = Vec::new();
            loop {
                let chunk = self.chunk().await?;
                if chunk.is_empty() {
                    return Some(body);
                }
                body.extend_from_slice(&chunk);
            }
        }
        match head.one("content-length") {
            Some(length) => self.bytes(length.parse().ok()?).await,
            None if to_the_end => Some(self.rest().await),
            None => Some(Vec::new()),
        }
    }

    async fn text_line(&mut self) -> Option<String> {
        let end = loop {
            if let Some(at) = find(&self.early, b"\r\n") {
                break at;
            }
            self.fill().await?;
        };
        let line: Vec<u8> = self.early.drain(..end + 2).collect();
        Some(String::from_utf8_lossy(&line[..end]).into_owned())
    }

    /// Reads some more; nothing at the end, or when the other side broke off.
    async fn fill(&mut self) -> Option<()> {
        let mut piece = vec![0; 64 * 1024];
        let read = timeout(PATIENCE, self.stream.read(&mut piece)).await;
        let count = read.expect("the other side goes on in time").unwrap_or(0);
        self.early.extend_from_slice(&piece[..count]);
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
