//! `Listing`: reads the departments that the application may see.

use serde_json::Value;

use super::super::super::kit::department_tree::DEPARTMENTS_MAX;
use super::super::api::{Api, ContactScope, Page};
use super::super::errors::{ApiError, DEPARTMENT_NOT_VISIBLE};
use super::super::person::text;
use super::{DepartmentTree, ROOT, read};
use crate::outbound::OutboundError;

/// The most pages of one list that are read.
const PAGES_MAX: usize = 1_000;

/// The departments that the application may see, and how much of the tenant that is.
#[derive(Debug)]
pub(in super::super) struct Listing {
    pub(in super::super) tree: DepartmentTree,
    pub(in super::super) range: ContactRange,
}

/// How much of the contacts the application may see (通讯录权限范围).
#[derive(Debug, PartialEq, Eq)]
pub(in super::super) enum ContactRange {
    /// The whole tenant.
    Everything,
    /// Some departments, and these people.
    Part { people: Vec<String> },
}

impl Listing {
    /// Reads everything that the application may see.
    pub(in super::super) async fn load(api: &Api) -> Result<Self, ApiError> {
        match departments_below(api, ROOT).await {
            Ok(list) => {
                let root = match api.department(ROOT).await {
                    // Its name is needed for paths; without one they begin below the root.
                    Ok(root) => Some(root).filter(|root| text(root, "name").is_some()),
                    Err(ApiError::Refused(_)) => None,
                    Err(error) => return Err(error),
                };
                Ok(Self {
                    tree: read(&list, root.as_ref()),
                    range: ContactRange::Everything,
                })
            }
            Err(error) if error.code() == Some(DEPARTMENT_NOT_VISIBLE) => Self::part(api).await,
            Err(error) => Err(error),
        }
    }

    /// Reads what an application may see that does not see the whole tenant.
    async fn part(api: &Api) -> Result<Self, ApiError> {
        let scope = contact_scope(api).await?;
        let mut list = Vec::new();
        for id in &scope.departments {
            list.push(Value::Object(api.department(id).await?));
            list.extend(departments_below(api, id).await?);
            if list.len() > DEPARTMENTS_MAX {
                break;
            }
        }
        Ok(Self {
            tree: read(&list, None),
            range: ContactRange::Part {
                people: scope.people,
            },
        })
    }
}

async fn departments_below(api: &Api, id: &str) -> Result<Vec<Value>, ApiError> {
    let mut all = Vec::new();
    let mut next: Option<String> = None;
    for _ in 0..PAGES_MAX {
        let page: Page = api.departments_below(id, next.as_deref()).await?;
        all.extend(page.items);
        if page.next.is_none() || all.len() > DEPARTMENTS_MAX {
            return Ok(all);
        }
        next = page.next;
    }
    Err(endless("contact/departments/children"))
}

async fn contact_scope(api: &Api) -> Result<ContactScope, ApiError> {
    let mut all = ContactScope::default();
    for _ in 0..PAGES_MAX {
        let page = api.contact_scope(all.next.as_deref()).await?;
        all.departments.extend(page.departments);
        all.people.extend(page.people);
        all.next = page.next;
        if all.next.is_none() {
            return Ok(all);
        }
    }
    Err(endless("contact/scopes"))
}

fn endless(call: &'static str) -> ApiError {
    let missing = "an end of its pages";
    ApiError::NoUsableResponse(OutboundError::Incomplete { call, missing })
}
