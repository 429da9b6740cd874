//! Decides requests: [`decide`] turns a request [`Head`] into a [`Verdict`].

use std::error::Error;
use std::sync::Arc;

use bytes::Bytes;
use http_body_util::combinators::UnsyncBoxBody;

use address::Piece;
use gate::Gate;
use head::Head;
use path::ReadingBudget;
use policy::{Denial, Verdict};
use route::{Route, RouteMatch, Routes};

mod address;
pub mod bearer;
pub mod client_quota;
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
    Address(&'a Routes),
    /// By name, regardless of host and path.
    Name(&'a Arc<Route>),
}

/// Decides one request. Every face calls this or [`decide_on_named_route`], and no other decision function.
pub fn decide(routes: &Routes, gate: &Gate, head: &Head<'_>) -> impl Future<Output = Verdict> {
    decide_all_addresses(RouteSelection::Address(routes), gate, head)
}

/// Decides one request on a given route, regardless of its host and path.
pub fn decide_on_named_route(
    route: &Arc<Route>,
    gate: &Gate,
    head: &Head<'_>,
) -> impl Future<Output = Verdict> {
    decide_all_addresses(RouteSelection::Name(route), gate, head)
}

/// Decides the request target and, if that is allowed, every further address the request names.
async fn decide_all_addresses(
    selection: RouteSelection<'_>,
    gate: &Gate,
    head: &Head<'_>,
) -> Verdict {
    match decide_address(selection, gate, head).await {
        verdict @ (Verdict::Allow(_) | Verdict::Reconfirm(_))
            if address::may_have_further_addresses(head) =>
        {
            Box::pin(decide_further_addresses(selection, gate, head, verdict)).await
        }
        verdict => verdict,
    }
}

/// Decides every further address of a request as if it were the request target. The verdict on the
/// target stands only if all of them are allowed.
async fn decide_further_addresses(
    selection: RouteSelection<'_>,
    gate: &Gate,
    head: &Head<'_>,
    own: Verdict,
) -> Verdict {
    let (Verdict::Allow(permit) | Verdict::Reconfirm(permit)) = &own else {
        return own;
    };
    let refused = |why| {
        Verdict::Deny(Denial::Address {
            route: Arc::clone(permit.route()),
            why,
        })
    };
    let found = match address::read(head) {
        Ok(found) => found,
        Err(why) => return refused(why),
    };
    let mut reading_budget = ReadingBudget::remaining_after(&head.path);
    for addressed in &found {
        let name = match addressed.name == address::DESTINATION {
            true => "Destination",
            false => "If",
        };
        for piece in &addressed.pieces {
            let Piece::Address(address) = piece else {
                continue;
            };
            let Some(other) = address.head(head, &mut reading_budget) else {
                return refused(AddressError::Unreadable(name));
            };
            // A route selected by name has no known set of hosts.
            if matches!(selection, RouteSelection::Name(_)) && !address::same_host(head, &other) {
                return refused(AddressError::OtherApplication(name));
            }
            let further = decide_address(selection, gate, &other).await;
            head.budget.continue_from(&other.budget);
            match further {
                Verdict::Allow(further) | Verdict::Reconfirm(further)
                    if address::same_application(permit.route(), further.route()) => {}
                Verdict::Allow(_) | Verdict::Reconfirm(_) => {
                    return refused(AddressError::OtherApplication(name));
                }
                verdict @ (Verdict::Login(_) | Verdict::Deny(_)) => return verdict,
            }
        }
    }
    own
}

/// Decides a single address.
async fn decide_address(selection: RouteSelection<'_>, gate: &Gate, head: &Head<'_>) -> Verdict {
    let found = match selection {
        RouteSelection::Name(route) => Ok(RouteMatch::Route(route)),
        RouteSelection::Address(routes) if head.unknown.path => {
            // Boxed because it is rare: the future of ordinary requests stays small.
            return Box::pin(incomplete::decide_on_all_routes(routes, gate, head)).await;
        }
        RouteSelection::Address(routes) if head.unknown.scheme => {
            incomplete::find_on_both_ports(routes, head)
        }
        RouteSelection::Address(routes) => {
            Ok(routes.find(&head.host, head.effective_port(), &head.path))
        }
    };
    let route = match found {
        Ok(RouteMatch::Route(route)) => route,
        Ok(RouteMatch::None | RouteMatch::OwnPath) => return Verdict::Deny(Denial::NoRoute),
        Ok(RouteMatch::Ambiguous) => return Verdict::Deny(Denial::AmbiguousPath),
        Err(what) => return Verdict::Deny(Denial::Incomplete { route: None, what }),
    };
    on_route::identify_and_judge(route, gate, head).await
}
