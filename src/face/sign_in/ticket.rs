//! `/ticket`: transfers a session to another host of the site, if necessary after the person's consent.

use bytes::Bytes;
use http::{Method, Response, StatusCode};
use url::Url;

use super::super::browser::{RequestKind, is_same_origin, request_kind};
use super::super::page::{Cause, CrossHostPage, Href, PersonName};
use super::super::record::LoggedResponse;
use super::super::{RequestContext, reply, urls};
use super::{Target, audit, caller, frame, is_own_form_post, read_body, reissue_cookie};
use crate::clock::Timestamp;
use crate::login::fields::Fields;
use crate::login::return_to::ReturnTo;
use crate::login::ticket::{NonceHash, Ticket, TicketConsent, TicketError};
use crate::people::cookie::{self, SessionClaims, VerifiedClaims};
use crate::people::session::Person;
use crate::request::gate::Caller;
use crate::request::{Body, BodyError};

/// How a session is transferred to the host of the return address.
enum SessionTransfer<'a> {
    /// The session cookie is valid there, or the request does not ask for a ticket.
    NotNeeded,
    /// By a ticket for this origin, bound to this nonce.
    Ticket(Url, &'a NonceHash),
    /// The same after the person's consent, because the host only matches a wildcard route, so that
    /// DNS alone determines its owner, or because the ticket is for a page in a third-party frame.
    AfterConsent(Url, &'a NonceHash),
}

fn transfer_to<'a>(
    context: &RequestContext<'_>,
    return_to: &ReturnTo,
    target: &'a Target,
) -> SessionTransfer<'a> {
    let origin = return_to
        .origin()
        .and_then(|origin| Url::parse(origin).ok());
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

/// The redirect target after a login: the return address, the ticket URL of another host, or the
/// page that asks for consent.
pub(super) fn next_url(
    context: &RequestContext<'_>,
    return_to: &ReturnTo,
    target: &Target,
    session: &SessionClaims,
) -> String {
    match transfer_to(context, return_to, target) {
        SessionTransfer::NotNeeded => return_to.location(),
        SessionTransfer::Ticket(origin, nonce) => {
            let ticket = Ticket {
                nonce: nonce.clone(),
                sid: session.sid,
                account: session.account,
                issued_at: session.issued_at,
                expires_at: session.expires_at,
                to: return_to.local().to_owned(),
            };
            ticket_url(context, &origin, &ticket)
        }
        SessionTransfer::AfterConsent(_, nonce) => {
            let target = Target {
                return_to: Some(return_to.clone()),
                ticket_for: Some(nonce.clone()),
                for_frame: target.for_frame,
                ..Target::default()
            };
            let query = target.query_string(&context.site.external_url, "");
            format!("{}{query}", urls::on_login_host(context, "start"))
        }
    }
}

