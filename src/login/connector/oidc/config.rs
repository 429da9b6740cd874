//! `[connector.ID.oidc]`: an issuer, and who we are to it.

use std::collections::BTreeMap;

use jsonwebtoken::Algorithm;
use schemars::JsonSchema;
use serde::Deserialize;
use url::Url;

use super::super::grant::{self, ClientAuth, ClientSettings};
use crate::issuer::{self, IssuerName, SigningAlgorithm, TenantName, TenantSetting};
use crate::secret::SecretSource;

/// The scope without which there is no ID token.
pub(super) const OPENID: &str = "openid";

/// What an authorization request says because of a key of its own.
const PARAMS_WITH_OWN_KEY: [&str; 2] = ["scope", "response_mode"];

/// OpenID Connect as a source of logins: Keycloak, Entra ID, Google and their kin.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The provider's name, exactly as it calls itself: slash or no slash at the end counts. What
    /// it says of itself is read from `.well-known/openid-configuration` below it.
    ///
    /// Entra ID serves many tenants under one name, `https://login.microsoftonline.com/{tenantid}/v2.0`:
    /// then `tenants` says whose people may come, and a token's `tid` fills the place.
    pub issuer: IssuerName,
    /// The tenants whose people count, by their ids (`tid`), where `issuer` has `{tenantid}`; `["*"]`
    /// is every one there is.
    #[serde(default)]
    pub tenants: Vec<TenantName>,
    /// What the provider calls us.
    pub client_id: String,
    /// What we prove it with. Without it and without `private_key` we are a public client, whom
    /// only PKCE protects.
    #[serde(default)]
    pub client_secret: Option<SecretSource>,
    /// The private key (PEM: RSA, EC P-256 or P-384, Ed25519) to prove it with instead, by
    /// `private_key_jwt`; the provider knows the public one.
    #[serde(default)]
    pub private_key: Option<SecretSource>,
    /// The name (`kid`) by which the provider knows that key.
    #[serde(default)]
    pub private_key_id: Option<String>,
    /// How a secret is shown: `basic` (in the `Authorization` header) or `post` (in the form);
    /// `private-key-jwt` for a key. Without it the provider's metadata decides.
    #[serde(default)]
    pub client_auth: Option<ClientAuth>,
    /// What is asked for; `openid` must be there. Some providers hand out refresh tokens only for
    /// `offline_access`.
    #[serde(default = "default_scopes")]
    pub scopes: Vec<String>,
    /// Where the provider's metadata is, when that is not below `issuer`.
    #[serde(default)]
    pub metadata_url: Option<Url>,
    /// Where the provider's keys are, when its metadata is not to be believed in that.
    #[serde(default)]
    pub jwks_url: Option<Url>,
    /// The algorithms its ID tokens may be signed with. Without it every one with a public key
    /// counts: RS256, RS384, RS512, PS256, PS384, PS512, ES256, ES384, EdDSA. None with a shared
    /// secret ever does.
    #[serde(default)]
    pub algorithms: Option<Vec<SigningAlgorithm>>,
    /// How the browser brings the answer: `query`, in the address, or `form_post`, by a POST from
    /// the provider's page, which keeps the code out of logs. `form_post` needs an https
    /// `external_url`.
    #[serde(default)]
    pub response_mode: ResponseMode,
    /// Further parameters of the authorization request, such as `hd`, `kc_idp_hint` or
    /// `audience`. They never replace one of ours.
    #[serde(default)]
    pub authorize_params: BTreeMap<String, String>,
    /// Whether the provider is asked at its userinfo endpoint, if it has one. What it says there is
    /// added to the claims of the ID token.
    #[serde(default = "default_userinfo")]
    pub userinfo: bool,
}

/// How the answer comes back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ResponseMode {
    /// In the address.
    #[default]
    Query,
    /// By a POST from the provider's page.
    FormPost,
}

impl Config {
    /// What of it makes no sense, each with its key; reads no secret and asks nobody.
    pub(super) fn setting_problems(&self) -> Vec<(&'static str, String)> {
        let mut found = Vec::new();
        let mut add = |key: &'static str, why: &str| found.push((key, why.to_owned()));
        match issuer::tenants_problem(&self.issuer, &self.tenants) {
            Some((TenantSetting::Issuer, why)) => add("issuer", why),
            Some((TenantSetting::Tenants, why)) => add("tenants", why),
            None => {}
        }
        if self.client_id.is_empty() {
            add("client_id", "it is empty: copy it from the provider");
        }
        if let Some(why) = grant::settings_conflict(self.client()) {
            add("client_id", why);
        }
        if !self.scopes.iter().any(|scope| scope == OPENID) {
            add("scopes", "without \"openid\" there is no ID token");
        }
        if !self.scopes.iter().all(|scope| is_scope(scope)) {
            add("scopes", "a scope is one word; write one text for each");
        }
        if self.algorithms.as_ref().is_some_and(Vec::is_empty) {
            add("algorithms", "name one, or leave it out");
        }
        let addresses = [
            ("metadata_url", &self.metadata_url),
            ("jwks_url", &self.jwks_url),
        ];
        for (key, url) in addresses {
            let web = |url: &Url| matches!(url.scheme(), "http" | "https") && url.has_host();
            if url.as_ref().is_some_and(|url| !web(url)) {
                add(key, "it begins with http:// or https://");
            }
        }
        for name in self.authorize_params.keys() {
            if name.is_empty() || is_own_path(name) {
                let why = format!("menshen itself says `{name}`: remove it here");
                add("authorize_params", &why);
            }
        }
        found
    }

    /// The algorithms that count.
    pub(super) fn algorithms(&self) -> Vec<Algorithm> {
        match &self.algorithms {
            None => issuer::ALGORITHMS.to_vec(),
            Some(pinned) => pinned.iter().copied().map(Algorithm::from).collect(),
        }
    }

    /// Who we are to it.
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

/// Whether this parameter of an authorization request is ours to say.
pub(super) fn is_own_path(name: &str) -> bool {
    grant::is_reserved(name) || PARAMS_WITH_OWN_KEY.contains(&name)
}

/// RFC 6749 §3.3.
fn is_scope(text: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_graphic() && byte != b'"' && byte != b'\\';
    !text.is_empty() && text.bytes().all(plain)
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

    const LEAST: &str = "issuer = 'https://id.corp.example/realms/corp'\nclient_id = 'menshen'\n";

    fn config(more: &str) -> Config {
        toml::from_str(&format!("{LEAST}{more}")).unwrap()
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
    fn what_is_not_known_is_refused() {
        for more in [
            "scope = 'openid'",
            "algorithms = ['HS256']",
            "algorithms = ['none']",
            "response_mode = 'fragment'",
            "client_auth = 'client_secret_jwt'",
            "jwks_url = '/keys'",
            "userinfo = 'yes'",
        ] {
            let text = format!("{LEAST}{more}");
            assert!(toml::from_str::<Config>(&text).is_err(), "{more}");
        }
    }

    #[test]
    fn what_makes_no_sense_is_found_under_its_key() {
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
            assert!(found.iter().any(|(at, _)| *at == key), "{more}: {found:?}");
        }
        let good = "authorize_params = { hd = 'corp.example' }\nalgorithms = ['ES256']\n\
                    client_secret = 'hunter2'\nclient_auth = 'post'";
        assert_eq!(config(good).setting_problems(), []);
        assert!(!format!("{:?}", config(good)).contains("hunter2"));
    }
}
