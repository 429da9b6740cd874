//! The content of check responses: changed headers, the identity, or the response for the client.

use serde_json::{Value, json};

use super::client::GrpcClient;
use super::{CheckResult, GRPC_ON_MAIN, check_request, grpc_client, parse_response, setup};
use crate::browser::navigation_headers;
use crate::setup::{Menshen, Setup};
use crate::test_request::{TestRequest, session_cookie_of};
use crate::upstream::TempFolder;

/// Starts menshen with a gRPC client and the session cookie of 李四, who is in 财务部.
async fn start_with_lisi() -> (Menshen, GrpcClient, String) {
    let menshen = setup().start().await;
    let client = grpc_client(&menshen).await;
    let cookie = session_cookie_of(&menshen, "lisi").await;
    (menshen, client, cookie)
}

#[tokio::test]
async fn a_member_passes_with_the_headers_that_the_proxy_sends() {
    let (menshen, mut client, cookie) = start_with_lisi().await;
    let cookies = format!("a=b; menshen={cookie}; c=d");
    let check = check_request("/echo?x=1")
        .header("cookie", &cookies)
        .header("x_forwarded_user", "boss")
        .header("x-forwarded-email", "boss@corp.example")
        .header("x-auth-request-groups", "admin");
    let answer = parse_response(&client.check(&check.json()).await);
    assert_eq!((answer.code, answer.http), (0, None));
    // A proxied request has the headers that the application must receive.
    let direct = TestRequest::get("/echo?x=1")
        .header("Cookie", &cookies)
        .send(&menshen)
        .await;
    for name in [
        "x-forwarded-user",
        "x-forwarded-preferred-username",
        "x-forwarded-name",
        "x-forwarded-email",
        "x-forwarded-groups",
        "cookie",
    ] {
        let values = answer.set.get(name).map(|value| vec![value.clone()]);
        assert_eq!(values.unwrap_or_default(), direct.echoed(name), "{name}");
    }
    assert_eq!(answer.set["cookie"], "a=b; c=d");
    for name in [
        "x_forwarded_user",
        "x-auth-request-groups",
        "x-auth-request-user",
    ] {
        assert!(
            answer.removed.iter().any(|removed| removed == name),
            "{name}"
        );
        assert!(!answer.set.contains_key(name), "{name}");
    }
    assert!(
        answer
            .removed
            .iter()
            .all(|name| !answer.set.contains_key(name))
    );
    assert!(answer.to_client.is_empty());
}

#[tokio::test]
async fn headers_to_set_replace_the_clients_headers() {
    let (_menshen, mut client, cookie) = start_with_lisi().await;
    let answer = client
        .check(&check_request("/echo").session(&cookie).json())
        .await;
    let headers = answer["ok_response"]["headers"].as_array().unwrap();
    assert!(!headers.is_empty());
    for option in headers {
        assert_eq!(
            option["append_action"], "OVERWRITE_IF_EXISTS_OR_ADD",
            "{option}"
        );
    }
}

#[tokio::test]
async fn dynamic_metadata_names_the_caller_and_holds_no_token() {
    let (menshen, mut client, cookie) = start_with_lisi().await;
    let check = check_request("/finance")
        .session(&cookie)
        .header("x-request-id", "one-7");
    let answer = client.check(&check.json()).await;
    let metadata = answer["dynamic_metadata"].as_object().unwrap();
    assert_eq!(metadata["login"], "lisi");
    assert_eq!(metadata["connector"], "corp");
    assert_eq!(metadata["route"], "finance");
    assert_eq!(metadata["request_id"], "one-7");
    let minted = menshen.audit();
    let session = minted.iter().find_map(|line| line["session"].as_str());
    assert_eq!(metadata["session"].as_str(), session);
    assert!(
        metadata["account"]
            .as_str()
            .is_some_and(|id| !id.is_empty())
    );
    assert!(metadata["groups"].is_array());
    assert!(!answer.to_string().contains(&cookie));
    // An anonymous caller has no identity.
    let answer = client.check(&check_request("/public").json()).await;
    let metadata = answer["dynamic_metadata"].as_object().unwrap();
    let keys: Vec<_> = metadata.keys().map(String::as_str).collect();
    assert_eq!(keys, ["request_id", "route"]);
    assert_eq!(answer["ok_response"].get("headers"), None);
}

