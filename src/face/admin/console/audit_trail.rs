//! `/console/audit`: the audit trail, the newest first, and its download as JSON lines.

use std::time::Duration;

use askama::Template;
use futures_util::TryStreamExt as _;
use http::header::CONTENT_DISPOSITION;
use http::{HeaderValue, Response, StatusCode};
use http_body::Frame as BodyFrame;
use http_body_util::StreamBody;
use serde::Deserialize;

use super::super::REFUSED_BY_API;
use super::super::audit_download::{AS_FILE, AuditDownload, JSON_LINES};
use super::layout::Frame;
use super::moment::Moment;
use super::pager::Pager;
use super::{PATH, PageContext, response};
use crate::clock::Timestamp;
use crate::face::page::Lang;
use crate::face::reply;
use crate::request::{Body, BodyError};
use crate::store::{AccountId, AuditQuery, StoreError, StoredAuditLine};
use crate::telemetry::AuditEvent;

mod date;
mod events;

use date::start_of_day;
pub(super) use events::event_text;

/// The lines of one page.
const PER_PAGE: u32 = 100;
/// The lines among which the last changes are searched.
const CHANGES_SEARCHED: u32 = 1_000;
const DAY: Duration = Duration::from_secs(86_400);

#[derive(Template)]
#[template(path = "console/audit.html")]
struct AuditPage<'a> {
    frame: Frame<'a>,
    page: Page,
}

struct Page {
    events: Vec<EventChoice>,
    connectors: Vec<String>,
    login: String,
    connector: String,
    since: String,
    until: String,
    download_href: String,
    rows: Vec<Row>,
    pager: Pager,
}

struct EventChoice {
    name: &'static str,
    text: &'static str,
    is_selected: bool,
}

/// A line of the audit trail.
pub(super) struct Row {
    pub(super) at: Moment,
    pub(super) event: String,
    pub(super) is_bad: bool,
    pub(super) login: String,
    pub(super) account: Option<String>,
    pub(super) connector: String,
    pub(super) client: String,
    pub(super) by: String,
    pub(super) detail: String,
}

/// The fields of a line that the page shows.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Line {
    event: String,
    login: Option<String>,
    account: Option<String>,
    connector: Option<String>,
    client: Option<String>,
    by: Option<String>,
    reason: Option<String>,
    reason_zh: Option<String>,
    error: Option<String>,
    error_zh: Option<String>,
}

impl Line {
    /// The reason and the error in a language; in English for a line that is older than its translation.
    fn details(self, lang: Lang) -> [Option<String>; 2] {
        match lang {
            Lang::Zh => [self.reason_zh.or(self.reason), self.error_zh.or(self.error)],
            Lang::En => [self.reason, self.error],
        }
    }
}

impl Row {
    fn has_person(&self) -> bool {
        self.account.is_some() || !self.login.is_empty()
    }

    pub(super) fn new(context: &PageContext<'_>, line: &StoredAuditLine) -> Self {
        let lang = context.request.lang;
        // A line that cannot be parsed is shown with its time.
        let read: Line = serde_json::from_str(&line.json).unwrap_or_default();
        let event = event_text(&read.event, lang).map_or_else(|| read.event.clone(), str::to_owned);
        Self {
            at: context.moment(line.position.at),
            is_bad: read.event == AuditEvent::Refused.as_str(),
            event,
            login: read.login.clone().unwrap_or_default(),
            account: read.account.clone(),
            connector: read.connector.clone().unwrap_or_default(),
            client: read.client.clone().unwrap_or_default(),
            by: read.by.clone().unwrap_or_default(),
            detail: {
                let details = read.details(lang).into_iter().flatten();
                details.collect::<Vec<_>>().join(separator(lang))
            },
        }
    }
}

pub(super) async fn show(context: &PageContext<'_>) -> Response<Body> {
    let lines = match query(context) {
        Some(query) => context.services.audit.search(&query).await,
        None => Ok(Vec::new()),
    };
    let mut lines = match lines {
        Ok(lines) => lines,
        Err(error) => return response::store_failed(context, &error),
    };
    let request = context.request;
    let per_page = usize::try_from(PER_PAGE).unwrap_or(usize::MAX);
    let has_next = lines.len() > per_page;
    lines.truncate(per_page);
    let last = lines.last().filter(|_| has_next);
    let next = last.map(|line| line.position.to_string());
    let text_of = |name: &str| request.parameter(name).unwrap_or_default().to_owned();
    let event = request.parameter("event").unwrap_or_default();
    let choices = AuditEvent::ALL.iter().map(|choice| EventChoice {
        name: choice.as_str(),
        text: event_text(choice.as_str(), request.lang).unwrap_or(choice.as_str()),
        is_selected: choice.as_str() == event,
    });
    let page = Page {
        events: choices.collect(),
        connectors: context.connector_ids(),
        login: text_of("login"),
        connector: text_of("connector"),
        since: text_of("since"),
        until: text_of("until"),
        download_href: format!("{PATH}/audit/download{}", request.query_with("after", None)),
        rows: lines.iter().map(|line| Row::new(context, line)).collect(),
        pager: Pager::continued(request, next.as_deref()),
    };
    let frame = Frame::of(context);
    let template = AuditPage { frame, page };
    response::page(request, StatusCode::OK, &template)
}

