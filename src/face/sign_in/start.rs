//! `/sign_in` shows the connectors. `/start` begins a login, or shows the connectors if none of them begins
//! automatically.

use std::sync::Arc;

use http::{Method, Response};

use super::super::browser::{RequestKind, loads_in_frame, request_kind};
use super::super::page::{Cause, Href, SignInReason};
use super::super::record::LoggedResponse;
use super::super::{RequestContext, reply, urls};
use super::begin::{self, BeginOptions};
use super::{
    LoginTarget, caller, cross_host, frame, link, password_form, reconfirm, sign_in_page, target,
    ticket,
};
use crate::login::ConnectorEntry;
use crate::login::fields::Fields;
use crate::login::pending::Mode;
use crate::login::return_to::ReturnTo;
use crate::people::session::Person;
use crate::request::Body;
use crate::request::gate::{Caller, LoginReason};
use crate::request::policy::reconfirmation_is_due;
use crate::store::ConnectorId;
use crate::telemetry::LogLimiter;

/// `GET /sign_in`: the sign-in page, or the password form of a connector. It begins a login only when the
/// single connector has `auto_login = "always"`.
pub(super) async fn sign_in(context: &RequestContext<'_>, query: &Fields) -> LoggedResponse {
    if !matches!(*context.head.method, Method::GET | Method::HEAD) {
        return LoggedResponse::own_path("method", reply::method_not_allowed("GET, HEAD"));
    }
    let target = LoginTarget::from_query(context, query);
    if let (true, Some(return_to)) = (frame::accepts_ticket(context), &target.return_to) {
        return LoggedResponse::own_path("embedded", frame::own_page(context, return_to));
    }
    if !context.site.is_login_host(context.head) {
        return cross_host::redirect_to_login_host(context, "sign_in", query, &target);
    }
    if let Some(entry) = password_form::requested_connector(context, query) {
        let page =
            begin::begin_and_challenge(context, entry, &target, BeginOptions::default()).await;
        let page =
            page.unwrap_or_else(|error| begin::begin_failed(context, entry, &target, &error));
        return LoggedResponse::own_path("password form", page);
    }
    let caller = match caller(context).await {
        Ok(caller) => caller,
        Err(response) => return LoggedResponse::own_path("unavailable", response),
    };
    let entries = target::allowed_connectors(context, &target);
    let reason = sign_in_page::reason_from_query(query);
    // Whoever has just signed out may want to sign in as somebody else.
    let may_start =
        matches!(caller, Caller::Anonymous(_)) && reason != Some(SignInReason::SignedOut);
    let is_navigation =
        request_kind(context.head) == RequestKind::Navigation && context.head.method == Method::GET;
    let automatic = entries.first().filter(|entry| {
        let is_always = entry.config.auto_login == crate::login::connector::AutoLogin::Always;
        is_always && entry.can_begin_login() && entries.len() == 1 && may_start && is_navigation
    });
    if let Some(entry) = automatic {
        if !begin::is_redirect_loop(context, &target) {
            let options = begin::automatic_options(None);
            return LoggedResponse::own_path(
                "start",
                begin::begin_login(context, entry, &target, options).await,
            );
        }
        return LoggedResponse::own_path(
            "redirect loop",
            sign_in_page::page(context, &target, &caller, Some(SignInReason::LoopDetected)),
        );
    }
    let response = sign_in_page::page(context, &target, &caller, reason);
    LoggedResponse::own_path(
        "sign-in page",
        reply::without_body_if_head(context.head.method, response),
    )
}

/// `GET /start`: begins a login, shows the sign-in page if none can begin automatically, or transfers the
/// session of a signed-in person to another host.
pub(super) async fn start(context: &RequestContext<'_>, query: &Fields) -> LoggedResponse {
    if context.head.method != Method::GET {
        return LoggedResponse::own_path("method", reply::method_not_allowed("GET, POST"));
    }
    let target = LoginTarget::from_query(context, query);
    match request_kind(context.head) {
        RequestKind::Navigation => {}
        RequestKind::Embedded => return start_in_frame(context, query, &target).await,
        RequestKind::Fetch => {
            let response = reply::navigations_only(context, &target.sign_in_url(context));
            return LoggedResponse::own_path("program", response);
        }
    }
    let (name, value) = urls::NO_SESSION_FOUND;
    if query.one(name) == Ok(Some(value)) && is_missed_by_proxy_check(context, &target).await {
        let page = loop_page(context, &target);
        return LoggedResponse::own_path("checks lack the cookie", page);
    }
    if cross_host::came_back(context, query, &target) {
        let page = loop_page(context, &target);
        return LoggedResponse::own_path("another host is not recognized", page);
    }
    if !context.site.is_login_host(context.head) {
        return cross_host::redirect_to_login_host(context, "start", query, &target);
    }
    let mode = match query.one("mode") {
        Ok(Some("web")) => Some(Mode::Web),
        Ok(Some("in-app")) => Some(Mode::InApp),
        _ => None,
    };
    if let Some(name) = query.one("connector").ok().flatten() {
        let entry = requested_connector(context, name);
        return match (entry, query.one("link")) {
            (None, _) => no_such_connector(context),
            (Some(entry), Ok(Some("1"))) => link::begin(context, entry, &target, mode).await,
            (Some(entry), _) => start_with_connector(context, &target, entry, mode).await,
        };
    }
    let caller = match caller(context).await {
        Ok(caller) => caller,
        Err(response) => return LoggedResponse::own_path("unavailable", response),
    };
    if let (Caller::Person(person), Some(return_to)) = (&caller, &target.return_to)
        && target::unmet_route_demand(context, &target, person).is_none()
    {
        if needs_reconfirmation(context, return_to, person) {
            return reconfirm::at_start(context, &target, return_to, person).await;
        }
        let response = ticket::redirect_signed_in(context, person, return_to, &target, None);
        return LoggedResponse::own_path("already signed in", response);
    }
    let response = match begin::begin_automatically(context, &target, mode).await {
        Ok(response) => response,
        Err(loop_detected) => {
            let why = match &caller {
                Caller::Anonymous(why) => sign_in_page::reason_for(*why),
                Caller::Person(_) | Caller::Program(_) => None,
            };
            sign_in_page::page(context, &target, &caller, loop_detected.or(why))
        }
    };
    LoggedResponse::own_path("start", response)
}

