//! Forwarding headers: replaced if a client sends them, read if a trusted proxy does.

use menshen::face::page::{Cause, Lang};

use super::{Mirror, start_menshen};
use crate::checking::faces::{Face, OriginalRequest, Verdict};
use crate::mirror;
use crate::records::Records;
use crate::setup::{Menshen, Setup};
use crate::test_request::TestRequest;
use crate::wire::Answer;

const ROUTES: &str = r#"
[[route]]
name = "ip"
host = "ip.test"
access = "rule"
allow = "in_network(request.ip, '203.0.113.0/24')"
upstream = ["{mirror}"]
[[route]]
name = "pass"
host = "pass.test"
access = "public"
pass_headers = ["X-Original-URL", "X-Request-Id"]
upstream = ["{mirror}"]
[[route]]
name = "public"
access = "public"
upstream = ["{mirror}"]
"#;

async fn start_with_server_settings(server: &str) -> (Menshen, Mirror) {
    let mirror = Mirror::start().await;
    let routes = ROUTES.replace("{mirror}", &mirror.base_url());
    let setup = Setup::default().routes(&routes).server(server);
    (setup.start().await, mirror)
}

const TRUSTED_PROXIES: &str = "trusted_proxies = [\"127.0.0.1\", \"10.0.0.0/8\", \"::1\"]";

fn single_value(answer: &Answer, name: &str) -> String {
    let values = mirror::received_values(answer, name);
    assert!(values.len() <= 1, "{name}: {values:?}");
    values.into_iter().next().unwrap_or_default()
}

#[tokio::test]
async fn forwarding_headers_of_an_untrusted_client_are_replaced() {
    let (menshen, _mirror, _) = start_menshen().await;
    let forged = [
        ("X-Forwarded-For", "203.0.113.9"),
        ("X-Forwarded-Host", "evil.test"),
        ("X-Forwarded-Proto", "https"),
        ("X-Forwarded-Port", "443"),
        ("X-Forwarded-Prefix", "/evil"),
        ("X-Forwarded-Uri", "/evil"),
        ("X-Forwarded-Server", "evil"),
        ("X-Forwarded-Anything", "evil"),
        ("X_Forwarded_For", "203.0.113.9"),
        ("x.forwarded.host", "evil.test"),
        ("Forwarded", "for=203.0.113.9;host=evil.test;proto=https"),
        ("X-Real-IP", "203.0.113.9"),
        ("X_Real_IP", "203.0.113.9"),
        ("X-Original-URL", "/evil"),
        ("X-Original-URI", "/evil"),
        ("X-Original-Host", "evil.test"),
        ("X-Original-Method", "DELETE"),
        ("X-Rewrite-URL", "/evil"),
        ("X-Request-Id", "evil"),
        ("Proxy", "http://evil.test"),
    ];
    let request = TestRequest::get("/public/x")
        .headers(&forged)
        .headers(&forged);
    let answer = request.send(&menshen).await;
    let text = String::from_utf8_lossy(mirror::received_bytes(&answer).unwrap()).into_owned();
    assert!(
        !text.contains("evil") && !text.contains("203.0.113.9"),
        "{text}"
    );
    for (name, value) in [
        ("x-forwarded-for", "127.0.0.1"),
        ("x-real-ip", "127.0.0.1"),
        ("x-forwarded-host", "sso.test"),
        ("x-forwarded-proto", "http"),
        ("x-forwarded-port", "80"),
        ("x-forwarded-prefix", ""),
        ("forwarded", ""),
        ("host", "sso.test"),
    ] {
        assert_eq!(single_value(&answer, name), value, "{name}");
    }
    assert_eq!(single_value(&answer, "x-request-id").len(), 32);
}

#[tokio::test]
async fn an_untrusted_client_is_identified_by_its_connection_address() {
    for server in ["", "trusted_proxies = [\"10.0.0.0/8\"]"] {
        let (menshen, _mirror) = start_with_server_settings(server).await;
        for (name, value) in [
            ("X-Forwarded-For", "203.0.113.9"),
            ("X-Real-IP", "203.0.113.9"),
            ("Forwarded", "for=203.0.113.9"),
            ("X-Forwarded-For", "a"),
        ] {
            let request = TestRequest::get("/x").host("ip.test").header(name, value);
            assert_eq!(request.send(&menshen).await.status, 401, "{name}: {value}");
        }
        let request = TestRequest::get("/x").host("other.test");
        let host = request.header("X-Forwarded-Host", "ip.test");
        assert_eq!(
            host.send(&menshen).await.status,
            200,
            "the host is that of the request"
        );
    }
}

