//! `check --online`: what must be entered in the Yunzhijia console, and whether it accepts appId and secret.

use super::super::{ConnectorError, Finding};
use super::errors::ApiError;
use super::{Yunzhijia, departments};
use crate::telemetry::error_chain;
use crate::text;
use crate::wording::Text;

/// Checks everything that needs no login.
pub(super) async fn examine(yunzhijia: &Yunzhijia) -> Vec<Finding> {
    let Yunzhijia {
        entry_url,
        callback,
        base,
        ..
    } = yunzhijia;
    let home = text!(
        "enter {entry_url} as the home address of the light application (轻应用), for people who open \
         it in the app; with ?rd=PATH behind it they arrive at a page",
        "请把 {entry_url} 填为轻应用的首页地址，供在云之家 App 内打开的人使用；其后加 ?rd=PATH \
         可进入指定页面"
    );
    let scan = text!(
        "for logins by QR code, enter {}/opencloud/openthird/qrlogin as the mobile address of the \
         application; logins return to {callback}",
        "要扫码登录，请把 {}/opencloud/openthird/qrlogin 填为应用的移动端地址；登录后返回 {callback}",
        base.as_str().trim_end_matches('/')
    );
    let token = match yunzhijia.api.token().await {
        Ok(_) => Finding::good(text!(
            "Yunzhijia accepts app_id and app_secret",
            "云之家接受 app_id 和 app_secret"
        )),
        Err(error) => Finding::bad(match error.into_error() {
            error @ ConnectorError::Misconfigured { .. } => Text::of(&error_chain(&error)),
            error => text!(
                "app_id and app_secret: {}",
                "app_id 和 app_secret：{:#}",
                error_chain(&error)
            ),
        }),
    };
    let mut findings = vec![Finding::good(home), Finding::good(scan), token];
    if yunzhijia.uses_contacts {
        findings.push(contacts(yunzhijia).await);
    }
    findings
}

/// Whether the application may read departments and people.
async fn contacts(yunzhijia: &Yunzhijia) -> Finding {
    let failed = |error: ApiError| {
        let error = error.into_error();
        Finding::bad(text!("contacts: {}", "contacts：{:#}", error_chain(&error)))
    };
    let tree = match departments::load(&yunzhijia.api).await {
        Ok(tree) => tree,
        Err(error) => return failed(error),
    };
    let all = tree.departments();
    let Some(first) = all.first() else {
        return Finding::bad(text!(
            "contacts: Yunzhijia lists no department of the team",
            "contacts：云之家没有列出该企业的任何部门"
        ));
    };
    match yunzhijia.api.members(&first.id, 0).await {
        Ok(_) => Finding::good(text!(
            "the application reads the people of {} departments",
            "应用能读取 {} 个部门的人员",
            all.len()
        )),
        Err(error) => failed(error),
    }
}
