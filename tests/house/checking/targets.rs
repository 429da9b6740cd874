//! Request targets with bytes that are not UTF-8 or that browsers would encode, on every face.

use super::faces::{Face, OriginalRequest, Verdict};
use super::{TRUST_LOOPBACK, menshen_with};
use crate::mirror::Mirror;
use crate::setup::Setup;
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
name = "ruled"
host = "sso.test"
path = "/ruled"
upstream = ["{mirror}"]
allow = "!request.path.startsWith('/ruled/<b') && !request.path.startsWith('/ruled/财')"
[[route]]
name = "ruled-any-case"
host = "sso.test"
path = "/any-case"
upstream = ["{mirror}"]
case_insensitive = true
allow = "!request.path.startsWith('/any-case/отчёты')"
[[route]]
name = "public"
host = "sso.test"
path = "/public"
access = "public"
upstream = ["{mirror}"]
"#;

fn original(target: &[u8], cookie: Option<&str>) -> OriginalRequest {
    let original = OriginalRequest {
        target: target.to_vec(),
        ..OriginalRequest::get("/")
    };
    match cookie {
        Some(cookie) => original.header("Cookie", &format!("menshen={cookie}")),
        None => original,
    }
}

#[tokio::test]
async fn a_target_of_any_bytes_gets_the_same_verdict_on_every_face() {
    let mirror = Mirror::start().await;
    let menshen = menshen_with(ROUTES, &mirror).await;
    let people = [
        session_cookie_of(&menshen, "zhangsan").await,
        session_cookie_of(&menshen, "lisi").await,
    ];
    // Whether 张三 and 李四 may pass. Only 李四 is in 财务部.
    for (target, zhang, li) in [
        (&b"/a?query=b>1"[..], true, true),
        (b"/a?key=\"b\"", true, true),
        (b"/<a>/`\"", true, true),
        (b"/\xb2\xc6\xce\xf1?\xb2", true, true),
        (b"/finance/<", false, true),
        (b"/finance/\xb2\xc6?\xb2", false, true),
        (b"/finance?a>1", false, true),
        ("/财务/<x>".as_bytes(), true, true),
        (b"/ruled/<a", true, true),
        // Targets that parsers read differently.
        (b"/fin%61nce/<", false, false),
        (b"/x//\xb2/%2e%2e", false, false),
        (b"//\xb2/finance", false, false),
        (b"/ruled/<b", false, false),
        (b"/ruled/%3Cb", false, false),
        ("/ruled/财".as_bytes(), false, false),
        ("/ruled/财/<".as_bytes(), false, false),
        (b"/ruled/%E8%B4\xa2", false, false),
        (b"/ruled/%E8%B4%A2", false, false),
        (b"/ruled/\xb2\xc6", false, false),
        (b"/ruled/%B2%C6", false, false),
        (b"/ruled/%CD%A8%D6%AA", false, false),
        (b"/ruled/%E4%BA%BA", true, true),
        ("/ruled/人".as_bytes(), true, true),
        ("/any-case/отчёты".as_bytes(), false, false),
        ("/any-case/ОТЧЁТЫ".as_bytes(), false, false),
        ("/any-case/Отчёты/x".as_bytes(), false, false),
        ("/any-case/Письма".as_bytes(), true, true),
        (b"/<%", false, false),
        (b"/\xb2%4", false, false),
        // GBK characters may end in the byte of a backslash.
        (b"/\xd5\\", false, false),
    ] {
        for (cookie, may) in people.iter().zip([zhang, li]) {
            for face in Face::ALL {
                let response = original(target, Some(cookie))
                    .send_to(face, menshen.address())
                    .await;
                let what = String::from_utf8_lossy(target);
                let expected = if may { Verdict::Allow } else { Verdict::Deny };
                assert_eq!(
                    response.verdict, expected,
                    "{face:?} {what}: {:?}",
                    response.answer
                );
            }
        }
    }
}

#[tokio::test]
async fn bytes_invalid_in_a_target_are_refused_on_every_face() {
    let mirror = Mirror::start().await;
    let menshen = menshen_with(ROUTES, &mirror).await;
    let cookie = session_cookie_of(&menshen, "lisi").await;
    for target in [
        &b"/public/#"[..],
        b"/public#",
        b"/public?a#b",
        b"/#/public",
        b"/public/a b",
        b"/public/<#\xb2",
        b"/public/a\tb",
    ] {
        for cookie in [None, Some(cookie.as_str())] {
            for face in Face::ALL {
                let response = original(target, cookie)
                    .send_to(face, menshen.address())
                    .await;
                let what = String::from_utf8_lossy(target);
                assert_eq!(
                    response.verdict,
                    Verdict::Deny,
                    "{face:?} {what}: {:?}",
                    response.answer
                );
            }
        }
    }
    // Control characters are invalid in headers, too.
    for target in [&b"/public/\x01"[..], b"/public?\x7f", b"/public\0"] {
        for face in [Face::Proxy, Face::Envoy, Face::Grpc] {
            let response = original(target, None)
                .send_to(face, menshen.address())
                .await;
            assert_eq!(response.verdict, Verdict::Deny, "{face:?} {target:?}");
        }
    }
}

#[tokio::test]
async fn the_original_target_is_read_as_bytes_from_every_header() {
    let mirror = Mirror::start().await;
    let routes = ROUTES.replace("{mirror}", &mirror.base_url());
    for (header, origin) in [
        ("x-original-uri", ""),
        ("x-original-url", "http://sso.test"),
    ] {
        let setup = Setup::default().server(TRUST_LOOPBACK).routes(&routes);
        let setup = setup.tables(&format!("[check]\noriginal = \"{header}\"\n"));
        let menshen = setup.start().await;
        let cookie = session_cookie_of(&menshen, "zhangsan").await;
        for (target, status) in [
            (&b"/a?query=b>1&\xb2"[..], 202),
            (b"/\xb2\xc6/<", 202),
            (b"/finance/\xb2\xc6?\"", 403),
            (b"/fin%61nce?<", 403),
            (b"/public#", 403),
            (b"/public?a#b", 403),
            (b"/public/a b", 403),
        ] {
            let url = [origin.as_bytes(), target].concat();
            let request = TestRequest::get("/.menshen/auth").bytes(header, &url);
            let request = request.header("X-Original-Method", "GET");
            let request = request.header("X-Forwarded-Proto", "http").session(&cookie);
            let what = String::from_utf8_lossy(&url);
            assert_eq!(
                request.send(&menshen).await.status,
                status,
                "{header} {what}"
            );
        }
    }
}
