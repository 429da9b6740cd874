//! WebDAV and Subversion requests name further URLs in `Destination` and `If`. Every face decides
//! about each of them as about a request for that URL.

use std::time::Duration;

use super::faces::{Face, OriginalRequest, Verdict};
use super::menshen_with;
use crate::mirror::Mirror;
use crate::test_request::{TestRequest, session_cookie_of};

const ROUTES: &str = r#"
[[route]]
name = "app"
host = "sso.test"
upstream = ["{mirror}"]
[[route]]
name = "finance"
host = "sso.test"
path = "/finance"
upstream = ["{mirror}"]
allow = "'财务部' in user.departments"
[[route]]
name = "drafts"
host = "sso.test"
path = "/drafts"
upstream = ["{mirror}"]
allow = "!request.path.startsWith('/drafts/final') && request.method != 'COPY'"
[[route]]
name = "other"
host = "sso.test"
path = "/other"
upstream = ["http://127.0.0.1:9"]
[[route]]
name = "stripped"
host = "sso.test"
path = "/stripped"
strip_path = true
upstream = ["{mirror}"]
[[route]]
name = "public"
host = "sso.test"
path = "/public"
access = "public"
upstream = ["{mirror}"]
"#;

/// URLs, and whether 张三 and 李四 may name them in a request to `/a/b`. Only 李四 is in 财务部.
const ADDRESSES: [(&str, bool, bool); 37] = [
    ("/a/c", true, true),
    ("/a/%E6%96%87", true, true),
    ("/a/\u{6587}", true, true),
    ("/a/c?d", true, true),
    ("c", true, true),
    ("http://sso.test/a/c", true, true),
    ("https://SSO.test./a/c", true, true),
    ("http://sso.test:80/a/c", true, true),
    ("/finance/c", false, true),
    ("/finance", false, true),
    ("http://sso.test/finance/c", false, true),
    ("https://sso.test/finance/c", false, true),
    ("HTTP://SSO.TEST:80/finance/c", false, true),
    // URLs that parsers read differently.
    ("/%66inance/c", false, false),
    ("/finance%2fc", false, false),
    ("/a/../finance/c", false, false),
    ("../finance/c", false, false),
    ("/a/%2e%2e/finance/c", false, false),
    ("//sso.test/finance/c", false, false),
    ("//finance/c", false, false),
    ("http:/finance/c", false, false),
    ("http:finance", false, false),
    ("http://sso.test?/finance", false, false),
    ("http://zhangsan@sso.test/a/c", false, false),
    ("http://sso.test\\@other.test/a/c", false, false),
    ("/a/c#d", false, false),
    ("/a c", false, false),
    ("", false, false),
    ("ftp://sso.test/a/c", false, false),
    ("/a/%zz", false, false),
    ("/a/%00", false, false),
    // The URL of another application, or of none.
    ("/other/c", false, false),
    ("/stripped/c", false, false),
    ("http://no.test/a/c", false, false),
    ("http://sso.test/.menshen/c", false, false),
    // The rule of that route applies, too.
    ("/drafts/c", true, true),
    ("/drafts/final", false, false),
];

#[tokio::test]
async fn a_destination_header_is_decided_like_a_request_for_that_url() {
    let mirror = Mirror::start().await;
    let menshen = menshen_with(ROUTES, &mirror).await;
    let people = [
        session_cookie_of(&menshen, "zhangsan").await,
        session_cookie_of(&menshen, "lisi").await,
    ];
    for (address, zhang, li) in ADDRESSES {
        for (cookie, may) in people.iter().zip([zhang, li]) {
            let original = |method: &str| {
                let cookie = format!("menshen={cookie}");
                OriginalRequest::get("/a/b")
                    .method(method)
                    .header("Cookie", &cookie)
            };
            let if_header = format!("<{address}> (<urn:uuid:1> [\"x\"]) (Not <DAV:no-lock>)");
            let mut requests = vec![
                original("MOVE").header("Destination", address),
                original("PUT").header("If", &if_header),
            ];
            // If everyone is refused, the two requests above are enough.
            if zhang != li || zhang {
                let second = format!("</a/b> (<urn:uuid:1>) {if_header}");
                requests.push(original("DELETE").header("If", &second));
                let posted = original("POST").header("X-HTTP-Method-Override", "MOVE");
                requests.push(posted.header("destination", address));
            }
            if address != "/drafts/c" {
                requests.push(original("COPY").header("Destination", address));
            }
            for original in requests {
                for face in Face::ALL {
                    let response = original.send_to(face, menshen.address()).await;
                    let is_allowed = response.verdict == Verdict::Allow;
                    assert_eq!(
                        is_allowed, may,
                        "{face:?} {original:?}: {:?}",
                        response.answer
                    );
                    let login = response.verdict == Verdict::Login;
                    assert!(!login, "{face:?} {original:?}: {:?}", response.answer);
                }
            }
        }
    }
}

