//! `check --online`: checks the endpoints of the provider and the client's credentials.

use std::error::Error;

use super::super::{ConnectorError, Finding};
use super::OAuth2;
use crate::keys;
use crate::outbound::{OutboundCall, OutboundError};
use crate::secret::Secret;

const AUTHORIZE: OutboundCall = OutboundCall::repeatable("authorize");
const PROFILE: OutboundCall = OutboundCall::repeatable("profile");

/// Checks everything that needs no login.
pub(super) async fn examine(oauth2: &OAuth2) -> Vec<Finding> {
    let mut findings = vec![Finding::good(format!(
        "register {} at the provider as redirect URI, exactly as shown",
        oauth2.callback
    ))];
    findings.push(authorize_page(oauth2).await);
    findings.push(client_credentials(oauth2).await);
    findings.push(profile_endpoint(oauth2).await);
    findings
}

/// Any response counts: without a login the page has no defined status.
async fn authorize_page(oauth2: &OAuth2) -> Finding {
    let url = &oauth2.settings.authorize_url;
    match oauth2.outbound.get_json(url, &[], AUTHORIZE).await {
        Err(error) if is_unavailable(&error) => failed("authorize_url", &error),
        Err(OutboundError::Status {
            status: 404 | 410, ..
        }) => Finding::bad("authorize_url: the page does not exist"),
        _ => Finding::good(format!("authorize_url answers ({})", origin(url))),
    }
}

/// Redeems a random code: a provider that accepts the client's credentials refuses only the code.
async fn client_credentials(oauth2: &OAuth2) -> Finding {
    let code = random_text();
    let verifier = oauth2
        .settings
        .pkce
        .then(|| format!("{}{}", random_text().expose(), random_text().expose()));
    let redeemed = oauth2
        .client
        .redeem(oauth2.token_endpoint(), code.expose(), verifier.as_deref())
        .await;
    match redeemed {
        Err(ConnectorError::CodeRejected(_)) => {
            Finding::good("token_url accepts client_id and its secret, and refuses an invalid code")
        }
        Ok(_) => Finding::bad("token_url accepts an invalid code: it is not a token endpoint"),
        Err(error) => failed("token_url, client_id and client_secret", &error),
    }
}

/// Requests the profile with a random token; any response below 500 counts, except 404 and 410.
async fn profile_endpoint(oauth2: &OAuth2) -> Finding {
    let url = &oauth2.settings.profile_url;
    let token = random_text();
    match oauth2.outbound.get_json_as(url, &token, PROFILE).await {
        Err(error) if is_unavailable(&error) => failed("profile_url", &error),
        Err(OutboundError::Status {
            status: 404 | 410, ..
        }) => Finding::bad("profile_url: the address does not exist"),
        _ => Finding::good(format!("profile_url answers ({})", origin(url))),
    }
}

fn random_text() -> Secret<String> {
    let random = keys::random::<16>();
    Secret::new(random.iter().map(|byte| format!("{byte:02x}")).collect())
}

fn is_unavailable(error: &OutboundError) -> bool {
    match error {
        OutboundError::Connect { .. }
        | OutboundError::Refused { .. }
        | OutboundError::Timeout { .. }
        | OutboundError::Exchange { .. }
        | OutboundError::Pausing { .. } => true,
        OutboundError::Status { status, .. } => *status >= 500,
        OutboundError::NotJson { .. }
        | OutboundError::Incomplete { .. }
        | OutboundError::TooLarge { .. } => false,
    }
}

fn origin(url: &url::Url) -> String {
    url.origin().ascii_serialization()
}

fn failed(what: &str, error: &(dyn Error + 'static)) -> Finding {
    Finding::bad(format!("{what}: {}", crate::telemetry::error_chain(error)))
}
