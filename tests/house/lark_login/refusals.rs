//! Whom a login refuses, and which responses.

use std::time::Duration;

use menshen::face::page::Cause;

use super::{
    CALLBACK, CONTACTS, TOKEN, assert_refused, assert_signed_in, callback_url, is_signed_in,
    last_error, sign_in, sign_in_silently, start, start_url,
};
use crate::browser::Browser;
use crate::lark::{APP_ID, CodeRequest, Lark, OTHER_APP_ID, OTHER_TENANT_KEY, Permission, Person};
use crate::logging_in::query_parameter;

/// A change of a person at Lark.
type Change = fn(&mut Person);
/// The page, and the reason in the audit record.
type Refusal = (Cause, &'static str);

#[tokio::test]
async fn only_active_people_of_the_tenant_who_may_use_the_application_sign_in() {
    let lark = Lark::start().await.unwrap();
    let menshen = start(&lark, CONTACTS).await;
    let cases: [(&str, Change, Option<Refusal>); 9] = [
        ("zhangsan", |_| {}, None),
        (
            "outsider",
            |_| {},
            Some((Cause::NotMember, OTHER_TENANT_KEY)),
        ),
        ("zhaomin", |_| {}, Some((Cause::InactiveMember, "暂停"))),
        ("chengong", |_| {}, Some((Cause::NotVisibleToApp, "20010"))),
        (
            "lisi",
            |one| one.is_resigned = true,
            Some((Cause::InactiveMember, "20066")),
        ),
        (
            "left",
            |one| one.is_exited = true,
            Some((Cause::InactiveMember, "20066")),
        ),
        (
            "new",
            |one| one.is_activated = false,
            Some((Cause::InactiveMember, "未激活")),
        ),
        (
            "cold",
            |one| one.is_frozen = true,
            Some((Cause::InactiveMember, "暂停")),
        ),
        ("cold", |one| one.is_frozen = false, None),
    ];
    for (user_id, edit, refused) in cases {
        lark.person(user_id, edit);
        let (mut browser, page) = sign_in(&menshen, &lark, user_id).await;
        match refused {
            None => assert_signed_in(&page, user_id),
            Some((cause, reason)) => assert_refused(&menshen, &page, cause, reason),
        }
        assert_eq!(
            is_signed_in(&mut browser).await,
            refused.is_none(),
            "{user_id}"
        );
        assert_eq!(
            browser.cookie("menshen").is_some(),
            refused.is_none(),
            "{user_id}"
        );
    }
}

#[tokio::test]
async fn people_of_another_tenant_are_refused_without_the_contact_api_too() {
    let lark = Lark::start().await.unwrap();
    let menshen = start(&lark, "").await;
    let (mut browser, page) = sign_in(&menshen, &lark, "outsider").await;
    assert_refused(&menshen, &page, Cause::NotMember, "belongs to the tenant");
    assert!(!is_signed_in(&mut browser).await);
    // And the people of the application's tenant, if the settings name another one.
    let menshen = start(&lark, &format!("tenant_key = '{OTHER_TENANT_KEY}'")).await;
    let (_, page) = sign_in(&menshen, &lark, "zhangsan").await;
    assert_refused(&menshen, &page, Cause::NotMember, "belongs to the tenant");
}

#[tokio::test]
async fn a_person_who_declines_is_told_so() {
    let lark = Lark::start().await.unwrap();
    let menshen = start(&lark, "").await;
    let mut browser = Browser::new(&menshen);
    let page = browser.follow(&start_url()).await;
    let page = browser.follow(&Lark::refuse(&page.url)).await;
    assert_refused(&menshen, &page, Cause::LoginDeclined, "access_denied");
    assert_eq!(lark.calls(TOKEN), 0);
}

#[tokio::test]
async fn a_response_counts_once_in_the_browser_that_began_and_with_its_own_state() {
    let lark = Lark::start().await.unwrap();
    let menshen = start(&lark, "").await;
    let mut browser = Browser::new(&menshen);
    let callback = callback_url(&lark, &mut browser, "zhangsan").await;
    let state = query_parameter(&callback, "state").unwrap();
    let mut other = Browser::new(&menshen);
    for response in [
        callback.clone(),
        callback.replace(&state, &"a".repeat(32)),
        callback.replace(&format!("state={state}"), ""),
        format!("{callback}&state={state}"),
        format!("{CALLBACK}?state={state}"),
    ] {
        other.follow(&response).await;
        assert!(!is_signed_in(&mut other).await, "{response}");
    }
    assert_eq!(lark.calls(TOKEN), 0, "nothing was redeemed");
    assert_signed_in(&browser.follow(&callback).await, "zhangsan");
    let mut copy = browser.clone();
    copy.delete_cookies("menshen");
    copy.follow(&callback).await;
    assert!(!is_signed_in(&mut copy).await);
    assert_eq!(lark.calls(TOKEN), 1);
}

#[tokio::test]
async fn a_code_of_another_login_another_application_or_without_pkce_is_refused() {
    let lark = Lark::start().await.unwrap();
    let menshen = start(&lark, "").await;
    let mut stolen_from = Browser::new(&menshen);
    let stolen = callback_url(&lark, &mut stolen_from, "lisi").await;
    let issue = |app_id, redirect_uri| {
        lark.issue_code(CodeRequest {
            user_id: "lisi",
            app_id,
            redirect_uri,
            challenge: None,
        })
    };
    for (code, reason) in [
        (query_parameter(&stolen, "code").unwrap(), "20049"),
        (issue(APP_ID, Some(CALLBACK)), "20049"),
        (issue(OTHER_APP_ID, Some(CALLBACK)), "20024"),
    ] {
        let mut browser = Browser::new(&menshen);
        let own = callback_url(&lark, &mut browser, "zhangsan").await;
        let own_code = query_parameter(&own, "code").unwrap();
        let page = browser.follow(&own.replace(&own_code, &code)).await;
        assert_refused(&menshen, &page, Cause::InvalidProviderResponse, reason);
        assert!(!is_signed_in(&mut browser).await, "{reason}");
    }
    // One that was issued for another address is a mistake in the console.
    let mut browser = Browser::new(&menshen);
    let own = callback_url(&lark, &mut browser, "zhangsan").await;
    let own_code = query_parameter(&own, "code").unwrap();
    let page = browser
        .follow(&own.replace(&own_code, &issue(APP_ID, None)))
        .await;
    assert_refused(&menshen, &page, Cause::ProviderMisconfigured, CALLBACK);
}

#[tokio::test]
async fn a_used_code_restarts_the_login_once() {
    let lark = Lark::start().await.unwrap();
    let menshen = start(&lark, "").await;
    lark.fail(TOKEN, 20065, 1);
    let (_, page) = sign_in_silently(&menshen, &lark, "zhangsan").await;
    assert_signed_in(&page, "zhangsan");
    for code in [20003, 20004, 20065] {
        lark.fail(TOKEN, code, 2);
        let (_, page) = sign_in_silently(&menshen, &lark, "zhangsan").await;
        assert_refused(&menshen, &page, Cause::CodeRejectedTwice, &code.to_string());
    }
}

#[tokio::test]
async fn without_the_tenant_no_login_begins_and_the_log_names_the_permission() {
    let lark = Lark::start().await.unwrap();
    lark.set_permission(Permission::Tenant, false);
    let menshen = start(&lark, "").await;
    let mut browser = Browser::new(&menshen);
    let page = browser.follow(&start_url()).await;
    assert_eq!(
        page.cause(),
        Some(Cause::ProviderMisconfigured),
        "{}",
        page.url
    );
    let error = last_error(&menshen);
    assert!(
        error.contains("the permission tenant:tenant:readonly"),
        "{error}"
    );
    assert!(browser.visited.iter().all(|url| !url.contains("authorize")));
    // Nothing need be restarted when the permission is there. A refusal counts for a minute.
    lark.set_permission(Permission::Tenant, true);
    menshen.advance(Duration::from_secs(61));
    assert_signed_in(&sign_in(&menshen, &lark, "zhangsan").await.1, "zhangsan");
}

#[tokio::test]
async fn without_a_status_nobody_signs_in_and_the_log_names_the_permission() {
    let lark = Lark::start().await.unwrap();
    lark.set_permission(Permission::Status, false);
    let menshen = start(&lark, CONTACTS).await;
    let (_, page) = sign_in(&menshen, &lark, "zhangsan").await;
    let permission = "contact:user.employee:readonly";
    assert_refused(&menshen, &page, Cause::ProviderMisconfigured, permission);
    lark.set_permission(Permission::Status, true);
    lark.set_permission(Permission::Contacts, false);
    let (_, page) = sign_in(&menshen, &lark, "zhangsan").await;
    let permission = "contact:contact.base:readonly";
    assert_refused(&menshen, &page, Cause::ProviderMisconfigured, permission);
}
