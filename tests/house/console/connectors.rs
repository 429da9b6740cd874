//! `/console/connectors` and `/console/config`: the managed settings, changed and shown.

use menshen::site::settings::{Author, Change, ConnectorTable, Means, Precondition};
use serde_json::json;

use super::*;

const PATH: &str = "/console/connectors";

/// Makes a connector as the admin API does.
async fn put(menshen: &Menshen, id: &str, display_name: &str) {
    let table = json!({
        "display_name": display_name,
        "oidc": {
            "issuer": "https://id.corp.example",
            "client_id": "a",
            "client_secret": "plum-blossom",
        },
    });
    let change = Change::Put {
        id: id.parse().unwrap(),
        settings: ConnectorTable::from(table.as_object().unwrap().clone()),
    };
    let author = Author {
        name: "deploy".to_owned(),
        means: Means::Api,
        client: None,
    };
    let live = menshen.running.live();
    live.change(change, Precondition::None, &author)
        .await
        .unwrap();
}

/// The connectors on the page, in its order.
async fn shown(visit: &mut Visit) -> Vec<String> {
    let html = visit.get(PATH).await.text();
    let list = html.split("<ol").nth(1).unwrap_or_default();
    let parts = list.split("<h2>").skip(1);
    let ids = parts.map(|part| {
        let code = part.split_once("<code>").unwrap().1;
        code.split_once('<').unwrap().0.to_owned()
    });
    ids.collect()
}

/// The version that a change of a connector, or of the choices in `[login]`, must name.
fn etag_of(menshen: &Menshen, id: Option<&str>) -> String {
    let settings = menshen.running.live().settings();
    let etag = match id {
        Some(id) => settings.connector(&id.parse().unwrap()).unwrap().etag,
        None => settings.login().etag,
    };
    etag.to_string()
}

async fn press(visit: &mut Visit, action: &str, id: &str, etag: &str) -> Answer {
    let fields = [("action", action), ("id", id), ("etag", etag)];
    visit.post(PATH, &fields).await
}

#[tokio::test]
async fn connectors_show_where_they_are_set_and_no_secret() {
    let menshen = setup().start().await;
    put(&menshen, "aaa", "<script>alert(1)</script>").await;
    let mut visit = Visit::of_administrator(&menshen, "root").await;
    let html = visit.get(&format!("{PATH}?lang=en")).await.text();
    assert!(html.contains("From the file <code>"), "{html}");
    assert!(html.contains("Managed here"), "{html}");
    assert!(
        html.contains("&#60;script&#62;") || html.contains("&lt;script&gt;"),
        "{html}"
    );
    assert!(!html.contains("<script"), "{html}");
    for path in [PATH, "/console/config", "/console/config/download"] {
        let text = visit.get(path).await.text();
        assert!(!text.contains("plum-blossom"), "{path}: {text}");
    }
}

#[tokio::test]
async fn a_connector_is_disabled_enabled_and_deleted() {
    let menshen = setup().start().await;
    put(&menshen, "aaa", "A").await;
    let mut visit = Visit::of_administrator(&menshen, "root").await;
    visit.get(PATH).await;
    let is_enabled = |id: &str| {
        let settings = menshen.running.live().settings();
        settings
            .connector(&id.parse().unwrap())
            .map(|info| info.enabled)
    };
    for id in ["aaa", "corp"] {
        for (action, expected) in [("disable", false), ("enable", true)] {
            let etag = etag_of(&menshen, Some(id));
            let answer = press(&mut visit, action, id, &etag).await;
            assert_eq!(answer.status, 303, "{id} {action}: {}", answer.text());
            assert_eq!(is_enabled(id), Some(expected), "{id} {action}");
        }
    }

    // Asked again, nothing has changed yet; without the answer it stays.
    let etag = etag_of(&menshen, Some("aaa"));
    let answer = press(&mut visit, "delete", "aaa", &etag).await;
    assert_eq!(answer.status, 200);
    assert!(
        answer.text().contains("name=\"confirm\""),
        "{}",
        answer.text()
    );
    assert_eq!(is_enabled("aaa"), Some(true));
    let fields = [
        ("action", "delete"),
        ("id", "aaa"),
        ("etag", &etag),
        ("confirm", "yes"),
    ];
    assert_eq!(visit.post(PATH, &fields).await.status, 303);
    assert_eq!(is_enabled("aaa"), None);

    // The file decides about its own, and nobody deletes what is not there.
    let mut fields = fields;
    for (id, status) in [("corp", 409), ("aaa", 404), ("x y", 404)] {
        fields[1].1 = id;
        let answer = visit.post(PATH, &fields).await;
        assert_eq!(answer.status, status, "{id}");
        assert!(answer.text().contains("role=\"alert\""), "{id}");
    }
    assert_eq!(is_enabled("corp"), Some(true));
}

