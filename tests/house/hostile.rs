//! Random input: no request gets a 5xx or reaches a protected application, and logins work afterwards.

use std::sync::atomic::{AtomicUsize, Ordering};

use proptest::prelude::*;
use proptest::test_runner::{Config, TestCaseError, TestRunner};

use crate::browser::navigation_lines;
use crate::raw_connection::RawConnection;
use crate::setup::{Menshen, SSO_URL};
use crate::wire::{self, Answer};

mod plenty;

/// The number of inputs of each test.
const CASES: u32 = 192;

/// Asserts that a response is an error or a redirect to the login.
fn assert_refused(answer: &Answer) -> Result<(), TestCaseError> {
    let status = answer.status;
    prop_assert!((300..500).contains(&status), "{status}: {}", answer.text());
    let location = answer.header("location").unwrap_or("");
    prop_assert!(
        location.is_empty() || location.starts_with(SSO_URL) || location.starts_with("/.menshen/"),
        "redirected to {location}"
    );
    Ok(())
}

/// Sends the request for each input to one instance and checks the response. A connection that is closed
/// without a response is a refusal.
fn check_all<S: Strategy>(
    inputs: S,
    request: impl Fn(S::Value) -> Vec<u8>,
    check: impl Fn(&Answer) -> Result<(), TestCaseError>,
) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let menshen = runtime.block_on(Menshen::new());
    let config = Config {
        cases: CASES,
        failure_persistence: None,
        ..Config::default()
    };
    let answered = AtomicUsize::new(0);
    let outcome = TestRunner::new(config).run(&inputs, |input| {
        let bytes = request(input);
        let Some(answer) = runtime.block_on(wire::try_send(menshen.address(), &bytes)) else {
            return Ok(());
        };
        answered.fetch_add(1, Ordering::Relaxed);
        check(&answer)
    });
    outcome.unwrap_or_else(|error| panic!("{error}"));
    assert!(
        answered.into_inner() > CASES as usize / 2,
        "most inputs must get a response"
    );
    assert_eq!(
        menshen.app.requests(),
        0,
        "a request reached the application"
    );
    runtime.block_on(assert_serves_logins(&menshen));
}

/// Asserts that a person can log in.
async fn assert_serves_logins(menshen: &Menshen) {
    let page = crate::browser::Browser::new(menshen)
        .sign_in(&format!("{SSO_URL}/echo"), "zhangsan")
        .await;
    assert_eq!(page.answer.status, 200, "{}", page.answer.text());
}

fn head(target: &[u8], headers: &[u8]) -> Vec<u8> {
    let start = navigation_lines();
    [
        &b"GET "[..],
        target,
        b" HTTP/1.1\r\nHost: sso.test\r\nConnection: close\r\n",
        start.as_bytes(),
        headers,
        b"\r\n",
    ]
    .concat()
}

/// Bytes that a header value may contain.
fn value() -> impl Strategy<Value = Vec<u8>> {
    let byte = prop_oneof![4 => 0x20..0x7f_u8, 1 => 0x80..=0xff_u8, 1 => Just(b'\t')];
    prop::collection::vec(byte, 0..300)
}

/// Cookies, some of which resemble those of menshen.
fn cookie() -> impl Strategy<Value = Vec<u8>> {
    let jwt = "(menshen|__Host-menshen|menshen-flow-[a-z0-9]{1,12})=[A-Za-z0-9_-]{0,80}\\.[A-Za-z0-9_-]{0,120}\\.[A-Za-z0-9_=-]{0,60}";
    prop_oneof![
        value(),
        jwt.prop_map(String::into_bytes),
        "(menshen=[a-z.;= \"]{0,40}){1,4}".prop_map(String::into_bytes)
    ]
}

#[test]
fn no_forged_cookie_gives_access() {
    check_all(
        prop::collection::vec(cookie(), 1..4),
        |lines| {
            let lines = lines
                .iter()
                .map(|connection| [b"Cookie: ", &connection[..], b"\r\n"].concat());
            head(b"/finance/echo", &lines.collect::<Vec<_>>().concat())
        },
        assert_refused,
    );
}

#[test]
fn no_header_gives_access() {
    let name = prop_oneof![
        "[A-Za-z0-9!#$%&'*+.^_`|~-]{1,40}",
        prop::sample::select(vec![
            "X-Forwarded-User",
            "X_Forwarded_User",
            "X-Forwarded-Proto",
            "X-Original-URL",
            "X-HTTP-Method-Override",
            "Authorization",
            "Connection",
            "Upgrade",
            "TE",
            "Expect",
            "Transfer-Encoding",
            "Content-Length",
            "Range",
            "If-None-Match",
            "Accept-Language",
            "Sec-Fetch-Mode",
            "traceparent",
            "X-Request-Id",
            "X-Forwarded-For",
            "Forwarded",
            "Referer",
            "User-Agent",
            "Origin",
            "Cookie",
            "X-Forwarded-Host",
        ])
        .prop_map(str::to_owned),
    ];
    check_all(
        prop::collection::vec((name, value()), 1..12),
        |headers| {
            let connection = |(name, value): &(String, Vec<u8>)| {
                [name.as_bytes(), b": ", value, b"\r\n"].concat()
            };
            head(
                b"/echo",
                &headers.iter().map(connection).collect::<Vec<_>>().concat(),
            )
        },
        assert_refused,
    );
}

