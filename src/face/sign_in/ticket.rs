//! Transfers a session to another host of the site by a ticket, if necessary after the person's consent.

use bytes::Bytes;
use http::{Response, StatusCode};
use url::Url;

use super::super::page::{Cause, CrossHostPage, Href, PersonName};
use super::super::record::LoggedResponse;
use super::super::{RequestContext, reply, urls};
use super::{LoginTarget, caller, cross_host, frame, is_own_form_post, read_body, reissue_cookie};
use crate::clock::Timestamp;
use crate::login::fields::Fields;
use crate::login::return_to::ReturnTo;
use crate::login::ticket::{NonceHash, Ticket, TicketConsent};
use crate::people::cookie::{self, SessionClaims, VerifiedClaims};
use crate::people::session::Person;
use crate::request::gate::Caller;
use crate::request::{Body, BodyError};
use crate::site::CONSOLE_PATH;

/// How a session is transferred to the host of the return address.
enum SessionTransfer<'a> {
    /// The session cookie is valid there.
    NotNeeded,
    /// The host at this origin must ask for a ticket first, because only the host itself can set the nonce.
    BeginsThere(Url),
    /// By a ticket for this origin, bound to this nonce.
    Ticket(Url, &'a NonceHash),
    /// By such a ticket after the person's consent: the host only matches a wildcard route, so that DNS
    /// alone determines its owner, or the ticket is for a page in another site's frame.
    AfterConsent(Url, &'a NonceHash),
}

fn required_transfer<'a>(
    context: &RequestContext<'_>,
    return_to: &ReturnTo,
    target: &'a LoginTarget,
) -> SessionTransfer<'a> {
    let origin = return_to
        .origin()
        .and_then(|origin| Url::parse(origin).ok());
    let origin = match origin {
        None if target.for_frame => Some(context.site.external_url.clone()),
        origin => origin,
    };
    let Some(origin) = origin else {
        return SessionTransfer::NotNeeded;
    };
    let Some(nonce) = &target.ticket_for else {
        let reaches = |host| context.site.session_cookie_reaches(host);
        let is_there = origin.host_str().is_none_or(reaches);
        // The console has a sign-in page of its own.
        let is_console = is_console(context, &origin, return_to.path_query_fragment());
        return match is_there || is_console {
            true => SessionTransfer::NotNeeded,
            false => SessionTransfer::BeginsThere(origin),
        };
    };
    if is_console(context, &origin, return_to.path_query_fragment()) {
        return SessionTransfer::Ticket(origin, nonce);
    }
    match origin.host_str() {
        Some(_) if target.for_frame => SessionTransfer::AfterConsent(origin, nonce),
        None => SessionTransfer::NotNeeded,
        Some(host) if context.site.session_cookie_reaches(host) => SessionTransfer::NotNeeded,
        Some(_) if context.site.has_exact_route_for(&origin) => {
            SessionTransfer::Ticket(origin, nonce)
        }
        Some(_) => SessionTransfer::AfterConsent(origin, nonce),
    }
}

/// The redirect target after a login: the return address, the ticket URL of another host, the page there that
/// asks for a ticket, or the page that asks for consent.
pub(super) fn next_url(
    context: &RequestContext<'_>,
    return_to: &ReturnTo,
    target: &LoginTarget,
    session: &SessionClaims,
) -> String {
    match required_transfer(context, return_to, target) {
        SessionTransfer::NotNeeded => return_to.location(),
        SessionTransfer::BeginsThere(origin) => {
            cross_host::start_url_there(context, &origin, return_to)
        }
        SessionTransfer::Ticket(origin, nonce) => {
            let ticket = Ticket {
                nonce: nonce.clone(),
                sid: session.sid,
                account: session.account,
                confirmed_at: session.confirmed_at,
                expires_at: session.expires_at,
                return_path: return_to.path_query_fragment().to_owned(),
            };
            ticket_url(context, &origin, &ticket)
        }
        SessionTransfer::AfterConsent(_, nonce) => {
            let target = LoginTarget {
                return_to: Some(return_to.clone()),
                ticket_for: Some(nonce.clone()),
                for_frame: target.for_frame,
                ..LoginTarget::default()
            };
            let query = target.query_string(&context.site.external_url, "");
            format!("{}{query}", urls::on_login_host(context, "start"))
        }
    }
}

/// Redirects a signed-in person to the return address, with a ticket if the cookie is not valid there. A host
/// that did not ask for one does so first.
/// After a failed silent login, its time `attempted_at` is written into the cookie.
pub(super) fn redirect_signed_in(
    context: &RequestContext<'_>,
    person: &Person,
    return_to: &ReturnTo,
    target: &LoginTarget,
    attempted_at: Option<Timestamp>,
) -> Response<Body> {
    let session = session_from_cookie(context).map(|session| VerifiedClaims {
        confirmed_at: attempted_at.unwrap_or(session.confirmed_at),
        ..session
    });
    let mut response = match (required_transfer(context, return_to, target), &session) {
        (SessionTransfer::NotNeeded, _) | (_, None) => reply::redirect(&return_to.location()),
        (SessionTransfer::BeginsThere(origin), Some(_)) => {
            reply::redirect(&cross_host::start_url_there(context, &origin, return_to))
        }
        (SessionTransfer::Ticket(origin, nonce), Some(session)) => {
            let ticket = Ticket::of(
                session,
                nonce.clone(),
                return_to.path_query_fragment().to_owned(),
            );
            reply::redirect(&ticket_url(context, &origin, &ticket))
        }
        (SessionTransfer::AfterConsent(origin, nonce), Some(session)) => {
            let consent = TicketConsent {
                return_to: return_to.clone(),
                nonce: nonce.clone(),
                for_frame: target.for_frame,
                asked_at: context.head.received_at,
            };
            ask_consent(context, person, &origin, &consent, session)
        }
    };
    let renewed = session.filter(|_| attempted_at.is_some());
    let renewed = renewed
        .and_then(|session| reissue_cookie(context.site, &session, context.head.received_at));
    if let Some(cookie) = renewed {
        reply::add_cookie(&mut response, &cookie);
    }
    response
}

