//! `/callback/{connector}`: the provider returns here. The browser is checked before the code.

use bytes::Bytes;
use http::{Method, Response};

use super::super::page::{Cause, Href};
use super::super::record::Told;
use super::super::{Visit, reply};
use super::arrival::{self, Lack};
use super::opening::{self, Start};
use super::{Target, audit, caller, flow_cookies, reload, small_body, ticket};
use crate::login::connector::{Answer, ConnectorError};
use crate::login::fields::Fields;
use crate::login::pending::{FlowId, Mode, NoFlow, Pending, PendingError};
use crate::login::{Finished, LoginError};
use crate::request::gate::Caller;
use crate::request::{Body, BodyError};
use crate::store::{ConnectorId, SessionKey};

/// The connectors whose sources return to this path of ours.
pub(super) fn returning_to<'a>(
    visit: &Visit<'a>,
    path: &str,
) -> impl Iterator<Item = &'a ConnectorId> {
    let entries = visit.site.login.entries().iter();
    let here = entries.filter(move |entry| entry.callback.path() == path);
    here.map(|entry| &entry.id)
}

/// Answers a callback at an address that these connectors share; the sealed login says whose answer
/// it is.
pub(super) async fn answer<B>(
    visit: &Visit<'_>,
    among: &[&ConnectorId],
    query: Fields,
    body: Option<B>,
) -> Told
where
    B: http_body::Body<Data = Bytes> + Send + Unpin + 'static,
    B::Error: Into<BodyError>,
{
    let entries = among.iter().filter_map(|id| visit.site.login.entry(id));
    let mut posting = entries.filter(|entry| entry.features.returns_by_post);
    let by_post = posting.next().is_some();
    // Of several nobody knows whose answer it would have been.
    let via = match among {
        [only] => Some(*only),
        _ => None,
    };
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
        audit::refused(visit, via, &NoFlow);
        return Told::own("no state", dead_end(visit, Cause::BadAnswer, None, None));
    };
    let answer = Answer {
        fields,
        client: visit.head.sharing_client(),
        kind: None,
    };
    let sealed = flow_cookies::sealed(visit, &flow);
    let login = &visit.site.login;
    match login.remember(among.iter().copied(), &flow, sealed.as_deref()) {
        Ok(pending) => finish(visit, pending, answer).await,
        Err(error) => forgotten(visit, among, via, &flow, answer, error).await,
    }
}

async fn finish(visit: &Visit<'_>, pending: Pending, answer: Answer) -> Told {
    let (via, flow) = (pending.connector.clone(), pending.flow.clone());
    let again = Target {
        return_to: Some(pending.return_to.clone()),
        ticket_for: pending.ticket_for.clone(),
        for_frame: pending.for_frame,
        ..Target::default()
    };
    let (retries, mode, silent) = (pending.retries, pending.mode, pending.silent);
    let again_once = Start {
        mode: Some(mode),
        automatic: true,
        retries: 1,
        silent,
    };
    let replaces = pending.replaces;
    // What a source says of itself came through the browser.
    let from_browser = answer.fields.has("error");
    let outcome = visit.site.login.finish(pending, answer).await;
    let error = match &outcome {
        Ok(outcome) => match outcome.as_ref() {
            Ok(finished) => {
                let once = (retries == 0).then_some(again_once);
                let told = let_in(visit, finished, replaces, once, mode, &again).await;
                return told.also(|response| flow_cookies::clear(visit, &flow, response));
            }
            Err(error) => error,
        },
        Err(error) => error,
    };
    audit::failed(visit, &via, error);
    let entry = visit.site.login.entry(&via);
    if let (Some(reason), 0, Some(entry)) = (too_late(error), retries, entry) {
        // Once more, by itself, once.
        let mut response = opening::open(visit, entry, &again, again_once).await;
        flow_cookies::clear(visit, &flow, &mut response);
        return Told::own(reason, response);
    }
    if silent {
        let told = reload::came_to_nothing(visit, &via, &again, error, from_browser).await;
        return told.also(|response| flow_cookies::clear(visit, &flow, response));
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
        flow_cookies::clear(visit, &flow, &mut response);
    }
    Told::own(cause.slug(), response)
}

/// What a login came too late for, when the source would take the same person at once.
fn too_late(error: &LoginError) -> Option<&'static str> {
    match error {
        LoginError::Connector(ConnectorError::Stale(_)) => Some("stale code"),
        LoginError::Connector(ConnectorError::Expired(_)) => Some("login expired at the source"),
        _ => None,
    }
}

/// Hands out the session and sends the person where they wanted to go, if what they proved is
/// enough there. What only grew too old on the way is asked for once more, by itself, once.
async fn let_in(
    visit: &Visit<'_>,
    finished: &Finished,
    replaces: Option<SessionKey>,
    once_more: Option<Start>,
    mode: Mode,
    target: &Target,
) -> Told {
    let entry = visit.site.login.entry(&finished.via);
    let (reason, mut response) = match (arrival::lacks(visit, finished), once_more, entry) {
        (None, _, _) => ("login", on_the_way(visit, finished, mode, target)),
        (Some(Lack::Age), Some(start), Some(entry)) if !start.silent => (
            "proof too old",
            opening::open(visit, entry, target, start).await,
        ),
        (Some(_), _, _) => {
            let page = arrival::not_enough(visit, finished, target);
            (Cause::ProofTooWeak.slug(), page)
        }
    };
    arrival::hand_out(visit, finished, replaces, &mut response).await;
    Told::own(reason, response)
}

fn on_the_way(
    visit: &Visit<'_>,
    finished: &Finished,
    mode: Mode,
    target: &Target,
) -> Response<Body> {
    let mut to = ticket::way_on(visit, &finished.return_to, target, &finished.handle);
    // A browser hands the fragment it came with on to an address that has none (Fetch, §4.4), and
    // inside a client that is one of the source's (`#wechat_redirect`), which would confuse an
    // application that keeps its own state there. An empty one ends that.
    if mode == Mode::InApp && !to.contains('#') {
        to.push('#');
    }
    if visit.head.method == Method::POST {
        reply::see_other(&to)
    } else {
        reply::redirect(&to)
    }
}

/// A callback without the memory of its begin: seen again, late, or in another browser.
async fn forgotten(
    visit: &Visit<'_>,
    among: &[&ConnectorId],
    via: Option<&ConnectorId>,
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
        let mut outcome = None;
        for via in among {
            if outcome.is_none() {
                outcome = visit.site.login.outcome(via, flow, &answer).await;
            }
        }
        let mine = outcome.as_deref().and_then(|outcome| outcome.as_ref().ok());
        let mine = mine.filter(|finished| finished.public_id == person.session.public_id);
        let to = mine.map_or_else(|| "/".to_owned(), |finished| finished.return_to.location());
        return Told::own("seen again", reply::redirect(&to));
    }
    audit::refused(visit, via, &error);
    let cause = match error {
        PendingError::Missing => Cause::LoginMissing,
        PendingError::Forged => Cause::LoginForged,
        PendingError::Late => Cause::LoginLate,
    };
    let mut response = dead_end(visit, cause, None, None);
    if error != PendingError::Missing {
        flow_cookies::clear(visit, flow, &mut response);
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
