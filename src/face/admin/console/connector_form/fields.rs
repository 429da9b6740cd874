//! The forms of all kinds: every key that the settings of a connector can have, with its control.
//!
//! A new key needs a line here; `tests/house/console/connector_form` compares the forms with the keys of the
//! configuration.

use crate::login::connector::LocalizedText;

use super::field::{Address, Field, Section};

/// The settings that sources with a directory have in common, below the table of a kind.
macro_rules! directory_fields {
    ($kind:literal, $range_zh:literal, $range_en:literal) => {
        &[
            field(concat!($kind, ".revalidate"), Control::Text, "核对在线人员的间隔", "How often people are asked about")
                .hint(
                    "离职、停用的人会被退出登录，部门变化会生效。0s：不核对。",
                    "People who left or are disabled are signed out, and changed departments take effect. 0s: never.",
                )
                .default("10m"),
            field(concat!($kind, ".sync_every"), Control::Text, "通讯录同步间隔", "How often the directory is read")
                .hint($range_zh, $range_en),
            field(concat!($kind, ".sync_brake"), Control::Number, "一次同步最多关闭的账号（百分比）", "Accounts that one sync may close (per cent)")
                .hint(
                    "超过这个比例的同步会停下来，除非强制执行。100：不限制。",
                    "A sync that would close more stops, unless it is forced. 100: no limit.",
                )
                .default("10"),
        ]
    };
}

mod cas;
mod custom;
mod dingtalk;
mod every_kind;
mod jwt;
mod lark;
mod ldap;
mod local;
mod mapping;
mod oauth2;
mod oidc;
mod saml;
mod wecom;
mod yunzhijia;

/// The form of a kind.
#[derive(Debug)]
pub(super) struct KindForm {
    /// The name of its table, such as `wecom`.
    pub(super) kind: &'static str,
    pub(super) name: LocalizedText,
    /// For whom it is: shown where the kind is chosen.
    pub(super) about: LocalizedText,
    /// What is entered at the source.
    pub(super) addresses: &'static [Address],
    /// The sections of the kind; those that all kinds have follow.
    sections: &'static [Section],
}

/// The forms, in the order in which they are offered.
static FORMS: [&KindForm; 12] = [
    &wecom::FORM,
    &lark::FORM,
    &dingtalk::FORM,
    &yunzhijia::FORM,
    &oidc::FORM,
    &oauth2::FORM,
    &saml::FORM,
    &ldap::FORM,
    &cas::FORM,
    &jwt::FORM,
    &custom::FORM,
    &local::FORM,
];

/// A section of the form of one kind.
pub(super) struct KindSection {
    pub(super) section: &'static Section,
    /// Those that no section before has.
    pub(super) fields: Vec<&'static Field>,
}

impl KindForm {
    pub(super) fn all() -> impl Iterator<Item = &'static Self> {
        FORMS.into_iter()
    }

    pub(super) fn of(kind: &str) -> Option<&'static Self> {
        Self::all().find(|form| form.kind == kind)
    }

    pub(super) fn sections(&self) -> Vec<KindSection> {
        let mut known = Vec::new();
        let mut sections = Vec::new();
        for section in self.sections.iter().chain(every_kind::SECTIONS) {
            let fields = section.fields.iter();
            let fields: Vec<_> = fields.filter(|field| !known.contains(&field.key)).collect();
            known.extend(fields.iter().map(|field| field.key));
            if !fields.is_empty() {
                sections.push(KindSection { section, fields });
            }
        }
        sections
    }

    pub(super) fn fields(&self) -> Vec<&'static Field> {
        let sections = self.sections().into_iter();
        sections.flat_map(|section| section.fields).collect()
    }
}
