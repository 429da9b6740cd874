//! `ExplainQuery`: the request to explain, assembled as a browser would send it.

use std::net::IpAddr;

use http::header::{AUTHORIZATION, COOKIE, HOST, PROXY_AUTHORIZATION};
use http::request::Parts;
use http::uri::PathAndQuery;
use http::{HeaderName, HeaderValue, Method, Request, Uri};
use percent_encoding::{AsciiSet, utf8_percent_encode};

use crate::request::head::{Connection, Peer, PrivateUpstreamConnections};
use crate::store::{ConnectorId, IdError, LoginName};
use crate::text;
use crate::wording::{Text, error_of_text};

/// The longest URL that is explained, in bytes.
const URL_BYTES_MAX: usize = 16 * 1024;
/// How many headers a query may have.
const HEADERS_MAX: usize = 100;
/// The ASCII characters of a typed URL that are escaped: none. `utf8_percent_encode` always escapes the
/// other characters, as browsers do.
const ESCAPED_ASCII: AsciiSet = AsciiSet::EMPTY;

/// The arguments of a query as text.
#[derive(Clone, Debug, Default)]
pub struct ExplainArguments {
    /// The whole URL, as in a browser's address bar.
    pub url: String,
    /// The caller's login; absent: anonymous.
    pub login: Option<String>,
    /// The connector of the assumed login; absent: the most recently used one.
    pub via: Option<String>,
    /// Absent: `GET`.
    pub method: Option<String>,
    /// The peer address of the connection; absent: `127.0.0.1`.
    pub from: Option<String>,
    /// Each as `Name: value`; cookies and credentials are refused.
    pub headers: Vec<String>,
}

/// Why a query is invalid.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ExplainQueryError {
    Url {
        url: String,
    },
    Login(IdError),
    Via(IdError),
    ViaWithoutLogin,
    Method {
        method: String,
    },
    From {
        from: String,
    },
    Header,
    /// A header that is a credential, or is derived from the URL.
    Credential {
        name: HeaderName,
    },
}

impl ExplainQueryError {
    fn text(&self) -> Text {
        match self {
            Self::Url { url } => text!(
                "`{url}` cannot be explained: write the whole URL, as https://host/path",
                "无法解释 `{url}`：请写完整的地址，例如 https://主机/路径"
            ),
            Self::Login(error) | Self::Via(error) => Text::of(error),
            Self::ViaWithoutLogin => Text::fixed(
                "a connector needs a login: say whose login",
                "指定认证源时也要指定登录名：请写明是谁登录",
            ),
            Self::Method { method } => text!(
                "`{method}` is not an HTTP method",
                "`{method}` 不是 HTTP 方法"
            ),
            Self::From { from } => text!("`{from}` is not an IP address", "`{from}` 不是 IP 地址"),
            Self::Header => text!(
                "a header is written `Name: value`, at most {HEADERS_MAX} of them",
                "请求头写作 `Name: value`，最多 {HEADERS_MAX} 个"
            ),
            Self::Credential { name } => text!(
                "{name} cannot be given: name the caller by their login, and the host in the URL",
                "不能指定 {name}：调用者用登录名指定，主机写在地址里"
            ),
        }
    }
}

error_of_text!(ExplainQueryError);

/// A valid query.
#[derive(Clone, Debug)]
pub struct ExplainQuery {
    /// The caller; absent: anonymous.
    pub(super) login: Option<LoginName>,
    /// The connector of the assumed login.
    pub(super) via: Option<ConnectorId>,
    https: bool,
    authority: HeaderValue,
    target: PathAndQuery,
    method: Method,
    from: IpAddr,
    headers: Vec<(HeaderName, HeaderValue)>,
}

