//! Renders an explanation of a decision as lines or as JSON for operators.

use std::fmt::Write as _;

use serde_json::{Value, json};

use super::page::Cause;
use super::reply::status_of;
use crate::request::explain::{
    ExplainedMatch, ExplainedUpstream, Explanation, HeaderLine, VerdictKind,
};
use crate::telemetry::escape;
use crate::text;
use crate::wording::{Language, Text};

/// The kinds of lines.
const REQUEST: Text = Text::fixed("request", "请求");
const CALLER: Text = Text::fixed("caller", "身份");
const ROUTE: Text = Text::fixed("route", "路由");
const REJECTED: Text = Text::fixed("rejected", "不匹配");
const RULE: Text = Text::fixed("rule", "规则");
const VALUE: Text = Text::fixed("value", "取值");
const NOTE: Text = Text::fixed("note", "说明");
const VERDICT: Text = Text::fixed("verdict", "结论");
const UPSTREAM: Text = Text::fixed("upstream", "上游");
const HEADER: Text = Text::fixed("header", "请求头");

/// The explanation as one JSON object, in English.
pub fn json(explanation: &Explanation) -> Value {
    let mut value = json!(explanation);
    let kind = explanation.verdict.kind;
    value["verdict"]["verdict"] = recorded_verdict(kind).into();
    value["verdict"]["status"] = status(kind).into();
    value
}

/// The explanation as lines: `request:`, `caller:`, `route:`, `rejected:`, `rule:`, `value:`, `note:`,
/// `verdict:`, `upstream:`, `header:`. Lines without content are left out.
pub fn text(explanation: &Explanation, language: Language) -> String {
    let mut lines = Lines {
        text: String::new(),
        language,
    };
    let Explanation {
        request, verdict, ..
    } = explanation;
    let (method, url) = (&request.method, &request.url);
    lines.add(
        &REQUEST,
        &match &request.client {
            Some(client) => text!(
                "{method} {url} from {client}",
                "{method} {url} 来自 {client}"
            ),
            None => text!("{method} {url}", "{method} {url}"),
        },
    );
    lines.add(&CALLER, &caller_text(explanation));
    lines.add(&ROUTE, &route_text(&explanation.route));
    for rejected in &explanation.rejected_routes {
        let (route, why) = (&rejected.route, &rejected.why);
        lines.add(&REJECTED, &text!("{route}: {why}", "{route}：{why:#}"));
    }
    if let Some(rule) = &explanation.rule {
        let (key, value, result) = (rule.key, &rule.text, &rule.result);
        let line = text!("{key} = {value} → {result}", "{key} = {value} → {result:#}");
        lines.add(&RULE, &line);
    }
    for named in &explanation.values {
        let name = &named.name;
        lines.add(
            &VALUE,
            &match &named.value {
                Some(value) => text!("{name} = {value}", "{name} = {value}"),
                None => text!("{name}: not there", "{name}：没有值"),
            },
        );
    }
    for note in &explanation.notes {
        lines.add(&NOTE, note);
    }
    lines.add(&VERDICT, &verdict_text(verdict.kind, &verdict.reason));
    if let Some(upstream) = &explanation.upstream {
        add_upstream(&mut lines, upstream);
    }
    lines.text
}

struct Lines {
    text: String,
    language: Language,
}

impl Lines {
    /// Adds one line; line breaks and control characters in the text are escaped.
    fn add(&mut self, kind: &Text, text: &Text) {
        let kind = kind.in_language(self.language);
        let text = escape::for_terminal_line(text.in_language(self.language));
        let colon = match self.language {
            Language::English => ": ",
            Language::Chinese => "：",
        };
        // Writing to a String does not fail.
        let _ = writeln!(self.text, "{kind}{colon}{text}");
    }
}

