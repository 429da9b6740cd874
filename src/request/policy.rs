//! `judge()`: Route + Caller → Verdict. The only maker of a [`Permit`].

use std::borrow::Cow;
use std::sync::Arc;

use super::address::AddressError;
use super::bearer::{IssuerId, Program, Refusal};
use super::gate::{Caller, LoginReason};
use super::head::Head;
use super::request_kind::{RequestKind, request_kind};
use super::route::{Access, Preflight, Route};
use crate::clock::Timestamp;
use crate::expression::EvalError;
use crate::people::profile::AuthContext;
use crate::people::session::Person;
use crate::store::ConnectorId;

pub use facts::RequestFacts;
pub use path_text::path_text;

mod facts;
mod path_text;

/// What a decision says.
#[derive(Debug)]
pub enum Verdict {
    /// Forward it, with this permit.
    Allow(Permit),
    /// It may pass, but the person's source should be asked first who sits there. Where it cannot be
    /// asked, forward it with this permit.
    Reconfirm(Permit),
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
///     caller: menshen::request::gate::Caller::Anonymous(menshen::request::gate::LoginReason::NotSignedIn),
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

    /// What is said instead where what the route writes into the request took more work than is
    /// left: to be asked when everything is written.
    pub fn too_costly(&self, head: &Head<'_>) -> Option<Denial> {
        let route = &self.route;
        head.budget.is_spent().then(|| Denial::TooCostly {
            route: Arc::clone(route),
        })
    }

    /// The same after the person's source was asked, although it did not answer.
    pub fn asked_at(mut self, at: Timestamp) -> Self {
        if let Caller::Person(person) = &mut self.caller {
            person.confirmed_at = at;
            person.needs_new_cookie = true;
        }
        self
    }

    fn reload_is_due_for(&self, head: &Head<'_>) -> bool {
        match &self.caller {
            Caller::Person(person) => reload_is_due(&self.route, person, head),
            Caller::Anonymous(_) | Caller::Program(_) => false,
        }
    }
}

/// Somebody must log in, and why.
#[derive(Clone, Debug)]
pub struct LoginNeeded {
    /// For which route.
    pub route: Arc<Route>,
    /// LoginReason what they brought is not enough.
    pub why: LoginReason,
}

/// LoginReason a request is turned away.
#[derive(Clone, Debug)]
pub enum Denial {
    /// No route serves this host and path.
    NoRoute,
    /// Whoever is behind us might read the path as another route, or judge it otherwise.
    AmbiguousPath,
    /// The route's rule looks at the method, and this one is not in capitals: the application may
    /// take it for one that the rule does not let pass.
    Method {
        /// On which route.
        route: Arc<Route>,
    },
    /// The expressions of the route take more work for this request than one request may cost.
    TooCostly {
        /// On which route.
        route: Arc<Route>,
    },
    /// A bearer token that does not prove what it says.
    BadToken {
        /// On which route.
        route: Arc<Route>,
        /// Whose it would have been, when that was found out.
        issuer: Option<IssuerId>,
        /// LoginReason, for the log.
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
    IssuerUnavailable {
        /// On which route.
        route: Arc<Route>,
        /// Who was asked in vain.
        issuer: IssuerId,
    },
    /// A client brings more new bearer tokens than it may: this one was not looked at.
    TooManyTokens {
        /// On which route.
        route: Arc<Route>,
        /// Whose it would have been.
        issuer: IssuerId,
    },
    /// A bearer token whose person proved themselves less than the route demands.
    WeakToken {
        /// On which route.
        route: Arc<Route>,
    },
    /// The route's rule does not let this caller pass.
    Forbidden {
        /// On which route.
        route: Arc<Route>,
        /// Whom.
        caller: Caller,
        /// LoginReason, for the log.
        because: ForbiddenReason,
    },
    /// The request names another address besides its own, and that is not one it may name.
    Address {
        /// On which route.
        route: Arc<Route>,
        /// LoginReason.
        why: AddressError,
    },
    /// Another proxy asks and did not tell what the decision needs.
    Incomplete {
        /// On which route; several may have been meant.
        route: Option<Arc<Route>>,
        /// What, as rules call it.
        what: &'static str,
    },
    /// Whether they may pass could not be found out.
    Unavailable {
        /// On which route.
        route: Arc<Route>,
    },
}

/// What made a rule deny.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ForbiddenReason {
    /// It said no.
    Rule,
    /// It could not be evaluated; that is never a yes.
    RuleFailed(String),
}

