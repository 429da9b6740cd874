//! `/console/sessions`: lists and ends sessions.

use super::*;

#[tokio::test]
async fn sessions_are_listed_with_person_source_address_and_device() {
    let menshen = setup().start().await;
    sign_in_elsewhere(&menshen, "zhangsan").await;
    sign_in_elsewhere(&menshen, "lisi").await;
    let mut visit = Visit::of_administrator(&menshen, "root").await;
    let html = visit.get("/console/sessions").await.text();
    for shown in ["张三", "李四", "corp", "127.0.0.1", "Firefox on Linux"] {
        assert!(html.contains(shown), "{shown}: {html}");
    }
    let html = visit.get("/console/sessions?login=LISI").await.text();
    assert!(html.contains("李四") && !html.contains("张三"), "{html}");
    for nobody in ["login=nobody", "connector=other", "connector=%3C"] {
        let html = visit
            .get(&format!("/console/sessions?{nobody}"))
            .await
            .text();
        assert!(!html.contains("李四"), "{nobody}: {html}");
    }
}

#[tokio::test]
async fn one_session_is_ended() {
    let menshen = setup().start().await;
    let mut one = sign_in_elsewhere(&menshen, "zhangsan").await;
    let mut other = sign_in_elsewhere(&menshen, "lisi").await;
    let mut visit = Visit::of_administrator(&menshen, "root").await;
    let html = visit.get("/console/sessions?login=zhangsan").await.text();
    let id = html.split("name=\"session\" value=\"").nth(1).unwrap();
    let id = id.split('"').next().unwrap().to_owned();
    let fields = [("action", "end"), ("session", id.as_str())];
    let answer = visit
        .post("/console/sessions?login=zhangsan", &fields)
        .await;
    let to = answer.header("location").unwrap().to_owned();
    assert_eq!(to, "/console/sessions?login=zhangsan&done=ended");
    let html = visit.get(&to).await.text();
    assert!(html.contains("role=\"status\""), "{html}");
    assert!(!is_signed_in(&mut one).await);
    assert!(is_signed_in(&mut other).await);
    let again = visit.post("/console/sessions", &fields).await;
    assert_eq!(again.status, 404);
    assert!(again.text().contains("role=\"alert\""));
    let line = menshen
        .audit()
        .into_iter()
        .find(|line| line["event"] == "revoked");
    let line = line.unwrap();
    assert_eq!(
        (&line["by"], &line["reason"]),
        (&"local:root".into(), &"through the console".into())
    );
}

#[tokio::test]
async fn the_sessions_of_a_person_of_a_connector_and_of_everyone_are_ended() {
    let menshen = setup().start().await;
    let mut visit = Visit::of_administrator(&menshen, "root").await;
    for fields in [
        &[("action", "end-all"), ("login", "zhangsan")][..],
        &[("action", "end-all"), ("connector", "corp")],
        &[
            ("action", "end-all"),
            ("everyone", "yes"),
            ("confirm", "yes"),
        ],
    ] {
        let mut person = sign_in_elsewhere(&menshen, "zhangsan").await;
        let answer = visit.post("/console/sessions", fields).await;
        assert_eq!(answer.status, 303, "{fields:?}");
        assert!(!is_signed_in(&mut person).await, "{fields:?}");
        // A login that began in the second of a revocation is refused.
        menshen.advance(std::time::Duration::from_secs(1));
    }
    assert_eq!(
        visit.get("/console/").await.status,
        200,
        "it has no session of a person"
    );
}

#[tokio::test]
async fn ending_everything_is_asked_again() {
    let menshen = setup().start().await;
    let mut person = sign_in_elsewhere(&menshen, "zhangsan").await;
    let mut visit = Visit::of_administrator(&menshen, "root").await;
    let fields = [("action", "end-all"), ("everyone", "yes")];
    let answer = visit.post("/console/sessions", &fields).await;
    assert_eq!(answer.status, 200);
    assert!(answer.text().contains("name=\"confirm\" value=\"yes\""));
    assert!(is_signed_in(&mut person).await);
    for unclear in [
        &[("action", "end-all")][..],
        &[("action", "end-all"), ("login", "nobody")],
        &[("action", "end-all"), ("connector", "other")],
        &[
            ("action", "end-all"),
            ("login", "zhangsan"),
            ("connector", "corp"),
        ],
        &[("action", "delete")],
        &[],
    ] {
        let answer = visit.post("/console/sessions", unclear).await;
        assert_eq!(answer.status, 404, "{unclear:?}");
    }
    assert!(is_signed_in(&mut person).await);
}

#[tokio::test]
async fn a_long_list_has_pages() {
    let menshen = setup().start().await;
    for _ in 0..51 {
        sign_in_elsewhere(&menshen, "zhangsan").await;
    }
    let mut visit = Visit::of_administrator(&menshen, "root").await;
    let count = |html: &str| html.matches("name=\"session\"").count();
    let first = visit.get("/console/sessions?login=zhangsan").await.text();
    assert_eq!(count(&first), 50);
    assert!(
        first.contains("/console/sessions?login=zhangsan&#38;page=2"),
        "{first}"
    );
    let second = visit
        .get("/console/sessions?login=zhangsan&page=2")
        .await
        .text();
    assert_eq!(count(&second), 1);
    assert!(second.contains("page=1") && !second.contains("page=3"));
    for odd in ["0", "99", "-1", "x"] {
        let html = visit
            .get(&format!("/console/sessions?page={odd}"))
            .await
            .text();
        assert!(count(&html) > 0, "{odd}");
    }
}
