//! `Settings`: the parsed settings of a connector, or every setting that is wrong.

use super::config::{Config, GroupsConfig};
use super::dn::{self, Dn};
use super::filter::{Filter, Placeholder};
use super::message::SearchScope;
use crate::text;
use crate::wording::Text;

mod invalid;

pub(super) use invalid::InvalidSetting;
use invalid::{DN_HELP, Invalid};

/// The placeholder for the entered login name.
const LOGIN: &str = "{login}";

/// The parsed settings, without the password of the service account.
#[derive(Debug)]
pub(super) struct Settings {
    pub(super) account: Account,
    pub(super) base: String,
    pub(super) base_dn: Dn,
    pub(super) scope: SearchScope,
    /// Who may sign in.
    pub(super) filter: Filter,
    /// Who may sign in and has the entered login.
    pub(super) login_filter: Filter,
    pub(super) subject: SubjectSource,
    pub(super) groups: Option<Groups>,
    /// Below which groups in `memberOf` count; absent: all.
    pub(super) member_of_base: Option<Dn>,
}

/// As whom people are searched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Account {
    Anonymous,
    Service(String),
    Person(BindAs),
}

/// The name with which a person binds before they are searched, with `{login}`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum BindAs {
    Dn(String),
    /// Another form of name, such as `{login}@corp.example` of Active Directory.
    Name(String),
}

impl BindAs {
    /// The name of a login; `None` if the login would change the rest of the name.
    pub(super) fn name_of(&self, login: &str) -> Option<String> {
        match self {
            Self::Dn(template) => Some(template.replace(LOGIN, &dn::escape_value(login))),
            Self::Name(template) => {
                let is_separator = |c: char| c.is_control() || matches!(c, '@' | '\\' | '/' | '"');
                let name = template.replace(LOGIN, login);
                (!login.contains(is_separator)).then_some(name)
            }
        }
    }
}

/// What identifies an account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum SubjectSource {
    /// The first unique ID that the entry has.
    Auto,
    Dn,
    Attribute(String),
}

/// How groups are searched.
#[derive(Debug)]
pub(super) struct Groups {
    pub(super) base: String,
    pub(super) filter: Filter,
    pub(super) name: String,
    pub(super) nested: bool,
}

impl Settings {
    /// Parses the settings.
    pub(super) fn of(config: &Config) -> Result<Self, Vec<InvalidSetting>> {
        let mut invalid = Invalid::new();
        invalid.timeout(config);
        let base_dn = invalid.dn("base", &config.base);
        let account = account(config, base_dn.as_ref(), &mut invalid);
        let filter = invalid.filter("filter", &config.filter);
        if let Some(filter) = &filter
            && (filter.has(Placeholder::Login) || filter.has(Placeholder::Dn))
        {
            let help = text!(
                "name the attributes to which the user name is compared in login_attributes",
                "请在 login_attributes 中写上与用户名比较的属性"
            );
            invalid.add(
                "filter",
                text!("filter has no placeholders", "filter 中不能有占位符"),
                help,
            );
        }
        invalid.attributes(config);
        let subject = match config.subject.as_str() {
            "auto" => SubjectSource::Auto,
            "dn" => SubjectSource::Dn,
            name => {
                invalid.attribute("subject", name);
                SubjectSource::Attribute(name.to_owned())
            }
        };
        let groups = match &config.groups {
            None => Some(None),
            Some(groups) => invalid.in_groups(groups).map(Some),
        };
        let member_of_base = config.member_of_base.as_ref();
        if member_of_base.is_some() && config.groups.is_some() {
            let help = text!(
                "remove member_of_base: groups are searched, and `memberOf` is not read",
                "请删除 member_of_base：组是查询出来的，不读 `memberOf`"
            );
            invalid.add(
                "member_of_base",
                text!(
                    "groups replaces member_of_base",
                    "groups 取代 member_of_base"
                ),
                help,
            );
        }
        let member_of_base = member_of_base.and_then(|base| invalid.dn("member_of_base", base));
        match (base_dn, filter, account, groups) {
            (Some(base_dn), Some(filter), Some(account), Some(groups)) if invalid.is_empty() => {
                Ok(Self {
                    account,
                    base: config.base.clone(),
                    base_dn,
                    scope: config.scope.into(),
                    login_filter: login_filter(&filter, &config.login_attributes),
                    filter,
                    subject,
                    groups,
                    member_of_base,
                })
            }
            _ => Err(invalid.into_settings()),
        }
    }
}

fn login_filter(filter: &Filter, login_attributes: &[String]) -> Filter {
    let names = login_attributes.iter();
    let mut equal: Vec<_> = names.map(|name| Filter::equals_login(name)).collect();
    let has_login = match equal.len() {
        1 => equal.remove(0),
        _ => Filter::Or(equal),
    };
    Filter::And(vec![filter.clone(), has_login])
}

