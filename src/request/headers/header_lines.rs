//! `HeaderLines`: the headers that menshen adds to an upstream's request: forwarding headers,
//! identity and custom headers.

use std::io::Write as _;
use std::net::IpAddr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::header::{AUTHORIZATION, HOST, PROXY_AUTHORIZATION};
use http::{HeaderName, HeaderValue};

use super::connection_auth::authenticates_connection;
use super::encoding;
use super::identity_headers::{
    EncodedPerson, IDENTITY, IdentityHeaders, value_or_warn, warn_of_omitted,
};
use super::protected_headers::{are_aliases, is_reserved};
use crate::expression::{EvalError, Value};
use crate::request::gate::Caller;
use crate::request::head::{Head, Peer};
use crate::request::policy::{Permit, RequestVariables};
use crate::request::route::{BasicAuth, HeaderEncoding, Route};
use crate::secret::Secret;

/// The initial capacity, enough for most requests, in bytes.
const LINES_CAPACITY: usize = 1024;

const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
const FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const FORWARDED_PORT: HeaderName = HeaderName::from_static("x-forwarded-port");
const FORWARDED_PREFIX: HeaderName = HeaderName::from_static("x-forwarded-prefix");
const REAL_IP: HeaderName = HeaderName::from_static("x-real-ip");
/// The access token header that upstreams receive.
pub(super) const ACCESS_TOKEN: HeaderName = HeaderName::from_static("x-forwarded-access-token");

/// `host[:port]` as the client sent it. Reuses the client's header value if it is equal.
pub(super) fn authority(head: &Head<'_>) -> HeaderValue {
    let host = head.host.as_str();
    let client_value = head.headers.get(HOST).filter(|value| {
        let rest = value.as_bytes().strip_prefix(host.as_bytes());
        match (rest, head.port) {
            (Some(rest), None) => rest.is_empty(),
            (Some([b':', digits @ ..]), Some(port)) => {
                let digits = std::str::from_utf8(digits).ok();
                digits.is_some_and(|text| !text.starts_with('0') && text.parse() == Ok(port))
            }
            _ => false,
        }
    });
    let new_value = || {
        let text = match head.port {
            Some(port) => HeaderValue::from_str(&format!("{host}:{port}")),
            None => HeaderValue::from_str(host),
        };
        text.expect("a host is letters, digits and punctuation")
    };
    client_value.cloned().unwrap_or_else(new_value)
}

/// Header lines, ready to be sent.
#[derive(Clone, Default)]
pub(super) struct HeaderLines {
    lines: Vec<u8>,
    /// Headers that the client sent and the route passes: [`Self::add`] writes no lines for them.
    passed: Vec<HeaderName>,
    /// Whether custom credentials authenticate the whole connection.
    authenticates_connection: bool,
}

impl HeaderLines {
    /// No lines yet; [`Self::add`] adds none with these names.
    pub(super) fn without(passed: Vec<HeaderName>) -> Self {
        Self {
            passed,
            ..Self::default()
        }
    }

    /// All lines with their line ends.
    pub(super) fn lines(&self) -> &[u8] {
        &self.lines
    }

    /// Whether custom credentials authenticate the whole connection.
    pub(super) fn authenticates_connection(&self) -> bool {
        self.authenticates_connection
    }

    /// The lines as names and values.
    pub(super) fn into_pairs(self) -> Vec<(HeaderName, HeaderValue)> {
        let lines = self.lines.split(|byte| *byte == b'\n');
        let pairs = lines.filter_map(|line| {
            let line = line.strip_suffix(b"\r")?;
            let end = line.iter().position(|byte| *byte == b':')?;
            let value = line.get(end + 2..)?;
            let name = HeaderName::from_bytes(&line[..end]).ok()?;
            Some((name, HeaderValue::from_bytes(value).ok()?))
        });
        pairs.collect()
    }

    /// Adds a line; the value must be a valid header value.
    pub(super) fn add(&mut self, name: &HeaderName, value: &[u8]) {
        if !self.passed.contains(name) {
            super::append_line(&mut self.lines, name, value);
        }
    }

    /// Adds the forwarding headers: client, host, scheme and port.
    pub(super) fn add_forwarding_headers(&mut self, head: &Head<'_>, authority: &HeaderValue) {
        self.lines.reserve(LINES_CAPACITY);
        let (mut text, mut digits) = ([0; 48], [0; 48]);
        let client = format_ip(head.client_ip, &mut text);
        match forwarded_for(head) {
            Some(forwarded_for) => self.add(&FORWARDED_FOR, forwarded_for.as_bytes()),
            None => self.add(&FORWARDED_FOR, client),
        }
        self.add(&REAL_IP, client);
        self.add(&FORWARDED_HOST, authority.as_bytes());
        self.add(&FORWARDED_PROTO, head.scheme().as_bytes());
        let port = format_into(format_args!("{}", head.effective_port()), &mut digits);
        self.add(&FORWARDED_PORT, port);
    }

