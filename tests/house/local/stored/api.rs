//! The admin API of the people in the store.

use super::*;

#[tokio::test]
async fn an_administrator_adds_reads_changes_and_removes_people() {
    let menshen = start().await;
    let fields = json!({
        "password": OLD, "name": " 张三 ", "email": "zhangsan@corp.example", "mobile": "",
        "roles": ["r"], "orgs": ["o"], "must_change": true,
        "attributes": { "badge": 7, "nested": { "a": [1] } },
    });
    let answer = must(&menshen, "POST", "/ZhangSan", fields).await;
    let nothing = json!({ "sessions": 0, "access_tokens": 0 });
    assert_eq!(
        answer,
        json!({ "done": true, "ended": nothing, "login_taken": false })
    );
    let mut shown = must(&menshen, "GET", "/zhangsan", Value::Null).await;
    for time in ["created_at", "changed_at", "password_changed_at"] {
        let time = shown.as_object_mut().unwrap().remove(time).unwrap();
        assert_eq!(time, 1_800_000_000);
    }
    let expected = json!({
        "login": "ZhangSan", "subject": "zhangsan", "disabled": false, "must_change": true,
        "name": "张三", "email": "zhangsan@corp.example", "roles": ["r"], "orgs": ["o"],
        "attributes": { "badge": 7, "nested": { "a": [1] } },
    });
    assert_eq!(shown, expected);
    menshen.advance(Duration::from_secs(5));
    let change = json!({
        "login": "zhangSan", "email": null, "roles": null, "must_change": false,
        "attributes": { "badge": null, "desk": "4.12" },
    });
    must(&menshen, "PATCH", "/ZHANGSAN", change).await;
    let shown = must(&menshen, "GET", "/zhangsan", Value::Null).await;
    assert_eq!(
        shown["attributes"],
        json!({ "nested": { "a": [1] }, "desk": "4.12" })
    );
    assert_eq!(
        (&shown["login"], &shown["email"]),
        (&json!("zhangSan"), &Value::Null)
    );
    assert_eq!(shown["changed_at"], 1_800_000_005);
    assert_eq!(shown["password_changed_at"], 1_800_000_000);
    must(&menshen, "DELETE", "/zhangsan", Value::Null).await;
    let (status, _) = call(&menshen, "GET", &format!("{PEOPLE}/zhangsan"), &Value::Null).await;
    assert_eq!(status, 404);
    let events: Vec<_> = menshen
        .audit()
        .into_iter()
        .map(|line| line["event"].clone())
        .collect();
    assert_eq!(events, ["added", "changed", "removed"]);
    for line in menshen.audit() {
        assert_eq!(line["connector"], "house", "{line}");
        let login = line["login"].as_str().unwrap();
        assert!(login.eq_ignore_ascii_case("zhangsan"), "{line}");
        assert_eq!(
            (&line["subject"], &line["by"]),
            (&json!("zhangsan"), &json!("token:admin"))
        );
        assert!(!line.to_string().contains("张三"), "{line}");
    }
}

#[tokio::test]
async fn the_list_has_everybody_page_by_page() {
    let menshen = start().await;
    for login in ["b", "A", "张三", "c"] {
        let path = format!("/{}", super::adversary::urlencode(login));
        let hash = json!({ "password_hash": WANGWU.0 });
        must(&menshen, "POST", &path, hash).await;
    }
    let mut logins = Vec::new();
    let mut after = String::new();
    loop {
        let page = must(&menshen, "GET", &format!("?max=3{after}"), Value::Null).await;
        let people = page["people"].as_array().unwrap();
        logins.extend(
            people
                .iter()
                .map(|it| it["login"].as_str().unwrap().to_owned()),
        );
        match page["next"].as_str() {
            Some(next) => after = format!("&after={next}"),
            None => break,
        }
    }
    assert_eq!(logins, ["A", "b", "c", "张三"]);
    for query in ["?max=x", "?what=ever", "?after="] {
        let (status, _) = call(&menshen, "GET", &format!("{PEOPLE}{query}"), &Value::Null).await;
        assert_eq!(status, 400, "{query}");
    }
}

