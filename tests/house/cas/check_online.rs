//! `menshen check --online` with a CAS server.

use std::process::Output;

use super::server::{CasServer, success};
use crate::command::{run_menshen, text};
use crate::setup::{Menshen, Setup};
use crate::upstream::TempFolder;

async fn check(server: &CasServer, lines: &str, edit: impl Fn(String) -> String) -> Output {
    let menshen = Menshen::new().await;
    let setup = Setup::default().tables(&server.connector_toml(lines));
    let folder = TempFolder::new();
    let document = edit(setup.text(&menshen.wecom, &menshen.app));
    let path = folder
        .write("menshen.toml", &document)
        .display()
        .to_string();
    tokio::task::spawn_blocking(move || run_menshen(&["check", "--online", "-c", &path]))
        .await
        .unwrap()
}

#[tokio::test]
async fn check_online_accepts_a_working_server_and_prints_the_service() {
    for lines in [
        "",
        "version = '1.0'",
        "version = '2.0'",
        "proxies = ['https://p.corp.example/']",
    ] {
        let server = CasServer::start().await;
        let output = check(&server, lines, |text| text).await;
        let stdout = text(&output.stdout);
        assert_eq!(
            output.status.code(),
            Some(0),
            "{lines}: {stdout} {output:?}"
        );
        for words in [
            "register http://sso.test/.menshen/callback/portal as a service",
            "back-channel POST",
            "ok login_url answers",
            "ok validate_url answers and refuses an unknown ticket",
        ] {
            assert!(stdout.contains(words), "{words}: {stdout}");
        }
        assert!(!stdout.contains("!!"), "{stdout}");
    }
}

#[tokio::test]
async fn check_online_names_what_does_not_answer_as_a_cas_server() {
    let server = CasServer::start().await;
    // The login page is a page, and no redirect.
    server.state().user.clear();
    let url = server.url();
    for (lines, words) in [
        (
            format!("login_url = '{url}/nothing'"),
            "!! login_url: the page does not exist",
        ),
        (format!("validate_url = '{url}/nothing'"), "!! validate_url"),
        (
            format!("validate_url = '{url}/login'"),
            "another version of the protocol",
        ),
        (
            format!("version = '1.0'\nvalidate_url = '{url}/serviceValidate'"),
            "another version of the protocol",
        ),
    ] {
        let output = check(&server, &lines, |text| text).await;
        let stdout = text(&output.stdout);
        assert_eq!(output.status.code(), Some(1), "{lines}: {stdout}");
        assert!(stdout.contains(words), "{words}: {stdout}");
    }
    server.answer_next(&success("<cas:user>zhangsan</cas:user>"));
    let output = check(&server, "", |text| text).await;
    let stdout = text(&output.stdout);
    assert!(
        stdout.contains("!! validate_url accepts an unknown ticket"),
        "{stdout}"
    );
    let closed_port = crate::upstream::bind_listener().await.local_addr().unwrap();
    let closed = format!("http://{closed_port}");
    let output = check(&server, "", |text| {
        text.replace(url.trim_end_matches("/cas"), &closed)
    })
    .await;
    assert_eq!(text(&output.stdout).matches("!!").count(), 2, "{output:?}");
}