#[tokio::test]
async fn a_trusted_x_forwarded_for_is_read_from_the_right() {
    let (menshen, _mirror) = start_with_server_settings(TRUSTED_PROXIES).await;
    // The lines of `X-Forwarded-For`, separated by `|`; whether the rule for 203.0.113.0/24 allows the
    // client; and `X-Real-IP`.
    let cases = [
        ("203.0.113.9", true, "203.0.113.9"),
        ("203.0.113.9, 10.1.1.1", true, "203.0.113.9"),
        ("203.0.113.9, 10.1.1.1, 127.0.0.1", true, "203.0.113.9"),
        ("203.0.113.9, 198.51.100.7", false, "198.51.100.7"),
        ("203.0.113.9|198.51.100.7, 10.1.1.1", false, "198.51.100.7"),
        ("198.51.100.7|203.0.113.9", true, "203.0.113.9"),
        ("203.0.113.9:4711", true, "203.0.113.9"),
        ("::ffff:203.0.113.9", true, "203.0.113.9"),
        (
            "[::ffff:203.0.113.9]:80, ::ffff:10.1.1.1",
            true,
            "203.0.113.9",
        ),
        ("[2001:db8::1]", false, "2001:db8::1"),
        ("10.1.1.1", false, "10.1.1.1"),
        ("nonsense, 203.0.113.9", true, "203.0.113.9"),
    ];
    for (chain, passes, client) in cases {
        let add = |request: TestRequest, line| request.header("X-Forwarded-For", line);
        let request = |host| {
            chain
                .split('|')
                .fold(TestRequest::get("/x").host(host), add)
        };
        let status = request("ip.test").send(&menshen).await.status;
        assert_eq!(status, if passes { 200 } else { 401 }, "{chain}");
        let answer = request("other.test").send(&menshen).await;
        assert_eq!(single_value(&answer, "x-real-ip"), client, "{chain}");
        let written = single_value(&answer, "x-forwarded-for");
        assert_eq!(written, format!("{}, 127.0.0.1", chain.replace('|', ", ")));
    }
}

#[tokio::test]
async fn a_malformed_forwarding_header_of_a_trusted_proxy_is_refused_and_logged() {
    let log = Records::process_log();
    let (menshen, _mirror) = start_with_server_settings(TRUSTED_PROXIES).await;
    for (name, value) in [
        ("X-Forwarded-For", "a"),
        ("X-Forwarded-For", "203.0.113.9, nonsense"),
        ("X-Forwarded-For", "203.0.113.9/24"),
        ("X-Forwarded-For", "203.0.113.999"),
        ("X-Forwarded-For", "unknowns"),
        ("X-Forwarded-Host", "a b"),
        ("X-Forwarded-Host", "a.test, b c"),
        ("X-Forwarded-Host", ""),
        ("X-Forwarded-Proto", "gopher"),
        ("X-Forwarded-Proto", "https, gopher"),
        ("X-Forwarded-Proto", "\u{e9}"),
        ("X-Forwarded-Port", "0"),
        ("X-Forwarded-Port", "eight"),
    ] {
        let answer = TestRequest::get("/x")
            .header(name, value)
            .send(&menshen)
            .await;
        assert_eq!(answer.status, 400, "{name}: {value:?}");
        let text = answer.text();
        let titles = [Lang::Zh, Lang::En].map(|lang| Cause::InvalidProxyHeader.title(lang));
        assert!(titles.iter().any(|title| text.contains(title)), "{text}");
        assert!(!text.to_lowercase().contains("cookie"), "{text}");
    }
    let header = log.text();
    let mut lines = header.lines();
    let named =
        |line: &str| line.contains("\"WARN\"") && line.contains("\"header\":\"X-Forwarded-");
    assert!(lines.any(named), "no header is named");
    let two = TestRequest::get("/x").header("X-Forwarded-Host", "a.test");
    let two = two.header("X-Forwarded-Host", "b.test");
    assert_eq!(two.send(&menshen).await.status, 400);
}

