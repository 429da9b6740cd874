//! `/console/start` and `/console/ticket`: people enter with their login. The login host sends a ticket that is
//! bound to a nonce in a cookie of this browser and is accepted once.

use std::time::Duration;

use http::{Method, Response};
use percent_encoding::utf8_percent_encode;
use url::Url;

use super::request::ConsoleRequest;
use super::{Console, PATH, audit, cookies, response, sign_in};
use crate::face::admin::who;
use crate::face::urls::QUERY_VALUE;
use crate::login::ticket::{Nonce, NonceHash, Ticket, TicketError};
use crate::people::session::Person;
use crate::request::Body;
use crate::site::{Console as ConsoleSettings, Site};
use crate::store::StoreError;
use crate::telemetry::{AuditRecord, error_chain};
use crate::wording::{Text, error_of_text};

/// How long the session of a person lasts whom no rule admits: it only shows why, and signs them out.
const REFUSED_LIFETIME: Duration = Duration::from_secs(600);

/// Marks a redirect to the host of `external_url`, so that it is not repeated.
const REDIRECTED_MARK: &str = "h";

/// Why a ticket is not accepted.
#[derive(Debug)]
enum EntryError {
    Ticket(TicketError),
    Limited,
    SessionEnded,
    Store(StoreError),
}

impl EntryError {
    fn text(&self) -> Text {
        match self {
            Self::Ticket(error) => Text::of(error),
            Self::Limited => Text::fixed("too many tickets of this client", "此客户端的凭证过多"),
            Self::SessionEnded => Text::fixed("the session has ended", "会话已结束"),
            Self::Store(_) => {
                Text::fixed("store the session of the console", "无法保存控制台的会话")
            }
        }
    }

    fn cause(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Ticket(error) => std::error::Error::source(error),
            Self::Store(source) => Some(source),
            Self::Limited | Self::SessionEnded => None,
        }
    }
}

error_of_text!(EntryError, caused);

impl From<TicketError> for EntryError {
    fn from(error: TicketError) -> Self {
        Self::Ticket(error)
    }
}

