//! `[connector.ID.oauth2]`: the settings of one client at one OAuth 2 provider.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;
use url::Url;

use super::super::grant::{ClientAuth, ClientSettings};
use super::presets::Preset;
use crate::secret::SecretSource;

/// Login with an OAuth 2 provider that has a profile endpoint and no ID tokens.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// A provider with built-in endpoints, scopes and mapping: `github`, `gitlab`, `google`,
    /// `microsoft`, `keycloak`, `gitee` or `feishu`. Every key below overrides the preset.
    #[serde(default)]
    pub preset: Option<Preset>,
    /// The base URL of a self-hosted provider with a preset: for GitLab and GitHub the site, for Keycloak
    /// the realm (`https://id.corp.example/realms/corp`), for Microsoft
    /// `https://login.microsoftonline.com/TENANT`, for Lark `https://open.larksuite.com`.
    #[serde(default)]
    pub base_url: Option<Url>,
    /// The client ID that the provider gave to menshen.
    pub client_id: String,
    /// The client secret. Without it and without `private_key` menshen is a public client, which only
    /// PKCE protects.
    #[serde(default)]
    pub client_secret: Option<SecretSource>,
    /// A private key (PEM, PKCS#8: RSA, P-256, P-384 or Ed25519) instead of a secret, for
    /// `private_key_jwt`.
    #[serde(default)]
    pub private_key: Option<SecretSource>,
    /// The `kid` of `private_key` at the provider.
    #[serde(default)]
    pub private_key_id: Option<String>,
    /// How menshen authenticates at the token endpoint: `basic` (the secret in the `Authorization`
    /// header), `post` (the secret in the form) or `private-key-jwt`. Absent: as the preset, else
    /// `basic`.
    #[serde(default)]
    pub client_auth: Option<ClientAuth>,
    /// The authorization endpoint, where people log in. Required without a preset.
    #[serde(default)]
    pub authorize_url: Option<Url>,
    /// The token endpoint. Required without a preset. Before a login its host is probed with a request
    /// for `/`, at most every ten seconds while it responds and every two while it does not. While it
    /// does not respond, no browser is redirected to the provider.
    #[serde(default)]
    pub token_url: Option<Url>,
    /// The JSON pointer to the tokens in the response of `token_url`, such as `/data`.
    #[serde(default)]
    pub token_at: Option<String>,
    /// The URL of the profile. Required without a preset.
    #[serde(default)]
    pub profile_url: Option<Url>,
    /// The JSON pointer to the profile in the responses of `profile_url` and `profiles`, such as
    /// `/data`.
    #[serde(default)]
    pub profile_at: Option<String>,
    /// How the access token is sent to `profile_url` and `profiles`: `bearer` (in the `Authorization`
    /// header) or `query` (as `access_token`).
    #[serde(default)]
    pub profile_auth: Option<ProfileAuth>,
    /// The scopes to request.
    #[serde(default)]
    pub scopes: Option<Vec<String>>,
    /// The separator of scopes. Absent: a space, as in RFC 6749.
    #[serde(default)]
    pub scope_separator: Option<String>,
    /// Whether PKCE (S256) is used. Absent: as the preset, else true.
    #[serde(default)]
    pub pkce: Option<bool>,
    /// CEL over `profile`: the ID that identifies the account. It must never change and never be given
    /// to another person. Required without a preset.
    #[serde(default)]
    pub subject: Option<String>,
    /// CEL over `profile`: the e-mail address if the provider has verified it, else null. `link_by` uses
    /// no other address.
    #[serde(default)]
    pub vouched_email: Option<String>,
    /// Whether the authorization request and the token request name the callback URL, in `redirect_uri`. With
    /// false neither does: for a provider that knows a single callback URL and refuses the parameter.
    #[serde(default = "yes")]
    pub send_redirect_uri: bool,
    /// The name of a parameter of the authorization request that carries the URL to which the person
    /// returns after the login. Absent: none.
    #[serde(default)]
    pub return_param: Option<String>,
    /// The page of the provider that logs people out there.
    #[serde(default)]
    pub logout_url: Option<Url>,
    /// The parameter of `logout_url` for the URL to return to.
    #[serde(default)]
    pub logout_return_param: Option<String>,
    /// Further requests at a login; each response becomes `profile.NAME`. They are added to the requests of
    /// the preset, or replace those with the same name. A list whose URL has `per_page` is read to its end, at
    /// most ten pages. If a request fails, the login fails.
    #[serde(default)]
    pub profiles: BTreeMap<String, Url>,
    /// Further parameters of the authorization request. They cannot replace a parameter that menshen
    /// sets itself.
    #[serde(default)]
    pub authorize_params: BTreeMap<String, String>,
}

/// How the access token is sent to the profile endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum ProfileAuth {
    /// RFC 6750 §2.1.
    Bearer,
    /// RFC 6750 §2.3.
    Query,
}

impl Config {
    /// Every configured URL, with its key.
    pub(super) fn urls(&self) -> impl Iterator<Item = (&'static str, &Url)> {
        [
            ("base_url", &self.base_url),
            ("authorize_url", &self.authorize_url),
            ("token_url", &self.token_url),
            ("profile_url", &self.profile_url),
            ("logout_url", &self.logout_url),
        ]
        .into_iter()
        .filter_map(|(key, url)| url.as_ref().map(|url| (key, url)))
    }

    pub(super) fn client(&self) -> ClientSettings<'_> {
        // The default of a preset is a way to send a secret.
        let default_auth = self.client_secret.as_ref().and_then(|_| {
            let defaults = self.preset?.defaults();
            Some(defaults.client_auth)
        });
        ClientSettings {
            client_id: &self.client_id,
            client_secret: self.client_secret.as_ref(),
            private_key: self.private_key.as_ref(),
            private_key_id: self.private_key_id.as_deref(),
            client_auth: self.client_auth.or(default_auth),
        }
    }
}

/// The default of `send_redirect_uri`.
fn yes() -> bool {
    true
}
