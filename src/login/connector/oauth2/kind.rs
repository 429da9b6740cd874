//! `impl Kind` for `[connector.ID.oauth2]`: problems, warnings and features of the settings.

use std::sync::Arc;

use url::Url;

use super::super::kind::origin_of;
use super::super::{
    Connector, ConnectorBuildError, ConnectorConfig, ConnectorDeps, Features, Kind, SettingProblem,
};
use super::settings::{ProviderSettings, SettingError};
use super::{Config, OAuth2, presets};
use crate::expression::Scope;
use crate::login::pending::Mode;
use crate::secret::SecretSource;
use crate::setting::{KeyPath, Step, sends_in_clear_text};
use crate::text;
use crate::wording::Text;

pub(in crate::login::connector) const NAME: &str = "oauth2";

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

    fn expressions(&self) -> Vec<(KeyPath<'_>, &str, Scope)> {
        let expressions = [
            ("subject", &self.subject),
            ("vouched_email", &self.vouched_email),
        ];
        let configured = expressions
            .into_iter()
            .filter_map(|(key, text)| Some((key, text.as_deref()?)));
        configured
            .map(|(key, text)| (KeyPath::of([NAME, key]), text, Scope::Mapping))
            .collect()
    }

    fn secret_destinations(&self, secret: &[Step<'_>]) -> Vec<String> {
        // A private key signs here.
        if secret != [Step::Key(NAME), Step::Key("client_secret")] {
            return Vec::new();
        }
        match ProviderSettings::of(self) {
            Ok(settings) => {
                let profiles = settings.profiles.iter().map(|(_, url)| origin_of(url));
                let endpoints = [&settings.token_url, &settings.profile_url].map(origin_of);
                endpoints.into_iter().chain(profiles).collect()
            }
            Err(_) => self.urls().map(|(_, url)| origin_of(url)).collect(),
        }
    }

    fn problems(
        &self,
        connector: &ConnectorConfig,
        _external_url: &Url,
    ) -> Vec<SettingProblem<'_>> {
        let mut problems = Vec::new();
        // `SettingError::Expression` is ignored here: `config::validate` reports errors in expressions with
        // their position.
        if let Err(SettingError::Key {
            key,
            name,
            message,
            help,
        }) = ProviderSettings::of(self)
        {
            let mut names = self.profiles.keys().chain(self.authorize_params.keys());
            let key_path = KeyPath::of([NAME, key]);
            problems.push(match names.find(|key| Some(*key) == name.as_ref()) {
                None => SettingProblem::value(
                    key_path,
                    text!("{key}: {message}", "{key}：{message:#}"),
                    help,
                ),
                Some(name) => SettingProblem::value(key_path.key(name), message, help),
            });
        }
        if self.preset.is_none() && !connector.mapping.0.contains_key("login") {
            let message = text!(
                "without a preset the mapping must have a login",
                "没有 preset 时，mapping 中必须有 login"
            );
            let help = text!(
                "add [connector.ID.mapping] with login = \"profile.…\"",
                "请加上 [connector.ID.mapping]，其中写 login = \"profile.…\""
            );
            problems.push(SettingProblem::key(KeyPath::of([NAME]), message, help));
        }
        problems
    }

    fn warnings(&self) -> Vec<(KeyPath<'_>, Text)> {
        let mut warnings = Vec::new();
        let text = text!(
            "plain http: an attacker in the network can read codes, tokens and profiles",
            "明文 http：网络中的攻击者可以读到授权码、令牌和个人资料"
        );
        let urls = self.urls();
        let urls = urls.map(|(key, url)| (KeyPath::of([NAME, key]), url));
        let profiles = self.profiles.iter();
        let profiles = profiles.map(|(name, url)| (KeyPath::of([NAME, "profiles", name]), url));
        for (key_path, url) in urls.chain(profiles) {
            if sends_in_clear_text(url) {
                warnings.push((key_path, text.clone()));
            }
        }
        if self.preset == Some(presets::Preset::Feishu) {
            let text = text!(
                "the preset does not check the tenant of a person, and people who leave stay signed \
                        in: use [connector.ID.lark] instead",
                "这个 preset 不检查人员所属的租户，离职的人也会保持登录：请改用 [connector.ID.lark]"
            );
            warnings.push((KeyPath::of([NAME, "preset"]), text));
        }
        if self.pkce == Some(false) {
            let text = text!(
                "without PKCE a stolen code can be redeemed: remove this key unless the \
                        provider refuses PKCE",
                "没有 PKCE，被盗的授权码可以兑换：除非认证源拒绝 PKCE，否则请删除这个键"
            );
            warnings.push((KeyPath::of([NAME, "pkce"]), text));
        }
        warnings
    }

    fn features(&self) -> Features {
        let defaults = self
            .preset
            .map_or_else(presets::no_preset, |preset| preset.defaults());
        Features {
            mapping: defaults.mapping,
            sample_profile: defaults.sample_profile,
            app: self.preset.and_then(presets::Preset::source_app),
            silent_in: match defaults.supports_prompt_none {
                true => &[Mode::Web],
                false => &[],
            },
            silent_login_help: text!(
                "an oauth2 connector can do so only with some presets, such as \
                                \"keycloak\"",
                "oauth2 认证源只有用某些 preset（例如 \"keycloak\"）时才能做到"
            ),
            ..Features::default()
        }
    }

    fn build(&self, deps: ConnectorDeps) -> Result<Arc<dyn Connector>, ConnectorBuildError> {
        Ok(Arc::new(OAuth2::build(self, deps)?))
    }
}
