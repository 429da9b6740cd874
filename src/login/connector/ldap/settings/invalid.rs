//! `Invalid`: collects the settings that are wrong.

use std::time::Duration;

use super::super::config::{Config, GroupsConfig};
use super::super::dn::Dn;
use super::super::filter::{self, Filter};
use super::{Groups, groups};
use crate::text;
use crate::wording::Text;
/// The limits of `timeout`. A login asks several times.
const TIMEOUT_MIN: Duration = Duration::from_millis(100);
const TIMEOUT_MAX: Duration = Duration::from_secs(20);

/// A setting that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::login::connector::ldap) struct InvalidSetting {
    pub(in crate::login::connector::ldap) is_in_groups: bool,
    pub(in crate::login::connector::ldap) key: &'static str,
    pub(in crate::login::connector::ldap) message: Text,
    pub(in crate::login::connector::ldap) help: Text,
}

/// The wrong settings that were found.
pub(super) struct Invalid(Vec<InvalidSetting>);

impl Invalid {
    pub(super) fn new() -> Self {
        Self(Vec::new())
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn into_settings(self) -> Vec<InvalidSetting> {
        self.0
    }

    pub(super) fn add(&mut self, key: &'static str, message: Text, help: Text) {
        self.0.push(InvalidSetting {
            is_in_groups: false,
            key,
            message,
            help,
        });
    }

    pub(super) fn dn(&mut self, key: &'static str, text: &str) -> Option<Dn> {
        let parsed = Dn::parse(text);
        if let Err(error) = &parsed {
            self.add(key, text!("{key} is {error}", "{key} {error:#}"), DN_HELP);
        }
        parsed.ok()
    }

    pub(super) fn filter(&mut self, key: &'static str, text: &str) -> Option<Filter> {
        let parsed = Filter::parse(text);
        if let Err(error) = &parsed {
            let message = text!(
                "{key} is not an LDAP filter: {error}",
                "{key} 不是 LDAP 过滤器：{error:#}"
            );
            self.add(key, message, FILTER_HELP);
        }
        parsed.ok()
    }

    /// Parses the table `groups`.
    pub(super) fn in_groups(&mut self, config: &GroupsConfig) -> Option<Groups> {
        let mut invalid = Self::new();
        let parsed = groups(config, &mut invalid);
        let invalid = invalid.0.into_iter();
        self.0.extend(invalid.map(|one| InvalidSetting {
            is_in_groups: true,
            ..one
        }));
        parsed
    }

    pub(super) fn timeout(&mut self, config: &Config) {
        let timeout = config.timeout.duration();
        if !(TIMEOUT_MIN..=TIMEOUT_MAX).contains(&timeout) {
            let message = text!(
                "timeout is a period from 100ms to 20s",
                "timeout 应在 100ms 到 20s 之间"
            );
            self.add(
                "timeout",
                message,
                text!(
                    "a login asks the directory several times",
                    "一次登录要查询目录几次"
                ),
            );
        }
    }

    /// Checks `login_attributes` and `attributes`.
    pub(super) fn attributes(&mut self, config: &Config) {
        if config.login_attributes.is_empty() {
            let help = text!(
                "name the attribute with the login, such as \"uid\" or \"sAMAccountName\"",
                "请写存放登录名的属性，例如 \"uid\" 或 \"sAMAccountName\""
            );
            self.add(
                "login_attributes",
                text!("login_attributes is empty", "login_attributes 是空的"),
                help,
            );
        }
        for name in &config.login_attributes {
            self.attribute("login_attributes", name);
        }
        for name in &config.attributes {
            self.attribute("attributes", name);
        }
    }

    pub(super) fn attribute(&mut self, key: &'static str, name: &str) {
        if !filter::is_attribute(name) {
            let message = text!(
                "{name:?} is not the name of an attribute",
                "{name:?} 不是属性名"
            );
            self.add(
                key,
                message,
                text!(
                    "write its name in the schema, such as \"uid\"",
                    "请写模式中的属性名，例如 \"uid\""
                ),
            );
        }
    }
}

pub(super) const DN_HELP: Text = Text::fixed(
    "copy it from the directory, such as \"ou=people,dc=corp,dc=example\"",
    "请从目录中复制，例如 \"ou=people,dc=corp,dc=example\"",
);
const FILTER_HELP: Text = Text::fixed(
    "write a filter as in RFC 4515, such as \"(objectClass=inetOrgPerson)\"",
    "请按 RFC 4515 写过滤器，例如 \"(objectClass=inetOrgPerson)\"",
);
