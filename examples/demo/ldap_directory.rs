//! A simulated LDAP directory on loopback: entries, binds and searches over real connections, and faults on
//! request.
#![allow(
    dead_code,
    unreachable_pub,
    unused_imports,
    reason = "the demo, the tests and the benchmarks each use a part, and none is a library"
)]

// Explicit paths, because the tests include this file from another folder.
#[path = "ldap_directory/encoding.rs"]
pub mod encoding;
#[path = "ldap_directory/evaluation.rs"]
mod evaluation;
#[path = "ldap_directory/operations.rs"]
mod operations;
#[path = "ldap_directory/person.rs"]
mod person;

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rustls::ServerConfig;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};
use tokio_rustls::TlsAcceptor;

pub use operations::{SERVICE_DN, SERVICE_PASSWORD};
pub use person::Person;

use encoding::split;
use operations::Answer;
use person::Entry;

/// The longest request.
const REQUEST_BYTES_MAX: usize = 1 << 20;

/// The most requests that are remembered; the oldest is forgotten first.
const RECEIVED_MAX: usize = 10_000;

/// What the server received.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Received {
    StartTls,
    Bind {
        name: String,
        password: String,
        is_secure: bool,
    },
    Search {
        base: String,
        filter: Vec<u8>,
        attributes: Vec<String>,
        size_limit: i32,
    },
    Unbind,
}

/// A request whose answer a test changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum On {
    StartTls,
    ServiceBind,
    PersonBind,
    Search,
}

/// How an answer is changed.
#[derive(Clone)]
pub enum Fault {
    /// The connection is closed.
    Drop,
    /// No answer.
    Hang,
    /// Other bytes, made from the message ID and the honest answer.
    Instead(Arc<dyn Fn(i32, Vec<u8>) -> Vec<u8> + Send + Sync>),
}

/// The simulated directory; dropping it closes its socket and every connection.
#[derive(Debug)]
pub struct LdapServer {
    pub address: SocketAddr,
    state: Arc<State>,
    task: JoinHandle<()>,
}

#[derive(Default)]
struct State {
    entries: Mutex<Vec<Entry>>,
    received: Mutex<VecDeque<Received>>,
    faults: Mutex<BTreeMap<On, Fault>>,
    connections: AtomicUsize,
    tls: Option<(TlsAcceptor, Tls)>,
    generation: watch::Sender<u32>,
}

impl fmt::Debug for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("State")
    }
}

impl State {
    fn remember(&self, request: Received) {
        let mut received = lock(&self.received);
        if received.len() == RECEIVED_MAX {
            received.pop_front();
        }
        received.push_back(request);
    }
}

/// When TLS begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tls {
    AtOnce,
    OnRequest,
}

impl Drop for LdapServer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl LdapServer {
    /// Without TLS, at a free port.
    ///
    /// # Errors
    /// No address can be bound.
    pub async fn start() -> io::Result<Self> {
        Self::start_at((Ipv4Addr::LOCALHOST, 0).into()).await
    }

    /// Without TLS, at this address.
    ///
    /// # Errors
    /// It cannot be bound.
    pub async fn start_at(address: SocketAddr) -> io::Result<Self> {
        Self::start_with(address, None).await
    }

    /// With TLS.
    ///
    /// # Errors
    /// No address can be bound.
    pub async fn start_tls(config: ServerConfig, tls: Tls) -> io::Result<Self> {
        let any_port = (Ipv4Addr::LOCALHOST, 0).into();
        Self::start_with(any_port, Some((TlsAcceptor::from(Arc::new(config)), tls))).await
    }

    async fn start_with(address: SocketAddr, tls: Option<(TlsAcceptor, Tls)>) -> io::Result<Self> {
        let listener = TcpListener::bind(address).await?;
        let address = listener.local_addr()?;
        let state = Arc::new(State {
            tls,
            ..State::default()
        });
        let task = tokio::spawn(accept(listener, Arc::clone(&state)));
        Ok(Self {
            address,
            state,
            task,
        })
    }

    pub fn url(&self) -> String {
        format!("ldap://{}", self.address)
    }

