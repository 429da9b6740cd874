//! The return address of a login, and the demands of its route: which connectors and which
//! authentication.

use std::sync::Arc;

use percent_encoding::{AsciiSet, percent_encode};

use super::super::{RequestContext, urls};
use super::LoginTarget;
use crate::login::ConnectorEntry;
use crate::login::connector::{AuthnRequest, Prompt};
use crate::login::fields::Fields;
use crate::login::pending::Pending;
use crate::login::return_to::ReturnTo;
use crate::people::session::Person;
use crate::request::gate::LoginReason;
use crate::request::policy::session_unmet_demand;
use crate::request::route::{LoginPrompt, Route, RouteMatch};

/// The longest `login_hint` or `domain_hint` that is passed on, in bytes.
const HINT_BYTES_MAX: usize = 256;

/// Hints for the provider about the person. They are taken only from menshen's own URLs.
#[derive(Clone, Default)]
pub(super) struct LoginHints {
    login: Option<String>,
    domain: Option<String>,
}

impl std::fmt::Debug for LoginHints {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("LoginHints(…)")
    }
}

impl LoginHints {
    /// Ignores a hint that is repeated, too long or contains a control character.
    pub(super) fn from_query(query: &Fields) -> Self {
        let one = |name: &str| {
            let hint = query.one(name).ok().flatten()?;
            let fits = !hint.is_empty() && hint.len() <= HINT_BYTES_MAX;
            (fits && !hint.chars().any(char::is_control)).then(|| hint.to_owned())
        };
        Self {
            login: one("login_hint"),
            domain: one("domain_hint"),
        }
    }

    pub(super) fn query_pairs(&self) -> impl Iterator<Item = (&'static str, &str)> {
        let login = self.login.as_deref().map(|hint| ("login_hint", hint));
        let domain = self.domain.as_deref().map(|hint| ("domain_hint", hint));
        login.into_iter().chain(domain)
    }
}

impl LoginTarget {
    /// The target of a pending login, for a retry.
    pub(super) fn of(pending: &Pending) -> Self {
        Self {
            return_to: Some(pending.return_to.clone()),
            ticket_for: pending.ticket_for.clone(),
            for_frame: pending.for_frame,
            ..Self::default()
        }
    }

    /// The sign-in page of this target, for a link of a page on the same host.
    pub(super) fn sign_in_path(&self, context: &RequestContext<'_>) -> String {
        let query = self.query_string(&context.site.external_url, "");
        let query = if query.len() > 1 { query.as_str() } else { "" };
        format!("{}/sign_in{query}", context.site.prefix)
    }

    /// The absolute URL of the sign-in page that leads to the return address; without one, to the requested
    /// URL or the root of its host.
    pub(super) fn sign_in_url(&self, context: &RequestContext<'_>) -> String {
        match &self.return_to {
            Some(return_to) => {
                urls::sign_in_to(context, &return_to.absolute(&context.site.external_url))
            }
            None => urls::sign_in(context),
        }
    }
}

/// Parses the query of an own URL.
///
/// nginx configurations often contain `rd=$scheme://$http_host$request_uri`, which is not percent-encoded.
/// So an `rd` that contains a `?` extends to the end; an encoded one contains no `?`.
pub(super) fn parse_query(text: &str) -> Option<Fields> {
    let rd_at = match text.strip_prefix("rd=") {
        Some(_) => Some(0),
        None => text.find("&rd=").map(|at| at + 1),
    };
    let unencoded = rd_at.and_then(|rd_at| {
        let value = &text[rd_at + "rd=".len()..];
        let first = value.split('&').next().unwrap_or_default();
        first.contains('?').then_some((rd_at, value))
    });
    let Some((rd_at, value)) = unencoded else {
        return Fields::parse(text.as_bytes());
    };
    let mut fields = Fields::parse(text[..rd_at].trim_end_matches('&').as_bytes())?;
    fields.push("rd", value);
    Some(fields)
}

