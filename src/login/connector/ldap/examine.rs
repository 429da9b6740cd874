//! `check --online`: connects to every server, binds and searches one person.

use super::super::Finding;
use super::Ldap;
use super::directory::ServerIndex;
use super::error::LdapError;
use super::filter::Values;
use super::ldap_url::LdapUrl;
use super::message::{Entry, SearchRequest};
use super::settings::Account;
use crate::telemetry::error_chain;

/// Checks everything that needs no password of a person.
pub(super) async fn examine(ldap: &Ldap) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (index, url) in ldap.directory.servers() {
        findings.extend(server(ldap, index, url).await);
    }
    findings
}

async fn server(ldap: &Ldap, index: ServerIndex, url: &LdapUrl) -> Vec<Finding> {
    let mut connection = match ldap.directory.connect_as_service(Some(index)).await {
        Ok((connection, _)) => connection,
        Err(error) => return vec![failed(url, &error)],
    };
    let account = match &ldap.settings.account {
        Account::Person(_) => {
            connection.close().await;
            let text = format!(
                "{url} can be reached; with bind_as nothing can be searched without a person's password"
            );
            return vec![Finding::good(text)];
        }
        Account::Service(name) => format!("{url} accepts bind_dn {name:?}"),
        Account::Anonymous => format!("{url} can be reached; the search is anonymous"),
    };
    let mut findings = vec![Finding::good(account)];
    let settings = &ldap.settings;
    let request = SearchRequest {
        base: &settings.base,
        scope: settings.scope,
        size_limit: 1,
        filter: &settings.filter.encode(Values::default()),
        attributes: ldap.reader.asked(),
    };
    findings.push(match connection.search(&request).await {
        Err(error) => failed(url, &error),
        Ok(answer) if !answer.base_exists => Finding::bad(format!(
            "{url} has no base {:?}, or hides it from the account that searches",
            settings.base
        )),
        Ok(answer) => match answer.entries.first() {
            None => Finding::bad(format!(
                "{url} finds nobody: check base and filter, and what the account that searches may read"
            )),
            Some(entry) => person(ldap, url, entry),
        },
    });
    connection.close().await;
    findings
}

/// What a login of the person who was found would get.
fn person(ldap: &Ldap, url: &LdapUrl, entry: &Entry) -> Finding {
    let Some(login) = ldap.reader.login(entry) else {
        return Finding::bad(format!(
            "{url} finds {}, which has none of login_attributes",
            entry.dn
        ));
    };
    match ldap.reader.subject(entry) {
        Ok(subject) => Finding::good(format!(
            "{url} finds people; the first is {} with the login {login} and the identifier {subject}",
            entry.dn
        )),
        Err(error) => Finding::bad(format!("{url}: {}", error_chain(&error))),
    }
}

fn failed(url: &LdapUrl, error: &LdapError) -> Finding {
    Finding::bad(format!("{url}: {}", error_chain(error)))
}
