//! `/ticket`: exchanges a ticket for a session cookie of this host.

use bytes::Bytes;
use http::{Method, Response};

use super::super::browser::{RequestKind, is_same_origin, request_kind};
use super::super::page::{Cause, Href};
use super::super::record::LoggedResponse;
use super::super::{RequestContext, reply, urls};
use super::{audit, caller, frame, read_body};
use crate::clock::Timestamp;
use crate::login::fields::Fields;
use crate::login::ticket::{NonceHash, Ticket, TicketError};
use crate::people::cookie;
use crate::request::gate::Caller;
use crate::request::{Body, BodyError};

/// Exchanges a ticket for a session cookie. The ticket is in the URL of a redirect, or in a form that
/// menshen's page in a frame posts.
pub(super) async fn answer<B>(
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
            return LoggedResponse::own_path("cross-site", reply::foreign_origin(context));
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
    let mut nonce_cookies = reply::cookies_with_prefix(head.headers, prefix);
    let unsealed = match Ticket::unseal(&site.ring, &host, sealed) {
        Ok(unsealed) => unsealed,
        Err(error) => return refused(context, None, error).await,
    };
    let return_path = unsealed.return_path().to_owned();
    let ticket_use = TicketUse {
        spend_key: unsealed.spend_key(),
        until: unsealed.spent_until(head.received_at),
    };
    let nonce_of = |hash: &NonceHash| {
        nonce_cookies
            .find(|(name, _)| name.strip_prefix(prefix) == Some(hash.as_str()))
            .map(|(_, value)| value)
    };
    let checked = match unsealed.check(nonce_of, head.received_at) {
        Ok(checked) => checked,
        Err(error) => {
            // Another browser sent the ticket: the URL has leaked, so the ticket is spent.
            if error == TicketError::OtherBrowser
                && let Err(logged) = ticket_use.spend_misused(context).await
            {
                return *logged;
            }
            return refused(context, Some(&return_path), error).await;
        }
    };
    match ticket_use.spend(context).await {
        Ok(true) => {}
        Ok(false) => return refused(context, Some(&return_path), TicketError::Used).await,
        Err(logged) => return *logged,
    }
    LoggedResponse::own_path("ticket", set_session(context, &checked.ticket))
}

/// Sets the session cookie for a spent ticket and redirects to the return address.
fn set_session(context: &RequestContext<'_>, ticket: &Ticket) -> Response<Body> {
    let (cookie_settings, host) = (&context.site.cookies, context.head.host.as_str());
    let lifetime_s = ticket.expires_at.since(context.head.received_at).as_secs();
    let max_age_s = i64::try_from(lifetime_s).unwrap_or(i64::MAX);
    // In a frame the cookie is valid for the same hosts as in a tab. Other tickets are issued only
    // for hosts where that cookie is not valid.
    let cookie = if cookie_settings.covers(host) {
        cookie_settings.set_session(
            &cookie::sign(&context.site.ring, &ticket.session_claims(None)),
            max_age_s,
        )
    } else {
        let value = cookie::sign(&context.site.ring, &ticket.session_claims(Some(host)));
        cookie_settings.set_session_of_host(&value, max_age_s)
    };
    let mut response = match *context.head.method {
        Method::POST => reply::see_other(&ticket.return_path),
        _ => reply::redirect(&ticket.return_path),
    };
    reply::add_cookie(&mut response, &cookie);
    let nonce = format!(
        "{}{}",
        cookie_settings.nonce_prefix(),
        ticket.nonce.as_str()
    );
    let cleared = match frame::accepts_ticket(context) {
        true => cookie_settings.clear_partitioned(&nonce),
        false => cookie_settings.clear_host_only(&nonce),
    };
    reply::add_cookie(&mut response, &cleared);
    response
}

/// The record that marks a ticket as used.
struct TicketUse {
    spend_key: [u8; 32],
    until: Timestamp,
}

impl TicketUse {
    /// Marks a ticket as used that the right browser presented; `false` if it was used before. The store is
    /// not queried if this process has seen the first use. The client's rate limit applies.
    async fn spend(&self, context: &RequestContext<'_>) -> Result<bool, Box<LoggedResponse>> {
        let login = &context.site.login;
        let spent_tickets = login.spent_tickets();
        if !spent_tickets.try_spend(&self.spend_key) {
            return Ok(false);
        }
        if let Err(error) = login.check_ticket_limit(context.head.client_for_limits()) {
            // The ticket is not used yet: the person may retry.
            spent_tickets.unspend(&self.spend_key);
            let response = reply::problem(context, audit::cause_of(&error), this_url(context));
            return Err(Box::new(LoggedResponse::own_path("limited", response)));
        }
        self.store(context).await
    }

    /// Marks a ticket as used that another browser presented. Above the client's rate limit the mark is
    /// kept only in this process.
    async fn spend_misused(&self, context: &RequestContext<'_>) -> Result<(), Box<LoggedResponse>> {
        let login = &context.site.login;
        if login.spent_tickets().try_spend(&self.spend_key)
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
        let stored = people.spend_ticket(&self.spend_key, self.until).await;
        stored.map_err(|error| {
            context.site.login.spent_tickets().unspend(&self.spend_key);
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

/// The response to a refused ticket. A person who is signed in is redirected to the return address.
async fn refused(
    context: &RequestContext<'_>,
    return_path: Option<&str>,
    error: TicketError,
) -> LoggedResponse {
    let caller = match caller(context).await {
        Ok(caller) => caller,
        Err(response) => return LoggedResponse::own_path("unavailable", response),
    };
    if let (Caller::Person(_), Some(return_path)) = (&caller, return_path) {
        let response = match *context.head.method {
            Method::POST => reply::see_other(return_path),
            _ => reply::redirect(return_path),
        };
        return LoggedResponse::own_path("repeated", response);
    }
    audit::refused(context, None, &error);
    if frame::accepts_ticket(context) {
        return LoggedResponse::own_path("bad ticket", frame::ticket_refused(context, return_path));
    }
    let retry_link = Href::new(return_path.unwrap_or("/"));
    LoggedResponse::own_path(
        "bad ticket",
        reply::problem(context, Cause::InvalidTicket, Some(retry_link)),
    )
}
