//! `explain()`: what would become of a request, and why. Asks the same functions as a request does,
//! and nobody else: no session is minted, no source is asked, nothing is written.

use http::HeaderMap;
use http::request::Parts;
use serde::Serialize;

use super::forward::{Forwarder, is_never_forwarded};
use super::gate::{Caller, Gate, LoginReason};
use super::head::{Head, HeadError, Reading};
use super::headers::{RequestId, RewriteOptions};
use super::policy::{Denial, ForbiddenReason, Permit, Verdict, judge};
use super::route::{Found, Route, Routes};
use crate::clock::Timestamp;
use crate::people::directory::{Directory, SimulateError};

mod question;
mod rule;
mod upstream;
mod way;

pub use question::{Question, QuestionError, Words};
pub use rule::{Named, Rule};
pub use upstream::{Line, Upstream};
pub use way::{NotRoute, Way};

/// The longest text that is shown whole, in characters.
const TEXT_CHARS_MAX: usize = 400;

/// What decides about requests.
#[derive(Clone, Copy, Debug)]
pub struct Ways<'a> {
    /// Where they may go.
    pub routes: &'a Routes,
    /// Whose sessions count.
    pub gate: &'a Gate,
    /// Where the routes lead.
    pub forwarder: &'a Forwarder,
    /// How requests are read.
    pub reading: Reading<'a>,
    /// How requests to upstreams are written.
    pub rewrite_options: RewriteOptions<'a>,
}

/// What would become of a request, and why. Holds no secrets: what is one is said to be hidden.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Explanation {
    /// What was asked.
    pub request: Asked,
    /// Who would ask.
    pub caller: Asking,
    /// What is found for host and path.
    pub route: Way,
    /// The other routes, and why not.
    pub not: Vec<NotRoute>,
    /// What permit_and_rewrite, on a route.
    pub rule: Option<Rule>,
    /// What the rule named, and what that was.
    pub values: Vec<Named>,
    /// What became of it.
    pub verdict: Ending,
    /// What the upstream would get.
    pub upstream: Option<Upstream>,
    /// What else one should know.
    pub notes: Vec<String>,
}

/// The request that was asked about, as far as it can be read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Asked {
    /// How.
    pub method: String,
    /// `scheme://host[:port]/path`, as it is judged; the query is nobody's business.
    pub url: String,
    /// Who sent it, behind the trusted hops.
    pub client: Option<String>,
}

/// Who would ask.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Asking {
    /// What applications know them by; absent: nobody.
    pub login: Option<String>,
    /// Whose account it is.
    pub account: Option<String>,
    /// Through which connector they would have come in.
    pub via: Option<String>,
    /// The connectors they are known by, the one they came in by last first.
    pub connectors: Vec<String>,
    /// Whether the account is closed.
    pub closed: bool,
}

/// What became of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Ending {
    /// Which way it ends.
    pub end: End,
    /// As the record of requests says it; empty where that says nothing.
    pub reason: String,
}

/// Which way a request ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum End {
    /// It is forwarded.
    Allow,
    /// It may pass, and the route leads nowhere.
    NoUpstream,
    /// It may pass, and its method is never forwarded.
    Method,
    /// We answer it.
    OwnPage,
    /// Log in first.
    LogIn,
    /// Nobody should act on its head.
    BadRequest,
    /// No route serves it.
    NoRoute,
    /// Its path may be read in several ways that are not the same.
    AmbiguousPath,
    /// The rule says no.
    Forbidden,
}

/// Explains a request. `directory` is asked only who somebody is.
pub async fn explain(
    ways: &Ways<'_>,
    directory: &Directory,
    question: &Question,
    at: Timestamp,
) -> Result<Explanation, SimulateError> {
    let mut notes = Vec::new();
    let (caller, asking) = caller(ways.gate, directory, question, at, &mut notes).await?;
    let (parts, connection) = question.request();
    let head = match Head::of(&parts, &connection, ways.reading, at) {
        Ok(head) => head,
        Err(error) => return Ok(bad_head(&parts, asking, connection.tls, error, notes)),
    };
    let (host, port) = (&head.host, head.effective_port());
    let url = format!("{}{}", head.origin(), head.path.as_str());
    let explanation = Explanation {
        request: Asked {
            method: head.method.to_string(),
            url: cut(&url),
            client: Some(head.client.to_string()),
        },
        caller: asking,
        route: Way::of(ways.routes, &head),
        not: way::others(ways.routes, &head),
        rule: None,
        values: Vec::new(),
        verdict: Ending::of(End::NoRoute, "no route"),
        upstream: None,
        notes,
    };
    if ways.routes.is_own(head.path.as_str()) {
        let verdict = Ending::of(End::OwnPage, "");
        return Ok(Explanation {
            verdict,
            ..explanation
        });
    }
    Ok(match ways.routes.find(host, port, &head.path) {
        Found::Route(route) => judged(explanation, ways, route, caller, &head, &parts),
        Found::None | Found::Own => explanation,
        Found::Ambiguous => Explanation {
            verdict: Ending::of(End::AmbiguousPath, "ambiguous path"),
            ..explanation
        },
    })
}

