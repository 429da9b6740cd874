//! What is wrong stands beside its field; what was typed stays, but for secrets.

use super::*;
use crate::chinese::english_in;
use crate::console::chinese::words_of;

async fn refused(visit: &mut Visit, fields: &[(&'static str, String)], id: &str) -> (u16, String) {
    let fields = with(fields, &[("id", id), ("action", "save")]);
    let answer = visit.post_form(&format!("{LIST}/_new"), &fields).await;
    let html = answer.text();
    assert!(!html.contains(SECRET), "{html}");
    (answer.status, html)
}

/// Fields, and what cannot be written there.
const PROBLEMS: [(&str, &str); 12] = [
    ("wecom.corp_id", ""),
    ("wecom.corp_id", "a:b"),
    ("wecom.agent_id", "ww1"),
    ("wecom.revalidate", "often"),
    ("wecom.api_base", "not a url"),
    ("wecom.mode", "qr"),
    ("mapping.login", "profile."),
    ("mapping", "login = "),
    ("home.desktop", "https://evil.example/"),
    ("callback_base", "https://evil.example/path"),
    ("ca_pem", "no certificate"),
    ("join.department", "/"),
];

#[tokio::test]
async fn a_problem_stands_beside_its_field_and_what_was_typed_stays() {
    let menshen = empty_setup().start().await;
    let mut visit = Visit::of_administrator(&menshen, "root").await;
    visit.get(&format!("{LIST}?lang=en")).await;
    let fields = wecom_fields(&menshen);
    for (name, value) in PROBLEMS {
        let others = [(name, value), ("display_name", "Typed name")];
        let (status, html) = refused(&mut visit, &with(&fields, &others), "corp").await;
        assert_eq!(status, 422, "{name} = {value}: {html}");
        let part = control(&html, name).unwrap();
        assert!(part.contains("role=\"alert\""), "{name} = {value}: {html}");
        assert!(
            part.contains("aria-invalid=\"true\""),
            "{name} = {value}: {part}"
        );
        let alerts = html.matches("role=\"alert\"").count();
        assert_eq!(alerts, 1, "{name} = {value}: {html}");
        // A list of choices has no place for another one.
        let is_kept = part.contains(value) || part.contains("<select");
        assert!(is_kept, "{name} = {value}: {part}");
        assert!(html.contains("value=\"Typed name\""), "{name}: {html}");
    }
    assert_eq!(menshen.running.live().settings().version(), 0);
    // In Chinese, too.
    visit.get(&format!("{LIST}?lang=zh")).await;
    let missing = with(&fields, &[("wecom.corp_id", "")]);
    let (_, html) = refused(&mut visit, &missing, "corp").await;
    assert!(
        control(&html, "wecom.corp_id")
            .unwrap()
            .contains("缺少这一项"),
        "{html}"
    );
    for (name, value) in PROBLEMS {
        let (_, html) = refused(&mut visit, &with(&fields, &[(name, value)]), "corp").await;
        let words = words_of(control(&html, name).unwrap());
        let english = words.lines().find_map(english_in);
        assert_eq!(english, None, "{name} = {value}: {words}");
    }
}

#[tokio::test]
async fn an_id_that_cannot_be_used_is_refused_beside_it() {
    let menshen = setup().start().await;
    let mut visit = Visit::of_administrator(&menshen, "root").await;
    let fields = with(&wecom_fields(&menshen), &[("auto_login", "never")]);
    visit.make("mine", &fields).await;
    for id in ["", "Corp", "a b", "corp", "mine", "<b>"] {
        let (status, html) = refused(&mut visit, &fields, id).await;
        assert!([409, 422].contains(&status), "{id}: {status}");
        let part = control(&html, "id").unwrap();
        assert!(part.contains("role=\"alert\""), "{id}: {html}");
        assert!(!html.contains("<b>"), "{html}");
    }
    assert_eq!(menshen.running.live().settings().version(), 1);
}

#[tokio::test]
async fn only_one_connector_signs_in_by_itself_inside_the_app() {
    let menshen = setup().start().await;
    let mut visit = Visit::of_administrator(&menshen, "root").await;
    let html = visit
        .get(&format!("{LIST}/_new?kind=wecom&lang=en"))
        .await
        .text();
    let part = control(&html, "auto_login").unwrap();
    assert!(part.contains("value=\"never\" selected"), "{part}");
    assert!(
        part.contains("already start with the connector corp"),
        "{part}"
    );
    let fields = with(&wecom_fields(&menshen), &[("auto_login", "in-app")]);
    let (status, html) = refused(&mut visit, &fields, "second").await;
    assert_eq!(status, 422);
    let part = control(&html, "auto_login").unwrap();
    assert!(part.contains("role=\"alert\""), "{html}");
    assert_eq!(shown_by_api(&menshen, "second").await, Err(404));
    visit
        .make("second", &with(&fields, &[("auto_login", "never")]))
        .await;
}

#[tokio::test]
async fn hostile_names_are_text() {
    let hostile = "\"><script>alert('x')</script>";
    let menshen = empty_setup().start().await;
    let mut visit = Visit::of_administrator(&menshen, "root").await;
    let others = [("display_name", hostile), ("mapping.name", "'<script>'")];
    visit
        .make("corp", &with(&wecom_fields(&menshen), &others))
        .await;
    for lang in ["zh", "en"] {
        let html = visit.get(&format!("{LIST}/corp?lang={lang}")).await.text();
        assert!(!html.contains("<script"), "{html}");
        assert!(html.contains("&#60;script&#62;alert"), "{html}");
        let others = [
            ("wecom.corp_id", hostile),
            ("mapping", hostile),
            ("kind", "wecom"),
        ];
        let (status, html) =
            refused(&mut visit, &with(&wecom_fields(&menshen), &others), hostile).await;
        assert_eq!(status, 422);
        assert!(!html.contains("<script"), "{html}");
    }
}
