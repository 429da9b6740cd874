//! [`judge`] decides whether a caller may use a route. It alone creates a [`Permit`].

use std::sync::Arc;

use super::access_token::AccessTokenError;
use super::bearer::VerifiedToken;
use super::gate::{Caller, LoginReason};
use super::head::Head;
use super::request_kind::{RequestKind, request_kind};
use super::route::{Access, Demands, Preflight, Route};
use crate::clock::Timestamp;
use crate::people::profile::AuthContext;
use crate::people::session::{Person, Session};
use crate::store::ConnectorId;

pub use denial::{Denial, ForbiddenReason};
pub use path_text::path_text;
pub use request_variables::RequestVariables;
use rule::{RuleError, evaluate};

mod denial;
mod path_text;
mod request_variables;
mod rule;

/// The decision on a request.
#[derive(Debug)]
pub enum Verdict {
    /// The request may pass.
    Allow(Permit),
    /// The request may pass, but the person's source should first confirm who is signed in there. If
    /// the source cannot be asked, it may pass at once.
    Reconfirm(Permit),
    Login(LoginNeeded),
    Deny(Denial),
}

/// Proof that a caller may use a route. Only [`judge`] creates one.
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
    pub fn route(&self) -> &Arc<Route> {
        &self.route
    }

    pub fn caller(&self) -> &Caller {
        &self.caller
    }

    /// The denial of a request whose custom headers exceed the evaluation budget. Call it after all headers
    /// are computed.
    pub fn denial_if_too_costly(&self, head: &Head<'_>) -> Option<Denial> {
        let route = &self.route;
        head.budget.is_spent().then(|| Denial::TooCostly {
            route: Arc::clone(route),
        })
    }

    /// The permit of a request whose source was asked at this time to confirm the person and did not answer.
    /// The next confirmation is due as if it had answered.
    pub fn without_reconfirmation(mut self, asked_at: Timestamp) -> Self {
        if let Caller::Person(person) = &mut self.caller {
            person.confirmed_at = asked_at;
            person.needs_new_cookie = true;
        }
        self
    }

    fn reconfirmation_is_due_for(&self, head: &Head<'_>) -> bool {
        match &self.caller {
            Caller::Person(person) => reconfirmation_is_due(&self.route, person, head),
            Caller::Anonymous(_) | Caller::Program(_) => false,
        }
    }
}

/// The route that needs a login, and why.
#[derive(Clone, Debug)]
pub struct LoginNeeded {
    pub route: Arc<Route>,
    pub why: LoginReason,
}

/// The caller on a public route or path. A person is anonymous there if the route does not accept their
/// connector, because their name and their provider's tokens are not for its application; on a public path
/// also if their authentication does not meet the demands of the route.
fn caller_on_public_path(route: &Route, caller: Caller, head: &Head<'_>) -> Caller {
    let Caller::Person(person) = &caller else {
        return caller;
    };
    let session = &person.session;
    if !route.connectors.is_empty() && !route.connectors.contains(&session.via) {
        return Caller::Anonymous(LoginReason::OtherConnector);
    }
    if person.access_token.is_some() {
        return match access_token_refusal(route, person) {
            Some(_) => Caller::Anonymous(LoginReason::StepUp),
            None => caller,
        };
    }
    match session_unmet_demand(route, session, head.received_at) {
        Some(why) => Caller::Anonymous(why),
        None => caller,
    }
}

/// Decides whether a caller may use a route.
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
            caller: caller_on_public_path(route, caller, head),
        });
    }
    let why = match &caller {
        Caller::Anonymous(why) => Some(*why),
        Caller::Person(person) if person.access_token.is_some() => {
            if let Some(why) = access_token_refusal(route, person) {
                let route = Arc::clone(route);
                return Verdict::Deny(Denial::AccessToken { route, why });
            }
            None
        }
        Caller::Person(person) => session_unmet_demand(route, &person.session, head.received_at),
        Caller::Program(program)
            if is_authentication_too_weak(route, program, head.received_at) =>
        {
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
            // A caller that the route does not accept is anonymous to its rule.
            let caller = why.map_or(caller, Caller::Anonymous);
            judge_by_rule(route, caller, head)
        }
        // The configuration cannot express `Access::Rule` without a rule; such a route admits nobody.
        (Some(why), _, None) => login(route, why),
    };
    match verdict {
        Verdict::Allow(permit) if permit.reconfirmation_is_due_for(head) => {
            Verdict::Reconfirm(permit)
        }
        verdict => verdict,
    }
}

/// Why a route does not accept a valid access token. A token proves no login, so it meets no demand on one.
fn access_token_refusal(route: &Route, person: &Person) -> Option<AccessTokenError> {
    let via = &person.session.via;
    if !route.connectors.is_empty() && !route.connectors.contains(via) {
        return Some(AccessTokenError::OtherConnector);
    }
    let demands = route.demands.as_deref();
    demands
        .is_some_and(Demands::concern_the_login)
        .then_some(AccessTokenError::LoginDemanded)
}

/// Why a session does not meet the demands of a route, if it does not. A public route has none.
pub fn unmet_demand(
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
    let are_met = demands.is_none_or(|demands| demands.are_met(auth_context, Some(minted_at), now));
    (!are_met).then_some(LoginReason::StepUp)
}

/// Why this session does not meet the demands of a route, as [`unmet_demand`].
pub fn session_unmet_demand(
    route: &Route,
    session: &Session,
    now: Timestamp,
) -> Option<LoginReason> {
    unmet_demand(
        route,
        &session.via,
        &session.auth_context,
        session.minted_at,
        now,
    )
}

/// Whether the source should confirm who is signed in before this page load continues.
pub fn reconfirmation_is_due(route: &Route, person: &Person, head: &Head<'_>) -> bool {
    let Some(demands) = &route.demands else {
        return false;
    };
    // A client with a token has no browser that could ask the source.
    if person.bearer_token.is_some() || person.access_token.is_some() {
        return false;
    }
    let in_frame = match (head.method, request_kind(head)) {
        (&http::Method::GET, RequestKind::Navigation) => false,
        (&http::Method::GET, RequestKind::Embedded) => true,
        (_, _) => return false,
    };
    !route.is_public(head) && demands.reconfirmation_is_due(person, in_frame, head.received_at)
}

fn is_authentication_too_weak(route: &Route, program: &VerifiedToken, now: Timestamp) -> bool {
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
                let reason = match outcome {
                    Err(RuleError::Failed(text)) => ForbiddenReason::RuleFailed(text),
                    _ => ForbiddenReason::Rule,
                };
                Verdict::Deny(Denial::Forbidden {
                    route: Arc::clone(route),
                    caller,
                    reason,
                })
            }
        },
    }
}

fn login(route: &Arc<Route>, why: LoginReason) -> Verdict {
    Verdict::Login(LoginNeeded {
        route: Arc::clone(route),
        why,
    })
}

/// Whether this is a CORS preflight (Fetch standard), which carries no credentials.
pub(super) fn is_preflight(head: &Head<'_>) -> bool {
    head.method == http::Method::OPTIONS
        && head.headers.contains_key(http::header::ORIGIN)
        && head
            .headers
            .contains_key(http::header::ACCESS_CONTROL_REQUEST_METHOD)
}

#[cfg(test)]
mod tests;
