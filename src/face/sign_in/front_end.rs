//! `/login-config`, `/login`, `/userinfo`: login for custom front ends and mobile apps.

use bytes::Bytes;
use http::header::{
    ACCESS_CONTROL_ALLOW_CREDENTIALS, ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS,
    ACCESS_CONTROL_ALLOW_ORIGIN, CONTENT_TYPE, VARY,
};
use http::{HeaderValue, Method, Response, StatusCode};
use serde::Deserialize;
use serde_json::{Value, json};

use super::super::browser::single_header;
use super::super::page::Cause;
use super::super::record::LoggedResponse;
use super::super::{RequestContext, reply};
use super::{
    LoginTarget, audit, begin, caller_or_bearer, complete, flow_cookies, read_body, target, ticket,
    user_agent,
};
use crate::login::connector::AuthnResponse;
use crate::login::fields::Fields;
use crate::login::pending::{FlowId, PENDING_AGE_MAX_S, PendingError};
use crate::login::return_to::ReturnTo;
use crate::login::{BeginRequest, FinishedLogin, LoginError, LoginResult};
use crate::request::gate::{Caller, LoginReason};
use crate::request::{Body, BodyError};
use crate::store::ConnectorId;

/// The `kind` of a code, if a front end names none.
const ORDINARY_CODE: &str = "code";

/// The JSON body of `POST /login/{connector}`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct LoginRequest {
    /// The authorization code that the provider gave the front end.
    #[serde(default)]
    code: Option<String>,
    /// The PKCE verifier, if the SDK that gave the code made one.
    #[serde(default)]
    code_verifier: Option<String>,
    /// The user name, for connectors with a password form.
    #[serde(default)]
    login: Option<String>,
    #[serde(default)]
    password: Option<String>,
    state: String,
    /// The sealed pending login, from an app that has no cookies.
    #[serde(default)]
    flow: Option<String>,
    /// The kind of the code: one of `Features::code_kinds`; absent or `code` for an ordinary one.
    #[serde(default)]
    kind: Option<String>,
}

impl LoginRequest {
    /// Whether the connector accepts this kind of code.
    fn has_known_kind(&self, context: &RequestContext<'_>, via: &ConnectorId) -> bool {
        let entry = context.site.login.entry(via);
        let further_kinds = entry.map_or(&[][..], |entry| entry.features.code_kinds);
        let kind = self.kind.as_deref();
        kind.is_none_or(|kind| kind == ORDINARY_CODE || further_kinds.contains(&kind))
    }

    /// The fields for the connector: a code, or user name and password for a connector with a form.
    fn fields(&self, context: &RequestContext<'_>, via: &ConnectorId) -> Option<Fields> {
        let entry = context.site.login.entry(via);
        let uses_password_form = entry.is_some_and(|entry| entry.uses_password_form());
        let verifier = self.code_verifier.as_ref();
        let pairs = match (&self.code, &self.login, &self.password) {
            (Some(code), None, None) if !uses_password_form => {
                let mut pairs = vec![("code", code), ("state", &self.state)];
                pairs.extend(verifier.map(|verifier| ("code_verifier", verifier)));
                pairs
            }
            (None, Some(login), Some(password))
                if uses_password_form && self.kind.is_none() && verifier.is_none() =>
            {
                vec![("login", login), ("password", password)]
            }
            _ => return None,
        };
        let pairs = pairs.into_iter();
        let fields = pairs.map(|(name, value)| (name.to_owned(), value.clone()));
        Some(Fields::new(fields.collect()))
    }
}

/// `GET /login-config/{connector}`: begins a login and returns the parameters with which a front end sends
/// the person to the provider itself.
pub(super) async fn login_config(
    context: &RequestContext<'_>,
    via: &ConnectorId,
    query: &Fields,
) -> LoggedResponse {
    let origin = match allowed_origin(context) {
        Ok(origin) => origin,
        Err(logged) => return *logged,
    };
    if context.head.method == Method::OPTIONS {
        return LoggedResponse::own_path("preflight", preflight(origin));
    }
    if context.head.method != Method::GET {
        return LoggedResponse::own_path("method", reply::method_not_allowed("GET"));
    }
    if let Err(logged) = require_login_host(context, &origin) {
        return *logged;
    }
    let target = LoginTarget::from_query(context, query);
    let entry = context.site.login.entry(via);
    let return_to = match entry {
        Some(entry) => target.return_to_or_default(context, entry),
        None => ReturnTo::login_host_root(),
    };
    let request = BeginRequest {
        via,
        mode: None,
        authn: target::authn_request(context, &return_to, &target.hints, false),
        return_to,
        automatic: false,
        retries: 0,
        ticket_for: None,
        for_frame: false,
        replaces: begin::current_session_key(context),
        client: context.head.client_for_limits(),
        user_agent: &user_agent(context),
        link_to: None,
    };
    let begun = match context.site.login.begin(request).await {
        Ok(begun) => begun,
        Err(error) => return refusal(context, via, &error, origin),
    };
    let Some(app_login) = &begun.app_login else {
        return LoggedResponse::own_path(
            "no app login",
            reply::problem(context, Cause::NotFound, None),
        );
    };
    let mut members = app_login.clone();
    let common = [
        ("connector", json!(via.as_str())),
        ("kind", json!(entry.map(|entry| entry.kind))),
        ("state", json!(begun.pending.flow.as_str())),
        ("flow", json!(begun.sealed)),
        ("expires_in", json!(PENDING_AGE_MAX_S)),
    ];
    members.extend(common.map(|(name, value)| (name.to_owned(), value)));
    let mut response = reply::json(StatusCode::OK, &Value::Object(members));
    flow_cookies::set(context, &begun, &mut response);
    LoggedResponse::own_path("login config", with_cors(response, origin))
}

