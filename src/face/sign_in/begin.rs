//! `/sign_in` and `/start`: choose a connector, open a login.

use std::sync::Arc;
use std::time::Duration;

use http::{Method, Response, StatusCode};

use super::super::navigation::{Errand, errand};
use super::super::page::{Cause, Choice, Footing, Href, Present, Reason, SignInPage, Who};
use super::super::record::Told;
use super::super::{Visit, address, reply};
use super::{Target, caller, elsewhere, only_get, ticket, user_agent};
use crate::login::connector::Challenge;
use crate::login::fields::Fields;
use crate::login::limits::Limited;
use crate::login::pending::{FlowId, Mode, PENDING_AGE_MAX_S, Pending};
use crate::login::return_to::ReturnTo;
use crate::login::{Begun, Entry, LoginError, Wish};
use crate::request::Body;
use crate::request::gate::{Caller, Why};
use crate::request::policy::LoginNeeded;
use crate::request::route::{Found, Route};
use crate::store::ConnectorId;

/// How many logins one browser has under way at most; the oldest gives way.
const PENDING_MAX: usize = 5;
/// A second start by itself for the same place within this time shows the chooser instead.
const LOOP_WITHIN: Duration = Duration::from_secs(60);

/// `GET /sign_in`: the page with the connectors. It starts nothing by itself, except where the one
/// connector is configured so.
pub(super) async fn choose(visit: &Visit<'_>, query: &Fields) -> Told {
    if !matches!(*visit.head.method, Method::GET | Method::HEAD) {
        return Told::own("method", reply::wrong_method("GET, HEAD"));
    }
    let target = Target::of(visit, query);
    if !visit.site.is_home(visit.head) {
        return elsewhere::to_home(visit, "sign_in", query, &target);
    }
    let who = match caller(visit).await {
        Ok(who) => who,
        Err(response) => return Told::own("unavailable", response),
    };
    let entries = allowed(visit, &target);
    let stranger = matches!(who, Caller::Nobody(_));
    let navigates = errand(visit.head) == Errand::Navigation && visit.head.method == Method::GET;
    let only = entries.first().filter(|entry| {
        let always = entry.config.auto_login == crate::login::config::AutoLogin::Always;
        always && entries.len() == 1 && stranger && navigates
    });
    if let Some(entry) = only {
        if !goes_round(visit, &target) {
            return Told::own("start", open(visit, entry, None, &target, true, 0).await);
        }
        return Told::own(
            "going round",
            chooser(visit, &target, &who, Some(Reason::GoingRound)),
        );
    }
    let response = chooser(visit, &target, &who, reason_in(query));
    Told::own("chooser", reply::for_method(visit.head.method, response))
}

/// `GET /start`: opens a login, or brings the session of somebody who is here to another host.
pub(super) async fn start(visit: &Visit<'_>, query: &Fields) -> Told {
    if let Err(told) = only_get(visit) {
        return *told;
    }
    match errand(visit.head) {
        Errand::Navigation => {}
        Errand::Embedded => {
            let again = Href::new(address::login(visit));
            return Told::own(
                "embedded",
                reply::problem(visit, Cause::FrameLogin, Some(again)),
            );
        }
        Errand::Program => {
            let status = StatusCode::UNAUTHORIZED;
            let title = "Sign in first";
            return Told::own(
                "program",
                reply::json_problem(visit, status, "login-needed", title, ""),
            );
        }
    }
    let target = Target::of(visit, query);
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
        return Told::own("start", open(visit, entry, mode, &target, false, 0).await);
    }
    let who = match caller(visit).await {
        Ok(who) => who,
        Err(response) => return Told::own("unavailable", response),
    };
    let route = route_of(visit, &target);
    if let (Caller::Person(person), Some(place)) = (&who, &target.return_to) {
        let counts = route.as_ref().is_none_or(|route| {
            route.connectors.is_empty() || route.connectors.contains(&person.session.via)
        });
        if counts {
            return Told::own(
                "already here",
                ticket::send_on(visit, place, target.ticket_for.as_ref()),
            );
        }
    }
    let response = match by_itself(visit, &target, mode).await {
        Ok(response) => response,
        Err(round) => chooser(visit, &target, &who, round.or_else(|| reason_of(&who))),
    };
    Told::own("start", response)
}

