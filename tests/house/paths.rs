//! The path that is checked is byte for byte the path that is forwarded, and a path that parsers
//! read differently is refused.

use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::http2::handshake;
use hyper_util::rt::{TokioExecutor, TokioIo};
use proptest::prelude::*;
use tokio::net::TcpStream;
use tokio::runtime::Runtime;

use crate::ext_authz::GRPC_ON_MAIN;
use crate::mirror::{self, Mirror};
use crate::setup::{Menshen, Setup};
use crate::test_request::TestRequest;
use crate::wire::Answer;

/// Most paths are public, so a protected path that is parsed differently would be forwarded.
const ROUTES: &str = r#"
[[route]]
name = "public"
host = "sso.test"
access = "public"
upstream = ["{mirror}"]
[[route]]
name = "admin"
host = "sso.test"
path = "/admin"
upstream = ["{mirror}"]
[[route]]
name = "secret"
host = "sso.test"
path = "/a/secret/x"
upstream = ["{mirror}"]
[[route]]
name = "by-method"
host = "method.test"
access = "rule"
allow = "request.method != 'DELETE'"
upstream = ["{mirror}"]
[[route]]
name = "stripped"
host = "strip.test"
path = "/mounted"
access = "public"
strip_path = true
upstream = ["{mirror}"]
[[route]]
name = "stripped-admin"
host = "strip.test"
path = "/mounted/admin"
upstream = ["{mirror}"]
[[route]]
name = "stripped-by-rule"
host = "strip-rule.test"
path = "/mounted"
access = "rule"
allow = "!request.path.startsWith('/mounted/admin')"
strip_path = true
upstream = ["{mirror}"]
[[route]]
name = "any-case"
host = "iis.test"
access = "public"
upstream = ["{mirror}"]
[[route]]
name = "any-case-admin"
host = "iis.test"
path = "/Admin"
case_insensitive = true
upstream = ["{mirror}"]
[[route]]
name = "by-rule"
host = "rule.test"
access = "rule"
allow = "!request.path.startsWith('/admin')"
upstream = ["{mirror}"]
[[route]]
name = "by-rule-any-case"
host = "iis-rule.test"
access = "rule"
allow = "!request.path.startsWith('/admin')"
case_insensitive = true
upstream = ["{mirror}"]
[[route]]
name = "by-chinese-rule"
host = "chinese-rule.test"
access = "rule"
allow = "!request.path.startsWith('/财务') && !request.path.startsWith('/通知')"
upstream = ["{mirror}"]
[[route]]
name = "by-russian-rule-any-case"
host = "russian-rule.test"
access = "rule"
allow = "!request.path.startsWith('/отчёты')"
case_insensitive = true
upstream = ["{mirror}"]
"#;

async fn start_menshen() -> (Menshen, Mirror) {
    let mirror = Mirror::start().await;
    let routes = ROUTES.replace("{mirror}", &mirror.base_url());
    let setup = Setup::default().tables(GRPC_ON_MAIN).routes(&routes);
    // HTTP/2 without TLS is only accepted together with gRPC, which needs a trusted proxy.
    let setup = setup.server("trusted_proxies = [\"192.0.2.1\"]");
    (setup.start().await, mirror)
}

async fn send_over_http2(menshen: &Menshen, method: &str, url: &str) -> Answer {
    let stream = TcpStream::connect(menshen.address()).await.unwrap();
    let connected = handshake(TokioExecutor::new(), TokioIo::new(stream)).await;
    let (mut sender, connection) = connected.unwrap();
    tokio::spawn(connection);
    let request = Request::builder().method(method).uri(url);
    let request = request.body(Full::<Bytes>::default()).unwrap();
    let response = sender.send_request(request).await.unwrap();
    let (head, body) = response.into_parts();
    let text = |value: &http::HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
    Answer {
        status: head.status.as_u16(),
        headers: head
            .headers
            .iter()
            .map(|(name, value)| (name.to_string(), text(value)))
            .collect(),
        body: body.collect().await.unwrap().to_bytes().to_vec(),
    }
}

