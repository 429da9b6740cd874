//! `/console/sign_in` and `/console/sign_out`.

use askama::Template;
use http::header::RETRY_AFTER;
use http::{HeaderValue, Response, StatusCode};
use percent_encoding::utf8_percent_encode;

use super::form::Form;
use super::layout::Frame;
use super::notice::Notice;
use super::request::ConsoleRequest;
use super::visitor::{self, Found, Refused};
use super::{Console, PATH, PageContext, audit, cookies, response, texts};
use crate::face::admin::who;
use crate::face::urls::QUERY_VALUE;
use crate::login::administrator::{AdministratorAttempt, AdministratorLoginError};
use crate::login::limits::Limited;
use crate::request::Body;
use crate::site::{Console as ConsoleSettings, Site};
use crate::store::Administrator;
use crate::telemetry::{AuditRecord, error_chain};
use crate::wording::Text;

/// The reasons in audit records.
const SIGNED_IN: Text = Text::fixed("signed in with a password", "用密码登录");
const SIGNED_OUT: Text = Text::fixed("signed out", "退出");

#[derive(Template)]
#[template(path = "console/sign_in.html")]
struct SignInPage<'a> {
    frame: Frame<'a>,
    is_local: bool,
    /// Where people sign in with their login.
    person_href: Option<String>,
    post_to: String,
    /// The name that was sent before.
    name: &'a str,
    problem: Option<&'a str>,
}

#[derive(Template)]
#[template(path = "console/refused.html")]
struct RefusedPage<'a> {
    frame: Frame<'a>,
    name: &'a str,
    csrf_token: &'a str,
}

/// The page of the console to which a sign-in returns: the parameter `to`, or the overview.
pub(super) fn return_path<'a>(request: &'a ConsoleRequest<'_>) -> &'a str {
    let to = request.parameter("to").unwrap_or_default();
    match to
        .strip_prefix(PATH)
        .is_some_and(|rest| rest.starts_with('/'))
    {
        true => to,
        false => "/console/",
    }
}

/// `?to=` with the page that was requested.
fn with_return_path(path: &str, to: &str) -> String {
    format!("{PATH}{path}?to={}", utf8_percent_encode(to, QUERY_VALUE))
}

/// Sends somebody who is not signed in to the form or, if only people can sign in, to the login host.
pub(super) fn redirect(settings: &ConsoleSettings, request: &ConsoleRequest<'_>) -> Response<Body> {
    let requested = format!("{PATH}{}{}", request.path, request.query_with("lang", None));
    let path = match settings.local {
        true => "/sign_in",
        false => "/start",
    };
    response::redirect(&with_return_path(path, &requested))
}

/// Shows the form.
pub(super) async fn page(
    console: &Console,
    site: &Site,
    settings: &ConsoleSettings,
    request: &ConsoleRequest<'_>,
) -> Response<Body> {
    if let Found::Visitor(_) = visitor::find(console, site, settings, request).await {
        return response::redirect(return_path(request));
    }
    form_page(settings, request, StatusCode::OK, ("", None))
}

fn form_page(
    settings: &ConsoleSettings,
    request: &ConsoleRequest<'_>,
    status: StatusCode,
    (name, problem): (&str, Option<&str>),
) -> Response<Body> {
    let to = return_path(request);
    let page = SignInPage {
        frame: Frame::alone(request),
        is_local: settings.local,
        person_href: settings
            .admits_people()
            .then(|| with_return_path("/start", to)),
        post_to: with_return_path("/sign_in", to),
        name,
        problem,
    };
    response::page(request, status, &page)
}

/// Signs a local administrator in.
pub(super) async fn submit(
    console: &Console,
    site: &Site,
    settings: &ConsoleSettings,
    request: &ConsoleRequest<'_>,
    form: &Form,
) -> Response<Body> {
    let t = texts::of(request.lang);
    if !settings.local {
        let outcome = ("", Some(t.no_local_administrators));
        return form_page(settings, request, StatusCode::FORBIDDEN, outcome);
    }
    let name = form.value("name").unwrap_or_default();
    let password = form.raw("password").unwrap_or_default();
    let sent = AdministratorAttempt {
        name,
        password,
        address: request.head.client_ip,
        client: request.head.client_for_limits(),
        browser_cookie: cookies::browser(request),
    };
    match console.logins.sign_in(&site.ring, sent).await {
        Ok(administrator) => {
            let mut response = begin(console, site, settings, request, &administrator).await;
            let cookie = console.logins.browser_cookie(&site.ring, &administrator);
            cookies::set_browser(&mut response, request, &cookie);
            response
        }
        Err(error) => not_signed_in(console, settings, request, name, &error),
    }
}

