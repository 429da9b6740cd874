//! `ExplainQuery`: a request that somebody asks about, put together as a browser would send it.

use std::net::IpAddr;

use http::header::{AUTHORIZATION, COOKIE, HOST, PROXY_AUTHORIZATION};
use http::request::Parts;
use http::uri::PathAndQuery;
use http::{HeaderName, HeaderValue, Method, Request, Uri};
use percent_encoding::{AsciiSet, utf8_percent_encode};

use crate::request::head::{Connection, ConnectionExtension, Peer};
use crate::store::{ConnectorId, IdError, LoginName};

/// The longest URL that is explained, in bytes.
const URL_BYTES_MAX: usize = 16 * 1024;
/// How many headers a query may have.
const HEADERS_MAX: usize = 100;
/// What browsers encode of what people type: only what is not ASCII, and that always.
const ESCAPED_BY_BROWSERS: AsciiSet = AsciiSet::EMPTY;

/// What was asked, in arguments.
#[derive(Clone, Debug, Default)]
pub struct ExplainArguments {
    /// The whole URL, as it stands in a browser.
    pub url: String,
    /// Who asks; absent: nobody.
    pub login: Option<String>,
    /// Through which connector they came in; absent: the one they came in by last.
    pub via: Option<String>,
    /// Absent: `GET`.
    pub method: Option<String>,
    /// The address at the other end of the connection; absent: `127.0.0.1`.
    pub from: Option<String>,
    /// Each `Name: value`; never cookies or credentials.
    pub headers: Vec<String>,
}

/// Why nothing can be explained.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ExplainQueryError {
    /// The URL.
    #[error("`{url}` cannot be asked about: write the whole URL, as https://host/path")]
    Url {
        /// What was written.
        url: String,
    },
    /// The login.
    #[error("{0}")]
    Login(IdError),
    /// The connector.
    #[error("{0}")]
    Via(IdError),
    /// A connector of nobody.
    #[error("a connector is somebody's: say whose login")]
    ViaNobody,
    /// The method.
    #[error("`{method}` is no method")]
    Method {
        /// What was written.
        method: String,
    },
    /// The address.
    #[error("`{from}` is no IP address")]
    From {
        /// What was written.
        from: String,
    },
    /// A header.
    #[error("a header is written `Name: value`, at most {HEADERS_MAX} of them")]
    Header,
    /// A header that is a secret, or comes with the URL.
    #[error("{name} cannot be given: who asks is said by their login, the host by the URL")]
    Credential {
        /// Which.
        name: HeaderName,
    },
}

/// A request that somebody asks about.
#[derive(Clone, Debug)]
pub struct ExplainQuery {
    /// Who asks; absent: nobody.
    pub(super) login: Option<LoginName>,
    /// Through which connector they came in.
    pub(super) via: Option<ConnectorId>,
    https: bool,
    authority: HeaderValue,
    target: PathAndQuery,
    method: Method,
    from: IpAddr,
    headers: Vec<(HeaderName, HeaderValue)>,
}

impl ExplainQuery {
    /// Understands what was asked.
    pub fn parse(arguments: ExplainArguments) -> Result<Self, ExplainQueryError> {
        let (https, authority, target) =
            split(&arguments.url).ok_or_else(|| ExplainQueryError::Url {
                url: display_path(&arguments.url),
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
            return Err(ExplainQueryError::ViaNobody);
        }
        if arguments.headers.len() > HEADERS_MAX {
            return Err(ExplainQueryError::Header);
        }
        let headers = arguments.headers.iter().map(|line| header(line));
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

    /// Whether it names somebody, whom only the store knows.
    pub fn names_login(&self) -> bool {
        self.login.is_some()
    }

    /// The request it asks about.
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
            extension: ConnectionExtension::default(),
        };
        (parts, connection)
    }
}

/// Scheme, authority and target as a browser sends them: no fragment, no port that the scheme
/// implies. Nothing is resolved or decoded: the bytes of the path are what is judged.
fn split(url: &str) -> Option<(bool, HeaderValue, PathAndQuery)> {
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
    let implied = if https { ":443" } else { ":80" };
    let authority = authority.strip_suffix(implied).unwrap_or(authority);
    let slash = if target.starts_with('/') { "" } else { "/" };
    let target = format!(
        "{slash}{}",
        utf8_percent_encode(target, &ESCAPED_BY_BROWSERS)
    );
    Some((
        https,
        HeaderValue::from_bytes(authority.as_bytes()).ok()?,
        PathAndQuery::try_from(target).ok()?,
    ))
}

fn header(line: &str) -> Result<(HeaderName, HeaderValue), ExplainQueryError> {
    let (name, value) = line.split_once(':').ok_or(ExplainQueryError::Header)?;
    let name = HeaderName::try_from(name.trim()).map_err(|_| ExplainQueryError::Header)?;
    let value =
        HeaderValue::from_bytes(value.trim().as_bytes()).map_err(|_| ExplainQueryError::Header)?;
    match [COOKIE, AUTHORIZATION, PROXY_AUTHORIZATION, HOST].contains(&name) {
        true => Err(ExplainQueryError::Credential { name }),
        false => Ok((name, value)),
    }
}

fn display_path(url: &str) -> String {
    super::truncate(url)
}
