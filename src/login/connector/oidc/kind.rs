//! `impl Kind` for `[connector.ID.oidc]`: problems, warnings and features of the settings.

use std::sync::Arc;

use url::Url;

use super::super::{
    Callback, CallbackMethod, Connector, ConnectorBuildError, ConnectorConfig, ConnectorDeps,
    Features, Kind, LoginMethod, SettingProblem, TokenIssuer,
};
use super::{Config, MAPPING, Oidc, ResponseMode};
use crate::issuer::TenantName;
use crate::login::pending::Mode;
use crate::secret::SecretSource;
use crate::setting::{self, KeyPath, Step};

pub(in crate::login::connector) const NAME: &str = "oidc";

impl Kind for Config {
    fn name(&self) -> &'static str {
        NAME
    }

    fn secrets(&self) -> Vec<(KeyPath<'_>, &SecretSource)> {
        let secrets = self.client().secrets();
        secrets
            .map(|(key, secret)| (KeyPath::of([NAME, key]), secret))
            .collect()
    }

    fn secret_destinations(&self, secret: &[Step<'_>]) -> Vec<String> {
        // A private key signs here. The metadata of the issuer name the endpoint that gets the secret, so their
        // whole address counts.
        if secret != [Step::Key(NAME), Step::Key("client_secret")] {
            return Vec::new();
        }
        let issuer = Url::parse(&self.issuer.to_string()).ok();
        let addresses = issuer.iter().chain(&self.metadata_url);
        addresses.map(Url::to_string).collect()
    }

    fn problems(&self, connector: &ConnectorConfig, external_url: &Url) -> Vec<SettingProblem<'_>> {
        let mut problems = Vec::new();
        if self.tenants.contains(&TenantName::Any) && !connector.link_by.is_empty() {
            let help = "an administrator of any organisation can give its people any e-mail address: \
                        list the tenants that you trust in `tenants`";
            let message = "with tenants = [\"*\"] a stranger could take over any account";
            problems.push(SettingProblem::value(
                KeyPath::of(["link_by"]),
                message,
                help,
            ));
        }
        for (key, why) in self.setting_problems() {
            let message = format!("the value of {key} cannot be used");
            problems.push(SettingProblem::value(
                KeyPath::of([NAME, key]),
                message,
                why,
            ));
        }
        if self.response_mode == ResponseMode::FormPost && external_url.scheme() != "https" {
            let help = "over plain http browsers send no cookie with a POST from another site: make \
                        external_url https:// or remove this key";
            let message = "with form_post and a plain http external_url every login fails";
            let key_path = KeyPath::of([NAME, "response_mode"]);
            problems.push(SettingProblem::value(key_path, message, help));
        }
        problems
    }

    fn warnings(&self) -> Vec<(KeyPath<'_>, Text)> {
        let mut warnings = Vec::new();
        if self.tenants.contains(&TenantName::Any) {
            let text = "everybody with an account in any organisation can sign in, and the \
                        administrator of each organisation decides the names and groups of its \
                        people: list the tenants";
            warnings.push((KeyPath::of([NAME, "tenants"]), text.to_owned()));
        }
        let issuer = self.issuer.url();
        let urls = [
            ("issuer", Some(&issuer)),
            ("metadata_url", self.metadata_url.as_ref()),
            ("jwks_url", self.jwks_url.as_ref()),
        ];
        for (key, url) in urls {
            if url.is_some_and(setting::sends_in_clear_text) {
                let text =
                    "plain http: an attacker in the network can forge any identity; use https";
                warnings.push((KeyPath::of([NAME, key]), text.to_owned()));
            }
        }
        warnings
    }

    fn features(&self) -> Features {
        Features {
            mapping: MAPPING,
            // `prompt=none` is part of OpenID Connect Core.
            silent_in: &[Mode::Web, Mode::InApp],
            login_method: LoginMethod::Callback(Callback {
                method: match self.response_mode {
                    ResponseMode::Query => CallbackMethod::Get,
                    ResponseMode::FormPost => CallbackMethod::GetOrPost,
                },
                ..Callback::default()
            }),
            reports_acr: true,
            ..Features::default()
        }
    }

    fn token_issuer(&self) -> Option<TokenIssuer<'_>> {
        Some(TokenIssuer {
            issuer: &self.issuer,
            tenants: &self.tenants,
            client_id: &self.client_id,
        })
    }

    fn build(&self, deps: ConnectorDeps) -> Result<Arc<dyn Connector>, ConnectorBuildError> {
        Ok(Arc::new(Oidc::build(self, deps)?))
    }
}