/// For a stranger in front of an application on the host that logs people in: straight to the
/// source, or to the page with the connectors.
pub(super) async fn automatic(
    visit: &Visit<'_>,
    target: &Target,
    needed: &LoginNeeded,
) -> Response<Body> {
    let who = Caller::Nobody(needed.why);
    match by_itself(visit, target, None).await {
        Ok(response) => response,
        Err(round) => {
            let reason = round.or_else(|| reason_of(&who));
            let why = reason.map_or(String::new(), |reason| format!("why={}", word_of(reason)));
            let query = target.query(&visit.site.external_url, &why);
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
    let entries = allowed(visit, target);
    let agent = user_agent(visit);
    let mut willing = entries.iter().filter(|entry| entry.starts_by_itself(agent));
    match (willing.next(), willing.next()) {
        (Some(entry), None) if !goes_round(visit, target) => {
            Ok(open(visit, entry, mode, target, true, 0).await)
        }
        (Some(_), None) => {
            visit.shared.telemetry.login_loop();
            Err(Some(Reason::GoingRound))
        }
        _ => Err(None),
    }
}

fn reason_of(who: &Caller) -> Option<Reason> {
    match who {
        Caller::Nobody(Why::Nobody) | Caller::Program(_) => None,
        Caller::Nobody(Why::Expired) => Some(Reason::Expired),
        Caller::Nobody(Why::OtherConnector) | Caller::Person(_) => Some(Reason::OtherConnector),
        Caller::Nobody(Why::StepUp) => Some(Reason::StepUp),
    }
}

/// The reason as it stands in an address.
fn word_of(reason: Reason) -> &'static str {
    match reason {
        Reason::Expired => "expired",
        Reason::OtherConnector => "other",
        Reason::StepUp => "step-up",
        Reason::SignedOut => "signed-out",
        Reason::GoingRound => "round",
    }
}

fn reason_in(query: &Fields) -> Option<Reason> {
    let all = [
        Reason::Expired,
        Reason::OtherConnector,
        Reason::StepUp,
        Reason::SignedOut,
        Reason::GoingRound,
    ];
    let word = query.one("why").ok().flatten()?;
    all.into_iter().find(|reason| word_of(*reason) == word)
}

/// Opens a login and sends the browser to the source.
pub(super) async fn open(
    visit: &Visit<'_>,
    entry: &Arc<Entry>,
    mode: Option<Mode>,
    target: &Target,
    automatic: bool,
    retries: u8,
) -> Response<Body> {
    let home = || ReturnTo::parse(entry.home(user_agent(visit)), visit.site);
    let wish = Wish {
        via: &entry.id,
        mode,
        return_to: target
            .return_to
            .clone()
            .or_else(home)
            .unwrap_or_else(ReturnTo::home),
        automatic,
        retries,
        ticket_for: target.ticket_for.clone(),
        client: visit.head.client,
        user_agent: user_agent(visit),
    };
    match visit.site.login.begin(wish).await {
        Ok(begun) => {
            let Challenge::Redirect(to) = &begun.challenge;
            let mut response = reply::redirect(to.as_str());
            for cookie in pending_cookies(visit, &begun) {
                reply::add_cookie(&mut response, &cookie);
            }
            response
        }
        Err(error) => not_begun(visit, entry, &error),
    }
}

/// The cookie of a login that began, and the deletion of those that give way to it.
pub(super) fn pending_cookies(visit: &Visit<'_>, begun: &Begun) -> Vec<String> {
    let flags = &visit.site.cookies;
    let name = format!("{}{}", flags.flow_prefix(), begun.pending.flow);
    let age = i64::try_from(PENDING_AGE_MAX_S).unwrap_or(i64::MAX);
    let mut cookies = vec![if begun.returns_by_post {
        flags.set_cross_site(&name, &begun.sealed, age)
    } else {
        flags.set_local(&name, &begun.sealed, age)
    }];
    let mut open: Vec<_> = reply::cookies_named(visit.head.headers, flags.flow_prefix())
        .map(|(name, value)| (remembered(visit, name, value).map(|p| p.begun_at), name))
        .collect();
    // What does not open is older than anything.
    open.sort();
    let surplus = (open.len() + 1).saturating_sub(PENDING_MAX);
    cookies.extend(
        open.iter()
            .take(surplus)
            .map(|(_, name)| flags.clear_local(name)),
    );
    cookies
}

fn remembered(visit: &Visit<'_>, name: &str, value: &str) -> Option<Pending> {
    let flow = name.strip_prefix(visit.site.cookies.flow_prefix())?;
    let flow = FlowId::try_from(flow.to_owned()).ok()?;
    visit.site.login.remember(None, &flow, Some(value)).ok()
}

/// Whether this browser was just sent away by itself for the same place and never came back.
fn goes_round(visit: &Visit<'_>, target: &Target) -> bool {
    let prefix = visit.site.cookies.flow_prefix();
    reply::cookies_named(visit.head.headers, prefix)
        .filter_map(|(name, value)| remembered(visit, name, value))
        .any(|pending| {
            let recent = visit.head.at.since(pending.begun_at) < LOOP_WITHIN;
            let same = target
                .return_to
                .as_ref()
                .is_none_or(|to| *to == pending.return_to);
            pending.automatic && recent && same
        })
}

fn not_begun(visit: &Visit<'_>, entry: &Entry, error: &LoginError) -> Response<Body> {
    tracing::warn!(request_id = %visit.id, connector = %entry.id, error = %crate::telemetry::chain(error), "a login did not begin");
    let cause = match error {
        LoginError::Limited(Limited::Client | Limited::All) => Cause::TooManyLogins,
        LoginError::Limited(Limited::Circuit) => Cause::SourceBusy,
        _ => Cause::SourceUnreachable,
    };
    let again = Href::new(format!("{}/sign_in", visit.site.prefix));
    reply::problem_of(visit, cause, Some(again), Some(&entry.display_name))
}

/// The page with the connectors that count for the target.
pub(super) fn chooser(
    visit: &Visit<'_>,
    target: &Target,
    who: &Caller,
    reason: Option<Reason>,
) -> Response<Body> {
    let site = visit.head.host.to_string();
    let agent = user_agent(visit);
    let entries = allowed(visit, target);
    let choices = entries.iter().map(|entry| {
        let first = format!("connector={}", entry.id);
        let query = target.query(&visit.site.external_url, &first);
        Choice {
            name: &entry.display_name,
            kind: entry.connector.kind(),
            href: Href::new(format!("{}/start{query}", visit.site.prefix)),
            last: false,
        }
    });
    let present = match who {
        Caller::Person(person) => Some(Present {
            who: Who {
                name: person.entitlements.fields.name.as_deref(),
                login: person.session.login.as_str(),
            },
            go_on: target.return_to.as_ref().map(|_| {
                let query = target.query(&visit.site.external_url, "");
                Href::new(format!("{}/start{query}", visit.site.prefix))
            }),
        }),
        Caller::Nobody(_) | Caller::Program(_) => None,
    };
    let page = SignInPage {
        footing: Footing {
            site: &site,
            request_id: visit.id.as_str(),
        },
        reason,
        present,
        choices: choices.collect(),
        in_wechat: agent.contains("MicroMessenger") && !agent.to_lowercase().contains("wxwork"),
    };
    reply::page_response(StatusCode::OK, &page.render(visit.lang()))
}

/// The connectors that count where the person wants to go; all when that is not known.
fn allowed<'a>(visit: &Visit<'a>, target: &Target) -> Vec<&'a Arc<Entry>> {
    let entries = visit.site.login.entries().iter();
    match route_of(visit, target) {
        Some(route) if !route.connectors.is_empty() => entries
            .filter(|entry| route.connectors.contains(&entry.id))
            .collect(),
        _ => entries.collect(),
    }
}

/// The route that a return address leads to.
fn route_of<'a>(visit: &Visit<'a>, target: &Target) -> Option<&'a Arc<Route>> {
    let place = target.return_to.as_ref()?;
    let url = url::Url::parse(&place.absolute_from(&visit.site.external_url)).ok()?;
    let (host, _) = crate::request::head::parse_host(url.host_str()?).ok()?;
    let local = place.local();
    let raw = &local[..local.find(['?', '#']).unwrap_or(local.len())];
    let path = crate::request::path::Path::parse(raw, None).ok()?;
    match visit
        .site
        .routes
        .find(&host, url.port_or_known_default()?, &path)
    {
        Found::Route(route) => Some(route),
        Found::Own | Found::None | Found::Ambiguous => None,
    }
}
