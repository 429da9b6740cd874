//! `/console/connectors/ID/mapping`: what the mapping makes of a profile, and who saves it.

use menshen::site::settings::{Author, Change, ConnectorTable, Means, Precondition};
use serde_json::{Value, json};

use super::*;

const FILE_PATH: &str = "/console/connectors/corp/mapping";
const PATH: &str = "/console/connectors/aaa/mapping";

/// A profile as the simulated WeCom has it.
const PROFILE: &str = r#"{"userid": "wangwu", "name": "王五", "biz_mail": "w@corp.example"}"#;

async fn put(menshen: &Menshen, mapping: Value) {
    let table = json!({
        "display_name": "A",
        "mapping": mapping,
        "oidc": {
            "issuer": "https://id.corp.example",
            "client_id": "a",
            "client_secret": "plum-blossom",
        },
    });
    let change = Change::Put {
        id: "aaa".parse().unwrap(),
        settings: ConnectorTable::from(table.as_object().unwrap().clone()),
    };
    let author = Author {
        name: "deploy".to_owned(),
        means: Means::Api,
        client: None,
    };
    let live = menshen.running.live();
    let changed = live.change(change, Precondition::None, &author).await;
    changed.unwrap();
}

/// The saved settings of the managed connector, without its secrets.
fn saved(menshen: &Menshen) -> Value {
    let settings = menshen.running.live().settings();
    let table = settings.table(&"aaa".parse().unwrap()).unwrap();
    Value::Object(table.expose().clone())
}

/// The part of the page about a field, from its control to the next one.
fn field<'a>(html: &'a str, name: &str) -> &'a str {
    let control = format!("name=\"mapping.{name}\"");
    let (_, rest) = html
        .split_once(&control)
        .unwrap_or_else(|| panic!("{name}: {html}"));
    rest.split("</tr>").next().unwrap()
}

/// The part of the page about the login and the headers.
fn result(html: &str) -> &str {
    html.split_once("id=\"result\"").unwrap().1
}

#[tokio::test]
async fn the_page_shows_what_the_mapping_makes_of_the_sample() {
    let menshen = setup().start().await;
    let mut visit = Visit::of_administrator(&menshen, "root").await;
    let answer = visit.get(&format!("{FILE_PATH}?lang=en")).await;
    assert_eq!(answer.status, 200);
    let html = answer.text();
    assert!(
        field(&html, "login").contains("<bdi>ZhangSan</bdi>"),
        "{html}"
    );
    assert!(
        field(&html, "departments").contains("<bdi>平台部</bdi>"),
        "{html}"
    );
    assert!(
        field(&html, "led_department_ids").contains("absent"),
        "{html}"
    );
    assert!(html.contains("placeholder=\"profile.userid\""), "{html}");
    // The file sets it: no button saves it.
    assert!(html.contains("value=\"preview\"") && !html.contains("value=\"save\""));
    assert!(html.contains("decides it. Change it there"), "{html}");
    for path in [
        "/console/connectors/nobody/mapping",
        "/console/connectors/x%20y/mapping",
        "/console/connectors//mapping",
    ] {
        assert_eq!(visit.get(path).await.status, 404, "{path}");
        let fields = [("action", "preview")];
        assert_eq!(visit.post(path, &fields).await.status, 404, "{path}");
    }
}

#[tokio::test]
async fn the_headers_are_those_that_an_application_receives() {
    let menshen = setup().start().await;
    menshen
        .wecom
        .member("wangwu", |member| "王五".clone_into(&mut member.name));
    let mut person = Browser::new(&menshen);
    let echo = person
        .sign_in("http://sso.test/echo", "wangwu")
        .await
        .answer;
    let mut visit = Visit::of_administrator(&menshen, "root").await;
    visit.get(&format!("{FILE_PATH}?lang=en")).await;
    let fields = [("action", "preview"), ("profile", PROFILE)];
    let html = visit.post(FILE_PATH, &fields).await.text();
    let result = result(&html);
    for header in [
        "x-forwarded-user",
        "x-forwarded-preferred-username",
        "x-forwarded-name",
    ] {
        let received = echo.echoed(header);
        assert_eq!(received.len(), 1, "{header}");
        let (_, shown) = result
            .split_once(&format!("<code>{header}</code>"))
            .unwrap();
        let shown = shown.split("</div>").next().unwrap();
        assert!(shown.contains(&received[0]), "{header}: {shown}");
    }
    assert!(result.contains("王五"), "{result}");
    // Headers about the request say nothing about the person.
    assert!(!result.contains("x-forwarded-for"), "{result}");
    // The rule of /finance refuses them, and the others let them through.
    assert!(result.contains("Refused by its rule"), "{result}");
    let (_, refused) = result.split_once("<bdi>finance</bdi>").unwrap();
    assert!(
        refused
            .split("</li>")
            .next()
            .unwrap()
            .contains("Refused by its rule")
    );
}

