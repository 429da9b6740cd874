//! `Connection`: the connection that a request came over.

use std::any::Any;
use std::fmt;
use std::net::IpAddr;
use std::sync::OnceLock;

/// A client connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Connection {
    /// The other end; if an allowed PROXY header named another address, that one.
    pub peer: Peer,
    /// Whether this process terminated TLS on it.
    pub tls: bool,
    /// The server name of the TLS handshake (SNI), lower case.
    pub server_name: Option<String>,
    /// The subject of the verified client certificate; always `None`, because no listener requests one.
    pub tls_subject: Option<String>,
    /// The upstream connections that only this client connection uses.
    pub private_upstream_connections: PrivateUpstreamConnections,
}

/// The other end of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Peer {
    Ip(IpAddr),
    /// A process connected to the unix socket.
    Unix,
}

/// The upstream connections that only one client connection uses, and that are closed with it. `forward`
/// keeps them here; their type is erased so that `head` does not depend on `forward`.
#[derive(Default)]
pub struct PrivateUpstreamConnections(OnceLock<Box<dyn Any + Send + Sync>>);

impl PrivateUpstreamConnections {
    pub fn is_empty(&self) -> bool {
        self.0.get().is_none()
    }

    /// The connections, if something is stored and it is of this type.
    pub fn get<T: Any>(&self) -> Option<&T> {
        self.0.get()?.downcast_ref()
    }

    /// The connections; the default of the type is stored if there is nothing.
    pub fn get_or_default<T: Any + Default + Send + Sync>(&self) -> Option<&T> {
        self.0.get_or_init(|| Box::new(T::default())).downcast_ref()
    }
}

impl fmt::Debug for PrivateUpstreamConnections {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PrivateUpstreamConnections(..)")
    }
}

/// A cloned client connection starts without private connections.
impl Clone for PrivateUpstreamConnections {
    fn clone(&self) -> Self {
        Self::default()
    }
}

impl PartialEq for PrivateUpstreamConnections {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for PrivateUpstreamConnections {}
