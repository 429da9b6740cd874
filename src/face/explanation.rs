//! Renders an explanation of a decision as lines or as JSON for operators.

use std::fmt::Write as _;

use serde_json::{Value, json};

use super::page::Cause;
use super::reply::status_of;
use crate::request::explain::{
    ExplainedMatch, ExplainedUpstream, Explanation, HeaderLine, VerdictKind,
};
use crate::telemetry::escape;

/// The explanation as one JSON object.
pub fn json(explanation: &Explanation) -> Value {
    let mut value = json!(explanation);
    let kind = explanation.verdict.kind;
    value["verdict"]["verdict"] = recorded_verdict(kind).into();
    value["verdict"]["status"] = status(kind).into();
    value
}

/// The explanation as lines: `request:`, `caller:`, `route:`, `rejected:`, `rule:`, `value:`, `note:`,
/// `verdict:`, `upstream:`, `header:`. Lines without content are left out.
pub fn text(explanation: &Explanation) -> String {
    let mut lines = Lines(String::new());
    let Explanation {
        request, verdict, ..
    } = explanation;
    let from = request.client.as_deref();
    let from = from.map_or_else(String::new, |client| format!(" from {client}"));
    lines.add(
        "request",
        &format!("{} {}{from}", request.method, request.url),
    );
    lines.add("caller", &caller_text(explanation));
    lines.add("route", &route_text(&explanation.route));
    for rejected in &explanation.rejected_routes {
        lines.add("rejected", &format!("{}: {}", rejected.route, rejected.why));
    }
    if let Some(rule) = &explanation.rule {
        lines.add(
            "rule",
            &format!("{} = {} → {}", rule.key, rule.text, rule.result),
        );
    }
    for named in &explanation.values {
        let value = named.value.as_ref();
        let value = value.map_or_else(|| ": not there".to_owned(), |value| format!(" = {value}"));
        lines.add("value", &format!("{}{value}", named.name));
    }
    for note in &explanation.notes {
        lines.add("note", note);
    }
    lines.add("verdict", &verdict_text(verdict.kind, &verdict.reason));
    if let Some(upstream) = &explanation.upstream {
        add_upstream(&mut lines, upstream);
    }
    lines.0
}

struct Lines(String);

impl Lines {
    /// Adds one line; line breaks and control characters in the text are escaped.
    fn add(&mut self, kind: &str, text: &str) {
        let text = escape::for_terminal_line(text);
        writeln!(self.0, "{kind}: {text}").expect("writing to a String does not fail");
    }
}

fn caller_text(explanation: &Explanation) -> String {
    let caller = &explanation.caller;
    let (Some(login), Some(via)) = (&caller.login, &caller.via) else {
        return "nobody".to_owned();
    };
    if caller.closed {
        return format!("{login}, whose account is closed");
    }
    let others: Vec<_> = caller.connectors.iter().filter(|id| *id != via).collect();
    let others = match others.as_slice() {
        [] => String::new(),
        _ => format!(", known by {}, too", comma_separated(others)),
    };
    format!("{login}, as if just signed in through {via}{others}")
}

fn comma_separated(names: Vec<&String>) -> String {
    let names: Vec<_> = names.into_iter().map(String::as_str).collect();
    names.join(", ")
}

fn route_text(explained_match: &ExplainedMatch) -> String {
    match explained_match {
        ExplainedMatch::Route { name, host, path } => format!("{name} (host {host}, path {path})"),
        ExplainedMatch::OwnPage { page } => format!("none, this is menshen's own page {page}"),
        ExplainedMatch::None => "none".to_owned(),
        ExplainedMatch::InvalidRequest => "none, the request is malformed".to_owned(),
        ExplainedMatch::Ambiguous { readings } => {
            let matches = readings.iter();
            let matches =
                matches.map(|reading| format!("{} finds {}", reading.path, reading.matches));
            let matches: Vec<_> = matches.collect();
            format!("ambiguous: {}", matches.join(", but "))
        }
    }
}

/// The verdict as the access log names it.
fn recorded_verdict(kind: VerdictKind) -> &'static str {
    match kind {
        VerdictKind::Allow
        | VerdictKind::NoUpstream
        | VerdictKind::MethodNotForwarded
        | VerdictKind::OwnPage => "allow",
        VerdictKind::LogIn => "login",
        VerdictKind::BadRequest
        | VerdictKind::NoRoute
        | VerdictKind::AmbiguousPath
        | VerdictKind::Forbidden => "deny",
    }
}

/// The status, if the decision fixes it: none for allow, for own paths and for a login.
fn status(kind: VerdictKind) -> Option<u16> {
    let status = match kind {
        VerdictKind::Allow | VerdictKind::OwnPage | VerdictKind::LogIn => return None,
        VerdictKind::NoUpstream | VerdictKind::NoRoute => status_of(Cause::NotFound),
        VerdictKind::MethodNotForwarded => http::StatusCode::METHOD_NOT_ALLOWED,
        VerdictKind::BadRequest => status_of(Cause::BadRequest),
        VerdictKind::AmbiguousPath => status_of(Cause::AmbiguousPath),
        VerdictKind::Forbidden => http::StatusCode::FORBIDDEN,
    };
    Some(status.as_u16())
}

fn verdict_text(kind: VerdictKind, reason: &str) -> String {
    let status = status(kind).unwrap_or_default();
    match kind {
        VerdictKind::Allow => "allow".to_owned(),
        VerdictKind::OwnPage => "allow, menshen answers itself".to_owned(),
        VerdictKind::NoUpstream => format!("allow, then {status}: the route has no upstream"),
        VerdictKind::MethodNotForwarded => {
            format!("allow, then {status}: the method is never forwarded")
        }
        VerdictKind::LogIn => {
            format!("login ({reason}): a browser is led to log in, a program gets 401")
        }
        VerdictKind::BadRequest
        | VerdictKind::NoRoute
        | VerdictKind::AmbiguousPath
        | VerdictKind::Forbidden => {
            format!("deny, {status} ({reason})")
        }
    }
}

fn add_upstream(lines: &mut Lines, upstream: &ExplainedUpstream) {
    let names = upstream.names.join(" or ");
    lines.add("upstream", &format!("{names} gets {}", upstream.request));
    for HeaderLine {
        name,
        value,
        decoded,
    } in &upstream.headers
    {
        let decoded = decoded.as_deref();
        let decoded = decoded.map_or_else(String::new, |text| format!(" ({text})"));
        lines.add("header", &format!("{name}: {value}{decoded}"));
    }
}
