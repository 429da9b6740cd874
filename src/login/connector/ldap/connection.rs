//! `Connection`: one connection to a directory, with bounded answers.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use memchr::memmem;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::time::{Instant, timeout, timeout_at};
use tokio_rustls::TlsConnector;

use super::ber::{self, Header, Malformed};
use super::error::{BIND, LdapError, SEARCH, START_TLS, TLS_HANDSHAKE};
use super::message::{
    self, BindAnswer, Entry, Message, OperationResult, PasswordState, SearchRequest,
};
use crate::text;

/// The longest answer to one request, in bytes, all its messages together.
pub(super) const ANSWER_BYTES_MAX: usize = 1 << 20;

/// How many bytes are received at once.
const RECEIVE_BYTES: usize = 8 * 1024;

/// How long the end of a connection may take.
const UNBIND_TIMEOUT: Duration = Duration::from_secs(1);

/// A connected socket.
pub(super) trait Socket: AsyncRead + AsyncWrite + Send + Unpin {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin> Socket for S {}

/// One connection. After an error, or when an operation was dropped before its end, it must not be used
/// again.
pub(super) struct Connection {
    stream: Box<dyn Socket>,
    /// Bytes that were received and not yet read.
    buffer: Vec<u8>,
    last_id: u32,
    address: Arc<str>,
    /// The time limit of each operation.
    timeout: Duration,
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection")
            .field("address", &self.address)
            .finish_non_exhaustive()
    }
}

/// The answer to a search that the directory did not refuse.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct SearchAnswer {
    /// At most as many entries as the request allows.
    pub(super) entries: Vec<Entry>,
    /// Whether the directory has more entries.
    pub(super) is_truncated: bool,
    /// Whether the base of the search exists.
    pub(super) base_exists: bool,
}

/// An operation whose answer is being received.
struct Running {
    id: u32,
    operation: &'static str,
    deadline: Instant,
    bytes_left: usize,
}

impl Connection {
    pub(super) fn new(stream: Box<dyn Socket>, address: &Arc<str>, timeout: Duration) -> Self {
        Self {
            stream,
            buffer: Vec::new(),
            last_id: 0,
            address: Arc::clone(address),
            timeout,
        }
    }

    pub(super) fn address(&self) -> String {
        self.address.to_string()
    }

    /// Establishes TLS on the connection.
    pub(super) async fn secure(
        mut self,
        host: &ServerName<'static>,
        tls: &Arc<ClientConfig>,
    ) -> Result<Self, LdapError> {
        if !self.buffer.is_empty() {
            return Err(LdapError::EarlyBytes {
                address: self.address(),
            });
        }
        let connector = TlsConnector::from(Arc::clone(tls));
        let handshake = connector.connect(host.clone(), self.stream);
        let address = self.address.to_string();
        let stream = match timeout(self.timeout, handshake).await {
            Ok(Ok(stream)) => stream,
            Ok(Err(source)) => return Err(LdapError::Tls { address, source }),
            Err(_) => {
                return Err(LdapError::Timeout {
                    address,
                    operation: TLS_HANDSHAKE,
                });
            }
        };
        self.stream = Box::new(stream);
        Ok(self)
    }

    /// Asks for TLS (RFC 4511 §4.14) and establishes it. On any failure there is no connection, so nothing
    /// can be sent in the clear.
    pub(super) async fn start_tls(
        mut self,
        host: &ServerName<'static>,
        tls: &Arc<ClientConfig>,
    ) -> Result<Self, LdapError> {
        let mut running = self.begin(START_TLS);
        self.send(message::start_tls(running.id), &running).await?;
        let bytes = self.receive(&mut running).await?;
        let answer = self.read(&running, &bytes)?;
        let result = self.result_of(&running, &answer, message::EXTENDED_RESPONSE)?;
        if result.code != message::SUCCESS {
            return Err(LdapError::StartTlsRefused {
                address: self.address(),
                code: result.code,
                text: result.text,
            });
        }
        self.secure(host, tls).await
    }

    /// Sends a name and a password. The caller must have refused an empty password.
    pub(super) async fn bind(
        &mut self,
        name: &str,
        password: &str,
    ) -> Result<BindAnswer, LdapError> {
        let mut running = self.begin(BIND);
        let request = message::bind(running.id, name, password);
        self.send(request, &running).await?;
        let bytes = self.receive(&mut running).await?;
        let repeats_password = memmem::find(&bytes, password.as_bytes()).is_some();
        let answer = self.bind_answer(&running, &bytes, repeats_password);
        answer.map_err(|error| match repeats_password {
            true => error.without_text(),
            false => error,
        })
    }

    fn bind_answer(
        &self,
        running: &Running,
        bytes: &[u8],
        repeats_password: bool,
    ) -> Result<BindAnswer, LdapError> {
        let answer = self.read(running, bytes)?;
        let result = self.result_of(running, &answer, message::BIND_RESPONSE)?;
        if result.code == message::REFERRAL {
            return Err(self.referral(running, result));
        }
        let password = PasswordState::of(&answer);
        let password = password.map_err(|source| self.malformed(running, source))?;
        Ok(BindAnswer {
            result,
            password,
            repeats_password,
        })
    }

