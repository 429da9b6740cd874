//! Right and wrong passwords, and what the directory says about accounts.

use std::time::Duration;

use menshen::face::page::Cause;

use super::{
    LINES, PASSWORD, SERVICE_DN, assert_last_reason, assert_signed_in, assert_unchecked,
    assert_wrong, attempt, has_session, setup, start, start_at, tables,
};
use crate::ldap_directory::encoding::{self, controls, password_policy};
use crate::ldap_directory::{LdapServer, On, Person, Received};
use crate::setup::Menshen;

#[tokio::test]
async fn a_right_password_signs_in_and_a_wrong_one_does_not() {
    let (menshen, server) = start().await;
    for wrong in [
        "x",
        "right",
        &PASSWORD.to_uppercase(),
        &format!("{PASSWORD} "),
    ] {
        assert_wrong(&menshen, "zhangsan", wrong, "the password is wrong").await;
    }
    let echo = assert_signed_in(&menshen, "zhangsan", PASSWORD).await;
    assert_eq!(echo.echoed("x-forwarded-user"), ["zhangsan"]);
    assert_wrong(&menshen, "nobody", PASSWORD, "nobody who may sign in").await;
    // The person's password goes only to their own entry.
    for one in server.received() {
        if let Received::Bind { name, password, .. } = one
            && password == PASSWORD
        {
            assert_eq!(name, "uid=zhangsan,ou=people,dc=corp");
        }
    }
}

#[tokio::test]
async fn after_too_many_wrong_passwords_the_directory_is_not_asked() {
    let server = LdapServer::start().await.unwrap();
    server.add(Person::new("zhangsan", PASSWORD));
    server.add(Person::new("lisi", PASSWORD));
    let ldap = format!("url = '{}'\nstart_tls = false\n{LINES}", server.url());
    let tables = tables("", &ldap).replace("per_login = 1000", "per_login = 2");
    let menshen = setup(&tables).start().await;
    for login in ["zhangsan", "ZhangSan"] {
        assert_wrong(&menshen, login, "x", "the password is wrong").await;
    }
    server.clear();
    let (answer, browser) = attempt(&menshen, "zhangsan", PASSWORD).await;
    assert_eq!(answer.status, 429, "{}", answer.text());
    assert!(!has_session(&browser));
    assert_eq!(server.received(), [], "the directory is not asked");
    assert_signed_in(&menshen, "lisi", PASSWORD).await;
}

/// Starts menshen with the limits of wrong passwords that it has by itself.
async fn start_with_limits(server: &LdapServer, lines: &str) -> Menshen {
    let ldap = format!("url = '{}'\nstart_tls = false\n{lines}", server.url());
    let tables = tables("", &ldap).replace("per_login = 1000", "per_login = 10");
    setup(&tables).start().await
}

const SPELLINGS: [&str; 4] = [
    "zhangsan",
    "ZHANGSAN",
    "ｚｈａｎｇｓａｎ",
    "zhangsan@corp.example",
];

#[tokio::test]
async fn ten_wrong_passwords_for_one_person_are_enough_whatever_name_was_typed() {
    let server = LdapServer::start().await.unwrap();
    // The simulated directory does not fold full-width characters itself.
    let names = ["zhangsan", "ｚｈａｎｇｓａｎ"];
    server.add(Person::new("zhangsan", PASSWORD).with("uid", &names));
    server.add(Person::new("lisi", PASSWORD));
    let lines = format!("{LINES}login_attributes = ['uid', 'mail']\n");
    let menshen = start_with_limits(&server, &lines).await;
    for attempt in 0..10 {
        let login = SPELLINGS[attempt % SPELLINGS.len()];
        assert_wrong(&menshen, login, "x", "the password is wrong").await;
    }
    // The right password does not count either, and the page does not tell that the person exists.
    let (unknown, _) = attempt(&menshen, "nobody", PASSWORD).await;
    for login in SPELLINGS {
        server.clear();
        assert_wrong(&menshen, login, PASSWORD, "too many wrong passwords").await;
        let names = server.bound_names();
        assert!(
            !names.iter().any(|name| name.starts_with("uid=zhangsan")),
            "{names:?}"
        );
        // As many binds as for somebody who does not exist.
        assert_eq!(names.len(), 1, "{login}");
        let (answer, _) = attempt(&menshen, login, PASSWORD).await;
        assert_eq!(answer.status, unknown.status, "{login}");
        assert_eq!(answer.headers.len(), unknown.headers.len(), "{login}");
    }
    assert_signed_in(&menshen, "lisi", PASSWORD).await;
    menshen.advance(Duration::from_secs(300));
    assert_signed_in(&menshen, "zhangsan", PASSWORD).await;
}

