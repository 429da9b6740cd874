//! What menshen reads of a person's entry.

use menshen::face::page::Cause;

use super::{
    LINES, PASSWORD, SERVICE_DN, assert_last_reason, assert_signed_in, attempt, has_session, start,
    start_at, tables,
};
use crate::ldap_directory::{LdapServer, Person, Received};
use crate::logging_in::OWN_PAGES;
use crate::setup::Menshen;

/// What `/userinfo` says about a person who signs in.
pub(super) async fn userinfo(menshen: &Menshen, login: &str) -> serde_json::Value {
    let (answer, mut browser) = attempt(menshen, login, PASSWORD).await;
    assert_eq!(answer.status, 303, "{login}: {}", answer.text());
    browser.visit(&format!("{OWN_PAGES}/userinfo")).await.json()
}

#[tokio::test]
async fn the_usual_attributes_become_the_usual_fields() {
    let (menshen, server) = start().await;
    let person = Person::new("lisi", PASSWORD)
        .with("displayName", &["李四"])
        .with("cn", &["Li Si", "si"])
        .with("mail", &["lisi@corp.example", "other@corp.example"])
        .with("mobile", &["+86 138"])
        .with("ou", &["财务部", "审计"])
        .with(
            "memberOf",
            &[
                "CN=Admins,OU=groups,DC=corp",
                "cn=R\\26D\\, 研发,dc=corp",
                "nonsense",
            ],
        )
        .with("department", &["not this"]);
    server.add(person);
    let info = userinfo(&menshen, "lisi").await;
    assert_eq!(info["login"], "lisi");
    assert_eq!(info["name"], "李四");
    assert_eq!(info["email"], "lisi@corp.example");
    assert_eq!(info["mobile"], "+86 138");
    assert_eq!(info["groups"], serde_json::json!(["Admins", "R&D, 研发"]));
    assert_eq!(info["departments"], serde_json::json!(["财务部", "审计"]));
    // An entry with little.
    let bare = Person::at("uid=bare,ou=people,dc=corp", PASSWORD)
        .with("uid", &["bare"])
        .with("cn", &["Bare"])
        .with("mail", &[""])
        .with("department", &["IT"])
        .with("entryUUID", &["bare"]);
    server.add(bare);
    let info = userinfo(&menshen, "bare").await;
    assert_eq!(
        (&info["name"], &info["email"]),
        (&"Bare".into(), &serde_json::Value::Null)
    );
    assert_eq!(info["groups"], serde_json::json!([]));
    assert_eq!(info["departments"], serde_json::json!(["IT"]));
}

#[tokio::test]
async fn the_mapping_reads_attributes_in_the_spelling_that_it_uses() {
    let server = LdapServer::start().await.unwrap();
    let person = Person::new("zhangsan", PASSWORD)
        .with("EmployeeNumber", &["4711"])
        .with("x-desk", &["B2"])
        .with("title", &["boss"])
        .with_bytes("photo", &[&[0xff, 0x00]]);
    server.add(person);
    let ldap = format!(
        "url = '{}'\nstart_tls = false\n{LINES}attributes = ['photo']\n[connector.staff.mapping]\n\
         login = 'profile.employeenumber[0]'\nname = 'profile[\"x-desk\"][0] + profile.dn'\n\
         email = 'profile.photo[0]'\n",
        server.url()
    );
    let menshen = super::setup(&tables("", &ldap)).start().await;
    let info = userinfo(&menshen, "zhangsan").await;
    assert_eq!(info["login"], "4711");
    assert_eq!(info["name"], "B2uid=zhangsan,ou=people,dc=corp");
    assert_eq!(info["email"], "/wA=", "base64 of what is not UTF-8");
    // Only what is needed is asked for.
    let asked = server.received().into_iter().find_map(|one| match one {
        Received::Search {
            attributes,
            size_limit,
            ..
        } => Some((attributes, size_limit)),
        _ => None,
    });
    let (mut asked, size_limit) = asked.unwrap();
    asked.sort();
    assert_eq!(size_limit, 2);
    let expected = [
        "cn",
        "department",
        "displayName",
        "employeenumber",
        "entryUUID",
        "ipaUniqueID",
        "mail",
        "memberOf",
        "mobile",
        "nsAccountLock",
        "nsUniqueId",
        "objectGUID",
        "ou",
        "photo",
        "pwdAccountLockedTime",
        "uid",
        "userAccountControl",
        "x-desk",
    ];
    assert_eq!(asked, expected);
}

/// The subject in the audit record of the last login.
fn last_subject(menshen: &Menshen) -> String {
    let audit = menshen.audit();
    let last = audit.last().unwrap();
    last["subject"].as_str().unwrap_or_default().to_owned()
}

