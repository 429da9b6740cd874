//! Entry tokens at the URL of an application, for portals that link there and not to `/enter`.
//!
//! A token signs in only a browser without a session, so no session is replaced. Every request that would
//! be forwarded with a token in its URL is redirected to the same URL without it instead: no application
//! sees a token that is still unused.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::header::REFERRER_POLICY;
use http::{HeaderValue, Method, Response, StatusCode};

use super::super::super::RequestContext;
use super::super::super::browser::is_prefetch;
use super::super::super::page::Cause;
use super::super::super::record::LoggedResponse;
use super::super::super::reply;
use super::super::{audit, complete};
use super::{EntryTokenRefusal, failure, has_allowed_origin, is_navigation, login_failed};
use super::{malformed, only_navigations, single_token};
use crate::login::ConnectorEntry;
use crate::login::connector::{AuthnResponse, EntryPoint};
use crate::login::fields::Fields;
use crate::login::return_to::ReturnTo;
use crate::request::Body;
use crate::request::gate::{Caller, LoginReason};
use crate::request::policy::{Denial, Verdict};

/// A request for an application whose URL has an entry token.
pub(in crate::face) struct EntryOnRoute<'a> {
    entry: &'a Arc<ConnectorEntry>,
    entry_point: &'a EntryPoint,
    step: Step,
}

/// What happens with the token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    Redeem,
    /// The token is not used: a person is signed in, the request is no navigation, or the route does not
    /// accept the connector.
    Remove,
    /// The browser loads the page ahead of time. The person has not followed the link yet, and must not
    /// get the page of nobody when they do.
    RefusePrefetch,
}

/// The entry token in the URL of a request, if it is redeemed there or must be removed before the request
/// is forwarded.
#[inline]
pub(in crate::face) fn entry_on_route<'a>(
    context: &RequestContext<'a>,
    verdict: &Verdict,
) -> Option<EntryOnRoute<'a>> {
    match context.site.login.has_entry_points_on_routes() {
        true => find_entry(context, verdict),
        false => None,
    }
}

fn find_entry<'a>(context: &RequestContext<'a>, verdict: &Verdict) -> Option<EntryOnRoute<'a>> {
    let query = context.head.path.query()?;
    let (route, is_nobody, would_be_forwarded) = match verdict {
        Verdict::Allow(permit) | Verdict::Reconfirm(permit) => {
            let is_nobody = matches!(permit.caller(), Caller::Anonymous(_));
            (permit.route(), is_nobody, true)
        }
        Verdict::Login(needed) => {
            let is_nobody = matches!(needed.why, LoginReason::NotSignedIn | LoginReason::Expired);
            (&needed.route, is_nobody, false)
        }
        // The page of a refusal has a link to the requested URL.
        Verdict::Deny(Denial::Forbidden {
            route,
            caller: Caller::Person(_),
            ..
        }) => (route, false, false),
        Verdict::Deny(_) => return None,
    };
    let is_link = *context.head.method == Method::GET && is_navigation(context);
    let redeems = |entry: &ConnectorEntry| {
        let accepts = route.connectors.is_empty() || route.connectors.contains(&entry.id);
        is_nobody && is_link && accepts
    };
    let redeemed = entry_points(context)
        .find(|(entry, point)| redeems(entry) && values(query, &point.parameter).next().is_some())
        .map(|found| (found, Step::Redeem));
    let found = redeemed.or_else(|| {
        let step = match is_nobody && is_prefetch(context.head.headers) {
            true => Step::RefusePrefetch,
            false => Step::Remove,
        };
        let unused = unused_token(context, query)?;
        (would_be_forwarded || is_link).then_some((unused, step))
    });
    let ((entry, entry_point), step) = found?;
    Some(EntryOnRoute {
        entry,
        entry_point,
        step,
    })
}

/// The connectors that accept entry tokens at the URLs of applications.
fn entry_points<'a>(
    context: &RequestContext<'a>,
) -> impl Iterator<Item = (&'a Arc<ConnectorEntry>, &'a EntryPoint)> {
    context.site.login.entries().iter().filter_map(|entry| {
        let entry_point = entry.features.entry_point.as_ref()?;
        entry_point.on_routes.then_some((entry, entry_point))
    })
}

/// The connector whose parameter has a value that may be a token. Another value belongs to the
/// application, which may have a parameter of this name.
fn unused_token<'a>(
    context: &RequestContext<'a>,
    query: &str,
) -> Option<(&'a Arc<ConnectorEntry>, &'a EntryPoint)> {
    entry_points(context)
        .find(|(_, point)| values(query, &point.parameter).any(|value| looks_like_token(&value)))
}

/// The values of a parameter, however many parameters there are.
fn values<'q>(query: &'q str, parameter: &'q str) -> impl Iterator<Item = String> + 'q {
    let pairs = url::form_urlencoded::parse(query.as_bytes());
    let named = pairs.filter(move |(name, _)| name == parameter);
    named.map(|(_, value)| value.into_owned())
}

