//! Reads the departments and people of the team.

use std::sync::Arc;

use async_trait::async_trait;

use super::super::{MemberPage, OpenDirectory, PersonAnswer, SourceDirectory, SourceRefusal};
use super::api::{GET_MEMBERS, PAGE_SIZE, ResponseObject};
use super::departments::{self, DepartmentTree};
use super::lookup::current;
use super::{ConnectorError, Yunzhijia, person};
use crate::people::directory_sync::ListedPerson;
use crate::store::{Department, Subject};
use crate::telemetry::error_chain;
use crate::wording::Text;

/// One reading of the directory.
#[derive(Debug)]
struct YunzhijiaDirectory {
    yunzhijia: Arc<Yunzhijia>,
    tree: DepartmentTree,
    departments: Vec<Department>,
}

/// The place of a page in the list of a department: how many people come before it, and who is the first of
/// the page before, written `BEGIN:OPENID`.
struct PagePlace<'a> {
    begin: usize,
    first_before: &'a str,
}

#[async_trait]
impl SourceDirectory for Yunzhijia {
    /// An openid of the team, or a whole subject as accounts have it: `eid:openid`.
    fn subject_of(&self, id: &str) -> Option<Subject> {
        let (eid, openid) = id.split_once(':').unwrap_or((&self.eid, id));
        let is_valid = eid == self.eid && person::is_openid(openid);
        is_valid.then(|| person::subject(eid, openid).ok())?
    }

    async fn open(self: Arc<Self>) -> Result<Box<dyn OpenDirectory>, ConnectorError> {
        let tree = departments::load(&self.api).await;
        let tree = tree.map_err(|error| error.into_error())?;
        // Logins and lookups use the new names from now on.
        self.departments.discard();
        Ok(Box::new(YunzhijiaDirectory {
            departments: tree.departments(),
            tree,
            yunzhijia: self,
        }))
    }
}

#[async_trait]
impl OpenDirectory for YunzhijiaDirectory {
    fn departments(&self) -> &[Department] {
        &self.departments
    }

    fn problems(&self) -> Vec<(Text, Text)> {
        if !self.departments.is_empty() {
            return Vec::new();
        }
        let what = Text::fixed(
            "Yunzhijia lists no department, so nobody is read",
            "云之家没有列出任何部门，因此没有读取人员",
        );
        let remedy = Text::fixed(
            "check in the Yunzhijia console that the team has departments, and that the application may read \
             them",
            "请在云之家管理后台确认团队有部门，并且应用可以读取",
        );
        vec![(what, remedy)]
    }

    async fn members(
        &self,
        department: &str,
        page: Option<&str>,
    ) -> Result<MemberPage, ConnectorError> {
        let place = PagePlace::parse(page).ok_or_else(|| invalid("the page is malformed"))?;
        let api = &self.yunzhijia.api;
        let found = api.members(department, place.begin).await;
        let found = found.map_err(|error| error.into_error())?;
        let first = found
            .first()
            .and_then(|one| person::text(one.get("openId")?));
        let first = first.unwrap_or_default();
        if page.is_some() && !found.is_empty() && first == place.first_before {
            return Err(invalid("the page does not move"));
        }
        let end = place.begin + found.len();
        let next = (found.len() >= PAGE_SIZE).then(|| format!("{end}:{first}"));
        Ok(MemberPage::read(found, next, |one| {
            let listed = self.listed(one);
            listed.map_err(|error| error_chain(&error).to_string())
        }))
    }

    async fn person(&self, subject: &Subject) -> Result<PersonAnswer, ConnectorError> {
        let Some(openid) = self.yunzhijia.openid_of(subject) else {
            let message = "the person belongs to another team";
            return Ok(PersonAnswer::NotVisible(message.to_owned()));
        };
        let found = self.yunzhijia.api.person(openid).await;
        let Some(found) = found.map_err(|error| error.into_error())? else {
            return Ok(PersonAnswer::Unknown(person::ABSENT.to_owned()));
        };
        person::require_requested(&found, openid)?;
        Ok(PersonAnswer::Listed(Box::new(self.listed(found)?)))
    }

    async fn has_department(&self, id: &str) -> Result<bool, ConnectorError> {
        let found = self.yunzhijia.api.department(id).await;
        Ok(found.map_err(|error| error.into_error())?.is_some())
    }
}

impl YunzhijiaDirectory {
    fn listed(&self, found: ResponseObject) -> Result<ListedPerson, ConnectorError> {
        let status = person::status(&found);
        let profile = person::profile_of_contacts(&self.yunzhijia.eid, found, &self.tree)?;
        Ok(ListedPerson {
            subject: profile.subject.clone(),
            status,
            profile: current(profile),
        })
    }
}

impl<'a> PagePlace<'a> {
    fn parse(page: Option<&'a str>) -> Option<Self> {
        let Some(page) = page else {
            return Some(Self {
                begin: 0,
                first_before: "",
            });
        };
        let (begin, first_before) = page.split_once(':')?;
        Some(Self {
            begin: begin.parse().ok()?,
            first_before,
        })
    }
}

fn invalid(message: &str) -> ConnectorError {
    ConnectorError::InvalidResponse(SourceRefusal::fault(GET_MEMBERS, message))
}
