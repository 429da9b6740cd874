//! Directories that lie, are slow, or break off: nobody is signed in, and nobody's password was wrong.

use super::{
    LINES, PASSWORD, assert_signed_in, assert_unchecked, assert_wrong, attempt, has_session, start,
    start_at,
};
use crate::ldap_directory::encoding::{
    element, entry, message, notice, number, referral, result, search_done, text,
};
use crate::ldap_directory::{Fault, LdapServer, On, Person};
use crate::setup::Menshen;

/// Makes an answer from the message ID and the honest answer.
type Lie = fn(i32, Vec<u8>) -> Vec<u8>;

/// Answers that end the connection, each with a part of its reason in the log.
const LIES: &[(&str, Lie, &str)] = &[
    (
        "text",
        |_, _| b"HTTP/1.1 400 Bad Request\r\n\r\n".to_vec(),
        "malformed",
    ),
    ("zeros", |_, _| vec![0; 64], "malformed"),
    (
        "an indefinite length",
        |_, _| vec![0x30, 0x80, 2, 1, 1, 0, 0],
        "indefinite length",
    ),
    (
        "a length of five bytes",
        |_, _| vec![0x30, 0x85, 0, 0, 0, 0, 1, 0],
        "more than four bytes",
    ),
    (
        "a long tag",
        |_, _| vec![0x3f, 0x81, 0x01, 0],
        "a tag of several bytes",
    ),
    ("an empty message", |_, _| vec![0x30, 0], "cut off"),
    (
        "a message without an operation",
        |id, _| element(0x30, &[&number(2, id)]),
        "cut off",
    ),
    (
        "an element longer than its message",
        |id, _| element(0x30, &[&number(2, id), &[0x61, 0x7f, 0x0a]]),
        "cut off",
    ),
    (
        "bytes after the controls",
        |id, honest| {
            let (_, content, _) = super::encoding::split(&honest).unwrap();
            let _ = id;
            element(0x30, &[content, &text("more")])
        },
        "after the last element",
    ),
    (
        "a message ID of eight bytes",
        |_, _| element(0x30, &[&element(2, &[&[1; 8]]), &result(0x61, 0, "")]),
        "a number that is empty or too large",
    ),
    (
        "deep nesting",
        |id, _| {
            let mut deep = Vec::new();
            for _ in 0..2000 {
                deep = element(0x30, &[&deep]);
            }
            message(id, &deep, &[])
        },
        "another type than expected",
    ),
    (
        "the answer to another request",
        |id, honest| {
            let mut honest = honest;
            let at = honest.iter().position(|byte| *byte == 2).unwrap();
            honest[at + 2..at + 6].copy_from_slice(&(id + 1).to_be_bytes());
            honest
        },
        "message ID of another request",
    ),
    ("a notice", |_, _| notice(), "notice"),
    (
        "a notice before the answer",
        |_, honest| [notice(), honest].concat(),
        "notice",
    ),
    (
        "an answer of another type",
        |id, _| message(id, &result(0x6b, 0, ""), &[]),
        "type",
    ),
    (
        "a referral",
        |id, honest| {
            let (_, content, _) = super::encoding::split(&honest).unwrap();
            let is_bind = super::encoding::elements(content)[1].0 == 0x61;
            referral(
                id,
                if is_bind { 0x61 } else { 0x65 },
                "ldap://evil.test/dc=corp",
            )
        },
        "ldap://evil.test/dc=corp",
    ),
    (
        "a megabyte",
        |_, _| vec![0x30, 0x84, 0x00, 0x10, 0x00, 0x01],
        "more than 1048576 bytes",
    ),
    (
        "four gigabytes",
        |_, _| vec![0x30, 0x84, 0xff, 0xff, 0xff, 0xff],
        "more than 1048576 bytes",
    ),
];

#[tokio::test]
async fn no_malformed_answer_signs_in_anybody() {
    let (menshen, server) = start().await;
    for on in [On::ServiceBind, On::Search, On::PersonBind] {
        for (what, lie, reason) in LIES {
            // No connection of the service account is left.
            server.close_connections().await;
            server.instead(on, lie);
            let (answer, browser) = attempt(&menshen, "zhangsan", PASSWORD).await;
            assert_eq!(answer.status, 503, "{on:?}, {what}: {}", answer.text());
            assert!(!has_session(&browser), "{on:?}, {what}");
            let last = menshen.audit().last().unwrap().to_string();
            assert!(last.contains(reason), "{on:?}, {what}: {last}");
            server.without_faults();
        }
    }
    assert_signed_in(&menshen, "zhangsan", PASSWORD).await;
}

#[tokio::test]
async fn a_connection_that_breaks_off_is_nobodys_wrong_password() {
    let (menshen, server) = start().await;
    for on in [On::ServiceBind, On::Search, On::PersonBind] {
        server.close_connections().await;
        server.fault(on, Fault::Drop);
        assert_unchecked(&menshen, "closed the connection").await;
        server.without_faults();
    }
    assert_signed_in(&menshen, "zhangsan", PASSWORD).await;
}

