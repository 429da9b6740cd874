//! `/callback/{connector}`: the provider returns here. The browser is checked before the code.

use std::sync::{Arc, LazyLock};

use bytes::Bytes;
use http::{Method, Response};

use super::super::page::{Cause, Href};
use super::super::record::LoggedResponse;
use super::super::{RequestContext, reply};
use super::begin::{self, BeginOptions};
use super::complete::{self, MissingProof};
use super::{Target, audit, caller, flow_cookies, read_body_within, reload, ticket};
use crate::login::connector::{AuthnResponse, Callback, CallbackMethod, ConnectorError};
use crate::login::fields::Fields;
use crate::login::pending::{FlowId, InvalidFlowId, Mode, Pending, PendingError};
use crate::login::{FinishedLogin, LoginError};
use crate::request::gate::Caller;
use crate::request::{Body, BodyError};
use crate::store::{ConnectorId, SessionKey};

/// The connectors whose sources return to this path of ours.
pub(super) fn connectors_at<'a>(
    context: &RequestContext<'a>,
    path: &str,
) -> impl Iterator<Item = &'a ConnectorId> {
    let entries = context.site.login.entries().iter();
    let here = entries.filter(move |entry| entry.callback.path() == path);
    here.map(|entry| &entry.id)
}

/// Answers a callback at an address that these connectors share; the sealed login says whose answer
/// it is.
pub(super) async fn answer<B>(
    context: &RequestContext<'_>,
    among: &[&ConnectorId],
    query: Fields,
    body: Option<B>,
) -> LoggedResponse
where
    B: http_body::Body<Data = Bytes> + Send + Unpin + 'static,
    B::Error: Into<BodyError>,
{
    let sharing = SharedCallback::of(context, among);
    if sharing.0.is_empty() {
        let page = reply::problem(context, Cause::NotFound, None);
        return LoggedResponse::own_path("no callback", page);
    }
    let fields = match (context.head.method, sharing.method()) {
        (&Method::GET, method) if method.accepts_get() => Some(query),
        (&Method::POST, method) if method.accepts_post() => {
            let form = read_body_within(body, sharing.form_bytes_max()).await;
            form.and_then(|form| Fields::parse(&form))
        }
        (_, CallbackMethod::Get) => {
            return LoggedResponse::own_path("method", reply::method_not_allowed("GET"));
        }
        (_, CallbackMethod::Post) => {
            return LoggedResponse::own_path("method", reply::method_not_allowed("POST"));
        }
        (_, CallbackMethod::GetOrPost) => {
            return LoggedResponse::own_path("method", reply::method_not_allowed("GET, POST"));
        }
    };
    // Of several nobody knows whose answer it would have been.
    let via = match among {
        [only] => Some(*only),
        _ => None,
    };
    let named = fields.map(|fields| (sharing.logins_named(context.head.method, &fields), fields));
    let Some((named, fields)) = named.filter(|(named, _)| !named.is_empty()) else {
        audit::refused(context, via, &InvalidFlowId);
        return LoggedResponse::own_path(
            "no state",
            failure(context, Cause::BadAnswer, None, None),
        );
    };
    let answer = AuthnResponse {
        fields,
        client: context.head.client_for_limits(),
        kind: None,
    };
    match pending_login(context, &named) {
        Ok(pending) => finish(context, pending, answer).await,
        Err(error) => without_pending(context, &named, via, answer, error).await,
    }
}

/// A login that an answer names, if it is that of this connector.
type NamedLogin<'a> = (&'a ConnectorId, FlowId);

/// What is read of an answer to a connector that is not configured: the login it names.
static UNKNOWN_CONNECTOR: LazyLock<Callback> = LazyLock::new(Callback::default);

/// The connectors that share a callback address.
struct SharedCallback<'a>(Vec<(&'a ConnectorId, &'a Callback)>);

