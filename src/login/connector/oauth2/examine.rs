//! `check --online`: checks the endpoints of the provider and the client's credentials.

use std::error::Error;

use super::super::{ConnectorError, Finding};
use super::OAuth2;
use crate::keys;
use crate::outbound::{OutboundCall, OutboundError};
use crate::secret::Secret;
use crate::text;
use crate::wording::Text;

const AUTHORIZE: OutboundCall = OutboundCall::repeatable("authorize");
const PROFILE: OutboundCall = OutboundCall::repeatable("profile");

/// Checks everything that needs no login.
pub(super) async fn examine(oauth2: &OAuth2) -> Vec<Finding> {
    let mut findings = vec![Finding::good(text!(
        "register {} at the provider as redirect URI, exactly as shown",
        "请在认证源登记重定向地址（redirect URI）{}，一字不差",
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
        Err(error) if is_unavailable(&error) => failed(Text::same("authorize_url"), &error),
        Err(OutboundError::Status {
            status: 404 | 410, ..
        }) => Finding::bad(text!(
            "authorize_url: the page does not exist",
            "authorize_url：页面不存在"
        )),
        _ => Finding::good(text!(
            "authorize_url answers ({})",
            "authorize_url 有响应（{}）",
            origin(url)
        )),
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
        Err(ConnectorError::CodeRejected(_)) => Finding::good(text!(
            "token_url accepts client_id and its secret, and refuses an invalid code",
            "token_url 接受 client_id 及其密钥，并拒绝无效的授权码"
        )),
        Ok(_) => Finding::bad(text!(
            "token_url accepts an invalid code: it is not a token endpoint",
            "token_url 接受了无效的授权码：它不是令牌端点"
        )),
        Err(error) => failed(
            text!(
                "token_url, client_id and client_secret",
                "token_url、client_id 和 client_secret"
            ),
            &error,
        ),
    }
}

/// Requests the profile with a random token; any response below 500 counts, except 404 and 410.
async fn profile_endpoint(oauth2: &OAuth2) -> Finding {
    let url = &oauth2.settings.profile_url;
    let token = random_text();
    match oauth2.outbound.get_json_as(url, &token, PROFILE).await {
        Err(error) if is_unavailable(&error) => failed(Text::same("profile_url"), &error),
        Err(OutboundError::Status {
            status: 404 | 410, ..
        }) => Finding::bad(text!(
            "profile_url: the address does not exist",
            "profile_url：地址不存在"
        )),
        _ => Finding::good(text!(
            "profile_url answers ({})",
            "profile_url 有响应（{}）",
            origin(url)
        )),
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

fn failed(what: Text, error: &(dyn Error + 'static)) -> Finding {
    Finding::bad(text!(
        "{what}: {}",
        "{what:#}：{:#}",
        crate::telemetry::error_chain(error)
    ))
}
