//! `/console/`: health, who is here, the sources.

use menshen::store::{AuditQuery, NodeRecord};
use menshen::telemetry::AuditEvent;

use super::*;
use crate::sessions::eventually;
use crate::wire;

#[tokio::test]
async fn the_overview_shows_health_who_is_here_and_the_sources() {
    let menshen = setup().start().await;
    sign_in_elsewhere(&menshen, "zhangsan").await;
    let mut visit = Visit::of_administrator(&menshen, "root").await;
    let html = visit.get("/console/?lang=en").await.text();
    assert!(html.contains("health good"), "{html}");
    assert!(
        html.contains("张三") && html.contains("Reachable"),
        "{html}"
    );
    assert!(html.contains("<svg class=\"chart\"") && html.contains(": 1 sign-ins\""));
    let user_info = "/cgi-bin/auth/getuserinfo";
    menshen.wecom.answer_with(user_info, 500, "", 9);
    let mut stranger = Browser::new(&menshen);
    let login_page = stranger.open_login_page("http://sso.test/echo").await;
    let callback = stranger.choose_person(&login_page, "lisi").await;
    stranger.follow(&callback).await;
    let html = visit.get("/console/").await.text();
    assert!(html.contains("Last problem"), "{html}");
}

#[tokio::test]
async fn refused_sign_ins_are_counted_by_reason_and_requests_of_the_api_are_not() {
    let menshen = setup().start().await;
    let mut visit = Visit::of_administrator(&menshen, "root").await;
    for userid in ["zhangsan", "lisi"] {
        sign_in_elsewhere(&menshen, userid).await;
        let path = format!("/console/people/{}", account_of(&menshen, userid).await);
        let closing = [("action", "close"), ("reason", "left the company")];
        assert_eq!(visit.post(&path, &closing).await.status, 303);
        let mut browser = Browser::new(&menshen);
        browser.sign_in("http://sso.test/echo", userid).await;
    }
    let request = "GET /api/people HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n";
    let answer = wire::send(console_address(&menshen), request.as_bytes()).await;
    assert_eq!(answer.status, 401);
    let audit = &menshen.running.live().services().audit;
    let query = AuditQuery {
        event: Some(AuditEvent::Refused),
        max: 9,
        ..AuditQuery::default()
    };
    eventually("three lines", async || {
        audit.search(&query).await.unwrap().len() == 3
    })
    .await;
    let html = visit.get("/console/?lang=en").await.text();
    let (_, panel) = html.split_once("id=\"refused\"").unwrap();
    let panel = panel.split("</section>").next().unwrap();
    assert!(
        panel.contains("<bdi>the account … is closed</bdi> <strong>2</strong>"),
        "{panel}"
    );
    assert_eq!(panel.matches("<li>").count(), 1, "{panel}");
}

#[tokio::test]
async fn a_refused_reload_is_shown_as_degraded() {
    let menshen = setup().start().await;
    let mut visit = Visit::of_administrator(&menshen, "root").await;
    menshen.running.note_unparsable_config();
    let html = visit.get("/console/?lang=en").await.text();
    assert!(html.contains("health warn"), "{html}");
}

#[tokio::test]
async fn each_node_is_shown_with_its_versions_and_why_it_lags() {
    let menshen = setup().start().await;
    let mut visit = Visit::of_administrator(&menshen, "root").await;
    let now = menshen.running.live().services().clock.now();
    let node = |name: &str, seen_at| NodeRecord {
        id: name.to_owned(),
        name: name.to_owned(),
        program_version: "9.9.9".to_owned(),
        settings_version: 3,
        problem: None,
        started_at: Timestamp::from_unix_s(1),
        seen_at,
    };
    let lagging = NodeRecord {
        settings_version: 2,
        problem: Some("connector corp: <b>it is missing</b>".to_owned()),
        ..node("<i>web-2</i>", now)
    };
    let store = &menshen.running.live().services().store;
    store.report_node(&lagging).await.unwrap();
    let html = visit.get("/console/?lang=en").await.text();
    let nodes = |html: &str| {
        let table = html.split_once("id=\"nodes\"").unwrap().1;
        table.split("</table>").next().unwrap().to_owned()
    };
    let table = nodes(&html);
    assert!(
        table.contains("this one") && table.contains("9.9.9"),
        "{table}"
    );
    assert!(
        table.contains("<p class=\"problem small\"><bdi>connector corp: &#60;b&#62;"),
        "{table}"
    );
    assert!(
        !table.contains("<i>") && !table.contains("silent"),
        "{table}"
    );
    // A node of this version says it in both languages.
    let english = "connector corp: it is missing";
    let in_both = NodeRecord {
        problem: Some(format!("{english}\n认证源 corp：缺少这一项")),
        ..lagging
    };
    store.report_node(&in_both).await.unwrap();
    for (lang, said, other) in [
        ("en", english, "缺少"),
        ("zh", "认证源 corp：缺少这一项", english),
    ] {
        let table = nodes(&visit.get(&format!("/console/?lang={lang}")).await.text());
        assert!(table.contains(said) && !table.contains(other), "{table}");
    }
    visit.get("/console/?lang=en").await;
    let long_ago = Timestamp::from_unix_ms(now.unix_ms() - 91_000);
    store.report_node(&node("web-3", long_ago)).await.unwrap();
    let table = nodes(&visit.get("/console/").await.text());
    assert_eq!(table.matches(">silent<").count(), 1, "{table}");
    // The one that answers has no settings, the others have 2 and 3.
    assert_eq!(table.matches(">not the newest<").count(), 2, "{table}");
}
