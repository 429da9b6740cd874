//! [`explain()`] describes how a request would be decided, and why. It calls the same functions as
//! a real request, but creates no session, contacts no source and writes nothing.

use http::HeaderMap;
use http::request::Parts;
use serde::Serialize;

use super::forward::{Forwarder, is_never_forwarded};
use super::gate::{Caller, Gate, LoginReason};
use super::head::{Head, HeadError, ParseOptions};
use super::headers::{RequestId, RewriteOptions};
use super::policy::{Denial, ForbiddenReason, Permit, Verdict, judge};
use super::route::{Route, RouteMatch, Routes};
use crate::clock::Timestamp;
use crate::people::directory::{Directory, SimulateError};
use crate::text;
use crate::wording::Text;

mod person;
mod query;
mod route_match;
mod rule;
mod upstream;

pub use person::{PersonOnRoute, explain_person};
pub use query::{ExplainArguments, ExplainQuery, ExplainQueryError};
pub use route_match::{ExplainedMatch, RejectedRoute};
pub use rule::{DecidingRule, NamedValue};
pub use upstream::{ExplainedUpstream, HeaderLine};

/// The maximum length of displayed texts, in characters.
const TEXT_CHARS_MAX: usize = 400;

/// Reasons of the access log.
const NO_ROUTE: Text = Text::fixed("no route", "没有路由");
const AMBIGUOUS_PATH: Text = Text::fixed("ambiguous path", "路径有歧义");
const BY_RULE: Text = Text::fixed("rule", "规则");
const TOO_COSTLY: Text = Text::fixed("too costly", "计算量过大");

/// The parts of a site that decide requests.
#[derive(Clone, Copy, Debug)]
pub struct ExplainContext<'a> {
    pub routes: &'a Routes,
    pub gate: &'a Gate,
    pub forwarder: &'a Forwarder,
    pub parse_options: ParseOptions<'a>,
    pub rewrite_options: RewriteOptions<'a>,
}

/// How a request would be decided, and why. Secrets are replaced by a placeholder.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Explanation {
    pub request: ExplainedRequest,
    pub caller: ExplainedCaller,
    /// The match of host and path.
    pub route: ExplainedMatch,
    /// The other routes, and why they do not match.
    #[serde(rename = "not")]
    pub rejected_routes: Vec<RejectedRoute>,
    /// The setting of the route that decides.
    pub rule: Option<DecidingRule>,
    /// What the rule reads, with values.
    pub values: Vec<NamedValue>,
    pub verdict: ExplainedVerdict,
    /// The request that the upstream would receive.
    pub upstream: Option<ExplainedUpstream>,
    /// Further remarks.
    pub notes: Vec<Text>,
}

/// The request, as far as it can be parsed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ExplainedRequest {
    pub method: String,
    /// `scheme://host[:port]/path`, as it is judged, without the query.
    pub url: String,
    /// The client address, determined through the trusted proxies.
    pub client: Option<String>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct ExplainedCaller {
    /// Absent for an anonymous caller.
    pub login: Option<String>,
    /// The ID of the account.
    pub account: Option<String>,
    /// The connector of the assumed login.
    pub via: Option<String>,
    /// The connectors that know the account, the most recently used first.
    pub connectors: Vec<String>,
    /// Whether the account is closed.
    pub closed: bool,
}

/// The decision.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ExplainedVerdict {
    #[serde(rename = "end")]
    pub kind: VerdictKind,
    /// The `reason` of the access log; may be empty.
    pub reason: Text,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum VerdictKind {
    /// The request is forwarded.
    Allow,
    /// The request is allowed, but the route has no upstream.
    NoUpstream,
    /// The request is allowed, but its method is never forwarded.
    #[serde(rename = "method")]
    MethodNotForwarded,
    /// The path is one of menshen's own.
    OwnPage,
    /// A login is required.
    LogIn,
    /// The request is invalid.
    BadRequest,
    /// No route matches.
    NoRoute,
    /// The readings of its path match different routes.
    AmbiguousPath,
    /// The rule denies the request.
    Forbidden,
}

