//! What a form must not change: connectors of the file, `[managed] write = false`, and people who may only
//! look.

use super::*;

const ACTIONS: [&str; 5] = ["save", "enable", "disable", "delete", "default"];

fn assert_has_no_buttons(html: &str) {
    assert!(!html.contains("name=\"action\""), "{html}");
    assert!(
        html.contains("<fieldset class=\"settings\" disabled>"),
        "{html}"
    );
}

#[tokio::test]
async fn a_connector_of_the_file_is_shown_without_buttons_and_not_changed() {
    let menshen = setup().start().await;
    let mut visit = Visit::of_administrator(&menshen, "root").await;
    let page = format!("{LIST}/corp");
    let html = visit.get(&page).await.text();
    assert_has_no_buttons(&html);
    assert!(html.contains("<code>test.toml:"), "{html}");
    assert!(html.contains(CORP_ID) && !html.contains(SECRET), "{html}");
    let fields = with(&wecom_fields(&menshen), &[("etag", "0")]);
    for action in ACTIONS {
        let answer = visit
            .post_form(&page, &with(&fields, &[("action", action)]))
            .await;
        assert_eq!(answer.status, 409, "{action}");
        let html = answer.text();
        assert!(
            html.contains("role=\"alert\"") && html.contains("test.toml:"),
            "{html}"
        );
        assert_has_no_buttons(&html);
        assert!(!html.contains(SECRET), "{html}");
    }
    assert_eq!(menshen.running.live().settings().version(), 0);
}

#[tokio::test]
async fn where_the_file_forbids_changes_no_page_has_a_button() {
    let lines = "external_url = \"http://console.test\"\n[managed]\nwrite = false\n";
    let menshen = with_console(lines).without_connector().start().await;
    let mut visit = Visit::of_administrator(&menshen, "root").await;
    let html = visit.get(LIST).await.text();
    assert!(!html.contains("connectors/_new"), "{html}");
    let html = visit.get(&format!("{LIST}/_new")).await.text();
    assert!(!html.contains("?kind="), "{html}");
    assert_has_no_buttons(&visit.get(&format!("{LIST}/_new?kind=wecom")).await.text());
    let fields = with(
        &wecom_fields(&menshen),
        &[("id", "corp"), ("action", "save")],
    );
    let answer = visit.post_form(&format!("{LIST}/_new"), &fields).await;
    assert_eq!(answer.status, 409, "{}", answer.text());
    assert_eq!(menshen.running.live().settings().version(), 0);
}

#[tokio::test]
async fn somebody_who_may_only_look_sees_no_button_and_changes_nothing() {
    let menshen = setup().start().await;
    let mut visit = Visit::of_administrator(&menshen, "root").await;
    let fields = with(&wecom_fields(&menshen), &[("auto_login", "never")]);
    visit.make("mine", &fields).await;
    let mut looker = Visit::of_person(&menshen, "lisi").await;
    let html = looker.get(&format!("{LIST}/mine")).await.text();
    assert_has_no_buttons(&html);
    assert!(!html.contains(SECRET), "{html}");
    assert!(
        !looker
            .get(&format!("{LIST}/_new"))
            .await
            .text()
            .contains("?kind=")
    );
    for (path, id) in [("_new", "other"), ("mine", "mine")] {
        for action in ACTIONS.into_iter().chain(["test"]) {
            let others = [("id", id), ("etag", "1"), ("action", action)];
            let answer = looker
                .post_form(&format!("{LIST}/{path}"), &with(&fields, &others))
                .await;
            assert_eq!(answer.status, 403, "{path} {action}");
        }
    }
    assert_eq!(menshen.running.live().settings().version(), 1);
}

#[tokio::test]
async fn a_form_without_its_token_or_of_another_origin_changes_nothing() {
    let menshen = empty_setup().start().await;
    let mut visit = Visit::of_administrator(&menshen, "root").await;
    let fields = with(
        &wecom_fields(&menshen),
        &[("id", "corp"), ("action", "save")],
    );
    let token = std::mem::replace(&mut visit.csrf_token, "wrong".to_owned());
    let path = format!("{LIST}/_new");
    assert_eq!(visit.post_form(&path, &fields).await.status, 403);
    let fields = with(&fields, &[("csrf", &token)]);
    let fields: Vec<_> = fields
        .iter()
        .map(|(name, value)| (*name, value.as_str()))
        .collect();
    let origin = [("Origin", "http://evil.test")];
    assert_eq!(visit.post_from(&origin, &path, &fields).await.status, 403);
    assert_eq!(menshen.running.live().settings().version(), 0);
    let origin = [("Origin", CONSOLE_URL)];
    assert_eq!(visit.post_from(&origin, &path, &fields).await.status, 303);
}

#[tokio::test]
async fn a_stranger_sends_no_form_as_large_as_that_of_a_connector() {
    let menshen = empty_setup().start().await;
    let path = format!("{LIST}/_new");
    let fields = wecom_fields(&menshen);
    let large = with(&fields, &[("ca_pem", &"x".repeat(100_000))]);
    let mut stranger = Visit::new(&menshen);
    assert_eq!(stranger.post_form(&path, &large).await.status, 413);
    let mut visit = Visit::of_administrator(&menshen, "root").await;
    assert_ne!(visit.post_form(&path, &large).await.status, 413);
}

#[tokio::test]
async fn a_form_that_is_too_large_is_refused() {
    let menshen = empty_setup().start().await;
    let mut visit = Visit::of_administrator(&menshen, "root").await;
    let path = format!("{LIST}/_new");
    let fields = wecom_fields(&menshen);
    let long = with(&fields, &[("ca_pem", &"x".repeat(600_000))]);
    assert_eq!(visit.post_form(&path, &long).await.status, 413);
    let many: Vec<_> = (0..600).map(|_| ("remove", String::new())).collect();
    assert_eq!(visit.post_form(&path, &many).await.status, 400);
}
