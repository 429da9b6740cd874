//! A login with `bind_as`: the person binds first, then menshen reads their entry as the person.

use super::super::credentials::PasswordCredentials;
use super::super::{ConnectorError, RefusalReason, brought};
use super::connection::{Connection, SearchAnswer};
use super::directory::ServerIndex;
use super::error::LdapError;
use super::filter::{Filter, Values};
use super::message::{Entry, SearchRequest, SearchScope};
use super::settings::BindAs;
use super::{Ldap, Searcher, answers, only_entry, require_dn, spelling};
use crate::login::limits::PasswordAttempt;
use crate::people::profile::Profile;

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
            Err(answers::refused(why, brought::FORM, 0, message))
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
        let (mut connection, answer, server) = bound?;
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
                let own = self.bind_to(&entry, server, credentials, attempt).await?;
                tokio::spawn(std::mem::replace(&mut connection, own).close());
                entry
            }
        };
        let mut searcher = Searcher::Connection(&mut connection);
        let profile = self.profile(&entry, &mut searcher).await?;
        tokio::spawn(connection.close());
        Ok(profile)
    }

    /// Sends the password with the DN of the entry. Active Directory takes a name for the person with this
    /// `userPrincipalName` before the one whose `sAMAccountName` makes the same name, in any domain of the
    /// forest, so the account that bound may be another one than the entry.
    async fn bind_to(
        &self,
        entry: &Entry,
        server: ServerIndex,
        credentials: PasswordCredentials<'_>,
        attempt: &mut PasswordAttempt,
    ) -> Result<Connection, ConnectorError> {
        require_dn(entry)?;
        attempt
            .count_for(&entry.dn)
            .await
            .map_err(|paused| answers::paused(entry, paused))?;
        let bound = self
            .directory
            .bind(Some(server), &entry.dn, credentials.password)
            .await;
        let (connection, answer, _) = bound?;
        answers::require_accepted(&answer, &entry.dn, &connection)?;
        Ok(connection)
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
}
