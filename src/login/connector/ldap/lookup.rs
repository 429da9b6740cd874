//! Asks the directory about people who are signed in.

use async_trait::async_trait;
use tokio::time::timeout;

use super::super::ConnectorError;
use super::connection::SearchAnswer;
use super::dn::Dn;
use super::entry::{self, GroupsError, ProfileReader};
use super::error::LdapError;
use super::filter::{Filter, Values};
use super::message::{Entry, SearchRequest, SearchScope};
use super::settings::{Account, SubjectSource};
use super::{LOGIN_TIMEOUT, Ldap, Searcher};
use crate::people::person_lookup::{CurrentProfile, LookupError, PersonLookup, PersonStatus};
use crate::store::Subject;
use crate::telemetry::error_chain;

const NO_ENTRY: &str = "the directory has no entry with this identifier";

/// The list of attributes that asks for none (RFC 4511 §4.5.1.8).
const NO_ATTRIBUTES: &str = "1.1";

/// An error text for administrators.
#[derive(Debug, thiserror::Error)]
#[error("the search finds nobody at all: may the account that searches still read `base`?")]
struct FindsNobody;

#[async_trait]
impl PersonLookup for Ldap {
    async fn look_up(&self, subject: &Subject) -> Result<PersonStatus, LookupError> {
        let asked = timeout(LOGIN_TIMEOUT, self.current_status(subject)).await;
        asked.unwrap_or_else(|_| Err(unavailable(LdapError::LoginTimeout)))
    }

    /// Entries name departments themselves.
    fn discard_departments(&self) {}
}

fn unavailable(error: impl Into<ConnectorError>) -> LookupError {
    LookupError::Unavailable(Box::new(error.into()))
}

impl Ldap {
    async fn current_status(&self, subject: &Subject) -> Result<PersonStatus, LookupError> {
        if !self.can_have(subject) {
            return Err(LookupError::OtherOrganisation);
        }
        let found = self
            .search_subject(subject, Some(&self.settings.filter), self.reader.asked())
            .await;
        let mut entries = match found {
            // People may write some of their own attributes; that must not keep them signed in.
            Err(error @ LdapError::TooLarge { .. }) => {
                return Ok(PersonStatus::OutOfRange(error.to_string()));
            }
            found => found.map_err(unavailable)?.entries,
        };
        if entries.len() > 1 {
            let names: Vec<_> = entries.iter().map(|entry| entry.dn.as_str()).collect();
            let text = format!("two entries have this identifier: {}", names.join("; "));
            return Ok(PersonStatus::OutOfRange(text));
        }
        let Some(entry) = entries.pop() else {
            return self.status_of_missing(subject).await;
        };
        if entry::is_disabled(&entry) {
            let text = format!("{} is disabled", entry.dn);
            return Ok(PersonStatus::Inactive(text));
        }
        match self.current_profile(&entry).await {
            Ok(current) => Ok(PersonStatus::Active(current)),
            // A login is refused, too. The former groups must not last because there are so many.
            Err(GroupsError::OfPerson(error)) => {
                Ok(PersonStatus::OutOfRange(error_chain(&error).to_string()))
            }
            Err(GroupsError::OfSource(error)) => Err(unavailable(error)),
        }
    }

    async fn current_profile(&self, entry: &Entry) -> Result<CurrentProfile, GroupsError> {
        let groups = self
            .groups_of(entry, &mut Searcher::Service(&self.directory))
            .await?;
        Ok(CurrentProfile {
            raw: self.reader.raw(entry, groups),
            verified_fields: ProfileReader::verified_fields(entry),
            is_complete: true,
            has_tags: true,
        })
    }

    /// Nobody who may sign in has the subject. An entry that no longer matches `filter` may return, one that
    /// is gone may not. An account that searches and lost its rights finds neither.
    async fn status_of_missing(&self, subject: &Subject) -> Result<PersonStatus, LookupError> {
        let anywhere = self
            .search_subject(subject, None, &[NO_ATTRIBUTES.to_owned()])
            .await
            .map_err(unavailable)?;
        if let Some(entry) = anywhere.entries.first() {
            let text = format!("{} does not match `filter`", entry.dn);
            return Ok(PersonStatus::OutOfRange(text));
        }
        let anybody = self.search_people(&self.settings.filter, Values::default(), 1);
        match anybody.await.map_err(unavailable)?.0.entries.is_empty() {
            true => Err(LookupError::Unavailable(Box::new(FindsNobody))),
            // Another server of the directory may not have the entry yet. Its identifier is never given to
            // somebody else, so the account can wait for its person.
            false if self.settings.subject == SubjectSource::Auto => {
                Ok(PersonStatus::OutOfRange(NO_ENTRY.to_owned()))
            }
            false => Ok(PersonStatus::Unknown(NO_ENTRY.to_owned())),
        }
    }

    /// Searches the entry with a subject, among those that also match a filter.
    async fn search_subject(
        &self,
        subject: &Subject,
        among: Option<&Filter>,
        attributes: &[String],
    ) -> Result<SearchAnswer, LdapError> {
        let mut filters: Vec<_> = among.into_iter().cloned().collect();
        let (base, scope) = match self.reader.filter_of(subject) {
            Some(filter) => {
                filters.push(filter);
                (self.settings.base.as_str(), self.settings.scope)
            }
            None => (subject.as_str(), SearchScope::Base),
        };
        let filter = match filters.is_empty() {
            true => Filter::Present("objectClass".to_owned()),
            false => Filter::And(filters),
        };
        let request = SearchRequest {
            base,
            scope,
            size_limit: 2,
            filter: &filter.encode(Values::default()),
            attributes,
        };
        let (answer, _) = self.directory.search(&request).await?;
        Ok(answer)
    }

    /// Whether an entry can have the subject: a DN must be below `base`.
    fn can_have(&self, subject: &Subject) -> bool {
        self.settings.subject != SubjectSource::Dn
            || Dn::parse(subject.as_str()).is_ok_and(|dn| dn.is_within(&self.settings.base_dn))
    }

    /// Whether people can be looked up without their passwords.
    pub(super) fn can_look_up(&self) -> bool {
        !matches!(self.settings.account, Account::Person(_))
    }
}
