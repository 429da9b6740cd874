//! The bytes of a path that are judged are the bytes that are sent, whoever reads them.

use proptest::prelude::*;
use tokio::runtime::Runtime;

use crate::asking::Ask;
use crate::house::{House, Plan};
use crate::mirror::{self, Mirror};
use crate::wire::Answer;

/// Nearly everything is public: whoever reads a path otherwise than we do opens what is not.
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
"#;

async fn house() -> (House, Mirror) {
    let mirror = Mirror::start().await;
    let routes = ROUTES.replace("{mirror}", &mirror.base_url());
    (Plan::default().routes(&routes).start().await, mirror)
}

/// What became of a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    /// The upstream saw it byte for byte.
    Kept,
    /// Somebody must log in.
    Guarded,
    /// 400.
    Refused,
    /// One of our own pages answered, or said there is none.
    Own,
}

fn fate(answer: &Answer, sent: &[u8]) -> Fate {
    if let Some(target) = mirror::target(answer) {
        assert_eq!(target, sent, "{}", String::from_utf8_lossy(sent));
        return Fate::Kept;
    }
    match answer.status {
        401 => Fate::Guarded,
        400 => Fate::Refused,
        200 | 302 | 404 | 405 => Fate::Own,
        status => panic!("{status} for {}", String::from_utf8_lossy(sent)),
    }
}

async fn all_are(host: &str, expected: Fate, paths: &[&str]) {
    let (house, _mirror) = house().await;
    for path in paths {
        let answer = Ask::get(path).host(host).of(&house).await;
        assert_eq!(fate(&answer, path.as_bytes()), expected, "{host}{path}");
    }
}

#[tokio::test]
async fn what_everybody_reads_alike_reaches_the_upstream_byte_for_byte() {
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
    all_are("sso.test", Fate::Kept, &paths).await;
}

#[tokio::test]
async fn bytes_that_are_no_text_are_kept_or_refused() {
    let (house, _mirror) = house().await;
    for path in [&b"/\xb2\xc6\xce\xf1"[..], b"/\xe8\xb4\xa2", b"/a\xff?\xfe"] {
        let answer = Ask::raw(path).of(&house).await;
        let fate = fate(&answer, path);
        assert!(matches!(fate, Fate::Kept | Fate::Refused), "{path:?}");
    }
}

#[tokio::test]
async fn a_path_that_readers_route_differently_is_refused() {
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
        // Decoded twice by somebody who shrugs at what is broken the second time.
        "/%2561dmin/%25",
        "/%2561dmin/100%25zz",
    ];
    all_are("sso.test", Fate::Refused, &paths).await;
    // The same route by every reading is no quarrel.
    let paths = [
        "/admin",
        "/admin/",
        "/admin/x%2fy",
        "/admin/x//y",
        "/admin/x;v=1",
        "/admin/%2561",
        "/a/secret/x/%2f",
    ];
    all_are("sso.test", Fate::Guarded, &paths).await;
}

#[tokio::test]
async fn dot_segments_are_refused_however_they_are_hidden() {
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
    ];
    all_are("sso.test", Fate::Refused, &paths).await;
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
    all_are("sso.test", Fate::Refused, &paths).await;
    let (house, _mirror) = house().await;
    for path in [&b"/a\0b"[..], b"/a\rb", b"/a\x7fb", b"/a\tb"] {
        let wire = Ask::raw(path).on_the_wire();
        let answer = crate::wire::try_raw(house.address(), &wire).await;
        let status = answer.map_or(0, |answer| answer.status);
        assert!(matches!(status, 0 | 400), "{path:?}: {status}");
    }
}

#[tokio::test]
async fn a_fragment_on_the_wire_opens_nothing() {
    let (house, _mirror) = house().await;
    for (path, safe) in [
        ("/x#/../admin", "/x"),
        ("/admin#x", ""),
        ("/admin/#/x", ""),
        ("/#/admin", "/"),
        ("/x#y?z", "/x"),
    ] {
        let answer = Ask::get(path).of(&house).await;
        // Either it is refused, or what was judged is what was sent on.
        match mirror::target(&answer) {
            Some(target) => assert_eq!(target, safe.as_bytes(), "{path}"),
            None => assert!([400, 401].contains(&answer.status), "{path}"),
        }
    }
}

#[tokio::test]
async fn a_route_that_compares_without_case_is_found_without_case() {
    let paths = ["/Admin", "/ADMIN/x", "/admin", "/aDmIn/X%2fy"];
    all_are("iis.test", Fate::Guarded, &paths).await;
    let paths = ["/%41dmin", "//ADMIN", "/ADMIN;x", "/%2541DMIN"];
    all_are("iis.test", Fate::Refused, &paths).await;
    all_are("iis.test", Fate::Kept, &["/Administrator", "/X%2FY"]).await;
    // Elsewhere case is a difference.
    all_are("sso.test", Fate::Kept, &["/Admin", "/ADMIN/x"]).await;
}

#[tokio::test]
async fn a_rule_that_looks_at_the_path_says_the_same_for_every_reading() {
    all_are("rule.test", Fate::Kept, &["/", "/x%2fadmin", "/x//admin"]).await;
    all_are("rule.test", Fate::Guarded, &["/admin", "/admin%2fx"]).await;
    let paths = [
        "/%61dmin",
        "//admin",
        "/%2561dmin",
        "/;/admin",
        "/%5cadmin",
        "/%2561dmin%25",
    ];
    all_are("rule.test", Fate::Refused, &paths).await;
    all_are("iis-rule.test", Fate::Refused, &["/Admin", "/ADMIN/x"]).await;
}

#[tokio::test]
async fn our_own_paths_count_as_routes() {
    all_are(
        "sso.test",
        Fate::Own,
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
    all_are("sso.test", Fate::Refused, &paths).await;
    all_are("iis.test", Fate::Refused, &["/.MENSHEN/auth"]).await;
    all_are("sso.test", Fate::Kept, &["/.menshenx", "/x/.menshen"]).await;
}

#[test]
fn the_bytes_an_upstream_sees_are_the_bytes_that_were_sent() {
    let runtime = Runtime::new().unwrap();
    let (house, _mirror) = runtime.block_on(house());
    let tricks = prop::sample::select(vec![
        "%2f", "%5c", "%2e", "%252f", "%25", "%3b", "%c0%af", "%B2%C6", ";", "//", "..", ".", "/",
        "admin", "a", "secret", "x", "%61", "A", "?", "=", "\u{8d22}",
    ]);
    let config = ProptestConfig::with_cases(192);
    proptest!(config, |(pieces in prop::collection::vec(tricks, 0..7))| {
        let path = format!("/{}", pieces.concat());
        let answer = runtime.block_on(Ask::get(&path).of(&house));
        // `fate` compares the bytes.
        fate(&answer, path.as_bytes());
    });
}