/// Whether a value has the form of a signed or encrypted token: three or five parts, of which the first is
/// a JSON object in base64url.
fn looks_like_token(value: &str) -> bool {
    let mut parts = value.split('.');
    let header = parts.next().unwrap_or_default();
    let decoded = URL_SAFE_NO_PAD.decode(header).unwrap_or_default();
    matches!(parts.count(), 2 | 4) && decoded.trim_ascii_start().starts_with(b"{")
}

/// The redirect to the URL without the token, for a request that another proxy would forward. There no
/// token is redeemed.
pub(in crate::face) fn redirect_without_token(
    context: &RequestContext<'_>,
    redirect_status: StatusCode,
) -> Option<Response<Body>> {
    let query = context.head.path.query()?;
    let (_, entry_point) = unused_token(context, query)?;
    let mut response = redirect_without(context, &entry_point.parameter);
    if response.status() == StatusCode::SEE_OTHER {
        *response.status_mut() = redirect_status;
    }
    forbid_referrer(&mut response);
    Some(response)
}

/// Signs the person of the token in on this host, or only removes the token, and redirects to the URL
/// without it.
pub(in crate::face) async fn redeem_on_route(
    context: &RequestContext<'_>,
    found: EntryOnRoute<'_>,
) -> LoggedResponse {
    let logged = match found.step {
        Step::Redeem => redeem(context, &found).await,
        Step::Remove => {
            let response = redirect_without(context, &found.entry_point.parameter);
            LoggedResponse::own_path("token removed", response)
        }
        Step::RefusePrefetch => {
            LoggedResponse::own_path("no navigation", only_navigations(context))
        }
    };
    logged.map_response(forbid_referrer)
}

/// The URL of the request contains the token, so it must not be sent as a `Referer`.
fn forbid_referrer(response: &mut Response<Body>) {
    let headers = response.headers_mut();
    headers.insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
}

/// The redirect to the URL without a parameter. A request with a body is repeated there as it is.
fn redirect_without(context: &RequestContext<'_>, parameter: &str) -> Response<Body> {
    let mut response = reply::see_other(&url_without(context, parameter).location());
    if !matches!(*context.head.method, Method::GET | Method::HEAD) {
        *response.status_mut() = StatusCode::TEMPORARY_REDIRECT;
    }
    response
}

async fn redeem(context: &RequestContext<'_>, found: &EntryOnRoute<'_>) -> LoggedResponse {
    let EntryOnRoute {
        entry, entry_point, ..
    } = found;
    let parameter = &entry_point.parameter;
    let return_to = url_without(context, parameter);
    let query = context.head.path.query().unwrap_or_default();
    let tokens = values(query, parameter).map(|value| (parameter.to_string(), value));
    let query = Fields::new(tokens.collect());
    let no_form = Fields::default();
    let Some(token) = single_token(entry_point, &query, &no_form) else {
        return malformed(context, entry);
    };
    if !has_allowed_origin(context, &entry_point.origins) {
        audit::refused(context, Some(&entry.id), &EntryTokenRefusal::Origin);
        let page = failure(context, entry, Cause::EntryTokenRefused);
        return LoggedResponse::own_path("origin", page);
    }
    let login = &context.site.login;
    let token = token.to_owned();
    let response = AuthnResponse {
        fields: query,
        client: context.head.client_for_limits(),
        origin: super::super::session_origin(context),
        kind: None,
    };
    let mut pending = match login.redeem_unsolicited(entry, token, response).await {
        Ok(pending) => pending,
        Err(error) => return login_failed(context, entry, &error),
    };
    pending.return_to = return_to;
    let origin = super::super::session_origin(context);
    let finished = match login.finish_unsolicited(&pending, origin).await {
        Ok(finished) => finished,
        Err(error) => return login_failed(context, entry, &error),
    };
    let mut response = reply::see_other(&finished.return_to.location());
    complete::hand_out_session_here(context, &finished, &mut response).await;
    LoggedResponse::own_path("entry login", response)
}

/// The requested URL without a parameter. All other parameters keep their bytes.
fn url_without(context: &RequestContext<'_>, parameter: &str) -> ReturnTo {
    let is_other = |pair: &&str| {
        let parsed = url::form_urlencoded::parse(pair.as_bytes()).next();
        parsed.is_none_or(|(name, _)| name != parameter)
    };
    let query = context.head.path.query().unwrap_or_default();
    let rest: Vec<_> = query.split('&').filter(is_other).collect();
    let mut url = format!("{}{}", context.head.origin(), context.head.path.as_str());
    if !rest.is_empty() {
        url.push('?');
        url.push_str(&rest.join("&"));
    }
    ReturnTo::parse(&url, context.site).unwrap_or_else(ReturnTo::login_host_root)
}
