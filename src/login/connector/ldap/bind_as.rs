//! A login with `bind_as`: the person binds first, then menshen reads their entry as the person.

use super::super::credentials::PasswordCredentials;
use super::super::{ConnectorError, RefusalReason};
use super::connection::{Connection, SearchAnswer};
use super::dn::Dn;
use super::error::{LdapError, WHO_AM_I};
use super::filter::{Filter, Values};
use super::message::{Entry, SearchRequest, SearchScope};
use super::settings::BindAs;
use super::{Ldap, Searcher, answers, entry, only_entry, spelling};
use crate::login::limits::PasswordAttempt;
use crate::people::profile::Profile;

/// The attribute with the account name, which Active Directory answers to "Who am I?" as `u:DOMAIN\name`.
pub(super) const ACCOUNT_NAME: &str = "sAMAccountName";

/// The attribute with the name in the form of an address.
const PRINCIPAL_NAME: &str = "userPrincipalName";

impl Ldap {
    /// Sends the password with the name that the settings make of the login, then reads the entry.
    pub(super) async fn bind_and_search(
        &self,
        bind_as: &BindAs,
        credentials: PasswordCredentials<'_>,
        attempt: &mut PasswordAttempt,
    ) -> Result<Profile, ConnectorError> {
        let login = credentials.login;
        let refused = |message: String| {
            let why = RefusalReason::WrongPassword;
            Err(answers::refused(why, "the form", 0, message))
        };
        let Some(name) = bind_as.name_of(login) else {
            return refused("the user name cannot be a part of the name in bind_as".to_owned());
        };
        // Nobody knows yet whose name it is, so all spellings that a directory may take for it count
        // together.
        if let Err(paused) = attempt.count_for(&spelling::folded(&name)).await {
            return refused(format!("{paused}; the directory was not asked"));
        }
        let bound = self.directory.bind(None, &name, credentials.password).await;
        let (mut connection, answer) = bound?;
        // Without the name, which was typed: some people type their password there.
        answers::require_accepted(&answer, "the name in bind_as", &connection)?;
        let values = Values { login, dn: "" };
        let settings = &self.settings;
        let entry = match bind_as {
            // Only the entry that was bound to can be the person.
            BindAs::Dn(_) => {
                let found = (name.as_str(), SearchScope::Base, &settings.filter);
                self.search_as_person(&mut connection, found, values)
                    .await?
            }
            BindAs::Name(_) => {
                let found = (
                    settings.base.as_str(),
                    settings.scope,
                    &settings.login_filter,
                );
                let entry = self
                    .search_as_person(&mut connection, found, values)
                    .await?;
                self.require_bound(&entry, &name, &mut connection).await?;
                entry
            }
        };
        let mut searcher = Searcher::Connection(&mut connection);
        let profile = self.profile(&entry, &mut searcher).await?;
        tokio::spawn(connection.close());
        Ok(profile)
    }

    async fn search_as_person(
        &self,
        connection: &mut Connection,
        (base, scope, filter): (&str, SearchScope, &Filter),
        values: Values<'_>,
    ) -> Result<Entry, ConnectorError> {
        let answer = self.search_on(connection, (base, scope, filter), values);
        only_entry(answer.await?, base)
    }

    async fn search_on(
        &self,
        connection: &mut Connection,
        (base, scope, filter): (&str, SearchScope, &Filter),
        values: Values<'_>,
    ) -> Result<SearchAnswer, LdapError> {
        let request = SearchRequest {
            base,
            scope,
            size_limit: 2,
            filter: &filter.encode(values),
            attributes: self.reader.asked(),
        };
        connection.search(&request).await
    }

    /// Refuses an entry of somebody else. Active Directory prefers the person with this `userPrincipalName` to
    /// the one whose `sAMAccountName` makes the same name.
    async fn require_bound(
        &self,
        entry: &Entry,
        name: &str,
        connection: &mut Connection,
    ) -> Result<(), ConnectorError> {
        let identity = connection.who_am_i().await?;
        let is_same = match identity.as_deref().and_then(|id| id.split_once(':')) {
            Some(("dn", dn)) => is_same_entry(dn, &entry.dn),
            Some(("u", user)) => {
                let account = user.rsplit('\\').next().unwrap_or(user);
                let known = entry::first_text(entry, ACCOUNT_NAME);
                known.is_some_and(|known| known.eq_ignore_ascii_case(account))
            }
            _ => self.has_no_other(entry, name, connection).await?,
        };
        match is_same {
            true => Ok(()),
            false => Err(answers::refused(
                RefusalReason::WrongPassword,
                WHO_AM_I,
                0,
                format!(
                    "{name} is {:?} for the directory, and not {}",
                    identity.unwrap_or_default(),
                    entry.dn
                ),
            )),
        }
    }

    /// Whether nobody else has this name, for directories that do not say who is bound.
    async fn has_no_other(
        &self,
        entry: &Entry,
        name: &str,
        connection: &mut Connection,
    ) -> Result<bool, LdapError> {
        let settings = &self.settings;
        let filter = Filter::equals(PRINCIPAL_NAME, name.as_bytes().to_vec());
        let found = (settings.base.as_str(), settings.scope, &filter);
        let answer = self.search_on(connection, found, Values::default()).await?;
        let mut entries = answer.entries.iter();
        Ok(!answer.is_truncated && entries.all(|other| is_same_entry(&other.dn, &entry.dn)))
    }
}

fn is_same_entry(one: &str, other: &str) -> bool {
    match (Dn::parse(one), Dn::parse(other)) {
        (Ok(one), Ok(other)) => one == other,
        _ => false,
    }
}