/// Explains a request. `directory` is used only to look up the caller's account.
pub async fn explain(
    context: &ExplainContext<'_>,
    directory: &Directory,
    query: &ExplainQuery,
    now: Timestamp,
) -> Result<Explanation, SimulateError> {
    let mut notes = Vec::new();
    let (caller, explained_caller) =
        simulated_caller(context.gate, directory, query, now, &mut notes).await?;
    let (parts, connection) = query.request();
    let head = match Head::parse(&parts, &connection, context.parse_options, now) {
        Ok(head) => head,
        Err(error) => {
            return Ok(explain_invalid_head(
                &parts,
                explained_caller,
                connection.tls,
                error,
                notes,
            ));
        }
    };
    let (host, port) = (&head.host, head.effective_port());
    let url = format!("{}{}", head.origin(), head.path.as_str());
    let explanation = Explanation {
        request: ExplainedRequest {
            method: head.method.to_string(),
            url: truncate(&url),
            client: Some(head.client_ip.to_string()),
        },
        caller: explained_caller,
        route: ExplainedMatch::of(context.routes, &head),
        rejected_routes: route_match::rejected_routes(context.routes, &head),
        rule: None,
        values: Vec::new(),
        verdict: ExplainedVerdict::of(VerdictKind::NoRoute, NO_ROUTE),
        upstream: None,
        notes,
    };
    if context.routes.is_own_path(head.path.as_str()) {
        let verdict = ExplainedVerdict::of(VerdictKind::OwnPage, Text::default());
        return Ok(Explanation {
            verdict,
            ..explanation
        });
    }
    Ok(match context.routes.find(host, port, &head.path) {
        RouteMatch::Route(route) => {
            explain_route(explanation, context, route, caller, &head, &parts)
        }
        RouteMatch::None | RouteMatch::OwnPath => explanation,
        RouteMatch::Ambiguous => Explanation {
            verdict: ExplainedVerdict::of(VerdictKind::AmbiguousPath, AMBIGUOUS_PATH),
            ..explanation
        },
    })
}

/// Decides a request on its route, with the reasons.
fn explain_route(
    mut explanation: Explanation,
    context: &ExplainContext<'_>,
    route: &std::sync::Arc<Route>,
    caller: Caller,
    head: &Head<'_>,
    parts: &Parts,
) -> Explanation {
    explanation.notes.extend(rule::notes(route, &caller, head));
    let verdict = judge(route, caller.clone(), head);
    let (mut explained_verdict, permit) = explained_verdict(verdict, parts, context, route);
    let id = RequestId::of(&parts.headers, head.peer_trusted);
    let mut upstream =
        permit.map(|permit| ExplainedUpstream::of(&permit, context, head, parts, &id));
    if head.budget.is_spent() {
        (explained_verdict, upstream) = (
            ExplainedVerdict::of(VerdictKind::BadRequest, TOO_COSTLY),
            None,
        );
    }
    // The rule is evaluated once more to describe it.
    head.budget.reset();
    let (rule, values) = rule::explain_rule(route, caller, head);
    Explanation {
        rule: Some(rule),
        values,
        verdict: explained_verdict,
        upstream,
        ..explanation
    }
}

fn explained_verdict(
    verdict: Verdict,
    parts: &Parts,
    context: &ExplainContext<'_>,
    route: &Route,
) -> (ExplainedVerdict, Option<Permit>) {
    let denial = match verdict {
        Verdict::Allow(_) if context.forwarder.upstream_names(route).is_empty() => {
            let reason = Text::fixed("not-found", "不存在");
            return (ExplainedVerdict::of(VerdictKind::NoUpstream, reason), None);
        }
        Verdict::Allow(_) if is_never_forwarded(&parts.method) => {
            let (kind, reason) = (
                VerdictKind::MethodNotForwarded,
                Text::fixed("method", "方法"),
            );
            return (ExplainedVerdict::of(kind, reason), None);
        }
        Verdict::Allow(permit) => {
            let verdict = ExplainedVerdict::of(VerdictKind::Allow, Text::default());
            return (verdict, Some(permit));
        }
        // Does not occur: right after the assumed login no confirmation is due.
        Verdict::Reconfirm(_) => {
            let reason = Text::fixed("reload", "需要重新确认");
            return (ExplainedVerdict::of(VerdictKind::LogIn, reason), None);
        }
        Verdict::Login(needed) => {
            let reason = login_reason(needed.why);
            return (ExplainedVerdict::of(VerdictKind::LogIn, reason), None);
        }
        Verdict::Deny(denial) => denial,
    };
    let explained_verdict = match denial {
        Denial::AmbiguousPath => ExplainedVerdict::of(VerdictKind::AmbiguousPath, AMBIGUOUS_PATH),
        Denial::TooCostly { .. } => ExplainedVerdict::of(VerdictKind::BadRequest, TOO_COSTLY),
        Denial::Method { .. } => {
            let reason = Text::fixed("method not in capitals", "方法没有大写");
            ExplainedVerdict::of(VerdictKind::BadRequest, reason)
        }
        Denial::Forbidden { reason, .. } => match reason {
            ForbiddenReason::Rule => ExplainedVerdict::of(VerdictKind::Forbidden, BY_RULE),
            ForbiddenReason::RuleFailed(error) => {
                let reason = text!("rule failed: {error}", "规则出错：{error:#}");
                ExplainedVerdict::of(VerdictKind::Forbidden, reason)
            }
        },
        // `judge` returns none of these for an explained request, which has no bearer token and comes
        // from no proxy that asks for a decision.
        Denial::NoRoute
        | Denial::AccessToken { .. }
        | Denial::BadToken { .. }
        | Denial::Scope { .. }
        | Denial::TwoCallers { .. }
        | Denial::IssuerUnavailable { .. }
        | Denial::TooManyTokens { .. }
        | Denial::WeakToken { .. }
        | Denial::Address { .. }
        | Denial::Incomplete { .. }
        | Denial::Unavailable { .. } => ExplainedVerdict::of(VerdictKind::NoRoute, NO_ROUTE),
    };
    (explained_verdict, None)
}

