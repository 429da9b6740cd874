//! Silent logins for routes with `reload_user`: before a page loads, the browser is redirected to the
//! provider with `prompt=none`, and the provider returns the person who is signed in there. If the
//! provider is unavailable, the session continues.

use std::time::Duration;

use http::Response;

use super::super::browser::loads_in_frame;
use super::super::page::{Cause, Href, SignInReason};
use super::super::record::LoggedResponse;
use super::super::urls;
use super::super::{RequestContext, reply};
use super::begin::{self, BeginOptions};
use super::{LoginTarget, audit, caller, complete, cross_host, sign_in_page, ticket, user_agent};
use crate::clock::Timestamp;
use crate::login::connector::{ConnectorError, RefusalReason};
use crate::login::pending::Pending;
use crate::login::return_to::ReturnTo;
use crate::login::{ConnectorEntry, LoginError};
use crate::people::AdmitError;
use crate::people::session::{MintError, Person, Session};
use crate::request::Body;
use crate::request::gate::Caller;
use crate::request::policy::Permit;
use crate::store::ConnectorId;
use crate::wording::Text;

/// How long after a login the session survives an error of the provider that the browser delivers. The
/// person can forge such an error. If menshen observes such an error itself, the session survives at any
/// time.
const BROWSER_REPORT_TRUSTED_FOR: Duration = Duration::from_secs(600);

/// The reason in log entries of a request that is redirected to a silent login.
pub(in crate::face) const RECONFIRM_REASON: &str = "reload";

/// The next step for a request of a route with `reload_user`.
pub(in crate::face) enum ReconfirmOutcome {
    /// The browser is redirected to a silent login.
    Respond(Box<LoggedResponse>),
    /// The request is forwarded: no silent login is possible now.
    Continue(Permit),
}

/// Whether a silent login begins.
enum SilentLogin {
    /// It begins with this redirect.
    Begin(Response<Body>),
    /// It does not begin. If this counts as an attempt, its time is written into the session cookie, so
    /// that the next requests do not try again.
    Skip { counts_as_attempt: bool },
}

impl SilentLogin {
    /// No silent login is possible now. This does not count as an attempt.
    const NOT_POSSIBLE: Self = Self::Skip {
        counts_as_attempt: false,
    };
}

/// Begins a silent login instead of forwarding the request, if that is possible.
pub(in crate::face) async fn reconfirm(
    context: &RequestContext<'_>,
    permit: Permit,
) -> ReconfirmOutcome {
    match silent_login(context, &permit).await {
        SilentLogin::Begin(response) => {
            let logged = LoggedResponse::login_needed(RECONFIRM_REASON, permit.route(), response);
            ReconfirmOutcome::Respond(Box::new(logged))
        }
        SilentLogin::Skip {
            counts_as_attempt: true,
        } => ReconfirmOutcome::Continue(permit.without_reconfirmation(context.head.received_at)),
        SilentLogin::Skip {
            counts_as_attempt: false,
        } => ReconfirmOutcome::Continue(permit),
    }
}

/// Begins the silent login for a request to an application, on this host or by a redirect to the login
/// host.
async fn silent_login(context: &RequestContext<'_>, permit: &Permit) -> SilentLogin {
    let Caller::Person(person) = permit.caller() else {
        return SilentLogin::NOT_POSSIBLE;
    };
    let Some(entry) = silent_login_connector(context, person) else {
        return SilentLogin::NOT_POSSIBLE;
    };
    if context.site.is_login_host(context.head) {
        let target = LoginTarget {
            return_to: ReturnTo::parse(&urls::requested_target(context.head), context.site),
            ..LoginTarget::default()
        };
        if loads_in_frame(context.head) || !permit.route().keep_fragment {
            return begin_silent_login(context, entry, &target, person).await;
        }
    }
    if permit.route().keep_fragment && !loads_in_frame(context.head) {
        return SilentLogin::Begin(cross_host::fragment_page(context));
    }
    SilentLogin::Begin(cross_host::redirect_application_request(context, "start"))
}