impl<'a> SharedCallback<'a> {
    fn of(context: &RequestContext<'a>, among: &[&'a ConnectorId]) -> Self {
        let shape = |id: &&'a ConnectorId| {
            let callback = match context.site.login.entry(id) {
                Some(entry) => entry.features.callback()?,
                // One that is not configured is told apart by nothing.
                None => &UNKNOWN_CONNECTOR,
            };
            Some((*id, callback))
        };
        Self(among.iter().filter_map(shape).collect())
    }

    fn method(&self) -> CallbackMethod {
        let takes = |taken: fn(CallbackMethod) -> bool| {
            let mut callbacks = self.0.iter();
            callbacks.any(|(_, callback)| taken(callback.method))
        };
        match (
            takes(CallbackMethod::accepts_get),
            takes(CallbackMethod::accepts_post),
        ) {
            (true, true) => CallbackMethod::GetOrPost,
            (false, true) => CallbackMethod::Post,
            (_, false) => CallbackMethod::Get,
        }
    }

    fn form_bytes_max(&self) -> usize {
        let posted = self.0.iter().filter(|(_, it)| it.method.accepts_post());
        posted.map(|(_, it)| it.form_bytes_max).max().unwrap_or(0)
    }

    /// The login that each connector would read out of an answer.
    fn logins_named(&self, method: &Method, fields: &Fields) -> Vec<NamedLogin<'a>> {
        let fitting = self.0.iter().filter(|(_, callback)| match *method {
            Method::POST => callback.method.accepts_post(),
            _ => callback.method.accepts_get(),
        });
        let named = fitting.filter_map(|(id, callback)| {
            let flow = fields.one(&callback.flow_parameter).ok().flatten()?;
            Some((*id, FlowId::try_from(flow.to_owned()).ok()?))
        });
        named.collect()
    }
}

/// The memory of the one login that was named and that this browser began.
fn pending_login(
    context: &RequestContext<'_>,
    named: &[NamedLogin<'_>],
) -> Result<Pending, PendingError> {
    let mut outcome = Err(PendingError::Missing);
    for (id, flow) in named {
        let sealed = flow_cookies::sealed_login(context, flow);
        match context
            .site
            .login
            .open_pending([*id], flow, sealed.as_deref())
        {
            // The cookie of this login may be another connector's.
            Err(PendingError::Forged) => outcome = Err(PendingError::Forged),
            Err(PendingError::Missing) => {}
            found => return found,
        }
    }
    outcome
}

async fn finish(
    context: &RequestContext<'_>,
    pending: Pending,
    answer: AuthnResponse,
) -> LoggedResponse {
    // What a source says of itself came through the browser.
    let from_browser = answer.fields.has("error");
    let outcome = context.site.login.finish(pending.clone(), answer).await;
    conclude(context, &pending, &outcome, from_browser).await
}

/// Where a login leads that began again.
pub(super) fn target_of(pending: &Pending) -> Target {
    Target {
        return_to: Some(pending.return_to.clone()),
        ticket_for: pending.ticket_for.clone(),
        for_frame: pending.for_frame,
        ..Target::default()
    }
}

/// Lets the person in, begins the login once more, or says why it came to nothing.
pub(super) async fn conclude(
    context: &RequestContext<'_>,
    pending: &Pending,
    outcome: &Result<Arc<Result<FinishedLogin, LoginError>>, LoginError>,
    from_browser: bool,
) -> LoggedResponse {
    let (via, flow) = (&pending.connector, &pending.flow);
    let again = target_of(pending);
    let (retries, mode, silent) = (pending.retries, pending.mode, pending.silent);
    let again_once = BeginOptions {
        mode: Some(mode),
        automatic: true,
        retries: 1,
        silent,
    };
    let error = match outcome {
        Ok(outcome) => match outcome.as_ref() {
            Ok(finished) => {
                let once = (retries == 0).then_some(again_once);
                let logged =
                    complete_login(context, finished, pending.replaces, once, mode, &again).await;
                return logged
                    .map_response(|response| flow_cookies::clear(context, flow, response));
            }
            Err(error) => error,
        },
        Err(error) => error,
    };
    audit::login_failed(context, via, error);
    let entry = context.site.login.entry(via);
    if let (Some(reason), 0, Some(entry)) = (retry_reason(error), retries, entry) {
        // Once more, by itself, once.
        let mut response = begin::begin_login(context, entry, &again, again_once).await;
        flow_cookies::clear(context, flow, &mut response);
        return LoggedResponse::own_path(reason, response);
    }
    if silent {
        let logged = reload::silent_login_failed(context, via, &again, error, from_browser).await;
        return logged.map_response(|response| flow_cookies::clear(context, flow, response));
    }
    let cause = audit::cause_of(error);
    let mut response = failure(
        context,
        cause,
        Some(&again),
        entry.map(|e| e.display_name.as_str()),
    );
    // What may still come right keeps its memory: the person can reload.
    if !matches!(
        cause,
        Cause::StoreAway | Cause::SourceBusy | Cause::SourceUnreachable | Cause::TooManyLogins
    ) {
        flow_cookies::clear(context, flow, &mut response);
    }
    LoggedResponse::own_path(cause.slug(), response)
}

/// What a login came too late for, when the source would take the same person at once.
fn retry_reason(error: &LoginError) -> Option<&'static str> {
    match error {
        LoginError::Connector(ConnectorError::Stale(_)) => Some("stale code"),
        LoginError::Connector(ConnectorError::Expired(_)) => Some("login expired at the source"),
        _ => None,
    }
}

