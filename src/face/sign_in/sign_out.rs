//! `/sign_out`: ends the session and shows a page that does not start a login by itself. For a person who wants
//! another account it leads to the connectors.

use http::{Method, Response, StatusCode};
use url::Url;

use super::super::browser::{RequestKind, is_same_origin, request_kind, single_header};
use super::super::page::{Cause, Href, SignInReason, SignedOutPage};
use super::super::record::LoggedResponse;
use super::super::{RequestContext, reply, urls};
use super::{LoginTarget, audit, caller, challenge, sign_in_page};
use crate::keys::Purpose;
use crate::login::ConnectorEntry;
use crate::login::connector::Delivery;
use crate::login::fields::Fields;
use crate::login::return_to::ReturnTo;
use crate::people::session::{Person, Session};
use crate::request::Body;
use crate::request::gate::Caller;
use crate::store::{RevocationScope, StoreError};
use crate::telemetry::{AuditEvent, AuditRecord};
use crate::wording::Text;

/// The reasons in audit records.
const EVERYWHERE: Text = Text::fixed("everywhere", "所有设备");
const NOT_STORED: Text = Text::fixed("not stored yet", "尚未写入数据库");

/// The sealing context of the return address that is sent through the provider as `state`.
const STATE_CONTEXT: &[u8] = b"sign out";
/// The same for a person who wants to sign in with another account.
const SWITCH_CONTEXT: &[u8] = b"switch account";
/// The longest such return address, in bytes; a longer one becomes `/`.
const STATE_BYTES_MAX: usize = 512;

/// Ends the session. Accepts only a navigation or a same-origin POST, against CSRF.
pub(super) async fn answer(context: &RequestContext<'_>, query: &Fields) -> LoggedResponse {
    let is_allowed = match *context.head.method {
        Method::GET => request_kind(context.head) == RequestKind::Navigation,
        Method::POST => is_same_origin(context.head),
        _ => return LoggedResponse::own_path("method", reply::method_not_allowed("GET, POST")),
    };
    if !is_allowed {
        return LoggedResponse::own_path("cross-site", reply::foreign_origin(context));
    }
    let everywhere =
        context.head.method == Method::POST && query.one("everywhere") == Ok(Some("1"));
    let caller = match caller(context).await {
        Ok(caller) => caller,
        Err(response) => return LoggedResponse::own_path("unavailable", response),
    };
    let (mut connector, mut logout) = (None, None);
    if let Caller::Person(person) = &caller {
        let session = &person.session;
        let scope = if everywhere {
            RevocationScope::Account(session.account)
        } else {
            RevocationScope::Session(session.key)
        };
        if let Err(error) = context.services.sessions.revoke(&scope).await {
            return store_failed(context, session, &error);
        }
        connector = context.site.login.entry(&session.via);
        logout = provider_logout(context, query, person).await;
        context.services.telemetry.audit(&AuditRecord {
            connector: Some(session.via.as_str()),
            subject: Some(session.subject.as_str()),
            login: Some(session.login.as_str()),
            account: Some(&session.account),
            session: Some(&session.public_id),
            reason: everywhere.then_some(&EVERYWHERE),
            ..audit::new_record(context, AuditEvent::SignOut)
        });
    }
    let mut response = match logout {
        Some((entry, delivery)) => challenge::deliver_logout(context, entry, &delivery),
        None => signed_out_page(context, query, connector.map(|entry| &**entry), everywhere),
    };
    let cookie = context
        .site
        .cookies
        .clear_session(context.head.host.as_str());
    reply::add_cookie(&mut response, &cookie);
    LoggedResponse::own_path("sign_out", response)
}

/// The response if the session is revoked in this process, but not in the store. Other processes may
/// still accept it, so the page says so.
fn store_failed(
    context: &RequestContext<'_>,
    session: &Session,
    error: &StoreError,
) -> LoggedResponse {
    tracing::error!(request_id = %context.id, error = %crate::telemetry::error_chain(error), "the revocation of a session at sign-out could not be stored");
    context.services.telemetry.audit(&AuditRecord {
        connector: Some(session.via.as_str()),
        subject: Some(session.subject.as_str()),
        login: Some(session.login.as_str()),
        account: Some(&session.account),
        session: Some(&session.public_id),
        reason: Some(&NOT_STORED),
        ..audit::new_record(context, AuditEvent::SignOut)
    });
    let mut response = reply::problem(context, Cause::SignOutUnstored, None);
    let cookie = context
        .site
        .cookies
        .clear_session(context.head.host.as_str());
    reply::add_cookie(&mut response, &cookie);
    LoggedResponse::own_path("sign-out not stored", response)
}

