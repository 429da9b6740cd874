//! Setting types of `[connector.ID]` that all kinds share.

use schemars::JsonSchema;
use serde::Deserialize;

use crate::setting::Label;
use crate::store::{DepartmentPath, GroupName, LocalEntitlements};

/// When a login starts automatically.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum AutoLogin {
    Never,
    /// Inside the source's own app.
    #[default]
    InApp,
    Always,
}

/// Which people get an account.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum AdmissionConfig {
    /// Everybody whom the source confirms.
    #[default]
    Create,
    /// Only people who have an account or are linked to one.
    Existing,
}

/// Where a login without a return address ends: a path or a URL of this site.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct HomePages {
    /// In an ordinary browser.
    pub desktop: String,
    /// On a phone.
    pub mobile: String,
    /// What pages call it: a text, or `{ zh = "工作台", en = "Workbench" }`. Absent: the home page.
    pub name: Option<Label>,
}

impl Default for HomePages {
    fn default() -> Self {
        Self {
            desktop: "/".to_owned(),
            mobile: "/".to_owned(),
            name: None,
        }
    }
}

/// What menshen itself gives people whose account this connector creates: at their first login, by their
/// first bearer token, or by a sync. Later logins and syncs leave it as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct JoinConfig {
    /// A department, as its path from the root; the source need not have it. Rules see it as one more
    /// department of the person.
    pub department: Option<DepartmentPath>,
    /// Groups, beside those of the source.
    pub groups: Vec<GroupName>,
}

impl JoinConfig {
    /// `None` if it gives nothing.
    pub(in crate::login) fn local_entitlements(&self) -> Option<LocalEntitlements> {
        let mut local = LocalEntitlements {
            department: self.department.clone(),
            groups: Vec::new(),
        };
        for group in &self.groups {
            if !local.groups.contains(group) {
                local.groups.push(group.clone());
            }
        }
        (local != LocalEntitlements::default()).then_some(local)
    }
}
