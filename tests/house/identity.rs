//! Identity headers from a client never reach an upstream, in no spelling and on no route: only menshen
//! sets them.

mod cookies;
mod encodings;
mod forwarded;
mod unusual_logins;

use proptest::prelude::*;
use tokio::runtime::Runtime;

use crate::mirror::{self, Mirror};
use crate::setup::{Menshen, Setup};
use crate::test_request::{TestRequest, session_cookie_of};
use crate::wire::Answer;

/// The names that menshen sets on every route, and those of the route `own` below.
const IDENTITY_HEADERS: [&str; 12] = [
    "X-Forwarded-User",
    "X-Forwarded-Preferred-Username",
    "X-Forwarded-Name",
    "X-Forwarded-Email",
    "X-Forwarded-Groups",
    "X-Forwarded-Access-Token",
    "X-Auth-Request-User",
    "X-Auth-Request-Groups",
    "X-Auth-Request-Access-Token",
    "X-Menshen-Assertion",
    "X-Remote-User",
    "Badge",
];

const ROUTES: &str = r#"
[[route]]
name = "app"
host = "sso.test"
upstream = ["{mirror}"]
[[route]]
name = "public"
host = "sso.test"
path = "/public"
access = "public"
upstream = ["{mirror}"]
[[route]]
name = "own"
host = "sso.test"
path = "/own"
upstream = ["{mirror}"]
[route.headers]
X-Remote-User = "user.login"
Badge = "user.attributes.badge"
[[route]]
name = "elsewhere"
host = "public.test"
access = "public"
upstream = ["{mirror}"]
"#;

/// An instance of menshen in front of a mirror, and two cookies: none, and a session of zhangsan.
async fn start_menshen() -> (Menshen, Mirror, [String; 2]) {
    let mirror = Mirror::start().await;
    let routes = ROUTES.replace("{mirror}", &mirror.base_url());
    let menshen = Setup::default().routes(&routes).start().await;
    let zhangs_cookie = session_cookie_of(&menshen, "zhangsan").await;
    (menshen, mirror, [String::new(), zhangs_cookie])
}

fn request(path: &str, cookie: &str) -> TestRequest {
    let host = if path == "/elsewhere" {
        "public.test"
    } else {
        "sso.test"
    };
    match cookie {
        "" => TestRequest::get(path).host(host),
        cookie => TestRequest::get(path).host(host).session(cookie),
    }
}

fn normalized(name: &str) -> String {
    let fold = |byte: u8| match byte {
        byte if byte.is_ascii_alphanumeric() => char::from(byte.to_ascii_lowercase()),
        _ => '-',
    };
    name.bytes().map(fold).collect()
}

/// Every header that an upstream may interpret as an identity header, sorted.
fn identity_headers(answer: &Answer) -> Vec<(String, String)> {
    let names: Vec<_> = IDENTITY_HEADERS
        .iter()
        .map(|name| normalized(name))
        .collect();
    let all = mirror::received_headers(answer).into_iter();
    let mut found: Vec<_> = all
        .map(|(name, value)| (normalized(&name), value))
        .filter(|(name, _)| names.contains(name))
        .collect();
    found.sort();
    found
}

/// Spellings of a name that some servers do not distinguish.
fn aliases(name: &str) -> Vec<String> {
    let mut all = vec![name.to_owned(), name.to_lowercase(), name.to_uppercase()];
    for other in ["_", ".", "~", "!", "|", "+", "'", "*", "`", "^", "$", "&"] {
        all.push(name.replace('-', other));
        all.push(name.replacen('-', other, 1));
    }
    all
}

#[tokio::test]
async fn identity_headers_from_the_client_never_reach_the_upstream() {
    let (menshen, _mirror, [no_cookie, zhangs_cookie]) = start_menshen().await;
    let rows = [
        ("/x", &zhangs_cookie, 2),
        ("/own", &zhangs_cookie, 3),
        ("/public", &zhangs_cookie, 2),
        ("/public", &no_cookie, 0),
        ("/elsewhere", &no_cookie, 0),
    ];
    for (path, cookie, at_least) in rows {
        let expected = identity_headers(&request(path, cookie).send(&menshen).await);
        assert!(expected.len() >= at_least, "{path}: {expected:?}");
        assert_eq!(expected.is_empty(), at_least == 0, "{path}: {expected:?}");
        for name in IDENTITY_HEADERS {
            let add_forged = |request: TestRequest, alias: &String| request.header(alias, "boss");
            let forged = aliases(name).iter().fold(request(path, cookie), add_forged);
            let answer = forged.send(&menshen).await;
            assert_eq!(identity_headers(&answer), expected, "{name} on {path}");
            let text =
                String::from_utf8_lossy(mirror::received_bytes(&answer).unwrap()).into_owned();
            assert!(!text.contains("boss"), "{text}");
        }
    }
}

#[tokio::test]
async fn identity_headers_named_in_connection_are_still_sent() {
    let (menshen, _mirror, [_, zhangs_cookie]) = start_menshen().await;
    let expected = identity_headers(&request("/own", &zhangs_cookie).send(&menshen).await);
    for line in [
        "X-Forwarded-User",
        "x-forwarded-user, x-forwarded-name, x-remote-user, x-forwarded-for, x-real-ip",
        "close, X-FORWARDED-USER",
        "keep-alive,x-remote-user",
        "cookie, host, x-forwarded-host, x-request-id",
    ] {
        let add_forged = request("/own", &zhangs_cookie)
            .header("Connection", line)
            .header("X-Forwarded-User", "boss")
            .header("X-Remote-User", "boss");
        let answer = add_forged.send(&menshen).await;
        assert_eq!(identity_headers(&answer), expected, "{line}");
        assert_eq!(
            mirror::received_values(&answer, "x-forwarded-for"),
            ["127.0.0.1"]
        );
        assert_eq!(mirror::received_values(&answer, "host"), ["sso.test"]);
        assert_eq!(
            mirror::received_values(&answer, "x-forwarded-host"),
            ["sso.test"]
        );
        assert_eq!(mirror::received_values(&answer, "x-request-id").len(), 1);
    }
}

