//! Problems as JSON for programs: `application/problem+json` (RFC 9457).

use http::header::{
    ACCESS_CONTROL_ALLOW_CREDENTIALS, ACCESS_CONTROL_ALLOW_ORIGIN, ORIGIN, VARY, WWW_AUTHENTICATE,
};
use http::{HeaderValue, Response, StatusCode};

use super::super::page::ProblemJson;
use super::super::{RequestContext, urls};
use super::text;
use crate::request::Body;
use crate::request::route::Demands;

/// A person must log in; `demands` names what the login must prove.
pub(in crate::face) fn login_needed(
    context: &RequestContext<'_>,
    reason: &str,
    demands: Option<&Demands>,
) -> Response<Body> {
    let title = "Sign in first";
    problem_json(
        context,
        StatusCode::UNAUTHORIZED,
        "login-needed",
        title,
        reason,
        demands,
    )
}

/// The challenge for a token whose authentication is too weak (RFC 9470 §3).
pub(super) fn step_up_challenge(demands: &Demands) -> Option<HeaderValue> {
    let mut text = "Bearer error=\"insufficient_user_authentication\"".to_owned();
    if !demands.acr_values.is_empty() {
        text.push_str(&format!(
            ", acr_values=\"{}\"",
            demands.acr_values.join(" ")
        ));
    }
    if let Some(max_age) = demands.max_age {
        text.push_str(&format!(", max_age=\"{}\"", max_age.as_secs()));
    }
    HeaderValue::from_str(&text).ok()
}

/// A problem; a 401 also names the URL where a person can log in.
pub(in crate::face) fn json_problem(
    context: &RequestContext<'_>,
    status: StatusCode,
    slug: &str,
    title: &str,
    detail: &str,
) -> Response<Body> {
    problem_json(context, status, slug, title, detail, None)
}

fn problem_json(
    context: &RequestContext<'_>,
    status: StatusCode,
    slug: &str,
    title: &str,
    detail: &str,
    demands: Option<&Demands>,
) -> Response<Body> {
    let login_url = (status == StatusCode::UNAUTHORIZED).then(|| urls::sign_in(context));
    let problem = ProblemJson {
        status: status.as_u16(),
        slug,
        title,
        detail,
        request_id: context.id.as_str(),
        login_url: login_url.as_deref(),
        acr_values: demands.map_or(&[], |demands| &demands.acr_values),
        max_age: demands.and_then(|demands| demands.max_age),
    };
    let mut response = text(status, ProblemJson::CONTENT_TYPE, problem.render());
    if status == StatusCode::UNAUTHORIZED {
        // RFC 9110 §15.5.2 requires a challenge. Browsers show no password dialog for this scheme.
        let challenge = HeaderValue::from_static("menshen");
        response.headers_mut().insert(WWW_AUTHENTICATE, challenge);
        response
            .headers_mut()
            .insert(VARY, HeaderValue::from_static("cookie"));
    }
    allow_cross_origin_read(context, &mut response);
    response
}

/// Lets a front end of an origin in `[login] origins` read the problem. Without CORS headers its
/// script cannot see the status, and so not that a login is needed. Own paths set their own headers.
fn allow_cross_origin_read(context: &RequestContext<'_>, response: &mut Response<Body>) {
    let site = context.site;
    if site.origins.is_empty() || site.routes.is_own_path(context.head.path.as_str()) {
        return;
    }
    let headers = response.headers_mut();
    headers.append(VARY, HeaderValue::from_static("origin"));
    let Some(origin) = context.head.headers.get(ORIGIN) else {
        return;
    };
    let mut configured = site.origins.iter().map(url::Origin::ascii_serialization);
    if configured.any(|configured| configured.as_bytes() == origin.as_bytes()) {
        headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
        headers.insert(
            ACCESS_CONTROL_ALLOW_CREDENTIALS,
            HeaderValue::from_static("true"),
        );
    }
}

/// A cross-site request to an endpoint that only own pages may use.
pub(in crate::face) fn foreign_origin(context: &RequestContext<'_>) -> Response<Body> {
    json_problem(
        context,
        StatusCode::FORBIDDEN,
        "foreign-origin",
        "Only from this site's own pages",
        "",
    )
}
