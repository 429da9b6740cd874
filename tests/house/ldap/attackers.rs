//! Logins that are made to change a filter or a DN.

use super::{
    LINES, PASSWORD, SERVICE_DN, assert_signed_in, assert_wrong, attempt, encoding, has_session,
    start, start_at,
};
use crate::ldap_directory::{LdapServer, On, Person, Received};
use crate::setup::SSO_URL;

const TRICKS: [&str; 12] = [
    "*",
    "zhang*",
    "zhangsan)(uid=*",
    "zhangsan))(|(uid=*",
    "*)(objectClass=*",
    "\\2a",
    "zhangsan,ou=people",
    "zhangsan+uid=lisi",
    "zhangsan\\",
    "\"zhangsan\"",
    "#7a68616e6773616e",
    "lisi;uid=zhangsan",
];

#[tokio::test]
async fn no_character_of_a_login_has_a_meaning_in_a_filter() {
    let (menshen, server) = start().await;
    for login in TRICKS {
        assert_wrong(&menshen, login, PASSWORD, "nobody who may sign in").await;
        let mut filters = server.received().into_iter().filter_map(|one| match one {
            Received::Search { filter, .. } => Some(filter),
            _ => None,
        });
        let last = filters.next_back().unwrap();
        // The login is one value, byte for byte.
        let mut expected = vec![4, login.len() as u8];
        expected.extend_from_slice(login.as_bytes());
        assert!(last.ends_with(&expected), "{login}");
    }
    // The same logins work for the people who have them.
    for login in TRICKS {
        let dn = "uid=odd,ou=people,dc=corp";
        let person = Person::new("odd", PASSWORD).dn(dn).with("uid", &[login]);
        server.replace(
            dn,
            Some(person.with("entryUUID", &[&format!("id {login}")])),
        );
        assert_signed_in(&menshen, login, PASSWORD).await;
    }
}

#[tokio::test]
async fn names_in_chinese_sign_in() {
    let (menshen, server) = start().await;
    let person = Person::new("张三", "密码 ü")
        .dn("uid=张三,ou=people,dc=corp")
        .with("displayName", &["张三丰"]);
    server.add(person);
    assert_signed_in(&menshen, "张三", "密码 ü").await;
    assert_wrong(&menshen, "张四", "密码 ü", "nobody who may sign in").await;
}

#[tokio::test]
async fn no_character_of_a_login_has_a_meaning_in_a_dn() {
    let server = LdapServer::start().await.unwrap();
    server.add(Person::new("zhangsan", PASSWORD));
    let lines = "base = 'ou=people,dc=corp'\nbind_as = 'uid={login},ou=people,dc=corp'\n";
    let menshen = start_at(&server, lines).await;
    for (login, escaped) in [
        ("zhangsan,ou=people", "zhangsan\\,ou\\=people"),
        ("zhangsan+uid=lisi", "zhangsan\\+uid\\=lisi"),
        ("zhangsan\\", "zhangsan\\\\"),
        ("\"zhangsan\"", "\\\"zhangsan\\\""),
        ("#7a", "\\#7a"),
        ("a;b<c>", "a\\;b\\<c\\>"),
        ("*", "*"),
        ("张三", "张三"),
    ] {
        server.clear();
        assert_wrong(&menshen, login, PASSWORD, "the password is wrong").await;
        let expected = format!("uid={escaped},ou=people,dc=corp");
        assert_eq!(server.bound_names(), [expected]);
    }
    server.clear();
    assert_signed_in(&menshen, "zhangsan", PASSWORD).await;
    // Nothing is searched before the bind, and nobody else binds.
    let received = server.received();
    assert!(matches!(received[0], Received::Bind { .. }), "{received:?}");
    assert!(!server.bound_names().contains(&SERVICE_DN.to_owned()));
}

