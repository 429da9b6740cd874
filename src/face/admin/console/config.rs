//! `/console/config`: the versions of the managed settings, their TOML, and the local administrators.

use askama::Template;
use http::header::CONTENT_DISPOSITION;
use http::{HeaderValue, Response, StatusCode};

use super::comparison::{Line, compare};
use super::form::Form;
use super::layout::Frame;
use super::moment::Moment;
use super::notice::Notice;
use super::pager::Pager;
use super::{PATH, PageContext, response, settings_change};
use crate::face::page::Lang;
use crate::face::reply;
use crate::request::Body;
use crate::site::settings::{
    Change, ChangeError, ManagedDocument, Precondition, SecretPlaces, VersionSummary,
};
use crate::store::Administrator;

/// The versions of one page.
const PER_PAGE: u32 = 50;

#[derive(Template)]
#[template(path = "console/config.html")]
struct ConfigPage<'a> {
    frame: Frame<'a>,
    page: Page<'a>,
}

/// Asks again before an older version comes into force.
#[derive(Template)]
#[template(path = "console/roll_back.html")]
struct RollBackPage<'a> {
    frame: Frame<'a>,
    version: u64,
    etag: u64,
    csrf_token: &'a str,
}

struct Page<'a> {
    problem: Option<String>,
    /// Where the file forbids changes.
    read_only: Option<String>,
    current: u64,
    comparison: Option<Comparison>,
    versions: Vec<VersionRow>,
    administrators: Vec<AdministratorRow>,
    pager: Pager,
    may_change: bool,
    csrf_token: &'a str,
}

/// Two versions, line by line.
struct Comparison {
    from: u64,
    to: u64,
    lines: Vec<Line>,
}

struct VersionRow {
    number: u64,
    at: Moment,
    by: String,
    means: String,
    fields: Vec<String>,
    is_current: bool,
}

struct AdministratorRow {
    name: String,
    created: Moment,
    password_changed: Moment,
}

pub(super) async fn show(
    context: &PageContext<'_>,
    problem: Option<(StatusCode, String)>,
) -> Response<Body> {
    let (mut status, mut problem) = match problem {
        Some((status, problem)) => (status, Some(problem)),
        None => (StatusCode::OK, None),
    };
    let live = &context.console.live;
    let before = number(context, "after");
    let versions = match live.versions(before, PER_PAGE + 1).await {
        Ok(versions) => versions,
        Err(error) => return failed(context, &ChangeError::from(error)),
    };
    let administrators = context.services.people.administrators().list().await;
    let administrators = match administrators {
        Ok(administrators) => administrators,
        Err(error) => return response::store_failed(context, &error),
    };
    let comparison = match comparison(context).await {
        Ok(comparison) => comparison,
        Err(error) => {
            let (refused, text) = settings_change::refused(context, &error);
            status = refused;
            problem = Some(text);
            None
        }
    };
    let settings = live.settings();
    let read_only = settings.read_only().map(|at| at.to_string());
    let per_page = usize::try_from(PER_PAGE).unwrap_or(usize::MAX);
    let last = versions.get(per_page.saturating_sub(1));
    let next = last.filter(|_| versions.len() > per_page);
    let next = next.map(|version| version.number.to_string());
    let rows = versions.into_iter().take(per_page);
    let page = Page {
        problem,
        current: settings.version(),
        comparison,
        versions: rows
            .map(|version| VersionRow::new(context, version, settings.version()))
            .collect(),
        administrators: administrators
            .iter()
            .map(|administrator| AdministratorRow::new(context, administrator))
            .collect(),
        pager: Pager::continued(context.request, next.as_deref()),
        may_change: context.may_change() && read_only.is_none(),
        read_only,
        csrf_token: &context.visitor.csrf_token,
    };
    let frame = Frame::of(context);
    let template = ConfigPage { frame, page };
    response::page(context.request, status, &template)
}

