//! `/enter/{connector}`: somebody arrives with a ticket that nobody here asked for.
//!
//! Any page can send a browser here with a ticket of its own choice, so a ticket never takes the place
//! of somebody who is signed in without asking them.

use std::sync::Arc;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, ORIGIN, REFERER, REFERRER_POLICY};
use http::{HeaderValue, Method, Response, StatusCode};
use url::Url;

use super::super::navigation::{Errand, errand, in_frame, lossy, text};
use super::super::page::{Cause, Footing, Href, SwitchPage, Who};
use super::super::record::Told;
use super::super::{Visit, reply};
use super::{Target, arrival, audit, body_within, by_own_form, caller, flow_cookies, ticket};
use crate::login::arrival::TicketHash;
use crate::login::connector::{Answer, ConnectorError, EntryPoint, RefusedWhy};
use crate::login::fields::Fields;
use crate::login::pending::{FlowId, Pending, PendingError};
use crate::login::{Entry, LoginError};
use crate::people::session::Person;
use crate::request::gate::Caller;
use crate::request::{Body, BodyError};
use crate::store::ConnectorId;

/// The longest ticket, in bytes.
const TICKET_BYTES_MAX: usize = 8 * 1024;

/// The largest form, in bytes: every byte of a ticket may be an escape of three.
const FORM_BYTES_MAX: usize = 32 * 1024;

/// The parameter that names an arrival whose ticket was redeemed.
const FLOW: &str = "flow";

/// Why a ticket is not looked at.
#[derive(Clone, Copy, Debug, thiserror::Error)]
enum Unwelcome {
    #[error("the ticket stands nowhere, twice, or is empty or too long")]
    Shape,
    #[error("the page that led here is none that may")]
    Origin,
}

/// `GET` with a ticket in the address, or `POST` with a ticket in a form; and the two steps of an
/// arrival that waits for its browser.
pub(super) async fn answer<B>(
    visit: &Visit<'_>,
    via: &ConnectorId,
    query: &Fields,
    body: Option<B>,
) -> Told
where
    B: http_body::Body<Data = Bytes> + Send + Unpin + 'static,
    B::Error: Into<BodyError>,
{
    let entry = visit.site.login.entry(via);
    let point = entry.and_then(|entry| Some((entry, entry.features.entry_point.as_ref()?)));
    let Some((entry, point)) = point else {
        return Told::own("no entry", reply::problem(visit, Cause::NotFound, None));
    };
    let told = match *visit.head.method {
        Method::GET | Method::POST => arrived(visit, (entry, point), query, body).await,
        _ => Told::own("method", reply::wrong_method("GET, POST")),
    };
    told.also(|response| {
        // The ticket may stand in the address: no page learns it as the one that led there.
        let headers = response.headers_mut();
        let asks = response_asks(headers.get(REFERRER_POLICY));
        if !asks {
            headers.insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
        }
    })
}

/// Whether the page has a form of ours: with `no-referrer` a browser would not say where it is from.
fn response_asks(policy: Option<&HeaderValue>) -> bool {
    policy.is_some_and(|policy| policy == ASKS)
}

/// Tells the host a page is on, and nothing else.
const ASKS: &str = "strict-origin";

async fn arrived<B>(
    visit: &Visit<'_>,
    (entry, point): (&Arc<Entry>, &EntryPoint),
    query: &Fields,
    body: Option<B>,
) -> Told
where
    B: http_body::Body<Data = Bytes> + Send + Unpin + 'static,
    B::Error: Into<BodyError>,
{
    if let Err(told) = is_person_going(visit) {
        return *told;
    }
    if !visit.site.is_home(visit.head) {
        let page = reply::problem(visit, Cause::NotHere, None);
        return Told::own(Cause::NotHere.slug(), page);
    }
    let form = match *visit.head.method {
        Method::POST => form_of(visit, body).await,
        _ => Some(Fields::default()),
    };
    let Some(form) = form else {
        return malformed(visit, entry);
    };
    let has_ticket = query.has(&point.parameter) || form.has(&point.parameter);
    match *visit.head.method {
        Method::GET if !has_ticket && query.has(FLOW) => waiting(visit, entry, query).await,
        Method::POST if !has_ticket && form.has(FLOW) => agreed(visit, entry, &form).await,
        _ => redeem(visit, (entry, point), query, form).await,
    }
}

