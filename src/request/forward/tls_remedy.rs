//! What to do about a failed TLS handshake with an upstream, for the log.

use std::io;
use std::sync::Arc;

use rustls::{AlertDescription, CertificateError, Error, OtherError, PeerIncompatible};

/// A TLS error and what to do about it.
#[derive(Debug, thiserror::Error)]
#[error("TLS with the upstream failed: {error}; {remedy}")]
struct TlsError {
    error: Error,
    remedy: &'static str,
}

/// Adds the remedy to a TLS error; other errors are returned unchanged.
pub(super) fn with_remedy(error: io::Error) -> io::Error {
    let inner = error.get_ref();
    let Some(tls) = inner.and_then(|inner| inner.downcast_ref::<Error>()) else {
        return error;
    };
    let (error, kind) = (tls.clone(), error.kind());
    let remedy = remedy(&error);
    io::Error::new(kind, TlsError { error, remedy })
}

/// Like [`with_remedy`] for the handshake, where a closed connection has a remedy, too.
pub(super) fn with_handshake_remedy(error: io::Error) -> io::Error {
    match error.kind() {
        io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionReset => {
            let error = Error::Other(OtherError(Arc::new(error)));
            let remedy = "it closed the connection during the handshake: it may support only TLS 1.1 \
                          or older, or no TLS on this port";
            io::Error::new(io::ErrorKind::UnexpectedEof, TlsError { error, remedy })
        }
        _ => with_remedy(error),
    }
}

fn remedy(error: &Error) -> &'static str {
    const TLS_VERSION: &str = "it supports neither TLS 1.2 nor TLS 1.3: enable one of them there, or put a proxy \
                       in front of it that supports them";
    const CIPHER_SUITES: &str = "it has no cipher suite in common with menshen: enable ECDHE with AES-GCM or \
                           ChaCha20-Poly1305 there; menshen supports neither RSA key exchange nor CBC";
    const CLIENT_CERTIFICATE: &str = "it requires a client certificate, or another one: set [route.upstream_tls] \
                        certificate and key";
    match error {
        Error::InvalidCertificate(error) => remedy_for_certificate(error),
        Error::AlertReceived(alert) => match alert {
            AlertDescription::ProtocolVersion => TLS_VERSION,
            AlertDescription::HandshakeFailure | AlertDescription::InsufficientSecurity => {
                CIPHER_SUITES
            }
            AlertDescription::UnrecognisedName => {
                "it does not serve this name: set [route.upstream_tls] server_name to a name it serves"
            }
            AlertDescription::CertificateRequired
            | AlertDescription::NoCertificate
            | AlertDescription::BadCertificate
            | AlertDescription::UnsupportedCertificate
            | AlertDescription::CertificateRevoked
            | AlertDescription::CertificateExpired
            | AlertDescription::CertificateUnknown
            | AlertDescription::UnknownCA
            | AlertDescription::DecryptError
            | AlertDescription::AccessDenied => CLIENT_CERTIFICATE,
            _ => "look for the reason in its own log",
        },
        Error::PeerIncompatible(
            PeerIncompatible::ServerDoesNotSupportTls12Or13
            | PeerIncompatible::ServerTlsVersionIsDisabledByOurConfig
            | PeerIncompatible::Tls12NotOffered
            | PeerIncompatible::Tls12NotOfferedOrEnabled,
        ) => TLS_VERSION,
        Error::PeerIncompatible(_) | Error::PeerMisbehaved(_) => CIPHER_SUITES,
        Error::InvalidMessage(_) => {
            "its response is not TLS: if it serves plain HTTP, write http:// in `upstream`"
        }
        _ => "check whether its TLS works with another client",
    }
}

fn remedy_for_certificate(error: &CertificateError) -> &'static str {
    match error {
        CertificateError::UnknownIssuer => {
            "set [route.upstream_tls] ca to the file of its authority or of its own certificate"
        }
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            "set [route.upstream_tls] server_name to a name in its certificate"
        }
        CertificateError::Expired
        | CertificateError::ExpiredContext { .. }
        | CertificateError::NotValidYet
        | CertificateError::NotValidYetContext { .. } => {
            "renew its certificate, check the clock of this machine, or set [route.upstream_tls] ca to its own \
             certificate"
        }
        _ => {
            "replace its certificate, or set [route.upstream_tls] ca to it; with verify = false any \
             server is accepted in its place"
        }
    }
}
