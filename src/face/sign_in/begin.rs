//! `/sign_in` and `/start`: choose a connector, open a login.

use std::time::Duration;

use http::{Method, Response, StatusCode};

use super::super::navigation::{Errand, errand, in_frame};
use super::super::page::{Cause, Href, Reason};
use super::super::record::Told;
use super::super::{Visit, address, reply};
use super::{
    Target, audit, caller, chooser, elsewhere, flow_cookies, frame, place, reload, ticket,
    user_agent,
};
use crate::login::connector::Challenge;
use crate::login::fields::Fields;
use crate::login::pending::Mode;
use crate::login::return_to::ReturnTo;
use crate::login::{Entry, LoginError, Wish};
use crate::people::cookie;
use crate::people::session::Person;
use crate::request::Body;
use crate::request::gate::{Caller, Why};
use crate::request::policy::{LoginNeeded, reload_is_due};
use crate::store::{ConnectorId, SessionKey};

/// A second start by itself for the same place within this time shows the chooser instead.
const LOOP_WITHIN: Duration = Duration::from_secs(60);

/// How a login is opened, besides through what and where to.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Start {
    /// Through which door; absent: the User-Agent decides.
    pub(super) mode: Option<Mode>,
    /// Whether nobody clicked.
    pub(super) automatic: bool,
    /// How often it was begun again by itself.
    pub(super) retries: u8,
    /// Whether the source must show nothing.
    pub(super) silent: bool,
}

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
    let who = match caller(visit).await {
        Ok(who) => who,
        Err(response) => return Told::own("unavailable", response),
    };
    let entries = place::allowed(visit, &target);
    let stranger = matches!(who, Caller::Nobody(_));
    let navigates = errand(visit.head) == Errand::Navigation && visit.head.method == Method::GET;
    let only = entries.first().filter(|entry| {
        let always = entry.config.auto_login == crate::login::connector::AutoLogin::Always;
        always && entries.len() == 1 && stranger && navigates
    });
    if let Some(entry) = only {
        if !goes_round(visit, &target) {
            let start = by_nobody(None);
            return Told::own("start", open(visit, entry, &target, start).await);
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
        let Some(entry) = entry else {
            return Told::own("no connector", reply::problem(visit, Cause::NotFound, None));
        };
        let start = Start {
            mode,
            ..Start::default()
        };
        return Told::own("start", open(visit, entry, &target, start).await);
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
    let response = match by_itself(visit, &target, mode).await {
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

/// For a stranger in front of an application on the host that logs people in: straight to the
/// source, or to the page with the connectors.
pub(super) async fn automatic(
    visit: &Visit<'_>,
    target: &Target,
    needed: &LoginNeeded,
) -> Response<Body> {
    match by_itself(visit, target, None).await {
        Ok(response) => response,
        Err(round) => {
            let reason = round.or_else(|| chooser::reason_of(needed.why));
            let why = reason.map(|reason| format!("why={}", chooser::word_of(reason)));
            let query = target.query(&visit.site.external_url, &why.unwrap_or_default());
            reply::redirect(&format!("{}/sign_in{query}", visit.site.prefix))
        }
    }
}

/// Opens a login without a click, where exactly one connector is willing; else says whether this
/// browser only goes round.
async fn by_itself(
    visit: &Visit<'_>,
    target: &Target,
    mode: Option<Mode>,
) -> Result<Response<Body>, Option<Reason>> {
    let mut willing = place::allowed(visit, target);
    let agent = user_agent(visit);
    willing.retain(|entry| entry.starts_by_itself(&agent));
    // Inside a source's own client that source goes before the one that always starts.
    if willing.iter().any(|entry| entry.is_at_home(&agent)) {
        willing.retain(|entry| entry.is_at_home(&agent));
    }
    match willing.as_slice() {
        [entry] if !goes_round(visit, target) => {
            Ok(open(visit, entry, target, by_nobody(mode)).await)
        }
        [_] => {
            visit.shared.telemetry.login_loop();
            Err(Some(Reason::GoingRound))
        }
        _ => Err(None),
    }
}

/// What the store knows the session of this browser by, if its cookie is ours.
pub(super) fn session_key(visit: &Visit<'_>) -> Option<SessionKey> {
    let value = visit.head.credentials.session?;
    let verified = cookie::verify(&visit.site.ring, value)?;
    Some(verified.handle.sid.key())
}

fn by_nobody(mode: Option<Mode>) -> Start {
    Start {
        mode,
        automatic: true,
        ..Start::default()
    }
}

/// Opens a login and sends the browser to the source.
pub(super) async fn open(
    visit: &Visit<'_>,
    entry: &Entry,
    target: &Target,
    start: Start,
) -> Response<Body> {
    match try_open(visit, entry, target, start).await {
        Ok(response) => response,
        Err(error) => not_begun(visit, entry, &error),
    }
}

/// The same for who has another way when it cannot be opened.
pub(super) async fn try_open(
    visit: &Visit<'_>,
    entry: &Entry,
    target: &Target,
    start: Start,
) -> Result<Response<Body>, LoginError> {
    let return_to = target.place(visit, entry);
    let wish = Wish {
        via: &entry.id,
        mode: start.mode,
        ask: place::ask(visit, &return_to, &target.hints, start.silent),
        return_to,
        automatic: start.automatic,
        retries: start.retries,
        ticket_for: target.ticket_for.clone(),
        for_frame: target.for_frame,
        replaces: session_key(visit),
        client: visit.head.sharing_client(),
        user_agent: &user_agent(visit),
    };
    let begun = visit.site.login.begin(wish).await?;
    let Challenge::Redirect(to) = &begun.challenge;
    let mut response = reply::redirect(to.as_str());
    flow_cookies::set(visit, &begun, &mut response);
    Ok(response)
}

/// Whether this browser was just sent away by itself for the same place and never came back.
fn goes_round(visit: &Visit<'_>, target: &Target) -> bool {
    is_unanswered(visit, target, false)
}

/// The same for one of the two kinds of login that begin by themselves.
pub(super) fn is_unanswered(visit: &Visit<'_>, target: &Target, silent: bool) -> bool {
    flow_cookies::remembered(visit).any(|pending| {
        let recent = visit.head.at.since(pending.begun_at) < LOOP_WITHIN;
        let same = target
            .return_to
            .as_ref()
            .is_none_or(|to| *to == pending.return_to);
        pending.automatic && pending.silent == silent && recent && same
    })
}

/// A login that could not be opened.
pub(super) fn not_begun(visit: &Visit<'_>, entry: &Entry, error: &LoginError) -> Response<Body> {
    tracing::warn!(request_id = %visit.id, connector = %entry.id, error = %crate::telemetry::chain(error), "a login did not begin");
    if matches!(error, LoginError::Connector(_)) {
        audit::failed(visit, &entry.id, error);
    }
    let again = Href::new(format!("{}/sign_in", visit.site.prefix));
    reply::problem_of(
        visit,
        audit::cause_of(error),
        Some(again),
        Some(&entry.display_name),
    )
}
