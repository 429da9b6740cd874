//! `impl Kind` for `[connector.ID.ldap]`: problems, warnings and features of the settings.

use std::sync::Arc;
use std::time::Duration;

use url::Url;

use super::super::{
    Connector, ConnectorBuildError, ConnectorConfig, ConnectorDeps, Features, Kind, LoginMethod,
    SelfWrittenField, SettingProblem,
};
use super::settings::Settings;
use super::{Config, Ldap};
use crate::secret::SecretSource;
use crate::setting::{KeyPath, Step};
use crate::text;
use crate::wording::Text;

pub(in crate::login::connector) const NAME: &str = "ldap";

/// How often the directory is asked about people who are signed in, if `revalidate` is absent.
const REVALIDATE_EVERY: Duration = Duration::from_secs(600);

/// The default mapping. `login_name` and `group_names` are computed: no attribute has an underscore.
const MAPPING: &[(&str, &str)] = &[
    ("login", "profile.login_name"),
    (
        "name",
        "has(profile.displayName) ? profile.displayName : profile.cn",
    ),
    ("email", "profile.mail"),
    ("mobile", "profile.mobile"),
    ("groups", "profile.group_names"),
    (
        "departments",
        "has(profile.ou) ? profile.ou : profile.department",
    ),
];

/// By default FreeIPA lets everybody write their own `ou`.
const SELF_WRITTEN: &[SelfWrittenField] = &[SelfWrittenField {
    field: "departments",
    named_by: "department",
    why: Text::fixed(
        "some directories (FreeIPA) let people write their own `ou`, from which it is taken",
        "有的目录（FreeIPA）允许本人修改 `ou`，它正取自那里",
    ),
}];

impl Kind for Config {
    fn name(&self) -> &'static str {
        NAME
    }

    fn secrets(&self) -> Vec<(KeyPath<'_>, &SecretSource)> {
        let password = self.bind_password.iter();
        password
            .map(|secret| (KeyPath::of([NAME, "bind_password"]), secret))
            .collect()
    }

    fn secret_destinations(&self, _secret: &[Step<'_>]) -> Vec<String> {
        let name = self.bind_dn.as_deref().unwrap_or_default();
        let protection = match self.start_tls {
            true => "with StartTLS",
            false => "without StartTLS",
        };
        let urls = self.url.0.iter();
        urls.map(|url| match (url.destination(), url.needs_start_tls()) {
            (place, true) => format!("{place} {protection} as {name}"),
            (place, false) => format!("{place} as {name}"),
        })
        .collect()
    }

    fn local_sockets(&self) -> Vec<KeyPath<'_>> {
        let sockets = self.url.0.iter().filter(|url| url.is_socket());
        sockets.map(|_| KeyPath::of([NAME, "url"])).collect()
    }

    fn problems(
        &self,
        connector: &ConnectorConfig,
        _external_url: &Url,
    ) -> Vec<SettingProblem<'_>> {
        let invalid = Settings::of(self).err().unwrap_or_default();
        let mut problems: Vec<_> = invalid
            .into_iter()
            .map(|one| {
                let key_path = match one.is_in_groups {
                    true => KeyPath::of([NAME, "groups", one.key]),
                    false => KeyPath::of([NAME, one.key]),
                };
                SettingProblem::value(key_path, one.message, one.help)
            })
            .collect();
        if connector.proxy.is_some() {
            let message = text!(
                "an HTTP proxy cannot forward LDAP",
                "HTTP 代理不能转发 LDAP"
            );
            let help = text!(
                "remove proxy: the directory is always connected to directly",
                "请删除 proxy：目录总是直接连接"
            );
            problems.push(SettingProblem::value(KeyPath::of(["proxy"]), message, help));
        }
        if self.bind_as.is_some() && self.asks_again().is_some() {
            let message = text!(
                "with bind_as the directory can only be asked while a person signs in",
                "用 bind_as 时，只有人在登录时才能查询目录"
            );
            let help = text!(
                "remove revalidate, or search with bind_dn instead of bind_as",
                "请删除 revalidate，或用 bind_dn 代替 bind_as 来查询"
            );
            let key_path = KeyPath::of([NAME, "revalidate"]);
            problems.push(SettingProblem::value(key_path, message, help));
        }
        problems
    }

    fn warnings(&self) -> Vec<(KeyPath<'_>, Text)> {
        let mut warnings = Vec::new();
        let in_clear = self
            .url
            .0
            .iter()
            .find(|url| url.needs_start_tls() && !url.is_local());
        if let Some(url) = in_clear
            && !self.start_tls
        {
            let text = text!(
                "passwords travel to {url} in clear text: remove start_tls, or use ldaps://",
                "密码以明文发到 {url}：请删除 start_tls，或用 ldaps://"
            );
            warnings.push((KeyPath::of([NAME, "start_tls"]), text));
        }
        if self.subject == "dn" {
            let text = text!(
                "a DN changes when a person moves or is renamed, and can be given to another person: \
                        name an attribute that is never used again",
                "人员调动或改名时 DN 会变，也可能给了别人：请写一个不会重复使用的属性"
            );
            warnings.push((KeyPath::of([NAME, "subject"]), text));
        }
        if self.groups.is_none() && self.member_of_base.is_none() {
            let text = text!(
                "groups are the first names in `memberOf`, so whoever can make a group anywhere in the \
                        directory can give it the name of another: add member_of_base, the DN below which \
                        groups count, or search them with a table `groups`",
                "组名取自 `memberOf` 的第一段，能在目录任何位置建组的人都可以让它与别的组同名：请加上 member_of_base（只认这个 DN 以下的组），或用 `groups` 表来查询组"
            );
            warnings.push((KeyPath::of([NAME]), text));
        }
        warnings
    }

    fn features(&self) -> Features {
        Features {
            mapping: MAPPING,
            sample_profile: include_str!("sample.json"),
            self_written: SELF_WRITTEN,
            login_method: LoginMethod::PasswordForm,
            revalidate_every: match self.bind_as {
                Some(_) => None,
                None => self.revalidates_every(),
            },
            silent_login_help: text!(
                "an ldap connector asks the directory by itself, as `revalidate` says",
                "ldap 认证源会按 `revalidate` 自己查询目录"
            ),
            ..Features::default()
        }
    }

    fn build(&self, deps: ConnectorDeps) -> Result<Arc<dyn Connector>, ConnectorBuildError> {
        Ok(Arc::new(Ldap::build(self, deps)?))
    }
}

impl Config {
    fn revalidates_every(&self) -> Option<Duration> {
        let every = self
            .revalidate
            .map_or(REVALIDATE_EVERY, |every| every.duration());
        Some(every).filter(|every| !every.is_zero())
    }

    /// The interval that the settings name, if it is not never.
    fn asks_again(&self) -> Option<Duration> {
        self.revalidate.and_then(|_| self.revalidates_every())
    }
}
