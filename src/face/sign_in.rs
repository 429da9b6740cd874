//! menshen's own paths (`/.menshen/…`): sign-in, callbacks, sign-out, user information and probes,
//! and the login of unauthenticated requests.

use std::borrow::Cow;
use std::time::Duration;

use bytes::Bytes;
use http::header::COOKIE;
use http::{HeaderMap, Method, Response, StatusCode};
use http_body_util::{BodyExt, Limited};
use percent_encoding::utf8_percent_encode;

use super::record::LoggedResponse;
use super::{RequestContext, page, reply, urls};
use crate::clock::Timestamp;
use crate::login::ConnectorEntry;
use crate::login::fields::Fields;
use crate::login::return_to::ReturnTo;
use crate::login::ticket::NonceHash;
use crate::people::cookie::{self, VerifiedClaims, VerifiedCookie};
use crate::request::gate::{Caller, GateError};
use crate::request::head::cookies;
use crate::request::policy::Permit;
use crate::request::{Body, BodyError};
use crate::site::Site;
use crate::store::{ConnectorId, SessionOrigin};

mod audit;
mod begin;
mod callback;
mod challenge;
mod complete;
mod cross_host;
mod enter;
mod events;
mod flow_cookies;
mod frame;
mod front_end;
mod link;
mod password;
mod password_change;
mod password_form;
mod probes;
mod provider_logout;
mod published;
mod reconfirm;
mod redeem_ticket;
mod require_login;
mod saml;
mod sent_there;
mod sign_in_page;
mod sign_out;
mod start;
mod target;
mod ticket;
mod tokens;

pub(super) use enter::{entry_on_route, redeem_on_route, redirect_without_token};
pub(super) use probes::answer_probe;
pub(super) use reconfirm::{RECONFIRM_REASON, ReconfirmOutcome, reconfirm};
pub(super) use require_login::{require_login, unauthorized};
use target::LoginHints;

/// The largest form or JSON body that an own path reads, in bytes.
const BODY_BYTES_MAX: usize = 16 * 1024;

/// The first path segments of menshen's own pages below `prefix`. A connector cannot use one as its
/// callback path.
pub const OWN_PAGES: [&str; 28] = [
    "app_library",
    "app_script",
    "auth",
    "backchannel-logout",
    "enter",
    "events",
    "ext_authz",
    "forward-auth",
    "fragment.js",
    "frame.js",
    "frontchannel-logout",
    "hand_over.js",
    "jwks.json",
    "link",
    "login",
    "login-config",
    "logo",
    "password",
    "ping",
    "post.js",
    "ready",
    "saml",
    "sign_in",
    "sign_out",
    "start",
    "ticket",
    "tokens",
    "userinfo",
];

/// The name of `/password/{connector}/change`. No path has it, because it has a slash.
const PASSWORD_CHANGE: &str = "password/change";

/// How long the body of a request to an own path may take to arrive.
const BODY_TIMEOUT: Duration = Duration::from_secs(10);