/// `POST /login/{connector}`: exchanges a code, or user name and password, for a session.
pub(super) async fn login<B>(
    context: &RequestContext<'_>,
    via: &ConnectorId,
    body: Option<B>,
) -> LoggedResponse
where
    B: http_body::Body<Data = Bytes> + Send + Unpin + 'static,
    B::Error: Into<BodyError>,
{
    let origin = match allowed_origin(context) {
        Ok(origin) => origin,
        Err(logged) => return *logged,
    };
    if context.head.method == Method::OPTIONS {
        return LoggedResponse::own_path("preflight", preflight(origin));
    }
    if context.head.method != Method::POST {
        return LoggedResponse::own_path("method", reply::method_not_allowed("POST"));
    }
    if let Err(logged) = require_login_host(context, &origin) {
        return *logged;
    }
    let content_type = single_header(context.head.headers, CONTENT_TYPE.as_str()).unwrap_or("");
    let is_json = content_type
        .split(';')
        .next()
        .is_some_and(|media_type| media_type.trim() == "application/json");
    let posted = match read_body(body).await {
        Some(body) if is_json => serde_json::from_slice::<LoginRequest>(&body).ok(),
        _ => None,
    };
    let posted = posted.filter(|posted| posted.has_known_kind(context, via));
    let flow = posted
        .as_ref()
        .and_then(|posted| FlowId::try_from(posted.state.clone()).ok());
    let fields = posted
        .as_ref()
        .and_then(|posted| posted.fields(context, via));
    let (Some(posted), Some(fields), Some(flow)) = (posted, fields, flow) else {
        let response = reply::cause_json(context, Cause::BadRequest);
        return LoggedResponse::own_path("bad request", with_cors(response, origin));
    };
    let sealed = posted
        .flow
        .or_else(|| flow_cookies::sealed_login(context, &flow));
    let login = &context.site.login;
    let pending = match login.open_pending([via], &flow, sealed.as_deref()) {
        Ok(pending) => pending,
        Err(error) => return refusal(context, via, &LoginError::Pending(error), origin),
    };
    let authn_response = AuthnResponse {
        fields,
        client: context.head.client_for_limits(),
        origin: super::session_origin(context),
        kind: posted.kind.or_else(|| Some(ORDINARY_CODE.to_owned())),
    };
    let target = LoginTarget::of(&pending);
    let outcome = context.site.login.finish(pending, authn_response).await;
    match outcome.as_deref() {
        Ok(Ok(LoginResult::SignedIn(finished))) => {
            let response = session_response(context, finished, &target, &flow).await;
            LoggedResponse::own_path("login", with_cors(response, origin))
        }
        // A front end begins no login that links an identity.
        Ok(Ok(LoginResult::Proven(_))) => {
            let error = LoginError::Pending(PendingError::Forged);
            refusal(context, via, &error, origin)
        }
        Ok(Err(error)) | Err(error) => refusal(context, via, error, origin),
    }
}

async fn session_response(
    context: &RequestContext<'_>,
    finished: &FinishedLogin,
    target: &LoginTarget,
    flow: &FlowId,
) -> Response<Body> {
    let lifetime_s = finished
        .claims
        .expires_at
        .since(context.head.received_at)
        .as_secs();
    let fields = &finished.fields;
    let attribute = |name: &str| fields.attributes.get(name).cloned().unwrap_or(Value::Null);
    let body = json!({
        "expires_in": lifetime_s,
        "expires_at": finished.claims.expires_at.unix_s(),
        "return_to": ticket::next_url(context, &finished.return_to, target, &finished.claims),
        "user": {
            "id": finished.claims.account.to_string(),
            "login": finished.login.as_str(),
            "name": fields.name,
            "mobile": fields.mobile,
            "email": fields.email,
            "avatar": attribute("avatar"),
            "departments": fields.departments,
            "position": attribute("position"),
            "gender": attribute("gender"),
            "status": attribute("status"),
            "is_leader": attribute("is_leader"),
        },
    });
    let mut response = reply::json(StatusCode::OK, &body);
    complete::hand_out_session(context, finished, None, &mut response).await;
    flow_cookies::clear(context, flow, &mut response);
    response
}

