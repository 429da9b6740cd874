//! menshen's own cookies are removed from requests to the upstream and from its responses.

use proptest::prelude::*;
use tokio::runtime::Runtime;

use super::start_menshen;
use crate::mirror::{self, Mirror};
use crate::setup::{Menshen, Setup};
use crate::test_request::{TestRequest, session_cookie_of};

#[tokio::test]
async fn own_cookies_are_removed_and_other_cookies_are_forwarded_byte_for_byte() {
    let (menshen, _mirror, [_, zhang]) = start_menshen().await;
    let session_cookie = format!("menshen={zhang}");
    let cases = [
        (session_cookie.clone(), vec![]),
        (format!("a=1; {session_cookie}; b=2"), vec!["a=1; b=2"]),
        (
            format!("{session_cookie}; a=\"x y\"; c"),
            vec!["a=\"x y\"; c"],
        ),
        (format!("a=1;{session_cookie};b=2"), vec!["a=1;b=2"]),
        (
            format!("a=1; {session_cookie}; menshen-flow-abc=x; menshen-nonce-q=y; b=2"),
            vec!["a=1; b=2"],
        ),
        (
            format!(
                "__Host-menshen=x; __Secure-menshen=y; {session_cookie}; MENSHEN=z; __host-Menshen=1; k=v"
            ),
            vec!["k=v"],
        ),
        (
            format!("menshenx=1; xmenshen=2; {session_cookie}"),
            vec!["menshenx=1; xmenshen=2"],
        ),
        (
            format!("a=menshen=b; {session_cookie}"),
            vec!["a=menshen=b"],
        ),
    ];
    for (sent, expected) in cases {
        let answer = TestRequest::get("/x")
            .header("Cookie", &sent)
            .send(&menshen)
            .await;
        assert_eq!(answer.status, 200, "{sent}");
        assert_eq!(
            mirror::received_values(&answer, "cookie"),
            expected,
            "{sent}"
        );
    }
    let two = TestRequest::get("/x")
        .header("Cookie", "a=1")
        .header("Cookie", &session_cookie);
    let two = two.header("Cookie", "b=\u{4f1a}");
    let answer = two.send(&menshen).await;
    // The remaining cookies are joined into one header.
    assert_eq!(
        mirror::received_values(&answer, "cookie"),
        ["a=1; b=\u{4f1a}"]
    );
}

#[test]
fn no_cookie_header_carries_a_session_cookie_to_the_upstream() {
    let runtime = Runtime::new().unwrap();
    let (menshen, _mirror, [_, zhang]) = runtime.block_on(start_menshen());
    let pair = prop_oneof![
        Just(format!("menshen={zhang}")),
        Just(format!(" menshen = {zhang}")),
        Just(format!("MENSHEN={zhang}")),
        Just(format!("menshen-flow-x={zhang}")),
        Just(format!("__Host-menshen={zhang}")),
        Just("menshen".to_owned()),
        Just("=".to_owned()),
        "[!-:<-~ ]{0,12}",
    ];
    let lines = prop::collection::vec(prop::collection::vec(pair, 0..4), 1..3);
    proptest!(ProptestConfig::with_cases(96), |(lines in lines, gap in "[; \t]{1,2}")| {
        let add = |request: TestRequest, line: &Vec<String>| request.header("Cookie", &line.join(&format!(";{gap}")));
        let request = lines.iter().fold(TestRequest::get("/public"), add);
        let answer = runtime.block_on(request.send(&menshen));
        prop_assert!(answer.status == 200 || answer.status == 400, "{}", answer.status);
        let text = String::from_utf8_lossy(&answer.body).into_owned();
        let is_foreign_cookie = lines.iter().flatten().any(|pair| pair.contains(&zhang) && !is_own_cookie(pair));
        prop_assert!(is_foreign_cookie || !text.contains(&zhang), "{}", text);
    });
}

fn is_own_cookie(pair: &str) -> bool {
    pair.to_lowercase().contains("menshen")
}

#[tokio::test]
async fn an_upstream_cannot_set_an_own_cookie() {
    let tricks = "Set-Cookie: menshen=stolen; Path=/\r\n\
                  Set-Cookie: __Host-menshen=stolen; Path=/; Secure\r\n\
                  Set-Cookie: __Secure-menshen=stolen; Secure\r\n\
                  set-cookie:   MENSHEN = stolen\r\n\
                  Set-Cookie: menshen-flow-abc=stolen\r\n\
                  Set-Cookie: menshen-nonce-abc=stolen\r\n\
                  Set-Cookie: =menshen=stolen\r\n\
                  Set-Cookie: = =menshen=stolen\r\n\
                  Set-Cookie: menshen\r\n\
                  Set-Cookie: \tmenshen\t=stolen\r\n\
                  Set-Cookie: theirs=kept; Path=/; HttpOnly\r\n\
                  Set-Cookie: menshenx=kept\r\n\
                  Set-Cookie: other=menshen=kept\r\n";
    let mirror = Mirror::answering(tricks).await;
    let routes = format!(
        "[[route]]\nname = 'all'\naccess = 'public'\nupstream = ['{}']\n",
        mirror.base_url()
    );
    let menshen = Setup::default().routes(&routes).start().await;
    let answer = TestRequest::get("/x").send(&menshen).await;
    let set: Vec<_> = answer.header_values("set-cookie").collect();
    assert_eq!(
        set,
        [
            "theirs=kept; Path=/; HttpOnly",
            "menshenx=kept",
            "other=menshen=kept"
        ]
    );
}

#[tokio::test]
async fn an_application_that_sets_a_session_cookie_keeps_only_its_other_cookies() {
    let menshen = Menshen::new().await;
    let cookie = session_cookie_of(&menshen, "zhangsan").await;
    let answer = TestRequest::get("/set-cookie")
        .session(&cookie)
        .send(&menshen)
        .await;
    let set: Vec<_> = answer.header_values("set-cookie").collect();
    assert_eq!(set, ["legacy_session=ordinary; Path=/; HttpOnly"]);
}
