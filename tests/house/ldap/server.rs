//! The simulated directory: entries, binds and searches over real connections, and faults on request.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;

use super::encoding::{self, elements, split};
use super::person::{Entry, Person};

mod operations;

/// What the server received.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Received {
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
pub(super) enum On {
    StartTls,
    ServiceBind,
    PersonBind,
    Search,
}

/// How an answer is changed.
#[derive(Clone)]
pub(super) enum Fault {
    /// The connection is closed.
    Drop,
    /// No answer.
    Hang,
    /// Other bytes, made from the message ID and the honest answer.
    Instead(Arc<dyn Fn(i32, Vec<u8>) -> Vec<u8> + Send + Sync>),
}

/// The simulated directory. Dropping it closes its listener and its connections.
#[derive(Debug)]
pub(super) struct LdapServer {
    pub(super) address: SocketAddr,
    state: Arc<State>,
    task: JoinHandle<()>,
}

#[derive(Default)]
struct State {
    entries: Mutex<Vec<Entry>>,
    received: Mutex<Vec<Received>>,
    faults: Mutex<BTreeMap<On, Fault>>,
    connections: AtomicUsize,
    tls: Option<(TlsAcceptor, Tls)>,
    generation: tokio::sync::watch::Sender<u32>,
}

impl std::fmt::Debug for State {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("State")
    }
}

/// When TLS begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tls {
    AtOnce,
    OnRequest,
}

impl Drop for LdapServer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl LdapServer {
    pub(super) async fn start() -> Self {
        Self::start_with(None).await
    }

    /// With the certificate and key in these files.
    pub(super) async fn start_tls(certificate: &str, key: &str, tls: Tls) -> Self {
        let certificate = CertificateDer::from_pem_file(certificate).unwrap();
        let key = PrivateKeyDer::from_pem_file(key).unwrap();
        let config = ServerConfig::builder()
            .with_no_client_auth()
            .with_single_cert(vec![certificate], key)
            .unwrap();
        Self::start_with(Some((TlsAcceptor::from(Arc::new(config)), tls))).await
    }

    async fn start_with(tls: Option<(TlsAcceptor, Tls)>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let state = Arc::new(State {
            tls,
            ..State::default()
        });
        let accepting = Arc::clone(&state);
        let task = tokio::spawn(async move {
            let mut connections = tokio::task::JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                accepting.connections.fetch_add(1, Ordering::SeqCst);
                let state = Arc::clone(&accepting);
                connections.spawn(async move {
                    let mut generation = state.generation.subscribe();
                    let serving = async {
                        match &state.tls {
                            Some((acceptor, Tls::AtOnce)) => {
                                if let Ok(stream) = acceptor.accept(stream).await {
                                    serve(&state, Box::new(stream), true).await;
                                }
                            }
                            _ => serve(&state, Box::new(stream), false).await,
                        }
                    };
                    tokio::select! {
                        () = serving => {}
                        _ = generation.changed() => {}
                    }
                });
            }
        });
        Self {
            address,
            state,
            task,
        }
    }

    pub(super) fn url(&self) -> String {
        format!("ldap://{}", self.address)
    }

    pub(super) fn add(&self, person: Person) {
        lock(&self.state.entries).push(person.into_entry());
    }

    /// Replaces the entry with this DN, or removes it.
    pub(super) fn replace(&self, dn: &str, person: Option<Person>) {
        let mut entries = lock(&self.state.entries);
        entries.retain(|entry| entry.dn != dn);
        entries.extend(person.map(Person::into_entry));
    }

    pub(super) fn received(&self) -> Vec<Received> {
        lock(&self.state.received).clone()
    }

    /// The names with which somebody bound.
    pub(super) fn bound_names(&self) -> Vec<String> {
        let received = self.received().into_iter();
        let names = received.filter_map(|one| match one {
            Received::Bind { name, .. } => Some(name),
            _ => None,
        });
        names.collect()
    }

    pub(super) fn clear(&self) {
        lock(&self.state.received).clear();
    }

    pub(super) fn connections(&self) -> usize {
        self.state.connections.load(Ordering::SeqCst)
    }

    pub(super) fn fault(&self, on: On, fault: Fault) {
        lock(&self.state.faults).insert(on, fault);
    }

    pub(super) fn instead(
        &self,
        on: On,
        answer: impl Fn(i32, Vec<u8>) -> Vec<u8> + Send + Sync + 'static,
    ) {
        self.fault(on, Fault::Instead(Arc::new(answer)));
    }

    pub(super) fn without_faults(&self) {
        lock(&self.state.faults).clear();
    }

    /// Closes all connections; new ones are accepted.
    pub(super) async fn close_connections(&self) {
        self.state.generation.send_modify(|count| *count += 1);
        while self.state.generation.receiver_count() > 0 {
            tokio::time::sleep(std::time::Duration::from_millis(2)).await;
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

/// The next step of a connection.
enum Next {
    Continue,
    StartTls,
    Close,
}

async fn serve(state: &State, mut stream: Box<dyn Stream>, mut is_secure: bool) {
    let mut buffer = Vec::new();
    let mut is_bound = false;
    loop {
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
        let next = answer(state, &mut stream, &request, &mut is_bound, is_secure).await;
        match next {
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

async fn answer(
    state: &State,
    stream: &mut Box<dyn Stream>,
    request: &[u8],
    is_bound: &mut bool,
    is_secure: bool,
) -> Next {
    let parts = elements(request);
    let id = parts[0]
        .1
        .iter()
        .fold(0, |id, byte| id << 8 | i32::from(*byte));
    let (tag, content) = parts[1];
    let (on, honest, next) = match tag {
        0x42 => {
            lock(&state.received).push(Received::Unbind);
            return Next::Close;
        }
        0x77 => {
            lock(&state.received).push(Received::StartTls);
            let offered = matches!(&state.tls, Some((_, Tls::OnRequest)));
            let code = if offered { 0 } else { 2 };
            let answer = encoding::message(id, &encoding::result(0x78, code, "unsupported"), &[]);
            let next = if offered {
                Next::StartTls
            } else {
                Next::Continue
            };
            (On::StartTls, answer, next)
        }
        0x60 => {
            let (on, answer, succeeded) = operations::bind(state, id, content, is_secure);
            *is_bound = succeeded;
            (on, answer, Next::Continue)
        }
        0x63 => (
            On::Search,
            operations::search(state, id, content, *is_bound),
            Next::Continue,
        ),
        other => panic!("a request of type {other:02x}"),
    };
    let fault = lock(&state.faults).get(&on).cloned();
    let bytes = match fault {
        None => honest,
        Some(Fault::Drop) => return Next::Close,
        Some(Fault::Hang) => std::future::pending().await,
        Some(Fault::Instead(change)) => change(id, honest),
    };
    match stream.write_all(&bytes).await {
        Ok(()) => next,
        Err(_) => Next::Close,
    }
}
