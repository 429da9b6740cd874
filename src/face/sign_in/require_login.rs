//! The response to an unauthenticated request for an application: a redirect to the login for
//! navigations, else 401.

use http::Method;

use super::super::browser::{RequestKind, loads_in_frame, request_kind};
use super::super::page::{Cause, Href};
use super::super::record::LoggedResponse;
use super::super::{RequestContext, reply, urls};
use super::{LoginTarget, begin, cross_host, frame};
use crate::login::return_to::ReturnTo;
use crate::request::gate::LoginReason;
use crate::request::policy::LoginNeeded;

/// Redirects a navigation to the login, and refuses any other request with 401.
pub(in crate::face) async fn require_login(
    context: &RequestContext<'_>,
    needed: &LoginNeeded,
) -> LoggedResponse {
    let reason = needed.why.as_str();
    let response = match request_kind(context.head) {
        RequestKind::Fetch | RequestKind::Embedded => return unauthorized(context, needed),
        // HEAD begins no login; it gets a redirect to the sign-in page.
        RequestKind::Navigation if context.head.method == Method::HEAD => {
            reply::redirect(&urls::sign_in(context))
        }
        RequestKind::Navigation if needed.route.keep_fragment => cross_host::fragment_page(context),
        RequestKind::Navigation if context.site.is_login_host(context.head) => {
            let return_to = ReturnTo::parse(&urls::requested_target(context.head), context.site);
            let target = LoginTarget {
                return_to,
                ..LoginTarget::default()
            };
            begin::begin_or_choose(context, &target, needed).await
        }
        RequestKind::Navigation => cross_host::redirect_application_request(context, "start"),
    };
    LoggedResponse::login_needed(reason, &needed.route, response)
}

/// Refuses with 401 and without a redirect: JSON for programs; a page for people, in a frame or
/// after a form post.
pub(in crate::face) fn unauthorized(
    context: &RequestContext<'_>,
    needed: &LoginNeeded,
) -> LoggedResponse {
    let reason = needed.why.as_str();
    let is_page = request_kind(context.head) == RequestKind::Embedded;
    let response = if is_page && frame::accepts_ticket(context) {
        frame::application_page(context)
    } else if is_page {
        let is_read = matches!(*context.head.method, Method::GET | Method::HEAD);
        let cause = match is_read || loads_in_frame(context.head) {
            true => Cause::FrameNeedsLogin,
            false => Cause::FormNeedsLogin,
        };
        let login_url = Href::new(urls::sign_in(context));
        reply::problem(context, cause, Some(login_url))
    } else {
        let demands = needed.route.demands.as_deref();
        let demands = demands.filter(|_| needed.why == LoginReason::StepUp);
        let mut response = reply::login_needed(context, reason, demands);
        if needed.route.access_tokens {
            reply::offer_access_token(context, &mut response);
        }
        if !needed.route.issuers.is_empty() {
            reply::offer_bearer(context, &mut response);
        }
        response
    };
    LoggedResponse::login_needed(reason, &needed.route, response)
}
