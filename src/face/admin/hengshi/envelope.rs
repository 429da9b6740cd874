//! The envelope of every answer: `{"version", "code", "msg", "data"}`.

use http::header::{ALLOW, CACHE_CONTROL, ETAG, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderValue, Response, StatusCode};
use serde_json::{Value, json};

use super::refusal::Refusal;
use crate::face::admin::api::answer::etag;
use crate::face::admin::json_response;
use crate::face::page::Lang;
use crate::request::Body;

/// The message of every success.
const SUCCESS: &str = "success";

/// What a request gets.
#[derive(Clone, Debug)]
pub(super) struct Success {
    pub(super) data: Value,
    /// The version in which the settings were last changed, if the response shows any.
    pub(super) etag: Option<u64>,
}

impl Success {
    pub(super) fn of(data: Value) -> Self {
        Self { data, etag: None }
    }
}

pub(super) fn success(version: &str, success: &Success) -> Response<Body> {
    let mut response = enclosed(StatusCode::OK, version, 0, SUCCESS, success.data.clone());
    if let Some(version) = success.etag {
        response.headers_mut().insert(ETAG, etag(version));
    }
    response
}

pub(super) fn refused(version: &str, lang: Lang, refusal: &Refusal) -> Response<Body> {
    let problems = refusal.problems();
    let data = match problems.is_empty() {
        true => Value::Null,
        false => {
            let problems = problems.iter().map(|problem| problem.shown(lang));
            json!({ "problems": problems.collect::<Vec<_>>() })
        }
    };
    let words = refusal.words();
    let message = words.in_lang(lang);
    let mut response = enclosed(refusal.status(), version, refusal.code(), message, data);
    let headers = response.headers_mut();
    match refusal {
        Refusal::NoToken => {
            headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        Refusal::Method { allowed } => {
            if let Ok(allowed) = HeaderValue::from_str(allowed) {
                headers.insert(ALLOW, allowed);
            }
        }
        Refusal::StoreAway => {
            headers.insert(RETRY_AFTER, HeaderValue::from_static("5"));
        }
        Refusal::TooManyTokens => {
            headers.insert(RETRY_AFTER, HeaderValue::from_static("60"));
        }
        _ => {}
    }
    response
}

fn enclosed(
    status: StatusCode,
    version: &str,
    code: u32,
    message: &str,
    data: Value,
) -> Response<Body> {
    let envelope = json!({ "version": version, "code": code, "msg": message, "data": data });
    let mut response = json_response(status, &envelope);
    let no_store = HeaderValue::from_static("no-store");
    response.headers_mut().insert(CACHE_CONTROL, no_store);
    response
}
