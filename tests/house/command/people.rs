//! `menshen people` beside a running server: text, JSON and exit codes.

use std::path::Path;
use std::process::Output;

use serde_json::{Value, json};

use super::serving::{Program, write_config};
use super::{ConfigFolder, run_menshen, text};
use crate::access_tokens::make_token;
use crate::browser::Browser;
use crate::setup::{Menshen, Setup};
use crate::upstream::TempFolder;

/// A configuration with the admin API on a socket in the folder.
fn config_with_admin(folder: &ConfigFolder) -> std::path::PathBuf {
    let socket = folder.0.join("admin.sock").display().to_string();
    folder.config(&format!(
        "listen = ['127.0.0.1:0']\n[admin]\nlisten = 'unix:{socket}'\ntoken = 'a-token-that-only-this-test-knows'"
    ))
}

fn people(config: &Path, arguments: &[&str]) -> Output {
    let config = config.to_str().unwrap();
    run_menshen(&[&["people"], arguments, &["-c", config]].concat())
}

fn json_of(output: &Output) -> Value {
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    serde_json::from_slice(&output.stdout).unwrap()
}

#[tokio::test]
async fn people_are_imported_listed_closed_and_reopened() {
    let folder = ConfigFolder::new("people");
    let config = config_with_admin(&folder);
    let (_program, _) = Program::run(&config).await;
    let file = folder.0.join("people.csv");
    std::fs::write(
        &file,
        "login,name,email\nzhangsan,张三,z@corp.example\nli/si,李四,\n",
    )
    .unwrap();
    let file = file.to_str().unwrap();
    let imported = people(&config, &["import", file, "--json"]);
    assert_eq!(
        json_of(&imported),
        json!({ "created": 2, "updated": 0, "unchanged": 0 })
    );

    let listed = json_of(&people(&config, &["list", "--json"]));
    let logins: Vec<_> = listed["people"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| &one["login"])
        .collect();
    assert_eq!(logins, ["li/si", "zhangsan"]);
    assert_eq!(listed["people"][1]["closed"], false);
    assert!(listed["people"][1]["id"].is_string());
    let found = people(&config, &["list", "三"]);
    assert_eq!(
        text(&found.stdout),
        "zhangsan\topen\t张三\tz@corp.example\t-\n"
    );

    let closed = people(&config, &["close", "li/si", "--reason", "left"]);
    assert_eq!(text(&closed.stdout), "li/si: closed\n");
    let shown = json_of(&people(&config, &["show", "li/si", "--json"]));
    assert_eq!(
        (&shown["closed"], &shown["closed_by"]),
        (&json!(true), &json!("token:admin"))
    );
    let shown = people(&config, &["show", "li/si"]);
    assert!(
        text(&shown.stdout).contains("closed by token:admin left"),
        "{}",
        text(&shown.stdout)
    );
    let only_closed = json_of(&people(&config, &["list", "--closed", "--json"]));
    assert_eq!(only_closed["people"][0]["login"], "li/si");
    let opened = people(&config, &["reopen", "li/si"]);
    assert_eq!(text(&opened.stdout), "li/si: open\n");
    let access = json_of(&people(&config, &["access", "zhangsan", "--json"]));
    assert_eq!(access["routes"][0]["route"], "all");
}

#[tokio::test]
async fn what_cannot_be_done_is_exit_code_1_and_an_absent_server_is_4() {
    let folder = ConfigFolder::new("people-refused");
    let config = config_with_admin(&folder);
    let away = people(&config, &["list"]);
    assert_eq!(away.status.code(), Some(4), "{away:?}");
    assert!(
        text(&away.stderr).contains("is menshen running?"),
        "{away:?}"
    );

    let (_program, _) = Program::run(&config).await;
    let nobody = people(&config, &["show", "nobody"]);
    assert_eq!(nobody.status.code(), Some(1), "{nobody:?}");
    assert!(
        text(&nobody.stderr).contains("nobody has the login nobody"),
        "{nobody:?}"
    );
    let file = folder.0.join("bad.csv");
    std::fs::write(&file, "login,connector\nok,\n,\nx,nowhere\n").unwrap();
    let bad = people(&config, &["import", file.to_str().unwrap()]);
    assert_eq!(bad.status.code(), Some(1), "{bad:?}");
    let said = text(&bad.stderr);
    assert!(
        said.contains("line 3:") && said.contains("line 4: there is no connector"),
        "{said}"
    );
    let listed = json_of(&people(&config, &["list", "--json"]));
    assert_eq!(listed["people"], json!([]));
    let missing = people(&config, &["import", "/no/such/file.csv"]);
    assert_eq!(missing.status.code(), Some(1), "{missing:?}");
    assert_eq!(people(&config, &["dismiss", "x"]).status.code(), Some(2));
}

