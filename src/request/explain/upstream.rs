//! `ExplainedUpstream`: the request head that the upstream would receive, without secrets.

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
use crate::wording::Text;

const NEW_FOR_EACH_REQUEST: Text = Text::fixed("(new for each request)", "（每个请求都不同）");
/// The placeholder for a secret.
const HIDDEN_SECRET: Text = Text::fixed(HIDDEN, "（已隐藏）");
/// The placeholder for a provider's token.
const HIDDEN_TOKEN: Text = Text::fixed(
    "(hidden, when the session has one)",
    "（已隐藏，会话有令牌时才有）",
);
const ACCESS_TOKEN: HeaderName = HeaderName::from_static("x-forwarded-access-token");
const SECRET_HEADERS: [HeaderName; 6] = [
    AUTHORIZATION,
    COOKIE,
    PROXY_AUTHORIZATION,
    ACCESS_TOKEN,
    HeaderName::from_static("x-auth-request-access-token"),
    HeaderName::from_static("x-menshen-assertion"),
];

/// The request that an upstream would receive, without headers of the body and of the connection.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ExplainedUpstream {
    /// The servers, as `host:port`; several share the load.
    pub names: Vec<String>,
    /// `GET /path?query`, without the prefix that is removed.
    pub request: String,
    /// In the order they are sent.
    pub headers: Vec<HeaderLine>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct HeaderLine {
    pub name: String,
    /// The value, or a placeholder.
    pub value: Text,
    /// The value without its percent-encoding.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub decoded: Option<String>,
}

impl ExplainedUpstream {
    /// Writes the request head as forwarding does, and parses it.
    pub(super) fn of(
        permit: &Permit,
        context: &ExplainContext<'_>,
        head: &Head<'_>,
        parts: &Parts,
        id: &RequestId,
    ) -> Self {
        let names = context.forwarder.upstream_names(permit.route());
        let no_name = HeaderValue::from_static("");
        let request_rewrite = RequestRewrite::new(permit, head, id, context.rewrite_options);
        let mut written = Vec::new();
        let (response_rewrite, upstream) = (
            request_rewrite.response_rewrite(parts),
            names.first().unwrap_or(&no_name),
        );
        let origin = UpstreamOrigin {
            authority: upstream,
            // Used only for URLs in `Destination` and `If`.
            tls: false,
        };
        request_rewrite.write(
            &mut written,
            parts,
            &response_rewrite,
            origin,
            BodyLength::NoBody,
        );
        let text = String::from_utf8_lossy(&written);
        let mut lines = text.split("\r\n").filter(|line| !line.is_empty());
        let request = lines.next().unwrap_or_default();
        let request = request.strip_suffix(" HTTP/1.1").unwrap_or(request);
        let headers = lines.filter_map(|line| line.split_once(": "));
        let headers = headers.map(|(name, value)| HeaderLine::of(name, value, id));
        let mut headers: Vec<_> = headers.collect();
        headers.extend(token_placeholders(permit, &headers));
        let name = |name: &HeaderValue| String::from_utf8_lossy(name.as_bytes()).into_owned();
        Self {
            names: names.iter().map(name).collect(),
            request: truncate(request),
            headers,
        }
    }
}

impl HeaderLine {
    pub(super) fn of(name: &str, value: &str, id: &RequestId) -> Self {
        let is_new = name == "traceparent" || (name == "x-request-id" && value == id.as_str());
        let (value, decoded) = match SECRET_HEADERS.iter().any(|secret| secret == name) {
            true => (HIDDEN_SECRET, None),
            false if is_new => (NEW_FOR_EACH_REQUEST, None),
            false => (Text::same(truncate(value)), decoded(value)),
        };
        let name = name.to_owned();
        Self {
            name,
            value,
            decoded,
        }
    }
}

/// The provider tokens that the route sends. An assumed login has none, so placeholders are shown.
fn token_placeholders(permit: &Permit, lines: &[HeaderLine]) -> Vec<HeaderLine> {
    if !matches!(permit.caller(), Caller::Person(_)) {
        return Vec::new();
    }
    let rules = &permit.route().headers;
    let sent = [
        (rules.access_token, ACCESS_TOKEN),
        (rules.id_token, AUTHORIZATION),
    ];
    let is_replaced = |name: &HeaderName| {
        lines.iter().any(|line| line.name == name.as_str())
            || rules.custom.iter().any(|(custom, _)| custom == name)
            || (*name == AUTHORIZATION && rules.basic_auth.is_some())
    };
    let sent = sent
        .into_iter()
        .filter(|(is_sent, name)| *is_sent && !is_replaced(name));
    sent.map(|(_, name)| HeaderLine {
        name: name.as_str().to_owned(),
        value: HIDDEN_TOKEN,
        decoded: None,
    })
    .collect()
}

/// The text that a value such as `%E5%BC%A0` encodes; `None` if the value contains no such text.
fn decoded(value: &str) -> Option<String> {
    let encoded = value.strip_prefix("UTF-8''").unwrap_or(value);
    let text = percent_decode_str(encoded).decode_utf8().ok()?;
    let is_readable = !text.chars().any(char::is_control) && !text.is_ascii();
    (is_readable && text != encoded).then(|| truncate(&text))
}
