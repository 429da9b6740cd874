//! Identities, accounts and login names over several logins.

use menshen::face::page::Cause;
use menshen::store::{Closing, SubjectRename, SubjectRenameOutcome};

mod gone;
mod join;
mod linking;
mod removal;

use crate::browser::{Browser, Page, href};
use crate::logging_in::OWN_PAGES;
use crate::setup::{Menshen, NO_LOGIN_LIMITS, SECOND_CONNECTOR, SSO_URL, Setup};
use crate::test_request::{TestRequest, session_cookie_of};
use crate::wecom::AGENT_ID;

/// A closing by an administrator.
pub(crate) fn closing(reason: &str) -> Closing {
    Closing {
        by: "boss".to_owned(),
        reason: reason.to_owned(),
        gone: None,
        by_sync_of: None,
    }
}

/// Logs in with a connector in a new browser.
pub(crate) async fn log_in_with(
    menshen: &Menshen,
    connector: &str,
    userid: &str,
) -> (Browser, Page) {
    let mut browser = Browser::new(menshen);
    let start = format!("{OWN_PAGES}/start?connector={connector}&rd=/echo");
    let page = browser.sign_in(&start, userid).await;
    (browser, page)
}

pub(crate) async fn account_id(browser: &mut Browser) -> String {
    let info = browser.visit(&format!("{OWN_PAGES}/userinfo")).await.json();
    info["id"]
        .as_str()
        .expect("the browser is signed in")
        .to_owned()
}

/// [`SECOND_CONNECTOR`] with these lines, and no login limits.
fn second_connector(settings: &str) -> String {
    let table = "[connector.other]\n";
    SECOND_CONNECTOR.replace(table, &format!("{table}{settings}\n")) + NO_LOGIN_LIMITS
}

#[tokio::test]
async fn a_login_name_of_another_identity_is_refused_and_both_are_logged() {
    let menshen = Setup::default().tables(&second_connector("")).start().await;
    let (mut first, _) = log_in_with(&menshen, "corp", "zhangsan").await;
    let owner = account_id(&mut first).await;
    let (second, page) = log_in_with(&menshen, "other", "zhangsan").await;
    assert_eq!(
        (page.answer.status, page.cause()),
        (403, Some(Cause::LoginTaken))
    );
    assert!(second.cookie("menshen").is_none());
    assert!(href(&page.answer.text(), "/sign_in").is_some());
    let record = menshen.audit().pop().unwrap().to_string();
    assert!(
        record.contains("zhangsan") && record.contains(&owner),
        "{record}"
    );
    assert!(record.contains("\"connector\":\"other\""), "{record}");
    // The first session goes on, and a person with a free login name can sign in.
    assert_eq!(first.visit(&format!("{SSO_URL}/echo")).await.status, 200);
    assert_eq!(
        log_in_with(&menshen, "other", "lisi").await.1.answer.status,
        200
    );
}

#[tokio::test]
async fn the_audit_log_names_the_refused_identity() {
    let menshen = Setup::default().tables(&second_connector("")).start().await;
    log_in_with(&menshen, "corp", "zhangsan").await;
    log_in_with(&menshen, "other", "zhangsan").await;
    let record = menshen.audit().pop().unwrap();
    assert_eq!(record["subject"], "ww6d656e7368656e01:zhangsan", "{record}");
    assert_eq!(record["login"], "zhangsan", "{record}");
}

#[tokio::test]
async fn login_prefix_separates_two_sources() {
    let menshen = Setup::default()
        .tables(&second_connector("login_prefix = 'gh-'"))
        .start()
        .await;
    let (mut one, page) = log_in_with(&menshen, "corp", "zhangsan").await;
    assert_eq!(page.answer.echoed("x-forwarded-user"), ["zhangsan"]);
    let (mut two, page) = log_in_with(&menshen, "other", "zhangsan").await;
    assert_eq!(page.answer.echoed("x-forwarded-user"), ["gh-zhangsan"]);
    assert_ne!(account_id(&mut one).await, account_id(&mut two).await);
}