#[tokio::test]
async fn a_client_without_an_address_satisfies_no_rule_about_addresses() {
    let (menshen, _mirror) = start_with_server_settings(TRUSTED_PROXIES).await;
    for (chain, client) in [
        ("unix:", "127.0.0.1"),
        ("unknown", "127.0.0.1"),
        ("Unknown", "127.0.0.1"),
        ("_hidden", "127.0.0.1"),
        ("", "127.0.0.1"),
        ("203.0.113.9,", "127.0.0.1"),
        ("203.0.113.9, unknown", "127.0.0.1"),
        ("203.0.113.9, unix:", "127.0.0.1"),
        ("203.0.113.9, unix:, 10.1.1.1", "10.1.1.1"),
    ] {
        let request = |host| {
            TestRequest::get("/x")
                .host(host)
                .header("X-Forwarded-For", chain)
        };
        let answer = request("other.test").send(&menshen).await;
        assert_eq!(answer.status, 200, "{chain:?}");
        assert_eq!(single_value(&answer, "x-real-ip"), client, "{chain:?}");
        // The addresses to the left satisfy no rule about addresses.
        assert_eq!(
            request("ip.test").send(&menshen).await.status,
            403,
            "{chain:?}"
        );
    }
    // If unix sockets are trusted, the address to the left is the client's.
    let (menshen, _mirror) =
        start_with_server_settings("trusted_proxies = [\"127.0.0.1\", \"unix\"]").await;
    let request = TestRequest::get("/x").host("ip.test");
    let request = request.header("X-Forwarded-For", "203.0.113.9, unix:");
    assert_eq!(
        single_value(&request.send(&menshen).await, "x-real-ip"),
        "203.0.113.9"
    );
}

#[tokio::test]
async fn scheme_and_host_are_taken_from_the_trusted_hop() {
    let (menshen, _mirror) = start_with_server_settings(TRUSTED_PROXIES).await;
    for (chain, schemes, hosts, scheme, host) in [
        (
            "203.0.113.9, 10.1.1.1",
            "https, http",
            "a.test, b.test",
            "https",
            "a.test",
        ),
        (
            "203.0.113.9, 198.51.100.7",
            "https, http",
            "a.test, b.test",
            "http",
            "b.test",
        ),
        (
            "203.0.113.9, 10.1.1.1",
            "https",
            "a.test",
            "https",
            "a.test",
        ),
        (
            "203.0.113.9",
            "http,https",
            "a.test,b.test",
            "https",
            "b.test",
        ),
        ("unix:", "https", "a.test", "https", "a.test"),
    ] {
        let request = TestRequest::get("/x")
            .host("inner.test")
            .header("X-Forwarded-For", chain)
            .header("X-Forwarded-Proto", schemes)
            .header("X-Forwarded-Host", hosts);
        let answer = request.send(&menshen).await;
        let received = (
            single_value(&answer, "x-forwarded-proto"),
            single_value(&answer, "x-forwarded-host"),
        );
        assert_eq!(
            received,
            (scheme.to_owned(), host.to_owned()),
            "{chain} {schemes}"
        );
    }
}

#[tokio::test]
async fn x_forwarded_port_is_used_when_the_host_has_no_port() {
    let (menshen, _mirror) = start_with_server_settings(TRUSTED_PROXIES).await;
    for (host, port, authority, expected_port) in [
        ("a.test", "8443", "a.test:8443", "8443"),
        ("a.test:9443", "8443", "a.test:9443", "9443"),
        ("a.test", "443", "a.test", "443"),
        // The last proxy sends its own port; another proxy in front of it terminates TLS.
        ("a.test", "80", "a.test", "443"),
        ("a.test", "", "a.test", "443"),
    ] {
        let request = TestRequest::get("/x")
            .host(host)
            .header("X-Forwarded-Proto", "https")
            .header("X-Forwarded-Port", port);
        let answer = request.send(&menshen).await;
        assert_eq!(
            single_value(&answer, "x-forwarded-host"),
            authority,
            "{host} {port}"
        );
        assert_eq!(
            single_value(&answer, "x-forwarded-port"),
            expected_port,
            "{host} {port}"
        );
    }
    let (menshen, _mirror) = start_with_server_settings("").await;
    let untrusted = TestRequest::get("/x")
        .host("a.test")
        .header("X-Forwarded-Port", "8443");
    assert_eq!(
        single_value(&untrusted.send(&menshen).await, "x-forwarded-port"),
        "80"
    );
}

#[tokio::test]
async fn without_x_forwarded_proto_the_scheme_comes_from_external_url() {
    let mirror = Mirror::start().await;
    let routes = ROUTES.replace("{mirror}", &mirror.base_url());
    for (server, host, scheme) in [
        (TRUSTED_PROXIES, "sso.test", "https"),
        (TRUSTED_PROXIES, "other.test", "http"),
        ("", "sso.test", "http"),
    ] {
        let setup = Setup::default().external_url("https://sso.test");
        let menshen = setup.routes(&routes).server(server).start().await;
        let answer = TestRequest::get("/x").host(host).send(&menshen).await;
        assert_eq!(
            single_value(&answer, "x-forwarded-proto"),
            scheme,
            "{server} {host}"
        );
        let with_basic_credentials = TestRequest::get("/x")
            .host(host)
            .header("X-Forwarded-Proto", "http");
        assert_eq!(
            single_value(
                &with_basic_credentials.send(&menshen).await,
                "x-forwarded-proto"
            ),
            "http"
        );
    }
}

