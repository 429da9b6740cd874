//! `Directory`: the servers of one directory, connections to them, and the pool of those that search.

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rustls::ClientConfig;
use tokio::net::{TcpStream, UnixStream};
use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout};

use super::connection::{Connection, SearchAnswer, Socket};
use super::error::{CONNECT, LdapError};
use super::ldap_url::{LdapUrl, Target};
use super::message::{self, BindAnswer, SearchRequest};
use crate::outbound::Reach;
use crate::resolver::Resolver;
use crate::secret::Secret;

/// The most connections that search at the same time.
const CONNECTIONS_MAX: usize = 8;

/// How long an unused connection is kept. Directories and firewalls close idle connections after minutes.
const IDLE_MAX: Duration = Duration::from_secs(60);

/// How long a server that could not be reached is asked after the others.
const DOWN_FOR: Duration = Duration::from_secs(10);

/// The longest time until a connection to one server can be used, in periods of `timeout`: for its name, the
/// connection to each of its addresses, and TLS.
const CONNECT_PERIODS_MAX: u32 = 2;

#[derive(Debug)]
pub(super) struct Directory {
    servers: Vec<Server>,
    tls: Arc<ClientConfig>,
    start_tls: bool,
    timeout: Duration,
    resolver: Resolver,
    reach: Reach,
    service: Option<ServiceAccount>,
    permits: Semaphore,
    idle: Mutex<Vec<Idle>>,
}

/// The account that searches.
#[derive(Debug)]
pub(super) struct ServiceAccount {
    pub(super) bind_dn: String,
    pub(super) password: Secret<String>,
}

/// How a directory is connected to.
#[derive(Debug)]
pub(super) struct DirectorySettings {
    pub(super) urls: Vec<LdapUrl>,
    pub(super) tls: Arc<ClientConfig>,
    /// The addresses that may be contacted.
    pub(super) reach: Reach,
    pub(super) start_tls: bool,
    pub(super) timeout: Duration,
    /// Absent: searches are anonymous.
    pub(super) service: Option<ServiceAccount>,
}

#[derive(Debug)]
struct Server {
    url: LdapUrl,
    address: Arc<str>,
    failed_at: Mutex<Option<Instant>>,
}

/// The position of a server in `url`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ServerIndex(usize);

/// A connection that is bound and unused.
#[derive(Debug)]
struct Idle {
    connection: Connection,
    server: ServerIndex,
    since: Instant,
}

impl Server {
    fn was_down(&self) -> bool {
        let failed_at = self
            .failed_at
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        failed_at.is_some_and(|at| at.elapsed() < DOWN_FOR)
    }

    fn record(&self, is_down: bool) {
        let mut failed_at = self
            .failed_at
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        *failed_at = is_down.then(Instant::now);
    }
}

impl Directory {
    /// Makes no network call.
    pub(super) fn new(settings: DirectorySettings) -> Self {
        let server = |url: LdapUrl| Server {
            address: url.to_string().into(),
            url,
            failed_at: Mutex::default(),
        };
        Self {
            servers: settings.urls.into_iter().map(server).collect(),
            tls: settings.tls,
            start_tls: settings.start_tls,
            timeout: settings.timeout,
            resolver: Resolver::system(),
            reach: settings.reach,
            service: settings.service,
            permits: Semaphore::new(CONNECTIONS_MAX),
            idle: Mutex::default(),
        }
    }

    /// Every server, in the order of `url`.
    pub(super) fn servers(&self) -> impl Iterator<Item = (ServerIndex, &LdapUrl)> {
        let servers = self.servers.iter().enumerate();
        servers.map(|(index, server)| (ServerIndex(index), &server.url))
    }

    /// Searches as the service account. A connection that broke while it was idle is replaced once.
    pub(super) async fn search(
        &self,
        request: &SearchRequest<'_>,
    ) -> Result<(SearchAnswer, ServerIndex), LdapError> {
        // The semaphore is never closed.
        let permit = timeout(self.timeout, self.permits.acquire()).await;
        let _permit = permit.map_err(|_| LdapError::PoolBusy)?;
        if let Some((mut connection, server)) = self.take_idle() {
            match connection.search(request).await {
                Ok(answer) => {
                    self.keep(connection, server);
                    return Ok((answer, server));
                }
                Err(error) if error.is_broken_connection() => {
                    tracing::debug!(%error, "a connection to the directory broke while it was idle");
                }
                Err(error) => return Err(error),
            }
        }
        let (mut connection, server) = self.connect_as_service(None).await?;
        let answer = connection.search(request).await?;
        self.keep(connection, server);
        Ok((answer, server))
    }

    /// Sends a person's name and password on a connection of its own, if possible to this server: it has the
    /// entry that was found there. Returns the server that answered.
    pub(super) async fn bind(
        &self,
        server: Option<ServerIndex>,
        name: &str,
        password: &str,
    ) -> Result<(Connection, BindAnswer, ServerIndex), LdapError> {
        let (mut connection, server) = self.connect(server).await?;
        let answer = connection.bind(name, password).await?;
        Ok((connection, answer, server))
    }

