//! Which tickets sign a browser in: each refused ticket beside one that passes.

use menshen::face::page::Cause;

use super::server::{CasServer, PROXY};
use super::{
    CALLBACK, assert_refused, assert_signed_in, callback_url, is_signed_in, sign_in, start_menshen,
};
use crate::browser::Browser;
use crate::logging_in::query_parameter;

/// Signs in with these parameters of the return in place of the honest ones.
async fn sign_in_with(
    server: &CasServer,
    menshen: &crate::setup::Menshen,
    parameters: &str,
) -> (Browser, crate::browser::Page) {
    server.state().returns.push_back(parameters.to_owned());
    sign_in(menshen).await
}

#[tokio::test]
async fn a_malformed_ticket_is_refused_and_the_server_is_not_asked() {
    let server = CasServer::start().await;
    let menshen = start_menshen(&server, "").await;
    let longest = format!("ST-{}", "x".repeat(253));
    for parameters in [
        "".to_owned(),
        "ticket=".to_owned(),
        "ticket=TICKET%20".to_owned(),
        "ticket=TICKET%0a".to_owned(),
        "ticket=TICKET%00".to_owned(),
        "ticket=TICKET%26service=x".to_owned(),
        "ticket=TICKET%2F..".to_owned(),
        "ticket=ST-%E4%B8%89".to_owned(),
        format!("ticket={longest}x"),
        "ticket=TICKET&ticket=TICKET".to_owned(),
        "Ticket=TICKET".to_owned(),
    ] {
        let (mut browser, page) = sign_in_with(&server, &menshen, &parameters).await;
        assert_refused(&menshen, &page, Cause::InvalidProviderResponse, "ticket");
        assert_eq!(page.answer.status, 400, "{parameters}");
        assert!(!is_signed_in(&mut browser).await, "{parameters}");
        assert_eq!(server.validations().len(), 0, "{parameters}");
    }
    let (_, page) = sign_in_with(&server, &menshen, "ticket=TICKET&lang=zh").await;
    assert_signed_in(&page, "zhangsan", "a further parameter");
    // The longest ticket is sent to the server, which does not know it.
    sign_in_with(&server, &menshen, &format!("ticket={longest}")).await;
    assert_eq!(server.validations()[1].1["ticket"], longest);
}

#[tokio::test]
async fn the_state_is_checked_before_the_ticket() {
    let server = CasServer::start().await;
    let menshen = start_menshen(&server, "").await;
    let mut attacker = Browser::new(&menshen);
    let stolen = callback_url(&mut attacker).await;
    // In another browser, without a state, and with the state of nobody.
    let ticket = query_parameter(&stolen, "ticket").unwrap();
    let unknown = "a".repeat(32);
    for url in [
        stolen.clone(),
        format!("{CALLBACK}?ticket={ticket}"),
        format!("{CALLBACK}?state={unknown}&ticket={ticket}"),
    ] {
        let mut victim = Browser::new(&menshen);
        let page = victim.follow(&url).await;
        assert_eq!(page.answer.status, 400, "{url}");
        assert!(!is_signed_in(&mut victim).await, "{url}");
    }
    assert_eq!(server.validations().len(), 0);
    assert_signed_in(
        &attacker.follow(&stolen).await,
        "zhangsan",
        "in its own browser",
    );
}

#[tokio::test]
async fn a_callback_that_is_repeated_redeems_its_ticket_once() {
    let server = CasServer::start().await;
    let menshen = start_menshen(&server, "").await;
    let mut browser = Browser::new(&menshen);
    let url = callback_url(&mut browser).await;
    let mut twin = browser.clone();
    let (first, second) = tokio::join!(browser.visit(&url), twin.visit(&url));
    assert_eq!((first.status, second.status), (302, 302));
    assert_eq!(browser.visit(&url).await.status, 302);
    assert_eq!(server.validations().len(), 1);
    assert!(is_signed_in(&mut browser).await);
    // After the first outcome is forgotten, the used ticket signs nobody in.
    let mut stranger = Browser::new(&menshen);
    assert_eq!(stranger.visit(&url).await.status, 400);
    assert_eq!(server.validations().len(), 1);
}

