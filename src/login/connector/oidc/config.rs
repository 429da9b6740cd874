//! `[connector.ID.oidc]`: the settings of one client at one OpenID provider.

use std::collections::BTreeMap;

use jsonwebtoken::Algorithm;
use schemars::JsonSchema;
use serde::Deserialize;
use url::Url;

use super::super::grant::{self, ClientAuth, ClientSettings};
use crate::issuer::{self, IssuerName, SigningAlgorithm, TenantName, TenantSetting};
use crate::secret::SecretSource;
use crate::text;
use crate::wording::Text;

/// The scope that requests an ID token.
pub(super) const OPENID: &str = "openid";

/// Parameters of the authorization request that other keys set.
const PARAMS_WITH_OWN_KEY: [&str; 2] = ["scope", "response_mode"];

/// Login with an OpenID Connect provider such as Keycloak, Entra ID or Google.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The issuer of the provider, exactly as its metadata names it; a slash at the end matters. The
    /// metadata is read from `.well-known/openid-configuration` below it.
    ///
    /// A multi-tenant issuer of Entra ID is `https://login.microsoftonline.com/{tenantid}/v2.0`:
    /// `tenants` lists the tenants whose people may sign in.
    pub issuer: IssuerName,
    /// The IDs (`tid`) of the tenants whose people may sign in, where `issuer` has `{tenantid}`; `["*"]`
    /// allows every tenant.
    #[serde(default)]
    pub tenants: Vec<TenantName>,
    /// The client ID that the provider gave to menshen.
    pub client_id: String,
    /// The client secret. Without it and without `private_key` menshen is a public client, which only
    /// PKCE protects.
    #[serde(default)]
    pub client_secret: Option<SecretSource>,
    /// A private key (PEM: RSA, EC P-256 or P-384, Ed25519) instead of a secret, for
    /// `private_key_jwt`; its public key is registered at the provider.
    #[serde(default)]
    pub private_key: Option<SecretSource>,
    /// The `kid` of `private_key` at the provider.
    #[serde(default)]
    pub private_key_id: Option<String>,
    /// How menshen authenticates at the token endpoint: `basic` (the secret in the `Authorization`
    /// header), `post` (the secret in the form) or `private-key-jwt`. Absent: as the metadata says.
    #[serde(default)]
    pub client_auth: Option<ClientAuth>,
    /// The scopes to request; `openid` is required. Some providers issue refresh tokens only for
    /// `offline_access`.
    #[serde(default = "default_scopes")]
    pub scopes: Vec<String>,
    /// The URL of the metadata, if it is not below `issuer`.
    #[serde(default)]
    pub metadata_url: Option<Url>,
    /// The URL of the keys, instead of `jwks_uri` in the metadata.
    #[serde(default)]
    pub jwks_url: Option<Url>,
    /// The signature algorithms that are accepted for ID tokens. Absent: RS256, RS384, RS512, PS256,
    /// PS384, PS512, ES256, ES384, EdDSA. Algorithms with a shared secret are never accepted.
    #[serde(default)]
    pub algorithms: Option<Vec<SigningAlgorithm>>,
    /// How the browser sends the authorization response: `query` (in the URL) or `form_post` (by a POST
    /// from the provider's page, which keeps the code out of logs). `form_post` needs an https
    /// `external_url`.
    #[serde(default)]
    pub response_mode: ResponseMode,
    /// Further parameters of the authorization request, such as `hd`, `kc_idp_hint` or `audience`. They
    /// cannot replace a parameter that menshen sets itself.
    #[serde(default)]
    pub authorize_params: BTreeMap<String, String>,
    /// Whether userinfo is fetched, if the provider has the endpoint. Userinfo is added to the claims of the
    /// ID token.
    #[serde(default = "default_userinfo")]
    pub userinfo: bool,
}

/// How the browser sends the authorization response.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ResponseMode {
    #[default]
    Query,
    FormPost,
}

impl Config {
    /// The invalid settings: the key and the reason. Reads no secret and sends no request.
    pub(super) fn setting_problems(&self) -> Vec<(&'static str, Text)> {
        let mut found = Vec::new();
        let mut add = |key: &'static str, why: Text| found.push((key, why));
        match issuer::tenants_problem(&self.issuer, &self.tenants) {
            Some((TenantSetting::Issuer, why)) => add("issuer", why),
            Some((TenantSetting::Tenants, why)) => add("tenants", why),
            None => {}
        }
        if let Some(why) = self.issuer.metadata_problem() {
            add("issuer", why);
        }
        if self.client_id.is_empty() {
            add(
                "client_id",
                text!(
                    "it is empty: enter the client ID of the provider",
                    "是空的：请填认证源处登记的客户端 ID"
                ),
            );
        }
        if let Some(why) = grant::settings_conflict(self.client()) {
            add("client_id", why);
        }
        if !self.scopes.iter().any(|scope| scope == OPENID) {
            add(
                "scopes",
                text!(
                    "without \"openid\" there is no ID token",
                    "没有 \"openid\" 就没有 ID 令牌"
                ),
            );
        }
        if !self.scopes.iter().all(|scope| is_scope(scope)) {
            add(
                "scopes",
                text!(
                    "a scope has no spaces; write one string for each",
                    "scope 中没有空格；请各写一个字符串"
                ),
            );
        }
        if self.algorithms.as_ref().is_some_and(Vec::is_empty) {
            add(
                "algorithms",
                text!(
                    "it is empty: name one, or remove the key",
                    "是空的：请写一个，或删除这个键"
                ),
            );
        }
        let urls = [
            ("metadata_url", &self.metadata_url),
            ("jwks_url", &self.jwks_url),
        ];
        for (key, url) in urls {
            let is_web_url = |url: &Url| matches!(url.scheme(), "http" | "https") && url.has_host();
            if url.as_ref().is_some_and(|url| !is_web_url(url)) {
                add(
                    key,
                    text!(
                        "it begins with http:// or https://",
                        "应以 http:// 或 https:// 开头"
                    ),
                );
            }
        }
        found.extend(self.parameter_problems());
        found
    }

