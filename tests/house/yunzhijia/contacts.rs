//! Departments and people of the team, with `contacts`.

use std::time::Duration;

use menshen::face::page::Cause;
use serde_json::json;

use super::{
    CONTEXT_PATH, ID, LI, TOKEN_PATH, ZHANG, has_session, last_error, scan, setup, start_source,
};
use crate::browser::Browser;
use crate::logging_in::OWN_PAGES;
use crate::sessions::eventually;
use crate::setup::Menshen;
use crate::test_request::TestRequest;
use crate::yunzhijia_source::EID;

const CONTACTS: &str = "contacts = true";

const PERSON: &str = "/gateway/opendata-control/data/getperson";
const DEPARTMENTS: &str = "/gateway/opendata-control/data/getallorgs";

const ROUTES: &str = r#"
[[route]]
name = "app"
upstream = ["{app}"]
header_encoding = "utf-8"
[route.headers]
X-Paths = "user.department_paths"
X-Ids = "user.department_ids"
X-Position = "user.attributes.position"
"#;

/// The session cookie of a person who signs in.
async fn cookie_of(menshen: &Menshen, openid: &str) -> String {
    let (browser, page) = scan(menshen, openid).await;
    assert_eq!(page.answer.status, 200, "{}", page.answer.text());
    browser.cookie("menshen").unwrap().value.clone()
}

async fn status(menshen: &Menshen, cookie: &str) -> u16 {
    let ask = TestRequest::get("/echo").session(cookie);
    ask.send(menshen).await.status
}

#[tokio::test]
async fn a_login_brings_departments_and_keeps_what_only_the_ticket_has() {
    let source = start_source().await;
    let menshen = setup(&source, CONTACTS).routes(ROUTES).start().await;
    let (mut browser, page) = scan(&menshen, ZHANG).await;
    assert_eq!(page.answer.status, 200, "{}", page.answer.text());
    let info = browser.visit(&format!("{OWN_PAGES}/userinfo")).await.json();
    assert_eq!(info["login"], "zhangsan", "{info}");
    assert_eq!(info["mobile"], "13800000001");
    assert_eq!(info["departments"], json!(["平台部"]));
    for (header, value) in [
        ("x-paths", "示例公司/研发中心/平台部"),
        ("x-ids", "org-platform"),
        ("x-position", "工程师"),
    ] {
        assert_eq!(page.answer.echoed(header), [value], "{header}");
    }
    let asked = source.bodies(PERSON).pop().unwrap();
    assert_eq!(asked, json!({ "eid": EID, "openId": ZHANG }));
    // The departments are read once for all people.
    scan(&menshen, LI).await;
    assert_eq!(source.calls(DEPARTMENTS), 1);
}

#[tokio::test]
async fn without_contacts_nobody_is_asked_about_and_there_are_no_departments() {
    let source = start_source().await;
    let menshen = setup(&source, "").start().await;
    let (mut browser, _) = scan(&menshen, ZHANG).await;
    let info = browser.visit(&format!("{OWN_PAGES}/userinfo")).await.json();
    assert_eq!(info["departments"], json!([]), "{info}");
    assert_eq!(source.calls(PERSON) + source.calls(DEPARTMENTS), 0);
    let login = menshen.running.live().site().login.clone();
    assert!(login.subject_of(&ID.parse().unwrap(), ZHANG).is_err());
}

#[tokio::test]
async fn whoever_left_the_team_or_is_not_in_its_contacts_is_refused() {
    let source = start_source().await;
    let menshen = setup(&source, CONTACTS).start().await;
    source.person(ZHANG, |person| person.has_left = true);
    let (browser, page) = scan(&menshen, ZHANG).await;
    assert_eq!(page.answer.cause(), Some(Cause::InactiveMember));
    assert!(!has_session(&browser));
    assert!(last_error(&menshen).contains("离职"));
    let nobody = json!({ "success": true, "errorCode": 100, "data": [] });
    source.answer_with(PERSON, 200, &nobody.to_string(), 1);
    let (browser, page) = scan(&menshen, LI).await;
    assert_eq!(page.answer.cause(), Some(Cause::NotVisibleToApp));
    assert!(!has_session(&browser));
    assert!(has_session(&scan(&menshen, LI).await.0));
}

/// The answer to the question about a person, the cause on the page, and a part of the log.
type Answer = (&'static str, Cause, &'static str);

const ANSWERS: &[Answer] = &[
    (
        r#"{"success":false,"error":"认证失败，授权级别须为app","errorCode":10000401,"data":null}"#,
        Cause::ProviderMisconfigured,
        "`contacts`",
    ),
    (
        r#"{"success":false,"error":"企业未授权","errorCode":1301,"data":null}"#,
        Cause::ProviderMisconfigured,
        "`eid`",
    ),
    (
        r#"{"success":false,"error":"accessToken无效","errorCode":1201,"data":null}"#,
        Cause::ProviderMisconfigured,
        "`base`",
    ),
    (
        r#"{"success":false,"error":"调用过于频繁","errorCode":9,"data":null}"#,
        Cause::ProviderBusy,
        "频繁",
    ),
    (
        r#"{"success":false,"error":"人员不存在","errorCode":9,"data":null}"#,
        Cause::NotVisibleToApp,
        "nobody with this openid",
    ),
    (
        r#"{"success":true,"errorCode":100,"data":[{"openId":"somebody-else","status":"1"}]}"#,
        Cause::ProviderUnreachable,
        "the requested openId",
    ),
    (
        r#"{"success":true,"errorCode":100,"data":[{"openId":"5de50017e4b0"}]}"#,
        Cause::InactiveMember,
        "no status",
    ),
    (
        r#"{"success":true,"errorCode":100,"data":{}}"#,
        Cause::ProviderUnreachable,
        "a list as `data`",
    ),
    (
        "<html>",
        Cause::ProviderUnreachable,
        "something else than JSON",
    ),
];

