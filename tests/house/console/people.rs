//! `/console/people`: finds people, shows one, and closes and opens accounts.

use super::*;

#[tokio::test]
async fn people_are_found_by_what_is_known_of_them() {
    let menshen = setup().start().await;
    sign_in_elsewhere(&menshen, "zhangsan").await;
    sign_in_elsewhere(&menshen, "lisi").await;
    let mut visit = Visit::of_administrator(&menshen, "root").await;
    for (query, zhang, li) in [
        ("", true, true),
        ("text=zhang", true, false),
        ("text=%E6%9D%8E", false, true),
        ("text=no-such-text", false, false),
        ("connector=corp&closed=false", true, true),
        ("closed=true", false, false),
        ("connector=other", false, false),
        ("connector=%3Cscript", false, false),
        ("after=lisi", true, false),
    ] {
        let html = visit.get(&format!("/console/people?{query}")).await.text();
        let row = |login: &str| html.contains(&format!("<bdi>{login}</bdi></small>"));
        assert_eq!(
            (row("zhangsan"), row("lisi")),
            (zhang, li),
            "{query}: {html}"
        );
    }
}

#[tokio::test]
async fn a_person_is_shown_with_fields_identities_sessions_and_history() {
    let menshen = setup().start().await;
    sign_in_elsewhere(&menshen, "zhangsan").await;
    let mut visit = Visit::of_administrator(&menshen, "root").await;
    let account = account_of(&menshen, "zhangsan").await;
    let html = visit
        .get(&format!("/console/people/{account}?lang=en"))
        .await
        .text();
    for shown in ["张三", "corp", "Firefox on Linux", "created", &account] {
        assert!(html.contains(shown), "{shown}: {html}");
    }
    for unknown in ["AAAAAAAAAAAAAAAAAAAAAA", "x", "", "%00"] {
        let answer = visit.get(&format!("/console/people/{unknown}")).await;
        assert!([400, 404].contains(&answer.status), "{unknown}");
    }
}

#[tokio::test]
async fn an_account_is_closed_and_opened_again() {
    let menshen = setup().start().await;
    let mut person = sign_in_elsewhere(&menshen, "zhangsan").await;
    let mut visit = Visit::of_administrator(&menshen, "root").await;
    let path = format!("/console/people/{}", account_of(&menshen, "zhangsan").await);
    let long = "x".repeat(201);
    let bad = visit
        .post(&path, &[("action", "close"), ("reason", &long)])
        .await;
    assert_eq!(bad.status, 422);
    assert!(bad.text().contains("role=\"alert\""));
    assert!(is_signed_in(&mut person).await);
    let closing = [("action", "close"), ("reason", "left the company")];
    let closed = visit.post(&path, &closing).await;
    assert_eq!(
        closed.header("location"),
        Some(format!("{path}?done=closed").as_str())
    );
    assert!(!is_signed_in(&mut person).await);
    let html = visit.get(&path).await.text();
    assert!(
        html.contains("left the company") && html.contains("value=\"open\""),
        "{html}"
    );
    assert_eq!(visit.post(&path, &[("action", "open")]).await.status, 303);
    menshen.advance(std::time::Duration::from_secs(1));
    let mut person = sign_in_elsewhere(&menshen, "zhangsan").await;
    assert!(is_signed_in(&mut person).await);
    let events = menshen.audit();
    let by_root = |event: &str| {
        let mut lines = events.iter();
        lines.any(|line| {
            line["event"] == event && line["by"] == "local:root" && line["login"] == "zhangsan"
        })
    };
    assert!(by_root("closed") && by_root("opened"));
}

#[tokio::test]
async fn sessions_of_another_person_are_not_ended_on_the_page_of_a_person() {
    let menshen = setup().start().await;
    let mut zhang = sign_in_elsewhere(&menshen, "zhangsan").await;
    let mut li = sign_in_elsewhere(&menshen, "lisi").await;
    let mut visit = Visit::of_administrator(&menshen, "root").await;
    let page = |account: String| format!("/console/people/{account}");
    let of_zhang = page(account_of(&menshen, "zhangsan").await);
    let of_li = page(account_of(&menshen, "lisi").await);
    let html = visit.get(&of_li).await.text();
    let id = html.split("name=\"session\" value=\"").nth(1).unwrap();
    let id = id.split('"').next().unwrap().to_owned();
    let fields = [("action", "end"), ("session", id.as_str())];
    assert_eq!(visit.post(&of_zhang, &fields).await.status, 422);
    assert!(is_signed_in(&mut li).await);
    assert_eq!(visit.post(&of_li, &fields).await.status, 303);
    assert!(!is_signed_in(&mut li).await);
    assert_eq!(
        visit.post(&of_zhang, &[("action", "end-all")]).await.status,
        303
    );
    assert!(!is_signed_in(&mut zhang).await);
}
