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
use crate::text;
use crate::wording::Text;

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
            let text = text!(
                "{url} can be reached; with bind_as nothing can be searched without a person's password",
                "{url} 可以访问；使用 bind_as 时，没有人员的密码就无法搜索"
            );
            return vec![Finding::good(text)];
        }
        Account::Service(name) => text!(
            "{url} accepts bind_dn {name:?}",
            "{url} 接受 bind_dn {name:?}"
        ),
        Account::Anonymous => text!(
            "{url} can be reached; the search is anonymous",
            "{url} 可以访问；以匿名身份搜索"
        ),
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
        Ok(answer) if !answer.base_exists => Finding::bad(text!(
            "{url} has no base {:?}, or hides it from the account that searches",
            "{url} 没有 base {:?}，或者搜索所用的账号看不到它",
            settings.base
        )),
        Ok(answer) => match answer.entries.first() {
            None => Finding::bad(text!(
                "{url} finds nobody: check base and filter, and what the account that searches may read",
                "{url} 找不到任何人：请检查 base 和 filter，以及搜索所用账号的读取权限"
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
        return Finding::bad(text!(
            "{url} finds {}, which has none of login_attributes",
            "{url} 找到了 {}，但它没有 login_attributes 中的任何属性",
            entry.dn
        ));
    };
    match ldap.reader.subject(entry) {
        Ok(subject) => Finding::good(text!(
            "{url} finds people; the first is {} with the login {login} and the identifier {subject}",
            "{url} 能找到人员；第一位是 {}，登录名是 {login}，标识是 {subject}",
            entry.dn
        )),
        Err(error) => {
            let (error, dn) = (error_chain(&error), &entry.dn);
            Finding::bad(text!(
                "{url}: {error}",
                "{url}：{dn} 没有可用的标识：请在 `subject` 中写一个每个人都有、只有一个文本值的属性"
            ))
        }
    }
}

/// The error names its server, except one that is about none of them.
fn failed(url: &LdapUrl, error: &LdapError) -> Finding {
    let why = error_chain(error);
    Finding::bad(match error {
        LdapError::PoolBusy | LdapError::LoginTimeout => text!("{url}: {why}", "{url}：{why:#}"),
        _ => Text::of(&why),
    })
}
