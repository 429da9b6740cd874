//! Entry tokens at the URL of an application, for portals that link there and not to `/enter`.
//!
//! A token signs in only a browser without a session, so no session is replaced. In every case the next
//! request goes to the same URL without the token: the application never sees it.

use std::sync::Arc;

use http::header::REFERRER_POLICY;
use http::{HeaderValue, Method};

use super::super::super::RequestContext;
use super::super::super::page::Cause;
use super::super::super::record::LoggedResponse;
use super::super::super::reply;
use super::super::{audit, complete};
use super::{EntryTokenRefusal, failure, has_allowed_origin, is_navigation, login_failed};
use super::{malformed, single_token};
use crate::login::ConnectorEntry;
use crate::login::connector::{AuthnResponse, EntryPoint};
use crate::login::fields::Fields;
use crate::login::return_to::ReturnTo;
use crate::login::unsolicited::EntryTokenHash;
use crate::request::gate::{Caller, LoginReason};
use crate::request::policy::Verdict;

/// A request for an application whose URL has an entry token.
pub(in crate::face) struct EntryOnRoute<'a> {
    entry: &'a Arc<ConnectorEntry>,
    entry_point: &'a EntryPoint,
    query: Fields,
    /// Whether a person is signed in. They keep their session, and the token is not redeemed.
    has_person: bool,
}

/// The entry token in the URL of a navigation, if a connector of the route accepts it there.
pub(in crate::face) fn entry_on_route<'a>(
    context: &RequestContext<'a>,
    verdict: &Verdict,
) -> Option<EntryOnRoute<'a>> {
    let login = &context.site.login;
    let query = context.head.path.query()?;
    if !login.has_entry_points_on_routes() || *context.head.method != Method::GET {
        return None;
    }
    let (route, has_person) = match verdict {
        Verdict::Allow(permit) | Verdict::Reconfirm(permit) => match permit.caller() {
            Caller::Anonymous(_) => (permit.route(), false),
            Caller::Person(_) => (permit.route(), true),
            Caller::Program(_) => return None,
        },
        Verdict::Login(needed) => match needed.why {
            LoginReason::NotSignedIn | LoginReason::Expired => (&needed.route, false),
            LoginReason::OtherConnector | LoginReason::StepUp => (&needed.route, true),
        },
        Verdict::Deny(_) => return None,
    };
    if !is_navigation(context) {
        return None;
    }
    let query = Fields::parse(query.as_bytes())?;
    let accepted = |entry: &&'a Arc<ConnectorEntry>| {
        route.connectors.is_empty() || route.connectors.contains(&entry.id)
    };
    let (entry, entry_point) = login.entries().iter().filter(accepted).find_map(|entry| {
        let entry_point = entry.features.entry_point.as_ref()?;
        let has_token = entry_point.on_routes && query.has(&entry_point.parameter);
        has_token.then_some((entry, entry_point))
    })?;
    let value = query.one(&entry_point.parameter).ok().flatten();
    if has_person && !value.is_some_and(looks_like_token) {
        // An application may have a parameter of this name.
        return None;
    }
    Some(EntryOnRoute {
        entry,
        entry_point,
        query,
        has_person,
    })
}

/// Whether a value has the form of a signed or encrypted token: three or five parts in base64url, of which
/// the first is a JSON object. The first character of `{` in base64url is `e`.
fn looks_like_token(value: &str) -> bool {
    let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    value.starts_with('e')
        && matches!(value.split('.').count(), 3 | 5)
        && value.bytes().all(is_allowed)
}

/// Signs the person of the token in on this host, unless a person is signed in, and redirects to the URL
/// without the token.
pub(in crate::face) async fn redeem_on_route(
    context: &RequestContext<'_>,
    found: EntryOnRoute<'_>,
) -> LoggedResponse {
    let logged = redeem(context, found).await;
    logged.map_response(|response| {
        // The URL contains the token, so it must not be sent as a `Referer`.
        let headers = response.headers_mut();
        headers.insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    })
}

async fn redeem(context: &RequestContext<'_>, found: EntryOnRoute<'_>) -> LoggedResponse {
    let EntryOnRoute {
        entry,
        entry_point,
        query,
        has_person,
    } = found;
    let parameter = &entry_point.parameter;
    let return_to = url_without(context, parameter);
    if has_person {
        return LoggedResponse::own_path("token removed", reply::see_other(&return_to.location()));
    }
    let no_form = Fields::default();
    let Some(token) = single_token(parameter, &query, &no_form) else {
        return malformed(context, entry);
    };
    if !has_allowed_origin(context, &entry_point.origins) {
        audit::refused(context, Some(&entry.id), &EntryTokenRefusal::Origin);
        let page = failure(context, entry, Cause::EntryTokenRefused);
        return LoggedResponse::own_path("origin", page);
    }
    let login = &context.site.login;
    let token = EntryTokenHash::of(&entry.id, token);
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
