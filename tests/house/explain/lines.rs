//! What an explanation says: route, rule, values, caller, headers and errors.

use super::*;
use crate::people::closing;

async fn server_with_two_accounts() -> ExplainServer {
    let server = ExplainServer::start().await;
    for login in ["lisi", "zhangsan"] {
        session_cookie_of(&server.menshen, login).await;
    }
    server
}

fn mismatch_of(explained: &Value, route: &str) -> String {
    let all = name_value_pairs(&explained["not"], "route", "why");
    let found = all.into_iter().find(|(name, _)| name == route);
    found.unwrap_or_else(|| panic!("{route}: {explained}")).1
}

#[tokio::test]
async fn every_other_route_is_listed_with_the_reason_it_does_not_match() {
    let server = ExplainServer::start().await;
    for (url, found, other, why) in [
        ("/finance/x", "finance", "app", "finance has a longer one"),
        ("/financex", "app", "finance", "its path is /finance"),
        (
            "/x",
            "app",
            "port",
            "it serves another host: port.test:8080",
        ),
        (
            "http://port.test:8080/",
            "port",
            "any-port",
            "another route names this one",
        ),
        (
            "http://port.test/",
            "any-port",
            "port",
            "another port: port.test:8080",
        ),
        (
            "http://a.wild.test/",
            "wild",
            "wilder",
            "another host: *.very.wild.test",
        ),
        (
            "http://a.very.wild.test/",
            "wilder",
            "wild",
            "names it more exactly",
        ),
        (
            "http://case.test/aDMIN/x",
            "case",
            "case-rest",
            "case has a longer one",
        ),
        (
            "http://case.test/admins",
            "case-rest",
            "case",
            "its path is /Admin",
        ),
    ] {
        let url = match url.starts_with('/') {
            true => format!("{SSO_URL}{url}"),
            false => url.to_owned(),
        };
        let explained = server.explained(&[("url", &url)]).await;
        assert_eq!(explained["route"]["name"], found, "{url}");
        let text = mismatch_of(&explained, other);
        assert!(text.contains(why), "{url}: {text}");
        let names = name_value_pairs(&explained["not"], "route", "why");
        assert_eq!(names.len(), 21, "{url}: every other route: {names:?}");
        assert!(names.iter().all(|(name, _)| name != found));
    }
    let explained = server.explained(&[("url", "http://nobodys.test/")]).await;
    assert_eq!(explained["route"]["found"], "nothing");
    assert_eq!(explained["verdict"]["reason"], "no route");
    assert_eq!(explained["verdict"]["status"], 404);
}

#[tokio::test]
async fn an_ambiguous_path_is_explained_with_two_readings() {
    let server = ExplainServer::start().await;
    let url = format!("{SSO_URL}/finance%2fx");
    let explained = server.explained(&[("url", &url)]).await;
    assert_eq!(
        name_value_pairs(&explained["route"]["readings"], "path", "finds"),
        [
            ("/finance%2fx".to_owned(), "app".to_owned()),
            ("/finance/x".to_owned(), "finance".to_owned())
        ]
    );
    assert_eq!(explained["verdict"]["reason"], "ambiguous path");
    assert_eq!(explained["verdict"]["status"], 400);
    assert!(explained["upstream"].is_null());
    // The rule is true for one reading and false for another.
    session_cookie_of(&server.menshen, "lisi").await;
    let url = format!("{SSO_URL}/by-path/a%2f/b");
    let explained = server.explained(&[("url", &url), ("as", "lisi")]).await;
    assert_eq!(explained["route"]["name"], "by-path");
    assert_eq!(explained["verdict"]["reason"], "ambiguous path");
    assert_eq!(
        explained["rule"]["says"],
        "yes; of the reading /by-path/a//b: no"
    );
}

#[tokio::test]
async fn a_malformed_request_is_explained_as_a_400() {
    let server = ExplainServer::start().await;
    for (url, reason) in [
        ("http://sso.test/a/../b", "dot segment"),
        ("http://sso.test/%2e%2e;/b", "dot segment"),
        ("http://sso.test/a%00", "control character"),
        ("http://sso.test/%zz", "broken escape"),
        ("http://sso.test/a\\b", "backslash"),
        ("http://a!b/", "not a host name"),
        ("http://a:0/", "not a host name"),
    ] {
        let explained = server.explained(&[("url", url)]).await;
        let verdict = &explained["verdict"];
        assert_eq!(verdict["verdict"], "deny", "{url}: {explained}");
        assert_eq!(verdict["status"], 400, "{url}");
        let text = verdict["reason"].as_str().unwrap();
        assert!(text.contains(reason), "{url}: {text}");
        assert_eq!(explained["route"]["found"], "unread");
    }
}