#[tokio::test]
async fn a_login_cannot_leave_the_domain_of_bind_as() {
    let server = LdapServer::start().await.unwrap();
    let person = Person::new("zhangsan", PASSWORD)
        .with("userPrincipalName", &["zhangsan@corp.example"])
        .with("sAMAccountName", &["zhangsan"]);
    server.add(person);
    let lines = "base = 'ou=people,dc=corp'\nbind_as = '{login}@corp.example'\n\
                 login_attributes = ['sAMAccountName']\n";
    let menshen = start_at(&server, lines).await;
    for login in [
        "zhangsan@other.example",
        "OTHER\\zhangsan",
        "other/zhangsan",
        "a\"b",
    ] {
        assert_wrong(&menshen, login, PASSWORD, "cannot be a part of the name").await;
    }
    assert_eq!(server.connections(), 0);
    assert_wrong(&menshen, "zhangsan", "x", "the password is wrong").await;
    assert_signed_in(&menshen, "zhangsan", PASSWORD).await;
    let dn = "uid=zhangsan,ou=people,dc=corp";
    let name = "zhangsan@corp.example";
    assert_eq!(server.bound_names(), [name, name, dn]);
}

#[tokio::test]
async fn a_person_who_binds_but_does_not_match_the_filter_is_not_signed_in() {
    let server = LdapServer::start().await.unwrap();
    server.add(Person::new("zhangsan", PASSWORD));
    let lines = "base = 'ou=people,dc=corp'\nbind_as = 'uid={login},ou=people,dc=corp'\n\
                 filter = '(employeeType=staff)'\n";
    let menshen = start_at(&server, lines).await;
    assert_wrong(&menshen, "zhangsan", PASSWORD, "nobody who may sign in").await;
    let dn = "uid=zhangsan,ou=people,dc=corp";
    let person = Person::new("zhangsan", PASSWORD).with("employeeType", &["staff"]);
    server.replace(dn, Some(person));
    assert_signed_in(&menshen, "zhangsan", PASSWORD).await;
}

#[tokio::test]
async fn two_entries_with_one_login_are_refused_and_named_in_the_log() {
    let (menshen, server) = start().await;
    for dn in [
        "uid=a,ou=x,ou=people,dc=corp",
        "uid=b,ou=y,ou=people,dc=corp",
    ] {
        server.add(Person::new("double", PASSWORD).dn(dn));
    }
    assert_wrong(&menshen, "double", PASSWORD, "uid=a,ou=x,ou=people,dc=corp").await;
    assert_wrong(&menshen, "double", PASSWORD, "uid=b,ou=y,ou=people,dc=corp").await;
    // Neither got the password.
    let names = server.bound_names();
    assert!(
        !names.iter().any(|name| name.starts_with("uid=")),
        "{names:?}"
    );
    // More than two, of which the directory shows two.
    server.add(Person::new("double", PASSWORD).dn("uid=c,ou=people,dc=corp"));
    assert_wrong(&menshen, "double", PASSWORD, "several entries").await;
    // An entry outside the filter does not count.
    server.replace("uid=c,ou=people,dc=corp", None);
    let other = Person::new("double", PASSWORD).with("objectClass", &["device"]);
    server.replace("uid=a,ou=x,ou=people,dc=corp", Some(other));
    assert_signed_in(&menshen, "double", PASSWORD).await;
}

#[tokio::test]
async fn a_login_may_be_any_of_several_attributes_and_the_directory_names_the_person() {
    let server = LdapServer::start().await.unwrap();
    server.add(Person::new("zhangsan", PASSWORD));
    let lines = format!("{LINES}login_attributes = ['uid', 'mail']\n");
    let menshen = start_at(&server, &lines).await;
    for typed in [
        "zhangsan",
        "ZHANGSAN",
        "zhangsan@corp.example",
        " Zhangsan@Corp.example ",
    ] {
        let echo = assert_signed_in(&menshen, typed, PASSWORD).await;
        assert_eq!(echo.echoed("x-forwarded-user"), ["zhangsan"], "{typed}");
    }
}

#[tokio::test]
async fn every_spelling_that_the_directory_accepts_is_the_same_person() {
    let server = LdapServer::start().await.unwrap();
    // The simulated directory does not fold full-width and decomposed letters itself.
    let names = ["zhángsan", "ｚｈáｎｇｓａｎ", "zha\u{301}ngsan"];
    server.add(Person::new("zhángsan", PASSWORD).with("uid", &names));
    let menshen = start_at(&server, LINES).await;
    let mut accounts = std::collections::BTreeSet::new();
    for typed in names {
        let echo = assert_signed_in(&menshen, typed, PASSWORD).await;
        assert_eq!(
            echo.echoed("x-forwarded-user"),
            ["zh%C3%A1ngsan"],
            "{typed}"
        );
        let audit = menshen.audit();
        let login = audit.iter().rfind(|line| line["event"] == "login").unwrap();
        accounts.insert((login["account"].to_string(), login["subject"].to_string()));
    }
    assert_eq!(accounts.len(), 1, "{accounts:?}");
}

