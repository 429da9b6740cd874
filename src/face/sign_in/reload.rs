//! The source is asked again who sits there, without a click: before a page is loaded, for routes
//! that say `reload_user`. Whoever cannot be asked for goes on as who they are.

use std::time::Duration;

use http::Response;

use super::super::browser::loads_in_frame;
use super::super::page::{Cause, Href, SignInReason};
use super::super::record::LoggedResponse;
use super::super::urls;
use super::super::{RequestContext, reply};
use super::begin::{self, BeginOptions};
use super::{Target, audit, caller, complete, cross_host, sign_in_page, ticket, user_agent};
use crate::clock::Timestamp;
use crate::login::connector::{ConnectorError, RefusalReason};
use crate::login::return_to::ReturnTo;
use crate::login::{ConnectorEntry, LoginError};
use crate::people::AdmitError;
use crate::people::session::{MintError, Person, Session};
use crate::request::Body;
use crate::request::gate::Caller;
use crate::request::policy::Permit;
use crate::store::ConnectorId;

/// How long after a login the browser's word is enough that its source is away. What the browser
/// says, anybody who sits there can make it say; what we see ourselves counts without an end.
const BROWSER_REPORT_TRUSTED_FOR: Duration = Duration::from_secs(600);

/// What the records call a request whose source is asked first.
pub(in crate::face) const RELOAD_REASON: &str = "reload";

/// What becomes of a request whose source should be asked first.
pub(in crate::face) enum ReloadDecision {
    /// It is answered here: the browser goes and asks.
    Respond(Box<LoggedResponse>),
    /// It goes on: the source cannot be asked.
    Continue(Permit),
}

/// What becomes of a load whose source should be asked first.
enum SilentLogin {
    /// The browser goes and asks.
    Respond(Response<Body>),
    /// Nobody can be asked: the person goes on. With `true` that counts as an answer for a while.
    Skip(bool),
}

/// Asks the source before a request goes on, where it can be asked.
pub(in crate::face) async fn reload_user(
    context: &RequestContext<'_>,
    permit: Permit,
) -> ReloadDecision {
    match silent_login(context, &permit).await {
        SilentLogin::Respond(response) => {
            let logged = LoggedResponse::login_needed(RELOAD_REASON, permit.route(), response);
            ReloadDecision::Respond(Box::new(logged))
        }
        SilentLogin::Skip(true) => ReloadDecision::Continue(permit.asked_at(context.head.at)),
        SilentLogin::Skip(false) => ReloadDecision::Continue(permit),
    }
}

/// Before a page of an application is loaded.
async fn silent_login(context: &RequestContext<'_>, permit: &Permit) -> SilentLogin {
    let Caller::Person(person) = permit.caller() else {
        return SilentLogin::Skip(false);
    };
    let Some(entry) = silent_login_source(context, person) else {
        return SilentLogin::Skip(false);
    };
    if context.site.is_login_host(context.head) {
        let target = Target {
            return_to: ReturnTo::parse(&urls::requested_target(context.head), context.site),
            ..Target::default()
        };
        if loads_in_frame(context.head) || !permit.route().keep_fragment {
            return begin_silent_login(context, entry, &target, person).await;
        }
    }
    if permit.route().keep_fragment && !loads_in_frame(context.head) {
        return SilentLogin::Respond(cross_host::fragment_page(context));
    }
    SilentLogin::Respond(cross_host::redirect_here(context, "start"))
}

/// At `/start`, for somebody who is here and whose place asks for it.
pub(super) async fn at_start(
    context: &RequestContext<'_>,
    target: &Target,
    place: &ReturnTo,
    person: &Person,
) -> LoggedResponse {
    let asking = match silent_login_source(context, person) {
        Some(entry) => begin_silent_login(context, entry, target, person).await,
        None => SilentLogin::Skip(false),
    };
    match asking {
        SilentLogin::Respond(response) => LoggedResponse::own_path("reload", response),
        SilentLogin::Skip(counts) => {
            let asked_at = counts.then_some(context.head.at);
            LoggedResponse::own_path(
                "already here",
                ticket::redirect_signed_in(context, person, place, target, asked_at),
            )
        }
    }
}

/// The person's own source, when it can be asked from where they sit.
fn silent_login_source<'a>(
    context: &RequestContext<'a>,
    person: &Person,
) -> Option<&'a ConnectorEntry> {
    let entry = context.site.login.entry(&person.session.via)?;
    // In a frame only cookies for embedding come back, and no ticket can be waited for.
    let host = context.head.host.as_str();
    let reaches =
        context.site.is_login_host(context.head) || context.site.session_cookie_reaches(host);
    let embedded = context.site.cookies.allow_embedding();
    let fits = !loads_in_frame(context.head) || (embedded && reaches);
    // An answer that comes by a POST from another site brings no other cookies, and without the
    // session it could not be said whose it is.
    let comes_back = !entry.features.returns_by_post() || embedded;
    (fits && comes_back && entry.can_log_in_silently(&user_agent(context))).then_some(&**entry)
}

