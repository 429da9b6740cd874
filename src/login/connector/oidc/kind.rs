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
use crate::text;
use crate::wording::Text;

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
            let help = text!(
                "an administrator of any organisation can give its people any e-mail address: \
                        list the tenants that you trust in `tenants`",
                "任何组织的管理员都能给自己的人设置任意邮箱：请在 `tenants` 中列出信任的租户"
            );
            let message = text!(
                "with tenants = [\"*\"] anybody could take over any account",
                "tenants = [\"*\"] 时，任何人都可以占用任何账号"
            );
            problems.push(SettingProblem::value(
                KeyPath::of(["link_by"]),
                message,
                help,
            ));
        }
        for (key, why) in self.setting_problems() {
            let message = text!("the value of {key} cannot be used", "{key} 的值无法使用");
            problems.push(SettingProblem::value(
                KeyPath::of([NAME, key]),
                message,
                why,
            ));
        }
        if self.response_mode == ResponseMode::FormPost && external_url.scheme() != "https" {
            let help = text!(
                "over plain http browsers send no cookie with a POST from another site: make \
                        external_url https:// or remove this key",
                "明文 http 下，浏览器不会在别的网站发起的 POST 中带上 Cookie：请把 external_url 改成 https://，或删除这个键"
            );
            let message = text!(
                "with form_post and a plain http external_url every login fails",
                "form_post 加上明文 http 的 external_url，所有登录都会失败"
            );
            let key_path = KeyPath::of([NAME, "response_mode"]);
            problems.push(SettingProblem::value(key_path, message, help));
        }
        problems
    }

    fn warnings(&self) -> Vec<(KeyPath<'_>, Text)> {
        let mut warnings = Vec::new();
        if self.tenants.contains(&TenantName::Any) {
            let text = text!(
                "everybody with an account in any organisation can sign in, and the \
                        administrator of each organisation decides the names and groups of its \
                        people: list the tenants",
                "任何组织中有账号的人都能登录，而各组织的管理员决定自己人员的名字和组：请列出租户"
            );
            warnings.push((KeyPath::of([NAME, "tenants"]), text));
        }
        let issuer = self.issuer.url();
        let urls = [
            ("issuer", Some(&issuer)),
            ("metadata_url", self.metadata_url.as_ref()),
            ("jwks_url", self.jwks_url.as_ref()),
        ];
        for (key, url) in urls {
            if url.is_some_and(setting::sends_in_clear_text) {
                let text = text!(
                    "plain http: an attacker in the network can forge any identity; use https",
                    "明文 http：网络中的攻击者可以伪造任何身份；请用 https"
                );
                warnings.push((KeyPath::of([NAME, key]), text));
            }
        }
        warnings
    }

    fn features(&self) -> Features {
        Features {
            mapping: MAPPING,
            sample_profile: include_str!("sample.json"),
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
