//! Who enters the console, and who does not; for how long.

use std::time::Duration;

use super::*;
use crate::setup::SSO_URL;

/// Whether the visit still shows the overview.
async fn is_inside(visit: &mut Visit) -> bool {
    visit.get("/console/").await.status == 200
}

#[tokio::test]
async fn a_stranger_is_led_to_the_form_and_learns_nothing() {
    let menshen = setup().start().await;
    sign_in_elsewhere(&menshen, "zhangsan").await;
    let mut visit = Visit::new(&menshen);
    for page in PAGES.into_iter().chain(["/console/no-such-page"]) {
        let answer = visit.get(page).await;
        let to = answer.header("location").unwrap();
        assert_eq!((answer.status, answer.body.len()), (303, 0), "{page}");
        assert!(to.starts_with("/console/sign_in?to="), "{to}");
    }
    let form = visit.get("/console/sign_in").await;
    let html = form.text();
    assert_eq!(form.status, 200);
    assert!(html.contains("name=\"name\"") && html.contains("name=\"password\""));
    assert!(html.contains("/console/start"), "people can enter, too");
    assert!(!html.contains("zhangsan"));
    let posted = visit.post(
        "/console/sessions",
        &[("action", "end-all"), ("everyone", "yes")],
    );
    assert_eq!(posted.await.status, 403);
}

#[tokio::test]
async fn an_administrator_signs_in_to_the_page_they_wanted_and_out_again() {
    let menshen = setup().start().await;
    add_administrator(&menshen, "root").await;
    let mut visit = Visit::new(&menshen);
    let path = "/console/sign_in?to=/console/people%3Ftext%3Da";
    let fields = [("name", " Root "), ("password", PASSWORD)];
    let answer = visit
        .post_from(&[("Origin", CONSOLE_URL)], path, &fields)
        .await;
    assert_eq!(answer.status, 303);
    assert_eq!(answer.header("location"), Some("/console/people?text=a"));
    assert!(is_inside(&mut visit).await);
    let stolen = visit.browser.clone();
    assert_eq!(visit.post("/console/sign_out", &[]).await.status, 303);
    assert!(!is_inside(&mut visit).await);
    assert!(visit.browser.cookie("menshen-console").is_none());
    assert!(
        !is_inside(&mut Visit::of(stolen)).await,
        "the session has ended"
    );
    let reasons: Vec<_> = menshen
        .audit()
        .into_iter()
        .filter(|line| line["event"] == "console")
        .map(|line| (line["by"].clone(), line["reason"].clone()))
        .collect();
    assert_eq!(
        reasons,
        [
            ("local:root".into(), "signed in with a password".into()),
            ("local:root".into(), "signed out".into())
        ]
    );
}

#[tokio::test]
async fn a_return_address_is_a_page_of_the_console() {
    let menshen = setup().start().await;
    add_administrator(&menshen, "root").await;
    for to in [
        "https://evil.test/",
        "//evil.test/",
        "/console",
        "/consolex/",
        "javascript:x",
        "",
    ] {
        let path = format!("/console/sign_in?to={}", to.replace('/', "%2F"));
        let fields = [("name", "root"), ("password", PASSWORD)];
        let mut visit = Visit::new(&menshen);
        let answer = visit.post_from(&[("Origin", CONSOLE_URL)], &path, &fields);
        assert_eq!(answer.await.header("location"), Some("/console/"), "{to}");
    }
}

#[tokio::test]
async fn every_sign_in_has_a_new_session_and_ends_the_former_one() {
    let menshen = setup().start().await;
    add_administrator(&menshen, "root").await;
    let mut visit = Visit::new(&menshen);
    let planted = "A".repeat(43);
    visit
        .browser
        .set_cookie("console.test", "menshen-console", &planted);
    visit.sign_in("root", PASSWORD).await;
    let first = visit
        .browser
        .cookie("menshen-console")
        .unwrap()
        .value
        .clone();
    assert_ne!(first, planted);
    visit.sign_in("root", PASSWORD).await;
    let second = visit
        .browser
        .cookie("menshen-console")
        .unwrap()
        .value
        .clone();
    assert_ne!(second, first);
    assert!(is_inside(&mut visit).await);
    for ended in [planted, first] {
        let mut other = Visit::new(&menshen);
        other
            .browser
            .set_cookie("console.test", "menshen-console", &ended);
        assert!(!is_inside(&mut other).await);
    }
}