impl ExplainQuery {
    /// Parses the arguments.
    pub fn parse(arguments: ExplainArguments) -> Result<Self, ExplainQueryError> {
        let (https, authority, target) =
            split_url(&arguments.url).ok_or_else(|| ExplainQueryError::Url {
                url: super::truncate(&arguments.url),
            })?;
        let method = arguments.method.unwrap_or_else(|| "GET".to_owned());
        let from = arguments.from.unwrap_or_else(|| "127.0.0.1".to_owned());
        let login = arguments.login.map(LoginName::try_from).transpose();
        let via = arguments.via.map(ConnectorId::try_from).transpose();
        let (login, via) = (
            login.map_err(ExplainQueryError::Login)?,
            via.map_err(ExplainQueryError::Via)?,
        );
        if via.is_some() && login.is_none() {
            return Err(ExplainQueryError::ViaWithoutLogin);
        }
        if arguments.headers.len() > HEADERS_MAX {
            return Err(ExplainQueryError::Header);
        }
        let headers = arguments.headers.iter().map(|line| parse_header(line));
        Ok(Self {
            login,
            via,
            https,
            authority,
            target,
            method: Method::from_bytes(method.to_ascii_uppercase().as_bytes())
                .map_err(|_| ExplainQueryError::Method { method })?,
            from: from.parse().map_err(|_| ExplainQueryError::From { from })?,
            headers: headers.collect::<Result<_, _>>()?,
        })
    }

    /// Whether the query names a caller, so that the store is needed.
    pub fn names_login(&self) -> bool {
        self.login.is_some()
    }

    /// The request to explain.
    pub(super) fn request(&self) -> (Parts, Connection) {
        let (mut parts, ()) = Request::new(()).into_parts();
        parts.method = self.method.clone();
        parts.uri = Uri::from(self.target.clone());
        parts.headers.append(HOST, self.authority.clone());
        for (name, value) in &self.headers {
            parts.headers.append(name.clone(), value.clone());
        }
        let connection = Connection {
            peer: Peer::Ip(self.from),
            tls: self.https,
            server_name: None,
            tls_subject: None,
            private_upstream_connections: PrivateUpstreamConnections::default(),
        };
        (parts, connection)
    }
}

/// Scheme, authority and target as a browser sends them: without the fragment and the default port.
/// Nothing is resolved or decoded, because the bytes of the path are judged.
fn split_url(url: &str) -> Option<(bool, HeaderValue, PathAndQuery)> {
    let (scheme, rest) = url.trim().split_once("://")?;
    let https = match scheme.to_ascii_lowercase().as_str() {
        "https" => true,
        "http" => false,
        _ => return None,
    };
    let rest = rest.split('#').next().unwrap_or(rest);
    let end = rest.find(['/', '?']).unwrap_or(rest.len());
    let (authority, target) = rest.split_at(end);
    if url.len() > URL_BYTES_MAX || authority.is_empty() || authority.contains('@') {
        return None;
    }
    let default_port = if https { ":443" } else { ":80" };
    let authority = authority.strip_suffix(default_port).unwrap_or(authority);
    let slash = if target.starts_with('/') { "" } else { "/" };
    let target = format!("{slash}{}", utf8_percent_encode(target, &ESCAPED_ASCII));
    Some((
        https,
        HeaderValue::from_bytes(authority.as_bytes()).ok()?,
        PathAndQuery::try_from(target).ok()?,
    ))
}

fn parse_header(line: &str) -> Result<(HeaderName, HeaderValue), ExplainQueryError> {
    let (name, value) = line.split_once(':').ok_or(ExplainQueryError::Header)?;
    let name = HeaderName::try_from(name.trim()).map_err(|_| ExplainQueryError::Header)?;
    let value =
        HeaderValue::from_bytes(value.trim().as_bytes()).map_err(|_| ExplainQueryError::Header)?;
    match [COOKIE, AUTHORIZATION, PROXY_AUTHORIZATION, HOST].contains(&name) {
        true => Err(ExplainQueryError::Credential { name }),
        false => Ok((name, value)),
    }
}