/// URLs, and whether 张三 may name them in a request to `/drafts/a` for which Envoy names the route.
const ON_A_NAMED_ROUTE: [(&str, bool); 19] = [
    ("/drafts/c", true),
    ("c", true),
    ("http://sso.test/drafts/c", true),
    ("https://SSO.test./drafts/c", true),
    ("http://sso.test:80/drafts/c", true),
    // Only Envoy knows which routes serve the other paths of the host.
    ("/other/c", true),
    ("/drafts/final", false),
    ("/drafts/final/c", false),
    ("http://sso.test/drafts/final", false),
    ("https://sso.test/drafts/final", false),
    ("/drafts/%66inal", false),
    ("/a/../drafts/c", false),
    ("//sso.test/drafts/c", false),
    ("http://other.test/drafts/c", false),
    ("http://sso.test:81/drafts/c", false),
    ("http://zhangsan@sso.test/drafts/c", false),
    ("/drafts/c#d", false),
    ("", false),
    ("queue://orders", false),
];

#[tokio::test]
async fn a_destination_header_is_decided_on_the_route_envoy_names() {
    let mirror = Mirror::start().await;
    let menshen = menshen_with(ROUTES, &mirror).await;
    let cookie = format!("menshen={}", session_cookie_of(&menshen, "zhangsan").await);
    for (address, may) in ON_A_NAMED_ROUTE {
        let if_header = format!("</drafts/a> (<urn:uuid:1>) <{address}> (<urn:uuid:1>)");
        for (method, header, value) in [
            ("MOVE", "Destination", address),
            ("MOVE", "If", if_header.as_str()),
            ("PUT", "If", if_header.as_str()),
        ] {
            let original = OriginalRequest::get("/drafts/a")
                .method(method)
                .route("drafts");
            let original = original.header("Cookie", &cookie).header(header, value);
            let response = original.send_to(Face::Grpc, menshen.address()).await;
            let expected = match may {
                true => Verdict::Allow,
                false => Verdict::Deny,
            };
            assert_eq!(response.verdict, expected, "{original:?}");
        }
    }
}

const COSTLY_ROUTES: &str = r#"
[[route]]
name = "costly"
host = "sso.test"
access = "rule"
allow = """request.headers['x-list'].split(',').all(a,
    request.headers['x-list'].split(',').all(b, a != b + '!'))"""
upstream = ["{mirror}"]
[[route]]
name = "open"
host = "open.test"
access = "public"
upstream = ["{mirror}"]
"#;

#[tokio::test]
async fn all_urls_of_a_request_share_one_cost_limit() {
    let mirror = Mirror::start().await;
    let menshen = menshen_with(COSTLY_ROUTES, &mirror).await;
    let if_header = vec!["x"; 80].join(",");
    let addresses = |count: usize| {
        let named = (0..count).map(|at| format!("</a/{at}> (<urn:uuid:a>) "));
        named.collect::<String>()
    };
    for face in Face::ALL {
        let one = OriginalRequest::get("/a")
            .method("POST")
            .header("X-List", &if_header);
        let response = one.send_to(face, menshen.address()).await;
        assert_eq!(response.verdict, Verdict::Allow, "{face:?}");
        for count in [7, 8, 16] {
            let all = one.clone().header("If", &addresses(count));
            let response = all.send_to(face, menshen.address()).await;
            assert_eq!(response.verdict, Verdict::Deny, "{face:?} {count}");
        }
    }
    let named = OriginalRequest::get("/a")
        .method("POST")
        .header("X-List", &if_header);
    let named = named.header("If", &addresses(7)).route("costly");
    let response = named.send_to(Face::Grpc, menshen.address()).await;
    assert_eq!(response.verdict, Verdict::Deny);
}

