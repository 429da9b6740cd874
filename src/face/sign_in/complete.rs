//! Completes a login: sets the session cookie and ends the previous session of this browser.

use http::Response;

use super::super::page::{Cause, Href};
use super::super::{RequestContext, reply};
use super::{LoginTarget, audit, begin, sign_in_page, target};
use crate::clock::Timestamp;
use crate::login::FinishedLogin;
use crate::people::cookie::{self, SessionClaims};
use crate::people::session::Session;
use crate::request::Body;
use crate::request::gate::LoginReason;
use crate::request::policy::unmet_demand;
use crate::store::{RevocationScope, SessionKey};
use crate::telemetry::{AuditEvent, AuditRecord};
use crate::wording::Text;

/// If an authentication exceeds `max_age` by less than this at the callback, in milliseconds, it counts
/// as too old and not as too weak. The tolerance covers clock differences and the redirect from the
/// provider.
const AUTH_AGE_TOLERANCE_MS: i64 = 120_000;

/// Records the login, ends the previous session of this browser, and sets the cookies of the new session.
pub(super) async fn hand_out_session(
    context: &RequestContext<'_>,
    finished: &FinishedLogin,
    replaces: Option<SessionKey>,
    response: &mut Response<Body>,
) {
    let age_s = cookie_age_s(context, finished);
    let cookie = finished.expose_cookie();
    let cookie = context.site.cookies.set_session(cookie, age_s);
    hand_out(context, finished, replaces, &cookie, response).await;
}

/// The same for a login on the host of an application. Where the cookie of the login host does not reach,
/// the session counts on this host only.
pub(super) async fn hand_out_session_here(
    context: &RequestContext<'_>,
    finished: &FinishedLogin,
    response: &mut Response<Body>,
) {
    let (site, host) = (context.site, context.head.host.as_str());
    if site.is_login_host(context.head) || site.cookies.covers(host) {
        return hand_out_session(context, finished, None, response).await;
    }
    let claims = SessionClaims {
        host: Some(host.to_owned()),
        ..finished.claims.clone()
    };
    let cookie = cookie::sign(&site.ring, &claims);
    let age_s = cookie_age_s(context, finished);
    let cookie = site.cookies.set_session_of_host(&cookie, age_s);
    hand_out(context, finished, None, &cookie, response).await;
}

fn cookie_age_s(context: &RequestContext<'_>, finished: &FinishedLogin) -> i64 {
    let expires_at = finished.claims.expires_at;
    let lifetime_s = expires_at.since(context.head.received_at).as_secs();
    i64::try_from(lifetime_s).unwrap_or(i64::MAX)
}

async fn hand_out(
    context: &RequestContext<'_>,
    finished: &FinishedLogin,
    replaces: Option<SessionKey>,
    cookie: &str,
    response: &mut Response<Body>,
) {
    audit::signed_in(context, finished);
    end_replaced_session(context, finished, replaces).await;
    reply::add_cookie(response, cookie);
    let entry = context.site.login.entry(&finished.via);
    if let Some(cookie) =
        entry.and_then(|entry| sign_in_page::last_connector_cookie(context, entry))
    {
        reply::add_cookie(response, &cookie);
    }
}

/// Ends the previous session of this browser, so that a copy of its cookie is worthless. If the store is
/// unavailable, the revocation is stored later.
async fn end_replaced_session(
    context: &RequestContext<'_>,
    finished: &FinishedLogin,
    replaces: Option<SessionKey>,
) {
    let key = begin::current_session_key(context).or(replaces);
    // The browser of a repeated callback already has the cookie of the new session.
    let Some(key) = key.filter(|key| *key != finished.claims.sid.key()) else {
        return;
    };
    end_stored_session(context, key, &Text::fixed("replaced", "被新会话取代")).await;
}

/// Ends a session by its key, whether or not the browser sent its cookie; `false` when the store failed.
pub(super) async fn end_stored_session(
    context: &RequestContext<'_>,
    key: SessionKey,
    reason: &Text,
) -> bool {
    let found = match context.services.sessions.find_stored(&key).await {
        Ok(Some(found)) => found,
        Ok(None) => return true,
        Err(_) => return revoke(context, key).await,
    };
    let ended = &found.session;
    if ended.expires_at <= context.head.received_at {
        return true;
    }
    let revoked = revoke(context, key).await;
    if revoked {
        context.services.telemetry.audit(&AuditRecord {
            connector: Some(ended.connector.as_str()),
            subject: Some(ended.subject.as_str()),
            login: Some(found.account.login.as_str()),
            account: Some(&ended.account),
            session: Some(&ended.public_id),
            reason: Some(reason),
            ..audit::new_record(context, AuditEvent::SignOut)
        });
    }
    revoked
}

/// Ends the caller's session; `false` when the store failed.
pub(super) async fn end_session(
    context: &RequestContext<'_>,
    session: &Session,
    reason: &Text,
) -> bool {
    let revoked = revoke(context, session.key).await;
    if revoked {
        context.services.telemetry.audit(&AuditRecord {
            reason: Some(reason),
            ..session.named_in(audit::new_record(context, AuditEvent::SignOut))
        });
    }
    revoked
}

async fn revoke(context: &RequestContext<'_>, key: SessionKey) -> bool {
    let revoked = context
        .services
        .sessions
        .revoke(&RevocationScope::Session(key))
        .await;
    if let Err(error) = &revoked {
        tracing::error!(request_id = %context.id, error = %crate::telemetry::error_chain(error), "the revocation of a session could not be stored");
    }
    revoked.is_ok()
}

/// Why the authentication of a completed login does not suffice for the route of its return address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum InsufficientAuth {
    /// It was recent enough at the provider and became too old during the redirect.
    TooOld,
    TooWeak,
}

pub(super) fn insufficient_auth(
    context: &RequestContext<'_>,
    finished: &FinishedLogin,
) -> Option<InsufficientAuth> {
    let (route, at) = (
        target::route(context, &finished.return_to)?,
        context.head.received_at,
    );
    let needs_step_up = |at| {
        let minted_at = finished.claims.confirmed_at;
        unmet_demand(route, &finished.via, &finished.auth_context, minted_at, at)
            == Some(LoginReason::StepUp)
    };
    let before_redirect = Timestamp::from_unix_ms(at.unix_ms() - AUTH_AGE_TOLERANCE_MS);
    needs_step_up(at).then(|| {
        if needs_step_up(before_redirect) {
            InsufficientAuth::TooWeak
        } else {
            InsufficientAuth::TooOld
        }
    })
}

/// The page for a completed login whose authentication does not satisfy the route. Another redirect
/// would loop between the route and the provider.
pub(super) fn auth_too_weak_page(
    context: &RequestContext<'_>,
    finished: &FinishedLogin,
    target: &LoginTarget,
) -> Response<Body> {
    let query = target.query_string(&context.site.external_url, "");
    let sign_in_link = Href::new(format!("{}/sign_in{query}", context.site.prefix));
    let entry = context.site.login.entry(&finished.via);
    let connector_name = entry.map(|entry| context.lang().label(&entry.display_name));
    reply::login_problem(
        context,
        Cause::AuthTooWeak,
        Some(sign_in_link),
        connector_name,
    )
}
