//! `/link/{connector}`: a signed-in person confirms that a further identity may sign in to their account.
//!
//! The identity was proven at its source in this browser. The source may have signed in somebody else
//! without a question, on a computer that people share, so the page names both before anything is stored.

use bytes::Bytes;
use http::{Method, StatusCode};

use super::super::browser::{RequestKind, loads_in_frame, request_kind};
use super::super::page::{Cause, Href, LinkPage, PersonName};
use super::super::record::LoggedResponse;
use super::super::{RequestContext, reply};
use super::begin::{self, BeginOptions};
use super::{LoginTarget, audit, caller, flow_cookies, is_own_form_post, read_body};
use crate::login::fields::Fields;
use crate::login::link::{LinkRequest, ProvenIdentity};
use crate::login::pending::{FlowId, Mode, Pending, PendingError};
use crate::login::{ConnectorEntry, LoginError};
use crate::people::session::Person;
use crate::people::{LinkError, People};
use crate::request::BodyError;
use crate::request::gate::Caller;
use crate::store::ConnectorId;
use crate::telemetry::{AuditEvent, AuditRecord};

/// The parameter that names the pending login.
const FLOW_FIELD: &str = "flow";

/// The session that began the linking has ended, or belongs to another person now.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("the person who began to add this identity is not signed in")]
struct NotTheSamePerson;

/// `GET /start?connector=ID&link=1`: begins a login whose identity is added to the caller's account.
pub(super) async fn begin(
    context: &RequestContext<'_>,
    entry: &ConnectorEntry,
    target: &LoginTarget,
    mode: Option<Mode>,
) -> LoggedResponse {
    if !entry.config.link_on_request {
        let page = reply::problem(context, Cause::NotFound, None);
        return LoggedResponse::own_path("linking is off", page);
    }
    let person = match caller(context).await {
        Ok(Caller::Person(person)) => person,
        Ok(Caller::Anonymous(_) | Caller::Program(_)) => return not_linked(context, entry),
        Err(response) => return LoggedResponse::own_path("unavailable", response),
    };
    if !person.session.may_get_credentials(context.head.received_at) {
        return signed_in_too_long_ago(context, entry, &person);
    }
    let options = BeginOptions {
        mode,
        link_to: Some(person.session.account),
        ..BeginOptions::default()
    };
    let begun = begin::begin_and_challenge(context, entry, target, options).await;
    let response =
        begun.unwrap_or_else(|error| begin::begin_failed(context, entry, target, &error));
    LoggedResponse::own_path("start", response)
}

/// The redirect from the callback to the page that asks. A callback can be a cross-site POST, to which
/// browsers send no session cookie; to the next page they do.
pub(super) fn ask_on_next_page(
    context: &RequestContext<'_>,
    pending: &Pending,
    identity: &ProvenIdentity,
) -> LoggedResponse {
    let mut pending = pending.clone();
    if let Some(link) = &mut pending.link {
        link.identity = Some(identity.clone());
    }
    let sealed = match context.site.login.seal_pending(&mut pending) {
        Ok(sealed) => sealed,
        Err(error) => {
            audit::login_failed(context, &pending.connector, &error);
            let cause = audit::cause_of(&error);
            return LoggedResponse::own_path(cause.slug(), reply::problem(context, cause, None));
        }
    };
    let (prefix, flow) = (&context.site.prefix, &pending.flow);
    let page = format!("{prefix}/link/{}?{FLOW_FIELD}={flow}", pending.connector);
    let mut response = reply::see_other(&page);
    flow_cookies::set_sealed(context, flow, &sealed, false, &mut response);
    LoggedResponse::own_path("to the link page", response)
}

/// `GET` shows the page that asks; `POST` is its form.
pub(super) async fn answer<B>(
    context: &RequestContext<'_>,
    via: &ConnectorId,
    query: &Fields,
    body: Option<B>,
) -> LoggedResponse
where
    B: http_body::Body<Data = Bytes> + Send + Unpin + 'static,
    B::Error: Into<BodyError>,
{
    let entry = context.site.login.entry(via);
    let Some(entry) = entry.filter(|entry| entry.config.link_on_request) else {
        let page = reply::problem(context, Cause::NotFound, None);
        return LoggedResponse::own_path("linking is off", page);
    };
    match *context.head.method {
        Method::GET if request_kind(context.head) != RequestKind::Fetch => {
            match proven(context, entry, query).await {
                Ok(proven) => ask(context, entry, &proven),
                Err(logged) => *logged,
            }
        }
        Method::POST if is_own_form_post(context) => {
            let form = read_body(body).await.and_then(|form| Fields::parse(&form));
            match proven(context, entry, &form.unwrap_or_default()).await {
                Ok(proven) => link(context, entry, &proven).await,
                Err(logged) => *logged,
            }
        }
        Method::GET | Method::POST => {
            LoggedResponse::own_path("cross-site", reply::foreign_origin(context))
        }
        _ => LoggedResponse::own_path("method", reply::method_not_allowed("GET, POST")),
    }
}

/// A pending login with its proven identity, and the person who began it.
struct ProvenLogin {
    pending: Pending,
    identity: ProvenIdentity,
    person: Person,
}

