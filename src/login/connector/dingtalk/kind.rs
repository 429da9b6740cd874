//! `impl Kind` for `[connector.ID.dingtalk]`: problems, warnings and features of the settings.

use std::borrow::Cow;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use url::Url;

use super::super::{
    Connector, ConnectorBuildError, ConnectorConfig, ConnectorDeps, DirectorySyncSettings,
    EntryPlace, EntryPoint, Features, Kind, LocalizedText, SettingProblem, SignInHint, SourceApp,
};
use super::{Config, DingTalk, IN_APP, MAPPING, WEB, admin_entry};
use crate::secret::SecretSource;
use crate::setting::{KeyPath, Period, is_origin, sends_in_clear_text};

pub(in crate::login::connector) const NAME: &str = "dingtalk";

/// The shortest interval of directory syncs without a warning.
const SYNC_EVERY_RECOMMENDED_MIN: Duration = Duration::from_secs(300);

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
        let library = self.jsapi_url.file().into_iter();
        library
            .map(|path| (KeyPath::of([NAME, "jsapi_url"]), path))
            .collect()
    }

    fn problems(
        &self,
        _connector: &ConnectorConfig,
        _external_url: &Url,
    ) -> Vec<SettingProblem<'_>> {
        let invalid = self.invalid_values().into_iter().map(|(key, rule)| {
            let message = format!("{key} is invalid");
            let help = format!("{key} {rule}");
            SettingProblem::value(KeyPath::of([NAME, key]), message, help)
        });
        let mut problems: Vec<_> = invalid.collect();
        let origins = KeyPath::of([NAME, "origins"]);
        for (index, origin) in self.origins.iter().enumerate() {
            if !is_origin(origin) {
                let message = "this must be an origin";
                let help = "http:// or https://, a host and perhaps a port; no path, query or user";
                let key_path = origins.clone().item(index);
                problems.push(SettingProblem::value(key_path, message, help));
            }
        }
        if !self.origins.is_empty() && self.sso_secret.is_none() {
            let message = "nobody comes from these pages without `sso_secret`";
            let help = "add `sso_secret`, or remove `origins`";
            problems.push(SettingProblem::key(origins, message, help));
        }
        problems
    }

    fn warnings(&self) -> Vec<(KeyPath<'_>, String)> {
        let mut warnings = Vec::new();
        let mut warn = |key, text: &str| warnings.push((KeyPath::of([NAME, key]), text.to_owned()));
        for (key, url) in [("api_base", &self.api_base), ("oapi_base", &self.oapi_base)] {
            if sends_in_clear_text(url) {
                warn(
                    key,
                    "secrets and personal data are sent unencrypted: use https",
                );
            }
        }
        if self.jsapi_url.url().is_some_and(sends_in_clear_text) {
            let text = "plain http: an attacker in the network can sign people in as somebody else; use https";
            warn("jsapi_url", text);
        }
        if self.sso_secret.is_some() && self.origins.is_empty() {
            let text = "without `origins` any web page can sign a person in with a code of its own choice: \
                        list the origin of the admin console";
            warn("sso_secret", text);
        }
        if self.revalidate.duration().is_zero() {
            let text = match &self.events {
                None => {
                    "a person who leaves the organisation stays signed in until the session ends: use a \
                     period such as \"10m\""
                }
                Some(_) => {
                    "a person who leaves while an event of DingTalk is lost stays signed in until the \
                     session ends: use a period such as \"10m\""
                }
            };
            warn("revalidate", text);
        }
        let is_short = |every: Period| every.duration() < SYNC_EVERY_RECOMMENDED_MIN;
        if self.sync_every.is_some_and(is_short) {
            let text = "every sync reads each department, and DingTalk limits how often: use a period such \
                        as \"1h\"";
            warn("sync_every", text);
        }
        if self.sync_brake == 100 {
            let text = "a sync may close the accounts of all people at once, for example after a change \
                        of 权限范围: use a number such as 10";
            warn("sync_brake", text);
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
