//! `impl Kind` for `[connector.ID.wecom]`: problems, warnings and features of the settings.

use std::sync::Arc;

use url::Url;

use super::super::kind::origin_of;
use super::super::kit::directory_settings::DirectorySettings;
use super::super::kit::invalid_values::value_problems;
use super::super::kit::message_cipher;
use super::super::{
    Connector, ConnectorBuildError, ConnectorConfig, ConnectorDeps, DirectorySyncSettings,
    Features, Kind, LocalizedText, SettingProblem, SignInHint, SourceApp,
};
use super::{AuthorizeScope, Config, MAPPING, MINI_PROGRAM, WeCom};
use crate::login::pending::Mode;
use crate::secret::{Secret, SecretSource};
use crate::setting::{KeyPath, Period, Step};
use crate::text;
use crate::wording::Text;

pub(in crate::login::connector) const NAME: &str = "wecom";

/// Every WeCom client has `wxwork/` in its User-Agent, also that of a private deployment.
const APP: SourceApp = SourceApp {
    name: NAME,
    user_agents: &["wxwork/"],
};

/// The hint for personal WeChat: its User-Agent resembles the WeCom client, but it cannot run the
/// silent login.
const HINT: SignInHint = SignInHint {
    default_text: LocalizedText {
        en: "On a phone, open this page inside WeCom. On a computer, scan the code with WeCom.",
        zh: "在手机上，请在企业微信里打开本页；在电脑上，用企业微信扫码即可。",
    },
    for_user_agent: Some((
        "micromessenger",
        LocalizedText {
            en: "You are in WeChat. Open this page in WeCom (企业微信) instead, or scan the code on \
                 a computer.",
            zh: "您正在微信里打开本页。请改在企业微信中打开，或在电脑上扫码登录。",
        },
    )),
};

impl Kind for Config {
    fn name(&self) -> &'static str {
        NAME
    }

    fn secrets(&self) -> Vec<(KeyPath<'_>, &SecretSource)> {
        let mut secrets = vec![(KeyPath::of([NAME, "secret"]), &self.secret)];
        if let Some(secret) = &self.contact_secret {
            secrets.push((KeyPath::of([NAME, "contact_secret"]), secret));
        }
        if let Some(events) = &self.events {
            let key_path = |key| KeyPath::of([NAME, "events", key]);
            secrets.push((key_path("token"), &events.token));
            secrets.push((key_path("encoding_aes_key"), &events.encoding_aes_key));
        }
        secrets
    }

    fn malformed_secret(&self, secret: &[Step<'_>], text: &Secret<String>) -> Option<(Text, Text)> {
        match secret {
            [.., Step::Key("encoding_aes_key")] => message_cipher::malformed_key(text),
            _ => None,
        }
    }

    fn secret_destinations(&self, secret: &[Step<'_>]) -> Vec<String> {
        match secret {
            // What only this side of the events knows is not sent.
            [_, Step::Key("events"), ..] => Vec::new(),
            _ => vec![origin_of(&self.api_base)],
        }
    }

    fn problems(
        &self,
        _connector: &ConnectorConfig,
        _external_url: &Url,
    ) -> Vec<SettingProblem<'_>> {
        value_problems(NAME, self.invalid_values())
    }

    fn warnings(&self) -> Vec<(KeyPath<'_>, Text)> {
        let mut warnings = Vec::new();
        if !is_corp_id(&self.corp_id) {
            let text = text!(
                "this does not look like a corp ID, which is ww and 16 digits or letters a to f: copy \
                 it from 我的企业 → 企业信息 → 企业ID",
                "这不像企业 ID：企业 ID 是 ww 加 16 位数字或字母 a 到 f，请从 我的企业 → 企业信息 → \
                 企业ID 复制"
            );
            warnings.push((KeyPath::of([NAME, "corp_id"]), text));
        }
        if self.api_base.scheme() != "https" {
            let text = text!(
                "the secret and personal data are sent unencrypted: use https",
                "密钥和个人数据未加密传输：请用 https"
            );
            warnings.push((KeyPath::of([NAME, "api_base"]), text));
        }
        let settings = DirectorySettings {
            source: Text::fixed("WeCom", "企业微信"),
            range: "可见范围",
            revalidate: Some(self.revalidate),
            receives_events: self.events.is_some(),
            sync_every: self.sync_every,
            sync_brake: self.sync_brake,
        };
        let found = settings.warnings().into_iter();
        warnings.extend(found.map(|(key, text)| (KeyPath::of([NAME, key]), text)));
        warnings
    }

    fn features(&self) -> Features {
        Features {
            mapping: MAPPING,
            sample_profile: include_str!("sample.json"),
            app: Some(APP),
            forced_mode: self.mode.forced(),
            code_kinds: &[MINI_PROGRAM],
            // The client shows no page, unless the scope needs the member's consent.
            silent_in: match self.scope {
                AuthorizeScope::Base => &[Mode::InApp],
                AuthorizeScope::PrivateInfo => &[],
            },
            silent_login_help: text!(
                "WeCom can do so only inside its own client, with mode \"auto\" or \"in-app\" and \
                 scope \"snsapi_base\"",
                "企业微信只有在自己的客户端内、mode 为 \"auto\" 或 \"in-app\" 且 scope 为 \
                 \"snsapi_base\" 时才能做到"
            ),
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
        Ok(Arc::new(WeCom::build(self, deps)?))
    }
}

/// Whether this is the ID of a corporation: `ww`, or `wx` if it is an older one, and sixteen hexadecimal digits.
fn is_corp_id(text: &str) -> bool {
    let digits = text.strip_prefix("ww").or_else(|| text.strip_prefix("wx"));
    digits.is_some_and(|digits| {
        digits.len() == 16 && digits.bytes().all(|byte| byte.is_ascii_hexdigit())
    })
}
