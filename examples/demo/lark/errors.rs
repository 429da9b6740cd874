//! The errors of the simulated Lark, in its words.

use serde_json::{Value, json};

use super::people::Permission;

/// An error: its HTTP status and its JSON.
pub(super) struct ApiFailure {
    pub(super) status: u16,
    pub(super) body: Value,
}

/// An error of the API.
pub(super) fn failure(code: i64) -> ApiFailure {
    let mut body = json!({
        "code": code,
        "msg": message_of(code),
        "error": { "log_id": "20261130021500AB12CD34EF56", "troubleshooter": "排查建议查看" },
    });
    let status = match code {
        99_991_400 => 429,
        // Old calls answer with 200.
        10003 => 200,
        _ => 400,
    };
    if let Some(error) = oauth_error(code) {
        body = json!({ "code": code, "error": error, "error_description": message_of(code) });
    }
    let status = if matches!(code, 20050 | 20072) {
        500
    } else {
        status
    };
    ApiFailure { status, body }
}

/// The error for a call without a permission.
pub(super) fn missing_permission(permission: Permission) -> ApiFailure {
    let name = permission.name();
    let url = "https://open.feishu.cn/app/cli_6d656e7368656e01/auth";
    ApiFailure {
        status: 400,
        body: json!({
            "code": 99_991_672,
            "msg": format!(
                "Access denied. One of the following scopes is required: [{name}].应用尚未开通所需的应用身份权限：\
                 [{name}]，点击链接申请并开通任一权限即可：{url}?q={name}&op_from=openapi&token_type=tenant"
            ),
            "error": { "permission_violations": [
                { "type": "action_scope_required", "subject": name }
            ] },
        }),
    }
}

/// The error of RFC 6749 §5.2 with which the token endpoint sends a code.
fn oauth_error(code: i64) -> Option<&'static str> {
    match code {
        20001 | 20063 | 20070 => Some("invalid_request"),
        20002 | 20048 => Some("invalid_client"),
        20003 | 20004 | 20008 | 20024 | 20049 | 20065 | 20066 | 20071 => Some("invalid_grant"),
        20009 | 20010 | 20069 => Some("access_denied"),
        20036 => Some("unsupported_grant_type"),
        20067 | 20068 => Some("invalid_scope"),
        20050 => Some("server_error"),
        20072 => Some("temporarily_unavailable"),
        _ => None,
    }
}

fn message_of(code: i64) -> &'static str {
    match code {
        10003 => "invalid param",
        10014 => "app secret invalid",
        20001 => "The request is missing a required parameter.",
        20002 => "The client secret is invalid.",
        20003 => "The authorization code is not found.",
        20004 => "The authorization code has expired.",
        20008 => "The user does not exist.",
        20009 => "The specified app is not installed.",
        20010 => "The user does not have permission to use this app.",
        20024 => "The authorization code does not match the provided client ID.",
        20029 => "redirect_uri 请求不合法",
        20036 => "The specified grant_type is not supported.",
        20048 => "The specified app does not exist.",
        20049 => "PKCE code challenge failed.",
        20050 => "An unexpected server error occurred.",
        20063 => "The request is malformed.",
        20065 => "The authorization code has been used.",
        20066 => "The user status is invalid.",
        20067 => "The scope list contains duplicate scopes.",
        20068 => "The scope list contains scopes that the app is not permitted to request.",
        20069 => "The specified app is not enabled.",
        20070 => "Multiple authentication methods were provided.",
        20071 => "The redirect_uri does not match the one of the authorization.",
        20072 => "The server is temporarily unavailable.",
        40003 => "internal error",
        40004 => "no dept authority error",
        41012 => "user id invalid error",
        41050 => "no user authority error",
        99_991_400 => "request trigger frequency limit",
        99_991_401 => "denied by app ip whitelist",
        99_991_661 => {
            "Missing access token for authorization. Please make a request with token attached."
        }
        99_991_663 => "Invalid access token for authorization.",
        99_991_664 => "app_access_token invalid",
        99_991_668 => "Invalid access token for authorization. The user access token is invalid.",
        99_991_671 => "Invalid access token for authorization. The format of the token is wrong.",
        99_991_677 => "Authentication token expired",
        99_991_679 => {
            "Unauthorized. required one of these privileges under the user identity: \
             [contact:user.email:readonly]."
        }
        _ => "unknown error",
    }
}
