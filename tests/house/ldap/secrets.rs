//! Passwords are in no log, no page and no `Debug`.

use super::{LINES, SERVICE_PASSWORD, attempt, start_at};
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
