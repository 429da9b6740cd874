//! `/sign_in` and `/start`: the choice of a connector, and whether a login begins at all.

use http::{Method, StatusCode};

use super::super::browser::{RequestKind, loads_in_frame, request_kind};
use super::super::page::{Cause, Href, SignInReason};
use super::super::record::LoggedResponse;
use super::super::{RequestContext, reply, urls};
use super::begin::{self, BeginOptions};
use super::{
    Target, caller, cross_host, frame, password_form, reload, sign_in_page, target, ticket,
};
use crate::login::fields::Fields;
use crate::login::pending::Mode;
use crate::login::return_to::ReturnTo;
use crate::people::session::Person;
use crate::request::gate::{Caller, LoginReason};
use crate::request::policy::reload_is_due;
use crate::store::ConnectorId;

/// `GET /sign_in`: the page with the connectors. It starts nothing by itself, except where the one
/// connector is configured so.
pub(super) async fn sign_in(context: &RequestContext<'_>, query: &Fields) -> LoggedResponse {
    if !matches!(*context.head.method, Method::GET | Method::HEAD) {
        return LoggedResponse::own_path("method", reply::method_not_allowed("GET, HEAD"));
    }
    let target = Target::from_query(context, query);
    if let (true, Some(place)) = (frame::accepts_ticket(context), &target.return_to) {
        return LoggedResponse::own_path("embedded", frame::own_page(context, place));
    }
    if !context.site.is_login_host(context.head) {
        return cross_host::redirect_to_login_host(context, "sign_in", query, &target);
    }
    if let Some(entry) = password_form::requested_connector(context, query) {
        let page =
            begin::begin_login_in_place(context, entry, &target, BeginOptions::default()).await;
        let page = page.unwrap_or_else(|error| begin::begin_failed(context, entry, &error));
        return LoggedResponse::own_path("password form", page);
    }
    let who = match caller(context).await {
        Ok(who) => who,
        Err(response) => return LoggedResponse::own_path("unavailable", response),
    };
    let entries = target::allowed_connectors(context, &target);
    let stranger = matches!(who, Caller::Anonymous(_));
    let navigates =
        request_kind(context.head) == RequestKind::Navigation && context.head.method == Method::GET;
    let only = entries.first().filter(|entry| {
        let always = entry.config.auto_login == crate::login::connector::AutoLogin::Always;
        always && entry.can_begin_login() && entries.len() == 1 && stranger && navigates
    });
    if let Some(entry) = only {
        if !begin::is_redirect_loop(context, &target) {
            let start = begin::automatic_options(None);
            return LoggedResponse::own_path(
                "start",
                begin::begin_login(context, entry, &target, start).await,
            );
        }
        return LoggedResponse::own_path(
            "going round",
            sign_in_page::page(context, &target, &who, Some(SignInReason::LoopDetected)),
        );
    }
    let response = sign_in_page::page(
        context,
        &target,
        &who,
        sign_in_page::reason_from_query(query),
    );
    LoggedResponse::own_path(
        "chooser",
        reply::without_body_if_head(context.head.method, response),
    )
}

