//! What a custom front end or a mobile app needs to run a login itself (`/login-config`).

use serde::Serialize;
use url::Url;

/// The parameters of DingTalk's scripts and mobile SDK.
#[derive(Debug, Serialize)]
pub(super) struct AppLogin<'a> {
    pub(super) corp_id: &'a str,
    /// The Client ID of the application.
    pub(super) client_id: &'a str,
    pub(super) scope: &'a str,
    pub(super) redirect_uri: &'a Url,
    /// The login page for browsers.
    pub(super) web_url: Url,
}
