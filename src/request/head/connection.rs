//! `Connection`: what is known of the connection that a request came over.

use std::any::Any;
use std::fmt;
use std::net::IpAddr;
use std::sync::OnceLock;

/// A connection as the door knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Connection {
    /// Who is at the other end: after a PROXY header that was allowed, whom it names.
    pub peer: Peer,
    /// Whether it is TLS that we ended.
    pub tls: bool,
    /// The name the client asked for in its TLS handshake, lower case.
    pub server_name: Option<String>,
    /// The subject of a client certificate that was verified.
    pub tls_subject: Option<String>,
    /// What forwarding keeps for this client alone.
    pub extension: ConnectionExtension,
}

/// Who is at the other end of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Peer {
    /// A process on another machine, or on this one.
    Ip(IpAddr),
    /// A process that may open our unix socket.
    Unix,
}

/// What a later step keeps for as long as a connection is open. Only that step knows its type: a head
/// does not depend on what is done with it.
#[derive(Default)]
pub struct ConnectionExtension(OnceLock<Box<dyn Any + Send + Sync>>);

impl ConnectionExtension {
    /// Whether nothing is kept, as for most connections.
    pub fn is_empty(&self) -> bool {
        self.0.get().is_none()
    }

    /// What is kept, if something of this type is.
    pub fn get<T: Any>(&self) -> Option<&T> {
        self.0.get()?.downcast_ref()
    }

    /// The same; where nothing is kept yet, its default is from now on.
    pub fn get_or_default<T: Any + Default + Send + Sync>(&self) -> Option<&T> {
        self.0.get_or_init(|| Box::new(T::default())).downcast_ref()
    }
}

impl fmt::Debug for ConnectionExtension {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ConnectionExtension(..)")
    }
}

/// Two connections that are the same otherwise may be compared and copied; what is kept for one is
/// never kept for the other.
impl Clone for ConnectionExtension {
    fn clone(&self) -> Self {
        Self::default()
    }
}

impl PartialEq for ConnectionExtension {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for ConnectionExtension {}
