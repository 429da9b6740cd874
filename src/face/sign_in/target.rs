//! What the place a person wants to go to asks of a login: which connectors, what proof.

use std::sync::Arc;

use percent_encoding::{AsciiSet, percent_encode};

use super::super::RequestContext;
use super::{LoginHints, Target};
use crate::login::ConnectorEntry;
use crate::login::connector::{AuthnRequest, Prompt};
use crate::login::fields::Fields;
use crate::login::return_to::ReturnTo;
use crate::people::session::Person;
use crate::request::gate::LoginReason;
use crate::request::policy::shortfall;
use crate::request::route::{LoginPrompt, Route, RouteMatch};

/// The query of one of our addresses.
///
/// People write `rd=$scheme://$http_host$request_uri` into the configuration of nginx, which encodes
/// nothing: an `rd` that itself has a query runs to the end. In one that was encoded there is no `?`.
pub(super) fn parse_query(text: &str) -> Option<Fields> {
    let begin = match text.strip_prefix("rd=") {
        Some(_) => Some(0),
        None => text.find("&rd=").map(|at| at + 1),
    };
    let raw = begin.and_then(|begin| {
        let value = &text[begin + "rd=".len()..];
        let first = value.split('&').next().unwrap_or_default();
        first.contains('?').then_some((begin, value))
    });
    let Some((begin, value)) = raw else {
        return Fields::parse(text.as_bytes());
    };
    let mut fields = Fields::parse(text[..begin].trim_end_matches('&').as_bytes())?;
    fields.push("rd", value);
    Some(fields)
}

/// Where a proxy in front says that the person wanted to go. What it says of our own pages is no
/// place to go to.
fn return_to_from_proxy(context: &RequestContext<'_>) -> Option<ReturnTo> {
    if !context.head.peer_trusted {
        return None;
    }
    let forwarded = |name: &str| {
        let mut values = context.head.headers.get_all(name).iter();
        let (Some(value), None) = (values.next(), values.next()) else {
            return None;
        };
        // Bytes as a browser sent them; an address of ours has none that are not ASCII.
        let address = percent_encode(value.as_bytes(), &AsciiSet::EMPTY);
        parse(context, &address.to_string())
    };
    forwarded("x-auth-request-redirect").or_else(|| forwarded("x-forwarded-uri"))
}

/// Where a login should lead: `rd`, and without one what a proxy in front says. Nothing when that is
/// not on this site.
pub(super) fn return_to(context: &RequestContext<'_>, query: &Fields) -> Option<ReturnTo> {
    let wanted = query.one("rd").ok().flatten();
    let Some(text) = wanted.filter(|text| !text.is_empty()) else {
        return return_to_from_proxy(context);
    };
    let parsed = parse(context, text);
    if parsed.is_none() {
        tracing::info!(request_id = %context.id, "a return address leads elsewhere and is not followed");
    }
    parsed
}

/// A path is one of the host that is asked.
fn parse(context: &RequestContext<'_>, text: &str) -> Option<ReturnTo> {
    if !text.starts_with('/') || context.site.is_login_host(context.head) {
        return ReturnTo::parse(text, context.site);
    }
    ReturnTo::path(text)?;
    // What is ours on this host is ours on every one.
    let whole = format!("{}{text}", context.head.origin());
    ReturnTo::parse(&whole, context.site)
}

/// The connectors that count where the person wants to go; all when that is not known.
pub(super) fn allowed_connectors<'a>(
    context: &RequestContext<'a>,
    target: &Target,
) -> Vec<&'a Arc<ConnectorEntry>> {
    let entries = context.site.login.entries().iter();
    match target.return_to.as_ref().and_then(|to| route(context, to)) {
        Some(route) if !route.connectors.is_empty() => entries
            .filter(|entry| route.connectors.contains(&entry.id))
            .collect(),
        _ => entries.collect(),
    }
}

/// The route that a return address leads to.
pub(super) fn route<'a>(context: &RequestContext<'a>, place: &ReturnTo) -> Option<&'a Arc<Route>> {
    let url = url::Url::parse(&place.absolute_from(&context.site.external_url)).ok()?;
    let (host, _) = crate::request::head::parse_host(url.host_str()?).ok()?;
    let local = place.local();
    let raw = &local[..local.find(['?', '#']).unwrap_or(local.len())];
    let path = crate::request::path::Path::parse(raw, None).ok()?;
    let port = url.port_or_known_default()?;
    match context.site.routes.find(&host, port, &path) {
        RouteMatch::Route(route) => Some(route),
        RouteMatch::OwnPath | RouteMatch::None | RouteMatch::Ambiguous => None,
    }
}

/// LoginReason somebody who is here may not go on to where they want.
pub(super) fn unmet_requirement(
    context: &RequestContext<'_>,
    target: &Target,
    person: &Person,
) -> Option<LoginReason> {
    let route = route(context, target.return_to.as_ref()?)?;
    let session = &person.session;
    let (via, proof, at) = (&session.via, &session.auth_context, session.minted_at);
    shortfall(route, via, proof, at, context.head.at)
}

/// What a login for a place must prove. It is read from the route, never from the address: whoever
/// edits that only chooses another place.
pub(super) fn ask_of(
    context: &RequestContext<'_>,
    place: &ReturnTo,
    hints: &LoginHints,
    silent: bool,
) -> AuthnRequest {
    let demands = route(context, place).and_then(|route| route.demands.as_deref());
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
