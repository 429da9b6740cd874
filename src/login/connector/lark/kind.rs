//! `impl Kind` for `[connector.ID.lark]`: problems, warnings and features of the settings.

use std::sync::Arc;

use url::Url;

use super::super::kind::origin_of;
use super::super::kit::directory_settings::{DirectorySettings, NOBODY_IS_ASKED_ABOUT};
use super::super::kit::invalid_values::value_problems;
use super::super::{
    Connector, ConnectorBuildError, ConnectorConfig, ConnectorDeps, DirectorySyncSettings,
    Features, Kind, LocalizedText, SettingProblem, SignInHint, SourceApp,
};
use super::{Config, Lark, MAPPING, SDK_CODE};
use crate::login::pending::Mode;
use crate::secret::SecretSource;
use crate::setting::{KeyPath, Period, Step, sends_in_clear_text};
use crate::text;
use crate::wording::Text;

pub(in crate::login::connector) const NAME: &str = "lark";

/// The client of Feishu and that of Lark, which the preset `feishu` of `oauth2` names so as well.
const APP: SourceApp = SourceApp {
    name: "feishu",
    user_agents: &["lark/", "feishu"],
};

const HINT: SignInHint = SignInHint {
    default_text: LocalizedText {
        en: "Inside Feishu or Lark you are signed in without a click. Elsewhere, scan the code with it.",
        zh: "在飞书里打开本页会自动登录；在其他浏览器里，请用飞书扫码。",
    },
    for_user_agent: None,
};

impl Kind for Config {
    fn name(&self) -> &'static str {
        NAME
    }

    fn secrets(&self) -> Vec<(KeyPath<'_>, &SecretSource)> {
        let mut secrets = vec![(KeyPath::of([NAME, "app_secret"]), &self.app_secret)];
        if let Some(events) = &self.events {
            let key_path = |key| KeyPath::of([NAME, "events", key]);
            secrets.push((key_path("verification_token"), &events.verification_token));
            if let Some(key) = &events.encrypt_key {
                secrets.push((key_path("encrypt_key"), key));
            }
        }
        secrets
    }

    fn secret_destinations(&self, secret: &[Step<'_>]) -> Vec<String> {
        match secret {
            [_, Step::Key("events"), ..] => Vec::new(),
            _ => vec![origin_of(&self.api_base()), origin_of(&self.token_url())],
        }
    }

    fn problems(
        &self,
        _connector: &ConnectorConfig,
        _external_url: &Url,
    ) -> Vec<SettingProblem<'_>> {
        let mut problems = value_problems(NAME, self.invalid_values());
        let needs_contacts = [
            ("sync_every", self.sync_every.is_some()),
            ("events", self.events.is_some()),
        ];
        for (key, is_set) in needs_contacts {
            if is_set && !self.contacts {
                let message = text!("{key} needs the contact API", "{key} 需要通讯录接口");
                let help = text!(
                    "write contacts = true, and give the application the permissions for contacts",
                    "请写 contacts = true，并给应用开通通讯录权限"
                );
                problems.push(SettingProblem::key(KeyPath::of([NAME, key]), message, help));
            }
        }
        problems
    }

    fn warnings(&self) -> Vec<(KeyPath<'_>, Text)> {
        let mut warnings = Vec::new();
        let mut warn = |path: KeyPath<'static>, text: Text| warnings.push((path, text));
        for (key, url) in self.urls() {
            if sends_in_clear_text(url) {
                let text = text!(
                    "the secret, codes and personal data are sent unencrypted: use https",
                    "密钥、授权码和个人数据未加密传输：请用 https"
                );
                warn(KeyPath::of([NAME, key]), text);
            }
        }
        if !self.contacts {
            warn(KeyPath::of([NAME]), NOBODY_IS_ASKED_ABOUT);
        }
        let settings = DirectorySettings {
            source: Text::fixed("Lark", "飞书"),
            range: "通讯录权限范围",
            revalidate: self.contacts.then_some(self.revalidate),
            receives_events: self.events.is_some(),
            sync_every: self.sync_every,
            sync_brake: self.sync_brake,
        };
        for (key, text) in settings.warnings() {
            warn(KeyPath::of([NAME, key]), text);
        }
        if let Some(events) = &self.events
            && events.encrypt_key.is_none()
        {
            let text = text!(
                "events are neither encrypted nor signed, so whoever sees one can repeat it later and send \
                        others: set an Encrypt Key at 事件与回调 → 加密策略",
                "事件既未加密也未签名，看到的人可以重放，也可以另发事件：请在 事件与回调 → 加密策略 中设置 Encrypt Key"
            );
            warn(KeyPath::of([NAME, "events"]), text);
        }
        warnings
    }

    fn features(&self) -> Features {
        let revalidate = self.revalidate.duration();
        let asks_again = self.contacts && !revalidate.is_zero();
        Features {
            mapping: MAPPING,
            sample_profile: include_str!("sample.json"),
            app: Some(APP),
            code_kinds: &[SDK_CODE],
            silent_in: &[Mode::InApp],
            silent_login_help: text!(
                "Feishu and Lark can do so only inside their own client",
                "飞书和 Lark 只有在自己的客户端内才能做到"
            ),
            revalidate_every: asks_again.then_some(revalidate),
            receives_events: self.events.is_some(),
            directory_sync: self.contacts.then_some(DirectorySyncSettings {
                every: self.sync_every.map(Period::duration),
                brake_percent: self.sync_brake,
            }),
            icon: Some(include_str!("icon.svg").trim_ascii_end()),
            hint: Some(HINT),
            ..Features::default()
        }
    }

    fn build(&self, deps: ConnectorDeps) -> Result<Arc<dyn Connector>, ConnectorBuildError> {
        Ok(Arc::new(Lark::build(self, deps)?))
    }
}
