//! What a login makes of a person of Lark.

use std::time::Duration;

use super::{
    APP_TOKEN, CALLBACK, CONTACTS, TENANT, TOKEN, assert_signed_in, callback_url, person_path,
    setup, sign_in, sign_in_silently, start,
};
use crate::browser::Browser;
use crate::lark::{APP_ID, Lark, OTHER_TENANT_KEY, Permission, TENANT_KEY};
use crate::logging_in::{OWN_PAGES, query_parameter};
use crate::setup::{NO_LOGIN_LIMITS, SSO_URL};

const ROUTES: &str = r#"
[[route]]
name = "app"
upstream = ["{app}"]
header_encoding = "utf-8"
[route.headers]
X-Departments = "user.departments"
X-Paths = "user.department_paths"
X-Ids = "user.department_ids"
X-Tenant = "user.tenant_code"
X-Position = "user.attributes.position"
X-Avatar = "user.attributes.avatar"
X-Employee = "user.attributes.employee_no"

[[route]]
name = "finance"
path = "/finance"
upstream = ["{app}"]
allow = "'财务部' in user.departments"
"#;

#[tokio::test]
async fn a_person_signs_in_by_pkce_and_the_application_receives_who_they_are() {
    let lark = Lark::start().await.unwrap();
    let menshen = start(
        &lark,
        "scopes = ['contact:user.email:readonly', 'contact:user.phone:readonly']",
    )
    .await;
    let mut browser = Browser::new(&menshen);
    let page = browser.follow(&super::start_url()).await;
    for (name, value) in [
        ("client_id", APP_ID),
        ("redirect_uri", CALLBACK),
        ("response_type", "code"),
        ("code_challenge_method", "S256"),
        (
            "scope",
            "contact:user.email:readonly contact:user.phone:readonly",
        ),
    ] {
        assert_eq!(
            query_parameter(&page.url, name).as_deref(),
            Some(value),
            "{name}"
        );
    }
    assert!(page.url.contains("%20contact"), "{}", page.url);
    let (mut browser, page) = sign_in(&menshen, &lark, "zhangsan").await;
    assert_signed_in(&page, "zhangsan");
    for (header, value) in [
        ("x-forwarded-name", "%E5%BC%A0%E4%B8%89"),
        ("x-forwarded-email", "zhangsan@corp.example"),
    ] {
        assert_eq!(page.answer.echoed(header), [value], "{header}");
    }
    let info = browser.visit(&format!("{OWN_PAGES}/userinfo")).await.json();
    assert_eq!(info["connector"], "fs");
    assert!(
        info["mobile"].as_str().unwrap().starts_with("+86138"),
        "{info}"
    );
    let record = menshen.audit().pop().unwrap();
    assert_eq!(record["subject"], format!("{TENANT_KEY}:on_zhangsan"));
    // The code belongs to this login: the simulation compares the verifier with its challenge.
    let request = lark.last_token_request();
    assert_eq!(request["redirect_uri"], CALLBACK);
    assert!(
        request["code_verifier"].as_str().unwrap().len() >= 43,
        "{request}"
    );
}

#[tokio::test]
async fn inside_the_client_the_login_needs_no_click() {
    let lark = Lark::start().await.unwrap();
    let menshen = start(&lark, "").await;
    let (browser, page) = sign_in_silently(&menshen, &lark, "lisi").await;
    assert_signed_in(&page, "lisi");
    assert!(
        browser
            .visited
            .iter()
            .all(|url| !url.contains("simulated_choice"))
    );
    // It begins by itself, and an ordinary browser is asked.
    let mut client = Browser::new(&menshen).with_user_agent(super::CLIENT);
    let page = client.follow(&format!("{SSO_URL}/echo")).await;
    assert_eq!(
        page.answer.echoed("x-forwarded-user"),
        ["lisi"],
        "{}",
        page.url
    );
    let page = Browser::new(&menshen)
        .follow(&format!("{SSO_URL}/echo"))
        .await;
    assert!(page.url.starts_with(OWN_PAGES), "{}", page.url);
}

