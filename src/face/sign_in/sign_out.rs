//! `/sign_out`: ends the session and lands on a page that starts nothing by itself.

use http::{Method, Response, StatusCode};
use url::Url;

use super::super::browser::{RequestKind, is_same_origin, request_kind, single_header};
use super::super::page::{Cause, Href, PageInfo, SignedOutPage};
use super::super::record::LoggedResponse;
use super::super::{RequestContext, reply, urls};
use super::{Target, audit, caller};
use crate::keys::Purpose;
use crate::login::ConnectorEntry;
use crate::login::fields::Fields;
use crate::login::return_to::ReturnTo;
use crate::people::session::{Person, Session};
use crate::request::Body;
use crate::request::gate::Caller;
use crate::store::{RevocationScope, StoreError};
use crate::telemetry::{AuditEvent, AuditRecord};

/// What the place to go to afterwards is sealed under on its way through the source.
const STATE_CONTEXT: &[u8] = b"sign out";
/// The longest such place, in bytes; a longer one is the site's root.
const STATE_BYTES_MAX: usize = 512;

/// Only a person going there, or a page of ours, ends a session.
pub(super) async fn answer(context: &RequestContext<'_>, query: &Fields) -> LoggedResponse {
    let allowed = match *context.head.method {
        Method::GET => request_kind(context.head) == RequestKind::Navigation,
        Method::POST => is_same_origin(context.head),
        _ => return LoggedResponse::own_path("method", reply::method_not_allowed("GET, POST")),
    };
    if !allowed {
        return LoggedResponse::own_path("foreign", reply::foreign_origin(context));
    }
    let everywhere =
        context.head.method == Method::POST && query.one("everywhere") == Ok(Some("1"));
    let who = match caller(context).await {
        Ok(who) => who,
        Err(response) => return LoggedResponse::own_path("unavailable", response),
    };
    let (mut source, mut onward) = (None, None);
    if let Caller::Person(person) = &who {
        let session = &person.session;
        let scope = if everywhere {
            RevocationScope::Account(session.account)
        } else {
            RevocationScope::Session(session.key)
        };
        if let Err(error) = context.shared.sessions.revoke(&scope).await {
            return store_failed(context, session, &error);
        }
        source = context.site.login.entry(&session.via);
        onward = provider_logout_url(context, query, person).await;
        context.shared.telemetry.audit(&AuditRecord {
            connector: Some(session.via.as_str()),
            subject: Some(session.subject.as_str()),
            login: Some(session.login.as_str()),
            account: Some(&session.account),
            session: Some(&session.public_id),
            reason: everywhere.then_some("everywhere"),
            ..audit::entry(context, AuditEvent::SignOut)
        });
    }
    let mut response = match onward {
        Some(onward) => reply::see_other(onward.as_str()),
        None => signed_out_page(context, query, source.map(|entry| &**entry), everywhere),
    };
    let cookie = context
        .site
        .cookies
        .clear_session(context.head.host.as_str());
    reply::add_cookie(&mut response, &cookie);
    LoggedResponse::own_path("sign_out", response)
}

/// They are signed out as far as this process goes. They are told, in case there are others.
fn store_failed(
    context: &RequestContext<'_>,
    session: &Session,
    error: &StoreError,
) -> LoggedResponse {
    tracing::error!(request_id = %context.id, error = %crate::telemetry::error_chain(error), "a sign-out could not be stored");
    context.shared.telemetry.audit(&AuditRecord {
        connector: Some(session.via.as_str()),
        subject: Some(session.subject.as_str()),
        login: Some(session.login.as_str()),
        account: Some(&session.account),
        session: Some(&session.public_id),
        reason: Some("not stored yet"),
        ..audit::entry(context, AuditEvent::SignOut)
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
    source: Option<&ConnectorEntry>,
    everywhere: bool,
) -> Response<Body> {
    let site = context.head.host.to_string();
    let page = SignedOutPage {
        info: PageInfo {
            site: &site,
            request_id: context.id.as_str(),
        },
        source: source.map(|entry| entry.display_name.as_str()),
        everywhere,
        sign_in: sign_in_link(context, query),
    };
    reply::page_response(StatusCode::OK, &page.render(context.lang()))
}

/// Where the browser ends the source's own session, when somebody watches and the source has such a
/// page. The session here is over already, whatever becomes of it there.
async fn provider_logout_url(
    context: &RequestContext<'_>,
    query: &Fields,
    person: &Person,
) -> Option<Url> {
    if !is_top_level(context) {
        return None;
    }
    let entry = context.site.login.entry(&person.session.via)?;
    let back = Url::parse(&urls::on_login_host(context, "sign_out")).ok()?;
    let state = Target::from_query(context, query).return_to.map(|place| {
        let place = place.absolute_from(&context.site.external_url);
        let fits = place.len() <= STATE_BYTES_MAX;
        let place = if fits { place.as_str() } else { "/" };
        let ring = &context.site.ring;
        ring.seal(Purpose::Pending, STATE_CONTEXT, place.as_bytes())
    });
    let state = state.unwrap_or_default();
    let tokens = person.tokens();
    let id_token = tokens.as_ref().and_then(|tokens| tokens.id.as_ref());
    let logout = entry.connector.logout()?;
    logout.address(id_token, &back, &state).await
}

/// Whether a person goes there with a window of their own, by a link or by a form.
fn is_top_level(context: &RequestContext<'_>) -> bool {
    let head = context.head;
    match request_kind(head) {
        RequestKind::Navigation => true,
        // A form that a service worker passed on has no destination left.
        RequestKind::Embedded => {
            let dest = single_header(head.headers, "sec-fetch-dest");
            dest.is_none_or(|dest| matches!(dest, "document" | "empty"))
        }
        RequestKind::Fetch => false,
    }
}

/// Where the page leads to. A path is one of this host, which sends its strangers home by itself.
/// Whoever comes back from the source brings the place as it was sealed.
fn sign_in_link(context: &RequestContext<'_>, query: &Fields) -> Href {
    let target = match query.one("state").ok().flatten() {
        Some(state) => Target {
            return_to: context
                .site
                .ring
                .open(Purpose::Pending, STATE_CONTEXT, state)
                .and_then(|place| String::from_utf8(place).ok())
                .and_then(|place| ReturnTo::parse(&place, context.site)),
            ..Target::default()
        },
        None => Target::from_query(context, query),
    };
    let query = target.query_string(&context.site.external_url, "");
    let query = if query.len() > 1 { query.as_str() } else { "" };
    let elsewhere = target
        .return_to
        .is_some_and(|place| place.origin().is_some());
    Href::new(if elsewhere {
        format!("{}{query}", urls::on_login_host(context, "sign_in"))
    } else {
        format!("{}/sign_in{query}", context.site.prefix)
    })
}