/// The response at `/start` for a signed-in person whose route has `reload_user`.
pub(super) async fn at_start(
    context: &RequestContext<'_>,
    target: &LoginTarget,
    return_to: &ReturnTo,
    person: &Person,
) -> LoggedResponse {
    let silent_login = match silent_login_connector(context, person) {
        Some(entry) => begin_silent_login(context, entry, target, person).await,
        None => SilentLogin::NOT_POSSIBLE,
    };
    match silent_login {
        SilentLogin::Begin(response) => LoggedResponse::own_path("reload", response),
        SilentLogin::Skip { counts_as_attempt } => {
            let attempted_at = counts_as_attempt.then_some(context.head.received_at);
            LoggedResponse::own_path(
                "already signed in",
                ticket::redirect_signed_in(context, person, return_to, target, attempted_at),
            )
        }
    }
}

/// The person's connector, if it supports silent logins from this browser.
fn silent_login_connector<'a>(
    context: &RequestContext<'a>,
    person: &Person,
) -> Option<&'a ConnectorEntry> {
    let entry = context.site.login.entry(&person.session.via)?;
    // In a frame, cookies must be allowed in frames, and the session cookie of the login host must be
    // valid for this host.
    let host = context.head.host.as_str();
    let cookie_is_valid =
        context.site.is_login_host(context.head) || context.site.session_cookie_reaches(host);
    let allows_embedding = context.site.cookies.allow_embedding();
    let is_supported_here = !loads_in_frame(context.head) || (allows_embedding && cookie_is_valid);
    // A response by cross-site POST has no session cookie, so it cannot be compared with the session.
    let response_has_cookies = !entry.features.returns_by_post() || allows_embedding;
    (is_supported_here && response_has_cookies && entry.can_log_in_silently(&user_agent(context)))
        .then_some(&**entry)
}

async fn begin_silent_login(
    context: &RequestContext<'_>,
    entry: &ConnectorEntry,
    target: &LoginTarget,
    person: &Person,
) -> SilentLogin {
    let session = &person.session;
    // The last silent login did not finish: probably the browser cannot reach the provider.
    if begin::has_unfinished_login(context, target, true)
        && is_recent_login(session, context.head.received_at)
    {
        return SilentLogin::NOT_POSSIBLE;
    }
    let options = BeginOptions {
        automatic: true,
        silent: true,
        ..BeginOptions::default()
    };
    match begin::try_begin_login(context, entry, target, options).await {
        Ok(response) => SilentLogin::Begin(response),
        Err(error) if keeps_session(session, &error, false, context.head.received_at) => {
            SilentLogin::Skip {
                counts_as_attempt: true,
            }
        }
        Err(error) => SilentLogin::Begin(begin::begin_failed(context, entry, target, &error)),
    }
}

