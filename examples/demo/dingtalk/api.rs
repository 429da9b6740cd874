//! The newer API, `/v1.0/*`: a status, and for a refusal JSON with a code that is a name.

use serde_json::{Value, json};

use super::people::{APP_KEY, APP_SECRET};
use super::server::ApiRequest;
use super::state::{CodeKind, State, TOKEN_LIFETIME};

/// The status and the JSON of a response; `None` for an unknown path.
pub(super) fn answer(state: &mut State, request: &ApiRequest<'_>) -> Option<(u16, Value)> {
    let endpoint = match request.path {
        "/v1.0/oauth2/accessToken" => access_token,
        "/v1.0/oauth2/userAccessToken" => user_access_token,
        "/v1.0/contact/users/me" => me,
        _ => return None,
    };
    let answer = endpoint(state, request);
    Some(match answer {
        Ok(answer) => (200, answer),
        Err(Refusal(status, code, message)) => {
            let request_id = state.random();
            let mut body = json!({ "code": code, "requestid": request_id, "message": message });
            if code == PERMISSION_DENIED {
                body["accessdenieddetail"] = json!({ "requiredScopes": ["Contact.User.Read"] });
            }
            (status, body)
        }
    })
}

const PERMISSION_DENIED: &str = "Forbidden.AccessDenied.AccessTokenPermissionDenied";

/// The status, the code and the message of a refusal.
struct Refusal(u16, &'static str, &'static str);

fn access_token(state: &mut State, request: &ApiRequest<'_>) -> Result<Value, Refusal> {
    let body = body(request)?;
    if body["appKey"] != APP_KEY || body["appSecret"] != APP_SECRET {
        return Err(wrong_client());
    }
    let (token, expires_in) = state.token(request.now);
    Ok(json!({ "accessToken": token, "expireIn": expires_in }))
}

fn user_access_token(state: &mut State, request: &ApiRequest<'_>) -> Result<Value, Refusal> {
    let body = body(request)?;
    if body["clientId"] != APP_KEY || body["clientSecret"] != APP_SECRET {
        return Err(wrong_client());
    }
    if body["grantType"] != "authorization_code" {
        let code = "invalidParameter.grantType.notSupport";
        return Err(Refusal(400, code, "不合法的grantType"));
    }
    let code = body["code"].as_str().unwrap_or_default();
    let is_web = |kind: &CodeKind| matches!(kind, CodeKind::Web(_));
    let redeemed = state.redeem(code, is_web, request.now);
    let (userid, corp_id) = redeemed.ok_or(Refusal(
        400,
        "invalidParameter.authCode.notFound",
        "不存在的authCode",
    ))?;
    let (token, refresh_token) = (state.random(), state.random());
    state.user_tokens.insert(token.clone(), userid);
    let mut answer = json!({
        "accessToken": token,
        "refreshToken": refresh_token,
        "expireIn": TOKEN_LIFETIME.as_secs(),
    });
    if let Some(corp_id) = corp_id {
        answer["corpId"] = json!(corp_id);
    }
    Ok(answer)
}

fn me(state: &mut State, request: &ApiRequest<'_>) -> Result<Value, Refusal> {
    let userid = state.user_tokens.get(request.token);
    let userid = userid.ok_or(Refusal(
        400,
        "InvalidAuthentication",
        "不合法的access_token",
    ))?;
    if state.denied.contains("Contact.User.Read") {
        let message = "应用尚未开通所需的权限：[Contact.User.Read]";
        return Err(Refusal(403, PERMISSION_DENIED, message));
    }
    let mut answer = json!({
        // Everybody chooses this name themselves, and several may have it.
        "nick": "小明",
        "avatarUrl": "",
        "openId": format!("open-{userid}"),
        "unionId": super::people::union_id(userid),
        "stateCode": "86",
    });
    if let Some(member) = state
        .member(userid)
        .filter(|member| !member.mobile.is_empty())
    {
        answer["mobile"] = json!(member.mobile);
    }
    Ok(answer)
}

fn body(request: &ApiRequest<'_>) -> Result<Value, Refusal> {
    if !request.is_post {
        return Err(Refusal(
            404,
            "InvalidAction.NotFound",
            "Specified api is not found",
        ));
    }
    serde_json::from_slice(request.body)
        .map_err(|_| Refusal(400, "Missingbody", "body is mandatory for this action."))
}

fn wrong_client() -> Refusal {
    Refusal(
        400,
        "invalidClientIdOrSecret",
        "无效的clientId或者clientSecret",
    )
}