fn signed_out_page(
    context: &RequestContext<'_>,
    query: &Fields,
    connector: Option<&ConnectorEntry>,
    everywhere: bool,
) -> Response<Body> {
    let sign_in = sign_in_link(context, query);
    if switches_account(context, query) {
        return reply::see_other(sign_in.as_str());
    }
    let page = SignedOutPage {
        info: context.page_info(),
        connector_name: connector
            .filter(|entry| !entry.uses_password_form())
            .map(|entry| context.lang().label(&entry.display_name)),
        everywhere,
        sign_in,
    };
    reply::page_response(StatusCode::OK, &page.render(context.lang()))
}

/// The signed-out page for a browser that comes back from the provider of `entry`. Without `is_confirmed` it
/// says that the session there may continue. `state` is that of the logout request.
pub(super) fn returned_from_provider(
    context: &RequestContext<'_>,
    entry: &ConnectorEntry,
    is_confirmed: bool,
    state: Option<&str>,
) -> Response<Body> {
    let state = state.map(|state| ("state".to_owned(), state.to_owned()));
    let query = Fields::new(state.into_iter().collect());
    signed_out_page(context, &query, (!is_confirmed).then_some(entry), false)
}

/// The message that signs the person out at the provider, for a top-level navigation and a provider with
/// such a page. The session in menshen has already ended.
async fn provider_logout<'a>(
    context: &RequestContext<'a>,
    query: &Fields,
    person: &Person,
) -> Option<(&'a ConnectorEntry, Delivery)> {
    if !is_top_level(context) {
        return None;
    }
    let entry = context.site.login.entry(&person.session.via)?;
    let return_url = Url::parse(&urls::on_login_host(context, "sign_out")).ok()?;
    let return_to = LoginTarget::from_query(context, query).return_to;
    let state = match (return_to, switches_account(context, query)) {
        (None, false) => String::new(),
        (return_to, switches) => {
            let return_to = return_to.map(|it| it.absolute(&context.site.external_url));
            let fitting = return_to.filter(|it| it.len() <= STATE_BYTES_MAX);
            let return_to = fitting.as_deref().unwrap_or("/");
            let sealing = if switches {
                SWITCH_CONTEXT
            } else {
                STATE_CONTEXT
            };
            let ring = &context.site.ring;
            ring.seal(Purpose::Pending, sealing, return_to.as_bytes())
        }
    };
    let tokens = person.provider_tokens();
    let id_token = tokens.as_ref().and_then(|tokens| tokens.id.as_ref());
    let logout = entry.connector.logout()?;
    let delivery = logout.end_session(id_token, &return_url, &state).await?;
    Some((&**entry, delivery))
}

/// Whether the request is a top-level navigation by a link or a form.
fn is_top_level(context: &RequestContext<'_>) -> bool {
    let head = context.head;
    match request_kind(head) {
        RequestKind::Navigation => true,
        // A form post that a service worker passes on has the destination `empty`.
        RequestKind::Embedded => {
            let dest = single_header(head.headers, "sec-fetch-dest");
            dest.is_none_or(|dest| matches!(dest, "document" | "empty"))
        }
        RequestKind::Fetch => false,
    }
}

/// Whether the person signs out to sign in with another account.
fn switches_account(context: &RequestContext<'_>, query: &Fields) -> bool {
    let (name, value) = urls::SWITCH_ACCOUNT;
    let state = query.one("state").ok().flatten();
    query.one(name) == Ok(Some(value))
        || state.is_some_and(|state| opened(context, SWITCH_CONTEXT, state).is_some())
}

/// The return address in a sealed state.
fn opened(context: &RequestContext<'_>, sealing: &[u8], state: &str) -> Option<String> {
    let ring = &context.site.ring;
    let return_to = ring.open(Purpose::Pending, sealing, state)?;
    String::from_utf8(return_to).ok()
}

/// The link to sign in again. A path is relative to this host, which redirects to the login host.
/// After the provider's logout page the return address is in the sealed `state`.
fn sign_in_link(context: &RequestContext<'_>, query: &Fields) -> Href {
    let target = match query.one("state").ok().flatten() {
        Some(state) => LoginTarget {
            return_to: opened(context, STATE_CONTEXT, state)
                .or_else(|| opened(context, SWITCH_CONTEXT, state))
                .and_then(|return_to| ReturnTo::parse(&return_to, context.site)),
            ..LoginTarget::default()
        },
        None => LoginTarget::from_query(context, query),
    };
    let why = match switches_account(context, query) {
        true => format!(
            "why={}",
            sign_in_page::reason_parameter(SignInReason::SignedOut)
        ),
        false => String::new(),
    };
    let query = target.query_string(&context.site.external_url, &why);
    let query = if query.len() > 1 { query.as_str() } else { "" };
    let is_on_other_host = target
        .return_to
        .is_some_and(|return_to| return_to.origin().is_some());
    Href::new(if is_on_other_host {
        format!("{}{query}", urls::on_login_host(context, "sign_in"))
    } else {
        format!("{}/sign_in{query}", context.site.prefix)
    })
}
