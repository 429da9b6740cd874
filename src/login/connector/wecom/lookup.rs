//! Asks WeCom about members who are signed in.

use async_trait::async_trait;

use super::super::kit::time_limit::within_limit;
use super::super::{ConnectorError, RefusalReason};
use super::{AuthorizeScope, WeCom, member};
use crate::people::person_lookup::{CurrentProfile, LookupError, PersonLookup, PersonStatus};
use crate::store::Subject;

/// The error code for a member who does not exist: deleted, or never seen by this application.
const NO_SUCH_MEMBER: i64 = 60111;

/// Disabled (已禁用), not activated (未激活) and left (退出企业). A status that is neither listed here nor active
/// ends sessions, but does not prove that the member is gone.
const INACTIVE_STATUSES: [i64; 3] = [2, 4, 5];

#[async_trait]
impl PersonLookup for WeCom {
    async fn look_up(&self, subject: &Subject) -> Result<PersonStatus, LookupError> {
        let userid = self
            .userid_of(subject)
            .ok_or(LookupError::OtherOrganisation)?;
        let status = within_limit("user/get", self.current_status(userid)).await;
        status.map_err(|error| LookupError::Unavailable(error.into()))
    }

    fn discard_departments(&self) {
        self.departments.discard();
    }
}

impl WeCom {
    /// The userid of a subject of this corporation. WeCom compares userids without regard to case, so it is
    /// enough to find the member.
    pub(super) fn userid_of<'a>(&self, subject: &'a Subject) -> Option<&'a str> {
        let (corp_id, userid) = subject.as_str().split_once(':')?;
        corp_id
            .eq_ignore_ascii_case(&self.corp_id)
            .then_some(userid)
    }

    async fn current_status(&self, userid: &str) -> Result<PersonStatus, ConnectorError> {
        let found = self.api.member(userid).await;
        let found = found.map_err(|error| self.connector_error(error));
        let active = found.and_then(|found| {
            member::require_active(&found, userid)?;
            Ok(found)
        });
        let mut member = match active {
            Ok(member) => member,
            Err(ConnectorError::Refused { why, source }) => {
                let text = source.to_string();
                return Ok(match why {
                    RefusalReason::Inactive if INACTIVE_STATUSES.contains(&source.code) => {
                        PersonStatus::Inactive(text)
                    }
                    _ if source.code == NO_SUCH_MEMBER => PersonStatus::Unknown(text),
                    _ => PersonStatus::OutOfRange(text),
                });
            }
            Err(error) => return Err(error),
        };
        let has_tags = self.add_organisation(&mut member).await;
        let profile = member::profile(&self.corp_id, member)?;
        Ok(PersonStatus::Active(CurrentProfile {
            raw: profile.raw,
            verified_fields: profile.verified_fields,
            is_complete: self.scope == AuthorizeScope::Base,
            has_tags,
        }))
    }
}
