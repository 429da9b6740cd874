//! `Access`: what became of one request.

use std::fmt;
use std::net::IpAddr;
use std::time::Duration;

use super::json_line::{JsonLine, truncate};
use crate::clock::Timestamp;

/// How much of a path is written down; a longer one is cut, and `path_bytes` says how long it is.
const PATH_BYTES_MAX: usize = 2 * 1024;
/// How much of a host is written down: no name in the DNS is longer.
const HOST_BYTES_MAX: usize = 255 + ":65535".len();
/// How much of a method is written down.
const METHOD_BYTES_MAX: usize = 32;

/// What a face says about one request when it is answered. Lends everything.
///
/// There is no place for a query string: those of own paths carry codes, and those of applications
/// whatever they carry.
#[derive(Clone, Copy)]
pub struct AccessRecord<'a> {
    /// When the request was received.
    pub at: Timestamp,
    /// Its id, also in the answer and on error pages.
    pub request_id: &'a str,
    /// The id of its trace.
    pub trace_id: Option<&'a str>,
    /// Who sent it, behind trusted proxies.
    pub client: IpAddr,
    /// How.
    pub method: &'a str,
    /// Which host was asked for.
    pub host: &'a str,
    /// The path alone.
    pub path: &'a str,
    /// Who answered.
    pub face: FaceLabel,
    /// The route, when one was found.
    pub route: Option<&'a str>,
    /// The login of a person.
    pub login: Option<&'a str>,
    /// The public id of their session.
    pub session: Option<&'a dyn fmt::Display>,
    /// The program of a bearer token: its issuer as configured, and what that calls it.
    pub program: Option<(&'a str, &'a str)>,
    /// What was decided.
    pub verdict: VerdictLabel,
    /// Why, unless it was allowed.
    pub reason: Option<&'a str>,
    /// What was answered.
    pub status: u16,
    /// Who behind us answered.
    pub upstream: Option<&'a str>,
    /// From the request to the head of the answer.
    pub took: Duration,
    /// How much of that was the upstream's.
    pub upstream_took: Option<Duration>,
    /// The length of the answer, when it is known.
    pub bytes: Option<u64>,
    /// Who ended the answer before its end.
    pub cut: Option<CutBy>,
}

/// Who ended an answer before its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CutBy {
    /// The application, or its time was up.
    Upstream,
    /// The client went away or broke its request off.
    Client,
    /// We, because whoever asked may no longer pass.
    Session,
}

impl CutBy {
    /// As it stands in logs.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Upstream => "upstream",
            Self::Client => "client",
            Self::Session => "session",
        }
    }
}

/// What is said of a request that was ended after its answer had begun, because whoever sent it may
/// no longer pass.
#[derive(Clone, Copy)]
pub struct StreamEnd<'a> {
    /// When it was ended.
    pub at: Timestamp,
    /// Its id, as in its access record.
    pub request_id: &'a str,
    /// Who sent it, behind trusted proxies.
    pub client: IpAddr,
    /// The route.
    pub route: &'a str,
    /// The login of a person.
    pub login: Option<&'a str>,
    /// The public id of their session.
    pub session: Option<&'a dyn fmt::Display>,
    /// The program of a bearer token, as in an access record.
    pub program: Option<(&'a str, &'a str)>,
    /// What went on.
    pub what: StreamKind,
    /// For how long.
    pub after: Duration,
}

/// What may go on for long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StreamKind {
    /// The body of an answer.
    ResponseBody,
    /// A WebSocket, or whatever follows another upgrade.
    Tunnel,
}

/// Which face answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FaceLabel {
    /// The application, through us.
    Proxy,
    /// Our own paths.
    Own,
    /// A check for another proxy.
    Check,
}

/// What was decided, as a label.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum VerdictLabel {
    /// It was let through.
    Allow,
    /// A login is needed first.
    Login,
    /// It was turned away.
    Deny,
}

impl FaceLabel {
    pub(super) const ALL: [Self; 3] = [Self::Proxy, Self::Own, Self::Check];

    /// As it stands in logs and metrics.
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

    /// As it stands in logs and metrics.
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
            .optional_text("trace_id", self.trace_id)
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
            .field("what", &self.what)
            .finish_non_exhaustive()
    }
}

impl StreamKind {
    /// As it stands in logs and metrics.
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
            .optional_text("issuer", self.program.map(|(issuer, _)| issuer))
            .optional_text("subject", self.program.map(|(_, subject)| subject))
            .text("verdict", VerdictLabel::Deny.as_str())
            .text("reason", "no longer allowed")
            .text("ended", self.what.as_str())
            .milliseconds("ms", self.after);
        line.end();
    }
}

/// Cuts off a query that came along by mistake.
fn path_only(path: &str) -> &str {
    path.split_once('?').map_or(path, |(path, _)| path)
}
