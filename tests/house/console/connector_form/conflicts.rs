//! Somebody else saved or deleted the connector meanwhile.

use super::*;

#[tokio::test]
async fn both_versions_are_shown_and_the_other_one_is_replaced_only_knowingly() {
    let menshen = empty_setup().start().await;
    let mut visit = Visit::of_administrator(&menshen, "root").await;
    let page = format!("{LIST}/corp");
    let fields = wecom_fields(&menshen);
    visit.make("corp", &fields).await;
    let stale = hidden(&visit.get(&page).await.text(), "etag");
    let save = |etag: &str, name: &'static str| {
        with(
            &fields,
            &[("etag", etag), ("action", "save"), ("display_name", name)],
        )
    };
    let theirs = visit.post_form(&page, &save(&stale, "Theirs")).await;
    assert_eq!(theirs.status, 303, "{}", theirs.text());

    let mine = visit.post_form(&page, &save(&stale, "Mine")).await;
    assert_eq!(mine.status, 409, "{}", mine.text());
    let html = mine.text();
    assert!(html.contains("role=\"alert\""), "{html}");
    assert!(
        html.contains("<del>-&nbsp;display_name = &#34;Theirs&#34;</del>"),
        "{html}"
    );
    assert!(
        html.contains("<ins>+&nbsp;display_name = &#34;Mine&#34;</ins>"),
        "{html}"
    );
    assert!(
        control(&html, "display_name")
            .unwrap()
            .contains("value=\"Mine\""),
        "{html}"
    );
    assert!(!html.contains(SECRET), "{html}");
    let shown = shown_by_api(&menshen, "corp").await.unwrap();
    assert_eq!(shown["display_name"], "Theirs");

    // The page names the version that it showed: saving again replaces that one, and no later one.
    let current = hidden(&html, "etag");
    assert_ne!(current, stale);
    let again = visit.post_form(&page, &save(&current, "Mine")).await;
    assert_eq!(again.status, 303, "{}", again.text());
    assert_eq!(
        visit
            .post_form(&page, &save(&current, "Once more"))
            .await
            .status,
        409
    );
    let shown = shown_by_api(&menshen, "corp").await.unwrap();
    assert_eq!(shown["display_name"], "Mine");
}

#[tokio::test]
async fn what_was_deleted_meanwhile_is_made_anew_only_knowingly() {
    let menshen = empty_setup().start().await;
    let mut visit = Visit::of_administrator(&menshen, "root").await;
    let page = format!("{LIST}/corp");
    let fields = wecom_fields(&menshen);
    visit.make("corp", &fields).await;
    let etag = hidden(&visit.get(&page).await.text(), "etag");
    let delete = [
        ("action", "delete"),
        ("id", "corp"),
        ("etag", etag.as_str()),
        ("confirm", "yes"),
    ];
    assert_eq!(visit.post(LIST, &delete).await.status, 303);

    let save = |etag: &str| with(&fields, &[("etag", etag), ("action", "save")]);
    let answer = visit.post_form(&page, &save(&etag)).await;
    assert_eq!(answer.status, 409, "{}", answer.text());
    assert_eq!(hidden(&answer.text(), "etag"), "");
    assert_eq!(shown_by_api(&menshen, "corp").await, Err(404));
    let answer = visit.post_form(&page, &save("")).await;
    assert_eq!(answer.status, 303, "{}", answer.text());
    assert!(shown_by_api(&menshen, "corp").await.is_ok());
    // Only a button of a form that somebody saw does something.
    for etag in ["x", "-1"] {
        let answer = visit.post_form(&page, &save(etag)).await;
        assert_eq!(answer.status, 400, "{etag}");
    }
}
