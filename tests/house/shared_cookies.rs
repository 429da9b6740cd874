//! Two sites whose cookies reach each other: below one domain, or at two ports of one host.

use crate::browser::Browser;
use crate::checking::TRUST_LOOPBACK;
use crate::checking::faces::{Face, OriginalRequest};
use crate::ext_authz::GRPC_ON_MAIN;
use crate::mirror::{self, Mirror};
use crate::records::Records;
use crate::setup::{Menshen, SSO_URL, Setup};
use crate::test_request::{TestRequest, session_cookie_of};
use crate::upstream::TempFolder;

fn both(first: &str, second: &str) -> String {
    format!("menshen={first}; other=1; menshen={second}")
}

#[tokio::test]
async fn the_cookie_of_another_site_hides_no_session() {
    let (menshen, other) = (
        Setup::default().server(TRUST_LOOPBACK).start().await,
        Menshen::new().await,
    );
    let ours = session_cookie_of(&menshen, "zhangsan").await;
    let theirs = session_cookie_of(&other, "lisi").await;
    let mut junk = "menshen=junk; ".repeat(5);
    junk.push_str(&both(&theirs, &ours));
    for line in [
        both(&ours, &theirs),
        both(&theirs, &ours),
        both(&ours, &ours),
        junk,
    ] {
        let proxy = TestRequest::get("/echo")
            .header("Cookie", &line)
            .send(&menshen)
            .await;
        assert_eq!(proxy.status, 200, "{line}");
        assert_eq!(proxy.echoed("x-forwarded-user"), ["zhangsan"]);
        let auth = TestRequest::get("/.menshen/auth").header("X-Forwarded-Uri", "/echo");
        let auth = auth
            .header("X-Forwarded-Proto", "http")
            .header("Cookie", &line);
        let answer = auth.send(&menshen).await;
        assert_eq!(answer.header("x-auth-request-user"), Some("zhangsan"));
        let envoy = TestRequest::get("/.menshen/ext_authz/echo").header("Cookie", &line);
        assert_eq!(envoy.send(&menshen).await.status, 200, "{line}");
    }
    for line in [both(&theirs, "junk"), both(&theirs, &theirs)] {
        let stranger = TestRequest::get("/echo")
            .header("Cookie", &line)
            .send(&menshen)
            .await;
        assert_eq!(stranger.status, 401, "{line}");
    }
}

#[tokio::test]
async fn two_session_cookies_are_refused_and_logged() {
    let log = Records::process_log();
    let menshen = Menshen::new().await;
    let zhang = session_cookie_of(&menshen, "zhangsan").await;
    let li = session_cookie_of(&menshen, "lisi").await;
    for line in [both(&zhang, &li), both(&li, &zhang)] {
        let answer = TestRequest::get("/echo")
            .header("Cookie", &line)
            .send(&menshen)
            .await;
        assert_eq!(answer.status, 401, "{line}");
    }
    assert!(
        log.text()
            .contains("two session cookies that name different sessions")
    );
}

#[tokio::test]
async fn a_browser_that_keeps_the_cookie_of_a_wider_domain_signs_in() {
    let (menshen, other) = (Menshen::new().await, Menshen::new().await);
    let theirs = session_cookie_of(&other, "lisi").await;
    let mut browser = Browser::new(&menshen);
    // As set by a site of the parent domain.
    browser.set_cookie("test", "menshen", &theirs);
    browser.send_to_subdomains("menshen");
    let page = browser
        .sign_in(&format!("{SSO_URL}/echo"), "zhangsan")
        .await;
    assert_eq!(page.answer.status, 200, "{}", page.url);
    assert_eq!(page.answer.echoed("x-forwarded-user"), ["zhangsan"]);
    // Sign-out works.
    browser.visit(&format!("{SSO_URL}/.menshen/sign_out")).await;
    assert_eq!(
        browser
            .visit(&format!("{SSO_URL}/.menshen/userinfo"))
            .await
            .status,
        401
    );
}

fn named(lines: &str) -> Setup {
    let setup = Setup::default().server(TRUST_LOOPBACK).session(lines);
    setup.tables(GRPC_ON_MAIN)
}

