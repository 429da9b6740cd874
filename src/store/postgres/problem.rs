//! `ServerError`: why a PostgreSQL server or database cannot be a store, with the remedy.

use std::io::ErrorKind;

use sqlx::migrate::MigrateError;
use sqlx::postgres::PgDatabaseError;

/// A PostgreSQL server or database that cannot be a store.
#[derive(Debug, thiserror::Error)]
#[error("the store {url} cannot be opened: {problem}")]
pub struct ServerError {
    /// Without credentials.
    pub url: String,
    pub problem: ServerProblem,
    /// What the server or the connection reported, if it did.
    #[source]
    pub source: Option<sqlx::Error>,
}

/// What is wrong with a PostgreSQL server or database. Contains no credentials.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ServerProblem {
    #[error("no host has this name: check the host in [store] url, and the DNS of this machine")]
    UnknownHost,
    #[error(
        "nothing answers there: check the host and the port in [store] url, listen_addresses in \
         postgresql.conf, and firewalls"
    )]
    Unreachable,
    #[error(
        "the server does not support TLS: set ssl = on in postgresql.conf, or sslmode=disable in [store] \
         url if the network between is trusted"
    )]
    NoTls,
    #[error(
        "the certificate of the server is not accepted: it must be valid and name the host in [store] \
         url; sslrootcert names the file of an authority that the system does not trust"
    )]
    Certificate,
    #[error("the TLS handshake failed: check sslrootcert, sslcert and sslkey in [store] url")]
    Tls,
    #[error(
        "the server refuses the password of this user: check [store] password, or the one in url"
    )]
    Password,
    #[error(
        "the server does not let this user in from here: add a line for the user, the database and this \
         address to pg_hba.conf, or leave sslmode out if only connections with TLS are allowed"
    )]
    User,
    #[error(
        "the server has no such database: create it with ENCODING 'UTF8' and make this user its owner"
    )]
    NoDatabase,
    #[error("the user lacks a permission: make it the owner of the database")]
    Permission,
    #[error(
        "the server has no connection left: raise max_connections of the server, or lower connections_max \
         of the nodes"
    )]
    TooManyConnections,
    #[error("the server starts or stops: try again")]
    Restarting,
    /// The number is the major version.
    #[error("the server has version {0}: 13 or newer is needed")]
    OldVersion(i32),
    #[error("the database keeps text in {0}: create it with ENCODING 'UTF8'")]
    Encoding(String),
    #[error(
        "the database is read-only, such as a replica: [store] url must name the primary server, for \
         example by an address that moves with it"
    )]
    ReadOnly,
    #[error("the server grants one advisory lock to two connections, so nodes cannot share it")]
    NoAdvisoryLocks,
}

impl ServerProblem {
    /// The problem behind an error of a connection, if it is a known one.
    pub(super) fn of(error: &sqlx::Error) -> Option<Self> {
        match error {
            sqlx::Error::Io(error) => Some(Self::of_io(error)),
            sqlx::Error::Migrate(error) => match &**error {
                MigrateError::Execute(error) => Self::of(error),
                _ => None,
            },
            sqlx::Error::PoolTimedOut => Some(Self::Unreachable),
            sqlx::Error::Tls(error) => Some(Self::of_tls(&error.to_string())),
            sqlx::Error::Database(error) => {
                let error = error.try_downcast_ref::<PgDatabaseError>()?;
                Self::of_code(error.code())
            }
            _ => None,
        }
    }

    fn of_io(error: &std::io::Error) -> Self {
        let text = error.to_string();
        match error.kind() {
            // An error of the handshake.
            ErrorKind::InvalidData => Self::of_tls(&text),
            // The standard library has no kind for a name that is not found.
            _ if text.contains("lookup") => Self::UnknownHost,
            _ => Self::Unreachable,
        }
    }

    fn of_tls(text: &str) -> Self {
        if text.contains("does not support TLS") {
            Self::NoTls
        } else if text.contains("invalid peer certificate") {
            Self::Certificate
        } else {
            Self::Tls
        }
    }

    fn of_code(code: &str) -> Option<Self> {
        Some(match code {
            "28P01" => Self::Password,
            "28000" => Self::User,
            "3D000" => Self::NoDatabase,
            "42501" => Self::Permission,
            "53300" => Self::TooManyConnections,
            "57P01" | "57P02" | "57P03" => Self::Restarting,
            "25006" => Self::ReadOnly,
            _ => return None,
        })
    }

    /// A short description for the health page.
    pub(in crate::store) fn cause(&self) -> &'static str {
        match self {
            Self::UnknownHost
            | Self::Unreachable
            | Self::NoTls
            | Self::Certificate
            | Self::Tls
            | Self::Restarting => "the database cannot be reached",
            Self::Password | Self::User => "the database refuses the user or the password",
            Self::NoDatabase => "there is no such database",
            Self::Permission => "the database user lacks a permission",
            Self::TooManyConnections => "the database has no connection left",
            Self::ReadOnly => "it is read-only",
            Self::OldVersion(_) | Self::Encoding(_) | Self::NoAdvisoryLocks => {
                "the database lacks what menshen needs"
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;

    #[test]
    fn each_failure_of_a_connection_has_its_remedy() {
        for (error, problem) in [
            (
                io::Error::other("failed to lookup address information: Name or service not known"),
                ServerProblem::UnknownHost,
            ),
            (
                io::Error::from(ErrorKind::ConnectionRefused),
                ServerProblem::Unreachable,
            ),
            (
                io::Error::from(ErrorKind::TimedOut),
                ServerProblem::Unreachable,
            ),
            (
                io::Error::new(
                    ErrorKind::InvalidData,
                    "invalid peer certificate: UnknownIssuer",
                ),
                ServerProblem::Certificate,
            ),
        ] {
            assert_eq!(ServerProblem::of(&sqlx::Error::Io(error)), Some(problem));
        }
        for (text, problem) in [
            ("server does not support TLS", ServerProblem::NoTls),
            ("Invalid certificate /etc/ca.pem", ServerProblem::Tls),
        ] {
            let error = sqlx::Error::Tls(text.into());
            assert_eq!(ServerProblem::of(&error), Some(problem), "{text}");
        }
        assert_eq!(ServerProblem::of(&sqlx::Error::RowNotFound), None);
    }
}
