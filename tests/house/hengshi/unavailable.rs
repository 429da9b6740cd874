//! Answers for a while only: a store that is away, a body that does not arrive, too many wrong tokens.

use std::time::{Duration, Instant};

use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::{Call, PREFIX, TOKEN, data_of, envelope, put, refused, setup, wecom_fields};
use crate::setup::{Menshen, Setup};
use crate::stores::{Meddler, TempDir};

#[tokio::test]
async fn a_store_that_is_away_is_50300_with_retry_after_and_changes_nothing() {
    let dir = TempDir::new();
    let menshen = setup().store(&dir.url()).start().await;
    put(&menshen, "wechat-work", &wecom_fields(&menshen)).await;
    let shown = super::get(&menshen, "wechat-work").await;
    let mut meddler = Meddler::at(&dir.url()).await;
    let undo = meddler
        .fail_all("SELECT RAISE(ROLLBACK, 'disk full')")
        .await;
    let lark = Call::put("lark", &json!({ "appId": "cli_1", "appSecret": "hunter2" }));
    for call in [
        lark.clone(),
        Call::put("wechat-work", &wecom_fields(&menshen)),
        Call::put("active-auth", &json!({ "authType": "wechat-work" })),
    ] {
        let answer = call.send(&menshen).await;
        assert_eq!(envelope(&answer)["code"], 50300, "{call:?}");
        assert_eq!(answer.header("retry-after"), Some("5"));
        refused(&menshen, &call, 50300).await;
    }
    // What is in force is shown.
    assert_eq!(super::get(&menshen, "wechat-work").await, shown);
    meddler.run(&undo).await;
    data_of(&menshen, &lark).await;
}

/// Sends the head of a request and a part of its body; returns the answer and how long it took.
async fn answer_to_half(menshen: &Menshen, method: &str, path: &str) -> (String, Duration) {
    let address = menshen.running.admin_address().unwrap();
    let mut stream = TcpStream::connect(address).await.unwrap();
    let half = format!(
        "{method} {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {TOKEN}\r\n\
         Content-Type: application/json\r\nContent-Length: 100\r\nConnection: close\r\n\r\n{{\"key\":"
    );
    let began = Instant::now();
    stream.write_all(half.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    let reading = stream.read_to_end(&mut answer);
    let read = tokio::time::timeout(Duration::from_secs(60), reading).await;
    read.expect("an answer").unwrap();
    (String::from_utf8(answer).unwrap(), began.elapsed())
}

#[tokio::test]
async fn a_body_that_does_not_arrive_is_40800_and_holds_nobody_up() {
    let menshen = setup().start().await;
    let hengshi = format!("{PREFIX}wechat-work");
    let halves = async {
        tokio::join!(
            answer_to_half(&menshen, "PUT", &hengshi),
            answer_to_half(&menshen, "PUT", "/api/connectors/corp"),
        )
    };
    let fields = wecom_fields(&menshen);
    let others = put(&menshen, "wechat-work", &fields);
    let (((slow, took), (own, _)), _) = tokio::join!(halves, others);
    assert!(slow.starts_with("HTTP/1.1 408 "), "{slow}");
    assert!(slow.contains("\"code\":40800"), "{slow}");
    assert!(took >= Duration::from_secs(9), "{took:?}");
    assert!(own.starts_with("HTTP/1.1 408 "), "{own}");
    assert_eq!(menshen.running.live().settings().version(), 1);
}

#[tokio::test]
async fn too_many_wrong_tokens_are_42900_with_retry_after_even_with_a_right_one() {
    let tables = format!(
        "[admin]\nlisten = \"127.0.0.1:0\"\ntoken = \"{TOKEN}\"\n\
         wrong_tokens_per_client_per_minute = 3\n"
    );
    let menshen = Setup::default()
        .without_connector()
        .tables(&tables)
        .start()
        .await;
    let wrong = Call {
        headers: "Authorization: Bearer wrong\r\n".to_owned(),
        ..Call::get("form-items")
    };
    let mut codes = Vec::new();
    for _ in 0..8 {
        codes.push(envelope(&wrong.send(&menshen).await)["code"].clone());
    }
    assert_eq!(codes[0], 40100, "{codes:?}");
    assert_eq!(codes[7], 42900, "{codes:?}");
    let right = Call::put("lark", &json!({ "appId": "cli_1", "appSecret": "hunter2" }));
    let answer = right.send(&menshen).await;
    assert_eq!(envelope(&answer)["code"], 42900);
    assert_eq!(answer.header("retry-after"), Some("60"));
    assert_eq!(menshen.running.live().settings().version(), 0);
}
