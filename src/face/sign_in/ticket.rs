//! `/ticket`: a session comes to another host of the site, for the browser that asked there.

use bytes::Bytes;
use http::{Method, Response, StatusCode};
use url::Url;

use super::super::navigation::{Errand, errand, is_same_origin};
use super::super::page::{Cause, CrossPage, Footing, Href, Who};
use super::super::record::Told;
use super::super::{Visit, address, reply};
use super::{Target, audit, by_own_form, caller, frame, set_again, small_body};
use crate::clock::Timestamp;
use crate::login::fields::Fields;
use crate::login::return_to::ReturnTo;
use crate::login::ticket::{Asked, NonceHash, Ticket, TicketError};
use crate::people::cookie::{self, Handle, HostBound};
use crate::people::session::Person;
use crate::request::gate::Caller;
use crate::request::{Body, BodyError};

/// How a session comes to where its person goes.
enum Way<'a> {
    /// The cookie reaches there, or nobody there waits for a ticket.
    Straight,
    /// By a ticket for this host, whose nonce is known.
    Ticket(Url, &'a NonceHash),
    /// The same, but the person is asked first: whose host it is only the DNS says, or the ticket is
    /// for a page in another site's frame.
    Asked(Url, &'a NonceHash),
}

fn way<'a>(visit: &Visit<'_>, place: &ReturnTo, target: &'a Target) -> Way<'a> {
    let origin = place.origin().and_then(|origin| Url::parse(origin).ok());
    let origin = match origin {
        None if target.for_frame => Some(visit.site.external_url.clone()),
        origin => origin,
    };
    let (Some(origin), Some(nonce)) = (origin, &target.ticket_for) else {
        return Way::Straight;
    };
    match origin.host_str() {
        Some(_) if target.for_frame => Way::Asked(origin, nonce),
        None => Way::Straight,
        Some(host) if visit.site.shares_cookie(host) => Way::Straight,
        Some(_) if visit.site.knows(&origin) => Way::Ticket(origin, nonce),
        Some(_) => Way::Asked(origin, nonce),
    }
}

/// Where somebody who just came in goes: straight, with a ticket to another host, or first to the
/// page that asks.
pub(super) fn way_on(
    visit: &Visit<'_>,
    place: &ReturnTo,
    target: &Target,
    session: &Handle,
) -> String {
    match way(visit, place, target) {
        Way::Straight => place.location(),
        Way::Ticket(origin, nonce) => {
            let ticket = Ticket {
                nonce: nonce.clone(),
                sid: session.sid,
                account: session.account,
                issued_at: session.issued_at,
                expires_at: session.expires_at,
                to: place.local().to_owned(),
            };
            sealed(visit, &origin, &ticket)
        }
        Way::Asked(_, nonce) => {
            let target = Target {
                return_to: Some(place.clone()),
                ticket_for: Some(nonce.clone()),
                for_frame: target.for_frame,
                ..Target::default()
            };
            let query = target.query(&visit.site.external_url, "");
            format!("{}{query}", address::own(visit, "start"))
        }
    }
}

/// Sends somebody who is here already on, with a ticket where their cookie does not reach. Their
/// cookie gets another date when their source was just asked in vain.
pub(super) fn send_on(
    visit: &Visit<'_>,
    person: &Person,
    place: &ReturnTo,
    target: &Target,
    asked_at: Option<Timestamp>,
) -> Response<Body> {
    let session = session_of(visit).map(|session| HostBound {
        issued_at: asked_at.unwrap_or(session.issued_at),
        ..session
    });
    let mut response = match (way(visit, place, target), &session) {
        (Way::Straight, _) | (_, None) => reply::redirect(&place.location()),
        (Way::Ticket(origin, nonce), Some(session)) => {
            let ticket = Ticket::of(session, nonce.clone(), place.local().to_owned());
            reply::redirect(&sealed(visit, &origin, &ticket))
        }
        (Way::Asked(origin, nonce), Some(session)) => {
            let asked = Asked {
                place: place.clone(),
                nonce: nonce.clone(),
                for_frame: target.for_frame,
                at: visit.head.at,
            };
            ask(visit, person, &origin, &asked, session)
        }
    };
    let renewed = session.filter(|_| asked_at.is_some());
    let renewed = renewed.and_then(|session| set_again(visit.site, &session, visit.head.at));
    if let Some(cookie) = renewed {
        reply::add_cookie(&mut response, &cookie);
    }
    response
}

/// The session of this browser's cookie, when that is ours.
fn session_of(visit: &Visit<'_>) -> Option<HostBound> {
    let value = visit.head.credentials.session?;
    Some(cookie::verify(&visit.site.ring, value)?.handle)
}

fn sealed(visit: &Visit<'_>, origin: &Url, ticket: &Ticket) -> String {
    let sealed = ticket.seal(&visit.site.ring, &authority(origin), visit.head.at);
    let origin = origin.origin().ascii_serialization();
    format!("{origin}{}/ticket?t={sealed}", visit.site.prefix)
}

/// The page that names the host and the person, and asks.
fn ask(
    visit: &Visit<'_>,
    person: &Person,
    origin: &Url,
    asked: &Asked,
    session: &HostBound,
) -> Response<Body> {
    let site = visit.head.host.to_string();
    let name = origin.origin().ascii_serialization();
    let page = CrossPage {
        footing: Footing {
            site: &site,
            request_id: visit.id.as_str(),
        },
        host: name.split_once("://").map_or(&*name, |(_, host)| host),
        who: Who {
            name: person.entitlements.fields.name.as_deref(),
            login: person.session.login.as_str(),
        },
        post_to: Href::new(format!("{}/start", visit.site.prefix)),
        sealed: &asked.seal(&visit.site.ring, &session.sid),
        for_frame: asked.for_frame,
    };
    reply::page_response(StatusCode::OK, &page.render(visit.lang()))
}

/// `POST /start`: somebody pressed the button of the page that asks. Only that page, shown to this
/// session, holds what is posted.
pub(super) async fn agreed<B>(visit: &Visit<'_>, body: Option<B>) -> Told
where
    B: http_body::Body<Data = Bytes> + Send + Unpin + 'static,
    B::Error: Into<BodyError>,
{
    if !by_own_form(visit) {
        return Told::own("foreign", reply::foreign(visit));
    }
    let form = small_body(body).await.and_then(|form| Fields::parse(&form));
    match caller(visit).await {
        Ok(Caller::Person(_)) => {}
        Ok(Caller::Nobody(_) | Caller::Program(_)) => {
            let sign_in = format!("{}/sign_in", visit.site.prefix);
            return Told::own("nobody", reply::see_other(&sign_in));
        }
        Err(response) => return Told::own("unavailable", response),
    }
    let go = form.as_ref().and_then(|form| form.one("go").ok().flatten());
    let asked = go.zip(session_of(visit)).and_then(|(go, session)| {
        let asked = Asked::open(&visit.site.ring, &session.sid, go, visit.head.at)?;
        let may_go_there = !asked.for_frame || frame::gives_tickets(visit);
        may_go_there.then_some((asked, session))
    });
    let Some((asked, session)) = asked else {
        return Told::own("not asked", reply::problem(visit, Cause::TicketBad, None));
    };
    let place = asked.place;
    let target = Target {
        ticket_for: Some(asked.nonce),
        for_frame: asked.for_frame,
        ..Target::default()
    };
    let to = match way(visit, &place, &target) {
        Way::Straight => place.location(),
        Way::Ticket(origin, nonce) | Way::Asked(origin, nonce) => {
            let ticket = Ticket::of(&session, nonce.clone(), place.local().to_owned());
            if asked.for_frame {
                let sealed = ticket.seal(&visit.site.ring, &authority(&origin), visit.head.at);
                let page = frame::hand_over(visit, &origin, &sealed, &place);
                return Told::own("handed over", page);
            }
            sealed(visit, &origin, &ticket)
        }
    };
    Told::own("agreed", reply::see_other(&to))
}

/// `host:port`, for which a ticket is sealed.
fn authority(origin: &url::Url) -> String {
    let port = origin.port_or_known_default().unwrap_or_default();
    format!("{}:{port}", origin.host_str().unwrap_or_default())
}

/// `/ticket`: spends a ticket for a session cookie. A page that was sent here brings it in its
/// address; a page of ours in a frame posts it.
pub(super) async fn redeem<B>(visit: &Visit<'_>, query: &Fields, body: Option<B>) -> Told
where
    B: http_body::Body<Data = Bytes> + Send + Unpin + 'static,
    B::Error: Into<BodyError>,
{
    let form;
    let fields = match *visit.head.method {
        Method::GET => Some(query),
        Method::POST if !is_same_origin(visit.head) => {
            return Told::own("foreign", reply::foreign(visit));
        }
        Method::POST => {
            form = small_body(body).await.and_then(|form| Fields::parse(&form));
            form.as_ref()
        }
        _ => return Told::own("method", reply::wrong_method("GET, POST")),
    };
    if errand(visit.head) == Errand::Program {
        return Told::own("program", reply::foreign(visit));
    }
    let sealed = fields.and_then(|fields| fields.one("t").ok().flatten());
    spend(visit, sealed.unwrap_or_default()).await
}

async fn spend(visit: &Visit<'_>, sealed: &str) -> Told {
    let (site, head) = (visit.site, visit.head);
    let host = format!("{}:{}", head.host, head.effective_port());
    let prefix = site.cookies.nonce_prefix();
    let mut names = reply::cookies_named(head.headers, prefix);
    let unsealed = match Ticket::unseal(&site.ring, &host, sealed) {
        Ok(unsealed) => unsealed,
        Err(error) => return refused(visit, None, error).await,
    };
    let to = unsealed.to().to_owned();
    let spending = Spending {
        what: unsealed.spend(),
        until: unsealed.spent_until(head.at),
    };
    let nonce_of = |hash: &NonceHash| {
        names
            .find(|(name, _)| name.strip_prefix(prefix) == Some(hash.as_str()))
            .map(|(_, value)| value)
    };
    let opened = match unsealed.check(nonce_of, head.at) {
        Ok(opened) => opened,
        Err(error) => {
            // Whoever reads the address in a browser that was led astray gets nothing for it.
            if error == TicketError::OtherBrowser
                && let Err(told) = spending.shown(visit).await
            {
                return *told;
            }
            return refused(visit, Some(&to), error).await;
        }
    };
    match spending.used(visit).await {
        Ok(true) => {}
        Ok(false) => return refused(visit, Some(&to), TicketError::Used).await,
        Err(told) => return *told,
    }
    Told::own("ticket", let_in(visit, &opened.ticket))
}

/// The session cookie for a ticket that was spent, and the way to where its person goes.
fn let_in(visit: &Visit<'_>, ticket: &Ticket) -> Response<Body> {
    let (flags, host) = (&visit.site.cookies, visit.head.host.as_str());
    let left = ticket.expires_at.since(visit.head.at).as_secs();
    let left = i64::try_from(left).unwrap_or(i64::MAX);
    // The cookie for a frame reaches as far as the one for a tab does. Elsewhere a ticket only comes
    // to hosts which that cookie does not reach.
    let cookie = if flags.cover(host) {
        flags.set_session(&cookie::sign(&visit.site.ring, &ticket.handle(None)), left)
    } else {
        let value = cookie::sign(&visit.site.ring, &ticket.handle(Some(host)));
        flags.set_bound_session(&value, left)
    };
    let mut response = match *visit.head.method {
        Method::POST => reply::see_other(&ticket.to),
        _ => reply::redirect(&ticket.to),
    };
    reply::add_cookie(&mut response, &cookie);
    let nonce = format!("{}{}", flags.nonce_prefix(), ticket.nonce.as_str());
    let cleared = match frame::takes_tickets(visit) {
        true => flags.clear_embedded(&nonce),
        false => flags.clear_local(&nonce),
    };
    reply::add_cookie(&mut response, &cleared);
    response
}

/// A ticket that is to be spent.
struct Spending {
    what: [u8; 32],
    until: Timestamp,
}

impl Spending {
    /// Spends a ticket that its own browser brought; false when it was spent before. A replay costs
    /// no question to the store, and nobody redeems more tickets than a client may.
    async fn used(&self, visit: &Visit<'_>) -> Result<bool, Box<Told>> {
        let login = &visit.site.login;
        let spent = login.spent_tickets();
        if !spent.is_first(&self.what) {
            return Ok(false);
        }
        if let Err(error) = login.may_redeem(visit.head.sharing_client()) {
            // It was not spent: the person may bring it again.
            spent.forget(&self.what);
            let response = reply::problem(visit, audit::cause_of(&error), here(visit));
            return Err(Box::new(Told::own("limited", response)));
        }
        self.store(visit).await
    }

    /// Spends a ticket that another browser showed. Over the client's limit only this process
    /// remembers it, for as long as the ticket would count.
    async fn shown(&self, visit: &Visit<'_>) -> Result<(), Box<Told>> {
        let login = &visit.site.login;
        if login.spent_tickets().is_first(&self.what)
            && login.may_redeem(visit.head.sharing_client()).is_ok()
        {
            self.store(visit).await?;
        }
        Ok(())
    }

    async fn store(&self, visit: &Visit<'_>) -> Result<bool, Box<Told>> {
        let people = &visit.shared.people;
        let spent = people.spend_ticket(&self.what, self.until).await;
        spent.map_err(|error| {
            visit.site.login.spent_tickets().forget(&self.what);
            tracing::error!(request_id = %visit.id, error = %crate::telemetry::chain(&error), "a ticket could not be spent");
            let response = reply::problem(visit, Cause::StoreAway, None);
            Box::new(Told::own("unavailable", response))
        })
    }
}

/// This very address, for a second try.
fn here(visit: &Visit<'_>) -> Option<Href> {
    Some(Href::new(address::target(visit.head)))
}

/// A ticket that lets nobody in; whoever is here already goes on.
async fn refused(visit: &Visit<'_>, to: Option<&str>, error: TicketError) -> Told {
    let who = match caller(visit).await {
        Ok(who) => who,
        Err(response) => return Told::own("unavailable", response),
    };
    if let (Caller::Person(_), Some(to)) = (&who, to) {
        let response = match *visit.head.method {
            Method::POST => reply::see_other(to),
            _ => reply::redirect(to),
        };
        return Told::own("seen again", response);
    }
    audit::refused(visit, None, &error);
    if frame::takes_tickets(visit) {
        return Told::own("bad ticket", frame::not_handed_over(visit, to));
    }
    let again = Href::new(to.unwrap_or("/"));
    Told::own(
        "bad ticket",
        reply::problem(visit, Cause::TicketBad, Some(again)),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ticket_names_host_and_port() {
        let url = |text: &str| url::Url::parse(text).unwrap();
        assert_eq!(
            authority(&url("https://oa.corp.example")),
            "oa.corp.example:443"
        );
        assert_eq!(authority(&url("http://127.0.0.1:8081")), "127.0.0.1:8081");
    }
}
