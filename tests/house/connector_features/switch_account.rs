//! The page that asks before an unsolicited login replaces the session of another person.

use std::time::Duration;

use menshen::face::page::Cause;

use super::ID;
use super::enter::{
    OWN_FORM, follow_portal_link, post_ticket, sets_session, signed_in_user, start_menshen,
};
use crate::browser::Browser;
use crate::logging_in::OWN_PAGES;
use crate::setup::Menshen;
use crate::wire::Answer;

/// A browser in which zhangsan is signed in and lisi's ticket was redeemed, and the page that asks.
async fn browser_and_switch_page(
    menshen: &Menshen,
    name: &str,
    by_form: bool,
) -> (Browser, Answer) {
    let mut browser = Browser::new(menshen);
    let own_ticket = format!("ticket=zhangsan.{name}");
    assert!(sets_session(
        &follow_portal_link(&mut browser, &own_ticket).await
    ));
    let page = enter_as_lisi(&mut browser, name, by_form).await;
    (browser, page)
}

async fn enter_as_lisi(browser: &mut Browser, name: &str, by_form: bool) -> Answer {
    let page = match by_form {
        true => post_ticket(browser, &format!("lisi.{name}")).await.answer,
        false => follow_portal_link(browser, &format!("ticket=lisi.{name}")).await,
    };
    assert_eq!(page.status, 409, "{}", page.text());
    page
}

/// Presses the button of the page that asks.
async fn press_button(browser: &mut Browser, page: &Answer) -> Answer {
    let html = page.text();
    let value = |text: &str, key: &str| {
        let (_, rest) = text.split_once(&format!("{key}=\""))?;
        Some(rest.split_once('"')?.0.to_owned())
    };
    let mut form = url::form_urlencoded::Serializer::new(String::new());
    for input in html.split("<input").skip(1) {
        let name = value(input, "name").unwrap();
        form.append_pair(&name, &value(input, "value").unwrap());
    }
    let url = format!("{OWN_PAGES}/enter/{ID}");
    let form = form.finish();
    browser.send("POST", &url, &OWN_FORM, form.as_bytes()).await
}

fn assert_not_switched(answer: &Answer, what: &str) {
    let html = answer.text();
    assert_eq!(
        (answer.status, answer.cause()),
        (409, Some(Cause::AccountNotSwitched)),
        "{what}: {html}"
    );
    assert_eq!(answer.header("location"), None, "{what}");
    assert!(!sets_session(answer), "{what}");
    assert!(html.contains("/.menshen/sign_in"), "{what}: {html}");
    assert!(!html.contains("href=\"/\""), "{what}: {html}");
}

#[tokio::test]
async fn a_late_or_used_switch_does_not_continue_as_the_person_who_is_signed_in() {
    let (menshen, _) = start_menshen().await;
    for by_form in [false, true] {
        // The request expired, and the browser still has its cookie.
        let (mut browser, page) =
            browser_and_switch_page(&menshen, &format!("late-{by_form}"), by_form).await;
        menshen.advance(Duration::from_secs(601));
        assert_not_switched(&press_button(&mut browser, &page).await, "late");
        assert_eq!(signed_in_user(&browser).await.as_deref(), Some("zhangsan"));

        // The browser removed the cookie.
        let (mut browser, page) =
            browser_and_switch_page(&menshen, &format!("gone-{by_form}"), by_form).await;
        browser.delete_cookies("flow");
        assert_not_switched(&press_button(&mut browser, &page).await, "no cookie");
        let flow = super::flow_id_in(&page.text());
        let reload = format!("{OWN_PAGES}/enter/{ID}?flow={flow}");
        let answer = browser.visit(&reload).await;
        assert_not_switched(&answer, "the page that asks is loaded again");
        assert_eq!(signed_in_user(&browser).await.as_deref(), Some("zhangsan"));

        // Somebody else signed in after the switch.
        let (mut browser, page) =
            browser_and_switch_page(&menshen, &format!("used-{by_form}"), by_form).await;
        assert!(sets_session(&press_button(&mut browser, &page).await));
        let again = press_button(&mut browser, &page).await;
        assert_eq!(
            (again.status, again.header("location")),
            (303, Some("/")),
            "the person who switched may press the button twice"
        );
        assert_eq!(signed_in_user(&browser).await.as_deref(), Some("lisi"));
        let mut browser = Browser::new(&menshen);
        let other = format!("ticket=wangwu.{by_form}");
        assert!(sets_session(
            &follow_portal_link(&mut browser, &other).await
        ));
        assert_not_switched(&press_button(&mut browser, &page).await, "used");
        assert_eq!(signed_in_user(&browser).await.as_deref(), Some("wangwu"));
    }
}

