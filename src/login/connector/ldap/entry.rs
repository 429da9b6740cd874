//! The profile of a person, read from their entry.

use std::collections::BTreeSet;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value};

use super::super::{ConnectorError, SourceRefusal};
use super::dn::{self, Dn};
use super::error::{LdapError, SEARCH};
use super::filter::{self, Filter};
use super::message::Entry;
use super::settings::SubjectSource;
use crate::people::profile::MappingConfig;
use crate::store::{LinkField, Subject};
use crate::text;

/// The attributes that the default mapping reads.
const DEFAULT_ATTRIBUTES: [&str; 6] = ["displayName", "cn", "mail", "mobile", "ou", "department"];

/// The attributes that identify an entry for ever, in the order in which they are tried.
const UNIQUE_IDS: [&str; 4] = ["entryUUID", OBJECT_GUID, "nsUniqueId", "ipaUniqueID"];

/// The unique ID of Active Directory: sixteen bytes.
const OBJECT_GUID: &str = "objectGUID";

pub(super) const MEMBER_OF: &str = "memberOf";

/// The most groups of a person. A part of them could change what rules decide, so more are an error.
pub(super) const GROUPS_MAX: usize = 1000;

/// The attributes by which directories disable an account.
const DISABLING_ATTRIBUTES: [&str; 3] = [
    "nsAccountLock",
    "pwdAccountLockedTime",
    "userAccountControl",
];

/// What is read of the entry of a person.
#[derive(Debug)]
pub(super) struct ProfileReader {
    /// The attributes that are asked for.
    asked: Vec<String>,
    /// The members of the profile: the same, in every spelling of the settings.
    members: Vec<String>,
    login_attributes: Vec<String>,
    subject: SubjectSource,
}

impl ProfileReader {
    /// `mapping` and `attributes` name attributes besides those of the default mapping.
    pub(super) fn new(
        login_attributes: &[String],
        mapping: &MappingConfig,
        attributes: &[String],
        subject: SubjectSource,
    ) -> Self {
        let mapped = mapping.0.values().flat_map(|text| mentioned(text));
        let defaults = DEFAULT_ATTRIBUTES.into_iter().map(str::to_owned);
        let names: BTreeSet<_> = mapped
            .chain(attributes.iter().cloned())
            .chain(login_attributes.iter().cloned())
            .chain(defaults)
            .collect();
        let mut reader = Self {
            asked: Vec::new(),
            members: names.iter().cloned().collect(),
            login_attributes: login_attributes.to_vec(),
            subject,
        };
        for name in names {
            reader.ask(&name);
        }
        match reader.subject.clone() {
            SubjectSource::Auto => UNIQUE_IDS.into_iter().for_each(|name| reader.ask(name)),
            SubjectSource::Attribute(name) => reader.ask(&name),
            SubjectSource::Dn => {}
        }
        DISABLING_ATTRIBUTES
            .into_iter()
            .for_each(|name| reader.ask(name));
        reader
    }

    /// Asks for another attribute, which is no member of the profile.
    pub(super) fn with(mut self, name: &str) -> Self {
        self.ask(name);
        self
    }

    fn ask(&mut self, name: &str) {
        let is_asked = self
            .asked
            .iter()
            .any(|asked| asked.eq_ignore_ascii_case(name));
        if !is_asked {
            self.asked.push(name.to_owned());
        }
    }

    pub(super) fn asked(&self) -> &[String] {
        &self.asked
    }

    /// What the directory calls the person.
    pub(super) fn login(&self, entry: &Entry) -> Option<String> {
        let mut names = self.login_attributes.iter();
        names.find_map(|name| first_text(entry, name))
    }

    /// The profile with the names of the person's groups.
    pub(super) fn raw(&self, entry: &Entry, groups: Vec<String>) -> Value {
        let mut raw = Map::new();
        for name in &self.members {
            let values: Vec<Value> = entry
                .values(name)
                .iter()
                .filter(|value| !value.is_empty())
                .map(|value| text_of(name, value).into())
                .collect();
            if !values.is_empty() {
                raw.insert(name.clone(), values.into());
            }
        }
        if let Some(login) = self.login(entry) {
            raw.insert("login_name".to_owned(), login.into());
        }
        raw.insert("group_names".to_owned(), groups.into());
        raw.insert("dn".to_owned(), entry.dn.clone().into());
        Value::Object(raw)
    }

