//! `/start?connector=ID&link=1`: a signed-in person adds an identity of another source to their account.

use std::time::Duration;

use menshen::face::page::Cause;

use super::{account_id, log_in_with, second_connector};
use crate::browser::{Browser, Page};
use crate::logging_in::OWN_PAGES;
use crate::setup::{Menshen, SSO_URL, Setup};
use crate::test_request::TestRequest;
use crate::wire::Answer;

const START: &str = "/start?connector=other&link=1&rd=/echo";

/// The headers of a form post from menshen's own page.
const OWN_FORM: [(&str, &str); 6] = [
    ("Accept", "text/html"),
    ("Content-Type", "application/x-www-form-urlencoded"),
    ("Origin", SSO_URL),
    ("Sec-Fetch-Mode", "navigate"),
    ("Sec-Fetch-Dest", "document"),
    ("Sec-Fetch-Site", "same-origin"),
];

/// The tables of a site where people may add an identity of the connector `other`.
pub(super) fn tables() -> String {
    second_connector("link_on_request = true\nlogin_prefix = 'o-'")
}

async fn start_menshen() -> Menshen {
    Setup::default().tables(&tables()).start().await
}

/// A browser in which zhangsan is signed in, at the page that asks whether to add this person.
async fn page_that_asks(menshen: &Menshen, userid: &str) -> (Browser, Page) {
    let (mut browser, _) = log_in_with(menshen, "corp", "zhangsan").await;
    let page = browser
        .sign_in(&format!("{OWN_PAGES}{START}"), userid)
        .await;
    (browser, page)
}

async fn press_button(browser: &mut Browser, page: &Page, headers: &[(&str, &str)]) -> Answer {
    let flow = crate::connector_features::flow_id_in(&page.answer.text());
    let url = format!("{OWN_PAGES}/link/other");
    let form = format!("flow={flow}");
    browser.send("POST", &url, headers, form.as_bytes()).await
}

/// A browser in which zhangsan, who is signed in by `corp`, has added this person of `other`.
pub(super) async fn browser_that_added(menshen: &Menshen, userid: &str) -> Browser {
    let (mut browser, page) = page_that_asks(menshen, userid).await;
    let answer = press_button(&mut browser, &page, &OWN_FORM).await;
    assert_eq!(answer.status, 303, "{}", answer.text());
    browser
}

pub(super) async fn user_of(menshen: &Menshen, connector: &str, userid: &str) -> Vec<String> {
    let (_, page) = log_in_with(menshen, connector, userid).await;
    page.answer.echoed("x-forwarded-user")
}

#[tokio::test]
async fn a_signed_in_person_adds_an_identity_and_signs_in_with_either() {
    let menshen = start_menshen().await;
    let (mut browser, page) = page_that_asks(&menshen, "lisi").await;
    let html = page.answer.text();
    assert!(page.url.contains("/link/other?flow="), "{}", page.url);
    assert_eq!(page.answer.status, 200, "{html}");
    for text in ["zhangsan", "o-lisi", "href=\"/echo\""] {
        assert!(html.contains(text), "{text}: {html}");
    }
    assert_eq!(
        page.answer.header("cross-origin-opener-policy"),
        Some("same-origin")
    );
    let before = browser.cookie("menshen").unwrap().value.clone();
    let answer = press_button(&mut browser, &page, &OWN_FORM).await;
    assert_eq!(
        (answer.status, answer.header("location")),
        (303, Some("/echo")),
        "{}",
        answer.text()
    );
    // The session stays as it was.
    assert_eq!(browser.cookie("menshen").unwrap().value, before);
    let record = menshen.audit().pop().unwrap();
    assert_eq!(record["event"], "linked", "{record}");
    assert_eq!(record["login"], "zhangsan", "{record}");
    assert_eq!(record["subject"], "ww6d656e7368656e01:lisi", "{record}");
    assert_eq!(
        record["account"],
        account_id(&mut browser).await,
        "{record}"
    );

    let (mut other, page) = log_in_with(&menshen, "other", "lisi").await;
    assert_eq!(page.answer.echoed("x-forwarded-user"), ["zhangsan"]);
    assert_eq!(account_id(&mut other).await, account_id(&mut browser).await);
    assert_eq!(user_of(&menshen, "corp", "zhangsan").await, ["zhangsan"]);
    // lisi of the first connector is another identity.
    assert_eq!(user_of(&menshen, "corp", "lisi").await, ["lisi"]);
    // To add it once more changes nothing.
    let (mut browser, page) = page_that_asks(&menshen, "lisi").await;
    let answer = press_button(&mut browser, &page, &OWN_FORM).await;
    assert_eq!(answer.status, 303, "{}", answer.text());
    assert_eq!(user_of(&menshen, "other", "lisi").await, ["zhangsan"]);
}