#[tokio::test]
async fn a_navigation_without_a_session_is_redirected_to_login() {
    let (_menshen, mut client, _) = start_with_lisi().await;
    let check = check_request("/deep?x=1&y=%2f").headers(&navigation_headers());
    let answer = parse_response(&client.check(&check.json()).await);
    assert_eq!(
        (answer.code, answer.http, answer.reason()),
        (16, Some(302), "nobody")
    );
    let start = "http://sso.test/.menshen/start?rd=http%3A//sso.test/deep%3Fx%3D1%26y%3D%252f&n=1";
    assert_eq!(answer.set["location"], start);
    assert_eq!(answer.set["cache-control"], "no-store");
}

#[tokio::test]
async fn a_program_and_a_forged_cookie_get_401() {
    let (_menshen, mut client, cookie) = start_with_lisi().await;
    let forged = format!("{}x", &cookie[..cookie.len() - 1]);
    for check in [
        check_request("/deep"),
        check_request("/deep").session(&forged),
        check_request("/deep").session("a.b.c"),
    ] {
        let answer = parse_response(&client.check(&check.json()).await);
        assert_eq!((answer.code, answer.http), (16, Some(401)));
        assert_eq!(answer.set["content-type"], "application/problem+json");
        let problem: Value = serde_json::from_str(&answer.body).unwrap();
        assert!(
            problem["login_url"]
                .as_str()
                .unwrap()
                .starts_with("http://sso.test/")
        );
        assert!(!answer.set.contains_key("content-length"));
    }
}

#[tokio::test]
async fn every_other_refusal_is_403() {
    let (menshen, mut client, cookie) = start_with_lisi().await;
    let zhangsan = session_cookie_of(&menshen, "zhangsan").await;
    for (check, reason) in [
        (check_request("/finance").session(&zhangsan), "forbidden"),
        (
            check_request("/finance")
                .session(&zhangsan)
                .headers(&navigation_headers()),
            "forbidden",
        ),
        (
            check_request("/").host("nowhere.test").session(&cookie),
            "no-route",
        ),
        (
            check_request("/.menshen/userinfo").session(&cookie),
            "own-page",
        ),
        (check_request("/a/%2e%2e/b").session(&cookie), "bad-request"),
        (check_request("/a/../b").session(&cookie), "bad-request"),
        (check_request("/a#b").session(&cookie), "bad-request"),
        (check_request("a").session(&cookie), "bad-request"),
        (check_request("*").session(&cookie), "bad-request"),
        (check_request("/").host("").session(&cookie), "bad-request"),
        (
            check_request("/").host("a b").session(&cookie),
            "bad-request",
        ),
        (
            check_request("/").method("G T").session(&cookie),
            "bad-request",
        ),
        (
            check_request("/").scheme("gopher").session(&cookie),
            "bad-request",
        ),
        (
            check_request("/").header("bad name", "x").session(&cookie),
            "bad-request",
        ),
        (
            check_request("/").header("x", "a\u{0}b").session(&cookie),
            "bad-request",
        ),
        (check_request("/public%2f..%2ffinance"), "bad-request"),
        (
            check_request("/").route("no-such-route").session(&cookie),
            "no-route",
        ),
        (check_request("/").route("").session(&cookie), "no-route"),
    ] {
        let answer = parse_response(&client.check(&check.json()).await);
        let shown = (answer.code, answer.http, answer.reason());
        assert_eq!(shown, (7, Some(403), reason), "{}", check.json());
    }
    let many = (0..2000).fold(check_request("/"), |ask, n| {
        ask.header(&format!("x-{n}"), "y")
    });
    let answer = parse_response(&client.check(&many.json()).await);
    assert_eq!((answer.code, answer.http), (7, Some(403)));
}