#[tokio::test]
async fn a_trusted_proxy_sets_scheme_and_host() {
    let (menshen, _mirror) = start_with_server_settings(TRUSTED_PROXIES).await;
    let request = TestRequest::get("/x")
        .host("inner.test")
        .header("X-Forwarded-Proto", "HTTPS")
        .header("X-Forwarded-Host", "OA.test.")
        .header("X-Request-Id", "abc-1");
    let answer = request.send(&menshen).await;
    assert_eq!(single_value(&answer, "x-forwarded-proto"), "https");
    assert_eq!(single_value(&answer, "x-forwarded-host"), "oa.test");
    assert_eq!(single_value(&answer, "x-forwarded-port"), "443");
    assert_eq!(single_value(&answer, "host"), "oa.test");
    assert_eq!(single_value(&answer, "x-request-id"), "abc-1");
    // A trusted proxy may not set the identity.
    let request = TestRequest::get("/x").header("X-Forwarded-User", "boss");
    assert_eq!(
        single_value(&request.send(&menshen).await, "x-forwarded-user"),
        ""
    );
}

#[tokio::test]
async fn pass_headers_forwards_a_header_only_under_its_exact_name() {
    let (menshen, _mirror) = start_with_server_settings("").await;
    let headers = [
        ("X-Original-URL", "/kept"),
        ("X-Original-Host", "gone.test"),
        ("X_Original_URL", "/gone"),
    ];
    let request = TestRequest::get("/x").headers(&headers);
    let answer = request.clone().host("pass.test").send(&menshen).await;
    assert_eq!(single_value(&answer, "x-original-url"), "/kept");
    assert_eq!(single_value(&answer, "x-original-host"), "");
    assert_eq!(single_value(&answer, "x_original_url"), "");
    let answer = request.host("other.test").send(&menshen).await;
    assert_eq!(single_value(&answer, "x-original-url"), "");
}

#[tokio::test]
async fn a_method_override_is_removed_where_a_rule_checks_the_method() {
    let routes = r#"
[[route]]
name = "judged"
host = "sso.test"
path = "/judged"
access = "rule"
allow = "request.method == 'GET'"
upstream = ["{app}"]
strip_path = true
[[route]]
name = "not-judged"
host = "sso.test"
access = "public"
upstream = ["{app}"]
"#;
    let menshen = Setup::default().routes(routes).start().await;
    let names = [
        "X-HTTP-Method-Override",
        "X-HTTP-Method",
        "X-Method-Override",
        "x_http_method_override",
    ];
    for name in names {
        let request = |path: &str| TestRequest::get(path).header(name, "DELETE");
        let judged = request("/judged/echo").send(&menshen).await;
        assert_eq!(judged.echoed(name), [""; 0], "{name}");
        let free = request("/echo").send(&menshen).await;
        assert_eq!(free.echoed(name), ["DELETE"], "{name}");
    }
}

#[tokio::test]
async fn on_no_face_a_client_without_an_address_gets_the_address_of_the_proxy() {
    let mirror = Mirror::start().await;
    let local = ROUTES.replace("203.0.113.0/24", "127.0.0.0/8");
    let routes = local.replace("{mirror}", &mirror.base_url());
    let setup = Setup::default().routes(&routes).server(TRUSTED_PROXIES);
    let menshen = setup.start().await;
    let unnamed = [
        "unknown",
        "_hidden",
        "",
        "unix:",
        "203.0.113.9, unknown",
        "203.0.113.9, ",
        "127.0.0.1, unknown",
        "unknown, 127.0.0.1",
        "unix:, 127.0.0.1",
    ];
    let named = [
        ("127.0.0.7", Verdict::Allow),
        ("203.0.113.9", Verdict::Login),
    ];
    let unnamed = unnamed.map(|chain| (chain, Verdict::Deny));
    for (chain, verdict) in unnamed.into_iter().chain(named) {
        for face in Face::ALL.into_iter().filter(|face| *face != Face::Grpc) {
            let original = OriginalRequest {
                host: "ip.test".to_owned(),
                client: chain,
                ..OriginalRequest::get("/x")
            };
            let received = original.send_to(face, menshen.address()).await;
            assert_eq!(received.verdict, verdict, "{face:?} {chain:?}");
        }
    }
    // The proxy sends no forwarding header.
    let request = TestRequest::get("/x").host("ip.test");
    assert_eq!(request.send(&menshen).await.status, 403);
    // A client that is not a trusted proxy has the address of its connection.
    let setup = Setup::default().routes(&routes);
    let direct = setup
        .server("trusted_proxies = [\"10.0.0.0/8\"]")
        .start()
        .await;
    assert_eq!(request.send(&direct).await.status, 200);
}