#[test]
fn without_an_admin_api_the_command_says_what_to_configure() {
    let folder = ConfigFolder::new("people-no-admin");
    let config = folder.config("");
    let output = people(&config, &["list"]);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert!(text(&output.stderr).contains("[admin]"), "{output:?}");
    let config = folder.config("[admin]\nlisten = '127.0.0.1:1'");
    let output = people(&config, &["list"]);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert!(text(&output.stderr).contains("token"), "{output:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_access_tokens_of_a_person_are_listed_and_ended() {
    let (menshen, folder) = (Menshen::new().await, TempFolder::new());
    let socket = folder.path("admin.sock").display().to_string();
    let route = "[[route]]\nname = \"app\"\nhost = \"sso.test\"\nupstream = [\"{app}\"]\n\
                 access_tokens = true\n";
    let admin = format!(
        "[admin]\nlisten = \"unix:{socket}\"\ntoken = \"the-unnamed-token\"\n\
         [[admin.tokens]]\nname = \"viewer\"\ntoken = \"the-token-of-the-viewer\"\nview = true\n"
    );
    let setup = Setup::default().tables(&admin).routes(route);
    let config = write_config(&folder, &menshen, &setup);
    let (program, address) = Program::run(&config).await;
    let mut browser = Browser::at(address);
    let page = browser.sign_in("http://sso.test/echo", "lisi").await;
    assert_eq!(page.answer.status, 200, "{}", page.answer.text());
    let token = make_token(&mut browser, "build server", &["app"]).await;
    let listed = people(&config, &["tokens", "lisi"]);
    let line = text(&listed.stdout).to_owned();
    let fields: Vec<_> = line.trim_end().split('\t').collect();
    assert_eq!(fields.len(), 6, "{line}");
    assert_eq!((fields[2], fields[5]), ("app", "-"), "{line}");
    assert!(!line.contains(&token[4..]));
    let json = json_of(&people(&config, &["tokens", "lisi", "--json"]));
    assert_eq!(json["tokens"][0]["id"], fields[0]);
    for (arguments, code, expected) in [
        (&["tokens", "nobody"][..], 1, "nobody has the login nobody"),
        (
            &["tokens", "lisi", "--revoke", "no/id"],
            1,
            "lisi has no access token no/id",
        ),
        (
            &[
                "tokens",
                "lisi",
                "--revoke",
                fields[0],
                "--token-name",
                "viewer",
            ],
            1,
            "may only read",
        ),
        (&["tokens"], 2, "required"),
    ] {
        let output = people(&config, arguments);
        let error = text(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {error}");
        assert!(error.contains(expected), "{arguments:?}: {error}");
    }
    let ended = people(&config, &["tokens", "lisi", "--revoke", fields[0]]);
    assert_eq!(text(&ended.stdout), "ended\n");
    let listed = people(&config, &["tokens", "lisi"]);
    assert_eq!(text(&listed.stdout).trim_end(), "");
    assert_eq!(program.end().await.0, Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_identity_is_taken_off_a_person() {
    const SUBJECT: &str = "a/b %2F 张三";
    let (menshen, folder) = (Menshen::new().await, TempFolder::new());
    let socket = folder.path("admin.sock").display().to_string();
    let admin = format!(
        "[admin]\nlisten = \"unix:{socket}\"\ntoken = \"the-unnamed-token\"\n\
         [[admin.tokens]]\nname = \"viewer\"\ntoken = \"the-token-of-the-viewer\"\nview = true\n"
    );
    let config = write_config(&folder, &menshen, &Setup::default().tables(&admin));
    let (program, _) = Program::run(&config).await;
    let file = folder.path("people.csv");
    let csv = format!("login,connector,subject\nli/si,corp,{SUBJECT}\n");
    std::fs::write(&file, csv).unwrap();
    let imported = people(&config, &["import", file.to_str().unwrap()]);
    assert_eq!(imported.status.code(), Some(0), "{imported:?}");
    let shown = people(&config, &["show", "li/si"]);
    let line = format!("identity: corp {SUBJECT} (expected)");
    assert!(text(&shown.stdout).contains(&line), "{shown:?}");

    let remove = |arguments: &[&str]| people(&config, &[&["remove-identity"], arguments].concat());
    for (arguments, code, expected) in [
        (
            &["nobody", "corp", SUBJECT][..],
            1,
            "nobody has the login nobody",
        ),
        (
            &["li/si", "corp", "a/b"],
            1,
            "li/si has no identity a/b of corp",
        ),
        (
            &["li/si", "corp", SUBJECT, "--token-name", "viewer"],
            1,
            "may only read",
        ),
        (&["li/si", "corp"], 2, "required"),
    ] {
        let output = remove(arguments);
        let error = text(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {error}");
        assert!(error.contains(expected), "{arguments:?}: {error}");
    }
    let removed = remove(&["li/si", "corp", SUBJECT]);
    let expected = format!("li/si: corp {SUBJECT} removed\n");
    assert_eq!(text(&removed.stdout), expected, "{removed:?}");
    let shown = people(&config, &["show", "li/si"]);
    assert!(!text(&shown.stdout).contains("identity: "), "{shown:?}");
    assert_eq!(program.end().await.0, Some(0));
}