#[tokio::test]
async fn a_check_without_a_request_is_refused() {
    let (_menshen, mut client, _) = start_with_lisi().await;
    for check in [
        json!({}),
        json!({ "attributes": {} }),
        json!({ "attributes": { "request": {} } }),
        json!({ "attributes": { "request": { "http": {} } } }),
        json!({ "attributes": { "source": { "address": {} }, "context_extensions": { "route": "public" } } }),
    ] {
        let answer = parse_response(&client.check(&check).await);
        assert_eq!((answer.code, answer.http), (7, Some(403)), "{check}");
    }
}

#[tokio::test]
async fn unknown_fields_are_ignored() {
    let (_menshen, mut client, cookie) = start_with_lisi().await;
    let check = client.encode_request(&check_request("/finance").session(&cookie).json());
    // Field 1000 is a varint, 1001 is bytes, 1002 is a fixed64.
    let unknown = b"\xc0\x3e\x07\xca\x3e\x03abc\xd1\x3e\x01\x02\x03\x04\x05\x06\x07\x08";
    let answer = client.check_bytes(&[&check, &unknown[..]].concat()).await;
    assert_eq!(parse_response(&answer).code, 0, "{answer}");
}

#[tokio::test]
async fn raw_headers_are_read_like_merged_headers() {
    let (menshen, mut client, cookie) = start_with_lisi().await;
    let mut check = check_request("/finance").json();
    let http = &mut check["attributes"]["request"]["http"];
    http["headers"] = json!({});
    let raw = |text: &str| {
        use base64::Engine as _;
        base64::engine::general_purpose::STANDARD.encode(text)
    };
    http["header_map"] = json!({ "headers": [
        { "key": ":path", "raw_value": raw("/finance") },
        { "key": "cookie", "raw_value": raw(&format!("menshen={cookie}")) },
        { "key": "x-latin", "raw_value": "/w==" },
    ] });
    let answer = parse_response(&client.check(&check).await);
    assert_eq!(
        (answer.code, answer.set["x-forwarded-user"].as_str()),
        (0, "lisi")
    );
    // An invalid cookie beside a valid one is ignored; two different sessions are ambiguous.
    let second = session_cookie_of(&menshen, "zhangsan").await;
    for (value, code) in [("a.b.c", 0), (second.as_str(), 16)] {
        let two = &mut check["attributes"]["request"]["http"]["headers"];
        *two = json!({ "cookie": format!("menshen={value}") });
        assert_eq!(
            parse_response(&client.check(&check).await).code,
            code,
            "{value}"
        );
    }
}

#[tokio::test]
async fn a_named_route_decides_regardless_of_host_and_path() {
    let (menshen, mut client, cookie) = start_with_lisi().await;
    let zhangsan = session_cookie_of(&menshen, "zhangsan").await;
    let at = |cookie: &str| {
        check_request("/anything")
            .host("elsewhere.test")
            .session(cookie)
            .route("finance")
    };
    assert_eq!(
        parse_response(&client.check(&at(&cookie).json()).await).code,
        0
    );
    let answer = parse_response(&client.check(&at(&zhangsan).json()).await);
    assert_eq!((answer.code, answer.reason()), (7, "forbidden"));
    let answer = parse_response(
        &client
            .check(&check_request("/finance").route("public").json())
            .await,
    );
    assert_eq!(answer.code, 0);
}

/// A route whose rule reads the client address, and one whose rule reads the method.
const RULES: &str = r#"
[[route]]
name = "near"
host = "sso.test"
access = "rule"
allow = "in_network(request.ip, '192.0.2.0/24')"
upstream = ["{app}"]
[[route]]
name = "reading"
host = "read.test"
access = "rule"
allow = "request.method == 'GET'"
upstream = ["{app}"]
"#;

