//! The settings of `[connector.ID.local]`.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use schemars::JsonSchema;
use serde::Deserialize;
use url::Url;

use super::super::{
    Connector, ConnectorBuildError, ConnectorConfig, ConnectorDeps, Features, FileProblems, Kind,
    LoginMethod, SettingProblem,
};
use super::Local;
use super::people_file::PeopleFile;
use super::stored::StoredLocal;
use crate::secret::SecretSource;
use crate::setting::KeyPath;
use crate::text;
use crate::wording::Text;

pub(in crate::login::connector) const NAME: &str = "local";

/// The default mapping. Each further key of a person becomes an attribute.
const MAPPING: &[(&str, &str)] = &[
    ("login", "profile.login"),
    ("name", "profile.name"),
    ("email", "profile.email"),
    ("mobile", "profile.mobile"),
    ("groups", "profile.groups"),
    ("roles", "profile.roles"),
    ("departments", "profile.departments"),
    ("orgs", "profile.orgs"),
    ("tags", "profile.tags"),
    ("tenant_code", "profile.tenant_code"),
    ("tenant_name", "profile.tenant_name"),
    ("platform", "profile.platform"),
];

/// The permission bits of a file that every user may read, and write.
const READABLE_BY_ALL: u32 = 0o004;
const WRITABLE_BY_ALL: u32 = 0o002;

/// The most people that one warning names.
const NAMED_MAX: usize = 5;

/// People whom a file lists, with their passwords, or whom the store keeps.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// A TOML file with a table for each person, named after the login: `[zhangsan]`. `password` is a hash
    /// from `menshen passwd`, or one of bcrypt; `disabled = true` keeps the person out; `name`, `email`,
    /// `mobile`, `groups`, `roles`, `departments` and `orgs` are their fields, and further keys become
    /// `user.attributes`. Absent: the people are kept in the store, where `menshen people` and the admin API
    /// add and change them, and they change their passwords themselves.
    pub people: Option<PathBuf>,
}

impl Kind for Config {
    fn name(&self) -> &'static str {
        NAME
    }

    fn secrets(&self) -> Vec<(KeyPath<'_>, &SecretSource)> {
        Vec::new()
    }

    fn files(&self) -> Vec<(KeyPath<'_>, &Path)> {
        let people = self.people.as_deref();
        people
            .map(|people| (key_path(), people))
            .into_iter()
            .collect()
    }

    fn problems(
        &self,
        _connector: &ConnectorConfig,
        _external_url: &Url,
    ) -> Vec<SettingProblem<'_>> {
        Vec::new()
    }

    fn warnings(&self) -> Vec<(KeyPath<'_>, Text)> {
        Vec::new()
    }

    fn file_warnings(&self) -> Vec<(KeyPath<'_>, Text)> {
        let Some(people) = &self.people else {
            return Vec::new();
        };
        let mut warnings = Vec::new();
        let metadata = std::fs::metadata(people);
        let mode = metadata.map_or(0, |file| file.permissions().mode());
        if mode & WRITABLE_BY_ALL != 0 {
            let text = text!(
                "every user of this machine can add people and change passwords: let only the \
                        administrator write the file (chmod 640)",
                "这台机器上的所有用户都能添加人员和修改密码：请只让管理员写这个文件（chmod 640）"
            );
            warnings.push((key_path(), text));
        }
        if mode & READABLE_BY_ALL != 0 {
            let text = text!(
                "every user of this machine can read the hashes of the passwords and guess the \
                        passwords: let only the user of menshen read the file (chmod 640)",
                "这台机器上的所有用户都能读到密码的哈希并猜测密码：请只让运行 menshen 的用户读这个文件（chmod 640）"
            );
            warnings.push((key_path(), text));
        }
        // The problems of a file that cannot be used are reported when the connector is built.
        let Ok(file) = PeopleFile::read(people) else {
            return warnings;
        };
        if file.people().iter().all(|person| person.is_disabled) {
            let text = text!(
                "nobody can sign in: the file lists nobody who is not disabled",
                "没有人能登录：文件是空的，或其中的人都已停用"
            );
            warnings.push((key_path(), text));
        }
        if let Some(weak) = weak_hashes(&file) {
            let text = text!(
                "these hashes are cheap to compute, so whoever gets the file can guess the passwords: \
                 {weak}; replace them by hashes of `menshen passwd`",
                "这些哈希计算起来很快，拿到文件的人可以猜出密码：{weak:#}；请换成 `menshen passwd` 生成的哈希"
            );
            warnings.push((key_path(), text));
        }
        warnings
    }

    fn file_problems(&self) -> Option<FileProblems> {
        PeopleFile::problems(self.people.as_deref()?)
    }

    fn features(&self) -> Features {
        Features {
            mapping: MAPPING,
            sample_profile: include_str!("sample.json"),
            further_members_are_attributes: true,
            login_method: LoginMethod::PasswordForm,
            lists_people: true,
            keeps_people: self.people.is_none(),
            ..Features::default()
        }
    }

    fn build(&self, deps: ConnectorDeps) -> Result<Arc<dyn Connector>, ConnectorBuildError> {
        match &self.people {
            Some(people) => Ok(Arc::new(Local::build(people, deps.clock)?)),
            None => Ok(Arc::new(StoredLocal::build(deps)?)),
        }
    }
}

fn key_path() -> KeyPath<'static> {
    KeyPath::of([NAME, "people"])
}

/// The people with cheap hashes.
fn weak_hashes(file: &PeopleFile) -> Option<Text> {
    let people = file.people().iter();
    let weak = people.filter(|person| person.password.is_cheap());
    let weak = weak.map(|person| {
        let (subject, cost) = (&person.subject, person.password.cost());
        text!("{subject} ({cost})", "{subject}（{cost:#}）")
    });
    let weak: Vec<_> = weak.collect();
    let named = weak.get(..NAMED_MAX).unwrap_or(&weak);
    let named = Text::join(named, &Text::fixed(", ", "、"));
    let more = weak.len().saturating_sub(NAMED_MAX);
    (!weak.is_empty()).then(|| match more {
        0 => named,
        _ => text!("{named} and {more} more", "{named:#}，以及另外 {more} 人"),
    })
}
