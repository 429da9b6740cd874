//! Opening a store: what is wrong with a server is named, and the password never is.

use std::error::Error;
use std::process::Command;

use menshen::store::{ServerProblem, StoreError};
use sqlx::{AssertSqlSafe, Connection as _, Executor as _};
use tokio::net::TcpSocket;

use super::super::processes::TempDir;
use super::server::{self, PASSWORD, Server, USER};
use super::*;

/// The error of a store that cannot be opened; the password must not be in it.
async fn refused(url: &str) -> StoreError {
    let url: StoreUrl = url.parse().unwrap();
    let error = store::open(&url, &StoreOptions::default()).await;
    let error = error.expect_err("the store opens");
    let mut texts = vec![format!("{error:?}"), format!("{url:?}"), url.to_string()];
    let mut cause: Option<&dyn Error> = Some(&error);
    while let Some(error) = cause {
        texts.push(error.to_string());
        cause = error.source();
    }
    for text in texts {
        let secrets = [PASSWORD, &PASSWORD.replace(' ', "%20"), "another password"];
        for secret in secrets {
            assert!(!text.contains(secret), "{text}");
        }
    }
    error
}

async fn problem(url: &str) -> ServerProblem {
    match refused(url).await {
        StoreError::Server(error) => error.problem,
        other => panic!("{url}: {other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_cannot_be_reached_is_named_with_the_reason() {
    let database = server::shared().new_database().await;
    let url = database.url();
    let unknown = url.replace("127.0.0.1", "no-such-host.invalid");
    let unknown = format!("{unknown}?sslmode=disable");
    assert_eq!(problem(&unknown).await, ServerProblem::UnknownHost);

    // The port is bound and nobody listens on it.
    let refusing = TcpSocket::new_v4().unwrap();
    refusing.bind(([127, 0, 0, 1], 0).into()).unwrap();
    let port = refusing.local_addr().unwrap().port();
    let silent = server::url(port, &database.name);
    assert_eq!(problem(&silent).await, ServerProblem::Unreachable);

    let tls = format!("{url}?sslmode=require");
    assert_eq!(problem(&tls).await, ServerProblem::NoTls);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_password_and_a_missing_database_are_named() {
    let database = server::shared().new_database().await;
    let url = database.url();
    let wrong = url.replace(&PASSWORD.replace(' ', "%20"), "another%20password");
    assert_eq!(problem(&wrong).await, ServerProblem::Password);
    let missing = url.replace(&database.name, "no_such_database");
    assert_eq!(problem(&missing).await, ServerProblem::NoDatabase);
    let stranger = url.replace(USER, "stranger");
    assert_eq!(problem(&stranger).await, ServerProblem::Password);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_that_may_not_create_tables_is_told_so() {
    let database = server::shared().new_database().await;
    let mut db = database.connect().await;
    let role = format!("r{}", database.name);
    let sql = format!("CREATE ROLE {role} LOGIN PASSWORD 'another password'");
    db.execute(AssertSqlSafe(sql)).await.unwrap();
    db.execute("REVOKE CREATE ON SCHEMA public FROM PUBLIC")
        .await
        .unwrap();
    let url = database.url().replace(
        &format!("{USER}:{}", PASSWORD.replace(' ', "%20")),
        &format!("{role}:another%20password"),
    );
    assert_eq!(problem(&url).await, ServerProblem::Permission);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_is_checked_unless_the_server_is_local() {
    let (server, certificate) = tokio::task::block_in_place(Server::start_with_tls);
    let database = server.new_database().await;
    let url = database.url().replace("127.0.0.1", "localhost");
    let unknown_authority = format!("{url}?sslmode=verify-full");
    assert_eq!(
        problem(&unknown_authority).await,
        ServerProblem::Certificate
    );
    let root = certificate.display();
    let trusted = format!("{url}?sslmode=verify-full&sslrootcert={root}");
    open(&trusted, true).await.ping().await.unwrap();
    // The certificate is for another name.
    let other_name = format!("{}?sslmode=verify-full&sslrootcert={root}", database.url());
    assert_eq!(problem(&other_name).await, ServerProblem::Certificate);
    open(&database.url(), true).await.ping().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_read_only_database_is_refused() {
    let database = server::shared().new_database().await;
    let mut db = database.connect().await;
    let sql = format!(
        "ALTER DATABASE {} SET default_transaction_read_only = on",
        database.name
    );
    db.execute(AssertSqlSafe(sql)).await.unwrap();
    assert_eq!(problem(&database.url()).await, ServerProblem::ReadOnly);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replica_is_refused_for_serving_but_can_be_read_by_explain() {
    let mut server = tokio::task::block_in_place(Server::start);
    let database = server.new_database().await;
    let announced = open(&database.url(), true).await;
    let polled = open(&database.url(), false).await;
    announced.ping().await.unwrap();
    polled.ping().await.unwrap();
    tokio::task::block_in_place(|| server.restart_as_replica());
    // Nodes that were connected to the server before it became a replica.
    for (name, store) in [("with NOTIFY", announced), ("without NOTIFY", polled)] {
        assert!(store.epochs().await.is_err(), "{name}");
        assert!(store.probe_write().await.is_err(), "{name}");
    }
    assert_eq!(problem(&database.url()).await, ServerProblem::ReadOnly);
    let url: StoreUrl = database.url().parse().unwrap();
    let reader = store::open_read_only(&url, &StoreOptions::default()).await;
    reader.unwrap().epochs().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_opened_for_reads_writes_nothing() {
    let database = server::shared().new_database().await;
    let url: StoreUrl = database.url().parse().unwrap();
    let options = StoreOptions::default();
    let early = store::open_read_only(&url, &options).await;
    let early = early.expect_err("there are no tables");
    assert!(
        matches!(early, StoreError::OlderSchema { found: 0, .. }),
        "{early:?}"
    );
    let writer = open(&database.url(), true).await;
    let (account, new) = somebody(&*writer, "zhangsan").await;
    let reader = store::open_read_only(&url, &options).await.unwrap();
    assert!(has_session(&*reader, &new).await);
    assert!(reader.probe_write().await.is_err());
    assert!(reader.mint(&new_session(&account, at(1))).await.is_err());
    assert!(reader.spend(&[1; 32], at(1)).await.is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn tables_of_a_newer_menshen_are_left_alone() {
    let database = server::shared().new_database().await;
    open(&database.url(), true).await;
    let mut db = database.connect().await;
    let sql = "INSERT INTO menshen_migration (version, description, success, checksum, execution_time) \
               VALUES (99, 'later', TRUE, '', 0)";
    db.execute(sql).await.unwrap();
    db.close().await.unwrap();
    let newer = refused(&database.url()).await;
    assert!(
        matches!(newer, StoreError::NewerSchema { found: 99, .. }),
        "{newer:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn check_online_says_what_the_server_is_or_what_is_wrong() {
    let database = server::shared().new_database().await;
    let dir = TempDir::new();
    let check = |url: &str, password: &str| {
        let text = format!(
            "[server]\nexternal_url = 'http://localhost'\n[store]\nurl = '{url}'\n\
             password = {{ env = 'STORE_PASSWORD' }}\n[[route]]\nname = 'all'\naccess = 'public'\n"
        );
        let config = dir.write("menshen.toml", &text);
        let output = Command::new(env!("CARGO_BIN_EXE_menshen"))
            .env("STORE_PASSWORD", password)
            .args(["check", "--online", "-c"])
            .arg(config)
            .output()
            .unwrap();
        let shown = [output.stdout, output.stderr].concat();
        let shown = String::from_utf8(shown).unwrap();
        assert!(!shown.contains(password), "{shown}");
        (output.status.code(), shown)
    };
    let url = database.url();
    let url = url.replace(&server::password_part(), "");
    let (code, shown) = check(&url, PASSWORD);
    assert_eq!(code, Some(0), "{shown}");
    assert!(shown.contains("  ok PostgreSQL 1"), "{shown}");
    assert!(shown.contains("`menshen run` creates them"), "{shown}");
    open(&database.url(), true).await;
    let (code, shown) = check(&url, PASSWORD);
    assert_eq!(code, Some(0), "{shown}");
    assert!(shown.contains("its tables have version "), "{shown}");
    for (url, password, says) in [
        (url.clone(), "hunter2", "refuses the password"),
        (
            url.replace(&database.name, "no_such_database"),
            PASSWORD,
            "no such database",
        ),
        (
            format!("{url}?sslmode=require"),
            PASSWORD,
            "does not support TLS",
        ),
    ] {
        let (code, shown) = check(&url, password);
        assert_eq!(code, Some(1), "{shown}");
        assert!(shown.contains("  !! ") && shown.contains(says), "{shown}");
        assert!(shown.contains("the store cannot be used"), "{shown}");
    }
}
