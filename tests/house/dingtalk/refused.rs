//! Who is not signed in: people of other organisations, and responses that do not belong to a login.

use menshen::face::page::Cause;

use super::{
    BY_UNION_ID, ID, MEMBER, USER_TOKEN, assert_refused, last_error, open_login_page,
    redirected_from, sign_in, start,
};
use crate::browser::Browser;
use crate::dingtalk_source::{CORP_ID, DingTalk, EXTERNAL, OTHER_CORP_ID, STRANGER};
use crate::logging_in::{OWN_PAGES, query_parameter};

#[tokio::test]
async fn only_active_internal_members_sign_in() {
    let (menshen, dingtalk) = start("").await;
    for (userid, cause, words) in [
        (STRANGER, Cause::NotMember, "60121"),
        (EXTERNAL, Cause::NotMember, "外部联系人"),
        ("zhaomin", Cause::InactiveMember, "未激活"),
        ("chengong", Cause::NotVisibleToApp, "50002"),
    ] {
        let error = assert_refused(&menshen, userid, cause).await;
        assert!(error.contains(words), "{userid}: {error}");
    }
    assert_eq!(sign_in(&menshen, "lisi").await.1.answer.status, 200);
    // A person who leaves is refused at the next login.
    dingtalk.delete_member("lisi");
    assert_refused(&menshen, "lisi", Cause::NotMember).await;
}

#[tokio::test]
async fn with_the_scope_corpid_the_chosen_organisation_must_be_ours() {
    let (menshen, dingtalk) = start("scope = \"openid corpid\"").await;
    let (_, page) = sign_in(&menshen, "lisi").await;
    assert_eq!(page.answer.echoed("x-forwarded-user"), ["lisi"]);
    let (query, _) = dingtalk.last_request("/oauth2/auth");
    assert!(query.contains("scope=openid%20corpid"), "{query}");
    for (corp_id, expected) in [(CORP_ID, None), (OTHER_CORP_ID, Some(Cause::NotMember))] {
        let mut browser = Browser::new(&menshen);
        let page = open_login_page(&mut browser).await;
        let link = DingTalk::choose_with(&page, "zhangsan", corp_id);
        let back = redirected_from(&mut browser, &link).await;
        let page = browser.follow(&back).await;
        assert_eq!(page.cause(), expected, "{corp_id}");
    }
    let asked = dingtalk.calls(BY_UNION_ID);
    assert_refused(&menshen, STRANGER, Cause::NotMember).await;
    assert_eq!(dingtalk.calls(BY_UNION_ID), asked, "refused before");
    // An answer without the organisation is none.
    let answer = r#"{"accessToken":"t","expireIn":7200}"#;
    dingtalk.answer(USER_TOKEN, 200, answer);
    let error = assert_refused(&menshen, "lisi", Cause::ProviderUnreachable).await;
    assert!(error.contains("`corpId`"), "{error}");
}

#[tokio::test]
async fn a_person_who_refuses_gets_a_page() {
    let (menshen, dingtalk) = start("").await;
    let mut browser = Browser::new(&menshen);
    let page = open_login_page(&mut browser).await;
    let back = redirected_from(&mut browser, &DingTalk::refuse(&page)).await;
    let page = browser.follow(&back).await;
    assert_eq!(page.cause(), Some(Cause::LoginDeclined));
    assert_eq!(dingtalk.calls(USER_TOKEN), 0);
}

#[tokio::test]
async fn a_code_counts_only_with_the_state_of_this_browser() {
    let (menshen, dingtalk) = start("").await;
    let mut browser = Browser::new(&menshen);
    let page = open_login_page(&mut browser).await;
    let back = redirected_from(&mut browser, &DingTalk::choose(&page, "lisi")).await;
    // Another browser, and another state.
    let page = Browser::new(&menshen).follow(&back).await;
    assert_eq!(page.cause(), Some(Cause::FlowCookieMissing));
    let state = query_parameter(&back, "state").unwrap();
    let forged = back.replace(&state, &"b".repeat(state.len()));
    let page = browser.follow(&forged).await;
    assert_eq!(page.cause(), Some(Cause::FlowCookieMissing));
    let without = back.split("&state=").next().unwrap();
    let page = browser.follow(without).await;
    assert_eq!(page.cause(), Some(Cause::InvalidProviderResponse));
    assert_eq!(dingtalk.calls(USER_TOKEN), 0);
    for query in [
        "authCode=a&authCode=b",
        "authCode=",
        "authCode=a%0Ab",
        "code=a&code=b",
    ] {
        let page = open_login_page(&mut browser).await;
        let state = query_parameter(&page, "state").unwrap();
        let url = format!("{OWN_PAGES}/callback/{ID}?{query}&state={state}");
        let page = browser.follow(&url).await;
        assert_eq!(
            page.cause(),
            Some(Cause::InvalidProviderResponse),
            "{query}"
        );
        assert_eq!(dingtalk.calls(USER_TOKEN), 0, "{query}");
    }
}