/// The caller after the assumed login.
async fn simulated_caller(
    gate: &Gate,
    directory: &Directory,
    query: &ExplainQuery,
    now: Timestamp,
    notes: &mut Vec<Text>,
) -> Result<(Caller, ExplainedCaller), SimulateError> {
    let Some(login) = &query.login else {
        return Ok((
            Caller::Anonymous(LoginReason::NotSignedIn),
            ExplainedCaller::default(),
        ));
    };
    let via = query.via.as_ref();
    let simulation = directory.simulate_login(login, via, &gate.timeouts, now);
    let simulated = simulation.await?;
    let session = &simulated.person.session;
    let explained_caller = ExplainedCaller {
        login: Some(session.login.to_string()),
        account: Some(session.account.to_string()),
        via: Some(session.via.to_string()),
        connectors: simulated
            .connectors
            .iter()
            .map(ToString::to_string)
            .collect(),
        closed: simulated.closed,
    };
    if simulated.closed {
        notes.push(Text::fixed(
            "the account is closed: the person cannot sign in, so the request is anonymous",
            "账号已关闭：此人不能登录，请求按未登录处理",
        ));
        return Ok((
            Caller::Anonymous(LoginReason::NotSignedIn),
            explained_caller,
        ));
    }
    let via = session.via.clone();
    let caller = gate.caller_of(simulated.person);
    if matches!(caller, Caller::Anonymous(_)) {
        notes.push(text!(
            "the connector {via} is not configured: its sessions are not accepted",
            "没有配置认证源 {via}：不接受它的会话"
        ));
    }
    Ok((caller, explained_caller))
}

fn explain_invalid_head(
    parts: &Parts,
    caller: ExplainedCaller,
    https: bool,
    error: HeadError,
    notes: Vec<Text>,
) -> Explanation {
    let scheme = if https { "https" } else { "http" };
    Explanation {
        request: ExplainedRequest {
            method: parts.method.to_string(),
            url: truncate(&format!(
                "{scheme}://{}{}",
                host_header(&parts.headers),
                parts.uri.path()
            )),
            client: None,
        },
        caller,
        route: ExplainedMatch::InvalidRequest,
        rejected_routes: Vec::new(),
        rule: None,
        values: Vec::new(),
        verdict: ExplainedVerdict::of(VerdictKind::BadRequest, Text::of(&error)),
        upstream: None,
        notes,
    }
}

fn host_header(headers: &HeaderMap) -> String {
    let host = headers.get(http::header::HOST);
    host.map_or_else(String::new, |host| {
        String::from_utf8_lossy(host.as_bytes()).into_owned()
    })
}

impl ExplainedVerdict {
    fn of(kind: VerdictKind, reason: Text) -> Self {
        Self { kind, reason }
    }

    /// Whether the rule of the route gave the answer no.
    pub fn is_by_rule(&self) -> bool {
        self.reason == BY_RULE
    }
}

/// Why a login is needed; in English as the access log has it.
fn login_reason(why: LoginReason) -> Text {
    let chinese = match why {
        LoginReason::NotSignedIn => "未登录",
        LoginReason::Expired => "会话已结束",
        LoginReason::OtherConnector => "会话来自其他认证源",
        LoginReason::StepUp => "需要更强或更近的登录",
    };
    Text::fixed(why.as_str(), chinese)
}

/// Truncates a text for display.
fn truncate(text: &str) -> String {
    match text.char_indices().nth(TEXT_CHARS_MAX) {
        Some((index, _)) => format!("{}…", &text[..index]),
        None => text.to_owned(),
    }
}
