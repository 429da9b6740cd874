//! `/console/connectors`: the connectors of the site, those of the file and the managed ones, and their order.

use askama::Template;
use http::{Response, StatusCode};

use super::form::Form;
use super::layout::Frame;
use super::moment::Moment;
use super::notice::Notice;
use super::{PATH, PageContext, response, settings_change};
use crate::login::connector::Finding;
use crate::request::Body;
use crate::site::live::Trial;
use crate::site::settings::{
    Change, ChangeError, ConnectorInfo, ConnectorTable, LoginChange, Origin, Precondition, Settings,
};
use crate::store::ConnectorId;

#[derive(Template)]
#[template(path = "console/connectors.html")]
struct ConnectorsPage<'a> {
    frame: Frame<'a>,
    page: Page<'a>,
}

/// Asks again before a connector is deleted.
#[derive(Template)]
#[template(path = "console/delete_connector.html")]
struct DeletePage<'a> {
    frame: Frame<'a>,
    id: &'a str,
    etag: &'a str,
    csrf_token: &'a str,
}

struct Page<'a> {
    problem: Option<String>,
    /// Where the file forbids changes.
    read_only: Option<String>,
    test: Option<Test>,
    rows: Vec<Row>,
    /// The version of the choices in `[login]`.
    login_etag: u64,
    default_from: Option<String>,
    order_from: Option<String>,
    may_change: bool,
    csrf_token: &'a str,
}

/// What the source of a connector said.
struct Test {
    id: String,
    findings: Vec<TestLine>,
}

/// One result of a test, in the language of the page.
#[derive(Debug)]
pub(super) struct TestLine {
    pub(super) good: bool,
    pub(super) text: String,
}

struct Row {
    info: ConnectorInfo,
    /// Why it is out of force.
    broken: Option<String>,
    /// File and line; absent: managed.
    file: Option<String>,
    reachable: Option<bool>,
    problem: Option<Problem>,
    may_be_default: bool,
    may_go_up: bool,
    may_go_down: bool,
}

struct Problem {
    at: Moment,
    error: String,
}

pub(super) fn show(
    context: &PageContext<'_>,
    problem: Option<(StatusCode, String)>,
) -> Response<Body> {
    let (status, problem) = match problem {
        Some((status, problem)) => (status, Some(problem)),
        None => (StatusCode::OK, None),
    };
    shown(context, status, problem, None)
}

fn shown(
    context: &PageContext<'_>,
    status: StatusCode,
    problem: Option<String>,
    test: Option<Test>,
) -> Response<Body> {
    let settings = context.console.live.settings();
    let choices = settings.login();
    let read_only = settings.read_only().map(|at| at.to_string());
    let page = Page {
        problem,
        test,
        rows: rows(context, &settings),
        login_etag: choices.etag,
        default_from: choices.default_from.map(|at| at.to_string()),
        order_from: choices.order_from.map(|at| at.to_string()),
        may_change: context.may_change() && read_only.is_none(),
        read_only,
        csrf_token: &context.visitor.csrf_token,
    };
    let frame = Frame::of(context);
    let template = ConnectorsPage { frame, page };
    response::page(context.request, status, &template)
}

fn rows(context: &PageContext<'_>, settings: &Settings) -> Vec<Row> {
    let (choices, lang) = (settings.login(), context.request.lang);
    let movable = movable(settings);
    let row = |info: ConnectorInfo| {
        let site = context.console.live.site();
        let entry = site.login.entry(&info.id).filter(|_| !info.shadowed);
        let report = entry.map(|entry| entry.health.report());
        let reachable = report.as_ref().and_then(|report| report.is_reachable());
        let problem = report.and_then(|report| report.last_problem);
        let position = movable.iter().position(|id| *id == info.id);
        let position = position.filter(|_| choices.order_from.is_none() && !info.shadowed);
        Row {
            file: match &info.origin {
                Origin::File(at) => Some(at.to_string()),
                Origin::Managed => None,
            },
            reachable,
            problem: problem.map(|problem| Problem {
                at: context.moment(problem.at),
                error: lang.text(&problem.error).to_owned(),
            }),
            broken: info.broken.as_ref().map(|why| lang.text(why).to_owned()),
            may_be_default: info.enabled && !info.is_default && choices.default_from.is_none(),
            may_go_up: position.is_some_and(|position| position > 0),
            may_go_down: position.is_some_and(|position| position + 1 < movable.len()),
            info,
        }
    };
    settings.connectors().into_iter().map(row).collect()
}

/// The connectors in their order, without the default one, which is always first.
fn movable(settings: &Settings) -> Vec<ConnectorId> {
    let connectors = settings.connectors().into_iter();
    let movable = connectors.filter(|info| !info.shadowed && !info.is_default);
    movable.map(|info| info.id).collect()
}

