//! `check --online`: checks the URLs of the CAS server.

use super::super::{ConnectorError, Finding};
use super::answer::Answer;
use super::errors::refused_ticket;
use super::{Cas, ticket};
use crate::keys;
use crate::outbound::{OutboundCall, OutboundError};
use crate::telemetry::error_chain;
use crate::text;
use crate::wording::Text;

const LOGIN_PAGE: OutboundCall = OutboundCall::repeatable("the login page");
const VALIDATE: OutboundCall = OutboundCall::repeatable("ticket validation");

/// Checks everything that needs no login.
pub(super) async fn examine(cas: &Cas) -> Vec<Finding> {
    vec![
        Finding::good(service_to_register(cas)),
        login_page(cas).await,
        validation(cas).await,
    ]
}

fn service_to_register(cas: &Cas) -> Text {
    let logout = match cas.config.single_logout {
        true => text!(
            "; it receives single logout too, as a back-channel POST",
            "；它也接收单点退出（后端通道 POST）"
        ),
        false => Text::default(),
    };
    text!(
        "register {} as a service at the CAS server, with any query behind it{logout}",
        "请在 CAS 服务器把 {} 登记为服务，其后可带任意查询参数{logout:#}",
        cas.callback
    )
}

/// Any response counts that a CAS server could give to somebody who is not signed in.
async fn login_page(cas: &Cas) -> Finding {
    let url = &cas.addresses.login;
    let query = [("service", cas.callback.as_str())];
    match cas.outbound.get_bytes(url, &query, LOGIN_PAGE).await {
        Err(OutboundError::Status {
            status: 404 | 410, ..
        }) => Finding::bad(text!(
            "login_url: the page does not exist",
            "login_url：页面不存在"
        )),
        Err(OutboundError::Status { status, .. }) if status >= 500 => Finding::bad(text!(
            "login_url answers with HTTP status {status}",
            "login_url 的响应是 HTTP 状态码 {status}"
        )),
        Err(error) if error.is_no_response() => Finding::bad(text!(
            "login_url: {}",
            "login_url：{:#}",
            error_chain(&error)
        )),
        _ => Finding::good(text!(
            "login_url answers ({url})",
            "login_url 有响应（{url}）"
        )),
    }
}

/// Validates a random ticket, which the server must refuse in the format of `version`.
async fn validation(cas: &Cas) -> Finding {
    let random = keys::random::<16>();
    let random: String = random.iter().map(|byte| format!("{byte:02x}")).collect();
    let random = format!("ST-0-{random}");
    let url = &cas.addresses.validate;
    let query = [
        ("service", cas.callback.as_str()),
        (ticket::PARAMETER, &random),
    ];
    let body = match cas.outbound.get_bytes(url, &query, VALIDATE).await {
        Ok(body) => body,
        Err(error) => {
            return Finding::bad(text!(
                "validate_url: {}",
                "validate_url：{:#}",
                error_chain(&error)
            ));
        }
    };
    match Answer::read(cas.config.version, &body) {
        Ok(Answer::Invalid { code, text }) => {
            let refusal = refused_ticket(&code, &text, &[&random]);
            match &refusal {
                ConnectorError::CodeRejected(_) => Finding::good(text!(
                    "validate_url answers and refuses an unknown ticket ({url})",
                    "validate_url 有响应，并拒绝未知的票据（{url}）"
                )),
                _ => Finding::bad(text!(
                    "validate_url: {}",
                    "validate_url：{:#}",
                    error_chain(&refusal)
                )),
            }
        }
        Ok(Answer::Valid(_)) => Finding::bad(text!(
            "validate_url accepts an unknown ticket: it is not that of a CAS server",
            "validate_url 接受了未知的票据：它不是 CAS 服务器的地址"
        )),
        Err(error) => Finding::bad(text!(
            "validate_url: {}; it may speak another version of the protocol",
            "validate_url：{:#}；它可能使用别的协议版本",
            error_chain(&error)
        )),
    }
}
