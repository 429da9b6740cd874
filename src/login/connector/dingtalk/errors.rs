//! The errors of DingTalk, what they mean for a login, and their remedies. The older API has numbers, the
//! newer one names; <https://open.dingtalk.com/document/orgapp/server-api-error-codes-1>.

use serde_json::Value;

use super::super::kit::app_token::CallError;
use super::super::kit::refusal::refusal as source_refusal;
use super::super::{ConnectorError, RefusalReason, SourceRefusal};
use crate::outbound::OutboundError;
use crate::text;
use crate::wording::{Text, error_of_text};

/// The longest error message that is kept, in characters.
const MESSAGE_CHARS_MAX: usize = 300;

/// The most permissions that are named, and the longest name of one, in bytes.
const PERMISSIONS_MAX: usize = 8;
const PERMISSION_BYTES_MAX: usize = 80;

/// The call that returns the application's token.
pub(super) const GET_TOKEN: &str = "v1.0/oauth2/accessToken";
/// The call that returns the token for the admin console.
pub(super) const GET_SSO_TOKEN: &str = "sso/gettoken";

/// The call is for a person whom the organisation does not have.
pub(super) const NO_SUCH_MEMBER: i64 = 60121;
/// The call is for a department that does not exist.
pub(super) const NO_SUCH_DEPARTMENT: i64 = 60003;
/// The call is for a department that the application may not see.
pub(super) const DEPARTMENT_NOT_VISIBLE: i64 = 50004;
/// The call is for a member whom the application may not see.
const MEMBER_NOT_VISIBLE: i64 = 50002;
/// The older API has this code for everything that its gateway refuses; `sub_code` says more.
pub(super) const REFUSED_BY_GATEWAY: i64 = 88;
/// The application has no permission for the call.
const NO_PERMISSION: i64 = 60011;

/// Why an API call failed.
#[derive(Debug)]
pub(super) enum ApiError {
    /// DingTalk answered with an error.
    Refused {
        refusal: SourceRefusal,
        class: ErrorClass,
        /// The permissions that the application lacks, if DingTalk names them.
        permissions: Vec<String>,
    },
    /// DingTalk gave no usable response.
    NoUsableResponse(OutboundError),
}

impl ApiError {
    fn text(&self) -> Text {
        match self {
            Self::Refused { refusal, .. } => Text::of(refusal),
            Self::NoUsableResponse(source) => Text::of(source),
        }
    }

    fn cause(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::NoUsableResponse(source) => std::error::Error::source(source),
            Self::Refused { .. } => None,
        }
    }
}

error_of_text!(ApiError, caused);

impl From<OutboundError> for ApiError {
    fn from(source: OutboundError) -> Self {
        Self::NoUsableResponse(source)
    }
}

/// Settings that must match those in DingTalk's console; the remedies name them.
#[derive(Clone, Debug)]
pub(super) struct ConsoleSettings {
    pub(super) app_key: String,
    pub(super) corp_id: String,
}

/// How to react to an error. It is known before values of the request are redacted, because anybody can choose
/// the code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ErrorClass {
    CodeRejected,
    NotMember,
    NotVisibleToApp,
    Busy,
    Misconfigured,
}

impl From<SourceRefusal> for ApiError {
    fn from(refusal: SourceRefusal) -> Self {
        let class = classify(&refusal, name_in(&refusal.message));
        Self::Refused {
            refusal,
            class,
            permissions: Vec::new(),
        }
    }
}

impl ApiError {
    /// The error of a login.
    pub(super) fn into_error(self, console: &ConsoleSettings) -> ConnectorError {
        let (source, class, permissions) = match self {
            Self::NoUsableResponse(error) => return ConnectorError::NoUsableResponse(error),
            Self::Refused {
                refusal,
                class,
                permissions,
            } => (refusal, class, permissions),
        };
        let refused = |why, source| ConnectorError::Refused { why, source };
        match class {
            ErrorClass::CodeRejected => ConnectorError::CodeRejected(source),
            ErrorClass::Busy => ConnectorError::Busy(source),
            ErrorClass::NotMember => refused(RefusalReason::NotMember, source),
            ErrorClass::NotVisibleToApp => refused(RefusalReason::NotVisibleToApp, source),
            ErrorClass::Misconfigured => ConnectorError::Misconfigured {
                remedy: remedy(&source, &permissions, console),
                source,
            },
        }
    }

