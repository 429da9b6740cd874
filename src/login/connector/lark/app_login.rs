//! What a custom front end or a mobile app needs to run a login itself (`/login-config`).

use serde::Serialize;
use url::Url;

use super::Brand;

/// The parameters of the SDK for mobile apps, and the login page for front ends in a browser.
#[derive(Debug, Serialize)]
pub(super) struct AppLogin<'a> {
    /// The ID of the application. The URL scheme of the SDK is this ID without `_`.
    pub(super) app_id: &'a str,
    /// The server of the SDK: Feishu or Lark.
    pub(super) brand: Brand,
    pub(super) scopes: &'a [String],
    pub(super) redirect_uri: &'a Url,
    /// The login page.
    pub(super) url: Url,
}
