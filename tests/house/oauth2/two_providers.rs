//! Two providers: accounts and login names are never mixed up.

use menshen::face::page::Cause;
use serde_json::{Value, json};

use super::provider::Provider;
use super::{account_id, log_in_with};
use crate::browser::href;
use crate::setup::{Menshen, NO_LOGIN_LIMITS, Setup};

/// Two providers; at both a person with the login name `zhangsan` is signed in.
async fn two_providers(
    second_connector: &str,
    second_lines: &str,
) -> (Provider, Provider, Menshen) {
    let (first, second) = (Provider::start().await, Provider::start().await);
    let tables = format!(
        "{}{}{NO_LOGIN_LIMITS}",
        first.connector_toml("gh", "", VOUCHED_EMAIL),
        second.connector_toml("gl", second_connector, second_lines),
    );
    let menshen = Setup::default().tables(&tables).start().await;
    (first, second, menshen)
}

fn person(id: u32, email: &str, verified: Value) -> Value {
    json!({ "id": id, "login": "zhangsan", "name": "张三", "email": email,
            "email_verified": verified })
}

const VOUCHED_EMAIL: &str = "vouched_email = 'profile.email_verified ? profile.email : null'";

#[tokio::test]
async fn a_login_name_belongs_to_the_provider_that_used_it_first() {
    let (_first, second, menshen) = two_providers("", VOUCHED_EMAIL).await;
    let (mut owner, page) = log_in_with(&menshen, "gh").await;
    assert_eq!(page.answer.echoed("x-forwarded-user"), ["zhangsan"]);
    let (stranger, page) = log_in_with(&menshen, "gl").await;
    assert_eq!(
        (page.answer.status, page.cause()),
        (403, Some(Cause::LoginTaken))
    );
    assert!(stranger.cookie("menshen").is_none());
    assert!(href(&page.answer.text(), "/sign_in").is_some());
    let record = menshen.audit().pop().unwrap();
    assert_eq!(
        (&record["event"], &record["connector"]),
        (&json!("refused"), &json!("gl"))
    );
    assert_eq!(
        (&record["subject"], &record["login"]),
        (&json!("7"), &json!("zhangsan"))
    );
    assert!(
        record["error"]
            .as_str()
            .unwrap()
            .contains(&account_id(&mut owner).await)
    );
    // The same ID at another provider is another identity; with a free login name it can sign in.
    second.person(json!({ "id": 7, "login": "lisi" }));
    let (mut other, page) = log_in_with(&menshen, "gl").await;
    assert_eq!(page.answer.echoed("x-forwarded-user"), ["lisi"]);
    assert_ne!(account_id(&mut other).await, account_id(&mut owner).await);
}

#[tokio::test]
async fn login_prefix_separates_two_providers() {
    let (_first, _second, menshen) = two_providers("login_prefix = 'gl-'", VOUCHED_EMAIL).await;
    let (mut one, page) = log_in_with(&menshen, "gh").await;
    assert_eq!(page.answer.echoed("x-forwarded-user"), ["zhangsan"]);
    let (mut two, page) = log_in_with(&menshen, "gl").await;
    assert_eq!(page.answer.echoed("x-forwarded-user"), ["gl-zhangsan"]);
    assert_ne!(account_id(&mut one).await, account_id(&mut two).await);
}

#[tokio::test]
async fn only_a_verified_address_links_accounts() {
    for (link_by, second_lines, verified, joined) in [
        ("link_by = ['email']", VOUCHED_EMAIL, json!(true), true),
        ("link_by = ['email']", VOUCHED_EMAIL, json!(false), false),
        ("link_by = ['email']", VOUCHED_EMAIL, json!(null), false),
        // Without `vouched_email` no address is verified.
        ("link_by = ['email']", "", json!(true), false),
        ("link_by = ['mobile']", VOUCHED_EMAIL, json!(true), false),
        ("", VOUCHED_EMAIL, json!(true), false),
    ] {
        let (first, second, menshen) = two_providers(link_by, second_lines).await;
        first.person(person(1, "z@corp.example", json!(true)));
        second.person(person(2, "Z@Corp.example", verified.clone()));
        let (mut one, _) = log_in_with(&menshen, "gh").await;
        let (mut two, page) = log_in_with(&menshen, "gl").await;
        let what = format!("{link_by} {second_lines} {verified}");
        if joined {
            assert_eq!(
                account_id(&mut one).await,
                account_id(&mut two).await,
                "{what}"
            );
        } else if verified.is_null() && !second_lines.is_empty() {
            // `null ? …` has no value, so the login is refused.
            assert_eq!(page.cause(), Some(Cause::InvalidProviderResponse), "{what}");
        } else {
            assert_eq!(page.cause(), Some(Cause::LoginTaken), "{what}");
        }
    }
}

#[tokio::test]
async fn an_unverified_address_of_the_existing_account_links_nothing() {
    let (first, second, menshen) = two_providers("link_by = ['email']", VOUCHED_EMAIL).await;
    first.person(person(1, "z@corp.example", json!(false)));
    second.person(person(2, "z@corp.example", json!(true)));
    log_in_with(&menshen, "gh").await;
    assert_eq!(
        log_in_with(&menshen, "gl").await.1.cause(),
        Some(Cause::LoginTaken)
    );
}

#[tokio::test]
async fn a_changed_login_name_keeps_the_account() {
    let (first, _second, menshen) = two_providers("", VOUCHED_EMAIL).await;
    let (mut before, _) = log_in_with(&menshen, "gh").await;
    first.person(json!({ "id": 7, "login": "zhangsan2" }));
    let (mut after, page) = log_in_with(&menshen, "gh").await;
    assert_eq!(page.answer.echoed("x-forwarded-user"), ["zhangsan2"]);
    assert_eq!(account_id(&mut before).await, account_id(&mut after).await);
    // Another person who takes over the login name gets another account.
    first.person(json!({ "id": 8, "login": "zhangsan" }));
    let (mut new, page) = log_in_with(&menshen, "gh").await;
    assert_eq!(page.answer.echoed("x-forwarded-user"), ["zhangsan"]);
    assert_ne!(account_id(&mut new).await, account_id(&mut after).await);
}