/// Whoever came through a connector that does not count on a public route is nobody there: their
/// name and their provider's tokens are not for its application. The same holds on a public path for
/// whoever the route asks to prove more.
fn effective_caller(route: &Route, caller: Caller, head: &Head<'_>) -> Caller {
    let Caller::Person(person) = &caller else {
        return caller;
    };
    let session = &person.session;
    if !route.connectors.is_empty() && !route.connectors.contains(&session.via) {
        return Caller::Anonymous(LoginReason::OtherConnector);
    }
    let at = session.minted_at;
    match shortfall(route, &session.via, &session.auth_context, at, head.at) {
        Some(why) => Caller::Anonymous(why),
        None => caller,
    }
}

/// Decides whether a caller may take a route.
pub fn judge(route: &Arc<Route>, caller: Caller, head: &Head<'_>) -> Verdict {
    if route.preflight == Preflight::Pass && is_preflight(head) {
        let caller = Caller::Anonymous(LoginReason::NotSignedIn);
        return Verdict::Allow(Permit {
            route: Arc::clone(route),
            caller,
        });
    }
    if route.is_public(head) {
        return Verdict::Allow(Permit {
            route: Arc::clone(route),
            caller: effective_caller(route, caller, head),
        });
    }
    let why = match &caller {
        Caller::Anonymous(why) => Some(*why),
        Caller::Person(person) => {
            let session = &person.session;
            let at = session.minted_at;
            shortfall(route, &session.via, &session.auth_context, at, head.at)
        }
        Caller::Program(program) if is_proof_too_weak(route, program, head.at) => {
            return Verdict::Deny(Denial::WeakToken {
                route: Arc::clone(route),
            });
        }
        Caller::Program(_) => None,
    };
    let verdict = match (why, route.access, &route.allow) {
        (Some(why), Access::SignedIn, _) => login(route, why),
        (None, _, None) => Verdict::Allow(Permit {
            route: Arc::clone(route),
            caller,
        }),
        (why, _, Some(_)) => {
            // Whoever does not count here is nobody to the rule, too.
            let seen = why.map_or(caller, Caller::Anonymous);
            judge_by_rule(route, seen, head)
        }
        // A rule route without a rule cannot be configured; nobody passes it.
        (Some(why), _, None) => login(route, why),
    };
    match verdict {
        Verdict::Allow(permit) if permit.reload_is_due_for(head) => Verdict::Reconfirm(permit),
        verdict => verdict,
    }
}

/// LoginReason somebody who came in through a connector with a proof is not enough for a route, if they are
/// not. A public route asks nothing.
pub fn shortfall(
    route: &Route,
    via: &ConnectorId,
    auth_context: &AuthContext,
    minted_at: Timestamp,
    now: Timestamp,
) -> Option<LoginReason> {
    if route.access == Access::Public {
        return None;
    }
    if !route.connectors.is_empty() && !route.connectors.contains(via) {
        return Some(LoginReason::OtherConnector);
    }
    let demands = route.demands.as_ref();
    let met = demands.is_none_or(|demands| demands.are_met(auth_context, Some(minted_at), now));
    (!met).then_some(LoginReason::StepUp)
}

/// Whether the source should be asked again before a person goes on to a page of this route.
pub fn reload_is_due(route: &Route, person: &Person, head: &Head<'_>) -> bool {
    let Some(demands) = &route.demands else {
        return false;
    };
    // Whoever brings a token has no browser that could go and ask.
    if person.token.is_some() {
        return false;
    }
    let in_frame = match (head.method, request_kind(head)) {
        (&http::Method::GET, RequestKind::Navigation) => false,
        (&http::Method::GET, RequestKind::Embedded) => true,
        (_, _) => return false,
    };
    !route.is_public(head) && demands.reload_is_due(person, in_frame, head.at)
}

fn is_proof_too_weak(route: &Route, program: &Program, now: Timestamp) -> bool {
    let demands = route.demands.as_ref();
    demands.is_some_and(|demands| !demands.are_met(&program.auth_context, None, now))
}

