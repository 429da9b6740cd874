//! Error answers of the admin API: they are JSON, and say which part of the request is wrong.

use super::tokens::{setup_with_tokens, with_token};
use super::{TOKEN, send_request, setup, sign_in_as};

/// Requests for things that do not exist: method, path and body, with an ID in place of `{id}`, and what the
/// answer says.
const UNKNOWN_THINGS: [(&str, &str, &str, &str); 17] = [
    ("GET", "/api/nothing", "", "no path /api/nothing"),
    ("POST", "/api/", "", "no path /api/"),
    (
        "GET",
        "/api/sessions?login=nobody",
        "",
        "nobody has the login nobody",
    ),
    (
        "DELETE",
        "/api/sessions/{id}",
        "",
        "there is no session {id}",
    ),
    (
        "POST",
        "/api/accounts/{id}/close",
        "",
        "there is no account {id}",
    ),
    (
        "POST",
        "/api/accounts/{id}/open",
        "",
        "there is no account {id}",
    ),
    (
        "POST",
        "/api/accounts/short/open",
        "",
        "there is no account short",
    ),
    (
        "POST",
        "/api/revoke",
        r#"{"login":"nobody"}"#,
        "nobody has the login nobody",
    ),
    (
        "POST",
        "/api/revoke",
        r#"{"account":"{id}"}"#,
        "there is no account {id}",
    ),
    (
        "POST",
        "/api/revoke",
        r#"{"connector":"crop"}"#,
        "there is no connector crop",
    ),
    (
        "GET",
        "/api/people/nobody",
        "",
        "nobody has the login nobody",
    ),
    (
        "PATCH",
        "/api/people/li%2Fsi",
        r#"{"name":"x"}"#,
        "nobody has the login li/si",
    ),
    (
        "POST",
        "/api/people/nobody/close",
        "",
        "nobody has the login nobody",
    ),
    (
        "POST",
        "/api/people/nobody/open",
        "",
        "nobody has the login nobody",
    ),
    (
        "GET",
        "/api/people/nobody/access",
        "",
        "nobody has the login nobody",
    ),
    (
        "GET",
        "/api/routes/none/people",
        "",
        "there is no route none",
    ),
    (
        "GET",
        "/api/explain?url=http://sso.test/&as=nobody",
        "",
        "nobody",
    ),
];

/// Requests with a wrong field: method, path and body, and texts of which the answer has all.
const WRONG_FIELDS: [(&str, &str, &str, &[&str]); 23] = [
    ("GET", "/api/sessions?max=many", "", &["query", "max"]),
    (
        "GET",
        "/api/sessions?who=x",
        "",
        &["query", "`who`", "`login`"],
    ),
    (
        "GET",
        "/api/sessions?account=x",
        "",
        &["query", "account", "22 characters"],
    ),
    (
        "GET",
        "/api/people?closed=perhaps",
        "",
        &["query", "closed"],
    ),
    (
        "GET",
        "/api/people?connector=%21",
        "",
        &["query", "connector", "a-z"],
    ),
    (
        "GET",
        "/api/people?role=x",
        "",
        &["query", "`role`", "`department`"],
    ),
    (
        "GET",
        "/api/routes/app/people?role=x",
        "",
        &["query", "`role`"],
    ),
    (
        "GET",
        "/api/explain?uri=x",
        "",
        &["query", "`uri`", "`url`"],
    ),
    ("GET", "/api/explain", "", &["query", "url is missing"]),
    (
        "GET",
        "/api/explain?url=http://sso.test/&via=a&via=b",
        "",
        &["via is given twice"],
    ),
    (
        "POST",
        "/api/people?by=alice",
        "login\nx\n",
        &["query", "by=alice"],
    ),
    ("POST", "/api/revoke", "", &["the body is empty"]),
    (
        "POST",
        "/api/revoke",
        "login=zhangsan",
        &["the body", "expected value at line 1"],
    ),
    (
        "POST",
        "/api/revoke",
        r#"{"login":["zhangsan"]}"#,
        &["the body", "login", "string"],
    ),
    (
        "POST",
        "/api/revoke",
        r#"{"who":"zhangsan"}"#,
        &["the body", "`who`", "`everyone`"],
    ),
    (
        "POST",
        "/api/revoke",
        r#"{"login":"a","login":"b"}"#,
        &["the body", "line 1", "\"login\" is there twice"],
    ),
    (
        "POST",
        "/api/revoke",
        r#"{"login":"a","everyone":true}"#,
        &["exactly one of login"],
    ),
    ("POST", "/api/revoke", "{}", &["exactly one of login"]),
    (
        "PATCH",
        "/api/people/zhangsan",
        r#"{"mobile":1}"#,
        &["the body", "mobile", "string"],
    ),
    (
        "PATCH",
        "/api/people/zhangsan",
        r#"{"name":"a\u0007"}"#,
        &["the body", "name"],
    ),
    (
        "PATCH",
        "/api/people/zhangsan",
        r#"{"login":" "}"#,
        &["the body", "login"],
    ),
    (
        "POST",
        "/api/people/zhangsan/close",
        r#"{"why":"x"}"#,
        &["`why`", "`reason`"],
    ),
    (
        "GET",
        "/api/people/%ff",
        "",
        &["the path", "UTF-8", "login"],
    ),
];