impl From<StoreError> for EntryError {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

/// Sends the browser to the login host, with a nonce to which the ticket is bound.
pub(super) fn start(
    site: &Site,
    settings: &ConsoleSettings,
    request: &ConsoleRequest<'_>,
) -> Response<Body> {
    let external_url = settings.external_url.as_ref();
    let Some(external_url) = external_url.filter(|_| settings.admits_people()) else {
        return response::redirect("/console/sign_in");
    };
    let console = external_url.origin().ascii_serialization();
    let to = sign_in::return_path(request);
    // The ticket is sent to this host, and only its cookies count there.
    if request.origin != console && request.parameter(REDIRECTED_MARK).is_none() {
        let to = utf8_percent_encode(to, QUERY_VALUE);
        let url = format!("{console}{PATH}/start?to={to}&{REDIRECTED_MARK}=1");
        return response::redirect(&url);
    }
    let nonce = Nonce::random();
    let login_host = site.external_url.origin().ascii_serialization();
    let return_to = format!("{console}{to}");
    let url = format!(
        "{login_host}{}/start?rd={}&k={}",
        site.prefix,
        utf8_percent_encode(&return_to, QUERY_VALUE),
        nonce.hash().as_str()
    );
    let mut response = response::redirect(&url);
    cookies::set_entry_nonce(&mut response, request, &nonce);
    response
}

/// Exchanges a ticket for a session of the console.
pub(super) async fn redeem(
    console: &Console,
    site: &Site,
    settings: &ConsoleSettings,
    request: &ConsoleRequest<'_>,
) -> Response<Body> {
    let external_url = settings.external_url.as_ref();
    let Some(external_url) = external_url.filter(|_| settings.admits_people()) else {
        return response::redirect("/console/sign_in");
    };
    if *request.head.method != Method::GET {
        return response::method_not_allowed(request, "GET");
    }
    let ticket = match spend(console, site, external_url, request).await {
        Ok(ticket) => ticket,
        Err(error) => return refused(console, request, &error),
    };
    match begin(console, site, settings, request, &ticket).await {
        Ok(response) => response,
        Err(error) => refused(console, request, &error),
    }
}

/// The ticket of the request, which no other request can use any more.
async fn spend(
    console: &Console,
    site: &Site,
    external_url: &Url,
    request: &ConsoleRequest<'_>,
) -> Result<Ticket, EntryError> {
    let sealed = request.parameter("t").unwrap_or_default();
    let host = external_url.host_str().unwrap_or_default();
    let port = external_url.port_or_known_default().unwrap_or_default();
    let unsealed = Ticket::unseal_for_console(&site.ring, &format!("{host}:{port}"), sealed)?;
    let now = request.head.received_at;
    let (key, until) = (unsealed.spend_key(), unsealed.spent_until(now));
    let nonce_of = |_: &NonceHash| cookies::entry_nonce(request);
    let checked = unsealed.check(nonce_of, now);
    if matches!(checked, Err(TicketError::Expired)) {
        return Err(TicketError::Expired.into());
    }
    let limit = site
        .login
        .check_ticket_limit(request.head.client_for_limits());
    limit.map_err(|_| EntryError::Limited)?;
    // A ticket of another browser has leaked, so it is spent, too.
    let people = &console.live.services().people;
    let is_first = people.spend_ticket(&key, until).await?;
    let checked = checked?;
    match is_first {
        true => Ok(checked.ticket),
        false => Err(TicketError::Used.into()),
    }
}

/// Begins the session of a person, always with a new ID.
async fn begin(
    console: &Console,
    site: &Site,
    settings: &ConsoleSettings,
    request: &ConsoleRequest<'_>,
    ticket: &Ticket,
) -> Result<Response<Body>, EntryError> {
    let key = ticket.sid.key();
    let refresher = &site.gate.refresher;
    let person = refresher.find_person(&key, &site.session_timeouts).await?;
    let person = person.ok_or(EntryError::SessionEnded)?;
    sign_in::end_former_session(console, site, request).await;
    let is_admitted = settings.rules.right_of(&person).is_some();
    let lifetime = match is_admitted {
        true => settings.lifetime,
        false => settings.lifetime.min(REFUSED_LIFETIME),
    };
    let begun = console.sessions.begin_for_person(&site.ring, key, lifetime);
    let secret = begun.await?;
    audit_entry(console, request, &person, is_admitted);
    let is_page = ticket.return_path.strip_prefix(PATH);
    let is_page = is_page.is_some_and(|rest| rest.starts_with('/'));
    let to = if is_page {
        &ticket.return_path
    } else {
        "/console/"
    };
    let mut response = response::redirect(to);
    let age_s = i64::try_from(lifetime.as_secs()).unwrap_or(i64::MAX);
    cookies::set_session(&mut response, request, &secret, age_s);
    cookies::clear_entry_nonce(&mut response, request);
    Ok(response)
}

fn audit_entry(
    console: &Console,
    request: &ConsoleRequest<'_>,
    person: &Person,
    is_admitted: bool,
) {
    let session = &person.session;
    let reason = match is_admitted {
        true => Text::fixed("signed in with a login", "用账号登录"),
        false => Text::fixed(
            "refused: no rule of [console] admits this person",
            "被拒绝：[console] 的规则没有授权此人",
        ),
    };
    let record = AuditRecord {
        by: Some(&who::person(&session.login)),
        ..session.named_in(audit::of_visit(request, &reason))
    };
    let telemetry = &console.live.services().telemetry;
    match is_admitted {
        true => telemetry.audit(&record),
        // Anybody with an account could fill the audit trail.
        false => telemetry.audit_anonymous(&record),
    }
}

fn refused(console: &Console, request: &ConsoleRequest<'_>, error: &EntryError) -> Response<Body> {
    if let EntryError::Store(error) = error {
        tracing::error!(error = %error_chain(error), "a person could not enter the console");
        return response::unavailable(request);
    }
    let reason = Text::of(error);
    let telemetry = &console.live.services().telemetry;
    telemetry.audit_anonymous(&audit::of_visit(request, &reason));
    response::bad_ticket(request)
}
