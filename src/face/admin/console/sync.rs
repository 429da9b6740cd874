//! `/console/sync`: the directories, their last syncs, and starts a sync.

use std::time::Duration;

use askama::Template;
use http::{Response, StatusCode};

use super::form::Form;
use super::layout::Frame;
use super::moment::Moment;
use super::notice::Notice;
use super::texts::Texts;
use super::{PATH, PageContext, response};
use crate::face::page::Lang;
use crate::login::ConnectorEntry;
use crate::login::directory_sync::{RunningSync, SyncRefused, SyncRequest};
use crate::people::directory_sync::{SyncChange, SyncOutcome, SyncReport, SyncScope};
use crate::request::Body;
use crate::store::ConnectorId;
use crate::telemetry::error_chain;

/// The most problems and differences that the page lists.
const LISTED_MAX: usize = 200;

#[derive(Template)]
#[template(path = "console/sync.html")]
struct SyncPage<'a> {
    frame: Frame<'a>,
    page: Page<'a>,
}

struct Page<'a> {
    problem: Option<String>,
    directories: Vec<Directory>,
    may_change: bool,
    csrf_token: &'a str,
}

/// The directory of a connector.
struct Directory {
    id: String,
    name: String,
    every: Option<String>,
    next: Option<Next>,
    brake: String,
    running: Option<Running>,
    last: Option<Last>,
}

/// The next sync of the schedule.
enum Next {
    At(Moment),
    /// As soon as a node looks.
    Due,
    /// The store does not answer.
    Unknown,
}

struct Running {
    by: String,
    started: Moment,
    people_read: usize,
}

/// The last sync on this node.
struct Last {
    outcome: &'static str,
    class: &'static str,
    started: Moment,
    by: String,
    duration_ms: u64,
    dry_run: bool,
    counts: Vec<Count>,
    problems: Vec<Problem>,
    changes: Vec<SyncChange>,
}

/// What went wrong, and what helps.
struct Problem {
    what: String,
    remedy: String,
}

struct Count {
    label: &'static str,
    value: u64,
}

/// Shows the directories. With a problem, the page says why no sync began.
pub(super) async fn show(context: &PageContext<'_>, problem: Option<String>) -> Response<Body> {
    let mut directories = Vec::new();
    for entry in context.site.login.entries() {
        directories.extend(Directory::of(context, entry).await);
    }
    let status = match problem {
        Some(_) => StatusCode::CONFLICT,
        None => StatusCode::OK,
    };
    let page = Page {
        problem,
        directories,
        may_change: context.may_change(),
        csrf_token: &context.visitor.csrf_token,
    };
    let frame = Frame::of(context);
    let template = SyncPage { frame, page };
    response::page(context.request, status, &template)
}

/// Starts a sync of everything.
pub(super) async fn change(context: &PageContext<'_>, form: &Form) -> Response<Body> {
    let t = context.texts();
    if form.action() != "sync" {
        return show(context, Some(t.unknown_action.to_owned())).await;
    }
    let connector = form.value("connector").unwrap_or_default();
    let Ok(connector) = connector.parse::<ConnectorId>() else {
        return show(context, Some(t.unknown_connector.to_owned())).await;
    };
    let request = SyncRequest {
        scope: SyncScope::Everything,
        dry_run: form.value("dry_run") == Some("true"),
        force: form.value("force") == Some("true"),
        by: context.visitor.by.clone(),
    };
    match context.site.login.start_sync(&connector, request) {
        Ok(_running) => {
            let done = Notice::SyncStarted.name();
            response::redirect(&format!("{PATH}/sync?done={done}"))
        }
        Err(SyncRefused::Running { by, .. }) => {
            show(context, Some(format!("{}: {by}", t.sync_runs))).await
        }
        Err(
            SyncRefused::UnknownConnector(_)
            | SyncRefused::NoDirectory(_)
            | SyncRefused::NoSuchId { .. },
        ) => show(context, Some(t.unknown_connector.to_owned())).await,
    }
}

impl Directory {
    /// `None` if the source has no directory that can be read.
    async fn of(context: &PageContext<'_>, entry: &ConnectorEntry) -> Option<Self> {
        let settings = entry.features.directory_sync?;
        let status = context.site.login.sync_status(&entry.id).ok()?;
        let next = match settings.every {
            Some(_) => Some(Next::of(context, entry).await),
            None => None,
        };
        Some(Self {
            id: entry.id.to_string(),
            name: context.request.lang.label(&entry.display_name).to_owned(),
            next,
            every: settings
                .every
                .map(|every| interval(every, context.request.lang)),
            brake: format!("{} %", settings.brake_percent),
            running: status.running.map(|sync| Running::new(context, &sync)),
            last: status.last.map(|report| Last::new(context, &report)),
        })
    }
}

impl Next {
    async fn of(context: &PageContext<'_>, entry: &ConnectorEntry) -> Self {
        match context.site.login.next_sync(entry).await {
            Ok(Some(at)) => Self::At(context.moment(at)),
            Ok(None) => Self::Due,
            Err(error) => {
                tracing::warn!(error = %error_chain(&error), "when the next directory sync is due is unknown");
                Self::Unknown
            }
        }
    }
}

/// Such as `every 30 min`.
fn interval(every: Duration, lang: Lang) -> String {
    let minutes = every.as_secs().div_ceil(60);
    match lang {
        Lang::Zh => format!("每 {minutes} 分钟"),
        Lang::En => format!("every {minutes} min"),
    }
}

impl Running {
    fn new(context: &PageContext<'_>, sync: &RunningSync) -> Self {
        Self {
            by: sync.request.by.clone(),
            started: context.moment(sync.started_at),
            people_read: sync.progress().people_read,
        }
    }
}

impl Last {
    fn new(context: &PageContext<'_>, report: &SyncReport) -> Self {
        let t = context.texts();
        let (outcome, class) = match report.outcome {
            SyncOutcome::Done => (t.outcome_done, "good"),
            SyncOutcome::Refused => (t.outcome_refused, "warn"),
            SyncOutcome::Busy => (t.outcome_busy, "warn"),
            SyncOutcome::NotFound => (t.outcome_not_found, "bad"),
            SyncOutcome::Failed => (t.outcome_failed, "bad"),
        };
        let lang = context.request.lang;
        let problems = report.problems.iter().map(|problem| Problem {
            what: lang.text(&problem.what).to_owned(),
            remedy: lang.text(&problem.remedy).to_owned(),
        });
        Self {
            outcome,
            class,
            started: context.moment(report.started_at),
            by: report.by.clone(),
            duration_ms: report.duration_ms,
            dry_run: report.dry_run,
            counts: counts(t, report),
            problems: problems.take(LISTED_MAX).collect(),
            changes: report.changes.iter().take(LISTED_MAX).cloned().collect(),
        }
    }
}

fn counts(t: &'static Texts, report: &SyncReport) -> Vec<Count> {
    let people = &report.people;
    let counts = [
        (t.count_listed, people.listed),
        (t.count_created, people.created),
        (t.count_updated, people.updated),
        (t.count_closed, people.closed),
        (t.count_reopened, people.reopened),
        (t.count_refused, people.refused),
        (t.count_departments, report.departments.listed),
    ];
    let counts = counts.map(|(label, value)| Count { label, value });
    counts.into()
}