    /// Adds the removed path prefix.
    pub(super) fn add_prefix(&mut self, route: &Route) {
        if let Some(prefix) = route.stripped_prefix() {
            let value = HeaderValue::from_str(prefix).expect("a path prefix is plain ASCII");
            self.add(&FORWARDED_PREFIX, value.as_bytes());
        }
    }

    /// Adds the identity of a person.
    pub(super) fn add_identity(&mut self, permit: &Permit) {
        let Caller::Person(person) = permit.caller() else {
            return;
        };
        let encoding = permit.route().headers.encoding;
        let cached = EncodedPerson::cached(person, encoding);
        match cached.filter(|_| self.passed.is_empty()) {
            Some(cached) => self.lines.extend_from_slice(&cached.lines),
            None => self.add_identity_headers(&IdentityHeaders::of(person, encoding)),
        }
    }

    /// Adds an identity, encoded for the headers.
    pub(super) fn add_identity_headers(&mut self, identity: &IdentityHeaders) {
        for (name, value) in IDENTITY.into_iter().zip(identity.values()) {
            if let Some(value) = value {
                self.add(&name, value.as_bytes());
            }
        }
    }

    /// Adds the provider's current tokens, if the route sends them.
    pub(super) fn add_provider_tokens(&mut self, permit: &Permit, head: &Head<'_>) {
        let rules = &permit.route().headers;
        if !(rules.access_token || rules.id_token) {
            return;
        }
        let Caller::Person(person) = permit.caller() else {
            return;
        };
        if let Some(token) = &person.bearer_token {
            // The person is authenticated by a bearer token, which is an access token.
            let value = rules.access_token.then(|| token_value("", token)).flatten();
            if let Some(value) = value {
                super::append_line(&mut self.lines, &ACCESS_TOKEN, value.as_bytes());
            }
            return;
        }
        let Some(tokens) = person.provider_tokens() else {
            return;
        };
        let access = tokens
            .access_unless_expired(head.received_at)
            .filter(|_| rules.access_token);
        if let Some(value) = access.and_then(|token| token_value("", token)) {
            super::append_line(&mut self.lines, &ACCESS_TOKEN, value.as_bytes());
        }
        let id = tokens
            .id_unless_expired(head.received_at)
            .filter(|_| rules.id_token);
        if let Some(value) = id.and_then(|token| token_value("Bearer ", token)) {
            super::append_line(&mut self.lines, &AUTHORIZATION, value.as_bytes());
        }
    }

    /// Adds the custom headers of the route. One without a value is left out, even if it replaces an
    /// identity header.
    pub(super) fn add_custom_headers(&mut self, permit: &Permit, head: &Head<'_>) {
        let (route, rules) = (permit.route(), &permit.route().headers);
        if rules.custom.is_empty() && rules.basic_auth.is_none() {
            return;
        }
        let variables = RequestVariables::new(permit.caller(), head, head.path.as_str());
        for (name, expression) in rules.custom.iter().filter(|(name, _)| !is_reserved(name)) {
            self.remove(name);
            let value = match expression.evaluate(&variables) {
                Ok(value) => encode(name, rules.encoding, &value),
                // If the evaluation budget is exceeded, the request is refused afterwards.
                Err(EvalError::Missing { .. } | EvalError::BudgetExceeded) => None,
                Err(error @ (EvalError::WrongType { .. } | EvalError::Failed { .. })) => {
                    let (route, header) = (route.name.as_str(), name.as_str());
                    tracing::warn!(route, header, error = %error, "the expression of a custom header failed: the header is left out");
                    None
                }
            };
            if let Some(value) = value {
                super::append_line(&mut self.lines, name, value.as_bytes());
                self.authenticates_connection |= [AUTHORIZATION, PROXY_AUTHORIZATION]
                    .contains(name)
                    && authenticates_connection(value.as_bytes());
            }
        }
        if let Some(basic) = &rules.basic_auth {
            self.remove(&AUTHORIZATION);
            if let Some(value) = basic_credentials(basic, &variables) {
                super::append_line(&mut self.lines, &AUTHORIZATION, value.as_bytes());
            }
        }
    }

    /// Removes the lines of a name and its aliases.
    fn remove(&mut self, name: &HeaderName) {
        let mut lines = Vec::with_capacity(self.lines.capacity());
        for line in self.lines.split_inclusive(|byte| *byte == b'\n') {
            let line_name = line.split(|byte| *byte == b':').next().unwrap_or_default();
            if !are_aliases(line_name, name.as_str().as_bytes()) {
                lines.extend_from_slice(line);
            }
        }
        self.lines = lines;
    }
}