/// Answers a request to an own path or to a configured static file.
pub(super) async fn answer<B>(context: &RequestContext<'_>, body: Option<B>) -> LoggedResponse
where
    B: http_body::Body<Data = Bytes> + Send + Unpin + 'static,
    B::Error: Into<BodyError>,
{
    let (site, head) = (context.site, context.head);
    let path = head.path.as_str();
    if let Some(content) = site.verification_files.get(path) {
        let response = reply::text(StatusCode::OK, "text/plain; charset=utf-8", content.clone());
        return LoggedResponse::own_path(
            "file",
            reply::without_body_if_head(head.method, response),
        );
    }
    let below_prefix = path.strip_prefix(site.prefix.as_str()).unwrap_or(path);
    let (name, rest) = name_and_rest(below_prefix);
    let query = head.path.query().unwrap_or("");
    let query = match name {
        "sign_in" | "start" | "sign_out" => target::parse_query(query),
        _ => Fields::parse(query.as_bytes()),
    };
    let Some(query) = query else {
        return LoggedResponse::own_path(
            "too many parameters",
            reply::problem(context, page::Cause::BadRequest, None),
        );
    };
    // The callback path of one or several connectors, which `callback` in their settings may change.
    let connectors: Vec<_> = callback::connectors_at(context, path).collect();
    if !connectors.is_empty() {
        return callback::answer(context, &connectors, query, body).await;
    }
    let via = rest.map(|id| id.parse::<ConnectorId>());
    match (name, via) {
        ("sign_in", None) => start::sign_in(context, &query).await,
        ("start", None) if head.method == Method::POST => ticket::consented(context, body).await,
        ("start", None) => start::start(context, &query).await,
        // `/callback` alone serves the connector that the flow cookie names.
        ("callback", None) => {
            let entries = site.login.entries().iter();
            let connectors: Vec<_> = entries.map(|entry| &entry.id).collect();
            callback::answer(context, &connectors, query, body).await
        }
        ("callback", Some(Ok(via))) => callback::answer(context, &[&via], query, body).await,
        ("app_library" | "app_script", Some(Ok(via))) => challenge::script(context, &via, name),
        ("login-config", Some(Ok(via))) => front_end::login_config(context, &via, &query).await,
        ("enter", Some(Ok(via))) => enter::answer(context, &via, &query, body).await,
        ("link", Some(Ok(via))) => link::answer(context, &via, &query, body).await,
        ("password", Some(Ok(via))) => password::answer(context, &via, body).await,
        (PASSWORD_CHANGE, Some(Ok(via))) => {
            password_change::answer(context, &via, &query, body).await
        }
        ("login", Some(Ok(via))) => front_end::login(context, &via, body).await,
        ("backchannel-logout", Some(Ok(via))) => {
            provider_logout::back_channel(context, &via, body).await
        }
        ("frontchannel-logout", Some(Ok(via))) => {
            provider_logout::front_channel(context, &via, &query).await
        }
        ("saml", Some(_)) => saml::answer(context, rest.unwrap_or_default(), body).await,
        ("events", Some(Ok(via))) => events::answer(context, &via, &query, body).await,
        ("sign_out", None) => sign_out::answer(context, &query).await,
        ("userinfo", None) => front_end::userinfo(context).await,
        ("ticket", None) => redeem_ticket::answer(context, &query, body).await,
        ("tokens", None) => tokens::answer(context, body).await,
        ("jwks.json", None) => published::jwks(context),
        ("logo", None) => published::logo(context),
        ("ping", None) => probes::ping(head.method),
        ("ready", None) => probes::ready(context.services, head.method).await,
        ("fragment.js", None) => published::script(context, page::FRAGMENT_JS),
        ("frame.js", None) => published::script(context, page::FRAME_JS),
        ("hand_over.js", None) => published::script(context, page::HAND_OVER_JS),
        ("post.js", None) => published::script(context, page::POST_JS),
        _ => no_such_path(context),
    }
}

fn no_such_path(context: &RequestContext<'_>) -> LoggedResponse {
    let page = reply::problem(context, page::Cause::NotFound, None);
    LoggedResponse::own_path("no such own path", page)
}

/// The name of an own path, and what follows it.
fn name_and_rest(below_prefix: &str) -> (&str, Option<&str>) {
    let path = below_prefix.trim_start_matches('/');
    let Some((name, rest)) = path.split_once('/') else {
        return (path, None);
    };
    match rest.strip_suffix("/change") {
        Some(connector) if name == "password" => (PASSWORD_CHANGE, Some(connector)),
        _ => (name, Some(rest)),
    }
}

/// The `Set-Cookie` header with the session cookie signed again. `None` unless the cookie was signed by a
/// key that no longer signs, or the last silent login failed and must not be repeated at once.
pub(super) fn renewed_cookie(
    site: &Site,
    permit: &Permit,
    headers: &HeaderMap,
    now: Timestamp,
) -> Option<String> {
    let Caller::Person(person) = permit.caller() else {
        return None;
    };
    if !person.needs_new_cookie || !headers.contains_key(COOKIE) {
        return None;
    }
    let sent = cookies(headers, site.cookies.session_name());
    let mut verified = sent.filter_map(|value| cookie::verify(&site.ring, value));
    let is_of_caller = |cookie: &VerifiedCookie| cookie.claims.sid.key() == person.session.key;
    let mut claims = verified.find(is_of_caller)?.claims;
    claims.confirmed_at = claims.confirmed_at.max(person.confirmed_at);
    let cookie = reissue_cookie(site, &claims, now)?;
    let user_agent = super::browser::single_header_lossy(headers, "user-agent").unwrap_or_default();
    Some(cookie::adapt_to_user_agent(&cookie, &user_agent).into_owned())
}

/// The `Set-Cookie` header of an existing session.
fn reissue_cookie(site: &Site, claims: &VerifiedClaims, now: Timestamp) -> Option<String> {
    let value = cookie::re_sign(&site.ring, claims);
    let max_age_s = i64::try_from(claims.expires_at.since(now).as_secs()).ok()?;
    Some(match claims.host {
        None => site.cookies.set_session(&value, max_age_s),
        Some(_) => site.cookies.set_session_of_host(&value, max_age_s),
    })
}

/// The parameters of a login: the return address, the nonce that the ticket is bound to, and hints for
/// the provider.
#[derive(Clone, Debug, Default)]
struct LoginTarget {
    return_to: Option<ReturnTo>,
    /// The nonce of the host or the frame that needs a ticket.
    ticket_for: Option<NonceHash>,
    /// Whether a page in another site's frame waits for the ticket, instead of another host.
    for_frame: bool,
    hints: LoginHints,
}

impl LoginTarget {
    /// Reads `rd` (the return address), `k` (the nonce) and `f` (for a frame). A path in `rd` is
    /// relative to the requested host; a return address on another site is ignored.
    fn from_query(context: &RequestContext<'_>, query: &Fields) -> Self {
        let return_to = target::return_to(context, query);
        let nonce = query.one("k").ok().flatten().and_then(NonceHash::parse);
        let is_on_other_host = return_to
            .as_ref()
            .is_some_and(|return_to| return_to.origin().is_some());
        let for_frame =
            nonce.is_some() && return_to.is_some() && frame::is_requested(context, query);
        Self {
            return_to,
            ticket_for: nonce.filter(|_| is_on_other_host || for_frame),
            for_frame,
            hints: LoginHints::from_query(query),
        }
    }

    /// The return address; without one, that of the connector's settings.
    fn return_to_or_default(
        &self,
        context: &RequestContext<'_>,
        entry: &ConnectorEntry,
    ) -> ReturnTo {
        let default =
            || ReturnTo::parse(entry.default_return_to(&user_agent(context)), context.site);
        let return_to = self.return_to.clone().or_else(default);
        return_to.unwrap_or_else(ReturnTo::login_host_root)
    }

    /// The query string that repeats this target in another own URL, after `first_parameter`, which may be
    /// empty. Without any parameter the query string is `?`.
    fn query_string(&self, login_url: &url::Url, first_parameter: &str) -> String {
        let mut query = String::from("?");
        query.push_str(first_parameter);
        let mut add = |name: &str, value: &str| {
            if !query.ends_with('?') {
                query.push('&');
            }
            query.push_str(name);
            query.push('=');
            query.extend(utf8_percent_encode(value, urls::QUERY_VALUE));
        };
        if let Some(return_to) = &self.return_to {
            let text = match return_to.origin() {
                Some(_) => return_to.absolute(login_url),
                None => return_to.path_query_fragment().to_owned(),
            };
            add("rd", &text);
        }
        if let Some(nonce) = &self.ticket_for {
            add("k", nonce.as_str());
        }
        if self.for_frame {
            let (name, value) = frame::FRAME_PARAMETER;
            add(name, value);
        }
        for (name, hint) in self.hints.query_pairs() {
            add(name, hint);
        }
        query
    }
}

/// Identifies the caller of an own path. An unavailable store is an error.
async fn caller(context: &RequestContext<'_>) -> Result<Caller, Response<Body>> {
    let found = context.site.gate.person(context.head).await;
    found.map_err(|error| session_unavailable(context, &error))
}

/// Like [`caller`], and accepts the person's bearer token instead of a cookie.
async fn caller_or_bearer(context: &RequestContext<'_>) -> Result<Caller, Box<LoggedResponse>> {
    let found = context
        .site
        .gate
        .person_by_cookie_or_token(context.head)
        .await;
    found.map_err(|error| {
        let logged = reply::bearer_error(context, &error);
        Box::new(logged.unwrap_or_else(|| {
            LoggedResponse::own_path("unavailable", session_unavailable(context, &error))
        }))
    })
}

fn session_unavailable(context: &RequestContext<'_>, error: &GateError) -> Response<Body> {
    tracing::error!(request_id = %context.id, error = %crate::telemetry::error_chain(error), "the caller could not be identified");
    reply::problem(context, page::Cause::StoreUnavailable, None)
}

/// Reads a body of at most [`BODY_BYTES_MAX`]; `None` if it is missing, larger or not received in time.
async fn read_body<B>(body: Option<B>) -> Option<Bytes>
where
    B: http_body::Body<Data = Bytes> + Send + Unpin + 'static,
    B::Error: Into<BodyError>,
{
    read_body_within(body, BODY_BYTES_MAX).await
}

async fn read_body_within<B>(body: Option<B>, bytes_max: usize) -> Option<Bytes>
where
    B: http_body::Body<Data = Bytes> + Send + Unpin + 'static,
    B::Error: Into<BodyError>,
{
    let read = Limited::new(body?, bytes_max).collect();
    let collected = tokio::time::timeout(BODY_TIMEOUT, read).await.ok()?.ok()?;
    Some(collected.to_bytes())
}

/// Whether a request is a same-origin form post of one of menshen's pages on the login host.
fn is_own_form_post(context: &RequestContext<'_>) -> bool {
    let mode = super::browser::single_header(context.head.headers, "sec-fetch-mode");
    let is_sent_by_script = mode.is_some_and(|mode| mode != "navigate");
    !is_sent_by_script
        && super::browser::is_same_origin(context.head)
        && context.site.is_login_host(context.head)
}

/// Refuses every method but GET: a HEAD request must not start, redeem or end anything.
fn require_get(context: &RequestContext<'_>) -> Result<(), Box<LoggedResponse>> {
    if context.head.method == Method::GET {
        return Ok(());
    }
    Err(Box::new(LoggedResponse::own_path(
        "method",
        reply::method_not_allowed("GET"),
    )))
}

/// From where a login was sent, for the list of sessions.
fn session_origin(context: &RequestContext<'_>) -> SessionOrigin {
    let user_agent = user_agent(context).into_owned();
    SessionOrigin {
        address: Some(context.head.client_ip),
        user_agent: Some(user_agent).filter(|text| !text.is_empty()),
    }
}

/// The `User-Agent` header. It may have bytes that are not UTF-8, because phones put their model there.
fn user_agent<'a>(context: &RequestContext<'a>) -> Cow<'a, str> {
    super::browser::single_header_lossy(context.head.headers, "user-agent").unwrap_or_default()
}
