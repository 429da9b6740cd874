//! Groups that are searched, groups of groups, and too many of them.

use serde_json::json;

use super::people::userinfo;
use super::{
    LINES, PASSWORD, SERVICE_DN, assert_last_reason, assert_signed_in, attempt, has_session, start,
    start_at,
};
use crate::ldap_directory::{LdapServer, Person, Received};
use crate::setup::Menshen;

const ZHANG: &str = "uid=zhangsan,ou=people,dc=corp";

async fn start_with(groups: &str) -> (Menshen, LdapServer) {
    let server = LdapServer::start().await.unwrap();
    server.add(Person::new("zhangsan", PASSWORD).with("memberOf", &["cn=ignored,dc=corp"]));
    let lines =
        format!("{LINES}[connector.staff.ldap.groups]\nbase = 'ou=groups,dc=corp'\n{groups}");
    (start_at(&server, &lines).await, server)
}

fn group_dn(cn: &str) -> String {
    format!("cn={cn},ou=groups,dc=corp")
}

#[tokio::test]
async fn groups_are_searched_by_the_dn_or_the_login_of_the_person() {
    for (filter, attribute, value) in [
        ("(member={dn})", "member", ZHANG),
        (
            "(&(objectClass=inetOrgPerson)(memberUid={login}))",
            "memberUid",
            "zhangsan",
        ),
    ] {
        let (menshen, server) = start_with(&format!("filter = '{filter}'\n")).await;
        server.add(Person::group("staff", &[]).with(attribute, &[value, "x"]));
        server.add(Person::group("others", &[]).with(attribute, &["x"]));
        server.add(Person::group("财务", &[]).with(attribute, &[value]));
        let info = userinfo(&menshen, "zhangsan").await;
        assert_eq!(info["groups"], json!(["staff", "财务"]), "{filter}");
    }
}

#[tokio::test]
async fn the_login_of_the_directory_counts_for_groups_and_not_what_was_typed() {
    let groups = "filter = '(memberUid={login})'\nname = 'description'\n";
    let (menshen, server) = start_with(groups).await;
    let odd = Person::new("a*b", PASSWORD).dn("uid=odd,ou=people,dc=corp");
    server.add(odd);
    server.add(
        Person::group("one", &[])
            .with("memberUid", &["a*b"])
            .with("description", &["Eins"]),
    );
    server.add(
        Person::group("two", &[])
            .with("memberUid", &["axb"])
            .with("description", &["Zwei"]),
    );
    server.add(Person::group("nameless", &[]).with("memberUid", &["a*b"]));
    assert_eq!(userinfo(&menshen, "A*B").await["groups"], json!(["Eins"]));
}

#[tokio::test]
async fn a_group_of_the_same_name_elsewhere_is_another_group() {
    let server = LdapServer::start().await.unwrap();
    let lines = format!("{LINES}member_of_base = 'OU=Groups, dc=corp'\n");
    let menshen = start_at(&server, &lines).await;
    for (member_of, groups) in [
        (&["cn=admins,ou=groups,dc=corp"][..], json!(["admins"])),
        (&["CN=Admins,ou=it,OU=GROUPS,DC=corp"], json!(["Admins"])),
        (&["cn=admins,ou=people,dc=corp"], json!([])),
        (&["cn=admins,ou=groups,dc=evil"], json!([])),
        (&["cn=admins,ou=mygroups,dc=corp"], json!([])),
        (&["cn=admins\\,ou=groups,dc=corp"], json!([])),
        (&["ou=groups,dc=corp"], json!([])),
        (&["admins"], json!([])),
        (
            &["cn=admins,dc=corp", "cn=staff,ou=groups,dc=corp"],
            json!(["staff"]),
        ),
    ] {
        let person = Person::new("zhangsan", PASSWORD).with("memberOf", member_of);
        server.replace(ZHANG, Some(person));
        let info = userinfo(&menshen, "zhangsan").await;
        assert_eq!(info["groups"], groups, "{member_of:?}");
    }
}

