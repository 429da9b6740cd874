//! The end of a login that a portal started: the session, or first the question whether to switch
//! accounts.

use http::header::REFERRER_POLICY;
use http::{HeaderValue, StatusCode};

use super::super::super::browser::loads_in_frame;
use super::super::super::page::{Cause, Href, PersonName, SwitchPage};
use super::super::super::record::LoggedResponse;
use super::super::super::{RequestContext, reply};
use super::super::{LoginTarget, audit, complete, flow_cookies, ticket};
use super::{FORM_REFERRER_POLICY, failure, login_failed, malformed, redirect_to_get};
use crate::login::pending::{Pending, PendingError};
use crate::login::{ConnectorEntry, LoginError};
use crate::people::session::Person;
use crate::request::gate::Caller;

/// Completes the login, or asks first if another person is signed in.
pub(super) async fn complete_or_ask(
    context: &RequestContext<'_>,
    entry: &ConnectorEntry,
    pending: Pending,
    caller: &Caller,
) -> LoggedResponse {
    let account = pending
        .unsolicited
        .as_ref()
        .map(|unsolicited| unsolicited.account);
    match caller {
        Caller::Person(person) if Some(person.session.account) != account => {
            ask_to_switch(context, entry, pending, person)
        }
        _ => complete_login(context, entry, &pending).await,
    }
}

pub(super) async fn complete_login(
    context: &RequestContext<'_>,
    entry: &ConnectorEntry,
    pending: &Pending,
) -> LoggedResponse {
    let finished = match context
        .site
        .login
        .finish_unsolicited(pending, super::super::session_origin(context))
        .await
    {
        Ok(finished) => finished,
        Err(error) if error.is_transient() => {
            let logged = login_failed(context, entry, &error);
            // The page offers a retry, and a retry needs the flow cookie.
            return match flow_cookies::sealed_login(context, &pending.flow) {
                Some(_) => logged,
                None => redirect_to_get(context, entry, pending.clone()),
            };
        }
        Err(error) => {
            let logged = login_failed(context, entry, &error);
            return logged.map_response(|it| flow_cookies::clear(context, &pending.flow, it));
        }
    };
    let target = LoginTarget {
        return_to: Some(pending.return_to.clone()),
        ticket_for: pending.ticket_for.clone(),
        for_frame: pending.for_frame,
        ..LoginTarget::default()
    };
    let (reason, mut response) = match complete::insufficient_auth(context, &finished) {
        None => {
            let to = ticket::next_url(context, &finished.return_to, &target, &finished.claims);
            ("entry login", reply::see_other(&to))
        }
        Some(_) => {
            let page = complete::auth_too_weak_page(context, &finished, &target);
            (Cause::AuthTooWeak.slug(), page)
        }
    };
    complete::hand_out_session(context, &finished, None, &mut response).await;
    flow_cookies::clear(context, &pending.flow, &mut response);
    LoggedResponse::own_path(reason, response)
}

/// The page that names the person who is signed in and the person of the entry token.
fn ask_to_switch(
    context: &RequestContext<'_>,
    entry: &ConnectorEntry,
    mut pending: Pending,
    person: &Person,
) -> LoggedResponse {
    if loads_in_frame(context.head) {
        // In a frame another page could cover the button (clickjacking).
        let sign_in_link = Href::new(format!("{}/sign_in", context.site.prefix));
        let page = reply::problem(context, Cause::FrameNeedsLogin, Some(sign_in_link));
        return LoggedResponse::own_path("embedded", page);
    }
    let login = &context.site.login;
    let sealed = match login.seal_pending(&mut pending) {
        Ok(sealed) => sealed,
        Err(error) => return login_failed(context, entry, &error),
    };
    let Some(unsolicited) = &pending.unsolicited else {
        return malformed(context, entry);
    };
    let page = SwitchPage {
        info: context.page_info(),
        current: PersonName {
            name: person.entitlements.fields.name.as_deref(),
            login: person.session.login.as_str(),
        },
        new_person: PersonName {
            name: unsolicited.name.as_deref(),
            login: unsolicited.login.as_str(),
        },
        post_to: Href::new(format!("{}/enter/{}", context.site.prefix, entry.id)),
        flow: pending.flow.as_str(),
        account: &unsolicited.account.to_string(),
        keep_current: Href::new(pending.return_to.location()),
    };
    let mut response = reply::page_response(StatusCode::CONFLICT, &page.render(context.lang()));
    let policy = HeaderValue::from_static(FORM_REFERRER_POLICY);
    response.headers_mut().insert(REFERRER_POLICY, policy);
    flow_cookies::set_sealed(context, &pending.flow, &sealed, false, &mut response);
    LoggedResponse::own_path("asks to switch accounts", response)
}

/// The response if the flow cookie is missing, expired or forged. A person who pressed the button twice
/// is already signed in to the account that they confirmed, and is redirected. Another person is not,
/// because they would continue in the application with a session that is not theirs.
pub(super) fn without_pending(
    context: &RequestContext<'_>,
    entry: &ConnectorEntry,
    caller: &Caller,
    confirmed_account: Option<&str>,
    error: PendingError,
) -> LoggedResponse {
    if let Caller::Person(person) = caller {
        if confirmed_account == Some(person.session.account.to_string().as_str()) {
            return LoggedResponse::own_path("repeated", reply::see_other("/"));
        }
        audit::refused(context, Some(&entry.id), &error);
        let cause = Cause::AccountNotSwitched;
        return LoggedResponse::own_path(cause.slug(), failure(context, entry, cause));
    }
    audit::refused(context, Some(&entry.id), &error);
    let cause = audit::cause_of(&LoginError::Pending(error));
    LoggedResponse::own_path(cause.slug(), failure(context, entry, cause))
}
