//! Problems and warnings of `[connector.ID.cas]`.

use super::parse;
use super::problems::{assert_problem, parse_error};
use super::warnings::warned_keys;

const SERVER: &str = "[server]\nexternal_url = 'https://sso.corp.example'\n[connector.p.cas]\n";
const URL: &str = "url = 'https://cas.corp.example/cas'\n";

/// An invalid setting, a valid one, the column of the error and words of its text.
type Setting = (&'static str, &'static str, usize, &'static str);

const URLS: &[Setting] = &[
    (
        "url = 'http://cas.corp.example/cas'",
        "url = 'http://cas.corp.example/cas'\nallow_http = true",
        7,
        "forge",
    ),
    (
        "url = 'https://cas.corp.example/cas?a=b'",
        "url = 'https://cas.corp.example/cas/login'",
        7,
        "query",
    ),
    (
        "url = 'https://cas.corp.example/#/login'",
        "url = 'https://cas.corp.example/'",
        7,
        "fragment",
    ),
    (
        "url = 'https://me:hunter2@cas.corp.example'",
        "url = 'https://cas.corp.example'",
        7,
        "without user",
    ),
    (
        "url = 'ldap://cas.corp.example'",
        "url = 'http://localhost'",
        7,
        "https://",
    ),
    (
        "url = 'cas.corp.example'",
        "url = 'https://cas.corp.example'",
        7,
        "url",
    ),
];

const OTHER_SETTINGS: &[Setting] = &[
    ("version = '4.0'", "version = '1.0'", 11, "3.0"),
    ("version = 3.0", "version = '3.0'", 11, "3.0"),
    ("version = 'CAS30'", "version = '2.0'", 11, "3.0"),
    ("user_case = 'lower'", "user_case = 'ignore'", 13, "exact"),
    ("renew = 'yes'", "renew = true", 9, "true or false"),
    (
        "proxies = ['*']",
        "proxies = ['https://a.corp.example/proxy']",
        12,
        "callback URL of a proxy",
    ),
    (
        "proxies = ['http://a.corp.example/']",
        "proxies = ['http://127.0.0.1/']",
        12,
        "https://",
    ),
    (
        "proxies = ['any']",
        "proxies = []",
        12,
        "callback URL of a proxy",
    ),
    (
        "login_url = 'http://cas.corp.example/'",
        "login_url = 'https://a.example/?b=c'",
        13,
        "forge",
    ),
    (
        "validate_url = 'http://cas.corp.example/'",
        "validate_url = 'http://127.0.0.1/'",
        16,
        "forge",
    ),
    (
        "logout_url = 'ftp://cas.corp.example/'",
        "logout_url = 'https://a.example/'",
        14,
        "https://",
    ),
    (
        "version = '1.0'\nproxies = ['https://a.example/']",
        "version = '2.0'\nproxies = ['https://a.example/']",
        1,
        "no proxy tickets",
    ),
    (
        "proxies = ['https://a.example/']\nrenew = true",
        "renew = true",
        1,
        "just entered",
    ),
];

#[test]
fn an_invalid_setting_is_refused_at_its_value() {
    for (bad, good, column, words) in URLS {
        let error = parse_error(&format!("{SERVER}{bad}\n"));
        assert_problem(&error, 4, *column, &[words]);
        parse(&format!("{SERVER}{good}\n"));
    }
    for (bad, good, column, words) in OTHER_SETTINGS {
        let text = format!("{SERVER}{URL}{bad}\n");
        assert_problem(&parse_error(&text), text.lines().count(), *column, &[words]);
        parse(&format!("{SERVER}{URL}{good}\n"));
    }
    assert_problem(&parse_error(SERVER), 3, 1, &["`url` is missing"]);
}

#[test]
fn a_server_without_single_logout_or_without_https_is_warned_about() {
    let warned = |lines: &str| {
        let warned = warned_keys(&format!("{SERVER}{URL}{lines}")).into_iter();
        let of_connector = warned.filter(|(key, _)| key.starts_with("connector"));
        of_connector.collect::<Vec<_>>()
    };
    assert_eq!(warned(""), []);
    let key = "connector.p.cas.single_logout".to_owned();
    assert_eq!(warned("single_logout = false\n"), [(key, 5)]);
    let key = "connector.p.cas.allow_http".to_owned();
    assert_eq!(warned("allow_http = true\n"), [(key, 5)]);
}

#[test]
fn a_route_that_asks_silently_needs_a_server_that_may_answer_silently() {
    let route =
        "[[route]]\nname = 'a'\nupstream = ['http://127.0.0.1:1']\nreload_user = 'always'\n";
    parse(&format!("{SERVER}{URL}{route}"));
    let text = format!("{SERVER}{URL}renew = true\n{route}");
    assert_problem(&parse_error(&text), 9, 15, &["only without `renew`"]);
}
