//! `menshen people add`, `change`, `password`, `remove`, `import` and `list --local`.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use super::*;
use crate::command::serving::{Program, write_config};
use crate::command::{run_menshen, text};

struct Running {
    menshen: Menshen,
    folder: TempFolder,
    config: PathBuf,
    program: Program,
    address: std::net::SocketAddr,
}

async fn running() -> Running {
    running_with("[connector.house.local]\n").await
}

/// A server whose file has these connectors, too.
async fn running_with(connectors: &str) -> Running {
    let (menshen, folder) = (Menshen::new().await, TempFolder::new());
    let socket = folder.path("admin.sock").display().to_string();
    let admin = format!(
        "{NO_LOGIN_LIMITS}[admin]\nlisten = \"unix:{socket}\"\ntoken = \"{TOKEN}\"\n{connectors}"
    );
    let config = write_config(&folder, &menshen, &Setup::default().tables(&admin));
    let (program, address) = Program::run(&config).await;
    Running {
        menshen,
        folder,
        config,
        program,
        address,
    }
}

/// Runs `menshen people` with this on its standard input.
fn people(config: &Path, arguments: &[&str], input: &str) -> Output {
    let mut child = Command::new(env!("CARGO_BIN_EXE_menshen"))
        .arg("people")
        .args(arguments)
        .arg("-c")
        .arg(config)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // A program that refuses its arguments need not read.
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    child.wait_with_output().unwrap()
}

