//! Begins logins and detects redirect loops.

use std::time::Duration;

use http::Response;

use super::super::page::{Href, SignInReason};
use super::super::{RequestContext, reply};
use super::{
    LoginTarget, audit, challenge, flow_cookies, password_form, sign_in_page, target, user_agent,
};
use crate::login::pending::Mode;
use crate::login::{BeginRequest, BegunLogin, ConnectorEntry, LoginError};
use crate::people::cookie;
use crate::request::Body;
use crate::request::policy::LoginNeeded;
use crate::store::{AccountId, SessionKey};

/// A second automatic login for the same return address within this time shows the sign-in page
/// instead.
const LOOP_WINDOW: Duration = Duration::from_secs(60);

/// How a login begins.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct BeginOptions {
    /// Which of the connector's login pages is used; by default the `User-Agent` decides.
    pub(super) mode: Option<Mode>,
    /// Whether the login begins without a click.
    pub(super) automatic: bool,
    /// How often the login was already restarted automatically.
    pub(super) retries: u8,
    /// Whether the provider must not show a page (`prompt=none`).
    pub(super) silent: bool,
    /// The account of a signed-in person who adds an identity.
    pub(super) link_to: Option<AccountId>,
}

/// Redirects an unauthenticated navigation on the login host: to the provider if one connector can begin
/// automatically, else to the sign-in page.
pub(super) async fn begin_or_choose(
    context: &RequestContext<'_>,
    target: &LoginTarget,
    needed: &LoginNeeded,
) -> Response<Body> {
    match begin_automatically(context, target, None).await {
        Ok(response) => response,
        Err(loop_detected) => {
            let reason = loop_detected.or_else(|| sign_in_page::reason_for(needed.why));
            let why =
                reason.map(|reason| format!("why={}", sign_in_page::reason_parameter(reason)));
            let query = target.query_string(&context.site.external_url, &why.unwrap_or_default());
            reply::redirect(&format!("{}/sign_in{query}", context.site.prefix))
        }
    }
}

/// Begins a login without a click if exactly one connector allows it: one of a source's own app, the default
/// connector, or one with `auto_login = "always"`. Otherwise returns `Err`, with the
/// reason if a redirect loop was detected.
pub(super) async fn begin_automatically(
    context: &RequestContext<'_>,
    target: &LoginTarget,
    mode: Option<Mode>,
) -> Result<Response<Body>, Option<SignInReason>> {
    let mut entries = target::allowed_connectors(context, target);
    let user_agent = user_agent(context);
    let default = context.site.login.default_entry();
    let default = default.filter(|default| default.can_begin_login());
    let default = default.filter(|default| entries.iter().any(|entry| entry.id == default.id));
    entries.retain(|entry| entry.auto_starts_for(&user_agent));
    // Inside a provider's own app, its connector takes precedence over one with `auto_login =
    // "always"`.
    if entries
        .iter()
        .any(|entry| entry.is_app_of_source(&user_agent))
    {
        entries.retain(|entry| entry.is_app_of_source(&user_agent));
    } else if let Some(default) = default {
        entries = vec![default];
    }
    match entries.as_slice() {
        [entry] if !is_redirect_loop(context, target) => {
            Ok(begin_login(context, entry, target, automatic_options(mode)).await)
        }
        [_] => {
            context.services.telemetry.count_login_loop();
            Err(Some(SignInReason::LoopDetected))
        }
        _ => Err(None),
    }
}

/// The store key of the session that the cookie names, if the signature is valid.
pub(super) fn current_session_key(context: &RequestContext<'_>) -> Option<SessionKey> {
    let value = context.head.credentials.session_cookie?;
    let verified = cookie::verify(&context.site.ring, value)?;
    Some(verified.claims.sid.key())
}

/// The options of a login that begins without a click.
pub(super) fn automatic_options(mode: Option<Mode>) -> BeginOptions {
    BeginOptions {
        mode,
        automatic: true,
        ..BeginOptions::default()
    }
}

