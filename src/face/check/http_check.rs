//! Reads the original request from a check. Each protocol has a fixed set of headers.

use std::net::IpAddr;

use http::request::Parts;
use http::uri::{PathAndQuery, Uri};
use http::{HeaderMap, HeaderName, Method};
use schemars::JsonSchema;
use serde::Deserialize;

use super::CheckProtocol;
use super::query_restriction::QueryRestriction;
use crate::request::head::{
    ForwardedHops, HeadError, OriginalHeader, OriginalRequest, authority_of, scheme_uses_tls,
    single_value,
};
use crate::request::target;
use crate::site::Site;

/// The path of Envoy's `path_prefix`, below the prefix of own paths.
pub(super) const ENVOY_PATH: &str = "/ext_authz";

/// `[check]`: how other proxies send the original request.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct CheckConfig {
    /// The one header from which `/auth` reads the original URI. The proxy must overwrite this header
    /// if a client sends it. With `x-original-url` the value may be an absolute URL; then `Host` and
    /// `X-Forwarded-Proto` are not read.
    pub original: OriginalHeader,
}

/// The original request, as far as the check names it.
#[derive(Debug)]
pub(super) struct HttpCheck {
    host: String,
    target: Option<PathAndQuery>,
    method: Option<Method>,
    secure: Option<bool>,
    client: Option<IpAddr>,
    pub(super) restriction: Option<QueryRestriction>,
}

impl HttpCheck {
    /// Reads a check of a trusted peer.
    pub(super) fn read(
        protocol: CheckProtocol,
        site: &Site,
        parts: &Parts,
    ) -> Result<Self, HeadError> {
        if target::is_refused(&parts.uri) {
            return Err(HeadError::Target);
        }
        let headers = &parts.headers;
        let hops = ForwardedHops::read(headers, &site.trust)?;
        let client = hops.client;
        match protocol {
            CheckProtocol::AuthRequest => Self::auth_request(site, parts, hops),
            CheckProtocol::ForwardAuth => Ok(Self {
                host: hops
                    .authority(headers)?
                    .ok_or(HeadError::CheckWithoutHost("X-Forwarded-Host"))?
                    .to_owned(),
                target: header_target(headers, "x-forwarded-uri")?,
                method: header_method(headers, "x-forwarded-method")?,
                secure: hops.secure(headers)?,
                client,
                restriction: None,
            }),
            CheckProtocol::Envoy => {
                let check_target = parts.uri.path_and_query().map_or("", PathAndQuery::as_str);
                let original = check_target.get(site.prefix.len() + ENVOY_PATH.len()..);
                Ok(Self {
                    host: authority_of(&parts.uri, headers)?.to_owned(),
                    target: Some(path_and_query(original.unwrap_or("").as_bytes(), "path")?),
                    method: Some(parts.method.clone()),
                    secure: None,
                    client,
                    restriction: None,
                })
            }
        }
    }

    fn auth_request(site: &Site, parts: &Parts, hops: ForwardedHops) -> Result<Self, HeadError> {
        let headers = &parts.headers;
        let name = site.original_uri_header.name();
        let without_url = Self {
            host: String::new(),
            target: None,
            method: header_method(headers, "x-original-method")?,
            secure: None,
            client: hops.client,
            restriction: QueryRestriction::of(parts.uri.query())?,
        };
        let url = header_bytes(headers, name)?.filter(|url| !url.starts_with(b"/"));
        let (Some(url), OriginalHeader::XOriginalUrl) = (url, site.original_uri_header) else {
            return Ok(Self {
                host: authority_of(&parts.uri, headers)?.to_owned(),
                target: header_target(headers, name)?,
                secure: hops.secure(headers)?,
                ..without_url
            });
        };
        // An absolute URL has scheme and host; the `Host` header names the host of the check itself.
        let invalid = || HeadError::Forwarded(name);
        // Otherwise a client could change the host with `Host: a?.b`.
        let url = Some(url)
            .filter(|url| path_follows_authority(url))
            .ok_or_else(invalid)?;
        let url: Uri = target::parse(url).ok_or(HeadError::Target)?;
        let (Some(authority), Some(scheme)) = (url.authority(), url.scheme_str()) else {
            return Err(invalid());
        };
        Ok(Self {
            host: authority.as_str().to_owned(),
            target: url.path_and_query().cloned(),
            secure: Some(scheme_uses_tls(scheme)?),
            ..without_url
        })
    }

    pub(super) fn original<'a>(&'a self, headers: &'a HeaderMap) -> OriginalRequest<'a> {
        OriginalRequest {
            host: &self.host,
            target: self.target.as_ref(),
            method: self.method.as_ref(),
            secure: self.secure,
            client: self.client,
            headers,
        }
    }
}

fn header_method(headers: &HeaderMap, name: &'static str) -> Result<Option<Method>, HeadError> {
    let text = single_value(headers, name)?;
    let parsed = text.map(|method| Method::from_bytes(method.as_bytes()));
    parsed.transpose().map_err(|_| HeadError::Forwarded(name))
}

fn header_target(
    headers: &HeaderMap,
    name: &'static str,
) -> Result<Option<PathAndQuery>, HeadError> {
    let value = header_bytes(headers, name)?;
    value.map(|target| path_and_query(target, name)).transpose()
}

/// The value of a header; repeated values must be equal.
fn header_bytes<'a>(
    headers: &'a HeaderMap,
    name: &'static str,
) -> Result<Option<&'a [u8]>, HeadError> {
    let mut values = headers.get_all(HeaderName::from_static(name)).iter();
    let first = values.next();
    match values.all(|value| Some(value) == first) {
        true => Ok(first.map(|value| value.as_bytes().trim_ascii())),
        false => Err(HeadError::Forwarded(name)),
    }
}

/// Whether a path follows the authority directly.
fn path_follows_authority(url: &[u8]) -> bool {
    let authority = url.windows(3).position(|three| three == b"://");
    let rest = authority.map_or(&[][..], |at| &url[at + 3..]);
    let end = rest.iter().find(|byte| matches!(byte, b'/' | b'?'));
    end == Some(&b'/')
}

/// Parses the original request target, byte for byte as the client sent it.
fn path_and_query(target: &[u8], name: &'static str) -> Result<PathAndQuery, HeadError> {
    if !target.starts_with(b"/") {
        return Err(HeadError::Forwarded(name));
    }
    target::parse(target).ok_or(HeadError::Target)
}
