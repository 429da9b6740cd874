//! Secrets in forms: kept, replaced, removed, and never shown.

use super::*;

fn oidc_fields() -> Vec<(&'static str, String)> {
    [
        ("kind", "oidc"),
        ("enabled", "true"),
        ("sync", "true"),
        ("oidc.userinfo", "true"),
        ("oidc.issuer", "https://id.corp.example"),
        ("oidc.client_id", "menshen"),
    ]
    .map(|(name, value)| (name, value.to_owned()))
    .to_vec()
}

/// The secret that a connector really has.
fn secret_of(menshen: &Menshen, id: &str) -> Option<String> {
    let settings = menshen.running.live().settings();
    let connector = settings
        .config()
        .connectors
        .get(&id.parse().unwrap())
        .unwrap();
    let secrets = connector.kind().unwrap().secrets();
    let (_, source) = secrets.first()?;
    Some(source.read().unwrap().expose().clone())
}

async fn save(visit: &mut Visit, others: &[(&'static str, &str)]) -> Answer {
    let page = format!("{LIST}/idp");
    let etag = hidden(&visit.get(&page).await.text(), "etag");
    let others: Vec<_> = [("etag", etag.as_str()), ("action", "save")]
        .into_iter()
        .chain(others.iter().copied())
        .collect();
    let answer = visit.post_form(&page, &with(&oidc_fields(), &others)).await;
    for secret in ["hunter2", "hunter3"] {
        assert!(!answer.text().contains(secret), "{}", answer.text());
    }
    answer
}

#[tokio::test]
async fn an_empty_secret_is_kept_a_typed_one_replaces_it_and_a_box_removes_it() {
    let menshen = empty_setup().start().await;
    let mut visit = Visit::of_administrator(&menshen, "root").await;
    let fields = with(&oidc_fields(), &[("oidc.client_secret", "hunter2")]);
    visit.make("idp", &fields).await;
    let html = visit.get(&format!("{LIST}/idp?lang=en")).await.text();
    let part = control(&html, "oidc.client_secret").unwrap();
    assert!(part.contains("type=\"password\"") && !part.contains("value=\"********\""));
    assert!(part.contains("Kept; type to replace."), "{part}");
    assert!(
        part.contains("name=\"remove\" value=\"oidc.client_secret\""),
        "{part}"
    );

    assert_eq!(
        save(&mut visit, &[("oidc.client_secret", "")]).await.status,
        303
    );
    assert_eq!(secret_of(&menshen, "idp").as_deref(), Some("hunter2"));
    assert_eq!(save(&mut visit, &[]).await.status, 303);
    assert_eq!(secret_of(&menshen, "idp").as_deref(), Some("hunter2"));
    let typed = [
        ("oidc.client_secret", "hunter3"),
        ("remove", "oidc.client_secret"),
    ];
    assert_eq!(save(&mut visit, &typed).await.status, 303);
    assert_eq!(secret_of(&menshen, "idp").as_deref(), Some("hunter3"));
    let removed = save(&mut visit, &[("remove", "oidc.client_secret")]).await;
    assert_eq!(removed.status, 303, "{}", removed.text());
    assert_eq!(secret_of(&menshen, "idp"), None);
    let html = visit.get(&format!("{LIST}/idp")).await.text();
    assert!(!html.contains("name=\"remove\""), "{html}");
}

#[tokio::test]
async fn a_secret_is_not_sent_to_another_place_than_before() {
    let menshen = empty_setup().start().await;
    let mut visit = Visit::of_administrator(&menshen, "root").await;
    let fields = with(&oidc_fields(), &[("oidc.client_secret", "hunter2")]);
    visit.make("idp", &fields).await;
    visit.get(&format!("{LIST}?lang=en")).await;
    let moved = [("oidc.issuer", "https://evil.example")];
    let answer = save(&mut visit, &moved).await;
    assert_eq!(answer.status, 422, "{}", answer.text());
    let html = answer.text();
    let part = control(&html, "oidc.client_secret").unwrap();
    assert!(part.contains("role=\"alert\""), "{html}");
    assert!(part.contains("give the secret again"), "{part}");
    assert!(html.contains("value=\"https://evil.example\""), "{html}");
    let shown = shown_by_api(&menshen, "idp").await.unwrap();
    assert_eq!(shown["oidc"]["issuer"], "https://id.corp.example");
    let given = [moved[0], ("oidc.client_secret", "hunter3")];
    assert_eq!(save(&mut visit, &given).await.status, 303);
}

#[tokio::test]
async fn the_password_of_a_proxy_is_a_secret() {
    let menshen = empty_setup().start().await;
    let mut visit = Visit::of_administrator(&menshen, "root").await;
    let fields = with(
        &oidc_fields(),
        &[("proxy", "http://u:hunter2@proxy.example:3128")],
    );
    visit.make("idp", &fields).await;
    let proxy = || {
        let settings = menshen.running.live().settings();
        let connector = &settings.config().connectors[&"idp".parse().unwrap()];
        connector.proxy.as_ref().map(|proxy| proxy.has_password())
    };
    assert_eq!(save(&mut visit, &[]).await.status, 303);
    assert_eq!(proxy(), Some(true));
    // A typed one is in no page, as other secrets.
    let wrong = [
        ("proxy", "http://u:hunter3@proxy.example:3128"),
        ("oidc.scopes", "email"),
    ];
    assert_eq!(save(&mut visit, &wrong).await.status, 422);
    assert_eq!(save(&mut visit, &[("remove", "proxy")]).await.status, 303);
    assert_eq!(proxy(), None);
}

#[tokio::test]
async fn secrets_with_free_names_have_a_control_each() {
    let menshen = empty_setup().start().await;
    let mut visit = Visit::of_administrator(&menshen, "root").await;
    let fields = [
        ("kind", "custom"),
        ("enabled", "true"),
        ("sync", "true"),
        ("custom.state", "state"),
        ("custom.entry", "ticket"),
        ("custom.origins", "https://portal.corp.example"),
        ("custom.subject", "steps.user.id"),
        ("custom.profile", "steps.user"),
        (
            "custom.step",
            "[[step]]\nname = \"user\"\nurl = \"https://portal.corp.example/user\"\n\
             query = { ticket = \"code\" }\n",
        ),
    ]
    .map(|(name, value)| (name, value.to_owned()));
    let secrets = "one = \"hunter2\"\ntwo = \"hunter2 two\"";
    visit
        .make("portal", &with(&fields, &[("custom.secrets", secrets)]))
        .await;
    let page = format!("{LIST}/portal");
    let html = visit.get(&page).await.text();
    assert!(!html.contains("hunter2"), "{html}");
    for name in ["custom.secrets.one", "custom.secrets.two"] {
        assert!(
            control(&html, name).unwrap().contains("type=\"password\""),
            "{name}"
        );
    }
    let etag = hidden(&html, "etag");
    let others = [
        ("etag", etag.as_str()),
        ("action", "save"),
        ("custom.secrets.one", "hunter3"),
        ("remove", "custom.secrets.two"),
        ("custom.secrets", "three = \"hunter3\""),
    ];
    let answer = visit.post_form(&page, &with(&fields, &others)).await;
    assert_eq!(answer.status, 303, "{}", answer.text());
    let shown = shown_by_api(&menshen, "portal").await.unwrap();
    assert_eq!(
        shown["custom"]["secrets"],
        json!({ "one": "********", "three": "********" })
    );
    // A mistake in the lines does not repeat them.
    let etag = hidden(&visit.get(&page).await.text(), "etag");
    let others = [
        ("etag", etag.as_str()),
        ("action", "save"),
        ("custom.secrets", "hunter2"),
    ];
    let answer = visit.post_form(&page, &with(&fields, &others)).await;
    assert_eq!(answer.status, 422);
    assert!(!answer.text().contains("hunter2"), "{}", answer.text());
}

#[tokio::test]
async fn a_table_is_there_once_something_is_typed_and_goes_with_its_box() {
    let menshen = empty_setup().start().await;
    let mut visit = Visit::of_administrator(&menshen, "root").await;
    let key = "abcdefghijklmnopqrstuvwxyz0123456789ABCDEFE";
    let events = [
        ("wecom.events.token", "hunter2"),
        ("wecom.events.encoding_aes_key", key),
        ("wecom.events.receive_id", "ww1"),
    ];
    visit
        .make("corp", &with(&wecom_fields(&menshen), &events))
        .await;
    let page = format!("{LIST}/corp");
    let shown = async || shown_by_api(&menshen, "corp").await.unwrap()["wecom"]["events"].clone();
    let all = json!({ "token": "********", "encoding_aes_key": "********", "receive_id": "ww1" });
    assert_eq!(shown().await, all);
    for (on, receive_id, expected) in [
        // The box keeps the table with its secrets.
        (
            Some("true"),
            "",
            json!({ "token": "********", "encoding_aes_key": "********" }),
        ),
        (None, "ww1", Value::Null),
    ] {
        let html = visit.get(&page).await.text();
        assert!(
            control(&html, "wecom.events").unwrap().contains(" checked"),
            "{html}"
        );
        let etag = hidden(&html, "etag");
        let mut others = vec![
            ("etag", etag.as_str()),
            ("action", "save"),
            ("wecom.events.receive_id", receive_id),
        ];
        others.extend(on.map(|on| ("wecom.events", on)));
        let answer = visit
            .post_form(&page, &with(&wecom_fields(&menshen), &others))
            .await;
        assert_eq!(answer.status, 303, "{}", answer.text());
        assert_eq!(shown().await, expected);
    }
}
