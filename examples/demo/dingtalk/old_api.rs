//! The older API, `/topapi/*` and others: status 200, and JSON with an errcode.

use serde_json::{Value, json};

use super::people::{APP_KEY, APP_SECRET, CORP_ID, Department, SSO_SECRET, union_id};
use super::server::ApiRequest;
use super::state::{CodeKind, State, TOKEN_LIFETIME};

/// Responds to a request; `None` for an unknown path.
pub(super) fn answer(state: &mut State, request: &ApiRequest<'_>) -> Option<Value> {
    let open: Option<Endpoint> = match request.path {
        "/gettoken" => Some(get_token),
        "/sso/gettoken" => Some(get_sso_token),
        "/sso/getuserinfo" => Some(administrator),
        _ => None,
    };
    if let Some(endpoint) = open {
        return Some(endpoint(state, request).unwrap_or_else(error));
    }
    let (endpoint, permission): (Endpoint, &str) = match request.path {
        "/topapi/user/getbyunionid" => (by_union_id, "qyapi_get_member"),
        "/topapi/v2/user/getuserinfo" => (redeem_in_app, ""),
        "/topapi/v2/user/get" => (user_get, "qyapi_get_member"),
        "/topapi/v2/user/list" => (user_list, "qyapi_get_department_member"),
        "/topapi/v2/department/get" => (department_get, "qyapi_get_department_list"),
        "/topapi/v2/department/listsub" => (departments_below, "qyapi_get_department_list"),
        "/auth/scopes" => (scopes, ""),
        _ => return None,
    };
    if let Err(code) = state.check_token(request.query("access_token"), request.now) {
        return Some(match state.uses_gateway_errors {
            true => gateway_error(code, message_of(code)),
            false => error(code),
        });
    }
    if state.denied.contains(permission) {
        let message = format!("{},requiredScopes=[{permission}]", message_of(60011));
        return Some(gateway_error(60011, &message));
    }
    Some(endpoint(state, request).unwrap_or_else(error))
}

/// An error of the API itself.
pub(super) fn error(errcode: i64) -> Value {
    json!({ "errcode": errcode, "errmsg": message_of(errcode), "request_id": "15s9in2w1yat9" })
}

/// An error of the gateway in front of the API.
fn gateway_error(sub_code: i64, message: &str) -> Value {
    json!({
        "errcode": 88,
        "sub_code": sub_code.to_string(),
        "sub_msg": message,
        "errmsg": format!("ding talk error[subcode={sub_code},submsg={message}]"),
        "request_id": "15s9in2w1yat9",
    })
}

