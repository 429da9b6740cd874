//! The error codes of Lark, what they mean for a login, and their remedies;
//! <https://open.feishu.cn/document/server-docs/api-call-guide/generic-error-code>.

use url::Url;

use super::super::kit::app_token::CallError;
use super::super::kit::refusal::refusal as source_refusal;
use super::super::{ConnectorError, RefusalReason, SourceRefusal, brought};
use super::Brand;
use crate::outbound::OutboundError;
use crate::text;
use crate::wording::Text;

/// The longest error message that is kept, in characters. The names of missing permissions are in it.
const MESSAGE_CHARS_MAX: usize = 400;

/// The call that returns the application's token.
pub(super) const TENANT_TOKEN: &str = "tenant_access_token";

/// A code that Lark does not know, or that was used.
pub(super) const INVALID_CODE: i64 = 20003;

/// A person who does not exist.
pub(super) const NO_SUCH_PERSON: i64 = 41012;
/// The application may not see a department.
pub(super) const DEPARTMENT_NOT_VISIBLE: i64 = 40004;
/// The application may not see a person. People who left are not visible either.
pub(super) const PERSON_NOT_VISIBLE: i64 = 41050;
/// Too many calls in a short time.
const CALL_LIMIT_REACHED: i64 = 99_991_400;

/// Why an API call failed.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub(super) enum ApiError {
    /// Lark answered with an error code.
    Refused(#[from] SourceRefusal),
    /// Lark gave no usable response.
    NoUsableResponse(#[from] OutboundError),
}

/// Settings that must match those in the developer console; the remedies name them.
#[derive(Clone, Debug)]
pub(super) struct ConsoleSettings {
    pub(super) callback: Url,
    pub(super) brand: Brand,
}

/// How to react to an error code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ErrorClass {
    CodeRejected,
    InvalidResponse,
    Refused(RefusalReason),
    Busy,
    Misconfigured,
}

impl ApiError {
    /// The error of a login.
    pub(super) fn into_error(self, console: &ConsoleSettings) -> ConnectorError {
        let refusal = match self {
            Self::NoUsableResponse(OutboundError::Status {
                call,
                status: status @ 429,
                ..
            }) => {
                let message = "too many requests";
                return ConnectorError::Busy(refusal(call, i64::from(status), message, &[]));
            }
            Self::NoUsableResponse(error) => return ConnectorError::NoUsableResponse(error),
            Self::Refused(refusal) => refusal,
        };
        match classify(refusal.code) {
            ErrorClass::CodeRejected => ConnectorError::CodeRejected(refusal),
            ErrorClass::InvalidResponse => ConnectorError::InvalidResponse(SourceRefusal {
                call: brought::CALLBACK,
                ..refusal
            }),
            ErrorClass::Busy => ConnectorError::Busy(refusal),
            ErrorClass::Refused(why) => ConnectorError::Refused {
                why,
                source: refusal,
            },
            ErrorClass::Misconfigured => ConnectorError::Misconfigured {
                remedy: remedy(&refusal, console),
                source: refusal,
            },
        }
    }

    /// The error code of Lark, if it sent one.
    pub(super) fn code(&self) -> Option<i64> {
        match self {
            Self::Refused(refusal) => Some(refusal.code),
            Self::NoUsableResponse(_) => None,
        }
    }
}

impl CallError for ApiError {
    fn is_token_refused(&self) -> bool {
        let code = self.code();
        matches!(
            code,
            Some(99_991_661 | 99_991_663 | 99_991_664 | 99_991_665 | 99_991_671)
        )
    }

    fn lasting_refusal(&self) -> Option<&SourceRefusal> {
        let Self::Refused(refusal) = self else {
            return None;
        };
        let is_lasting = refusal.code == CALL_LIMIT_REACHED
            || classify(refusal.code) == ErrorClass::Misconfigured;
        is_lasting.then_some(refusal)
    }
}

/// The error of Lark, limited in length and without the `redacted` values of the request.
pub(super) fn refusal(
    call: &'static str,
    code: i64,
    message: &str,
    redacted: &[&str],
) -> SourceRefusal {
    source_refusal(call, code, message, redacted, MESSAGE_CHARS_MAX)
}