#[tokio::test]
async fn people_who_sign_in_at_the_same_moment_are_never_mixed_up() {
    let server = LdapServer::start().await.unwrap();
    for number in 0..10 {
        let password = format!("password {number}");
        server.add(Person::new(&format!("person{number}"), &password));
    }
    let menshen = start_at(&server, LINES).await;
    // Half of them with the password of somebody else.
    let logins = (0..60).map(async |attempt_number| {
        let (person, is_own) = (attempt_number % 10, attempt_number / 10 % 2 == 0);
        let login = format!("person{person}");
        let password = format!("password {}", (person + usize::from(!is_own)) % 10);
        let (answer, mut browser) = attempt(&menshen, &login, &password).await;
        if !is_own {
            assert_eq!(
                (answer.status, has_session(&browser)),
                (401, false),
                "{login}"
            );
            return;
        }
        assert_eq!(answer.status, 303, "{login}: {}", answer.text());
        let echo = browser.visit(&format!("{SSO_URL}/echo")).await;
        assert_eq!(echo.echoed("x-forwarded-user"), [login]);
    });
    futures_util::future::join_all(logins).await;
}

#[tokio::test]
async fn the_password_of_one_person_does_not_open_the_account_of_another_with_a_similar_name() {
    let server = LdapServer::start().await.unwrap();
    // The directory binds 李四 by her address; 张三 has the same name as his account name.
    let person = Person::new("zhangsan", PASSWORD).with("sAMAccountName", &["zhangsan"]);
    server.add(person);
    let other = Person::new("lisi", "other password")
        .with("sAMAccountName", &["lisi"])
        .with("userPrincipalName", &["zhangsan@corp.example"]);
    server.add(other.clone());
    let lines = "base = 'ou=people,dc=corp'\nbind_as = '{login}@corp.example'\n\
                 login_attributes = ['sAMAccountName']\n";
    let menshen = start_at(&server, lines).await;
    let reason = "uid=zhangsan,ou=people,dc=corp: the password is wrong";
    assert_wrong(&menshen, "zhangsan", "other password", reason).await;
    // The same account name in another domain of the forest.
    let dn = "uid=zhangsan,ou=people,dc=other";
    let namesake = Person::new("zhangsan", "other password")
        .dn(dn)
        .with("sAMAccountName", &["zhangsan"])
        .with("userPrincipalName", &["zhangsan@corp.example"]);
    server.replace("uid=lisi,ou=people,dc=corp", Some(namesake));
    assert_wrong(&menshen, "zhangsan", "other password", reason).await;
    // Without the other person the name is his, and his groups are read as himself.
    server.replace(dn, None);
    let dn = "uid=zhangsan,ou=people,dc=corp";
    let own = Person::new("zhangsan", PASSWORD)
        .with("sAMAccountName", &["ZhangSan"])
        .with("userPrincipalName", &["zhangsan@corp.example"]);
    server.replace(dn, Some(own));
    assert_signed_in(&menshen, "zhangsan", PASSWORD).await;
    assert_eq!(server.bound_names().last().unwrap(), dn);
}

#[tokio::test]
async fn an_entry_with_a_dn_that_would_be_an_anonymous_bind_is_refused_with_bind_as() {
    let server = LdapServer::start().await.unwrap();
    let person =
        Person::new("zhangsan", PASSWORD).with("userPrincipalName", &["zhangsan@corp.example"]);
    server.add(person);
    server.instead(On::Search, |id, _| {
        let attributes = [("uid".to_owned(), vec![b"zhangsan".to_vec()])];
        let mut answer = encoding::entry(id, "", &attributes);
        answer.extend(encoding::search_done(id, 0, ""));
        answer
    });
    let lines = "base = 'ou=people,dc=corp'\nbind_as = '{login}@corp.example'\n";
    let menshen = start_at(&server, lines).await;
    let (answer, browser) = attempt(&menshen, "zhangsan", PASSWORD).await;
    assert_eq!(answer.status, 400, "{}", answer.text());
    assert!(!has_session(&browser));
    assert_eq!(server.bound_names(), ["zhangsan@corp.example"]);
}
