//! Tickets of all shapes are looked for wherever a login could leave them, as passwords are.

use menshen::login::connector::AuthnResponse;
use menshen::login::fields::Fields;
use menshen::store::SessionOrigin;

use super::server::{CasServer, NAMESPACE, failure};
use super::{setup, sign_in};
use crate::records::Records;
use crate::seeded_passwords::traces::{assert_no_trace, passwords};
use crate::stores::TempDir;

fn success() -> String {
    format!(
        "<cas:serviceResponse xmlns:cas='{NAMESPACE}'><cas:authenticationSuccess>\
         <cas:user>zhangsan</cas:user></cas:authenticationSuccess></cas:serviceResponse>"
    )
}

#[tokio::test]
async fn no_ticket_of_any_shape_is_in_a_log_a_page_the_store_or_debug() {
    let log = Records::process_log();
    let begun_at = log.text().len();
    let dir = TempDir::new();
    let server = CasServer::start().await;
    let setup = setup(&server, "").store(&dir.url()).access_log();
    let menshen = setup.start().await;
    let mut pages = String::new();
    let mut signed_in = 0;
    for seed in passwords() {
        let ticket = format!("ST-{seed}");
        let refused = failure("INVALID_TICKET", "the ticket is not recognized");
        for answer in [success(), refused, "<not closed".to_owned()] {
            let encoded: String = url::form_urlencoded::byte_serialize(ticket.as_bytes()).collect();
            server
                .state()
                .returns
                .push_back(format!("ticket={encoded}"));
            server.state().answers.clear();
            server.answer_next(&answer);
            let (_, page) = sign_in(&menshen).await;
            signed_in += usize::from(page.answer.status == 200);
            pages.push_str(&page.answer.text());
            pages.push_str(&format!("{:?}\n", page.answer.headers));
        }
        let response = AuthnResponse {
            fields: Fields::new(vec![("ticket".to_owned(), ticket)]),
            client: None,
            origin: SessionOrigin::default(),
            kind: None,
        };
        assert_no_trace("Debug", format!("{response:?}").as_bytes());
    }
    assert!(signed_in > 10, "{signed_in} tickets were accepted");
    let audit = menshen.audit();
    assert!(audit.len() > 100, "every attempt is recorded");
    let debug = format!("{:?} {:?}", menshen.running, menshen.running.live().site());
    let log = log.text().split_off(begun_at);
    for (name, bytes) in [
        ("the records", menshen.records.text().as_bytes()),
        ("the log", log.as_bytes()),
        ("the pages", pages.as_bytes()),
        ("Debug", debug.as_bytes()),
        ("the store", &dir.bytes()),
    ] {
        assert!(bytes.len() > 100, "{name}: nothing");
        assert_no_trace(name, bytes);
    }
}