#[tokio::test]
async fn a_late_switch_without_a_session_is_a_late_login() {
    let (menshen, _) = start_menshen().await;
    let (mut browser, page) = browser_and_switch_page(&menshen, "1", false).await;
    browser.visit(&format!("{OWN_PAGES}/sign_out")).await;
    assert_eq!(signed_in_user(&browser).await, None);
    menshen.advance(Duration::from_secs(601));
    let answer = press_button(&mut browser, &page).await;
    assert_eq!(
        (answer.status, answer.cause()),
        (400, Some(Cause::LoginExpired))
    );
    assert!(!sets_session(&answer));
}

#[tokio::test]
async fn a_switch_keeps_its_cookie_while_five_logins_are_pending() {
    let (menshen, _) = start_menshen().await;
    for by_form in [false, true] {
        let mut browser = Browser::new(&menshen);
        let own_ticket = format!("ticket=zhangsan.{by_form}");
        assert!(sets_session(
            &follow_portal_link(&mut browser, &own_ticket).await
        ));
        for tab in 0..5 {
            browser
                .visit(&format!("{OWN_PAGES}/start?connector=corp&rd=/{tab}"))
                .await;
            menshen.advance(Duration::from_secs(1));
        }
        let page = enter_as_lisi(&mut browser, &by_form.to_string(), by_form).await;
        assert!(
            sets_session(&press_button(&mut browser, &page).await),
            "{by_form}"
        );
        assert_eq!(signed_in_user(&browser).await.as_deref(), Some("lisi"));
    }
}

#[tokio::test]
async fn a_login_that_begins_after_a_switch_evicts_an_older_login() {
    let (menshen, _) = start_menshen().await;
    for by_form in [false, true] {
        let mut browser = Browser::new(&menshen);
        let own_ticket = format!("ticket=zhangsan.{by_form}");
        assert!(sets_session(
            &follow_portal_link(&mut browser, &own_ticket).await
        ));
        for tab in 0..4 {
            browser
                .visit(&format!("{OWN_PAGES}/start?connector=corp&rd=/{tab}"))
                .await;
            menshen.advance(Duration::from_secs(1));
        }
        let page = enter_as_lisi(&mut browser, &by_form.to_string(), by_form).await;
        menshen.advance(Duration::from_secs(1));
        browser
            .visit(&format!("{OWN_PAGES}/start?connector=corp&rd=/last"))
            .await;
        let cookies = browser.cookies().iter();
        let flows = cookies
            .filter(|cookie| cookie.name.contains("flow"))
            .count();
        assert_eq!(flows, 5, "{by_form}: {:?}", browser.cookies());
        assert!(
            sets_session(&press_button(&mut browser, &page).await),
            "{by_form}"
        );
        assert_eq!(signed_in_user(&browser).await.as_deref(), Some("lisi"));
    }
    // The unsolicited login is the oldest and is evicted itself.
    let (mut browser, page) = browser_and_switch_page(&menshen, "oldest", false).await;
    for tab in 0..5 {
        menshen.advance(Duration::from_secs(1));
        browser
            .visit(&format!("{OWN_PAGES}/start?connector=corp&rd=/{tab}"))
            .await;
    }
    assert_not_switched(&press_button(&mut browser, &page).await, "oldest");
}
