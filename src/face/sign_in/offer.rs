//! What a stranger in front of an application is offered: a login for people, 401 for programs.

use http::Method;

use super::super::navigation::{Errand, errand, in_frame};
use super::super::page::{Cause, Href};
use super::super::record::Told;
use super::super::{Visit, address, reply};
use super::{Target, elsewhere, frame, opening};
use crate::login::return_to::ReturnTo;
use crate::request::gate::Why;
use crate::request::policy::LoginNeeded;

/// Offers a login, or says 401. Only a person going somewhere is ever sent anywhere.
pub(in crate::face) async fn offer(visit: &Visit<'_>, needed: &LoginNeeded) -> Told {
    let reason = needed.why.word();
    let response = match errand(visit.head) {
        Errand::Program | Errand::Embedded => return self::needed(visit, needed),
        // HEAD starts nothing: it is told where a GET would go.
        Errand::Navigation if visit.head.method == Method::HEAD => {
            reply::redirect(&address::login(visit))
        }
        Errand::Navigation if needed.route.keep_fragment => elsewhere::by_fragment(visit),
        Errand::Navigation if visit.site.is_home(visit.head) => {
            let here = ReturnTo::parse(&address::target(visit.head), visit.site);
            let target = Target {
                return_to: here,
                ..Target::default()
            };
            opening::automatic(visit, &target, needed).await
        }
        Errand::Navigation => elsewhere::send(visit, "start"),
    };
    Told::login(reason, &needed.route, response)
}

/// Says 401, and leads nobody anywhere: to programs in JSON, to people with a page that stays: in a
/// frame, or where a form can be sent again.
pub(in crate::face) fn needed(visit: &Visit<'_>, needed: &LoginNeeded) -> Told {
    let reason = needed.why.word();
    let is_page = errand(visit.head) == Errand::Embedded;
    let response = if is_page && frame::takes_tickets(visit) {
        frame::at_application(visit)
    } else if is_page {
        let reads = matches!(*visit.head.method, Method::GET | Method::HEAD);
        let cause = match reads || in_frame(visit.head) {
            true => Cause::FrameLogin,
            false => Cause::FormLogin,
        };
        let out = Href::new(address::login(visit));
        reply::problem(visit, cause, Some(out))
    } else {
        let demands = needed.route.demands.as_deref();
        let demands = demands.filter(|_| needed.why == Why::StepUp);
        let mut response = reply::login_needed(visit, reason, demands);
        if !needed.route.issuers.is_empty() {
            reply::invite(visit, &mut response);
        }
        response
    };
    Told::login(reason, &needed.route, response)
}
