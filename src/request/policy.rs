//! `judge()`: Route + Caller → Verdict. The only maker of a [`Permit`].

use std::sync::Arc;

use super::bearer::{IssuerId, Refusal};
use super::gate::{Caller, Why};
use super::head::Head;
use super::route::{Access, Preflight, Route};

pub use facts::RequestFacts;

mod facts;

/// What a decision says.
#[derive(Debug)]
pub enum Verdict {
    /// Forward it, with this permit.
    Allow(Permit),
    /// Log in first.
    Login(LoginNeeded),
    /// Turn it away.
    Deny(Denial),
}

/// Proof that a request may take a route. Only [`judge`] makes one.
///
/// ```compile_fail,E0451
/// # fn forge(route: std::sync::Arc<menshen::request::route::Route>) {
/// let permit = menshen::request::policy::Permit {
///     route,
///     caller: menshen::request::gate::Caller::Nobody(menshen::request::gate::Why::Nobody),
/// };
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Permit {
    route: Arc<Route>,
    caller: Caller,
}

impl Permit {
    /// The way it permits.
    pub fn route(&self) -> &Arc<Route> {
        &self.route
    }

    /// To whom.
    pub fn caller(&self) -> &Caller {
        &self.caller
    }
}

/// Somebody must log in, and why.
#[derive(Clone, Debug)]
pub struct LoginNeeded {
    /// For which route.
    pub route: Arc<Route>,
    /// Why what they brought is not enough.
    pub why: Why,
}

/// Why a request is turned away.
#[derive(Clone, Debug)]
pub enum Denial {
    /// No route serves this host and path.
    NoRoute,
    /// Whoever is behind us might read the path as another route, or judge it otherwise.
    AmbiguousPath,
    /// A bearer token that does not prove what it says.
    BadToken {
        /// On which route.
        route: Arc<Route>,
        /// Whose it would have been, when that was found out.
        issuer: Option<IssuerId>,
        /// Why, for the log.
        why: Arc<Refusal>,
    },
    /// A bearer token that counts, but not for what the route asks.
    Scope {
        /// On which route.
        route: Arc<Route>,
        /// Whose.
        caller: Caller,
        /// What the route asks for, separated by spaces.
        needed: String,
    },
    /// A person's session and a program's token came at once.
    TwoCallers {
        /// On which route.
        route: Arc<Route>,
    },
    /// Whether a bearer token counts could not be found out.
    IssuerAway {
        /// On which route.
        route: Arc<Route>,
        /// Who was asked in vain.
        issuer: IssuerId,
    },
    /// The route's rule does not let this caller pass.
    Forbidden {
        /// On which route.
        route: Arc<Route>,
        /// Whom.
        caller: Caller,
        /// Why, for the log.
        because: Because,
    },
    /// Whether they may pass could not be found out.
    Unavailable {
        /// On which route.
        route: Arc<Route>,
    },
}

/// What made a rule deny.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Because {
    /// It said no.
    Rule,
    /// It could not be evaluated; that is never a yes.
    RuleFailed(String),
}

/// Decides whether a caller may take a route.
pub fn judge(route: &Arc<Route>, caller: Caller, head: &Head<'_>) -> Verdict {
    if route.preflight == Preflight::Pass && is_preflight(head) {
        let caller = Caller::Nobody(Why::Nobody);
        return Verdict::Allow(Permit {
            route: Arc::clone(route),
            caller,
        });
    }
    let why = match (&caller, route.access) {
        (_, Access::Public) => {
            return Verdict::Allow(Permit {
                route: Arc::clone(route),
                caller,
            });
        }
        (Caller::Nobody(why), _) => Some(*why),
        (Caller::Person(person), _) if !counts_on(route, person) => Some(Why::OtherConnector),
        (Caller::Person(_) | Caller::Program(_), _) => None,
    };
    match (why, route.access, &route.allow) {
        (Some(why), Access::SignedIn, _) => login(route, why),
        (None, _, None) => Verdict::Allow(Permit {
            route: Arc::clone(route),
            caller,
        }),
        (why, _, Some(_)) => {
            // Whoever does not count here is nobody to the rule, too.
            let seen = why.map_or(caller, Caller::Nobody);
            judge_by_rule(route, seen, head)
        }
        // A rule route without a rule cannot be configured; nobody passes it.
        (Some(why), _, None) => login(route, why),
    }
}

fn judge_by_rule(route: &Arc<Route>, caller: Caller, head: &Head<'_>) -> Verdict {
    let outcome = evaluate(route, &caller, head);
    match outcome {
        Ok(true) => Verdict::Allow(Permit {
            route: Arc::clone(route),
            caller,
        }),
        Err(RuleTrouble::Ambiguous) => Verdict::Deny(Denial::AmbiguousPath),
        Ok(false) | Err(RuleTrouble::Failed(_)) => match caller {
            Caller::Nobody(why) => login(route, why),
            Caller::Person(_) | Caller::Program(_) => {
                let because = match outcome {
                    Err(RuleTrouble::Failed(text)) => Because::RuleFailed(text),
                    _ => Because::Rule,
                };
                Verdict::Deny(Denial::Forbidden {
                    route: Arc::clone(route),
                    caller,
                    because,
                })
            }
        },
    }
}

enum RuleTrouble {
    /// Readings of the path are judged differently.
    Ambiguous,
    /// The rule erred.
    Failed(String),
}

/// Asks the rule, once for every reading of the path when it looks at the path.
fn evaluate(route: &Route, caller: &Caller, head: &Head<'_>) -> Result<bool, RuleTrouble> {
    let Some(rule) = &route.allow else {
        return Ok(false);
    };
    let failed = |error: crate::expression::EvalError| RuleTrouble::Failed(error.to_string());
    let sent = rule.test(&RequestFacts::new(caller, head, head.path.as_str()));
    if (head.path.is_plain() && !route.case_insensitive) || !rule.looks_at("request.path") {
        return sent.map_err(failed);
    }
    let first = sent.as_ref().ok().copied();
    for reading in head.path.readings(route.case_insensitive).iter().skip(1) {
        let text = String::from_utf8_lossy(reading);
        if rule.test(&RequestFacts::new(caller, head, &text)).ok() != first {
            return Err(RuleTrouble::Ambiguous);
        }
    }
    sent.map_err(failed)
}

fn login(route: &Arc<Route>, why: Why) -> Verdict {
    Verdict::Login(LoginNeeded {
        route: Arc::clone(route),
        why,
    })
}

fn counts_on(route: &Route, person: &crate::people::session::Person) -> bool {
    route.connectors.is_empty() || route.connectors.contains(&person.session.via)
}

/// A CORS preflight (Fetch standard): carries no credentials and asks what a request may do.
fn is_preflight(head: &Head<'_>) -> bool {
    head.method == http::Method::OPTIONS
        && head.headers.contains_key(http::header::ORIGIN)
        && head
            .headers
            .contains_key(http::header::ACCESS_CONTROL_REQUEST_METHOD)
}