/// The pending login that the fields name, if its person is still signed in.
async fn proven(
    context: &RequestContext<'_>,
    entry: &ConnectorEntry,
    fields: &Fields,
) -> Result<ProvenLogin, Box<LoggedResponse>> {
    let opened = open(context, entry, fields).map_err(|error| {
        audit::refused(context, Some(&entry.id), &error);
        let cause = audit::cause_of(&LoginError::Pending(error));
        Box::new(LoggedResponse::own_path(
            cause.slug(),
            reply::login_problem(
                context,
                cause,
                None,
                Some(context.lang().label(&entry.display_name)),
            ),
        ))
    });
    let (pending, request, identity) = opened?;
    match caller(context).await {
        Ok(Caller::Person(person)) if person.session.account == request.account => {
            if !person.session.may_get_credentials(context.head.received_at) {
                audit::refused(context, Some(&entry.id), &LinkError::SessionTooOld);
                let logged = signed_in_too_long_ago(context, entry, &person);
                return Err(Box::new(logged.map_response(|response| {
                    flow_cookies::clear(context, &pending.flow, response);
                })));
            }
            Ok(ProvenLogin {
                pending,
                identity,
                person,
            })
        }
        Ok(_) => {
            audit::refused(context, Some(&entry.id), &NotTheSamePerson);
            let logged = not_linked(context, entry);
            Err(Box::new(logged.map_response(|response| {
                flow_cookies::clear(context, &pending.flow, response);
            })))
        }
        Err(response) => Err(Box::new(LoggedResponse::own_path("unavailable", response))),
    }
}

fn open(
    context: &RequestContext<'_>,
    entry: &ConnectorEntry,
    fields: &Fields,
) -> Result<(Pending, LinkRequest, ProvenIdentity), PendingError> {
    let flow = fields.one(FLOW_FIELD).ok().flatten().unwrap_or_default();
    let flow = FlowId::try_from(flow.to_owned()).map_err(|_| PendingError::Missing)?;
    let sealed = flow_cookies::sealed_login(context, &flow);
    let login = &context.site.login;
    login.open_link(&entry.id, &flow, sealed.as_deref())
}

/// The page that names the account and the identity.
fn ask(
    context: &RequestContext<'_>,
    entry: &ConnectorEntry,
    proven: &ProvenLogin,
) -> LoggedResponse {
    if loads_in_frame(context.head) {
        // In a frame another page could cover the button (clickjacking).
        let sign_in_link = Href::new(format!("{}/sign_in", context.site.prefix));
        let page = reply::problem(context, Cause::FrameNeedsLogin, Some(sign_in_link));
        return LoggedResponse::own_path("embedded", page);
    }
    let ProvenLogin {
        pending,
        identity,
        person,
    } = proven;
    let page = LinkPage {
        info: context.page_info(),
        connector_name: context.lang().label(&entry.display_name),
        current: PersonName {
            name: person.entitlements.fields.name.as_deref(),
            login: person.session.login.as_str(),
        },
        identity: PersonName {
            name: identity.name.as_deref(),
            login: identity.login.as_str(),
        },
        post_to: Href::new(format!("{}/link/{}", context.site.prefix, entry.id)),
        flow: pending.flow.as_str(),
        cancel: Href::new(pending.return_to.location()),
    };
    let page = reply::page_response(StatusCode::OK, &page.render(context.lang()));
    LoggedResponse::own_path("asks to link", page)
}

async fn link(
    context: &RequestContext<'_>,
    entry: &ConnectorEntry,
    proven: &ProvenLogin,
) -> LoggedResponse {
    let ProvenLogin {
        pending,
        identity,
        person,
    } = proven;
    let people: &People = &context.services.people;
    let account = &person.session.account;
    let linked = people
        .link_identity(&person.session, &entry.id, &identity.subject)
        .await;
    let event = match linked {
        Ok(()) => AuditEvent::IdentityLinked,
        Err(_) => AuditEvent::Refused,
    };
    context.services.telemetry.audit(&AuditRecord {
        connector: Some(entry.id.as_str()),
        subject: Some(identity.subject.as_str()),
        login: Some(person.session.login.as_str()),
        account: Some(account),
        session: Some(&person.session.public_id),
        error: linked.as_ref().err().map(|error| error as _),
        ..audit::new_record(context, event)
    });
    let mut response = match &linked {
        Ok(()) => reply::see_other(&pending.return_to.location()),
        Err(error) => {
            let cause = match error {
                LinkError::Taken { .. } => Cause::IdentityTaken,
                LinkError::SessionEnded => Cause::NotLinked,
                LinkError::SessionTooOld => Cause::SessionTooOld,
                LinkError::Store(_) => Cause::StoreUnavailable,
            };
            reply::login_problem(
                context,
                cause,
                None,
                Some(context.lang().label(&entry.display_name)),
            )
        }
    };
    // After a failure of the store the person can press the button again.
    if !matches!(linked, Err(LinkError::Store(_))) {
        flow_cookies::clear(context, &pending.flow, &mut response);
    }
    LoggedResponse::own_path("link", response)
}

/// The page that asks to sign in again, with the connector of the session.
fn signed_in_too_long_ago(
    context: &RequestContext<'_>,
    entry: &ConnectorEntry,
    person: &Person,
) -> LoggedResponse {
    let path = format!("/start?connector={}", person.session.via);
    problem(context, entry, Cause::SessionTooOld, &path)
}

fn not_linked(context: &RequestContext<'_>, entry: &ConnectorEntry) -> LoggedResponse {
    problem(context, entry, Cause::NotLinked, "/sign_in")
}

/// A page with a link to another login, at this path below the prefix.
fn problem(
    context: &RequestContext<'_>,
    entry: &ConnectorEntry,
    cause: Cause,
    path: &str,
) -> LoggedResponse {
    let sign_in_link = Href::new(format!("{}{path}", context.site.prefix));
    let connector = context.lang().label(&entry.display_name);
    let page = reply::login_problem(context, cause, Some(sign_in_link), Some(connector));
    LoggedResponse::own_path(cause.slug(), page)
}