/// The result of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum PathResult {
    /// The upstream received the path byte for byte.
    Forwarded,
    /// Status 401.
    LoginRequired,
    /// Status 400.
    Refused,
    /// A page of menshen itself, or its 404.
    MenshenPage,
}

fn path_result(answer: &Answer, sent: &[u8]) -> PathResult {
    if let Some(target) = mirror::received_target(answer) {
        assert_eq!(target, sent, "{}", String::from_utf8_lossy(sent));
        return PathResult::Forwarded;
    }
    match answer.status {
        401 => PathResult::LoginRequired,
        400 => PathResult::Refused,
        200 | 302 | 404 | 405 => PathResult::MenshenPage,
        status => panic!("{status} for {}", String::from_utf8_lossy(sent)),
    }
}

async fn assert_all(host: &str, expected: PathResult, paths: &[&str]) {
    let (menshen, _mirror) = start_menshen().await;
    for path in paths {
        let answer = TestRequest::get(path).host(host).send(&menshen).await;
        assert_eq!(
            path_result(&answer, path.as_bytes()),
            expected,
            "{host}{path}"
        );
    }
}

#[tokio::test]
async fn an_unambiguous_path_is_forwarded_byte_for_byte() {
    let paths = [
        "/",
        "/x?a=b%20c&d=%zz&e=../..\\&f=//;",
        "/api/v4/projects/group%2fproject/issues",
        "/@scope%2Fname",
        "/job//build",
        "/x;jsessionid=1F2E/y;v=2",
        "/100%25",
        "/%B2%C6%CE%F1",
        "/%D5%5C",
        "/%e8%b4%a2%e5%8a%a1",
        "/a/..b/...",
        "/a/.hidden",
        "/%41dministrator",
        "/administrator",
        "/a%252fb",
        "/~x/@y/:z!$&'()*+,=",
        "/?",
        "/%2561",
    ];
    assert_all("sso.test", PathResult::Forwarded, &paths).await;
}

#[tokio::test]
async fn bytes_that_are_not_utf8_are_percent_encoded_before_the_decision() {
    let (menshen, _mirror) = start_menshen().await;
    for (path, sent) in [
        (&b"/\xb2\xc6\xce\xf1"[..], &b"/%B2%C6%CE%F1"[..]),
        (b"/a\xff?\xfe", b"/a%FF?%FE"),
        // UTF-8 stays unescaped.
        (b"/\xe8\xb4\xa2", b"/\xe8\xb4\xa2"),
    ] {
        let answer = TestRequest::with_target(path).send(&menshen).await;
        assert_eq!(
            path_result(&answer, sent),
            PathResult::Forwarded,
            "{path:?}"
        );
    }
    for (path, expected) in [
        (&b"/admin/\xb2"[..], PathResult::LoginRequired),
        (b"/%61dmin/\xb2", PathResult::Refused),
        (b"//\xb2/admin", PathResult::Refused),
    ] {
        let answer = TestRequest::with_target(path).send(&menshen).await;
        assert_eq!(path_result(&answer, path), expected, "{path:?}");
    }
}

#[tokio::test]
async fn a_path_that_parsers_match_to_different_routes_is_refused() {
    let paths = [
        "/%61dmin",
        "/%61dmin/x",
        "/admin%2fx",
        "//admin",
        "///admin/x",
        "/admin;x=y",
        "/admin;/x",
        "/%2561dmin/x",
        "/;x/admin",
        "/x;/../admin",
        "/%5cadmin",
        "/a%5csecret%5cx",
        "/a%2fsecret%2fx",
        "/a//secret/x",
        "/a/secret;v=1/x",
        "/a/secret%3bv=1/x",
        "/%c0%afadmin",
        "/%e0%80%afadmin",
        "/%c1%a1dmin",
        // Cut at `;` before it is decoded, as Tomcat and Jetty do.
        "/%61;z%2fz/secret/x",
        "/a;z%2fz/secret/%78",
        "/a;z%252fz/secret/%2578",
        // Decoded twice by a server that tolerates broken escapes the second time.
        "/%2561dmin/%25",
        "/%2561dmin/100%25zz",
    ];
    assert_all("sso.test", PathResult::Refused, &paths).await;
    // Every reading matches the same route.
    let paths = [
        "/admin",
        "/admin/",
        "/admin/x%2fy",
        "/admin/x//y",
        "/admin/x;v=1",
        "/admin/%2561",
        "/a/secret/x/%2f",
    ];
    assert_all("sso.test", PathResult::LoginRequired, &paths).await;
}