#[tokio::test]
async fn a_session_ends_after_its_life_and_when_it_is_not_used() {
    let menshen = setup().start().await;
    let mut used = Visit::of_administrator(&menshen, "used").await;
    let mut idle = Visit::of_administrator(&menshen, "idle").await;
    for _ in 0..23 {
        menshen.clock.advance(Duration::from_secs(20 * 60));
        assert!(is_inside(&mut used).await);
    }
    assert!(!is_inside(&mut idle).await);
    menshen.clock.advance(Duration::from_secs(20 * 60));
    assert!(!is_inside(&mut used).await, "eight hours are over");
}

#[tokio::test]
async fn a_changed_password_and_a_removal_end_the_sessions() {
    let menshen = setup().start().await;
    let mut changed = Visit::of_administrator(&menshen, "changed").await;
    let mut removed = Visit::of_administrator(&menshen, "removed").await;
    let mut untouched = Visit::of_administrator(&menshen, "untouched").await;
    let store = &menshen.running.live().services().store;
    let (hash, now) = (Secret::new(PASSWORD_HASH.to_owned()), menshen.clock.now());
    let name = "changed".parse().unwrap();
    let change = store.change_administrator_password(&name, &hash, "another", now);
    assert!(change.await.unwrap());
    let name = "removed".parse().unwrap();
    assert!(store.remove_administrator(&name).await.unwrap());
    assert!(!is_inside(&mut changed).await);
    assert!(!is_inside(&mut removed).await);
    assert!(is_inside(&mut untouched).await);
    assert_eq!(removed.sign_in("removed", PASSWORD).await.status, 401);
    assert_eq!(changed.sign_in("changed", PASSWORD).await.status, 303);
}

#[tokio::test]
async fn neither_the_admin_token_nor_a_session_of_an_application_opens_the_console() {
    let menshen = setup().start().await;
    let person = sign_in_elsewhere(&menshen, "zhangsan").await;
    let cookie = person.cookie("menshen").unwrap().value.clone();
    let mut visit = Visit::new(&menshen);
    let token = [("Authorization", "Bearer correct-horse-battery-staple")];
    let url = format!("{CONSOLE_URL}/console/");
    assert_eq!(
        visit.browser.send("GET", &url, &token, b"").await.status,
        303
    );
    visit.browser.set_cookie("console.test", "menshen", &cookie);
    assert!(!is_inside(&mut visit).await);
    visit
        .browser
        .set_cookie("console.test", "menshen-console", &cookie);
    assert!(!is_inside(&mut visit).await);
}

#[tokio::test]
async fn a_person_whom_a_rule_admits_enters_with_a_login() {
    let menshen = setup().start().await;
    let mut visit = Visit::of_person(&menshen, "zhangsan").await;
    let page = visit.get("/console/").await;
    assert_eq!(page.status, 200);
    assert!(page.text().contains("张三"), "{}", page.text());
    let entered = menshen.audit().into_iter().any(|line| {
        line["event"] == "console" && line["by"] == "zhangsan" && line["login"] == "zhangsan"
    });
    assert!(entered);
}

