//! `check` names every mistake in the settings at its key.

use menshen::config::{Config, ConfigError};

use crate::chinese::assert_problems_are_chinese;

const SERVER: &str = "[server]\nexternal_url = 'https://sso.corp.example'\n\
                      trusted_proxies = ['10.0.0.1']\n[[route]]\nname = 'a'\n\
                      upstream = ['http://127.0.0.1:1']\n";

const URL: &str = "url = 'ldaps://ldap.corp.example'\n";

const BASE: &str = "base = 'ou=people,dc=corp'\n";

const GROUPS: &str = "member_of_base = 'ou=groups,dc=corp'\n";

fn parse(connector: &str, ldap: &str) -> Result<Config, ConfigError> {
    let text = format!("{SERVER}[connector.staff]\n{connector}[connector.staff.ldap]\n{ldap}");
    Config::parse(&text, "menshen.toml")
}

/// Asserts that the only problem is in the line of `key`.
fn assert_refused(connector: &str, ldap: &str, key: &str, words: &str) {
    let error = parse(connector, ldap).unwrap_err();
    assert_problems_are_chinese(&error);
    let shown = error.to_string();
    let text = format!("{SERVER}[connector.staff]\n{connector}[connector.staff.ldap]\n{ldap}");
    let line = text.lines().position(|line| line.starts_with(key)).unwrap() + 1;
    let lines: Vec<_> = error.problems.iter().map(|problem| problem.line).collect();
    assert_eq!(lines, [line], "{shown}");
    assert!(shown.contains(words), "{words}: {shown}");
}

#[test]
fn a_few_settings_are_enough() {
    for ldap in [
        format!("{URL}{BASE}{GROUPS}"),
        format!(
            "{URL}{BASE}{GROUPS}bind_dn = 'cn=gate,dc=corp'\nbind_password = {{ file = '/s' }}\n"
        ),
        format!(
            "{URL}{BASE}{GROUPS}bind_dn = 'gate@corp.example'\nbind_password = {{ file = '/s' }}\n"
        ),
        format!("{URL}{BASE}{GROUPS}bind_as = 'uid={{login}},ou=x,ou=people,dc=corp'\n"),
        format!("{URL}{BASE}{GROUPS}bind_as = '{{login}}@corp.example'\nrevalidate = '0s'\n"),
        format!(
            "url = ['ldap://a', 'ldapi://%2Frun%2Fldapi', 'ldaps://[::1]:1636']\n{BASE}{GROUPS}"
        ),
        format!(
            "{URL}{BASE}[connector.staff.ldap.groups]\nbase = 'ou=groups,dc=corp'\nnested = true\n"
        ),
        format!(
            "{URL}{BASE}[connector.staff.ldap.groups]\nbase = 'ou=groups,dc=corp'\n\
             filter = '(memberUid={{login}})'\n"
        ),
    ] {
        let config = parse("", &ldap).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(config.warnings(), [], "{ldap}");
    }
}

/// Lines after `url` and `base`, the key with the mistake, and a part of the error.
const MISTAKES: &[(&str, &str, &str)] = &[
    (
        "bind_dn = 'cn=gate,dc=corp'",
        "bind_dn",
        "needs bind_password",
    ),
    (
        "bind_password = { file = '/s' }",
        "bind_password",
        "needs bind_dn",
    ),
    (
        "bind_dn = 'cn=,dc=corp'\nbind_password = { file = '/s' }",
        "bind_dn",
        "not a distinguished name",
    ),
    (
        "bind_dn = ' '\nbind_password = { file = '/s' }",
        "bind_dn",
        "not a distinguished name",
    ),
    ("scope = 'sub'", "scope", "subtree"),
    (
        "filter = 'objectClass=person'",
        "filter",
        "a `(` is missing at character 1",
    ),
    (
        "filter = '(objectClass=person'",
        "filter",
        "a `)` is missing at character 20",
    ),
    ("filter = '(uid={login})'", "filter", "no placeholders"),
    ("login_attributes = []", "login_attributes", "is empty"),
    (
        "login_attributes = ['uid', 'a b']",
        "login_attributes",
        "not the name of an attribute",
    ),
    (
        "attributes = ['(x)']",
        "attributes",
        "not the name of an attribute",
    ),
    ("subject = ''", "subject", "not the name of an attribute"),
    ("bind_as = 'uid=x,ou=people,dc=corp'", "bind_as", "{login}"),
    (
        "bind_as = 'uid={login},ou={dn},ou=people,dc=corp'",
        "bind_as",
        "no other placeholder",
    ),
    (
        "bind_as = 'uid={login},ou=x,dc=corp'",
        "bind_as",
        "not below base",
    ),
    (
        "bind_as = 'uid={login},,dc=corp'",
        "bind_as",
        "not a distinguished name",
    ),
    (
        "bind_dn = 'cn=g,dc=c'\nbind_password = { file = '/s' }\nbind_as = '{login}@c'",
        "bind_as",
        "replaces bind_dn",
    ),
    (
        "bind_as = '{login}@c'\nrevalidate = '10m'",
        "revalidate",
        "only be asked while",
    ),
    (
        "member_of_base = 'groups'",
        "member_of_base",
        "not a distinguished name",
    ),
    (
        "member_of_base = 'ou=groups,dc=corp'\n[connector.staff.ldap.groups]\nbase = 'ou=groups,dc=corp'",
        "member_of_base",
        "groups replaces member_of_base",
    ),
    ("timeout = '50ms'", "timeout", "from 100ms to 20s"),
    ("timeout = '21s'", "timeout", "from 100ms to 20s"),
    (
        "[connector.staff.ldap.groups]\nbase = 'ou=groups,dc=corp'\nfilter = '(cn=x)'",
        "filter",
        "neither {dn} nor {login}",
    ),
    (
        "[connector.staff.ldap.groups]\nbase = 'ou=groups,dc=corp'\nfilter = '(member={dn}'",
        "filter",
        "a `)` is missing",
    ),
    (
        "[connector.staff.ldap.groups]\nbase = 'ou=groups,dc=corp'\n\
                 filter = '(memberUid={login})'\nnested = true",
        "nested",
        "needs {dn}",
    ),
    (
        "[connector.staff.ldap.groups]\nbase = 'ou=groups,dc=corp'\nname = 'c n'",
        "name = 'c n'",
        "not the name of an attribute",
    ),
];

