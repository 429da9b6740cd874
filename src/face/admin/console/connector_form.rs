//! `/console/connectors/_new` and `/console/connectors/ID`: the settings of a connector as a form.
//!
//! A form becomes the JSON that `PUT /api/connectors/ID` takes, and everything is checked there: the types,
//! the secrets that are kept, and whether a site can be built.

use http::{Response, StatusCode};

use super::form::Form;
use super::notice::Notice;
use super::{PATH, PageContext, connectors, response, settings_change, texts};
use crate::request::Body;
use crate::site::settings::{
    Change, ChangeError, ConnectorInfo, ConnectorTable, FieldProblem, FileLine, Origin,
    Precondition, Settings,
};
use crate::store::ConnectorId;
use crate::text;
use crate::wording::Text;

mod addresses;
mod conflict;
mod field;
mod fields;
mod input;
mod masked;
mod page;
pub(super) mod problem;
mod table;
mod typed;

use conflict::Conflict;
use fields::KindForm;
use masked::masked;
use page::Outcome;
use table::Members;

/// The path segment for a connector that has no ID yet. It cannot be an ID.
const NEW: &str = "_new";

/// The same, as long as no connector has this ID.
const NEW_UNLESS_TAKEN: &str = "new";

/// The connector of a page.
#[derive(Debug)]
struct Target {
    /// As it is in the path, or was typed.
    id: String,
    form: &'static KindForm,
    /// Absent: there is no such connector.
    info: Option<ConnectorInfo>,
    /// Its settings with markers for secrets; those of a new connector are empty.
    saved: Members,
    is_new: bool,
}

/// The ID in the path of the page of a connector, which is [`NEW`] for one that has none yet.
pub(super) fn connector_of(path: &str) -> Option<&str> {
    let id = path.strip_prefix("/connectors/")?;
    (!id.contains('/')).then_some(id)
}

/// GET.
pub(super) fn show(context: &PageContext<'_>, id: &str) -> Response<Body> {
    let settings = context.console.live.settings();
    if !is_new(&settings, id) {
        return match Target::existing(&settings, id) {
            Some(target) => page::form(context, &target, Outcome::default()),
            None => response::not_found(context),
        };
    }
    let Some(kind) = context.request.parameter("kind") else {
        return page::kinds(context);
    };
    let Some(form) = KindForm::of(kind) else {
        return response::not_found(context);
    };
    let mut target = Target::new(form, String::new());
    if settings_id_is_free(&settings, form.kind) {
        form.kind.clone_into(&mut target.id);
    }
    if page::starts_in_app(&settings, form, "").is_some() {
        table::set(&mut target.saved, "auto_login", "never".into());
    }
    page::form(context, &target, Outcome::default())
}

/// POST: does what the button says.
pub(super) async fn change(context: &PageContext<'_>, id: &str, form: &Form) -> Response<Body> {
    let t = context.texts();
    let settings = context.console.live.settings();
    let Some(target) = Target::of_form(&settings, id, form) else {
        return response::not_found(context);
    };
    let outcome = |status, problem: String| Outcome {
        status,
        typed: Some(form),
        problem: Some(problem),
        etag: form.raw("etag").map(str::to_owned),
        ..Outcome::default()
    };
    if let Some(at) = target.locked(&settings) {
        let problem = format!("{}{at}", t.set_in_file);
        let refused = Outcome {
            status: StatusCode::CONFLICT,
            problem: Some(problem),
            ..Outcome::default()
        };
        return page::form(context, &target, refused);
    }
    let precondition = match form.raw("etag").map(|etag| (etag, etag.parse::<u64>())) {
        _ if target.is_new => Some(Precondition::IsNew),
        Some(("", _)) => Some(Precondition::IsNew),
        Some((_, Ok(etag))) => Some(Precondition::Matches(etag)),
        Some((_, Err(_))) | None => None,
    };
    let Some(precondition) = precondition else {
        let refused = outcome(StatusCode::BAD_REQUEST, t.bad_form.to_owned());
        return page::form(context, &target, refused);
    };
    match form.action() {
        "save" => save(context, &target, form, precondition).await,
        "test" => test(context, &target, form).await,
        "enable" | "disable" | "default" | "no-default" | "delete" => {
            press(context, &target, form, precondition).await
        }
        _ => {
            let refused = outcome(StatusCode::BAD_REQUEST, t.unknown_action.to_owned());
            page::form(context, &target, refused)
        }
    }
}