/// Only somebody who goes here with a window of their own, or with a frame where people sign in there.
fn is_person_going(visit: &Visit<'_>) -> Result<(), Box<Told>> {
    let head = visit.head;
    let embedded = in_frame(head) && visit.site.cookies.are_embedded();
    let goes = match (errand(head), head.method) {
        (Errand::Navigation, _) => true,
        (Errand::Embedded, _) if embedded => true,
        (Errand::Embedded, &Method::POST) => {
            let dest = text(head.headers, "sec-fetch-dest");
            dest.is_none_or(|dest| dest == "document")
        }
        (Errand::Embedded | Errand::Program, _) => false,
    };
    if goes {
        return Ok(());
    }
    let response = match errand(head) {
        Errand::Embedded => {
            let again = Href::new(format!("{}/sign_in", visit.site.prefix));
            reply::problem(visit, Cause::FrameLogin, Some(again))
        }
        Errand::Navigation | Errand::Program => {
            let (status, title) = (StatusCode::UNAUTHORIZED, "Only for a person who goes here");
            reply::json_problem(visit, status, "login-needed", title, "")
        }
    };
    Err(Box::new(Told::own("no navigation", response)))
}

async fn form_of<B>(visit: &Visit<'_>, body: Option<B>) -> Option<Fields>
where
    B: http_body::Body<Data = Bytes> + Send + Unpin + 'static,
    B::Error: Into<BodyError>,
{
    let kind = text(visit.head.headers, CONTENT_TYPE.as_str())?;
    let kind = kind.split(';').next().unwrap_or_default().trim();
    if !kind.eq_ignore_ascii_case("application/x-www-form-urlencoded") {
        return None;
    }
    Fields::parse(&body_within(body, FORM_BYTES_MAX).await?)
}

fn malformed(visit: &Visit<'_>, entry: &Entry) -> Told {
    audit::refused(visit, Some(&entry.id), &Unwelcome::Shape);
    let page = reply::problem(visit, Cause::BadRequest, None);
    Told::own("no ticket", page)
}

/// The one ticket, and all that came with it.
fn ticket_of<'a>(parameter: &str, query: &'a Fields, form: &'a Fields) -> Option<&'a str> {
    let places = (query.one(parameter).ok()?, form.one(parameter).ok()?);
    let ((Some(ticket), None) | (None, Some(ticket))) = places else {
        return None;
    };
    let fits = !ticket.is_empty() && ticket.len() <= TICKET_BYTES_MAX;
    fits.then_some(ticket)
}

/// Whether the page that led here may: `Origin` says which it was, and else `Referer`.
fn may_lead_here(visit: &Visit<'_>, origins: &[Url]) -> bool {
    let headers = visit.head.headers;
    let origin = match lossy(headers, ORIGIN.as_str()) {
        Some(origin) => Some(origin.into_owned()),
        None => lossy(headers, REFERER.as_str())
            .and_then(|referer| Url::parse(&referer).ok())
            .map(|referer| referer.origin().ascii_serialization()),
    };
    let named = |origin: String| {
        let mut origins = origins.iter();
        origins.any(|known| known.origin().ascii_serialization() == origin)
    };
    origins.is_empty() || origin.is_some_and(named)
}

async fn redeem(
    visit: &Visit<'_>,
    (entry, point): (&Arc<Entry>, &EntryPoint),
    query: &Fields,
    form: Fields,
) -> Told {
    let Some(ticket) = ticket_of(&point.parameter, query, &form) else {
        return malformed(visit, entry);
    };
    if !may_lead_here(visit, &point.origins) {
        audit::refused(visit, Some(&entry.id), &Unwelcome::Origin);
        return Told::own("origin", refused_page(visit, entry, Cause::EntryRefused));
    }
    let who = match caller(visit).await {
        Ok(who) => who,
        Err(response) => return Told::own("unavailable", response),
    };
    let login = &visit.site.login;
    let ticket = TicketHash::of(&entry.id, ticket);
    if let (Caller::Person(person), Some(finished)) = (&who, login.came_in_by(&ticket))
        && person.session.public_id == finished.public_id
    {
        let to = finished.return_to.location();
        return Told::own("seen again", reply::see_other(&to));
    }
    let places = if form.has("rd") { &form } else { query };
    let target = Target::of(visit, places);
    let return_to = target.place(visit, entry);
    let fields = if form.has(&point.parameter) {
        form
    } else {
        query.clone()
    };
    let answer = Answer {
        fields,
        client: visit.head.sharing_client(),
        kind: None,
    };
    let mut pending = match login.redeem(entry, ticket, answer).await {
        Ok(pending) => pending,
        Err(error) => return failed(visit, entry, &error),
    };
    pending.return_to = return_to;
    pending.ticket_for = target.ticket_for;
    pending.for_frame = target.for_frame;
    match &who {
        Caller::Nobody(_) | Caller::Program(_) if !sees_everybody(visit) => {
            to_be_seen(visit, entry, pending)
        }
        who => let_in_or_ask(visit, entry, pending, who).await,
    }
}

/// Whether the cookie of somebody who is signed in would have come along. A form of another site
/// brings none.
fn sees_everybody(visit: &Visit<'_>) -> bool {
    let site = text(visit.head.headers, "sec-fetch-site");
    *visit.head.method != Method::POST
        || visit.site.cookies.are_embedded()
        || matches!(site, Some("same-origin" | "same-site" | "none"))
}

/// Sends the browser here once more, with all of its cookies: only then is it known who is signed in.
fn to_be_seen(visit: &Visit<'_>, entry: &Entry, mut pending: Pending) -> Told {
    let sealed = visit.site.login.hold(&mut pending);
    let flow = &pending.flow;
    let here = format!("{}/enter/{}?{FLOW}={flow}", visit.site.prefix, entry.id);
    let mut response = reply::see_other(&here);
    flow_cookies::set_sealed(visit, flow, &sealed, false, &mut response);
    Told::own("to be seen", response)
}

/// Somebody who was sent here once more.
async fn waiting(visit: &Visit<'_>, entry: &Entry, query: &Fields) -> Told {
    let who = match caller(visit).await {
        Ok(who) => who,
        Err(response) => return Told::own("unavailable", response),
    };
    match held(visit, entry, query) {
        Ok(pending) => let_in_or_ask(visit, entry, pending, &who).await,
        Err(error) => forgotten(visit, entry, &who, error),
    }
}

/// Somebody agreed to be who arrived: the button of the page that asked.
async fn agreed(visit: &Visit<'_>, entry: &Entry, form: &Fields) -> Told {
    if !by_own_form(visit) {
        return Told::own("foreign", reply::foreign(visit));
    }
    match held(visit, entry, form) {
        Ok(pending) => let_in(visit, entry, &pending).await,
        Err(error) => match caller(visit).await {
            Ok(who) => forgotten(visit, entry, &who, error),
            Err(response) => Told::own("unavailable", response),
        },
    }
}

fn held(visit: &Visit<'_>, entry: &Entry, fields: &Fields) -> Result<Pending, PendingError> {
    let flow = fields.one(FLOW).ok().flatten().unwrap_or_default();
    let flow = FlowId::try_from(flow.to_owned()).map_err(|_| PendingError::Missing)?;
    let sealed = flow_cookies::sealed(visit, &flow);
    visit.site.login.held(&entry.id, &flow, sealed.as_deref())
}

async fn let_in_or_ask(visit: &Visit<'_>, entry: &Entry, pending: Pending, who: &Caller) -> Told {
    let arrived = pending.arrival.as_ref().map(|arrival| arrival.account);
    match who {
        Caller::Person(person) if Some(person.session.account) != arrived => {
            ask(visit, entry, pending, person)
        }
        _ => let_in(visit, entry, &pending).await,
    }
}

async fn let_in(visit: &Visit<'_>, entry: &Entry, pending: &Pending) -> Told {
    let finished = match visit.site.login.enter(pending).await {
        Ok(finished) => finished,
        Err(error) => {
            let told = failed(visit, entry, &error);
            return told.also(|it| flow_cookies::clear(visit, &pending.flow, it));
        }
    };
    let target = Target {
        return_to: Some(pending.return_to.clone()),
        ticket_for: pending.ticket_for.clone(),
        for_frame: pending.for_frame,
        ..Target::default()
    };
    let (reason, mut response) = match arrival::lacks(visit, &finished) {
        None => {
            let to = ticket::way_on(visit, &finished.return_to, &target, &finished.handle);
            ("arrival", reply::see_other(&to))
        }
        Some(_) => {
            let page = arrival::not_enough(visit, &finished, &target);
            (Cause::ProofTooWeak.slug(), page)
        }
    };
    arrival::hand_out(visit, &finished, None, &mut response).await;
    flow_cookies::clear(visit, &pending.flow, &mut response);
    Told::own(reason, response)
}

/// The page that names who is here and who arrived.
fn ask(visit: &Visit<'_>, entry: &Entry, mut pending: Pending, person: &Person) -> Told {
    if in_frame(visit.head) {
        // A page that is asked in a frame could be covered by another.
        let again = Href::new(format!("{}/sign_in", visit.site.prefix));
        let page = reply::problem(visit, Cause::FrameLogin, Some(again));
        return Told::own("embedded", page);
    }
    let login = &visit.site.login;
    let sealed = login.hold(&mut pending);
    let Some(arrival) = &pending.arrival else {
        return malformed(visit, entry);
    };
    let host = visit.head.host.to_string();
    let page = SwitchPage {
        footing: Footing {
            site: &host,
            request_id: visit.id.as_str(),
        },
        present: Who {
            name: person.entitlements.fields.name.as_deref(),
            login: person.session.login.as_str(),
        },
        arrived: Who {
            name: arrival.name.as_deref(),
            login: arrival.login.as_str(),
        },
        post_to: Href::new(format!("{}/enter/{}", visit.site.prefix, entry.id)),
        flow: pending.flow.as_str(),
        stay: Href::new(pending.return_to.location()),
    };
    let mut response = reply::page_response(StatusCode::CONFLICT, &page.render(visit.lang()));
    let asks = HeaderValue::from_static(ASKS);
    response.headers_mut().insert(REFERRER_POLICY, asks);
    flow_cookies::set_sealed(visit, &pending.flow, &sealed, false, &mut response);
    Told::own("somebody else is here", response)
}

/// An arrival that this browser does not remember: it came in already, or it is another's.
fn forgotten(visit: &Visit<'_>, entry: &Entry, who: &Caller, error: PendingError) -> Told {
    if let Caller::Person(_) = who {
        return Told::own("seen again", reply::see_other("/"));
    }
    audit::refused(visit, Some(&entry.id), &error);
    let cause = audit::cause_of(&LoginError::Pending(error));
    Told::own(cause.slug(), refused_page(visit, entry, cause))
}

fn failed(visit: &Visit<'_>, entry: &Entry, error: &LoginError) -> Told {
    audit::failed(visit, &entry.id, error);
    let cause = match error {
        LoginError::Connector(
            ConnectorError::Stale(_)
            | ConnectorError::Expired(_)
            | ConnectorError::Refused {
                why: RefusedWhy::BadAnswer,
                ..
            },
        ) => Cause::EntryRefused,
        error => audit::cause_of(error),
    };
    Told::own(cause.slug(), refused_page(visit, entry, cause))
}

fn refused_page(visit: &Visit<'_>, entry: &Entry, cause: Cause) -> Response<Body> {
    let again = Href::new(format!("{}/sign_in", visit.site.prefix));
    reply::problem_of(visit, cause, Some(again), Some(&entry.display_name))
}
