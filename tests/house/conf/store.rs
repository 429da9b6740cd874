//! `[store]`: URLs, the password, limits and warnings.

use super::parse;
use super::problems::{assert_refused, parse_error};
use super::warnings::warned_keys;
use crate::command::{run_menshen, text};
use crate::upstream::TempFolder;

const SERVER: &str = "[server]\nexternal_url = 'http://127.0.0.1:8080'\n";

/// The lines of the warnings about `[store]`.
fn warned_lines(store: &str) -> Vec<usize> {
    let warned = warned_keys(&format!("{SERVER}{store}")).into_iter();
    let of_store = warned.filter(|(key, _)| key.starts_with("store."));
    of_store.map(|(_, line)| line).collect()
}

#[test]
fn an_invalid_store_url_is_refused() {
    for url in [
        "sqlite:///menshen.db?mode=ro",
        "sqlite:///menshen%FF.db",
        "sqlite:menshen.db",
        "sqlite://",
        "/menshen.db",
        "mysql://gate@db/menshen",
    ] {
        let store = format!("[store]\nurl = '{url}'\n");
        assert_refused(&store, 4, 7, &["a store is sqlite:///path/to/menshen.db"]);
    }
    for (url, words) in [
        (
            "postgres://db/menshen",
            ["a PostgreSQL store is", "user@host"],
        ),
        (
            "postgres://gate@db",
            ["a PostgreSQL store is", "5432/database"],
        ),
        (
            "postgres://gate@db:port/menshen",
            ["a PostgreSQL store is", "5432"],
        ),
        (
            "postgresql://gate@db/menshen?pool=3",
            ["unknown parameter", "pool"],
        ),
        (
            "postgres://gate@db/menshen?sslmode=full",
            ["sslmode is disable", "full"],
        ),
    ] {
        assert_refused(&format!("[store]\nurl = '{url}'\n"), 4, 7, &words);
    }
}

#[test]
fn the_forms_of_a_postgresql_url_are_accepted() {
    for url in [
        "postgres://gate@db.corp.example/menshen",
        "postgresql://gate:p%40ss@db.corp.example:5433/menshen",
        "postgres://gate@10.0.0.7/menshen?sslmode=require",
        "postgres://gate@[fd00::7]:5432/menshen",
        "postgres://gate@localhost/menshen?host=/run/postgresql",
        "postgres://gate@db/menshen?sslmode=verify-full&sslrootcert=/etc/ca.pem",
    ] {
        let config = parse(&format!("{SERVER}[store]\nurl = '{url}'\n"));
        assert!(!format!("{config:?}").contains("p%40ss"), "{config:?}");
    }
}

#[test]
fn an_error_beside_a_password_does_not_show_it() {
    for url in [
        "postgres://gate:hunter2@db/menshen?pool=3",
        "postgres://gate:hunter2@db",
        "postgres://gate:hunter2?x@db/menshen",
        "postgres://gate:hunter2#x@db/menshen",
    ] {
        let error = parse_error(&format!("{SERVER}[store]\nurl = '{url}'\n"));
        for shown in [error.to_string(), format!("{error:?}")] {
            assert!(!shown.contains("hunter2"), "{shown}");
        }
    }
}

#[test]
fn a_store_needs_two_connections() {
    let url = "[store]\nurl = 'postgres://gate@db/menshen'\n";
    for few in [0, 1] {
        let store = format!("{url}connections_max = {few}\n");
        assert_refused(&store, 5, 19, &["connections_max must be at least 2"]);
    }
    parse(&format!("{SERVER}{url}connections_max = 2\n"));
}

#[test]
fn a_store_has_at_most_one_password() {
    let password = "password = { env = 'PASSWORD' }\n";
    let both = format!("[store]\nurl = 'postgres://gate:hunter2@db/menshen'\n{password}");
    assert_refused(&both, 5, 1, &["two passwords", "remove the one in url"]);
    let one = format!("[store]\nurl = 'postgres://gate@db/menshen'\n{password}");
    assert!(warned_lines(&one).is_empty());
    let sqlite = format!("[store]\nurl = 'sqlite:///menshen.db'\n{password}");
    assert_eq!(warned_lines(&sqlite), [5]);
}

#[test]
fn an_exposed_connection_or_password_is_warned_of() {
    let warned = |url: &str| warned_lines(&format!("[store]\nurl = '{url}'\n"));
    for good in [
        "postgres://gate@db.corp.example/menshen",
        "postgres://gate@db/menshen?sslmode=verify-full",
        "postgres://gate@127.0.0.1/menshen?sslmode=disable",
        "postgres://gate@localhost/menshen?host=/run/postgresql",
    ] {
        assert!(warned(good).is_empty(), "{good}");
    }
    for bad in [
        "postgres://gate:hunter2@localhost/menshen",
        "postgres://gate@db.corp.example/menshen?sslmode=require",
        "postgres://gate@db.corp.example/menshen?sslmode=verify-ca",
        "postgres://gate@10.0.0.7/menshen?sslmode=prefer",
        "postgres://gate@[fd00::7]/menshen?sslmode=disable",
    ] {
        assert_eq!(warned(bad), [4], "{bad}");
    }
}

#[test]
fn check_reports_a_missing_certificate_or_password_of_the_store() {
    let folder = TempFolder::new();
    let missing = folder.path("missing");
    let missing = missing.display();
    let check = |store: &str| {
        let path = folder.write("menshen.toml", &format!("{SERVER}[store]\n{store}\n"));
        let output = run_menshen(&["check", "-c", path.to_str().unwrap()]);
        assert_eq!(output.status.code(), Some(1), "{output:?}");
        text(&output.stderr).to_owned()
    };
    let url = format!("url = 'postgres://gate@db/menshen?sslrootcert={missing}'");
    let shown = check(&url);
    assert!(shown.contains("menshen.toml:4:7"), "{shown}");
    assert!(
        shown.contains(&format!("read the file {missing}")),
        "{shown}"
    );
    let password =
        format!("url = 'postgres://gate@db/menshen'\npassword = {{ file = '{missing}' }}");
    let shown = check(&password);
    assert!(shown.contains("menshen.toml:5:12"), "{shown}");
    let unset = "url = 'postgres://gate@db/menshen'\npassword = { env = 'MENSHEN_NOT_SET' }";
    let shown = check(unset);
    assert!(shown.contains("menshen.toml:5:12"), "{shown}");
    assert!(
        shown.contains("the environment variable MENSHEN_NOT_SET is not set"),
        "{shown}"
    );
}