/// Hands out the session and sends the person where they wanted to go, if what they proved is
/// enough there. What only grew too old on the way is asked for once more, by itself, once.
async fn complete_login(
    context: &RequestContext<'_>,
    finished: &FinishedLogin,
    replaces: Option<SessionKey>,
    once_more: Option<BeginOptions>,
    mode: Mode,
    target: &Target,
) -> LoggedResponse {
    let entry = context.site.login.entry(&finished.via);
    let (reason, mut response) =
        match (complete::missing_proof(context, finished), once_more, entry) {
            (None, _, _) => ("login", redirect_to_target(context, finished, mode, target)),
            (Some(MissingProof::TooOld), Some(start), Some(entry)) if !start.silent => (
                "proof too old",
                begin::begin_login(context, entry, target, start).await,
            ),
            (Some(_), _, _) => {
                let page = complete::proof_too_weak(context, finished, target);
                (Cause::ProofTooWeak.slug(), page)
            }
        };
    complete::start_session(context, finished, replaces, &mut response).await;
    LoggedResponse::own_path(reason, response)
}

fn redirect_to_target(
    context: &RequestContext<'_>,
    finished: &FinishedLogin,
    mode: Mode,
    target: &Target,
) -> Response<Body> {
    let mut to = ticket::next_url(context, &finished.return_to, target, &finished.handle);
    // A browser hands the fragment it came with on to an address that has none (Fetch, §4.4), and
    // inside a client that is one of the source's (`#wechat_redirect`), which would confuse an
    // application that keeps its own state there. An empty one ends that.
    if mode == Mode::InApp && !to.contains('#') {
        to.push('#');
    }
    if context.head.method == Method::POST {
        reply::see_other(&to)
    } else {
        reply::redirect(&to)
    }
}

/// A callback without the memory of its begin: seen again, late, or in another browser.
async fn without_pending(
    context: &RequestContext<'_>,
    named: &[NamedLogin<'_>],
    via: Option<&ConnectorId>,
    answer: AuthnResponse,
    error: PendingError,
) -> LoggedResponse {
    let who = match caller(context).await {
        Ok(who) => who,
        Err(response) => return LoggedResponse::own_path("unavailable", response),
    };
    if let Caller::Person(person) = &who {
        // They are here already: seen again, the callback is harmless.
        let mut outcome = None;
        for (via, flow) in named {
            if outcome.is_none() {
                outcome = context.site.login.outcome(via, flow, &answer).await;
            }
        }
        let mine = outcome.as_deref().and_then(|outcome| outcome.as_ref().ok());
        let mine = mine.filter(|finished| finished.public_id == person.session.public_id);
        let to = mine.map_or_else(|| "/".to_owned(), |finished| finished.return_to.location());
        return LoggedResponse::own_path("seen again", reply::redirect(&to));
    }
    audit::refused(context, via, &error);
    let cause = match error {
        PendingError::Missing => Cause::LoginMissing,
        PendingError::Forged => Cause::LoginForged,
        PendingError::Expired => Cause::LoginLate,
    };
    let mut response = failure(context, cause, None, None);
    if error != PendingError::Missing {
        let mut flows: Vec<_> = named.iter().map(|(_, flow)| flow).collect();
        flows.dedup();
        for flow in flows {
            flow_cookies::clear(context, flow, &mut response);
        }
    }
    LoggedResponse::own_path(cause.slug(), response)
}

/// A page with the cause and a way on; the login starts again only by a click.
fn failure(
    context: &RequestContext<'_>,
    cause: Cause,
    target: Option<&Target>,
    source: Option<&str>,
) -> Response<Body> {
    let query = target.map(|target| target.query_string(&context.site.external_url, ""));
    let query = query.filter(|query| query.len() > 1).unwrap_or_default();
    let again = Href::new(format!("{}/sign_in{query}", context.site.prefix));
    reply::problem_at_source(context, cause, Some(again), source)
}
