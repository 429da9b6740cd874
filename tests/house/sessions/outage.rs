//! While the store fails, no request is accepted whose session is not cached.

use super::watched::{Fault, WatchedMenshen};
use crate::browser::Browser;
use crate::checking::TRUST_LOOPBACK;
use crate::checking::faces::{Face, OriginalRequest, Verdict};
use crate::setup::{SSO_URL, Setup};
use crate::test_request::{TestRequest, repeat_until};
use crate::wire::Answer;

/// An instance of menshen, and the cookie of a session that is not cached yet.
async fn start_with_uncached_session() -> (WatchedMenshen, String) {
    let menshen = WatchedMenshen::start(Setup::default()).await;
    let mut browser = Browser::at(menshen.address);
    let source = browser.open_login_page(&format!("{SSO_URL}/echo")).await;
    let back = browser.choose_person(&source, "zhangsan").await;
    browser.visit(&back).await;
    let cookie = browser.cookie("menshen").unwrap().value.clone();
    (menshen, cookie)
}

fn assert_unavailable(answer: &Answer, what: &str) {
    assert_eq!(answer.status, 503, "{what}: {}", answer.text());
    let later = answer
        .header("retry-after")
        .unwrap_or_else(|| panic!("{what}"));
    assert!(later.parse::<u32>().unwrap() > 0, "{what}");
    assert_eq!(answer.header_values("set-cookie").count(), 0, "{what}");
    assert!(answer.header("cache-control").unwrap().contains("no-store"));
}

#[tokio::test]
async fn a_store_that_panicked_once_is_used_again() {
    let (menshen, cookie) = start_with_uncached_session().await;
    let ask = TestRequest::get("/echo").session(&cookie);
    menshen.store.fail(Some(Fault::Panics));
    assert_unavailable(&ask.send_to(menshen.address).await, "panics");
    menshen.store.fail(None);
    assert_eq!(ask.send_to(menshen.address).await.status, 200);
}

#[tokio::test]
async fn no_store_error_admits_a_request() {
    let (menshen, cookie) = start_with_uncached_session().await;
    for fault in Fault::ALL {
        menshen.store.fail(Some(fault));
        let before = menshen.app.requests();
        for path in ["/echo", "/finance/echo", "/ws"] {
            for method in ["GET", "HEAD", "POST", "OPTIONS"] {
                let ask = TestRequest::get(path).method(method).session(&cookie);
                let ask = if method == "POST" {
                    ask.header("Content-Length", "0")
                } else {
                    ask
                };
                for ask in [ask.clone(), ask.navigating()] {
                    assert_unavailable(
                        &ask.send_to(menshen.address).await,
                        &format!("{fault:?} {method} {path}"),
                    );
                }
            }
        }
        for own in ["userinfo", "sign_out", "sign_in", "start?rd=%2Fecho"] {
            let ask = TestRequest::get(&format!("/.menshen/{own}"))
                .session(&cookie)
                .navigating();
            assert_unavailable(&ask.send_to(menshen.address).await, own);
        }
        // A request without a valid cookie is refused without the store.
        for nobody in [
            TestRequest::get("/echo"),
            TestRequest::get("/echo").session("a.b.c"),
        ] {
            assert_eq!(nobody.send_to(menshen.address).await.status, 401);
        }
        assert_eq!(menshen.app.requests(), before, "{fault:?}");
        menshen.store.fail(None);
    }
    // The session is still valid.
    let ask = TestRequest::get("/echo").session(&cookie);
    assert_eq!(ask.send_to(menshen.address).await.status, 200);
}

#[tokio::test]
async fn no_face_admits_a_session_while_the_store_is_unavailable() {
    let menshen = WatchedMenshen::start(Setup::default().server(TRUST_LOOPBACK)).await;
    let mut browser = Browser::at(menshen.address);
    let source = browser.open_login_page(&format!("{SSO_URL}/echo")).await;
    let back = browser.choose_person(&source, "lisi").await;
    browser.visit(&back).await;
    let cookie = browser.cookie("menshen").unwrap().value.clone();
    let cookie = format!("menshen={cookie}");
    for fault in Fault::ALL {
        menshen.store.fail(Some(fault));
        for target in ["/echo", "/finance/echo"] {
            for original in [
                OriginalRequest::get(target),
                OriginalRequest::get(target).header("Accept", "text/html"),
            ] {
                let original = original.header("Cookie", &cookie);
                for face in Face::ALL {
                    let heard = original.send_to(face, menshen.address).await;
                    assert_eq!(heard.verdict, Verdict::Unavailable, "{fault:?} {face:?}");
                }
            }
        }
        let stranger = OriginalRequest::get("/echo");
        for face in Face::ALL {
            let heard = stranger.send_to(face, menshen.address).await;
            assert_eq!(heard.verdict, Verdict::Login, "{fault:?} {face:?}");
        }
    }
    menshen.store.fail(None);
    for face in Face::ALL.into_iter().filter(|face| *face != Face::Proxy) {
        let original = OriginalRequest::get("/finance").header("Cookie", &cookie);
        let heard = original.send_to(face, menshen.address).await;
        assert_eq!(heard.verdict, Verdict::Allow, "{face:?}");
    }
}

