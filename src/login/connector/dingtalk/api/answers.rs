//! Reads the answers of the two APIs. An answer is a success only if it says so.

use serde_json::Value;

use super::super::super::kit::app_token::IssuedToken;
use super::super::errors::{ApiError, REFUSED_BY_GATEWAY, named_error, numbered_error};
use super::{ResponseObject, number};
use crate::outbound::{JsonResponse, OutboundError};

/// The lifetime of a token if DingTalk sends none, in seconds.
const TOKEN_LIFETIME_S: i64 = 7200;

/// The members of an answer of the older API, whose error code must be 0.
pub(super) fn with_error_code(
    call: &'static str,
    answer: Value,
    redacted: &[&str],
) -> Result<ResponseObject, ApiError> {
    let Value::Object(fields) = answer else {
        return Err(incomplete(call, "an object"));
    };
    let code = fields.get("errcode").and_then(number);
    let code = code.ok_or_else(|| incomplete(call, "`errcode`"))?;
    if code == 0 {
        return Ok(fields);
    }
    let text = |name: &str| fields.get(name).and_then(Value::as_str).unwrap_or_default();
    let (mut message, sub_message) = (text("errmsg").to_owned(), text("sub_msg"));
    if !message.contains(sub_message) {
        message.push_str(&format!(" ({sub_message})"));
    }
    let sub_code = fields.get("sub_code").and_then(number);
    let code = match (code, sub_code) {
        (REFUSED_BY_GATEWAY, Some(sub_code)) => sub_code,
        _ => code,
    };
    Err(numbered_error(call, code, &message, redacted))
}

/// The members of an answer of the newer API, whose status must be 2xx.
pub(super) fn with_status(
    call: &'static str,
    JsonResponse { status, body }: JsonResponse,
    redacted: &[&str],
) -> Result<ResponseObject, ApiError> {
    if !(200..300).contains(&status) {
        return Err(named_error(call, status, &body, redacted));
    }
    match body {
        Value::Object(fields) => Ok(fields),
        _ => Err(incomplete(call, "an object")),
    }
}

/// The object `result` of an answer.
pub(super) fn result_object(
    call: &'static str,
    mut fields: ResponseObject,
) -> Result<ResponseObject, ApiError> {
    match fields.remove("result") {
        Some(Value::Object(result)) => Ok(result),
        _ => Err(incomplete(call, "`result`")),
    }
}

/// The list `result` of an answer.
pub(super) fn result_list(
    call: &'static str,
    mut fields: ResponseObject,
) -> Result<Vec<Value>, ApiError> {
    match fields.remove("result") {
        Some(Value::Array(result)) => Ok(result),
        _ => Err(incomplete(call, "`result`")),
    }
}

/// The token of an answer, and its lifetime, under these names.
pub(super) fn issued_token(
    call: &'static str,
    fields: &mut ResponseObject,
    names: [&str; 2],
) -> Result<IssuedToken, ApiError> {
    let issued = IssuedToken::take(fields, names, TOKEN_LIFETIME_S);
    issued.ok_or_else(|| incomplete(call, "the access token"))
}

pub(super) fn incomplete(call: &'static str, missing: &'static str) -> ApiError {
    ApiError::NoUsableResponse(OutboundError::Incomplete { call, missing })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn error_of(answer: Value) -> ApiError {
        with_error_code("x", answer, &[]).unwrap_err()
    }

    #[test]
    fn the_older_api_succeeds_only_with_the_error_code_0() {
        for good in [
            json!({ "errcode": 0 }),
            json!({ "errcode": "0", "errmsg": "no" }),
        ] {
            assert!(with_error_code("x", good, &[]).is_ok());
        }
        for bad in [
            json!({}),
            json!({ "errcode": null }),
            json!({ "errcode": {} }),
            json!([]),
            json!(null),
        ] {
            assert_eq!(error_of(bad.clone()).code(), None, "{bad}");
        }
        assert_eq!(error_of(json!({ "errcode": 60121 })).code(), Some(60121));
    }

    #[test]
    fn the_code_88_stands_for_its_sub_code() {
        let refused = |sub_code: Value| json!({ "errcode": 88, "errmsg": "a", "sub_code": sub_code, "sub_msg": "b" });
        for (sub_code, expected) in [
            (json!("40014"), 40014),
            (json!(42001), 42001),
            (json!("isv.x"), 88),
            (json!(null), 88),
        ] {
            let error = error_of(refused(sub_code));
            assert_eq!(error.code(), Some(expected));
            assert!(error.to_string().ends_with("a (b)"), "{error}");
        }
        let other = error_of(json!({ "errcode": 60121, "sub_code": "40014" }));
        assert_eq!(other.code(), Some(60121));
    }

    #[test]
    fn the_newer_api_succeeds_only_with_a_2xx() {
        let answer = |status, body| with_status("v1.0/x", JsonResponse { status, body }, &[]);
        assert!(answer(200, json!({})).is_ok());
        assert!(answer(200, json!([])).is_err());
        assert_eq!(answer(400, json!({})).unwrap_err().code(), Some(400));
    }
}
