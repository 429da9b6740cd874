//! Opens connections to an upstream over TCP, TLS or a unix socket.

use std::io;
use std::mem::MaybeUninit;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use http::HeaderValue;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpStream, UnixStream};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::dialer::{Dialer, SocketPermit};
use super::{BuildError, tls, tls_remedy};
use crate::request::headers::UpstreamOrigin;
use crate::request::route::UpstreamUrl;

/// The address of an upstream and its TLS settings.
pub(super) struct Endpoint {
    url: UpstreamUrl,
    pub(super) dialer: Dialer,
    tls: Option<(TlsConnector, ServerName<'static>)>,
    /// `host:port` without a default port, as in a `Host` header.
    pub(super) authority: HeaderValue,
}

impl std::fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Endpoint").field(&self.authority).finish()
    }
}

/// An open connection and the permit for its socket.
#[derive(Debug)]
pub(super) struct Transport {
    stream: Stream,
    _socket_permit: SocketPermit,
}

#[derive(Debug)]
enum Stream {
    Tcp(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
    Unix(UnixStream),
}

impl Endpoint {
    /// `client_config` returns the TLS settings; it is called only for `https`. `expected_name` is the
    /// name that the certificate must have if it is not the host.
    pub(super) fn new(
        url: &UpstreamUrl,
        client_config: &mut dyn FnMut() -> Result<Arc<ClientConfig>, BuildError>,
        expected_name: Option<&ServerName<'static>>,
        dialer: &Dialer,
    ) -> Result<Self, BuildError> {
        let (tls, authority) = match url {
            UpstreamUrl::Unix(_) => (None, "localhost".to_owned()),
            UpstreamUrl::Tcp { tls, host, port } => {
                let authority = match (tls, port) {
                    (true, 443) | (false, 80) => host.clone(),
                    _ => format!("{host}:{port}"),
                };
                let tls = match tls {
                    true => {
                        let name = expected_name.cloned();
                        let name = name.map_or_else(|| server_name(host), Ok)?;
                        Some((TlsConnector::from(client_config()?), name))
                    }
                    false => None,
                };
                (tls, authority)
            }
        };
        let authority = HeaderValue::from_str(&authority).map_err(|_| BuildError::Name {
            name: authority.clone(),
        })?;
        Ok(Self {
            url: url.clone(),
            dialer: dialer.clone(),
            tls,
            authority,
        })
    }

    /// The origin that the upstream may use for itself in its responses.
    pub(super) fn origin(&self) -> UpstreamOrigin<'_> {
        UpstreamOrigin {
            authority: &self.authority,
            tls: self.tls.is_some(),
        }
    }

    /// Opens a connection, without a time-out of its own.
    pub(super) async fn connect(&self, socket_permit: SocketPermit) -> io::Result<Transport> {
        Ok(Transport {
            stream: self.open().await?,
            _socket_permit: socket_permit,
        })
    }

    async fn open(&self) -> io::Result<Stream> {
        let (host, port) = match &self.url {
            UpstreamUrl::Unix(path) => return UnixStream::connect(path).await.map(Stream::Unix),
            UpstreamUrl::Tcp { host, port, .. } => (without_brackets(host), *port),
        };
        let ips = self.dialer.resolver.resolve(host).await;
        let ips = ips.map_err(io::Error::other)?;
        let addresses: Vec<_> = ips.iter().map(|ip| SocketAddr::new(*ip, port)).collect();
        let stream = TcpStream::connect(&addresses[..]).await?;
        stream.set_nodelay(true)?;
        match &self.tls {
            None => Ok(Stream::Tcp(stream)),
            Some((connector, name)) => {
                let handshake = connector.connect(name.clone(), stream).await;
                let stream = handshake.map_err(tls_remedy::with_handshake_remedy)?;
                Ok(Stream::Tls(Box::new(stream)))
            }
        }
    }
}

/// TLS settings that trust the system's certificate authorities.
pub(super) fn system_tls_config() -> Result<Arc<ClientConfig>, BuildError> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(BuildError::Tls)?
        .with_root_certificates(tls::system_roots())
        .with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

fn server_name(host: &str) -> Result<ServerName<'static>, BuildError> {
    let name = ServerName::try_from(without_brackets(host).to_owned());
    name.map_err(|_| BuildError::Name {
        name: host.to_owned(),
    })
}

fn without_brackets(host: &str) -> &str {
    host.strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'))
        .unwrap_or(host)
}

impl Transport {
    /// Whether the upstream has closed the connection, or it is broken.
    pub(super) fn is_closed_by_peer(&self) -> bool {
        let (socket, is_tls) = match &self.stream {
            Stream::Tcp(stream) => (SockRef::from(stream), false),
            Stream::Tls(stream) => (SockRef::from(stream.get_ref().0), true),
            Stream::Unix(stream) => (SockRef::from(stream), false),
        };
        match socket.peek(&mut [MaybeUninit::uninit()]) {
            // TLS may send records between two responses; plain HTTP must not send anything.
            Ok(bytes) => bytes == 0 || !is_tls,
            Err(error) => error.kind() != io::ErrorKind::WouldBlock,
        }
    }
}

impl AsyncRead for Transport {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match &mut self.get_mut().stream {
            Stream::Tcp(stream) => Pin::new(stream).poll_read(cx, buf),
            // In TLS 1.3, the alert about a missing client certificate arrives after the handshake.
            Stream::Tls(stream) => Pin::new(stream)
                .poll_read(cx, buf)
                .map_err(tls_remedy::with_remedy),
            Stream::Unix(stream) => Pin::new(stream).poll_read(cx, buf),
        }
    }
}

impl AsyncWrite for Transport {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        match &mut self.get_mut().stream {
            Stream::Tcp(stream) => Pin::new(stream).poll_write(cx, buf),
            Stream::Tls(stream) => Pin::new(stream).poll_write(cx, buf),
            Stream::Unix(stream) => Pin::new(stream).poll_write(cx, buf),
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match &mut self.get_mut().stream {
            Stream::Tcp(stream) => Pin::new(stream).poll_write_vectored(cx, bufs),
            Stream::Tls(stream) => Pin::new(stream).poll_write_vectored(cx, bufs),
            Stream::Unix(stream) => Pin::new(stream).poll_write_vectored(cx, bufs),
        }
    }

    fn is_write_vectored(&self) -> bool {
        match &self.stream {
            Stream::Tcp(stream) => stream.is_write_vectored(),
            Stream::Tls(stream) => stream.is_write_vectored(),
            Stream::Unix(stream) => stream.is_write_vectored(),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.get_mut().stream {
            Stream::Tcp(stream) => Pin::new(stream).poll_flush(cx),
            Stream::Tls(stream) => Pin::new(stream).poll_flush(cx),
            Stream::Unix(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.get_mut().stream {
            Stream::Tcp(stream) => Pin::new(stream).poll_shutdown(cx),
            Stream::Tls(stream) => Pin::new(stream).poll_shutdown(cx),
            Stream::Unix(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}