#[tokio::test]
async fn a_host_inside_the_path_does_not_bypass_a_route() {
    let paths = [
        "//x/admin",
        "//x/admin/y",
        "///x/admin",
        "//x@y:1/admin",
        "//x//y/admin",
        "/%2fx/admin",
        "/%252fx/admin",
        "/%5cx/admin",
        "/%5c%5cx/admin",
        "//x%2fadmin",
        "//x/%61dmin",
        "//x;y/admin",
        "//x/a/secret/x",
        "//x/.menshen/auth",
    ];
    assert_all("sso.test", PathResult::Refused, &paths).await;
    assert_all("rule.test", PathResult::Refused, &paths[..12]).await;
    let paths = ["//x", "//x/y", "/y//x/admin", "//x/administrator", "//"];
    assert_all("sso.test", PathResult::Forwarded, &paths).await;
    assert_all("iis.test", PathResult::Refused, &["//x/ADMIN"]).await;
}

#[tokio::test]
async fn a_stripped_path_is_checked_as_the_application_parses_it() {
    let paths = [
        "/mounted//x/admin",
        "/mounted///x/admin",
        "/mounted/%2fx/admin",
        "/mounted/%5cx/admin",
        "/mounted//x%2fadmin",
        "/mounted%2f/x/admin",
        "/mounted//x/admin%3f",
    ];
    for host in ["strip.test", "strip-rule.test"] {
        assert_all(host, PathResult::Refused, &paths).await;
    }
    let (menshen, _mirror) = start_menshen().await;
    for (path, sent) in [
        ("/mounted", "/"),
        ("/mounted/", "/"),
        ("/mounted?a", "/?a"),
        ("/mounted//x", "//x"),
        ("/mounted//x/y", "//x/y"),
        ("/mounted/http://x/admin", "/http://x/admin"),
    ] {
        let answer = TestRequest::get(path)
            .host("strip.test")
            .send(&menshen)
            .await;
        assert_eq!(
            mirror::received_target(&answer),
            Some(sent.as_bytes()),
            "{path}"
        );
    }
    // Only a whole segment is removed.
    for path in ["/mountedhttp://x/", "/mounted@x", "/mounted:80/"] {
        let answer = TestRequest::get(path)
            .host("strip.test")
            .send(&menshen)
            .await;
        assert_eq!(answer.status, 404, "{path}");
    }
}

#[tokio::test]
async fn an_escape_that_ends_a_path_does_not_bypass_a_route() {
    let paths = [
        "/admin%3f",
        "/admin%3fx/y",
        "/admin%3F%23",
        "/admin%23",
        "/admin%23/x",
        "/admin%20",
        "/admin%20%20/x",
        "/admin%09",
        "/admin%20%3f",
        "/admin%253f",
        "/admin%2523",
        "/admin%2520",
        "/admin.",
        "/admin...",
        "/admin./x",
        "/admin%2e",
        "/admin%2e%20",
        "/admin::$DATA",
        "/admin%3a%3a$DATA",
        "/admin:$I30:$INDEX_ALLOCATION/x",
        "/ad%09min",
    ];
    assert_all("sso.test", PathResult::Refused, &paths).await;
    let paths = ["/admin%20.", "/a/secret/x%3f"];
    assert_all("sso.test", PathResult::Refused, &paths).await;
    // The path is forwarded if the escape does not change the matching route.
    let paths = [
        "/wiki/What%3f",
        "/c%23/x",
        "/a%20b",
        "/a%20",
        "/x./y",
        "/v1.0",
        "/x...",
        "/users/a:$b",
        "/search/a%3fb%23c",
        "/admins%3f",
    ];
    assert_all("sso.test", PathResult::Forwarded, &paths).await;
    assert_all(
        "sso.test",
        PathResult::LoginRequired,
        &["/admin/x%3f", "/admin/x%20y."],
    )
    .await;
    let paths = [
        "/ADMIN%20",
        "/admin.",
        "/adm%C4%B1n",
        "/ADM%C4%B0N/x",
        "/%25u0041dmin",
    ];
    assert_all("iis.test", PathResult::Refused, &paths).await;
}