#[tokio::test]
async fn a_used_code_begins_the_login_once_more() {
    let (menshen, _dingtalk) = start("").await;
    let mut first = Browser::new(&menshen);
    let page = open_login_page(&mut first).await;
    let back = redirected_from(&mut first, &DingTalk::choose(&page, "lisi")).await;
    assert_eq!(first.follow(&back).await.answer.status, 200);
    let code = query_parameter(&back, "authCode").unwrap();
    let mut browser = Browser::new(&menshen);
    let is_login_page = |next: &str| next.contains("/oauth2/auth");
    let mut page = open_login_page(&mut browser).await;
    for is_repeated in [true, false] {
        let state = query_parameter(&page, "state").unwrap();
        let url = format!("{OWN_PAGES}/callback/{ID}?authCode={code}&state={state}");
        let next = browser.follow_until(&url, is_login_page).await;
        assert!(last_error(&menshen).contains("authCode.notFound"));
        assert_eq!(is_login_page(&next.url), is_repeated, "{}", next.url);
        if !is_repeated {
            assert_eq!(next.cause(), Some(Cause::CodeRejectedTwice));
        }
        page = next.url;
    }
    assert!(browser.cookie("menshen").is_none());
}

/// The values of a request are redacted in the log, and anybody can choose the code.
#[tokio::test]
async fn a_wrong_code_is_no_wrong_setting_whatever_it_is() {
    let (menshen, _dingtalk) = start("").await;
    for code in ["authCode", "invalidParameter", "authCode.notFound"] {
        let mut browser = Browser::new(&menshen);
        let mut page = open_login_page(&mut browser).await;
        let is_login_page = |next: &str| next.contains("/oauth2/auth");
        for is_repeated in [true, false] {
            let state = query_parameter(&page, "state").unwrap();
            let url = format!("{OWN_PAGES}/callback/{ID}?authCode={code}&state={state}");
            let next = browser.follow_until(&url, is_login_page).await;
            assert_eq!(
                is_login_page(&next.url),
                is_repeated,
                "{code}: {}",
                next.url
            );
            if !is_repeated {
                assert_eq!(next.cause(), Some(Cause::CodeRejectedTwice), "{code}");
            }
            page = next.url;
        }
    }
    let site = menshen.running.live().site();
    let mut entries = site.login.entries().iter();
    let entry = entries.find(|entry| entry.id.as_str() == ID).unwrap();
    let report = entry.health.report();
    assert!(report.last_problem.is_none(), "{report:?}");
}

#[tokio::test]
async fn an_answer_about_another_person_or_without_what_it_must_say_fails_the_login() {
    let (menshen, dingtalk) = start("").await;
    let ok = |result: &str| format!(r#"{{"errcode":0,"errmsg":"ok","result":{result}}}"#);
    for (path, body, cause) in [
        (
            MEMBER,
            ok(r#"{"userid":"zhangsan","active":true}"#),
            Cause::ProviderUnreachable,
        ),
        (MEMBER, ok(r#"{"active":true}"#), Cause::ProviderUnreachable),
        (MEMBER, ok(r#"{"userid":"lisi"}"#), Cause::InactiveMember),
        (
            MEMBER,
            ok(r#"{"userid":"lisi","active":"true"}"#),
            Cause::InactiveMember,
        ),
        (MEMBER, ok("null"), Cause::ProviderUnreachable),
        (
            MEMBER,
            r#"{"result":{"userid":"lisi","active":true}}"#.to_owned(),
            Cause::ProviderUnreachable,
        ),
        (
            BY_UNION_ID,
            ok(r#"{"userid":"lisi"}"#),
            Cause::ProviderUnreachable,
        ),
        (
            BY_UNION_ID,
            ok(r#"{"contact_type":0}"#),
            Cause::ProviderUnreachable,
        ),
        (
            BY_UNION_ID,
            ok(r#"{"contact_type":2,"userid":"lisi"}"#),
            Cause::NotMember,
        ),
    ] {
        dingtalk.answer(path, 200, body.clone());
        let (browser, page) = sign_in(&menshen, "lisi").await;
        dingtalk.clear_faults(path);
        assert_eq!(page.cause(), Some(cause), "{path} {body}");
        assert!(browser.cookie("menshen").is_none(), "{path} {body}");
    }
}
