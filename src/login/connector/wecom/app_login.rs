//! What an own front end or a mobile app needs to open a login by itself (`/login-config`).

use serde::Serialize;
use serde_json::{Map, Value};
use url::Url;

/// What WeCom's scripts and mobile SDK are started with.
#[derive(Debug, Serialize)]
pub(super) struct AppLogin<'a> {
    pub(super) corp_id: &'a str,
    /// The application's id within the corporation.
    pub(super) agent_id: &'a str,
    /// The URL scheme of the mobile SDK.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) schema: Option<&'a str>,
    pub(super) redirect_uri: &'a Url,
    /// The page for an ordinary browser.
    pub(super) web_url: Url,
    /// The page for WeCom's own client.
    pub(super) in_app_url: Url,
}

impl AppLogin<'_> {
    /// As members of a JSON object.
    pub(super) fn members(&self) -> Map<String, Value> {
        match serde_json::to_value(self) {
            Ok(Value::Object(members)) => members,
            _ => Map::new(),
        }
    }
}