/// The response after a silent login failed: keeps or ends the session.
pub(super) async fn silent_login_failed(
    context: &RequestContext<'_>,
    pending: &Pending,
    target: &LoginTarget,
    error: &LoginError,
    error_is_from_browser: bool,
) -> LoggedResponse {
    let via = &pending.connector;
    let caller = match caller(context).await {
        Ok(caller) => caller,
        Err(response) => return LoggedResponse::own_path("unavailable", response),
    };
    if let (Caller::Person(person), Some(return_to)) = (&caller, &target.return_to)
        && person.session.via != *via
    {
        // The person signed in through another connector meanwhile: this result does not concern that
        // session.
        let response = ticket::redirect_signed_in(context, person, return_to, target, None);
        return LoggedResponse::own_path("signed in by another connector", response);
    }
    if let (Caller::Person(person), Some(return_to)) = (&caller, &target.return_to)
        && keeps_session(
            &person.session,
            error,
            error_is_from_browser,
            context.head.received_at,
        )
    {
        let now = context.head.received_at;
        let response = ticket::redirect_signed_in(context, person, return_to, target, Some(now));
        return LoggedResponse::own_path("provider unavailable", response);
    }
    const REASON: Text = Text::fixed("not signed in at the source", "在认证源没有登录");
    let is_ended = match (&caller, pending.replaces) {
        (Caller::Person(person), _) => {
            complete::end_session(context, &person.session, &REASON).await
        }
        // The browser sent no session cookie with the POST of the source. It must not keep a session that it
        // no longer has a cookie for.
        (_, Some(key)) => complete::end_stored_session(context, key, &REASON).await,
        (_, None) => true,
    };
    if !is_ended {
        let response = reply::problem(context, Cause::StoreUnavailable, None);
        return LoggedResponse::own_path("unavailable", response);
    }
    let mut response = session_ended(context, via, target, error);
    let cookie = context
        .site
        .cookies
        .clear_session(context.head.host.as_str());
    reply::add_cookie(&mut response, &cookie);
    LoggedResponse::own_path("silent login ended the session", response)
}

/// The response after a silent login ended the session.
fn session_ended(
    context: &RequestContext<'_>,
    via: &ConnectorId,
    target: &LoginTarget,
    error: &LoginError,
) -> Response<Body> {
    let LoginError::Connector(ConnectorError::Refused {
        why: RefusalReason::InteractionRequired | RefusalReason::Declined,
        ..
    }) = error
    else {
        // Another person is signed in at the provider and is not admitted.
        let query = target.query_string(&context.site.external_url, "");
        let sign_in_link = Href::new(format!("{}/sign_in{query}", context.site.prefix));
        let entry = context.site.login.entry(via);
        let connector_name = entry.map(|entry| context.lang().label(&entry.display_name));
        return reply::login_problem(
            context,
            audit::cause_of(error),
            Some(sign_in_link),
            connector_name,
        );
    };
    match &target.return_to {
        // The sign-in page does not load in frames; the page for unauthenticated requests does.
        Some(return_to) if loads_in_frame(context.head) => reply::redirect(&return_to.location()),
        _ => {
            let why = format!(
                "why={}",
                sign_in_page::reason_parameter(SignInReason::ProviderSignedOut)
            );
            let query = target.query_string(&context.site.external_url, &why);
            reply::redirect(&format!("{}/sign_in{query}", context.site.prefix))
        }
    }
}

/// Whether the session continues although the silent login failed.
fn keeps_session(
    session: &Session,
    error: &LoginError,
    error_is_from_browser: bool,
    now: Timestamp,
) -> bool {
    match error {
        LoginError::Connector(
            ConnectorError::NoUsableResponse(_)
            | ConnectorError::Issuer(_)
            | ConnectorError::MetadataUnavailable(_)
            | ConnectorError::Busy(_)
            | ConnectorError::Unavailable(_)
            | ConnectorError::LoginExpired(_)
            | ConnectorError::Misconfigured { .. },
        ) => !error_is_from_browser || is_recent_login(session, now),
        // A person can exceed the login limits on purpose to keep the session.
        LoginError::Limited(_) => is_recent_login(session, now),
        LoginError::TaskFailed
        | LoginError::Admit {
            source: AdmitError::Store(_),
            ..
        }
        | LoginError::Mint {
            source: MintError::Store(_),
            ..
        } => true,
        LoginError::UnknownConnector
        | LoginError::Pending(_)
        | LoginError::TooLarge(_)
        | LoginError::AlreadyUsed
        | LoginError::Connector(
            ConnectorError::CodeRejected(_)
            | ConnectorError::InvalidResponse(_)
            | ConnectorError::Refused { .. },
        )
        | LoginError::Admit { .. }
        | LoginError::Mint { .. } => false,
    }
}

fn is_recent_login(session: &Session, now: Timestamp) -> bool {
    now.since(session.minted_at) < BROWSER_REPORT_TRUSTED_FOR
}