fn account(config: &Config, base: Option<&Dn>, invalid: &mut Invalid) -> Option<Account> {
    match (&config.bind_dn, &config.bind_password) {
        (Some(_), None) => {
            let help = text!(
                "add bind_password; without bind_dn the search is anonymous",
                "请加上 bind_password；没有 bind_dn 时匿名查询"
            );
            invalid.add(
                "bind_dn",
                text!("bind_dn needs bind_password", "bind_dn 需要 bind_password"),
                help,
            );
        }
        (None, Some(_)) => {
            let help = text!(
                "add bind_dn, or remove bind_password",
                "请加上 bind_dn，或删除 bind_password"
            );
            invalid.add(
                "bind_password",
                text!("bind_password needs bind_dn", "bind_password 需要 bind_dn"),
                help,
            );
        }
        _ => {}
    }
    match (&config.bind_dn, &config.bind_as) {
        (None, None) => Some(Account::Anonymous),
        (Some(_), Some(_)) => {
            let help = text!("keep bind_dn, or bind_as", "请保留 bind_dn 或 bind_as");
            invalid.add(
                "bind_as",
                text!("bind_as replaces bind_dn", "bind_as 取代 bind_dn"),
                help,
            );
            None
        }
        (Some(name), None) => {
            // Active Directory also takes other forms, such as `gate@corp.example`.
            if name.trim().is_empty() || (name.contains('=') && Dn::parse(name).is_err()) {
                invalid.add(
                    "bind_dn",
                    text!("bind_dn is not a distinguished name", "bind_dn 不是 DN"),
                    DN_HELP,
                );
            }
            Some(Account::Service(name.clone()))
        }
        (None, Some(template)) => bind_as(template, base, invalid).map(Account::Person),
    }
}

fn bind_as(template: &str, base: Option<&Dn>, invalid: &mut Invalid) -> Option<BindAs> {
    const HELP: Text = Text::fixed(
        "write \"uid={login},ou=people,dc=corp,dc=example\" or \"{login}@corp.example\"",
        "请写 \"uid={login},ou=people,dc=corp,dc=example\" 或 \"{login}@corp.example\"",
    );
    let bare = template.replace(LOGIN, "");
    if bare.len() == template.len() || bare.contains(['{', '}']) {
        invalid.add(
            "bind_as",
            text!(
                "bind_as has {{login}} in it and no other placeholder",
                "bind_as 中要有 {{login}}，不能有别的占位符"
            ),
            HELP,
        );
        return None;
    }
    if !template.contains('=') {
        return Some(BindAs::Name(template.to_owned()));
    }
    let Ok(example) = Dn::parse(&template.replace(LOGIN, "x")) else {
        invalid.add(
            "bind_as",
            text!("bind_as is not a distinguished name", "bind_as 不是 DN"),
            HELP,
        );
        return None;
    };
    if base.is_some_and(|base| !example.is_within(base)) {
        let help = text!(
            "people whose entries are not below base cannot sign in",
            "条目不在 base 以下的人不能登录"
        );
        invalid.add(
            "bind_as",
            text!("bind_as is not below base", "bind_as 不在 base 以下"),
            help,
        );
    }
    Some(BindAs::Dn(template.to_owned()))
}

fn groups(config: &GroupsConfig, invalid: &mut Invalid) -> Option<Groups> {
    invalid.dn("base", &config.base);
    invalid.attribute("name", &config.name);
    let filter = invalid.filter("filter", &config.filter)?;
    let (has_dn, has_login) = (filter.has(Placeholder::Dn), filter.has(Placeholder::Login));
    if !has_dn && !has_login {
        let message = text!(
            "filter has neither {{dn}} nor {{login}}, so everybody would be in every group",
            "filter 中既没有 {{dn}} 也没有 {{login}}，所有人都会在每个组里"
        );
        invalid.add(
            "filter",
            message,
            text!(
                "write \"(member={{dn}})\" or \"(memberUid={{login}})\"",
                "请写 \"(member={{dn}})\" 或 \"(memberUid={{login}})\""
            ),
        );
    } else if config.nested && !has_dn {
        let message = text!(
            "nested needs {{dn}} in filter: groups contain other groups by their DN",
            "nested 需要 filter 中有 {{dn}}：组按 DN 包含别的组"
        );
        invalid.add(
            "nested",
            message,
            text!(
                "write \"(member={{dn}})\", or remove nested",
                "请写 \"(member={{dn}})\"，或删除 nested"
            ),
        );
    }
    Some(Groups {
        base: config.base.clone(),
        filter,
        name: config.name.clone(),
        nested: config.nested,
    })
}
