//! `ExplainedUpstream`: the very head that would be sent on, but for what is secret.

use http::header::{AUTHORIZATION, COOKIE, PROXY_AUTHORIZATION};
use http::request::Parts;
use http::{HeaderName, HeaderValue};
use percent_encoding::percent_decode_str;
use serde::Serialize;

use super::rule::HIDDEN;
use super::{ExplainContext, truncate};
use crate::request::gate::Caller;
use crate::request::head::Head;
use crate::request::headers::{BodyLength, RequestId, RequestRewrite, UpstreamOrigin};
use crate::request::policy::Permit;

/// What every request has anew.
const NEW_FOR_EACH_REQUEST: &str = "(new for each request)";
/// A provider's token.
const HIDDEN_TOKEN: &str = "(hidden, when the session has one)";
const ACCESS_TOKEN: HeaderName = HeaderName::from_static("x-forwarded-access-token");
/// Headers that prove who somebody is.
const SECRETS: [HeaderName; 6] = [
    AUTHORIZATION,
    COOKIE,
    PROXY_AUTHORIZATION,
    ACCESS_TOKEN,
    HeaderName::from_static("x-auth-request-access-token"),
    HeaderName::from_static("x-menshen-assertion"),
];

/// What an upstream would get. Headers of the body and of the connection are not in it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ExplainedUpstream {
    /// Who serves, as `host:port`; several share the load.
    pub names: Vec<String>,
    /// `GET /path?query`, without the prefix that is taken off.
    pub request: String,
    /// Its headers, in the order they are sent.
    pub headers: Vec<HeaderLine>,
}

/// One header line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct HeaderLine {
    /// Lower case.
    pub name: String,
    /// As it is sent.
    pub value: String,
    /// What stands behind percent-encoding.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub decoded: Option<String>,
}

impl ExplainedUpstream {
    /// Writes the head as the route_match to the upstream does, and reads it.
    pub(super) fn of(
        permit: &Permit,
        context: &ExplainContext<'_>,
        head: &Head<'_>,
        parts: &Parts,
        id: &RequestId,
    ) -> Self {
        let names = context.forwarder.names(permit.route());
        let nobody = HeaderValue::from_static("");
        let request_rewrite = RequestRewrite::new(permit, head, id, context.rewrite_options);
        let mut written = Vec::new();
        let (response_rewrite, upstream) = (
            request_rewrite.response_rewrite(parts),
            names.first().unwrap_or(&nobody),
        );
        let name = UpstreamOrigin {
            authority: upstream,
            tls: false,
        };
        request_rewrite.write(
            &mut written,
            parts,
            &response_rewrite,
            name,
            BodyLength::NoBody,
        );
        let text = String::from_utf8_lossy(&written);
        let mut lines = text.split("\r\n").filter(|line| !line.is_empty());
        let request = lines.next().unwrap_or_default();
        let request = request.strip_suffix(" HTTP/1.1").unwrap_or(request);
        let headers = lines.filter_map(|line| line.split_once(": "));
        let headers = headers.map(|(name, value)| HeaderLine::of(name, value, id));
        let mut headers: Vec<_> = headers.collect();
        headers.extend(tokens(permit, &headers));
        let name = |name: &HeaderValue| String::from_utf8_lossy(name.as_bytes()).into_owned();
        Self {
            names: names.iter().map(name).collect(),
            request: truncate(request),
            headers,
        }
    }
}

impl HeaderLine {
    fn of(name: &str, value: &str, id: &RequestId) -> Self {
        let is_new = name == "traceparent" || (name == "x-request-id" && value == id.as_str());
        let (value, decoded) = match SECRETS.iter().any(|secret| secret == name) {
            true => (HIDDEN.to_owned(), None),
            false if is_new => (NEW_FOR_EACH_REQUEST.to_owned(), None),
            false => (truncate(value), decoded(value)),
        };
        let name = name.to_owned();
        Self {
            name,
            value,
            decoded,
        }
    }
}

/// The tokens of a source that a route sends on: a simulated login has none.
fn tokens(permit: &Permit, lines: &[HeaderLine]) -> Vec<HeaderLine> {
    if !matches!(permit.caller(), Caller::Person(_)) {
        return Vec::new();
    }
    let rules = &permit.route().headers;
    let sent = [
        (rules.access_token, ACCESS_TOKEN),
        (rules.id_token, AUTHORIZATION),
    ];
    let replaced = |name: &HeaderName| {
        lines.iter().any(|line| line.name == name.as_str())
            || rules.own.iter().any(|(own, _)| own == name)
            || (*name == AUTHORIZATION && rules.basic_auth.is_some())
    };
    let sent = sent
        .into_iter()
        .filter(|(is_sent, name)| *is_sent && !replaced(name));
    sent.map(|(_, name)| HeaderLine {
        name: name.as_str().to_owned(),
        value: HIDDEN_TOKEN.to_owned(),
        decoded: None,
    })
    .collect()
}

/// What people read behind `%E5%BC%A0`; nothing where that is nothing else.
fn decoded(value: &str) -> Option<String> {
    let bare = value.strip_prefix("UTF-8''").unwrap_or(value);
    let text = percent_decode_str(bare).decode_utf8().ok()?;
    let readable = !text.chars().any(char::is_control) && !text.is_ascii();
    (readable && text != bare).then(|| truncate(&text))
}
