//! The API, `/gateway/*`: every response of a known path has status 200 and says in `success` whether the call
//! succeeded.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};

use super::contacts;
use super::people::{APP_ID, APP_SECRET, EID};
use super::state::State;

pub(super) const TOKEN_PATH: &str = "/gateway/oauth2/token/getAccessToken";
pub(super) const CONTEXT_PATH: &str = "/gateway/ticket/user/acquirecontext";

/// How far the timestamp of a token request may be off.
const TIMESTAMP_TOLERANCE: Duration = Duration::from_secs(180);

/// Responds to an API request; `None` for an unknown path.
pub(super) fn answer(
    state: &mut State,
    path: &str,
    token: &str,
    body: &Value,
    now: SystemTime,
) -> Option<Value> {
    match path {
        TOKEN_PATH => Some(get_token(state, body, now)),
        CONTEXT_PATH => Some(acquire_context(state, token, body, now)),
        path => {
            let scope = state.scope_of(token, now);
            contacts::answer(state, path, scope.as_deref(), body)
        }
    }
}

/// A response that refuses a call.
pub(super) fn refusal(code: i64, message: &str) -> Value {
    json!({ "success": false, "error": message, "errorCode": code, "data": null })
}

fn success(data: &Value) -> Value {
    json!({ "success": true, "error": null, "errorCode": 0, "data": data })
}

fn get_token(state: &mut State, body: &Value, now: SystemTime) -> Value {
    let timestamp = body["timestamp"].as_u64().unwrap_or_default();
    let sent_at = UNIX_EPOCH + Duration::from_millis(timestamp);
    let difference = match now.duration_since(sent_at) {
        Ok(later) => later,
        Err(earlier) => earlier.duration(),
    };
    if difference > TIMESTAMP_TOLERANCE {
        return refusal(1101, "timestamp已过期");
    }
    let scope = body["scope"].as_str().unwrap_or_default();
    let is_known = match scope {
        "app" => body["appId"] == APP_ID,
        "team" => body["appId"] == APP_ID && body["eid"] == EID,
        _ => false,
    };
    if !is_known {
        return refusal(1102, "appId或scope错误");
    }
    if body["secret"] != APP_SECRET {
        return refusal(1103, "secret错误");
    }
    let (token, lifetime_s) = state.token(scope, now);
    success(&json!({
        "accessToken": token, "refreshToken": "not-used", "expireIn": lifetime_s,
    }))
}

fn acquire_context(state: &mut State, token: &str, body: &Value, now: SystemTime) -> Value {
    if state.scope_of(token, now).as_deref() != Some("app") {
        return refusal(1201, "accessToken无效");
    }
    let is_disposable = body["disposable"] == true;
    let ticket = body["ticket"].as_str().unwrap_or_default();
    match state.redeem(ticket, is_disposable, now) {
        Some(person) if body["appid"] == APP_ID => success(&person.context()),
        _ => refusal(1202, "ticket已失效"),
    }
}