    /// The identifier of the person. It has one value, which must be text.
    pub(super) fn subject(&self, entry: &Entry) -> Result<Subject, ConnectorError> {
        let found = match &self.subject {
            SubjectSource::Dn => Some(entry.dn.clone()),
            SubjectSource::Attribute(name) => only_text(entry, name),
            SubjectSource::Auto => {
                let present = UNIQUE_IDS
                    .into_iter()
                    .find(|name| !entry.values(name).is_empty());
                present.and_then(|name| only_text(entry, name))
            }
        };
        found
            .and_then(|text| Subject::try_from(text).ok())
            .ok_or_else(|| ConnectorError::Misconfigured {
                remedy: text!("name in `subject` an attribute that every person has, with one value that is text", "请在 `subject` 中写一个每个人都有、只有一个文本值的属性"),
                source: SourceRefusal {
                    call: SEARCH,
                    code: 0,
                    message: format!("{} has no usable identifier", entry.dn),
                },
            })
    }

    /// The filter of the person with this subject; `None` if only the DN identifies them.
    pub(super) fn filter_of(&self, subject: &Subject) -> Option<Filter> {
        let text = subject.as_str();
        let equals = |name: &str| {
            let is_guid = name.eq_ignore_ascii_case(OBJECT_GUID);
            let value = match guid_bytes(text).filter(|_| is_guid) {
                Some(bytes) => bytes.to_vec(),
                None => text.as_bytes().to_vec(),
            };
            Filter::equals(name, value)
        };
        match &self.subject {
            SubjectSource::Dn => None,
            SubjectSource::Attribute(name) => Some(equals(name)),
            SubjectSource::Auto => Some(Filter::Or(UNIQUE_IDS.into_iter().map(equals).collect())),
        }
    }

    /// The directory vouches for the address. Active Directory and FreeIPA let everybody change their own
    /// `mobile`, so a number proves nothing.
    pub(super) fn verified_fields(entry: &Entry) -> Vec<(LinkField, String)> {
        let address = first_text(entry, "mail").map(|address| (LinkField::Email, address));
        address.into_iter().collect()
    }
}

/// Why the groups of a person are not known.
#[derive(Debug)]
pub(super) enum GroupsError {
    /// They are too many, or too long. The person may have brought that about.
    OfPerson(ConnectorError),
    /// The directory or the settings failed, as for everybody.
    OfSource(ConnectorError),
}

impl From<LdapError> for GroupsError {
    fn from(error: LdapError) -> Self {
        match error {
            error @ LdapError::TooLarge { .. } => Self::OfPerson(error.into()),
            error => Self::OfSource(error.into()),
        }
    }
}

impl From<GroupsError> for ConnectorError {
    fn from(error: GroupsError) -> Self {
        match error {
            GroupsError::OfPerson(error) | GroupsError::OfSource(error) => error,
        }
    }
}

/// The names of the groups in `memberOf`, of those below `base` if there is one.
pub(super) fn groups_of_member(
    entry: &Entry,
    base: Option<&Dn>,
) -> Result<Vec<String>, GroupsError> {
    // Active Directory sends a long list in parts.
    let is_part = |name: &str| name.to_ascii_lowercase().starts_with("memberof;range=");
    let is_partial = entry.attributes.iter().any(|(name, _)| is_part(name));
    let groups = entry.values(MEMBER_OF);
    if is_partial || groups.len() > GROUPS_MAX {
        return Err(too_many_groups(&entry.dn));
    }
    let counts = |group: &str| {
        let is_below = |base: &Dn| Dn::parse(group).is_ok_and(|group| group.is_below(base));
        base.is_none_or(is_below)
    };
    let texts = groups
        .iter()
        .filter_map(|group| std::str::from_utf8(group).ok());
    let counted = texts.filter(|group| counts(group));
    Ok(counted.filter_map(dn::first_value).collect())
}

pub(super) fn too_many_groups(dn: &str) -> GroupsError {
    GroupsError::OfPerson(ConnectorError::Misconfigured {
        remedy: text!(
            "search only the groups that applications need: [connector.ID.ldap.groups] with a narrower \
                 base or filter",
            "请只查询应用需要的组：在 [connector.ID.ldap.groups] 中用更窄的 base 或 filter"
        ),
        source: SourceRefusal {
            call: SEARCH,
            code: 0,
            message: format!("{dn} has more than {GROUPS_MAX} groups, or not all can be read"),
        },
    })
}

/// Whether the directory has disabled the account. 389 Directory Server and FreeIPA, OpenLDAP's password
/// policy and Active Directory each have an attribute for it.
pub(super) fn is_disabled(entry: &Entry) -> bool {
    const LOCKED_BY_ADMINISTRATOR: &str = "000001010000Z";
    const ACCOUNT_DISABLED: u32 = 2;
    let [lock, locked_time, control] =
        DISABLING_ATTRIBUTES.map(|name| first_text(entry, name).unwrap_or_default());
    lock.eq_ignore_ascii_case("true")
        || locked_time == LOCKED_BY_ADMINISTRATOR
        || control
            .parse::<u32>()
            .is_ok_and(|flags| flags & ACCOUNT_DISABLED != 0)
}

