//! Listening sockets: created, or passed by systemd, and removed.

use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::task::{Context, Poll};

use listenfd::ListenFd;
use socket2::{Domain, Protocol, SockAddr, Socket, Type};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};

use super::{Address, BindError, ListenConfig};
use crate::request::head::Peer;

/// How many connections the system queues until menshen accepts them.
const BACKLOG: i32 = 4096;
/// The mode of the unix socket: the user and the group may connect.
const SOCKET_MODE: u32 = 0o660;

/// A listening socket and its address.
#[derive(Debug)]
pub(in crate::door) struct Listener {
    pub(in crate::door) address: Address,
    socket: ListenerSocket,
}

#[derive(Debug)]
enum ListenerSocket {
    Tcp(TcpListener),
    Unix {
        listener: UnixListener,
        /// The file of the socket, which is removed with it; absent if systemd created it.
        _file: Option<SocketFile>,
    },
}

/// An accepted connection.
#[derive(Debug)]
pub(in crate::door) enum AcceptedStream {
    Tcp(TcpStream),
    Unix(UnixStream),
}

/// Binds all addresses. Returns each socket with its configuration.
pub(in crate::door) fn bind_all(
    configs: &[ListenConfig],
) -> Result<Vec<(Listener, &ListenConfig)>, BindError> {
    let mut systemd_sockets = SystemdSockets::default();
    let mut bound = Vec::with_capacity(configs.len());
    for config in configs {
        match &config.address {
            Address::Ip(ip) => {
                let has_v4_wildcard = configs
                    .iter()
                    .any(|other| is_same_v4_wildcard(&other.address, ip));
                bound.push((bind_ip(*ip, has_v4_wildcard)?, config));
            }
            Address::Unix(path) => bound.push((bind_unix(path)?, config)),
            Address::Systemd(name) => {
                let listeners = systemd_sockets.take(name.as_deref(), &config.address)?;
                bound.extend(listeners.into_iter().map(|listener| (listener, config)));
            }
        }
    }
    Ok(bound)
}

impl Listener {
    /// The next connection and its peer. Cancel-safe.
    pub(in crate::door) async fn accept(&self) -> io::Result<(AcceptedStream, Peer)> {
        match &self.socket {
            ListenerSocket::Tcp(listener) => {
                let (stream, from) = listener.accept().await?;
                // Small responses must not wait. An error means that the connection is closed, which is found
                // later.
                let _ = stream.set_nodelay(true);
                Ok((
                    AcceptedStream::Tcp(stream),
                    Peer::Ip(from.ip().to_canonical()),
                ))
            }
            ListenerSocket::Unix { listener, .. } => {
                let (stream, _) = listener.accept().await?;
                Ok((AcceptedStream::Unix(stream), Peer::Unix))
            }
        }
    }
}

/// Whether `other` is the IPv4 wildcard on the port of this IPv6 wildcard.
fn is_same_v4_wildcard(other: &Address, ip: &SocketAddr) -> bool {
    let Address::Ip(other) = other else {
        return false;
    };
    ip.is_ipv6() && other.is_ipv4() && other.port() == ip.port() && other.ip().is_unspecified()
}

/// `has_v4_wildcard`: whether the IPv4 wildcard on the port of this IPv6 wildcard is bound separately.
fn bind_ip(ip: SocketAddr, has_v4_wildcard: bool) -> Result<Listener, BindError> {
    let bind = || {
        let socket = Socket::new(Domain::for_address(ip), Type::STREAM, Some(Protocol::TCP))?;
        if has_v4_wildcard {
            socket.set_only_v6(true)?;
        }
        // A restart must not wait for old connections in TIME_WAIT.
        socket.set_reuse_address(true)?;
        socket.set_nonblocking(true)?;
        socket.bind(&ip.into())?;
        socket.listen(BACKLOG)?;
        tcp_listener(socket.into())
    };
    bind().map_err(|source| bind_error(Address::Ip(ip), source))
}

fn tcp_listener(listener: std::net::TcpListener) -> io::Result<Listener> {
    listener.set_nonblocking(true)?;
    let listener = TcpListener::from_std(listener)?;
    Ok(Listener {
        address: Address::Ip(listener.local_addr()?),
        socket: ListenerSocket::Tcp(listener),
    })
}

