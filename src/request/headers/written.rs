//! What is written into an upstream's request: hops, identity, the route's own headers.

use std::io::Write as _;
use std::net::IpAddr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::header::{AUTHORIZATION, HOST};
use http::{HeaderName, HeaderValue};

use super::encoding::{self, EncodeError};
use super::inward::prefix_of;
use super::namespace::{are_aliases, is_reserved};
use crate::expression::{EvalError, Value};
use crate::people::session::Person;
use crate::request::gate::Caller;
use crate::request::head::{Head, Peer};
use crate::request::policy::{Permit, RequestFacts};
use crate::request::route::{BasicAuth, HeaderEncoding, Route};
use crate::secret::Secret;

type Written = Vec<(HeaderName, HeaderValue)>;

const FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const HOST_SEEN: HeaderName = HeaderName::from_static("x-forwarded-host");
const PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const PORT: HeaderName = HeaderName::from_static("x-forwarded-port");
const PREFIX: HeaderName = HeaderName::from_static("x-forwarded-prefix");
const REAL_IP: HeaderName = HeaderName::from_static("x-real-ip");
const USER: HeaderName = HeaderName::from_static("x-forwarded-user");
const PREFERRED: HeaderName = HeaderName::from_static("x-forwarded-preferred-username");
const NAME: HeaderName = HeaderName::from_static("x-forwarded-name");
const EMAIL: HeaderName = HeaderName::from_static("x-forwarded-email");
const GROUPS: HeaderName = HeaderName::from_static("x-forwarded-groups");
const ACCESS_TOKEN: HeaderName = HeaderName::from_static("x-forwarded-access-token");

/// A person as header values, whatever the headers are called. What is missing is absent.
///
/// Its `Debug` shows nothing.
#[derive(Clone)]
pub struct Identity {
    /// The login.
    pub user: Option<HeaderValue>,
    /// The name people call them.
    pub name: Option<HeaderValue>,
    /// The address.
    pub email: Option<HeaderValue>,
    /// The groups, separated by commas.
    pub groups: Option<HeaderValue>,
}

impl std::fmt::Debug for Identity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Identity(..)")
    }
}

impl Identity {
    /// Writes a person down as a route says.
    pub fn of(person: &Person, encoding: HeaderEncoding) -> Self {
        let one = |what: &str, text: &str| {
            let filled = Some(text).filter(|text| !text.is_empty());
            filled.and_then(|text| encoded(what, encoding::text(encoding, text)))
        };
        let fields = &person.entitlements.fields;
        let (groups, refused) = encoding::list(encoding, fields.groups.iter().map(String::as_str));
        warn_of_refused("groups", refused);
        Self {
            user: one("login", person.session.login.as_str()),
            name: fields.name.as_deref().and_then(|name| one("name", name)),
            email: fields
                .email
                .as_deref()
                .and_then(|email| one("email", email)),
            groups,
        }
    }
}

/// `host[:port]` as the client knows us; the client's own header when it says just that.
pub(super) fn authority(head: &Head<'_>) -> HeaderValue {
    let host = head.host.as_str();
    let sent = head.headers.get(HOST).filter(|sent| {
        let rest = sent.as_bytes().strip_prefix(host.as_bytes());
        match (rest, head.port) {
            (Some(rest), None) => rest.is_empty(),
            (Some([b':', digits @ ..]), Some(port)) => {
                let digits = std::str::from_utf8(digits).ok();
                digits.is_some_and(|text| !text.starts_with('0') && text.parse() == Ok(port))
            }
            _ => false,
        }
    });
    let written = || {
        let text = match head.port {
            Some(port) => HeaderValue::from_str(&format!("{host}:{port}")),
            None => HeaderValue::from_str(host),
        };
        text.expect("a host is letters, digits and punctuation")
    };
    sent.cloned().unwrap_or_else(written)
}