#[tokio::test]
async fn own_pages_are_explained_by_name() {
    let server = ExplainServer::start().await;
    for page in ["userinfo", "callback/corp", "no-such-page"] {
        let url = format!("http://any.test/.menshen/{page}?code=secret");
        let explained = server.explained(&[("url", &url)]).await;
        assert_eq!(explained["route"]["found"], "own-page");
        assert_eq!(explained["route"]["page"], page);
        assert_eq!(explained["verdict"]["end"], "own-page");
        assert!(mismatch_of(&explained, "app").contains("menshen's own"));
        assert!(!explained.to_string().contains("secret"), "{explained}");
    }
}

#[tokio::test]
async fn a_rule_is_explained_with_its_result_and_the_values_it_read() {
    let server = server_with_two_accounts().await;
    let finance = format!("{SSO_URL}/finance/x");
    let text = "'财务部' in user.departments && request.ip != '10.9.9.9'";
    for (login, from, result, departments) in [
        ("lisi", "192.0.2.7", "yes", r#"["财务部"]"#),
        ("LISI", "10.9.9.9", "no", r#"["财务部"]"#),
        ("zhangsan", "192.0.2.7", "no", r#"["平台部","应用部"]"#),
    ] {
        let parameters = [("url", finance.as_str()), ("as", login), ("from", from)];
        let explained = server.explained(&parameters).await;
        assert_eq!(explained["rule"]["key"], "allow");
        assert_eq!(explained["rule"]["text"], text);
        assert_eq!(explained["rule"]["says"], result, "{login}");
        assert_eq!(
            name_value_pairs(&explained["values"], "name", "value"),
            [
                ("user.departments".to_owned(), departments.to_owned()),
                ("request.ip".to_owned(), from.to_owned())
            ],
            "{login}"
        );
        let verdict = &explained["verdict"];
        assert_eq!(verdict["verdict"] == "allow", result == "yes", "{login}");
        assert_eq!(verdict["status"] == 403, result == "no", "{login}");
    }
    // The rule of a `signed-in` route is not evaluated for anonymous requests.
    let explained = server.explained(&[("url", &finance)]).await;
    assert_eq!(explained["rule"]["key"], "access");
    assert_eq!(explained["verdict"]["verdict"], "login");
    assert_eq!(explained["verdict"]["reason"], "nobody");
    assert_eq!(explained["values"], Value::Array(Vec::new()));
}

#[tokio::test]
async fn a_failing_rule_is_explained_with_the_missing_values() {
    let server = server_with_two_accounts().await;
    let url = format!("{SSO_URL}/failing");
    let parameters = [("url", url.as_str()), ("as", "lisi")];
    let explained = server.explained(&parameters).await;
    let result = explained["rule"]["says"].as_str().unwrap();
    assert!(result.starts_with("it fails: "), "{result}");
    let reason = explained["verdict"]["reason"].as_str().unwrap();
    assert!(reason.starts_with("rule failed: "), "{reason}");
    assert_eq!(
        name_value_pairs(&explained["values"], "name", "value"),
        [
            ("user.attributes.level".to_owned(), "null".to_owned()),
            ("request.headers[\"x-level\"]".to_owned(), "null".to_owned()),
            ("user.login".to_owned(), "lisi".to_owned()),
        ]
    );
    let parameters = [parameters[0], parameters[1], ("header", "X-Level: lisi")];
    let explained = server.explained(&parameters).await;
    assert_eq!(explained["rule"]["says"], "yes");
    assert_eq!(explained["verdict"]["verdict"], "allow");
}

#[tokio::test]
async fn the_line_of_the_route_that_decides_is_named() {
    let server = server_with_two_accounts().await;
    for (path, login, key, text, verdict, reason) in [
        (
            "/other",
            "lisi",
            "connectors",
            "[\"other\"]",
            "login",
            "other connector",
        ),
        (
            "/strong",
            "lisi",
            "acr_values",
            "[\"gold\"]",
            "login",
            "step up",
        ),
        ("/x", "lisi", "access", "signed-in", "allow", ""),
        ("/x", "", "access", "signed-in", "login", "nobody"),
        ("/public", "", "access", "public", "allow", ""),
        ("/ruled", "", "allow", "user == null", "allow", ""),
        (
            "/nowhere",
            "lisi",
            "access",
            "signed-in",
            "allow",
            "not-found",
        ),
    ] {
        let url = format!("{SSO_URL}{path}");
        let mut parameters = vec![("url", url.as_str())];
        parameters.extend((!login.is_empty()).then_some(("as", login)));
        let explained = server.explained(&parameters).await;
        assert_eq!(explained["rule"]["key"], key, "{path}");
        assert_eq!(explained["rule"]["text"], text, "{path}");
        assert_eq!(explained["verdict"]["verdict"], verdict, "{path}");
        assert_eq!(explained["verdict"]["reason"], reason, "{path}");
    }
}

#[tokio::test]
async fn a_session_that_does_not_count_is_anonymous_to_the_rule_and_a_note_says_why() {
    let server = server_with_two_accounts().await;
    for (path, result, note) in [
        (
            "/ruled",
            "yes, for an anonymous request (other connector)",
            "connectors = [\"other\"]",
        ),
        (
            "/strong/ruled",
            "no, for an anonymous request (step up)",
            "acr_values = [\"gold\"]",
        ),
    ] {
        let url = format!("{SSO_URL}{path}");
        let explained = server.explained(&[("url", &url), ("as", "lisi")]).await;
        assert_eq!(explained["rule"]["says"], result);
        let text = explained["notes"][0].as_str().unwrap();
        assert!(text.starts_with(note), "{text}");
    }
}

#[tokio::test]
async fn a_preflight_and_a_public_route_are_explained_as_allowed() {
    let server = server_with_two_accounts().await;
    let url = format!("{SSO_URL}/preflight");
    let mut parameters = vec![
        ("url", url.as_str()),
        ("method", "options"),
        ("header", "Origin: https://a.test"),
        ("header", "Access-Control-Request-Method: PUT"),
    ];
    let explained = server.explained(&parameters).await;
    assert_eq!(explained["rule"]["key"], "preflight");
    assert_eq!(explained["verdict"]["verdict"], "allow");
    parameters.pop();
    let explained = server.explained(&parameters).await;
    assert_eq!(explained["verdict"]["verdict"], "login");
    // On a public route a session of another connector is anonymous.
    let url = format!("{SSO_URL}/public/named");
    let explained = server.explained(&[("url", &url), ("as", "lisi")]).await;
    assert!(
        explained["notes"][0]
            .as_str()
            .unwrap()
            .contains("anonymous on this route")
    );
    let names = name_value_pairs(&explained["upstream"]["headers"], "name", "value");
    assert!(names.iter().all(|(name, _)| name != "x-forwarded-user"));
}

#[tokio::test]
async fn the_explained_caller_is_the_account_right_after_a_login() {
    let server = ExplainServer::start().await;
    server.admit_by_both_connectors("wang", "other").await;
    let url = format!("{SSO_URL}/other");
    let parameters = [("url", url.as_str()), ("as", "wang")];
    for (via, expected, verdict) in [
        (None, "other", "allow"),
        (Some("other"), "other", "allow"),
        (Some("corp"), "corp", "login"),
    ] {
        let mut parameters = parameters.to_vec();
        parameters.extend(via.map(|via| ("via", via)));
        let explained = server.explained(&parameters).await;
        assert_eq!(explained["caller"]["via"], expected);
        assert_eq!(
            explained["caller"]["connectors"],
            serde_json::json!(["other", "corp"])
        );
        assert_eq!(explained["verdict"]["verdict"], verdict, "{via:?}");
    }
    let services = server.menshen.running.live().services();
    let login = "wang".parse().unwrap();
    let account = services.store.account_by_login(&login).await;
    let account = account.unwrap().unwrap();
    let now = services.clock.now();
    services
        .store
        .close_account(&account.id, &closing("left"), now)
        .await
        .unwrap();
    let explained = server.explained(&parameters).await;
    assert_eq!(explained["caller"]["closed"], true);
    assert_eq!(explained["verdict"]["verdict"], "login");
    assert!(
        explained["notes"][0]
            .as_str()
            .unwrap()
            .contains("is closed")
    );
}

#[tokio::test]
async fn secrets_are_hidden_and_long_values_are_truncated() {
    let server = server_with_two_accounts().await;
    let explained = server
        .explained(&[("url", &format!("{SSO_URL}/basic")), ("as", "lisi")])
        .await;
    let headers = name_value_pairs(&explained["upstream"]["headers"], "name", "value");
    for name in ["authorization", "x-menshen-assertion"] {
        let line = (name.to_owned(), "(hidden)".to_owned());
        assert!(headers.contains(&line), "{name}: {headers:?}");
    }
    assert!(!explained.to_string().contains("swordfish"));
    let explained = server
        .explained(&[("url", &format!("{SSO_URL}/tokens")), ("as", "lisi")])
        .await;
    for name in ["authorization", "x-forwarded-access-token"] {
        let all = explained["upstream"]["headers"].as_array().unwrap();
        let line = all.iter().find(|line| line["name"] == name).unwrap();
        assert_eq!(line["value"], "(hidden, when the session has one)");
    }
    let long = format!("X-Long: {}", "长".repeat(500));
    let url = format!("{SSO_URL}/x/{}", "a".repeat(500));
    let explained = server
        .explained(&[("url", &url), ("as", "lisi"), ("header", &long)])
        .await;
    assert!(
        explained["request"]["url"]
            .as_str()
            .unwrap()
            .ends_with("a…")
    );
    let headers = name_value_pairs(&explained["upstream"]["headers"], "name", "value");
    let (_, value) = headers.iter().find(|(name, _)| name == "x-long").unwrap();
    assert_eq!(value.chars().count(), 401);
    // Encoded values are shown with their decoded text.
    let headers = explained["upstream"]["headers"].as_array().unwrap();
    let name = headers
        .iter()
        .find(|line| line["name"] == "x-forwarded-name")
        .unwrap();
    assert_eq!(name["value"], "%E6%9D%8E%E5%9B%9B");
    assert_eq!(name["decoded"], "李四");
}

#[tokio::test]
async fn the_api_refuses_invalid_parameters() {
    let server = server_with_two_accounts().await;
    let url = ("url", "http://sso.test/x");
    for (parameters, status, part) in [
        (vec![], 400, "url is missing"),
        (vec![("url", "/x")], 400, "write the whole URL"),
        (
            vec![("url", "ftp://sso.test/x")],
            400,
            "write the whole URL",
        ),
        (
            vec![("url", "http://user@sso.test/x")],
            400,
            "write the whole URL",
        ),
        (vec![url, url], 400, "only header may be repeated"),
        (vec![url, ("who", "lisi")], 400, "unknown field `who`"),
        (vec![url, ("as", " lisi")], 400, "a login is"),
        (
            vec![url, ("as", "lisi"), ("via", "CORP")],
            400,
            "a connector's ID",
        ),
        (vec![url, ("via", "corp")], 400, "say whose login"),
        (vec![url, ("method", "G E T")], 400, "is not an HTTP method"),
        (
            vec![url, ("from", "localhost")],
            400,
            "is not an IP address",
        ),
        (vec![url, ("header", "nonsense")], 400, "Name: value"),
        (
            vec![url, ("header", "Cookie: menshen=a")],
            400,
            "cookie cannot be given",
        ),
        (
            vec![url, ("header", "Authorization: Bearer a")],
            400,
            "cannot be given",
        ),
        (vec![url, ("header", "Host: a")], 400, "cannot be given"),
        (
            vec![url, ("as", "nobody")],
            404,
            "no account has the login nobody",
        ),
        (
            vec![url, ("as", "lisi"), ("via", "other")],
            404,
            "the account has identities of corp",
        ),
    ] {
        let answer = server.query_api(&parameters).await;
        assert_eq!(answer.status, status, "{parameters:?}");
        let text = answer.json()["error"].as_str().unwrap().to_owned();
        assert!(text.contains(part), "{parameters:?}: {text}");
    }
    let admin = server.menshen.running.admin_address().unwrap();
    let explain = "/api/explain?url=http://sso.test/x";
    let explain = TestRequest::get(explain).host("127.0.0.1");
    assert_eq!(explain.send_to(admin).await.status, 401);
    for method in ["POST", "PUT", "DELETE"] {
        let request = explain.clone().method(method);
        let request = request.header("Authorization", &format!("Bearer {TOKEN}"));
        assert_eq!(request.send_to(admin).await.status, 405, "{method}");
    }
}

#[tokio::test]
async fn a_public_path_is_explained_by_public_paths() {
    let server = server_with_two_accounts().await;
    for (path, key) in [
        ("/finance/icon.png", "public_paths"),
        ("/finance/x", "allow"),
    ] {
        let url = format!("{SSO_URL}{path}");
        let explained = server.explained(&[("url", &url), ("as", "lisi")]).await;
        assert_eq!(explained["rule"]["key"], key, "{path}: {explained}");
    }
    let url = format!("{SSO_URL}/finance/icon.png");
    let explained = server.explained(&[("url", &url)]).await;
    assert_eq!(explained["rule"]["text"], "\"/finance/icon.png\"");
    assert_eq!(explained["verdict"]["verdict"], "allow");
}
