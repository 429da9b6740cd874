//! Protects the administrator's listener from browsers: DNS rebinding and cross-origin requests.

use std::net::IpAddr;

use http::header::{HOST, ORIGIN};
use http::{HeaderMap, Request};
use serde::Deserialize;

use crate::request::head::parse_host;
use crate::setting::text_schema;
use crate::wording::error_of_text;

/// A host name that requests to the administrator's listener may use.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct AdminHost(String);

/// The text is not a host name for `[admin] hosts`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AdminHostError;
error_of_text!(AdminHostError: "a host is a name such as menshen.monitoring.svc, without a port; IP addresses and localhost \
     are always accepted", "应为不带端口的主机名，例如 menshen.monitoring.svc；IP 地址和 localhost 始终接受");

text_schema! {
    AdminHost: "A host name without a port, such as menshen.monitoring.svc.",
}

impl AdminHost {
    /// The name in lower case, without a trailing dot.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for AdminHost {
    type Error = AdminHostError;

    fn try_from(text: String) -> Result<Self, AdminHostError> {
        match parse_host(&text) {
            Ok((host, None)) if ip_address(host.as_str()).is_none() => {
                Ok(Self(host.as_str().to_owned()))
            }
            Ok(_) | Err(_) => Err(AdminHostError),
        }
    }
}

/// Whether the host in the request is an IP address, `localhost` or one of `hosts`.
pub(super) fn names_this_listener<B>(request: &Request<B>, hosts: &[AdminHost]) -> bool {
    let headers = request.headers().get_all(HOST);
    let mut headers = headers.iter().map(|value| value.to_str().unwrap_or(""));
    let (first, second) = (headers.next(), headers.next());
    let target = request.uri().authority().map(http::uri::Authority::as_str);
    let mut names = first.into_iter().chain(target);
    second.is_none() && names.all(|name| is_accepted(name, hosts))
}

/// Whether a request has no host, as some health checks of load balancers. Browsers always send one.
pub(super) fn has_no_host<B>(request: &Request<B>) -> bool {
    let mut hosts = request.headers().get_all(HOST).iter();
    let is_empty = |host: &http::HeaderValue| host.as_bytes().trim_ascii().is_empty();
    request.uri().authority().is_none()
        && hosts.next().is_none_or(is_empty)
        && hosts.next().is_none()
}

fn is_accepted(name: &str, hosts: &[AdminHost]) -> bool {
    let Ok((host, _)) = parse_host(name) else {
        return false;
    };
    let host = host.as_str();
    let is_configured = hosts.iter().any(|known| known.as_str() == host);
    ip_address(host).is_some() || host == "localhost" || is_configured
}

fn ip_address(host: &str) -> Option<IpAddr> {
    let unbracketed = host
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'));
    unbracketed.unwrap_or(host).parse().ok()
}

/// Whether a browser sends the request for a page of another origin.
pub(super) fn is_cross_origin(headers: &HeaderMap) -> bool {
    let host = headers.get(HOST).and_then(|host| host.to_str().ok());
    let is_own_origin = |origin: &http::HeaderValue| {
        let origin = origin.to_str().unwrap_or("");
        let authority = origin
            .strip_prefix("http://")
            .or_else(|| origin.strip_prefix("https://"));
        authority
            .is_some_and(|authority| host.is_some_and(|host| host.eq_ignore_ascii_case(authority)))
    };
    let is_same_origin =
        |site: &http::HeaderValue| [&b"same-origin"[..], b"none"].contains(&site.as_bytes());
    !headers.get_all(ORIGIN).iter().all(is_own_origin)
        || !headers.get_all("sec-fetch-site").iter().all(is_same_origin)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_configured_host_is_a_name_without_port_or_scheme() {
        let parse = |text: &str| AdminHost::try_from(text.to_owned());
        assert_eq!(
            parse("Gate.corp.example.").unwrap().as_str(),
            "gate.corp.example"
        );
        for bad in [
            "",
            "gate:9180",
            "*.corp.example",
            "http://gate",
            "10.0.0.1",
            "[::1]",
            "a b",
        ] {
            assert_eq!(parse(bad), Err(AdminHostError), "{bad}");
        }
    }
}
