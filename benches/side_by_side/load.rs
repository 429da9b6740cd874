//! The load: so many keep-alive connections, each asking again as soon as it was answered.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

/// The largest answer that is read, in bytes.
const ANSWER_BYTES_MAX: usize = 64 * 1024;

/// What came of a load.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    /// Answers of status 200, read to their end.
    pub(crate) answered: u64,
    /// Everything else.
    pub(crate) failed: u64,
    /// How long it went on.
    pub(crate) elapsed: Duration,
    /// How long each answer took, in nanoseconds, in no order.
    pub(crate) latencies_ns: Vec<u32>,
}

/// Open connections to one proxy.
#[derive(Debug)]
pub(crate) struct Load {
    request: Arc<[u8]>,
    wires: Vec<Wire>,
}

impl Load {
    /// Opens the connections.
    pub(crate) async fn open(
        to: SocketAddr,
        request: &[u8],
        connections: usize,
    ) -> io::Result<Self> {
        let mut wires = Vec::with_capacity(connections);
        for _ in 0..connections {
            let stream = TcpStream::connect(to).await?;
            stream.set_nodelay(true)?;
            wires.push(Wire {
                stream,
                buffer: Vec::with_capacity(ANSWER_BYTES_MAX),
            });
        }
        Ok(Self {
            request: request.into(),
            wires,
        })
    }

    /// Asks on every connection for so long, and at least once; at most `requests_max` in all.
    pub(crate) async fn run(&mut self, lasting: Duration, requests_max: u64) -> io::Result<Tally> {
        let began = Instant::now();
        let each = requests_max.div_ceil(self.wires.len() as u64);
        let mut tasks = JoinSet::new();
        for mut wire in self.wires.drain(..) {
            let request = Arc::clone(&self.request);
            tasks.spawn(async move {
                let tally = wire.ask(&request, began + lasting, each).await;
                (wire, tally)
            });
        }
        let mut total = Tally::default();
        while let Some(joined) = tasks.join_next().await {
            let (wire, tally) = joined.map_err(io::Error::other)?;
            total.answered += tally.answered;
            total.failed += tally.failed;
            total.latencies_ns.extend(tally.latencies_ns);
            self.wires.push(wire);
        }
        total.elapsed = began.elapsed();
        Ok(total)
    }
}

/// One keep-alive connection.
#[derive(Debug)]
struct Wire {
    stream: TcpStream,
    buffer: Vec<u8>,
}

impl Wire {
    async fn ask(&mut self, request: &[u8], until: Instant, requests_max: u64) -> Tally {
        let mut tally = Tally::default();
        let mut sent = Instant::now();
        for _ in 0..requests_max {
            match self.exchange(request).await {
                Ok(200) => tally.answered += 1,
                Ok(_) => tally.failed += 1,
                Err(_) => {
                    // Nothing more can be asked on this connection.
                    tally.failed += 1;
                    break;
                }
            }
            let now = Instant::now();
            let took = u32::try_from((now - sent).as_nanos()).unwrap_or(u32::MAX);
            tally.latencies_ns.push(took);
            if now >= until {
                break;
            }
            sent = now;
        }
        tally
    }

    /// Sends a request, reads the whole answer, says its status.
    async fn exchange(&mut self, request: &[u8]) -> io::Result<u16> {
        self.stream.write_all(request).await?;
        self.buffer.clear();
        let mut expected: Option<(u16, usize)> = None;
        loop {
            if self.stream.read_buf(&mut self.buffer).await? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            if expected.is_none() {
                expected = head_of(&self.buffer)?;
            }
            match expected {
                Some((status, bytes)) if self.buffer.len() == bytes => return Ok(status),
                Some((_, bytes)) if self.buffer.len() > bytes => return Err(broken()),
                _ if self.buffer.len() >= ANSWER_BYTES_MAX => return Err(broken()),
                _ => {}
            }
        }
    }
}

/// The status of an answer and how many bytes it has in all, once its head is complete.
fn head_of(answer: &[u8]) -> io::Result<Option<(u16, usize)>> {
    let Some(end) = answer.windows(4).position(|four| four == b"\r\n\r\n") else {
        return Ok(None);
    };
    let head = std::str::from_utf8(&answer[..end]).map_err(|_| broken())?;
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
        (Some(status), Some(length)) => Ok(Some((status, end + 4 + length))),
        _ => Err(broken()),
    }
}

fn broken() -> io::Error {
    io::ErrorKind::InvalidData.into()
}

/// What a browser sends along with a click.
pub(crate) fn browser_request(to: SocketAddr, path: &str, session: Option<&str>) -> Vec<u8> {
    let session = session
        .map(|cookie| format!("; {cookie}"))
        .unwrap_or_default();
    format!(
        "GET {path}?tab=open&page=2 HTTP/1.1\r\nHost: {to}\r\n\
         sec-ch-ua: \"Chromium\";v=\"140\", \"Not=A?Brand\";v=\"24\"\r\n\
         sec-ch-ua-mobile: ?0\r\nsec-ch-ua-platform: \"Windows\"\r\n\
         Upgrade-Insecure-Requests: 1\r\n\
         User-Agent: Mozilla/5.0 (Windows NT 10.0; Win64; x64) Chrome/140.0.0.0\r\n\
         Accept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8\r\n\
         Sec-Fetch-Site: same-origin\r\nSec-Fetch-Mode: navigate\r\nSec-Fetch-User: ?1\r\n\
         Sec-Fetch-Dest: document\r\nReferer: http://{to}/board\r\n\
         Accept-Encoding: gzip, deflate, br, zstd\r\nAccept-Language: zh-CN,zh;q=0.9,en;q=0.8\r\n\
         Cookie: theme=dark; lang=zh-CN; _ga=GA1.1.1234567890.1700000000{session}\r\n\r\n"
    )
    .into_bytes()
}
