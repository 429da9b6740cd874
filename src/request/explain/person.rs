//! What a route decides about a person who may not exist, and which headers about the person it sends.

use std::sync::Arc;

use url::Url;

use super::{
    ExplainArguments, ExplainContext, ExplainQuery, ExplainedUpstream, ExplainedVerdict,
    HeaderLine, TOO_COSTLY, VerdictKind, explained_verdict,
};
use crate::clock::Timestamp;
use crate::people::session::Person;
use crate::request::gate::Caller;
use crate::request::head::Head;
use crate::request::headers::{HeaderChanges, RequestId};
use crate::request::policy::{Verdict, judge};
use crate::request::route::{HostPattern, Route};
use crate::wording::Text;

/// Headers about the request and its connection, which say nothing about the person.
const REQUEST_HEADERS: [&str; 9] = [
    "host",
    "traceparent",
    "x-forwarded-for",
    "x-forwarded-host",
    "x-forwarded-port",
    "x-forwarded-prefix",
    "x-forwarded-proto",
    "x-real-ip",
    "x-request-id",
];

/// What a route does with a request of a person for its own address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PersonOnRoute {
    pub verdict: ExplainedVerdict,
    /// The headers about the person, as the upstream would receive them, or for a route without one the
    /// proxy that asks. Secrets are replaced by a placeholder.
    pub headers: Vec<HeaderLine>,
}

/// Decides a `GET` of a person for the address of a route, right after their login. `external_url` has the
/// scheme, and the host for a route that serves every host.
pub fn explain_person(
    context: &ExplainContext<'_>,
    route: &Arc<Route>,
    person: &Person,
    external_url: &Url,
    now: Timestamp,
) -> PersonOnRoute {
    let query = ExplainQuery::parse(ExplainArguments {
        url: address_of(route, external_url),
        ..ExplainArguments::default()
    });
    let query = match query {
        Ok(query) => query,
        Err(error) => return PersonOnRoute::bad_request(Text::of(&error)),
    };
    let (parts, connection) = query.request();
    let head = match Head::parse(&parts, &connection, context.parse_options, now) {
        Ok(head) => head,
        Err(error) => return PersonOnRoute::bad_request(Text::of(&error)),
    };
    let permit = match judge(route, Caller::Person(person.clone()), &head) {
        Verdict::Allow(permit) | Verdict::Reconfirm(permit) => permit,
        refused => {
            let (verdict, _) = explained_verdict(refused, &parts, context, route);
            let headers = Vec::new();
            return PersonOnRoute { verdict, headers };
        }
    };
    let id = RequestId::of(&parts.headers, head.peer_trusted);
    let (kind, headers) = match context.forwarder.upstream_names(route).is_empty() {
        false => {
            let upstream = ExplainedUpstream::of(&permit, context, &head, &parts, &id);
            (VerdictKind::Allow, upstream.headers)
        }
        true => {
            let (options, included) = (context.rewrite_options, route.headers.on_checks);
            let changes = HeaderChanges::for_request(&permit, &head, options, included);
            let lines = changes.added().iter().map(|(name, value)| {
                let value = String::from_utf8_lossy(value.as_bytes());
                HeaderLine::of(name.as_str(), &value, &id)
            });
            (VerdictKind::NoUpstream, lines.collect())
        }
    };
    if head.budget.is_spent() {
        return PersonOnRoute::bad_request(TOO_COSTLY);
    }
    let is_about_person = |line: &HeaderLine| !REQUEST_HEADERS.contains(&line.name.as_str());
    PersonOnRoute {
        verdict: ExplainedVerdict::of(kind, Text::default()),
        headers: headers.into_iter().filter(is_about_person).collect(),
    }
}

impl PersonOnRoute {
    fn bad_request(reason: Text) -> Self {
        Self {
            verdict: ExplainedVerdict::of(VerdictKind::BadRequest, reason),
            headers: Vec::new(),
        }
    }
}

/// An address that the route serves.
fn address_of(route: &Route, external_url: &Url) -> String {
    let own_host = external_url.host_str().unwrap_or_default();
    let (host, port) = match &route.host {
        HostPattern::Any { port } => (own_host.to_owned(), port.or(external_url.port())),
        HostPattern::Exact { name, port } => (name.clone(), *port),
        HostPattern::Wildcard { suffix, port } => (format!("any{suffix}"), *port),
    };
    let port = port.map_or_else(String::new, |port| format!(":{port}"));
    let (scheme, path) = (external_url.scheme(), route.path.as_str());
    format!("{scheme}://{host}{port}{path}")
}
