//! `/tokens`: the page on which a signed-in person makes, lists and ends access tokens.
//!
//! An application on the login host is of the same origin as this page, so the page must be safe from its
//! scripts: a request of a script, of a frame or through a service worker is refused, the page is isolated
//! from the page that opened its window, and a new token is on a sandboxed page, which no script can read.

use std::time::Duration;

use bytes::Bytes;
use http::header::RETRY_AFTER;
use http::{HeaderValue, Method, StatusCode};

use super::super::browser::{RequestKind, opens_in_tab, request_kind, single_header};
use super::super::page::{
    Cause, Href, LifetimeChoice, ListedToken, NewToken, PersonName, TokenNotice, TokensPage,
};
use super::super::record::LoggedResponse;
use super::super::{RequestContext, reply, urls};
use super::{audit, caller, is_own_form_post, read_body};
use crate::clock::Timestamp;
use crate::login::fields::Fields;
use crate::people::access_tokens::{
    AccessTokenRequest, MadeAccessToken, MakeTokenError, NAME_CHARS_MAX, TooManyChanges,
};
use crate::people::session::Person;
use crate::request::BodyError;
use crate::request::gate::Caller;
use crate::request::route::Route;
use crate::store::{SessionId, StoreError};
use crate::telemetry::{AuditEvent, AuditRecord};
use crate::wording::Text;

/// The lifetimes that the page offers, in days, besides the longest one.
const LIFETIMES_DAYS: [u64; 5] = [1, 7, 30, 90, 180];
const DAY_S: u64 = 86_400;

/// A form of the page.
enum Form {
    Make(AccessTokenRequest),
    End(SessionId),
}

/// What the page shows about the form that was sent.
#[derive(Default)]
struct Outcome {
    notice: Option<TokenNotice>,
    made: Option<(String, MadeAccessToken)>,
}