/// `None` if no line can match.
fn query(context: &PageContext<'_>) -> Option<AuditQuery> {
    let request = context.request;
    let event = request.parameter("event");
    let event = event.map(|name| AuditEvent::ALL.iter().find(|event| event.as_str() == name));
    let connector = request.parameter("connector").map(str::parse);
    let after = request.parameter("after").map(str::parse);
    let day = |name| request.parameter(name).map(start_of_day);
    let until = match day("until") {
        // The whole day is included.
        Some(day) => Some(day?.plus(DAY)),
        None => None,
    };
    Some(AuditQuery {
        event: match event {
            Some(event) => Some(*event?),
            None => None,
        },
        login: request.parameter("login").map(str::to_owned),
        connector: connector.transpose().ok()?,
        after: after.transpose().ok()?,
        since: match day("since") {
            Some(day) => Some(day?),
            None => None,
        },
        until,
        // One more shows whether there is a next page.
        max: PER_PAGE + 1,
        ..AuditQuery::default()
    })
}

/// Sends all lines that match, as JSON lines.
pub(super) async fn download(context: &PageContext<'_>) -> Response<Body> {
    let Some(query) = query(context) else {
        return response::not_found(context);
    };
    let (audit, now) = (&context.services.audit, context.request.head.received_at);
    let download = match AuditDownload::begin(audit, query, None, now).await {
        Ok(download) => download,
        Err(error) => return response::store_failed(context, &error),
    };
    let chunks = download.chunks();
    let frames = chunks.map_ok(BodyFrame::data).map_err(BodyError::from);
    let mut response = reply::text_for_operators(StatusCode::OK, JSON_LINES, String::new());
    let name = HeaderValue::from_static(AS_FILE);
    response.headers_mut().insert(CONTENT_DISPOSITION, name);
    response.map(|_| Body::new(StreamBody::new(frames)))
}

/// The reasons of refused sign-ins, the most frequent first, each with its number. Requests of the admin API do
/// not count.
pub(super) fn refusals(lines: &[StoredAuditLine], lang: Lang) -> Vec<(String, usize)> {
    let mut counts: Vec<(String, usize)> = Vec::new();
    for line in lines {
        let read: Line = serde_json::from_str(&line.json).unwrap_or_default();
        let login = read.login.clone();
        let is_by_api = |text: &String| text.starts_with(REFUSED_BY_API);
        // Only requests of the API have a name of an administrator or of a token.
        if read.by.is_some() || read.reason.as_ref().is_some_and(is_by_api) {
            continue;
        }
        let is_translated = read.reason_zh.is_some() || read.error_zh.is_some();
        let [reason, error] = read.details(lang);
        let text = error.or(reason).unwrap_or_default();
        // The first part says what failed, the second why; what follows concerns the single case.
        let written_in = if is_translated { lang } else { Lang::En };
        let mut parts = text.splitn(3, separator(written_in));
        let (first, second) = (parts.next().unwrap_or_default(), parts.next());
        let reason = without_person(second.unwrap_or(first), login.as_deref());
        match counts.iter_mut().find(|(known, _)| *known == reason) {
            Some((_, count)) => *count += 1,
            None => counts.push((reason, 1)),
        }
    }
    counts.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    counts
}

/// The separator of an error and its cause.
fn separator(lang: Lang) -> &'static str {
    match lang {
        Lang::Zh => "：",
        Lang::En => ": ",
    }
}

/// A reason with `…` in place of account IDs and of this login, so that it is the same for everybody.
fn without_person(reason: &str, login: Option<&str>) -> String {
    let words = reason.split(' ').map(|word| {
        let name = word.trim_end_matches(',');
        let names_person = Some(name) == login || AccountId::try_from(name.to_owned()).is_ok();
        match names_person {
            true => word.replacen(name, "…", 1),
            false => word.to_owned(),
        }
    });
    words.collect::<Vec<_>>().join(" ")
}

/// The lines of an event in the last day, at most `max`.
pub(super) async fn of_last_day(
    context: &PageContext<'_>,
    event: AuditEvent,
    max: u32,
) -> Result<Vec<StoredAuditLine>, StoreError> {
    let now = context.request.head.received_at;
    let day_ms = i64::try_from(DAY.as_millis()).unwrap_or(i64::MAX);
    let query = AuditQuery {
        event: Some(event),
        since: Some(Timestamp::from_unix_ms(
            now.unix_ms().saturating_sub(day_ms),
        )),
        max,
        ..AuditQuery::default()
    };
    context.services.audit.search(&query).await
}

/// The last changes that administrators made.
pub(super) async fn last_changes(
    context: &PageContext<'_>,
    max: usize,
) -> Result<Vec<Row>, StoreError> {
    let query = AuditQuery {
        max: CHANGES_SEARCHED,
        ..AuditQuery::default()
    };
    let lines = context.services.audit.search(&query).await?;
    let rows = lines.iter().map(|line| Row::new(context, line));
    let console = event_text(AuditEvent::Console.as_str(), context.request.lang);
    let changes = rows.filter(|row| !row.by.is_empty() && Some(row.event.as_str()) != console);
    Ok(changes.take(max).collect())
}
