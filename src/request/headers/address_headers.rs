//! `AddressHeaders`: rewrites the further addresses of a request to those that the application
//! knows.

use http::{HeaderName, HeaderValue};

use super::UpstreamOrigin;
use crate::request::address::{self, Piece};
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
        /// Whether it is https, and `host[:port]`; absent if it is a path.
        origin: Option<(bool, String)>,
        target: String,
    },
}

impl AddressHeaders {
    /// The address headers of a permitted request, which permits them too.
    pub(super) fn of(route: &Route, head: &Head<'_>) -> Option<Box<Self>> {
        if !address::may_have_further_addresses(head) {
            return None;
        }
        let prefix = route.stripped_prefix();
        // A request with unreadable addresses was refused; if one arrived, the headers would be
        // left out.
        let found = address::read(head).unwrap_or_default();
        let part = |piece: Piece<'_>| match piece {
            Piece::Text(text) => Part::Text(text.to_owned()),
            Piece::Address(address) => {
                let target = &*address.target;
                let stripped = prefix.and_then(|prefix| target.get(prefix.len()..));
                let target = match stripped.unwrap_or(target) {
                    rest if rest.starts_with('/') => rest.to_owned(),
                    rest => format!("/{rest}"),
                };
                let origin = address
                    .origin
                    .map(|(secure, name)| (secure, name.to_owned()));
                Part::Address { origin, target }
            }
        };
        let lines = found.into_iter().map(|addressed| {
            let parts = addressed.pieces.into_iter().map(part);
            (addressed.name, parts.collect())
        });
        Some(Box::new(Self {
            lines: lines.collect(),
        }))
    }

    /// Whether these lines replace a header.
    pub(super) fn include(&self, name: &HeaderName) -> bool {
        self.lines.iter().any(|(own, _)| own == name)
    }

    /// Writes the lines, for an application that is addressed as `host` says.
    pub(super) fn write(
        &self,
        head: &mut Vec<u8>,
        host: &HostHeader,
        upstream: UpstreamOrigin<'_>,
    ) {
        for (name, parts) in &self.lines {
            let mut value = Vec::new();
            for part in parts {
                write_part(&mut value, part, host, upstream);
            }
            super::line(head, name, &value);
        }
    }
}

/// An absolute URL gets the scheme of the upstream connection: some applications, such as Apache,
/// treat a URL with another scheme as another server's.
fn write_part(value: &mut Vec<u8>, part: &Part, host: &HostHeader, upstream: UpstreamOrigin<'_>) {
    let (origin, target) = match part {
        Part::Text(text) => return value.extend_from_slice(text.as_bytes()),
        Part::Address { origin, target } => (origin, target),
    };
    if let Some((secure, name)) = origin {
        let scheme: &[u8] = if upstream.tls {
            b"https://"
        } else {
            b"http://"
        };
        value.extend_from_slice(scheme);
        value.extend_from_slice(match host {
            HostHeader::Client if *secure == upstream.tls => name.as_bytes(),
            HostHeader::Client => without_default_port(*secure, name).as_bytes(),
            HostHeader::Upstream => upstream.authority.as_bytes(),
            HostHeader::Literal(literal) => HeaderValue::as_bytes(literal),
        });
    }
    value.extend_from_slice(target.as_bytes());
}

/// A default port would mean another port after the scheme changed.
fn without_default_port(secure: bool, name: &str) -> &str {
    let port = if secure { ":443" } else { ":80" };
    name.strip_suffix(port).unwrap_or(name)
}
