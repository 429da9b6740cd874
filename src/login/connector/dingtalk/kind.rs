//! `impl Kind` for `[connector.ID.dingtalk]`: problems, warnings and features of the settings.

use std::borrow::Cow;
use std::path::Path;
use std::sync::Arc;

use url::Url;

use super::super::entry_settings::origin_problems;
use super::super::kind::origin_of;
use super::super::kit::directory_settings::DirectorySettings;
use super::super::kit::invalid_values::value_problems;
use super::super::kit::message_cipher;
use super::super::{
    Connector, ConnectorBuildError, ConnectorConfig, ConnectorDeps, DirectorySyncSettings,
    EntryPlace, EntryPoint, Features, Kind, LocalizedText, SettingProblem, SignInHint, SourceApp,
};
use super::{Config, DingTalk, IN_APP, MAPPING, WEB, admin_entry};
use crate::secret::{Secret, SecretSource};
use crate::setting::{KeyPath, Period, Step, sends_in_clear_text};
use crate::text;
use crate::wording::Text;

pub(in crate::login::connector) const NAME: &str = "dingtalk";

/// Phones have `AliApp(DingTalk/…)` in their User-Agent, the desktop client has `dingtalk-win`.
const APP: SourceApp = SourceApp {
    name: NAME,
    user_agents: &["dingtalk"],
};

const HINT: SignInHint = SignInHint {
    default_text: LocalizedText {
        en: "On a phone, open this page inside DingTalk. On a computer, scan the code with DingTalk.",
        zh: "在手机上，请在钉钉里打开本页；在电脑上，用钉钉扫码即可。",
    },
    for_user_agent: Some((
        "micromessenger",
        LocalizedText {
            en: "You are in WeChat. Open this page in DingTalk (钉钉) instead, or scan the code on a computer.",
            zh: "您正在微信里打开本页。请改在钉钉中打开，或在电脑上扫码登录。",
        },
    )),
};

impl Kind for Config {
    fn name(&self) -> &'static str {
        NAME
    }

    fn secrets(&self) -> Vec<(KeyPath<'_>, &SecretSource)> {
        let mut secrets = vec![(KeyPath::of([NAME, "app_secret"]), &self.app_secret)];
        if let Some(secret) = &self.sso_secret {
            secrets.push((KeyPath::of([NAME, "sso_secret"]), secret));
        }
        if let Some(events) = &self.events {
            let key_path = |key| KeyPath::of([NAME, "events", key]);
            secrets.push((key_path("token"), &events.token));
            secrets.push((key_path("encoding_aes_key"), &events.encoding_aes_key));
        }
        secrets
    }

    fn files(&self) -> Vec<(KeyPath<'_>, &Path)> {
        let script = self.jsapi_url.file().into_iter();
        script
            .map(|path| (KeyPath::of([NAME, "jsapi_url"]), path))
            .collect()
    }

    fn malformed_secret(&self, secret: &[Step<'_>], text: &Secret<String>) -> Option<(Text, Text)> {
        match secret {
            [.., Step::Key("encoding_aes_key")] => message_cipher::malformed_key(text),
            _ => None,
        }
    }

    fn secret_destinations(&self, secret: &[Step<'_>]) -> Vec<String> {
        match secret {
            [_, Step::Key("events"), ..] => Vec::new(),
            _ => vec![origin_of(&self.api_base), origin_of(&self.oapi_base)],
        }
    }

    fn problems(
        &self,
        _connector: &ConnectorConfig,
        _external_url: &Url,
    ) -> Vec<SettingProblem<'_>> {
        let mut problems = value_problems(NAME, self.invalid_values());
        let origins = KeyPath::of([NAME, "origins"]);
        problems.extend(origin_problems(&origins, &self.origins));
        if !self.origins.is_empty() && self.sso_secret.is_none() {
            let message = text!(
                "nobody comes from these pages without `sso_secret`",
                "没有 `sso_secret`，没有人能从这些页面进来"
            );
            let help = text!(
                "add `sso_secret`, or remove `origins`",
                "请加上 `sso_secret`，或删除 `origins`"
            );
            problems.push(SettingProblem::key(origins, message, help));
        }
        problems
    }

    fn warnings(&self) -> Vec<(KeyPath<'_>, Text)> {
        let mut warnings = Vec::new();
        let mut warn = |key, text: Text| warnings.push((KeyPath::of([NAME, key]), text));
        for (key, url) in [("api_base", &self.api_base), ("oapi_base", &self.oapi_base)] {
            if sends_in_clear_text(url) {
                warn(
                    key,
                    text!(
                        "secrets and personal data are sent unencrypted: use https",
                        "密钥和个人数据未加密传输：请用 https"
                    ),
                );
            }
        }
        if self.jsapi_url.url().is_some_and(sends_in_clear_text) {
            let text = text!(
                "plain http: an attacker in the network can sign people in as somebody else; use https",
                "明文 http：网络中的攻击者可以让人以他人身份登录；请用 https"
            );
            warn("jsapi_url", text);
        }
        if self.sso_secret.is_some() && self.origins.is_empty() {
            let text = text!(
                "without `origins` any web page can sign a person in with a code of its own choice: \
                 list the origin of the admin console",
                "没有 `origins`，任何网页都能用自选的授权码让人登录：请列出管理后台的源"
            );
            warn("sso_secret", text);
        }
        let settings = DirectorySettings {
            source: Text::fixed("DingTalk", "钉钉"),
            range: "权限范围",
            revalidate: Some(self.revalidate),
            receives_events: self.events.is_some(),
            sync_every: self.sync_every,
            sync_brake: self.sync_brake,
        };
        for (key, text) in settings.warnings() {
            warn(key, text);
        }
        warnings
    }

    fn features(&self) -> Features {
        let entry_point = || EntryPoint {
            parameter: Cow::Borrowed(admin_entry::PARAMETER),
            origins: self.origins.clone(),
            on_routes: false,
            place: EntryPlace::Enter,
        };
        Features {
            mapping: MAPPING,
            sample_profile: include_str!("sample.json"),
            app: Some(APP),
            forced_mode: self.mode.forced(),
            code_kinds: &[IN_APP, WEB],
            entry_point: self.sso_secret.as_ref().map(|_| entry_point()),
            revalidate_every: Some(self.revalidate.duration()).filter(|every| !every.is_zero()),
            receives_events: self.events.is_some(),
            shares_app_token: true,
            directory_sync: Some(DirectorySyncSettings {
                every: self.sync_every.map(Period::duration),
                brake_percent: self.sync_brake,
            }),
            icon: Some(include_str!("icon.svg").trim_ascii_end()),
            hint: Some(HINT),
            ..Features::default()
        }
    }

    fn build(&self, deps: ConnectorDeps) -> Result<Arc<dyn Connector>, ConnectorBuildError> {
        Ok(Arc::new(DingTalk::build(self, deps)?))
    }
}
