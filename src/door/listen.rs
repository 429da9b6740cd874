//! `ListenConfig`: an address to listen on and its options, as the configuration writes them.

use std::borrow::Cow;
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::str::FromStr;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::value::MapAccessDeserializer;
use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer};

use super::tls::TlsError;
use crate::text;
use crate::wording::{Text, error_of_text};

pub use invalid_address::InvalidAddress;
pub(super) use socket::{AcceptedStream, Listener, bind_all};

mod invalid_address;
mod socket;

/// An address to listen on; in the configuration a string, or a table with options.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListenConfig {
    pub address: Address,
    /// Whether the listener uses TLS; absent: if `[server.tls]` is present, except on unix sockets and
    /// with `redirect_https`.
    pub tls: Option<bool>,
    /// Whether every request is redirected to https instead of being served.
    pub redirect_https: bool,
    /// Whether every connection begins with a PROXY header, version 1 or 2.
    pub proxy_protocol: bool,
}

/// The address of a listening socket.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub enum Address {
    /// An IP address and a port; with port 0 the system chooses one.
    Ip(SocketAddr),
    /// An absolute path.
    Unix(PathBuf),
    /// The sockets that systemd passed: those with this `FileDescriptorName`, or all.
    Systemd(Option<String>),
}

/// Why listening failed.
#[derive(Debug)]
pub enum BindError {
    InUse {
        address: Address,
        source: io::Error,
    },
    PermissionDenied {
        address: Address,
        source: io::Error,
    },
    /// The path of the unix socket is another kind of file, which is not removed.
    NotASocket {
        address: Address,
    },
    /// Any other error of the system.
    Failed {
        address: Address,
        source: io::Error,
    },
    NotPassedBySystemd {
        address: Address,
    },
    NoCertificate {
        address: Address,
    },
    /// A socket with TLS cannot redirect to https: its requests are https already.
    RedirectWithTls {
        address: Address,
    },
    Tls(TlsError),
}

impl BindError {
    fn text(&self) -> Text {
        match self {
            Self::InUse { address, .. } => text!(
                "listen on {address}: another program listens there already",
                "无法监听 {address}：已有别的程序在监听"
            ),
            Self::PermissionDenied { address, .. } => text!(
                "listen on {address}: a port below 1024 needs CAP_NET_BIND_SERVICE, a unix socket a folder \
                 that menshen may write to",
                "无法监听 {address}：1024 以下的端口需要 CAP_NET_BIND_SERVICE，unix 套接字所在的目录 menshen \
                 必须可写"
            ),
            Self::NotASocket { address } => text!(
                "listen on {address}: a file that is not a socket has this name",
                "无法监听 {address}：已有同名文件，且不是套接字"
            ),
            Self::Failed { address, .. } => text!("listen on {address}", "无法监听 {address}"),
            Self::NotPassedBySystemd { address } => text!(
                "listen on {address}: systemd passed no such socket; see `FileDescriptorName=`",
                "无法监听 {address}：systemd 没有传来这样的套接字；见 `FileDescriptorName=`"
            ),
            Self::NoCertificate { address } => text!(
                "listen on {address}: `tls = true` needs a certificate in [server.tls]",
                "无法监听 {address}：`tls = true` 需要 [server.tls] 中的证书"
            ),
            Self::RedirectWithTls { address } => text!(
                "listen on {address}: `redirect_https` is for plain HTTP, leave `tls` out",
                "无法监听 {address}：`redirect_https` 用于明文 HTTP，请不要写 `tls`"
            ),
            Self::Tls(_) => text!(
                "read the certificates of [server.tls]",
                "无法读取 [server.tls] 的证书"
            ),
        }
    }

    fn cause(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::InUse { source, .. }
            | Self::PermissionDenied { source, .. }
            | Self::Failed { source, .. } => Some(source),
            Self::Tls(source) => Some(source),
            Self::NotASocket { .. }
            | Self::NotPassedBySystemd { .. }
            | Self::NoCertificate { .. }
            | Self::RedirectWithTls { .. } => None,
        }
    }
}

error_of_text!(BindError, caused);

impl ListenConfig {
    pub fn without_options(address: Address) -> Self {
        Self {
            address,
            tls: None,
            redirect_https: false,
            proxy_protocol: false,
        }
    }

    /// Whether the listener uses TLS. `has_certificates`: whether `[server.tls]` is present.
    pub(super) fn uses_tls(&self, has_certificates: bool) -> Result<bool, BindError> {
        let address = || self.address.clone();
        match (self.tls, self.redirect_https) {
            (Some(true), true) => Err(BindError::RedirectWithTls { address: address() }),
            (Some(true), false) if !has_certificates => {
                Err(BindError::NoCertificate { address: address() })
            }
            (Some(tls), _) => Ok(tls),
            (None, true) => Ok(false),
            (None, false) => Ok(has_certificates && !matches!(self.address, Address::Unix(_))),
        }
    }
}

impl FromStr for ListenConfig {
    type Err = InvalidAddress;

    fn from_str(text: &str) -> Result<Self, InvalidAddress> {
        text.parse().map(Self::without_options)
    }
}

impl FromStr for Address {
    type Err = InvalidAddress;