#[tokio::test]
async fn a_preview_shows_errors_beside_their_fields_and_changes_nothing() {
    let menshen = setup().start().await;
    let mut visit = Visit::of_administrator(&menshen, "root").await;
    visit.get(&format!("{FILE_PATH}?lang=en")).await;
    let fields = [
        ("action", "preview"),
        ("profile", PROFILE),
        ("mapping.name", "profile."),
        ("mapping.email", "profile.userid + 1"),
        ("mapping.mobile", "profile.missing"),
        ("mapping.groups", "[profile.userid, 'staff']"),
        ("field", "badge"),
        ("expression", "profile.userid + '!'"),
    ];
    let answer = visit.post(FILE_PATH, &fields).await;
    assert_eq!(answer.status, 200);
    let html = answer.text();
    for bad in ["name", "email"] {
        assert!(
            field(&html, bad).contains("role=\"alert\""),
            "{bad}: {html}"
        );
    }
    assert!(
        field(&html, "name").contains(">profile.</textarea>"),
        "what was typed stays"
    );
    assert!(field(&html, "mobile").contains("absent"), "{html}");
    assert!(
        field(&html, "groups").contains("<bdi>staff</bdi>"),
        "{html}"
    );
    assert!(
        field(&html, "badge").contains("<bdi>wangwu!</bdi>"),
        "{html}"
    );
    assert!(!result(&html).contains("x-forwarded-user"), "{html}");
    for (profile, words) in [
        ("{", "profile-problem"),
        ("{}", "A login with this profile fails"),
        ("", "profile-problem"),
    ] {
        let fields = [("action", "preview"), ("profile", profile)];
        let html = visit.post(FILE_PATH, &fields).await.text();
        assert!(html.contains(words), "{profile}: {html}");
        assert!(!html.contains("x-forwarded-user"), "{profile}: {html}");
    }
    for (name, expression) in [("a b", "1"), ("", "1"), ("x", ""), ("name", "1")] {
        let fields = [
            ("action", "preview"),
            ("mapping.name", "profile.name"),
            ("field", name),
            ("expression", expression),
        ];
        let html = visit.post(FILE_PATH, &fields).await.text();
        assert!(html.contains("id=\"new-problem\""), "{name}: {html}");
    }
    assert_eq!(visit.post(FILE_PATH, &[("action", "x")]).await.status, 400);
    assert_eq!(menshen.running.live().settings().version(), 0);
}

#[tokio::test]
async fn a_mapping_is_saved_and_keeps_the_secret() {
    let menshen = setup().start().await;
    put(&menshen, json!({ "name": "profile.nickname" })).await;
    let mut visit = Visit::of_administrator(&menshen, "root").await;
    let html = visit.get(PATH).await.text();
    assert!(html.contains("name=\"etag\" value=\"1\""), "{html}");
    assert!(
        field(&html, "name").contains(">profile.nickname</textarea>"),
        "{html}"
    );
    let fields = [
        ("action", "save"),
        ("etag", "1"),
        ("profile", PROFILE),
        ("mapping.login", " profile.sub "),
        ("mapping.name", ""),
        ("field", "badge"),
        ("expression", "profile.sub"),
    ];
    let answer = visit.post(PATH, &fields).await;
    assert_eq!(answer.status, 303, "{}", answer.text());
    let to = answer.header("location").unwrap().to_owned();
    assert!(visit.get(&to).await.text().contains("role=\"status\""));
    let table = saved(&menshen);
    let expected = json!({ "login": "profile.sub", "badge": "profile.sub" });
    assert_eq!(table["mapping"], expected);
    assert_eq!(table["oidc"]["client_secret"], "********");
    // Without any expression there is no table.
    let fields = [("action", "save"), ("etag", "2"), ("profile", "{}")];
    assert_eq!(visit.post(PATH, &fields).await.status, 303);
    assert_eq!(saved(&menshen).get("mapping"), None);
}