/// Changes a connector, or the choices in `[login]`.
pub(super) async fn change(context: &PageContext<'_>, form: &Form) -> Response<Body> {
    let t = context.texts();
    let id = form.value("id").unwrap_or_default();
    let settings = context.console.live.settings();
    let id = id.parse::<ConnectorId>().ok();
    let Some(id) = id.filter(|id| settings.connector(id).is_some()) else {
        return not_found(context);
    };
    let etag = form.value("etag").and_then(|etag| etag.parse().ok());
    let Some(etag) = etag else {
        return show(
            context,
            Some((StatusCode::BAD_REQUEST, t.bad_form.to_owned())),
        );
    };
    let mut precondition = Precondition::Matches(etag);
    let change = match (form.action(), form.value("confirm")) {
        ("delete", confirm) if confirm != Some("yes") => return ask(context, &id, etag),
        ("test", _) => return test(context, &id).await,
        (action, _) => change_of(&settings, id, action),
    };
    let Some(change) = change else {
        let problem = t.unknown_action.to_owned();
        return show(context, Some((StatusCode::BAD_REQUEST, problem)));
    };
    // The switch of a connector of the file has no version.
    if etag == 0 && matches!(change, Change::SetEnabled { .. }) {
        precondition = Precondition::None;
    }
    match settings_change::apply(context, change, precondition).await {
        Ok(_) => {
            let done = Notice::Saved.name();
            response::redirect(&format!("{PATH}/connectors?done={done}"))
        }
        Err(refused) => show(context, Some(refused)),
    }
}

/// The change that a button makes; `None` if there is no such button.
pub(super) fn change_of(settings: &Settings, id: ConnectorId, action: &str) -> Option<Change> {
    let with_default = |default| LoginChange {
        default: Some(default),
        order: None,
    };
    Some(match action {
        "enable" => Change::SetEnabled { id, enabled: true },
        "disable" => Change::SetEnabled { id, enabled: false },
        "delete" => Change::Delete { id },
        "default" => Change::SetLogin(with_default(Some(id))),
        "no-default" => Change::SetLogin(with_default(None)),
        "up" | "down" => {
            let order = moved(settings, &id, action == "up");
            Change::SetLogin(LoginChange {
                default: None,
                order: Some(order),
            })
        }
        _ => return None,
    })
}

fn not_found(context: &PageContext<'_>) -> Response<Body> {
    let problem = context.texts().unknown_connector.to_owned();
    shown(context, StatusCode::NOT_FOUND, Some(problem), None)
}

/// Asks whether a connector is to be deleted.
pub(super) fn ask(context: &PageContext<'_>, id: &ConnectorId, etag: u64) -> Response<Body> {
    let template = DeletePage {
        frame: Frame::of(context),
        id: id.as_str(),
        etag: &etag.to_string(),
        csrf_token: &context.visitor.csrf_token,
    };
    response::page(context.request, StatusCode::OK, &template)
}

/// The order after a connector changed its place with its neighbour.
fn moved(settings: &Settings, id: &ConnectorId, up: bool) -> Vec<ConnectorId> {
    let mut order = movable(settings);
    let position = order.iter().position(|other| other == id);
    let neighbour = position.and_then(|position| match up {
        true => position.checked_sub(1),
        false => Some(position + 1).filter(|next| *next < order.len()),
    });
    if let (Some(position), Some(neighbour)) = (position, neighbour) {
        order.swap(position, neighbour);
    }
    order
}

/// Asks the source what it says to the saved settings, as `menshen check --online` does.
async fn test(context: &PageContext<'_>, id: &ConnectorId) -> Response<Body> {
    let findings = match examine(context, id, None).await {
        Ok(findings) => findings,
        Err(error) => return show(context, Some(settings_change::refused(context, &error))),
    };
    let test = Test {
        id: id.to_string(),
        findings,
    };
    shown(context, StatusCode::OK, None, Some(test))
}

/// What the source of a connector says to its saved settings, or to unsaved ones. Leaves an audit line.
pub(super) async fn examine(
    context: &PageContext<'_>,
    id: &ConnectorId,
    unsaved: Option<&ConnectorTable>,
) -> Result<Vec<TestLine>, ChangeError> {
    let author = settings_change::author(context);
    let live = &context.console.live;
    let line = |finding: Finding| TestLine {
        good: finding.good,
        text: context.request.lang.text(&finding.text).to_owned(),
    };
    Ok(match live.examine(id, unsaved, &author).await? {
        Trial::Answered(findings) => findings.into_iter().map(line).collect(),
        Trial::NoAnswer => {
            let text = context.texts().no_answer_in_time.to_owned();
            vec![TestLine { good: false, text }]
        }
    })
}
