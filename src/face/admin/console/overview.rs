//! `/console/`: health, active people, the sources.

use std::time::Duration;

use askama::Template;
use http::{Response, StatusCode};

use super::super::readiness::ReadinessReport;
use super::layout::Frame;
use super::moment::Moment;
use super::{PageContext, audit_trail, chart, response};
use crate::face::page::Lang;
use crate::login::ConnectorEntry;
use crate::request::Body;
use crate::site::live::SeenNode;
use crate::store::{ListedSession, SessionsQuery, StoredAuditLine};
use crate::telemetry::AuditEvent;

/// The most sessions that are counted.
const SESSIONS_MAX: u32 = 10_000;
/// The most audit lines that are counted.
const LINES_MAX: u32 = 10_000;
/// The most reasons and changes that are listed.
const REASONS_MAX: usize = 6;
const CHANGES_MAX: usize = 6;
/// The most people who are listed.
const ACTIVE_MAX: usize = 12;
/// How long after a use a session counts as active.
const ACTIVE_WITHIN: Duration = Duration::from_secs(15 * 60);

#[derive(Template)]
#[template(path = "console/overview.html")]
struct OverviewPage<'a> {
    frame: Frame<'a>,
    page: Overview,
}

struct Overview {
    report: ReadinessReport,
    lang: Lang,
    active_sessions: usize,
    open_sessions: String,
    version: &'static str,
    chart: String,
    refusals: Vec<Bar>,
    changes: Vec<audit_trail::Row>,
    active_people: Vec<ActivePerson>,
    sources: Vec<Source>,
    nodes: Vec<Node>,
}

/// A process that shares the store.
struct Node {
    name: String,
    is_this: bool,
    is_silent: bool,
    program: String,
    settings: u64,
    /// Whether it serves an older version of the settings than another node.
    is_behind: bool,
    problem: Option<String>,
    seen: Moment,
}

/// Refused sign-ins with one reason.
struct Bar {
    reason: String,
    count: usize,
    /// The length, compared with the longest.
    percent: usize,
}

/// A person with an active session.
struct ActivePerson {
    account: String,
    name: String,
    connector: String,
    used: Moment,
}

/// A connector, and what this node has seen of its source.
struct Source {
    id: String,
    name: String,
    kind: &'static str,
    reachable: Option<bool>,
    answered: Option<Moment>,
    problem: Option<Problem>,
}

struct Problem {
    at: Moment,
    error: String,
    remedy: String,
}

impl Overview {
    fn health_class(&self) -> &'static str {
        match (
            self.report.reasons.is_empty(),
            self.report.degraded.is_empty(),
        ) {
            (false, _) => "bad",
            (true, false) => "warn",
            (true, true) => "good",
        }
    }
}

impl Source {
    fn class(&self) -> &'static str {
        match self.reachable {
            Some(true) => "good",
            Some(false) => "bad",
            None => "",
        }
    }
}

pub(super) async fn show(context: &PageContext<'_>) -> Response<Body> {
    let report = context.console.readiness.report().await;
    let query = SessionsQuery {
        max: SESSIONS_MAX,
        ..SessionsQuery::default()
    };
    // Without the store the page still says so, and shows the sources.
    let sessions = context.services.sessions.list(&query).await;
    let sessions = sessions.unwrap_or_default();
    let now = context.request.head.received_at;
    let t = context.texts();
    let logins = lines_of(context, AuditEvent::Login).await;
    let counts = match logins.is_empty() {
        // Without an audit trail in the store, those who are still signed in are counted.
        true => chart::per_hour(sessions.iter().map(|it| it.session.minted_at), now),
        false => chart::per_hour(logins.iter().map(|line| line.position.at), now),
    };
    let refused = lines_of(context, AuditEvent::Refused).await;
    let changes = audit_trail::last_changes(context, CHANGES_MAX).await;
    let is_active = |listed: &&ListedSession| now.since(listed.session.used_at) < ACTIVE_WITHIN;
    let page = Overview {
        report,
        lang: context.request.lang,
        active_sessions: sessions.iter().filter(is_active).count(),
        open_sessions: match u32::try_from(sessions.len()) {
            Ok(SESSIONS_MAX) => format!("≥ {SESSIONS_MAX}"),
            _ => sessions.len().to_string(),
        },
        version: env!("CARGO_PKG_VERSION"),
        chart: chart::svg(&counts, now, t.sessions_per_hour, t.chart_value),
        refusals: bars(&refused, context.request.lang),
        changes: changes.unwrap_or_default(),
        active_people: active_people(context, sessions.iter().filter(is_active)),
        sources: sources(context),
        nodes: nodes(context).await,
    };
    let frame = Frame::of(context);
    let template = OverviewPage { frame, page };
    response::page(context.request, StatusCode::OK, &template)
}