#[tokio::test]
async fn what_somebody_else_saved_meanwhile_is_shown_beside_what_was_typed() {
    let menshen = setup().start().await;
    put(&menshen, json!({})).await;
    let mut visit = Visit::of_administrator(&menshen, "root").await;
    visit.get(&format!("{PATH}?lang=en")).await;
    put(&menshen, json!({ "name": "profile.nickname" })).await;
    let typed = |etag| {
        [
            ("action", "save"),
            ("etag", etag),
            ("mapping.name", "profile.given_name"),
        ]
    };
    for etag in ["1", "", "x"] {
        let answer = visit.post(PATH, &typed(etag)).await;
        assert_eq!(answer.status, 409, "{etag}");
        let html = answer.text();
        let name = field(&html, "name");
        assert!(name.contains(">profile.given_name</textarea>"), "{name}");
        assert!(
            name.contains("Saved meanwhile: <code>profile.nickname</code>"),
            "{name}"
        );
        assert!(html.contains("name=\"etag\" value=\"2\""), "{html}");
    }
    assert_eq!(saved(&menshen)["mapping"]["name"], "profile.nickname");
    assert_eq!(visit.post(PATH, &typed("2")).await.status, 303);
    assert_eq!(saved(&menshen)["mapping"]["name"], "profile.given_name");
}

#[tokio::test]
async fn an_expression_that_does_not_compile_is_not_saved() {
    let menshen = setup().start().await;
    put(&menshen, json!({})).await;
    let mut visit = Visit::of_administrator(&menshen, "root").await;
    visit.get(PATH).await;
    for bad in ["profile.", "user.login", "profile.matches(profile.x)"] {
        let fields = [("action", "save"), ("etag", "1"), ("mapping.name", bad)];
        let answer = visit.post(PATH, &fields).await;
        assert_eq!(answer.status, 422, "{bad}");
        let html = answer.text();
        assert!(
            field(&html, "name").contains("role=\"alert\""),
            "{bad}: {html}"
        );
    }
    assert_eq!(menshen.running.live().settings().version(), 1);
}

#[tokio::test]
async fn who_may_only_look_tries_a_mapping_and_saves_none() {
    let menshen = setup().start().await;
    let mut visit = Visit::of_person(&menshen, "lisi").await;
    put(&menshen, json!({})).await;
    let html = visit.get(&format!("{PATH}?lang=en")).await.text();
    assert!(!html.contains("value=\"save\""), "{html}");
    let preview = [("action", "preview"), ("mapping.name", "'plum'")];
    let html = visit.post(PATH, &preview).await.text();
    assert!(field(&html, "name").contains("<bdi>plum</bdi>"), "{html}");
    let save = [
        ("action", "save"),
        ("etag", "1"),
        ("mapping.name", "'plum'"),
    ];
    assert_eq!(visit.post(PATH, &save).await.status, 403);
    let answer = visit.post_from(&[("Origin", CONSOLE_URL)], PATH, &preview);
    assert_eq!(answer.await.status, 403, "without the token of the session");
    assert_eq!(menshen.running.live().settings().version(), 1);
}

#[tokio::test]
async fn a_file_decides_about_its_mapping_and_about_changes() {
    let menshen = setup().start().await;
    let mut visit = Visit::of_administrator(&menshen, "root").await;
    visit.get(&format!("{FILE_PATH}?lang=en")).await;
    let edited = [
        ("action", "preview"),
        ("profile", PROFILE),
        ("mapping.name", "profile.userid"),
    ];
    let html = visit.post(FILE_PATH, &edited).await.text();
    assert!(
        html.contains("[connector.corp.mapping]\nname = &#34;profile.userid&#34;"),
        "{html}"
    );
    let save = [("action", "save"), ("etag", "0"), ("mapping.name", "'x'")];
    assert_eq!(visit.post(FILE_PATH, &save).await.status, 409);

    let lines = "external_url = \"http://console.test\"\n[managed]\nwrite = false\n";
    let menshen = with_console(lines).start().await;
    let mut visit = Visit::of_administrator(&menshen, "root").await;
    let html = visit.get(&format!("{FILE_PATH}?lang=en")).await.text();
    assert!(html.contains("forbids changes") && !html.contains("value=\"save\""));
    assert_eq!(visit.post(FILE_PATH, &save).await.status, 409);
}

#[tokio::test]
async fn hostile_profiles_and_expressions_are_text() {
    const HOSTILE: &str = "</textarea><script>alert(1)</script>";
    let menshen = setup().start().await;
    put(&menshen, json!({})).await;
    let mut visit = Visit::of_administrator(&menshen, "root").await;
    visit.get(PATH).await;
    let profile = json!({ "sub": "a", "name": HOSTILE, "groups": [HOSTILE] }).to_string();
    for action in ["preview", "save"] {
        let fields = [
            ("action", action),
            ("etag", "9"),
            ("profile", &profile),
            ("mapping.roles", "[profile.name]"),
            ("mapping.name", HOSTILE),
            ("mapping.</textarea><script>", "'x'"),
            ("field", HOSTILE),
            ("expression", HOSTILE),
        ];
        let html = visit.post(PATH, &fields).await.text();
        assert!(!html.contains("<script"), "{html}");
        assert!(html.contains("&#60;script&#62;alert"), "{html}");
    }
}
