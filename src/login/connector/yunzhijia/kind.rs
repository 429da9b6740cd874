//! `impl Kind` for `[connector.ID.yunzhijia]`: problems, warnings and features of the settings.

use std::borrow::Cow;
use std::sync::Arc;

use url::Url;

use super::super::entry_settings::{ANY_ORIGIN, origin_problems};
use super::super::kind::origin_of;
use super::super::kit::directory_settings::{DirectorySettings, NOBODY_IS_ASKED_ABOUT};
use super::super::kit::invalid_values::value_problems;
use super::super::{
    Connector, ConnectorBuildError, ConnectorConfig, ConnectorDeps, DirectorySyncSettings,
    EntryPlace, EntryPoint, Features, Kind, LocalizedText, SettingProblem, SignInHint,
};
use super::{Config, MAPPING, TICKET_PARAMETER, Yunzhijia};
use crate::secret::SecretSource;
use crate::setting::{KeyPath, Period, Step, sends_in_clear_text};
use crate::text;
use crate::wording::Text;

pub(in crate::login::connector) const NAME: &str = "yunzhijia";

/// The User-Agent of the client contains `Qing/`. Nobody can scan a code with the phone that shows it, so
/// logins do not start automatically there.
const HINT: SignInHint = SignInHint {
    default_text: LocalizedText {
        en: "On a computer, scan the code with the Yunzhijia app. On a phone, open this application from the \
             workbench of the app.",
        zh: "在电脑上，用云之家扫码即可；在手机上，请从云之家的工作台打开本应用。",
    },
    for_user_agent: Some((
        "qing/",
        LocalizedText {
            en: "You are in the Yunzhijia app. Open this application from the workbench: then you need no \
                 code.",
            zh: "您正在云之家里。请从工作台打开本应用，不用扫码就能登录。",
        },
    )),
};

impl Kind for Config {
    fn name(&self) -> &'static str {
        NAME
    }

    fn secrets(&self) -> Vec<(KeyPath<'_>, &SecretSource)> {
        vec![(KeyPath::of([NAME, "app_secret"]), &self.app_secret)]
    }

    fn secret_destinations(&self, _secret: &[Step<'_>]) -> Vec<String> {
        vec![origin_of(&self.base)]
    }

    fn problems(
        &self,
        _connector: &ConnectorConfig,
        _external_url: &Url,
    ) -> Vec<SettingProblem<'_>> {
        let mut problems = value_problems(NAME, self.invalid_values());
        let key_path = KeyPath::of([NAME, "origins"]);
        problems.extend(origin_problems(&key_path, &self.origins));
        if self.sync_every.is_some() && !self.contacts {
            let message = text!(
                "sync_every needs the contacts of the team",
                "sync_every 需要读取团队通讯录"
            );
            let key_path = KeyPath::of([NAME, "sync_every"]);
            problems.push(SettingProblem::key(
                key_path,
                message,
                text!("write contacts = true", "请写 contacts = true"),
            ));
        }
        problems
    }

    fn warnings(&self) -> Vec<(KeyPath<'_>, Text)> {
        let mut warnings = Vec::new();
        if self.origins.is_empty() {
            warnings.push((KeyPath::of([NAME]), ANY_ORIGIN));
        }
        if sends_in_clear_text(&self.base) {
            let text = text!(
                "plain http: an attacker in the network can read the secret and forge any identity",
                "明文 http：网络中的攻击者可以读到密钥并伪造任何身份"
            );
            warnings.push((KeyPath::of([NAME, "base"]), text));
        }
        if !self.contacts {
            warnings.push((KeyPath::of([NAME]), NOBODY_IS_ASKED_ABOUT));
        }
        let settings = DirectorySettings {
            source: Text::fixed("Yunzhijia", "云之家"),
            range: "组织人员",
            revalidate: self.contacts.then_some(self.revalidate),
            receives_events: false,
            sync_every: self.sync_every,
            sync_brake: self.sync_brake,
        };
        let found = settings.warnings().into_iter();
        warnings.extend(found.map(|(key, text)| (KeyPath::of([NAME, key]), text)));
        warnings
    }

    fn features(&self) -> Features {
        let revalidate = self.revalidate.duration();
        let asks_again = self.contacts && !revalidate.is_zero();
        Features {
            mapping: MAPPING,
            sample_profile: include_str!("sample.json"),
            entry_point: Some(EntryPoint {
                parameter: Cow::Borrowed(TICKET_PARAMETER),
                origins: self.origins.clone(),
                place: EntryPlace::Enter,
                on_routes: false,
            }),
            shares_app_token: true,
            revalidate_every: asks_again.then_some(revalidate),
            directory_sync: self.contacts.then_some(DirectorySyncSettings {
                every: self.sync_every.map(Period::duration),
                brake_percent: self.sync_brake,
            }),
            hint: Some(HINT),
            ..Features::default()
        }
    }

    fn build(&self, deps: ConnectorDeps) -> Result<Arc<dyn Connector>, ConnectorBuildError> {
        Ok(Arc::new(Yunzhijia::build(self, deps)?))
    }
}
