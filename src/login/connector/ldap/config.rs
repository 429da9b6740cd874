//! The settings of `[connector.ID.ldap]`.

use std::borrow::Cow;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{Error as _, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};

use super::ldap_url::LdapUrl;
use super::message::SearchScope;
use crate::secret::SecretSource;
use crate::setting::Period;
use crate::text;

/// Login with a user name and a password that a directory checks: Active Directory, OpenLDAP, FreeIPA and
/// others.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The directory: `ldaps://host`, `ldap://host` or `ldapi://%2Fpath%2Fof%2Fsocket`. Of a list, the first
    /// that can be reached is asked.
    pub url: Urls,
    /// Whether connections to `ldap://` are encrypted by StartTLS before anything else is sent. With false,
    /// passwords travel in clear text.
    #[serde(default = "yes")]
    pub start_tls: bool,
    /// The DN of the account that searches. Absent, without `bind_as`: the search is anonymous.
    #[serde(default)]
    pub bind_dn: Option<String>,
    /// The password of `bind_dn`.
    #[serde(default)]
    pub bind_password: Option<SecretSource>,
    /// The DN below which people are searched.
    pub base: String,
    /// Whether people are anywhere below `base` (`subtree`) or directly below it (`one`).
    #[serde(default)]
    pub scope: Scope,
    /// The LDAP filter (RFC 4515) of people who may sign in.
    #[serde(default = "default_filter")]
    pub filter: String,
    /// The attributes to which the entered user name is compared. The first that an entry has is the
    /// person's login.
    #[serde(default = "default_login_attributes")]
    pub login_attributes: Vec<String>,
    /// The name with which a person binds, such as `uid={login},ou=people,dc=corp,dc=example` or
    /// `{login}@corp.example`, instead of `bind_dn`: nothing is searched before. The entry is then read as the
    /// person.
    #[serde(default)]
    pub bind_as: Option<String>,
    /// The attribute that identifies the account. It must never change and never be given to another person.
    /// `auto`: the first of `entryUUID`, `objectGUID`, `nsUniqueId` and `ipaUniqueID`; `dn`: the DN.
    #[serde(default = "default_subject")]
    pub subject: String,
    /// Attributes that are read besides those that the mapping names.
    #[serde(default)]
    pub attributes: Vec<String>,
    /// How long a connection, and the answer to a request, may take.
    #[serde(default = "default_timeout")]
    pub timeout: Period,
    /// How often the directory is asked about people who are signed in. People whom it no longer has, or who
    /// no longer match `filter`, are signed out. `0s`: never. Absent: `10m`, but with `bind_as` never.
    #[serde(default)]
    pub revalidate: Option<Period>,
    /// The DN below which groups in `memberOf` of the person count, if `groups` is absent. Absent: all of them,
    /// and so a group elsewhere in the directory counts as one of the same name.
    #[serde(default)]
    pub member_of_base: Option<String>,
    /// How groups are found. Absent: they are the first names of the DNs in `memberOf` of the person.
    #[serde(default)]
    pub groups: Option<GroupsConfig>,
}

/// How the groups of a person are found.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct GroupsConfig {
    /// The DN below which groups are searched.
    pub base: String,
    /// The filter of the groups of a person. `{dn}` stands for the DN and `{login}` for the login of the
    /// person.
    #[serde(default = "default_groups_filter")]
    pub filter: String,
    /// The attribute with the name of a group.
    #[serde(default = "default_group_name")]
    pub name: String,
    /// Whether groups that contain a group of the person count too, in at most ten levels.
    #[serde(default)]
    pub nested: bool,
}

/// One URL or a list of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Urls(pub(super) Vec<LdapUrl>);

impl<'de> Deserialize<'de> for Urls {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(UrlsVisitor)
    }
}

struct UrlsVisitor;

impl<'de> Visitor<'de> for UrlsVisitor {
    type Value = Urls;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let expected = text!(
            "the URL of a directory, or a list of them",
            "目录的 URL，或它们的列表"
        );
        fmt::Display::fmt(&expected, f)
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Urls, E> {
        let url = LdapUrl::try_from(text.to_owned()).map_err(E::custom)?;
        Ok(Urls(vec![url]))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Urls, A::Error> {
        let mut urls = Vec::new();
        while let Some(url) = list.next_element()? {
            urls.push(url);
        }
        match urls.is_empty() {
            true => Err(A::Error::custom(text!(
                "at least one URL is needed",
                "至少要有一个 URL"
            ))),
            false => Ok(Urls(urls)),
        }
    }
}

impl JsonSchema for Urls {
    fn schema_name() -> Cow<'static, str> {
        "LdapUrls".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "oneOf": [
            { "type": "string" },
            { "type": "array", "items": { "type": "string" }, "minItems": 1 },
        ] })
    }
}

/// Where people are, as seen from `base`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Scope {
    /// Directly below it.
    One,
    /// Anywhere below it.
    #[default]
    Subtree,
}

impl From<Scope> for SearchScope {
    fn from(scope: Scope) -> Self {
        match scope {
            Scope::One => Self::OneLevel,
            Scope::Subtree => Self::Subtree,
        }
    }
}

fn yes() -> bool {
    true
}

fn default_filter() -> String {
    "(objectClass=inetOrgPerson)".to_owned()
}

fn default_login_attributes() -> Vec<String> {
    vec!["uid".to_owned()]
}

fn default_subject() -> String {
    "auto".to_owned()
}

fn default_timeout() -> Period {
    Period::s(5)
}

fn default_groups_filter() -> String {
    "(member={dn})".to_owned()
}

fn default_group_name() -> String {
    "cn".to_owned()
}