fn bind_unix(path: &Path) -> Result<Listener, BindError> {
    let address = Address::Unix(path.to_owned());
    remove_stale_socket(path, &address)?;
    let bind = || {
        let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
        socket.set_nonblocking(true)?;
        socket.bind(&SockAddr::unix(path)?)?;
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(SOCKET_MODE))?;
        let inode = std::fs::symlink_metadata(path)?.ino();
        socket.listen(BACKLOG)?;
        let file = SocketFile {
            path: path.to_owned(),
            inode,
        };
        let listener = UnixListener::from_std(socket.into())?;
        Ok(ListenerSocket::Unix {
            listener,
            _file: Some(file),
        })
    };
    match bind() {
        Ok(socket) => Ok(Listener { address, socket }),
        Err(source) => Err(bind_error(address, source)),
    }
}

/// Removes the socket file of a process that has ended: connecting to it is refused.
fn remove_stale_socket(path: &Path, address: &Address) -> Result<(), BindError> {
    let Ok(metadata) = std::fs::symlink_metadata(path) else {
        return Ok(());
    };
    if !metadata.file_type().is_socket() {
        return Err(BindError::NotASocket {
            address: address.clone(),
        });
    }
    let connect = || {
        let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
        // Non-blocking: a server whose backlog is full is running, too.
        socket.set_nonblocking(true)?;
        socket.connect(&SockAddr::unix(path)?)
    };
    match connect() {
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
            std::fs::remove_file(path).map_err(|source| bind_error(address.clone(), source))
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            Err(bind_error(address.clone(), error))
        }
        Ok(()) | Err(_) => {
            let source = io::ErrorKind::AddrInUse.into();
            Err(BindError::InUse {
                address: address.clone(),
                source,
            })
        }
    }
}

fn bind_error(address: Address, source: io::Error) -> BindError {
    match source.kind() {
        io::ErrorKind::AddrInUse => BindError::InUse { address, source },
        io::ErrorKind::PermissionDenied => BindError::PermissionDenied { address, source },
        _ => BindError::Failed { address, source },
    }
}

/// The file of a unix socket; removed when this is dropped, unless another process replaced it.
#[derive(Debug)]
struct SocketFile {
    path: PathBuf,
    inode: u64,
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        let metadata = std::fs::symlink_metadata(&self.path);
        if metadata.is_ok_and(|metadata| metadata.ino() == self.inode) {
            // If this fails, the next start removes the file.
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

/// The sockets that systemd passed to this process, read from the environment on first use.
#[derive(Default)]
struct SystemdSockets(Option<(ListenFd, Vec<String>)>);

impl SystemdSockets {
    fn take(&mut self, name: Option<&str>, address: &Address) -> Result<Vec<Listener>, BindError> {
        let (sockets, names) = self.0.get_or_insert_with(|| {
            // The names come first, because reading the sockets clears the environment.
            let names = sd_notify::listen_fds_with_names();
            let names = names
                .map(|all| all.map(|(_, name)| name).collect())
                .unwrap_or_default();
            (ListenFd::from_env(), names)
        });
        let mut taken = Vec::new();
        for (index, socket_name) in names.iter().enumerate() {
            if name.is_some_and(|name| name != socket_name) {
                continue;
            }
            let failed = |source| BindError::Failed {
                address: address.clone(),
                source,
            };
            taken.extend(take_listener(sockets, index, address).map_err(failed)?);
        }
        if taken.is_empty() {
            return Err(BindError::NotPassedBySystemd {
                address: address.clone(),
            });
        }
        Ok(taken)
    }
}

/// One socket that systemd passed; `None` if an earlier address took it.
fn take_listener(
    sockets: &mut ListenFd,
    index: usize,
    address: &Address,
) -> io::Result<Option<Listener>> {
    match sockets.take_tcp_listener(index) {
        Ok(listener) => listener.map(tcp_listener).transpose(),
        Err(_) => sockets
            .take_unix_listener(index)?
            .map(|listener| {
                listener.set_nonblocking(true)?;
                let socket = ListenerSocket::Unix {
                    listener: UnixListener::from_std(listener)?,
                    _file: None,
                };
                Ok(Listener {
                    address: address.clone(),
                    socket,
                })
            })
            .transpose(),
    }
}

impl AsyncRead for AcceptedStream {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_read(cx, buffer),
            Self::Unix(stream) => Pin::new(stream).poll_read(cx, buffer),
        }
    }
}

impl AsyncWrite for AcceptedStream {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_write(cx, bytes),
            Self::Unix(stream) => Pin::new(stream).poll_write(cx, bytes),
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_write_vectored(cx, slices),
            Self::Unix(stream) => Pin::new(stream).poll_write_vectored(cx, slices),
        }
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        // There is no buffer above the socket.
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_shutdown(cx),
            Self::Unix(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}
