//! `/console/people/ID`: a person with identities, sessions and history; closes and opens the account.

use std::collections::HashMap;

use askama::Template;
use http::{Response, StatusCode};

use super::form::Form;
use super::layout::Frame;
use super::moment::Moment;
use super::notice::Notice;
use super::sessions::{self, Row};
use super::{PATH, PageContext, audit, response};
use crate::face::page::Lang;
use crate::people::profile::UserFields;
use crate::request::Body;
use crate::store::{
    AccountChange, AccountChangeKind, AccountId, Closing, IdentityRecord, IdentityState,
    PersonRecord, SessionId, SessionsQuery, StoreError,
};
use crate::telemetry::{AuditEvent, AuditRecord};
use crate::wording::Text;

/// The most sessions and changes that are listed.
const LISTED_MAX: u32 = 100;
/// The longest reason, in characters.
const REASON_CHARS_MAX: usize = 200;

#[derive(Template)]
#[template(path = "console/person.html")]
struct PersonPage<'a> {
    frame: Frame<'a>,
    page: Page<'a>,
}

struct Page<'a> {
    problem: Option<&'a str>,
    name: String,
    facts: Vec<Fact>,
    created: Moment,
    seen: Option<Moment>,
    closed: bool,
    closed_at: Option<Moment>,
    closed_by: String,
    closed_reason: String,
    identities: Vec<Identity>,
    sessions: Vec<Row>,
    history: Vec<Change>,
    may_change: bool,
    csrf_token: &'a str,
    post_to: String,
}

/// A field of a person.
struct Fact {
    label: &'static str,
    value: String,
}

/// A way in which the person can sign in.
struct Identity {
    connector: String,
    subject: String,
    state: &'static str,
    used: Option<Moment>,
    departments: Vec<String>,
}

/// An entry of the history.
struct Change {
    at: Moment,
    what: &'static str,
    by: String,
    detail: String,
}

pub(super) async fn show(
    context: &PageContext<'_>,
    id: &str,
    problem: Option<&str>,
) -> Response<Body> {
    let person = match found(context, id).await {
        Ok(Some(person)) => person,
        Ok(None) => return response::not_found(context),
        Err(error) => return response::store_failed(context, &error),
    };
    match page(context, person, problem).await {
        Ok(page) => {
            let status = match problem {
                Some(_) => StatusCode::UNPROCESSABLE_ENTITY,
                None => StatusCode::OK,
            };
            let frame = Frame::of(context);
            let template = PersonPage { frame, page };
            response::page(context.request, status, &template)
        }
        Err(error) => response::store_failed(context, &error),
    }
}

async fn found(context: &PageContext<'_>, id: &str) -> Result<Option<PersonRecord>, StoreError> {
    match AccountId::try_from(id.to_owned()) {
        Ok(account) => context.services.people.person(&account).await,
        Err(_) => Ok(None),
    }
}

async fn page<'a>(
    context: &'a PageContext<'_>,
    person: PersonRecord,
    problem: Option<&'a str>,
) -> Result<Page<'a>, StoreError> {
    let details = context.services.people.details(&person.id, LISTED_MAX);
    let (identities, history) = details.await?;
    let query = SessionsQuery {
        account: Some(person.id),
        max: LISTED_MAX,
        ..SessionsQuery::default()
    };
    let sessions = context.services.sessions.list(&query).await?;
    let facts = facts(context, &person, &identities);
    let name = person.name.unwrap_or_else(|| person.login.to_string());
    Ok(Page {
        problem,
        name,
        facts,
        created: context.moment(person.created_at),
        seen: person.seen_at.map(|at| context.moment(at)),
        closed: person.closed,
        closed_at: person.closed_at.map(|at| context.moment(at)),
        closed_by: person.closed_by.unwrap_or_default(),
        closed_reason: person.closed_reason.unwrap_or_default(),
        identities: identities
            .iter()
            .map(|identity| Identity::new(context, identity))
            .collect(),
        sessions: sessions
            .into_iter()
            .map(|listed| Row::new(context, listed))
            .collect(),
        history: history
            .into_iter()
            .map(|change| Change::new(context, change))
            .collect(),
        may_change: context.may_change(),
        csrf_token: &context.visitor.csrf_token,
        post_to: format!("{PATH}/people/{}", person.id),
    })
}