#[tokio::test]
async fn nothing_is_added_without_the_button_of_menshens_own_page() {
    let menshen = start_menshen().await;
    let (mut browser, page) = page_that_asks(&menshen, "wangfang").await;
    for headers in [
        ("Origin", "http://evil.test"),
        ("Origin", "null"),
        ("Sec-Fetch-Mode", "cors"),
    ] {
        let bent = OWN_FORM.map(|(name, value)| match name == headers.0 {
            true => headers,
            false => (name, value),
        });
        let answer = press_button(&mut browser, &page, &bent).await;
        assert_eq!(answer.status, 403, "{headers:?}");
    }
    let flow = crate::connector_features::flow_id_in(&page.answer.text());
    let by_script = format!("{OWN_PAGES}/link/other?flow={flow}");
    let answer = browser.send("GET", &by_script, &[], b"").await;
    assert_eq!(answer.status, 403);
    let framed = [
        ("Accept", "text/html"),
        ("Sec-Fetch-Mode", "navigate"),
        ("Sec-Fetch-Dest", "iframe"),
    ];
    let answer = browser.send("GET", &by_script, &framed, b"").await;
    assert_eq!(answer.cause(), Some(Cause::FrameNeedsLogin));
    let put = browser.send("PUT", &by_script, &[], b"").await;
    assert_eq!(put.status, 405);
    assert_eq!(user_of(&menshen, "other", "wangfang").await, ["o-wangfang"]);
}

#[tokio::test]
async fn an_identity_of_another_account_is_not_added() {
    let menshen = start_menshen().await;
    assert_eq!(user_of(&menshen, "other", "lisi").await, ["o-lisi"]);
    let (mut browser, page) = page_that_asks(&menshen, "lisi").await;
    let answer = press_button(&mut browser, &page, &OWN_FORM).await;
    assert_eq!(
        (answer.status, answer.cause()),
        (409, Some(Cause::IdentityTaken))
    );
    let record = menshen.audit().pop().unwrap();
    assert_eq!(record["event"], "refused", "{record}");
    assert_eq!(record["login"], "zhangsan", "{record}");
    assert!(record.to_string().contains("o-lisi"), "{record}");
    assert_eq!(user_of(&menshen, "other", "lisi").await, ["o-lisi"]);
}

#[tokio::test]
async fn only_the_person_who_began_it_can_confirm() {
    let menshen = start_menshen().await;
    // The person signed out.
    let (mut browser, page) = page_that_asks(&menshen, "lisi").await;
    browser.visit(&format!("{OWN_PAGES}/sign_out")).await;
    let answer = press_button(&mut browser, &page, &OWN_FORM).await;
    assert_eq!(
        (answer.status, answer.cause()),
        (409, Some(Cause::NotLinked))
    );

    // Another person signed in.
    let (mut browser, page) = page_that_asks(&menshen, "lisi").await;
    let start = format!("{OWN_PAGES}/start?connector=corp&rd=/echo");
    browser.sign_in(&start, "wangfang").await;
    let answer = press_button(&mut browser, &page, &OWN_FORM).await;
    assert_eq!(
        (answer.status, answer.cause()),
        (409, Some(Cause::NotLinked))
    );

    // Another browser of the same person has no flow cookie.
    let (_, page) = page_that_asks(&menshen, "lisi").await;
    let (mut elsewhere, _) = log_in_with(&menshen, "corp", "zhangsan").await;
    let answer = press_button(&mut elsewhere, &page, &OWN_FORM).await;
    assert_eq!(answer.cause(), Some(Cause::FlowCookieMissing));

    // Too late.
    let (mut browser, page) = page_that_asks(&menshen, "lisi").await;
    menshen.advance(Duration::from_secs(601));
    let answer = press_button(&mut browser, &page, &OWN_FORM).await;
    assert_eq!(answer.cause(), Some(Cause::LoginExpired));
    assert_eq!(user_of(&menshen, "other", "lisi").await, ["o-lisi"]);
}

