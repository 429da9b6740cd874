//! `/callback/{connector}`: the provider redirects the browser to menshen. The flow cookie is checked
//! before the code is redeemed. A source may also post logout messages to this URL, and programs may
//! present tickets there.

use std::sync::Arc;

use bytes::Bytes;
use http::{Method, Response};

use super::super::page::{Cause, Href};
use super::super::record::LoggedResponse;
use super::super::{RequestContext, reply};
use super::begin::{self, BeginOptions};
use super::complete::{self, InsufficientAuth};
use super::{
    LoginTarget, audit, caller, enter, flow_cookies, link, provider_logout, read_body_within,
    reconfirm, ticket,
};
use crate::login::connector::{AuthnResponse, ConnectorError};
use crate::login::fields::Fields;
use crate::login::pending::{InvalidFlowId, Mode, Pending, PendingError};
use crate::login::{FinishedLogin, LoginError, LoginResult};
use crate::request::gate::Caller;
use crate::request::{Body, BodyError};
use crate::store::{ConnectorId, SessionKey};
use shared::{NamedLogin, SharedCallback};

mod program;
mod shared;

/// The connectors with this callback path.
pub(super) fn connectors_at<'a>(
    context: &RequestContext<'a>,
    path: &str,
) -> impl Iterator<Item = &'a ConnectorId> {
    let entries = context.site.login.entries().iter();
    let matching = entries.filter(move |entry| entry.callback.path() == path);
    matching.map(|entry| &entry.id)
}

/// Answers a callback at a path that several connectors may share. The flow cookie names the connector
/// of the login.
pub(super) async fn answer<B>(
    context: &RequestContext<'_>,
    connectors: &[&ConnectorId],
    query: Fields,
    body: Option<B>,
) -> LoggedResponse
where
    B: http_body::Body<Data = Bytes> + Send + Unpin + 'static,
    B::Error: Into<BodyError>,
{
    let shared = SharedCallback::of(context, connectors);
    if shared.is_empty() {
        let page = reply::problem(context, Cause::NotFound, None);
        return LoggedResponse::own_path("no callback", page);
    }
    let fields = match *context.head.method {
        Method::GET if shared.logins_by_get() => Some(query),
        Method::POST if shared.accepts_forms() => {
            let form = read_body_within(body, shared.form_bytes_max()).await;
            form.and_then(|form| Fields::parse(&form))
        }
        _ => {
            let allowed = reply::method_not_allowed(shared.allowed_methods());
            return LoggedResponse::own_path("method", allowed);
        }
    };
    if *context.head.method == Method::POST && shared.is_logout_message(fields.as_ref()) {
        let receivers: Vec<_> = shared.logout_messages().collect();
        return provider_logout::at_callback(context, &receivers, fields.as_ref()).await;
    }
    if let Some(fields) = &fields
        && let Some((via, parameter)) = shared.program_ticket(context, fields)
    {
        return program::answer(context, via, parameter, fields.clone()).await;
    }
    // When several connectors share the path, the audit record cannot name one.
    let via = match connectors {
        [only] => Some(*only),
        _ => None,
    };
    let method = context.head.method;
    let logins = fields.map(|fields| (shared.named_logins(method, &fields), fields));
    let Some((logins, fields)) = logins else {
        return without_state(context, via);
    };
    if logins.is_empty() {
        let unnamed = shared.of_unnamed_response(method, &fields);
        return match unnamed.and_then(|via| context.site.login.entry(via)) {
            Some(entry) => enter::at_callback(context, entry, fields).await,
            None => without_state(context, via),
        };
    }
    let authn_response = AuthnResponse {
        fields,
        client: context.head.client_for_limits(),
        origin: super::session_origin(context),
        kind: None,
    };
    match pending_login(context, &logins) {
        Ok(pending) => finish_and_respond(context, pending, authn_response).await,
        Err(error) => without_pending(context, &logins, via, authn_response, error).await,
    }
}

/// The response to a callback that names no login.
fn without_state(context: &RequestContext<'_>, via: Option<&ConnectorId>) -> LoggedResponse {
    audit::refused(context, via, &InvalidFlowId);
    LoggedResponse::own_path(
        "no state",
        failure(context, Cause::InvalidProviderResponse, None, None),
    )
}

