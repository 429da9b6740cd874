//! Responses of the admin listener: JSON, texts, and problems in both languages.

use http::header::{ALLOW, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderValue, Response, StatusCode};
use serde_json::{Value, json};

use crate::face::reply;
use crate::request::Body;
use crate::telemetry::escape;
use crate::wording::Text;

/// A text that pages of other origins cannot load.
pub(super) fn same_origin_text(
    status: StatusCode,
    content_type: &'static str,
    body: String,
) -> Response<Body> {
    let mut response = reply::text_for_operators(status, content_type, body);
    response.headers_mut().insert(
        "cross-origin-resource-policy",
        HeaderValue::from_static("same-origin"),
    );
    response
}

pub(super) fn json_response(status: StatusCode, value: &Value) -> Response<Body> {
    let json = value.to_string();
    same_origin_text(
        status,
        "application/json",
        escape::json_for_terminal(&json).into_owned(),
    )
}

pub(super) fn problem(status: StatusCode, detail: &Text) -> Response<Body> {
    let mut body = json!({ "error": detail.to_string() });
    if let Some(chinese) = detail.other_chinese() {
        body["error_zh"] = chinese.into();
    }
    json_response(status, &body)
}

pub(super) fn not_found() -> Response<Body> {
    problem(StatusCode::NOT_FOUND, &Text::fixed("not found", "不存在"))
}

pub(super) fn not_allowed(allowed: &'static str) -> Response<Body> {
    let detail = Text::fixed("method not allowed", "不支持这种请求方法");
    let mut response = problem(StatusCode::METHOD_NOT_ALLOWED, &detail);
    response
        .headers_mut()
        .insert(ALLOW, HeaderValue::from_static(allowed));
    response
}

pub(super) fn too_many() -> Response<Body> {
    let detail = Text::fixed(
        "too many requests of this address had a wrong token: send the right one later",
        "此地址发送的错误令牌过多：请稍后用正确的令牌重试",
    );
    let mut response = problem(StatusCode::TOO_MANY_REQUESTS, &detail);
    let retry_after = HeaderValue::from_static("60");
    response.headers_mut().insert(RETRY_AFTER, retry_after);
    response
}

pub(super) fn unauthorized() -> Response<Body> {
    let detail = Text::fixed(
        "a bearer token of [admin] is required",
        "需要 [admin] 的令牌",
    );
    let mut response = problem(StatusCode::UNAUTHORIZED, &detail);
    response
        .headers_mut()
        .insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    response
}
