//! No secret, code, ticket or answer is logged or shown.

use super::portal::{Portal, SECRET};
use super::{ID, log_in, setup};
use crate::browser::Browser;
use crate::logging_in::OWN_PAGES;
use crate::records::Records;

#[tokio::test]
async fn no_secret_and_no_answer_is_logged_or_shown() {
    let log = Records::process_log();
    let portal = Portal::start().await;
    let lines = "entry = 'ticket'\norigins = ['https://portal.test']";
    let menshen = setup(&portal.code_toml(lines)).access_log().start().await;
    let (browser, page) = log_in(&menshen).await;
    assert_eq!(page.answer.status, 200, "{}", page.answer.text());
    let mut pages = vec![page.answer.text()];
    let answer = format!("{{\"return_code\":1,\"return_msg\":\"{SECRET} answer-of-the-portal\"}}");
    for (path, status, body) in [
        ("/token", 200, answer.as_str()),
        ("/token", 400, answer.as_str()),
        ("/user", 200, answer.as_str()),
        ("/user", 500, answer.as_str()),
        ("/user", 200, "<html>answer-of-the-portal"),
        (
            "/user",
            200,
            "{\"return_code\":0,\"return_data\":{\"id\":[\"answer-of-the-portal\"]}}",
        ),
    ] {
        portal.respond_with(path, status, "", body);
        menshen.advance(std::time::Duration::from_secs(7_200));
        pages.push(log_in(&menshen).await.1.answer.text());
        portal.state().replaced.clear();
    }
    let url = format!("{OWN_PAGES}/enter/{ID}?ticket={}", portal.ticket());
    let headers = [
        ("Accept", "text/html"),
        ("Sec-Fetch-Mode", "navigate"),
        ("Sec-Fetch-Dest", "document"),
        ("Referer", "https://portal.test/"),
    ];
    let arrival = Browser::new(&menshen)
        .send("GET", &url, &headers, b"")
        .await;
    pages.push(format!("{:?} {}", arrival.headers, arrival.text()));
    menshen.audit();
    let site_debug = format!("{:?}", menshen.running.live().site());
    let outputs = [
        menshen.records.text(),
        log.text(),
        pages.concat(),
        site_debug,
    ];
    let mut hidden = portal.state().issued.clone();
    hidden.extend([SECRET.to_owned(), "answer-of-the-portal".to_owned()]);
    hidden.push(browser.cookie("menshen").unwrap().value.clone());
    assert!(hidden.len() > 10, "{hidden:?}");
    for secret in &hidden {
        for (index, text) in outputs.iter().enumerate() {
            assert!(!text.contains(secret), "{secret} in {index}: {text}");
        }
    }
    assert!(
        outputs[0].contains("`success` is not true"),
        "the reason is logged"
    );
}
