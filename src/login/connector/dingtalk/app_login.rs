//! What a custom front end or a mobile app needs to run a login itself (`/login-config`).

use serde::Serialize;
use serde_json::{Map, Value};
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

impl AppLogin<'_> {
    /// The members of the JSON response.
    pub(super) fn members(&self) -> Map<String, Value> {
        match serde_json::to_value(self) {
            Ok(Value::Object(members)) => members,
            _ => Map::new(),
        }
    }
}
