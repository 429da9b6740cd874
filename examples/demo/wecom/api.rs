//! The server API, `/cgi-bin/*`: every response of a known path has status 200 and is JSON with an errcode.
//! `message_of` says what the errcodes mean.

use std::collections::HashMap;
use std::net::IpAddr;
use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};

use super::people::{App, CORP_ID, Department, Tag};
use super::state::{CodeOwner, State, random};

/// The parts of an API request that its response depends on.
pub(super) struct ApiRequest<'a> {
    pub(super) path: &'a str,
    pub(super) is_post: bool,
    pub(super) query: HashMap<String, String>,
    pub(super) body: &'a [u8],
    pub(super) peer: IpAddr,
    pub(super) now: SystemTime,
}

/// Responds to an API request; `None` for an unknown path.
pub(super) fn answer(state: &mut State, request: &ApiRequest<'_>) -> Option<Value> {
    if request.path == "/cgi-bin/gettoken" {
        return Some(with_errcode(get_token(state, request), request));
    }
    let endpoint: Endpoint = match request.path {
        "/cgi-bin/auth/getuserinfo" if state.without_new_redeem_path => return None,
        "/cgi-bin/auth/getuserinfo" | "/cgi-bin/user/getuserinfo" => redeem,
        "/cgi-bin/auth/getuserdetail" => user_detail,
        "/cgi-bin/user/get" => user_get,
        "/cgi-bin/user/list" | "/cgi-bin/user/simplelist" => user_list,
        "/cgi-bin/user/list_id" => user_list_id,
        "/cgi-bin/department/list" | "/cgi-bin/department/simplelist" => department_list,
        "/cgi-bin/department/get" => department_get,
        "/cgi-bin/tag/list" => tag_list,
        "/cgi-bin/tag/get" => tag_get,
        "/cgi-bin/agent/get" => agent_get,
        "/cgi-bin/get_api_domain_ip" | "/cgi-bin/getcallbackip" => own_addresses,
        _ => return None,
    };
    Some(with_errcode(
        check_access(state, request).and_then(|app| endpoint(state, request, &app)),
        request,
    ))
}

/// An error in the wording of the real server.
pub(super) fn error(errcode: i64, peer: IpAddr, now: SystemTime) -> Value {
    let nanos = now
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default()
        .as_nanos();
    let message = message_of(errcode);
    let info_url = format!("https://open.work.weixin.qq.com/devtool/query?e={errcode}");
    let errmsg = format!("{message}, hint: [{nanos}], from ip: {peer}, more info at {info_url}");
    json!({ "errcode": errcode, "errmsg": errmsg })
}

