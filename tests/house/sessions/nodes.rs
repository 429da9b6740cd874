//! Two nodes share one store file: a revocation on one takes effect on the other within seconds.

use std::time::Duration;

use menshen::run::Running;
use menshen::store::RevocationScope;
use sqlx::{Connection as _, Executor as _};

use super::account_and_sessions;
use crate::setup::{Menshen, Setup, run};
use crate::stores::{Meddler, TempDir};
use crate::test_request::{TestRequest, repeat_until, session_cookie_of};

async fn start_two_nodes(dir: &TempDir) -> (Menshen, Running) {
    let menshen = Setup::default().store(&dir.url()).start().await;
    let text = menshen.setup.text(&menshen.wecom, &menshen.app);
    let other = run(&text, &menshen.clock).await;
    (menshen, other)
}

#[tokio::test]
async fn a_session_of_one_node_is_accepted_by_the_other() {
    let dir = TempDir::new();
    let (menshen, other) = start_two_nodes(&dir).await;
    let ask = TestRequest::get("/echo").session(&session_cookie_of(&menshen, "zhangsan").await);
    let answer = ask.send_to(other.addresses()[0]).await;
    assert_eq!(answer.echoed("x-forwarded-user"), ["zhangsan"]);
}

#[tokio::test]
async fn a_revocation_on_one_node_is_seen_by_the_other_within_seconds() {
    let dir = TempDir::new();
    let (menshen, other) = start_two_nodes(&dir).await;
    let there = other.addresses()[0];
    for at in 0..4 {
        // A login that started in the same millisecond as a revocation is refused.
        menshen.advance(Duration::from_secs(1));
        let cookie = session_cookie_of(&menshen, "zhangsan").await;
        let stays = (at < 2).then_some(session_cookie_of(&menshen, "lisi").await);
        let ask = TestRequest::get("/echo").session(&cookie);
        // Both nodes cache the session.
        assert_eq!(ask.send(&menshen).await.status, 200);
        repeat_until(&ask, there, |answer| answer.status == 200).await;
        let shared = menshen.running.live().services();
        let (account, stored) = account_and_sessions(&*shared.store, "zhangsan").await;
        let scope = match at {
            0 => RevocationScope::Session(stored[0].key),
            1 => RevocationScope::Account(account),
            2 => RevocationScope::Connector("corp".parse().unwrap()),
            _ => RevocationScope::Everyone,
        };
        shared.sessions.revoke(&scope).await.unwrap();
        assert_eq!(ask.send(&menshen).await.status, 401, "{scope:?}, here");
        repeat_until(&ask, there, |answer| answer.status == 401).await;
        if let Some(stays) = stays {
            let ask = TestRequest::get("/echo").session(&stays);
            assert_eq!(ask.send_to(there).await.status, 200, "{scope:?}");
        }
    }
}

#[tokio::test]
async fn a_damaged_row_in_the_revocation_log_hides_no_revocation() {
    let raised = "INSERT INTO menshen_epoch (name, number) VALUES ('everyone', 1)";
    let deleted = "DELETE FROM menshen_session WHERE account = \
                   (SELECT id FROM menshen_account WHERE login = 'zhangsan')";
    for (row, hidden, ends_all) in [
        ("'session', x'00', 0", deleted, false),
        ("'account', x'', 1", deleted, false),
        ("'connector', x'ff', 1", deleted, false),
        ("'everyone', x'', -1", raised, true),
    ] {
        let dir = TempDir::new();
        let (menshen, other) = start_two_nodes(&dir).await;
        let nodes = [menshen.address(), other.addresses()[0]];
        let [zhang, li, stays] = [
            session_cookie_of(&menshen, "zhangsan").await,
            session_cookie_of(&menshen, "lisi").await,
            session_cookie_of(&menshen, "lisi").await,
        ]
        .map(|cookie| TestRequest::get("/echo").session(&cookie));
        for node in nodes {
            for ask in [&zhang, &li, &stays] {
                repeat_until(ask, node, |answer| answer.status == 200).await;
            }
        }
        let sql = format!(
            "{hidden}; INSERT INTO menshen_revocation (kind, what, epoch, at) VALUES ({row}, 1)"
        );
        Meddler::at(&dir.url()).await.run(&sql).await;
        for node in nodes {
            repeat_until(&zhang, node, |answer| answer.status == 401).await;
        }
        let shared = menshen.running.live().services();
        let lisi = "lisi".parse().unwrap();
        let account = shared.store.account_by_login(&lisi);
        let account = account.await.unwrap().unwrap().id;
        // Later revocations are still applied.
        menshen.advance(Duration::from_secs(1));
        let ask = TestRequest::get("/echo").session(&session_cookie_of(&menshen, "zhangsan").await);
        repeat_until(&ask, nodes[1], |answer| answer.status == 200).await;
        if !ends_all {
            for node in nodes {
                assert_eq!(stays.send_to(node).await.status, 200, "{row}");
            }
            let scope = RevocationScope::Account(account);
            other
                .live()
                .services()
                .sessions
                .revoke(&scope)
                .await
                .unwrap();
            repeat_until(&li, nodes[0], |answer| answer.status == 401).await;
        }
        for node in [&menshen.running, &other] {
            let page = node.live().services().telemetry.render();
            let counted = page
                .lines()
                .any(|line| line == "menshen_store_errors_total 1");
            assert!(counted, "{row}: {page}");
        }
    }
}

#[tokio::test]
async fn a_damaged_store_file_admits_no_session() {
    let dir = TempDir::new();
    let (menshen, other) = start_two_nodes(&dir).await;
    let ask = TestRequest::get("/echo").session(&session_cookie_of(&menshen, "zhangsan").await);
    let mut db = sqlx::SqliteConnection::connect(&dir.url()).await.unwrap();
    db.execute("DROP VIEW menshen_standing_session")
        .await
        .unwrap();
    db.execute("DROP TABLE menshen_session").await.unwrap();
    let answer = ask.send_to(other.addresses()[0]).await;
    assert_eq!(answer.status, 503, "{}", answer.text());
    assert!(answer.header("retry-after").is_some());
}