/// Makes a new version with the settings of an older one; asks before.
pub(super) async fn change(context: &PageContext<'_>, form: &Form) -> Response<Body> {
    let t = context.texts();
    let parsed = |name: &str| form.value(name).and_then(|value| value.parse::<u64>().ok());
    let ("rollback", Some(version), Some(etag)) =
        (form.action(), parsed("version"), parsed("etag"))
    else {
        let problem = t.unknown_action.to_owned();
        return show(context, Some((StatusCode::BAD_REQUEST, problem))).await;
    };
    if form.value("confirm") != Some("yes") {
        let template = RollBackPage {
            frame: Frame::of(context),
            version,
            etag,
            csrf_token: &context.visitor.csrf_token,
        };
        return response::page(context.request, StatusCode::OK, &template);
    }
    let change = Change::Rollback { version };
    match settings_change::apply(context, change, Precondition::Matches(etag)).await {
        Ok(_) => {
            let done = Notice::RolledBack.name();
            response::redirect(&format!("{PATH}/config?done={done}"))
        }
        Err(refused) => show(context, Some(refused)).await,
    }
}

/// Sends the managed settings as TOML, without secrets; those of an older version if the query names one.
pub(super) async fn download(context: &PageContext<'_>) -> Response<Body> {
    let document = match context.request.parameter("version") {
        None => Ok(context.console.live.settings().document().clone()),
        Some(_) => document(context, number(context, "version").unwrap_or_default()).await,
    };
    let document = match document {
        Ok(document) => document,
        Err(error) => return failed(context, &error),
    };
    let toml = document.to_toml(&SecretPlaces::Environment);
    let kind = "application/toml; charset=utf-8";
    let mut response = reply::text_for_operators(StatusCode::OK, kind, toml);
    let name = HeaderValue::from_static("attachment; filename=\"menshen-managed.toml\"");
    response.headers_mut().insert(CONTENT_DISPOSITION, name);
    response
}

/// The comparison that the query asks for.
async fn comparison(context: &PageContext<'_>) -> Result<Option<Comparison>, ChangeError> {
    let (Some(from), Some(to)) = (number(context, "from"), number(context, "to")) else {
        return Ok(None);
    };
    let toml = |document: &ManagedDocument| document.to_toml(&SecretPlaces::Environment);
    let (before, after) = (document(context, from).await?, document(context, to).await?);
    Ok(Some(Comparison {
        from,
        to,
        lines: compare(&toml(&before), &toml(&after)),
    }))
}

/// The settings of a version.
async fn document(context: &PageContext<'_>, number: u64) -> Result<ManagedDocument, ChangeError> {
    let version = context.console.live.version(number).await?;
    let version = version.ok_or(ChangeError::NoVersion(number))?;
    Ok(version.document)
}

/// A number in the query.
fn number(context: &PageContext<'_>, name: &str) -> Option<u64> {
    context.request.parameter(name)?.parse().ok()
}

fn failed(context: &PageContext<'_>, error: &ChangeError) -> Response<Body> {
    let (status, text) = settings_change::refused(context, error);
    let t = context.texts();
    let title = match status {
        StatusCode::NOT_FOUND => t.not_found,
        _ => t.unavailable,
    };
    response::problem(context, status, title, &text)
}

impl VersionRow {
    fn new(context: &PageContext<'_>, version: VersionSummary, current: u64) -> Self {
        Self {
            number: version.number,
            at: context.moment(version.made_at),
            by: version.author,
            means: means_text(&version.means, context.request.lang),
            fields: version.fields,
            is_current: version.number == current,
        }
    }
}

/// Where a change was made, as the version stores it: the API, the console or a command.
fn means_text(means: &str, lang: Lang) -> String {
    let chinese = match means {
        "api" => "管理 API",
        "console" => "控制台",
        "command" => "命令",
        other => other,
    };
    match lang {
        Lang::Zh => chinese.to_owned(),
        Lang::En => means.to_owned(),
    }
}

impl AdministratorRow {
    fn new(context: &PageContext<'_>, administrator: &Administrator) -> Self {
        Self {
            name: administrator.name.to_string(),
            created: context.moment(administrator.created_at),
            password_changed: context.moment(administrator.password_changed_at),
        }
    }
}