/// The pending login that the response names and that this browser began.
fn pending_login(
    context: &RequestContext<'_>,
    logins: &[NamedLogin<'_>],
) -> Result<Pending, PendingError> {
    let mut outcome = Err(PendingError::Missing);
    for (id, flow) in logins {
        let sealed = flow_cookies::sealed_login(context, flow);
        match context
            .site
            .login
            .open_pending([*id], flow, sealed.as_deref())
        {
            // The flow cookie may belong to another connector of this path.
            Err(PendingError::Forged) => outcome = Err(PendingError::Forged),
            Err(PendingError::Missing) => {}
            found => return found,
        }
    }
    outcome
}

async fn finish_and_respond(
    context: &RequestContext<'_>,
    pending: Pending,
    authn_response: AuthnResponse,
) -> LoggedResponse {
    // The person can forge an `error` parameter, because the browser delivers it.
    let error_is_from_browser = authn_response.fields.has("error");
    let outcome = context
        .site
        .login
        .finish(pending.clone(), authn_response)
        .await;
    respond_to_outcome(context, &pending, &outcome, error_is_from_browser).await
}

/// Responds to the outcome of a login: completes it, retries it once, or shows why it failed.
pub(super) async fn respond_to_outcome(
    context: &RequestContext<'_>,
    pending: &Pending,
    outcome: &Result<Arc<Result<LoginResult, LoginError>>, LoginError>,
    error_is_from_browser: bool,
) -> LoggedResponse {
    let (via, flow) = (&pending.connector, &pending.flow);
    let target = LoginTarget::of(pending);
    let (retries, mode, silent) = (pending.retries, pending.mode, pending.silent);
    let retry = BeginOptions {
        mode: Some(mode),
        automatic: true,
        retries: 1,
        silent,
        link_to: pending.link.as_ref().map(|link| link.account),
    };
    let error = match outcome {
        Ok(outcome) => match outcome.as_ref() {
            Ok(LoginResult::Proven(identity)) => {
                return link::ask_on_next_page(context, pending, identity);
            }
            Ok(LoginResult::SignedIn(finished)) => {
                let retry = (retries == 0).then_some(retry);
                let logged =
                    complete_login(context, finished, pending.replaces, retry, mode, &target).await;
                return logged
                    .map_response(|response| flow_cookies::clear(context, flow, response));
            }
            Err(error) => error,
        },
        Err(error) => error,
    };
    audit::login_failed(context, via, error);
    let entry = context.site.login.entry(via);
    if let (Some(reason), 0, Some(entry)) = (retry_reason(error), retries, entry) {
        let mut response = begin::begin_login(context, entry, &target, retry).await;
        flow_cookies::clear(context, flow, &mut response);
        return LoggedResponse::own_path(reason, response);
    }
    if silent {
        let logged =
            reconfirm::silent_login_failed(context, pending, &target, error, error_is_from_browser)
                .await;
        return logged.map_response(|response| flow_cookies::clear(context, flow, response));
    }
    let cause = audit::cause_of(error);
    let mut response = failure(
        context,
        cause,
        Some(&target),
        entry.map(|entry| context.lang().label(&entry.display_name)),
    );
    if let Some(after_s) = error.retry_after_s() {
        reply::set_retry_after(&mut response, after_s);
    }
    // A transient failure keeps the flow cookie, so that the person can reload the page.
    if !matches!(
        cause,
        Cause::StoreUnavailable
            | Cause::ProviderBusy
            | Cause::ProviderUnreachable
            | Cause::ProviderMetadataMissing
            | Cause::PasswordUnchecked
            | Cause::TooManyLogins
            | Cause::TooManyWrongPasswords
    ) {
        flow_cookies::clear(context, flow, &mut response);
    }
    LoggedResponse::own_path(cause.slug(), response)
}

/// Why an immediate retry can succeed: the code or the login expired at the provider.
fn retry_reason(error: &LoginError) -> Option<&'static str> {
    match error {
        LoginError::Connector(ConnectorError::CodeRejected(_)) => Some("stale code"),
        LoginError::Connector(ConnectorError::LoginExpired(_)) => {
            Some("login expired at the source")
        }
        _ => None,
    }
}