/// The return address in headers of a trusted proxy. An own page is no return address.
fn return_to_from_proxy(context: &RequestContext<'_>) -> Option<ReturnTo> {
    if !context.head.peer_trusted {
        return None;
    }
    let forwarded = |name: &str| {
        let mut values = context.head.headers.get_all(name).iter();
        let (Some(value), None) = (values.next(), values.next()) else {
            return None;
        };
        // The header has the bytes that the browser sent; a return address is ASCII.
        let address = percent_encode(value.as_bytes(), &AsciiSet::EMPTY);
        parse(context, &address.to_string())
    };
    forwarded("x-auth-request-redirect").or_else(|| forwarded("x-forwarded-uri"))
}

/// The return address: `rd`, else that in a header of a trusted proxy. `None` if it is not on this site.
pub(super) fn return_to(context: &RequestContext<'_>, query: &Fields) -> Option<ReturnTo> {
    let rd = query.one("rd").ok().flatten();
    let Some(text) = rd.filter(|text| !text.is_empty()) else {
        return return_to_from_proxy(context);
    };
    let parsed = parse(context, text);
    if parsed.is_none() {
        tracing::info!(request_id = %context.id, "the return address is not on this site and is ignored");
    }
    parsed
}

/// Parses a return address. A path is relative to the requested host.
fn parse(context: &RequestContext<'_>, text: &str) -> Option<ReturnTo> {
    if !text.starts_with('/') || context.site.is_login_host(context.head) {
        return ReturnTo::parse(text, context.site);
    }
    ReturnTo::on_login_host(text)?;
    // An absolute URL, so that own paths of this host are refused like those of the login host.
    let whole = format!("{}{text}", context.head.origin());
    ReturnTo::parse(&whole, context.site)
}

/// The connectors that the route of the return address accepts; all of them without a route.
pub(super) fn allowed_connectors<'a>(
    context: &RequestContext<'a>,
    target: &LoginTarget,
) -> Vec<&'a Arc<ConnectorEntry>> {
    let entries = context.site.login.entries().iter();
    match target.return_to.as_ref().and_then(|to| route(context, to)) {
        Some(route) if !route.connectors.is_empty() => entries
            .filter(|entry| route.connectors.contains(&entry.id))
            .collect(),
        _ => entries.collect(),
    }
}

/// The route of a return address.
pub(super) fn route<'a>(
    context: &RequestContext<'a>,
    return_to: &ReturnTo,
) -> Option<&'a Arc<Route>> {
    let url = url::Url::parse(&return_to.absolute(&context.site.external_url)).ok()?;
    let (host, _) = crate::request::head::parse_host(url.host_str()?).ok()?;
    let text = return_to.path_query_fragment();
    let raw_path = &text[..text.find(['?', '#']).unwrap_or(text.len())];
    let path = crate::request::path::Path::parse(raw_path, None).ok()?;
    let port = url.port_or_known_default()?;
    match context.site.routes.find(&host, port, &path) {
        RouteMatch::Route(route) => Some(route),
        RouteMatch::OwnPath | RouteMatch::None | RouteMatch::Ambiguous => None,
    }
}

/// Which demand of the return address's route the session does not satisfy.
pub(super) fn unmet_route_demand(
    context: &RequestContext<'_>,
    target: &LoginTarget,
    person: &Person,
) -> Option<LoginReason> {
    let route = route(context, target.return_to.as_ref()?)?;
    session_unmet_demand(route, &person.session, context.head.received_at)
}

/// The authentication request for a return address. The demands are read from its route and never from
/// the URL, so a person who edits the URL can only select another route.
pub(super) fn authn_request(
    context: &RequestContext<'_>,
    return_to: &ReturnTo,
    hints: &LoginHints,
    silent: bool,
) -> AuthnRequest {
    let demands = route(context, return_to).and_then(|route| route.demands.as_deref());
    let prompt = demands.and_then(|demands| demands.prompt);
    AuthnRequest {
        acr_values: demands.map_or_else(Vec::new, |demands| demands.acr_values.clone()),
        max_age: demands.and_then(|demands| demands.max_age),
        prompt: match (silent, prompt) {
            (true, _) => Some(Prompt::None),
            (false, Some(LoginPrompt::Login)) => Some(Prompt::Login),
            (false, Some(LoginPrompt::Consent)) => Some(Prompt::Consent),
            (false, Some(LoginPrompt::SelectAccount)) => Some(Prompt::SelectAccount),
            (false, None) => None,
        },
        login_hint: hints.login.clone(),
        domain_hint: hints.domain.clone(),
    }
}