fn caller_text(explanation: &Explanation) -> Text {
    let caller = &explanation.caller;
    let (Some(login), Some(via)) = (&caller.login, &caller.via) else {
        return Text::fixed("nobody", "未登录");
    };
    if caller.closed {
        return text!("{login}, whose account is closed", "{login}，账号已关闭");
    }
    let others: Vec<_> = caller.connectors.iter().filter(|id| *id != via).collect();
    let others = match others.as_slice() {
        [] => Text::default(),
        _ => {
            let others = comma_separated(others);
            text!(", known by {others}, too", "；{others} 也认识此人")
        }
    };
    text!(
        "{login}, as if just signed in through {via}{others}",
        "{login}，假定刚通过 {via} 登录{others:#}"
    )
}

fn comma_separated(names: Vec<&String>) -> String {
    let names: Vec<_> = names.into_iter().map(String::as_str).collect();
    names.join(", ")
}

fn route_text(explained_match: &ExplainedMatch) -> Text {
    match explained_match {
        ExplainedMatch::Route { name, host, path } => text!(
            "{name} (host {host}, path {path})",
            "{name}（主机 {host}，路径 {path}）"
        ),
        ExplainedMatch::OwnPage { page } => text!(
            "none, this is menshen's own page {page}",
            "无，这是 menshen 自己的页面 {page}"
        ),
        ExplainedMatch::None => Text::fixed("none", "无"),
        ExplainedMatch::InvalidRequest => {
            Text::fixed("none, the request is malformed", "无，请求格式不正确")
        }
        ExplainedMatch::Ambiguous { readings } => {
            let matches = readings.iter().map(|reading| {
                let (path, found) = (&reading.path, &reading.matches);
                text!("{path} finds {found}", "{path} → {found:#}")
            });
            let matches: Vec<_> = matches.collect();
            let matches = Text::join(&matches, &Text::fixed(", but ", "，而 "));
            text!("ambiguous: {matches}", "有歧义：{matches:#}")
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

fn verdict_text(kind: VerdictKind, reason: &Text) -> Text {
    let status = status(kind).unwrap_or_default();
    match kind {
        VerdictKind::Allow => Text::fixed("allow", "允许"),
        VerdictKind::OwnPage => {
            Text::fixed("allow, menshen answers itself", "允许，由 menshen 自己响应")
        }
        VerdictKind::NoUpstream => text!(
            "allow, for the check of another proxy: this route has no upstream and only answers checks; a \
             request sent to menshen itself gets {status}",
            "允许其他代理的检查请求：这条路由没有上游，只响应检查；直接发给 menshen 的请求得到 {status}"
        ),
        VerdictKind::MethodNotForwarded => text!(
            "allow, then {status}: the method is never forwarded",
            "允许，但得到 {status}：这个方法从不转发"
        ),
        VerdictKind::LogIn => text!(
            "login ({reason}): a browser is led to log in, a program gets 401",
            "需要登录（{reason:#}）：浏览器会转到登录页，程序得到 401"
        ),
        VerdictKind::BadRequest
        | VerdictKind::NoRoute
        | VerdictKind::AmbiguousPath
        | VerdictKind::Forbidden => {
            text!("deny, {status} ({reason})", "拒绝，{status}（{reason:#}）")
        }
    }
}

fn add_upstream(lines: &mut Lines, upstream: &ExplainedUpstream) {
    let names = Text::join(
        &upstream.names.iter().map(Text::of).collect::<Vec<_>>(),
        &Text::fixed(" or ", " 或 "),
    );
    let request = &upstream.request;
    lines.add(
        &UPSTREAM,
        &text!("{names} gets {request}", "{names:#} 收到 {request}"),
    );
    for HeaderLine {
        name,
        value,
        decoded,
    } in &upstream.headers
    {
        let decoded = match decoded {
            Some(decoded) => text!(" ({decoded})", "（{decoded}）"),
            None => Text::default(),
        };
        let line = text!("{name}: {value}{decoded}", "{name}: {value:#}{decoded:#}");
        lines.add(&HEADER, &line);
    }
}