    /// The error code of DingTalk, if it sent one.
    pub(super) fn code(&self) -> Option<i64> {
        match self {
            Self::Refused { refusal, .. } => Some(refusal.code),
            Self::NoUsableResponse(_) => None,
        }
    }
}

impl CallError for ApiError {
    fn is_token_refused(&self) -> bool {
        matches!(self.code(), Some(40014 | 42001))
    }

    /// Every refusal of the settings is lasting, and the refusal of too many calls.
    fn lasting_refusal(&self) -> Option<&SourceRefusal> {
        let Self::Refused { refusal, class, .. } = self else {
            return None;
        };
        let is_lasting =
            refusal.code != -1 && matches!(class, ErrorClass::Busy | ErrorClass::Misconfigured);
        is_lasting.then_some(refusal)
    }
}

/// The error of the older API, without the `redacted` values of the request.
pub(super) fn numbered_error(
    call: &'static str,
    code: i64,
    message: &str,
    redacted: &[&str],
) -> ApiError {
    let refusal = refusal(call, code, message, redacted);
    ApiError::Refused {
        permissions: permissions_in(message),
        class: classify(&refusal, ""),
        refusal,
    }
}

/// The error of the newer API, whose code is a name.
pub(super) fn named_error(
    call: &'static str,
    status: u16,
    answer: &Value,
    redacted: &[&str],
) -> ApiError {
    let text = |name: &str| answer.get(name).and_then(Value::as_str).unwrap_or_default();
    let details = ["accessdenieddetail", "accessDeniedDetail"];
    let scopes = details
        .iter()
        .find_map(|name| answer.get(name)?.get("requiredScopes")?.as_array());
    let scopes = scopes.into_iter().flatten().filter_map(Value::as_str);
    let permissions = permissions(scopes);
    let mut message = format!("{}: {}", text("code"), text("message"));
    if !permissions.is_empty() {
        message.push_str(&format!(" (requires {})", permissions.join(", ")));
    }
    let refusal = refusal(call, i64::from(status), &message, redacted);
    ApiError::Refused {
        permissions,
        class: classify(&refusal, text("code")),
        refusal,
    }
}

fn refusal(call: &'static str, code: i64, message: &str, redacted: &[&str]) -> SourceRefusal {
    source_refusal(call, code, message, redacted, MESSAGE_CHARS_MAX)
}

/// The permissions in a message of the older API: `…requiredScopes=[qyapi_get_member]…`.
fn permissions_in(message: &str) -> Vec<String> {
    let list = message.split_once("requiredScopes=[");
    let list = list.and_then(|(_, rest)| rest.split_once(']'));
    permissions(list.map_or("", |(list, _)| list).split(','))
}

fn permissions<'a>(names: impl Iterator<Item = &'a str>) -> Vec<String> {
    let is_name = |name: &&str| {
        let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
        (1..=PERMISSION_BYTES_MAX).contains(&name.len()) && name.bytes().all(is_allowed)
    };
    let names = names.map(str::trim).filter(is_name);
    names.take(PERMISSIONS_MAX).map(str::to_owned).collect()
}

fn is_named(refusal: &SourceRefusal) -> bool {
    refusal.call.starts_with("v1.0/")
}

/// The name at the beginning of the message of a named error.
fn name_in(message: &str) -> &str {
    message.split(':').next().unwrap_or_default()
}

/// `name` is that of a named error.
fn classify(refusal: &SourceRefusal, name: &str) -> ErrorClass {
    if is_named(refusal) {
        return classify_named(refusal.code, name);
    }
    match refusal.code {
        40029 | 40078 | 41007 | 41026 => ErrorClass::CodeRejected,
        NO_SUCH_MEMBER => ErrorClass::NotMember,
        MEMBER_NOT_VISIBLE | DEPARTMENT_NOT_VISIBLE => ErrorClass::NotVisibleToApp,
        // The family of codes for too many calls.
        -1 | 90_001..=90_099 => ErrorClass::Busy,
        _ => ErrorClass::Misconfigured,
    }
}

fn classify_named(status: i64, name: &str) -> ErrorClass {
    let name = name.to_ascii_lowercase();
    if name.contains("authcode") || name.contains(".code") {
        ErrorClass::CodeRejected
    } else if status == 429 || name.contains("throttling") || name.contains("qpslimit") {
        ErrorClass::Busy
    } else {
        ErrorClass::Misconfigured
    }
}