    /// A connection that is bound as the service account, to this server alone or to the first that can be
    /// reached.
    pub(super) async fn connect_as_service(
        &self,
        only: Option<ServerIndex>,
    ) -> Result<(Connection, ServerIndex), LdapError> {
        let (mut connection, server) = match only {
            Some(server) => (self.connect_to(server).await?, server),
            None => self.connect(None).await?,
        };
        let Some(account) = &self.service else {
            return Ok((connection, server));
        };
        let answer = connection
            .bind(&account.bind_dn, account.password.expose())
            .await?;
        match answer.result.code {
            message::SUCCESS => Ok((connection, server)),
            code => Err(LdapError::ServiceBindRefused {
                address: connection.address(),
                bind_dn: account.bind_dn.clone(),
                code,
                text: answer.loggable_text().to_owned(),
            }),
        }
    }

    /// Connects to the first server that can be reached. Servers that could not be reached a moment ago are
    /// asked last.
    async fn connect(
        &self,
        first: Option<ServerIndex>,
    ) -> Result<(Connection, ServerIndex), LdapError> {
        let mut order: Vec<_> = (0..self.servers.len()).map(ServerIndex).collect();
        order.sort_by_key(|index| {
            let is_later = Some(*index) != first;
            (is_later, self.servers[index.0].was_down(), index.0)
        });
        let mut unreachable = None;
        for index in order {
            let connecting = timeout(CONNECT_PERIODS_MAX * self.timeout, self.connect_to(index));
            let connected = connecting
                .await
                .unwrap_or_else(|_| Err(self.connect_timed_out(&self.servers[index.0])));
            self.servers[index.0].record(connected.is_err());
            match connected {
                Ok(connection) => return Ok((connection, index)),
                // Nothing secret was sent, so the next server may be asked whatever failed.
                Err(error) => {
                    let error_text = crate::telemetry::error_chain(&error).to_string();
                    tracing::debug!(error = %error_text, "a server of the directory cannot be reached");
                    unreachable.get_or_insert(error);
                }
            }
        }
        // `url` has at least one server.
        Err(unreachable.unwrap_or(LdapError::PoolBusy))
    }

    /// Connects to a server and establishes TLS as configured.
    async fn connect_to(&self, index: ServerIndex) -> Result<Connection, LdapError> {
        let server = &self.servers[index.0];
        let (host, port, server_name, is_ldaps) = match server.url.target() {
            Target::Unix(path) => {
                let connecting = UnixStream::connect(path);
                let stream = self.within_timeout(server, connecting).await?;
                return Ok(self.connection(server, Box::new(stream)));
            }
            Target::Tcp {
                host,
                port,
                server_name,
                is_ldaps,
            } => (host, *port, server_name, *is_ldaps),
        };
        let stream = self.connect_to_any_address(server, host, port).await?;
        let connection = self.connection(server, Box::new(stream));
        match (is_ldaps, self.start_tls) {
            (true, _) => connection.secure(server_name, &self.tls).await,
            (false, true) => connection.start_tls(server_name, &self.tls).await,
            (false, false) => Ok(connection),
        }
    }

    fn connection(&self, server: &Server, stream: Box<dyn Socket>) -> Connection {
        Connection::new(stream, &server.address, self.timeout)
    }

    /// Connects to the first address of a host that accepts.
    async fn connect_to_any_address(
        &self,
        server: &Server,
        host: &str,
        port: u16,
    ) -> Result<TcpStream, LdapError> {
        let resolved = timeout(self.timeout, self.resolver.resolve(host)).await;
        let resolved = resolved.map_err(|_| self.connect_timed_out(server))?;
        let resolved = resolved.map_err(|source| LdapError::Resolve {
            address: server.address.to_string(),
            source,
        })?;
        let addresses = self.reach.of_addresses(&resolved);
        let addresses = addresses.map_err(|source| LdapError::AddressRefused {
            address: server.address.to_string(),
            source,
        })?;
        let mut failed = None;
        for ip in addresses {
            let connecting = TcpStream::connect(SocketAddr::new(ip, port));
            match self.within_timeout(server, connecting).await {
                Ok(stream) => {
                    // Requests are small and are answered one by one.
                    let _ = stream.set_nodelay(true);
                    return Ok(stream);
                }
                Err(error) => failed = Some(error),
            }
        }
        // The resolver returns at least one address.
        Err(failed.unwrap_or_else(|| self.connect_timed_out(server)))
    }

    async fn within_timeout<S>(
        &self,
        server: &Server,
        connecting: impl Future<Output = io::Result<S>>,
    ) -> Result<S, LdapError> {
        match timeout(self.timeout, connecting).await {
            Ok(connected) => connected.map_err(|source| LdapError::Connect {
                address: server.address.to_string(),
                source,
            }),
            Err(_) => Err(self.connect_timed_out(server)),
        }
    }

    fn connect_timed_out(&self, server: &Server) -> LdapError {
        LdapError::Timeout {
            address: server.address.to_string(),
            operation: CONNECT,
        }
    }

    /// The connection that was used last, and its server.
    fn take_idle(&self) -> Option<(Connection, ServerIndex)> {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        idle.retain(|one| one.since.elapsed() < IDLE_MAX);
        let one = idle.pop()?;
        Some((one.connection, one.server))
    }

    fn keep(&self, connection: Connection, server: ServerIndex) {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        idle.push(Idle {
            connection,
            server,
            since: Instant::now(),
        });
    }
}