#[tokio::test]
async fn only_verified_fields_link_accounts() {
    for (link_by, shows_personal_fields, remove_biz_mail, linked) in [
        ("", true, false, false),
        ("link_by = ['email']", true, false, true),
        ("link_by = ['mobile']", true, false, true),
        ("link_by = ['mobile', 'email']", true, false, true),
        // WeCom returns no verified fields.
        ("link_by = ['mobile', 'email']", false, false, false),
        // Members edit `email` themselves; only `biz_mail` is verified.
        ("link_by = ['email']", true, true, false),
    ] {
        let menshen = Setup::default()
            .tables(&second_connector(link_by))
            .start()
            .await;
        menshen
            .wecom
            .set_shows_personal_fields(AGENT_ID, shows_personal_fields);
        if remove_biz_mail {
            menshen.wecom.member("zhangsan", |one| one.biz_mail.clear());
        }
        let (mut first, _) = log_in_with(&menshen, "corp", "zhangsan").await;
        let (mut second, page) = log_in_with(&menshen, "other", "zhangsan").await;
        let what = format!("{link_by} {shows_personal_fields} {remove_biz_mail}");
        if linked {
            assert_eq!(page.answer.status, 200, "{what}");
            assert_eq!(
                account_id(&mut first).await,
                account_id(&mut second).await,
                "{what}"
            );
        } else {
            assert_eq!(page.cause(), Some(Cause::LoginTaken), "{what}");
        }
    }
}

#[tokio::test]
async fn a_self_entered_address_does_not_link_to_another_account() {
    let menshen = Setup::default()
        .tables(&second_connector("link_by = ['email', 'mobile']"))
        .start()
        .await;
    menshen.wecom.set_shows_personal_fields(AGENT_ID, true);
    let (mut li, _) = log_in_with(&menshen, "corp", "lisi").await;
    menshen.wecom.member("wangfang", |one| {
        one.email = "lisi@corp.example".to_owned();
        one.biz_mail.clear();
    });
    let (mut wang, page) = log_in_with(&menshen, "other", "wangfang").await;
    assert_eq!(page.answer.echoed("x-forwarded-user"), ["wangfang"]);
    assert_ne!(account_id(&mut wang).await, account_id(&mut li).await);
}

#[tokio::test]
async fn admission_existing_refuses_new_people_only() {
    let setup = |admission: &str| {
        let table = second_connector("link_by = ['email']");
        Setup::default()
            .connector(&format!("admission = '{admission}'"))
            .tables(&table)
    };
    let menshen = setup("create").start().await;
    menshen.wecom.set_shows_personal_fields(AGENT_ID, true);
    assert_eq!(
        log_in_with(&menshen, "corp", "zhangsan")
            .await
            .1
            .answer
            .status,
        200
    );
    menshen.reload(&setup("existing")).await.unwrap();
    assert_eq!(
        log_in_with(&menshen, "corp", "zhangsan")
            .await
            .1
            .answer
            .status,
        200
    );
    let (new_person, page) = log_in_with(&menshen, "corp", "lisi").await;
    assert_eq!(
        (page.answer.status, page.cause()),
        (403, Some(Cause::UnknownPerson))
    );
    assert!(new_person.cookie("menshen").is_none());
    let record = menshen.audit().pop().unwrap().to_string();
    assert!(record.contains("lisi"), "{record}");
    menshen.reload(&setup("create")).await.unwrap();
    assert_eq!(
        log_in_with(&menshen, "corp", "lisi").await.1.answer.status,
        200
    );
}