async fn signed_in_as(menshen: &Menshen, name: &str, login: &str) -> String {
    let mut browser = Browser::new(menshen);
    browser.sign_in(&format!("{SSO_URL}/echo"), login).await;
    let cookie = browser.cookie(name).expect("a cookie of that name");
    format!("{name}={}", cookie.value)
}

#[tokio::test]
async fn two_sites_with_cookie_names_of_their_own_do_not_disturb_each_other() {
    // Both sites have the same key: only the names keep their cookies apart.
    let folder = TempFolder::new();
    let key = folder.write("key", menshen::keys::generate().expose());
    let keys = format!("keys = [{{ file = {key:?} }}]");
    let one = named(&keys).start().await;
    let other = named(&format!("{keys}\ncookie_name = 'gate'"))
        .start()
        .await;
    let zhang = signed_in_as(&one, "menshen", "zhangsan").await;
    let li = signed_in_as(&other, "gate", "lisi").await;
    for line in [format!("{zhang}; a=b; {li}"), format!("{li}; a=b; {zhang}")] {
        for (menshen, login) in [(&one, "zhangsan"), (&other, "lisi")] {
            let answer = TestRequest::get("/echo")
                .header("Cookie", &line)
                .send(menshen)
                .await;
            assert_eq!(answer.echoed("x-forwarded-user"), [login], "{line}");
            // The application gets no session cookie of the site.
            assert_eq!(answer.echoed("cookie"), ["a=b"], "{login}");
            for face in [Face::Auth, Face::ForwardAuth, Face::Envoy, Face::Grpc] {
                let original = OriginalRequest::get("/echo").header("Cookie", &line);
                let heard = original.send_to(face, menshen.address()).await;
                let user = heard.identity.get("x-forwarded-user");
                assert_eq!(user.map(String::as_str), Some(login), "{face:?}");
                // Envoy applies the changes of the check's response.
                if matches!(face, Face::Envoy | Face::Grpc) {
                    let left = heard.answer.header("cookie").unwrap_or_default();
                    assert_eq!(left, "a=b", "{face:?} {login}");
                }
            }
        }
    }
    // The session of one site is invalid on the other.
    for (menshen, line) in [(&one, &li), (&other, &zhang)] {
        let answer = TestRequest::get("/echo")
            .header("Cookie", line)
            .send(menshen)
            .await;
        assert_eq!(answer.status, 401, "{line}");
    }
}

#[tokio::test]
async fn no_application_gets_a_session_under_a_former_cookie_name() {
    let folder = TempFolder::new();
    let (first, second) = (
        folder.write("first", menshen::keys::generate().expose()),
        folder.write("second", menshen::keys::generate().expose()),
    );
    let before = named(&format!(
        "keys = [{{ file = {first:?} }}]\ncookie_name = 'gate'"
    ));
    let after = named(&format!(
        "keys = [{{ file = {second:?} }}, {{ file = {first:?} }}]\ncookie_name = 'portal'"
    ));
    let (menshen, elsewhere) = (before.start().await, Menshen::new().await);
    let old = signed_in_as(&menshen, "gate", "lisi").await;
    menshen.reload(&after).await.unwrap();
    let value = old.strip_prefix("gate=").unwrap();
    // Under its old name it is invalid; under the new one an application that had it could use it.
    let by_old = TestRequest::get("/echo")
        .header("Cookie", &old)
        .send(&menshen)
        .await;
    assert_eq!(by_old.status, 401);
    let new = format!("portal={value}");
    let by_new = TestRequest::get("/echo")
        .header("Cookie", &new)
        .send(&menshen)
        .await;
    assert_eq!(by_new.echoed("x-forwarded-user"), ["lisi"]);
    let renewed = signed_in_as(&menshen, "portal", "zhangsan").await;
    let theirs = session_cookie_of(&elsewhere, "lisi").await;
    let others = format!("a=b; inner={theirs}; jwt=eyJhbGciOiJIUzI1NiIsImtpZCI6ImFwcCJ9.e30.x");
    for line in [
        format!("{old}; {renewed}; {others}"),
        format!("{renewed}; {others}; __Host-gate={value}"),
        format!("{renewed};x= {value};{others};={value}; {value}"),
    ] {
        let answer = TestRequest::get("/echo")
            .header("Cookie", &line)
            .send(&menshen)
            .await;
        assert_eq!(answer.echoed("x-forwarded-user"), ["zhangsan"], "{line}");
        let left = answer.echoed("cookie").concat();
        assert_eq!(left.trim(), others, "{line}");
        for face in [Face::Envoy, Face::Grpc] {
            let original = OriginalRequest::get("/echo").header("Cookie", &line);
            let heard = original.send_to(face, menshen.address()).await;
            let left = heard.answer.header("cookie").unwrap_or_default();
            assert_eq!(left.trim(), others, "{face:?} {line}");
        }
    }
}