    /// The parameters that menshen itself sets, or that have no name.
    fn parameter_problems(&self) -> Vec<(&'static str, Text)> {
        let names = self.authorize_params.keys();
        let wrong = names.filter(|name| name.is_empty() || is_set_by_menshen(name));
        let problems = wrong.map(|name| {
            let why = text!(
                "menshen itself sets `{name}`: remove it here",
                "`{name}` 由 menshen 自己设置：请在这里删除它"
            );
            ("authorize_params", why)
        });
        problems.collect()
    }

    /// The accepted signature algorithms.
    pub(super) fn algorithms(&self) -> Vec<Algorithm> {
        match &self.algorithms {
            None => issuer::ALGORITHMS.to_vec(),
            Some(configured) => configured.iter().copied().map(Algorithm::from).collect(),
        }
    }

    pub(super) fn client(&self) -> ClientSettings<'_> {
        ClientSettings {
            client_id: &self.client_id,
            client_secret: self.client_secret.as_ref(),
            private_key: self.private_key.as_ref(),
            private_key_id: self.private_key_id.as_deref(),
            client_auth: self.client_auth,
        }
    }
}

/// Whether menshen itself sets this parameter of the authorization request.
pub(super) fn is_set_by_menshen(name: &str) -> bool {
    grant::is_reserved(name) || PARAMS_WITH_OWN_KEY.contains(&name)
}

/// Whether a text is one scope (RFC 6749 §3.3).
fn is_scope(text: &str) -> bool {
    let is_allowed = |byte: u8| byte.is_ascii_graphic() && byte != b'"' && byte != b'\\';
    !text.is_empty() && text.bytes().all(is_allowed)
}

fn default_scopes() -> Vec<String> {
    [OPENID, "profile", "email"].map(str::to_owned).to_vec()
}

fn default_userinfo() -> bool {
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    const REQUIRED_SETTINGS: &str =
        "issuer = 'https://id.corp.example/realms/corp'\nclient_id = 'menshen'\n";

    fn config(more: &str) -> Config {
        toml::from_str(&format!("{REQUIRED_SETTINGS}{more}")).unwrap()
    }

    #[test]
    fn issuer_and_client_id_are_enough() {
        let config = config("");
        assert_eq!(config.scopes, ["openid", "profile", "email"]);
        assert_eq!(config.algorithms(), issuer::ALGORITHMS);
        assert!(config.userinfo && config.response_mode == ResponseMode::Query);
        assert_eq!(config.setting_problems(), []);
    }

    #[test]
    fn unknown_keys_and_values_are_refused() {
        for more in [
            "scope = 'openid'",
            "algorithms = ['HS256']",
            "algorithms = ['none']",
            "response_mode = 'fragment'",
            "client_auth = 'client_secret_jwt'",
            "jwks_url = '/keys'",
            "userinfo = 'yes'",
        ] {
            let text = format!("{REQUIRED_SETTINGS}{more}");
            assert!(toml::from_str::<Config>(&text).is_err(), "{more}");
        }
    }

    #[test]
    fn an_invalid_setting_is_reported_with_its_key() {
        for (more, key) in [
            ("scopes = ['profile']", "scopes"),
            ("scopes = ['openid profile']", "scopes"),
            ("scopes = ['openid', '']", "scopes"),
            ("algorithms = []", "algorithms"),
            ("jwks_url = 'ftp://a/b'", "jwks_url"),
            ("metadata_url = 'data:x'", "metadata_url"),
            ("authorize_params = { state = 'x' }", "authorize_params"),
            ("authorize_params = { nonce = 'x' }", "authorize_params"),
            ("authorize_params = { scope = 'x' }", "authorize_params"),
            (
                "authorize_params = { response_mode = 'x' }",
                "authorize_params",
            ),
            ("client_secret = 'a'\nprivate_key = 'b'", "client_id"),
            ("client_auth = 'post'", "client_id"),
        ] {
            let found = config(more).setting_problems();
            assert!(
                found.iter().any(|(invalid_key, _)| *invalid_key == key),
                "{more}: {found:?}"
            );
        }
        let valid_settings = "authorize_params = { hd = 'corp.example' }\nalgorithms = ['ES256']\n\
                    client_secret = 'hunter2'\nclient_auth = 'post'";
        assert_eq!(config(valid_settings).setting_problems(), []);
        assert!(!format!("{:?}", config(valid_settings)).contains("hunter2"));
    }
}