#[tokio::test]
async fn with_bind_as_all_spellings_of_a_name_count_together() {
    for bind_as in ["{login}@corp.example", "uid={login},ou=people,dc=corp"] {
        let server = LdapServer::start().await.unwrap();
        server.add(Person::new("zhangsan", PASSWORD));
        let lines = format!("base = 'ou=people,dc=corp'\nbind_as = '{bind_as}'\n");
        let menshen = start_with_limits(&server, &lines).await;
        for attempt in 0..10 {
            let login = ["zhangsan", "ｚｈａｎｇｓａｎ", "ZhángSan"][attempt % 3];
            assert_wrong(&menshen, login, "x", "the password is wrong").await;
        }
        server.clear();
        for login in ["zhangsan", "zhangsàn"] {
            assert_wrong(&menshen, login, PASSWORD, "too many wrong passwords").await;
        }
        assert_eq!(server.received(), [], "{bind_as}");
        assert_wrong(&menshen, "lisi", "x", "the password is wrong").await;
    }
}

/// What the directory had to do for a login.
fn work(server: &LdapServer) -> Vec<&'static str> {
    let received = server.received().into_iter();
    // The end of a connection may arrive later.
    let kinds = received.filter_map(|one| match one {
        Received::Bind { .. } => Some("bind"),
        Received::Search { .. } => Some("search"),
        Received::StartTls => Some("StartTLS"),
        Received::Unbind => None,
    });
    kinds.collect()
}

#[tokio::test]
async fn an_unknown_login_costs_a_bind_like_a_known_one_and_gets_the_same_page() {
    let server = LdapServer::start().await.unwrap();
    server.add(Person::new("zhangsan", PASSWORD));
    server.add(Person::new("locked", PASSWORD).bind_answer(49, "x", password_policy(1)));
    let bind_as = "base = 'ou=people,dc=corp'\nbind_as = 'uid={login},ou=people,dc=corp'\n";
    for (lines, unknown, expected_work) in [
        (LINES, "nobody who may sign in", &["search", "bind"][..]),
        (bind_as, "the password is wrong", &["bind"]),
    ] {
        let menshen = start_at(&server, lines).await;
        // The first search opens the connection of the service account.
        assert_wrong(&menshen, "zhangsan", "x", "the password is wrong").await;
        let mut pages = Vec::new();
        for (login, password, reason) in [
            ("zhangsan", "x", "the password is wrong"),
            ("nobodyxx", "x", unknown),
            ("locked", PASSWORD, "the account is locked"),
        ] {
            server.clear();
            let before = server.connections();
            let (answer, _) = attempt(&menshen, login, password).await;
            assert_last_reason(&menshen, reason);
            assert_eq!(answer.status, 401);
            assert_eq!(server.connections(), before + 1, "{login}");
            assert_eq!(work(&server), expected_work, "{login}");
            let text = answer.text().replace(login, "LOGIN");
            let words = text.split(|c: char| !c.is_ascii_alphanumeric());
            // Request IDs and flows differ.
            let words: Vec<_> = words.filter(|word| word.len() < 22).collect();
            pages.push((words.join(" "), answer.headers.len()));
        }
        assert_eq!(pages[0], pages[1]);
        assert_eq!(pages[0], pages[2]);
    }
}

