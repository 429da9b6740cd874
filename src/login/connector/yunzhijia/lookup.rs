//! Asks Yunzhijia about people who are signed in.

use std::time::Duration;

use async_trait::async_trait;
use tokio::time::timeout;

use super::api::GET_PERSON;
use super::{ConnectorError, Yunzhijia, person};
use crate::outbound::OutboundError;
use crate::people::directory_sync::ListedStatus;
use crate::people::person_lookup::{CurrentProfile, LookupError, PersonLookup, PersonStatus};
use crate::people::profile::Profile;
use crate::store::Subject;

/// The time limit of all API calls about one person.
const LOOKUP_TIMEOUT: Duration = Duration::from_secs(25);

#[async_trait]
impl PersonLookup for Yunzhijia {
    async fn look_up(&self, subject: &Subject) -> Result<PersonStatus, LookupError> {
        let openid = self
            .openid_of(subject)
            .ok_or(LookupError::OtherOrganisation)?;
        let asked = timeout(LOOKUP_TIMEOUT, self.current_status(openid)).await;
        let status = asked.unwrap_or_else(|_| {
            let call = GET_PERSON;
            Err(ConnectorError::NoUsableResponse(OutboundError::Timeout {
                call,
            }))
        });
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
