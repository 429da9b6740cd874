//! `ListenerOptions`: how a listener serves its connections.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use tokio_rustls::TlsAcceptor;

use super::OwnFiles;

/// How a listener serves its connections.
#[derive(Clone)]
pub(super) struct ListenerOptions {
    pub(super) tls: Option<TlsAcceptor>,
    pub(super) redirect_https: bool,
    pub(super) proxy_protocol: bool,
    /// Whether HTTP/2 is accepted without TLS, too.
    pub(super) accepts_plain_http2: bool,
    /// The port that `redirect_https` redirects to; absent: 443.
    pub(super) https_port: Option<u16>,
    /// Whether HTTP/1.1 preserves the case of header names.
    pub(super) preserve_header_case: Arc<AtomicBool>,
    /// The files that are served although `redirect_https` redirects.
    pub(super) own_files: OwnFiles,
}

impl fmt::Debug for ListenerOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ListenerOptions")
            .field("tls", &self.tls.is_some())
            .finish_non_exhaustive()
    }
}