#[tokio::test]
async fn the_case_of_a_user_id_does_not_create_another_account() {
    let menshen = Setup::default().tables(NO_LOGIN_LIMITS).start().await;
    let mut accounts = Vec::new();
    for spelling in ["zhangsan", "ZhangSan", "ZHANGSAN"] {
        menshen
            .wecom
            .member("zhangsan", |one| one.userid = spelling.to_owned());
        let (mut browser, page) = log_in_with(&menshen, "corp", spelling).await;
        assert_eq!(page.answer.status, 200, "{spelling}");
        accounts.push(account_id(&mut browser).await);
    }
    accounts.dedup();
    assert_eq!(accounts.len(), 1);
    let subjects = menshen.audit();
    let has_subject = |line: &serde_json::Value| line["subject"] == "ww6d656e7368656e01:zhangsan";
    assert!(subjects.iter().all(has_subject), "{subjects:?}");
}

#[tokio::test]
async fn a_profile_without_a_login_creates_no_account() {
    for mapping in [
        "login = 'profile.nothing_of_this_name'",
        "login = 'profile.email'",
        "login = \"''\"",
        "login = \"' '\"",
        "login = \"'a\\\\nb'\"",
    ] {
        let mapping = format!("[connector.corp.mapping]\n{mapping}");
        let menshen = Setup::default().tables(&mapping).start().await;
        let (browser, page) = log_in_with(&menshen, "corp", "zhangsan").await;
        assert_eq!(
            (page.answer.status, page.cause()),
            (403, Some(Cause::NoLoginName)),
            "{mapping}"
        );
        assert!(browser.cookie("menshen").is_none(), "{mapping}");
    }
}

#[tokio::test]
async fn a_mapped_login_name_that_is_taken_is_refused() {
    let mapping = format!("[connector.corp.mapping]\nlogin = 'profile.alias'\n{NO_LOGIN_LIMITS}");
    let menshen = Setup::default().tables(&mapping).start().await;
    assert_eq!(
        log_in_with(&menshen, "corp", "lisi").await.1.answer.status,
        200
    );
    for alias in ["lisi", "LiSi", "LISI"] {
        menshen
            .wecom
            .member("zhangsan", |one| one.alias = alias.to_owned());
        let (_, page) = log_in_with(&menshen, "corp", "zhangsan").await;
        assert_eq!(page.cause(), Some(Cause::LoginTaken), "{alias}");
    }
    menshen
        .wecom
        .member("zhangsan", |one| one.alias = "zhang3".to_owned());
    let (_, page) = log_in_with(&menshen, "corp", "zhangsan").await;
    assert_eq!(page.answer.echoed("x-forwarded-user"), ["zhang3"]);
}

#[tokio::test]
async fn a_route_with_another_connector_offers_a_login_with_it() {
    let routes = r#"
        [[route]]
        name = "anybody"
        upstream = ["{app}"]
        [[route]]
        name = "second"
        path = "/second"
        connectors = ["other"]
        upstream = ["{app}"]
    "#;
    let connector = second_connector("login_prefix = 'o-'");
    let menshen = Setup::default()
        .routes(routes)
        .tables(&connector)
        .start()
        .await;
    let (mut browser, page) = log_in_with(&menshen, "corp", "zhangsan").await;
    assert_eq!(page.answer.status, 200);
    let chooser = browser
        .follow(&format!("{SSO_URL}/second/echo"))
        .await
        .answer;
    let html = chooser.text();
    assert_eq!(chooser.status, 200);
    assert!(href(&html, "/start?connector=other").is_some(), "{html}");
    assert!(href(&html, "/start?connector=corp").is_none(), "{html}");
    // A request that is no navigation gets 401 and is not forwarded.
    let answer = browser
        .send("GET", &format!("{SSO_URL}/second/echo"), &[], b"")
        .await;
    assert_eq!(answer.status, 401);
    let start = href(&html, "/start?connector=other").unwrap();
    let page = browser
        .sign_in(&format!("{SSO_URL}{start}"), "zhangsan")
        .await;
    assert_eq!(
        (page.answer.status, page.url),
        (200, format!("{SSO_URL}/second/echo"))
    );
    // The session of the other connector is valid on routes for any connector.
    let answer = browser.visit(&format!("{SSO_URL}/echo")).await;
    assert_eq!(answer.echoed("x-forwarded-user"), ["o-zhangsan"]);
    // The pages after the two logins, and the last request.
    assert_eq!(menshen.app.requests(), 3);
}