/// The sign-in page for a browser that would be redirected in a loop.
fn loop_page(context: &RequestContext<'_>, target: &LoginTarget) -> Response<Body> {
    let caller = Caller::Anonymous(LoginReason::NotSignedIn);
    sign_in_page::page(context, target, &caller, Some(SignInReason::LoopDetected))
}

/// The connector with this ID, if people can begin a login with it.
fn requested_connector<'a>(
    context: &RequestContext<'a>,
    name: &str,
) -> Option<&'a Arc<ConnectorEntry>> {
    let entry = context
        .site
        .login
        .entry(&name.parse::<ConnectorId>().ok()?)?;
    entry.can_begin_login().then_some(entry)
}

fn no_such_connector(context: &RequestContext<'_>) -> LoggedResponse {
    let response = reply::problem(context, Cause::NotFound, None);
    LoggedResponse::own_path("no connector", response)
}

async fn start_with_connector(
    context: &RequestContext<'_>,
    target: &LoginTarget,
    entry: &ConnectorEntry,
    mode: Option<Mode>,
) -> LoggedResponse {
    let options = BeginOptions {
        mode,
        ..BeginOptions::default()
    };
    let response = begin::begin_login(context, entry, target, options).await;
    LoggedResponse::own_path("start", response)
}

/// Whether the caller is signed in although a check of a proxy found no session. A proxy that does not
/// pass the cookie to its checks would redirect to the login again and again.
async fn is_missed_by_proxy_check(context: &RequestContext<'_>, target: &LoginTarget) -> bool {
    let Ok(Caller::Person(person)) = caller(context).await else {
        return false;
    };
    let is_loop = target.return_to.is_some()
        && target::unmet_route_demand(context, target, &person).is_none();
    if is_loop {
        static LOG_LIMITER: LogLimiter = LogLimiter::new();
        context.services.telemetry.count_login_loop();
        // Everybody who is signed in can cause it.
        if LOG_LIMITER.allow() {
            tracing::error!(
                request_id = %context.id,
                host = %context.head.host,
                "the check of a proxy does not see the session of a signed-in person: let the proxy pass \
                 the Cookie header and the requested host to the check"
            );
        }
    }
    is_loop
}

/// The response in a frame: no login begins there, except a silent login of a signed-in person for a
/// route with `reload_user`.
async fn start_in_frame(
    context: &RequestContext<'_>,
    query: &Fields,
    target: &LoginTarget,
) -> LoggedResponse {
    let embedded = || {
        if let (true, Some(return_to)) = (frame::accepts_ticket(context), &target.return_to) {
            return LoggedResponse::own_path("embedded", frame::own_page(context, return_to));
        }
        let sign_in_link = Href::new(target.sign_in_url(context));
        let response = reply::problem(context, Cause::FrameNeedsLogin, Some(sign_in_link));
        LoggedResponse::own_path("embedded", response)
    };
    if !loads_in_frame(context.head)
        || !context.site.is_login_host(context.head)
        || query.has("connector")
    {
        return embedded();
    }
    let caller = match caller(context).await {
        Ok(caller) => caller,
        Err(response) => return LoggedResponse::own_path("unavailable", response),
    };
    match (&caller, &target.return_to) {
        (Caller::Person(person), Some(return_to))
            if target::unmet_route_demand(context, target, person).is_none()
                && needs_reconfirmation(context, return_to, person) =>
        {
            reconfirm::at_start(context, target, return_to, person).await
        }
        _ => embedded(),
    }
}

/// Whether the route of the return address demands a silent login now.
fn needs_reconfirmation(context: &RequestContext<'_>, to: &ReturnTo, person: &Person) -> bool {
    target::route(context, to)
        .is_some_and(|route| reconfirmation_is_due(route, person, context.head))
}
