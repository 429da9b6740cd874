//! `[connector.ID.oauth2]`: what an administrator copies from the provider.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;
use url::Url;

use super::super::grant::{ClientAuth, ClientSettings};
use super::presets::Preset;
use crate::secret::SecretSource;

/// OAuth 2 with a profile endpoint, for providers without an ID token.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// A provider whose endpoints, scopes and mapping are known: `github`, `gitlab`, `google`,
    /// `microsoft`, `keycloak`, `gitee` or `feishu`. Every key below that is given counts instead
    /// of what the preset says.
    #[serde(default)]
    pub preset: Option<Preset>,
    /// Where a preset's provider is when it is one's own: of GitLab or GitHub the address before
    /// its paths, of Keycloak the realm (`https://id.corp.example/realms/corp`), of Microsoft
    /// `https://login.microsoftonline.com/TENANT`, of Lark `https://open.larksuite.com`.
    #[serde(default)]
    pub base_url: Option<Url>,
    /// What the provider calls this site.
    pub client_id: String,
    /// What proves it; absent, with no `private_key` either: a public client.
    #[serde(default)]
    pub client_secret: Option<SecretSource>,
    /// A PEM key (PKCS#8: RSA, P-256, P-384 or Ed25519) that proves it instead, by signed
    /// assertions.
    #[serde(default)]
    pub private_key: Option<SecretSource>,
    /// The name by which the provider knows that key.
    #[serde(default)]
    pub private_key_id: Option<String>,
    /// How the proof is sent: `basic` (the header), `post` (the form) or `private-key-jwt`.
    /// Absent: as the preset or, without one, `basic`.
    #[serde(default)]
    pub client_auth: Option<ClientAuth>,
    /// The page that asks people to log in. Needed without a preset.
    #[serde(default)]
    pub authorize_url: Option<Url>,
    /// Where a code buys a token. Needed without a preset. While nobody answers at this host, or no
    /// proxy builds a tunnel to it, no browser is led to the provider: it is asked for `/` before a
    /// login, at most every ten seconds while it answers and every two while it does not.
    #[serde(default)]
    pub token_url: Option<Url>,
    /// Where in the answer of `token_url` the tokens stand, as a JSON pointer such as `/data`.
    #[serde(default)]
    pub token_at: Option<String>,
    /// Where a token buys the profile. Needed without a preset.
    #[serde(default)]
    pub profile_url: Option<Url>,
    /// Where in the answers of `profile_url` and `profiles` the profile stands, as a JSON pointer
    /// such as `/data`.
    #[serde(default)]
    pub profile_at: Option<String>,
    /// How the token is sent there: `bearer` (the header) or `query` (`access_token=`).
    #[serde(default)]
    pub profile_auth: Option<ProfileAuth>,
    /// What is asked for.
    #[serde(default)]
    pub scopes: Option<Vec<String>>,
    /// What stands between two scopes. Absent: a space, as the standard says.
    #[serde(default)]
    pub scope_separator: Option<String>,
    /// Whether a proof key (PKCE, S256) goes with each login. Absent: as the preset, else true.
    #[serde(default)]
    pub pkce: Option<bool>,
    /// CEL over `profile`: the id of a person that never changes and is nobody else's ever. Accounts
    /// hang on it. Needed without a preset.
    #[serde(default)]
    pub subject: Option<String>,
    /// CEL over `profile`: the e-mail address, where the provider has verified it, else null; the
    /// only one that `link_by` looks at.
    #[serde(default)]
    pub vouched_email: Option<String>,
    /// What the authorization request says of the address a person wanted: the name of a parameter
    /// that carries it. Absent: nothing.
    #[serde(default)]
    pub return_param: Option<String>,
    /// The provider's page that logs people out there.
    #[serde(default)]
    pub logout_url: Option<Url>,
    /// Its parameter for the address to return to.
    #[serde(default)]
    pub logout_return_param: Option<String>,
    /// Further calls at a login: what each answers becomes `profile.NAME`. They come on top of the
    /// preset's; one of the same name counts instead. A list whose address has `per_page` is read to its
    /// end, ten pages at most. If one fails, the login fails.
    #[serde(default)]
    pub profiles: BTreeMap<String, Url>,
    /// Further parameters of the authorization request. None can say what binds an answer to its
    /// login.
    #[serde(default)]
    pub authorize_params: BTreeMap<String, String>,
}

/// How a token is sent to the profile.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum ProfileAuth {
    /// In the `Authorization` header (RFC 6750 §2.1).
    Bearer,
    /// As the parameter `access_token` (RFC 6750 §2.3).
    Query,
}

impl Config {
    /// Every address that is written here, with its key.
    pub(super) fn addresses(&self) -> impl Iterator<Item = (&'static str, &Url)> {
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

    /// Who we are to the provider.
    pub(super) fn client(&self) -> ClientSettings<'_> {
        let usual = self.client_secret.as_ref().and_then(|_| {
            let defaults = self.preset?.defaults();
            Some(defaults.client_auth)
        });
        ClientSettings {
            client_id: &self.client_id,
            client_secret: self.client_secret.as_ref(),
            private_key: self.private_key.as_ref(),
            private_key_id: self.private_key_id.as_deref(),
            client_auth: self.client_auth.or(usual),
        }
    }
}
