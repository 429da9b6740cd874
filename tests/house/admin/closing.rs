//! Accounts are closed and reopened by their login name, and the audit trail says by whom and why.

use super::*;

#[tokio::test]
async fn a_person_is_closed_and_reopened_by_login() {
    let menshen = setup().start().await;
    let mut browser = sign_in_as(&menshen, "zhangsan").await;
    let mut other = sign_in_as(&menshen, "lisi").await;
    let note = json!({ "reason": "left the company" });
    let closed = call_api(&menshen, "POST", "/api/people/ZhangSan/close", &note).await;
    assert_eq!(closed.status, 200, "{}", closed.text());
    assert!(!is_signed_in(&mut browser).await);
    assert!(is_signed_in(&mut other).await);
    let record = menshen.audit().pop().unwrap();
    assert_eq!(record["event"], "closed");
    assert_eq!(record["reason"], "through the admin API: left the company");
    assert_eq!(record["by"], "token:admin");
    assert_eq!(record["client"], "127.0.0.1");
    assert_eq!(record["login"], "zhangsan");

    let opened = call_api(&menshen, "POST", "/api/people/zhangsan/open", &Value::Null).await;
    assert_eq!(opened.json()["identities_taken"], json!([]));
    let record = menshen.audit().pop().unwrap();
    assert_eq!(record["event"], "opened");
    assert_eq!(record["reason"], "through the admin API");
    assert_eq!(record["by"], "token:admin");
    menshen.advance(Duration::from_secs(1));
    assert!(is_signed_in(&mut sign_in_as(&menshen, "zhangsan").await).await);
}

#[tokio::test]
async fn a_refused_closing_closes_nobody_and_says_why() {
    let menshen = setup().start().await;
    let mut browser = sign_in_as(&menshen, "zhangsan").await;
    let long = "x".repeat(201);
    for (path, body, status, why) in [
        ("/api/people/wang%2Fwu/close", Value::Null, 404, "wang/wu"),
        ("/api/people/%20/close", Value::Null, 404, "login"),
        ("/api/people/%ff/close", Value::Null, 400, "UTF-8"),
        (
            "/api/people/zhangsan/close/now",
            Value::Null,
            404,
            "/api/people/zhangsan/close/now",
        ),
        (
            "/api/people/zhangsan/close",
            json!({ "why": "x" }),
            400,
            "reason",
        ),
        // The name of the token says who closes an account.
        (
            "/api/people/zhangsan/close",
            json!({ "by": "alice" }),
            400,
            "unknown field `by`",
        ),
        (
            "/api/people/zhangsan/close",
            json!({ "reason": long }),
            400,
            "200",
        ),
        (
            "/api/people/zhangsan/close",
            json!({ "reason": "a\nb" }),
            400,
            "control",
        ),
    ] {
        let answer = call_api(&menshen, "POST", path, &body).await;
        assert_eq!(answer.status, status, "{path} {body}");
        assert!(answer.text().contains(why), "{path}: {}", answer.text());
    }
    assert!(is_signed_in(&mut browser).await);
}
