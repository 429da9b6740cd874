//! `/console/audit`: finds lines, and sends them as JSON lines.

use menshen::store::AuditQuery;

use super::*;
use crate::sessions::eventually;

/// A visit after two people have signed in, when the store has the lines.
async fn visit_with_lines(menshen: &Menshen) -> Visit {
    sign_in_elsewhere(menshen, "zhangsan").await;
    sign_in_elsewhere(menshen, "lisi").await;
    let visit = Visit::of_administrator(menshen, "root").await;
    let audit = &menshen.running.live().services().audit;
    let query = AuditQuery {
        max: 9,
        ..AuditQuery::default()
    };
    eventually("three lines", async || {
        audit.search(&query).await.unwrap().len() == 3
    })
    .await;
    visit
}

#[tokio::test]
async fn lines_are_found_by_event_person_connector_and_day() {
    let menshen = setup().start().await;
    let mut visit = visit_with_lines(&menshen).await;
    let day = menshen.clock.now().to_string()[..10].to_owned();
    for (query, zhang, li, console) in [
        (String::new(), true, true, true),
        ("event=login".to_owned(), true, true, false),
        ("event=login&login=LISI".to_owned(), false, true, false),
        ("event=console".to_owned(), false, false, true),
        ("connector=corp".to_owned(), true, true, false),
        ("connector=other".to_owned(), false, false, false),
        ("connector=%3Cscript".to_owned(), false, false, false),
        ("event=no-such-event".to_owned(), false, false, false),
        (format!("since={day}&until={day}"), true, true, true),
        ("until=2020-02-29".to_owned(), false, false, false),
        ("since=2020-02-30".to_owned(), false, false, false),
    ] {
        let html = visit
            .get(&format!("/console/audit?lang=en&{query}"))
            .await
            .text();
        let shown = [
            "<bdi>zhangsan</bdi>",
            "<bdi>lisi</bdi>",
            "signed in with a password",
        ];
        let shown = shown.map(|text| html.contains(text));
        assert_eq!(shown, [zhang, li, console], "{query}: {html}");
    }
}

#[tokio::test]
async fn lines_are_sent_as_json_lines() {
    let menshen = setup().start().await;
    let mut visit = visit_with_lines(&menshen).await;
    let answer = visit.get("/console/audit/download?event=login").await;
    assert_eq!(answer.header("content-type"), Some("application/x-ndjson"));
    let disposition = answer.header("content-disposition").unwrap();
    assert!(disposition.starts_with("attachment"), "{disposition}");
    let text = answer.text();
    let logins: Vec<_> = text
        .lines()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap())
        .map(|line| line["login"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(logins, ["lisi", "zhangsan"]);
    assert_eq!(
        Visit::new(&menshen)
            .get("/console/audit/download")
            .await
            .status,
        303
    );
}

#[tokio::test]
async fn the_overview_shows_changes_and_refused_logins() {
    let menshen = setup().start().await;
    let mut visit = visit_with_lines(&menshen).await;
    let path = format!("/console/people/{}", account_of(&menshen, "lisi").await);
    let closing = [("action", "close"), ("reason", "left the company")];
    visit.post(&path, &closing).await;
    let mut browser = Browser::new(&menshen);
    browser.sign_in("http://sso.test/echo", "lisi").await;
    let audit = &menshen.running.live().services().audit;
    let query = AuditQuery {
        event: Some("refused".to_owned().try_into().unwrap()),
        max: 1,
        ..AuditQuery::default()
    };
    eventually("a refused login", async || {
        !audit.search(&query).await.unwrap().is_empty()
    })
    .await;
    let html = visit.get("/console/?lang=en").await.text();
    assert!(html.contains("left the company"), "{html}");
    assert!(html.contains("class=\"hbar\""), "{html}");
}
