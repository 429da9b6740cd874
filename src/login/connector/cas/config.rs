//! `[connector.ID.cas]`: the settings of one CAS server.

use schemars::JsonSchema;
use serde::Deserialize;
use url::Url;

/// Login with a CAS server.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The base URL of the CAS server: https, or http on this machine. A `/login` at its end is cut.
    pub url: Url,
    /// The version of the CAS protocol: `1.0`, `2.0` or `3.0`. Only `3.0` promises attributes; `1.0` has
    /// the user name and nothing else.
    #[serde(default)]
    pub version: Version,
    /// The callback URLs of the proxies whose tickets sign people in, exactly as the CAS server names
    /// them. With an empty list no proxy ticket is accepted.
    #[serde(default)]
    pub proxies: Vec<String>,
    /// Whether the CAS server asks for the password at each login, even if the person is signed in there.
    #[serde(default)]
    pub renew: bool,
    /// Whether user names that differ only in upper and lower case belong to different people (`exact`) or
    /// to one person (`ignore`, which uses the names in lower case). Never change it: accounts depend on
    /// it.
    #[serde(default)]
    pub user_case: UserCase,
    /// Whether the CAS server ends sessions by a POST to the callback URL when people sign out there.
    #[serde(default = "yes")]
    pub single_logout: bool,
    /// Whether plain http to another machine is accepted. Who can change the responses of the CAS server in
    /// transit can then sign in as anybody.
    #[serde(default)]
    pub allow_http: bool,
    /// The login page. Absent: `/login` below `url`.
    #[serde(default)]
    pub login_url: Option<Url>,
    /// The URL at which tickets are validated. Absent: below `url`, as `version` and `proxies` demand. It
    /// must be the one for proxy tickets if `proxies` lists any. Before a login its host is probed with a
    /// request for `/`, at most every ten seconds while it responds and every two while it does not. While
    /// it does not respond, no browser is redirected to the CAS server.
    #[serde(default)]
    pub validate_url: Option<Url>,
    /// The page that signs people out at the CAS server. Absent: `/logout` below `url`.
    #[serde(default)]
    pub logout_url: Option<Url>,
}

/// The version of the CAS protocol.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
pub enum Version {
    #[serde(rename = "1.0")]
    V1,
    #[serde(rename = "2.0")]
    V2,
    #[default]
    #[serde(rename = "3.0")]
    V3,
}

/// Whether upper and lower case tell user names apart.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum UserCase {
    #[default]
    Exact,
    Ignore,
}

/// The default of `single_logout`.
fn yes() -> bool {
    true
}