#[tokio::test]
async fn what_envoy_omits_is_unknown_and_denies_where_a_rule_reads_it() {
    let menshen = setup().routes(RULES).start().await;
    let mut client = grpc_client(&menshen).await;
    for (source, code, reason) in [
        (
            json!({ "address": { "socket_address": { "address": "192.0.2.9" } } }),
            0,
            "",
        ),
        (
            json!({ "address": { "socket_address": { "address": "::ffff:192.0.2.9" } } }),
            0,
            "",
        ),
        (
            json!({ "address": { "socket_address": { "address": "198.51.100.1" } } }),
            7,
            "forbidden",
        ),
        (
            json!({ "address": { "socket_address": { "address": "not-an-address" } } }),
            7,
            "untold",
        ),
        (
            json!({ "address": { "pipe": { "path": "/run/a.sock" } } }),
            7,
            "untold",
        ),
        (json!({ "address": {} }), 7, "untold"),
        (json!({}), 7, "untold"),
    ] {
        // Forwarding headers of the client are ignored.
        let check = check_request("/").header("x-forwarded-for", "192.0.2.9");
        let mut check = check.json();
        check["attributes"]["source"] = source.clone();
        let answer = parse_response(&client.check(&check).await);
        if code == 7 && reason == "forbidden" {
            assert_ne!(answer.code, 0, "{source}");
        } else {
            assert_eq!((answer.code, answer.reason()), (code, reason), "{source}");
        }
    }
    for (method, code) in [("GET", 0), ("", 7)] {
        let check = check_request("/").host("read.test").method(method);
        assert_eq!(
            parse_response(&client.check(&check.json()).await).code,
            code,
            "{method:?}"
        );
    }
    // Without a path, a verdict is given only if every path of the host has the same one.
    let check = check_request("").host("read.test");
    assert_eq!(parse_response(&client.check(&check.json()).await).code, 0);
}

#[tokio::test]
async fn a_renewed_cookie_is_added_to_the_response() {
    let folder = TempFolder::new();
    let key = |name: &str| {
        let path = folder.write(name, menshen::keys::generate().expose());
        format!("{{ file = {path:?} }}")
    };
    let (old, new) = (key("old"), key("new"));
    let with = |keys: &str| setup().session(&format!("keys = [{keys}]"));
    let menshen = with(&old).start().await;
    let cookie = session_cookie_of(&menshen, "lisi").await;
    menshen
        .reload(&with(&format!("{new}, {old}")))
        .await
        .unwrap();
    let mut client = grpc_client(&menshen).await;
    let answer = client
        .check(&check_request("/echo").session(&cookie).json())
        .await;
    let CheckResult {
        to_client, code, ..
    } = parse_response(&answer);
    assert_eq!(code, 0);
    let renewed = &to_client["set-cookie"];
    assert!(renewed.starts_with("menshen=") && !renewed.contains(&cookie));
    assert_eq!(to_client["cache-control"], "private, no-cache");
    let cookie = renewed
        .strip_prefix("menshen=")
        .unwrap()
        .split(';')
        .next()
        .unwrap();
    menshen.reload(&with(&new)).await.unwrap();
    let answer = parse_response(
        &client
            .check(&check_request("/echo").session(cookie).json())
            .await,
    );
    assert_eq!((answer.code, answer.to_client.len()), (0, 0));
}

#[tokio::test]
async fn a_revoked_session_is_refused_at_the_next_check() {
    let (menshen, mut client, cookie) = start_with_lisi().await;
    let check = check_request("/echo").session(&cookie).json();
    assert_eq!(parse_response(&client.check(&check).await).code, 0);
    let answer = TestRequest::get("/.menshen/sign_out")
        .session(&cookie)
        .navigating()
        .send(&menshen)
        .await;
    assert!(answer.status < 400, "{}", answer.text());
    let answer = parse_response(&client.check(&check).await);
    assert_eq!((answer.code, answer.http), (16, Some(401)));
}

#[tokio::test]
async fn the_main_listener_gives_the_same_verdicts() {
    let menshen = Setup::default()
        .server("trusted_proxies = [\"127.0.0.1\"]")
        .tables(GRPC_ON_MAIN)
        .start()
        .await;
    let cookie = session_cookie_of(&menshen, "lisi").await;
    let mut client = GrpcClient::connect(menshen.address()).await;
    let answer = parse_response(
        &client
            .check(&check_request("/finance").session(&cookie).json())
            .await,
    );
    assert_eq!(
        (answer.code, answer.set["x-forwarded-user"].as_str()),
        (0, "lisi")
    );
    let answer = parse_response(&client.check(&check_request("/finance").json()).await);
    assert_eq!((answer.code, answer.http), (16, Some(401)));
}
