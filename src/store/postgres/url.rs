//! `PostgresUrl`: which server and database, and how menshen connects.

use std::fmt;
use std::net::Ipv4Addr;
use std::path::PathBuf;

use sqlx::postgres::{PgConnectOptions, PgSslMode};
use url::{Host, Url};

use super::roots;
use crate::secret::Secret;
use crate::text;
use crate::wording::{Text, error_of_text};

/// The parameters that a URL may have.
const PARAMETERS: [&str; 5] = ["host", "sslmode", "sslrootcert", "sslcert", "sslkey"];

/// A database of a PostgreSQL server. Its `Debug` and `Display` never show the password.
#[derive(Clone, PartialEq, Eq)]
pub struct PostgresUrl(Url);

/// Why a text is not the URL of a PostgreSQL database.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PostgresUrlError {
    /// It is no URL, or names no user or no database.
    Shape,
    /// A parameter that is not known.
    Parameter(String),
    /// An `sslmode` that is not known.
    SslMode(String),
}

impl PostgresUrlError {
    fn text(&self) -> Text {
        match self {
            Self::Shape => text!(
                "a PostgreSQL store is postgres://user@host:5432/database",
                "PostgreSQL 数据库应写成 postgres://用户@主机:5432/数据库"
            ),
            Self::Parameter(value) => text!(
                "unknown parameter {value:?}: known are host, sslmode, sslrootcert, sslcert and sslkey",
                "未知的参数 {value:?}：可用的有 host、sslmode、sslrootcert、sslcert 和 sslkey"
            ),
            Self::SslMode(value) => text!(
                "sslmode is disable, allow, prefer, require, verify-ca or verify-full, not {value:?}",
                "sslmode 应为 disable、allow、prefer、require、verify-ca 或 verify-full，不是 {value:?}"
            ),
        }
    }
}

error_of_text!(PostgresUrlError);

impl PostgresUrl {
    pub(in crate::store) fn parse(text: &str) -> Result<Self, PostgresUrlError> {
        let url: Url = text.parse().map_err(|_| PostgresUrlError::Shape)?;
        let names_database = url.path().len() > 1 && url.fragment().is_none();
        if !names_database || url.username().is_empty() {
            return Err(PostgresUrlError::Shape);
        }
        for (name, value) in url.query_pairs() {
            if !PARAMETERS.contains(&&*name) {
                return Err(PostgresUrlError::Parameter(name.into_owned()));
            }
            if name == "sslmode" && value.parse::<PgSslMode>().is_err() {
                return Err(PostgresUrlError::SslMode(value.into_owned()));
            }
        }
        Ok(Self(url))
    }

    /// Whether the URL holds a password.
    pub fn has_password(&self) -> bool {
        self.0.password().is_some()
    }

    /// Whether a machine between menshen and the server could read the traffic or answer in its place.
    pub fn is_exposed(&self) -> bool {
        !self.is_local() && !self.is_verified()
    }

    pub(super) fn connect_options(
        &self,
        password: Option<&Secret<String>>,
    ) -> Result<PgConnectOptions, sqlx::Error> {
        let mut options: PgConnectOptions = self.0.as_str().parse()?;
        if let Some(Host::Ipv6(ip)) = self.0.host() {
            // The driver would look up the address with its brackets as a name.
            options = options.host(&ip.to_string());
        }
        if let Some(password) = password {
            options = options.password(password.expose());
        }
        if self.parameter("sslmode").is_none() && !self.is_local() {
            options = options.ssl_mode(PgSslMode::VerifyFull);
        }
        let verifies = matches!(
            options.get_ssl_mode(),
            PgSslMode::VerifyCa | PgSslMode::VerifyFull
        );
        if verifies && self.parameter("sslrootcert").is_none() {
            options = options.ssl_root_cert_from_pem(roots::system_roots());
        }
        Ok(options
            .application_name("menshen")
            // Numbers here are whole, and poolers refuse the parameter.
            .extra_float_digits(None))
    }

    /// The files that the URL names.
    pub fn files(&self) -> impl Iterator<Item = PathBuf> {
        let files = ["sslrootcert", "sslcert", "sslkey"].into_iter();
        files.filter_map(|name| self.parameter(name).map(PathBuf::from))
    }

    fn parameter(&self, name: &str) -> Option<String> {
        let mut parameters = self.0.query_pairs();
        let found = parameters.find(|(other, _)| other == name);
        found.map(|(_, value)| value.into_owned())
    }

    /// Whether the server's certificate and name are checked.
    fn is_verified(&self) -> bool {
        let mode = self.parameter("sslmode");
        mode.is_none_or(|mode| mode == "verify-full")
    }

    /// Whether the server is on this machine.
    fn is_local(&self) -> bool {
        if let Some(host) = self.parameter("host") {
            return host.starts_with('/');
        }
        match self.0.host() {
            None => true,
            // An IPv4 address is a name to the parser of URLs, which does not know the scheme.
            Some(Host::Domain(name)) => {
                let address = name.parse::<Ipv4Addr>();
                name == "localhost"
                    || name.starts_with("%2F")
                    || address.is_ok_and(|address| address.is_loopback())
            }
            Some(Host::Ipv4(ip)) => ip.is_loopback(),
            Some(Host::Ipv6(ip)) => ip.is_loopback(),
        }
    }
}

impl fmt::Display for PostgresUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = self.0.clone();
        // Fails only for a URL without a host, which has no password either.
        let _ = shown.set_password(None);
        shown.fmt(f)
    }
}

impl fmt::Debug for PostgresUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PostgresUrl({self})")
    }
}
