//! The access tokens of people in the admin API: listed without their values, and ended.

use serde_json::{Value, json};

use super::tokens::{OPERATOR, VIEWER, setup_with_tokens, with_token};
use super::{call_api, setup, sign_in_as};
use crate::access_tokens::{basic, make_token, send};
use crate::setup::{Menshen, Setup};
use crate::stores::{Meddler, TempDir};

const ROUTES: &str = r#"
[[route]]
name = "app"
host = "sso.test"
upstream = ["{app}"]
access_tokens = true
"#;

const TOKENS: &str = "/api/people/lisi/tokens";

async fn start(setup: Setup) -> Menshen {
    setup.routes(ROUTES).start().await
}

async fn status(menshen: &Menshen, token: &str) -> u16 {
    send(menshen, "/echo", &basic("lisi", token)).await.status
}

async fn listed(menshen: &Menshen, path: &str) -> Vec<Value> {
    let answer = call_api(menshen, "GET", path, &Value::Null).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.json()["tokens"].as_array().unwrap().clone()
}

fn path_of(token: &Value) -> String {
    format!("{TOKENS}/{}", token["id"].as_str().unwrap())
}

/// The last record of a token that was ended.
fn ended_in_audit(menshen: &Menshen) -> Value {
    let mut audit = menshen.audit().into_iter().rev();
    audit
        .find(|record| record["event"] == "token-ended")
        .unwrap()
}

#[tokio::test]
async fn an_administrator_lists_and_ends_the_tokens_of_a_person() {
    let menshen = start(setup_with_tokens()).await;
    let mut browser = sign_in_as(&menshen, "lisi").await;
    let first = make_token(&mut browser, "first", &["app"]).await;
    menshen.advance(std::time::Duration::from_secs(1));
    let second = make_token(&mut browser, "second", &[]).await;
    let tokens = listed(&menshen, TOKENS).await;
    let by_upper_case = listed(&menshen, "/api/people/LiSi/tokens").await;
    assert_eq!(by_upper_case, tokens);
    let names: Vec<_> = tokens.iter().map(|token| &token["name"]).collect();
    assert_eq!(names, ["second", "first"]);
    assert_eq!(tokens[0]["routes"], Value::Null);
    assert_eq!(tokens[1]["routes"], json!(["app"]));
    assert_eq!(
        (&tokens[1]["connector"], &tokens[1]["used_at"]),
        (&json!("corp"), &Value::Null)
    );
    let lasts =
        tokens[1]["expires_at"].as_i64().unwrap() - tokens[1]["created_at"].as_i64().unwrap();
    assert_eq!(lasts, 2_592_000);
    let shown = json!(tokens).to_string();
    for value in [&first, &second] {
        assert!(!shown.contains(&value[4..]));
        assert_eq!(status(&menshen, value).await, 200);
    }

    let path = path_of(&tokens[1]);
    let viewed = with_token(&menshen, VIEWER, ("GET", TOKENS, "")).await;
    assert_eq!(viewed.status, 200);
    let refused = with_token(&menshen, VIEWER, ("DELETE", &path, "")).await;
    assert_eq!(refused.status, 403);
    assert_eq!(status(&menshen, &first).await, 200);

    let ended = with_token(&menshen, OPERATOR, ("DELETE", &path, "")).await;
    assert_eq!(ended.json(), json!({ "done": true }));
    assert_eq!(status(&menshen, &first).await, 401);
    assert_eq!(status(&menshen, &second).await, 200);
    let record = ended_in_audit(&menshen);
    assert_eq!(
        (&record["by"], &record["login"]),
        (&json!("token:operator"), &json!("lisi"))
    );
    assert_eq!(record["access_token"], tokens[1]["id"]);
    assert_eq!(record["access_token_name"], "first");
    assert_eq!(listed(&menshen, TOKENS).await.len(), 1);
    let again = with_token(&menshen, OPERATOR, ("DELETE", &path, "")).await;
    assert_eq!(again.status, 404);
}

#[tokio::test]
async fn a_token_of_another_person_is_not_found() {
    let menshen = start(setup()).await;
    let mut browser = sign_in_as(&menshen, "lisi").await;
    let token = make_token(&mut browser, "ci", &[]).await;
    let _other = sign_in_as(&menshen, "zhangsan").await;
    let id = listed(&menshen, TOKENS).await[0]["id"].clone();
    let id = id.as_str().unwrap();
    for path in [
        format!("/api/people/zhangsan/tokens/{id}"),
        format!("/api/people/nobody/tokens/{id}"),
        format!("{TOKENS}/AAAAAAAAAAAAAAAAAAAAAA"),
        format!("{TOKENS}/no%2Fid"),
        // A token is no session.
        format!("/api/sessions/{id}"),
    ] {
        let answer = call_api(&menshen, "DELETE", &path, &Value::Null).await;
        assert_eq!(answer.status, 404, "{path}");
    }
    assert_eq!(status(&menshen, &token).await, 200);
    assert_eq!(
        listed(&menshen, "/api/people/zhangsan/tokens").await,
        [json!(null); 0]
    );
    let nobody = call_api(&menshen, "GET", "/api/people/nobody/tokens", &Value::Null).await;
    assert_eq!(nobody.status, 404);
    // Who is closed has none.
    let close = "/api/people/lisi/close";
    let closed = call_api(&menshen, "POST", close, &Value::Null).await;
    assert_eq!(closed.status, 200);
    assert_eq!(listed(&menshen, TOKENS).await, [json!(null); 0]);
}

#[tokio::test]
async fn a_token_ends_although_the_store_takes_no_writes() {
    let dir = TempDir::new();
    let menshen = start(setup().store(&dir.url())).await;
    let mut browser = sign_in_as(&menshen, "lisi").await;
    let token = make_token(&mut browser, "ci", &[]).await;
    assert_eq!(status(&menshen, &token).await, 200);
    let path = path_of(&listed(&menshen, TOKENS).await[0]);
    let mut meddler = Meddler::at(&dir.url()).await;
    let undo = meddler
        .fail_all("SELECT RAISE(ROLLBACK, 'disk full')")
        .await;
    let ended = call_api(&menshen, "DELETE", &path, &Value::Null).await;
    assert_eq!(ended.status, 503, "{}", ended.text());
    assert!(ended.text().contains("holds in this process"));
    assert_eq!(status(&menshen, &token).await, 401);
    let record = ended_in_audit(&menshen);
    let reason = record["reason"].as_str().unwrap();
    assert!(reason.contains("not stored yet"), "{reason}");
    meddler.run(&undo).await;
    crate::sessions::eventually("the end of the token is stored", async || {
        listed(&menshen, TOKENS).await.is_empty()
    })
    .await;
}