    /// Searches. References to other servers beside the entries are ignored.
    pub(super) async fn search(
        &mut self,
        request: &SearchRequest<'_>,
    ) -> Result<SearchAnswer, LdapError> {
        let mut running = self.begin(SEARCH);
        let limit_s = u32::try_from(self.timeout.as_secs())
            .unwrap_or(u32::MAX)
            .max(1);
        self.send(message::search(running.id, request, limit_s), &running)
            .await?;
        let mut found = SearchAnswer {
            entries: Vec::new(),
            is_truncated: false,
            base_exists: true,
        };
        loop {
            let bytes = self.receive(&mut running).await?;
            let answer = self.read(&running, &bytes)?;
            match answer.tag {
                message::SEARCH_ENTRY => {
                    let entry = Entry::parse(answer.operation);
                    let entry = entry.map_err(|source| self.malformed(&running, source))?;
                    match found.entries.len() < request.size_limit {
                        true => found.entries.push(entry),
                        false => found.is_truncated = true,
                    }
                }
                message::SEARCH_REFERENCE => {}
                _ => {
                    let result = self.result_of(&running, &answer, message::SEARCH_DONE)?;
                    return self.end_of_search(&running, result, found);
                }
            }
        }
    }

    fn end_of_search(
        &self,
        running: &Running,
        result: OperationResult,
        mut found: SearchAnswer,
    ) -> Result<SearchAnswer, LdapError> {
        match result.code {
            message::SUCCESS => {}
            message::SIZE_LIMIT_EXCEEDED => found.is_truncated = true,
            message::NO_SUCH_OBJECT => found.base_exists = false,
            message::REFERRAL => return Err(self.referral(running, result)),
            code => {
                return Err(LdapError::Refused {
                    address: self.address(),
                    operation: running.operation,
                    code,
                    text: result.text,
                });
            }
        }
        Ok(found)
    }

    /// Ends the connection as the protocol demands. Failures do not matter.
    pub(super) async fn close(mut self) {
        self.last_id += 1;
        let goodbye = message::unbind(self.last_id);
        let ended = async {
            self.stream.write_all(&goodbye).await?;
            self.stream.shutdown().await
        };
        // The connection is closed either way.
        let _ = timeout(UNBIND_TIMEOUT, ended).await;
    }

    fn begin(&mut self, operation: &'static str) -> Running {
        self.last_id += 1;
        Running {
            id: self.last_id,
            operation,
            deadline: Instant::now() + self.timeout,
            bytes_left: ANSWER_BYTES_MAX,
        }
    }

    async fn send(
        &mut self,
        request: zeroize::Zeroizing<Vec<u8>>,
        running: &Running,
    ) -> Result<(), LdapError> {
        let sent = async {
            self.stream.write_all(&request).await?;
            self.stream.flush().await
        };
        match timeout_at(running.deadline, sent).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(source)) => Err(LdapError::Exchange {
                address: self.address(),
                operation: running.operation,
                source,
            }),
            Err(_) => Err(self.timed_out(running)),
        }
    }

    /// Receives the bytes of one message.
    async fn receive(&mut self, running: &mut Running) -> Result<Vec<u8>, LdapError> {
        loop {
            let header = Header::read(&self.buffer);
            let header = header.map_err(|source| self.malformed(running, source))?;
            if let Some(header) = header {
                if header.tag != ber::SEQUENCE {
                    return Err(self.malformed(running, Malformed(text!("no message", "没有消息"))));
                }
                // The length is compared before anything is received for it.
                let length = header.header_bytes + header.content_bytes;
                if length > running.bytes_left {
                    return Err(LdapError::TooLarge {
                        address: self.address(),
                        operation: running.operation,
                        bytes_max: ANSWER_BYTES_MAX,
                    });
                }
                if self.buffer.len() >= length {
                    running.bytes_left -= length;
                    let rest = self.buffer.split_off(length);
                    return Ok(std::mem::replace(&mut self.buffer, rest));
                }
            }
            self.buffer.reserve(RECEIVE_BYTES);
            let received = self.stream.read_buf(&mut self.buffer);
            match timeout_at(running.deadline, received).await {
                Ok(Ok(0)) => {
                    return Err(LdapError::Closed {
                        address: self.address(),
                        operation: running.operation,
                    });
                }
                Ok(Ok(_)) => {}
                Ok(Err(source)) => {
                    return Err(LdapError::Exchange {
                        address: self.address(),
                        operation: running.operation,
                        source,
                    });
                }
                Err(_) => return Err(self.timed_out(running)),
            }
        }
    }

    /// Parses a message and checks that it answers this operation.
    fn read<'a>(&self, running: &Running, bytes: &'a [u8]) -> Result<Message<'a>, LdapError> {
        let parsed = Message::parse(bytes);
        let parsed = parsed.map_err(|source| self.malformed(running, source))?;
        match parsed.id {
            0 => {
                let result = OperationResult::parse(parsed.operation).ok();
                Err(LdapError::Notice {
                    address: self.address(),
                    code: result.as_ref().map_or(-1, |result| result.code),
                    text: result.map_or_else(String::new, |result| result.text),
                })
            }
            id if u32::try_from(id) == Ok(running.id) => Ok(parsed),
            _ => Err(LdapError::WrongMessageId {
                address: self.address(),
                operation: running.operation,
            }),
        }
    }

    /// The result in a message, which must be of this type.
    fn result_of(
        &self,
        running: &Running,
        answer: &Message<'_>,
        tag: u8,
    ) -> Result<OperationResult, LdapError> {
        let result = match answer.tag == tag {
            true => OperationResult::parse(answer.operation),
            false => Err(Malformed(text!(
                "a message of another type than expected",
                "消息的类型与预期不符"
            ))),
        };
        result.map_err(|source| self.malformed(running, source))
    }

    fn malformed(&self, running: &Running, source: Malformed) -> LdapError {
        LdapError::Malformed {
            address: self.address(),
            operation: running.operation,
            source,
        }
    }

    fn timed_out(&self, running: &Running) -> LdapError {
        LdapError::Timeout {
            address: self.address(),
            operation: running.operation,
        }
    }

    fn referral(&self, running: &Running, result: OperationResult) -> LdapError {
        LdapError::Referral {
            address: self.address(),
            operation: running.operation,
            referrals: result.referrals,
        }
    }
}