#[tokio::test]
async fn the_pending_logins_of_two_sites_do_not_interfere() {
    let menshen = named("cookie_name = 'gate'").start().await;
    let mut browser = Browser::new(&menshen);
    for number in 0..9 {
        browser.set_cookie(
            "sso.test",
            &format!("menshen-flow-{number}"),
            &"x".repeat(900),
        );
    }
    for name in ["menshen", "menshen-last"] {
        browser.set_cookie("sso.test", name, "theirs");
    }
    let page = browser.sign_in(&format!("{SSO_URL}/echo"), "lisi").await;
    assert_eq!(page.answer.echoed("x-forwarded-user"), ["lisi"]);
    let theirs = |browser: &Browser| {
        let cookies = browser.cookies();
        let theirs = cookies.iter().filter(|it| it.name.starts_with("menshen"));
        theirs.count()
    };
    assert_eq!(theirs(&browser), 11);
    browser.visit(&format!("{SSO_URL}/.menshen/sign_out")).await;
    let info = browser.visit(&format!("{SSO_URL}/.menshen/userinfo")).await;
    assert_eq!((info.status, theirs(&browser)), (401, 11));
    assert!(browser.cookie("gate").is_none());
}

#[tokio::test]
async fn an_application_cannot_set_a_cookie_with_a_name_of_the_site() {
    let mirror = Mirror::answering(
        "Set-Cookie: gate=stolen; Path=/\r\n\
         Set-Cookie: __Host-GATE=stolen; Secure\r\n\
         Set-Cookie: gate-flow-x=stolen\r\n\
         Set-Cookie: =gate-nonce-x=stolen\r\n\
         Set-Cookie: gate-last=stolen\r\n\
         Set-Cookie: menshen=stolen\r\n\
         Set-Cookie: gate-x=kept\r\n\
         Set-Cookie: gates=kept\r\n",
    )
    .await;
    let route = format!(
        "[[route]]\nname = 'all'\naccess = 'public'\nupstream = ['{}']\n",
        mirror.base_url()
    );
    let menshen = named("cookie_name = 'gate'").routes(&route).start().await;
    let ask =
        TestRequest::get("/x").header("Cookie", "gate-flow-1=x; __Secure-gate=y; gate-x=1; gate=z");
    let answer = ask.send(&menshen).await;
    let set: Vec<_> = answer.header_values("set-cookie").collect();
    assert_eq!(set, ["gate-x=kept", "gates=kept"]);
    assert_eq!(mirror::received_values(&answer, "cookie"), ["gate-x=1"]);
}

#[tokio::test]
async fn the_cookie_prefix_is_that_of_the_site() {
    let routes = "[[route]]\nname = 'app'\nhost = 'sso.corp.test'\nupstream = ['{app}']\n";
    for (lines, name) in [
        ("", "__Host-gate"),
        ("cookie_domain = 'corp.test'", "__Secure-gate"),
    ] {
        let setup = named(&format!("cookie_name = 'gate'\n{lines}"));
        let setup = setup.external_url("https://sso.corp.test").routes(routes);
        let menshen = setup.start().await;
        let mut browser = Browser::new(&menshen).over_https();
        let page = browser.sign_in("https://sso.corp.test/echo", "lisi").await;
        assert_eq!(page.answer.status, 200, "{name}");
        assert!(browser.cookie(name).is_some(), "{:?}", browser.cookies());
    }
}
