//! `check --online`: what must be entered in the Yunzhijia console, and whether it accepts appId and secret.

use super::super::{ConnectorError, Finding};
use super::errors::ApiError;
use super::{Yunzhijia, departments};
use crate::telemetry::error_chain;

/// Checks everything that needs no login.
pub(super) async fn examine(yunzhijia: &Yunzhijia) -> Vec<Finding> {
    let Yunzhijia {
        entry_url,
        callback,
        base,
        ..
    } = yunzhijia;
    let home = format!(
        "enter {entry_url} as the home address of the light application (轻应用), for people who open it in the \
         app; with ?rd=PATH behind it they arrive at a page"
    );
    let scan = format!(
        "for logins by QR code, enter {}/opencloud/openthird/qrlogin as the mobile address of the application; \
         logins return to {callback}",
        base.as_str().trim_end_matches('/')
    );
    let token = match yunzhijia.api.token().await {
        Ok(_) => Finding::good("Yunzhijia accepts app_id and app_secret"),
        Err(error) => Finding::bad(match error.into_error() {
            error @ ConnectorError::Misconfigured { .. } => error_chain(&error).to_string(),
            error => format!("app_id and app_secret: {}", error_chain(&error)),
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
        Finding::bad(format!("contacts: {}", error_chain(&error)))
    };
    let tree = match departments::load(&yunzhijia.api).await {
        Ok(tree) => tree,
        Err(error) => return failed(error),
    };
    let all = tree.departments();
    let Some(first) = all.first() else {
        return Finding::bad("contacts: Yunzhijia lists no department of the team");
    };
    match yunzhijia.api.members(&first.id, 0).await {
        Ok(_) => Finding::good(format!(
            "the application reads the people of {} departments",
            all.len()
        )),
        Err(error) => failed(error),
    }
}