#[test]
fn no_target_gives_access() {
    let piece = prop_oneof![
        "[ -~]{0,12}",
        prop::sample::select(vec![
            "/",
            "//",
            "/public",
            "/..",
            "/%2e%2e",
            "/.;a",
            "..;",
            "%2f",
            "%5c",
            "%00",
            "%252e",
            "/finance",
            "/.menshen",
            "/.menshen/ping",
            "?",
            "#",
            "%c0%ae",
            "%zz",
            "%",
            ";",
            "@",
            "http://sso.test",
            "http://oa.test",
            "*",
            "%e5%bc%a0",
            "\u{5f20}",
        ])
        .prop_map(str::to_owned),
    ];
    check_all(
        prop::collection::vec(piece, 1..8),
        |pieces| {
            // The public route is avoided, so that every application is protected.
            let target = format!("/{}", pieces.concat().replace(' ', "+"));
            head(target.replace("public", "finance").as_bytes(), b"")
        },
        |answer| {
            // Own paths may respond; the application may not.
            prop_assert!(answer.status < 500, "{}: {}", answer.status, answer.text());
            prop_assert!(
                !answer.text().contains("body_complete"),
                "{}",
                answer.text()
            );
            Ok(())
        },
    );
}

#[test]
fn no_forged_callback_creates_a_session() {
    let name = prop_oneof![
        prop::sample::select(vec![
            "code",
            "state",
            "appid",
            "auth_code",
            "error",
            "rd",
            "connector"
        ])
        .prop_map(str::to_owned),
        "[ -~]{0,20}".prop_map(|text| text.replace([' ', '#'], "")),
    ];
    let part = (name, "[!-~]{0,200}");
    check_all(
        (
            prop::sample::select(vec![
                "/callback",
                "/callback/corp",
                "/callback/no",
                "/ticket",
                "/start",
                "/sign_in",
                "/userinfo",
                "/login-config/corp",
            ]),
            prop::collection::vec(part, 0..8),
            cookie(),
        ),
        |(path, parts, cookie)| {
            let parts = parts
                .iter()
                .map(|(name, value)| format!("{name}={value}").replace('#', ""));
            let target = format!("/.menshen{path}?{}", parts.collect::<Vec<_>>().join("&"));
            head(
                target.as_bytes(),
                &[b"Cookie: ", &cookie[..], b"\r\n"].concat(),
            )
        },
        |answer| {
            prop_assert!(answer.status < 500, "{}: {}", answer.status, answer.text());
            let set = answer.header_values("set-cookie").any(|connection| {
                connection.starts_with("menshen=") && !connection.contains("Max-Age=0")
            });
            prop_assert!(!set, "a session was created: {:?}", answer.headers);
            Ok(())
        },
    );
}

#[test]
fn no_forged_login_body_creates_a_session() {
    let json = prop_oneof![
        "[ -~]{0,200}",
        "\\{(\"(code|state|flow|kind)\": ?(\"[ -!#-\\[\\]-~]{0,40}\"|[0-9]{1,20}|null|\\[\\]),? ?){0,5}\\}",
        Just("[".repeat(10_000)),
        Just("{\"a\":".repeat(3_000)),
    ];
    check_all(
        (
            json,
            prop::sample::select(vec![
                "application/json",
                "text/plain",
                "application/x-www-form-urlencoded",
                "",
            ]),
        ),
        |(body, kind)| {
            let length = body.len();
            let head = format!(
                "POST /.menshen/login/corp HTTP/1.1\r\nHost: sso.test\r\nOrigin: {SSO_URL}\r\n\
                 Content-Type: {kind}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}"
            );
            head.into_bytes()
        },
        |answer| {
            prop_assert!(
                (400..500).contains(&answer.status),
                "{}: {}",
                answer.status,
                answer.text()
            );
            prop_assert_eq!(answer.header("set-cookie"), None);
            Ok(())
        },
    );
}

#[test]
fn random_bytes_are_refused() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let menshen = runtime.block_on(Menshen::new());
    let config = Config {
        cases: CASES,
        failure_persistence: None,
        ..Config::default()
    };
    let random_bytes = prop::collection::vec(any::<u8>(), 1..400);
    let outcome = TestRunner::new(config).run(&random_bytes, |mut bytes| {
        bytes.extend_from_slice(b"\r\n\r\n");
        let answer = runtime.block_on(async {
            let mut connection = RawConnection::open(menshen.address()).await;
            let _ = connection.try_send(&bytes).await;
            let _ = tokio::io::AsyncWriteExt::shutdown(&mut connection.stream).await;
            connection.try_read_answer().await
        });
        prop_assert!(
            answer
                .as_ref()
                .is_none_or(|it| (400..500).contains(&it.status)),
            "{answer:?}"
        );
        Ok(())
    });
    outcome.unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(menshen.app.requests(), 0);
    runtime.block_on(assert_serves_logins(&menshen));
}
