//! Passwords of all shapes are looked for wherever a login could leave them: logs at every level, pages, headers,
//! errors, the files of the store, and `Debug`.

mod sources;
pub(crate) mod traces;

use menshen::config::Config;
use menshen::login::connector::AuthnResponse;
use menshen::login::connector::credentials::PasswordCredentials;
use menshen::login::connector::local::PasswordHash;
use menshen::login::fields::Fields;
use menshen::secret::Secret;
use menshen::store::SessionOrigin;
use serde_json::{Value, json};

use crate::browser::Browser;
use crate::command::serving::Program;
use crate::connector_features::flow_id_in;
use crate::ldap_directory::encoding::{message, result};
use crate::ldap_directory::{Fault, On};
use crate::logging_in::OWN_PAGES;
use crate::records::Records;
use crate::setup::{Menshen, SSO_URL};
use crate::wire::Answer;
use sources::{Sources, hash, login_of};
use traces::{CORE, assert_no_trace, passwords};

const FORM: &str = "application/x-www-form-urlencoded";
const JSON: &str = "application/json";

/// Everything that browsers received.
#[derive(Default)]
struct Shown(String);

impl Shown {
    fn keep(&mut self, answer: &Answer) {
        self.0.push_str(&answer.text());
        self.0.push_str(&format!("{:?}\n", answer.headers));
    }
}

fn encoded(fields: &[(&str, &str)]) -> String {
    let mut form = url::form_urlencoded::Serializer::new(String::new());
    form.extend_pairs(fields);
    form.finish()
}

async fn post(browser: &mut Browser, path: &str, content_type: &str, body: &str) -> Answer {
    let headers = [
        ("Accept", "text/html"),
        ("Content-Type", content_type),
        ("Origin", SSO_URL),
        ("Sec-Fetch-Site", "same-origin"),
    ];
    let url = format!("{OWN_PAGES}{path}");
    browser.send("POST", &url, &headers, body.as_bytes()).await
}

/// Begins a login; returns its flow, and the sealed flow.
async fn begin(browser: &mut Browser, connector: &str) -> Value {
    let url = format!("{OWN_PAGES}/login-config/{connector}");
    let headers = [("Origin", SSO_URL), ("Sec-Fetch-Site", "same-origin")];
    browser.send("GET", &url, &headers, b"").await.json()
}

/// Submits the form of a connector; returns the answer.
async fn sign_in(browser: &mut Browser, connector: &str, login: &str, password: &str) -> Answer {
    let start = format!("{OWN_PAGES}/start?connector={connector}&rd=%2Fecho");
    let flow = flow_id_in(&browser.follow(&start).await.answer.text());
    let fields = [
        ("flow", flow.as_str()),
        ("rd", "/echo"),
        ("login", login),
        ("password", password),
    ];
    let path = format!("/password/{connector}");
    post(browser, &path, FORM, &encoded(&fields)).await
}

/// Signs one person in, and makes every mistake with their password.
async fn use_password(menshen: &Menshen, connector: &str, number: usize, shown: &mut Shown) {
    let passwords = passwords();
    let password = passwords[number].as_str();
    let wrong = passwords[(number + 1) % passwords.len()].as_str();
    let login = login_of(connector, number);
    let (with_nul, long) = (format!("{password}\0"), password.repeat(1_024 / CORE.len()));
    let mistakes = match number % 8 {
        0 => &[(login.as_str(), &*with_nul, 401), (&*login, &*long, 401)][..],
        _ => &[],
    };
    let attempts = [
        (login.as_str(), password, 303),
        (&*login, wrong, 401),
        ("nobody", password, 401),
    ];
    for (login, password, status) in attempts.iter().chain(mistakes).copied() {
        let mut browser = Browser::new(menshen);
        let answer = sign_in(&mut browser, connector, login, password).await;
        assert_eq!(answer.status, status, "{connector} {password:?}");
        shown.keep(&answer);
        shown.keep(&browser.visit(&format!("{SSO_URL}/echo")).await);
        shown.keep(&browser.visit(&format!("{OWN_PAGES}/userinfo")).await);
    }
    // Some people type the password as their name. The page repeats the name.
    let mut browser = Browser::new(menshen);
    let typed = sign_in(&mut browser, connector, password, password).await;
    assert_eq!(typed.status, 401);
    let path = format!("/login/{connector}");
    for (login, password, status) in [
        (&*login, password, 200),
        (&*login, wrong, 401),
        (password, password, 401),
    ] {
        let state = begin(&mut browser, connector).await["state"].clone();
        let body = json!({ "login": login, "password": password, "state": state }).to_string();
        let answer = post(&mut browser, &path, JSON, &body).await;
        assert_eq!(answer.status, status, "{connector} {password:?}");
        shown.keep(&answer);
    }
}