    fn from_str(text: &str) -> Result<Self, InvalidAddress> {
        let invalid = || InvalidAddress::of(text);
        if let Some(path) = text.strip_prefix("unix:") {
            // `unix:///run/x` is the same file.
            let path = path.strip_prefix("//").unwrap_or(path);
            return if path.starts_with('/') {
                Ok(Self::Unix(path.into()))
            } else {
                Err(invalid())
            };
        }
        match text.split_once(':') {
            None if text == "systemd" => Ok(Self::Systemd(None)),
            Some(("systemd", name)) if !name.is_empty() => Ok(Self::Systemd(Some(name.to_owned()))),
            _ => text.parse().map(Self::Ip).map_err(|_| invalid()),
        }
    }
}

impl TryFrom<String> for Address {
    type Error = InvalidAddress;

    fn try_from(text: String) -> Result<Self, InvalidAddress> {
        text.parse()
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ip(address) => address.fmt(f),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
            Self::Systemd(None) => f.write_str("systemd"),
            Self::Systemd(Some(name)) => write!(f, "systemd:{name}"),
        }
    }
}

/// The table form of a [`ListenConfig`].
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ListenTable {
    address: Address,
    tls: Option<bool>,
    #[serde(default)]
    redirect_https: bool,
    #[serde(default)]
    proxy_protocol: bool,
}

impl<'de> Deserialize<'de> for ListenConfig {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ListenVisitor)
    }
}

struct ListenVisitor;

impl<'de> Visitor<'de> for ListenVisitor {
    type Value = ListenConfig;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let expected = text!(
            "an address such as \"0.0.0.0:443\", or {{ address = \"…\", tls = false }}",
            "地址，例如 \"0.0.0.0:443\"，或 {{ address = \"…\", tls = false }}"
        );
        fmt::Display::fmt(&expected, f)
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<ListenConfig, E> {
        text.parse().map_err(E::custom)
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<ListenConfig, A::Error> {
        let ListenTable {
            address,
            tls,
            redirect_https,
            proxy_protocol,
        } = ListenTable::deserialize(MapAccessDeserializer::new(map))?;
        Ok(ListenConfig {
            address,
            tls,
            redirect_https,
            proxy_protocol,
        })
    }
}

impl JsonSchema for ListenConfig {
    fn schema_name() -> Cow<'static, str> {
        "Listen".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "oneOf": [
            { "type": "string" },
            { "type": "object", "required": ["address"], "additionalProperties": false,
              "properties": {
                "address": { "type": "string" },
                "tls": { "type": "boolean" },
                "redirect_https": { "type": "boolean", "default": false },
                "proxy_protocol": { "type": "boolean", "default": false },
            } },
        ] })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Deserialize)]
    struct Document {
        listen: Vec<ListenConfig>,
    }

    #[test]
    fn an_address_is_written_as_a_string_or_a_table() {
        let document: Document = toml::from_str(
            "listen = ['0.0.0.0:443', '[::]:80', 'unix:/run/a.sock', 'systemd', 'systemd:web', \
             { address = '0.0.0.0:80', tls = false, redirect_https = true, \
             proxy_protocol = true }]",
        )
        .unwrap();
        let texts: Vec<_> = document
            .listen
            .iter()
            .map(|listen| listen.address.to_string())
            .collect();
        let expected = [
            "0.0.0.0:443",
            "[::]:80",
            "unix:/run/a.sock",
            "systemd",
            "systemd:web",
            "0.0.0.0:80",
        ];
        assert_eq!(texts, expected);
        assert!(document.listen[5].redirect_https && document.listen[5].proxy_protocol);
        assert_eq!(document.listen[5].tls, Some(false));
    }

    #[test]
    fn an_invalid_address_is_refused_with_examples_of_valid_ones() {
        for invalid in [
            "'443'",
            "'unix:run/a'",
            "'systemd:'",
            "'localhost:80'",
            "{ tls = true }",
            "7",
        ] {
            assert!(
                toml::from_str::<Document>(&format!("listen = [{invalid}]")).is_err(),
                "{invalid}"
            );
        }
        let error = toml::from_str::<Document>("listen = ['example']").unwrap_err();
        assert!(error.to_string().contains("0.0.0.0:443"), "{error}");
        let error = toml::from_str::<Document>("listen = [{ adress = 'a' }]").unwrap_err();
        assert!(error.to_string().contains("adress"), "{error}");
    }

    #[test]
    fn tls_is_used_by_default_except_on_unix_sockets_and_with_redirect_https() {
        let listen = |text: &str| text.parse::<ListenConfig>().unwrap();
        assert!(listen("0.0.0.0:443").uses_tls(true).unwrap());
        assert!(!listen("0.0.0.0:80").uses_tls(false).unwrap());
        assert!(!listen("unix:/run/a").uses_tls(true).unwrap());
        let explicit = ListenConfig {
            tls: Some(true),
            ..listen("0.0.0.0:443")
        };
        assert!(explicit.uses_tls(true).unwrap());
        assert!(matches!(
            explicit.uses_tls(false),
            Err(BindError::NoCertificate { .. })
        ));
        let redirects = ListenConfig {
            redirect_https: true,
            ..listen("0.0.0.0:80")
        };
        assert!(!redirects.uses_tls(true).unwrap());
        let redirect_with_tls = ListenConfig {
            redirect_https: true,
            ..explicit
        };
        assert!(matches!(
            redirect_with_tls.uses_tls(true),
            Err(BindError::RedirectWithTls { .. })
        ));
    }
}
