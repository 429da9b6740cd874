//! The error codes of WeCom, what they mean for a login, and their remedies;
//! <https://developer.work.weixin.qq.com/document/path/90313>.

use std::net::IpAddr;

use super::super::kit::app_token::CallError;
use super::super::kit::refusal::refusal as source_refusal;
use super::super::{ConnectorError, RefusalReason, SourceRefusal};
use crate::outbound::OutboundError;
use crate::text;
use crate::wording::Text;

/// The longest error message that is kept, in characters.
const MESSAGE_CHARS_MAX: usize = 300;

/// Too many calls in a short time.
const CALL_LIMIT_REACHED: i64 = 45009;

/// The call is retired or was never offered by this deployment.
const CALL_NOT_OFFERED: i64 = 48005;

/// The call that returns the application's token.
pub(super) const GET_TOKEN: &str = "gettoken";

/// Why an API call failed.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub(super) enum ApiError {
    /// WeCom answered with an error code.
    Refused(#[from] SourceRefusal),
    /// WeCom gave no usable response.
    NoUsableResponse(#[from] OutboundError),
}

/// Settings that must match those in the WeCom console; the remedies name them.
#[derive(Clone, Debug)]
pub(super) struct ConsoleSettings {
    /// The host and, unless it is the default, the port of the callback URL.
    pub(super) callback_host: String,
    pub(super) agent_id: String,
}

/// How to react to an error code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ErrorClass {
    CodeRejected,
    NotVisibleToApp,
    Busy,
    Misconfigured,
}

impl ApiError {
    /// The error of a login.
    pub(super) fn into_error(self, console: &ConsoleSettings) -> ConnectorError {
        let refusal = match self {
            Self::NoUsableResponse(error) => return ConnectorError::NoUsableResponse(error),
            Self::Refused(refusal) => refusal,
        };
        match classify(refusal.code) {
            ErrorClass::CodeRejected => ConnectorError::CodeRejected(refusal),
            ErrorClass::Busy => ConnectorError::Busy(refusal),
            ErrorClass::NotVisibleToApp => ConnectorError::Refused {
                why: RefusalReason::NotVisibleToApp,
                source: refusal,
            },
            ErrorClass::Misconfigured => {
                let remedy = remedy(&refusal, console);
                ConnectorError::Misconfigured {
                    remedy,
                    source: refusal,
                }
            }
        }
    }

    /// The error of a call with the Secret of 通讯录同步.
    pub(super) fn into_contact_error(self, console: &ConsoleSettings) -> ConnectorError {
        match self.into_error(console) {
            ConnectorError::Misconfigured { source, remedy } => {
                let remedy = match source.code {
                    40001 | 40091 | 48002 => text!(
                        "copy `contact_secret` from 管理工具 → 通讯录同步 → \
                        Secret, and enable the sync there",
                        "请从 管理工具 → 通讯录同步 → Secret 复制到 `contact_secret`，并在那里开启同步"
                    ),
                    60020 => trusted_ip_remedy(&source.message),
                    _ => remedy,
                };
                ConnectorError::Misconfigured { remedy, source }
            }
            error => error,
        }
    }

    /// The error code of WeCom, if it sent one.
    pub(super) fn code(&self) -> Option<i64> {
        match self {
            Self::Refused(refusal) => Some(refusal.code),
            Self::NoUsableResponse(_) => None,
        }
    }

    /// Whether WeCom does not have this API call, as in older private deployments.
    pub(super) fn is_missing_call(&self) -> bool {
        match self {
            Self::Refused(refusal) => refusal.code == CALL_NOT_OFFERED,
            Self::NoUsableResponse(error) => {
                matches!(error, OutboundError::Status { status: 404, .. })
            }
        }
    }
}

impl CallError for ApiError {
    fn is_token_refused(&self) -> bool {
        matches!(self, Self::Refused(refusal) if matches!(refusal.code, 40001 | 40014 | 42001))
    }

    /// Every refusal of the settings is lasting, and the refusal of too many calls. After many requests with a
    /// wrong secret WeCom bans the IP address for an hour.
    fn lasting_refusal(&self) -> Option<&SourceRefusal> {
        let Self::Refused(refusal) = self else {
            return None;
        };
        let is_lasting = refusal.code == CALL_LIMIT_REACHED
            || classify(refusal.code) == ErrorClass::Misconfigured;
        is_lasting.then_some(refusal)
    }
}

/// The error of WeCom, limited in length and without the `redacted` values of the request.
pub(super) fn refusal(
    call: &'static str,
    code: i64,
    message: &str,
    redacted: &[&str],
) -> SourceRefusal {
    let message = message.split(", more info at ").next();
    source_refusal(
        call,
        code,
        message.unwrap_or_default(),
        redacted,
        MESSAGE_CHARS_MAX,
    )
}

fn classify(code: i64) -> ErrorClass {
    match code {
        40029 | 40078 | 42003 | 42022 => ErrorClass::CodeRejected,
        40003 | 46004 | 50002 | 60011 | 60021 | 60111 | 301_021 => ErrorClass::NotVisibleToApp,
        -1 | CALL_LIMIT_REACHED | 45033 => ErrorClass::Busy,
        _ => ErrorClass::Misconfigured,
    }
}

