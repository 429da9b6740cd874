//! Asks Lark about people who are signed in.

use async_trait::async_trait;

use super::super::kit::time_limit::within_limit;
use super::errors::{ApiError, NO_SUCH_PERSON};
use super::person::{self, Status};
use super::{ConnectorError, Lark};
use crate::people::person_lookup::{CurrentProfile, LookupError, PersonLookup, PersonStatus};
use crate::people::profile::Profile;
use crate::store::Subject;

#[async_trait]
impl PersonLookup for Lark {
    async fn look_up(&self, subject: &Subject) -> Result<PersonStatus, LookupError> {
        let status = within_limit("contact/users", self.current_status(subject)).await;
        let status = status.map_err(|error| LookupError::Unavailable(error.into()))?;
        status.ok_or(LookupError::OtherOrganisation)
    }

    fn discard_departments(&self) {
        self.departments.discard();
    }
}

impl Lark {
    /// The union_id of a subject of this tenant.
    pub(super) fn union_id_of<'a>(tenant: &str, subject: &'a Subject) -> Option<&'a str> {
        let (of, union_id) = subject.as_str().split_once(':')?;
        (of == tenant).then_some(union_id)
    }

    /// What Lark says about a person now; `None` for a person of another tenant.
    async fn current_status(
        &self,
        subject: &Subject,
    ) -> Result<Option<PersonStatus>, ConnectorError> {
        let tenant = self.tenant_key().await?;
        let Some(union_id) = Self::union_id_of(&tenant, subject) else {
            return Ok(None);
        };
        let found = match self.api.user(union_id).await {
            Ok(found) => found,
            // No proof that the person is gone: an ID is unknown to an application of another developer as
            // well. Together with the event of a deletion it is one.
            Err(ApiError::Refused(refusal)) if refusal.code == NO_SUCH_PERSON => {
                return Ok(Some(PersonStatus::Inactive(refusal.to_string())));
            }
            Err(error) => match self.connector_error(error) {
                ConnectorError::Refused { source, .. } => {
                    return Ok(Some(PersonStatus::OutOfRange(source.to_string())));
                }
                error => return Err(error),
            },
        };
        if let Status::Inactive(why) = person::status(&found) {
            return Ok(Some(PersonStatus::Inactive(why.to_owned())));
        }
        person::require_active(&found, union_id)?;
        let profile = self
            .profile_with_departments(&tenant, union_id, found)
            .await?;
        Ok(Some(PersonStatus::Active(current(profile))))
    }
}

/// A profile of the contact API, which has all fields that a login brings.
pub(super) fn current(profile: Profile) -> CurrentProfile {
    CurrentProfile {
        raw: profile.raw,
        verified_fields: profile.verified_fields,
        is_complete: true,
        has_tags: true,
    }
}
