//! Opens a login: what it asks the source, the cookies that remember it, and how often it begins by
//! itself.

use std::time::Duration;

use http::Response;

use super::super::page::{Href, SignInReason};
use super::super::{RequestContext, reply};
use super::{
    Target, audit, challenge, flow_cookies, password_form, sign_in_page, target, user_agent,
};
use crate::login::pending::Mode;
use crate::login::{BeginRequest, BegunLogin, ConnectorEntry, LoginError};
use crate::people::cookie;
use crate::request::Body;
use crate::request::policy::LoginNeeded;
use crate::store::SessionKey;

/// A second start by itself for the same place within this time shows the chooser instead.
const LOOP_WINDOW: Duration = Duration::from_secs(60);

/// How a login is opened, besides through what and where to.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct BeginOptions {
    /// Through which door; absent: the User-Agent decides.
    pub(super) mode: Option<Mode>,
    /// Whether nobody clicked.
    pub(super) automatic: bool,
    /// How often it was begun again by itself.
    pub(super) retries: u8,
    /// Whether the source must show nothing.
    pub(super) silent: bool,
}

/// For a stranger in front of an application on the host that logs people in: straight to the
/// source, or to the page with the connectors.
pub(super) async fn begin_or_choose(
    context: &RequestContext<'_>,
    target: &Target,
    needed: &LoginNeeded,
) -> Response<Body> {
    match begin_automatically(context, target, None).await {
        Ok(response) => response,
        Err(round) => {
            let reason = round.or_else(|| sign_in_page::reason_for(needed.why));
            let why =
                reason.map(|reason| format!("why={}", sign_in_page::reason_parameter(reason)));
            let query = target.query_string(&context.site.external_url, &why.unwrap_or_default());
            reply::redirect(&format!("{}/sign_in{query}", context.site.prefix))
        }
    }
}

/// Opens a login without a click, where exactly one connector is willing; else says whether this
/// browser only goes round.
pub(super) async fn begin_automatically(
    context: &RequestContext<'_>,
    target: &Target,
    mode: Option<Mode>,
) -> Result<Response<Body>, Option<SignInReason>> {
    let mut willing = target::allowed_connectors(context, target);
    let agent = user_agent(context);
    willing.retain(|entry| entry.auto_starts_for(&agent));
    // Inside a source's own client that source goes before the one that always starts.
    if willing.iter().any(|entry| entry.is_own_client(&agent)) {
        willing.retain(|entry| entry.is_own_client(&agent));
    }
    match willing.as_slice() {
        [entry] if !is_redirect_loop(context, target) => {
            Ok(begin_login(context, entry, target, automatic_options(mode)).await)
        }
        [_] => {
            context.shared.telemetry.count_login_loop();
            Err(Some(SignInReason::LoopDetected))
        }
        _ => Err(None),
    }
}

/// What the store knows the session of this browser by, if its cookie is ours.
pub(super) fn current_session_key(context: &RequestContext<'_>) -> Option<SessionKey> {
    let value = context.head.credentials.session?;
    let verified = cookie::verify(&context.site.ring, value)?;
    Some(verified.handle.sid.key())
}

pub(super) fn automatic_options(mode: Option<Mode>) -> BeginOptions {
    BeginOptions {
        mode,
        automatic: true,
        ..BeginOptions::default()
    }
}

/// Opens a login and sends the browser to the source.
pub(super) async fn begin_login(
    context: &RequestContext<'_>,
    entry: &ConnectorEntry,
    target: &Target,
    start: BeginOptions,
) -> Response<Body> {
    match try_begin_login(context, entry, target, start).await {
        Ok(response) => response,
        Err(error) => begin_failed(context, entry, &error),
    }
}

/// The same for who has another way when it cannot be opened.
pub(super) async fn try_begin_login(
    context: &RequestContext<'_>,
    entry: &ConnectorEntry,
    target: &Target,
    start: BeginOptions,
) -> Result<Response<Body>, LoginError> {
    if let Some(form) = password_form::address(context, entry, target) {
        return Ok(reply::see_other(&form));
    }
    begin_login_in_place(context, entry, target, start).await
}

/// The same at the address that the person is at, also where the login is a form of ours.
pub(super) async fn begin_login_in_place(
    context: &RequestContext<'_>,
    entry: &ConnectorEntry,
    target: &Target,
    start: BeginOptions,
) -> Result<Response<Body>, LoginError> {
    let begun = new_login(context, entry, target, start).await?;
    Ok(challenge::answer(context, entry, target, &begun))
}

/// A login that began, and that no browser knows of yet.
pub(super) async fn new_login(
    context: &RequestContext<'_>,
    entry: &ConnectorEntry,
    target: &Target,
    start: BeginOptions,
) -> Result<BegunLogin, LoginError> {
    let return_to = target.return_to_or_home(context, entry);
    let request = BeginRequest {
        via: &entry.id,
        mode: start.mode,
        authn: target::ask_of(context, &return_to, &target.hints, start.silent),
        return_to,
        automatic: start.automatic,
        retries: start.retries,
        ticket_for: target.ticket_for.clone(),
        for_frame: target.for_frame,
        replaces: current_session_key(context),
        client: context.head.client_for_limits(),
        user_agent: &user_agent(context),
    };
    context.site.login.begin(request).await
}

/// Whether this browser was just sent away by itself for the same place and never came back.
pub(super) fn is_redirect_loop(context: &RequestContext<'_>, target: &Target) -> bool {
    has_unanswered_login(context, target, false)
}

/// The same for one of the two kinds of login that begin by themselves.
pub(super) fn has_unanswered_login(
    context: &RequestContext<'_>,
    target: &Target,
    silent: bool,
) -> bool {
    flow_cookies::pending_logins(context).any(|pending| {
        let recent = context.head.at.since(pending.begun_at) < LOOP_WINDOW;
        let same = target
            .return_to
            .as_ref()
            .is_none_or(|to| *to == pending.return_to);
        pending.automatic && pending.silent == silent && recent && same
    })
}

/// A login that could not be opened.
pub(super) fn begin_failed(
    context: &RequestContext<'_>,
    entry: &ConnectorEntry,
    error: &LoginError,
) -> Response<Body> {
    tracing::warn!(request_id = %context.id, connector = %entry.id, error = %crate::telemetry::error_chain(error), "a login did not begin");
    if matches!(error, LoginError::Connector(_)) {
        audit::login_failed(context, &entry.id, error);
    }
    let again = Href::new(format!("{}/sign_in", context.site.prefix));
    reply::problem_at_source(
        context,
        audit::cause_of(error),
        Some(again),
        Some(&entry.display_name),
    )
}
