//! Logins through connectors that a form has made.

use super::*;
use crate::logging_in::OWN_PAGES;

async fn log_in(menshen: &Menshen, id: &str) -> Answer {
    let start = format!("{OWN_PAGES}/start?connector={id}&rd=/echo");
    let mut browser = Browser::new(menshen);
    browser.sign_in(&start, "zhangsan").await.answer
}

#[tokio::test]
async fn people_sign_in_with_a_connector_that_was_just_saved() {
    let menshen = empty_setup().start().await;
    let mut visit = Visit::of_administrator(&menshen, "root").await;
    visit.make("corp", &wecom_fields(&menshen)).await;
    let page = log_in(&menshen, "corp").await;
    assert_eq!(page.status, 200, "{}", page.text());
    assert_eq!(page.echoed("x-forwarded-user"), ["zhangsan"]);

    // A change of the mapping holds at the next login, with the secret that was kept.
    let html = visit.get(&format!("{LIST}/corp")).await.text();
    let etag = hidden(&html, "etag");
    let fields = with(
        &wecom_fields(&menshen),
        &[
            ("mapping.name", "profile.userid"),
            ("wecom.secret", ""),
            ("etag", &etag),
            ("action", "save"),
        ],
    );
    let answer = visit.post_form(&format!("{LIST}/corp"), &fields).await;
    assert_eq!(answer.status, 303, "{}", answer.text());
    let page = log_in(&menshen, "corp").await;
    assert_eq!(page.echoed("x-forwarded-name"), ["zhangsan"]);

    let records = menshen.audit();
    let saved = records.iter().filter(|record| record["event"] == "config");
    let by: Vec<_> = saved
        .map(|record| (record["by"].clone(), record["reason"].clone()))
        .collect();
    let reason = json!("put connector corp through the console");
    assert_eq!(
        by,
        [
            (json!("local:root"), reason.clone()),
            (json!("local:root"), reason)
        ]
    );
}

#[tokio::test]
async fn with_login_only_a_stranger_gets_no_account() {
    let menshen = empty_setup().start().await;
    let mut visit = Visit::of_administrator(&menshen, "root").await;
    let fields = with(&wecom_fields(&menshen), &[("admission", "existing")]);
    visit.make("corp", &fields).await;
    let page = log_in(&menshen, "corp").await;
    assert_eq!(page.status, 403, "{}", page.text());
}

#[tokio::test]
async fn a_test_asks_the_source_about_what_was_typed_and_saves_nothing() {
    let menshen = empty_setup().start().await;
    let mut visit = Visit::of_administrator(&menshen, "root").await;
    visit.get(&format!("{LIST}/_new?kind=wecom&lang=en")).await;
    let test = |secret: &'static str| {
        let others = [("id", "corp"), ("action", "test"), ("wecom.secret", secret)];
        with(&wecom_fields(&menshen), &others)
    };
    let version = menshen.running.live().settings().version();
    let path = format!("{LIST}/_new");
    let right = visit.post_form(&path, &test(SECRET)).await;
    assert_eq!(right.status, 200, "{}", right.text());
    let wrong = visit
        .post_form(&path, &test("a-secret-that-is-refused"))
        .await;
    let html = wrong.text();
    assert!(html.contains("role=\"status\""), "{html}");
    assert!(html.contains("badge bad\">Problem"), "{html}");
    let count = |html: &str| html.matches("badge bad").count();
    assert!(count(&html) > count(&right.text()), "{}", right.text());
    assert!(!html.contains("a-secret-that-is-refused"), "{html}");
    assert!(html.contains(CORP_ID), "what was typed is there: {html}");
    assert_eq!(menshen.running.live().settings().version(), version);
    assert_eq!(shown_by_api(&menshen, "corp").await, Err(404));

    // Of a saved connector: the typed settings, with the secret that is kept.
    visit.make("corp", &wecom_fields(&menshen)).await;
    let etag = hidden(&visit.get(&format!("{LIST}/corp")).await.text(), "etag");
    let fields = with(&test(""), &[("etag", &etag), ("display_name", "draft")]);
    let kept = visit.post_form(&format!("{LIST}/corp"), &fields).await;
    assert_eq!(count(&kept.text()), count(&right.text()), "{}", kept.text());
    assert!(kept.text().contains("value=\"draft\""), "{}", kept.text());
    let shown = shown_by_api(&menshen, "corp").await.unwrap();
    assert_eq!(shown["display_name"], Value::Null);
}