fn judge_by_rule(route: &Arc<Route>, caller: Caller, head: &Head<'_>) -> Verdict {
    let outcome = evaluate(route, &caller, head);
    match outcome {
        Ok(true) => Verdict::Allow(Permit {
            route: Arc::clone(route),
            caller,
        }),
        Err(RuleError::Ambiguous) => Verdict::Deny(Denial::AmbiguousPath),
        Err(RuleError::Method) => Verdict::Deny(Denial::Method {
            route: Arc::clone(route),
        }),
        Err(RuleError::TooCostly) => Verdict::Deny(Denial::TooCostly {
            route: Arc::clone(route),
        }),
        Err(RuleError::Incomplete(what)) => Verdict::Deny(Denial::Incomplete {
            route: Some(Arc::clone(route)),
            what,
        }),
        Ok(false) | Err(RuleError::Failed(_)) => match caller {
            Caller::Anonymous(why) => login(route, why),
            Caller::Person(_) | Caller::Program(_) => {
                let because = match outcome {
                    Err(RuleError::Failed(text)) => ForbiddenReason::RuleFailed(text),
                    _ => ForbiddenReason::Rule,
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

enum RuleError {
    /// Readings of the path are judged differently, or one is no text that the rule could judge.
    Ambiguous,
    /// The rule looks at the method, which is not in capitals.
    Method,
    /// The rule, asked for every reading of the path, costs too much.
    TooCostly,
    /// The rule looks at something that was not told.
    Incomplete(&'static str),
    /// The rule erred.
    Failed(String),
}

/// Asks the rule, once for every reading of the path when it looks at the path.
fn evaluate(route: &Route, caller: &Caller, head: &Head<'_>) -> Result<bool, RuleError> {
    let Some(rule) = &route.allow else {
        return Ok(false);
    };
    // Before anything is evaluated: to a rule, what was not told would be missing, and it may ask
    // whether something is.
    let unknown = ["path", "method", "ip"];
    let asks =
        |name: &&&str| head.unknown.hides_variable(name) && rule.reads(&format!("request.{name}"));
    if head.unknown.any()
        && let Some(what) = unknown.iter().find(asks)
    {
        return Err(RuleError::Incomplete(what));
    }
    if !head.has_capital_method() && rule.reads("request.method") {
        return Err(RuleError::Method);
    }
    let test = |path: &str| rule.evaluate_bool(&RequestFacts::new(caller, head, path));
    let looks = rule.reads("request.path");
    let raw = head.path.as_str();
    let text_sent = match looks && !head.path.is_plain() {
        true => path_text(rule, raw.as_bytes()).ok_or(RuleError::Ambiguous)?,
        false => Cow::Borrowed(raw),
    };
    let sent = test(&text_sent);
    if looks && (!head.path.is_plain() || route.case_insensitive) {
        let first = sent.as_ref().ok().copied();
        let readings = route.readings(&head.path, route.case_insensitive);
        let readings = readings.map_err(|_| RuleError::Ambiguous)?;
        for reading in readings.iter().skip(1) {
            let text = path_text(rule, reading).ok_or(RuleError::Ambiguous)?;
            if text == text_sent {
                continue;
            }
            let said = test(&text);
            if said == Err(EvalError::BudgetExceeded) {
                return Err(RuleError::TooCostly);
            }
            if said.ok() != first {
                return Err(RuleError::Ambiguous);
            }
        }
    }
    sent.map_err(|error| match error {
        EvalError::BudgetExceeded => RuleError::TooCostly,
        error => RuleError::Failed(error.to_string()),
    })
}

fn login(route: &Arc<Route>, why: LoginReason) -> Verdict {
    Verdict::Login(LoginNeeded {
        route: Arc::clone(route),
        why,
    })
}

/// A CORS preflight (Fetch standard): carries no credentials and asks what a request may do.
pub(super) fn is_preflight(head: &Head<'_>) -> bool {
    head.method == http::Method::OPTIONS
        && head.headers.contains_key(http::header::ORIGIN)
        && head
            .headers
            .contains_key(http::header::ACCESS_CONTROL_REQUEST_METHOD)
}

#[cfg(test)]
mod tests;
