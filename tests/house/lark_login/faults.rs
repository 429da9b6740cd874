//! Lark fails, lies, or something else answers in its place.

use std::time::{Duration, Instant};

use menshen::face::page::Cause;
use menshen::outbound::CALL_TIMEOUT;
use serde_json::json;

use super::{
    APP_TOKEN, CONTACTS, TENANT, TOKEN, USER_INFO, assert_refused, assert_signed_in, callback_url,
    is_signed_in, person_path, sign_in, start, start_url,
};
use crate::browser::Browser;
use crate::lark::{Lark, TENANT_KEY};

#[tokio::test]
async fn every_error_code_has_its_page_and_its_remedy() {
    let lark = Lark::start().await.unwrap();
    let menshen = start(&lark, CONTACTS).await;
    let person = person_path("zhangsan");
    let person = person.as_str();
    for (path, code, cause, reason) in [
        (TOKEN, 20002, Cause::ProviderMisconfigured, "app_secret"),
        (TOKEN, 20008, Cause::InactiveMember, "does not exist"),
        (TOKEN, 20009, Cause::ProviderMisconfigured, "版本管理与发布"),
        (
            TOKEN,
            20010,
            Cause::NotVisibleToApp,
            "permission to use this app",
        ),
        (TOKEN, 20024, Cause::InvalidProviderResponse, "client ID"),
        (TOKEN, 20048, Cause::ProviderMisconfigured, "app_id"),
        (TOKEN, 20049, Cause::InvalidProviderResponse, "PKCE"),
        (TOKEN, 20050, Cause::ProviderBusy, "unexpected"),
        (TOKEN, 20066, Cause::InactiveMember, "status is invalid"),
        (TOKEN, 20068, Cause::ProviderMisconfigured, "`scopes`"),
        (TOKEN, 20069, Cause::ProviderMisconfigured, "enable it"),
        (TOKEN, 20071, Cause::ProviderMisconfigured, "重定向 URL"),
        (TOKEN, 20072, Cause::ProviderBusy, "unavailable"),
        (
            TOKEN,
            4711,
            Cause::ProviderMisconfigured,
            "look up the code 4711",
        ),
        (
            USER_INFO,
            99_991_668,
            Cause::ProviderMisconfigured,
            "token_url",
        ),
        (
            USER_INFO,
            99_991_679,
            Cause::ProviderMisconfigured,
            "contact:user.email:readonly",
        ),
        (USER_INFO, 99_991_400, Cause::ProviderBusy, "frequency"),
        (person, 41050, Cause::NotVisibleToApp, "no user authority"),
        (person, 41012, Cause::NotVisibleToApp, "user id invalid"),
        (person, 40003, Cause::ProviderBusy, "internal"),
        (
            person,
            99_991_401,
            Cause::ProviderMisconfigured,
            "IP 白名单",
        ),
    ] {
        lark.fail(path, code, 1);
        let (mut browser, page) = sign_in(&menshen, &lark, "zhangsan").await;
        assert_refused(&menshen, &page, cause, reason);
        assert!(!is_signed_in(&mut browser).await, "{code}");
        lark.clear_faults(path);
    }
    assert_signed_in(&sign_in(&menshen, &lark, "zhangsan").await.1, "zhangsan");
}

#[tokio::test]
async fn a_wrong_secret_is_named_before_a_login_begins() {
    for (code, words) in [(10014, "App Secret"), (10003, "app_id")] {
        let lark = Lark::start().await.unwrap();
        lark.fail(APP_TOKEN, code, 1);
        let menshen = start(&lark, "").await;
        let page = Browser::new(&menshen).follow(&start_url()).await;
        assert_refused(&menshen, &page, Cause::ProviderMisconfigured, words);
        // It is not asked again at once, and the page says the same.
        let page = Browser::new(&menshen).follow(&start_url()).await;
        assert_refused(&menshen, &page, Cause::ProviderMisconfigured, words);
        assert_eq!(lark.calls(APP_TOKEN), 1);
    }
}

