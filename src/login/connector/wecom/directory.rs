//! Reads the departments and members that the application may see.

use std::collections::HashSet;
use std::sync::Arc;

use async_trait::async_trait;
use serde_json::Value;

use super::super::{
    ConnectorError, MemberPage, OpenDirectory, PersonAnswer, RefusalReason, SourceDirectory,
    SourceRefusal,
};
use super::api::{Api, ResponseObject, number};
use super::departments::{self, DepartmentTree};
use super::tags::MemberTags;
use super::{AuthorizeScope, WeCom, member};
use crate::people::directory_sync::{ListedPerson, ListedStatus};
use crate::people::person_lookup::CurrentProfile;
use crate::store::{Department, Subject};
use crate::telemetry::error_chain;
use crate::text;
use crate::wording::Text;

/// The error code for a member who does not exist or whom the application may not see.
const NO_SUCH_MEMBER: i64 = 60111;
/// The error code for a department that does not exist.
const NO_SUCH_DEPARTMENT: i64 = 60003;
/// The error code for a list that is too long for one response.
const LIST_TOO_LONG: i64 = 45029;

/// The most pages of userids that are read: two million members.
const ID_PAGES_MAX: usize = 200;

/// One reading of the directory.
#[derive(Debug)]
struct WeComDirectory {
    wecom: Arc<WeCom>,
    tree: DepartmentTree,
    departments: Vec<Department>,
    tags: Arc<MemberTags>,
    /// Why the application may not read tags; absent: it may.
    tags_refused: Option<ConnectorError>,
}

#[async_trait]
impl SourceDirectory for WeCom {
    fn subject_of(&self, id: &str) -> Option<Subject> {
        let is_userid = member::is_userid(id);
        is_userid.then(|| member::subject(&self.corp_id, id).ok())?
    }

    async fn open(self: Arc<Self>) -> Result<Box<dyn OpenDirectory>, ConnectorError> {
        let list = self.api.departments().await;
        let list = list.map_err(|error| self.connector_error(error))?;
        let tree = departments::read(&list);
        // Logins and lookups use the new names from now on.
        self.departments.discard();
        let (tags, tags_refused) = match MemberTags::load(&self.api).await {
            Ok(tags) => (tags, None),
            Err(error) => match self.connector_error(error) {
                error @ (ConnectorError::Misconfigured { .. } | ConnectorError::Refused { .. }) => {
                    (MemberTags::default(), Some(error))
                }
                error => return Err(error),
            },
        };
        Ok(Box::new(WeComDirectory {
            tags: self.tags.replace(tags),
            tags_refused,
            departments: tree.departments(),
            tree,
            wecom: self,
        }))
    }
}

#[async_trait]
impl OpenDirectory for WeComDirectory {
    fn departments(&self) -> &[Department] {
        &self.departments
    }

    fn problems(&self) -> Vec<(Text, Text)> {
        let Some(error) = &self.tags_refused else {
            return Vec::new();
        };
        let why = error_chain(error);
        let what = text!("tags are not read: {why}", "没有读取标签：{why:#}");
        let remedy = Text::fixed(
            "if rules use user.tags, let the application read tags (标签) in the console",
            "如果规则使用 user.tags，请在管理后台允许应用读取标签",
        );
        vec![(what, remedy)]
    }

    async fn members(
        &self,
        department: &str,
        _page: Option<&str>,
    ) -> Result<MemberPage, ConnectorError> {
        let wecom = &self.wecom;
        let members = match wecom.api.members(department).await {
            Ok(members) => members,
            Err(error) if error.code() == Some(LIST_TOO_LONG) => {
                self.members_one_by_one(department).await?
            }
            Err(error) => return Err(wecom.connector_error(error)),
        };
        Ok(MemberPage::read(members, None, |one| self.listed(one)))
    }

    async fn person(&self, subject: &Subject) -> Result<PersonAnswer, ConnectorError> {
        let Some(userid) = self.wecom.userid_of(subject) else {
            let message = "the userid belongs to another corporation";
            return Ok(PersonAnswer::NotVisible(message.to_owned()));
        };
        let found = self.wecom.api.member(userid).await;
        match found.map_err(|error| self.wecom.connector_error(error)) {
            Ok(found) => match self.listed(found) {
                Ok(person) if person.subject == *subject => {
                    Ok(PersonAnswer::Listed(Box::new(person)))
                }
                Ok(_) => Err(invalid("user/get", "WeCom sent another member")),
                Err(why) => Err(invalid("user/get", &why)),
            },
            Err(ConnectorError::Refused {
                why: RefusalReason::NotVisibleToApp,
                source,
            }) => Ok(match source.code {
                NO_SUCH_MEMBER => PersonAnswer::Unknown(source.to_string()),
                _ => PersonAnswer::NotVisible(source.to_string()),
            }),
            Err(error) => Err(error),
        }
    }

