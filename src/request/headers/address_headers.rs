//! `AddressHeaders`: rewrites the addresses that a request names besides its target (`Destination` and
//! `If`) to those that the application knows.

use http::{HeaderName, HeaderValue};

use super::UpstreamOrigin;
use crate::request::address::{self, HeaderPiece};
use crate::request::head::Head;
use crate::request::route::{HostHeader, Route};

/// The rewritten headers, which replace those of the client.
#[derive(Clone, Debug)]
pub(super) struct AddressHeaders {
    lines: Vec<(HeaderName, Vec<Part>)>,
}

#[derive(Clone, Debug)]
enum Part {
    Text(String),
    Address {
        /// Whether it is https, and `host[:port]`; absent if the address is a path.
        origin: Option<(bool, String)>,
        target: String,
    },
}

impl AddressHeaders {
    /// The address headers of a permitted request; its addresses were judged with it.
    pub(super) fn of(route: &Route, head: &Head<'_>) -> Option<Box<Self>> {
        if !address::may_name_other_addresses(head) {
            return None;
        }
        let prefix = route.stripped_prefix();
        // A request with invalid addresses is refused before it gets here.
        let address_headers = address::read_headers(head).unwrap_or_default();
        let part = |piece: HeaderPiece<'_>| match piece {
            HeaderPiece::Text(text) => Part::Text(text.to_owned()),
            HeaderPiece::Address(address) => {
                let target = &*address.target;
                let stripped = prefix.and_then(|prefix| target.get(prefix.len()..));
                let target = match stripped.unwrap_or(target) {
                    rest if rest.starts_with('/') => rest.to_owned(),
                    rest => format!("/{rest}"),
                };
                let origin = address
                    .origin
                    .map(|origin| (origin.is_https, origin.authority.to_owned()));
                Part::Address { origin, target }
            }
        };
        let lines = address_headers.into_iter().map(|header| {
            let parts = header.pieces.into_iter().map(part);
            (header.name, parts.collect())
        });
        Some(Box::new(Self {
            lines: lines.collect(),
        }))
    }

    /// Whether these lines replace a header.
    pub(super) fn include(&self, name: &HeaderName) -> bool {
        self.lines.iter().any(|(line, _)| line == name)
    }

    /// Writes the lines. `host_header` is the setting of the route that determines the host.
    pub(super) fn write(
        &self,
        head: &mut Vec<u8>,
        host_header: &HostHeader,
        upstream: UpstreamOrigin<'_>,
    ) {
        for (name, parts) in &self.lines {
            let mut value = Vec::new();
            for part in parts {
                write_part(&mut value, part, host_header, upstream);
            }
            super::append_line(head, name, &value);
        }
    }
}

/// An absolute URL gets the scheme of the upstream connection: some applications, such as Apache,
/// treat a URL with another scheme as another server's.
fn write_part(
    value: &mut Vec<u8>,
    part: &Part,
    host_header: &HostHeader,
    upstream: UpstreamOrigin<'_>,
) {
    let (origin, target) = match part {
        Part::Text(text) => return value.extend_from_slice(text.as_bytes()),
        Part::Address { origin, target } => (origin, target),
    };
    if let Some((is_https, authority)) = origin {
        let scheme: &[u8] = if upstream.tls {
            b"https://"
        } else {
            b"http://"
        };
        value.extend_from_slice(scheme);
        value.extend_from_slice(match host_header {
            HostHeader::Client if *is_https == upstream.tls => authority.as_bytes(),
            HostHeader::Client => without_default_port(*is_https, authority).as_bytes(),
            HostHeader::Upstream => upstream.authority.as_bytes(),
            HostHeader::Literal(literal) => HeaderValue::as_bytes(literal),
        });
    }
    value.extend_from_slice(target.as_bytes());
}

/// Removes the default port of the old scheme: with the new scheme it would name another port.
fn without_default_port(is_https: bool, authority: &str) -> &str {
    let port = if is_https { ":443" } else { ":80" };
    authority.strip_suffix(port).unwrap_or(authority)
}
