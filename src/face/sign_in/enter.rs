//! `/enter/{connector}`: logins that a portal starts. The portal sends the browser with an entry token that
//! menshen did not request.
//!
//! Any page can send a browser to this path with an entry token of its own choice, so the login never
//! replaces the session of another person without a confirmation.

use std::sync::Arc;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, REFERRER_POLICY};
use http::{HeaderMap, HeaderValue, Method, Response};

use super::super::browser::{RequestKind, loads_in_frame, request_kind, single_header};
use super::super::page::{Cause, Href};
use super::super::record::LoggedResponse;
use super::super::{RequestContext, reply, urls};
use super::{audit, caller, flow_cookies, is_own_form_post, read_body_within};
use crate::login::connector::{AuthnResponse, ConnectorError, EntryPlace, EntryPoint};
use crate::login::fields::Fields;
use crate::login::pending::{FlowId, Pending, PendingError};
use crate::login::unsolicited::EntryTokenHash;
use crate::login::{ConnectorEntry, LoginError};
use crate::request::gate::Caller;
use crate::request::{Body, BodyError};
use crate::store::ConnectorId;

mod at_callback;
mod confirm;
mod on_route;
mod token;

pub(super) use at_callback::at_callback;
use confirm::{complete_login, complete_or_ask, without_pending};
pub(in crate::face) use on_route::{entry_on_route, redeem_on_route, redirect_without_token};
use token::{has_allowed_origin, single_token, target_in};

/// The largest form, in bytes: every byte of the token may be percent-encoded as three.
const FORM_BYTES_MAX: usize = 32 * 1024;

/// The parameter that names a pending unsolicited login.
const FLOW_FIELD: &str = "flow";

/// The form field of the switch page with the account that the person agrees to be signed in to.
const ACCOUNT_FIELD: &str = "account";

/// Why an entry token is refused before it is redeemed.
#[derive(Clone, Copy, Debug, thiserror::Error)]
enum EntryTokenRefusal {
    #[error("the entry token is missing, repeated, empty or too long")]
    Malformed,
    #[error("the request does not come from an allowed origin")]
    Origin,
    #[error("the provider sent a response that this site did not ask for")]
    NotRequested,
}

/// Answers a GET request with an entry token in the URL, a POST request with one in the form, and the two
/// later steps of such a login.
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
    let with_entry_point =
        entry.and_then(|entry| Some((entry, entry.features.entry_point.as_ref()?)));
    let Some((entry, entry_point)) = with_entry_point else {
        return no_entry(context);
    };
    let logged = match *context.head.method {
        Method::GET | Method::POST => handle(context, (entry, entry_point), query, body).await,
        _ => LoggedResponse::own_path("method", reply::method_not_allowed("GET, POST")),
    };
    logged.map_response(hide_referrer)
}

fn not_on_login_host(context: &RequestContext<'_>) -> LoggedResponse {
    let page = reply::problem(context, Cause::NotOnLoginHost, None);
    LoggedResponse::own_path(Cause::NotOnLoginHost.slug(), page)
}

/// The URL may contain the token, so it must not be sent as a `Referer`.
fn hide_referrer(response: &mut Response<Body>) {
    let headers = response.headers_mut();
    if !has_form_policy(headers) {
        headers.insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    }
}

/// The referrer policy of a page with a form: the form is sent with the origin of the page and nothing
/// else. With `no-referrer` it would be sent with `Origin: null`.
const FORM_REFERRER_POLICY: &str = "strict-origin";

fn has_form_policy(headers: &HeaderMap) -> bool {
    let policy = headers.get(REFERRER_POLICY);
    policy.is_some_and(|policy| policy == FORM_REFERRER_POLICY)
}

async fn handle<B>(
    context: &RequestContext<'_>,
    (entry, entry_point): (&Arc<ConnectorEntry>, &EntryPoint),
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
        return not_on_login_host(context);
    }
    let form = match *context.head.method {
        Method::POST => read_form(context, body).await,
        _ => Some(Fields::default()),
    };
    let Some(form) = form else {
        return malformed(context, entry);
    };
    let has_token = query.has(&entry_point.parameter) || form.has(&entry_point.parameter);
    match *context.head.method {
        Method::GET if !has_token && query.has(FLOW_FIELD) => resume(context, entry, query).await,
        Method::POST if !has_token && form.has(FLOW_FIELD) => {
            complete_after_confirmation(context, entry, &form).await
        }
        _ if entry_point.place != EntryPlace::Enter => no_entry(context),
        _ => redeem(context, (entry, entry_point), query, form).await,
    }
}

fn no_entry(context: &RequestContext<'_>) -> LoggedResponse {
    LoggedResponse::own_path("no entry", reply::problem(context, Cause::NotFound, None))
}

/// Accepts only top-level navigations, and navigations in a frame if the session cookie is sent there.
fn require_navigation(context: &RequestContext<'_>) -> Result<(), Box<LoggedResponse>> {
    if is_navigation(context) {
        return Ok(());
    }
    let response = match request_kind(context.head) {
        RequestKind::Embedded => {
            let sign_in_link = Href::new(format!("{}/sign_in", context.site.prefix));
            reply::problem(context, Cause::FrameNeedsLogin, Some(sign_in_link))
        }
        RequestKind::Navigation | RequestKind::Fetch => only_navigations(context),
    };
    Err(Box::new(LoggedResponse::own_path(
        "no navigation",
        response,
    )))
}

fn only_navigations(context: &RequestContext<'_>) -> Response<Body> {
    reply::navigations_only(context, &urls::sign_in(context))
}