#[tokio::test]
async fn a_cookie_or_host_named_in_connection_changes_no_decision() {
    let (menshen, _mirror, [_, zhangs_cookie]) = start_menshen().await;
    let signed_in = request("/x", &zhangs_cookie).header("Connection", "cookie, host");
    assert_eq!(signed_in.send(&menshen).await.status, 200);
    let anonymous = TestRequest::get("/x").header("Connection", "cookie");
    assert_eq!(anonymous.send(&menshen).await.status, 401);
}

#[tokio::test]
async fn a_trailer_never_becomes_a_header() {
    let (menshen, _mirror, [_, zhangs_cookie]) = start_menshen().await;
    let expected = identity_headers(&request("/own", &zhangs_cookie).send(&menshen).await);
    let trailers = "X-Forwarded-User: boss\r\nx_remote_user: boss\r\nCookie: a=boss\r\n";
    let body = format!("2\r\nhi\r\n0\r\n{trailers}\r\n");
    let posted = request("/own", &zhangs_cookie)
        .method("POST")
        .header("Transfer-Encoding", "chunked")
        .header("Trailer", "X-Forwarded-User, x_remote_user")
        .header("TE", "trailers")
        .body(body.as_bytes());
    let answer = posted.send(&menshen).await;
    assert_eq!(identity_headers(&answer), expected);
    let text = String::from_utf8_lossy(mirror::received_bytes(&answer).unwrap()).into_owned();
    assert!(text.contains("\r\nhi\r\n"), "{text}");
    assert!(!text.contains("boss"), "{text}");
}

#[tokio::test]
async fn hop_by_hop_headers_are_not_forwarded() {
    let (menshen, _mirror, [_, zhangs_cookie]) = start_menshen().await;
    let with_hop_headers = request("/x", &zhangs_cookie)
        .header("Keep-Alive", "timeout=5")
        .header("Proxy-Connection", "keep-alive")
        .header("Proxy-Authorization", "Basic eDp5")
        .header("proxy_authorization", "Basic eDp5")
        .header("X-Secret-Hop", "1")
        .header("Connection", "x-secret-hop")
        .header("Upgrade", "h2c")
        .header("HTTP2-Settings", "AAMAAABkAAQAAP__")
        .header("Connection", "Upgrade, HTTP2-Settings");
    let answer = with_hop_headers.send(&menshen).await;
    let names: Vec<_> = mirror::received_headers(&answer)
        .into_iter()
        .map(|(n, _)| n)
        .collect();
    for removed in [
        "keep-alive",
        "proxy-connection",
        "proxy-authorization",
        "proxy_authorization",
        "x-secret-hop",
        "upgrade",
        "http2-settings",
    ] {
        assert!(
            !names.iter().any(|name| name == removed),
            "{removed}: {names:?}"
        );
    }
    // `HTTP2-Settings` is removed even if `Connection` does not name it.
    let with_hop_headers =
        request("/x", &zhangs_cookie).header("HTTP2-Settings", "AAMAAABkAAQAAP__");
    let answer = with_hop_headers.send(&menshen).await;
    let headers = mirror::received_headers(&answer);
    assert!(
        headers.iter().all(|(name, _)| name != "http2-settings"),
        "{headers:?}"
    );
}

#[test]
fn no_client_header_changes_the_identity_headers() {
    let runtime = Runtime::new().unwrap();
    let (menshen, _mirror, cookies) = runtime.block_on(start_menshen());
    let separators = prop::sample::select("!#$%&'*+-.^_`|~".chars().collect::<Vec<_>>());
    let alias = (
        prop::sample::select(IDENTITY_HEADERS.to_vec()),
        separators,
        any::<u32>(),
    )
        .prop_map(|(name, separator, capitals)| {
            let letter = |(at, letter): (usize, char)| match letter {
                '-' => separator,
                letter if capitals >> (at % 32) & 1 == 1 => letter.to_ascii_uppercase(),
                letter => letter.to_ascii_lowercase(),
            };
            name.chars().enumerate().map(letter).collect::<String>()
        });
    let names = prop_oneof![alias, Just("Connection".to_owned()), "[A-Za-z_.-]{1,20}"];
    let excluded = [
        "host",
        "cookie",
        "content-length",
        "transfer-encoding",
        "expect",
    ];
    let paths = prop::sample::select(vec!["/x", "/own", "/public", "/elsewhere"]);
    let values = prop_oneof![
        Just("boss".to_owned()),
        Just("x-forwarded-user, x-remote-user, badge".to_owned()),
        "[ -~]{0,16}",
    ];
    let headers = prop::collection::vec((names, values), 1..5);
    proptest!(ProptestConfig::with_cases(96), |(path in paths, who in 0_usize..2, headers in headers)| {
        let response_to = |request: TestRequest| runtime.block_on(async { request.send(&menshen).await });
        let unforged = response_to(request(path, &cookies[who]));
        prop_assume!(unforged.status == 200);
        let more = headers.iter().filter(|(name, _)| !excluded.contains(&name.to_lowercase().as_str()));
        let forged = more.fold(request(path, &cookies[who]), |request, (name, value)| request.header(name, value));
        let answer = response_to(forged);
        prop_assert_eq!(answer.status, 200);
        prop_assert_eq!(identity_headers(&unforged), identity_headers(&answer));
    });
}
