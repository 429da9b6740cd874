//! Reads the departments and members that the application may see.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use async_trait::async_trait;
use serde_json::Value;

use super::super::kit::department_tree::{DEPARTMENTS_MAX, DepartmentTree, TreeDepartment};
use super::super::{
    ConnectorError, MemberPage, OpenDirectory, PersonAnswer, RefusalReason, SourceDirectory,
    SourceRefusal,
};
use super::api::{ResponseObject, number};
use super::errors::{ApiError, DEPARTMENT_NOT_VISIBLE, NO_SUCH_DEPARTMENT, NO_SUCH_MEMBER};
use super::{DingTalk, departments, member};
use crate::people::directory_sync::ListedPerson;
use crate::people::person_lookup::CurrentProfile;
use crate::store::{Department, Subject};
use crate::telemetry::error_chain;

/// The department above all others.
const ROOT: i64 = 1;

/// One reading of the directory.
#[derive(Debug)]
struct DingTalkDirectory {
    dingtalk: Arc<DingTalk>,
    tree: DepartmentTree<i64>,
    departments: Vec<Department>,
}

#[async_trait]
impl SourceDirectory for DingTalk {
    fn subject_of(&self, id: &str) -> Option<Subject> {
        let is_userid = member::is_userid(id);
        is_userid.then(|| member::subject(&self.console.corp_id, id).ok())?
    }

    async fn open(self: Arc<Self>) -> Result<Box<dyn OpenDirectory>, ConnectorError> {
        let tree = self.visible_tree().await;
        let tree = tree.map_err(|error| self.connector_error(error))?;
        // Logins and lookups use the new names from now on.
        self.departments.discard();
        Ok(Box::new(DingTalkDirectory {
            departments: tree.departments(),
            tree,
            dingtalk: self,
        }))
    }
}

impl DingTalk {
    /// The departments that the application may see, level by level.
    async fn visible_tree(&self) -> Result<DepartmentTree<i64>, ApiError> {
        let mut found = HashMap::new();
        let mut waiting = VecDeque::new();
        for (id, department) in self.topmost_departments().await? {
            if found.insert(id, department).is_none() {
                waiting.push_back(id);
            }
        }
        while let Some(id) = waiting.pop_front() {
            for below in self.api.departments_below(id).await? {
                let Value::Object(fields) = below else {
                    continue;
                };
                let Some(id) = fields.get("dept_id").and_then(number) else {
                    continue;
                };
                if found.len() == DEPARTMENTS_MAX {
                    tracing::warn!("only {DEPARTMENTS_MAX} departments are kept");
                    return Ok(DepartmentTree::of(found));
                }
                if found.insert(id, departments::read(&fields)).is_none() {
                    waiting.push_back(id);
                }
            }
        }
        Ok(DepartmentTree::of(found))
    }

    /// The root, or the topmost departments of an application that may see only a part.
    async fn topmost_departments(&self) -> Result<Vec<(i64, TreeDepartment<i64>)>, ApiError> {
        match self.api.department(ROOT).await {
            Ok(fields) => return Ok(vec![(ROOT, departments::read(&fields))]),
            Err(error) if error.code() == Some(DEPARTMENT_NOT_VISIBLE) => {}
            Err(error) => return Err(error),
        }
        let mut topmost = Vec::new();
        for id in self.api.visible_departments().await? {
            let fields = self.api.department(id).await?;
            topmost.push((id, departments::read(&fields)));
        }
        Ok(topmost)
    }
}

#[async_trait]
impl OpenDirectory for DingTalkDirectory {
    fn departments(&self) -> &[Department] {
        &self.departments
    }

    async fn members(
        &self,
        department: &str,
        page: Option<&str>,
    ) -> Result<MemberPage, ConnectorError> {
        let call = "topapi/v2/user/list";
        let invalid =
            |message: &str| ConnectorError::InvalidResponse(SourceRefusal::fault(call, message));
        let parsed = department
            .parse()
            .ok()
            .zip(page.unwrap_or("0").parse().ok());
        let Some((department, cursor)) = parsed else {
            return Err(invalid("the ID of a department is no number"));
        };
        let page = self.dingtalk.api.members(department, cursor).await;
        let page = page.map_err(|error| self.dingtalk.connector_error(error))?;
        if page.next_cursor.is_some_and(|next| next <= cursor) {
            return Err(invalid("the cursor does not move"));
        }
        let next = page.next_cursor.map(|next| next.to_string());
        Ok(MemberPage::read(page.members, next, |one| {
            let listed = self.listed(one);
            listed.map_err(|error| error_chain(&error).to_string())
        }))
    }

    async fn person(&self, subject: &Subject) -> Result<PersonAnswer, ConnectorError> {
        let Some(userid) = self.dingtalk.userid_of(subject) else {
            let message = "the userid belongs to another organisation";
            return Ok(PersonAnswer::NotVisible(message.to_owned()));
        };
        let found = self.dingtalk.api.member(userid).await;
        match found.map_err(|error| self.dingtalk.connector_error(error)) {
            Ok(found) => {
                let person = self.listed(found)?;
                if person.subject != *subject {
                    let fault =
                        SourceRefusal::fault("topapi/v2/user/get", "DingTalk sent another member");
                    return Err(ConnectorError::InvalidResponse(fault));
                }
                Ok(PersonAnswer::Listed(Box::new(person)))
            }
            Err(ConnectorError::Refused {
                why: RefusalReason::NotMember | RefusalReason::NotVisibleToApp,
                source,
            }) => Ok(match source.code {
                NO_SUCH_MEMBER => PersonAnswer::Unknown(source.to_string()),
                _ => PersonAnswer::NotVisible(source.to_string()),
            }),
            Err(error) => Err(error),
        }
    }

    async fn has_department(&self, id: &str) -> Result<bool, ConnectorError> {
        let Ok(id) = id.parse() else {
            return Ok(false);
        };
        match self.dingtalk.api.department(id).await {
            Ok(_) => Ok(true),
            Err(error) if error.code() == Some(NO_SUCH_DEPARTMENT) => Ok(false),
            Err(error) => match self.dingtalk.connector_error(error) {
                ConnectorError::Refused { .. } => Ok(true),
                error => Err(error),
            },
        }
    }
}

impl DingTalkDirectory {
    /// The person of an answer about a member.
    fn listed(&self, mut found: ResponseObject) -> Result<ListedPerson, ConnectorError> {
        let status = member::status(&found);
        member::add_departments(&mut found, &self.tree);
        let profile = member::profile(&self.dingtalk.console.corp_id, found)?;
        Ok(ListedPerson {
            subject: profile.subject,
            status,
            profile: CurrentProfile {
                raw: profile.raw,
                verified_fields: profile.verified_fields,
                is_complete: true,
                has_tags: true,
            },
        })
    }
}
