//! `check --online`: what must be entered in the Yunzhijia console, and whether it accepts appId and secret.

use super::super::{ConnectorError, Finding};
use super::Yunzhijia;
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
    vec![Finding::good(home), Finding::good(scan), token]
}