fn facts(
    context: &PageContext<'_>,
    person: &PersonRecord,
    identities: &[IdentityRecord],
) -> Vec<Fact> {
    let t = context.texts();
    let latest = identities.first().map(fields_of).unwrap_or_default();
    let groups = person
        .local
        .groups
        .iter()
        .map(|group| group.as_str().to_owned());
    let groups: Vec<_> = groups.collect();
    let department = person.local.department.as_ref();
    let departments = match latest.department_paths.is_empty() {
        true => &latest.departments,
        false => &latest.department_paths,
    };
    let facts = [
        (t.login, Some(person.login.to_string())),
        (t.full_name, person.name.clone()),
        (t.email, person.email.clone()),
        (t.mobile, person.mobile.clone()),
        (t.department, Some(departments.join(t.between_names))),
        (t.groups, Some(latest.groups.join(t.between_names))),
        (t.roles, Some(latest.roles.join(t.between_names))),
        (
            t.local_department,
            department.map(|it| it.as_str().to_owned()),
        ),
        (t.local_groups, Some(groups.join(t.between_names))),
        (t.account_id, Some(person.id.to_string())),
    ];
    let facts = facts.into_iter().filter_map(|(label, value)| {
        let value = value.filter(|value| !value.is_empty())?;
        Some(Fact { label, value })
    });
    facts.collect()
}

/// The fields of the last login or refresh; none for an expected identity.
fn fields_of(identity: &IdentityRecord) -> UserFields {
    serde_json::from_str(&identity.fields).unwrap_or_default()
}

impl Identity {
    fn new(context: &PageContext<'_>, identity: &IdentityRecord) -> Self {
        let t = context.texts();
        let fields = fields_of(identity);
        let paths = fields.department_ids.iter().zip(&fields.department_paths);
        let paths: HashMap<_, _> = paths.collect();
        let departments = identity.memberships.iter().map(|membership| {
            let path = paths.get(&membership.department);
            path.map_or_else(|| membership.department.clone(), |path| (*path).clone())
        });
        Self {
            connector: identity.connector.to_string(),
            subject: identity
                .subject
                .as_ref()
                .map(ToString::to_string)
                .unwrap_or_default(),
            state: match identity.state {
                IdentityState::Known => t.identity_known,
                IdentityState::Expected => t.identity_expected,
                IdentityState::Gone => t.identity_gone,
            },
            used: identity.used_at.map(|at| context.moment(at)),
            departments: departments.collect(),
        }
    }
}

impl Change {
    fn new(context: &PageContext<'_>, change: AccountChange) -> Self {
        Self {
            at: context.moment(change.at),
            what: change_text(change.kind, context.request.lang),
            by: change.by,
            detail: change.detail,
        }
    }
}

/// What changed, for people to read.
fn change_text(kind: AccountChangeKind, lang: Lang) -> &'static str {
    let (zh, en) = match kind {
        AccountChangeKind::Created => ("创建", "created"),
        AccountChangeKind::Linked => ("关联身份", "identity linked"),
        AccountChangeKind::IdentityExpected => ("登记身份", "identity expected"),
        AccountChangeKind::LoginChanged => ("修改登录名", "login changed"),
        AccountChangeKind::FieldsChanged => ("资料变化", "fields changed"),
        AccountChangeKind::Closed => ("关闭", "closed"),
        AccountChangeKind::Reopened => ("重新打开", "opened"),
        AccountChangeKind::SubjectRenamed => ("认证源改了 ID", "subject changed"),
        AccountChangeKind::IdentityRemoved => ("移除身份", "identity removed"),
        AccountChangeKind::Vouched => ("核实资料", "fields verified"),
    };
    match lang {
        Lang::Zh => zh,
        Lang::En => en,
    }
}