#[tokio::test]
async fn each_answer_about_a_person_that_proves_nothing_lets_nobody_in() {
    for (answer, cause, logged) in ANSWERS {
        let source = start_source().await;
        let menshen = setup(&source, CONTACTS).start().await;
        source.answer_with(PERSON, 200, answer, 1_000);
        let (browser, page) = scan(&menshen, ZHANG).await;
        assert_eq!(page.answer.cause(), Some(*cause), "{answer}");
        assert!(!has_session(&browser), "{answer}");
        let error = last_error(&menshen);
        assert!(error.contains(logged), "{answer}: {error}");
    }
}

#[tokio::test]
async fn a_token_that_ended_is_replaced_once() {
    let source = start_source().await;
    let menshen = setup(&source, CONTACTS).start().await;
    cookie_of(&menshen, LI).await;
    assert_eq!(source.calls(TOKEN_PATH), 1);
    source.revoke_tokens();
    cookie_of(&menshen, ZHANG).await;
    assert_eq!(source.calls(TOKEN_PATH), 2);
}

#[tokio::test]
async fn departments_that_cannot_be_read_cost_nobody_the_login() {
    let source = start_source().await;
    let menshen = setup(&source, CONTACTS).start().await;
    source.fail(DEPARTMENTS, 9, "系统错误", 1_000);
    let (mut browser, page) = scan(&menshen, ZHANG).await;
    assert_eq!(page.answer.status, 200, "{}", page.answer.text());
    let info = browser.visit(&format!("{OWN_PAGES}/userinfo")).await.json();
    assert_eq!(info["departments"], json!(["org-platform"]), "{info}");
}

#[tokio::test]
async fn an_arrival_from_the_app_is_checked_against_the_contacts_as_well() {
    let source = start_source().await;
    let menshen = setup(&source, CONTACTS).start().await;
    let enter = |ticket: &str| format!("{OWN_PAGES}/enter/{ID}?ticket={ticket}");
    let ticket = source.issue_ticket(ZHANG);
    let mut browser = Browser::new(&menshen);
    assert_eq!(browser.visit(&enter(&ticket)).await.status, 303);
    source.person(LI, |person| person.has_left = true);
    let ticket = source.issue_ticket(LI);
    let answer = Browser::new(&menshen).visit(&enter(&ticket)).await;
    assert_eq!(answer.cause(), Some(Cause::InactiveMember));
    assert_eq!(source.calls(CONTEXT_PATH), 2);
}

#[tokio::test]
async fn whoever_leaves_is_signed_out_and_the_others_stay() {
    for is_deleted in [false, true] {
        let source = start_source().await;
        // Rounds begin often; menshen's clock says when somebody is due.
        let lines = "contacts = true\nrevalidate = \"2s\"";
        let menshen = setup(&source, lines).start().await;
        let zhang = cookie_of(&menshen, ZHANG).await;
        let li = cookie_of(&menshen, LI).await;
        match is_deleted {
            true => source.delete_person(ZHANG),
            false => source.person(ZHANG, |person| person.has_left = true),
        }
        menshen.advance(Duration::from_secs(3));
        eventually("out", async || status(&menshen, &zhang).await == 401).await;
        assert_eq!(status(&menshen, &li).await, 200);
        // Yunzhijia refuses the question, which says nothing about the person.
        source.fail(PERSON, 9, "系统错误", usize::MAX);
        let before = source.calls(PERSON);
        menshen.advance(Duration::from_secs(3));
        eventually("asked", async || source.calls(PERSON) > before).await;
        assert_eq!(status(&menshen, &li).await, 200);
    }
}

#[tokio::test]
async fn a_changed_department_counts_without_a_login() {
    let source = start_source().await;
    let menshen = setup(&source, "contacts = true\nrevalidate = \"2s\"")
        .start()
        .await;
    let (mut browser, _) = scan(&menshen, ZHANG).await;
    source.person(ZHANG, |person| person.org = "org-finance".to_owned());
    menshen.advance(Duration::from_secs(3));
    let userinfo = format!("{OWN_PAGES}/userinfo");
    let finance = json!(["财务部"]);
    eventually("moved", async || {
        browser.visit(&userinfo).await.json()["departments"] == finance
    })
    .await;
}

#[tokio::test]
async fn check_online_says_whether_the_contacts_can_be_read() {
    let source = start_source().await;
    let menshen = setup(&source, CONTACTS).start().await;
    let found = super::check_online::findings(&menshen).await;
    assert!(
        found
            .iter()
            .any(|one| one.good && one.text.to_string().contains("people of 4 departments")),
        "{found:?}"
    );
    source.fail(DEPARTMENTS, 10_000_401, "认证失败", 1_000);
    let found = super::check_online::findings(&menshen).await;
    let bad: Vec<_> = found.iter().filter(|finding| !finding.good).collect();
    assert_eq!(bad.len(), 1, "{found:?}");
    assert!(bad[0].text.to_string().contains("组织人员"), "{bad:?}");
}