/// The very judgement of a request on a route.
fn judged(
    mut explained: Explanation,
    ways: &Ways<'_>,
    route: &std::sync::Arc<Route>,
    caller: Caller,
    head: &Head<'_>,
    parts: &Parts,
) -> Explanation {
    explained.notes.extend(rule::notes(route, &caller, head));
    let verdict = judge(route, caller.clone(), head);
    let (mut ending, permit) = ending(verdict, parts, ways, route);
    let id = RequestId::of(&parts.headers, head.peer_trusted);
    let mut upstream = permit.map(|permit| Upstream::of(&permit, ways, head, parts, &id));
    if head.budget.is_spent() {
        (ending, upstream) = (Ending::of(End::BadRequest, "too costly"), None);
    }
    // What was judged is judged again, to be shown.
    head.budget.reset();
    let (rule, values) = rule::of(route, caller, head);
    Explanation {
        rule: Some(rule),
        values,
        verdict: ending,
        upstream,
        ..explained
    }
}

fn ending(
    verdict: Verdict,
    parts: &Parts,
    ways: &Ways<'_>,
    route: &Route,
) -> (Ending, Option<Permit>) {
    let denial = match verdict {
        Verdict::Allow(_) if ways.forwarder.names(route).is_empty() => {
            return (Ending::of(End::NoUpstream, "not-found"), None);
        }
        Verdict::Allow(_) if is_never_forwarded(&parts.method) => {
            return (Ending::of(End::Method, "method"), None);
        }
        Verdict::Allow(permit) => return (Ending::of(End::Allow, ""), Some(permit)),
        // Nobody's source is asked again right after they signed in.
        Verdict::Reconfirm(_) => return (Ending::of(End::LogIn, "reload"), None),
        Verdict::Login(needed) => return (Ending::of(End::LogIn, needed.why.as_str()), None),
        Verdict::Deny(denial) => denial,
    };
    let ending = match denial {
        Denial::AmbiguousPath => Ending::of(End::AmbiguousPath, "ambiguous path"),
        Denial::TooCostly { .. } => Ending::of(End::BadRequest, "too costly"),
        Denial::Method { .. } => Ending::of(End::BadRequest, "method not in capitals"),
        Denial::Forbidden { because, .. } => match because {
            ForbiddenReason::Rule => Ending::of(End::Forbidden, "rule"),
            ForbiddenReason::RuleFailed(error) => {
                Ending::of(End::Forbidden, &format!("rule failed: {error}"))
            }
        },
        // Only what the gate finds out leads here, which was not asked, or a check that told too little.
        Denial::NoRoute
        | Denial::BadToken { .. }
        | Denial::Scope { .. }
        | Denial::TwoCallers { .. }
        | Denial::IssuerUnavailable { .. }
        | Denial::TooManyTokens { .. }
        | Denial::WeakToken { .. }
        | Denial::Address { .. }
        | Denial::Incomplete { .. }
        | Denial::Unavailable { .. } => Ending::of(End::NoRoute, "no route"),
    };
    (ending, None)
}

async fn caller(
    gate: &Gate,
    directory: &Directory,
    question: &Question,
    at: Timestamp,
    notes: &mut Vec<String>,
) -> Result<(Caller, Asking), SimulateError> {
    let Some(login) = &question.login else {
        return Ok((
            Caller::Anonymous(LoginReason::NotSignedIn),
            Asking::default(),
        ));
    };
    let via = question.via.as_ref();
    let simulated = directory.simulate_login(login, via, &gate.terms, at);
    let simulated = simulated.await?;
    let session = &simulated.person.session;
    let asking = Asking {
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
        notes.push("the account is closed: they cannot sign in, and are nobody here".to_owned());
        return Ok((Caller::Anonymous(LoginReason::NotSignedIn), asking));
    }
    let via = session.via.clone();
    let caller = gate.caller_of(simulated.person);
    if matches!(caller, Caller::Anonymous(_)) {
        notes.push(format!(
            "the connector {via} is not configured: whoever came in through it is nobody here"
        ));
    }
    Ok((caller, asking))
}

fn bad_head(
    parts: &Parts,
    caller: Asking,
    https: bool,
    error: HeadError,
    notes: Vec<String>,
) -> Explanation {
    let scheme = if https { "https" } else { "http" };
    Explanation {
        request: Asked {
            method: parts.method.to_string(),
            url: cut(&format!(
                "{scheme}://{}{}",
                host(&parts.headers),
                parts.uri.path()
            )),
            client: None,
        },
        caller,
        route: Way::Unread,
        not: Vec::new(),
        rule: None,
        values: Vec::new(),
        verdict: Ending::of(End::BadRequest, &error.to_string()),
        upstream: None,
        notes,
    }
}

fn host(headers: &HeaderMap) -> String {
    let host = headers.get(http::header::HOST);
    host.map_or_else(String::new, |host| {
        String::from_utf8_lossy(host.as_bytes()).into_owned()
    })
}

impl Ending {
    fn of(end: End, reason: &str) -> Self {
        Self {
            end,
            reason: reason.to_owned(),
        }
    }
}

/// A text that is not too long for a line.
fn cut(text: &str) -> String {
    match text.char_indices().nth(TEXT_CHARS_MAX) {
        Some((at, _)) => format!("{}…", &text[..at]),
        None => text.to_owned(),
    }
}