#[tokio::test]
async fn who_may_only_look_changes_nothing_and_sees_no_button() {
    let menshen = setup().start().await;
    let mut other = sign_in_elsewhere(&menshen, "wangfang").await;
    let mut visit = Visit::of_person(&menshen, "lisi").await;
    for page in PAGES {
        let html = visit.get(page).await.text();
        assert!(
            !html.contains("name=\"action\" value=\"end"),
            "{page}: {html}"
        );
        assert!(!html.contains("name=\"action\" value=\"sync\""), "{page}");
    }
    let account = account_of(&menshen, "wangfang").await;
    let person = format!("/console/people/{account}");
    assert!(!visit.get(&person).await.text().contains("value=\"close\""));
    for (path, fields) in [
        (
            "/console/sessions",
            [("action", "end-all"), ("login", "wangfang")],
        ),
        (person.as_str(), [("action", "close"), ("reason", "")]),
        (person.as_str(), [("action", "end-all"), ("reason", "")]),
        ("/console/sync", [("action", "sync"), ("connector", "corp")]),
    ] {
        assert_eq!(visit.post(path, &fields).await.status, 403, "{path}");
    }
    assert!(is_signed_in(&mut other).await);
    assert_eq!(visit.post("/console/sign_out", &[]).await.status, 303);
}

#[tokio::test]
async fn a_person_outside_of_the_rules_sees_a_page_that_signs_them_out() {
    let menshen = setup().start().await;
    let mut visit = Visit::of(enter(&menshen, "wangfang").await);
    for page in PAGES {
        let answer = visit.get(page).await;
        assert_eq!(answer.status, 403, "{page}");
        let html = answer.text();
        assert!(html.contains("action=\"/console/sign_out\""), "{html}");
    }
    let fields = [("action", "end-all"), ("login", "wangfang")];
    assert_eq!(visit.post("/console/sessions", &fields).await.status, 403);
    let answer = visit.post("/console/sign_out", &[]).await;
    assert_eq!(answer.status, 303);
    assert_eq!(visit.get("/console/").await.status, 303);
}

#[tokio::test]
async fn the_session_of_a_person_outside_of_the_rules_is_short_and_never_becomes_more() {
    let menshen = setup().start().await;
    let mut visit = Visit::of(enter(&menshen, "wangfang").await);
    assert_eq!(visit.get("/console/").await.status, 403);
    menshen.clock.advance(Duration::from_secs(599));
    assert_eq!(visit.get("/console/").await.status, 403);
    let wider = with_console(
        "external_url = \"http://console.test\"\nallow = \"user.login == 'wangfang'\"\n",
    );
    menshen.reload(&wider).await.unwrap();
    menshen.clock.advance(Duration::from_secs(1));
    assert_eq!(visit.get("/console/").await.status, 303, "it is over");
}

#[tokio::test]
async fn rule_account_and_session_are_looked_at_again_on_each_request() {
    let menshen = setup().start().await;
    let mut visit = Visit::of_person(&menshen, "zhangsan").await;
    let stricter = with_console(
        "external_url = \"http://console.test\"\nallow = \"user.login == 'nobody'\"\n",
    );
    menshen.reload(&stricter).await.unwrap();
    assert_eq!(visit.get("/console/").await.status, 403);
    menshen.reload(&setup()).await.unwrap();
    assert!(is_inside(&mut visit).await);
    let services = menshen.running.live().services();
    let account = menshen::store::AccountId::try_from(account_of(&menshen, "zhangsan").await);
    let scope = menshen::store::RevocationScope::Account(account.unwrap());
    services.sessions.revoke(&scope).await.unwrap();
    assert_eq!(visit.get("/console/").await.status, 303);
}

#[tokio::test]
async fn a_person_whose_connector_is_gone_is_out_of_the_console() {
    let menshen = setup().start().await;
    let mut visit = Visit::of_person(&menshen, "zhangsan").await;
    assert!(is_inside(&mut visit).await);
    let without = setup().without_connector();
    menshen.reload(&without).await.unwrap();
    assert_eq!(visit.get("/console/").await.status, 303);
    let fields = [("action", "end-all"), ("everyone", "yes")];
    assert_eq!(visit.post("/console/sessions", &fields).await.status, 403);
}