#[tokio::test]
async fn a_person_is_known_by_an_identifier_that_stays() {
    let (menshen, server) = start().await;
    let guid: Vec<u8> = (0x10..0x20).collect();
    let person = |login: &str| Person::new(login, PASSWORD).with("entryUUID", &[]);
    server.add(person("ad").with_bytes("objectGUID", &[&guid]));
    server.add(
        person("ipa")
            .with("ipaUniqueID", &["ipa-1"])
            .with("nsUniqueId", &["ns-1"]),
    );
    server.add(Person::new("both", PASSWORD).with_bytes("objectGUID", &[&guid]));
    for (login, subject) in [
        ("zhangsan", "id-of-zhangsan"),
        ("ad", "13121110-1514-1716-1819-1a1b1c1d1e1f"),
        ("ipa", "ns-1"),
        ("both", "id-of-both"),
    ] {
        assert_signed_in(&menshen, login, PASSWORD).await;
        assert_eq!(last_subject(&menshen), subject);
    }
    // Renamed and moved, the person keeps the account.
    server.replace(
        "uid=zhangsan,ou=people,dc=corp",
        Some(
            Person::new("zhang3", PASSWORD)
                .dn("uid=zhang3,ou=left,ou=people,dc=corp")
                .with("entryUUID", &["id-of-zhangsan"]),
        ),
    );
    assert_signed_in(&menshen, "zhang3", PASSWORD).await;
    assert_eq!(last_subject(&menshen), "id-of-zhangsan");
    let accounts: std::collections::BTreeSet<_> = menshen
        .audit()
        .iter()
        .filter(|line| line["subject"] == "id-of-zhangsan")
        .map(|line| line["account"].to_string())
        .collect();
    assert_eq!(accounts.len(), 1);
    // Somebody without one, with two, or with one that is no text.
    server.add(person("none"));
    server.add(person("two").with("entryUUID", &["a", "b"]));
    server.add(person("binary").with_bytes("entryUUID", &[&[0xff, 0xfe]]));
    server.add(person("short").with_bytes("objectGUID", &[&guid[1..]]));
    for login in ["none", "two", "binary", "short"] {
        let (answer, browser) = attempt(&menshen, login, PASSWORD).await;
        assert_eq!(
            answer.cause(),
            Some(Cause::ProviderMisconfigured),
            "{login}"
        );
        assert!(!has_session(&browser));
        assert_last_reason(&menshen, "no usable identifier");
    }
}

#[tokio::test]
async fn the_identifier_may_be_another_attribute_or_the_dn() {
    for (subject, expected) in [
        ("uid", "zhangsan"),
        ("dn", "uid=zhangsan,ou=people,dc=corp"),
        ("MAIL", "zhangsan@corp.example"),
    ] {
        let server = LdapServer::start().await.unwrap();
        server.add(Person::new("zhangsan", PASSWORD));
        let menshen = start_at(&server, &format!("{LINES}subject = '{subject}'\n")).await;
        assert_signed_in(&menshen, "zhangsan", PASSWORD).await;
        assert_eq!(last_subject(&menshen), expected);
    }
}

#[tokio::test]
async fn the_search_can_be_anonymous_or_of_one_level() {
    let server = LdapServer::start().await.unwrap();
    // The simulated directory lets everybody search there.
    let at = |dn: &str, login: &str| Person::new(login, PASSWORD).dn(dn);
    server.add(at("uid=zhangsan,ou=open,dc=corp", "zhangsan"));
    server.add(at("uid=deep,ou=x,ou=open,dc=corp", "deep"));
    let lines = "base = 'ou=open,dc=corp'\nscope = 'one'\n";
    let menshen = start_at(&server, lines).await;
    assert_signed_in(&menshen, "zhangsan", PASSWORD).await;
    super::assert_wrong(&menshen, "deep", PASSWORD, "nobody who may sign in").await;
    assert!(!server.bound_names().contains(&SERVICE_DN.to_owned()));
    // A base that only known accounts may search.
    let menshen = start_at(&server, "base = 'ou=people,dc=corp'\n").await;
    super::assert_unchecked(&menshen, "bind first").await;
}

#[tokio::test]
async fn the_directory_vouches_for_mail() {
    assert!(other_connector_finds_the_account("email").await);
}

/// Active Directory and FreeIPA let everybody change their own number.
#[tokio::test]
async fn nobody_gets_into_the_account_of_another_by_changing_their_own_number() {
    assert!(!other_connector_finds_the_account("mobile").await);
}

/// Whether a person whom two connectors to one directory know as two has one account, because of this field.
async fn other_connector_finds_the_account(link_by: &str) -> bool {
    let server = LdapServer::start().await.unwrap();
    let person = Person::new("zhangsan", PASSWORD).with("mobile", &["13800000001"]);
    server.add(person.clone());
    let ldap = format!("url = '{}'\nstart_tls = false\n{LINES}", server.url());
    let other = format!(
        "{}\n[connector.other]\nlink_by = ['{link_by}']\nlogin_prefix = 'other-'\n\
         [connector.other.ldap]\n{ldap}subject = 'uid'\n",
        tables("", &ldap)
    );
    let menshen = super::setup(&other).start().await;
    assert_signed_in(&menshen, "zhangsan", PASSWORD).await;
    let first = menshen.audit().last().unwrap()["account"].clone();
    let mut browser = crate::browser::Browser::new(&menshen);
    let start = format!("{OWN_PAGES}/start?connector=other&rd=%2Fecho");
    let page = browser.follow(&start).await;
    let flow = crate::connector_features::flow_id_in(&page.answer.text());
    let mut form = url::form_urlencoded::Serializer::new(String::new());
    form.extend_pairs([
        ("flow", flow.as_str()),
        ("rd", "/echo"),
        ("login", "zhangsan"),
        ("password", PASSWORD),
    ]);
    let url = format!("{OWN_PAGES}/password/other");
    let body = form.finish();
    let answer = browser
        .send("POST", &url, &super::OWN_PAGE, body.as_bytes())
        .await;
    assert_eq!(answer.status, 303, "{}", answer.text());
    menshen.audit().last().unwrap()["account"] == first
}