async fn save(
    context: &PageContext<'_>,
    target: &Target,
    form: &Form,
    precondition: Precondition,
) -> Response<Body> {
    let (id, settings) = match described(context, target, form) {
        Ok(described) => described,
        Err(problems) => {
            let status = StatusCode::UNPROCESSABLE_ENTITY;
            return page::form(context, target, refused(form, status, problems));
        }
    };
    let typed = masked(target.form, settings.expose(), &target.saved);
    let change = Change::Put {
        id: id.clone(),
        settings,
    };
    match settings_change::attempt(context, change, precondition).await {
        Ok(_) => {
            let done = Notice::Saved.name();
            response::redirect(&format!("{PATH}/connectors/{id}?done={done}"))
        }
        Err(ChangeError::Precondition { .. }) if target.is_new => {
            let problem = id_problem(texts::in_both(|t| t.id_is_taken));
            let refused = refused(form, StatusCode::CONFLICT, vec![problem]);
            page::form(context, target, refused)
        }
        Err(ChangeError::Precondition { current }) => {
            conflict(context, target, form, current, &typed)
        }
        Err(error) => refusal(context, target, form, &error),
    }
}

/// Shows what somebody else saved meanwhile beside what was typed. The next change replaces the former.
fn conflict(
    context: &PageContext<'_>,
    target: &Target,
    form: &Form,
    current: Option<u64>,
    typed: &Members,
) -> Response<Body> {
    // The newest settings: those of the target may be older than the refusal.
    let settings = context.console.live.settings();
    let newest = Target::of_form(&settings, &target.id, form);
    let target = newest.as_ref().unwrap_or(target);
    let saved = current.map(|_| &target.saved);
    let outcome = Outcome {
        status: StatusCode::CONFLICT,
        typed: Some(form),
        conflict: Some(Conflict::new(saved, typed)),
        etag: Some(current.map(|etag| etag.to_string()).unwrap_or_default()),
        ..Outcome::default()
    };
    page::form(context, target, outcome)
}

/// Asks the source what it says to what was typed. Nothing is saved.
async fn test(context: &PageContext<'_>, target: &Target, form: &Form) -> Response<Body> {
    let (id, settings) = match described(context, target, form) {
        Ok(described) => described,
        Err(problems) => {
            let status = StatusCode::UNPROCESSABLE_ENTITY;
            return page::form(context, target, refused(form, status, problems));
        }
    };
    let findings = match connectors::examine(context, &id, Some(&settings)).await {
        Ok(findings) => findings,
        Err(error) => return refusal(context, target, form, &error),
    };
    let outcome = Outcome {
        typed: Some(form),
        findings: Some(findings),
        etag: form.raw("etag").map(str::to_owned),
        ..Outcome::default()
    };
    page::form(context, target, outcome)
}

/// Enables, disables, deletes, or chooses the default.
async fn press(
    context: &PageContext<'_>,
    target: &Target,
    form: &Form,
    precondition: Precondition,
) -> Response<Body> {
    let settings = context.console.live.settings();
    let id = target.info.as_ref().map(|info| info.id.clone());
    let (Some(id), Precondition::Matches(etag)) = (id, precondition) else {
        return response::not_found(context);
    };
    if form.action() == "delete" {
        return connectors::ask(context, &id, etag);
    }
    let Some(change) = connectors::change_of(&settings, id, form.action()) else {
        return response::not_found(context);
    };
    match settings_change::attempt(context, change, precondition).await {
        Ok(_) => {
            let done = Notice::Saved.name();
            response::redirect(&format!("{}?done={done}", target.href()))
        }
        Err(error) => {
            let (status, problem) = settings_change::refused(context, &error);
            let outcome = Outcome {
                status,
                problem: Some(problem),
                ..Outcome::default()
            };
            page::form(context, target, outcome)
        }
    }
}

/// The ID and the settings that a form describes.
fn described(
    context: &PageContext<'_>,
    target: &Target,
    form: &Form,
) -> Result<(ConnectorId, ConnectorTable), Vec<FieldProblem>> {
    let live = context.console.live.settings();
    let id = match target.id.parse::<ConnectorId>() {
        Err(error) => Err(id_problem(Text::of(&error))),
        Ok(id) => match live.connector(&id).map(|info| info.origin) {
            Some(Origin::File(at)) => Err(id_problem(set_in_file(&at))),
            Some(Origin::Managed) if target.is_new => {
                Err(id_problem(texts::in_both(|t| t.id_is_taken)))
            }
            _ => Ok(id),
        },
    };
    match (id, typed::read(target.form, form, &target.saved)) {
        (Ok(id), Ok(settings)) => Ok((id, settings)),
        (Err(problem), Ok(_)) => Err(vec![problem]),
        (Ok(_), Err(problems)) => Err(problems),
        (Err(problem), Err(problems)) => Err([vec![problem], problems].concat()),
    }
}

