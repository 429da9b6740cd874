//! Answers of a source that look like a success, about another person or without what they must say.

use serde_json::{Value, json};

use crate::lark::TENANT_KEY;
use crate::yunzhijia_source::EID;

type Lies = Vec<(&'static str, String)>;

fn written<const N: usize>(lies: [(&'static str, Value); N]) -> Lies {
    let lies = lies.into_iter();
    lies.map(|(path, body)| (path, body.to_string())).collect()
}

pub(super) fn of_lark() -> Lies {
    let user_info = "/open-apis/authen/v1/user_info";
    let person = "/open-apis/contact/v3/users/on_zhangsan";
    let data = |data: Value| json!({ "code": 0, "msg": "success", "data": data });
    let active = json!({ "is_activated": true, "is_frozen": false });
    written([
        (
            "/open-apis/authen/v2/oauth/token",
            json!({ "code": "0", "access_token": "u" }),
        ),
        (
            user_info,
            data(json!({ "union_id": "", "open_id": "ou_zhangsan", "tenant_key": TENANT_KEY })),
        ),
        (
            user_info,
            data(json!({ "union_id": "on_zhangsan", "open_id": "ou_zhangsan" })),
        ),
        (
            person,
            data(
                json!({ "user": { "union_id": "on_lisi", "open_id": "ou_lisi", "status": active } }),
            ),
        ),
        (
            person,
            data(json!({ "user": { "union_id": "on_zhangsan", "open_id": "ou_zhangsan" } })),
        ),
    ])
}

pub(super) fn of_dingtalk() -> Lies {
    let member = "/topapi/v2/user/get";
    let by_union_id = "/topapi/user/getbyunionid";
    let result = |result: Value| json!({ "errcode": 0, "errmsg": "ok", "result": result });
    written([
        ("/v1.0/oauth2/userAccessToken", json!({ "expireIn": 7200 })),
        (
            "/v1.0/contact/users/me",
            json!({ "nick": "小明", "openId": "o" }),
        ),
        (by_union_id, result(json!({ "userid": "zhangsan" }))),
        (
            by_union_id,
            json!({ "result": { "contact_type": 0, "userid": "zhangsan" } }),
        ),
        (member, result(json!({ "userid": "lisi", "active": true }))),
        (
            member,
            result(json!({ "userid": "zhangsan", "active": "true" })),
        ),
    ])
}

pub(super) fn of_yunzhijia() -> Lies {
    let context = "/gateway/ticket/user/acquirecontext";
    let data = json!({ "eid": EID, "openid": "5de50017e4b0" });
    written([
        (
            "/gateway/oauth2/token/getAccessToken",
            json!({ "success": true, "data": {} }),
        ),
        (context, json!({ "success": "true", "data": data })),
        (context, json!({ "data": data })),
        (context, json!({ "success": true, "data": { "eid": EID } })),
        (
            context,
            json!({ "success": true, "data": { "openid": "5de50017e4b0" } }),
        ),
    ])
}

pub(super) fn of_custom() -> Lies {
    let data = json!({ "id": 7, "account": "zhangsan", "tenant": "t1", "enabled": true });
    written([
        ("/token", json!({ "return_code": 0 })),
        ("/user", json!({ "return_code": "0", "return_data": data })),
        ("/user", json!({ "return_data": data })),
        (
            "/user",
            json!({ "return_code": 0, "return_data": { "id": "", "tenant": "t1", "enabled": true } }),
        ),
        (
            "/user",
            json!({ "return_code": 0, "return_data": { "id": 7, "tenant": "t1", "enabled": "true" } }),
        ),
    ])
}
