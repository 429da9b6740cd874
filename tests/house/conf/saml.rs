//! Problems and warnings of `[connector.ID.saml]`.

use menshen::clock::Clock;

use super::problems::{assert_problem, parse_error};
use super::warnings::warned_keys;
use super::{connector_deps, parse};
use crate::saml::keys::{own, stranger};
use crate::upstream::TempFolder;

const SERVER: &str = "[server]\nexternal_url = 'https://sso.corp.example'\n[connector.p.saml]\n";
const METADATA: &str = "metadata = 'https://idp.corp.example/metadata'\n";
const KEY: &str = "private_key = { env = 'K' }\ncertificate = '/etc/menshen/sp.pem'\n";

/// An invalid setting, a valid one, the column of the error and words of its text.
type Setting = (&'static str, &'static str, usize, &'static str);

const SOURCES: &[Setting] = &[
    (
        "metadata = 'http://idp.corp.example/metadata'",
        "metadata = 'http://idp.corp.example/metadata'\nallow_http = true",
        12,
        "forge",
    ),
    (
        "metadata = 'ftp://idp.corp.example/metadata'",
        "metadata = 'https://idp.corp.example/metadata?tenant=1'",
        12,
        "https://",
    ),
    (
        "metadata = 'https://me:hunter2@idp.corp.example'",
        "metadata = 'https://idp.corp.example'",
        12,
        "without user",
    ),
    (
        "metadata = '/etc/menshen/idp.xml'",
        "metadata = { file = '/etc/menshen/idp.xml' }",
        12,
        "{ file = ",
    ),
    (
        "metadata = { url = 'https://idp.corp.example' }",
        "metadata = { file = 'idp.xml' }",
        12,
        "allowed here: file",
    ),
];

const OTHER_SETTINGS: &[Setting] = &[
    (
        "metadata_refresh = '9s'",
        "metadata_refresh = '10s'",
        20,
        "at least 10s",
    ),
    ("entity_id = ''", "entity_id = 'menshen'", 13, "1024"),
    ("entity_id = ' a'", "entity_id = 'urn:a'", 13, "blanks"),
    ("idp_entity_id = ''", "idp_entity_id = 'a'", 17, "1024"),
    ("binding = 'soap'", "binding = 'post'", 11, "redirect"),
    ("signed = 'none'", "signed = 'both'", 10, "assertion"),
    (
        "encrypted = 'never'",
        "encrypted = 'optional'",
        13,
        "required",
    ),
    (
        "name_id_format = 'mail'",
        "name_id_format = 'email'",
        18,
        "persistent",
    ),
    (
        "name_id_format = 'transient'",
        "name_id_format = 'transient'\nsubject = 'profile.attributes.uid[0]'",
        18,
        "at each login",
    ),
    (
        "subject = 'profile.'",
        "subject = 'profile.attributes.uid[0]'",
        20,
        "does not compile",
    ),
    (
        "encrypted = 'required'",
        "encrypted = 'required'\nprivate_key = { env = 'K' }\ncertificate = '/c'",
        13,
        "private_key",
    ),
    (
        "private_key = { env = 'K' }",
        "private_key = { env = 'K' }\ncertificate = '/c'",
        1,
        "its certificate",
    ),
    (
        "certificate = '/c'",
        "certificate = '/c'\nprivate_key = { env = 'K' }",
        1,
        "its private_key",
    ),
];

#[test]
fn an_invalid_setting_is_refused_at_its_key_or_value() {
    for (bad, good, column, words) in SOURCES {
        let error = parse_error(&format!("{SERVER}{bad}\n"));
        assert_problem(&error, 4, *column, &[words]);
        parse(&format!("{SERVER}{good}\n"));
    }
    for (bad, good, column, words) in OTHER_SETTINGS {
        let error = parse_error(&format!("{SERVER}{METADATA}{bad}\n"));
        assert_problem(&error, 5, *column, &[words]);
        parse(&format!("{SERVER}{METADATA}{good}\n"));
    }
    assert_problem(&parse_error(SERVER), 3, 1, &["`metadata` is missing"]);
}

#[test]
fn posts_from_another_site_need_https() {
    let plain = SERVER.replace("https", "http");
    let error = parse_error(&format!("{plain}{METADATA}"));
    assert_problem(&error, 3, 14, &["external_url with https"]);
    let base = "[connector.p]\ncallback_base = 'http://sso.corp.example'\n[connector.p.saml]\n";
    let text = format!("{SERVER}{METADATA}").replace("[connector.p.saml]\n", base);
    assert_problem(&parse_error(&text), 4, 17, &["https here"]);
    parse(&text.replace("'http://", "'https://"));
}

#[test]
fn what_weakens_security_is_warned_about() {
    let warned = |lines: &str| {
        let warned = warned_keys(&format!("{SERVER}{METADATA}{KEY}{lines}")).into_iter();
        let of_connector = warned.filter(|(key, _)| key.starts_with("connector"));
        of_connector.map(|(key, _)| key).collect::<Vec<_>>()
    };
    let nothing: [String; 0] = [];
    let persistent = "name_id_format = 'persistent'\n";
    assert_eq!(warned(persistent), nothing);
    assert_eq!(warned("subject = 'profile.attributes.uid[0]'\n"), nothing);
    assert_eq!(warned(""), ["connector.p.saml"]);
    let unspecified = "name_id_format = 'unspecified'\n";
    assert_eq!(warned(unspecified), ["connector.p.saml"]);
    assert_eq!(warned(&format!("{persistent}clock_skew = '5m'\n")), nothing);
    for (key, value) in [
        ("allow_http", "true"),
        ("allow_sha1", "true"),
        ("allow_cbc", "true"),
        ("idp_initiated", "true"),
        ("clock_skew", "'301s'"),
    ] {
        let line = format!("{persistent}{key} = {value}\n");
        assert_eq!(warned(&line), [format!("connector.p.saml.{key}")]);
    }
}

#[test]
fn a_route_that_asks_silently_needs_the_session_cookie_in_posts() {
    let route =
        "[[route]]\nname = 'a'\nupstream = ['http://127.0.0.1:1']\nreload_user = 'always'\n";
    let warned = |session: &str| {
        let text = format!("{session}{SERVER}{METADATA}{route}");
        let keys = warned_keys(&text).into_iter().map(|(key, _)| key);
        keys.filter(|key| key.starts_with("route"))
            .collect::<Vec<_>>()
    };
    assert_eq!(warned(""), ["route[0].reload_user"]);
    let none: [String; 0] = [];
    assert_eq!(warned("[session]\ncookie_same_site = 'none'\n"), none);
}

fn build_error(folder: &TempFolder, lines: &str) -> Option<String> {
    let folder = folder.path("").display().to_string();
    let text = format!("{SERVER}{METADATA}{lines}").replace("FOLDER/", &folder);
    let config = parse(&text);
    let connector = config.connector.values().next().unwrap();
    let deps = connector_deps("p", &Clock::system());
    let built = connector.kind().unwrap().build(deps);
    built.err().map(|error| error.to_string())
}

#[test]
fn the_certificate_must_belong_to_the_private_key() {
    menshen::keys::install_crypto();
    let folder = TempFolder::new();
    folder.write("own.key", &own().private_pem);
    folder.write("own.pem", &own().certificate_pem);
    folder.write("other.pem", &stranger().certificate_pem);
    folder.write("text", "no key");
    let error = |key: &str, certificate: &str| {
        let lines = format!(
            "private_key = {{ file = 'FOLDER/{key}' }}\ncertificate = 'FOLDER/{certificate}'\n"
        );
        build_error(&folder, &lines).unwrap_or_default()
    };
    assert_eq!(error("own.key", "own.pem"), "");
    assert!(error("own.key", "other.pem").contains("not the certificate of private_key"));
    assert!(error("text", "own.pem").contains("saml.private_key"));
    assert!(error("own.key", "text").contains("saml.certificate"));
    assert!(error("own.key", "missing").contains("saml.certificate"));
}