#[tokio::test]
async fn contacts_bring_departments_that_rules_and_headers_see() {
    let lark = Lark::start().await.unwrap();
    let menshen = setup(&lark, CONTACTS).routes(ROUTES).start().await;
    let (mut zhang, page) = sign_in(&menshen, &lark, "zhangsan").await;
    for (header, value) in [
        ("x-departments", "平台部,应用部"),
        (
            "x-paths",
            "示例公司/研发中心/平台部,示例公司/研发中心/应用部",
        ),
        ("x-ids", "od-platform,od-apps"),
        ("x-tenant", TENANT_KEY),
        ("x-position", "平台工程师"),
        ("x-avatar", "https://avatar.invalid/zhangsan/72"),
        ("x-employee", "858"),
    ] {
        assert_eq!(page.answer.echoed(header), [value], "{header}");
    }
    let (mut li, _) = sign_in(&menshen, &lark, "lisi").await;
    let finance = format!("{SSO_URL}/finance");
    assert_eq!(zhang.visit(&finance).await.status, 403);
    assert_eq!(li.visit(&finance).await.status, 200);
    // Without the contact API there are no departments.
    let other = Lark::start().await.unwrap();
    let menshen = setup(&other, "").routes(ROUTES).start().await;
    let (mut li, _) = sign_in(&menshen, &other, "lisi").await;
    assert_eq!(li.visit(&finance).await.status, 403);
    assert_eq!(other.calls(&person_path("lisi")), 0);
}

#[tokio::test]
async fn a_person_without_e_mail_mobile_and_user_id_signs_in() {
    for lines in ["", CONTACTS] {
        let lark = Lark::start().await.unwrap();
        for permission in [Permission::EmployeeId, Permission::Email, Permission::Phone] {
            lark.set_permission(permission, false);
        }
        let menshen = start(&lark, lines).await;
        for user_id in ["zhangsan", "wangfang"] {
            let (mut browser, page) = sign_in(&menshen, &lark, user_id).await;
            // Without the permission there is no user_id.
            assert_signed_in(&page, &format!("ou_{user_id}"));
            assert!(
                page.answer.echoed("x-forwarded-email").is_empty(),
                "{lines}"
            );
            let info = browser.visit(&format!("{OWN_PAGES}/userinfo")).await.json();
            assert!(
                info["email"].is_null() && info["mobile"].is_null(),
                "{info}"
            );
        }
    }
    let lark = Lark::start().await.unwrap();
    let menshen = start(&lark, CONTACTS).await;
    let (_, page) = sign_in(&menshen, &lark, "wangfang").await;
    assert_signed_in(&page, "wangfang");
    assert!(page.answer.echoed("x-forwarded-email").is_empty());
}

#[tokio::test]
async fn the_same_userid_at_two_sources_is_never_one_person() {
    let lark = Lark::start().await.unwrap();
    lark.register_redirect(CALLBACK);
    let with = |more: &str| {
        let tables = lark.connector_toml("fs", CONTACTS);
        let tables = tables.replacen("[connector.fs]\n", &format!("[connector.fs]\n{more}\n"), 1);
        crate::setup::Setup::default().tables(&format!("{tables}{NO_LOGIN_LIMITS}"))
    };
    // Lark vouches for no field, so link_by links nobody.
    let menshen = with("login_prefix = 'fs-'\nlink_by = ['email', 'mobile']")
        .start()
        .await;
    let wecom = crate::wecom::AGENT_ID;
    menshen.wecom.set_shows_personal_fields(wecom, true);
    menshen
        .wecom
        .member("zhangsan", |one| one.mobile = "+8613800000858".to_owned());
    let mut first = Browser::new(&menshen);
    let start = format!("{OWN_PAGES}/start?connector=corp&rd=/echo");
    first.sign_in(&start, "zhangsan").await;
    let (mut second, page) = sign_in(&menshen, &lark, "zhangsan").await;
    assert_signed_in(&page, "fs-zhangsan");
    let id = async |browser: &mut Browser| {
        let info = browser.visit(&format!("{OWN_PAGES}/userinfo")).await.json();
        info["id"].as_str().unwrap().to_owned()
    };
    assert_ne!(id(&mut first).await, id(&mut second).await);
    // With the same login name the second person is refused.
    let menshen = with("").start().await;
    Browser::new(&menshen).sign_in(&start, "zhangsan").await;
    let (browser, page) = sign_in(&menshen, &lark, "zhangsan").await;
    assert_eq!(page.cause(), Some(menshen::face::page::Cause::LoginTaken));
    assert!(browser.cookie("menshen").is_none());
}

