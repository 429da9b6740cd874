//! What a stranger in front of an application is offered: a login for people, 401 for programs.

use http::StatusCode;

use super::super::navigation::{Errand, errand};
use super::super::page::{Cause, Footing, FragmentPage, Href};
use super::super::record::Told;
use super::super::{Visit, reply};
use super::{QUERY_VALUE, Target, begin};
use crate::login::return_to::ReturnTo;
use crate::login::ticket::{NONCE_AGE_MAX_S, Nonce};
use crate::request::gate::Why;
use crate::request::policy::LoginNeeded;
use http::Method;
use percent_encoding::utf8_percent_encode;

/// Offers a login, or says 401. Only a person going somewhere is ever sent anywhere.
pub(in crate::face) async fn offer(visit: &Visit<'_>, needed: &LoginNeeded) -> Told {
    let reason = match needed.why {
        Why::Nobody => "nobody",
        Why::Expired => "expired",
        Why::OtherConnector => "other connector",
        Why::StepUp => "step up",
    };
    let response = match errand(visit.head) {
        Errand::Program => {
            let title = "Sign in first";
            reply::json_problem(
                visit,
                StatusCode::UNAUTHORIZED,
                "login-needed",
                title,
                reason,
            )
        }
        Errand::Embedded => {
            reply::problem(visit, Cause::FrameLogin, Some(Href::new(login_url(visit))))
        }
        // HEAD starts nothing: it is told where a GET would go.
        Errand::Navigation if visit.head.method == Method::HEAD => {
            reply::redirect(&login_url(visit))
        }
        Errand::Navigation if needed.route.keep_fragment => by_fragment(visit),
        Errand::Navigation if visit.site.is_home(visit.head) => {
            let here = ReturnTo::parse(&target(visit), visit.site);
            let target = Target {
                return_to: here,
                ticket_for: None,
            };
            begin::automatic(visit, &target, needed).await
        }
        Errand::Navigation => elsewhere(visit, "start"),
    };
    Told::login(reason, &needed.route, response)
}

/// Sends a stranger on another host to the host that logs people in, with a nonce for the way back.
pub(super) fn elsewhere(visit: &Visit<'_>, page: &str) -> http::Response<crate::request::Body> {
    let (to, cookie) = home_url(visit, page, &here(visit));
    let mut response = reply::redirect(&to);
    if let Some(cookie) = cookie {
        reply::add_cookie(&mut response, &cookie);
    }
    response
}

/// The same for a place on this host that was asked for by name.
pub(super) fn elsewhere_to(
    visit: &Visit<'_>,
    page: &str,
    place: &str,
) -> http::Response<crate::request::Body> {
    let (to, cookie) = home_url(visit, page, &format!("{}{place}", visit.head.origin()));
    let mut response = reply::redirect(&to);
    if let Some(cookie) = cookie {
        reply::add_cookie(&mut response, &cookie);
    }
    response
}

/// An own page on the host that logs people in, and the nonce cookie that its ticket must name.
fn home_url(visit: &Visit<'_>, page: &str, rd: &str) -> (String, Option<String>) {
    let site = visit.site;
    let mut to = format!(
        "{}?rd={}",
        own(visit, page),
        utf8_percent_encode(rd, QUERY_VALUE)
    );
    if site.is_home(visit.head) || site.shares_cookie(visit.head.host.as_str()) {
        return (to, None);
    }
    let nonce = Nonce::random();
    to.push_str("&k=");
    to.push_str(nonce.hash().as_str());
    let name = format!("{}{}", site.cookies.nonce_prefix(), nonce.hash().as_str());
    (
        to,
        Some(
            site.cookies
                .set_local(&name, nonce.expose(), NONCE_AGE_MAX_S),
        ),
    )
}

/// The stop that carries the fragment of the address along.
fn by_fragment(visit: &Visit<'_>) -> http::Response<crate::request::Body> {
    let (start, cookie) = home_url(visit, "start", &here(visit));
    let site = visit.head.host.to_string();
    let page = FragmentPage {
        footing: Footing {
            site: &site,
            request_id: visit.id.as_str(),
        },
        start: Href::new(start),
        script: Href::new(format!("{}/fragment.js", visit.site.prefix)),
    };
    let mut response = reply::page_response(StatusCode::OK, &page.render(visit.lang));
    if let Some(cookie) = cookie {
        reply::add_cookie(&mut response, &cookie);
    }
    response
}

/// Where a person can log in and come back to what they asked for, absolute.
pub(in crate::face) fn login_url(visit: &Visit<'_>) -> String {
    // A POST cannot be asked for again: its person comes back to where they came from, or home.
    let reads = matches!(*visit.head.method, Method::GET | Method::HEAD);
    let program = errand(visit.head) == Errand::Program;
    let rd = if reads && !program {
        here(visit)
    } else {
        format!("{}/", visit.head.origin())
    };
    format!(
        "{}/sign_in?rd={}",
        own_here(visit),
        utf8_percent_encode(&rd, QUERY_VALUE)
    )
}

/// Where somebody who may not go here posts to become somebody else: signed out first.
pub(in crate::face) fn switch_url(visit: &Visit<'_>) -> String {
    let rd = target(visit);
    format!(
        "{}/sign_out?rd={}",
        visit.site.prefix,
        utf8_percent_encode(&rd, QUERY_VALUE)
    )
}

/// An own page on the host that logs people in.
pub(super) fn own(visit: &Visit<'_>, page: &str) -> String {
    let site = visit.site;
    format!(
        "{}{}/{page}",
        site.external_url.origin().ascii_serialization(),
        site.prefix
    )
}

/// What was asked for, byte for byte: path and query.
fn target(visit: &Visit<'_>) -> String {
    match visit.head.path.query() {
        Some(query) => format!("{}?{query}", visit.head.path.as_str()),
        None => visit.head.path.as_str().to_owned(),
    }
}

/// The same with scheme and host.
fn here(visit: &Visit<'_>) -> String {
    format!("{}{}", visit.head.origin(), target(visit))
}

/// The own paths of the host that was asked.
fn own_here(visit: &Visit<'_>) -> String {
    format!("{}{}", visit.head.origin(), visit.site.prefix)
}