fn classify(code: i64) -> ErrorClass {
    match code {
        INVALID_CODE | 20004 | 20065 => ErrorClass::CodeRejected,
        // The code was issued to another application, or for another verifier.
        20024 | 20049 => ErrorClass::InvalidResponse,
        20010 | PERSON_NOT_VISIBLE | NO_SUCH_PERSON => {
            ErrorClass::Refused(RefusalReason::NotVisibleToApp)
        }
        20008 | 20066 => ErrorClass::Refused(RefusalReason::Inactive),
        -1 | 20050 | 20072 | 40003 | 55001 | CALL_LIMIT_REACHED => ErrorClass::Busy,
        _ => ErrorClass::Misconfigured,
    }
}

fn remedy(refusal: &SourceRefusal, console: &ConsoleSettings) -> Text {
    let code = refusal.code;
    match code {
        10003 | 10012 | 10014 | 10015 | 20002 | 20048 => text!(
            "copy the App ID and the App Secret from 凭证与基础信息 (Credentials & Basic Info) into \
             `app_id` and `app_secret`; `brand` is {:?}, so the application must be one of {}",
            "请从 凭证与基础信息 把 App ID 和 App Secret 复制到 `app_id` 和 `app_secret`；`brand` 是 {:?}，所以应用必须属于 {}",
            console.brand.name(),
            console.brand.console(),
        ),
        20009 | 20069 => text!(
            "publish a version of the application (版本管理与发布, Version Management & \
            Release), and have an administrator of the tenant approve and enable it",
            "请发布应用的版本（版本管理与发布），并由租户管理员审核和启用"
        ),
        20027 | 20043 | 20067 | 20068 => text!(
            "Lark does not grant one of `scopes`: add the permission to the \
            application (权限管理, Permissions & Scopes) and publish a version, or remove it from `scopes`",
            "飞书没有授予 `scopes` 中的某一项：请给应用加上该权限（权限管理）并发布版本，或从 `scopes` 中删除"
        ),
        20029 | 20071 => text!(
            "enter exactly {} at 安全设置 (Security Settings) → 重定向 URL (Redirect URLs)",
            "请在 安全设置 → 重定向 URL 中填写 {}，一字不差",
            console.callback
        ),
        99_991_672 | 99_991_679 => permission_remedy(&refusal.message),
        DEPARTMENT_NOT_VISIBLE => text!(
            "widen what the application may see of the contacts: 权限管理 → \
            数据权限 → 通讯录权限范围 (Contacts data scope), and publish a version",
            "请扩大应用的通讯录权限范围（权限管理 → 数据权限 → 通讯录权限范围），并发布版本"
        ),
        99_991_401 => text!(
            "add the outgoing address of this machine at 安全设置 → IP 白名单 (IP whitelist), or \
            set `proxy` to a proxy with a listed address",
            "请把这台机器的出口地址加到 安全设置 → IP 白名单，或把 `proxy` 设为已在白名单中的代理"
        ),
        99_991_661 | 99_991_663..=99_991_665 | 99_991_668 | 99_991_671 => text!(
            "Lark rejects a token that it has \
            just issued: check that `api_base` and `token_url` belong to the same service as `brand`",
            "飞书拒绝了刚签发的令牌：请检查 `api_base` 和 `token_url` 是否与 `brand` 属于同一服务"
        ),
        _ => text!(
            "look up the code {code} at \
             https://open.feishu.cn/document/server-docs/api-call-guide/generic-error-code",
            "错误码 {code} 的说明见 https://open.feishu.cn/document/server-docs/api-call-guide/generic-error-code"
        ),
    }
}

/// Lark lists the permissions of which one is enough in brackets.
fn permission_remedy(message: &str) -> Text {
    let listed = message.split_once('[').and_then(|(_, rest)| {
        let (names, _) = rest.split_once(']').unwrap_or((rest, ""));
        names.contains(':').then(|| names.trim())
    });
    let which = match listed {
        Some(names) if names.contains(',') => {
            text!("one of the permissions {names}", "权限 {names} 之一")
        }
        Some(name) => text!("the permission {name}", "权限 {name}"),
        None => text!("the missing permission", "缺少的权限"),
    };
    text!(
        "give the application {which} (权限管理, Permissions & Scopes), and publish a version (版本管理与发布)",
        "请给应用加上{which:#}（权限管理），并发布版本（版本管理与发布）"
    )
}

