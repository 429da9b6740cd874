//! `decide()`: Head → Verdict. The spine of the request journey.

use std::error::Error;
use std::sync::Arc;

use bytes::Bytes;
use http_body_util::combinators::UnsyncBoxBody;

use address::Piece;
use bearer::BearerError;
use gate::{Caller, Gate, GateError};
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
pub mod path;
pub mod policy;
pub mod request_kind;
pub mod route;
pub mod target;

/// What goes wrong inside a body.
pub type BodyError = Box<dyn Error + Send + Sync>;

/// Every body that leaves the house, streamed or whole.
pub type Body = UnsyncBoxBody<Bytes, BodyError>;

pub use address::AddressError;

/// How the route that judges a request is found.
#[derive(Clone, Copy, Debug)]
enum RouteSelection<'a> {
    /// RouteSelection host and path of each address.
    Address(&'a Routes),
    /// It was named, whatever host and path say.
    Name(&'a Arc<Route>),
}

/// Decides one request. Every face asks this, or [`decide_on`], and nothing else.
pub fn decide(routes: &Routes, gate: &Gate, head: &Head<'_>) -> impl Future<Output = Verdict> {
    decide_all_addresses(RouteSelection::Address(routes), gate, head)
}

/// The same for a route that was named, whatever host and path say.
pub fn decide_on(
    route: &Arc<Route>,
    gate: &Gate,
    head: &Head<'_>,
) -> impl Future<Output = Verdict> {
    decide_all_addresses(RouteSelection::Name(route), gate, head)
}

/// Decides about every address that a request names.
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

/// Decides about every further address that a request names, as if it asked for that. The verdict
/// about its own stands where all of them may be named.
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
            // Which hosts lead to a route that was named is not known here.
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

/// Decides about the address that a request asks for.
async fn decide_address(selection: RouteSelection<'_>, gate: &Gate, head: &Head<'_>) -> Verdict {
    let found = match selection {
        RouteSelection::Name(route) => Ok(RouteMatch::Route(route)),
        RouteSelection::Address(routes) if head.unknown.path => {
            // In a box: what is seldom done makes no other request's way longer.
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
    decide_on_route(route, gate, head).await
}

/// Judges a request on its route.
async fn decide_on_route(route: &Arc<Route>, gate: &Gate, head: &Head<'_>) -> Verdict {
    match gate.identify(route, head).await {
        Ok(caller) => policy::judge(route, caller, head),
        Err(error) => Verdict::Deny(denial(route, error)),
    }
}

fn denial(route: &Arc<Route>, error: GateError) -> Denial {
    let route = Arc::clone(route);
    match error {
        // Programs cause these as often as they like: the records tell of them, the log does not.
        GateError::Bearer(BearerError::Refused { issuer, why }) => {
            Denial::BadToken { route, issuer, why }
        }
        GateError::Bearer(BearerError::Scope { program, needed }) => Denial::Scope {
            route,
            caller: Caller::Program(program),
            needed,
        },
        GateError::Bearer(BearerError::IssuerUnavailable { issuer, .. }) => {
            Denial::IssuerUnavailable { route, issuer }
        }
        GateError::Bearer(BearerError::Limited { issuer }) => {
            Denial::TooManyTokens { route, issuer }
        }
        GateError::TwoCallers => Denial::TwoCallers { route },
        GateError::Bearer(BearerError::Store(_)) | GateError::Unavailable(_) => {
            tracing::warn!(
                route = route.name.as_str(),
                error = %crate::telemetry::error_chain(&error),
                "who is asking could not be found out"
            );
            Denial::Unavailable { route }
        }
    }
}
