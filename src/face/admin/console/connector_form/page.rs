//! The page of a connector: its form with what is around it.

use askama::Template;
use http::{Response, StatusCode};

use super::addresses::{self, ShownAddress};
use super::conflict::Conflict;
use super::fields::KindForm;
use super::input::{Content, Input, Source};
use super::table::Members;
use super::{NEW, Target, problem};
use crate::face::admin::console::connectors::TestLine;
use crate::face::admin::console::form::Form;
use crate::face::admin::console::layout::Frame;
use crate::face::admin::console::{PATH, PageContext, response};
use crate::login::connector::AutoLogin;
use crate::request::Body;
use crate::site::settings::{ConnectorInfo, FieldProblem, Origin, Settings};
use crate::store::ConnectorId;

#[derive(Template)]
#[template(path = "console/connector_form.html")]
struct FormPage<'a> {
    frame: Frame<'a>,
    page: Page<'a>,
}

/// The choice of a kind, before the form of a new connector.
#[derive(Template)]
#[template(path = "console/connector_kinds.html")]
struct KindsPage<'a> {
    frame: Frame<'a>,
    kinds: Vec<OfferedKind>,
    read_only: Option<String>,
    may_change: bool,
}

struct OfferedKind {
    name: &'static str,
    about: &'static str,
    href: String,
}

struct Page<'a> {
    /// The name on the sign-in page; absent: the connector is new.
    name: Option<String>,
    id: String,
    id_problems: Vec<String>,
    kind: &'static str,
    kind_name: &'static str,
    info: Option<ConnectorInfo>,
    /// File and line; absent: it is managed.
    file: Option<String>,
    /// Where the file forbids changes.
    read_only: Option<String>,
    problems: Vec<String>,
    conflict: Option<Conflict>,
    findings: Option<Vec<TestLine>>,
    /// Whether secrets that were typed are gone.
    lost_secrets: bool,
    is_new: bool,
    /// Whether a managed connector has the same ID as this one of the file.
    is_shadowing: bool,
    addresses: Vec<ShownAddress>,
    sections: Vec<ShownSection>,
    etag: String,
    login_etag: u64,
    may_change: bool,
    may_be_default: bool,
    may_not_be_default: bool,
    post_to: String,
    mapping_href: Option<String>,
    csrf_token: &'a str,
}

struct ShownSection {
    name: &'static str,
    title: &'static str,
    note: &'static str,
    is_folded: bool,
    inputs: Vec<Input>,
}

/// What came of the last request, beside the form.
#[derive(Debug, Default)]
pub(super) struct Outcome<'a> {
    pub(super) status: StatusCode,
    /// What was typed; absent: the settings that are kept are shown.
    pub(super) typed: Option<&'a Form>,
    pub(super) problems: Vec<FieldProblem>,
    /// A problem with no field.
    pub(super) problem: Option<String>,
    pub(super) conflict: Option<Conflict>,
    pub(super) findings: Option<Vec<TestLine>>,
    /// The version that the next change replaces; absent: that of the target.
    pub(super) etag: Option<String>,
}

/// The choice of a kind.
pub(super) fn kinds(context: &PageContext<'_>) -> Response<Body> {
    let lang = context.request.lang;
    let read_only = context.console.live.settings().read_only();
    let kinds = KindForm::all().map(|form| OfferedKind {
        name: lang.pick(form.name),
        about: lang.pick(form.about),
        href: format!("{PATH}/connectors/{NEW}?kind={}", form.kind),
    });
    let template = KindsPage {
        kinds: kinds.collect(),
        may_change: context.may_change() && read_only.is_none(),
        read_only: read_only.map(|at| at.to_string()),
        frame: Frame::of(context),
    };
    response::page(context.request, StatusCode::OK, &template)
}

/// The page of a connector after a request.
pub(super) fn form(
    context: &PageContext<'_>,
    target: &Target,
    outcome: Outcome<'_>,
) -> Response<Body> {
    let status = outcome.status;
    let page = page(context, target, outcome);
    let frame = Frame::of(context);
    let template = FormPage { frame, page };
    response::page(context.request, status, &template)
}

/// Opens the sections with a problem.
fn unfold(sections: &mut [ShownSection]) {
    for section in sections {
        let mut inputs = section.inputs.iter();
        section.is_folded &= inputs.all(|input| input.problems.is_empty());
    }
}