async fn nodes(context: &PageContext<'_>) -> Vec<Node> {
    let seen = context.console.live.nodes().await;
    let versions = seen.iter().map(|node| node.record.settings_version);
    let newest = versions.max().unwrap_or_default();
    let now = context.request.head.received_at;
    let node = |node: SeenNode| Node {
        problem: node
            .problem()
            .map(|problem| context.request.lang.text(&problem).to_owned()),
        is_behind: node.record.settings_version < newest,
        // The clock of another node may be a little ahead.
        seen: context.moment(node.record.seen_at.min(now)),
        name: node.record.name,
        is_this: node.is_this,
        is_silent: node.is_silent,
        program: node.record.program_version,
        settings: node.record.settings_version,
    };
    seen.into_iter().map(node).collect()
}

/// The lines of an event in the last day; none if the store does not answer.
async fn lines_of(context: &PageContext<'_>, event: AuditEvent) -> Vec<StoredAuditLine> {
    let lines = audit_trail::of_last_day(context, event, LINES_MAX).await;
    lines.unwrap_or_default()
}

/// The most frequent reasons.
fn bars(refused: &[StoredAuditLine], lang: Lang) -> Vec<Bar> {
    let reasons = audit_trail::refusals(refused, lang);
    let highest = reasons.first().map_or(1, |(_, count)| *count);
    let bars = reasons.into_iter().take(REASONS_MAX);
    bars.map(|(reason, count)| Bar {
        reason,
        count,
        percent: (count * 100).div_ceil(highest),
    })
    .collect()
}

/// The people of these sessions, each once, the last one seen first.
fn active_people<'a>(
    context: &PageContext<'_>,
    sessions: impl Iterator<Item = &'a ListedSession>,
) -> Vec<ActivePerson> {
    let mut sessions: Vec<_> = sessions.collect();
    sessions.sort_by_key(|listed| std::cmp::Reverse(listed.session.used_at));
    let mut people: Vec<ActivePerson> = Vec::new();
    for listed in sessions {
        let account = listed.session.account.to_string();
        if people.len() == ACTIVE_MAX {
            break;
        }
        if people.iter().all(|person| person.account != account) {
            let name = listed.name.as_deref().unwrap_or(listed.login.as_str());
            people.push(ActivePerson {
                account,
                name: name.to_owned(),
                connector: listed.session.connector.to_string(),
                used: context.moment(listed.session.used_at),
            });
        }
    }
    people
}

fn sources(context: &PageContext<'_>) -> Vec<Source> {
    let lang = context.request.lang;
    let source = |entry: &ConnectorEntry| {
        let report = entry.health.report();
        Source {
            id: entry.id.to_string(),
            name: lang.label(&entry.display_name).to_owned(),
            kind: entry.kind,
            reachable: report.is_reachable(),
            answered: report.answered_at.map(|at| context.moment(at)),
            problem: report.last_problem.map(|problem| Problem {
                at: context.moment(problem.at),
                error: lang.text(&problem.error).to_owned(),
                remedy: lang.text(&problem.remedy).to_owned(),
            }),
        }
    };
    let mut sources: Vec<_> = context
        .site
        .login
        .entries()
        .iter()
        .map(|entry| source(entry))
        .collect();
    // Those that do not answer come first.
    sources.sort_by_key(|source| source.reachable != Some(false));
    sources
}
