//! `Denial`: why a request is refused.

use std::sync::Arc;

use crate::request::access_token::AccessTokenError;
use crate::request::address::AddressError;
use crate::request::bearer::{IssuerId, Refusal};
use crate::request::gate::Caller;
use crate::request::route::Route;
use crate::wording::Text;

/// Why a request is refused.
#[derive(Clone, Debug)]
pub enum Denial {
    /// No route matches its host and path.
    NoRoute,
    /// The application may parse the path in a way that leads to another route or another result of
    /// the rule.
    AmbiguousPath,
    /// The route's rule reads the method, which is not in upper case: the application may treat it
    /// as a method that the rule does not allow.
    Method { route: Arc<Route> },
    /// The expressions of the route take more work than one request may cost.
    TooCostly { route: Arc<Route> },
    /// The access token is invalid, or does not open the route.
    AccessToken {
        route: Arc<Route>,
        /// Decides the status of the response; the response does not name it.
        why: AccessTokenError,
    },
    /// The bearer token is invalid.
    BadToken {
        route: Arc<Route>,
        /// Absent if the token is refused before its issuer is known.
        issuer: Option<IssuerId>,
        /// Logged; the response does not name it.
        why: Arc<Refusal>,
    },
    /// The bearer token is valid but lacks a scope.
    Scope {
        route: Arc<Route>,
        caller: Caller,
        /// The required scopes, separated by spaces.
        needed: String,
    },
    /// The request has a person's session and another caller's bearer token.
    TwoCallers { route: Arc<Route> },
    /// The bearer token could not be verified because its issuer is unavailable.
    IssuerUnavailable { route: Arc<Route>, issuer: IssuerId },
    /// The client sends more new bearer tokens than allowed; this one was not verified.
    TooManyTokens { route: Arc<Route>, issuer: IssuerId },
    /// The authentication behind the bearer token does not meet the demands of the route.
    WeakToken { route: Arc<Route> },
    /// The route's rule denies this caller.
    Forbidden {
        route: Arc<Route>,
        caller: Caller,
        /// Logged; the response does not name it.
        reason: ForbiddenReason,
    },
    /// The request names an address besides its target that is not allowed.
    Address {
        route: Arc<Route>,
        why: AddressError,
    },
    /// The proxy that asks for a decision did not pass on what the decision needs.
    Incomplete {
        /// Absent if several routes are possible.
        route: Option<Arc<Route>>,
        /// The missing part: `scheme`, `path`, `method` or `ip`.
        what: &'static str,
    },
    /// The caller could not be identified because the store failed.
    Unavailable { route: Arc<Route> },
}

/// Why a rule denied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ForbiddenReason {
    /// It evaluated to false.
    Rule,
    /// It could not be evaluated.
    RuleFailed(Text),
}