fn remedy(refusal: &SourceRefusal, console: &ConsoleSettings) -> Text {
    let ConsoleSettings {
        callback_host,
        agent_id,
    } = console;
    let code = refusal.code;
    match code {
        40001 if refusal.call != GET_TOKEN => text!(
            "WeCom accepted the secret but rejects the token it \
        issued: check that the application is enabled (已启用) and its Secret was not reset",
            "企业微信接受了 Secret，却拒绝它签发的令牌：请检查应用是否已启用，Secret 是否被重置"
        ),
        40001 | 40091 | 41004 => text!(
            "copy the Secret of this application again (应用管理 → the \
        application → Secret) into `secret`, and check that `corp_id` is its corporation",
            "请重新把这个应用的 Secret（应用管理 → 该应用 → Secret）复制到 `secret`，并检查 `corp_id` 是否是它所属的企业"
        ),
        40013 | 41002 => text!(
            "copy `corp_id` from 我的企业 → 企业信息 → 企业ID",
            "请从 我的企业 → 企业信息 → 企业ID 复制到 `corp_id`"
        ),
        40014 | 42001 => {
            text!(
                "WeCom rejects a token that it has just issued: check that `api_base` leads to \
            only one WeCom deployment and `secret` is that of an application (自建应用)",
                "企业微信拒绝了刚签发的令牌：请检查 `api_base` 是否只指向一个企业微信部署，`secret` 是否是自建应用的"
            )
        }
        40056 | 301_002 => text!(
            "`agent_id` is {agent_id}: copy the AgentId from the page of the application that \
             `secret` belongs to",
            "`agent_id` 是 {agent_id}：请从 `secret` 所属应用的页面复制 AgentId"
        ),
        50001 => text!(
            "enter exactly {callback_host} at the application, both under 网页授权及JS-SDK → \
            可信域名 and under 企业微信授权登录 → 授权回调域; `secret` must be that of the same \
            application",
            "请在该应用的 网页授权及JS-SDK → 可信域名 和 企业微信授权登录 → 授权回调域 中都填写 {callback_host}，一字不差；`secret` 必须是同一个应用的"
        ),
        50003 | 60031 => text!(
            "enable the application (应用管理 → the application → 启用)",
            "请启用该应用（应用管理 → 该应用 → 启用）"
        ),
        60020 => trusted_ip_remedy(&refusal.message),
        _ => remedy_of_application(code),
    }
}

/// The remedy for a code about the kind of the application, or about the corporation.
fn remedy_of_application(code: i64) -> Text {
    match code {
        48001 | 48002 | 48009 => {
            text!(
                "this kind of Secret does not allow the call: use the Secret of an \
        application (自建应用), not that of 通讯录同步 or another tool",
                "这种 Secret 不能调用该接口：请用自建应用的 Secret，不要用通讯录同步或其他工具的"
            )
        }
        48004 | 48006 => text!(
            "WeCom withdrew the application's permission (授权): renew it in the \
            console",
            "企业微信收回了应用的授权：请在管理后台重新授权"
        ),
        CALL_NOT_OFFERED => {
            text!(
                "this WeCom deployment has retired the API call: update menshen, or check \
        `api_base`",
                "这个企业微信部署已停用该接口：请升级 menshen，或检查 `api_base`"
            )
        }
        301_007 => text!(
            "WeCom has closed the corporation (企业不可用): ask the corporation's \
            administrator",
            "企业微信已停用该企业（企业不可用）：请联系企业的管理员"
        ),
        40080 | 40082..=40085 | 42007 | 42009 => text!(
            "these settings belong to a third-party suite \
            (第三方应用): use an application of the corporation's own (自建应用)",
            "这些设置属于第三方应用：请使用企业的自建应用"
        ),
        _ => text!(
            "WeCom explains the code {code} at \
             https://open.work.weixin.qq.com/devtool/query?e={code}",
            "错误码 {code} 的说明见 https://open.work.weixin.qq.com/devtool/query?e={code}"
        ),
    }
}

fn trusted_ip_remedy(message: &str) -> Text {
    let found = from_ip(message);
    let address = found.map_or_else(
        || text!("this site's outgoing address", "本站点的出口地址"),
        |ip| text!("{ip}", " {ip}"),
    );
    text!(
        "enter {address} at the application under 企业可信IP; it takes effect after about a minute. \
        If the address changes, set `proxy` to a proxy with a fixed address",
        "请在该应用的 企业可信IP 中填写{address:#}，约一分钟后生效。如果地址会变，请把 `proxy` 设为地址固定的代理"
    )
}

/// menshen's outgoing IP address, as WeCom reports it: `…, from ip: 203.0.113.9, more info …`.
fn from_ip(message: &str) -> Option<IpAddr> {
    let (_, rest) = message.split_once("from ip:")?;
    let end = rest.trim_start().find([',', ' ', ']']);
    let text = rest.trim_start();
    text[..end.unwrap_or(text.len())]
        .trim_start_matches('[')
        .parse()
        .ok()
}

#[cfg(test)]
mod tests;