#[tokio::test]
async fn a_ticket_counts_only_for_the_login_and_the_service_it_was_issued_for() {
    let server = CasServer::start().await;
    let menshen = start_menshen(&server, "").await;
    for service in [
        "https://other.corp.example/",
        CALLBACK,
        &format!("{CALLBACK}?state="),
    ] {
        let ticket = server.service_ticket(service);
        let (mut browser, page) =
            sign_in_with(&server, &menshen, &format!("ticket={ticket}")).await;
        assert_refused(
            &menshen,
            &page,
            Cause::InvalidProviderResponse,
            "INVALID_SERVICE",
        );
        assert!(!is_signed_in(&mut browser).await, "{service}");
    }
    // The ticket of another login of the same browser.
    let mut browser = Browser::new(&menshen);
    let (one, other) = (
        callback_url(&mut browser).await,
        callback_url(&mut browser).await,
    );
    let parameter = |url: &str, name| query_parameter(url, name).unwrap();
    let mixed = format!(
        "{CALLBACK}?state={}&ticket={}",
        parameter(&one, "state"),
        parameter(&other, "ticket")
    );
    let page = browser.follow(&mixed).await;
    assert_refused(
        &menshen,
        &page,
        Cause::InvalidProviderResponse,
        "INVALID_SERVICE",
    );
    assert!(!is_signed_in(&mut browser).await);
    assert_signed_in(&sign_in(&menshen).await.1, "zhangsan", "its own ticket");
}

#[tokio::test]
async fn a_used_or_unknown_ticket_restarts_the_login_once() {
    for version in ["1.0", "2.0", "3.0"] {
        let server = CasServer::start().await;
        let menshen = start_menshen(&server, &format!("version = '{version}'")).await;
        let (_, page) = sign_in_with(&server, &menshen, "ticket=ST-9-unknown").await;
        assert_signed_in(&page, "zhangsan", "the second attempt");
        assert_eq!(server.validations().len(), 2, "{version}");
        for _ in 0..2 {
            server
                .state()
                .returns
                .push_back("ticket=ST-9-unknown".to_owned());
        }
        let (mut browser, page) = sign_in(&menshen).await;
        assert_refused(&menshen, &page, Cause::CodeRejectedTwice, "INVALID_TICKET");
        assert_eq!(server.validations().len(), 4, "{version}");
        assert!(!is_signed_in(&mut browser).await);
    }
}

#[tokio::test]
async fn a_proxy_ticket_counts_only_if_its_proxy_is_listed_exactly() {
    let listed = format!("proxies = ['https://a.corp.example/', '{PROXY}']");
    for (lines, proxy, reason) in [
        ("", PROXY, "lists no proxy"),
        (
            listed.as_str(),
            "https://portal.corp.example/proxy",
            "does not list",
        ),
        (
            listed.as_str(),
            "https://portal.corp.example/proxy?id=70",
            "does not list",
        ),
        (
            listed.as_str(),
            "http://portal.corp.example/proxy?id=7",
            "does not list",
        ),
    ] {
        let server = CasServer::start().await;
        let menshen = start_menshen(&server, lines).await;
        let mut browser = Browser::new(&menshen);
        let url = callback_url(&mut browser).await;
        let service = format!(
            "{CALLBACK}?state={}",
            query_parameter(&url, "state").unwrap()
        );
        let ticket = server.proxy_ticket(&service, proxy);
        let page = browser.follow(&format!("{service}&ticket={ticket}")).await;
        assert_refused(&menshen, &page, Cause::InvalidProviderResponse, reason);
        assert!(!is_signed_in(&mut browser).await, "{proxy}");
        let asked = usize::from(!lines.is_empty());
        assert_eq!(server.validations().len(), asked, "{lines}");
        assert_signed_in(&sign_in(&menshen).await.1, "zhangsan", "without a proxy");
    }
    let server = CasServer::start().await;
    let menshen = start_menshen(&server, &listed).await;
    let mut browser = Browser::new(&menshen);
    let url = callback_url(&mut browser).await;
    let service = format!(
        "{CALLBACK}?state={}",
        query_parameter(&url, "state").unwrap()
    );
    let ticket = server.proxy_ticket(&service, PROXY);
    let page = browser.follow(&format!("{service}&ticket={ticket}")).await;
    assert_signed_in(&page, "zhangsan", "a listed proxy");
}

#[tokio::test]
async fn a_proxy_in_the_answer_counts_as_one_even_if_none_are_allowed() {
    let server = CasServer::start().await;
    let menshen = start_menshen(&server, "").await;
    let proxies = format!("<cas:proxies><cas:proxy>{PROXY}</cas:proxy></cas:proxies>");
    server.state().attributes = proxies;
    let (_, page) = sign_in(&menshen).await;
    assert_refused(
        &menshen,
        &page,
        Cause::InvalidProviderResponse,
        "does not list",
    );
    server.state().attributes = "<cas:proxies/>".to_owned();
    assert_signed_in(&sign_in(&menshen).await.1, "zhangsan", "an empty list");
}
