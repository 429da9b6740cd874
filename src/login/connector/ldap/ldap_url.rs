//! `LdapUrl`: the address of a directory.

use std::fmt;
use std::net::Ipv6Addr;
use std::path::PathBuf;

use crate::wording::error_of_text;
use percent_encoding::percent_decode_str;
use rustls::pki_types::ServerName;
use serde::Deserialize;

/// The address of a directory: `ldaps://host:port`, `ldap://host:port` or `ldapi://%2Fpath%2Fof%2Fsocket`.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct LdapUrl {
    text: String,
    target: Target,
}

crate::setting::text_schema!(LdapUrl: "ldaps://host:port, ldap://host:port or ldapi://%2Fpath");

/// Where a directory listens.
#[derive(Clone, PartialEq, Eq)]
pub(super) enum Target {
    Tcp {
        host: String,
        port: u16,
        /// The name for which the certificate must be valid.
        server_name: ServerName<'static>,
        /// Whether TLS begins with the connection.
        is_ldaps: bool,
    },
    Unix(PathBuf),
}

/// The text is not the address of a directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InvalidLdapUrl;

error_of_text!(InvalidLdapUrl: "a directory is ldaps://host, ldap://host (each with a port if it is not 636 or 389) or \
     ldapi://%2Fpath%2Fof%2Fsocket, without a path or a query", "目录应写成 ldaps://主机、ldap://主机（端口不是 636 或 389 时要写上）或 ldapi://%2Fpath%2Fof%2Fsocket，不带路径和查询参数");

impl fmt::Debug for LdapUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Display for LdapUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl LdapUrl {
    pub(super) fn target(&self) -> &Target {
        &self.target
    }

    /// Scheme, host and port, or the socket.
    pub(super) fn destination(&self) -> String {
        match &self.target {
            Target::Tcp {
                host,
                port,
                is_ldaps: true,
                ..
            } => format!("ldaps://{host}:{port}"),
            Target::Tcp { host, port, .. } => format!("ldap://{host}:{port}"),
            Target::Unix(path) => format!("ldapi://{}", path.display()),
        }
    }

    /// Whether only StartTLS can protect passwords on their way.
    pub(super) fn needs_start_tls(&self) -> bool {
        matches!(
            &self.target,
            Target::Tcp {
                is_ldaps: false,
                ..
            }
        )
    }

    /// Whether it is a socket of this machine.
    pub(super) fn is_socket(&self) -> bool {
        matches!(&self.target, Target::Unix(_))
    }

    /// Whether the directory is on this machine.
    pub(super) fn is_local(&self) -> bool {
        match &self.target {
            Target::Unix(_) => true,
            Target::Tcp { host, .. } => match host.parse::<std::net::IpAddr>() {
                Ok(ip) => ip.is_loopback(),
                Err(_) => host == "localhost" || host.ends_with(".localhost"),
            },
        }
    }
}

impl TryFrom<String> for LdapUrl {
    type Error = InvalidLdapUrl;

    fn try_from(text: String) -> Result<Self, InvalidLdapUrl> {
        let (scheme, rest) = text.split_once("://").ok_or(InvalidLdapUrl)?;
        let rest = rest.strip_suffix('/').unwrap_or(rest);
        let target = match scheme.to_ascii_lowercase().as_str() {
            "ldaps" => tcp(rest, true)?,
            "ldap" => tcp(rest, false)?,
            "ldapi" => unix(rest)?,
            _ => return Err(InvalidLdapUrl),
        };
        Ok(Self { text, target })
    }
}

fn tcp(authority: &str, is_ldaps: bool) -> Result<Target, InvalidLdapUrl> {
    let (host, port) = match authority.strip_prefix('[') {
        Some(rest) => {
            let (host, port) = rest.split_once(']').ok_or(InvalidLdapUrl)?;
            host.parse::<Ipv6Addr>().map_err(|_| InvalidLdapUrl)?;
            let port = match port {
                "" => None,
                port => Some(port.strip_prefix(':').ok_or(InvalidLdapUrl)?),
            };
            (host, port)
        }
        None => match authority.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (authority, None),
        },
    };
    let port = match port {
        None if is_ldaps => 636,
        None => 389,
        Some(port) => port.parse().map_err(|_| InvalidLdapUrl)?,
    };
    let host = host.to_ascii_lowercase();
    let server_name = ServerName::try_from(host.clone()).map_err(|_| InvalidLdapUrl)?;
    match port {
        0 => Err(InvalidLdapUrl),
        port => Ok(Target::Tcp {
            host,
            port,
            server_name,
            is_ldaps,
        }),
    }
}

fn unix(path: &str) -> Result<Target, InvalidLdapUrl> {
    let path = percent_decode_str(path).decode_utf8();
    let path = PathBuf::from(path.map_err(|_| InvalidLdapUrl)?.into_owned());
    match path.is_absolute() {
        true => Ok(Target::Unix(path)),
        false => Err(InvalidLdapUrl),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<LdapUrl, InvalidLdapUrl> {
        LdapUrl::try_from(text.to_owned())
    }

    fn host_and_port(text: &str) -> (String, u16, bool) {
        match parse(text).unwrap().target {
            Target::Tcp {
                host,
                port,
                is_ldaps,
                ..
            } => (host, port, is_ldaps),
            Target::Unix(path) => panic!("{path:?}"),
        }
    }

    #[test]
    fn the_port_has_a_default() {
        let host = || "ldap.corp.example".to_owned();
        assert_eq!(
            host_and_port("ldaps://ldap.corp.example"),
            (host(), 636, true)
        );
        assert_eq!(
            host_and_port("LDAP://LDAP.corp.example/"),
            (host(), 389, false)
        );
        assert_eq!(
            host_and_port("ldap://10.0.0.1:1389"),
            ("10.0.0.1".to_owned(), 1389, false)
        );
        assert_eq!(
            host_and_port("ldaps://[::1]:1636"),
            ("::1".to_owned(), 1636, true)
        );
        assert_eq!(
            host_and_port("ldaps://[::1]"),
            ("::1".to_owned(), 636, true)
        );
    }

    #[test]
    fn a_socket_is_an_absolute_path() {
        let url = parse("ldapi://%2Fvar%2Frun%2Fslapd%2Fldapi").unwrap();
        assert!(*url.target() == Target::Unix("/var/run/slapd/ldapi".into()));
        assert!(url.is_local() && !url.needs_start_tls());
    }

    #[test]
    fn anything_else_is_refused() {
        for text in [
            "",
            "ldap.corp.example",
            "http://ldap.corp.example",
            "ldap://",
            "ldap:///",
            "ldap://host:0",
            "ldap://host:99999",
            "ldap://host:",
            "ldap://host/dc=corp",
            "ldap://host?uid",
            "ldap://user@host",
            "ldap://[::1",
            "ldap://[host]",
            "ldapi://",
            "ldapi://socket",
            "ldap://ho st",
            "ldap://a,b",
        ] {
            assert_eq!(parse(text), Err(InvalidLdapUrl), "{text}");
        }
    }

    #[test]
    fn only_this_machine_is_local() {
        for (url, is_local) in [
            ("ldap://127.0.0.1:1389", true),
            ("ldap://localhost", true),
            ("ldap://[::1]", true),
            ("ldap://ldap.corp.example", false),
            ("ldap://localhost.corp.example", false),
        ] {
            assert_eq!(parse(url).unwrap().is_local(), is_local, "{url}");
        }
    }
}
