//! `/ticket`: a session comes to another host of the site, for the browser that asked there.

use http::Response;

use super::super::navigation::{Errand, errand};
use super::super::page::{Cause, Href};
use super::super::record::Told;
use super::super::{Visit, reply};
use super::{audit, caller, only_get, set_again};
use crate::clock::Timestamp;
use crate::login::fields::Fields;
use crate::login::return_to::ReturnTo;
use crate::login::ticket::{NonceHash, Ticket, TicketError};
use crate::people::cookie::{self, Handle, HostBound};
use crate::request::Body;
use crate::request::gate::Caller;

/// Where somebody who just came in goes: straight, or with a ticket to another host.
pub(super) fn way_on(
    visit: &Visit<'_>,
    place: &ReturnTo,
    nonce: Option<&NonceHash>,
    session: &Handle,
) -> String {
    let ticket = nonce.map(|nonce| Ticket {
        nonce: nonce.clone(),
        sid: session.sid,
        account: session.account,
        issued_at: session.issued_at,
        expires_at: session.expires_at,
        to: place.local().to_owned(),
    });
    with_ticket(visit, place, ticket)
}

/// Sends somebody who is here already on, with a ticket where their cookie does not reach. Their
/// cookie gets another date when their source was just asked in vain.
pub(super) fn send_on(
    visit: &Visit<'_>,
    place: &ReturnTo,
    nonce: Option<&NonceHash>,
    asked_at: Option<Timestamp>,
) -> Response<Body> {
    let session = visit.head.credentials.session;
    let session = session.and_then(|value| cookie::verify(&visit.site.ring, value));
    let session: Option<HostBound> = session.map(|verified| HostBound {
        issued_at: asked_at.unwrap_or(verified.handle.issued_at),
        ..verified.handle
    });
    let ticket = nonce
        .zip(session.as_ref())
        .map(|(nonce, session)| Ticket::of(session, nonce.clone(), place.local().to_owned()));
    let mut response = reply::redirect(&with_ticket(visit, place, ticket));
    let renewed = session.filter(|_| asked_at.is_some());
    let renewed = renewed.and_then(|session| set_again(visit.site, &session, visit.head.at));
    if let Some(cookie) = renewed {
        reply::add_cookie(&mut response, &cookie);
    }
    response
}

fn with_ticket(visit: &Visit<'_>, place: &ReturnTo, ticket: Option<Ticket>) -> String {
    let origin = place
        .origin()
        .and_then(|origin| url::Url::parse(origin).ok());
    let host = origin.as_ref().and_then(url::Url::host_str);
    match (origin.as_ref(), host, ticket) {
        (Some(origin), Some(host), Some(ticket)) if !visit.site.shares_cookie(host) => {
            let sealed = ticket.seal(&visit.site.ring, &authority(origin), visit.head.at);
            let origin = origin.origin().ascii_serialization();
            format!("{origin}{}/ticket?t={sealed}", visit.site.prefix)
        }
        _ => place.location(),
    }
}

/// `host:port`, for which a ticket is sealed.
fn authority(origin: &url::Url) -> String {
    let port = origin.port_or_known_default().unwrap_or_default();
    format!("{}:{port}", origin.host_str().unwrap_or_default())
}

/// `GET /ticket`: spends a ticket for a cookie that names this host and counts on no other.
pub(super) async fn redeem(visit: &Visit<'_>, query: &Fields) -> Told {
    if let Err(told) = only_get(visit) {
        return *told;
    }
    if errand(visit.head) == Errand::Program {
        return Told::own("program", reply::foreign(visit));
    }
    let (site, head) = (visit.site, visit.head);
    let sealed = query.one("t").ok().flatten().unwrap_or_default();
    let host = format!("{}:{}", head.host, head.effective_port());
    let prefix = site.cookies.nonce_prefix();
    let mut names = reply::cookies_named(head.headers, prefix);
    let unsealed = match Ticket::unseal(&site.ring, &host, sealed) {
        Ok(unsealed) => unsealed,
        Err(error) => return refused(visit, None, error).await,
    };
    let to = unsealed.to().to_owned();
    let nonce_of = |hash: &NonceHash| {
        names
            .find(|(name, _)| name.strip_prefix(prefix) == Some(hash.as_str()))
            .map(|(_, value)| value)
    };
    let opened = match unsealed.check(nonce_of, head.at) {
        Ok(opened) => opened,
        Err(error) => return refused(visit, Some(&to), error).await,
    };
    let until = head.at.plus(std::time::Duration::from_secs(3600));
    match visit.shared.store.spend(&opened.spend, until).await {
        Ok(true) => {}
        Ok(false) => return refused(visit, Some(&to), TicketError::Used).await,
        Err(error) => {
            tracing::error!(request_id = %visit.id, error = %crate::telemetry::chain(&error), "a ticket could not be spent");
            return Told::own("unavailable", reply::problem(visit, Cause::StoreAway, None));
        }
    }
    let ticket = &opened.ticket;
    let value = cookie::sign(&site.ring, &ticket.handle(head.host.as_str()));
    let left = i64::try_from(ticket.expires_at.since(head.at).as_secs()).unwrap_or(i64::MAX);
    let mut response = reply::redirect(&ticket.to);
    reply::add_cookie(&mut response, &site.cookies.set_bound_session(&value, left));
    let nonce = format!("{prefix}{}", ticket.nonce.as_str());
    reply::add_cookie(&mut response, &site.cookies.clear_local(&nonce));
    Told::own("ticket", response)
}

/// A ticket that lets nobody in; whoever is here already goes on.
async fn refused(visit: &Visit<'_>, to: Option<&str>, error: TicketError) -> Told {
    let who = match caller(visit).await {
        Ok(who) => who,
        Err(response) => return Told::own("unavailable", response),
    };
    if let (Caller::Person(_), Some(to)) = (&who, to) {
        return Told::own("seen again", reply::redirect(to));
    }
    audit::refused(visit, None, &error);
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