fn set_in_file(at: &FileLine) -> Text {
    let text = texts::in_both(|t| t.set_in_file);
    text!("{text}{at}", "{text:#}{at}")
}

fn id_problem(message: Text) -> FieldProblem {
    FieldProblem {
        connector: None,
        field: "id".to_owned(),
        message,
        help: None,
    }
}

/// The page with what was typed, and the problems beside it.
fn refused(form: &Form, status: StatusCode, problems: Vec<FieldProblem>) -> Outcome<'_> {
    Outcome {
        status,
        typed: Some(form),
        problems,
        etag: form.raw("etag").map(str::to_owned),
        ..Outcome::default()
    }
}

/// The page after a change was refused.
fn refusal(
    context: &PageContext<'_>,
    target: &Target,
    form: &Form,
    error: &ChangeError,
) -> Response<Body> {
    let (status, text) = settings_change::refused(context, error);
    let mut outcome = refused(form, status, Vec::new());
    match error {
        ChangeError::Problems(problems) | ChangeError::CannotBuild(problems) => {
            let is_of_target = |problem: &FieldProblem| {
                let named = problem.connector.as_ref();
                named.is_none_or(|id| id.as_str() == target.id)
            };
            let (own, others): (Vec<_>, Vec<_>) = problems.iter().cloned().partition(is_of_target);
            outcome.problems = own;
            let others: Vec<_> = others.iter().map(Text::of).collect();
            let others = Text::join(&others, &Text::fixed("; ", "；"));
            let others = context.request.lang.text(&others).to_owned();
            outcome.problem = (!others.is_empty()).then_some(others);
        }
        ChangeError::KindChanged { .. } => outcome.problems = vec![id_problem(Text::of(error))],
        _ => outcome.problem = Some(text),
    }
    page::form(context, target, outcome)
}

/// Whether a path is about a connector that has no ID yet.
fn is_new(settings: &Settings, id: &str) -> bool {
    id == NEW || id == NEW_UNLESS_TAKEN && settings_id_is_free(settings, id)
}

fn settings_id_is_free(settings: &Settings, id: &str) -> bool {
    let id = id.parse::<ConnectorId>();
    id.is_ok_and(|id| settings.connector(&id).is_none())
}

impl Target {
    fn new(form: &'static KindForm, id: String) -> Self {
        Self {
            id,
            form,
            info: None,
            saved: Members::new(),
            is_new: true,
        }
    }

    /// The connector with an ID; `None` if there is none.
    fn existing(settings: &Settings, id: &str) -> Option<Self> {
        let info = settings.connector(&id.parse().ok()?)?;
        let saved = settings.table(&info.id)?.expose().clone();
        let form = KindForm::all().find(|form| saved.contains_key(form.kind))?;
        Some(Self {
            id: id.to_owned(),
            form,
            info: Some(info),
            saved,
            is_new: false,
        })
    }

    /// The connector that a form is about: a new one, one that is there, or one that somebody has deleted
    /// since the form was shown.
    fn of_form(settings: &Settings, id: &str, form: &Form) -> Option<Self> {
        let is_new = is_new(settings, id);
        if let Some(existing) = Self::existing(settings, id).filter(|_| !is_new) {
            return Some(existing);
        }
        let kind = KindForm::of(form.value("kind")?)?;
        let typed = form.value("id").unwrap_or_default();
        let id = if is_new { typed } else { id };
        Some(Self {
            is_new,
            ..Self::new(kind, id.to_owned())
        })
    }

    /// The version that a change replaces; empty: there is none.
    fn etag(&self) -> String {
        let info = self.info.as_ref();
        info.map(|info| info.etag.to_string()).unwrap_or_default()
    }

    fn href(&self) -> String {
        let id = if self.is_new { NEW } else { &self.id };
        format!("{PATH}/connectors/{id}")
    }

    /// The line of the file that forbids changes of it.
    fn locked(&self, settings: &Settings) -> Option<String> {
        let origin = self.info.as_ref().map(|info| &info.origin);
        match origin {
            Some(Origin::File(at)) => Some(at.to_string()),
            _ => settings.read_only().map(|at| at.to_string()),
        }
    }
}