#[tokio::test]
async fn what_somebody_else_changed_meanwhile_is_not_overwritten() {
    let menshen = setup().start().await;
    put(&menshen, "aaa", "A").await;
    let mut visit = Visit::of_administrator(&menshen, "root").await;
    visit.get(PATH).await;
    let etag = etag_of(&menshen, Some("aaa"));
    put(&menshen, "aaa", "B").await;
    for action in ["disable", "test-all", ""] {
        let answer = press(&mut visit, action, "aaa", &etag).await;
        let expected = if action == "disable" { 409 } else { 400 };
        assert_eq!(answer.status, expected, "{action}");
        assert!(answer.text().contains("role=\"alert\""), "{action}");
    }
    let id = "aaa".parse().unwrap();
    let info = menshen.running.live().settings().connector(&id).unwrap();
    assert!(info.enabled);
    assert_eq!(info.display_name.zh(), "B");
}

#[tokio::test]
async fn the_order_and_the_default_are_changed() {
    let menshen = setup().start().await;
    for id in ["aaa", "bbb"] {
        put(&menshen, id, id).await;
    }
    let mut visit = Visit::of_administrator(&menshen, "root").await;
    // Those of the file come first.
    assert_eq!(shown(&mut visit).await, ["corp", "aaa", "bbb"]);
    for (action, id, expected) in [
        ("down", "corp", ["aaa", "corp", "bbb"]),
        ("down", "corp", ["aaa", "bbb", "corp"]),
        ("down", "aaa", ["bbb", "aaa", "corp"]),
        ("up", "corp", ["bbb", "corp", "aaa"]),
        ("default", "aaa", ["aaa", "bbb", "corp"]),
        ("up", "corp", ["aaa", "corp", "bbb"]),
        ("up", "corp", ["aaa", "corp", "bbb"]),
        ("no-default", "aaa", ["corp", "bbb", "aaa"]),
    ] {
        let etag = etag_of(&menshen, None);
        let answer = press(&mut visit, action, id, &etag).await;
        assert_eq!(answer.status, 303, "{action} {id}: {}", answer.text());
        assert_eq!(shown(&mut visit).await, expected, "{action} {id}");
    }
}

#[tokio::test]
async fn a_test_shows_what_the_source_says() {
    let menshen = setup().start().await;
    let mut visit = Visit::of_administrator(&menshen, "root").await;
    visit.get(&format!("{PATH}?lang=en")).await;
    let answer = press(&mut visit, "test", "corp", "0").await;
    assert_eq!(answer.status, 200);
    let html = answer.text();
    assert!(html.contains("role=\"status\""), "{html}");
    assert!(html.contains("Test of <code>corp</code>"), "{html}");
}

