//! `decide()`: Head → Verdict. The spine of the request journey.

use std::error::Error;
use std::sync::Arc;

use bytes::Bytes;
use http_body_util::combinators::UnsyncBoxBody;

use bearer::BearerError;
use gate::{Caller, Gate, GateError};
use head::Head;
use policy::{Denial, Verdict};
use route::{Found, Route, Routes};

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

/// What goes wrong inside a body.
pub type BodyError = Box<dyn Error + Send + Sync>;

/// Every body that leaves the house, streamed or whole.
pub type Body = UnsyncBoxBody<Bytes, BodyError>;

/// Decides one request. Every face asks this and nothing else.
pub async fn decide(routes: &Routes, gate: &Gate, head: &Head<'_>) -> Verdict {
    let route = match routes.find(&head.host, head.effective_port(), &head.path) {
        Found::Route(route) => route,
        Found::None | Found::Own => return Verdict::Deny(Denial::NoRoute),
        Found::Ambiguous => return Verdict::Deny(Denial::AmbiguousPath),
    };
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
        GateError::TwoCallers => Denial::TwoCallers { route },
        GateError::Unavailable(_) => {
            tracing::warn!(
                route = route.name.as_str(),
                error = %crate::telemetry::chain(&error),
                "who is asking could not be found out"
            );
            Denial::Unavailable { route }
        }
    }
}
