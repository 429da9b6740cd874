//! Decides a request on a given route: identifies the caller, then judges.

use std::sync::Arc;

use super::bearer::BearerError;
use super::gate::{Caller, Gate, GateError};
use super::head::Head;
use super::policy::{Denial, Verdict, judge};
use super::route::Route;

pub(super) async fn identify_and_judge(
    route: &Arc<Route>,
    gate: &Gate,
    head: &Head<'_>,
) -> Verdict {
    match gate.identify(route, head).await {
        Ok(caller) => judge(route, caller, head),
        Err(error) => Verdict::Deny(denial(route, gate, error)),
    }
}

/// The denial of a request whose caller could not be identified.
fn denial(route: &Arc<Route>, gate: &Gate, error: GateError) -> Denial {
    let route = Arc::clone(route);
    match error {
        // A client can cause the denials without a warning as often as it likes. The access log
        // records them.
        GateError::AccessToken(why) => Denial::AccessToken { route, why },
        GateError::Bearer(BearerError::Refused { issuer, why }) => {
            Denial::BadToken { route, issuer, why }
        }
        GateError::Bearer(BearerError::Scope { token, needed }) => Denial::Scope {
            route,
            caller: Caller::Program(token),
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
            if gate.outage_log.allow() {
                tracing::warn!(
                    route = route.name.as_str(),
                    error = %crate::telemetry::error_chain(&error),
                    "the caller could not be identified"
                );
            }
            Denial::Unavailable { route }
        }
    }
}
