//! `AccessRecord`: one request in the access log.

use std::fmt;
use std::net::IpAddr;
use std::time::Duration;

use super::RouteCounters;
use super::json_line::{JsonLine, truncate};
use crate::clock::Timestamp;

/// The maximum logged length of a path; a longer one is truncated, and `path_bytes` contains its
/// length.
const PATH_BYTES_MAX: usize = 2 * 1024;
/// The maximum logged length of a host, which is the maximum length in DNS and a port.
const HOST_BYTES_MAX: usize = 255 + ":65535".len();
/// The maximum logged length of a method.
const METHOD_BYTES_MAX: usize = 32;

/// The access record of one request, borrowed from the code that serves it.
///
/// It has no query string, which contains authorization codes on menshen's own paths and may contain
/// secrets of applications.
#[derive(Clone, Copy)]
pub struct AccessRecord<'a> {
    /// When the request was received.
    pub at: Timestamp,
    /// The request ID, which the application receives as `X-Request-Id` and error pages show.
    pub request_id: &'a str,
    /// The client's address, behind trusted proxies.
    pub client: IpAddr,
    pub method: &'a str,
    pub host: &'a str,
    /// The path without its query.
    pub path: &'a str,
    pub face: FaceLabel,
    /// The name of the route, if one matched.
    pub route: Option<&'a str>,
    /// The counters of this route.
    pub route_counters: Option<&'a RouteCounters>,
    /// The login name of the signed-in person.
    pub login: Option<&'a str>,
    /// The public ID of the session.
    pub session: Option<&'a dyn fmt::Display>,
    /// The public ID and the name of the access token, if one was the credential.
    pub access_token: Option<(&'a dyn fmt::Display, &'a str)>,
    /// The program of a bearer token: the configured name of its issuer, and its subject.
    pub program: Option<(&'a str, &'a str)>,
    pub verdict: VerdictLabel,
    /// Why the request was not allowed; for a request to one of menshen's own paths, which response it got.
    pub reason: Option<&'a str>,
    pub status: u16,
    /// The upstream as `host:port`.
    pub upstream: Option<&'a str>,
    /// From the request to the head of the response.
    pub took: Duration,
    /// The part of `took` that the upstream took.
    pub upstream_took: Option<Duration>,
    /// The length of the response body, if it is known.
    pub bytes: Option<u64>,
    /// Who cut the response short, if it is incomplete.
    pub cut: Option<CutBy>,
}

/// Who cut a response short.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CutBy {
    /// The upstream, or a time-out while waiting for it.
    Upstream,
    /// The client disconnected, did not send its whole request or sent too much; or menshen closed the
    /// connection or the stream.
    Client,
    /// menshen, because the request is no longer allowed.
    Session,
}

impl CutBy {
    /// The value in logs.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Upstream => "upstream",
            Self::Client => "client",
            Self::Session => "session",
        }
    }
}

/// The record of a response or tunnel that menshen ended because its request is no longer allowed.
#[derive(Clone, Copy)]
pub struct StreamEnd<'a> {
    /// When the stream ended.
    pub at: Timestamp,
    /// The request ID, as in the access record.
    pub request_id: &'a str,
    /// The client's address, behind trusted proxies.
    pub client: IpAddr,
    pub route: &'a str,
    /// The login name of the signed-in person.
    pub login: Option<&'a str>,
    /// The public ID of the session.
    pub session: Option<&'a dyn fmt::Display>,
    /// The access token, as in the access record.
    pub access_token: Option<(&'a dyn fmt::Display, &'a str)>,
    /// The program of a bearer token, as in the access record.
    pub program: Option<(&'a str, &'a str)>,
    pub kind: StreamKind,
    /// How long the stream was open.
    pub open_for: Duration,
}

/// An exchange that may stay open for long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StreamKind {
    ResponseBody,
    /// A WebSocket or another upgraded connection.
    Tunnel,
}