/// Redirects a signed-in person to the return address, with a ticket if the cookie is not valid there.
/// After a failed silent login, `asked_at` is its time and is written into the cookie.
pub(super) fn redirect_signed_in(
    context: &RequestContext<'_>,
    person: &Person,
    return_to: &ReturnTo,
    target: &Target,
    asked_at: Option<Timestamp>,
) -> Response<Body> {
    let session = session_from_cookie(context).map(|session| VerifiedClaims {
        issued_at: asked_at.unwrap_or(session.issued_at),
        ..session
    });
    let mut response = match (transfer_to(context, return_to, target), &session) {
        (SessionTransfer::NotNeeded, _) | (_, None) => reply::redirect(&return_to.location()),
        (SessionTransfer::Ticket(origin, nonce), Some(session)) => {
            let ticket = Ticket::of(session, nonce.clone(), return_to.local().to_owned());
            reply::redirect(&ticket_url(context, &origin, &ticket))
        }
        (SessionTransfer::AfterConsent(origin, nonce), Some(session)) => {
            let consent = TicketConsent {
                return_to: return_to.clone(),
                nonce: nonce.clone(),
                for_frame: target.for_frame,
                at: context.head.received_at,
            };
            ask_consent(context, person, &origin, &consent, session)
        }
    };
    let renewed = session.filter(|_| asked_at.is_some());
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

fn ticket_url(context: &RequestContext<'_>, origin: &Url, ticket: &Ticket) -> String {
    let sealed = ticket.seal(
        &context.site.ring,
        &authority(origin),
        context.head.received_at,
    );
    let origin = origin.origin().ascii_serialization();
    format!("{origin}{}/ticket?t={sealed}", context.site.prefix)
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
        sealed: &consent.seal(&context.site.ring, &session.sid),
        for_frame: consent.for_frame,
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
    let consent = go
        .zip(session_from_cookie(context))
        .and_then(|(go, session)| {
            let consent = TicketConsent::open(
                &context.site.ring,
                &session.sid,
                go,
                context.head.received_at,
            )?;
            let may_go_there = !consent.for_frame || frame::may_issue_ticket(context);
            may_go_there.then_some((consent, session))
        });
    let Some((consent, session)) = consent else {
        return LoggedResponse::own_path(
            "not asked",
            reply::problem(context, Cause::InvalidTicket, None),
        );
    };
    let return_to = consent.return_to;
    let target = Target {
        ticket_for: Some(consent.nonce),
        for_frame: consent.for_frame,
        ..Target::default()
    };
    let to = match transfer_to(context, &return_to, &target) {
        SessionTransfer::NotNeeded => return_to.location(),
        SessionTransfer::Ticket(origin, nonce) | SessionTransfer::AfterConsent(origin, nonce) => {
            let ticket = Ticket::of(&session, nonce.clone(), return_to.local().to_owned());
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
    LoggedResponse::own_path("agreed", reply::see_other(&to))
}

/// The `host:port` that a ticket is sealed for.
fn authority(origin: &url::Url) -> String {
    let port = origin.port_or_known_default().unwrap_or_default();
    format!("{}:{port}", origin.host_str().unwrap_or_default())
}

/// `/ticket`: exchanges a ticket for a session cookie. The ticket is in the URL of a redirect, or in a
/// form that menshen's page in a frame posts.
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
        until: unsealed.spent_until(head.received_at),
    };
    let nonce_of = |hash: &NonceHash| {
        names
            .find(|(name, _)| name.strip_prefix(prefix) == Some(hash.as_str()))
            .map(|(_, value)| value)
    };
    let opened = match unsealed.check(nonce_of, head.received_at) {
        Ok(opened) => opened,
        Err(error) => {
            // Another browser sent the ticket: the URL has leaked, so the ticket is spent.
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

/// Sets the session cookie for a spent ticket and redirects to the return address.
fn set_session(context: &RequestContext<'_>, ticket: &Ticket) -> Response<Body> {
    let (flags, host) = (&context.site.cookies, context.head.host.as_str());
    let left = ticket.expires_at.since(context.head.received_at).as_secs();
    let left = i64::try_from(left).unwrap_or(i64::MAX);
    // In a frame the cookie is valid for the same hosts as in a tab. Other tickets are issued only
    // for hosts where that cookie is not valid.
    let cookie = if flags.covers(host) {
        flags.set_session(
            &cookie::sign(&context.site.ring, &ticket.session_claims(None)),
            left,
        )
    } else {
        let value = cookie::sign(&context.site.ring, &ticket.session_claims(Some(host)));
        flags.set_session_of_host(&value, left)
    };
    let mut response = match *context.head.method {
        Method::POST => reply::see_other(&ticket.to),
        _ => reply::redirect(&ticket.to),
    };
    reply::add_cookie(&mut response, &cookie);
    let nonce = format!("{}{}", flags.nonce_prefix(), ticket.nonce.as_str());
    let cleared = match frame::accepts_ticket(context) {
        true => flags.clear_partitioned(&nonce),
        false => flags.clear_host_only(&nonce),
    };
    reply::add_cookie(&mut response, &cleared);
    response
}

/// A ticket to be marked as used.
struct TicketUse {
    what: [u8; 32],
    until: Timestamp,
}

impl TicketUse {
    /// Marks the ticket of the right browser as used; `false` if it was used before. A replay in this
    /// process costs no store query. The client's rate limit applies.
    async fn spend(&self, context: &RequestContext<'_>) -> Result<bool, Box<LoggedResponse>> {
        let login = &context.site.login;
        let spent = login.spent_tickets();
        if !spent.try_spend(&self.what) {
            return Ok(false);
        }
        if let Err(error) = login.check_ticket_limit(context.head.client_for_limits()) {
            // The ticket is not used yet: the person may retry.
            spent.unspend(&self.what);
            let response = reply::problem(context, audit::cause_of(&error), this_url(context));
            return Err(Box::new(LoggedResponse::own_path("limited", response)));
        }
        self.store(context).await
    }

    /// Marks a ticket as used that another browser presented. Above the client's rate limit the mark is
    /// kept only in this process.
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
        let people = &context.services.people;
        let spent = people.spend_ticket(&self.what, self.until).await;
        spent.map_err(|error| {
            context.site.login.spent_tickets().unspend(&self.what);
            tracing::error!(request_id = %context.id, error = %crate::telemetry::error_chain(&error), "the use of a ticket could not be stored");
            let response = reply::problem(context, Cause::StoreUnavailable, None);
            Box::new(LoggedResponse::own_path("unavailable", response))
        })
    }
}

/// The URL of this request, for a retry.
fn this_url(context: &RequestContext<'_>) -> Option<Href> {
    Some(Href::new(urls::requested_target(context.head)))
}

/// The response to a refused ticket. A signed-in person is redirected to the return address
/// nevertheless.
async fn refused(
    context: &RequestContext<'_>,
    to: Option<&str>,
    error: TicketError,
) -> LoggedResponse {
    let caller = match caller(context).await {
        Ok(caller) => caller,
        Err(response) => return LoggedResponse::own_path("unavailable", response),
    };
    if let (Caller::Person(_), Some(to)) = (&caller, to) {
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
        reply::problem(context, Cause::InvalidTicket, Some(again)),
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
