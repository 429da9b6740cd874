//! What a custom front end or a mobile app needs to run a login itself (`/login-config`).

use serde::Serialize;
use url::Url;

/// The parameters of WeCom's scripts and mobile SDK.
#[derive(Debug, Serialize)]
pub(super) struct AppLogin<'a> {
    pub(super) corp_id: &'a str,
    /// The ID of the application within the corporation.
    pub(super) agent_id: &'a str,
    /// The URL scheme of the mobile SDK.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) schema: Option<&'a str>,
    pub(super) redirect_uri: &'a Url,
    /// The login page for ordinary browsers.
    pub(super) web_url: Url,
    /// The login page for the WeCom client.
    pub(super) in_app_url: Url,
}