#[tokio::test]
async fn a_directory_that_does_not_answer_is_given_up() {
    let server = LdapServer::start().await.unwrap();
    server.add(Person::new("zhangsan", PASSWORD));
    let menshen = start_at(&server, &format!("{LINES}timeout = '300ms'\n")).await;
    for on in [On::ServiceBind, On::Search, On::PersonBind] {
        server.close_connections().await;
        server.fault(on, Fault::Hang);
        assert_unchecked(&menshen, "in time").await;
        // An answer that stops in its middle.
        server.close_connections().await;
        server.instead(on, |_, honest| honest[..honest.len() - 1].to_vec());
        assert_unchecked(&menshen, "in time").await;
        server.without_faults();
    }
    server.close_connections().await;
}

/// Answers a search with these bytes, and everything else honestly.
async fn answer_search(
    server: &LdapServer,
    change: impl Fn(i32, Vec<u8>) -> Vec<u8> + Send + Sync + 'static,
) {
    server.close_connections().await;
    server.instead(On::Search, change);
}

fn person_entry(id: i32, dn: &str) -> Vec<u8> {
    let attributes = [
        ("uid".to_owned(), vec![b"zhangsan".to_vec()]),
        ("entryUUID".to_owned(), vec![b"id-of-zhangsan".to_vec()]),
    ];
    entry(id, dn, &attributes)
}

#[tokio::test]
async fn a_reference_beside_the_entry_is_ignored() {
    let (menshen, server) = start().await;
    let reference = |id| message(id, &element(0x73, &[&text("ldap://evil.test/dc=x")]), &[]);
    answer_search(&server, move |id, honest| [reference(id), honest].concat()).await;
    assert_signed_in(&menshen, "zhangsan", PASSWORD).await;
    answer_search(&server, move |id, _| {
        let dn = "uid=zhangsan,ou=people,dc=corp";
        [person_entry(id, dn), reference(id), search_done(id, 0, "")].concat()
    })
    .await;
    assert_signed_in(&menshen, "zhangsan", PASSWORD).await;
    // A reference alone is nobody.
    answer_search(&server, move |id, _| {
        [reference(id), search_done(id, 0, "")].concat()
    })
    .await;
    assert_wrong(&menshen, "zhangsan", PASSWORD, "nobody who may sign in").await;
}

#[tokio::test]
async fn an_entry_without_a_dn_is_not_bound_to() {
    let (menshen, server) = start().await;
    for dn in ["", " ", "zhangsan", "uid=", ",dc=corp"] {
        answer_search(&server, move |id, _| {
            [person_entry(id, dn), search_done(id, 0, "")].concat()
        })
        .await;
        server.clear();
        let (answer, browser) = attempt(&menshen, "zhangsan", PASSWORD).await;
        assert_eq!(answer.status, 400, "{dn:?}");
        assert!(!has_session(&browser));
        let names = server.bound_names();
        assert!(
            names.iter().all(|name| name == super::SERVICE_DN),
            "{names:?}"
        );
    }
}

async fn assert_search_is_malformed(menshen: &Menshen, server: &LdapServer, operation: Vec<u8>) {
    answer_search(server, move |id, _| {
        [message(id, &operation, &[]), search_done(id, 0, "")].concat()
    })
    .await;
    assert_unchecked(menshen, "malformed").await;
}

#[tokio::test]
async fn a_malformed_entry_is_not_read() {
    let (menshen, server) = start().await;
    let list =
        |attributes: &[u8]| element(0x64, &[&text("uid=a,dc=b"), &element(0x30, &[attributes])]);
    for operation in [
        element(0x64, &[]),
        element(0x64, &[&text("uid=a,dc=b")]),
        element(0x64, &[&element(4, &[&[0xff, 0xfe]]), &element(0x30, &[])]),
        element(0x64, &[&text("uid=a,dc=b"), &element(0x31, &[])]),
        list(&text("uid")),
        list(&element(0x30, &[&text("uid")])),
        list(&element(0x30, &[&text("uid"), &text("zhangsan")])),
        list(&element(
            0x30,
            &[&text("uid"), &element(0x31, &[&number(2, 1)])],
        )),
        list(&[0x30, 0x7f, 1]),
    ] {
        assert_search_is_malformed(&menshen, &server, operation).await;
    }
}

#[tokio::test]
async fn all_messages_of_an_answer_together_are_bounded() {
    let (menshen, server) = start().await;
    answer_search(&server, |id, honest| {
        let photo = [("jpegPhoto".to_owned(), vec![vec![b'x'; 60_000]])];
        let one = entry(id, "cn=x,dc=corp", &photo);
        [one.repeat(18), honest].concat()
    })
    .await;
    assert_unchecked(&menshen, "more than 1048576 bytes").await;
    // An entry just below the limit is read.
    answer_search(&server, |id, _| {
        let attributes = [
            ("uid".to_owned(), vec![b"zhangsan".to_vec()]),
            ("entryUUID".to_owned(), vec![b"x".to_vec()]),
            ("cn".to_owned(), vec![vec![b'x'; 1_000_000]]),
        ];
        let dn = "uid=zhangsan,ou=people,dc=corp";
        [entry(id, dn, &attributes), search_done(id, 0, "")].concat()
    })
    .await;
    let (answer, _) = attempt(&menshen, "zhangsan", PASSWORD).await;
    assert_ne!(answer.status, 503, "{}", answer.text());
}