/// Sets the session cookie. If the authentication satisfies the route of the return address, redirects
/// there. If it only became too old during the redirect, repeats the login once. Otherwise shows a page.
/// This decides no access: every request checks the authentication again.
async fn complete_login(
    context: &RequestContext<'_>,
    finished: &FinishedLogin,
    replaces: Option<SessionKey>,
    retry: Option<BeginOptions>,
    mode: Mode,
    target: &LoginTarget,
) -> LoggedResponse {
    let entry = context.site.login.entry(&finished.via);
    let (reason, mut response) =
        match (complete::insufficient_auth(context, finished), retry, entry) {
            (None, _, _) => ("login", redirect_to_target(context, finished, mode, target)),
            (Some(InsufficientAuth::TooOld), Some(retry), Some(entry)) if !retry.silent => (
                "proof too old",
                begin::begin_login(context, entry, target, retry).await,
            ),
            (Some(_), _, _) => {
                let page = complete::auth_too_weak_page(context, finished, target);
                (Cause::AuthTooWeak.slug(), page)
            }
        };
    complete::hand_out_session(context, finished, replaces, &mut response).await;
    LoggedResponse::own_path(reason, response)
}

fn redirect_to_target(
    context: &RequestContext<'_>,
    finished: &FinishedLogin,
    mode: Mode,
    target: &LoginTarget,
) -> Response<Body> {
    let mut to = ticket::next_url(context, &finished.return_to, target, &finished.claims);
    // A browser appends the fragment of the previous URL to a redirect target without one (Fetch,
    // §4.4). Inside a provider's app that is the provider's fragment (`#wechat_redirect`), which
    // would confuse an application with state in its fragment. An empty fragment prevents it.
    if mode == Mode::InApp && !to.contains('#') {
        to.push('#');
    }
    if context.head.method == Method::POST {
        reply::see_other(&to)
    } else {
        reply::redirect(&to)
    }
}

/// A callback without a valid flow cookie: repeated, expired, or in another browser.
async fn without_pending(
    context: &RequestContext<'_>,
    logins: &[NamedLogin<'_>],
    via: Option<&ConnectorId>,
    authn_response: AuthnResponse,
    error: PendingError,
) -> LoggedResponse {
    let caller = match caller(context).await {
        Ok(caller) => caller,
        Err(response) => return LoggedResponse::own_path("unavailable", response),
    };
    if let Caller::Person(person) = &caller {
        // The person is signed in: a repeated callback does no harm.
        let mut outcome = None;
        for (via, flow) in logins {
            if outcome.is_none() {
                outcome = context.site.login.outcome(via, flow, &authn_response).await;
            }
        }
        let result = outcome.as_deref().and_then(|outcome| outcome.as_ref().ok());
        let finished = result.and_then(LoginResult::session);
        let finished = finished.filter(|finished| finished.public_id == person.session.public_id);
        let return_to = match finished {
            Some(finished) => Some(finished.return_to.clone()),
            None => logins.iter().find_map(|(via, flow)| {
                let sealed = flow_cookies::sealed_login(context, flow);
                let login = &context.site.login;
                login.return_to_of(via, flow, sealed.as_deref())
            }),
        };
        let to = return_to.map_or_else(|| "/".to_owned(), |return_to| return_to.location());
        return LoggedResponse::own_path("repeated", reply::redirect(&to));
    }
    audit::refused(context, via, &error);
    let cause = match error {
        PendingError::Missing => Cause::FlowCookieMissing,
        PendingError::Forged => Cause::FlowCookieForged,
        PendingError::Expired | PendingError::SettingsChanged => Cause::LoginExpired,
        PendingError::ConnectorGone => Cause::NotFound,
    };
    let mut response = failure(context, cause, None, None);
    if error != PendingError::Missing {
        let mut flows: Vec<_> = logins.iter().map(|(_, flow)| flow).collect();
        flows.dedup();
        for flow in flows {
            flow_cookies::clear(context, flow, &mut response);
        }
    }
    LoggedResponse::own_path(cause.slug(), response)
}

/// A problem page that links to the sign-in page.
fn failure(
    context: &RequestContext<'_>,
    cause: Cause,
    target: Option<&LoginTarget>,
    connector_name: Option<&str>,
) -> Response<Body> {
    let sign_in = target.map(|target| target.sign_in_path(context));
    let sign_in = sign_in.unwrap_or_else(|| format!("{}/sign_in", context.site.prefix));
    let sign_in_link = Href::new(sign_in);
    reply::login_problem(context, cause, Some(sign_in_link), connector_name)
}