#[tokio::test]
async fn a_path_gets_the_same_decision_over_http2() {
    let (menshen, _mirror) = start_menshen().await;
    for (path, expected) in [
        ("//x/admin", PathResult::Refused),
        ("/%2fx/admin", PathResult::Refused),
        ("/admin%3f", PathResult::Refused),
        ("/admin%20", PathResult::Refused),
        ("/admin.", PathResult::Refused),
        ("/x/..%20/admin", PathResult::Refused),
        ("/admin", PathResult::LoginRequired),
        ("/x//y", PathResult::Forwarded),
        ("/wiki/What%3f", PathResult::Forwarded),
    ] {
        let answer = send_over_http2(&menshen, "GET", &format!("http://sso.test{path}")).await;
        assert_eq!(path_result(&answer, path.as_bytes()), expected, "{path}");
    }
    let answer = send_over_http2(&menshen, "GET", "http://strip.test/mounted//x/admin").await;
    assert_eq!(answer.status, 400, "{}", answer.text());
}

#[tokio::test]
async fn a_forwarded_target_begins_with_a_slash() {
    let (menshen, _mirror) = start_menshen().await;
    for (target, sent) in [
        ("http://sso.test?query", "/?query"),
        ("http://sso.test?/admin", "/?/admin"),
        ("http://sso.test?a=/../admin", "/?a=/../admin"),
        ("http://sso.test?", "/?"),
        ("http://sso.test", "/"),
        ("http://sso.test/x?y", "/x?y"),
        ("HTTP://sso.test/", "/"),
    ] {
        let answer = TestRequest::get(target).send(&menshen).await;
        assert_eq!(
            mirror::received_target(&answer),
            Some(sent.as_bytes()),
            "{target}"
        );
        let answer = send_over_http2(&menshen, "GET", target).await;
        assert_eq!(
            mirror::received_target(&answer),
            Some(sent.as_bytes()),
            "{target}"
        );
    }
}

#[tokio::test]
async fn the_forwarded_method_is_the_one_the_rule_checked() {
    let (menshen, _mirror) = start_menshen().await;
    let long = |bytes: usize| "M".repeat(bytes);
    for (host, method, status) in [
        ("method.test", "GET", 200),
        ("method.test", "PROPFIND", 200),
        ("method.test", "M-SEARCH", 200),
        ("method.test", "DELETE", 401),
        ("method.test", "delete", 400),
        ("method.test", "Delete", 400),
        ("method.test", "DELETe", 400),
        ("method.test", "get", 400),
        // Without a rule on the method it is forwarded.
        ("sso.test", "purge", 200),
        ("sso.test", "trace", 405),
        ("sso.test", "Trace", 405),
        ("sso.test", &long(64), 200),
        ("sso.test", &long(65), 400),
        ("sso.test", &long(4096), 400),
    ] {
        let answer = TestRequest::get("/x")
            .host(host)
            .method(method)
            .send(&menshen)
            .await;
        assert_eq!(answer.status, status, "{host} {method}");
        let answer = send_over_http2(&menshen, method, &format!("http://{host}/x")).await;
        assert_eq!(answer.status, status, "{host} {method} over HTTP/2");
    }
}

