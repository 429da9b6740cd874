//! `decide()`: Head → Verdict. The spine of the request journey.

use std::error::Error;
use std::sync::Arc;

use bytes::Bytes;
use http_body_util::combinators::UnsyncBoxBody;

use address::Piece;
use bearer::BearerError;
use gate::{Caller, Gate, GateError};
use head::Head;
use policy::{Denial, Permit, Verdict};
use route::{Found, Route, Routes};

mod address;
pub mod bearer;
pub mod errand;
pub mod explain;
#[cfg(test)]
mod fixture;
pub mod forward;
pub mod gate;
pub mod head;
pub mod headers;
pub mod path;
pub mod policy;
pub mod route;
pub mod share;
pub mod target;
mod untold;

/// What goes wrong inside a body.
pub type BodyError = Box<dyn Error + Send + Sync>;

/// Every body that leaves the house, streamed or whole.
pub type Body = UnsyncBoxBody<Bytes, BodyError>;

pub use address::AddressError;

/// Decides one request. Every face asks this and nothing else.
pub async fn decide(routes: &Routes, gate: &Gate, head: &Head<'_>) -> Verdict {
    match decide_one(routes, gate, head).await {
        Verdict::Allow(permit) if address::may_be_named(head) => {
            Box::pin(decide_further(routes, gate, head, permit)).await
        }
        verdict => verdict,
    }
}

/// Decides about every further address that a request names, as if it asked for that.
async fn decide_further(routes: &Routes, gate: &Gate, head: &Head<'_>, permit: Permit) -> Verdict {
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
    for addressed in &found {
        let name = match addressed.name == address::DESTINATION {
            true => "Destination",
            false => "If",
        };
        for piece in &addressed.pieces {
            let Piece::Address(address) = piece else {
                continue;
            };
            let Some(other) = address.head(head) else {
                return refused(AddressError::Unreadable(name));
            };
            match decide_one(routes, gate, &other).await {
                Verdict::Allow(further)
                    if address::same_application(permit.route(), further.route()) => {}
                Verdict::Allow(_) => return refused(AddressError::Elsewhere(name)),
                verdict => return verdict,
            }
        }
    }
    Verdict::Allow(permit)
}

/// Decides about the address that a request asks for.
async fn decide_one(routes: &Routes, gate: &Gate, head: &Head<'_>) -> Verdict {
    if head.untold.path {
        // In a box: what is seldom done makes no other request's way longer.
        return Box::pin(untold::for_every_path(routes, gate, head)).await;
    }
    let found = match head.untold.scheme {
        true => untold::by_either_port(routes, head),
        false => Ok(routes.find(&head.host, head.effective_port(), &head.path)),
    };
    let route = match found {
        Ok(Found::Route(route)) => route,
        Ok(Found::None | Found::Own) => return Verdict::Deny(Denial::NoRoute),
        Ok(Found::Ambiguous) => return Verdict::Deny(Denial::AmbiguousPath),
        Err(what) => return Verdict::Deny(Denial::Untold { route: None, what }),
    };
    decide_on(route, gate, head).await
}

/// The same for a route that was named, whatever host and path say.
pub async fn decide_on(route: &Arc<Route>, gate: &Gate, head: &Head<'_>) -> Verdict {
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
        GateError::Bearer(BearerError::Away { issuer, .. }) => Denial::IssuerAway { route, issuer },
        GateError::Bearer(BearerError::Limited { issuer }) => {
            Denial::TooManyTokens { route, issuer }
        }
        GateError::TwoCallers => Denial::TwoCallers { route },
        GateError::Bearer(BearerError::Store(_)) | GateError::Unavailable(_) => {
            tracing::warn!(
                route = route.name.as_str(),
                error = %crate::telemetry::chain(&error),
                "who is asking could not be found out"
            );
            Denial::Unavailable { route }
        }
    }
}