/// `GET /start`: opens a login, or brings the session of somebody who is here to another host.
pub(super) async fn start(context: &RequestContext<'_>, query: &Fields) -> LoggedResponse {
    if context.head.method != Method::GET {
        return LoggedResponse::own_path("method", reply::method_not_allowed("GET, POST"));
    }
    let target = Target::from_query(context, query);
    match request_kind(context.head) {
        RequestKind::Navigation => {}
        RequestKind::Embedded => return start_in_frame(context, query, &target).await,
        RequestKind::Fetch => {
            let status = StatusCode::UNAUTHORIZED;
            let title = "Sign in first";
            return LoggedResponse::own_path(
                "program",
                reply::json_problem(context, status, "login-needed", title, ""),
            );
        }
    }
    let (name, value) = urls::NO_SESSION_FOUND;
    if query.one(name) == Ok(Some(value)) && is_missed_by_proxy_check(context, &target).await {
        let who = Caller::Anonymous(LoginReason::NotSignedIn);
        let page = sign_in_page::page(context, &target, &who, Some(SignInReason::LoopDetected));
        return LoggedResponse::own_path("not seen by checks", page);
    }
    if !context.site.is_login_host(context.head) {
        return cross_host::redirect_to_login_host(context, "start", query, &target);
    }
    let mode = match query.one("mode") {
        Ok(Some("web")) => Some(Mode::Web),
        Ok(Some("in-app")) => Some(Mode::InApp),
        _ => None,
    };
    let named = query.one("connector").ok().flatten();
    if let Some(named) = named {
        let entry = named.parse::<ConnectorId>().ok();
        let entry = entry.and_then(|id| context.site.login.entry(&id));
        let entry = entry.filter(|entry| entry.can_begin_login());
        let Some(entry) = entry else {
            return LoggedResponse::own_path(
                "no connector",
                reply::problem(context, Cause::NotFound, None),
            );
        };
        let start = BeginOptions {
            mode,
            ..BeginOptions::default()
        };
        return LoggedResponse::own_path(
            "start",
            begin::begin_login(context, entry, &target, start).await,
        );
    }
    let who = match caller(context).await {
        Ok(who) => who,
        Err(response) => return LoggedResponse::own_path("unavailable", response),
    };
    if let (Caller::Person(person), Some(place)) = (&who, &target.return_to)
        && target::unmet_requirement(context, &target, person).is_none()
    {
        if needs_reload(context, place, person) {
            return reload::at_start(context, &target, place, person).await;
        }
        let response = ticket::redirect_signed_in(context, person, place, &target, None);
        return LoggedResponse::own_path("already here", response);
    }
    let response = match begin::begin_automatically(context, &target, mode).await {
        Ok(response) => response,
        Err(round) => {
            let why = match &who {
                Caller::Anonymous(why) => sign_in_page::reason_for(*why),
                Caller::Person(_) | Caller::Program(_) => None,
            };
            sign_in_page::page(context, &target, &who, round.or(why))
        }
    };
    LoggedResponse::own_path("start", response)
}

/// Whether somebody is here whom a check has just not found: the proxy that asks keeps their cookie
/// to itself, and would send them back here for ever.
async fn is_missed_by_proxy_check(context: &RequestContext<'_>, target: &Target) -> bool {
    let Ok(Caller::Person(person)) = caller(context).await else {
        return false;
    };
    let goes_round =
        target.return_to.is_some() && target::unmet_requirement(context, target, &person).is_none();
    if goes_round {
        context.shared.telemetry.count_login_loop();
        tracing::error!(
            request_id = %context.id,
            host = %context.head.host,
            "somebody who is signed in is nobody to the check of a proxy: let it pass Cookie, and the \
             host that the browser asked for, on to the check"
        );
    }
    goes_round
}

/// In a frame nobody logs in; but whoever is here may be asked for where the place wants that.
async fn start_in_frame(
    context: &RequestContext<'_>,
    query: &Fields,
    target: &Target,
) -> LoggedResponse {
    let embedded = || {
        if let (true, Some(place)) = (frame::accepts_ticket(context), &target.return_to) {
            return LoggedResponse::own_path("embedded", frame::own_page(context, place));
        }
        let again = Href::new(urls::sign_in(context));
        let response = reply::problem(context, Cause::FrameLogin, Some(again));
        LoggedResponse::own_path("embedded", response)
    };
    if !loads_in_frame(context.head)
        || !context.site.is_login_host(context.head)
        || query.has("connector")
    {
        return embedded();
    }
    let who = match caller(context).await {
        Ok(who) => who,
        Err(response) => return LoggedResponse::own_path("unavailable", response),
    };
    match (&who, &target.return_to) {
        (Caller::Person(person), Some(place))
            if target::unmet_requirement(context, target, person).is_none()
                && needs_reload(context, place, person) =>
        {
            reload::at_start(context, target, place, person).await
        }
        _ => embedded(),
    }
}

/// Whether the place wants to know again who sits there.
fn needs_reload(context: &RequestContext<'_>, to: &ReturnTo, person: &Person) -> bool {
    target::route(context, to).is_some_and(|route| reload_is_due(route, person, context.head))
}
