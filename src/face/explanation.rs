//! An explanation in words for operators, line by line or as JSON; both say the same.

use std::fmt::Write as _;

use serde_json::{Value, json};

use super::page::Cause;
use super::reply::status_of;
use crate::request::explain::{End, Explanation, Line, Upstream, Way};
use crate::telemetry::escape;

/// As one JSON object.
pub fn json(explanation: &Explanation) -> Value {
    let mut value = json!(explanation);
    let end = explanation.verdict.end;
    value["verdict"]["verdict"] = recorded_verdict(end).into();
    value["verdict"]["status"] = status(end).into();
    value
}

/// As lines: `request:`, `caller:`, `route:`, `not:`, `rule:`, `value:`, `note:`, `verdict:`,
/// `upstream:`, `header:`, each where there is something to say.
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
    for other in &explanation.not {
        lines.add("not", &format!("{}: {}", other.route, other.why));
    }
    if let Some(rule) = &explanation.rule {
        lines.add(
            "rule",
            &format!("{} = {} → {}", rule.key, rule.text, rule.says),
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
    lines.add("verdict", &verdict_text(verdict.end, &verdict.reason));
    if let Some(upstream) = &explanation.upstream {
        add_upstream(&mut lines, upstream);
    }
    lines.0
}

struct Lines(String);

impl Lines {
    /// One line, whatever stands in the text.
    fn add(&mut self, kind: &str, text: &str) {
        let text = escape::for_terminal_line(text);
        writeln!(self.0, "{kind}: {text}").expect("a string takes every text");
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
        _ => format!(", known by {}, too", joined(others)),
    };
    format!("{login}, as if just signed in through {via}{others}")
}

fn joined(names: Vec<&String>) -> String {
    let names: Vec<_> = names.into_iter().map(String::as_str).collect();
    names.join(", ")
}

fn route_text(way: &Way) -> String {
    match way {
        Way::Route { name, host, path } => format!("{name} (host {host}, path {path})"),
        Way::OwnPage { page } => format!("none, this is menshen's own page {page}"),
        Way::Nothing => "none".to_owned(),
        Way::Unread => "none, the request is malformed".to_owned(),
        Way::Ambiguous { readings } => {
            let found = readings.iter();
            let found = found.map(|reading| format!("{} finds {}", reading.path, reading.finds));
            let found: Vec<_> = found.collect();
            format!("ambiguous: {}", found.join(", but "))
        }
    }
}

/// What the records call it.
fn recorded_verdict(end: End) -> &'static str {
    match end {
        End::Allow | End::NoUpstream | End::Method | End::OwnPage => "allow",
        End::LogIn => "login",
        End::BadRequest | End::NoRoute | End::AmbiguousPath | End::Forbidden => "deny",
    }
}

/// What is answered where we answer; logins depend on whether a browser asks.
fn status(end: End) -> Option<u16> {
    let status = match end {
        End::Allow | End::OwnPage | End::LogIn => return None,
        End::NoUpstream | End::NoRoute => status_of(Cause::NotFound),
        End::Method => http::StatusCode::METHOD_NOT_ALLOWED,
        End::BadRequest => status_of(Cause::BadRequest),
        End::AmbiguousPath => status_of(Cause::AmbiguousPath),
        End::Forbidden => http::StatusCode::FORBIDDEN,
    };
    Some(status.as_u16())
}

fn verdict_text(end: End, reason: &str) -> String {
    let status = status(end).unwrap_or_default();
    match end {
        End::Allow => "allow".to_owned(),
        End::OwnPage => "allow, menshen answers itself".to_owned(),
        End::NoUpstream => format!("allow, then {status}: the route has no upstream"),
        End::Method => format!("allow, then {status}: the method is never forwarded"),
        End::LogIn => {
            format!("login ({reason}): a browser is led to log in, a program gets 401")
        }
        End::BadRequest | End::NoRoute | End::AmbiguousPath | End::Forbidden => {
            format!("deny, {status} ({reason})")
        }
    }
}

fn add_upstream(lines: &mut Lines, upstream: &Upstream) {
    let names = upstream.names.join(" or ");
    lines.add("upstream", &format!("{names} gets {}", upstream.request));
    for Line {
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