/// The value of the `face` label: which part of menshen responded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FaceLabel {
    /// The reverse proxy.
    Proxy,
    /// menshen's own paths.
    Own,
    /// The check for another proxy.
    Check,
}

/// The value of the `verdict` label.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum VerdictLabel {
    Allow,
    /// The client must log in first.
    Login,
    Deny,
}

impl FaceLabel {
    pub(super) const ALL: [Self; 3] = [Self::Proxy, Self::Own, Self::Check];

    /// The value in logs and metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Proxy => "proxy",
            Self::Own => "own",
            Self::Check => "check",
        }
    }
}

impl VerdictLabel {
    pub(super) const ALL: [Self; 3] = [Self::Allow, Self::Login, Self::Deny];

    /// The value in logs and metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Allow => "allow",
            Self::Login => "login",
            Self::Deny => "deny",
        }
    }
}

impl fmt::Debug for AccessRecord<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AccessRecord")
            .field("request_id", &self.request_id)
            .finish_non_exhaustive()
    }
}

impl AccessRecord<'_> {
    pub(super) fn write(&self, buffer: &mut Vec<u8>) {
        let mut line = JsonLine::begin(buffer, self.at, "menshen::access");
        line.text("request_id", self.request_id)
            .optional_display("client", Some(&self.client))
            .text("method", truncate(self.method, METHOD_BYTES_MAX))
            .text("host", truncate(self.host, HOST_BYTES_MAX));
        let path = path_only(self.path);
        line.text("path", truncate(path, PATH_BYTES_MAX));
        if path.len() > PATH_BYTES_MAX {
            line.number("path_bytes", path.len() as u64);
        }
        line.text("face", self.face.as_str())
            .optional_text("route", self.route)
            .optional_text("login", self.login)
            .optional_display("session", self.session)
            .optional_display("access_token", self.access_token.map(|(id, _)| id))
            .optional_text("access_token_name", self.access_token.map(|(_, name)| name))
            .optional_text("issuer", self.program.map(|(issuer, _)| issuer))
            .optional_text("subject", self.program.map(|(_, subject)| subject))
            .text("verdict", self.verdict.as_str())
            .optional_text("reason", self.reason)
            .number("status", self.status.into())
            .optional_text("upstream", self.upstream)
            .milliseconds("ms", self.took);
        if let Some(took) = self.upstream_took {
            line.milliseconds("upstream_ms", took);
        }
        if let Some(bytes) = self.bytes {
            line.number("bytes", bytes);
        }
        line.optional_text("cut", self.cut.map(CutBy::as_str));
        line.end();
    }
}

impl fmt::Debug for StreamEnd<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StreamEnd")
            .field("request_id", &self.request_id)
            .field("kind", &self.kind)
            .finish_non_exhaustive()
    }
}

impl StreamKind {
    /// The value in logs and metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ResponseBody => "answer",
            Self::Tunnel => "tunnel",
        }
    }
}

impl StreamEnd<'_> {
    pub(super) fn write(&self, buffer: &mut Vec<u8>) {
        let mut line = JsonLine::begin(buffer, self.at, "menshen::access");
        line.text("request_id", self.request_id)
            .optional_display("client", Some(&self.client))
            .text("route", self.route)
            .optional_text("login", self.login)
            .optional_display("session", self.session)
            .optional_display("access_token", self.access_token.map(|(id, _)| id))
            .optional_text("access_token_name", self.access_token.map(|(_, name)| name))
            .optional_text("issuer", self.program.map(|(issuer, _)| issuer))
            .optional_text("subject", self.program.map(|(_, subject)| subject))
            .text("verdict", VerdictLabel::Deny.as_str())
            .text("reason", "no longer allowed")
            .text("ended", self.kind.as_str())
            .milliseconds("ms", self.open_for);
        line.end();
    }
}

/// Removes a query that was passed by mistake.
fn path_only(path: &str) -> &str {
    path.split_once('?').map_or(path, |(path, _)| path)
}