#[tokio::test]
async fn dot_segments_are_refused_in_every_encoding() {
    let paths = [
        "/.",
        "/..",
        "/./x",
        "/../x",
        "/x/..",
        "/x/../admin",
        "/x/%2e%2e/admin",
        "/x/.%2E/admin",
        "/x/%252e%252e/admin",
        "/x/%25%32%65%25%32%65/admin",
        "/x/..;/admin",
        "/x/..;a=b/admin",
        "/x/..%3b/admin",
        "/x/%2e%2e;/admin",
        "/x/%2e;/admin",
        "/x%2f..%2fadmin",
        "/x/..%2fadmin",
        "/x/..%5cadmin",
        "/x%5c..%5cadmin",
        "/x%255c..%255cadmin",
        "/x/%c0%ae%c0%ae/admin",
        "/x/%e0%80%ae%e0%80%ae/admin",
        "/x/%f0%80%80%ae./admin",
        "/x%c0%af..%c0%afadmin",
        "/x%c1%9c../admin",
        "/x/%25c0%25ae./admin",
        "/x/;a/../admin",
        "/%2e%2e/",
        "/x/%252e%252e/100%25",
        "/x/%252e%252e/100%25zz",
        "/x/.;y%2f./admin",
        "/.menshen/../admin",
        "/.menshen/%2e%2e/admin",
        "/x/..%20/admin",
        "/x/.%20./admin",
        "/x/..%3f/admin",
        "/x/..%23",
        "/x/.%09./admin",
    ];
    assert_all("sso.test", PathResult::Refused, &paths).await;
}

#[tokio::test]
async fn controls_backslashes_and_broken_escapes_are_refused() {
    let paths = [
        "/a\\b",
        "/\\admin",
        "/a%00",
        "/a%00.html",
        "/%2500",
        "/a%0d%0ax",
        "/a%0a",
        "/a%250a",
        "/%",
        "/%2",
        "/%zz",
        "/a%2gb",
        "/%u002e",
        "/a%",
        "/%%36%31dmin",
        "*",
        "admin",
        "",
    ];
    assert_all("sso.test", PathResult::Refused, &paths).await;
    let (menshen, _mirror) = start_menshen().await;
    for path in [&b"/a\0b"[..], b"/a\rb", b"/a\x7fb", b"/a\tb"] {
        let request = TestRequest::with_target(path).to_bytes();
        let answer = crate::wire::send(menshen.address(), &request).await;
        assert_eq!(answer.status, 400, "{path:?}");
    }
}

#[tokio::test]
async fn a_fragment_in_the_request_target_is_refused() {
    let (menshen, _mirror) = start_menshen().await;
    for path in [
        "/x#/../admin",
        "/admin#x",
        "/admin/#/x",
        "/#/admin",
        "/x#y?z",
    ] {
        let answer = TestRequest::get(path).send(&menshen).await;
        assert_eq!(answer.status, 400, "{path}");
    }
}

#[tokio::test]
async fn a_case_insensitive_route_matches_any_case() {
    let paths = ["/Admin", "/ADMIN/x", "/admin", "/aDmIn/X%2fy"];
    assert_all("iis.test", PathResult::LoginRequired, &paths).await;
    let paths = ["/%41dmin", "//ADMIN", "/ADMIN;x", "/%2541DMIN"];
    assert_all("iis.test", PathResult::Refused, &paths).await;
    assert_all(
        "iis.test",
        PathResult::Forwarded,
        &["/Administrator", "/X%2FY"],
    )
    .await;
    // Other routes are case-sensitive.
    assert_all("sso.test", PathResult::Forwarded, &["/Admin", "/ADMIN/x"]).await;
}

#[tokio::test]
async fn a_path_rule_must_give_one_result_for_every_reading() {
    assert_all(
        "rule.test",
        PathResult::Forwarded,
        &["/", "/x%2fadmin", "/x//admin"],
    )
    .await;
    assert_all(
        "rule.test",
        PathResult::LoginRequired,
        &["/admin", "/admin%2fx"],
    )
    .await;
    let paths = [
        "/%61dmin",
        "//admin",
        "/%2561dmin",
        "/;/admin",
        "/%5cadmin",
        "/%2561dmin%25",
    ];
    assert_all("rule.test", PathResult::Refused, &paths).await;
    assert_all(
        "iis-rule.test",
        PathResult::Refused,
        &["/Admin", "/ADMIN/x"],
    )
    .await;
}

#[tokio::test]
async fn a_rule_with_chinese_letters_matches_percent_encoded_paths() {
    let host = "chinese-rule.test";
    let paths = [
        "/财务/x",
        "/%E8%B4%A2%E5%8A%A1/x",
        "/%e8%b4%a2%e5%8a%a1",
        "/%E8%B4%A2务/x",
        "/%E9%80%9A%E7%9F%A5",
    ];
    assert_all(host, PathResult::LoginRequired, &paths).await;
    let paths = ["/", "/x", "/人事/x", "/%E4%BA%BA%E4%BA%8B/x%2fy", "/a%20b"];
    assert_all(host, PathResult::Forwarded, &paths).await;
    // Decoded twice, or decoded as IIS does.
    let paths = ["/%25E8%25B4%25A2%25E5%258A%25A1/x", "/%25u8d22%25u52a1/x"];
    assert_all(host, PathResult::Refused, &paths).await;
}