/// Submissions of the form that are refused before a password is checked.
fn malformed_forms(password: &str) -> Vec<(&'static str, String)> {
    let too_long = password.repeat(20_000 / password.len());
    vec![
        (
            FORM,
            encoded(&[("password", password), ("password", password)]),
        ),
        (FORM, encoded(&[("login", "a"), ("password", password)])),
        (FORM, encoded(&[("flow", password), ("password", password)])),
        (FORM, encoded(&[("password", &too_long)])),
        (JSON, json!({ "password": password }).to_string()),
        ("text/plain", password.to_owned()),
    ]
}

/// The same of a front end.
fn malformed_logins(password: &str, state: &Value) -> Vec<(&'static str, String)> {
    let with = |more: Value| {
        let mut body = json!({ "login": "a", "password": password, "state": state });
        crate::provider::merge(&mut body, &more);
        (JSON, body.to_string())
    };
    vec![
        with(json!({ "state": null })),
        with(json!({ "more": password })),
        with(json!({ "login": null, "password": null, "code": password })),
        with(json!({ "password": [password] })),
        with(json!({ "state": password })),
        with(json!({ "flow": password })),
        with(json!({ "kind": password })),
        (JSON, format!("{{\"password\": {password}")),
        (FORM, encoded(&[("login", "a"), ("password", password)])),
    ]
}

async fn send_malformed(menshen: &Menshen, connector: &str, password: &str, shown: &mut Shown) {
    let mut browser = Browser::new(menshen);
    let state = begin(&mut browser, connector).await["state"].clone();
    for (path, requests) in [
        ("password", malformed_forms(password)),
        ("login", malformed_logins(password, &state)),
    ] {
        for (content_type, body) in requests {
            let path = format!("/{path}/{connector}");
            let answer = post(&mut browser, &path, content_type, &body).await;
            assert!(
                (400..500).contains(&answer.status),
                "{body}: {}",
                answer.status
            );
            shown.keep(&answer);
        }
    }
}

/// What the directory answers in place of a refusal; it repeats the password.
fn talkative(code: i32, password: &str) -> Fault {
    let text = format!("the password {password} of the person is wrong, data 52e");
    Fault::Instead(std::sync::Arc::new(move |id, _| {
        message(id, &result(0x61, code, &text), &[])
    }))
}

