//! Asks DingTalk about members who are signed in.

use async_trait::async_trait;
use serde_json::Value;

use super::super::kit::time_limit::within_limit;
use super::super::{ConnectorError, RefusalReason};
use super::errors::NO_SUCH_MEMBER;
use super::{DingTalk, member};
use crate::people::person_lookup::{CurrentProfile, LookupError, PersonLookup, PersonStatus};
use crate::store::Subject;

#[async_trait]
impl PersonLookup for DingTalk {
    async fn look_up(&self, subject: &Subject) -> Result<PersonStatus, LookupError> {
        let userid = self
            .userid_of(subject)
            .ok_or(LookupError::OtherOrganisation)?;
        let status = within_limit("topapi/v2/user/get", self.current_status(userid)).await;
        status.map_err(|error| LookupError::Unavailable(error.into()))
    }

    fn discard_departments(&self) {
        self.departments.discard();
    }
}

impl DingTalk {
    /// The userid of a subject of this organisation.
    pub(super) fn userid_of<'a>(&self, subject: &'a Subject) -> Option<&'a str> {
        let (corp_id, userid) = subject.as_str().split_once(':')?;
        (corp_id == self.console.corp_id).then_some(userid)
    }

    async fn current_status(&self, userid: &str) -> Result<PersonStatus, ConnectorError> {
        let found = self.api.member(userid).await;
        let found = match found.map_err(|error| self.connector_error(error)) {
            Ok(found) => found,
            Err(ConnectorError::Refused { source, .. }) => {
                let text = source.to_string();
                return Ok(match source.code {
                    NO_SUCH_MEMBER => PersonStatus::Unknown(text),
                    _ => PersonStatus::OutOfRange(text),
                });
            }
            Err(error) => return Err(error),
        };
        match member::require_active(&found, userid) {
            Ok(()) => {}
            Err(ConnectorError::Refused {
                why: RefusalReason::Inactive,
                source,
            }) => {
                let text = source.to_string();
                // Without a clear status the sessions end, but nothing proves that the member is gone.
                return Ok(match found.get("active") {
                    Some(Value::Bool(false)) => PersonStatus::Inactive(text),
                    _ => PersonStatus::OutOfRange(text),
                });
            }
            Err(error) => return Err(error),
        }
        let member = self.with_departments(found).await;
        let profile = member::profile(&self.console.corp_id, member)?;
        Ok(PersonStatus::Active(CurrentProfile {
            raw: profile.raw,
            verified_fields: profile.verified_fields,
            is_complete: true,
            has_tags: true,
        }))
    }
}