async fn begin_silent_login(
    context: &RequestContext<'_>,
    entry: &ConnectorEntry,
    target: &Target,
    person: &Person,
) -> SilentLogin {
    let session = &person.session;
    // It was asked a moment ago and nothing came back: most likely the browser cannot reach it.
    if begin::has_unanswered_login(context, target, true)
        && is_recent_login(session, context.head.at)
    {
        return SilentLogin::Skip(false);
    }
    let start = BeginOptions {
        automatic: true,
        silent: true,
        ..BeginOptions::default()
    };
    match begin::try_begin_login(context, entry, target, start).await {
        Ok(response) => SilentLogin::Respond(response),
        Err(error) if keeps_session(session, &error, false, context.head.at) => {
            SilentLogin::Skip(true)
        }
        Err(error) => SilentLogin::Respond(begin::begin_failed(context, entry, &error)),
    }
}

/// A silent login that came back without a person.
pub(super) async fn silent_login_failed(
    context: &RequestContext<'_>,
    via: &ConnectorId,
    target: &Target,
    error: &LoginError,
    from_browser: bool,
) -> LoggedResponse {
    let who = match caller(context).await {
        Ok(who) => who,
        Err(response) => return LoggedResponse::own_path("unavailable", response),
    };
    if let (Caller::Person(person), Some(place)) = (&who, &target.return_to)
        && person.session.via != *via
    {
        // They came in through another source meanwhile, of which this one knows nothing.
        let response = ticket::redirect_signed_in(context, person, place, target, None);
        return LoggedResponse::own_path("came in elsewhere", response);
    }
    if let (Caller::Person(person), Some(place)) = (&who, &target.return_to)
        && keeps_session(&person.session, error, from_browser, context.head.at)
    {
        let now = context.head.at;
        let response = ticket::redirect_signed_in(context, person, place, target, Some(now));
        return LoggedResponse::own_path("source away", response);
    }
    if let Caller::Person(person) = &who
        && !complete::end_session(context, &person.session, "not signed in at the source").await
    {
        let response = reply::problem(context, Cause::StoreAway, None);
        return LoggedResponse::own_path("unavailable", response);
    }
    let mut response = session_ended(context, via, target, error);
    let cookie = context
        .site
        .cookies
        .clear_session(context.head.host.as_str());
    reply::add_cookie(&mut response, &cookie);
    LoggedResponse::own_path("reload ended it", response)
}

/// Where somebody goes whose source no longer vouches for them.
fn session_ended(
    context: &RequestContext<'_>,
    via: &ConnectorId,
    target: &Target,
    error: &LoginError,
) -> Response<Body> {
    let LoginError::Connector(ConnectorError::Refused {
        why: RefusalReason::InteractionRequired | RefusalReason::Declined,
        ..
    }) = error
    else {
        // Somebody else sits there, and may not come in.
        let query = target.query_string(&context.site.external_url, "");
        let again = Href::new(format!("{}/sign_in{query}", context.site.prefix));
        let entry = context.site.login.entry(via);
        let source = entry.map(|entry| entry.display_name.as_str());
        return reply::problem_at_source(context, audit::cause_of(error), Some(again), source);
    };
    match &target.return_to {
        // The page with the connectors stands in no frame; what strangers see at the place does.
        Some(place) if loads_in_frame(context.head) => reply::redirect(&place.location()),
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

/// Whether somebody goes on with their session although their source said nothing of them.
fn keeps_session(
    session: &Session,
    error: &LoginError,
    from_browser: bool,
    now: Timestamp,
) -> bool {
    match error {
        LoginError::Connector(
            ConnectorError::Unreachable(_)
            | ConnectorError::Issuer(_)
            | ConnectorError::Busy(_)
            | ConnectorError::Expired(_)
            | ConnectorError::Misconfigured { .. },
        ) => !from_browser || is_recent_login(session, now),
        // Anybody can begin more logins than are taken.
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
        | LoginError::Connector(ConnectorError::Stale(_) | ConnectorError::Refused { .. })
        | LoginError::Admit { .. }
        | LoginError::Mint { .. } => false,
    }
}

fn is_recent_login(session: &Session, now: Timestamp) -> bool {
    now.since(session.minted_at) < BROWSER_REPORT_TRUSTED_FOR
}