/// A token as a header value; absent if the provider's bytes are not valid in a header.
fn token_value(scheme: &str, token: &Secret<String>) -> Option<HeaderValue> {
    let text = zeroize::Zeroizing::new(format!("{scheme}{}", token.expose()));
    let bytes = token.expose().as_bytes();
    let is_printable = !bytes.is_empty() && bytes.iter().all(u8::is_ascii_graphic);
    let Some(mut value) = HeaderValue::from_str(&text).ok().filter(|_| is_printable) else {
        tracing::warn!(
            "a provider token has characters that a header cannot contain: it is not sent"
        );
        return None;
    };
    value.set_sensitive(true);
    Some(value)
}

/// A value of an expression as a header value; what cannot be encoded is left out and logged.
fn encode(name: &HeaderName, encoding: HeaderEncoding, value: &Value) -> Option<HeaderValue> {
    match value {
        Value::Null => None,
        Value::Text(text) => value_or_warn(name.as_str(), encoding::encode_text(encoding, text)),
        Value::List(items) => {
            let present = items.iter().filter(|item| **item != Value::Null);
            let texts: Vec<_> = present.map(scalar_text).collect();
            let nested = texts.iter().filter(|text| text.is_none()).count();
            let (value, refused) =
                encoding::encode_list(encoding, texts.iter().flatten().map(String::as_str));
            warn_of_omitted(name.as_str(), nested + refused);
            value
        }
        Value::Bool(_) | Value::Int(_) | Value::Float(_) | Value::Map(_) => {
            match scalar_text(value) {
                Some(text) => value_or_warn(name.as_str(), encoding::encode_text(encoding, &text)),
                None => {
                    warn_of_omitted(name.as_str(), 1);
                    None
                }
            }
        }
    }
}

/// The text of a value that is not null, a list or a map.
fn scalar_text(value: &Value) -> Option<String> {
    match value {
        Value::Bool(bool) => Some(bool.to_string()),
        Value::Int(int) => Some(int.to_string()),
        Value::Float(float) => Some(float.to_string()),
        Value::Text(text) => Some(text.clone()),
        Value::Null | Value::List(_) | Value::Map(_) => None,
    }
}

/// Basic credentials (RFC 7617) in UTF-8. A user name with a colon is refused, because the application
/// would read only the part before it.
fn basic_credentials(basic: &BasicAuth, variables: &RequestVariables<'_>) -> Option<HeaderValue> {
    let user = match basic.user.evaluate(variables) {
        Ok(Value::Null) | Err(EvalError::Missing { .. } | EvalError::BudgetExceeded) => {
            return None;
        }
        Ok(value) => scalar_text(&value),
        Err(EvalError::WrongType { .. } | EvalError::Failed { .. }) => None,
    };
    let is_forbidden = |byte: u8| byte == b':' || byte.is_ascii_control();
    let Some(user) = user.filter(|user| !user.bytes().any(is_forbidden)) else {
        tracing::warn!(
            "the user of basic_auth is not text, or has a colon or control character: no credentials are sent"
        );
        return None;
    };
    let pair = zeroize::Zeroizing::new(format!("{user}:{}", basic.password.expose()));
    let text = zeroize::Zeroizing::new(format!("Basic {}", STANDARD.encode(&*pair)));
    let mut value = HeaderValue::from_str(&text).ok()?;
    value.set_sensitive(true);
    Some(value)
}

/// The `X-Forwarded-For` of a trusted proxy, with the proxy's own address appended.
fn forwarded_for(head: &Head<'_>) -> Option<HeaderValue> {
    if !head.peer_trusted {
        return None;
    }
    let mut forwarded_for = Vec::new();
    for line in head.headers.get_all(FORWARDED_FOR) {
        if !forwarded_for.is_empty() {
            forwarded_for.extend_from_slice(b", ");
        }
        forwarded_for.extend_from_slice(line.as_bytes());
    }
    if let Peer::Ip(peer) = head.peer {
        let separator = if forwarded_for.is_empty() { "" } else { ", " };
        write!(forwarded_for, "{separator}{}", peer.to_canonical())
            .expect("a vector takes every byte");
    }
    HeaderValue::from_bytes(&forwarded_for)
        .ok()
        .filter(|value| !value.is_empty())
}

fn format_ip(ip: IpAddr, text: &mut [u8; 48]) -> &[u8] {
    match ip {
        IpAddr::V4(v4) => {
            let mut end = 0;
            for (index, octet) in v4.octets().into_iter().enumerate() {
                if index > 0 {
                    text[end] = b'.';
                    end += 1;
                }
                for (unit, shown_from) in [(100, 100), (10, 10), (1, 0)] {
                    if octet >= shown_from {
                        text[end] = b'0' + octet / unit % 10;
                        end += 1;
                    }
                }
            }
            &text[..end]
        }
        IpAddr::V6(v6) => format_into(format_args!("{v6}"), text),
    }
}

fn format_into<'a>(arguments: std::fmt::Arguments<'_>, text: &'a mut [u8; 48]) -> &'a [u8] {
    let mut rest = &mut text[..];
    rest.write_fmt(arguments)
        .expect("an address is at most 45 bytes, a port 5");
    let left = rest.len();
    &text[..48 - left]
}