/// The first value that is text.
pub(super) fn first_text(entry: &Entry, name: &str) -> Option<String> {
    let values = entry.values(name).iter();
    let mut texts = values.filter_map(|value| std::str::from_utf8(value).ok());
    let text = texts.find(|text| !text.trim().is_empty());
    text.map(str::to_owned)
}

/// The value of an attribute with one value, if it is text or a GUID.
fn only_text(entry: &Entry, name: &str) -> Option<String> {
    let [value] = entry.values(name) else {
        return None;
    };
    if name.eq_ignore_ascii_case(OBJECT_GUID) {
        return guid_text(value);
    }
    String::from_utf8(value.clone())
        .ok()
        .filter(|text| !text.is_empty())
}

/// A value as text: a GUID in its usual form, other binary values in base64.
fn text_of(name: &str, value: &[u8]) -> String {
    let guid = match name.eq_ignore_ascii_case(OBJECT_GUID) {
        true => guid_text(value),
        false => None,
    };
    guid.unwrap_or_else(|| match std::str::from_utf8(value) {
        Ok(text) => text.to_owned(),
        Err(_) => STANDARD.encode(value),
    })
}

/// The order of the bytes of a GUID in its text: the first three groups are little-endian.
const GUID_ORDER: [usize; 16] = [3, 2, 1, 0, 5, 4, 7, 6, 8, 9, 10, 11, 12, 13, 14, 15];

fn guid_text(value: &[u8]) -> Option<String> {
    let bytes: &[u8; 16] = value.try_into().ok()?;
    let mut text = String::with_capacity(36);
    for (position, index) in GUID_ORDER.into_iter().enumerate() {
        if matches!(position, 4 | 6 | 8 | 10) {
            text.push('-');
        }
        text.push_str(&format!("{:02x}", bytes[index]));
    }
    Some(text)
}

fn guid_bytes(text: &str) -> Option<[u8; 16]> {
    let groups: Vec<_> = text.split('-').map(str::len).collect();
    let digits: String = text.chars().filter(|c| *c != '-').collect();
    if groups != [8, 4, 4, 4, 12] || !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    let mut bytes = [0; 16];
    for (position, index) in GUID_ORDER.into_iter().enumerate() {
        let pair = digits.get(2 * position..2 * position + 2)?;
        bytes[index] = u8::from_str_radix(pair, 16).ok()?;
    }
    Some(bytes)
}

/// The attributes that an expression of the mapping names: `profile.mail`, `profile["x-id"]`.
fn mentioned(expression: &str) -> Vec<String> {
    let uses = expression.split("profile").skip(1);
    let names = uses.filter_map(|after| {
        let after = after.trim_start();
        if let Some(rest) = after.strip_prefix('.') {
            let rest = rest.trim_start_matches(['?', ' ']);
            let end = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_');
            return Some(&rest[..end.unwrap_or(rest.len())]);
        }
        let rest = after.strip_prefix('[')?.trim_start_matches(['?', ' ']);
        let quote = rest.chars().next().filter(|c| matches!(c, '"' | '\''))?;
        rest[1..].split(quote).next()
    });
    let names = names.filter(|name| filter::is_attribute(name) && !name.contains('_'));
    names
        .filter(|name| *name != "dn")
        .map(str::to_owned)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_guid_has_its_usual_form() {
        let bytes: Vec<u8> = (0..16).collect();
        let text = "03020100-0504-0706-0809-0a0b0c0d0e0f";
        assert_eq!(guid_text(&bytes).as_deref(), Some(text));
        assert_eq!(guid_bytes(text).unwrap().to_vec(), bytes);
        assert_eq!(guid_text(&bytes[1..]), None);
        for other in ["", "x", "03020100-0504-0706-0809-0a0b0c0d0e0", "entry"] {
            assert_eq!(guid_bytes(other), None, "{other}");
        }
    }

    #[test]
    fn the_attributes_of_a_mapping_are_found() {
        for (expression, names) in [
            ("profile.mail", &["mail"][..]),
            (
                "has(profile.displayName) ? profile.displayName : profile.cn",
                &["displayName", "displayName", "cn"],
            ),
            ("profile[\"x-staff-id\"][0]", &["x-staff-id"]),
            ("profile[?'sn'].orValue('')", &["sn"]),
            ("profile.?title.orValue([])", &["title"]),
            ("profile.login_name + profile.dn", &[]),
            ("'profile'", &[]),
            ("profile", &[]),
        ] {
            assert_eq!(mentioned(expression), names, "{expression}");
        }
    }
}