#[tokio::test]
async fn the_bind_for_an_unknown_login_carries_no_password_of_a_person() {
    let (menshen, server) = start().await;
    assert_wrong(&menshen, "nobody", PASSWORD, "nobody who may sign in").await;
    let received = server.received();
    let has_password =
        |one: &Received| matches!(one, Received::Bind { password, .. } if password == PASSWORD);
    assert!(!received.iter().any(has_password), "{received:?}");
}

#[tokio::test]
async fn the_clock_does_not_tell_which_logins_exist() {
    let (menshen, server) = start().await;
    let now = || menshen.clock.now();
    let dn = "uid=zhangsan,ou=people,dc=corp";
    let refused = Person::new("zhangsan", PASSWORD).bind_answer(49, "slow hash", Vec::new());
    server.replace(dn, Some(refused));
    // The directory needs a while for people who exist, and none for others.
    for hash_ms in [0, 1, 400, 999] {
        let clock = menshen.clock.clone();
        server.instead(On::PersonBind, move |_, honest| {
            if honest.windows(9).any(|window| window == b"slow hash") {
                clock.advance(Duration::from_millis(hash_ms));
            }
            honest
        });
        let mut took = Vec::new();
        for login in ["zhangsan", "nobody"] {
            let before = now();
            let (answer, _) = attempt(&menshen, login, PASSWORD).await;
            assert_eq!(answer.status, 401, "{login}");
            took.push(now().since(before));
        }
        assert_eq!(took, [Duration::from_secs(1); 2], "{hash_ms}");
    }
    // A right password waits for nothing.
    server.without_faults();
    server.replace(dn, Some(Person::new("zhangsan", PASSWORD)));
    let before = now();
    assert_signed_in(&menshen, "zhangsan", PASSWORD).await;
    assert_eq!(now(), before);
}

#[tokio::test]
async fn a_directory_that_checks_no_passwords_answers_the_same_for_an_unknown_login() {
    let (menshen, server) = start().await;
    for code in [1, 7, 8, 13, 51, 52, 80] {
        server.instead(On::PersonBind, move |id, _| {
            let answer = encoding::result(0x61, code, "no");
            encoding::message(id, &answer, &[])
        });
        for login in ["zhangsan", "nobody"] {
            let (answer, browser) = attempt(&menshen, login, PASSWORD).await;
            assert_eq!(answer.status, 503, "{code} {login}");
            assert!(answer.header("retry-after").is_some(), "{code} {login}");
            assert!(!has_session(&browser), "{code} {login}");
            assert_last_reason(&menshen, &format!("result {code}"));
        }
    }
    // An account that nobody has is nobody, even if the directory accepts it.
    server.instead(On::PersonBind, |id, _| {
        encoding::message(id, &encoding::result(0x61, 0, ""), &[])
    });
    assert_wrong(&menshen, "nobody", PASSWORD, "nobody who may sign in").await;
}

#[tokio::test]
async fn an_empty_or_oversized_password_never_reaches_the_directory() {
    let (menshen, server) = start().await;
    for (login, password) in [
        ("zhangsan", ""),
        ("", PASSWORD),
        ("  ", PASSWORD),
        ("zhangsan", "a\0b"),
        ("zhang\0san", PASSWORD),
        (&*"l".repeat(257), PASSWORD),
        ("zhangsan", &*"p".repeat(1025)),
    ] {
        let (answer, browser) = attempt(&menshen, login, password).await;
        assert!(matches!(answer.status, 400 | 401), "{login:?} {password:?}");
        assert!(!has_session(&browser));
    }
    assert_eq!(server.connections(), 0);
    // The directory accepts an empty password, as old ones do.
    assert_signed_in(&menshen, "zhangsan", PASSWORD).await;
}