/// Begins a login and redirects the browser to the provider; shows a problem page on failure.
pub(super) async fn begin_login(
    context: &RequestContext<'_>,
    entry: &ConnectorEntry,
    target: &LoginTarget,
    options: BeginOptions,
) -> Response<Body> {
    match try_begin_login(context, entry, target, options).await {
        Ok(response) => response,
        Err(error) => begin_failed(context, entry, target, &error),
    }
}

/// Like [`begin_login`], but returns the error instead of a problem page.
pub(super) async fn try_begin_login(
    context: &RequestContext<'_>,
    entry: &ConnectorEntry,
    target: &LoginTarget,
    options: BeginOptions,
) -> Result<Response<Body>, LoginError> {
    if let Some(form) = password_form::form_url(context, entry, target) {
        return Ok(reply::see_other(&form));
    }
    begin_and_challenge(context, entry, target, options).await
}

/// Like [`try_begin_login`], but a connector with a password form gets the form itself instead of a redirect
/// to it. For other connectors this is the redirect to the provider.
pub(super) async fn begin_and_challenge(
    context: &RequestContext<'_>,
    entry: &ConnectorEntry,
    target: &LoginTarget,
    options: BeginOptions,
) -> Result<Response<Body>, LoginError> {
    let begun = begin_without_response(context, entry, target, options).await?;
    Ok(challenge::answer(context, entry, target, &begun))
}

/// Begins a login. The caller makes the response and sets the flow cookie.
pub(super) async fn begin_without_response(
    context: &RequestContext<'_>,
    entry: &ConnectorEntry,
    target: &LoginTarget,
    options: BeginOptions,
) -> Result<BegunLogin, LoginError> {
    let return_to = target.return_to_or_default(context, entry);
    let request = BeginRequest {
        via: &entry.id,
        mode: options.mode,
        authn: target::authn_request(context, &return_to, &target.hints, options.silent),
        return_to,
        automatic: options.automatic,
        retries: options.retries,
        ticket_for: target.ticket_for.clone(),
        for_frame: target.for_frame,
        replaces: current_session_key(context),
        client: context.head.client_for_limits(),
        user_agent: &user_agent(context),
        link_to: options.link_to,
    };
    context.site.login.begin(request).await
}

/// Whether another automatic login would loop: this browser began one for the same return address within
/// [`LOOP_WINDOW`], and it did not finish.
pub(super) fn is_redirect_loop(context: &RequestContext<'_>, target: &LoginTarget) -> bool {
    has_unfinished_login(context, target, false)
}

/// Whether this browser began an automatic login for the same return address within [`LOOP_WINDOW`] that
/// did not finish. `silent` says whether silent logins count, or the others.
pub(super) fn has_unfinished_login(
    context: &RequestContext<'_>,
    target: &LoginTarget,
    silent: bool,
) -> bool {
    flow_cookies::pending_logins(context).any(|pending| {
        let is_recent = context.head.received_at.since(pending.begun_at) < LOOP_WINDOW;
        let has_same_return_to = target
            .return_to
            .as_ref()
            .is_none_or(|return_to| *return_to == pending.return_to);
        pending.automatic && pending.silent == silent && is_recent && has_same_return_to
    })
}

/// Logs the failure and shows its problem page, which leads to the sign-in page of the same target.
pub(super) fn begin_failed(
    context: &RequestContext<'_>,
    entry: &ConnectorEntry,
    target: &LoginTarget,
    error: &LoginError,
) -> Response<Body> {
    tracing::warn!(request_id = %context.id, connector = %entry.id, error = %crate::telemetry::error_chain(error), "the login could not begin");
    if matches!(error, LoginError::Connector(_)) {
        audit::login_failed(context, &entry.id, error);
    }
    let sign_in_link = Href::new(target.sign_in_path(context));
    reply::login_problem(
        context,
        audit::cause_of(error),
        Some(sign_in_link),
        Some(context.lang().label(&entry.display_name)),
    )
}