fn remedy(refusal: &SourceRefusal, permissions: &[String], console: &ConsoleSettings) -> Text {
    let ConsoleSettings { app_key, corp_id } = console;
    let names_ip = refusal.message.contains("IpNotInWhiteList");
    match (refusal.call, refusal.code) {
        (GET_SSO_TOKEN, _) => text!(
            "copy the SSOSecret from the first page of 开发者后台 into `sso_secret`, and check that it \
             is that of {corp_id}",
            "请从 开发者后台 首页把 SSOSecret 复制到 `sso_secret`，并检查它是否属于 {corp_id}"
        ),
        _ if !permissions.is_empty() => permission_remedy(permissions),
        (_, NO_PERMISSION) => permission_remedy(&[permission_of(refusal.call)
            .unwrap_or("for this call")
            .to_owned()]),
        (_, 60020) => ip_remedy(),
        _ if names_ip => ip_remedy(),
        (GET_TOKEN | "v1.0/oauth2/userAccessToken", _) => text!(
            "copy Client ID and Client Secret of the application (凭证与基础信息) into `app_key`, \
             which is {app_key}, and `app_secret`",
            "请把应用的 Client ID 和 Client Secret（凭证与基础信息）复制到 `app_key`（现在是 \
             {app_key}）和 `app_secret`"
        ),
        (_, 40014 | 42001) => {
            text!(
                "DingTalk rejects a token that it has just issued: check that `api_base` and \
             `oapi_base` lead to the same deployment",
                "钉钉拒绝了刚签发的令牌：请检查 `api_base` 和 `oapi_base` 是否指向同一部署"
            )
        }
        (_, 33001) => text!(
            "`corp_id` is {corp_id}: copy the CorpId from the first page of 开发者后台, and check that \
             the application belongs to this organisation",
            "`corp_id` 是 {corp_id}：请从 开发者后台 首页复制 CorpId，并检查应用是否属于该组织"
        ),
        _ if is_named(refusal) => {
            text!(
                "grant the application the permission for this call (权限管理), and \
             publish a new version (版本管理与发布)",
                "请给应用开通该接口的权限（权限管理），并发布新版本（版本管理与发布）"
            )
        }
        (_, code) => text!(
            "DingTalk explains the code {code} at \
             https://open.dingtalk.com/document/orgapp/server-api-error-codes-1",
            "错误码 {code} 的说明见 https://open.dingtalk.com/document/orgapp/server-api-error-codes-1"
        ),
    }
}

fn permission_remedy(permissions: &[String]) -> Text {
    let labels: Vec<_> = permissions.iter().map(|name| label(name)).collect();
    text!(
        "grant the application the permission {} (开发配置 → 权限管理), and publish a new version \
         (版本管理与发布)",
        "请给应用开通权限 {}（开发配置 → 权限管理），并发布新版本（版本管理与发布）",
        labels.join(", ")
    )
}

fn ip_remedy() -> Text {
    text!(
        "enter this site's outgoing address at the application under 开发配置 → 安全设置 → \
         服务器出口IP. If the address changes, set `proxy` to a proxy with a fixed address",
        "请在该应用的 开发配置 → 安全设置 → 服务器出口IP 中填写本站点的出口地址。如果地址会变，请把 \
         `proxy` 设为地址固定的代理"
    )
}

/// The permission that a call of the older API needs.
fn permission_of(call: &str) -> Option<&'static str> {
    Some(match call {
        "topapi/v2/user/get" | "topapi/user/getbyunionid" => "qyapi_get_member",
        "topapi/v2/user/list" => "qyapi_get_department_member",
        "topapi/v2/department/get" | "topapi/v2/department/listsub" => "qyapi_get_department_list",
        _ => return None,
    })
}

/// A permission with the name that the console shows for it.
fn label(permission: &str) -> String {
    let name = match permission {
        "Contact.User.Read" => "通讯录个人信息读权限",
        "Contact.User.mobile" => "个人手机号信息",
        "qyapi_get_member" => "成员信息读权限",
        "qyapi_get_department_member" => "通讯录部门成员读权限",
        "qyapi_get_department_list" => "通讯录部门信息读权限",
        "fieldMobile" => "企业员工手机号信息",
        "fieldEmail" => "邮箱等个人信息",
        other => return other.to_owned(),
    };
    format!("{name} ({permission})")
}

#[cfg(test)]
mod tests;