#[tokio::test]
async fn a_password_is_sent_as_typed() {
    let (menshen, server) = start().await;
    for password in [
        " x ",
        "密码",
        "a+b&c=d%20",
        "é\u{301}",
        "\t",
        &*"p".repeat(1024),
    ] {
        server.replace(
            "uid=zhangsan,ou=people,dc=corp",
            Some(Person::new("zhangsan", password)),
        );
        assert_signed_in(&menshen, " zhangsan ", password).await;
    }
}

#[tokio::test]
async fn what_the_password_policy_says_decides() {
    let (menshen, server) = start().await;
    let dn = "uid=zhangsan,ou=people,dc=corp";
    let netscape = || controls("2.16.840.1.113730.3.4.4", b"0");
    for (code, controls, status, cause) in [
        (0, password_policy(2), 403, Some(Cause::PasswordExpired)),
        (0, password_policy(0), 403, Some(Cause::PasswordExpired)),
        (0, netscape(), 403, Some(Cause::PasswordExpired)),
        (49, password_policy(0), 403, Some(Cause::PasswordExpired)),
        (49, password_policy(2), 403, Some(Cause::PasswordExpired)),
        (49, netscape(), 403, Some(Cause::PasswordExpired)),
        (49, password_policy(1), 401, None),
        (0, password_policy(1), 401, None),
        (49, password_policy(5), 401, None),
    ] {
        let person = Person::new("zhangsan", PASSWORD).bind_answer(code, "", controls);
        server.replace(dn, Some(person));
        let (answer, browser) = attempt(&menshen, "zhangsan", PASSWORD).await;
        assert_eq!(answer.status, status, "{code}: {}", answer.text());
        assert!(
            cause.is_none() || answer.cause() == cause,
            "{}",
            answer.text()
        );
        assert!(!has_session(&browser));
        // Nothing of it is told to somebody without the password.
        assert_wrong(&menshen, "zhangsan", "x", "the password is wrong").await;
    }
    // A warning, and an empty response, let the person in.
    for value in [&b"\x30\x05\xa0\x03\x80\x01\x0a"[..], b"\x30\x00", b""] {
        let controls = controls("1.3.6.1.4.1.42.2.27.8.5.1", value);
        let person = Person::new("zhangsan", PASSWORD).bind_answer(0, "", controls);
        server.replace(dn, Some(person));
        assert_signed_in(&menshen, "zhangsan", PASSWORD).await;
    }
}

#[tokio::test]
async fn the_reasons_of_active_directory_are_understood() {
    let (menshen, server) = start().await;
    let dn = "uid=zhangsan,ou=people,dc=corp";
    for (data, status, cause, reason) in [
        ("52e", 401, None, "the password is wrong"),
        ("775", 401, None, "the account is locked"),
        ("532", 403, Some(Cause::PasswordExpired), "has expired"),
        ("773", 403, Some(Cause::PasswordExpired), "must be changed"),
        ("533", 403, Some(Cause::InactiveMember), "is disabled"),
        (
            "701",
            403,
            Some(Cause::InactiveMember),
            "account has expired",
        ),
    ] {
        let text = format!(
            "80090308: LdapErr: DSID-0C09042A, comment: AcceptSecurityContext error, data {data}, v4563"
        );
        let person = Person::new("zhangsan", PASSWORD).bind_answer(49, &text, Vec::new());
        server.replace(dn, Some(person));
        let (answer, browser) = attempt(&menshen, "zhangsan", PASSWORD).await;
        assert_eq!(answer.status, status, "{data}: {}", answer.text());
        assert!(cause.is_none() || answer.cause() == cause, "{data}");
        assert!(!answer.text().contains("DSID"), "{data}");
        assert!(!has_session(&browser));
        assert_last_reason(&menshen, reason);
    }
}