fn is_navigation(context: &RequestContext<'_>) -> bool {
    let head = context.head;
    let is_allowed_in_frame = loads_in_frame(head) && context.site.cookies.allow_embedding();
    match (request_kind(head), head.method) {
        (RequestKind::Navigation, _) => true,
        (RequestKind::Embedded, _) if is_allowed_in_frame => true,
        (RequestKind::Embedded, &Method::POST) => {
            let dest = single_header(head.headers, "sec-fetch-dest");
            dest.is_none_or(|dest| dest == "document")
        }
        (RequestKind::Embedded | RequestKind::Fetch, _) => false,
    }
}

async fn read_form<B>(context: &RequestContext<'_>, body: Option<B>) -> Option<Fields>
where
    B: http_body::Body<Data = Bytes> + Send + Unpin + 'static,
    B::Error: Into<BodyError>,
{
    let content_type = single_header(context.head.headers, CONTENT_TYPE.as_str())?;
    let media_type = content_type.split(';').next().unwrap_or_default().trim();
    if !media_type.eq_ignore_ascii_case("application/x-www-form-urlencoded") {
        return None;
    }
    Fields::parse(&read_body_within(body, FORM_BYTES_MAX).await?)
}

fn malformed(context: &RequestContext<'_>, entry: &ConnectorEntry) -> LoggedResponse {
    audit::refused(context, Some(&entry.id), &EntryTokenRefusal::Malformed);
    let page = reply::problem(context, Cause::BadRequest, None);
    LoggedResponse::own_path("no ticket", page)
}

async fn redeem(
    context: &RequestContext<'_>,
    (entry, entry_point): (&Arc<ConnectorEntry>, &EntryPoint),
    query: &Fields,
    form: Fields,
) -> LoggedResponse {
    let Some(token) = single_token(entry_point, query, &form) else {
        return malformed(context, entry);
    };
    if !has_allowed_origin(context, &entry_point.origins) {
        audit::refused(context, Some(&entry.id), &EntryTokenRefusal::Origin);
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
    let token = token.to_owned();
    let hash = EntryTokenHash::of(&entry.id, &token);
    if let (Caller::Person(person), Some(finished)) =
        (&caller, login.recent_unsolicited_login(&hash))
        && person.session.public_id == finished.public_id
    {
        let to = finished.return_to.location();
        return LoggedResponse::own_path("repeated", reply::see_other(&to));
    }
    let target = target_in(context, entry_point.place, query, &form);
    let return_to = target.return_to_or_default(context, entry);
    let fields = if form.has(&entry_point.parameter) {
        form
    } else {
        query.clone()
    };
    let authn_response = AuthnResponse {
        fields,
        client: context.head.client_for_limits(),
        origin: super::session_origin(context),
        kind: None,
    };
    let mut pending = match login.redeem_unsolicited(entry, token, authn_response).await {
        Ok(pending) => pending,
        Err(error) => return login_failed(context, entry, &error),
    };
    pending.return_to = return_to;
    pending.ticket_for = target.ticket_for;
    pending.for_frame = target.for_frame;
    match &caller {
        Caller::Anonymous(_) | Caller::Program(_) if !would_have_sent_session_cookie(context) => {
            redirect_to_get(context, entry, pending)
        }
        caller => complete_or_ask(context, entry, pending, caller).await,
    }
}

/// Whether the browser would have sent a session cookie if it had one. With a cross-site POST it sends
/// none.
fn would_have_sent_session_cookie(context: &RequestContext<'_>) -> bool {
    let site = single_header(context.head.headers, "sec-fetch-site");
    *context.head.method != Method::POST
        || context.site.cookies.allow_embedding()
        || matches!(site, Some("same-origin" | "same-site" | "none"))
}

/// Redirects the browser to `/enter` by GET, because with a GET it sends all of its cookies. The next
/// request shows who is signed in.
fn redirect_to_get(
    context: &RequestContext<'_>,
    entry: &ConnectorEntry,
    mut pending: Pending,
) -> LoggedResponse {
    let sealed = match context.site.login.seal_pending(&mut pending) {
        Ok(sealed) => sealed,
        Err(error) => return login_failed(context, entry, &error),
    };
    let flow = &pending.flow;
    let url = format!(
        "{}/enter/{}?{FLOW_FIELD}={flow}",
        context.site.prefix, entry.id
    );
    let mut response = reply::see_other(&url);
    flow_cookies::set_sealed(context, flow, &sealed, false, &mut response);
    LoggedResponse::own_path("redirect to GET", response)
}

/// Answers the request after [`redirect_to_get`].
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

/// Completes the login after the person pressed the button of the switch page.
async fn complete_after_confirmation(
    context: &RequestContext<'_>,
    entry: &ConnectorEntry,
    form: &Fields,
) -> LoggedResponse {
    if !is_own_form_post(context) {
        return LoggedResponse::own_path("cross-site", reply::foreign_origin(context));
    }
    match pending_login(context, entry, form) {
        Ok(pending) => complete_login(context, entry, &pending).await,
        Err(error) => match caller(context).await {
            Ok(caller) => {
                let confirmed_account = form.one(ACCOUNT_FIELD).ok().flatten();
                without_pending(context, entry, &caller, confirmed_account, error)
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
    let flow = fields.one(FLOW_FIELD).ok().flatten().unwrap_or_default();
    let flow = FlowId::try_from(flow.to_owned()).map_err(|_| PendingError::Missing)?;
    let sealed = flow_cookies::sealed_login(context, &flow);
    context
        .site
        .login
        .open_unsolicited(&entry.id, &flow, sealed.as_deref())
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
    let sign_in_link = Href::new(format!("{}/sign_in", context.site.prefix));
    reply::login_problem(
        context,
        cause,
        Some(sign_in_link),
        Some(context.lang().label(&entry.display_name)),
    )
}
