//! The search of the admin API.

use std::time::Duration;

use serde_json::json;

use super::*;

/// The lines of the log as the API shows them, in the order of their times.
fn logged(menshen: &Menshen) -> Vec<Value> {
    let mut lines = menshen.audit();
    for line in &mut lines {
        line.as_object_mut().unwrap().remove("target");
    }
    lines.sort_by_key(|line| line["timestamp"].as_str().unwrap().to_owned());
    lines
}

/// The lines of the API without the time and the Chinese words that the log does not have.
fn without_seconds(mut lines: Vec<Value>) -> Vec<Value> {
    for line in &mut lines {
        remove_chinese(line);
        let seconds = line.as_object_mut().unwrap().remove("at");
        assert!(seconds.unwrap().as_i64().unwrap() > 1_700_000_000);
    }
    lines
}

/// Whether a line of the log matches a query.
type Matches = fn(&Value) -> bool;

#[tokio::test]
async fn logins_refusals_and_changes_are_found_as_the_log_has_them() {
    let menshen = setup().start().await;
    let browser = sign_in_as(&menshen, "zhangsan").await;
    sign_in_as(&menshen, "lisi").await;
    let cookie = browser.cookie("menshen").unwrap().value.clone();
    let refused = send_request(&menshen, "GET", "/api/people", "", "").await;
    assert_eq!(refused.status, 401);
    let path = "/api/people/zhangsan/close";
    let closed = call_api(&menshen, "POST", path, &json!({ "reason": "离职" })).await;
    assert_eq!(closed.status, 200, "{}", closed.text());
    let logged = logged(&menshen);
    let mut events = values(&logged, "event");
    events.sort_unstable();
    assert_eq!(events, ["closed", "login", "login", "refused"]);
    let stored = without_seconds(list_once(&menshen, "order=oldest", 4).await);
    assert_eq!(stored, logged);
    let newest = without_seconds(list(&menshen, "").await);
    assert!(newest.iter().rev().eq(&logged), "{newest:#?}");
    let queries: [(&str, Matches); 11] = [
        ("event=closed", |line| line["event"] == "closed"),
        ("login=zhangsan", |line| line["login"] == "zhangsan"),
        ("login=ZHANGSAN", |line| line["login"] == "zhangsan"),
        ("login=zhang", |_| false),
        ("connector=corp", |line| line["connector"] == "corp"),
        ("connector=other", |_| false),
        ("since=1800000000&until=1800000001&event=login", |line| {
            line["event"] == "login"
        }),
        ("since=1800000001&event=login", |_| false),
        ("until=1800000000&event=login", |_| false),
        ("event=login&login=lisi&connector=corp&max=1", |line| {
            line["login"] == "lisi"
        }),
        ("since=1&until=9999999999", |_| true),
    ];
    for (query, matches) in queries {
        let expected: Vec<_> = logged
            .iter()
            .filter(|line| matches(line))
            .cloned()
            .collect();
        let found = list(&menshen, &format!("order=oldest&{query}")).await;
        assert_eq!(without_seconds(found), expected, "{query}");
    }
    let login = logged.iter().find(|line| line["event"] == "login").unwrap();
    let account = login["account"].as_str().unwrap();
    let found = list(&menshen, &format!("account={account}&event=login")).await;
    assert_eq!(values(&found, "login"), [login["login"].as_str().unwrap()]);
    let text = json!(newest).to_string();
    for secret in [TOKEN, &cookie, crate::wecom::SECRET] {
        assert!(!text.contains(secret), "{text}");
    }
}

#[tokio::test]
async fn pages_lead_through_all_lines_and_are_bounded() {
    let menshen = setup().start().await;
    let logins: Vec<_> = (0..1_203).map(|number| format!("p{number}")).collect();
    for logins in logins.chunks(401) {
        let logins: Vec<_> = logins.iter().map(String::as_str).collect();
        record_logins(&menshen, &logins);
        menshen.advance(Duration::from_secs(1));
    }
    list_once(&menshen, "login=p1202", 1).await;
    for (max, first_page) in [
        ("", 100),
        ("&max=1000000", 1_000),
        ("&max=0", 1),
        ("&max=7", 7),
    ] {
        let path = format!("/api/audit?order=oldest{max}");
        let answer = call_api(&menshen, "GET", &path, &Value::Null).await;
        let lines = answer.json()["lines"].as_array().unwrap().len();
        assert_eq!(lines, first_page, "{max}");
        assert!(answer.json()["next"].is_string(), "{max}");
    }
    for (order, reverse) in [("oldest", false), ("newest", true)] {
        let (mut found, mut next) = (Vec::new(), String::new());
        loop {
            let path = format!("/api/audit?order={order}&max=500{next}");
            let page = call_api(&menshen, "GET", &path, &Value::Null).await.json();
            let lines = page["lines"].as_array().unwrap().clone();
            found.extend(values(&lines, "login").into_iter().map(str::to_owned));
            match page["next"].as_str() {
                Some(after) => next = format!("&after={after}"),
                None => break,
            }
        }
        if reverse {
            found.reverse();
        }
        assert_eq!(found, logins, "{order}");
    }
}

#[tokio::test]
async fn a_wrong_parameter_is_named() {
    let menshen = setup().start().await;
    let long = format!("login={}", "x".repeat(513));
    for (query, part) in [
        ("event=logon", "the events are login, refused"),
        ("event=Login", "event"),
        ("account=x", "account"),
        ("connector=No%20such", "connector"),
        ("since=yesterday", "since"),
        ("until=1.5", "until"),
        ("order=best", "order"),
        ("after=7", "after"),
        ("after=7.x", "after"),
        ("max=many", "max"),
        ("max=-1", "max"),
        ("what=ever", "what"),
        ("login=a%00b", "NUL"),
        (&long, "login is longer than 512 bytes"),
    ] {
        for path in ["/api/audit", "/api/audit/download"] {
            let path = format!("{path}?{query}");
            let answer = call_api(&menshen, "GET", &path, &Value::Null).await;
            assert_eq!(answer.status, 400, "{query}: {}", answer.text());
            assert!(answer.text().contains(part), "{query}: {}", answer.text());
        }
    }
}

#[tokio::test]
async fn a_token_that_may_only_read_searches_and_one_of_a_broker_does_not() {
    let tokens = format!(
        "[admin]\nlisten = \"127.0.0.1:0\"\ntoken = \"{TOKEN}\"\n\
         [[admin.tokens]]\nname = \"viewer\"\ntoken = \"the-token-of-the-viewer\"\nview = true\n\
         [[admin.tokens]]\nname = \"broker\"\ntoken = \"the-token-of-the-broker\"\nbroker = [\"corp\"]\n"
    );
    let menshen = crate::setup::Setup::default().tables(&tokens).start().await;
    record_logins(&menshen, &["zhangsan"]);
    list_once(&menshen, "", 1).await;
    for path in ["/api/audit", "/api/audit/download"] {
        for (token, status) in [
            ("the-token-of-the-viewer", 200),
            ("the-token-of-the-broker", 403),
            ("another-token", 401),
        ] {
            let token = format!("Authorization: Bearer {token}\r\n");
            let answer = send_request(&menshen, "GET", path, &token, "").await;
            assert_eq!(answer.status, status, "{path}: {}", answer.text());
            let shows_it = answer.text().contains("zhangsan");
            assert_eq!(shows_it, status == 200, "{}", answer.text());
        }
    }
}
