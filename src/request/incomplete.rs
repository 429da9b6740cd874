//! Decides a request whose scheme or path the asking proxy did not pass on. If the missing part
//! could change the verdict, the request is denied as incomplete.

use std::sync::Arc;

use super::gate::Gate;
use super::head::Head;
use super::on_route::identify_and_judge;
use super::policy::{Denial, Verdict};
use super::route::{HeaderRules, Route, RouteMatch, Routes};

/// Finds the route when the scheme, and with it the default port, is unknown: port 80 and port 443
/// must lead to the same route.
pub(super) fn find_on_both_ports<'a>(
    routes: &'a Routes,
    head: &Head<'_>,
) -> Result<RouteMatch<'a>, &'static str> {
    let find_on = |port| routes.find(&head.host, port, &head.path);
    let Some(port) = head.port else {
        let (on_80, on_443) = (find_on(80), find_on(443));
        return on_80
            .is_same_match(&on_443)
            .then_some(on_80)
            .ok_or("scheme");
    };
    Ok(find_on(port))
}

/// Decides when the path is unknown: every route of the host must give the same verdict, and one of
/// them must cover every path.
pub(super) async fn decide_on_all_routes(routes: &Routes, gate: &Gate, head: &Head<'_>) -> Verdict {
    let incomplete = |what| Verdict::Deny(Denial::Incomplete { route: None, what });
    let routes_on = |port| routes.of_host(&head.host, port).collect::<Vec<_>>();
    let candidates = match (head.port, head.unknown.scheme) {
        (None, true) => {
            let (on_80, on_443) = (routes_on(80), routes_on(443));
            let is_same = |(a, b): (&&Arc<Route>, &&Arc<Route>)| Arc::ptr_eq(a, b);
            if on_80.len() != on_443.len() || !on_80.iter().zip(&on_443).all(is_same) {
                return incomplete("scheme");
            }
            on_80
        }
        _ => routes_on(head.effective_port()),
    };
    // Routes are sorted by path length, the shortest last.
    let Some(catch_all) = candidates.last() else {
        return Verdict::Deny(Denial::NoRoute);
    };
    if catch_all.path.as_str() != "/" {
        return incomplete("path");
    }
    let verdict = identify_and_judge(catch_all, gate, head).await;
    for route in candidates.iter().rev().skip(1) {
        if !are_equivalent(&verdict, &identify_and_judge(route, gate, head).await) {
            return incomplete("path");
        }
    }
    verdict
}

/// Whether two verdicts have the same effect for the client and the application.
fn are_equivalent(one: &Verdict, other: &Verdict) -> bool {
    match (one, other) {
        (Verdict::Allow(one), Verdict::Allow(other)) => {
            // A caller may be identified on one route and anonymous on the other.
            if std::mem::discriminant(one.caller()) != std::mem::discriminant(other.caller()) {
                return false;
            }
            let (one, other) = (&one.route().headers, &other.route().headers);
            one.encoding == other.encoding && sends_identity_only(one) && sends_identity_only(other)
        }
        (Verdict::Login(one), Verdict::Login(other)) => one.why == other.why,
        (Verdict::Deny(one), Verdict::Deny(other)) => {
            std::mem::discriminant(one) == std::mem::discriminant(other)
        }
        (Verdict::Allow(_) | Verdict::Reconfirm(_) | Verdict::Login(_) | Verdict::Deny(_), _) => {
            false
        }
    }
}

/// Whether a route sends the application the identity headers and no custom headers, tokens or
/// assertion.
fn sends_identity_only(rules: &HeaderRules) -> bool {
    rules.custom.is_empty()
        && rules.basic_auth.is_none()
        && rules.assertion.is_none()
        && !rules.access_token
        && !rules.id_token
}