/// Shows the form again, and records why nobody is signed in.
fn not_signed_in(
    console: &Console,
    settings: &ConsoleSettings,
    request: &ConsoleRequest<'_>,
    name: &str,
    error: &AdministratorLoginError,
) -> Response<Body> {
    let t = texts::of(request.lang);
    let (status, problem) = match error {
        AdministratorLoginError::Wrong { .. } => (StatusCode::UNAUTHORIZED, t.wrong_password),
        AdministratorLoginError::TooManyWrong(_) => {
            (StatusCode::TOO_MANY_REQUESTS, t.too_many_wrong)
        }
        AdministratorLoginError::Busy(_)
        | AdministratorLoginError::Store(_)
        | AdministratorLoginError::DamagedHash(_) => {
            (StatusCode::SERVICE_UNAVAILABLE, t.password_unchecked)
        }
    };
    let telemetry = &console.live.services().telemetry;
    let reason = Text::of(error);
    match error {
        AdministratorLoginError::Wrong { name } => {
            let by = name.as_ref().map(who::local_administrator);
            telemetry.audit_anonymous(&AuditRecord {
                by: by.as_deref(),
                ..audit::of_visit(request, &reason)
            });
        }
        AdministratorLoginError::TooManyWrong(_) => {
            telemetry.audit_anonymous(&audit::of_visit(request, &reason));
        }
        AdministratorLoginError::Busy(_)
        | AdministratorLoginError::Store(_)
        | AdministratorLoginError::DamagedHash(_) => {
            tracing::error!(error = %error_chain(error), "an administrator could not sign in");
        }
    }
    let mut response = form_page(settings, request, status, (name, Some(problem)));
    if let AdministratorLoginError::TooManyWrong(Limited::WrongPasswords {
        retry_after_s, ..
    }) = error
    {
        let retry_after = HeaderValue::from(*retry_after_s);
        response.headers_mut().insert(RETRY_AFTER, retry_after);
    }
    response
}

/// Begins the session of an administrator, always with a new ID.
async fn begin(
    console: &Console,
    site: &Site,
    settings: &ConsoleSettings,
    request: &ConsoleRequest<'_>,
    administrator: &Administrator,
) -> Response<Body> {
    end_former_session(console, site, request).await;
    let sessions = &console.sessions;
    let begun = sessions.begin_for_administrator(&site.ring, administrator, settings.lifetime);
    let secret = match begun.await {
        Ok(secret) => secret,
        Err(error) => {
            tracing::error!(error = %error_chain(&error), "a session of the console could not be stored");
            return response::unavailable(request);
        }
    };
    console.live.services().telemetry.audit(&AuditRecord {
        by: Some(&who::local_administrator(&administrator.name)),
        ..audit::of_visit(request, &SIGNED_IN)
    });
    let mut response = response::redirect(return_path(request));
    let age_s = i64::try_from(settings.lifetime.as_secs()).unwrap_or(i64::MAX);
    cookies::set_session(&mut response, request, &secret, age_s);
    response
}

/// Ends the session of the browser before another one begins.
pub(super) async fn end_former_session(
    console: &Console,
    site: &Site,
    request: &ConsoleRequest<'_>,
) {
    let Some(former) = cookies::session(&site.ring, request) else {
        return;
    };
    if let Err(error) = console.sessions.end(&former).await {
        tracing::warn!(error = %error_chain(&error), "the former session of a browser could not be ended");
    }
}

/// Says that somebody who is signed in may not use the console.
pub(super) fn refused(request: &ConsoleRequest<'_>, refused: &Refused) -> Response<Body> {
    let page = RefusedPage {
        frame: Frame::alone(request),
        name: &refused.name,
        csrf_token: &refused.csrf_token,
    };
    response::page(request, StatusCode::FORBIDDEN, &page)
}

/// Signs a visitor out of the console.
pub(super) async fn sign_out(context: &PageContext<'_>) -> Response<Body> {
    end(context.console, context.request, &context.visitor.by).await
}

/// Signs somebody out who may not use the console.
pub(super) async fn sign_out_refused(
    console: &Console,
    request: &ConsoleRequest<'_>,
    form: &Form,
    refused: &Refused,
) -> Response<Body> {
    match form.has_csrf_token(&refused.csrf_token) {
        true => end(console, request, &refused.by).await,
        false => response::bad_csrf_token(request),
    }
}

async fn end(console: &Console, request: &ConsoleRequest<'_>, by: &str) -> Response<Body> {
    let site = console.live.site();
    if let Some(secret) = cookies::session(&site.ring, request)
        && let Err(error) = console.sessions.end(&secret).await
    {
        tracing::error!(error = %error_chain(&error), "a session of the console could not be ended");
        return response::unavailable(request);
    }
    console.live.services().telemetry.audit(&AuditRecord {
        by: Some(by),
        ..audit::of_visit(request, &SIGNED_OUT)
    });
    let done = Notice::SignedOut.name();
    let mut response = response::redirect(&format!("{PATH}/sign_in?done={done}"));
    cookies::clear_session(&mut response, request);
    response
}
