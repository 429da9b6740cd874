//! `impl Kind` for `[connector.ID.wecom]`: problems, warnings and features of the settings.

use std::sync::Arc;
use std::time::Duration;

use url::Url;

use super::super::{
    Connector, ConnectorBuildError, ConnectorConfig, ConnectorDeps, DirectorySyncSettings,
    Features, Kind, LocalizedText, SettingProblem, SignInHint, SourceApp,
};
use super::{AuthorizeScope, Config, MAPPING, MINI_PROGRAM, WeCom};
use crate::login::pending::Mode;
use crate::secret::SecretSource;
use crate::setting::{KeyPath, Period};

pub(in crate::login::connector) const NAME: &str = "wecom";

/// The shortest interval of directory syncs without a warning.
const SYNC_EVERY_RECOMMENDED_MIN: Duration = Duration::from_secs(300);

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

    fn problems(
        &self,
        _connector: &ConnectorConfig,
        _external_url: &Url,
    ) -> Vec<SettingProblem<'_>> {
        let problem = |(key, rule): (&'static str, &'static str)| {
            let message = format!("{key} is invalid");
            let help = format!("{key} {rule}");
            SettingProblem::value(KeyPath::of([NAME, key]), message, help)
        };
        self.invalid_values().into_iter().map(problem).collect()
    }

    fn warnings(&self) -> Vec<(KeyPath<'_>, String)> {
        let mut warnings = Vec::new();
        if self.api_base.scheme() != "https" {
            let text = "the secret and personal data are sent unencrypted: use https";
            warnings.push((KeyPath::of([NAME, "api_base"]), text.to_owned()));
        }
        if self.revalidate.duration().is_zero() {
            let text = match &self.events {
                None => {
                    "a person who leaves the corporation stays signed in until the session ends: use a \
                     period such as \"10m\""
                }
                Some(_) => {
                    "a person who leaves while an event of WeCom is lost stays signed in until the \
                     session ends: use a period such as \"10m\""
                }
            };
            warnings.push((KeyPath::of([NAME, "revalidate"]), text.to_owned()));
        }
        if let Some(every) = self.sync_every
            && every.duration() < SYNC_EVERY_RECOMMENDED_MIN
        {
            let text = "every sync reads each department, and WeCom limits how often: use a period such \
                        as \"1h\"";
            warnings.push((KeyPath::of([NAME, "sync_every"]), text.to_owned()));
        }
        if self.sync_brake == 100 {
            let text = "a sync may close the accounts of all people at once, for example after a change \
                        of 可见范围: use a number such as 10";
            warnings.push((KeyPath::of([NAME, "sync_brake"]), text.to_owned()));
        }
        warnings
    }

    fn features(&self) -> Features {
        Features {
            mapping: MAPPING,
            app: Some(APP),
            forced_mode: self.mode.forced(),
            code_kinds: &[MINI_PROGRAM],
            // The client shows no page, unless the scope needs the member's consent.
            silent_in: match self.scope {
                AuthorizeScope::Base => &[Mode::InApp],
                AuthorizeScope::PrivateInfo => &[],
            },
            silent_login_help: "WeCom can do so only inside its own client, with mode \"auto\" or \
                        \"in-app\" and scope \"snsapi_base\"",
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