#[tokio::test]
async fn a_rule_with_chinese_letters_refuses_paths_that_may_be_gbk() {
    let host = "chinese-rule.test";
    let paths = [
        "/%B2%C6%CE%F1/x",
        "/%b2%c6%ce%f1",
        "/%25B2%25C6%25CE%25F1/x",
        "/x/%B2",
        // 通知 in GBK is valid UTF-8 as well.
        "/%CD%A8%D6%AA/x",
        "/\u{368}\u{5aa}/x",
    ];
    assert_all(host, PathResult::Refused, &paths).await;
    let (menshen, _mirror) = start_menshen().await;
    let raw = TestRequest::with_target(b"/\xb2\xc6\xce\xf1/x").host(host);
    assert_eq!(raw.send(&menshen).await.status, 400);
    let answer = send_over_http2(&menshen, "GET", &format!("http://{host}/%B2%C6%CE%F1/x")).await;
    assert_eq!(answer.status, 400);
    // An ASCII rule does not refuse such paths.
    let paths = ["/%B2%C6%CE%F1/x", "/%CD%A8%D6%AA/x", "/%E8%B4%A2"];
    assert_all("rule.test", PathResult::Forwarded, &paths).await;
}

#[tokio::test]
async fn non_ascii_letters_are_compared_case_insensitively() {
    let host = "russian-rule.test";
    let paths = [
        "/ОТЧЁТЫ/x",
        "/Отчёты/x",
        "/отчЁты",
        "/%D0%9E%D0%A2%D0%A7%D0%81%D0%A2%D0%AB/x",
    ];
    assert_all(host, PathResult::Refused, &paths).await;
    let paths = ["/отчёты/x", "/%D0%BE%D1%82%D1%87%D1%91%D1%82%D1%8B"];
    assert_all(host, PathResult::LoginRequired, &paths).await;
    let paths = ["/ПИСЬМА/x", "/Письма", "/x", "/X/%D0%9E"];
    assert_all(host, PathResult::Forwarded, &paths).await;
}

#[tokio::test]
async fn own_paths_take_part_in_route_matching() {
    assert_all(
        "sso.test",
        PathResult::MenshenPage,
        &["/.menshen/ping", "/.menshen/userinfo/", "/.menshen/nothing"],
    )
    .await;
    let paths = [
        "/.menshen%2fauth",
        "/%2emenshen/auth",
        "/.menshen;x/auth",
        "//.menshen/auth",
        "/.%6denshen/auth",
        "/x/..;/.menshen",
        "/.menshen%5cauth",
    ];
    assert_all("sso.test", PathResult::Refused, &paths).await;
    assert_all("iis.test", PathResult::Refused, &["/.MENSHEN/auth"]).await;
    assert_all(
        "sso.test",
        PathResult::Forwarded,
        &["/.menshenx", "/x/.menshen"],
    )
    .await;
}

#[test]
fn the_upstream_receives_the_bytes_that_were_sent() {
    let runtime = Runtime::new().unwrap();
    let (menshen, _mirror) = runtime.block_on(start_menshen());
    let parts = prop::sample::select(vec![
        "%2f", "%5c", "%2e", "%252f", "%25", "%3b", "%c0%af", "%B2%C6", ";", "//", "..", ".", "/",
        "admin", "a", "secret", "x", "%61", "A", "?", "=", "\u{8d22}",
    ]);
    let config = ProptestConfig::with_cases(192);
    proptest!(config, |(pieces in prop::collection::vec(parts, 0..7))| {
        let path = format!("/{}", pieces.concat());
        let answer = runtime.block_on(TestRequest::get(&path).send(&menshen));
        // `path_result` compares the bytes.
        path_result(&answer, path.as_bytes());
    });
}
