//! What each contract reads of the original request: a fixed set of headers, and nothing else.

use std::net::IpAddr;

use http::request::Parts;
use http::uri::{PathAndQuery, Uri};
use http::{HeaderMap, HeaderName, Method};
use schemars::JsonSchema;
use serde::Deserialize;

use super::CheckProtocol;
use super::query_restriction::QueryRestriction;
use crate::request::head::{
    HeadError, Hops, Original, OriginalHeader, authority_of, parse_scheme, single,
};
use crate::request::target;
use crate::site::Site;

/// Where Envoy's `path_prefix` leads, below the prefix of the own paths.
pub(super) const ENVOY_PATH: &str = "/ext_authz";

/// `[check]`: how other proxies ask.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct CheckConfig {
    /// The one header from which `/auth` reads the original URI; whoever asks must overwrite what
    /// clients send under that name. With `x-original-url` it may be a whole URL, and then `Host`
    /// and `X-Forwarded-Proto` are not read.
    pub original: OriginalHeader,
}

/// The original request, as far as it was told.
#[derive(Debug)]
pub(super) struct HttpCheck {
    host: String,
    target: Option<PathAndQuery>,
    method: Option<Method>,
    secure: Option<bool>,
    client: Option<IpAddr>,
    /// Who may pass besides, where the check itself says so.
    pub(super) restriction: Option<QueryRestriction>,
}

impl HttpCheck {
    /// Reads a check as its contract says. The peer is trusted.
    pub(super) fn read(
        protocol: CheckProtocol,
        site: &Site,
        parts: &Parts,
    ) -> Result<Self, HeadError> {
        if target::is_refused(&parts.uri) {
            return Err(HeadError::Target);
        }
        let headers = &parts.headers;
        let hops = Hops::read(headers, &site.trust)?;
        let client = hops.client;
        match protocol {
            CheckProtocol::AuthRequest => Self::auth_request(site, parts, hops),
            CheckProtocol::ForwardAuth => Ok(Self {
                host: hops
                    .authority(headers)?
                    .ok_or(HeadError::CheckWithoutHost("X-Forwarded-Host"))?
                    .to_owned(),
                target: target(headers, "x-forwarded-uri")?,
                method: method(headers, "x-forwarded-method")?,
                secure: hops.secure(headers)?,
                client,
                restriction: None,
            }),
            CheckProtocol::Envoy => {
                let whole = parts.uri.path_and_query().map_or("", PathAndQuery::as_str);
                let rest = whole.get(site.prefix.len() + ENVOY_PATH.len()..);
                Ok(Self {
                    host: authority_of(&parts.uri, headers)?.to_owned(),
                    target: Some(path_and_query(rest.unwrap_or("").as_bytes(), "path")?),
                    method: Some(parts.method.clone()),
                    secure: None,
                    client,
                    restriction: None,
                })
            }
        }
    }

    fn auth_request(site: &Site, parts: &Parts, hops: Hops) -> Result<Self, HeadError> {
        let headers = &parts.headers;
        let name = site.original.name();
        let asked = Self {
            host: String::new(),
            target: None,
            method: method(headers, "x-original-method")?,
            secure: None,
            client: hops.client,
            restriction: QueryRestriction::of(parts.uri.query())?,
        };
        let url = bytes(headers, name)?.filter(|url| !url.starts_with(b"/"));
        let (Some(url), OriginalHeader::XOriginalUrl) = (url, site.original) else {
            return Ok(Self {
                host: authority_of(&parts.uri, headers)?.to_owned(),
                target: target(headers, name)?,
                secure: hops.secure(headers)?,
                ..asked
            });
        };
        // A whole URL says everything; the Host is that of the check.
        let broken = || HeadError::Forwarded(name);
        // Its host ends where its path begins, or a visitor's `Host: a?.b` would name another one.
        let url = Some(url).filter(|url| has_path(url)).ok_or_else(broken)?;
        let url: Uri = target::parse(url).ok_or(HeadError::Target)?;
        let (Some(authority), Some(scheme)) = (url.authority(), url.scheme_str()) else {
            return Err(broken());
        };
        Ok(Self {
            host: authority.as_str().to_owned(),
            target: url.path_and_query().cloned(),
            secure: Some(parse_scheme(scheme)?),
            ..asked
        })
    }

    /// For the head.
    pub(super) fn original<'a>(&'a self, headers: &'a HeaderMap) -> Original<'a> {
        Original {
            host: &self.host,
            target: self.target.as_ref(),
            method: self.method.as_ref(),
            secure: self.secure,
            client: self.client,
            headers,
        }
    }
}

fn method(headers: &HeaderMap, name: &'static str) -> Result<Option<Method>, HeadError> {
    let text = single(headers, name)?;
    let parsed = text.map(|method| Method::from_bytes(method.as_bytes()));
    parsed.transpose().map_err(|_| HeadError::Forwarded(name))
}

fn target(headers: &HeaderMap, name: &'static str) -> Result<Option<PathAndQuery>, HeadError> {
    let text = bytes(headers, name)?;
    text.map(|target| path_and_query(target, name)).transpose()
}

/// The one value of a header; copies must agree.
fn bytes<'a>(headers: &'a HeaderMap, name: &'static str) -> Result<Option<&'a [u8]>, HeadError> {
    let mut values = headers.get_all(HeaderName::from_static(name)).iter();
    let first = values.next();
    match values.all(|value| Some(value) == first) {
        true => Ok(first.map(|value| value.as_bytes().trim_ascii())),
        false => Err(HeadError::Forwarded(name)),
    }
}

/// Whether the first thing after scheme and authority is a path.
fn has_path(url: &[u8]) -> bool {
    let authority = url.windows(3).position(|three| three == b"://");
    let rest = authority.map_or(&[][..], |at| &url[at + 3..]);
    let end = rest.iter().find(|byte| matches!(byte, b'/' | b'?'));
    end == Some(&b'/')
}

/// Parses what a client sent as its target; whoever asks says it as it came.
fn path_and_query(target: &[u8], name: &'static str) -> Result<PathAndQuery, HeadError> {
    if !target.starts_with(b"/") {
        return Err(HeadError::Forwarded(name));
    }
    target::parse(target).ok_or(HeadError::Target)
}