/// The session in the cookie, if the signature is valid.
fn session_from_cookie(context: &RequestContext<'_>) -> Option<VerifiedClaims> {
    let value = context.head.credentials.session_cookie?;
    Some(cookie::verify(&context.site.ring, value)?.claims)
}

/// Whether the return address is a page of the console.
fn is_console(context: &RequestContext<'_>, origin: &Url, path: &str) -> bool {
    let console = context.site.console.as_ref();
    console.is_some_and(|console| console.has_page(origin, path))
}

fn ticket_url(context: &RequestContext<'_>, origin: &Url, ticket: &Ticket) -> String {
    let (ring, now) = (&context.site.ring, context.head.received_at);
    let host = authority(origin);
    let url = origin.origin().ascii_serialization();
    if is_console(context, origin, &ticket.return_path) {
        let sealed = ticket.seal_for_console(ring, &host, now);
        return format!("{url}{CONSOLE_PATH}ticket?t={sealed}");
    }
    let sealed = ticket.seal(ring, &host, now);
    format!("{url}{}/ticket?t={sealed}", context.site.prefix)
}

/// The page that names the host and the person, and asks for consent.
fn ask_consent(
    context: &RequestContext<'_>,
    person: &Person,
    origin: &Url,
    consent: &TicketConsent,
    session: &VerifiedClaims,
) -> Response<Body> {
    let name = origin.origin().ascii_serialization();
    let page = CrossHostPage {
        info: context.page_info(),
        host: name.split_once("://").map_or(&*name, |(_, host)| host),
        person: PersonName {
            name: person.entitlements.fields.name.as_deref(),
            login: person.session.login.as_str(),
        },
        post_to: Href::new(format!("{}/start", context.site.prefix)),
        sealed_consent: &consent.seal(&context.site.ring, &session.sid),
        opened_by_frame: consent.for_frame,
    };
    reply::page_response(StatusCode::OK, &page.render(context.lang()))
}

/// `POST /start`: the person agreed to the transfer. The posted value is sealed for the session
/// that the page was shown to.
pub(super) async fn consented<B>(context: &RequestContext<'_>, body: Option<B>) -> LoggedResponse
where
    B: http_body::Body<Data = Bytes> + Send + Unpin + 'static,
    B::Error: Into<BodyError>,
{
    if !is_own_form_post(context) {
        return LoggedResponse::own_path("cross-site", reply::foreign_origin(context));
    }
    let form = read_body(body).await.and_then(|form| Fields::parse(&form));
    match caller(context).await {
        Ok(Caller::Person(_)) => {}
        Ok(Caller::Anonymous(_) | Caller::Program(_)) => {
            let sign_in = format!("{}/sign_in", context.site.prefix);
            return LoggedResponse::own_path("nobody", reply::see_other(&sign_in));
        }
        Err(response) => return LoggedResponse::own_path("unavailable", response),
    }
    let sealed = form.as_ref().and_then(|form| form.one("go").ok().flatten());
    let consent = sealed
        .zip(session_from_cookie(context))
        .and_then(|(sealed, session)| {
            let consent = TicketConsent::open(
                &context.site.ring,
                &session.sid,
                sealed,
                context.head.received_at,
            )?;
            let is_allowed = !consent.for_frame || frame::may_issue_ticket(context);
            is_allowed.then_some((consent, session))
        });
    let Some((consent, session)) = consent else {
        return LoggedResponse::own_path(
            "no valid consent",
            reply::problem(context, Cause::InvalidTicket, None),
        );
    };
    let return_to = consent.return_to;
    let target = LoginTarget {
        ticket_for: Some(consent.nonce),
        for_frame: consent.for_frame,
        ..LoginTarget::default()
    };
    let to = match required_transfer(context, &return_to, &target) {
        SessionTransfer::NotNeeded => return_to.location(),
        SessionTransfer::BeginsThere(origin) => {
            cross_host::start_url_there(context, &origin, &return_to)
        }
        SessionTransfer::Ticket(origin, nonce) | SessionTransfer::AfterConsent(origin, nonce) => {
            let ticket = Ticket::of(
                &session,
                nonce.clone(),
                return_to.path_query_fragment().to_owned(),
            );
            if consent.for_frame {
                let sealed = ticket.seal(
                    &context.site.ring,
                    &authority(&origin),
                    context.head.received_at,
                );
                let page = frame::hand_over_page(context, &origin, &sealed, &return_to);
                return LoggedResponse::own_path("handed over", page);
            }
            ticket_url(context, &origin, &ticket)
        }
    };
    LoggedResponse::own_path("consented", reply::see_other(&to))
}

/// The `host:port` that a ticket is sealed for.
fn authority(origin: &url::Url) -> String {
    let port = origin.port_or_known_default().unwrap_or_default();
    format!("{}:{port}", origin.host_str().unwrap_or_default())
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
