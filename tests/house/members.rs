//! WeCom members: who may sign in, and which of their fields reach rules and applications.

mod department_rules;
mod unknown_names;

use std::time::Duration;

use menshen::face::page::Cause;

use crate::browser::{Browser, Page};
use crate::logging_in::{OWN_PAGES, WECOM_PHONE_APP};
use crate::setup::{Menshen, NO_LOGIN_LIMITS, SSO_URL, Setup};
use crate::troubles::agree;
use crate::wecom::{AGENT_ID, Department, OUTSIDER, WeCom};

const ROUTES: &str = r#"
[[route]]
name = "app"
upstream = ["{app}"]
header_encoding = "utf-8"
[route.headers]
X-Departments = "user.departments"
X-Paths = "user.department_paths"
X-Ids = "user.department_ids"
X-Badge = "user.attributes.badge"
X-Position = "user.attributes.position"

[[route]]
name = "by-name"
path = "/by-name"
upstream = ["{app}"]
allow = "'财务部' in user.departments"

[[route]]
name = "by-path"
path = "/by-path"
upstream = ["{app}"]
allow = "'示例公司/财务部' in user.department_paths"

[[route]]
name = "by-id"
path = "/by-id"
upstream = ["{app}"]
allow = "'2' in user.department_ids"
"#;

fn setup() -> Setup {
    Setup::default().routes(ROUTES).tables(&format!(
        "[connector.corp.mapping]\nbadge = 'profile.extattr.attrs[2].value'\n{NO_LOGIN_LIMITS}"
    ))
}

async fn sign_in_on_phone(menshen: &Menshen, userid: &str) -> (Browser, Page) {
    menshen.wecom.set_phone_owner(userid);
    let mut phone = Browser::new(menshen).with_user_agent(WECOM_PHONE_APP);
    let page = phone.follow(&format!("{SSO_URL}/echo")).await;
    (phone, page)
}

#[tokio::test]
async fn only_active_members_within_the_scope_of_the_application_sign_in() {
    let menshen = Setup::default().tables(NO_LOGIN_LIMITS).start().await;
    for (userid, status, expected) in [
        (OUTSIDER, None, Some(Cause::NotMember)),
        ("ww00000000000000a1/lisi", None, Some(Cause::NotMember)),
        ("ww6d656e7368656e01/lisi", None, Some(Cause::NotMember)),
        ("lisi", Some(2), Some(Cause::InactiveMember)),
        ("lisi", Some(4), Some(Cause::InactiveMember)),
        ("lisi", Some(5), Some(Cause::InactiveMember)),
        ("lisi", Some(0), Some(Cause::InactiveMember)),
        ("lisi", Some(1), None),
        ("zhaomin", None, Some(Cause::InactiveMember)),
        ("chengong", None, Some(Cause::NotVisibleToApp)),
        ("nobody-of-this-name", None, Some(Cause::NotVisibleToApp)),
    ] {
        if let Some(status) = status {
            menshen.wecom.set_status(userid, status);
        }
        let (mut phone, page) = sign_in_on_phone(&menshen, userid).await;
        assert_eq!(page.cause(), expected, "{userid} {status:?}");
        assert_eq!(
            phone.cookie("menshen").is_some(),
            expected.is_none(),
            "{userid}"
        );
        let info = phone.visit(&format!("{OWN_PAGES}/userinfo")).await;
        assert_eq!(info.status == 200, expected.is_none(), "{userid}");
        if expected.is_some() {
            let record = menshen.audit().pop().unwrap();
            assert_eq!(record["event"], "refused", "{userid}");
            assert!(
                record["error"]
                    .as_str()
                    .unwrap()
                    .contains("does not confirm"),
                "{record}"
            );
        }
    }
}

#[tokio::test]
async fn a_member_deleted_between_the_scan_and_the_callback_is_refused() {
    let menshen = Menshen::new().await;
    let mut browser = Browser::new(&menshen);
    let source = browser.open_login_page(&format!("{SSO_URL}/echo")).await;
    let back = browser.choose_person(&source, "wangfang").await;
    menshen.wecom.delete_member("wangfang");
    assert_eq!(
        browser.follow(&back).await.cause(),
        Some(Cause::NotVisibleToApp)
    );
}

