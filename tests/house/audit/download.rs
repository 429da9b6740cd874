//! The download of the audit trail as JSON lines.

use super::*;
use crate::stores::{Meddler, TempDir};

async fn download(menshen: &Menshen, query: &str) -> crate::wire::Answer {
    let path = format!("/api/audit/download?{query}");
    call_api(menshen, "GET", &path, &Value::Null).await
}

fn parsed(text: &str) -> Vec<Value> {
    let lines = text.lines().map(serde_json::from_str::<Value>);
    lines.collect::<Result<_, _>>().unwrap()
}

#[tokio::test]
async fn a_download_has_every_line_as_the_log_has_it() {
    let menshen = setup().start().await;
    sign_in_as(&menshen, "zhangsan").await;
    let logins: Vec<_> = (0..2_500).map(|number| format!("人{number}")).collect();
    let logins: Vec<_> = logins.iter().map(String::as_str).collect();
    record_logins(&menshen, &logins);
    list_once(
        &menshen,
        "login=人2499".replace('人', "%E4%BA%BA").as_str(),
        1,
    )
    .await;
    let answer = download(&menshen, "order=oldest").await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.header("content-type"), Some("application/x-ndjson"));
    let named = "attachment; filename=\"menshen-audit.jsonl\"";
    assert_eq!(answer.header("content-disposition"), Some(named));
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    let logged = menshen.audit();
    assert_eq!(logged.len(), 2_501);
    assert!(parsed(&answer.text()) == logged);
    let newest = parsed(&download(&menshen, "").await.text());
    assert!(newest.iter().rev().eq(&logged));
    for (query, lines) in [
        ("max=0", 0),
        ("max=3", 3),
        ("max=1000", 1_000),
        ("max=1001", 1_001),
        ("login=zhangsan", 1),
        ("login=nobody", 0),
        ("event=refused", 0),
    ] {
        let answer = download(&menshen, query).await;
        assert_eq!(parsed(&answer.text()).len(), lines, "{query}");
    }
}

#[tokio::test]
async fn a_store_that_fails_is_503_and_what_was_recorded_meanwhile_is_found_after_it() {
    let dir = TempDir::new();
    let menshen = setup().store(&dir.url()).start().await;
    record_logins(&menshen, &["before"]);
    list_once(&menshen, "", 1).await;
    let mut meddler = Meddler::at(&dir.url()).await;
    let hide = "ALTER TABLE menshen_audit_line RENAME TO hidden";
    meddler.run(hide).await;
    record_logins(&menshen, &["meanwhile"]);
    for path in ["/api/audit", "/api/audit/download"] {
        let answer = call_api(&menshen, "GET", path, &Value::Null).await;
        assert_eq!(answer.status, 503, "{path}: {}", answer.text());
    }
    // A login does not fail with it.
    sign_in_as(&menshen, "zhangsan").await;
    let show = "ALTER TABLE hidden RENAME TO menshen_audit_line";
    meddler.run(show).await;
    let lines = list_once(&menshen, "order=oldest", 3).await;
    assert_eq!(values(&lines, "login"), ["before", "meanwhile", "zhangsan"]);
}