#[tokio::test]
async fn a_second_login_updates_the_first_session_at_once() {
    let menshen = Setup::default().tables(NO_LOGIN_LIMITS).start().await;
    let (mut first, _) = log_in_with(&menshen, "corp", "lisi").await;
    let finance = format!("{SSO_URL}/finance");
    assert_eq!(first.visit(&finance).await.status, 200);
    menshen.wecom.member("lisi", |one| one.department = vec![4]);
    // Without another login the change is not visible.
    assert_eq!(first.visit(&finance).await.status, 200);
    log_in_with(&menshen, "corp", "lisi").await;
    let forbidden = first.visit(&finance).await;
    assert_eq!(forbidden.status, 403);
    menshen.wecom.member("lisi", |one| one.department = vec![2]);
    log_in_with(&menshen, "corp", "lisi").await;
    assert_eq!(first.visit(&finance).await.status, 200);
    // The login of another person changes nothing.
    log_in_with(&menshen, "corp", "zhangsan").await;
    assert_eq!(first.visit(&finance).await.status, 200);
}

#[tokio::test]
async fn a_forbidden_person_can_switch_the_account() {
    let menshen = Menshen::new().await;
    let (mut browser, _) = log_in_with(&menshen, "corp", "zhangsan").await;
    let forbidden = browser.visit(&format!("{SSO_URL}/finance?year=2026")).await;
    let html = forbidden.text();
    assert_eq!(forbidden.status, 403);
    assert!(html.contains("张三") && html.contains("zhangsan"), "{html}");
    let switch = href(&html, "/sign_out?rd=").unwrap();
    let headers = [("Origin", SSO_URL), ("Accept", "text/html")];
    let signed_out = browser
        .send("POST", &format!("{SSO_URL}{switch}"), &headers, b"")
        .await;
    assert_eq!(signed_out.status, 303);
    assert!(browser.cookie("menshen").is_none());
    let chooser = format!("{SSO_URL}{}", signed_out.header("location").unwrap());
    assert!(chooser.contains("/sign_in?why=signed-out"), "{chooser}");
    let page = browser.sign_in(&chooser, "lisi").await;
    assert_eq!(
        (page.answer.status, page.url),
        (200, format!("{SSO_URL}/finance?year=2026"))
    );
}

#[tokio::test]
async fn a_released_login_name_belongs_to_one_person_only() {
    let mapping = "[connector.corp.mapping]\nlogin = 'profile.alias'";
    let setup = Setup::default().tables(mapping);
    let menshen = setup.start().await;
    menshen
        .wecom
        .member("zhangsan", |member| member.alias = "boss".to_owned());
    menshen
        .wecom
        .member("lisi", |member| member.alias = "boss".to_owned());
    let status_and_user = async |cookie: &str| {
        let answer = TestRequest::get("/echo")
            .session(cookie)
            .send(&menshen)
            .await;
        (answer.status, answer.echoed("x-forwarded-user"))
    };
    let old = session_cookie_of(&menshen, "zhangsan").await;
    assert_eq!(status_and_user(&old).await, (200, vec!["boss".to_owned()]));
    // The person gets another login name, which releases the old one.
    menshen
        .wecom
        .member("zhangsan", |member| member.alias = "zhang".to_owned());
    let new = session_cookie_of(&menshen, "zhangsan").await;
    assert_eq!(status_and_user(&new).await, (200, vec!["zhang".to_owned()]));
    let other = session_cookie_of(&menshen, "lisi").await;
    assert_eq!(
        status_and_user(&other).await,
        (200, vec!["boss".to_owned()])
    );
    assert_eq!(status_and_user(&old).await, (200, vec!["zhang".to_owned()]));
}
