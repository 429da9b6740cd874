//! Problems and warnings of `[connector.ID.lark]`.

use super::parse;
use super::problems::{assert_problem, parse_error};
use super::warnings::warned_keys;

/// The settings that every connector needs, in lines 1 to 5.
const REQUIRED: &str = "[server]\nexternal_url = 'https://sso.corp.example'\n[connector.fs.lark]\n\
    app_id = 'cli_1'\napp_secret = { file = '/etc/menshen/lark.secret' }\n";

const EVENTS: &str = "[connector.fs.lark.events]\n\
    verification_token = { file = '/etc/menshen/lark-events.token' }\n";

const KEY: &str = "encrypt_key = { file = '/etc/menshen/lark-events.key' }\n";

#[test]
fn an_invalid_setting_is_refused_at_its_value() {
    for (bad, good, column, words) in [
        (
            "tenant_key = 'a:b'",
            "tenant_key = '736588c9260f175d'",
            14,
            "letters",
        ),
        ("brand = 'larksuite'", "brand = 'lark'", 9, "lark"),
        (
            "scopes = ['a b']",
            "scopes = ['contact:user.email:readonly']",
            10,
            "a text of its own",
        ),
        (
            "api_base = 'ftp://x'",
            "api_base = 'https://relay.corp.example/x'",
            12,
            "https://",
        ),
        (
            "accounts_base = 'mailto:a@b'",
            "accounts_base = 'https://a.example'",
            17,
            "https://",
        ),
        (
            "authorize_url = 'data:x'",
            "authorize_url = 'https://a.example/?b=c'",
            17,
            "https://",
        ),
        (
            "token_url = 'data:x'",
            "token_url = 'https://a.example/oauth/v3/token'",
            13,
            "https://",
        ),
        ("sync_brake = 101", "sync_brake = 50", 14, "0 to 100"),
        (
            "contacts = true\nsync_every = '0s'",
            "contacts = true\nsync_every = '1h'",
            14,
            "one second",
        ),
    ] {
        let text = format!("{REQUIRED}{bad}\n");
        let line = text.lines().count();
        assert_problem(&parse_error(&text), line, column, &[words]);
        parse(&format!("{REQUIRED}{good}\n"));
    }
    let text = REQUIRED.replace("cli_1", "");
    assert_problem(&parse_error(&text), 4, 10, &["app_id", "cli_"]);
}

#[test]
fn events_and_syncs_need_the_contact_api() {
    let text = format!("{REQUIRED}sync_every = '1h'\n");
    assert_problem(
        &parse_error(&text),
        6,
        1,
        &["contact API", "contacts = true"],
    );
    let text = format!("{REQUIRED}{EVENTS}{KEY}");
    assert_problem(
        &parse_error(&text),
        6,
        20,
        &["contact API", "contacts = true"],
    );
    parse(&format!(
        "{REQUIRED}contacts = true\nsync_every = '1h'\n{EVENTS}{KEY}"
    ));
}

#[test]
fn weak_settings_are_warned_about() {
    let warned = |lines: &str| {
        let warned = warned_keys(&format!("{REQUIRED}{lines}")).into_iter();
        let of_connector = warned.filter(|(key, _)| key.starts_with("connector"));
        let keys = of_connector.map(|(key, _)| key.replace("connector.fs.lark.", ""));
        keys.collect::<Vec<_>>()
    };
    for (lines, expected) in [
        // Without contacts nobody is asked about after the login.
        (String::new(), ["connector.fs.lark"].as_slice()),
        ("contacts = true\n".to_owned(), &[]),
        (
            "contacts = true\nrevalidate = '0s'\n".to_owned(),
            &["revalidate"],
        ),
        ("revalidate = '0s'\n".to_owned(), &["connector.fs.lark"]),
        (
            "contacts = true\nsync_every = '1m'\n".to_owned(),
            &["sync_every"],
        ),
        ("contacts = true\nsync_every = '5m'\n".to_owned(), &[]),
        (
            "contacts = true\nsync_brake = 100\n".to_owned(),
            &["sync_brake"],
        ),
        (
            "contacts = true\napi_base = 'http://relay.corp.example'\n".to_owned(),
            &["api_base"],
        ),
        (
            "contacts = true\napi_base = 'http://127.0.0.1:1'\n".to_owned(),
            &[],
        ),
        (format!("contacts = true\n{EVENTS}"), &["events"]),
        (format!("contacts = true\n{EVENTS}{KEY}"), &[]),
    ] {
        assert_eq!(warned(&lines), expected, "{lines}");
    }
}

#[test]
fn a_connector_of_the_preset_and_one_of_the_kind_cannot_both_begin_in_the_client() {
    let preset = "[connector.a.oauth2]\npreset = 'feishu'\nclient_id = 'me'\n";
    let text = format!("{REQUIRED}{preset}");
    let error = parse_error(&text).to_string();
    assert!(error.contains("client of feishu"), "{error}");
    parse(&format!(
        "{REQUIRED}[connector.a]\nauto_login = 'never'\n{preset}"
    ));
}
