//! `/enter/{connector}`: unsolicited logins. A portal sends the browser with a ticket that menshen
//! did not ask for.
//!
//! Any page can send a browser here with a ticket of its own choice, so the login never replaces
//! the session of another person without a confirmation.

use std::sync::Arc;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, ORIGIN, REFERER, REFERRER_POLICY};
use http::{HeaderValue, Method, Response, StatusCode};
use url::Url;

use super::super::browser::{
    RequestKind, loads_in_frame, request_kind, single_header, single_header_lossy,
};
use super::super::page::{Cause, Href, PersonName, SwitchPage};
use super::super::record::LoggedResponse;
use super::super::{RequestContext, reply};
use super::{
    Target, audit, caller, complete, flow_cookies, is_own_form_post, read_body_within, ticket,
};
use crate::login::connector::{AuthnResponse, ConnectorError, EntryPoint};
use crate::login::fields::Fields;
use crate::login::pending::{FlowId, Pending, PendingError};
use crate::login::unsolicited::EntryTokenHash;
use crate::login::{ConnectorEntry, LoginError};
use crate::people::session::Person;
use crate::request::gate::Caller;
use crate::request::{Body, BodyError};
use crate::store::ConnectorId;

/// The longest ticket, in bytes.
const TICKET_BYTES_MAX: usize = 8 * 1024;

/// The largest form, in bytes: every byte of the ticket may be percent-encoded as three.
const FORM_BYTES_MAX: usize = 32 * 1024;

/// The parameter that names a pending unsolicited login.
const FLOW: &str = "flow";

/// The form field of the switch page with the account that the person agrees to be signed in to.
const ACCOUNT: &str = "account";

/// Why a ticket is refused before it is redeemed.
#[derive(Clone, Copy, Debug, thiserror::Error)]
enum TicketRefusal {
    #[error("the ticket is missing, repeated, empty or too long")]
    Shape,
    #[error("the request does not come from an allowed origin")]
    Origin,
}

/// A GET request with a ticket in the URL or a POST request with a ticket in the form; and the two
/// later steps of a pending unsolicited login.
pub(super) async fn answer<B>(
    context: &RequestContext<'_>,
    via: &ConnectorId,
    query: &Fields,
    body: Option<B>,
) -> LoggedResponse
where
    B: http_body::Body<Data = Bytes> + Send + Unpin + 'static,
    B::Error: Into<BodyError>,
{
    let entry = context.site.login.entry(via);
    let point = entry.and_then(|entry| Some((entry, entry.features.entry_point.as_ref()?)));
    let Some((entry, point)) = point else {
        return LoggedResponse::own_path(
            "no entry",
            reply::problem(context, Cause::NotFound, None),
        );
    };
    let logged = match *context.head.method {
        Method::GET | Method::POST => handle(context, (entry, point), query, body).await,
        _ => LoggedResponse::own_path("method", reply::method_not_allowed("GET, POST")),
    };
    logged.map_response(|response| {
        // The URL may contain the ticket, so it must not be sent as a `Referer`.
        let headers = response.headers_mut();
        let has_form = keeps_referrer_for_form(headers.get(REFERRER_POLICY));
        if !has_form {
            headers.insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
        }
    })
}

/// Whether the page has a form of menshen's: with `no-referrer` a browser sends it with `Origin:
/// null`.
fn keeps_referrer_for_form(policy: Option<&HeaderValue>) -> bool {
    policy.is_some_and(|policy| policy == FORM_REFERRER_POLICY)
}

/// Sends the origin of the page and nothing else.
const FORM_REFERRER_POLICY: &str = "strict-origin";

async fn handle<B>(
    context: &RequestContext<'_>,
    (entry, point): (&Arc<ConnectorEntry>, &EntryPoint),
    query: &Fields,
    body: Option<B>,
) -> LoggedResponse
where
    B: http_body::Body<Data = Bytes> + Send + Unpin + 'static,
    B::Error: Into<BodyError>,
{
    if let Err(logged) = require_navigation(context) {
        return *logged;
    }
    if !context.site.is_login_host(context.head) {
        let page = reply::problem(context, Cause::NotOnLoginHost, None);
        return LoggedResponse::own_path(Cause::NotOnLoginHost.slug(), page);
    }
    let form = match *context.head.method {
        Method::POST => read_form(context, body).await,
        _ => Some(Fields::default()),
    };
    let Some(form) = form else {
        return malformed(context, entry);
    };
    let has_ticket = query.has(&point.parameter) || form.has(&point.parameter);
    match *context.head.method {
        Method::GET if !has_ticket && query.has(FLOW) => resume(context, entry, query).await,
        Method::POST if !has_ticket && form.has(FLOW) => {
            switch_confirmed(context, entry, &form).await
        }
        _ => redeem(context, (entry, point), query, form).await,
    }
}