/// Where the request came from, and by which name.
pub(super) fn hops(written: &mut Written, head: &Head<'_>, authority: &HeaderValue) {
    let client = ip(head.client);
    written.push((FOR, chain(head).unwrap_or_else(|| client.clone())));
    written.push((REAL_IP, client));
    written.push((HOST_SEEN, authority.clone()));
    written.push((PROTO, HeaderValue::from_static(head.scheme())));
    let port = match head.effective_port() {
        443 => HeaderValue::from_static("443"),
        80 => HeaderValue::from_static("80"),
        port => HeaderValue::from(port),
    };
    written.push((PORT, port));
}

/// The prefix that is taken off.
pub(super) fn prefix(written: &mut Written, route: &Route) {
    if let Some(prefix) = prefix_of(route) {
        let value = HeaderValue::from_str(prefix).expect("a path prefix is plain ASCII");
        written.push((PREFIX, value));
    }
}

/// Who is asking, when that is known.
pub(super) fn identity(written: &mut Written, permit: &Permit) {
    let Caller::Person(person) = permit.caller() else {
        return;
    };
    let identity = Identity::of(person, permit.route().headers.encoding);
    if let Some(user) = identity.user {
        written.push((USER, user.clone()));
        written.push((PREFERRED, user));
    }
    let rest = [
        (NAME, identity.name),
        (EMAIL, identity.email),
        (GROUPS, identity.groups),
    ];
    written.extend(
        rest.into_iter()
            .filter_map(|(name, value)| Some((name, value?))),
    );
}

/// What the provider handed out, as it is now, where the route asks for it.
pub(super) fn tokens(written: &mut Written, permit: &Permit, head: &Head<'_>) {
    let rules = &permit.route().headers;
    if !(rules.access_token || rules.id_token) {
        return;
    }
    let Caller::Person(person) = permit.caller() else {
        return;
    };
    let Some(tokens) = person.tokens() else {
        return;
    };
    let access = tokens.access_at(head.at).filter(|_| rules.access_token);
    if let Some(value) = access.and_then(|token| credential("", token)) {
        written.push((ACCESS_TOKEN, value));
    }
    let id = tokens.id_at(head.at).filter(|_| rules.id_token);
    if let Some(value) = id.and_then(|token| credential("Bearer ", token)) {
        written.push((AUTHORIZATION, value));
    }
}

/// A token as a header's value; a provider's bytes that cannot stand in one are left out.
fn credential(scheme: &str, token: &Secret<String>) -> Option<HeaderValue> {
    let text = zeroize::Zeroizing::new(format!("{scheme}{}", token.expose()));
    let bytes = token.expose().as_bytes();
    let visible = !bytes.is_empty() && bytes.iter().all(u8::is_ascii_graphic);
    let Some(mut value) = HeaderValue::from_str(&text).ok().filter(|_| visible) else {
        tracing::warn!("a token has characters that no header takes: it is left out");
        return None;
    };
    value.set_sensitive(true);
    Some(value)
}

/// The route's own headers. One that has no value now is absent, even if we would have written it.
pub(super) fn own(written: &mut Written, permit: &Permit, head: &Head<'_>) {
    let (route, rules) = (permit.route(), &permit.route().headers);
    if rules.own.is_empty() && rules.basic_auth.is_none() {
        return;
    }
    let facts = RequestFacts::new(permit.caller(), head, head.path.as_str());
    for (name, expression) in rules.own.iter().filter(|(name, _)| !is_reserved(name)) {
        written.retain(|(known, _)| !are_aliases(known, name));
        let value = match expression.evaluate(&facts) {
            Ok(value) => encode(name, rules.encoding, &value),
            Err(EvalError::Missing { .. }) => None,
            Err(error @ (EvalError::WrongType { .. } | EvalError::Failed { .. })) => {
                let (route, header) = (route.name.as_str(), name.as_str());
                tracing::warn!(route, header, error = %error, "a header has no value");
                None
            }
        };
        written.extend(value.map(|value| (name.clone(), value)));
    }
    if let Some(basic) = &rules.basic_auth {
        written.retain(|(known, _)| *known != AUTHORIZATION);
        written.extend(credentials(basic, &facts).map(|value| (AUTHORIZATION, value)));
    }
}

