//! Asks Yunzhijia about people who are signed in.

use async_trait::async_trait;

use super::super::kit::time_limit::within_limit;
use super::api::GET_PERSON;
use super::{ConnectorError, Yunzhijia, person};
use crate::people::directory_sync::ListedStatus;
use crate::people::person_lookup::{CurrentProfile, LookupError, PersonLookup, PersonStatus};
use crate::people::profile::Profile;
use crate::store::Subject;

#[async_trait]
impl PersonLookup for Yunzhijia {
    async fn look_up(&self, subject: &Subject) -> Result<PersonStatus, LookupError> {
        let openid = self
            .openid_of(subject)
            .ok_or(LookupError::OtherOrganisation)?;
        let status = within_limit(GET_PERSON, self.current_status(openid)).await;
        status.map_err(|error| LookupError::Unavailable(error.into()))
    }

    fn discard_departments(&self) {
        self.departments.discard();
    }
}

impl Yunzhijia {
    /// The openid of a subject of this team.
    pub(super) fn openid_of<'a>(&self, subject: &'a Subject) -> Option<&'a str> {
        let (eid, openid) = subject.as_str().split_once(':')?;
        (eid == self.eid).then_some(openid)
    }

    async fn current_status(&self, openid: &str) -> Result<PersonStatus, ConnectorError> {
        let found = self.api.person(openid).await;
        let Some(found) = found.map_err(|error| error.into_error())? else {
            return Ok(PersonStatus::Unknown(person::ABSENT.to_owned()));
        };
        person::require_requested(&found, openid)?;
        match person::status(&found) {
            ListedStatus::Active => {}
            ListedStatus::Inactive(why) => return Ok(PersonStatus::Inactive(why)),
            // Without a clear status the sessions end, but nothing proves that the person is gone.
            ListedStatus::Unclear(why) => return Ok(PersonStatus::OutOfRange(why)),
        }
        let tree = self.tree_for(&found).await;
        let profile = person::profile_of_contacts(&self.eid, found, &tree)?;
        Ok(PersonStatus::Active(current(profile)))
    }
}

/// A profile of the contacts. Only a login brings the mobile number.
pub(super) fn current(profile: Profile) -> CurrentProfile {
    CurrentProfile {
        raw: profile.raw,
        verified_fields: profile.verified_fields,
        is_complete: false,
        has_tags: true,
    }
}
