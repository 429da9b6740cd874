//! Somebody came in: their session is handed out, and the one this browser had before is ended.

use http::Response;

use super::super::page::{Cause, Href};
use super::super::{Visit, reply};
use super::{Target, audit, chooser, place};
use crate::login::Finished;
use crate::people::session::Session;
use crate::request::Body;
use crate::request::gate::{Caller, Why};
use crate::request::policy::shortfall;
use crate::store::Scope;
use crate::telemetry::{Audit, Event};

/// Writes down who came in, ends the session that was there before, and sets the cookies.
pub(super) async fn hand_out(
    visit: &Visit<'_>,
    finished: &Finished,
    response: &mut Response<Body>,
) {
    audit::came_in(visit, finished);
    end_the_old(visit, finished).await;
    let left = finished.handle.expires_at.since(visit.head.at).as_secs();
    let age = i64::try_from(left).unwrap_or(i64::MAX);
    let flags = &visit.site.cookies;
    let cookie = flags.set_session(finished.expose_cookie(), age);
    reply::add_cookie(response, &cookie);
    let entry = visit.site.login.entry(&finished.via);
    if let Some(cookie) = entry.and_then(|entry| chooser::remember(visit, entry)) {
        reply::add_cookie(response, &cookie);
    }
}

/// One browser, one session: whoever kept a copy of the old cookie has nothing any more.
async fn end_the_old(visit: &Visit<'_>, finished: &Finished) {
    // A store that is away now let the new one be minted a moment ago; the old one runs out.
    let Ok(Caller::Person(old)) = visit.site.gate.person(visit.head).await else {
        return;
    };
    // A callback that is seen again brings the session it made itself.
    if old.session.public_id != finished.public_id {
        end(visit, &old.session, "replaced").await;
    }
}

/// Ends a session of this browser; false when the store could not be told.
pub(super) async fn end(visit: &Visit<'_>, session: &Session, reason: &'static str) -> bool {
    let scope = Scope::Session(session.key);
    if let Err(error) = visit.shared.sessions.revoke(&scope).await {
        visit.shared.telemetry.store_error();
        tracing::error!(request_id = %visit.id, error = %crate::telemetry::chain(&error), "a session could not be ended");
        return false;
    }
    visit.shared.telemetry.audit(&Audit {
        connector: Some(session.via.as_str()),
        subject: Some(session.subject.as_str()),
        login: Some(session.login.as_str()),
        account: Some(&session.account),
        session: Some(&session.public_id),
        reason: Some(reason),
        ..audit::entry(visit, Event::SignOut)
    });
    true
}

/// The page for somebody who came in, but not with the proof that the place demands: they stop
/// here, or the two would send them to each other for ever.
pub(super) fn not_enough(
    visit: &Visit<'_>,
    finished: &Finished,
    target: &Target,
) -> Option<Response<Body>> {
    let (route, at) = (place::route(visit, &finished.return_to)?, visit.head.at);
    let minted_at = finished.handle.issued_at;
    let short = shortfall(route, &finished.via, &finished.proof, minted_at, at);
    (short == Some(Why::StepUp)).then(|| {
        let query = target.query(&visit.site.external_url, "");
        let again = Href::new(format!("{}/sign_in{query}", visit.site.prefix));
        let entry = visit.site.login.entry(&finished.via);
        let source = entry.map(|entry| entry.display_name.as_str());
        reply::problem_of(visit, Cause::ProofTooWeak, Some(again), source)
    })
}
