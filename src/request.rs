//! Decides requests: [`decide`] turns a request [`Head`] into a [`Verdict`].

use std::error::Error;
use std::sync::Arc;

use bytes::Bytes;
use http_body_util::combinators::UnsyncBoxBody;

use address::HeaderPiece;
use gate::Gate;
use head::Head;
use path::ReadingBudget;
use policy::{Denial, Verdict};
use route::{Route, RouteMatch, Routes};

pub mod access_token;
mod address;
pub mod bearer;
pub mod client_quota;
pub mod console;
pub mod explain;
#[cfg(test)]
mod fixture;
pub mod forward;
pub mod gate;
pub mod head;
pub mod headers;
mod incomplete;
mod on_route;
pub mod path;
pub mod policy;
pub mod request_kind;
pub mod route;
pub mod target;

/// The error of a request or response body.
pub type BodyError = Box<dyn Error + Send + Sync>;

/// The body type of every response, streamed or complete.
pub type Body = UnsyncBoxBody<Bytes, BodyError>;

pub use address::AddressError;

/// How the route that decides a request is selected.
#[derive(Clone, Copy, Debug)]
enum RouteSelection<'a> {
    /// By host and path of each address that the request names.
    ByAddress(&'a Routes),
    /// This route, regardless of host and path.
    Named(&'a Arc<Route>),
}

/// Decides one request. Every face calls this function or [`decide_on_named_route`], and no other.
pub fn decide(routes: &Routes, gate: &Gate, head: &Head<'_>) -> impl Future<Output = Verdict> {
    decide_all_addresses(RouteSelection::ByAddress(routes), gate, head)
}

/// Decides one request on the route that the asking proxy names, regardless of host and path.
pub fn decide_on_named_route(
    route: &Arc<Route>,
    gate: &Gate,
    head: &Head<'_>,
) -> impl Future<Output = Verdict> {
    decide_all_addresses(RouteSelection::Named(route), gate, head)
}

/// Decides the request target and, if that is allowed, every other address that the request names.
async fn decide_all_addresses(
    selection: RouteSelection<'_>,
    gate: &Gate,
    head: &Head<'_>,
) -> Verdict {
    match decide_address(selection, gate, head).await {
        verdict @ (Verdict::Allow(_) | Verdict::Reconfirm(_))
            if address::may_name_other_addresses(head) =>
        {
            Box::pin(decide_other_addresses(selection, gate, head, verdict)).await
        }
        verdict => verdict,
    }
}

/// Decides every address that a request names besides its target as if it were the target. The verdict
/// on the target stands only if all of them are allowed.
async fn decide_other_addresses(
    selection: RouteSelection<'_>,
    gate: &Gate,
    head: &Head<'_>,
    target_verdict: Verdict,
) -> Verdict {
    let (Verdict::Allow(permit) | Verdict::Reconfirm(permit)) = &target_verdict else {
        return target_verdict;
    };
    let refused = |why| {
        Verdict::Deny(Denial::Address {
            route: Arc::clone(permit.route()),
            why,
        })
    };
    let address_headers = match address::read_headers(head) {
        Ok(address_headers) => address_headers,
        Err(why) => return refused(why),
    };
    let mut reading_budget = ReadingBudget::remaining_after(&head.path);
    for header in &address_headers {
        let name = match header.name == address::DESTINATION {
            true => "Destination",
            false => "If",
        };
        for piece in &header.pieces {
            let HeaderPiece::Address(address) = piece else {
                continue;
            };
            let Some(other_head) = address.to_head(head, &mut reading_budget) else {
                return refused(AddressError::Unreadable(name));
            };
            // A route selected by name has no known set of hosts.
            if matches!(selection, RouteSelection::Named(_))
                && !address::is_same_host(head, &other_head)
            {
                return refused(AddressError::OtherApplication(name));
            }
            let verdict = decide_address(selection, gate, &other_head).await;
            head.budget.continue_from(&other_head.budget);
            match verdict {
                Verdict::Allow(other) | Verdict::Reconfirm(other)
                    if address::is_same_application(permit.route(), other.route()) => {}
                Verdict::Allow(_) | Verdict::Reconfirm(_) => {
                    return refused(AddressError::OtherApplication(name));
                }
                verdict @ (Verdict::Login(_) | Verdict::Deny(_)) => return verdict,
            }
        }
    }
    target_verdict
}

/// Decides a single address.
async fn decide_address(selection: RouteSelection<'_>, gate: &Gate, head: &Head<'_>) -> Verdict {
    let route_match = match selection {
        RouteSelection::Named(route) => Ok(RouteMatch::Route(route)),
        RouteSelection::ByAddress(routes) if head.unknown.path => {
            // Boxed because it is rare: the future of ordinary requests stays small.
            return Box::pin(incomplete::decide_on_all_routes(routes, gate, head)).await;
        }
        RouteSelection::ByAddress(routes) if head.unknown.scheme => {
            incomplete::find_on_both_ports(routes, head)
        }
        RouteSelection::ByAddress(routes) => {
            Ok(routes.find(&head.host, head.effective_port(), &head.path))
        }
    };
    let route = match route_match {
        Ok(RouteMatch::Route(route)) => route,
        Ok(RouteMatch::None | RouteMatch::OwnPath) => return Verdict::Deny(Denial::NoRoute),
        Ok(RouteMatch::Ambiguous) => return Verdict::Deny(Denial::AmbiguousPath),
        Err(what) => return Verdict::Deny(Denial::Incomplete { route: None, what }),
    };
    on_route::identify_and_judge(route, gate, head).await
}
