//! Passwords are in no log, no page and no `Debug`.

use super::{LINES, SERVICE_PASSWORD, assert_last_reason, attempt, start_at};
use crate::ldap_directory::encoding::{message, referral, result};
use crate::ldap_directory::{Fault, LdapServer, On, Person};
use crate::logging_in::OWN_PAGES;
use crate::records::Records;

const SEEDED: &str = "seeded-hunter9-密";

#[tokio::test]
async fn no_password_is_logged_at_any_level_or_shown() {
    let log = Records::process_log();
    let server = LdapServer::start().await.unwrap();
    server.add(Person::new("zhangsan", SEEDED));
    let menshen = start_at(&server, LINES).await;
    let mut shown = String::new();
    for (login, on) in [
        ("zhangsan", None),
        ("nobody", None),
        (SEEDED, None),
        ("zhangsan", Some(On::PersonBind)),
        ("zhangsan", Some(On::Search)),
        ("zhangsan", Some(On::ServiceBind)),
    ] {
        server.close_connections().await;
        if let Some(on) = on {
            server.fault(on, Fault::Drop);
        }
        let (answer, mut browser) = attempt(&menshen, login, SEEDED).await;
        if login != SEEDED {
            shown.push_str(&answer.text());
            shown.push_str(&format!("{:?}", answer.headers));
        }
        shown.push_str(&browser.visit(&format!("{OWN_PAGES}/userinfo")).await.text());
        let wrong = format!("{SEEDED}-wrong");
        let (answer, _) = attempt(&menshen, "zhangsan", &wrong).await;
        shown.push_str(&answer.text());
        server.without_faults();
    }
    menshen.audit();
    shown.push_str(&menshen.records.text());
    shown.push_str(&format!("{:?}", menshen.running));
    for secret in ["seeded-hunter9", SERVICE_PASSWORD] {
        assert!(!shown.contains(secret), "{secret}");
        assert!(!log.text().contains(secret), "{secret}");
    }
}

#[tokio::test]
async fn with_bind_as_neither_the_typed_login_nor_the_password_is_logged_at_any_level() {
    let log = Records::process_log();
    // Some people type their password as the user name.
    let typed = "seeded-hunter8-名";
    for bind_as in ["{login}@corp.example", "uid={login},ou=people,dc=corp"] {
        let server = LdapServer::start().await.unwrap();
        let person =
            Person::new("zhangsan", SEEDED).with("userPrincipalName", &["zhangsan@corp.example"]);
        server.add(person);
        let lines = format!("base = 'ou=people,dc=corp'\nbind_as = '{bind_as}'\n");
        let menshen = start_at(&server, &lines).await;
        let mut shown = String::new();
        for on in [None, Some(On::PersonBind), Some(On::Search)] {
            if let Some(on) = on {
                server.fault(on, Fault::Drop);
            }
            attempt(&menshen, typed, SEEDED).await;
            attempt(&menshen, &format!("{typed}\\x"), SEEDED).await;
            for password in [SEEDED, &format!("{SEEDED}-wrong")] {
                let (answer, _) = attempt(&menshen, "zhangsan", password).await;
                shown.push_str(&format!("{:?} {}", answer.headers, answer.text()));
            }
            server.without_faults();
        }
        assert!(server.bound_names().iter().any(|name| name.contains(typed)));
        menshen.audit();
        shown.push_str(&menshen.records.text());
        shown.push_str(&format!("{:?}", menshen.running));
        for secret in ["seeded-hunter8", "seeded-hunter9"] {
            assert!(!shown.contains(secret), "{bind_as} {secret}");
            assert!(!log.text().contains(secret), "{bind_as} {secret}");
        }
    }
}

/// What the directory writes may repeat the password: in the message of a result, in a referral, or in a notice.
#[tokio::test]
async fn a_message_that_repeats_the_password_is_not_logged() {
    let server = LdapServer::start().await.unwrap();
    server.add(Person::new("zhangsan", SEEDED));
    let bind_as = "base = 'ou=people,dc=corp'\nbind_as = 'uid={login},ou=people,dc=corp'\n";
    for lines in [LINES, bind_as] {
        let menshen = start_at(&server, lines).await;
        let text = format!("no {SEEDED} here, data 532, v4563");
        for (code, status) in [(49, 403), (0x35, 401), (1, 503)] {
            let text = text.clone();
            server.instead(On::PersonBind, move |id, _| {
                message(id, &result(0x61, code, &text), &[])
            });
            let (answer, _) = attempt(&menshen, "zhangsan", SEEDED).await;
            assert_eq!(answer.status, status, "{code}: {}", answer.text());
            assert_last_reason(&menshen, "(a message that repeats the password)");
        }
        let url = format!("ldap://elsewhere/{SEEDED}");
        server.instead(On::PersonBind, move |id, _| referral(id, 0x61, &url));
        let (answer, _) = attempt(&menshen, "zhangsan", SEEDED).await;
        assert_eq!(answer.status, 503);
        server.instead(On::PersonBind, move |_, _| {
            message(0, &result(0x78, 52, &text), &[])
        });
        let (answer, _) = attempt(&menshen, "zhangsan", SEEDED).await;
        assert_eq!(answer.status, 503);
        assert_last_reason(&menshen, "(a message that repeats the password)");
        assert!(!menshen.records.text().contains("seeded-hunter9"));
        // Another message is logged as it is.
        server.instead(On::PersonBind, |id, _| {
            message(id, &result(0x61, 1, "out of paper"), &[])
        });
        attempt(&menshen, "zhangsan", SEEDED).await;
        assert_last_reason(&menshen, "out of paper");
        server.without_faults();
    }
    let text = format!("no {SERVICE_PASSWORD} here");
    server.instead(On::ServiceBind, move |id, _| {
        message(id, &result(0x61, 49, &text), &[])
    });
    let menshen = start_at(&server, LINES).await;
    let (answer, _) = attempt(&menshen, "zhangsan", SEEDED).await;
    assert_eq!(answer.status, 503);
    assert_last_reason(&menshen, "refuses bind_dn");
    assert!(!menshen.records.text().contains(SERVICE_PASSWORD));
}
