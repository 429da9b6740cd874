//! Reads the departments and people that the application may see.

use std::sync::Arc;

use async_trait::async_trait;
use serde_json::Value;

use super::super::{MemberPage, OpenDirectory, PersonAnswer, SourceDirectory, SourceRefusal};
use super::api::{BATCH_MAX, Object, Page};
use super::config::is_identifier;
use super::departments::{ContactRange, DepartmentTree, Listing, ROOT};
use super::errors::{ApiError, NO_SUCH_PERSON, PERSON_NOT_VISIBLE};
use super::lookup::current;
use super::person::{self, Status};
use super::{ConnectorError, Lark};
use crate::people::directory_sync::{ListedPerson, ListedStatus};
use crate::store::{Department, Subject};

/// One reading of the directory.
#[derive(Debug)]
struct LarkDirectory {
    lark: Arc<Lark>,
    tenant: Arc<str>,
    tree: DepartmentTree,
    departments: Vec<Department>,
    range: ContactRange,
}

#[async_trait]
impl SourceDirectory for Lark {
    /// A `union_id` of the tenant, or a whole subject as accounts have it: `tenant_key:union_id`.
    fn subject_of(&self, id: &str) -> Option<Subject> {
        let known = self.tenant.known();
        let (tenant, union_id) = match id.split_once(':') {
            Some((tenant, union_id)) => (tenant, union_id),
            None => (known.as_deref()?, id),
        };
        let is_of_tenant = known.as_deref().is_none_or(|known| known == tenant);
        let is_valid = is_of_tenant && is_identifier(tenant) && is_identifier(union_id);
        is_valid.then(|| person::subject(tenant, union_id).ok())?
    }

    async fn open(self: Arc<Self>) -> Result<Box<dyn OpenDirectory>, ConnectorError> {
        let tenant = self.tenant_key().await?;
        let listing = Listing::load(&self.api).await;
        let Listing { tree, range } = listing.map_err(|error| self.connector_error(error))?;
        // Logins and lookups use the new names from now on.
        self.departments.discard();
        let mut departments = tree.departments();
        let has_people_at_root = match &range {
            ContactRange::Everything => true,
            // People whom the application sees without a department of theirs.
            ContactRange::Part { people } => !people.is_empty(),
        };
        if has_people_at_root && !tree.contains(&ROOT.to_owned()) {
            departments.push(Department {
                id: ROOT.to_owned(),
                name: ROOT.to_owned(),
                parent: None,
            });
        }
        Ok(Box::new(LarkDirectory {
            lark: self,
            tenant,
            tree,
            departments,
            range,
        }))
    }
}

#[async_trait]
impl OpenDirectory for LarkDirectory {
    fn departments(&self) -> &[Department] {
        &self.departments
    }

    async fn members(
        &self,
        department: &str,
        page: Option<&str>,
    ) -> Result<MemberPage, ConnectorError> {
        let read = match &self.range {
            ContactRange::Part { people } if department == ROOT => {
                self.single_people(people, page).await
            }
            _ => self.lark.api.members(department, page).await,
        };
        let read = read.map_err(|error| self.lark.connector_error(error))?;
        if read.next.is_some() && read.next.as_deref() == page {
            return Err(invalid("the page token does not move"));
        }
        Ok(MemberPage::read(read.items, read.next, |one| {
            self.listed(one)
        }))
    }

    async fn person(&self, subject: &Subject) -> Result<PersonAnswer, ConnectorError> {
        let Some(union_id) = Lark::union_id_of(&self.tenant, subject) else {
            let message = "the person belongs to another tenant";
            return Ok(PersonAnswer::NotVisible(message.to_owned()));
        };
        match self.lark.api.user(union_id).await {
            Ok(found) => match self.listed(found) {
                Ok(person) if person.subject == *subject => {
                    Ok(PersonAnswer::Listed(Box::new(person)))
                }
                Ok(_) => Err(invalid("Lark sent another person")),
                Err(why) => Err(invalid(&why)),
            },
            Err(ApiError::Refused(refusal)) if refusal.code == NO_SUCH_PERSON => {
                Ok(PersonAnswer::Unknown(refusal.to_string()))
            }
            Err(ApiError::Refused(refusal)) if refusal.code == PERSON_NOT_VISIBLE => {
                Ok(match self.range {
                    // Nobody of the tenant is hidden, so the person is not of it.
                    ContactRange::Everything => PersonAnswer::Unknown(refusal.to_string()),
                    ContactRange::Part { .. } => PersonAnswer::NotVisible(refusal.to_string()),
                })
            }
            Err(error) => Err(self.lark.connector_error(error)),
        }
    }

    async fn has_department(&self, id: &str) -> Result<bool, ConnectorError> {
        if self.range == ContactRange::Everything {
            return Ok(false);
        }
        match self.lark.api.department(id).await {
            Ok(found) => {
                let status = found
                    .get("status")
                    .and_then(|status| status.get("is_deleted"));
                Ok(status != Some(&Value::Bool(true)))
            }
            Err(ApiError::Refused(_)) => Ok(true),
            Err(error) => Err(self.lark.connector_error(error)),
        }
    }
}

impl LarkDirectory {
    /// A page of people whom the application sees without a department. The page is the number of people
    /// before it.
    async fn single_people(&self, people: &[String], page: Option<&str>) -> Result<Page, ApiError> {
        let from = page.and_then(|page| page.parse().ok()).unwrap_or(0);
        let rest = people.get(from..).unwrap_or_default();
        let some = &rest[..rest.len().min(BATCH_MAX)];
        let items = match some.is_empty() {
            true => Vec::new(),
            false => self.lark.api.users(some).await?,
        };
        let end = from + some.len();
        let next = (end < people.len()).then(|| end.to_string());
        Ok(Page { items, next })
    }

    /// The person of a response; otherwise why it cannot be read.
    fn listed(&self, mut found: Object) -> Result<ListedPerson, String> {
        let union_id = person::text(&found, "union_id").filter(|id| is_identifier(id));
        let union_id = union_id.ok_or("a person without a union_id")?.to_owned();
        let status = match person::status(&found) {
            Status::Active => ListedStatus::Active,
            Status::Inactive(why) => ListedStatus::Inactive(why.to_owned()),
            Status::Missing => {
                ListedStatus::Unclear(format!("Lark sent no status: {}", person::status_remedy()))
            }
        };
        person::complete(&mut found, &union_id, &self.tree);
        let profile = person::profile(&self.tenant, &union_id, found);
        let profile = profile.map_err(|error| error.to_string())?;
        Ok(ListedPerson {
            subject: profile.subject.clone(),
            status,
            profile: current(profile),
        })
    }
}

fn invalid(message: &str) -> ConnectorError {
    ConnectorError::InvalidResponse(SourceRefusal::fault("contact", message))
}