#[tokio::test]
async fn all_paths_of_a_request_share_one_limit_of_interpretations() {
    let mirror = Mirror::start().await;
    let menshen = menshen_with(COSTLY_ROUTES, &mirror).await;
    // Servers can interpret this path in 49 ways.
    let tricky = "a;%253bc%3b%252fB%2f/x//y%5cz%255c";
    let chinese = "%E8%B4%A2%E5%8A%A1%20%E6%8A%A5%E8%A1%A8";
    for (path, count, verdict) in [
        (tricky, 0, Verdict::Allow),
        (tricky, 1, Verdict::Allow),
        (tricky, 2, Verdict::Deny),
        (chinese, 8, Verdict::Allow),
        (chinese, 9, Verdict::Deny),
    ] {
        let named = (0..count).map(|at| format!("</{at}/{path}> (<urn:uuid:a>) "));
        let mut original = OriginalRequest::get(&format!("/{path}")).method("PUT");
        original.host = "open.test".to_owned();
        if count > 0 {
            original = original.header("If", &named.collect::<String>());
        }
        for face in Face::ALL {
            let response = original.send_to(face, menshen.address()).await;
            assert_eq!(response.verdict, verdict, "{face:?} {original:?}");
        }
    }
}

#[tokio::test]
async fn a_repeated_or_malformed_destination_is_refused() {
    let mirror = Mirror::start().await;
    let menshen = menshen_with(ROUTES, &mirror).await;
    let lines: [&[(&str, &str)]; 8] = [
        &[("Destination", "/public/a"), ("Destination", "/finance")],
        &[("Destination", "/public/a"), ("Destination", "/public/a")],
        &[("If", "</public/a> (<x>)"), ("If", "</finance> (<x>)")],
        &[("If", "/finance")],
        &[("If", "</finance (<x>)")],
        &[("If", "</public/a> (<x>")],
        &[("If", "</public/a> (maybe <x>)")],
        &[("If", "</public/a>, </finance>")],
    ];
    for headers in lines {
        for face in Face::ALL {
            let mut original = OriginalRequest::get("/public/b").method("MOVE");
            for (name, value) in headers {
                original = original.header(name, value);
            }
            let response = original.send_to(face, menshen.address()).await;
            assert_eq!(response.verdict, Verdict::Deny, "{face:?} {headers:?}");
        }
    }
    // With the methods of plain HTTP, `Destination` names no URL of the request.
    for method in ["GET", "POST", "PUT", "DELETE"] {
        let original = OriginalRequest::get("/public/b").method(method);
        let original = original.header("Destination", "queue://orders");
        for face in Face::ALL {
            let response = original.send_to(face, menshen.address()).await;
            assert_eq!(response.verdict, Verdict::Allow, "{face:?} {method}");
        }
    }
    // The request's own route is public, but the destination needs a login.
    for (address, verdict) in [
        ("/public/c", Verdict::Allow),
        ("/a/c", Verdict::Login),
        ("/finance", Verdict::Login),
    ] {
        let original = OriginalRequest::get("/public/b").method("MOVE");
        let original = original.header("Destination", address);
        for face in Face::ALL {
            let response = original.send_to(face, menshen.address()).await;
            assert_eq!(response.verdict, verdict, "{face:?} {address}");
        }
    }
}

const RECONFIRMED_ROUTES: &str = r#"
[[route]]
name = "again"
host = "sso.test"
upstream = ["{mirror}"]
reload_user = "always"
[[route]]
name = "finance"
host = "sso.test"
path = "/finance"
upstream = ["{mirror}"]
allow = "'财务部' in user.departments"
"#;

#[tokio::test]
async fn a_destination_is_decided_even_when_a_silent_recheck_is_due() {
    let mirror = Mirror::start().await;
    let menshen = menshen_with(RECONFIRMED_ROUTES, &mirror).await;
    let cookie = session_cookie_of(&menshen, "zhangsan").await;
    menshen.advance(Duration::from_secs(60));
    // The proxy does not send the method, so it may be GET or MOVE.
    for (address, status) in [("/a/c", 202), ("/finance/c", 403)] {
        let request = TestRequest::get("/.menshen/auth")
            .header("X-Forwarded-Uri", "/a/b")
            .header("X-Forwarded-Proto", "http")
            .header("X-Forwarded-For", "192.0.2.7")
            .navigating()
            .session(&cookie)
            .header("Destination", address);
        assert_eq!(request.send(&menshen).await.status, status, "{address}");
    }
}