#[tokio::test]
async fn a_wrong_request_changes_nothing_and_says_what_is_wrong() {
    let menshen = start().await;
    add(&menshen, "zhangsan", json!({ "name": "张三" })).await;
    let before = must(&menshen, "GET", "/zhangsan", Value::Null).await;
    let long = "x".repeat(257);
    let many: Vec<_> = (0..201).map(|number| number.to_string()).collect();
    for (body, why) in [
        (json!({ "name": 7 }), "name must be a text"),
        (json!({ "name": long }), "name is longer"),
        (json!({ "email": "a\nb" }), "control characters"),
        (json!({ "groups": "it" }), "groups must be a list"),
        (json!({ "groups": [7] }), "groups must be a list"),
        (json!({ "groups": many }), "groups must be a list"),
        (
            json!({ "attributes": { "groups": ["it"] } }),
            "groups is a field",
        ),
        (
            json!({ "attributes": { "password": "x" } }),
            "password is a field",
        ),
        (
            json!({ "attributes": { "a b": 1 } }),
            "letters, digits and _",
        ),
        (json!({ "attributes": { "a": "\u{0}" } }), "NUL"),
        (json!({ "disabled": "yes" }), "disabled"),
        (json!({ "login": "lisi" }), "only change its case"),
        (json!({ "unknown": 1 }), "unknown"),
        (json!({ "password": NEW }), "at its own path"),
    ] {
        let (status, answer) = call(&menshen, "PATCH", &format!("{PEOPLE}/zhangsan"), &body).await;
        assert_eq!(status, 400, "{body}: {answer}");
        let error = answer["error"].as_str().unwrap();
        assert!(error.contains(why), "{why}: {error}");
    }
    for body in [
        json!({}),
        json!({ "password": NEW, "password_hash": WANGWU.0 }),
        json!({ "password": "seven77" }),
        json!({ "password": "x".repeat(1_025) }),
        json!({ "password_hash": "plain text" }),
        json!({ "password_hash": "$1$salt$hash" }),
    ] {
        for path in ["lisi", "zhangsan/password"] {
            let (status, _) = call(&menshen, "POST", &format!("{PEOPLE}/{path}"), &body).await;
            assert_eq!(status, 400, "{path}: {body}");
        }
    }
    assert_eq!(
        must(&menshen, "GET", "/zhangsan", Value::Null).await,
        before
    );
    let (status, _) = call(&menshen, "GET", &format!("{PEOPLE}/lisi"), &Value::Null).await;
    assert_eq!(status, 404);
    signed_in(Browser::new(&menshen), "zhangsan", OLD).await;
}

#[tokio::test]
async fn a_connector_with_people_elsewhere_has_none_here() {
    let menshen = start().await;
    let body = json!({ "password": NEW });
    for id in ["corp", "nothing", "No-Id"] {
        for (method, rest, body) in [
            ("GET", "", Value::Null),
            ("GET", "/lisi", Value::Null),
            ("POST", "/lisi", body.clone()),
            ("POST", "/lisi/password", body.clone()),
            ("PATCH", "/lisi", json!({})),
            ("DELETE", "/lisi", Value::Null),
            ("POST", "", json!("login\nx\n")),
        ] {
            let path = format!("/api/connectors/{id}/people{rest}");
            assert_eq!(
                call(&menshen, method, &path, &body).await.0,
                404,
                "{method} {path}"
            );
        }
    }
    let (folder_menshen, _folder) = start_menshen().await;
    assert!(
        folder_menshen
            .running
            .live()
            .site()
            .login
            .entries()
            .iter()
            .all(|entry| { entry.connector.local_people().is_none() })
    );
}

#[tokio::test]
async fn a_password_that_the_administrator_sets_counts_at_once() {
    let menshen = start().await;
    add(&menshen, "zhangsan", json!({ "must_change": true })).await;
    let hash = json!({ "password_hash": WANGWU.0 });
    must(&menshen, "POST", "/zhangsan/password", hash).await;
    signed_in(Browser::new(&menshen), "zhangsan", WANGWU.1).await;
    // The same hash again is another password all the same only if it differs.
    let hash = json!({ "password_hash": WANGWU.0 });
    let answer = must(&menshen, "POST", "/zhangsan/password", hash).await;
    assert_eq!(answer["ended"]["sessions"], 0);
    let body = json!({ "password": NEW, "must_change": true });
    let answer = must(&menshen, "POST", "/zhangsan/password", body).await;
    assert_eq!(answer["ended"]["sessions"], 1);
    let answer = sign_in(&mut Browser::new(&menshen), "zhangsan", NEW).await;
    assert!(answer.header("location").unwrap().contains("/change?flow="));
}
