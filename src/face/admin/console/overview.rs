//! `/console/`: health, who is here, the sources.

use std::time::Duration;

use askama::Template;
use http::{Response, StatusCode};

use super::super::readiness::ReadinessReport;
use super::layout::Frame;
use super::moment::Moment;
use super::{PageContext, chart, response};
use crate::login::ConnectorEntry;
use crate::request::Body;
use crate::store::{ListedSession, SessionsQuery};

/// The most sessions that are counted.
const SESSIONS_MAX: u32 = 10_000;
/// The most people who are listed.
const HERE_MAX: usize = 12;
/// Whoever used a session since then is here.
const HERE_FOR: Duration = Duration::from_secs(15 * 60);

#[derive(Template)]
#[template(path = "console/overview.html")]
struct OverviewPage<'a> {
    frame: Frame<'a>,
    page: Overview,
}

struct Overview {
    report: ReadinessReport,
    here_now: usize,
    open_sessions: String,
    version: &'static str,
    chart: String,
    here: Vec<Here>,
    sources: Vec<Source>,
}

/// Somebody who is here.
struct Here {
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
    let begins = sessions.iter().map(|listed| listed.session.minted_at);
    let counts = chart::per_hour(begins, now);
    let is_here = |listed: &&ListedSession| now.since(listed.session.used_at) < HERE_FOR;
    let page = Overview {
        report,
        here_now: sessions.iter().filter(is_here).count(),
        open_sessions: match u32::try_from(sessions.len()) {
            Ok(SESSIONS_MAX) => format!("≥ {SESSIONS_MAX}"),
            _ => sessions.len().to_string(),
        },
        version: env!("CARGO_PKG_VERSION"),
        chart: chart::svg(&counts, now, t.sessions_per_hour, t.chart_value),
        here: here(context, sessions.iter().filter(is_here)),
        sources: sources(context),
    };
    let frame = Frame::of(context);
    let template = OverviewPage { frame, page };
    response::page(context.request, StatusCode::OK, &template)
}

/// The people of these sessions, each once, the last one seen first.
fn here<'a>(
    context: &PageContext<'_>,
    sessions: impl Iterator<Item = &'a ListedSession>,
) -> Vec<Here> {
    let mut sessions: Vec<_> = sessions.collect();
    sessions.sort_by_key(|listed| std::cmp::Reverse(listed.session.used_at));
    let mut people: Vec<Here> = Vec::new();
    for listed in sessions {
        let account = listed.session.account.to_string();
        if people.len() == HERE_MAX {
            break;
        }
        if people.iter().all(|person| person.account != account) {
            let name = listed.name.as_deref().unwrap_or(listed.login.as_str());
            people.push(Here {
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
    let source = |entry: &ConnectorEntry| {
        let report = entry.health.report();
        Source {
            id: entry.id.to_string(),
            name: entry.display_name.clone(),
            kind: entry.kind,
            reachable: report.is_reachable(),
            answered: report.answered_at.map(|at| context.moment(at)),
            problem: report.last_problem.map(|problem| Problem {
                at: context.moment(problem.at),
                error: problem.error,
                remedy: problem.remedy,
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
