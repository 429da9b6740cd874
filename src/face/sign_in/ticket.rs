//! `/ticket`: a session comes to another host of the site, for the browser that asked there.

use bytes::Bytes;
use http::{Method, Response, StatusCode};
use url::Url;

use super::super::browser::{RequestKind, is_same_origin, request_kind};
use super::super::page::{Cause, CrossHostPage, Href, PageInfo, PersonName};
use super::super::record::LoggedResponse;
use super::super::{RequestContext, reply, urls};
use super::{Target, audit, caller, frame, is_own_form_post, read_body, reissue_cookie};
use crate::clock::Timestamp;
use crate::login::fields::Fields;
use crate::login::return_to::ReturnTo;
use crate::login::ticket::{NonceHash, Ticket, TicketConsent, TicketError};
use crate::people::cookie::{self, SessionHandle, VerifiedHandle};
use crate::people::session::Person;
use crate::request::gate::Caller;
use crate::request::{Body, BodyError};

/// How a session comes to where its person goes.
enum SessionTransfer<'a> {
    /// The cookie reaches there, or nobody there waits for a ticket.
    NotNeeded,
    /// By a ticket for this host, whose nonce is known.
    Ticket(Url, &'a NonceHash),
    /// The same, but the person is asked first: whose host it is only the DNS says, or the ticket is
    /// for a page in another site's frame.
    AfterConsent(Url, &'a NonceHash),
}

fn transfer_to<'a>(
    context: &RequestContext<'_>,
    place: &ReturnTo,
    target: &'a Target,
) -> SessionTransfer<'a> {
    let origin = place.origin().and_then(|origin| Url::parse(origin).ok());
    let origin = match origin {
        None if target.for_frame => Some(context.site.external_url.clone()),
        origin => origin,
    };
    let (Some(origin), Some(nonce)) = (origin, &target.ticket_for) else {
        return SessionTransfer::NotNeeded;
    };
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

/// Where somebody who just came in goes: straight, with a ticket to another host, or first to the
/// page that asks.
pub(super) fn next_url(
    context: &RequestContext<'_>,
    place: &ReturnTo,
    target: &Target,
    session: &SessionHandle,
) -> String {
    match transfer_to(context, place, target) {
        SessionTransfer::NotNeeded => place.location(),
        SessionTransfer::Ticket(origin, nonce) => {
            let ticket = Ticket {
                nonce: nonce.clone(),
                sid: session.sid,
                account: session.account,
                issued_at: session.issued_at,
                expires_at: session.expires_at,
                to: place.local().to_owned(),
            };
            ticket_url(context, &origin, &ticket)
        }
        SessionTransfer::AfterConsent(_, nonce) => {
            let target = Target {
                return_to: Some(place.clone()),
                ticket_for: Some(nonce.clone()),
                for_frame: target.for_frame,
                ..Target::default()
            };
            let query = target.query_string(&context.site.external_url, "");
            format!("{}{query}", urls::on_login_host(context, "start"))
        }
    }
}

/// Sends somebody who is here already on, with a ticket where their cookie does not reach. Their
/// cookie gets another date when their source was just asked in vain.
pub(super) fn redirect_signed_in(
    context: &RequestContext<'_>,
    person: &Person,
    place: &ReturnTo,
    target: &Target,
    asked_at: Option<Timestamp>,
) -> Response<Body> {
    let session = session_from_cookie(context).map(|session| VerifiedHandle {
        issued_at: asked_at.unwrap_or(session.issued_at),
        ..session
    });
    let mut response = match (transfer_to(context, place, target), &session) {
        (SessionTransfer::NotNeeded, _) | (_, None) => reply::redirect(&place.location()),
        (SessionTransfer::Ticket(origin, nonce), Some(session)) => {
            let ticket = Ticket::of(session, nonce.clone(), place.local().to_owned());
            reply::redirect(&ticket_url(context, &origin, &ticket))
        }
        (SessionTransfer::AfterConsent(origin, nonce), Some(session)) => {
            let asked = TicketConsent {
                place: place.clone(),
                nonce: nonce.clone(),
                for_frame: target.for_frame,
                at: context.head.at,
            };
            ask_consent(context, person, &origin, &asked, session)
        }
    };
    let renewed = session.filter(|_| asked_at.is_some());
    let renewed =
        renewed.and_then(|session| reissue_cookie(context.site, &session, context.head.at));
    if let Some(cookie) = renewed {
        reply::add_cookie(&mut response, &cookie);
    }
    response
}

/// The session of this browser's cookie, when that is ours.
fn session_from_cookie(context: &RequestContext<'_>) -> Option<VerifiedHandle> {
    let value = context.head.credentials.session?;
    Some(cookie::verify(&context.site.ring, value)?.handle)
}

fn ticket_url(context: &RequestContext<'_>, origin: &Url, ticket: &Ticket) -> String {
    let sealed = ticket.seal(&context.site.ring, &authority(origin), context.head.at);
    let origin = origin.origin().ascii_serialization();
    format!("{origin}{}/ticket?t={sealed}", context.site.prefix)
}

