//! The handlers of the paths, with their descriptions.

use std::sync::Arc;

use axum::Extension;
use axum::extract::{Path, RawQuery, Request, State};
use axum::response::{IntoResponse, Response};
use http::HeaderMap;
use serde::Serialize;
use serde_json::{Value, json};
use url::form_urlencoded;
use utoipa::ToSchema;
use utoipa_axum::routes;

use super::body;
use super::envelope::Success;
use super::kind::HengshiKind;
use super::refusal::Refusal;
use super::refused::Refused;
use super::settings::{self, ChangeRequest};
use super::{Caller, active_auth, dingtalk_sync, generate_key};
use crate::face::admin::api::change::precondition;
use crate::face::admin::api::{ApiState, Resource};
use crate::store::ConnectorId;

/// What a handler decided. The response is made of it where the language is known.
#[derive(Clone, Debug)]
pub(super) struct Outcome(pub(super) Result<Success, Refused>);

impl IntoResponse for Outcome {
    fn into_response(self) -> Response {
        let mut response = Response::default();
        response.extensions_mut().insert(self);
        response
    }
}

impl<E: Into<Refused>> From<Result<Success, E>> for Outcome {
    fn from(result: Result<Success, E>) -> Self {
        Self(result.map_err(Into::into))
    }
}

pub(super) fn routes() -> Resource {
    Resource::new()
        .routes(routes!(form_items))
        .routes(routes!(show_active_auth, set_active_auth))
        .routes(routes!(sync_dingtalk))
        .routes(routes!(generate_jwt_key))
        .routes(routes!(show_kind, replace_kind))
}

/// The envelope of every answer.
#[derive(Serialize, ToSchema)]
struct Envelope {
    /// The version of menshen, and the one of its settings.
    version: String,
    /// 0, or the status × 100 + a number.
    code: u32,
    /// `success`, or what is wrong.
    msg: String,
    /// The settings; after a failure `null` or `{"problems": [{"field", "message", "file", "line"}]}`.
    data: Value,
}

/// Lists the kinds of authentication, as HENGSHI does.
#[utoipa::path(
    get, path = "/api/authentication-configs/form-items", operation_id = "hengshiFormItems",
    tag = "hengshi",
    responses((status = 200, body = Envelope, description = "The kinds with their names"))
)]
async fn form_items() -> Outcome {
    let items = HengshiKind::ALL.map(|kind| json!({ "id": kind.id(), "name": kind.label() }));
    Outcome(Ok(Success::of(Value::from(items.to_vec()))))
}

/// Shows the kind to which people are redirected who are not signed in.
#[utoipa::path(
    get, path = "/api/authentication-configs/active-auth", operation_id = "hengshiActiveAuth",
    tag = "hengshi",
    responses((status = 200, body = Envelope, description = "`{\"authType\": …}`"))
)]
async fn show_active_auth(State(state): State<Arc<ApiState>>) -> Outcome {
    Outcome(Ok(active_auth::show(&state.live.settings())))
}

/// Sets the kind to which people are redirected who are not signed in; `hengshi`: they choose.
#[utoipa::path(
    put, path = "/api/authentication-configs/active-auth", operation_id = "hengshiSetActiveAuth",
    tag = "hengshi", request_body = Value,
    responses(
        (status = 200, body = Envelope, description = "`{\"authType\": …}`"),
        (status = 409, body = Envelope, description = "Not configured, disabled, or set in the file"),
    )
)]
async fn set_active_auth(
    State(state): State<Arc<ApiState>>,
    Extension(caller): Extension<Caller>,
    request: Request,
) -> Outcome {
    let run = async {
        let change = change_request(&caller, request.headers(), None)?;
        let body = body::read(request).await?;
        active_auth::set(&state.live, &change, &body).await
    };
    run.await.into()
}

/// Shows the settings of a kind, without secrets; `{}` if there are none.
#[utoipa::path(
    get, path = "/api/authentication-configs/{kind}", operation_id = "hengshiShow", tag = "hengshi",
    params(
        ("kind" = String, Path, description = "`ldap`, `wechat-work` … as in `form-items`"),
        ("connector" = Option<String>, Query, description = "The ID of the connector, if it is another one than that of the kind"),
    ),
    responses(
        (status = 200, body = Envelope, description = "The settings"),
        (status = 409, body = Envelope, description = "Several connectors are of this kind"),
    )
)]
async fn show_kind(
    State(state): State<Arc<ApiState>>,
    Path(kind): Path<String>,
    RawQuery(query): RawQuery,
) -> Outcome {
    let show = || {
        let kind = HengshiKind::of_id(&kind).ok_or(Refusal::NotFound)?;
        let named = connector_of(query.as_deref())?;
        settings::show(&state.live.settings(), kind, named.as_ref())
    };
    show().into()
}

