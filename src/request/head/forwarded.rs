//! The forwarding headers of trusted proxies: `X-Forwarded-For`, `-Host`, `-Proto` and `-Port`.

use std::net::IpAddr;

use http::{HeaderMap, HeaderName};

use super::{HeadError, Host, Trust, parse_host};

/// An element of `X-Forwarded-For`.
enum Hop {
    Address(IpAddr),
    /// A client on a unix socket, as nginx writes it.
    Unix,
    /// A client whose address the proxy does not know or hides (RFC 7239 6.2 and 6.3).
    Unnamed,
}

/// The client behind the trusted proxies, and which element of the other forwarding headers is about it.
#[derive(Clone, Copy, Debug)]
pub struct ForwardedHops {
    /// The client; absent if no proxy named one or the first proxy gave no address.
    pub client: Option<IpAddr>,
    /// The client, or the hop closest to it that has an address. Limits and logs use it if the client is
    /// unknown; decisions do not.
    pub nearest_to_client: Option<IpAddr>,
    /// The index of the client's element in each list, from the right: each trusted proxy appended
    /// one.
    index_from_right: usize,
}

impl ForwardedHops {
    /// Reads `X-Forwarded-For` from the right as long as hops are trusted. A hop without an address
    /// ends this: everything left of it may be forged.
    pub fn read(headers: &HeaderMap, trust: &Trust) -> Result<Self, HeadError> {
        let malformed = HeadError::Forwarded("X-Forwarded-For");
        let (mut client, mut nearest_to_client, mut trusted_hops) = (None, None, 0_usize);
        for line in headers.get_all("x-forwarded-for").iter().rev() {
            for hop in line.as_bytes().rsplit(|byte| *byte == b',') {
                let (is_trusted, address) = match Hop::parse(hop).ok_or(malformed)? {
                    Hop::Address(ip) => (trust.includes_ip(ip), Some(ip)),
                    Hop::Unix => (trust.unix, None),
                    Hop::Unnamed => (false, None),
                };
                client = address;
                nearest_to_client = address.or(nearest_to_client);
                if !is_trusted {
                    return Ok(Self {
                        client,
                        nearest_to_client,
                        index_from_right: trusted_hops,
                    });
                }
                trusted_hops += 1;
            }
        }
        Ok(Self {
            client,
            nearest_to_client,
            index_from_right: trusted_hops.saturating_sub(1),
        })
    }

    /// `X-Forwarded-Host`, parsed.
    pub fn host<'a>(
        &self,
        headers: &'a HeaderMap,
    ) -> Result<Option<(Host<'a>, Option<u16>)>, HeadError> {
        let name = self.element(headers, "x-forwarded-host", "X-Forwarded-Host")?;
        let malformed = |_| HeadError::Forwarded("X-Forwarded-Host");
        name.map(parse_host).transpose().map_err(malformed)
    }

    /// `X-Forwarded-Host`, unparsed.
    pub fn authority<'a>(&self, headers: &'a HeaderMap) -> Result<Option<&'a str>, HeadError> {
        self.element(headers, "x-forwarded-host", "X-Forwarded-Host")
    }

    /// `X-Forwarded-Proto`: whether the client uses TLS.
    pub fn secure(&self, headers: &HeaderMap) -> Result<Option<bool>, HeadError> {
        let scheme = self.element(headers, "x-forwarded-proto", "X-Forwarded-Proto")?;
        scheme.map(scheme_uses_tls).transpose()
    }

    /// `X-Forwarded-Port`. 80 and 443 are ignored: a proxy behind the one that terminates TLS sends
    /// its own port 80, and the scheme implies the right default.
    pub fn port(&self, headers: &HeaderMap) -> Result<Option<u16>, HeadError> {
        let Some(text) = self.element(headers, "x-forwarded-port", "X-Forwarded-Port")? else {
            return Ok(None);
        };
        if text.is_empty() {
            return Ok(None);
        }
        let is_number = text.bytes().all(|byte| byte.is_ascii_digit());
        let port = text.parse().ok().filter(|port| is_number && *port != 0);
        let port: u16 = port.ok_or(HeadError::Forwarded("X-Forwarded-Port"))?;
        Ok((![80, 443].contains(&port)).then_some(port))
    }

    /// The element of a list that is about the client. If not every proxy appended one, the first.
    fn element<'a>(
        &self,
        headers: &'a HeaderMap,
        name: &'static str,
        name_in_error: &'static str,
    ) -> Result<Option<&'a str>, HeadError> {
        let malformed = HeadError::Forwarded(name_in_error);
        let mut lines = headers.get_all(HeaderName::from_static(name)).iter();
        let Some(line) = lines.next() else {
            return Ok(None);
        };
        if lines.any(|other| other != line) {
            return Err(malformed);
        }
        let list = line.to_str().map_err(|_| malformed)?;
        let elements = list.rsplit(',').take(self.index_from_right + 1);
        Ok(Some(elements.last().unwrap_or(list).trim()))
    }
}

