//! `/console/`: health, who is here, the sources.

use super::*;

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
async fn a_refused_reload_is_shown_as_degraded() {
    let menshen = setup().start().await;
    let mut visit = Visit::of_administrator(&menshen, "root").await;
    menshen.running.note_unparsable_config();
    let html = visit.get("/console/?lang=en").await.text();
    assert!(html.contains("health warn"), "{html}");
}