#[tokio::test]
async fn groups_of_groups_count_if_asked_for_and_a_circle_ends() {
    let (menshen, server) = start_with("nested = true\n").await;
    let (flat, _) = (start_with("").await, ());
    for server in [&server, &flat.1] {
        server.add(Person::group("a", &[ZHANG]));
        server.add(Person::group("b", &[&group_dn("a"), &group_dn("c")]));
        server.add(Person::group(
            "c",
            &[&group_dn("b"), &group_dn("c").to_uppercase()],
        ));
        server.add(Person::group("d", &["uid=lisi,ou=people,dc=corp"]));
    }
    assert_eq!(userinfo(&flat.0, "zhangsan").await["groups"], json!(["a"]));
    let info = userinfo(&menshen, "zhangsan").await;
    assert_eq!(info["groups"], json!(["a", "b", "c"]));
    let searches = |server: &LdapServer| {
        let received = server.received().into_iter();
        let of_groups = |one: &Received| matches!(one, Received::Search { base, .. } if base.starts_with("ou=groups"));
        received.filter(of_groups).count()
    };
    assert_eq!(
        searches(&server),
        4,
        "one for each level, and one that finds no more"
    );
    assert_eq!(searches(&flat.1), 1);
}

#[tokio::test]
async fn ten_levels_of_groups_are_followed() {
    let (menshen, server) = start_with("nested = true\n").await;
    server.add(Person::group("g1", &[ZHANG]));
    for level in 2..=12 {
        let below = group_dn(&format!("g{}", level - 1));
        server.add(Person::group(&format!("g{level}"), &[&below]));
    }
    let info = userinfo(&menshen, "zhangsan").await;
    let groups: Vec<_> = (1..=10).map(|level| format!("g{level}")).collect();
    assert_eq!(info["groups"], json!(groups));
}

#[tokio::test]
async fn a_thousand_groups_are_read_and_one_more_is_an_error() {
    let (menshen, server) = start().await;
    let member_of = |count: usize| {
        let dns: Vec<_> = (0..count)
            .map(|index| group_dn(&format!("g{index}")))
            .collect();
        let dns: Vec<_> = dns.iter().map(String::as_str).collect();
        Person::new("zhangsan", PASSWORD).with("memberOf", &dns)
    };
    server.replace(ZHANG, Some(member_of(1000)));
    let info = userinfo(&menshen, "zhangsan").await;
    assert_eq!(info["groups"].as_array().unwrap().len(), 1000);
    server.replace(ZHANG, Some(member_of(1001)));
    let (answer, browser) = attempt(&menshen, "zhangsan", PASSWORD).await;
    assert_eq!(answer.status, 502);
    assert!(!has_session(&browser));
    assert_last_reason(&menshen, "more than 1000 groups");
    // Active Directory sends a part of a long list.
    let part = Person::new("zhangsan", PASSWORD).with("memberOf;range=0-1499", &["cn=a,dc=corp"]);
    server.replace(ZHANG, Some(part));
    server.instead(crate::ldap_directory::On::Search, |id, honest| match honest
        .windows(8)
        .any(|window| window == b"zhangsan")
    {
        false => honest,
        true => {
            let attributes = [
                ("entryUUID".to_owned(), vec![b"x".to_vec()]),
                ("uid".to_owned(), vec![b"zhangsan".to_vec()]),
                (
                    "memberOf;range=0-1499".to_owned(),
                    vec![b"cn=a,dc=corp".to_vec()],
                ),
            ];
            let mut answer = super::encoding::entry(id, ZHANG, &attributes);
            answer.extend(super::encoding::search_done(id, 0, ""));
            answer
        }
    });
    let (answer, _) = attempt(&menshen, "zhangsan", PASSWORD).await;
    assert_eq!(answer.status, 502);
    server.without_faults();
    // The same for groups that are searched.
    let (menshen, server) = start_with("").await;
    for index in 0..1000 {
        server.add(Person::group(&format!("g{index}"), &[ZHANG]));
    }
    assert_signed_in(&menshen, "zhangsan", PASSWORD).await;
    server.add(Person::group("more", &[ZHANG]));
    let (answer, browser) = attempt(&menshen, "zhangsan", PASSWORD).await;
    assert_eq!(answer.status, 502);
    assert!(!has_session(&browser));
    assert_last_reason(&menshen, "more than 1000 groups");
}

#[tokio::test]
async fn with_bind_as_the_person_searches_their_groups() {
    let server = LdapServer::start().await.unwrap();
    server.add(Person::new("zhangsan", PASSWORD));
    server.add(Person::group("staff", &[ZHANG]));
    let lines = "base = 'ou=people,dc=corp'\nbind_as = 'uid={login},ou=people,dc=corp'\n\
                 [connector.staff.ldap.groups]\nbase = 'ou=groups,dc=corp'\nnested = true\n";
    let menshen = start_at(&server, lines).await;
    assert_eq!(
        userinfo(&menshen, "zhangsan").await["groups"],
        json!(["staff"])
    );
    assert_eq!(server.bound_names(), [ZHANG]);
    assert!(!server.bound_names().contains(&SERVICE_DN.to_owned()));
}