#[tokio::test]
async fn fields_that_wecom_withholds_are_absent_without_an_error() {
    let menshen = Menshen::new().await;
    for userid in ["zhangsan", "wangfang"] {
        let mut browser = Browser::new(&menshen);
        let page = browser.sign_in(&format!("{SSO_URL}/echo"), userid).await;
        assert_eq!(page.answer.echoed("x-forwarded-user"), [userid]);
        assert!(page.answer.echoed("x-forwarded-email").is_empty());
        let info = browser.visit(&format!("{OWN_PAGES}/userinfo")).await.json();
        assert!(
            info["email"].is_null() && info["mobile"].is_null(),
            "{info}"
        );
    }
    // Older applications get more fields.
    menshen.wecom.set_shows_personal_fields(AGENT_ID, true);
    for (userid, email) in [
        ("zhangsan", vec!["zhangsan@corp.example"]),
        ("wangfang", vec![]),
    ] {
        let page = Browser::new(&menshen)
            .sign_in(&format!("{SSO_URL}/echo"), userid)
            .await;
        assert_eq!(page.answer.echoed("x-forwarded-email"), email);
    }
    menshen
        .wecom
        .member("lisi", |one| one.biz_mail = String::new());
    let page = Browser::new(&menshen)
        .sign_in(&format!("{SSO_URL}/echo"), "lisi")
        .await;
    assert_eq!(
        page.answer.echoed("x-forwarded-email"),
        ["lisi@mail.example"]
    );
}

#[tokio::test]
async fn fields_that_a_member_agrees_to_share_are_loaded() {
    let setup = Setup::default().wecom("scope = 'snsapi_privateinfo'");
    let menshen = setup.start().await;
    let mut phone = Browser::new(&menshen).with_user_agent(WECOM_PHONE_APP);
    let page = agree(&mut phone, &format!("{SSO_URL}/echo")).await;
    assert_eq!(
        page.answer.echoed("x-forwarded-email"),
        ["zhangsan@corp.example"]
    );
    let info = phone.visit(&format!("{OWN_PAGES}/userinfo")).await.json();
    assert!(
        info["mobile"].as_str().unwrap().starts_with("138"),
        "{info}"
    );
    assert_eq!(menshen.wecom.calls("/cgi-bin/auth/getuserdetail"), 1);
    // An ordinary browser has no consent page, so the fields are absent.
    let mut browser = Browser::new(&menshen);
    let page = browser.sign_in(&format!("{SSO_URL}/echo"), "lisi").await;
    assert_eq!(page.answer.status, 200);
    assert!(page.answer.echoed("x-forwarded-email").is_empty());
    // A member who refuses consent declines the login.
    let mut phone = Browser::new(&menshen).with_user_agent(WECOM_PHONE_APP);
    let page = phone.follow(&format!("{SSO_URL}/echo")).await;
    let page = page.url.trim_end_matches("#wechat_redirect").to_owned();
    let page = phone.follow(&WeCom::refuse(&page)).await;
    assert_eq!(page.cause(), Some(Cause::LoginDeclined));
}

#[tokio::test]
async fn departments_and_further_fields_reach_rules_and_headers() {
    let menshen = setup().start().await;
    let mut zhang = Browser::new(&menshen);
    let answer = zhang
        .sign_in(&format!("{SSO_URL}/echo"), "zhangsan")
        .await
        .answer;
    for (header, value) in [
        ("x-departments", "平台部,应用部"),
        (
            "x-paths",
            "示例公司/研发中心/平台部,示例公司/研发中心/应用部",
        ),
        ("x-ids", "5,6"),
        ("x-badge", "10086"),
        ("x-position", "平台工程师"),
    ] {
        assert_eq!(answer.echoed(header), [value], "{header}");
    }
    let mut li = Browser::new(&menshen);
    li.sign_in(&format!("{SSO_URL}/echo"), "lisi").await;
    for path in ["/by-name", "/by-path", "/by-id"] {
        assert_eq!(
            li.visit(&format!("{SSO_URL}{path}")).await.status,
            200,
            "{path}"
        );
        assert_eq!(
            zhang.visit(&format!("{SSO_URL}{path}")).await.status,
            403,
            "{path}"
        );
    }
}