/// Accepts only top-level navigations, and navigations in a frame when the session cookie works in
/// frames.
fn require_navigation(context: &RequestContext<'_>) -> Result<(), Box<LoggedResponse>> {
    let head = context.head;
    let embedded = loads_in_frame(head) && context.site.cookies.allow_embedding();
    let is_navigation = match (request_kind(head), head.method) {
        (RequestKind::Navigation, _) => true,
        (RequestKind::Embedded, _) if embedded => true,
        (RequestKind::Embedded, &Method::POST) => {
            let dest = single_header(head.headers, "sec-fetch-dest");
            dest.is_none_or(|dest| dest == "document")
        }
        (RequestKind::Embedded | RequestKind::Fetch, _) => false,
    };
    if is_navigation {
        return Ok(());
    }
    let response = match request_kind(head) {
        RequestKind::Embedded => {
            let again = Href::new(format!("{}/sign_in", context.site.prefix));
            reply::problem(context, Cause::FrameNeedsLogin, Some(again))
        }
        RequestKind::Navigation | RequestKind::Fetch => {
            let (status, title) = (StatusCode::UNAUTHORIZED, "Only for browser navigations");
            reply::json_problem(context, status, "login-needed", title, "")
        }
    };
    Err(Box::new(LoggedResponse::own_path(
        "no navigation",
        response,
    )))
}