#[tokio::test]
async fn no_password_is_in_a_log_a_page_the_store_or_debug() {
    let log = Records::process_log();
    let begun_at = log.text().len();
    let sources = Sources::start().await;
    let menshen = sources.setup().start().await;
    let mut shown = Shown::default();
    let passwords = passwords();
    for number in 0..passwords.len() {
        for connector in ["house", "staff"] {
            use_password(&menshen, connector, number, &mut shown).await;
        }
    }
    for password in passwords.iter().step_by(5) {
        for connector in ["house", "staff"] {
            send_malformed(&menshen, connector, password, &mut shown).await;
        }
        for code in [49, 1, 10, 32, 80] {
            sources
                .directory
                .fault(On::PersonBind, talkative(code, password));
            let answer = sign_in(
                &mut Browser::new(&menshen),
                "staff",
                "staff-person0",
                password,
            )
            .await;
            assert!(matches!(answer.status, 401 | 503), "{}", answer.status);
            shown.keep(&answer);
        }
        sources.directory.without_faults();
    }
    let audit = menshen.audit();
    assert!(
        audit.len() > 8 * passwords.len(),
        "every attempt is recorded"
    );
    let debug = format!("{:?} {:?}", menshen.running, menshen.running.live().site());
    let log = log.text().split_off(begun_at);
    assert!(
        log.contains("the hash of a password is computed"),
        "the log has the logins"
    );
    let stored = sources.store.bytes();
    for (name, bytes) in [
        ("the records", menshen.records.text().as_bytes()),
        ("the log", log.as_bytes()),
        ("the pages", shown.0.as_bytes()),
        ("Debug", debug.as_bytes()),
        ("the store", &stored),
    ] {
        assert!(bytes.len() > 100, "{name}: nothing");
        assert_no_trace(name, bytes);
    }
    assert!(
        memchr::memmem::find(&stored, b"staff-person63").is_some(),
        "the store was written"
    );
}

#[test]
fn no_type_that_holds_a_password_shows_it() {
    for password in passwords() {
        let fields = [("login", "a"), ("password", password.as_str())];
        let fields = fields.map(|(name, value)| (name.to_owned(), value.to_owned()));
        let fields = Fields::new(fields.to_vec());
        let credentials = PasswordCredentials::of(&fields);
        let response = AuthnResponse {
            fields: fields.clone(),
            client: None,
            origin: SessionOrigin::default(),
            kind: None,
        };
        let stored = PasswordHash::parse(&hash(&password));
        let text = json!(password).to_string();
        let config = format!(
            "[server]\nexternal_url = 'http://localhost'\n[store]\nurl = 'sqlite::memory:'\n\
             [connector.staff.ldap]\nurl = 'ldaps://localhost'\nbase = 'dc=corp'\n\
             bind_dn = 'cn=gate'\nbind_password = {text}\n"
        );
        let config = Config::parse(&config, "test.toml");
        assert!(config.is_ok(), "{config:?}");
        let debug = format!(
            "{fields:?} {credentials:?} {response:?} {stored:?} {config:?} {:?}",
            Secret::new(password.clone())
        );
        assert_no_trace(&password, debug.as_bytes());
    }
}

#[tokio::test]
async fn a_process_that_logs_everything_logs_no_password() {
    let sources = Sources::start().await;
    let setup = sources.setup();
    let addresses = Menshen::new().await;
    let text = setup.text(&addresses.wecom, &addresses.app);
    let text = text.replace("access = true", "access = true\nlevel = 'trace'");
    let config = sources.folder.write("menshen.toml", &text);
    let (program, address) = Program::run(&config).await;
    let passwords = passwords();
    for (number, password) in passwords.iter().enumerate().step_by(3) {
        for connector in ["house", "staff"] {
            let wrong = passwords[(number + 1) % passwords.len()].as_str();
            for (password, status) in [(password.as_str(), 303), (wrong, 401)] {
                let mut browser = Browser::at(address);
                let answer = sign_in(
                    &mut browser,
                    connector,
                    &login_of(connector, number),
                    password,
                )
                .await;
                assert_eq!(answer.status, status, "{connector} {password:?}");
            }
        }
    }
    // While it runs, a part of what it stored is in the WAL.
    let before = sources.store.bytes();
    let (_, stdout, stderr) = program.end().await;
    let after = sources.store.bytes();
    let log = [stdout.join("\n"), stderr.join("\n")].concat();
    assert!(log.contains("\"TRACE\""), "the log has every level");
    assert!(log.contains("staff-person63"), "the log has the logins");
    for (name, bytes) in [
        ("the log", log.as_bytes()),
        ("the store", &before),
        ("the closed store", &after),
    ] {
        assert_no_trace(name, bytes);
    }
    assert!(!log.contains(CORE));
}