#[tokio::test]
async fn a_missing_field_is_absent_for_that_member_only() {
    let menshen = setup().start().await;
    menshen
        .wecom
        .member("zhangsan", |one| one.attributes.truncate(1));
    menshen.wecom.member("lisi", |one| one.department.clear());
    let answer = Browser::new(&menshen)
        .sign_in(&format!("{SSO_URL}/echo"), "zhangsan")
        .await
        .answer;
    assert_eq!(answer.status, 200);
    assert!(answer.echoed("x-badge").is_empty());
    assert_eq!(answer.echoed("x-ids"), ["5,6"]);
    let mut li = Browser::new(&menshen);
    let answer = li.sign_in(&format!("{SSO_URL}/echo"), "lisi").await.answer;
    assert_eq!(answer.echoed("x-badge"), ["20117"]);
    assert!(answer.echoed("x-departments").iter().all(String::is_empty));
    assert_eq!(li.visit(&format!("{SSO_URL}/by-name")).await.status, 403);
}

#[tokio::test]
async fn rules_on_department_names_deny_while_the_names_are_unknown() {
    let menshen = setup().start().await;
    menshen
        .wecom
        .fail("/cgi-bin/department/list", 60011, usize::MAX);
    let mut li = Browser::new(&menshen);
    let answer = li.sign_in(&format!("{SSO_URL}/echo"), "lisi").await.answer;
    // An ID in the place of a name could mislead the application.
    assert_eq!(answer.status, 200);
    assert!(answer.echoed("x-departments").is_empty());
    assert_eq!(answer.echoed("x-ids"), ["2"]);
    for (path, status) in [("/by-name", 403), ("/by-path", 403), ("/by-id", 200)] {
        assert_eq!(
            li.visit(&format!("{SSO_URL}{path}")).await.status,
            status,
            "{path}"
        );
    }
    menshen.wecom.clear_faults("/cgi-bin/department/list");
    menshen.advance(Duration::from_secs(61));
    li.sign_in(
        &format!("{OWN_PAGES}/start?connector=corp&rd=/echo"),
        "lisi",
    )
    .await;
    assert_eq!(li.visit(&format!("{SSO_URL}/by-name")).await.status, 200);
}

#[tokio::test]
async fn a_renamed_or_moved_department_takes_effect_at_a_login_ten_minutes_later() {
    let menshen = setup().start().await;
    let mut li = Browser::new(&menshen);
    li.sign_in(&format!("{SSO_URL}/echo"), "lisi").await;
    let rename_finance_and_remove_root = |all: &mut Vec<Department>| {
        all.retain(|one| one.id != 1);
        let finance = all.iter_mut().find(|one| one.id == 2).unwrap();
        finance.name = "财务中心".to_owned();
    };
    menshen.wecom.departments(rename_finance_and_remove_root);
    menshen.advance(Duration::from_secs(601));
    let login_again = format!("{OWN_PAGES}/start?connector=corp&rd=/echo");
    let answer = li.sign_in(&login_again, "lisi").await.answer;
    assert_eq!(answer.echoed("x-departments"), ["财务中心"]);
    // Without the old root the tree has several roots.
    assert_eq!(answer.echoed("x-paths"), ["财务中心"]);
    assert_eq!(li.visit(&format!("{SSO_URL}/by-name")).await.status, 403);
    assert_eq!(li.visit(&format!("{SSO_URL}/by-id")).await.status, 200);
}

#[tokio::test]
async fn concurrent_logins_never_mix_up_people() {
    let menshen = Setup::default().tables(NO_LOGIN_LIMITS).start().await;
    let names: Vec<_> = (0..300).map(|nth| format!("member-{nth}")).collect();
    for name in &names {
        menshen.wecom.member(name, |_| {});
    }
    let sign_in = async |name: &String| {
        let mut browser = Browser::new(&menshen);
        let page = browser
            .sign_in(&format!("{SSO_URL}/echo?{name}"), name)
            .await;
        assert_eq!(page.answer.json()["target"], format!("/echo?{name}"));
        assert_eq!(page.answer.echoed("x-forwarded-user"), [name.as_str()]);
        let info = browser.visit(&format!("{OWN_PAGES}/userinfo")).await.json();
        assert_eq!(info["login"], name.as_str());
    };
    for batch in names.chunks(100) {
        futures_util::future::join_all(batch.iter().map(sign_in)).await;
    }
    let mut subjects: Vec<_> = menshen
        .audit()
        .iter()
        .map(|line| line["subject"].clone())
        .collect();
    subjects.sort_by_key(ToString::to_string);
    subjects.dedup();
    assert_eq!(subjects.len(), names.len());
}
