//! `[connector.ID.oidc]` as a kind of connector.

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
use crate::setting::{self, Place};

const NAME: &str = "oidc";

impl Kind for Config {
    fn name(&self) -> &'static str {
        NAME
    }

    fn secrets(&self) -> Vec<(Place<'_>, &SecretSource)> {
        let secrets = self.client().secrets();
        secrets
            .map(|(key, secret)| (Place::of([NAME, key]), secret))
            .collect()
    }

    fn problems(&self, connector: &ConnectorConfig, external_url: &Url) -> Vec<SettingProblem<'_>> {
        let mut problems = Vec::new();
        if self.tenants.contains(&TenantName::Any) && !connector.link_by.is_empty() {
            let help = "an administrator of any organisation can write any address into its people: \
                        name the tenants that you trust with that";
            let message = "with tenants = [\"*\"] anybody could become anybody";
            problems.push(SettingProblem::value(Place::of(["link_by"]), message, help));
        }
        for (key, why) in self.setting_problems() {
            let message = format!("{key} makes no sense");
            problems.push(SettingProblem::value(Place::of([NAME, key]), message, why));
        }
        if self.response_mode == ResponseMode::FormPost && external_url.scheme() != "https" {
            let help = "browsers send no cookie with such a POST over plain http: make external_url \
                        https:// or remove this key";
            let message = "no answer would ever be taken";
            let place = Place::of([NAME, "response_mode"]);
            problems.push(SettingProblem::value(place, message, help));
        }
        problems
    }

    fn warnings(&self) -> Vec<(Place<'_>, String)> {
        let mut warnings = Vec::new();
        if self.tenants.contains(&TenantName::Any) {
            let text = "everybody with an account in any organisation comes in, and every \
                        organisation's administrator says what its people are called and belong \
                        to: name the tenants";
            warnings.push((Place::of([NAME, "tenants"]), text.to_owned()));
        }
        let issuer = self.issuer.url();
        let addresses = [
            ("issuer", Some(&issuer)),
            ("metadata_url", self.metadata_url.as_ref()),
            ("jwks_url", self.jwks_url.as_ref()),
        ];
        for (key, url) in addresses {
            if url.is_some_and(setting::sends_in_clear_text) {
                let text = "plain http: whoever is on the way can say who anybody is; use https";
                warnings.push((Place::of([NAME, key]), text.to_owned()));
            }
        }
        warnings
    }

    fn features(&self) -> Features {
        Features {
            mapping: MAPPING,
            // `prompt=none` belongs to the standard.
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
