//! What administrators ask of the directory and change in it.

use super::People;
use super::import::vouched;
use crate::store::{
    AccountChange, AccountId, EditOutcome, IdentityRecord, ImportOutcome, ImportedPerson,
    LinkField, PeopleQuery, PersonEdit, PersonRecord, StoreError,
};

impl People {
    /// The people that match, in the order of their login names.
    ///
    /// # Errors
    /// The store did not respond.
    pub async fn list(&self, query: &PeopleQuery) -> Result<Vec<PersonRecord>, StoreError> {
        self.store.people(query).await
    }

    /// The person with this account; `None` if there is no such account.
    ///
    /// # Errors
    /// The store did not respond.
    pub async fn person(&self, account: &AccountId) -> Result<Option<PersonRecord>, StoreError> {
        self.store.person(account).await
    }

    /// How a person can sign in, and the newest entries of their history, at most `changes_max`.
    ///
    /// # Errors
    /// The store did not respond.
    pub async fn details(
        &self,
        account: &AccountId,
        changes_max: u32,
    ) -> Result<(Vec<IdentityRecord>, Vec<AccountChange>), StoreError> {
        let identities = self.store.identity_records(account).await?;
        let changes = self.store.account_changes(account, None, changes_max);
        Ok((identities, changes.await?))
    }

    /// Creates people and changes those whose login name exists; all of them or none.
    ///
    /// # Errors
    /// The store failed: nothing has changed.
    pub async fn import(
        &self,
        people: &[ImportedPerson],
        by: &str,
    ) -> Result<ImportOutcome, StoreError> {
        self.store.import_people(people, by, self.clock.now()).await
    }

    /// Changes the login name or the fields of a person. Sessions continue under the new login name.
    ///
    /// # Errors
    /// The store failed: nothing has changed.
    pub async fn edit(
        &self,
        account: &AccountId,
        mut edit: PersonEdit,
        by: &str,
    ) -> Result<EditOutcome, StoreError> {
        for (field, value) in [
            (LinkField::Email, &edit.email),
            (LinkField::Mobile, &edit.mobile),
        ] {
            let Some(value) = value else { continue };
            let verified = match field {
                LinkField::Email => vouched(value.as_deref(), None),
                LinkField::Mobile => vouched(None, value.as_deref()),
            };
            let normalized = verified.into_iter().next().map(|(_, value)| value);
            edit.vouched.push((field, normalized));
        }
        let now = self.clock.now();
        let outcome = self.store.edit_person(account, &edit, by, now).await?;
        if let EditOutcome::Stored {
            log_position: Some(position),
        } = &outcome
        {
            self.sessions.apply_change(position);
        }
        Ok(outcome)
    }
}