#[test]
fn every_mistake_is_named_at_its_key() {
    for (ldap, key, words) in [
        (
            format!("url = 'https://ldap.corp.example'\n{BASE}"),
            "url",
            "ldaps://host",
        ),
        (format!("url = []\n{BASE}"), "url", "at least one"),
        (
            format!("url = ['ldap://a/dc=x']\n{BASE}"),
            "url",
            "without a path",
        ),
        (
            format!("{URL}base = 'people'\n"),
            "base",
            "not a distinguished name",
        ),
        (
            format!("{URL}base = ''\n"),
            "base",
            "not a distinguished name",
        ),
    ] {
        assert_refused("", &ldap, key, words);
    }
    for (more, key, words) in MISTAKES {
        assert_refused("", &format!("{URL}{BASE}{more}\n"), key, words);
    }
    let ldap = format!("{URL}{BASE}");
    let proxy = "proxy = 'http://proxy:3128'\n";
    assert_refused(proxy, &ldap, "proxy", "cannot forward LDAP");
}

#[test]
fn several_mistakes_are_named_together() {
    let ldap = format!("{URL}base = 'x'\nfilter = 'x'\nlogin_attributes = []\n");
    let error = parse("", &ldap).unwrap_err();
    assert_eq!(error.problems.len(), 3, "{error}");
}

#[test]
fn passwords_in_clear_text_and_a_changing_identifier_are_warned_of() {
    for (lines, warned) in [
        (
            "url = 'ldap://ldap.corp.example'\nstart_tls = false\n",
            Some("start_tls"),
        ),
        (
            "url = ['ldaps://a', 'ldap://b']\nstart_tls = false\n",
            Some("start_tls"),
        ),
        ("url = 'ldap://127.0.0.1'\nstart_tls = false\n", None),
        ("url = 'ldapi://%2Frun%2Fldapi'\nstart_tls = false\n", None),
        (
            "url = 'ldaps://ldap.corp.example'\nstart_tls = false\n",
            None,
        ),
        ("url = 'ldap://ldap.corp.example'\n", None),
        ("url = 'ldaps://a'\nsubject = 'dn'\n", Some("subject")),
    ] {
        let config = parse("", &format!("{lines}{BASE}{GROUPS}")).unwrap();
        let warnings = format!("{:?}", config.warnings());
        match warned {
            Some(key) => assert!(warnings.contains(key), "{lines}: {warnings}"),
            None => assert_eq!(warnings, "[]", "{lines}"),
        }
    }
}

#[test]
fn groups_of_anywhere_in_the_directory_are_warned_of() {
    let warnings = |more: &str| {
        let config = parse("", &format!("{URL}{BASE}{more}")).unwrap();
        config.warnings()
    };
    let warned = warnings("");
    assert_eq!(warned.len(), 1, "{warned:?}");
    assert_eq!(warned[0].key, "connector.staff.ldap");
    assert!(
        warned[0].text.to_string().contains("member_of_base"),
        "{warned:?}"
    );
    assert_eq!(warnings(GROUPS), []);
    let searched = "[connector.staff.ldap.groups]\nbase = 'ou=groups,dc=corp'\n";
    assert_eq!(warnings(searched), []);
}

#[test]
fn rules_about_departments_that_people_may_write_themselves_are_warned_of() {
    let warned = |route: &str, connector: &str| {
        let other = "[connector.other.local]\npeople = '/dev/null'\n";
        let text =
            format!("{SERVER}{route}{other}[connector.staff.ldap]\n{URL}{BASE}{GROUPS}{connector}");
        let config = Config::parse(&text, "menshen.toml").unwrap();
        let warnings = config.warnings().into_iter();
        let keys: Vec<_> = warnings.map(|warning| warning.key).collect();
        assert!(
            keys.iter().all(|key| key == "connector.staff.ldap"),
            "{keys:?}"
        );
        keys.len()
    };
    for rule in [
        "allow = \"'财务部' in user.departments\"\n",
        "allow = \"user.in_department('财务部')\"\n",
        "headers = { 'X-Department' = \"user.departments[0]\" }\n",
        "allow = \"'财务部' in user.departments\"\nconnectors = ['staff']\n",
    ] {
        assert_eq!(warned(rule, ""), 1, "{rule}");
        let mapping = "[connector.staff.mapping]\ndepartments = 'profile.department'\n";
        assert_eq!(warned(rule, mapping), 0, "{rule}");
    }
    for rule in [
        "",
        "allow = \"'staff' in user.groups\"\n",
        "allow = \"'财务部' in user.departments\"\nconnectors = ['other']\n",
    ] {
        assert_eq!(warned(rule, ""), 0, "{rule}");
    }
}

#[tokio::test]
async fn an_empty_bind_password_refuses_the_configuration() {
    let setup = crate::setup::Setup::default();
    let menshen = setup.clone().start().await;
    let ldap = format!("{URL}{BASE}bind_dn = 'cn=gate,dc=corp'\nbind_password = ''\n");
    let refused = menshen
        .reload(&setup.tables(&super::tables("", &ldap)))
        .await;
    assert!(refused.unwrap_err().contains("is empty"));
}
