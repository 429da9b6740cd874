//! `/callback/{connector}`: the provider returns here. The browser is checked before the code.

use bytes::Bytes;
use http::{Method, Response};

use super::super::page::{Cause, Href};
use super::super::record::Told;
use super::super::{Visit, reply};
use super::{Target, audit, begin, caller, small_body, ticket};
use crate::login::connector::{Answer, AnswerKind, ConnectorError};
use crate::login::fields::Fields;
use crate::login::pending::{FlowId, NoFlow, Pending, PendingError};
use crate::login::{Finished, LoginError};
use crate::request::gate::Caller;
use crate::request::head::cookies;
use crate::request::{Body, BodyError};
use crate::store::ConnectorId;
use crate::telemetry::LoginOutcome;

/// Answers a callback. Without a connector in the path the sealed login names it.
pub(super) async fn answer<B>(
    visit: &Visit<'_>,
    via: Option<ConnectorId>,
    query: Fields,
    body: Option<B>,
) -> Told
where
    B: http_body::Body<Data = Bytes> + Send + Unpin + 'static,
    B::Error: Into<BodyError>,
{
    let by_post = via.as_ref().and_then(|id| visit.site.login.entry(id));
    let by_post = by_post.is_some_and(|entry| entry.connector.returns_by_post());
    let fields = match (visit.head.method, by_post) {
        (&Method::GET, _) => Some(query),
        (&Method::POST, true) => small_body(body).await.and_then(|form| Fields::parse(&form)),
        (_, true) => return Told::own("method", reply::wrong_method("GET, POST")),
        (_, false) => return Told::own("method", reply::wrong_method("GET")),
    };
    let state = fields
        .as_ref()
        .and_then(|fields| fields.one("state").ok().flatten());
    let flow = state.and_then(|state| FlowId::try_from(state.to_owned()).ok());
    let (Some(fields), Some(flow)) = (fields.clone(), flow) else {
        audit::refused(visit, via.as_ref(), &NoFlow, LoginOutcome::Refused);
        return Told::own("no state", dead_end(visit, Cause::BadAnswer, None, None));
    };
    let answer = Answer {
        fields,
        client: visit.head.client,
        kind: AnswerKind::Code,
    };
    let name = format!("{}{flow}", visit.site.cookies.flow_prefix());
    let sealed = cookies(visit.head.headers, &name).next();
    match visit.site.login.remember(via.as_ref(), &flow, sealed) {
        Ok(pending) => finish(visit, pending, answer).await,
        Err(error) => forgotten(visit, via, &flow, answer, error).await,
    }
}

async fn finish(visit: &Visit<'_>, pending: Pending, answer: Answer) -> Told {
    let (via, flow) = (pending.connector.clone(), pending.flow.clone());
    let again = Target {
        return_to: Some(pending.return_to.clone()),
        ticket_for: pending.ticket_for.clone(),
    };
    let (retries, mode) = (pending.retries, pending.mode);
    let outcome = visit.site.login.finish(pending, answer).await;
    let error = match &outcome {
        Ok(outcome) => match outcome.as_ref() {
            Ok(finished) => return let_in(visit, finished, &flow, &again),
            Err(error) => error,
        },
        Err(error) => error,
    };
    audit::refused(visit, Some(&via), error, audit::outcome_of(error));
    let entry = visit.site.login.entry(&via);
    let stale = matches!(error, LoginError::Connector(ConnectorError::Stale(_)));
    if let (true, 0, Some(entry)) = (stale, retries, entry) {
        // The code was spent or too old: once more, by itself, once.
        let mut response = begin::open(visit, entry, Some(mode), &again, true, 1).await;
        clear_flow(visit, &flow, &mut response);
        return Told::own("stale code", response);
    }
    let cause = audit::cause_of(error);
    let mut response = dead_end(
        visit,
        cause,
        Some(&again),
        entry.map(|e| e.display_name.as_str()),
    );
    // What may still come right keeps its memory: the person can reload.
    if !matches!(
        cause,
        Cause::StoreAway | Cause::SourceBusy | Cause::SourceUnreachable | Cause::TooManyLogins
    ) {
        clear_flow(visit, &flow, &mut response);
    }
    Told::own(cause.slug(), response)
}

/// Hands out the session, forgets this login, and sends the person where they wanted to go.
fn let_in(visit: &Visit<'_>, finished: &Finished, flow: &FlowId, target: &Target) -> Told {
    audit::came_in(visit, finished);
    let to = ticket::way_on(
        visit,
        &finished.return_to,
        target.ticket_for.as_ref(),
        &finished.handle,
    );
    let mut response = if visit.head.method == Method::POST {
        reply::see_other(&to)
    } else {
        reply::redirect(&to)
    };
    let left = finished.handle.expires_at.since(visit.head.at).as_secs();
    let age = i64::try_from(left).unwrap_or(i64::MAX);
    let cookie = visit
        .site
        .cookies
        .set_session(finished.expose_cookie(), age);
    reply::add_cookie(&mut response, &cookie);
    clear_flow(visit, flow, &mut response);
    Told::own("login", response)
}

/// A callback without the memory of its begin: seen again, late, or in another browser.
async fn forgotten(
    visit: &Visit<'_>,
    via: Option<ConnectorId>,
    flow: &FlowId,
    answer: Answer,
    error: PendingError,
) -> Told {
    let who = match caller(visit).await {
        Ok(who) => who,
        Err(response) => return Told::own("unavailable", response),
    };
    if let Caller::Person(person) = &who {
        // They are here already: seen again, the callback is harmless.
        let outcome = match &via {
            Some(via) => visit.site.login.outcome(via, flow, &answer).await,
            None => None,
        };
        let mine = outcome.as_deref().and_then(|outcome| outcome.as_ref().ok());
        let mine = mine.filter(|finished| finished.public_id == person.session.public_id);
        let to = mine.map_or_else(|| "/".to_owned(), |finished| finished.return_to.location());
        return Told::own("seen again", reply::redirect(&to));
    }
    audit::refused(visit, via.as_ref(), &error, LoginOutcome::Refused);
    let cause = match error {
        PendingError::Missing => Cause::LoginMissing,
        PendingError::Forged => Cause::LoginForged,
        PendingError::Late => Cause::LoginLate,
    };
    let mut response = dead_end(visit, cause, None, None);
    if error != PendingError::Missing {
        clear_flow(visit, flow, &mut response);
    }
    Told::own(cause.slug(), response)
}

/// A page with the cause and a way on; the login starts again only by a click.
fn dead_end(
    visit: &Visit<'_>,
    cause: Cause,
    target: Option<&Target>,
    source: Option<&str>,
) -> Response<Body> {
    let query = target.map(|target| target.query(&visit.site.external_url, ""));
    let query = query.filter(|query| query.len() > 1).unwrap_or_default();
    let again = Href::new(format!("{}/sign_in{query}", visit.site.prefix));
    reply::problem_of(visit, cause, Some(again), source)
}

fn clear_flow(visit: &Visit<'_>, flow: &FlowId, response: &mut Response<Body>) {
    let flags = &visit.site.cookies;
    let cookie = flags.clear_local(&format!("{}{flow}", flags.flow_prefix()));
    reply::add_cookie(response, &cookie);
}