/// Replaces the settings of a kind as a whole, and makes the connector if there is none.
#[utoipa::path(
    put, path = "/api/authentication-configs/{kind}", operation_id = "hengshiReplace",
    tag = "hengshi", request_body = Value,
    params(
        ("kind" = String, Path, description = "`ldap`, `wechat-work` … as in `form-items`"),
        ("connector" = Option<String>, Query, description = "The ID of the connector, if it is another one than that of the kind"),
    ),
    responses(
        (status = 200, body = Envelope, description = "The settings, as GET shows them"),
        (status = 409, body = Envelope, description = "Set in the file, or several connectors are of this kind"),
        (status = 412, body = Envelope, description = "`If-Match` or `If-None-Match` does not hold"),
        (status = 422, body = Envelope, description = "The settings cannot be used together"),
    )
)]
async fn replace_kind(
    State(state): State<Arc<ApiState>>,
    Extension(caller): Extension<Caller>,
    Path(kind): Path<String>,
    RawQuery(query): RawQuery,
    request: Request,
) -> Outcome {
    let run = async {
        let kind = HengshiKind::of_id(&kind).ok_or(Refusal::NotFound)?;
        let change = change_request(&caller, request.headers(), query.as_deref())?;
        let body = body::read(request).await?;
        if kind == HengshiKind::Hengshi {
            return Ok(settings::refuse_fields_of_hengshi(&body)?);
        }
        let replaced = settings::replace(&state.live, kind, &change, &body).await;
        replaced.map(|(_, success)| success)
    };
    run.await.into()
}

/// Replaces the settings of DingTalk if the request has any, and starts a directory sync.
#[utoipa::path(
    put, path = "/api/authentication-configs/dingtalk/sync", operation_id = "hengshiSyncDingtalk",
    tag = "hengshi", request_body = Option<Value>, params(("connector" = Option<String>, Query, description = "The ID of the connector, if it is another one than that of the kind")),
    responses(
        (status = 200, body = Envelope, description = "The settings; the sync runs"),
        (status = 409, body = Envelope, description = "Not configured, or another sync runs"),
        (status = 502, body = Envelope, description = "DingTalk refused, or does not answer"),
    )
)]
async fn sync_dingtalk(
    State(state): State<Arc<ApiState>>,
    Extension(caller): Extension<Caller>,
    RawQuery(query): RawQuery,
    request: Request,
) -> Outcome {
    let run = async {
        let change = change_request(&caller, request.headers(), query.as_deref())?;
        let body = body::read_optional(request).await?;
        dingtalk_sync::run(&state.live, &change, &body).await
    };
    run.await.into()
}

/// Makes a key for tokens, which is neither kept nor in force.
#[utoipa::path(
    put, path = "/api/authentication-configs/jwt-param/generate-key",
    operation_id = "hengshiGenerateKey", tag = "hengshi", request_body = Option<Value>,
    params(("connector" = Option<String>, Query, description = "The ID of the connector, if it is another one than that of the kind")),
    responses((status = 200, body = Envelope, description = "Both keys"))
)]
async fn generate_jwt_key(
    State(state): State<Arc<ApiState>>,
    RawQuery(query): RawQuery,
    request: Request,
) -> Outcome {
    let run = async {
        let named = connector_of(query.as_deref())?;
        let body = body::read_optional(request).await?;
        let kept = settings::show(
            &state.live.settings(),
            HengshiKind::JwtParam,
            named.as_ref(),
        );
        let kept = kept.ok().and_then(|kept| kept.data.as_object().cloned());
        generate_key::generate(&body, kept.as_ref())
    };
    run.await.into()
}

fn change_request(
    caller: &Caller,
    headers: &HeaderMap,
    query: Option<&str>,
) -> Result<ChangeRequest, Refusal> {
    Ok(ChangeRequest {
        author: caller.author.clone(),
        precondition: precondition(headers).map_err(|_| Refusal::Precondition)?,
        connector: connector_of(query)?,
    })
}

/// The connector of `?connector=ID`.
fn connector_of(query: Option<&str>) -> Result<Option<ConnectorId>, Refusal> {
    let query = query.unwrap_or_default().as_bytes();
    let mut named = form_urlencoded::parse(query).filter(|(name, _)| name == "connector");
    let Some((_, id)) = named.next() else {
        return Ok(None);
    };
    let id: Option<ConnectorId> = id.parse().ok();
    match (id, named.next()) {
        (Some(id), None) => Ok(Some(id)),
        _ => {
            let zh = "应为一个认证源的 ID，只能写一次";
            let en = "it must be the ID of one connector, once";
            Err(Refusal::field("connector", zh, en))
        }
    }
}
