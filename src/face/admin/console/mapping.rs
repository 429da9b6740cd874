//! `/console/connectors/ID/mapping`: what the mapping of a connector makes of a profile, and which headers
//! each route would send then; changes the mapping of a managed connector.

use std::collections::BTreeMap;

use askama::Template;
use http::{Response, StatusCode};
use serde_json::{Map, Value};

use super::form::Form;
use super::layout::Frame;
use super::notice::Notice;
use super::{PATH, PageContext, response, settings_change};
use crate::face::page::Lang;
use crate::login::connector::Features;
use crate::people::profile::MappingConfig;
use crate::request::Body;
use crate::request::console::ConsoleRight;
use crate::site::settings::{
    Change, ChangeError, ConnectorInfo, ConnectorTable, Draft, Origin, Precondition,
    PreviewedField, Settings,
};
use crate::store::ConnectorId;

mod attempt;
mod outcome;
mod rows;

use attempt::Attempt;
use outcome::Outcome;
use rows::Rows;

#[derive(Template)]
#[template(path = "console/mapping.html")]
struct MappingPage<'a> {
    frame: Frame<'a>,
    page: Page<'a>,
}

struct Page<'a> {
    id: String,
    name: String,
    kind: String,
    post_to: String,
    etag: u64,
    csrf_token: &'a str,
    problem: Option<String>,
    /// Where the connector is set, if the file has it.
    file: Option<String>,
    /// Where the file forbids changes.
    read_only: Option<String>,
    may_save: bool,
    profile: String,
    profile_rows: usize,
    profile_problem: Option<String>,
    rows: Rows,
    further_members_are_attributes: bool,
    new_field: String,
    new_expression: String,
    new_problem: Option<&'static str>,
    outcome: Option<Outcome>,
    /// The edited mapping for the configuration file.
    toml: Option<String>,
}

/// The connector that a path of this page names.
pub(super) fn connector_of(path: &str) -> Option<&str> {
    path.strip_prefix("/connectors/")?.strip_suffix("/mapping")
}

pub(super) fn show(context: &PageContext<'_>, id: &str) -> Response<Body> {
    let settings = context.console.live.settings();
    let Some(info) = known(&settings, id) else {
        return response::not_found(context);
    };
    let attempt = Attempt::of_saved(context.request.lang, saved_mapping(&settings, &info.id));
    page(context, &settings, &info, attempt)
}

/// Tries the typed mapping on the typed profile, or saves it.
pub(super) async fn change(context: &PageContext<'_>, id: &str, form: &Form) -> Response<Body> {
    let settings = context.console.live.settings();
    let Some(info) = known(&settings, id) else {
        return response::not_found(context);
    };
    let attempt = Attempt::typed(context.request.lang, context.texts(), form);
    match form.action() {
        "preview" => page(context, &settings, &info, attempt),
        "save" if context.visitor.right != ConsoleRight::Change => response::view_only(context),
        "save" => save(context, &settings, &info, attempt, form).await,
        _ => {
            let problem = context.texts().unknown_action.to_owned();
            let attempt = attempt.with_problem(StatusCode::BAD_REQUEST, problem);
            page(context, &settings, &info, attempt)
        }
    }
}

fn known(settings: &Settings, id: &str) -> Option<ConnectorInfo> {
    settings.connector(&id.parse::<ConnectorId>().ok()?)
}

/// The expressions that the settings of a connector have; all other fields keep the default of its kind.
fn saved_mapping(settings: &Settings, id: &ConnectorId) -> BTreeMap<String, String> {
    let table = settings.table(id).unwrap_or_default();
    let mapping = table.expose().get("mapping").and_then(Value::as_object);
    let text =
        |(field, value): (&String, &Value)| Some((field.clone(), value.as_str()?.to_owned()));
    mapping.into_iter().flatten().filter_map(text).collect()
}

async fn save(
    context: &PageContext<'_>,
    settings: &Settings,
    info: &ConnectorInfo,
    mut attempt: Attempt,
    form: &Form,
) -> Response<Body> {
    if attempt.has_problems() {
        attempt.status = StatusCode::UNPROCESSABLE_ENTITY;
        return page(context, settings, info, attempt);
    }
    let etag = form.value("etag").and_then(|etag| etag.parse::<u64>().ok());
    let changed = match etag {
        Some(etag) if etag == info.etag => {
            let change = Change::Put {
                id: info.id.clone(),
                settings: with_mapping(settings, &info.id, &attempt.mapping),
            };
            settings_change::attempt(context, change, Precondition::Matches(etag)).await
        }
        _ => Err(ChangeError::Precondition {
            current: Some(info.etag),
        }),
    };
    let Err(error) = changed else {
        let done = Notice::Saved.name();
        let page = format!("{PATH}/connectors/{}/mapping", info.id);
        return response::redirect(&format!("{page}?done={done}"));
    };
    let settings = context.console.live.settings();
    let (status, text) = settings_change::refused(context, &error);
    let attempt = match error {
        ChangeError::Problems(problems) => attempt.with_field_problems(problems),
        ChangeError::Precondition { .. } | ChangeError::Contended => {
            let saved = saved_mapping(&settings, &info.id);
            attempt.beside(saved).with_problem(status, text)
        }
        _ => attempt.with_problem(status, text),
    };
    match settings.connector(&info.id) {
        Some(info) => page(context, &settings, &info, attempt),
        None => response::not_found(context),
    }
}