fn refusal(
    context: &RequestContext<'_>,
    via: &ConnectorId,
    error: &LoginError,
    origin: Option<HeaderValue>,
) -> LoggedResponse {
    audit::login_failed(context, via, error);
    let cause = audit::cause_of(error);
    let mut response = reply::cause_json(context, cause);
    if let Some(after_s) = error.retry_after_s() {
        reply::set_retry_after(&mut response, after_s);
    }
    LoggedResponse::own_path(cause.slug(), with_cors(response, origin))
}

/// `GET /userinfo`: the signed-in person, with the field names of oauth2-proxy.
pub(super) async fn userinfo(context: &RequestContext<'_>) -> LoggedResponse {
    if !matches!(*context.head.method, Method::GET | Method::HEAD) {
        return LoggedResponse::own_path("method", reply::method_not_allowed("GET, HEAD"));
    }
    let person = match caller_or_bearer(context).await {
        Ok(Caller::Person(person)) => person,
        Ok(Caller::Anonymous(why)) => return no_person(context, why),
        Ok(Caller::Program(_)) => return no_person(context, LoginReason::NotSignedIn),
        Err(logged) => return *logged,
    };
    let (session, fields) = (&person.session, &person.entitlements.fields);
    let response = reply::json(
        StatusCode::OK,
        &json!({
            "user": session.login.as_str(),
            "preferredUsername": session.login.as_str(),
            "login": session.login.as_str(),
            "id": session.account.to_string(),
            "name": fields.name,
            "email": fields.email,
            "mobile": fields.mobile,
            "groups": fields.groups,
            "roles": fields.roles,
            "departments": fields.departments,
            "connector": session.via.as_str(),
            "expires_in": session.expires_at.since(context.head.received_at).as_secs(),
        }),
    );
    LoggedResponse::own_path(
        "userinfo",
        reply::without_body_if_head(context.head.method, response),
    )
}

fn no_person(context: &RequestContext<'_>, why: LoginReason) -> LoggedResponse {
    let response = reply::login_needed(context, why.as_str(), None);
    LoggedResponse::own_path("nobody", response)
}

/// Refuses requests on other hosts than the login host, because the session cookie would not be valid
/// there.
fn require_login_host(
    context: &RequestContext<'_>,
    origin: &Option<HeaderValue>,
) -> Result<(), Box<LoggedResponse>> {
    if context.site.is_login_host(context.head) {
        return Ok(());
    }
    let response = with_cors(
        reply::cause_json(context, Cause::NotOnLoginHost),
        origin.clone(),
    );
    Err(Box::new(LoggedResponse::own_path(
        Cause::NotOnLoginHost.slug(),
        response,
    )))
}

/// The origin for the CORS headers: `None` for apps and same-origin requests. An origin that is not
/// configured is refused.
fn allowed_origin(
    context: &RequestContext<'_>,
) -> Result<Option<HeaderValue>, Box<LoggedResponse>> {
    let foreign = || {
        Box::new(LoggedResponse::own_path(
            "cross-site",
            reply::foreign_origin(context),
        ))
    };
    let Some(origin) = context.head.headers.get(http::header::ORIGIN) else {
        // A browser sends `Sec-Fetch-Site`; an app sends nothing.
        let site = single_header(context.head.headers, "sec-fetch-site");
        return match site {
            None | Some("same-origin" | "none") => Ok(None),
            Some(_) => Err(foreign()),
        };
    };
    let name = origin.to_str().unwrap_or_default();
    let is_configured = context
        .site
        .origins
        .iter()
        .any(|known| known.ascii_serialization() == name);
    if name == context.head.origin() {
        return Ok(None);
    }
    if is_configured {
        Ok(Some(origin.clone()))
    } else {
        Err(foreign())
    }
}

fn with_cors(mut response: Response<Body>, origin: Option<HeaderValue>) -> Response<Body> {
    let headers = response.headers_mut();
    headers.append(VARY, HeaderValue::from_static("origin"));
    if let Some(origin) = origin {
        headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin);
        headers.insert(
            ACCESS_CONTROL_ALLOW_CREDENTIALS,
            HeaderValue::from_static("true"),
        );
    }
    response
}

fn preflight(origin: Option<HeaderValue>) -> Response<Body> {
    let mut response = reply::text(StatusCode::NO_CONTENT, "text/plain", String::new());
    if origin.is_some() {
        let headers = response.headers_mut();
        headers.insert(
            ACCESS_CONTROL_ALLOW_METHODS,
            HeaderValue::from_static("GET, POST"),
        );
        headers.insert(
            ACCESS_CONTROL_ALLOW_HEADERS,
            HeaderValue::from_static("content-type"),
        );
    }
    with_cors(response, origin)
}