#[tokio::test]
async fn a_public_route_goes_on_without_identity() {
    let (menshen, cookie) = start_with_uncached_session().await;
    menshen.store.fail(Some(Fault::Failed));
    let ask = TestRequest::get("/public").session(&cookie);
    let answer = ask.send_to(menshen.address).await;
    assert_eq!(answer.status, 200);
    assert!(!answer.text().contains("zhangsan"));
}

#[tokio::test]
async fn a_login_during_a_store_outage_creates_no_session() {
    for fault in Fault::ALL {
        let menshen = WatchedMenshen::start(Setup::default()).await;
        let mut browser = Browser::at(menshen.address);
        let source = browser.open_login_page(&format!("{SSO_URL}/echo")).await;
        let back = browser.choose_person(&source, "zhangsan").await;
        menshen.store.fail(Some(fault));
        let answer = browser.visit(&back).await;
        assert_eq!(answer.status, 503, "{fault:?}: {}", answer.text());
        assert!(answer.header("retry-after").is_some(), "{fault:?}");
        assert_eq!(browser.cookie("menshen"), None, "{fault:?}");
    }
}

#[tokio::test]
async fn a_cached_session_is_accepted_until_store_outage_grace_ends() {
    let setup = Setup::default().session("store_outage_grace = \"1s\"");
    let menshen = WatchedMenshen::start(setup).await;
    let cookie = menshen.session_cookie_of("zhangsan").await;
    let ask = TestRequest::get("/echo").session(&cookie);
    assert_eq!(ask.send_to(menshen.address).await.status, 200);
    menshen.store.fail(Some(Fault::Failed));
    assert_eq!(ask.send_to(menshen.address).await.status, 200, "at first");
    let answer = repeat_until(&ask, menshen.address, |answer| answer.status != 200).await;
    assert_unavailable(&answer, "after the grace");
    menshen.store.fail(None);
    repeat_until(&ask, menshen.address, |answer| answer.status == 200).await;
}

#[tokio::test]
async fn a_sign_out_that_the_store_does_not_confirm_is_reported() {
    let (menshen, cookie) = start_with_uncached_session().await;
    let ask = TestRequest::get("/echo").session(&cookie);
    assert_eq!(ask.send_to(menshen.address).await.status, 200);
    menshen.store.fail(Some(Fault::TimedOut));
    let out = TestRequest::get("/.menshen/sign_out")
        .session(&cookie)
        .navigating();
    let answer = out.send_to(menshen.address).await;
    assert_eq!(answer.status, 503, "{}", answer.text());
    // The cookie is deleted nevertheless, and a copy of it is refused by this process.
    let cleared: Vec<_> = answer.header_values("set-cookie").collect();
    assert!(matches!(cleared[..], [line] if line.contains("Max-Age=0")));
    menshen.store.fail(None);
    assert_eq!(ask.send_to(menshen.address).await.status, 401);
}

#[tokio::test]
async fn a_login_that_failed_with_the_store_succeeds_at_a_later_reload() {
    for operation in ["admit", "mint"] {
        let menshen = WatchedMenshen::start(Setup::default()).await;
        let mut browser = Browser::at(menshen.address);
        let source = browser.open_login_page(&format!("{SSO_URL}/echo")).await;
        let back = browser.choose_person(&source, "zhangsan").await;
        menshen.store.fail_at(operation, Some(Fault::TimedOut));
        assert_unavailable(&browser.visit(&back).await, operation);
        let tried = menshen.store.calls("admit");
        menshen.store.fail_at(operation, None);
        // The code can be used only once, so the login is repeated.
        let answer = browser.visit(&back).await;
        assert_eq!(answer.status, 302, "{operation}: {}", answer.text());
        assert_eq!(menshen.store.calls("admit"), tried, "{operation}");
        let source = answer.header("location").unwrap().to_owned();
        let back = browser.choose_person(&source, "zhangsan").await;
        let page = browser.follow(&back).await;
        assert_eq!(page.answer.status, 200, "{operation}");
        assert_eq!(page.answer.echoed("x-forwarded-user"), ["zhangsan"]);
    }
}