#[tokio::test]
async fn the_tenant_is_asked_once_unless_the_settings_name_it() {
    let lark = Lark::start().await.unwrap();
    let menshen = start(&lark, "").await;
    for user_id in ["zhangsan", "lisi", "zhangsan"] {
        assert_signed_in(&sign_in(&menshen, &lark, user_id).await.1, user_id);
    }
    assert_eq!((lark.calls(TENANT), lark.calls(APP_TOKEN)), (1, 1));
    let lark = Lark::start().await.unwrap();
    lark.set_permission(Permission::Tenant, false);
    let menshen = start(&lark, &format!("tenant_key = '{TENANT_KEY}'")).await;
    assert_signed_in(&sign_in(&menshen, &lark, "lisi").await.1, "lisi");
    assert_eq!(lark.calls(TENANT), 0);
    // Without the contact API the application's token is not needed either.
    assert_eq!(lark.calls(APP_TOKEN), 0);
    let menshen = start(&lark, &format!("tenant_key = '{OTHER_TENANT_KEY}'")).await;
    let (_, page) = sign_in(&menshen, &lark, "outsider").await;
    assert_signed_in(&page, "outsider");
}

#[tokio::test]
async fn each_url_may_be_given() {
    let lark = Lark::start().await.unwrap();
    lark.register_redirect(CALLBACK);
    let base = lark.base_url();
    let tables = lark.connector_toml(
        "fs",
        &format!(
            "authorize_url = '{base}/open-apis/authen/v1/authorize?brand=a'\n\
             token_url = '{base}/oauth/v3/token'"
        ),
    );
    let elsewhere = format!("accounts_base = \"{base}\"");
    let tables = tables.replace(&elsewhere, "accounts_base = \"https://elsewhere.example\"");
    let menshen = setup(&lark, "").tables(&tables).start().await;
    let mut browser = Browser::new(&menshen);
    let callback = callback_url(&lark, &mut browser, "lisi").await;
    assert!(
        browser.visited[1].contains("brand=a"),
        "{:?}",
        browser.visited
    );
    assert_signed_in(&browser.follow(&callback).await, "lisi");
    assert_eq!((lark.calls("/oauth/v3/token"), lark.calls(TOKEN)), (1, 0));
}

#[tokio::test]
async fn the_applications_token_is_shared_and_replaced_when_lark_rejects_it() {
    let lark = Lark::start().await.unwrap();
    let menshen = start(&lark, CONTACTS).await;
    for _ in 0..3 {
        sign_in(&menshen, &lark, "zhangsan").await;
    }
    assert_eq!(lark.calls(APP_TOKEN), 1);
    lark.revoke_tokens();
    for user_id in ["zhangsan", "lisi"] {
        let (_, page) = sign_in(&menshen, &lark, user_id).await;
        assert_signed_in(&page, user_id);
    }
    assert_eq!(lark.calls(APP_TOKEN), 2);
    // A call that is refused with the new token as well is not repeated again.
    menshen.advance(Duration::from_secs(10));
    let before = lark.calls(&person_path("lisi"));
    lark.fail(&person_path("lisi"), 99_991_663, usize::MAX);
    let (_, page) = sign_in(&menshen, &lark, "lisi").await;
    assert_eq!(page.answer.status, 502, "{}", page.answer.text());
    assert_eq!(lark.calls(&person_path("lisi")), before + 2);
}
