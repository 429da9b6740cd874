//! The admin API: its router, and its OpenAPI description, which is generated from the handlers.
//!
//! A new resource is one file below `api/` with a function `routes()`, and one line in [`resources`].

use std::convert::Infallible;
use std::net::IpAddr;
use std::sync::Arc;

use axum::Router;
use axum::extract::Request as ApiRequest;
use axum::middleware::{self, Next};
use axum::response::{IntoResponse as _, Response as ApiResponse};
use bytes::Bytes;
use http::header::ALLOW;
use http::{HeaderValue, Method, Request, Response, StatusCode, Uri};
use http_body_util::BodyExt as _;
use tower_service::Service as _;
use utoipa::openapi::OpenApi;
use utoipa_axum::router::OpenApiRouter;

use super::tokens::{AdminRights, AdminToken};
use super::{json_response, problem};
use crate::people::People;
use crate::people::session::Sessions;
use crate::request::{Body, BodyError};
use crate::site::live::LiveSite;
use crate::telemetry::Telemetry;
use crate::text;
use crate::wording::Text;

mod access;
mod access_tokens;
mod accounts;
pub(super) mod answer;
mod app_token;
mod audit;
pub(super) mod change;
mod connectors;
mod description;
mod error;
mod explain;
mod input;
mod local_people;
mod login_choices;
mod mapping;
mod people;
mod revoke;
mod sessions;
mod sync;
mod versions;

pub use change::COMMAND_USER_AGENT;
use change::ClientAddress;
use error::ApiError;

/// The path of the OpenAPI description.
pub(super) const DESCRIPTION_PATH: &str = "/openapi.json";

/// What the handlers use.
pub(super) struct ApiState {
    pub(super) sessions: Arc<Sessions>,
    pub(super) people: People,
    pub(super) telemetry: Telemetry,
    pub(super) live: Arc<LiveSite>,
}

/// The paths of a resource with their handlers and descriptions.
pub(super) type Resource = OpenApiRouter<Arc<ApiState>>;

/// The resources that need [`AdminRights::Full`], or [`AdminRights::View`] for reading.
fn resources() -> Resource {
    OpenApiRouter::new()
        .merge(sessions::routes())
        .merge(revoke::routes())
        .merge(people::routes())
        .merge(accounts::routes())
        .merge(access::routes())
        .merge(access_tokens::routes())
        .merge(connectors::routes())
        .merge(explain::routes())
        .merge(local_people::routes())
        .merge(login_choices::routes())
        .merge(mapping::routes())
        .merge(sync::routes())
        .merge(audit::routes())
        .merge(versions::routes())
}

/// The router of the API with its description.
pub(super) struct Api {
    router: Router,
    description: serde_json::Value,
}

impl Api {
    /// `others` describes the paths of other APIs on this listener.
    pub(super) fn new(state: Arc<ApiState>, others: OpenApi) -> Self {
        let resources = resources().route_layer(middleware::from_fn(require_right));
        // These handlers check the right themselves.
        let resources = resources.merge(app_token::routes());
        let resources = resources.route_layer(middleware::from_fn(refuse_nul));
        let (router, mut paths) = resources.split_for_parts();
        paths.merge(others);
        let router = router
            .fallback(unknown_path)
            .method_not_allowed_fallback(refuse_method)
            .with_state(state);
        Self {
            router,
            description: description::complete(paths),
        }
    }

    /// The OpenAPI description.
    pub(super) fn description(&self) -> Response<Body> {
        json_response(StatusCode::OK, &self.description)
    }

    /// Answers a request of a client with this token.
    pub(super) async fn answer<B>(
        &self,
        token: &AdminToken,
        client: Option<IpAddr>,
        request: Request<B>,
    ) -> Response<Body>
    where
        B: http_body::Body<Data = Bytes> + Send + 'static,
        B::Error: Into<BodyError>,
    {
        let (method, path) = (request.method().clone(), request.uri().path().to_owned());
        let mut request = request.map(axum::body::Body::new);
        let token = AdminToken {
            client,
            ..token.clone()
        };
        request.extensions_mut().insert(token);
        request.extensions_mut().insert(ClientAddress(client));
        let answer: Result<ApiResponse, Infallible> = self.router.clone().call(request).await;
        let Ok(answer) = answer;
        if answer.status() == StatusCode::METHOD_NOT_ALLOWED {
            return method_not_allowed(&method, &path, answer.headers().get(ALLOW));
        }
        answer.map(|body| body.map_err(BodyError::from).boxed_unsync())
    }
}

/// Refuses what the token has no right to do.
async fn require_right(request: ApiRequest, next: Next) -> ApiResponse {
    let token = request.extensions().get::<AdminToken>();
    let is_read = matches!(*request.method(), Method::GET | Method::HEAD);
    let why = match token.map(|token| &token.rights) {
        Some(AdminRights::Full) => return next.run(request).await,
        Some(AdminRights::View) if is_read => return next.run(request).await,
        Some(AdminRights::View) => ApiError::Forbidden(Text::fixed(
            "this token may only read: use one without view = true",
            "这个令牌只能读取：请使用没有 view = true 的令牌",
        )),
        Some(AdminRights::Broker(_)) => ApiError::Forbidden(Text::fixed(
            "this token may only fetch tokens of applications: use one without broker",
            "这个令牌只能领取应用令牌：请使用没有 broker 的令牌",
        )),
        None => ApiError::no_token(),
    };
    why.into_response()
}

/// Refuses NUL in a parameter: PostgreSQL has no text with it.
async fn refuse_nul(request: ApiRequest, next: Next) -> ApiResponse {
    let uri = request.uri();
    let parts = [
        (Text::fixed("the path", "路径"), uri.path()),
        (Text::fixed("the query", "查询"), uri.query().unwrap_or("")),
    ];
    for (part, text) in parts {
        if text.contains("%00") {
            let detail = text!(
                "{part}: a parameter has the character NUL (%00)",
                "{part:#}：有参数含有 NUL 字符（%00）"
            );
            return ApiError::Malformed(detail).into_response();
        }
    }
    next.run(request).await
}

async fn unknown_path(uri: Uri) -> ApiError {
    let path = uri.path();
    ApiError::NotFound(text!(
        "the admin API has no path {path}",
        "管理 API 没有路径 {path}"
    ))
}

/// The router adds the header `Allow`, from which [`method_not_allowed`] makes the response.
async fn refuse_method() -> StatusCode {
    StatusCode::METHOD_NOT_ALLOWED
}

fn method_not_allowed(
    method: &Method,
    path: &str,
    allowed: Option<&HeaderValue>,
) -> Response<Body> {
    let methods = allowed.and_then(|methods| methods.to_str().ok());
    let methods = methods.unwrap_or_default().replace(',', ", ");
    let detail = text!(
        "{path} does not accept {method}; it accepts {methods}",
        "{path} 不接受 {method}；可用的方法：{methods}"
    );
    let mut response = problem(StatusCode::METHOD_NOT_ALLOWED, &detail);
    if let Ok(methods) = HeaderValue::from_str(&methods) {
        response.headers_mut().insert(ALLOW, methods);
    }
    response
}
