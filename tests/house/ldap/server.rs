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
use super::evaluation::matches;
use super::{SERVICE_DN, SERVICE_PASSWORD};

/// An entry with its answer to binds.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub(super) dn: String,
    pub(super) attributes: Vec<(String, Vec<Vec<u8>>)>,
    pub(super) password: Option<String>,
    /// The result, the message and the controls of a bind with the right password.
    pub(super) bind_answer: (i32, String, Vec<u8>),
}

impl Entry {
    pub(super) fn values(&self, name: &str) -> Vec<Vec<u8>> {
        let mut attributes = self.attributes.iter();
        let found = attributes.find(|(found, _)| found.eq_ignore_ascii_case(name));
        found.map(|(_, values)| values.clone()).unwrap_or_default()
    }
}

/// Builds the entry of a person.
#[derive(Clone, Debug)]
pub(super) struct Person(Entry);

impl Person {
    /// `uid=LOGIN,ou=people,dc=corp` with usual attributes.
    pub(super) fn new(login: &str, password: &str) -> Self {
        Self::at(&format!("uid={login},ou=people,dc=corp"), password)
            .with("uid", &[login])
            .with("cn", &[login])
            .with("mail", &[&format!("{login}@corp.example")])
            .with("entryUUID", &[&format!("id-of-{login}")])
    }

    pub(super) fn at(dn: &str, password: &str) -> Self {
        let entry = Entry {
            dn: dn.to_owned(),
            attributes: Vec::new(),
            password: Some(password.to_owned()),
            bind_answer: (0, String::new(), Vec::new()),
        };
        Self(entry).with("objectClass", &["inetOrgPerson"])
    }

    pub(super) fn group(cn: &str, members: &[&str]) -> Self {
        let mut group = Self::at(&format!("cn={cn},ou=groups,dc=corp"), "");
        group.0.password = None;
        group.with("cn", &[cn]).with("member", members)
    }

    pub(super) fn with(self, name: &str, values: &[&str]) -> Self {
        let values: Vec<_> = values.iter().map(|value| value.as_bytes()).collect();
        self.with_bytes(name, &values)
    }

    pub(super) fn with_bytes(mut self, name: &str, values: &[&[u8]]) -> Self {
        let name = name.to_owned();
        self.0.attributes.retain(|(found, _)| *found != name);
        let values: Vec<_> = values.iter().map(|value| value.to_vec()).collect();
        if !values.is_empty() {
            self.0.attributes.push((name, values));
        }
        self
    }

    pub(super) fn dn(mut self, dn: &str) -> Self {
        self.0.dn = dn.to_owned();
        self
    }

    pub(super) fn bind_answer(mut self, code: i32, text: &str, controls: Vec<u8>) -> Self {
        self.0.bind_answer = (code, text.to_owned(), controls);
        self
    }
}

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
    WhoAmI,
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
    /// The answer to "Who am I?"; absent: the operation is unknown.
    identity: Mutex<Option<String>>,
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
        lock(&self.state.entries).push(person.0);
    }

    /// Replaces the entry with this DN, or removes it.
    pub(super) fn replace(&self, dn: &str, person: Option<Person>) {
        let mut entries = lock(&self.state.entries);
        entries.retain(|entry| entry.dn != dn);
        entries.extend(person.map(|person| person.0));
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

    pub(super) fn set_identity(&self, identity: Option<&str>) {
        *lock(&self.state.identity) = identity.map(str::to_owned);
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
        0x77 if content.ends_with(b"1.3.6.1.4.1.4203.1.11.3") => {
            let identity = lock(&state.identity).clone();
            let value = encoding::element(0x8b, &[identity.clone().unwrap_or_default().as_bytes()]);
            let mut operation = vec![encoding::number(
                0x0a,
                if identity.is_some() { 0 } else { 2 },
            )];
            operation.extend([encoding::text(""), encoding::text("")]);
            operation.extend(identity.map(|_| value));
            let operation = encoding::element(0x78, &[&operation.concat()]);
            let answer = encoding::message(id, &operation, &[]);
            (On::WhoAmI, answer, Next::Continue)
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
            let (on, answer, succeeded) = bind(state, id, content, is_secure);
            *is_bound = succeeded;
            (on, answer, Next::Continue)
        }
        0x63 => (
            On::Search,
            search(state, id, content, *is_bound),
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

fn bind(state: &State, id: i32, content: &[u8], is_secure: bool) -> (On, Vec<u8>, bool) {
    let parts = elements(content);
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    let (name, password) = (text(parts[1].1), text(parts[2].1));
    lock(&state.received).push(Received::Bind {
        name: name.clone(),
        password: password.clone(),
        is_secure,
    });
    let on = match name == SERVICE_DN {
        true => On::ServiceBind,
        false => On::PersonBind,
    };
    let entries = lock(&state.entries);
    let person = entries.iter().find(|entry| {
        entry.dn.eq_ignore_ascii_case(&name)
            || entry
                .values("userPrincipalName")
                .contains(&name.clone().into_bytes())
    });
    let (code, message, controls) = match person {
        // The hole of old directories.
        _ if password.is_empty() => (0, String::new(), Vec::new()),
        _ if name == SERVICE_DN && password == SERVICE_PASSWORD => (0, String::new(), Vec::new()),
        Some(person) if person.password.as_ref() == Some(&password) => person.bind_answer.clone(),
        _ => (49, "wrong".to_owned(), Vec::new()),
    };
    let answer = encoding::result(0x61, code, &message);
    (on, encoding::message(id, &answer, &controls), code == 0)
}

fn search(state: &State, id: i32, content: &[u8], is_bound: bool) -> Vec<u8> {
    let parts = elements(content);
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    let base = text(parts[0].1);
    let scope = parts[1].1[0];
    let size_limit = parts[3]
        .1
        .iter()
        .fold(0, |limit, byte| limit << 8 | i32::from(*byte));
    let (filter_tag, filter) = parts[6];
    let names: Vec<_> = elements(parts[7].1)
        .iter()
        .map(|(_, name)| text(name))
        .collect();
    lock(&state.received).push(Received::Search {
        base: base.clone(),
        filter: encoding::element(filter_tag, &[filter]),
        attributes: names.clone(),
        size_limit,
    });
    if !is_bound && !base.starts_with("ou=open") {
        return encoding::search_done(id, 50, "bind first");
    }
    let is_in_scope = |entry: &Entry| {
        let (dn, base) = (entry.dn.to_lowercase(), base.to_lowercase());
        match scope {
            0 => dn == base,
            1 => dn.split_once(',').is_some_and(|(_, above)| above == base),
            _ => dn == base || dn.ends_with(&format!(",{base}")),
        }
    };
    let entries = lock(&state.entries);
    let found = entries.iter().filter(|entry| is_in_scope(entry));
    let found: Vec<_> = found
        .filter(|entry| matches(entry, filter_tag, filter))
        .collect();
    let limit = usize::try_from(size_limit).unwrap();
    let mut answer = Vec::new();
    for entry in found.iter().take(limit) {
        let is_asked = |name: &str| names.iter().any(|asked| asked.eq_ignore_ascii_case(name));
        let attributes: Vec<_> = entry
            .attributes
            .iter()
            .filter(|(name, _)| is_asked(name))
            .cloned()
            .collect();
        answer.extend(encoding::entry(id, &entry.dn, &attributes));
    }
    let code = if found.len() > limit { 4 } else { 0 };
    answer.extend(encoding::search_done(id, code, ""));
    answer
}