fn encode(name: &HeaderName, encoding: HeaderEncoding, value: &Value) -> Option<HeaderValue> {
    match value {
        Value::Null => None,
        Value::Text(text) => encoded(name.as_str(), encoding::text(encoding, text)),
        Value::List(items) => {
            let present = items.iter().filter(|item| **item != Value::Null);
            let texts: Vec<_> = present.map(scalar).collect();
            let nested = texts.iter().filter(|text| text.is_none()).count();
            let (value, refused) =
                encoding::list(encoding, texts.iter().flatten().map(String::as_str));
            warn_of_refused(name.as_str(), nested + refused);
            value
        }
        Value::Bool(_) | Value::Int(_) | Value::Float(_) | Value::Map(_) => match scalar(value) {
            Some(text) => encoded(name.as_str(), encoding::text(encoding, &text)),
            None => {
                warn_of_refused(name.as_str(), 1);
                None
            }
        },
    }
}

fn scalar(value: &Value) -> Option<String> {
    match value {
        Value::Bool(bool) => Some(bool.to_string()),
        Value::Int(int) => Some(int.to_string()),
        Value::Float(float) => Some(float.to_string()),
        Value::Text(text) => Some(text.clone()),
        Value::Null | Value::List(_) | Value::Map(_) => None,
    }
}

/// Basic credentials (RFC 7617) in UTF-8; a user with a colon would become another user.
fn credentials(basic: &BasicAuth, facts: &RequestFacts<'_>) -> Option<HeaderValue> {
    let user = match basic.user.evaluate(facts) {
        Ok(Value::Null) | Err(EvalError::Missing { .. }) => return None,
        Ok(value) => scalar(&value),
        Err(EvalError::WrongType { .. } | EvalError::Failed { .. }) => None,
    };
    let wrong = |byte: u8| byte == b':' || byte.is_ascii_control();
    let Some(user) = user.filter(|user| !user.bytes().any(wrong)) else {
        tracing::warn!("the user of basic_auth has no value that can be sent");
        return None;
    };
    let pair = zeroize::Zeroizing::new(format!("{user}:{}", basic.password.expose()));
    let text = zeroize::Zeroizing::new(format!("Basic {}", STANDARD.encode(&*pair)));
    let mut value = HeaderValue::from_str(&text).ok()?;
    value.set_sensitive(true);
    Some(value)
}

/// The chain a trusted peer sent, and the peer behind it.
fn chain(head: &Head<'_>) -> Option<HeaderValue> {
    if !head.peer_trusted {
        return None;
    }
    let mut chain = Vec::new();
    for line in head.headers.get_all(FOR) {
        if !chain.is_empty() {
            chain.extend_from_slice(b", ");
        }
        chain.extend_from_slice(line.as_bytes());
    }
    if let Peer::Ip(peer) = head.peer {
        let separator = if chain.is_empty() { "" } else { ", " };
        write!(chain, "{separator}{}", peer.to_canonical()).expect("a vector takes every byte");
    }
    HeaderValue::from_bytes(&chain)
        .ok()
        .filter(|value| !value.is_empty())
}

fn ip(ip: IpAddr) -> HeaderValue {
    let mut text = [0; 48];
    let mut rest = &mut text[..];
    write!(rest, "{ip}").expect("an address is at most 45 bytes");
    let left = rest.len();
    HeaderValue::from_bytes(&text[..48 - left]).expect("an address is ASCII")
}

fn encoded(what: &str, value: Result<HeaderValue, EncodeError>) -> Option<HeaderValue> {
    value
        .inspect_err(|error| tracing::warn!(header = what, error = %error, "a header is left out"))
        .ok()
}

fn warn_of_refused(what: &str, refused: usize) {
    if refused > 0 {
        tracing::warn!(header = what, refused, "elements of a header are left out");
    }
}