#[tokio::test]
async fn a_proven_identity_is_no_login() {
    let menshen = start_menshen().await;
    let (mut browser, _) = log_in_with(&menshen, "corp", "zhangsan").await;
    let start = format!("{OWN_PAGES}{START}");
    let login_page = browser.open_login_page(&start).await;
    let callback = browser.choose_person(&login_page, "lisi").await;
    let page = browser.follow(&callback).await;
    assert!(page.url.contains("/link/other"), "{}", page.url);
    // Neither the callback nor the entry of front ends accepts its flow cookie.
    browser.visit(&format!("{OWN_PAGES}/sign_out")).await;
    let answer = browser.visit(&callback).await;
    assert_ne!(answer.status, 302, "{}", answer.text());
    assert!(browser.cookie("menshen").is_none());
    let state = crate::logging_in::query_parameter(&callback, "state").unwrap();
    let body = format!(r#"{{"state":"{state}","code":"x"}}"#);
    let json = [("Content-Type", "application/json")];
    let url = format!("{OWN_PAGES}/login/other");
    let answer = browser.send("POST", &url, &json, body.as_bytes()).await;
    assert_eq!(answer.status, 400, "{}", answer.text());
    assert!(browser.cookie("menshen").is_none());
    assert_eq!(user_of(&menshen, "other", "lisi").await, ["o-lisi"]);
}

#[tokio::test]
async fn nobody_adds_an_identity_without_a_session_or_where_it_is_off() {
    let menshen = start_menshen().await;
    let answer = TestRequest::get(&format!("/.menshen{START}"))
        .headers(&crate::browser::navigation_headers())
        .send(&menshen)
        .await;
    assert_eq!(
        (answer.status, answer.cause()),
        (409, Some(Cause::NotLinked))
    );
    let off = Setup::default().tables(&second_connector(""));
    let menshen = off.start().await;
    let (mut browser, _) = log_in_with(&menshen, "corp", "zhangsan").await;
    for path in [START, "/link/other?flow=x", "/link/nobody?flow=x"] {
        let answer = browser.visit(&format!("{OWN_PAGES}{path}")).await;
        assert_eq!(answer.cause(), Some(Cause::NotFound), "{path}");
    }
}

#[tokio::test]
async fn a_session_older_than_an_hour_adds_no_identity_until_the_person_signs_in_again() {
    let menshen = start_menshen().await;
    let hour = Duration::from_secs(3600);
    // Too old at the beginning.
    let (mut browser, _) = log_in_with(&menshen, "corp", "zhangsan").await;
    menshen.advance(hour + Duration::from_secs(1));
    let start = format!("{OWN_PAGES}{START}");
    let answer = browser.visit(&start).await;
    let too_old = (403, Some(Cause::SessionTooOld));
    assert_eq!((answer.status, answer.cause()), too_old);
    let html = answer.text();
    assert!(html.contains("/.menshen/start?connector=corp"), "{html}");
    // Too old at the page that asks, and at the button.
    browser
        .sign_in(
            &format!("{OWN_PAGES}/start?connector=corp&rd=/echo"),
            "zhangsan",
        )
        .await;
    menshen.advance(hour - Duration::from_secs(60));
    let page = browser.sign_in(&start, "lisi").await;
    assert_eq!(page.answer.status, 200, "{}", page.answer.text());
    menshen.advance(Duration::from_secs(61));
    let answer = press_button(&mut browser, &page, &OWN_FORM).await;
    assert_eq!((answer.status, answer.cause()), too_old);
    let record = menshen.audit().pop().unwrap();
    assert_eq!(record["event"], "refused", "{record}");
    assert_eq!(user_of(&menshen, "other", "lisi").await, ["o-lisi"]);
    // A new sign-in may.
    browser
        .sign_in(
            &format!("{OWN_PAGES}/start?connector=corp&rd=/echo"),
            "zhangsan",
        )
        .await;
    let page = browser.sign_in(&start, "wangfang").await;
    let answer = press_button(&mut browser, &page, &OWN_FORM).await;
    assert_eq!(answer.status, 303, "{}", answer.text());
    assert_eq!(user_of(&menshen, "other", "wangfang").await, ["zhangsan"]);
}