/// The settings of a connector with another mapping; markers stand for its secrets, which are kept.
fn with_mapping(
    settings: &Settings,
    id: &ConnectorId,
    mapping: &BTreeMap<String, String>,
) -> ConnectorTable {
    let table = settings.table(id).unwrap_or_default();
    let mut members = table.expose().clone();
    members.remove("mapping");
    if !mapping.is_empty() {
        let mapping = mapping.iter();
        let mapping: Map<_, _> = mapping
            .map(|(field, text)| (field.clone(), text.as_str().into()))
            .collect();
        members.insert("mapping".to_owned(), mapping.into());
    }
    ConnectorTable::from(members)
}

fn page(
    context: &PageContext<'_>,
    settings: &Settings,
    info: &ConnectorInfo,
    mut attempt: Attempt,
) -> Response<Body> {
    // What does not compile is left out, so that the other fields are shown.
    let mapping = MappingConfig(attempt.compiling().collect());
    let draft = context.console.live.draft_with_mapping(&info.id, mapping);
    let draft = draft.map_err(|error| settings_change::refused(context, &error).1);
    let features = draft.as_ref().map_or_else(
        |_| Features::default(),
        |draft| draft.entry().features.clone(),
    );
    let profile_text = attempt.profile.take();
    let profile_text = profile_text.unwrap_or_else(|| features.sample_profile.trim().to_owned());
    let profile = serde_json::from_str::<Value>(&profile_text);
    let previewed = match (&draft, &profile) {
        (Ok(draft), Ok(profile)) => draft.preview(profile),
        _ => Vec::new(),
    };
    let outcome = match (&draft, &profile) {
        (Ok(draft), Ok(profile)) => outcome(context, draft, profile, &attempt),
        _ => None,
    };
    let page = Page {
        id: info.id.to_string(),
        name: context.request.lang.label(&info.display_name).to_owned(),
        kind: info.kind.clone(),
        post_to: format!("{PATH}/connectors/{}/mapping", info.id),
        etag: info.etag,
        csrf_token: &context.visitor.csrf_token,
        problem: attempt.problem.take().or_else(|| draft.err()),
        file: match &info.origin {
            Origin::File(at) => Some(at.to_string()),
            Origin::Managed => None,
        },
        read_only: settings.read_only().map(|at| at.to_string()),
        may_save: context.may_change()
            && info.origin == Origin::Managed
            && settings.read_only().is_none(),
        profile_rows: profile_text.lines().count().clamp(6, 24),
        profile: profile_text,
        profile_problem: profile
            .err()
            .map(|error| not_json(context.request.lang, &error)),
        further_members_are_attributes: features.further_members_are_attributes,
        toml: toml_for_file(info, &attempt, &saved_mapping(settings, &info.id)),
        rows: rows(context, &features, &attempt, previewed),
        new_field: attempt.new_field,
        new_expression: attempt.new_expression,
        new_problem: attempt.new_problem,
        outcome,
    };
    let frame = Frame::of(context);
    let template = MappingPage { frame, page };
    response::page(context.request, attempt.status, &template)
}

/// The result of a login with the profile; absent while an expression does not compile.
fn outcome(
    context: &PageContext<'_>,
    draft: &Draft,
    profile: &Value,
    attempt: &Attempt,
) -> Option<Outcome> {
    if attempt.has_problems() {
        return None;
    }
    let now = context.request.head.received_at;
    let person = draft.person(profile, &context.site.session_timeouts, now);
    Some(match person {
        Ok(person) => Outcome::of(context, &person),
        Err(error) => Outcome::failed(context.request.lang, &error),
    })
}

/// Where a text stops being JSON. The words of the parser are English.
fn not_json(lang: Lang, error: &serde_json::Error) -> String {
    let (line, column) = (error.line(), error.column());
    match lang {
        Lang::Zh => format!("第 {line} 行，第 {column} 列"),
        Lang::En => error.to_string(),
    }
}

fn rows(
    context: &PageContext<'_>,
    features: &Features,
    attempt: &Attempt,
    previewed: Vec<PreviewedField>,
) -> Rows {
    Rows::new(context.texts(), features.mapping, attempt, previewed)
}

/// The tried mapping as TOML, for the connector of a file, if it differs from that of the file.
fn toml_for_file(
    info: &ConnectorInfo,
    attempt: &Attempt,
    saved: &BTreeMap<String, String>,
) -> Option<String> {
    if info.origin == Origin::Managed || attempt.mapping == *saved || attempt.has_problems() {
        return None;
    }
    let table = toml::to_string(&attempt.mapping).ok()?;
    Some(format!("[connector.{}.mapping]\n{table}", info.id))
}