fn done(config: &Path, arguments: &[&str], input: &str) -> String {
    let output = people(config, arguments, input);
    assert_eq!(output.status.code(), Some(0), "{arguments:?}: {output:?}");
    text(&output.stdout).to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn people_are_added_changed_and_removed_from_the_command_line() {
    let running = running().await;
    let config = running.config.clone();
    let arguments = [
        "add",
        "ZhangSan",
        "--name",
        "张三",
        "--email",
        "z@corp.example",
        "--group",
        "it",
        "--group",
        "ops",
        "--role",
        "r",
        "--department",
        "财务部",
        "--must-change",
    ];
    let printed = done(&config, &arguments, "the first password\n");
    assert_eq!(printed, "ZhangSan: added to house\n");
    let listed = done(&config, &["list", "--local"], "");
    assert_eq!(listed, "ZhangSan\tmust-change\t张三\tz@corp.example\t-\n");
    let printed = done(&config, &["password", "zhangsan"], NEW);
    assert_eq!(
        printed,
        "zhangsan: has another password; 0 sessions and 0 access tokens ended\n"
    );
    let mut browser = signed_in(Browser::at(running.address), "zhangsan", NEW).await;
    let echo = browser.visit(&format!("{SSO_URL}/echo")).await;
    assert_eq!(echo.echoed("x-forwarded-groups"), ["it,ops"]);
    // Once signed in, the person is among all people, too.
    let shown = done(&config, &["show", "zhangsan"], "");
    assert!(
        shown.contains("identity: house zhangsan (known)"),
        "{shown}"
    );
    let change = [
        "change",
        "zhangsan",
        "--disabled",
        "true",
        "--connector",
        "house",
    ];
    let printed = done(&config, &change, "");
    assert_eq!(
        printed,
        "zhangsan: changed; 1 sessions and 0 access tokens ended\n"
    );
    assert_ne!(status_at(&mut browser, "/echo").await, 200);
    let json: Value =
        serde_json::from_str(&done(&config, &["list", "--local", "--json"], "")).unwrap();
    assert_eq!(json["people"][0]["disabled"], true);
    assert_eq!(json["people"][0]["groups"], json!(["it", "ops"]));
    assert!(!json.to_string().contains("argon2"), "{json}");
    let printed = done(&config, &["remove", "ZHANGSAN"], "");
    assert_eq!(
        printed,
        "ZHANGSAN: removed; 0 sessions and 0 access tokens ended\n"
    );
    assert_eq!(done(&config, &["list", "--local"], "").trim(), "");
    assert_eq!(running.program.end().await.0, Some(0));
    drop((running.menshen, running.folder));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_done_is_refused_with_its_reason() {
    let running = running().await;
    let config = running.config.clone();
    done(&config, &["add", "lisi", "--password-stdin"], "12345678\n");
    for (arguments, input, code, why) in [
        (&["add", "lisi"][..], "12345678", 1, "lisi"),
        (&["add", "LISI"], "12345678", 1, "already"),
        (&["add", "new"], "seven77", 1, "at least 8 characters"),
        (&["add", "new"], "", 1, "at least 8 characters"),
        (&["add", "new"], "two\nlines", 1, "one line"),
        (&["add", " new"], "12345678", 1, "a login is"),
        (
            &["password", "nobody"],
            "12345678",
            1,
            "nobody has the login nobody",
        ),
        (&["change", "nobody"], "", 1, "nobody has the login nobody"),
        (&["remove", "nobody"], "", 1, "nobody has the login nobody"),
        (
            &["add", "new", "--connector", "corp"],
            "12345678",
            1,
            "does not keep",
        ),
        (
            &["add", "new", "--connector", "none"],
            "12345678",
            1,
            "there is no connector none",
        ),
        (&["add"], "", 2, "required"),
    ] {
        let output = people(&config, arguments, input);
        let error = text(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {error}");
        assert!(error.contains(why), "{arguments:?}: {error}");
    }
    let listed = done(&config, &["list", "--local"], "");
    assert_eq!(listed, "lisi\topen\t-\t-\t-\n");
    signed_in(Browser::at(running.address), "lisi", "12345678").await;
    assert_eq!(running.program.end().await.0, Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_with_passwords_is_imported_into_the_connector_and_another_into_the_directory() {
    let running = running().await;
    let config = running.config.clone();
    let import = |name: &str, content: &str, more: &[&str]| {
        let file = running.folder.write(name, content);
        let arguments = [&["import", file.to_str().unwrap()], more].concat();
        people(&config, &arguments, "")
    };
    let htpasswd = format!("zhangsan:{}\nlisi:{}\n", WANGWU.0, WANGWU.0);
    let output = import("htpasswd", &htpasswd, &[]);
    assert_eq!(
        text(&output.stdout),
        "2 created, 0 changed, 0 unchanged\n",
        "{output:?}"
    );
    let csv = format!("login,name,password\nwangwu,王五,\"{}\"\n", ZHANGSAN.0);
    let output = import("people.csv", &csv, &[]);
    assert_eq!(
        text(&output.stdout),
        "1 created, 0 changed, 0 unchanged\n",
        "{output:?}"
    );
    let json = json!([{ "login": "zhaoliu", "password": LISI.0 }]).to_string();
    let output = import("people.json", &json, &[]);
    assert_eq!(
        text(&output.stdout),
        "1 created, 0 changed, 0 unchanged\n",
        "{output:?}"
    );
    // Without passwords it is for the directory, unless the connector is named.
    let csv = "login,name\nlisi,李四\n";
    let output = import("people.csv", csv, &["--connector", "house"]);
    assert_eq!(
        text(&output.stdout),
        "0 created, 1 changed, 0 unchanged\n",
        "{output:?}"
    );
    let output = import("people.csv", "login,connector\nother,corp\n", &[]);
    assert_eq!(
        text(&output.stdout),
        "1 created, 0 changed, 0 unchanged\n",
        "{output:?}"
    );
    let listed = done(&config, &["list", "--local"], "");
    let logins: Vec<_> = listed
        .lines()
        .map(|line| line.split('\t').next().unwrap())
        .collect();
    assert_eq!(logins, ["lisi", "wangwu", "zhangsan", "zhaoliu"]);
    let output = import("bad", "a:$1$salt$hash\nb:$apr1$salt$hash\n", &[]);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let error = text(&output.stderr);
    assert!(error.contains("line 1: not a hash of bcrypt"), "{error}");
    assert!(error.contains("line 2: not a hash of bcrypt"), "{error}");
    signed_in(Browser::at(running.address), "zhaoliu", LISI.1).await;
    assert_eq!(running.program.end().await.0, Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_name_the_only_connector_of_the_file_and_the_store_counts() {
    let running = running_with("").await;
    let config = running.config.clone();
    let table = running.folder.write("local.toml", "[local]\n");
    let set = |id: &str| {
        let (table, config) = (table.to_str().unwrap(), config.to_str().unwrap());
        let output = run_menshen(&["connector", "set", id, table, "-c", config]);
        assert_eq!(output.status.code(), Some(0), "{output:?}");
    };
    let refused = |code: i32, why: &str| {
        let output = people(&config, &["add", "wangwu"], "12345678");
        let error = text(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{error}");
        assert!(error.contains(why), "{error}");
    };
    refused(1, "[connector.ID.local] without `people`");
    set("house");
    let printed = done(&config, &["add", "lisi"], "12345678");
    assert_eq!(printed, "lisi: added to house\n");
    let listed = done(&config, &["list", "--local"], "");
    assert_eq!(listed, "lisi\topen\t-\t-\t-\n");
    set("other");
    refused(2, "--connector: house, other");
    assert_eq!(running.program.end().await.0, Some(0));
}

#[test]
fn without_a_server_the_command_says_so() {
    let folder = TempFolder::new();
    let head = "[server]\nexternal_url = 'http://localhost'\n[store]\nurl = 'sqlite::memory:'\n\
                [admin]\nlisten = '127.0.0.1:1'\ntoken = 'a-token-that-only-this-test-knows'\n";
    for connectors in [
        "",
        "[connector.a.local]\n",
        "[connector.a.local]\n[connector.b.local]\n",
    ] {
        let config = folder.write("menshen.toml", &format!("{head}{connectors}"));
        let output = run_menshen(&["people", "remove", "x", "-c", config.to_str().unwrap()]);
        let error = text(&output.stderr);
        assert_eq!(output.status.code(), Some(4), "{connectors}: {error}");
        assert!(
            error.contains("is menshen running?"),
            "{connectors}: {error}"
        );
    }
}

#[test]
fn check_accepts_a_connector_without_a_file_of_people() {
    let folder = TempFolder::new();
    let config = folder.write(
        "menshen.toml",
        "[server]\nexternal_url = 'http://localhost'\n[store]\nurl = 'sqlite::memory:'\n[[route]]\n\
         name = 'all'\nupstream = ['http://127.0.0.1:1']\n[connector.house.local]\n",
    );
    let output = run_menshen(&["check", "--online", "-c", config.to_str().unwrap()]);
    let printed = format!("{}{}", text(&output.stdout), text(&output.stderr));
    assert_eq!(output.status.code(), Some(0), "{printed}");
    assert!(
        printed.contains("ok the people are kept in the store"),
        "{printed}"
    );
}
