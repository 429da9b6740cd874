//! No secret, token or ticket is logged or shown.

use std::time::Duration;

use super::{CONTEXT_PATH, TOKEN_PATH, ZHANG, advance, scan, setup, start_source};
use crate::browser::Browser;
use crate::logging_in::OWN_PAGES;
use crate::records::Records;
use crate::yunzhijia_source::APP_SECRET;

#[tokio::test]
async fn no_secret_token_or_ticket_is_logged_or_shown() {
    let log = Records::process_log();
    let source = start_source().await;
    let menshen = setup(&source, "").access_log().start().await;
    let (browser, page) = scan(&menshen, ZHANG).await;
    assert_eq!(page.answer.status, 200, "{}", page.answer.text());
    let mut pages = vec![page.answer.text()];
    let ticket = source.issue_ticket(ZHANG);
    let token = source
        .issued()
        .into_iter()
        .find(|it| it.starts_with("token"))
        .unwrap();
    for (path, message) in [
        (CONTEXT_PATH, format!("no {ticket} {token}")),
        (CONTEXT_PATH, format!("accessToken {token} of {APP_SECRET}")),
        (TOKEN_PATH, format!("secret {APP_SECRET} is wrong")),
    ] {
        if path == TOKEN_PATH {
            // A call may have had the token replaced a moment ago.
            advance(&menshen, &source, Duration::from_secs(10));
            source.revoke_tokens();
        }
        source.fail(path, 9, &message, 2);
        let home = format!("{OWN_PAGES}/enter/yzj?ticket={ticket}");
        let answer = Browser::new(&menshen).visit(&home).await;
        pages.push(format!("{:?} {}", answer.headers, answer.text()));
        source.clear_faults();
    }
    menshen.audit();
    let site_debug = format!("{:?}", menshen.running.live().site());
    let outputs = [
        menshen.records.text(),
        log.text(),
        pages.concat(),
        site_debug,
    ];
    let mut hidden = source.issued();
    hidden.push(APP_SECRET.to_owned());
    hidden.push(browser.cookie("menshen").unwrap().value.clone());
    for secret in &hidden {
        for (index, text) in outputs.iter().enumerate() {
            assert!(!text.contains(secret), "{secret} in {index}: {text}");
        }
    }
    assert!(outputs[0].contains("secret … is wrong"));
    assert!(
        outputs[0].contains("no … …"),
        "the reason is logged: {}",
        outputs[0]
    );
}