type Endpoint = fn(&mut State, &ApiRequest<'_>) -> Result<Value, i64>;

fn ok(result: Value) -> Value {
    json!({ "errcode": 0, "errmsg": "ok", "result": result, "request_id": "15s9in2w1yat9" })
}

fn get_token(state: &mut State, request: &ApiRequest<'_>) -> Result<Value, i64> {
    if request.query("appkey") != APP_KEY || request.query("appsecret") != APP_SECRET {
        return Err(40096);
    }
    let (token, expires_in) = state.token(request.now);
    Ok(json!({ "errcode": 0, "errmsg": "ok", "access_token": token, "expires_in": expires_in }))
}

fn get_sso_token(state: &mut State, request: &ApiRequest<'_>) -> Result<Value, i64> {
    if request.query("corpid") != CORP_ID || request.query("corpsecret") != SSO_SECRET {
        return Err(40089);
    }
    let token = state.random();
    state.sso_tokens.insert(token.clone());
    let expires_in = TOKEN_LIFETIME.as_secs();
    Ok(json!({ "errcode": 0, "errmsg": "ok", "access_token": token, "expires_in": expires_in }))
}

fn administrator(state: &mut State, request: &ApiRequest<'_>) -> Result<Value, i64> {
    if !state.sso_tokens.contains(request.query("access_token")) {
        return Err(40014);
    }
    let is_admin = |kind: &CodeKind| *kind == CodeKind::Admin;
    let code = request.query("code");
    let (userid, _) = state.redeem(code, is_admin, request.now).ok_or(40029)?;
    let member = state.member(&userid).ok_or(60121)?;
    Ok(json!({
        "errcode": 0,
        "errmsg": "ok",
        "is_sys": member.admin,
        "user_info": {
            "name": member.name,
            "userid": member.userid,
            "email": member.email,
            "avatar": "",
        },
        "corp_info": { "corp_name": "示例公司", "corpid": CORP_ID },
    }))
}

fn by_union_id(state: &mut State, request: &ApiRequest<'_>) -> Result<Value, i64> {
    let body = request.json()?;
    let union_id = body["unionid"].as_str().ok_or(40035)?;
    let mut members = state.members.iter();
    let member = members.find(|member| member.union_id() == union_id);
    let member = member.ok_or(60121)?;
    let contact_type = i64::from(member.external);
    Ok(ok(
        json!({ "contact_type": contact_type, "userid": member.userid }),
    ))
}

fn redeem_in_app(state: &mut State, request: &ApiRequest<'_>) -> Result<Value, i64> {
    let body = request.json()?;
    let code = body["code"].as_str().ok_or(41007)?;
    let is_in_app = |kind: &CodeKind| *kind == CodeKind::InApp;
    let (userid, _) = state.redeem(code, is_in_app, request.now).ok_or(40078)?;
    let member = state.member(&userid).filter(|member| !member.external);
    let member = member.ok_or(60121)?;
    Ok(ok(json!({
        "userid": member.userid,
        "unionid": union_id(&member.userid),
        "associated_unionid": "",
        "device_id": "12d4567e8",
        "name": member.name,
        "sys": member.admin,
        "sys_level": if member.admin { 1 } else { 0 },
    })))
}

fn user_get(state: &mut State, request: &ApiRequest<'_>) -> Result<Value, i64> {
    let body = request.json()?;
    let userid = body["userid"].as_str().ok_or(40035)?;
    let member = state.member(userid).filter(|member| !member.external);
    let member = member.ok_or(60121)?;
    match member.visible {
        true => Ok(ok(member.to_whole_json())),
        false => Err(50002),
    }
}

/// Pages through the members of a department; the cursor is the number of those already returned.
fn user_list(state: &mut State, request: &ApiRequest<'_>) -> Result<Value, i64> {
    let body = request.json()?;
    let department = visible_department(state, body["dept_id"].as_i64())?.id;
    let size = match body["size"].as_u64() {
        Some(size @ 1..=100) => usize::try_from(size).map_err(|_| 40035)?,
        _ => return Err(40035),
    };
    let cursor = body["cursor"].as_u64().ok_or(40035)?;
    let cursor = usize::try_from(cursor).map_err(|_| 40035)?;
    let is_member = |one: &&super::Member| {
        one.visible && !one.external && one.departments.contains(&department)
    };
    let members = state.members.iter().filter(is_member);
    let all: Vec<_> = members.map(super::Member::to_json).collect();
    let end = cursor.saturating_add(size).min(all.len());
    let page = all.get(cursor..end).ok_or(40035)?;
    let mut result = json!({ "has_more": end < all.len(), "list": page });
    if end < all.len() {
        result["next_cursor"] = json!(end);
    }
    Ok(ok(result))
}

fn department_get(state: &mut State, request: &ApiRequest<'_>) -> Result<Value, i64> {
    let id = request.json()?["dept_id"].as_i64();
    Ok(ok(visible_department(state, id)?.to_json()))
}

fn departments_below(state: &mut State, request: &ApiRequest<'_>) -> Result<Value, i64> {
    let id = request.json()?["dept_id"].as_i64().unwrap_or(1);
    visible_department(state, Some(id))?;
    let below = state.departments.iter();
    let below = below.filter(|one| one.parent == id && one.visible);
    Ok(ok(below.map(Department::to_json).collect()))
}

fn scopes(state: &mut State, _: &ApiRequest<'_>) -> Result<Value, i64> {
    let is_visible = |id: i64| state.department(id).is_some_and(|one| one.visible);
    let topmost = state.departments.iter();
    let topmost = topmost.filter(|one| one.visible && !is_visible(one.parent));
    let topmost: Vec<_> = topmost.map(|one| one.id).collect();
    Ok(json!({
        "errcode": 0,
        "errmsg": "ok",
        "auth_user_field": ["name", "mobile"],
        "auth_org_scopes": { "authed_user": [], "authed_dept": topmost },
    }))
}

fn visible_department(state: &State, id: Option<i64>) -> Result<&Department, i64> {
    let department = state.department(id.ok_or(40035)?).ok_or(60003)?;
    match department.visible {
        true => Ok(department),
        false => Err(50004),
    }
}

/// The error message.
fn message_of(errcode: i64) -> &'static str {
    match errcode {
        -1 => "系统繁忙",
        33001 => "无效的企业ID",
        40014 => "不合法的access_token",
        40029 => "不合法的oauth_code",
        40035 => "不合法的参数",
        40078 => "不存在的临时授权码",
        40089 => "不合法的corpid或corpsecret",
        40096 => "不合法的appKey或appSecret",
        41007 => "缺少code参数",
        42001 => "access_token超时",
        50002 => "请求的员工userid不在授权范围内",
        50004 => "请求的部门id不在授权范围内",
        60003 => "部门不存在",
        60011 => "没有调用该接口的权限",
        60020 => "访问ip不在白名单之中",
        60121 => "找不到该用户",
        90018 => "您的服务器调用钉钉开放平台当前接口的所有请求都被暂时禁用了",
        _ => "模拟的错误",
    }
}