#[tokio::test]
async fn versions_are_listed_compared_rolled_back_and_downloaded() {
    let menshen = setup().start().await;
    put(&menshen, "aaa", "plum").await;
    put(&menshen, "aaa", "pear").await;
    let mut visit = Visit::of_administrator(&menshen, "root").await;
    let html = visit.get("/console/config").await.text();
    for text in ["deploy", "connector.aaa.display_name", "<bdi>root</bdi>"] {
        assert!(html.contains(text), "{text}: {html}");
    }
    let html = visit.get("/console/config?from=1&to=2").await.text();
    assert!(
        html.contains("<del>-&nbsp;display_name = &#34;plum&#34;</del>"),
        "{html}"
    );
    assert!(
        html.contains("<ins>+&nbsp;display_name = &#34;pear&#34;</ins>"),
        "{html}"
    );
    assert_eq!(visit.get("/console/config?from=1&to=9").await.status, 404);

    let answer = visit.get("/console/config/download?version=1").await;
    let disposition = answer.header("content-disposition").unwrap();
    assert!(disposition.starts_with("attachment"), "{disposition}");
    assert!(answer.text().contains("plum"), "{}", answer.text());
    let answer = visit.get("/console/config/download?version=9").await;
    assert_eq!(answer.status, 404);

    let display_name = || {
        let settings = menshen.running.live().settings();
        settings
            .connector(&"aaa".parse().unwrap())
            .unwrap()
            .display_name
            .zh()
            .to_owned()
    };
    let mut fields = vec![("action", "rollback"), ("version", "1"), ("etag", "2")];
    let asked = visit.post("/console/config", &fields).await;
    assert_eq!(asked.status, 200);
    for part in [
        "confirm\" value=\"yes",
        "version\" value=\"1",
        "etag\" value=\"2",
    ] {
        assert!(asked.text().contains(part), "{part}: {}", asked.text());
    }
    fields.push(("confirm", "yes"));
    for (version, etag, status) in [("1", "1", 409), ("9", "2", 404), ("1", "2", 303)] {
        assert_eq!(display_name(), "pear");
        (fields[1].1, fields[2].1) = (version, etag);
        let answer = visit.post("/console/config", &fields).await;
        assert_eq!(answer.status, status, "{version} {etag}");
    }
    assert_eq!(display_name(), "plum");
    let html = visit.get("/console/config?lang=en").await.text();
    assert!(html.contains("<bdi>local:root</bdi><br><small class=\"muted\">console"));
}

#[tokio::test]
async fn who_may_only_look_changes_no_settings() {
    let menshen = setup().start().await;
    let mut visit = Visit::of_person(&menshen, "lisi").await;
    put(&menshen, "aaa", "A").await;
    for path in [PATH, "/console/config"] {
        let html = visit.get(path).await.text();
        assert!(!html.contains("name=\"action\""), "{path}: {html}");
    }
    let etag = etag_of(&menshen, Some("aaa"));
    let answer = press(&mut visit, "disable", "aaa", &etag).await;
    assert_eq!(answer.status, 403);
    let fields = [("action", "rollback"), ("version", "1"), ("etag", "1")];
    assert_eq!(visit.post("/console/config", &fields).await.status, 403);
    assert_eq!(menshen.running.live().settings().version(), 1);
}

#[tokio::test]
async fn a_file_that_forbids_changes_leaves_no_buttons() {
    let lines = "external_url = \"http://console.test\"\n[managed]\nwrite = false\n";
    let menshen = with_console(lines).start().await;
    let mut visit = Visit::of_administrator(&menshen, "root").await;
    let html = visit.get(&format!("{PATH}?lang=en")).await.text();
    assert!(!html.contains("name=\"action\""), "{html}");
    assert!(html.contains("forbids changes"), "{html}");
    let answer = press(&mut visit, "disable", "corp", "0").await;
    assert_eq!(answer.status, 409);
    assert!(
        answer.text().contains("role=\"alert\""),
        "{}",
        answer.text()
    );
}

#[tokio::test]
async fn a_test_of_a_connector_leaves_an_audit_line() {
    let menshen = setup().start().await;
    let mut visit = Visit::of_administrator(&menshen, "root").await;
    visit.get(PATH).await;
    assert_eq!(press(&mut visit, "test", "corp", "0").await.status, 200);
    let audit = menshen.audit();
    let tested = audit.iter().find(|line| {
        let reason = line["reason"].as_str().unwrap_or_default();
        reason.starts_with("test connector corp through the console: at 127.0.0.1:")
    });
    let tested = tested.unwrap_or_else(|| panic!("{audit:?}"));
    assert_eq!(
        (&tested["event"], &tested["by"]),
        (&json!("config"), &json!("local:root"))
    );
    assert_eq!(tested["client"], "127.0.0.1");
}