#[tokio::test]
async fn an_answer_names_the_thing_that_does_not_exist() {
    let menshen = setup().start().await;
    let id = "AAAAAAAAAAAAAAAAAAAAAA";
    for (method, path, body, expected) in UNKNOWN_THINGS {
        let [path, body, expected] = [path, body, expected].map(|text| text.replace("{id}", id));
        let answer = with_token(&menshen, TOKEN, (method, &path, &body)).await;
        assert_eq!(answer.status, 404, "{method} {path}: {}", answer.text());
        let error = answer.json()["error"].as_str().unwrap().to_owned();
        assert!(error.contains(&expected), "{method} {path}: {error}");
    }
}

#[tokio::test]
async fn an_answer_names_the_field_that_is_wrong() {
    let menshen = setup().start().await;
    let _browser = sign_in_as(&menshen, "zhangsan").await;
    for (method, path, body, expected) in WRONG_FIELDS {
        let answer = with_token(&menshen, TOKEN, (method, path, body)).await;
        assert_eq!(
            answer.status,
            400,
            "{method} {path} {body}: {}",
            answer.text()
        );
        assert_eq!(answer.header("content-type"), Some("application/json"));
        let error = answer.json()["error"].as_str().unwrap().to_owned();
        for part in expected {
            assert!(error.contains(part), "{method} {path} {body}: {error}");
        }
    }
    let still_there = with_token(&menshen, TOKEN, ("GET", "/api/sessions", "")).await;
    assert_eq!(still_there.json()["sessions"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn a_body_of_another_type_is_refused() {
    let menshen = setup().start().await;
    let _browser = sign_in_as(&menshen, "zhangsan").await;
    let revoke = r#"{"login":"zhangsan"}"#;
    let send = async |path: &str, content_type: &str, body: &str| {
        let headers = format!("Authorization: Bearer {TOKEN}\r\nContent-Type: {content_type}\r\n");
        send_request(&menshen, "POST", path, &headers, body).await
    };
    for content_type in [
        "text/plain",
        "application/xml",
        "multipart/form-data; boundary=x",
        "",
    ] {
        let answer = send("/api/revoke", content_type, revoke).await;
        assert_eq!(answer.status, 415, "{content_type}: {}", answer.text());
        assert!(answer.text().contains("Content-Type"), "{}", answer.text());
    }
    assert_eq!(send("/api/revoke", "text/csv", revoke).await.status, 415);
    for content_type in ["application/json", "Application/JSON; charset=utf-8"] {
        let answer = send("/api/revoke", content_type, revoke).await;
        assert_eq!(answer.status, 200, "{content_type}: {}", answer.text());
    }
    // `curl -d` says this of every body.
    let form = "application/x-www-form-urlencoded";
    assert_eq!(send("/api/revoke", form, revoke).await.status, 200);
    for content_type in ["text/csv; charset=utf-8", form] {
        let answer = send("/api/people", content_type, "login\nlisi\n").await;
        assert_eq!(answer.status, 200, "{content_type}: {}", answer.text());
    }
    assert_eq!(
        send("/api/people", "image/png", "login\nlisi\n")
            .await
            .status,
        415
    );
}

#[tokio::test]
async fn a_body_that_is_too_long_is_refused_with_its_limit() {
    let menshen = setup_with_tokens().start().await;
    for (path, bytes_max) in [
        ("/api/revoke", 16 * 1024),
        ("/api/people/zhangsan/close", 16 * 1024),
        ("/api/people", 8 << 20),
    ] {
        let mut body = "x".repeat(bytes_max + 1);
        let answer = with_token(&menshen, TOKEN, ("POST", path, &body)).await;
        assert_eq!(answer.status, 413, "{path}: {}", answer.text());
        let error = answer.json()["error"].as_str().unwrap().to_owned();
        assert!(error.contains(&bytes_max.to_string()), "{error}");
        body.truncate(bytes_max);
        let answer = with_token(&menshen, TOKEN, ("POST", path, &body)).await;
        assert_eq!(answer.status, 400, "{path}: {}", answer.text());
    }
}