type Endpoint = fn(&mut State, &ApiRequest<'_>, &App) -> Result<Value, i64>;

fn with_errcode(result: Result<Value, i64>, request: &ApiRequest<'_>) -> Value {
    result.unwrap_or_else(|errcode| error(errcode, request.peer, request.now))
}

fn get_token(state: &mut State, request: &ApiRequest<'_>) -> Result<Value, i64> {
    if state.is_banned(request.peer, request.now) {
        return Err(45009);
    }
    if request.text("corpid", 41002)? != CORP_ID {
        return Err(40013);
    }
    let secret = request.text("corpsecret", 41004)?;
    let Some(app) = state.apps.iter().find(|app| app.secret == secret) else {
        state.count_wrong_secret(request.peer, request.now);
        return Err(40001);
    };
    if !app.enabled {
        return Err(50003);
    }
    let (value, lifetime) = state.token(secret, request.now);
    Ok(json!({
        "errcode": 0,
        "errmsg": "ok",
        "access_token": value,
        "expires_in": lifetime.as_secs(),
    }))
}

/// The checks for all requests except `gettoken`: method, token, enabled application, trusted
/// address.
fn check_access(state: &State, request: &ApiRequest<'_>) -> Result<App, i64> {
    let requires_post =
        ["/cgi-bin/auth/getuserdetail", "/cgi-bin/user/list_id"].contains(&request.path);
    if requires_post && !request.is_post {
        return Err(43002);
    }
    let app = state.app_of_token(request.text("access_token", 41001)?, request.now)?;
    if !app.enabled {
        return Err(50003);
    }
    if state
        .allowed_ips
        .as_ref()
        .is_some_and(|list| !list.contains(&request.peer))
    {
        return Err(60020);
    }
    Ok(app)
}

fn redeem(state: &mut State, request: &ApiRequest<'_>, app: &App) -> Result<Value, i64> {
    let code = state.redeem(request.text("code", 41008)?, app, request.now)?;
    let uses_old_casing = request.path == "/cgi-bin/user/getuserinfo";
    let mut answer = json!({ "errcode": 0, "errmsg": "ok" });
    if uses_old_casing {
        answer["DeviceId"] = json!(random(12));
    }
    let userid = match code.owner {
        CodeOwner::Member(userid) => userid,
        CodeOwner::Outsider => {
            answer[if uses_old_casing { "OpenId" } else { "openid" }] =
                json!("oSimulatedOutsider000001");
            answer["external_userid"] = json!("wmSimulatedOutsider000001");
            return Ok(answer);
        }
    };
    let is_visible = state.member(&userid).is_some_and(|member| member.visible);
    if code.shares_personal_fields && code.agent_id.is_some() && is_visible {
        answer["user_ticket"] = json!(state.issue_ticket(&userid, request.now));
        if uses_old_casing {
            answer["expires_in"] = json!(1800);
        }
    }
    answer[if uses_old_casing { "UserId" } else { "userid" }] = json!(userid);
    Ok(answer)
}

fn user_detail(state: &mut State, request: &ApiRequest<'_>, _app: &App) -> Result<Value, i64> {
    let body: Value = serde_json::from_slice(request.body).map_err(|_| 40058)?;
    let ticket = body["user_ticket"].as_str().ok_or(40058)?;
    state
        .ticket(ticket, request.now)
        .map(|member| member.detail())
        .ok_or(40058)
}

fn user_get(state: &mut State, request: &ApiRequest<'_>, app: &App) -> Result<Value, i64> {
    refuse_contact_sync(app)?;
    let userid = request.text("userid", 41009)?;
    let member = state
        .member(userid)
        .filter(|member| member.visible)
        .ok_or(60111)?;
    Ok(member.to_json(&state.departments, app.shows_personal_fields))
}

fn user_list(state: &mut State, request: &ApiRequest<'_>, app: &App) -> Result<Value, i64> {
    refuse_contact_sync(app)?;
    let id = request.number("department_id")?.ok_or(60123)?;
    visible_department(state, id)?;
    let is_simple = request.path.ends_with("simplelist");
    let in_department = state
        .members
        .iter()
        .filter(|member| member.visible && member.department.contains(&id));
    let rows: Vec<Value> = in_department
        .map(|member| {
            match (
                member.to_json(&state.departments, app.shows_personal_fields),
                is_simple,
            ) {
                (row, true) => json!({
                    "userid": row["userid"],
                    "name": row["name"],
                    "department": row["department"],
                }),
                (Value::Object(mut row), false) => {
                    row.retain(|name, _| name != "errcode" && name != "errmsg");
                    Value::Object(row)
                }
                (row, false) => row,
            }
        })
        .collect();
    Ok(json!({ "errcode": 0, "errmsg": "ok", "userlist": rows }))
}

/// Pages through (member, department) pairs; the cursor is the number of pairs already returned.
fn user_list_id(state: &mut State, request: &ApiRequest<'_>, app: &App) -> Result<Value, i64> {
    if app.agent_id.is_some() {
        return Err(48002);
    }
    let body: Value = serde_json::from_slice(request.body).map_err(|_| 40058)?;
    let start: usize = match body["cursor"].as_str().unwrap_or_default() {
        "" => 0,
        cursor => cursor.parse().map_err(|_| 50100)?,
    };
    let limit = match body["limit"].as_u64().unwrap_or(10_000) {
        limit @ 1..=10_000 => usize::try_from(limit).map_err(|_| 40058)?,
        _ => return Err(40058),
    };
    let pairs = state.members.iter().flat_map(|member| {
        let userid = &member.userid;
        member
            .department
            .iter()
            .map(move |id| json!({ "userid": userid, "department": id }))
    });
    let pairs: Vec<Value> = pairs.collect();
    let end = start.saturating_add(limit).min(pairs.len());
    let page = pairs.get(start..end).ok_or(50100)?;
    let next = if end < pairs.len() {
        end.to_string()
    } else {
        String::new()
    };
    Ok(json!({ "errcode": 0, "errmsg": "ok", "next_cursor": next, "dept_user": page }))
}

fn department_list(state: &mut State, request: &ApiRequest<'_>, app: &App) -> Result<Value, i64> {
    let is_simple = request.path.ends_with("simplelist");
    if !is_simple {
        refuse_contact_sync(app)?;
    }
    let root = request.number("id")?;
    if let Some(id) = root {
        visible_department(state, id)?;
    }
    let below = state.departments.iter().filter(|department| {
        department.visible && root.is_none_or(|id| is_below(&state.departments, department, id))
    });
    if is_simple {
        let row = |department: &Department| {
            let order = department.order();
            json!({ "id": department.id, "parentid": department.parent, "order": order })
        };
        let rows: Vec<Value> = below.map(row).collect();
        return Ok(json!({ "errcode": 0, "errmsg": "ok", "department_id": rows }));
    }
    let rows: Vec<Value> = below
        .map(|department| department.to_json(&state.members))
        .collect();
    Ok(json!({ "errcode": 0, "errmsg": "ok", "department": rows }))
}

fn department_get(state: &mut State, request: &ApiRequest<'_>, app: &App) -> Result<Value, i64> {
    refuse_contact_sync(app)?;
    let id = request.number("id")?.ok_or(60123)?;
    let department = visible_department(state, id)?.to_json(&state.members);
    Ok(json!({ "errcode": 0, "errmsg": "ok", "department": department }))
}

fn tag_list(state: &mut State, _: &ApiRequest<'_>, app: &App) -> Result<Value, i64> {
    refuse_contact_sync(app)?;
    let row = |tag: &Tag| json!({ "tagid": tag.id, "tagname": tag.name });
    let rows: Vec<Value> = state.tags.iter().map(row).collect();
    Ok(json!({ "errcode": 0, "errmsg": "ok", "taglist": rows }))
}

fn tag_get(state: &mut State, request: &ApiRequest<'_>, app: &App) -> Result<Value, i64> {
    refuse_contact_sync(app)?;
    let id = request.number("tagid")?.ok_or(40068)?;
    let tag = state.tags.iter().find(|tag| tag.id == id).ok_or(40068)?;
    let member = |userid: &String| json!({ "userid": userid, "name": userid });
    let users: Vec<Value> = tag.users.iter().map(member).collect();
    Ok(json!({
        "errcode": 0,
        "errmsg": "ok",
        "tagname": tag.name,
        "userlist": users,
        "partylist": tag.departments,
    }))
}

fn agent_get(_state: &mut State, request: &ApiRequest<'_>, app: &App) -> Result<Value, i64> {
    let agent_id: u64 = request.text("agentid", 40056)?.parse().map_err(|_| 40056)?;
    if app.agent_id != Some(agent_id) {
        return Err(301_002);
    }
    Ok(json!({
        "errcode": 0,
        "errmsg": "ok",
        "agentid": agent_id,
        "name": app.name,
        "square_logo_url": "",
        "description": "",
        "allow_userinfos": { "user": [] },
        "allow_partys": { "partyid": [1] },
        "allow_tags": { "tagid": [] },
        "close": u8::from(!app.enabled),
        "redirect_domain": app.domains.first().cloned().unwrap_or_default(),
        "report_location_flag": 0,
        "isreportenter": 0,
        "home_url": "",
    }))
}

fn own_addresses(_: &mut State, _: &ApiRequest<'_>, _: &App) -> Result<Value, i64> {
    Ok(json!({ "errcode": 0, "errmsg": "ok", "ip_list": ["127.0.0.1"] }))
}

fn refuse_contact_sync(app: &App) -> Result<(), i64> {
    if app.agent_id.is_none() {
        Err(48009)
    } else {
        Ok(())
    }
}

fn visible_department(state: &State, id: u32) -> Result<&Department, i64> {
    let found = state
        .departments
        .iter()
        .find(|department| department.id == id)
        .ok_or(60003)?;
    if found.visible { Ok(found) } else { Err(60011) }
}

/// Whether a department is `root` or below it; a tree has at most fifteen levels.
fn is_below(departments: &[Department], department: &Department, root: u32) -> bool {
    let mut current = Some(department);
    for _ in 0..15 {
        match current {
            Some(found) if found.id == root => return true,
            Some(found) => current = departments.iter().find(|parent| parent.id == found.parent),
            None => return false,
        }
    }
    false
}

/// The beginning of the error message.
fn message_of(errcode: i64) -> &'static str {
    match errcode {
        -1 => "system error",
        40001 => "invalid credential",
        40013 => "invalid corpid",
        40014 => "invalid access_token",
        40029 => "invalid code",
        40056 => "invalid agentid",
        40058 => "invalid Request Parameter",
        40068 => "invalid tagid",
        41001 => "access_token missing",
        41002 => "corpid missing",
        41004 => "corpsecret missing",
        41008 => "missing code",
        41009 => "missing userid",
        42001 => "access_token expired",
        42003 => "oauth_code expired",
        42022 => "code has been used",
        43002 => "require POST method",
        45009 => "api freq out of limit",
        48002 => "api forbidden",
        48009 => "api forbidden for contact sync secret",
        50001 => "redirect_url domain not trusted",
        50003 => "app disabled",
        50100 => "invalid cursor",
        60003 => "department not found",
        60011 => "no privilege to access/modify contact/party/agent",
        60020 => "not allow to access from your ip",
        60111 => "userid not found",
        60123 => "invalid party id",
        301_002 => "not allow operate another agent with this accesstoken",
        _ => "simulated error",
    }
}

impl ApiRequest<'_> {
    /// A required parameter; the errcode `missing` if it is absent or empty.
    fn text(&self, name: &str, missing: i64) -> Result<&str, i64> {
        self.query
            .get(name)
            .map(String::as_str)
            .filter(|text| !text.is_empty())
            .ok_or(missing)
    }

    fn number(&self, name: &str) -> Result<Option<u32>, i64> {
        let text = self.query.get(name).filter(|text| !text.is_empty());
        text.map(|text| text.parse().map_err(|_| 60123)).transpose()
    }
}