impl Hop {
    /// Parses an element: an address, in brackets or not, with a port or not; `unix:`, `unknown` or `_name`.
    fn parse(text: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(text).ok()?.trim();
        if let Some(ip) = parse_ip(text) {
            return Some(Self::Address(ip.to_canonical()));
        }
        let starts_with = |word: &str| {
            let start = text.get(..word.len());
            start.is_some_and(|start| start.eq_ignore_ascii_case(word))
        };
        let is_unknown = text.eq_ignore_ascii_case("unknown") || starts_with("unknown:");
        match text {
            _ if starts_with("unix:") => Some(Self::Unix),
            _ if text.is_empty() || is_unknown || text.starts_with('_') => Some(Self::Unnamed),
            _ => None,
        }
    }
}

fn parse_ip(text: &str) -> Option<IpAddr> {
    if let Ok(ip) = text.parse() {
        return Some(ip);
    }
    if let Some((ip, _)) = text.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        return ip.parse().ok();
    }
    let address = text.parse::<std::net::SocketAddr>().ok()?;
    Some(address.ip())
}

/// Whether a scheme means TLS.
pub fn scheme_uses_tls(text: &str) -> Result<bool, HeadError> {
    if text.eq_ignore_ascii_case("https") || text.eq_ignore_ascii_case("wss") {
        Ok(true)
    } else if text.eq_ignore_ascii_case("http") || text.eq_ignore_ascii_case("ws") {
        Ok(false)
    } else {
        Err(HeadError::Forwarded("X-Forwarded-Proto"))
    }
}

/// The value of a header that a proxy writes; repeated values must be equal.
pub fn single_value<'a>(
    headers: &'a HeaderMap,
    name: &'static str,
) -> Result<Option<&'a str>, HeadError> {
    let mut found: Option<&str> = None;
    for value in headers.get_all(HeaderName::from_static(name)) {
        let value = value
            .to_str()
            .map_err(|_| HeadError::Forwarded(name))?
            .trim();
        if found.is_some_and(|other| other != value) {
            return Err(HeadError::Forwarded(name));
        }
        found = Some(value);
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The client and whether it uses TLS, behind the proxies of 10.0.0.0/8.
    fn read_client_and_tls(
        lines: &[(&str, &str)],
        unix: bool,
    ) -> Result<(Option<String>, Option<bool>), HeadError> {
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            let name = HeaderName::from_bytes(name.as_bytes()).unwrap();
            headers.append(name, value.parse().unwrap());
        }
        let trust = Trust {
            networks: vec!["10.0.0.0/8".parse().unwrap()],
            unix,
            ..Trust::default()
        };
        let hops = ForwardedHops::read(&headers, &trust)?;
        Ok((hops.client.map(|ip| ip.to_string()), hops.secure(&headers)?))
    }

    #[test]
    fn every_list_is_read_at_the_hop_of_the_client() {
        for (chain, schemes, unix, client, secure) in [
            ("203.0.113.9", "https", false, Some("203.0.113.9"), true),
            (
                "203.0.113.9, 10.1.1.1",
                "https, http",
                false,
                Some("203.0.113.9"),
                true,
            ),
            (
                "203.0.113.9, 198.51.100.7",
                "https, http",
                false,
                Some("198.51.100.7"),
                false,
            ),
            (
                "198.51.100.7, 203.0.113.9, 10.1.1.1",
                "https, http, https",
                false,
                Some("203.0.113.9"),
                false,
            ),
            (
                "203.0.113.9, 10.1.1.1",
                "https",
                false,
                Some("203.0.113.9"),
                true,
            ),
            ("unix:", "https", false, None, true),
            ("unknown", "https", false, None, true),
            ("", "https", false, None, true),
            ("_hidden", "https", false, None, true),
            ("203.0.113.9, unknown", "https, http", true, None, false),
            ("203.0.113.9, unix:", "https, http", false, None, false),
            (
                "203.0.113.9, unix:",
                "https, http",
                true,
                Some("203.0.113.9"),
                true,
            ),
            ("unix:, 10.1.1.1", "https", false, None, true),
            ("unix:, 10.1.1.1", "https", true, None, true),
            ("unknown, 10.1.1.1", "https", false, None, true),
            ("10.1.1.1", "https", false, Some("10.1.1.1"), true),
        ] {
            let result = read_client_and_tls(
                &[("x-forwarded-for", chain), ("x-forwarded-proto", schemes)],
                unix,
            );
            let expected = (client.map(str::to_owned), Some(secure));
            assert_eq!(result, Ok(expected), "{chain} {schemes} {unix}");
        }
    }

    #[test]
    fn a_malformed_hop_is_an_error_that_names_the_header() {
        for chain in [
            "a",
            "203.0.113.9/24",
            "203.0.113.999",
            "203.0.113.9 10.1.1.1",
            "unixx",
        ] {
            let malformed = Err(HeadError::Forwarded("X-Forwarded-For"));
            let result = read_client_and_tls(&[("x-forwarded-for", chain)], true);
            assert_eq!(result, malformed, "{chain}");
        }
    }
}
