//! `[console]`: what is refused, what is warned of, and where the console is.

use menshen::config::Config;

use super::*;
use crate::conf::problems::assert_refused;
use crate::wire;

const HEAD: &str = "[server]\nexternal_url = \"https://sso.corp.example\"\n";

#[test]
fn settings_that_let_nobody_in_or_protect_nothing_are_refused() {
    let admin = "[admin]\nlisten = '127.0.0.1:1'\n[console]\n";
    for (lines, column, words) in [
        ("allow = 'true'\n", 1, &["external_url"][..]),
        ("view = 'true'\n", 1, &["external_url"]),
        ("local = false\n", 9, &["nobody could sign in"]),
        (
            "external_url = 'https://sso.corp.example'\n",
            16,
            &["origin of [server]"],
        ),
        ("external_url = 'https://c.example/x'\n", 16, &["origin"]),
        ("external_url = 'ftp://c.example'\n", 16, &["origin"]),
        ("lifetime = '0s'\n", 12, &["must not be 0"]),
        ("idle_timeout = '0s'\n", 16, &["must not be 0"]),
        ("listen = 'nowhere'\n", 10, &["127.0.0.1:9443"]),
        ("alow = 'true'\n", 1, &["did you mean `allow`"]),
    ] {
        assert_refused(&format!("{admin}{lines}"), 6, column, words);
    }
    let rule = "external_url = 'https://c.example'\nallow = \"request.path == '/'\"\n";
    assert_refused(
        &format!("{admin}{rule}"),
        7,
        10,
        &["does not compile", "CEL over user"],
    );
    assert_refused("[console]\n", 3, 2, &["no listener", "[admin]"]);
}

#[test]
fn settings_that_weaken_the_console_are_warned_of() {
    let warned = |lines: &str| {
        let text = format!("{HEAD}[admin]\nlisten = '127.0.0.1:1'\n[console]\n{lines}");
        let config = Config::parse(&text, "t").unwrap_or_else(|error| panic!("{error}"));
        let warnings = config.warnings().into_iter();
        let of_console = warnings.filter(|warning| warning.key.starts_with("console"));
        of_console.map(|warning| warning.key).collect::<Vec<_>>()
    };
    let good = "external_url = 'https://c.example'\nallow = \"user.login == 'a'\"\n";
    assert!(warned(good).is_empty());
    assert_eq!(
        warned("external_url = 'http://c.example'\n"),
        ["console.external_url"]
    );
    assert_eq!(warned("listen = '0.0.0.0:9443'\n"), ["console.listen"]);
    assert_eq!(
        warned("external_url = 'https://c.example'\nallow = 'true'\n"),
        ["console.allow"]
    );
    assert_eq!(warned("lifetime = '10m'\n"), ["console.idle_timeout"]);
    let route = "external_url = 'https://oa.example'\n[[route]]\nname = 'oa'\nhost = 'oa.example'\naccess = 'public'\n";
    assert_eq!(warned(route), ["console.external_url"]);
}

async fn status_at(address: std::net::SocketAddr, path: &str) -> u16 {
    let request = format!("GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n");
    wire::send(address, request.as_bytes()).await.status
}

#[tokio::test]
async fn without_the_table_there_is_no_console() {
    let menshen = Setup::default()
        .tables("[admin]\nlisten = \"127.0.0.1:0\"\n")
        .start()
        .await;
    let admin = menshen.running.admin_address().unwrap();
    for path in PAGES.into_iter().chain(["/console", "/console/sign_in"]) {
        assert_eq!(status_at(admin, path).await, 404, "{path}");
    }
    // A reload adds it, and removes it again.
    menshen.reload(&setup()).await.unwrap();
    assert_eq!(status_at(admin, "/console/sign_in").await, 200);
    let without = Setup::default().tables("[admin]\nlisten = \"127.0.0.1:0\"\n");
    menshen.reload(&without).await.unwrap();
    assert_eq!(status_at(admin, "/console/sign_in").await, 404);
}

#[tokio::test]
async fn a_listener_of_its_own_serves_only_the_console() {
    let menshen = with_console("listen = \"127.0.0.1:0\"\n").start().await;
    let admin = menshen.running.admin_address().unwrap();
    let console = menshen.running.console_address().unwrap();
    assert_ne!(admin, console);
    assert_eq!(status_at(console, "/console/sign_in").await, 200);
    assert_eq!(status_at(admin, "/console/sign_in").await, 404);
    for path in ["/metrics", "/healthz", "/api/sessions", "/"] {
        assert_eq!(status_at(console, path).await, 404, "{path}");
    }
    assert_eq!(status_at(admin, "/healthz").await, 200);
}

#[tokio::test]
async fn without_local_administrators_people_go_straight_to_the_login_host() {
    let menshen = with_console(
        "external_url = \"http://console.test\"\nallow = \"user.login == 'zhangsan'\"\nlocal = false\n",
    )
    .start()
    .await;
    add_administrator(&menshen, "root").await;
    let mut visit = Visit::new(&menshen);
    let answer = visit.get("/console/people").await;
    let to = answer.header("location").unwrap().to_owned();
    assert_eq!(to, "/console/start?to=/console/people");
    let answer = visit.get(&to).await;
    let to = answer.header("location").unwrap();
    assert!(to.starts_with("http://sso.test/.menshen/start?rd="), "{to}");
    assert_eq!(visit.sign_in("root", PASSWORD).await.status, 403);
    let mut person = Visit::of_person(&menshen, "zhangsan").await;
    assert_eq!(person.get("/console/").await.status, 200);
}
