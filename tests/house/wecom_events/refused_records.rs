//! A record that the database refuses concerns nobody else, and is tried again for a while.

use super::{all_handled, report, setup};
use crate::records::Records;
use crate::sessions::eventually;
use crate::setup::Menshen;
use crate::stores::{Meddler, TempDir};
use crate::test_request::session_cookie_of;
use crate::wecom::ContactChange;

/// Whether the audit log has a change of the fields of a person.
fn is_updated(menshen: &Menshen, login: &str) -> bool {
    let audit = menshen.audit();
    let mut changes = audit.iter().filter(|line| line["event"] == "entitlements");
    changes.any(|line| line["login"] == login)
}

#[tokio::test]
async fn an_event_that_the_store_refuses_delays_no_other_and_is_tried_again() {
    let dir = TempDir::new();
    let menshen = setup().store(&dir.url()).start().await;
    for userid in ["zhangsan", "lisi"] {
        session_cookie_of(&menshen, userid).await;
        menshen
            .wecom
            .member(userid, |one| one.position = "changed".to_owned());
    }
    let log = Records::process_log();
    let mut database = Meddler::at(&dir.url()).await;
    let trigger = "CREATE TRIGGER refuse BEFORE UPDATE ON menshen_identity \
                   WHEN NEW.subject LIKE '%:zhangsan' \
                   BEGIN SELECT RAISE(ABORT, 'refused'); END";
    database.run(trigger).await;
    report(&menshen, ContactChange::UserUpdated("zhangsan")).await;
    eventually("refused", async || {
        let text = log.text();
        text.contains("the store refuses what the source says about a person")
    })
    .await;
    report(&menshen, ContactChange::UserUpdated("lisi")).await;
    eventually("updated", async || is_updated(&menshen, "lisi")).await;
    assert!(!is_updated(&menshen, "zhangsan"));
    database.run("DROP TRIGGER refuse").await;
    all_handled(&menshen).await;
    assert!(is_updated(&menshen, "zhangsan"));
}