/// The page that names the host and the person, and asks.
fn ask_consent(
    context: &RequestContext<'_>,
    person: &Person,
    origin: &Url,
    asked: &TicketConsent,
    session: &VerifiedHandle,
) -> Response<Body> {
    let site = context.head.host.to_string();
    let name = origin.origin().ascii_serialization();
    let page = CrossHostPage {
        info: PageInfo {
            site: &site,
            request_id: context.id.as_str(),
        },
        host: name.split_once("://").map_or(&*name, |(_, host)| host),
        person: PersonName {
            name: person.entitlements.fields.name.as_deref(),
            login: person.session.login.as_str(),
        },
        post_to: Href::new(format!("{}/start", context.site.prefix)),
        sealed: &asked.seal(&context.site.ring, &session.sid),
        for_frame: asked.for_frame,
    };
    reply::page_response(StatusCode::OK, &page.render(context.lang()))
}

/// `POST /start`: somebody pressed the button of the page that asks. Only that page, shown to this
/// session, holds what is posted.
pub(super) async fn consented<B>(context: &RequestContext<'_>, body: Option<B>) -> LoggedResponse
where
    B: http_body::Body<Data = Bytes> + Send + Unpin + 'static,
    B::Error: Into<BodyError>,
{
    if !is_own_form_post(context) {
        return LoggedResponse::own_path("foreign", reply::foreign_origin(context));
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
    let go = form.as_ref().and_then(|form| form.one("go").ok().flatten());
    let asked = go
        .zip(session_from_cookie(context))
        .and_then(|(go, session)| {
            let asked = TicketConsent::open(&context.site.ring, &session.sid, go, context.head.at)?;
            let may_go_there = !asked.for_frame || frame::may_issue_ticket(context);
            may_go_there.then_some((asked, session))
        });
    let Some((asked, session)) = asked else {
        return LoggedResponse::own_path(
            "not asked",
            reply::problem(context, Cause::TicketBad, None),
        );
    };
    let place = asked.place;
    let target = Target {
        ticket_for: Some(asked.nonce),
        for_frame: asked.for_frame,
        ..Target::default()
    };
    let to = match transfer_to(context, &place, &target) {
        SessionTransfer::NotNeeded => place.location(),
        SessionTransfer::Ticket(origin, nonce) | SessionTransfer::AfterConsent(origin, nonce) => {
            let ticket = Ticket::of(&session, nonce.clone(), place.local().to_owned());
            if asked.for_frame {
                let sealed = ticket.seal(&context.site.ring, &authority(&origin), context.head.at);
                let page = frame::hand_over_page(context, &origin, &sealed, &place);
                return LoggedResponse::own_path("handed over", page);
            }
            ticket_url(context, &origin, &ticket)
        }
    };
    LoggedResponse::own_path("agreed", reply::see_other(&to))
}

/// `host:port`, for which a ticket is sealed.
fn authority(origin: &url::Url) -> String {
    let port = origin.port_or_known_default().unwrap_or_default();
    format!("{}:{port}", origin.host_str().unwrap_or_default())
}

/// `/ticket`: spends a ticket for a session cookie. A page that was sent here brings it in its
/// address; a page of ours in a frame posts it.
pub(super) async fn redeem<B>(
    context: &RequestContext<'_>,
    query: &Fields,
    body: Option<B>,
) -> LoggedResponse
where
    B: http_body::Body<Data = Bytes> + Send + Unpin + 'static,
    B::Error: Into<BodyError>,
{
    let form;
    let fields = match *context.head.method {
        Method::GET => Some(query),
        Method::POST if !is_same_origin(context.head) => {
            return LoggedResponse::own_path("foreign", reply::foreign_origin(context));
        }
        Method::POST => {
            form = read_body(body).await.and_then(|form| Fields::parse(&form));
            form.as_ref()
        }
        _ => return LoggedResponse::own_path("method", reply::method_not_allowed("GET, POST")),
    };
    if request_kind(context.head) == RequestKind::Fetch {
        return LoggedResponse::own_path("program", reply::foreign_origin(context));
    }
    let sealed = fields.and_then(|fields| fields.one("t").ok().flatten());
    redeem_sealed(context, sealed.unwrap_or_default()).await
}

async fn redeem_sealed(context: &RequestContext<'_>, sealed: &str) -> LoggedResponse {
    let (site, head) = (context.site, context.head);
    let host = format!("{}:{}", head.host, head.effective_port());
    let prefix = site.cookies.nonce_prefix();
    let mut names = reply::cookies_with_prefix(head.headers, prefix);
    let unsealed = match Ticket::unseal(&site.ring, &host, sealed) {
        Ok(unsealed) => unsealed,
        Err(error) => return refused(context, None, error).await,
    };
    let to = unsealed.to().to_owned();
    let ticket_use = TicketUse {
        what: unsealed.spend_key(),
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
                && let Err(logged) = ticket_use.spend_misused(context).await
            {
                return *logged;
            }
            return refused(context, Some(&to), error).await;
        }
    };
    match ticket_use.spend(context).await {
        Ok(true) => {}
        Ok(false) => return refused(context, Some(&to), TicketError::Used).await,
        Err(logged) => return *logged,
    }
    LoggedResponse::own_path("ticket", set_session(context, &opened.ticket))
}

/// The session cookie for a ticket that was spent, and the way to where its person goes.
fn set_session(context: &RequestContext<'_>, ticket: &Ticket) -> Response<Body> {
    let (flags, host) = (&context.site.cookies, context.head.host.as_str());
    let left = ticket.expires_at.since(context.head.at).as_secs();
    let left = i64::try_from(left).unwrap_or(i64::MAX);
    // The cookie for a frame reaches as far as the one for a tab does. Elsewhere a ticket only comes
    // to hosts which that cookie does not reach.
    let cookie = if flags.covers(host) {
        flags.set_session(
            &cookie::sign(&context.site.ring, &ticket.handle(None)),
            left,
        )
    } else {
        let value = cookie::sign(&context.site.ring, &ticket.handle(Some(host)));
        flags.set_bound_session(&value, left)
    };
    let mut response = match *context.head.method {
        Method::POST => reply::see_other(&ticket.to),
        _ => reply::redirect(&ticket.to),
    };
    reply::add_cookie(&mut response, &cookie);
    let nonce = format!("{}{}", flags.nonce_prefix(), ticket.nonce.as_str());
    let cleared = match frame::accepts_ticket(context) {
        true => flags.clear_embedded(&nonce),
        false => flags.clear_local(&nonce),
    };
    reply::add_cookie(&mut response, &cleared);
    response
}

/// A ticket that is to be spent.
struct TicketUse {
    what: [u8; 32],
    until: Timestamp,
}

impl TicketUse {
    /// Spends a ticket that its own browser brought; false when it was spent before. A replay costs
    /// no question to the store, and nobody redeems more tickets than a client may.
    async fn spend(&self, context: &RequestContext<'_>) -> Result<bool, Box<LoggedResponse>> {
        let login = &context.site.login;
        let spent = login.spent_tickets();
        if !spent.try_spend(&self.what) {
            return Ok(false);
        }
        if let Err(error) = login.check_ticket_limit(context.head.client_for_limits()) {
            // It was not spent: the person may bring it again.
            spent.unspend(&self.what);
            let response = reply::problem(context, audit::cause_of(&error), this_url(context));
            return Err(Box::new(LoggedResponse::own_path("limited", response)));
        }
        self.store(context).await
    }

    /// Spends a ticket that another browser showed. Over the client's limit only this process
    /// remembers it, for as long as the ticket would count.
    async fn spend_misused(&self, context: &RequestContext<'_>) -> Result<(), Box<LoggedResponse>> {
        let login = &context.site.login;
        if login.spent_tickets().try_spend(&self.what)
            && login
                .check_ticket_limit(context.head.client_for_limits())
                .is_ok()
        {
            self.store(context).await?;
        }
        Ok(())
    }

    async fn store(&self, context: &RequestContext<'_>) -> Result<bool, Box<LoggedResponse>> {
        let people = &context.shared.people;
        let spent = people.spend_ticket(&self.what, self.until).await;
        spent.map_err(|error| {
            context.site.login.spent_tickets().unspend(&self.what);
            tracing::error!(request_id = %context.id, error = %crate::telemetry::error_chain(&error), "a ticket could not be spent");
            let response = reply::problem(context, Cause::StoreAway, None);
            Box::new(LoggedResponse::own_path("unavailable", response))
        })
    }
}

/// This very urls, for a second try.
fn this_url(context: &RequestContext<'_>) -> Option<Href> {
    Some(Href::new(urls::requested_target(context.head)))
}

/// A ticket that lets nobody in; whoever is here already goes on.
async fn refused(
    context: &RequestContext<'_>,
    to: Option<&str>,
    error: TicketError,
) -> LoggedResponse {
    let who = match caller(context).await {
        Ok(who) => who,
        Err(response) => return LoggedResponse::own_path("unavailable", response),
    };
    if let (Caller::Person(_), Some(to)) = (&who, to) {
        let response = match *context.head.method {
            Method::POST => reply::see_other(to),
            _ => reply::redirect(to),
        };
        return LoggedResponse::own_path("seen again", response);
    }
    audit::refused(context, None, &error);
    if frame::accepts_ticket(context) {
        return LoggedResponse::own_path("bad ticket", frame::ticket_failed(context, to));
    }
    let again = Href::new(to.unwrap_or("/"));
    LoggedResponse::own_path(
        "bad ticket",
        reply::problem(context, Cause::TicketBad, Some(again)),
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
