//! `decide()`: Head → Verdict. The spine of the request journey.

use std::error::Error;

use bytes::Bytes;
use http_body_util::combinators::UnsyncBoxBody;

use gate::{Gate, GateError};
use head::Head;
use policy::{Denial, Verdict};
use route::{Found, Routes};

pub mod errand;
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
        Err(error) => {
            tracing::warn!(
                route = route.name.as_str(),
                error = %crate::telemetry::chain(&error),
                "who is asking could not be found out"
            );
            let route = route.clone();
            Verdict::Deny(match error {
                GateError::Forged => Denial::BadToken { route },
                GateError::Unavailable(_) => Denial::Unavailable { route },
            })
        }
    }
}
