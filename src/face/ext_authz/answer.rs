//! An answer in Envoy's words.

use bytes::Bytes;
use http::{HeaderMap, StatusCode};

use super::wire::{
    BoolValue, CheckResponse, DeniedHttpResponse, HeaderValue, HeaderValueOption, HttpStatus,
    Status,
};

/// Codes of gRPC, as far as we say them.
const PERMISSION_DENIED: i32 = 7;
const UNAVAILABLE: i32 = 14;
const UNAUTHENTICATED: i32 = 16;

/// What the client gets instead of the application's answer.
pub(super) fn denied(status: StatusCode, headers: &HeaderMap, body: String) -> CheckResponse {
    let code = match status {
        StatusCode::SERVICE_UNAVAILABLE => UNAVAILABLE,
        StatusCode::UNAUTHORIZED => UNAUTHENTICATED,
        redirect if redirect.is_redirection() => UNAUTHENTICATED,
        _ => PERMISSION_DENIED,
    };
    CheckResponse {
        status: Some(Status {
            code,
            message: String::new(),
        }),
        denied_response: Some(DeniedHttpResponse {
            status: Some(HttpStatus {
                code: status.as_u16().into(),
            }),
            headers: headers
                .iter()
                .map(|(name, value)| set(name, value))
                .collect(),
            body,
        }),
        ..CheckResponse::default()
    }
}

/// One header of a denied response. A name that comes twice is sent twice: Envoy first takes its own
/// of that name away, then adds all of ours.
fn set(name: &http::HeaderName, value: &http::HeaderValue) -> HeaderValueOption {
    option(name, value, HeaderValueOption::OVERWRITE, false)
}

fn option(
    name: &http::HeaderName,
    value: &http::HeaderValue,
    append_action: i32,
    append: bool,
) -> HeaderValueOption {
    let bytes = Bytes::copy_from_slice(value.as_bytes());
    let readable = std::str::from_utf8(&bytes).is_ok();
    let (value, raw_value) = if readable {
        (bytes, Bytes::new())
    } else {
        (Bytes::new(), bytes)
    };
    HeaderValueOption {
        header: Some(HeaderValue {
            key: Bytes::copy_from_slice(name.as_str().as_bytes()),
            value,
            raw_value,
        }),
        append: append.then_some(BoolValue { value: true }),
        append_action,
    }
}