#[tokio::test]
async fn a_disabled_person_is_refused_even_if_the_directory_accepts_the_password() {
    let server = LdapServer::start().await.unwrap();
    let bind_as = "base = 'ou=people,dc=corp'\nbind_as = 'uid={login},ou=people,dc=corp'\n";
    for lines in [LINES, bind_as] {
        let menshen = start_at(&server, lines).await;
        for (name, on, off) in [
            ("nsAccountLock", "false", "TRUE"),
            ("userAccountControl", "512", "514"),
            ("pwdAccountLockedTime", "20200101000000Z", "000001010000Z"),
        ] {
            let person = |value: &str| Person::new("zhangsan", PASSWORD).with(name, &[value]);
            let dn = "uid=zhangsan,ou=people,dc=corp";
            server.replace(dn, Some(person(off)));
            let (answer, browser) = attempt(&menshen, "zhangsan", PASSWORD).await;
            assert_eq!(answer.cause(), Some(Cause::InactiveMember), "{name}");
            assert_eq!(
                (answer.status, has_session(&browser)),
                (403, false),
                "{name}"
            );
            assert_last_reason(&menshen, "is disabled");
            // Nothing of it is told to somebody without the password.
            assert_wrong(&menshen, "zhangsan", "x", "the password is wrong").await;
            server.replace(dn, Some(person(on)));
            assert_signed_in(&menshen, "zhangsan", PASSWORD).await;
        }
    }
}

#[tokio::test]
async fn only_result_0_is_a_yes() {
    let (menshen, server) = start().await;
    let dn = "uid=zhangsan,ou=people,dc=corp";
    for (code, status) in [
        (1, 503),
        (2, 503),
        (7, 503),
        (8, 503),
        (13, 503),
        (14, 503),
        (19, 401),
        (32, 401),
        (34, 401),
        (48, 401),
        (50, 503),
        (51, 503),
        (52, 503),
        (53, 401),
        (80, 503),
        (-1, 503),
        (256, 503),
    ] {
        let person = Person::new("zhangsan", PASSWORD).bind_answer(code, "no", Vec::new());
        server.replace(dn, Some(person));
        let (answer, browser) = attempt(&menshen, "zhangsan", PASSWORD).await;
        assert_eq!(answer.status, status, "{code}");
        assert!(!has_session(&browser), "{code}");
        if status == 503 {
            assert!(answer.header("retry-after").is_some(), "{code}");
            assert_last_reason(&menshen, &format!("result {code}"));
        }
    }
    server.replace(dn, Some(Person::new("zhangsan", PASSWORD)));
    assert_signed_in(&menshen, "zhangsan", PASSWORD).await;
}

#[tokio::test]
async fn a_refused_service_account_is_named_in_the_log_and_is_nobodys_wrong_password() {
    let server = LdapServer::start().await.unwrap();
    server.add(Person::new("zhangsan", PASSWORD));
    let lines = LINES.replace("hunter2-of-the-gate", "hunter3");
    let menshen = start_at(&server, &lines).await;
    assert_unchecked(&menshen, "refuses bind_dn").await;
    assert_last_reason(&menshen, SERVICE_DN);
    assert!(
        !menshen
            .audit()
            .last()
            .unwrap()
            .to_string()
            .contains("hunter3")
    );
    let received = server.received();
    assert!(
        !received
            .iter()
            .any(|one| matches!(one, Received::Search { .. }))
    );
    assert_eq!(server.bound_names(), [SERVICE_DN]);
}

#[tokio::test]
async fn a_search_that_is_refused_is_nobodys_wrong_password() {
    let (menshen, server) = start().await;
    for (code, reason) in [
        (50, "result 50"),
        (51, "result 51"),
        (52, "result 52"),
        (3, "result 3"),
        (1, "result 1"),
    ] {
        server.instead(On::Search, move |id, _| {
            super::encoding::search_done(id, code, "busy")
        });
        assert_unchecked(&menshen, reason).await;
    }
    server.without_faults();
    assert_signed_in(&menshen, "zhangsan", PASSWORD).await;
}