#[tokio::test]
async fn something_else_than_the_api_of_lark_lets_nobody_in() {
    let lark = Lark::start().await.unwrap();
    let menshen = start(&lark, CONTACTS).await;
    let person = person_path("zhangsan");
    let html = "<!doctype html><title>Sign in to the Wi-Fi</title>";
    for path in [TOKEN, USER_INFO, &person] {
        for (status, body) in [
            (200, html),
            (502, html),
            (404, "404 page not found"),
            (302, ""),
            (200, ""),
            (200, "[]"),
            (200, "{}"),
            (200, r#"{"code":"0"}"#),
            (200, r#"{"code":0}"#),
            (200, r#"{"code":0,"data":[]}"#),
            (200, r#"{"code":0,"access_token":""}"#),
        ] {
            lark.answer_with(path, status, body, 1);
            let (mut browser, page) = sign_in(&menshen, &lark, "zhangsan").await;
            let cause = page.cause();
            assert_eq!(
                cause,
                Some(Cause::ProviderUnreachable),
                "{path} {status} {body}"
            );
            assert!(!is_signed_in(&mut browser).await, "{path} {body}");
        }
        lark.answer_with(path, 429, html, 1);
        let (_, page) = sign_in(&menshen, &lark, "zhangsan").await;
        assert_eq!(page.cause(), Some(Cause::ProviderBusy), "{path}");
        let long = format!(r#"{{"code":0,"data":{{"x":"{}"}}}}"#, "x".repeat(2 << 20));
        lark.answer_with(path, 200, long, 1);
        let (_, page) = sign_in(&menshen, &lark, "zhangsan").await;
        assert_eq!(page.cause(), Some(Cause::ProviderUnreachable), "{path}");
    }
}

#[tokio::test]
async fn a_response_about_another_person_or_without_ids_lets_nobody_in() {
    let lark = Lark::start().await.unwrap();
    let menshen = start(&lark, CONTACTS).await;
    let success = |data: serde_json::Value| json!({ "code": 0, "data": data }).to_string();
    let info = |union_id: &str, tenant: &str| {
        success(
            json!({ "union_id": union_id, "open_id": "ou_1", "tenant_key": tenant, "name": "x" }),
        )
    };
    let active = json!({ "is_activated": true });
    let person = |union_id: &str| {
        success(json!({ "user": { "union_id": union_id, "open_id": "ou_1", "status": active } }))
    };
    let path = person_path("zhangsan");
    for (path, body) in [
        (USER_INFO, info("", TENANT_KEY)),
        (USER_INFO, info("on_zhangsan", "")),
        (USER_INFO, info("on_zhang san", TENANT_KEY)),
        (USER_INFO, info("../on_zhangsan", TENANT_KEY)),
        (USER_INFO, success(json!({ "name": "x" }))),
        (&path, person("on_lisi")),
        (&path, person("")),
    ] {
        lark.answer_with(path, 200, body.clone(), 1);
        let (mut browser, page) = sign_in(&menshen, &lark, "zhangsan").await;
        assert_eq!(page.cause(), Some(Cause::ProviderUnreachable), "{body}");
        assert!(!is_signed_in(&mut browser).await, "{body}");
    }
}

#[tokio::test]
async fn the_code_counts_and_not_the_http_status() {
    let lark = Lark::start().await.unwrap();
    let menshen = start(&lark, "").await;
    let data = json!({ "union_id": "on_zhangsan", "open_id": "ou_zhangsan", "user_id": "zhangsan",
                       "tenant_key": TENANT_KEY, "name": "张三" });
    let answer = json!({ "code": 0, "msg": "success", "data": data }).to_string();
    lark.answer_with(USER_INFO, 400, answer, 1);
    assert_signed_in(&sign_in(&menshen, &lark, "zhangsan").await.1, "zhangsan");
    let refused = json!({ "code": 20066, "msg": "no" }).to_string();
    lark.answer_with(TOKEN, 200, refused, 1);
    let (_, page) = sign_in(&menshen, &lark, "zhangsan").await;
    assert_eq!(page.cause(), Some(Cause::InactiveMember));
}

#[tokio::test]
async fn while_lark_is_down_no_browser_is_sent_there_and_no_login_ends() {
    let lark = Lark::start().await.unwrap();
    let menshen = start(&lark, "").await;
    let mut began_before = Browser::new(&menshen);
    let callback = callback_url(&lark, &mut began_before, "zhangsan").await;
    drop(lark);
    let page = began_before.follow(&callback).await;
    assert_eq!(page.cause(), Some(Cause::ProviderUnreachable));
    let mut browser = Browser::new(&menshen);
    let page = browser.follow(&start_url()).await;
    assert_eq!(
        page.cause(),
        Some(Cause::ProviderUnreachable),
        "{}",
        page.url
    );
    assert!(browser.visited.iter().all(|url| !url.contains("authorize")));
}

#[tokio::test]
async fn a_fault_while_the_tenant_is_asked_is_no_lasting_one() {
    let lark = Lark::start().await.unwrap();
    let menshen = start(&lark, "").await;
    for (status, body) in [
        (500, "no"),
        (200, r#"{"code":0,"data":{"tenant":{"tenant_key":""}}}"#),
    ] {
        lark.answer_with(TENANT, status, body, 1);
        for _ in 0..3 {
            let page = Browser::new(&menshen).follow(&start_url()).await;
            assert_eq!(page.cause(), Some(Cause::ProviderUnreachable), "{body}");
        }
        menshen.advance(Duration::from_secs(2));
    }
    assert_eq!(lark.calls(TENANT), 2);
    assert_signed_in(&sign_in(&menshen, &lark, "zhangsan").await.1, "zhangsan");
}

#[tokio::test]
async fn a_missing_permission_for_the_tenant_is_asked_about_once_a_minute() {
    let lark = Lark::start().await.unwrap();
    lark.fail(TENANT, 99_991_672, 1);
    let menshen = start(&lark, "").await;
    for _ in 0..10 {
        let page = Browser::new(&menshen).follow(&start_url()).await;
        assert_refused(&menshen, &page, Cause::ProviderMisconfigured, "权限管理");
    }
    let page = Browser::new(&menshen).follow(&start_url()).await;
    let until = "no new request before";
    assert_refused(&menshen, &page, Cause::ProviderMisconfigured, until);
    menshen.advance(Duration::from_secs(59));
    Browser::new(&menshen).follow(&start_url()).await;
    assert_eq!(lark.calls(TENANT), 1);
    menshen.advance(Duration::from_secs(1));
    assert_signed_in(&sign_in(&menshen, &lark, "zhangsan").await.1, "zhangsan");
    assert_eq!(lark.calls(TENANT), 2);
}

#[tokio::test]
async fn logins_do_not_queue_behind_a_question_for_the_tenant() {
    let lark = Lark::start().await.unwrap();
    lark.hang(TENANT);
    let menshen = start(&lark, "").await;
    let begun = Instant::now();
    let logins = (0..5).map(|_| async {
        let page = Browser::new(&menshen).follow(&start_url()).await;
        assert_eq!(page.cause(), Some(Cause::ProviderUnreachable));
    });
    futures_util::future::join_all(logins).await;
    assert_eq!(lark.calls(TENANT), 1);
    assert!(begun.elapsed() < CALL_TIMEOUT * 2);
    lark.clear_faults(TENANT);
    menshen.advance(Duration::from_secs(2));
    assert_signed_in(&sign_in(&menshen, &lark, "zhangsan").await.1, "zhangsan");
}

#[tokio::test]
async fn sessions_continue_while_lark_does_not_answer() {
    let lark = Lark::start().await.unwrap();
    let menshen = start(&lark, CONTACTS).await;
    let (mut signed_in, page) = sign_in(&menshen, &lark, "lisi").await;
    assert_signed_in(&page, "lisi");
    for path in [TOKEN, USER_INFO, &person_path("zhangsan")] {
        let mut waiting = Browser::new(&menshen);
        let callback = callback_url(&lark, &mut waiting, "zhangsan").await;
        lark.hang(path);
        let hanging_login = async {
            let page = waiting.follow(&callback).await;
            assert_eq!(page.cause(), Some(Cause::ProviderUnreachable), "{path}");
        };
        let requests_of_session = async {
            for _ in 0..20 {
                assert!(is_signed_in(&mut signed_in).await, "{path}");
            }
        };
        futures_util::future::join(hanging_login, requests_of_session).await;
        lark.clear_faults(path);
    }
    assert_signed_in(&sign_in(&menshen, &lark, "zhangsan").await.1, "zhangsan");
}