impl Brand {
    /// Its name in the configuration.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Feishu => "feishu",
            Self::Lark => "lark",
        }
    }

    /// The host of its developer console.
    pub(super) fn console(self) -> &'static str {
        match self {
            Self::Feishu => "open.feishu.cn",
            Self::Lark => "open.larksuite.com",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(code: i64, message: &str) -> ConnectorError {
        let console = ConsoleSettings {
            callback: Url::parse("https://sso.corp.example/.menshen/callback/fs").unwrap(),
            brand: Brand::Feishu,
        };
        ApiError::Refused(refusal("x", code, message, &[])).into_error(&console)
    }

    fn remedy_of(code: i64, message: &str) -> Text {
        match error(code, message) {
            ConnectorError::Misconfigured { remedy, source } => {
                assert_eq!(source.code, code);
                remedy
            }
            other => panic!("{code}: {other:?}"),
        }
    }

    #[test]
    fn a_used_or_expired_code_restarts_the_login_and_a_foreign_one_does_not() {
        for code in [20003, 20004, 20065] {
            assert!(matches!(error(code, ""), ConnectorError::CodeRejected(_)));
        }
        for code in [20024, 20049] {
            assert!(matches!(
                error(code, ""),
                ConnectorError::InvalidResponse(_)
            ));
        }
    }

    #[test]
    fn people_who_may_not_use_the_application_are_refused() {
        for (code, expected) in [
            (20010, RefusalReason::NotVisibleToApp),
            (41050, RefusalReason::NotVisibleToApp),
            (41012, RefusalReason::NotVisibleToApp),
            (20008, RefusalReason::Inactive),
            (20066, RefusalReason::Inactive),
        ] {
            let ConnectorError::Refused { why, .. } = error(code, "no") else {
                panic!("{code}")
            };
            assert_eq!(why, expected, "{code}");
        }
    }

    #[test]
    fn rate_limits_and_faults_of_lark_mean_a_busy_source() {
        for code in [-1, 20050, 20072, 40003, 55001, 99_991_400] {
            assert!(matches!(error(code, ""), ConnectorError::Busy(_)), "{code}");
        }
        let limited = ApiError::Refused(refusal("x", 99_991_400, "", &[]));
        assert!(limited.lasting_refusal().is_some());
        let fault = ApiError::Refused(refusal("x", 20050, "", &[]));
        assert!(fault.lasting_refusal().is_none());
    }

    #[test]
    fn every_configuration_error_has_a_remedy_that_names_the_setting() {
        for (code, word) in [
            (10003, "app_secret"),
            (10012, "app_id"),
            (10014, "open.feishu.cn"),
            (10015, "凭证与基础信息"),
            (20002, "app_secret"),
            (20009, "版本管理与发布"),
            (20027, "scopes"),
            (20029, "https://sso.corp.example/.menshen/callback/fs"),
            (20043, "scopes"),
            (20048, "app_id"),
            (20067, "scopes"),
            (20068, "权限管理"),
            (20069, "enable"),
            (20071, "重定向 URL"),
            (40004, "通讯录权限范围"),
            (99_991_401, "IP 白名单"),
            (99_991_661, "api_base"),
            (99_991_663, "api_base"),
            (99_991_664, "api_base"),
            (99_991_665, "api_base"),
            (99_991_668, "token_url"),
            (99_991_671, "api_base"),
            (99_991_672, "权限管理"),
            (99_991_679, "权限管理"),
            (20001, "20001"),
            (987_654, "987654"),
        ] {
            let remedy = remedy_of(code, "no");
            assert!(remedy.to_string().contains(word), "{code}: {remedy}");
        }
    }

    #[test]
    fn the_missing_permission_is_named() {
        let message = "Access denied. One of the following scopes is required: [tenant:tenant:readonly].\
                       应用尚未开通所需的应用身份权限";
        let remedy = remedy_of(99_991_672, message);
        assert!(
            remedy
                .to_string()
                .contains("the permission tenant:tenant:readonly ("),
            "{remedy}"
        );
        let two = "required: [contact:contact.base:readonly, contact:contact:readonly].";
        let remedy = remedy_of(99_991_672, two);
        assert!(
            remedy
                .to_string()
                .contains("one of the permissions contact:contact.base:readonly, contact:"),
            "{remedy}"
        );
        for odd in ["", "[", "]", "[no name]", "no"] {
            let remedy = remedy_of(99_991_679, odd);
            assert!(
                remedy.to_string().contains("the missing permission"),
                "{odd}: {remedy}"
            );
        }
    }

    #[test]
    fn a_message_keeps_no_secret_and_is_short() {
        let message = refusal("x", 1, "bad hunter2\r\n", &["hunter2", ""]).message;
        assert_eq!(message, "bad …");
        let long = refusal("x", 1, &"飞".repeat(999), &[]).message;
        assert_eq!(long.chars().count(), 400);
    }
}
