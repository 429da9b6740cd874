//! Two providers: accounts and login names are never mixed up.

use menshen::face::page::Cause;
use serde_json::{Value, json};

use super::provider::Provider;
use super::{account, through};
use crate::browser::href;
use crate::setup::{Menshen, NO_LOGIN_LIMITS, Setup};

/// Two providers; at both a person with the login name `zhangsan` is signed in.
async fn two(other: &str, kind: &str) -> (Provider, Provider, Menshen) {
    let (first, second) = (Provider::start().await, Provider::start().await);
    let vouches = "vouched_email = 'profile.email_verified ? profile.email : null'";
    let tables = format!(
        "{}{}{NO_LOGIN_LIMITS}",
        first.table("gh", "", vouches),
        second.table("gl", other, kind),
    );
    let menshen = Setup::default().tables(&tables).start().await;
    (first, second, menshen)
}

fn person(id: u32, email: &str, verified: Value) -> Value {
    json!({ "id": id, "login": "zhangsan", "name": "张三", "email": email,
            "email_verified": verified })
}

const VOUCHES: &str = "vouched_email = 'profile.email_verified ? profile.email : null'";

#[tokio::test]
async fn a_login_name_belongs_to_the_provider_that_used_it_first() {
    let (_first, second, menshen) = two("", VOUCHES).await;
    let (mut owner, page) = through(&menshen, "gh").await;
    assert_eq!(page.answer.echoed("x-forwarded-user"), ["zhangsan"]);
    let (stranger, page) = through(&menshen, "gl").await;
    assert_eq!(
        (page.answer.status, page.cause()),
        (403, Some(Cause::LoginTaken))
    );
    assert!(stranger.cookie("menshen").is_none());
    assert!(href(&page.answer.text(), "/sign_in").is_some());
    let refused = menshen.audit().pop().unwrap();
    assert_eq!(
        (&refused["event"], &refused["connector"]),
        (&json!("refused"), &json!("gl"))
    );
    assert_eq!(
        (&refused["subject"], &refused["login"]),
        (&json!("7"), &json!("zhangsan"))
    );
    assert!(
        refused["error"]
            .as_str()
            .unwrap()
            .contains(&account(&mut owner).await)
    );
    // The same id at another provider is another identity; with a free login name it can sign in.
    second.person(json!({ "id": 7, "login": "lisi" }));
    let (mut other, page) = through(&menshen, "gl").await;
    assert_eq!(page.answer.echoed("x-forwarded-user"), ["lisi"]);
    assert_ne!(account(&mut other).await, account(&mut owner).await);
}

#[tokio::test]
async fn login_prefix_separates_two_providers() {
    let (_first, _second, menshen) = two("login_prefix = 'gl-'", VOUCHES).await;
    let (mut one, page) = through(&menshen, "gh").await;
    assert_eq!(page.answer.echoed("x-forwarded-user"), ["zhangsan"]);
    let (mut two, page) = through(&menshen, "gl").await;
    assert_eq!(page.answer.echoed("x-forwarded-user"), ["gl-zhangsan"]);
    assert_ne!(account(&mut one).await, account(&mut two).await);
}

#[tokio::test]
async fn only_a_verified_address_links_accounts() {
    for (link_by, kind, verified, joined) in [
        ("link_by = ['email']", VOUCHES, json!(true), true),
        ("link_by = ['email']", VOUCHES, json!(false), false),
        ("link_by = ['email']", VOUCHES, json!(null), false),
        // Without `vouched_email` no address is verified.
        ("link_by = ['email']", "", json!(true), false),
        ("link_by = ['mobile']", VOUCHES, json!(true), false),
        ("", VOUCHES, json!(true), false),
    ] {
        let (first, second, menshen) = two(link_by, kind).await;
        first.person(person(1, "z@corp.example", json!(true)));
        second.person(person(2, "Z@Corp.example", verified.clone()));
        let (mut one, _) = through(&menshen, "gh").await;
        let (mut two, page) = through(&menshen, "gl").await;
        let what = format!("{link_by} {kind} {verified}");
        if joined {
            assert_eq!(account(&mut one).await, account(&mut two).await, "{what}");
        } else if verified.is_null() && !kind.is_empty() {
            // `null ? …` has no value, so the login is refused.
            assert_eq!(page.cause(), Some(Cause::InvalidProviderResponse), "{what}");
        } else {
            assert_eq!(page.cause(), Some(Cause::LoginTaken), "{what}");
        }
    }
}

#[tokio::test]
async fn an_unverified_address_of_the_existing_account_links_nothing() {
    let (first, second, menshen) = two("link_by = ['email']", VOUCHES).await;
    first.person(person(1, "z@corp.example", json!(false)));
    second.person(person(2, "z@corp.example", json!(true)));
    through(&menshen, "gh").await;
    assert_eq!(
        through(&menshen, "gl").await.1.cause(),
        Some(Cause::LoginTaken)
    );
}

#[tokio::test]
async fn a_changed_login_name_keeps_the_account() {
    let (first, _second, menshen) = two("", VOUCHES).await;
    let (mut before, _) = through(&menshen, "gh").await;
    first.person(json!({ "id": 7, "login": "zhangsan2" }));
    let (mut after, page) = through(&menshen, "gh").await;
    assert_eq!(page.answer.echoed("x-forwarded-user"), ["zhangsan2"]);
    assert_eq!(account(&mut before).await, account(&mut after).await);
    // Another person who takes over the login name gets another account.
    first.person(json!({ "id": 8, "login": "zhangsan" }));
    let (mut new, page) = through(&menshen, "gh").await;
    assert_eq!(page.answer.echoed("x-forwarded-user"), ["zhangsan"]);
    assert_ne!(account(&mut new).await, account(&mut after).await);
}