    pub fn add(&self, person: Person) {
        lock(&self.state.entries).push(person.into_entry());
    }

    /// Replaces the entry with this DN, or removes it.
    pub fn replace(&self, dn: &str, person: Option<Person>) {
        let mut entries = lock(&self.state.entries);
        entries.retain(|entry| entry.dn != dn);
        entries.extend(person.map(Person::into_entry));
    }

    pub fn received(&self) -> Vec<Received> {
        lock(&self.state.received).iter().cloned().collect()
    }

    /// The names with which somebody bound.
    pub fn bound_names(&self) -> Vec<String> {
        let received = self.received().into_iter();
        let names = received.filter_map(|one| match one {
            Received::Bind { name, .. } => Some(name),
            _ => None,
        });
        names.collect()
    }

    pub fn clear(&self) {
        lock(&self.state.received).clear();
    }

    pub fn connections(&self) -> usize {
        self.state.connections.load(Ordering::SeqCst)
    }

    pub fn fault(&self, on: On, fault: Fault) {
        lock(&self.state.faults).insert(on, fault);
    }

    pub fn instead(
        &self,
        on: On,
        answer: impl Fn(i32, Vec<u8>) -> Vec<u8> + Send + Sync + 'static,
    ) {
        self.fault(on, Fault::Instead(Arc::new(answer)));
    }

    pub fn without_faults(&self) {
        lock(&self.state.faults).clear();
    }

    /// Closes all connections; new ones are accepted.
    pub async fn close_connections(&self) {
        self.state.generation.send_modify(|count| *count += 1);
        while self.state.generation.receiver_count() > 0 {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

/// Accepts connections until the task is aborted, which also ends the connections.
async fn accept(listener: TcpListener, state: Arc<State>) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            Ok((stream, _)) = listener.accept() => {
                state.connections.fetch_add(1, Ordering::SeqCst);
                let state = Arc::clone(&state);
                connections.spawn(async move {
                    let mut generation = state.generation.subscribe();
                    tokio::select! {
                        () = serve_connection(&state, stream) => {}
                        _ = generation.changed() => {}
                    }
                });
            }
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn serve_connection(state: &State, stream: TcpStream) {
    match &state.tls {
        Some((acceptor, Tls::AtOnce)) => {
            // A client that does not trust the certificate is not an error.
            if let Ok(stream) = acceptor.accept(stream).await {
                serve(state, Box::new(stream), true).await;
            }
        }
        _ => serve(state, Box::new(stream), false).await,
    }
}

/// The next step of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Next {
    Continue,
    StartTls,
    Close,
}

async fn serve(state: &State, mut stream: Box<dyn Stream>, mut is_secure: bool) {
    let mut buffer = Vec::new();
    let mut is_bound = false;
    while buffer.len() <= REQUEST_BYTES_MAX {
        let Some((tag, content, rest)) = split(&buffer) else {
            match stream.read_buf(&mut buffer).await {
                Ok(1..) => continue,
                _ => return,
            }
        };
        if tag != 0x30 {
            return;
        }
        let (request, rest) = (content.to_vec(), rest.to_vec());
        buffer = rest;
        let Some(answer) = operations::answer(state, &request, &mut is_bound, is_secure) else {
            return;
        };
        match send(state, &mut stream, answer).await {
            Next::Continue => {}
            Next::Close => return,
            Next::StartTls => {
                let Some((acceptor, _)) = &state.tls else {
                    return;
                };
                let Ok(secure) = acceptor.accept(stream).await else {
                    return;
                };
                (stream, is_secure) = (Box::new(secure), true);
            }
        }
    }
}

/// Sends an answer, or what a fault makes of it.
async fn send(state: &State, stream: &mut Box<dyn Stream>, answer: Answer) -> Next {
    let fault = lock(&state.faults).get(&answer.on).cloned();
    let bytes = match fault {
        None => answer.bytes,
        Some(Fault::Drop) => return Next::Close,
        Some(Fault::Hang) => std::future::pending().await,
        Some(Fault::Instead(change)) => change(answer.id, answer.bytes),
    };
    match stream.write_all(&bytes).await {
        Ok(()) => answer.next,
        Err(_) => Next::Close,
    }
}