async fn read_form<B>(context: &RequestContext<'_>, body: Option<B>) -> Option<Fields>
where
    B: http_body::Body<Data = Bytes> + Send + Unpin + 'static,
    B::Error: Into<BodyError>,
{
    let kind = single_header(context.head.headers, CONTENT_TYPE.as_str())?;
    let kind = kind.split(';').next().unwrap_or_default().trim();
    if !kind.eq_ignore_ascii_case("application/x-www-form-urlencoded") {
        return None;
    }
    Fields::parse(&read_body_within(body, FORM_BYTES_MAX).await?)
}

fn malformed(context: &RequestContext<'_>, entry: &ConnectorEntry) -> LoggedResponse {
    audit::refused(context, Some(&entry.id), &TicketRefusal::Shape);
    let page = reply::problem(context, Cause::BadRequest, None);
    LoggedResponse::own_path("no ticket", page)
}

/// The ticket, if it occurs exactly once in query and form.
fn single_ticket<'a>(parameter: &str, query: &'a Fields, form: &'a Fields) -> Option<&'a str> {
    let fields_with_rd = (query.one(parameter).ok()?, form.one(parameter).ok()?);
    let ((Some(ticket), None) | (None, Some(ticket))) = fields_with_rd else {
        return None;
    };
    let fits = !ticket.is_empty() && ticket.len() <= TICKET_BYTES_MAX;
    fits.then_some(ticket)
}

/// Whether the browser comes from an allowed origin, by its `Origin` header, else by `Referer`.
fn has_allowed_origin(context: &RequestContext<'_>, origins: &[Url]) -> bool {
    let headers = context.head.headers;
    let origin = match single_header_lossy(headers, ORIGIN.as_str()) {
        Some(origin) => Some(origin.into_owned()),
        None => single_header_lossy(headers, REFERER.as_str())
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
    context: &RequestContext<'_>,
    (entry, point): (&Arc<ConnectorEntry>, &EntryPoint),
    query: &Fields,
    form: Fields,
) -> LoggedResponse {
    let Some(ticket) = single_ticket(&point.parameter, query, &form) else {
        return malformed(context, entry);
    };
    if !has_allowed_origin(context, &point.origins) {
        audit::refused(context, Some(&entry.id), &TicketRefusal::Origin);
        return LoggedResponse::own_path(
            "origin",
            failure(context, entry, Cause::EntryTokenRefused),
        );
    }
    let caller = match caller(context).await {
        Ok(caller) => caller,
        Err(response) => return LoggedResponse::own_path("unavailable", response),
    };
    let login = &context.site.login;
    let ticket = EntryTokenHash::of(&entry.id, ticket);
    if let (Caller::Person(person), Some(finished)) =
        (&caller, login.recent_unsolicited_login(&ticket))
        && person.session.public_id == finished.public_id
    {
        let to = finished.return_to.location();
        return LoggedResponse::own_path("seen again", reply::see_other(&to));
    }
    let fields_with_rd = if form.has("rd") { &form } else { query };
    let target = Target::from_query(context, fields_with_rd);
    let return_to = target.return_to_or_default(context, entry);
    let fields = if form.has(&point.parameter) {
        form
    } else {
        query.clone()
    };
    let answer = AuthnResponse {
        fields,
        client: context.head.client_for_limits(),
        kind: None,
    };
    let mut pending = match login.redeem_unsolicited(entry, ticket, answer).await {
        Ok(pending) => pending,
        Err(error) => return login_failed(context, entry, &error),
    };
    pending.return_to = return_to;
    pending.ticket_for = target.ticket_for;
    pending.for_frame = target.for_frame;
    match &caller {
        Caller::Anonymous(_) | Caller::Program(_) if !carries_session_cookie(context) => {
            redirect_with_cookies(context, entry, pending)
        }
        caller => complete_or_ask(context, entry, pending, caller).await,
    }
}

/// Whether the browser sent the session cookie, if it has one. It does not with a cross-site POST.
fn carries_session_cookie(context: &RequestContext<'_>) -> bool {
    let site = single_header(context.head.headers, "sec-fetch-site");
    *context.head.method != Method::POST
        || context.site.cookies.allow_embedding()
        || matches!(site, Some("same-origin" | "same-site" | "none"))
}

/// Redirects the browser to `/enter` by GET, with which it sends all of its cookies. Only then it
/// is known who is signed in.
fn redirect_with_cookies(
    context: &RequestContext<'_>,
    entry: &ConnectorEntry,
    mut pending: Pending,
) -> LoggedResponse {
    let sealed = match context.site.login.seal_pending(&mut pending) {
        Ok(sealed) => sealed,
        Err(error) => return login_failed(context, entry, &error),
    };
    let flow = &pending.flow;
    let here = format!("{}/enter/{}?{FLOW}={flow}", context.site.prefix, entry.id);
    let mut response = reply::see_other(&here);
    flow_cookies::set_sealed(context, flow, &sealed, false, &mut response);
    LoggedResponse::own_path("to be seen", response)
}

/// The request after [`redirect_with_cookies`].
async fn resume(
    context: &RequestContext<'_>,
    entry: &ConnectorEntry,
    query: &Fields,
) -> LoggedResponse {
    let caller = match caller(context).await {
        Ok(caller) => caller,
        Err(response) => return LoggedResponse::own_path("unavailable", response),
    };
    match pending_login(context, entry, query) {
        Ok(pending) => complete_or_ask(context, entry, pending, &caller).await,
        Err(error) => without_pending(context, entry, &caller, None, error),
    }
}

/// The person pressed the button of the switch page.
async fn switch_confirmed(
    context: &RequestContext<'_>,
    entry: &ConnectorEntry,
    form: &Fields,
) -> LoggedResponse {
    if !is_own_form_post(context) {
        return LoggedResponse::own_path("foreign", reply::foreign_origin(context));
    }
    match pending_login(context, entry, form) {
        Ok(pending) => complete_login(context, entry, &pending).await,
        Err(error) => match caller(context).await {
            Ok(caller) => {
                let asked_for = form.one(ACCOUNT).ok().flatten();
                without_pending(context, entry, &caller, asked_for, error)
            }
            Err(response) => LoggedResponse::own_path("unavailable", response),
        },
    }
}

fn pending_login(
    context: &RequestContext<'_>,
    entry: &ConnectorEntry,
    fields: &Fields,
) -> Result<Pending, PendingError> {
    let flow = fields.one(FLOW).ok().flatten().unwrap_or_default();
    let flow = FlowId::try_from(flow.to_owned()).map_err(|_| PendingError::Missing)?;
    let sealed = flow_cookies::sealed_login(context, &flow);
    context
        .site
        .login
        .open_unsolicited(&entry.id, &flow, sealed.as_deref())
}

async fn complete_or_ask(
    context: &RequestContext<'_>,
    entry: &ConnectorEntry,
    pending: Pending,
    caller: &Caller,
) -> LoggedResponse {
    let account = pending
        .unsolicited
        .as_ref()
        .map(|unsolicited| unsolicited.account);
    match caller {
        Caller::Person(person) if Some(person.session.account) != account => {
            ask_to_switch(context, entry, pending, person)
        }
        _ => complete_login(context, entry, &pending).await,
    }
}

async fn complete_login(
    context: &RequestContext<'_>,
    entry: &ConnectorEntry,
    pending: &Pending,
) -> LoggedResponse {
    let finished = match context.site.login.finish_unsolicited(pending).await {
        Ok(finished) => finished,
        Err(error) if error.is_transient() => {
            let logged = login_failed(context, entry, &error);
            // The page offers a retry, and a retry needs the cookie of the pending login.
            return match flow_cookies::sealed_login(context, &pending.flow) {
                Some(_) => logged,
                None => redirect_with_cookies(context, entry, pending.clone()),
            };
        }
        Err(error) => {
            let logged = login_failed(context, entry, &error);
            return logged.map_response(|it| flow_cookies::clear(context, &pending.flow, it));
        }
    };
    let target = Target {
        return_to: Some(pending.return_to.clone()),
        ticket_for: pending.ticket_for.clone(),
        for_frame: pending.for_frame,
        ..Target::default()
    };
    let (reason, mut response) = match complete::insufficient_auth(context, &finished) {
        None => {
            let to = ticket::next_url(context, &finished.return_to, &target, &finished.claims);
            ("arrival", reply::see_other(&to))
        }
        Some(_) => {
            let page = complete::auth_too_weak_page(context, &finished, &target);
            (Cause::AuthTooWeak.slug(), page)
        }
    };
    complete::hand_out_session(context, &finished, None, &mut response).await;
    flow_cookies::clear(context, &pending.flow, &mut response);
    LoggedResponse::own_path(reason, response)
}

/// The page that names the person who is signed in and the person of the ticket.
fn ask_to_switch(
    context: &RequestContext<'_>,
    entry: &ConnectorEntry,
    mut pending: Pending,
    person: &Person,
) -> LoggedResponse {
    if loads_in_frame(context.head) {
        // In a frame another page could cover the button (clickjacking).
        let again = Href::new(format!("{}/sign_in", context.site.prefix));
        let page = reply::problem(context, Cause::FrameNeedsLogin, Some(again));
        return LoggedResponse::own_path("embedded", page);
    }
    let login = &context.site.login;
    let sealed = match login.seal_pending(&mut pending) {
        Ok(sealed) => sealed,
        Err(error) => return login_failed(context, entry, &error),
    };
    let Some(unsolicited) = &pending.unsolicited else {
        return malformed(context, entry);
    };
    let page = SwitchPage {
        info: context.page_info(),
        current: PersonName {
            name: person.entitlements.fields.name.as_deref(),
            login: person.session.login.as_str(),
        },
        new_person: PersonName {
            name: unsolicited.name.as_deref(),
            login: unsolicited.login.as_str(),
        },
        post_to: Href::new(format!("{}/enter/{}", context.site.prefix, entry.id)),
        flow: pending.flow.as_str(),
        account: &unsolicited.account.to_string(),
        stay: Href::new(pending.return_to.location()),
    };
    let mut response = reply::page_response(StatusCode::CONFLICT, &page.render(context.lang()));
    let policy = HeaderValue::from_static(FORM_REFERRER_POLICY);
    response.headers_mut().insert(REFERRER_POLICY, policy);
    flow_cookies::set_sealed(context, &pending.flow, &sealed, false, &mut response);
    LoggedResponse::own_path("somebody else is here", response)
}

/// The cookie of the unsolicited login is missing, expired or forged. The person is redirected only
/// when they are signed in to the account that they agreed to (they pressed the button twice);
/// another person would go on in the application with a session that is not theirs.
fn without_pending(
    context: &RequestContext<'_>,
    entry: &ConnectorEntry,
    caller: &Caller,
    asked_for: Option<&str>,
    error: PendingError,
) -> LoggedResponse {
    if let Caller::Person(person) = caller {
        if asked_for == Some(person.session.account.to_string().as_str()) {
            return LoggedResponse::own_path("seen again", reply::see_other("/"));
        }
        audit::refused(context, Some(&entry.id), &error);
        let cause = Cause::AccountNotSwitched;
        return LoggedResponse::own_path(cause.slug(), failure(context, entry, cause));
    }
    audit::refused(context, Some(&entry.id), &error);
    let cause = audit::cause_of(&LoginError::Pending(error));
    LoggedResponse::own_path(cause.slug(), failure(context, entry, cause))
}

fn login_failed(
    context: &RequestContext<'_>,
    entry: &ConnectorEntry,
    error: &LoginError,
) -> LoggedResponse {
    audit::login_failed(context, &entry.id, error);
    let cause = match error {
        LoginError::Connector(
            ConnectorError::CodeRejected(_)
            | ConnectorError::LoginExpired(_)
            | ConnectorError::InvalidResponse(_),
        ) => Cause::EntryTokenRefused,
        error => audit::cause_of(error),
    };
    LoggedResponse::own_path(cause.slug(), failure(context, entry, cause))
}

fn failure(context: &RequestContext<'_>, entry: &ConnectorEntry, cause: Cause) -> Response<Body> {
    let again = Href::new(format!("{}/sign_in", context.site.prefix));
    reply::login_problem(context, cause, Some(again), Some(&entry.display_name))
}
