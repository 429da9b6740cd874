//! `/sign_in` and `/start`: the choice of a connector, and whether a login begins at all.

use http::{Method, StatusCode};

use super::super::navigation::{Errand, errand, in_frame};
use super::super::page::{Cause, Href, Reason};
use super::super::record::Told;
use super::super::{Visit, address, reply};
use super::opening::{self, Start};
use super::{Target, caller, chooser, elsewhere, form, frame, place, reload, ticket};
use crate::login::fields::Fields;
use crate::login::pending::Mode;
use crate::login::return_to::ReturnTo;
use crate::people::session::Person;
use crate::request::gate::{Caller, Why};
use crate::request::policy::reload_is_due;
use crate::store::ConnectorId;

/// `GET /sign_in`: the page with the connectors. It starts nothing by itself, except where the one
/// connector is configured so.
pub(super) async fn choose(visit: &Visit<'_>, query: &Fields) -> Told {
    if !matches!(*visit.head.method, Method::GET | Method::HEAD) {
        return Told::own("method", reply::wrong_method("GET, HEAD"));
    }
    let target = Target::of(visit, query);
    if let (true, Some(place)) = (frame::takes_tickets(visit), &target.return_to) {
        return Told::own("embedded", frame::at_own_page(visit, place));
    }
    if !visit.site.is_home(visit.head) {
        return elsewhere::to_home(visit, "sign_in", query, &target);
    }
    if let Some(entry) = form::named(visit, query) {
        let page = opening::open_here(visit, entry, &target, Start::default()).await;
        let page = page.unwrap_or_else(|error| opening::not_begun(visit, entry, &error));
        return Told::own("password form", page);
    }
    let who = match caller(visit).await {
        Ok(who) => who,
        Err(response) => return Told::own("unavailable", response),
    };
    let entries = place::allowed(visit, &target);
    let stranger = matches!(who, Caller::Nobody(_));
    let navigates = errand(visit.head) == Errand::Navigation && visit.head.method == Method::GET;
    let only = entries.first().filter(|entry| {
        let always = entry.config.auto_login == crate::login::connector::AutoLogin::Always;
        always && entry.begins_logins() && entries.len() == 1 && stranger && navigates
    });
    if let Some(entry) = only {
        if !opening::goes_round(visit, &target) {
            let start = opening::by_nobody(None);
            return Told::own("start", opening::open(visit, entry, &target, start).await);
        }
        return Told::own(
            "going round",
            chooser::page(visit, &target, &who, Some(Reason::GoingRound)),
        );
    }
    let response = chooser::page(visit, &target, &who, chooser::reason_in(query));
    Told::own("chooser", reply::for_method(visit.head.method, response))
}

/// `GET /start`: opens a login, or brings the session of somebody who is here to another host.
pub(super) async fn start(visit: &Visit<'_>, query: &Fields) -> Told {
    if visit.head.method != Method::GET {
        return Told::own("method", reply::wrong_method("GET, POST"));
    }
    let target = Target::of(visit, query);
    match errand(visit.head) {
        Errand::Navigation => {}
        Errand::Embedded => return in_a_frame(visit, query, &target).await,
        Errand::Program => {
            let status = StatusCode::UNAUTHORIZED;
            let title = "Sign in first";
            return Told::own(
                "program",
                reply::json_problem(visit, status, "login-needed", title, ""),
            );
        }
    }
    let (name, value) = address::FOUND_NOBODY;
    if query.one(name) == Ok(Some(value)) && is_not_seen_by_checks(visit, &target).await {
        let who = Caller::Nobody(Why::Nobody);
        let page = chooser::page(visit, &target, &who, Some(Reason::GoingRound));
        return Told::own("not seen by checks", page);
    }
    if !visit.site.is_home(visit.head) {
        return elsewhere::to_home(visit, "start", query, &target);
    }
    let mode = match query.one("mode") {
        Ok(Some("web")) => Some(Mode::Web),
        Ok(Some("in-app")) => Some(Mode::InApp),
        _ => None,
    };
    let named = query.one("connector").ok().flatten();
    if let Some(named) = named {
        let entry = named.parse::<ConnectorId>().ok();
        let entry = entry.and_then(|id| visit.site.login.entry(&id));
        let entry = entry.filter(|entry| entry.begins_logins());
        let Some(entry) = entry else {
            return Told::own("no connector", reply::problem(visit, Cause::NotFound, None));
        };
        let start = Start {
            mode,
            ..Start::default()
        };
        return Told::own("start", opening::open(visit, entry, &target, start).await);
    }
    let who = match caller(visit).await {
        Ok(who) => who,
        Err(response) => return Told::own("unavailable", response),
    };
    if let (Caller::Person(person), Some(place)) = (&who, &target.return_to)
        && place::short_of(visit, &target, person).is_none()
    {
        if asks_again(visit, place, person) {
            return reload::at_start(visit, &target, place, person).await;
        }
        let response = ticket::send_on(visit, person, place, &target, None);
        return Told::own("already here", response);
    }
    let response = match opening::by_itself(visit, &target, mode).await {
        Ok(response) => response,
        Err(round) => {
            let why = match &who {
                Caller::Nobody(why) => chooser::reason_of(*why),
                Caller::Person(_) | Caller::Program(_) => None,
            };
            chooser::page(visit, &target, &who, round.or(why))
        }
    };
    Told::own("start", response)
}

/// Whether somebody is here whom a check has just not found: the proxy that asks keeps their cookie
/// to itself, and would send them back here for ever.
async fn is_not_seen_by_checks(visit: &Visit<'_>, target: &Target) -> bool {
    let Ok(Caller::Person(person)) = caller(visit).await else {
        return false;
    };
    let goes_round =
        target.return_to.is_some() && place::short_of(visit, target, &person).is_none();
    if goes_round {
        visit.shared.telemetry.login_loop();
        tracing::error!(
            request_id = %visit.id,
            host = %visit.head.host,
            "somebody who is signed in is nobody to the check of a proxy: let it pass Cookie, and the \
             host that the browser asked for, on to the check"
        );
    }
    goes_round
}

/// In a frame nobody logs in; but whoever is here may be asked for where the place wants that.
async fn in_a_frame(visit: &Visit<'_>, query: &Fields, target: &Target) -> Told {
    let embedded = || {
        if let (true, Some(place)) = (frame::takes_tickets(visit), &target.return_to) {
            return Told::own("embedded", frame::at_own_page(visit, place));
        }
        let again = Href::new(address::login(visit));
        let response = reply::problem(visit, Cause::FrameLogin, Some(again));
        Told::own("embedded", response)
    };
    if !in_frame(visit.head) || !visit.site.is_home(visit.head) || query.has("connector") {
        return embedded();
    }
    let who = match caller(visit).await {
        Ok(who) => who,
        Err(response) => return Told::own("unavailable", response),
    };
    match (&who, &target.return_to) {
        (Caller::Person(person), Some(place))
            if place::short_of(visit, target, person).is_none()
                && asks_again(visit, place, person) =>
        {
            reload::at_start(visit, target, place, person).await
        }
        _ => embedded(),
    }
}

/// Whether the place wants to know again who sits there.
fn asks_again(visit: &Visit<'_>, to: &ReturnTo, person: &Person) -> bool {
    place::route(visit, to).is_some_and(|route| reload_is_due(route, person, visit.head))
}