/// Closes or opens the account, or ends sessions.
pub(super) async fn change(context: &PageContext<'_>, id: &str, form: &Form) -> Response<Body> {
    let person = match found(context, id).await {
        Ok(Some(person)) => person,
        Ok(None) => return response::not_found(context),
        Err(error) => return response::store_failed(context, &error),
    };
    let t = context.texts();
    let done = match form.action() {
        "close" => match reason(form) {
            Some(reason) => close(context, &person, reason).await,
            None => return show(context, id, Some(t.bad_reason)).await,
        },
        "open" => open(context, &person).await,
        "end" => match end(context, &person, form).await {
            Ok(Some(ended)) => ended,
            Ok(None) => return show(context, id, Some(t.unknown_session)).await,
            Err(error) => return response::store_failed(context, &error),
        },
        "end-all" => match sessions::end_all_of(context, person.id, &person.login).await {
            Ok(ended) => ended,
            Err(error) => return response::store_failed(context, &error),
        },
        _ => return show(context, id, Some(t.unknown_action)).await,
    };
    match done {
        Ok(notice) => {
            let done = notice.name();
            response::redirect(&format!("{PATH}/people/{}?done={done}", person.id))
        }
        Err(error) => response::not_yet_stored(context, &error),
    }
}

/// The reason for a change; `None` if it is too long or has control characters.
fn reason(form: &Form) -> Option<&str> {
    let reason = form.value("reason").unwrap_or_default();
    let is_fine = reason.chars().count() <= REASON_CHARS_MAX && !reason.contains(char::is_control);
    is_fine.then_some(reason)
}

async fn close(
    context: &PageContext<'_>,
    person: &PersonRecord,
    reason: &str,
) -> Result<Notice, StoreError> {
    let closing = Closing {
        by: context.visitor.by.clone(),
        reason: reason.to_owned(),
        gone: None,
        by_sync_of: None,
    };
    let stored = context
        .services
        .people
        .close_account(&person.id, &closing)
        .await;
    audit_account(context, AuditEvent::AccountClosed, person, reason, &stored);
    stored.map(|_| Notice::Closed)
}

async fn open(context: &PageContext<'_>, person: &PersonRecord) -> Result<Notice, StoreError> {
    let people = &context.services.people;
    let reopened = people
        .reopen_account(&person.id, &context.visitor.by)
        .await?;
    let reopened = Ok(reopened);
    audit_account(context, AuditEvent::AccountReopened, person, "", &reopened);
    reopened.map(|_| Notice::Opened)
}

/// Ends a session of this person; `None` if they have none with this ID.
async fn end(
    context: &PageContext<'_>,
    person: &PersonRecord,
    form: &Form,
) -> Result<Option<Result<Notice, StoreError>>, StoreError> {
    let id = form.value("session").unwrap_or_default();
    let Ok(public_id) = SessionId::try_from(id.to_owned()) else {
        return Ok(None);
    };
    let query = SessionsQuery {
        account: Some(person.id),
        max: LISTED_MAX,
        ..SessionsQuery::default()
    };
    let sessions = context.services.sessions.list(&query).await?;
    match sessions
        .iter()
        .any(|listed| listed.session.public_id == public_id)
    {
        true => sessions::end_session(context, &public_id).await,
        false => Ok(None),
    }
}

fn audit_account<T>(
    context: &PageContext<'_>,
    event: AuditEvent,
    person: &PersonRecord,
    note: &str,
    stored: &Result<T, StoreError>,
) {
    let reason = audit::reason(&Text::same(note.to_owned()), stored);
    context.services.telemetry.audit(&AuditRecord {
        account: Some(&person.id),
        login: Some(person.login.as_str()),
        ..audit::of_change(context, event, &reason)
    });
}
