//! No ticket is logged, shown or stored.

use super::server::{CasServer, PROXY, failure};
use super::single_logout::posted;
use super::{CALLBACK, setup, sign_in};
use crate::records::Records;
use crate::stores::TempDir;
use crate::test_request::TestRequest;

/// Servers repeat the ticket in their refusals, also in the format of another version. `TICKET` stands for it.
fn refusals() -> [String; 6] {
    [
        failure(
            "INVALID_SERVICE",
            "the ticket TICKET of CALLBACK is for another service",
        ),
        failure("TICKET", "TICKET"),
        "<TICKET>".to_owned(),
        "no\nTICKET\n".to_owned(),
        "<!DOCTYPE TICKET>".to_owned(),
        format!(
            "<x TICKET='1' TICKET='1'/>{}",
            failure("INVALID_TICKET", "TICKET")
        ),
    ]
}

#[tokio::test]
async fn no_ticket_is_logged_shown_or_stored() {
    let log = Records::process_log();
    let dir = TempDir::new();
    let server = CasServer::start().await;
    let setup = setup(&server, &format!("proxies = ['{PROXY}']"));
    let menshen = setup.store(&dir.url()).access_log().start().await;
    let mut pages = Vec::new();
    let (browser, page) = sign_in(&menshen).await;
    assert_eq!(page.answer.status, 200);
    pages.push(page.answer.text());
    for answer in refusals() {
        let ticket = format!("ST-{}-seeded-in-a-refusal", pages.len());
        server.state().issued.push(ticket.clone());
        server.state().returns.push_back(format!("ticket={ticket}"));
        server.answer_next(&answer.replace("TICKET", &ticket));
        let (_, page) = sign_in(&menshen).await;
        assert_ne!(page.answer.status, 200, "{answer}");
        pages.push(page.answer.text());
    }
    let mut answers = Vec::new();
    for service in [CALLBACK, "https://other.corp.example/"] {
        let ticket = server.proxy_ticket(service, PROXY);
        for accept in ["application/json", "text/html"] {
            let target = format!("/.menshen/callback/portal?ticket={ticket}");
            let answer = TestRequest::get(&target)
                .header("Accept", accept)
                .send(&menshen)
                .await;
            answers.push(answer.status);
            pages.push(answer.text());
        }
    }
    assert_eq!(answers, [200, 400, 400, 400]);
    let ticket = server.state().issued[0].clone();
    let message = format!("logoutRequest=<x>{ticket}</x>");
    let logout = posted("/.menshen/callback/portal", message.as_bytes());
    let answer = logout.send(&menshen).await;
    assert_eq!(answer.status, 400);
    pages.push(answer.text());
    menshen.audit();
    let stored = String::from_utf8_lossy(&dir.bytes()).into_owned();
    assert!(stored.contains("zhangsan"), "the store was written");
    let site_debug = format!("{:?}", menshen.running.live().site());
    let outputs = [
        menshen.records.text(),
        log.text(),
        pages.concat(),
        site_debug,
        stored,
    ];
    let mut hidden = server.state().issued.clone();
    hidden.push(browser.cookie("menshen").unwrap().value.clone());
    assert_hidden(&hidden, &outputs);
    assert!(
        outputs[0].contains("the ticket … of"),
        "the reason is logged"
    );
}

fn assert_hidden(secrets: &[String], outputs: &[String; 5]) {
    let names = ["records", "log", "pages", "debug", "store"];
    for secret in secrets {
        for (name, text) in names.iter().zip(outputs) {
            let at = text.find(secret.as_str());
            let around = at.map(|at| text.get(at.saturating_sub(200)..at).unwrap_or_default());
            assert_eq!(around, None, "{secret} in {name}");
        }
    }
}