/// Serves the page and its forms.
pub(super) async fn answer<B>(context: &RequestContext<'_>, body: Option<B>) -> LoggedResponse
where
    B: http_body::Body<Data = Bytes> + Send + Unpin + 'static,
    B::Error: Into<BodyError>,
{
    if !context.site.routes.all().iter().any(|it| it.access_tokens) {
        let response = reply::problem(context, Cause::NotFound, None);
        return LoggedResponse::own_path("no access tokens", response);
    }
    match *context.head.method {
        Method::GET => show(context).await,
        Method::POST if is_own_form_post(context) && is_shown_in_tab(context) => {
            submit(context, body).await
        }
        Method::POST => LoggedResponse::own_path("cross-site", reply::foreign_origin(context)),
        _ => LoggedResponse::own_path("method", reply::method_not_allowed("GET, POST")),
    }
}

/// Whether no script can read the response. Old browsers do not say so, nor does any browser to an `http:`
/// site: that is believed only where no application has the origin of the page.
fn is_shown_in_tab(context: &RequestContext<'_>) -> bool {
    let headers = context.head.headers;
    let names = ["sec-fetch-mode", "sec-fetch-dest"];
    let says_nothing = names
        .iter()
        .all(|name| single_header(headers, name).is_none());
    let may_say_nothing = !context.site.serves_login_host;
    says_nothing && may_say_nothing || opens_in_tab(context.head)
}

async fn show(context: &RequestContext<'_>) -> LoggedResponse {
    let is_page_load = request_kind(context.head) == RequestKind::Navigation;
    if !is_page_load || !is_shown_in_tab(context) {
        return LoggedResponse::own_path("cross-site", reply::foreign_origin(context));
    }
    if !context.site.is_login_host(context.head) {
        let page = urls::on_login_host(context, "tokens");
        return LoggedResponse::own_path("other host", reply::redirect(&page));
    }
    match caller(context).await {
        Ok(Caller::Person(person)) => page(context, &person, Outcome::default()).await,
        Ok(Caller::Anonymous(_) | Caller::Program(_)) => to_sign_in(context),
        Err(response) => LoggedResponse::own_path("unavailable", response),
    }
}

fn to_sign_in(context: &RequestContext<'_>) -> LoggedResponse {
    let prefix = &context.site.prefix;
    let sign_in = format!("{prefix}/sign_in?rd={prefix}/tokens");
    LoggedResponse::own_path("nobody", reply::see_other(&sign_in))
}

async fn submit<B>(context: &RequestContext<'_>, body: Option<B>) -> LoggedResponse
where
    B: http_body::Body<Data = Bytes> + Send + Unpin + 'static,
    B::Error: Into<BodyError>,
{
    let form = read_body(body).await;
    let Some(form) = form.and_then(|form| Fields::parse(&form)) else {
        let response = reply::problem(context, Cause::BadRequest, None);
        return LoggedResponse::own_path("malformed form", response);
    };
    let person = match caller(context).await {
        Ok(Caller::Person(person)) => person,
        Ok(Caller::Anonymous(_) | Caller::Program(_)) => return to_sign_in(context),
        Err(response) => return LoggedResponse::own_path("unavailable", response),
    };
    let account = person.session.account.to_string();
    if form.one("account") != Ok(Some(&account)) {
        return notice(context, &person, TokenNotice::OtherAccount).await;
    }
    let form = match parse(context, &person, &form) {
        Ok(form) => form,
        Err(why) => return notice(context, &person, why).await,
    };
    let tokens = context.services.people.access_tokens();
    let _permit = match tokens.begin_change(&person.session.account) {
        Ok(permit) => permit,
        Err(limited) => return too_many_changes(context, limited),
    };
    match form {
        Form::Make(request) => make(context, &person, request).await,
        Form::End(id) => end(context, &person, &id).await,
    }
}

/// Asks the person to wait. The page has no list of tokens, because the store is not asked.
fn too_many_changes(context: &RequestContext<'_>, limited: TooManyChanges) -> LoggedResponse {
    let page = Href::new(format!("{}/tokens", context.site.prefix));
    let mut response = reply::problem(context, Cause::TooManyTokenChanges, Some(page));
    let seconds = limited.retry_after.as_millis().div_ceil(1000);
    let seconds = u32::try_from(seconds).unwrap_or(u32::MAX).max(1);
    let headers = response.headers_mut();
    headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
    LoggedResponse::own_path("too many token changes", response)
}

async fn notice(
    context: &RequestContext<'_>,
    person: &Person,
    notice: TokenNotice,
) -> LoggedResponse {
    let outcome = Outcome {
        notice: Some(notice),
        made: None,
    };
    page(context, person, outcome).await
}

fn parse(
    context: &RequestContext<'_>,
    person: &Person,
    form: &Fields,
) -> Result<Form, TokenNotice> {
    let one = |name| form.one(name).ok().flatten();
    if one("action") == Some("end") {
        let id = one("id").ok_or(TokenNotice::Gone)?.to_owned();
        return SessionId::try_from(id)
            .map(Form::End)
            .map_err(|_| TokenNotice::Gone);
    }
    let name = one("name").unwrap_or_default().trim();
    let is_plain = !name.is_empty() && !name.chars().any(char::is_control);
    if !is_plain || name.chars().count() > NAME_CHARS_MAX {
        return Err(TokenNotice::BadName);
    }
    let lasts = one("lasts").and_then(|seconds| seconds.parse::<u64>().ok());
    let lasts = lasts.filter(|lasts| lifetimes(context).iter().any(|it| it.seconds == *lasts));
    let routes = match one("scope") {
        Some("all") => None,
        Some("some") => {
            let chosen = form.iter().filter(|(key, _)| *key == "route");
            Some(chosen.map(|(_, name)| name.to_owned()).collect::<Vec<_>>())
        }
        _ => return Err(TokenNotice::BadChoice),
    };
    let offered = offered_routes(context, person);
    let are_offered = routes.as_ref().is_none_or(|routes| {
        let is_offered = |name: &String| offered.contains(&name.as_str());
        !routes.is_empty() && routes.iter().all(is_offered)
    });
    match lasts {
        Some(lasts) if are_offered => Ok(Form::Make(AccessTokenRequest {
            name: name.to_owned(),
            routes,
            lifetime: Duration::from_secs(lasts),
        })),
        _ => Err(TokenNotice::BadChoice),
    }
}

async fn make(
    context: &RequestContext<'_>,
    person: &Person,
    request: AccessTokenRequest,
) -> LoggedResponse {
    let tokens = context.services.people.access_tokens();
    match tokens.make(&person.session, &request).await {
        Ok(made) => {
            let event = AuditEvent::AccessTokenMade;
            let token = (&made.public_id, request.name.as_str());
            audit_token(context, person, (event, None), token);
            let outcome = Outcome {
                notice: None,
                made: Some((request.name, made)),
            };
            page(context, person, outcome).await
        }
        Err(MakeTokenError::TooMany) => notice(context, person, TokenNotice::TooMany).await,
        // The page asks the person to sign in again.
        Err(MakeTokenError::SessionTooOld) => page(context, person, Outcome::default()).await,
        Err(MakeTokenError::SessionEnded) => to_sign_in(context),
        Err(MakeTokenError::Store(error)) => store_failed(context, &error),
    }
}

async fn end(context: &RequestContext<'_>, person: &Person, id: &SessionId) -> LoggedResponse {
    let tokens = context.services.people.access_tokens();
    let token = match tokens.find(&person.session.account, id).await {
        Ok(Some(token)) => token,
        Ok(None) => return notice(context, person, TokenNotice::Gone).await,
        Err(error) => return store_failed(context, &error),
    };
    let stored = tokens.end(&token).await;
    let event = AuditEvent::AccessTokenEnded;
    let reason = Text::fixed("not stored yet", "尚未写入数据库");
    let reason = stored.is_err().then_some(&reason);
    audit_token(context, person, (event, reason), (id, &token.name));
    match stored {
        Ok(()) => notice(context, person, TokenNotice::Ended).await,
        Err(error) => store_failed(context, &error),
    }
}

fn audit_token(
    context: &RequestContext<'_>,
    person: &Person,
    (event, reason): (AuditEvent, Option<&Text>),
    (id, name): (&SessionId, &str),
) {
    let session = &person.session;
    context.services.telemetry.audit(&AuditRecord {
        access_token: Some((id, name)),
        reason,
        ..session.named_in(audit::new_record(context, event))
    });
}

fn store_failed(context: &RequestContext<'_>, error: &StoreError) -> LoggedResponse {
    tracing::error!(request_id = %context.id, error = %crate::telemetry::error_chain(error), "the access tokens of a person could not be read or written");
    let response = reply::problem(context, Cause::StoreUnavailable, None);
    LoggedResponse::own_path("unavailable", response)
}

async fn page(context: &RequestContext<'_>, person: &Person, outcome: Outcome) -> LoggedResponse {
    let (site, session) = (context.site, &person.session);
    let access_tokens = context.services.people.access_tokens();
    let tokens = match access_tokens.list(&session.account).await {
        Ok(tokens) => tokens,
        Err(error) => return store_failed(context, &error),
    };
    let may_make = access_tokens.may_make(session);
    let page = TokensPage {
        info: context.page_info(),
        person: PersonName {
            name: person.entitlements.fields.name.as_deref(),
            login: session.login.as_str(),
        },
        account: &session.account.to_string(),
        notice: outcome.notice,
        new_token: outcome.made.as_ref().map(|(name, made)| NewToken {
            name,
            value: made.token.expose(),
        }),
        tokens: tokens
            .iter()
            .map(|token| ListedToken {
                id: token.public_id.to_string(),
                name: &token.name,
                routes: token.routes.as_deref(),
                created: minute_of(token.created_at),
                expires: minute_of(token.expires_at),
                last_used: token.used_at.map(minute_of),
            })
            .collect(),
        routes: offered_routes(context, person),
        lifetimes: lifetimes(context),
        sign_in_again: (!may_make).then(|| {
            let (prefix, via) = (&site.prefix, &session.via);
            Href::new(format!("{prefix}/start?connector={via}&rd={prefix}/tokens"))
        }),
        name_chars_max: NAME_CHARS_MAX,
        post_to: Href::new(format!("{}/tokens", site.prefix)),
    };
    let response = reply::page_response(StatusCode::OK, &page.render(context.lang()));
    LoggedResponse::own_path("access tokens", response)
}

/// The names of the routes that accept access tokens of this person's connector.
fn offered_routes<'a>(context: &RequestContext<'a>, person: &Person) -> Vec<&'a str> {
    let via = &person.session.via;
    let is_offered = |route: &Route| {
        route.access_tokens && (route.connectors.is_empty() || route.connectors.contains(via))
    };
    let routes = context.site.routes.all().iter();
    let offered = routes.filter(|route| is_offered(route));
    offered.map(|route| route.name.as_str()).collect()
}

/// The lifetimes that the page offers, up to `access_token_max`.
fn lifetimes(context: &RequestContext<'_>) -> Vec<LifetimeChoice> {
    let longest = context.site.access_token_max.as_secs();
    let shorter = LIFETIMES_DAYS.iter().map(|days| days * DAY_S);
    let mut all: Vec<_> = shorter.filter(|seconds| *seconds < longest).collect();
    all.push(longest);
    all.into_iter().map(LifetimeChoice::of).collect()
}

/// A time to the minute, such as `2026-11-29 15:40 UTC`.
fn minute_of(time: Timestamp) -> String {
    let text = time.to_string();
    let (date, time) = text.split_once('T').unwrap_or((&text, ""));
    format!("{date} {} UTC", time.get(..5).unwrap_or(time))
}