fn page<'a>(context: &'a PageContext<'_>, target: &Target, outcome: Outcome<'_>) -> Page<'a> {
    let lang = context.request.lang;
    let settings = context.console.live.settings();
    let source = Source {
        saved: &target.saved,
        typed: outcome.typed,
        lang,
    };
    let mut sections = sections(target.form, &source);
    note_auto_login(context, target, &settings, &mut sections);
    let (id_problems, problems): (Vec<_>, _) = {
        let problems = outcome.problems.into_iter();
        problems.partition(|problem| problem.field == "id")
    };
    let inputs = sections.iter_mut().flat_map(|section| &mut section.inputs);
    let mut problems = problem::place(problems, inputs, lang);
    problems.extend(outcome.problem);
    unfold(&mut sections);
    let choices = settings.login();
    let info = target.info.clone();
    let file = info.as_ref().and_then(|info| match &info.origin {
        Origin::File(at) => Some(at.to_string()),
        Origin::Managed => None,
    });
    let is_default = info.as_ref().is_some_and(|info| info.is_default);
    let may_be_default = info.as_ref().is_some_and(|info| info.enabled);
    let decides_default = choices.default_from.is_none();
    let read_only = settings.read_only().map(|at| at.to_string());
    let shown: &Members = &target.saved;
    Page {
        name: info
            .as_ref()
            .map(|info| lang.label(&info.display_name).to_owned()),
        id: target.id.clone(),
        id_problems: id_problems
            .iter()
            .map(|found| problem::words(found, lang))
            .collect(),
        kind: target.form.kind,
        kind_name: lang.pick(target.form.name),
        problems,
        conflict: outcome.conflict,
        findings: outcome.findings,
        lost_secrets: outcome.typed.is_some_and(|form| {
            let mut inputs = sections.iter().flat_map(|section| &section.inputs);
            inputs.any(|input| input.hides(form))
        }),
        is_new: target.is_new,
        is_shadowing: is_shadowing(&settings, info.as_ref()),
        addresses: addresses::of(
            context.site,
            target.form,
            target.id.parse().ok().as_ref(),
            shown,
            lang,
        ),
        sections,
        etag: outcome.etag.unwrap_or_else(|| target.etag()),
        login_etag: choices.etag,
        may_change: context.may_change() && read_only.is_none() && file.is_none(),
        may_be_default: may_be_default && !is_default && decides_default,
        may_not_be_default: is_default && decides_default,
        post_to: target.href(),
        mapping_href: info.as_ref().map(|_| format!("{}/mapping", target.href())),
        info,
        file,
        read_only,
        csrf_token: &context.visitor.csrf_token,
    }
}

impl Page<'_> {
    /// Whether there is a problem beside a control.
    fn has_marked_problems(&self) -> bool {
        let mut inputs = self.sections.iter().flat_map(|section| &section.inputs);
        !self.id_problems.is_empty() || inputs.any(|input| !input.problems.is_empty())
    }
}

fn is_shadowing(settings: &Settings, info: Option<&ConnectorInfo>) -> bool {
    info.is_some_and(|info| {
        matches!(info.origin, Origin::File(_)) && settings.managed_table(&info.id).is_some()
    })
}

fn sections(form: &KindForm, source: &Source<'_>) -> Vec<ShownSection> {
    let fields = form.fields();
    let sections = form.sections().into_iter();
    let sections = sections.map(|kind_section| {
        let section = kind_section.section;
        let inputs = kind_section.fields.into_iter();
        ShownSection {
            name: section.name,
            title: source.lang.pick(section.title),
            note: source.lang.pick(section.note),
            is_folded: section.is_folded,
            inputs: inputs
                .flat_map(|field| source.inputs(field, &fields))
                .collect(),
        }
    });
    sections
        .filter(|section| !section.inputs.is_empty() || !section.note.is_empty())
        .collect()
}

/// Says beside `auto_login` which connector starts the logins inside the app of the source already.
fn note_auto_login(
    context: &PageContext<'_>,
    target: &Target,
    settings: &Settings,
    sections: &mut [ShownSection],
) {
    let Some(other) = starts_in_app(settings, target.form, &target.id) else {
        return;
    };
    let t = context.texts();
    let mut inputs = sections.iter_mut().flat_map(|section| &mut section.inputs);
    if let Some(input) = inputs.find(|input| input.name == "auto_login") {
        input.note = Some(format!("{}{other}", t.auto_login_taken));
    }
}

/// Another connector of the kind that starts logins inside the app of the source.
pub(super) fn starts_in_app(settings: &Settings, form: &KindForm, id: &str) -> Option<ConnectorId> {
    let mut connectors = settings.config().connectors.iter();
    let found = connectors.find(|(other, connector)| {
        let kind = connector.kind().ok();
        let kind = kind.filter(|kind| kind.name() == form.kind);
        other.as_str() != id
            && connector.auto_login != AutoLogin::Never
            && kind.is_some_and(|kind| kind.features().app.is_some())
    });
    found.map(|(id, _)| id.clone())
}