    async fn has_department(&self, id: &str) -> Result<bool, ConnectorError> {
        match self.wecom.api.department(id).await {
            Ok(_) => Ok(true),
            Err(error) if error.code() == Some(NO_SUCH_DEPARTMENT) => Ok(false),
            Err(error) => match self.wecom.connector_error(error) {
                ConnectorError::Refused { .. } => Ok(true),
                error => Err(error),
            },
        }
    }

    async fn all_subjects(&self) -> Result<Option<HashSet<Subject>>, ConnectorError> {
        let Some(contacts) = &self.wecom.contacts else {
            return Ok(None);
        };
        let mut subjects = HashSet::new();
        let mut cursor = String::new();
        for _ in 0..ID_PAGES_MAX {
            let page = contacts.member_ids(&cursor).await;
            let page = page.map_err(|error| error.into_contact_error(&self.wecom.console))?;
            for userid in page.userids {
                if let Ok(subject) = member::subject(&self.wecom.corp_id, &userid) {
                    subjects.insert(subject);
                }
            }
            match page.next_cursor {
                Some(next) if next != cursor => cursor = next,
                Some(_) => return Err(invalid("user/list_id", "the cursor does not move")),
                None => return Ok(Some(subjects)),
            }
        }
        Err(invalid("user/list_id", "the list has no end"))
    }
}

impl WeComDirectory {
    /// The members of a department whose full list is too long: first the userids, then each member.
    async fn members_one_by_one(&self, department: &str) -> Result<Vec<Value>, ConnectorError> {
        let api: &Api = &self.wecom.api;
        let userids = api.member_ids_of(department).await;
        let userids = userids.map_err(|error| self.wecom.connector_error(error))?;
        let mut members = Vec::with_capacity(userids.len());
        for userid in userids {
            match api.member(&userid).await {
                Ok(found) => members.push(Value::Object(found)),
                // Deleted since the list was read.
                Err(error) if error.code() == Some(NO_SUCH_MEMBER) => {}
                Err(error) => return Err(self.wecom.connector_error(error)),
            }
        }
        Ok(members)
    }

    /// The person of a response about a member; otherwise why it cannot be read.
    fn listed(&self, mut found: ResponseObject) -> Result<ListedPerson, String> {
        let userid = found.get("userid").and_then(Value::as_str);
        let userid = userid.ok_or("a member without a userid")?.to_owned();
        if !member::is_userid(&userid) {
            return Err(format!("{userid:?} is no userid of this corporation"));
        }
        let status = status(&found);
        member::add_departments(&mut found, &self.tree);
        member::add_tags(&mut found, &self.tags, &self.tree);
        let profile =
            member::profile(&self.wecom.corp_id, found).map_err(|error| error.to_string());
        let profile = profile?;
        Ok(ListedPerson {
            subject: profile.subject,
            status,
            profile: CurrentProfile {
                raw: profile.raw,
                verified_fields: profile.verified_fields,
                is_complete: self.wecom.scope == AuthorizeScope::Base,
                has_tags: true,
            },
        })
    }
}

fn status(found: &ResponseObject) -> ListedStatus {
    match found.get("status").and_then(number) {
        Some(member::ACTIVE) => ListedStatus::Active,
        Some(2) => ListedStatus::Inactive("disabled at WeCom (已禁用)".to_owned()),
        Some(4) => ListedStatus::Inactive("not activated at WeCom (未激活)".to_owned()),
        Some(5) => ListedStatus::Inactive("left the corporation (退出企业)".to_owned()),
        Some(other) => ListedStatus::Unclear(format!("the unknown status {other}")),
        None => ListedStatus::Unclear("WeCom sent no status".to_owned()),
    }
}

fn invalid(call: &'static str, message: &str) -> ConnectorError {
    ConnectorError::InvalidResponse(SourceRefusal::fault(call, message))
}