#[tokio::test]
async fn a_person_who_signs_out_of_the_site_is_out_of_the_console() {
    let menshen = setup().start().await;
    let mut visit = Visit::of_person(&menshen, "zhangsan").await;
    let mut browser = visit.browser.clone().moved_to(menshen.address());
    let origin = [("Origin", SSO_URL), ("Sec-Fetch-Site", "same-origin")];
    let url = format!("{SSO_URL}/.menshen/sign_out");
    let answer = browser.send("POST", &url, &origin, b"").await;
    assert!(answer.status < 400, "{}", answer.text());
    assert_eq!(visit.get("/console/").await.status, 303);
}

#[tokio::test]
async fn a_ticket_is_accepted_once_in_the_browser_that_asked_for_it_and_only_by_the_console() {
    let menshen = setup().start().await;
    let mut browser = Browser::at(console_address(&menshen));
    let start = browser.visit(&format!("{CONSOLE_URL}/console/start")).await;
    let to_login_host = start.header("location").unwrap().to_owned();
    let nonce = browser.cookie("menshen-console-entry").unwrap().clone();
    let mut at_login = browser.moved_to(menshen.address());
    let returned = at_login
        .sign_in(&format!("{SSO_URL}/echo"), "zhangsan")
        .await;
    assert_eq!(returned.answer.status, 200);
    let ticket = async |at_login: &mut Browser| {
        let page = at_login.follow_until(&to_login_host, |next| next.starts_with(CONSOLE_URL));
        page.await.url
    };
    let url = ticket(&mut at_login).await;
    // Somebody else who has seen the address gets nothing, and the ticket is spent.
    let mut thief = Visit::new(&menshen);
    let path = url.strip_prefix(CONSOLE_URL).unwrap();
    assert_eq!(thief.get(path).await.status, 400);
    let mut owner = Visit::of(at_login.clone().moved_to(console_address(&menshen)));
    owner
        .browser
        .set_cookie("console.test", "menshen-console-entry", &nonce.value);
    assert_eq!(owner.get(path).await.status, 400);
    // Another one is accepted, once.
    let url = ticket(&mut at_login).await;
    let path = url.strip_prefix(CONSOLE_URL).unwrap();
    let elsewhere = url
        .replace(CONSOLE_URL, SSO_URL)
        .replace("/console/", "/.menshen/");
    assert_ne!(at_login.visit(&elsewhere).await.status, 303);
    assert_eq!(owner.get(path).await.status, 303);
    assert!(is_inside(&mut owner).await);
    owner
        .browser
        .set_cookie("console.test", "menshen-console-entry", &nonce.value);
    assert_eq!(owner.get(path).await.status, 400);
}

#[tokio::test]
async fn a_login_returns_to_pages_of_the_console_and_to_nothing_else_there() {
    let redirect = async |browser: &mut Browser, path: &str| {
        let rd = format!("{CONSOLE_URL}{path}").replace('/', "%2F");
        let start = format!("{SSO_URL}/.menshen/start?rd={rd}");
        let answer = browser.visit(&start).await;
        answer.header("location").map(str::to_owned)
    };
    let menshen = setup().start().await;
    let mut browser = sign_in_elsewhere(&menshen, "zhangsan").await;
    for path in ["/console/", "/console/people"] {
        let to = redirect(&mut browser, path).await;
        assert_eq!(to, Some(format!("{CONSOLE_URL}{path}")));
    }
    for path in ["", "/", "/consolex/", "/.menshen/start", "/console/../x"] {
        let to = redirect(&mut browser, path).await.unwrap_or_default();
        assert!(!to.contains("console.test"), "{path}: {to}");
    }
    // Where only local administrators enter, nobody returns from a login.
    let local = with_console(&format!("external_url = \"{CONSOLE_URL}\"\n"));
    let menshen = local.start().await;
    let mut browser = sign_in_elsewhere(&menshen, "zhangsan").await;
    let to = redirect(&mut browser, "/console/").await;
    assert!(!to.unwrap_or_default().contains("console.test"));
}
