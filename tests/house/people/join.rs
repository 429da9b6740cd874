//! `join`: the department and the groups that menshen itself gives people whose account a connector creates.

use std::time::Duration;

use serde_json::json;

use super::*;
use crate::checking::TRUST_LOOPBACK;
use crate::sessions::eventually;

const JOIN: &str = "join = { department = '示例公司/外包', groups = ['guests', 'wiki', 'guests'] }";

/// Routes with rules that only people who joined fulfil, and one whose rule follows the department at WeCom.
const ROUTES: [(&str, &str); 6] = [
    ("guests", "'guests' in user.groups"),
    ("named", "'外包' in user.departments"),
    ("by-path", "'示例公司/外包' in user.department_paths"),
    ("in-path", "user.in_department('示例公司/外包')"),
    ("in-name", "user.in_department('外包')"),
    ("leads", "user.leads('外包')"),
];
const JOINED: [&str; 5] = ["guests", "named", "by-path", "in-path", "in-name"];

fn setup(join: &str) -> Setup {
    let app = "[[route]]\nname = \"app\"\nupstream = [\"{app}\"]\n";
    let finance = ("finance", "user.in_department('财务部')");
    let routes = ROUTES.into_iter().chain([finance]).map(|(name, rule)| {
        format!(
            "[[route]]\nname = \"{name}\"\npath = \"/{name}\"\nupstream = [\"{{app}}\"]\nallow = \"{rule}\"\n"
        )
    });
    Setup::default()
        .server(TRUST_LOOPBACK)
        .routes(&format!("{app}{}", routes.collect::<String>()))
        .connector(join)
        .tables(&second_connector(
            "login_prefix = 'o-'\nlink_by = ['mobile']",
        ))
}

async fn status(browser: &mut Browser, path: &str) -> u16 {
    browser.visit(&format!("{SSO_URL}{path}")).await.status
}

/// The routes of [`ROUTES`] that a person may use.
async fn allowed(browser: &mut Browser) -> Vec<&'static str> {
    let mut allowed = Vec::new();
    for (name, _) in ROUTES {
        match status(browser, &format!("/{name}")).await {
            200 => allowed.push(name),
            refused => assert_eq!(refused, 403, "{name}"),
        }
    }
    allowed
}

async fn groups_header(browser: &mut Browser) -> Vec<String> {
    let page = browser.visit(&format!("{SSO_URL}/echo")).await;
    page.echoed("x-forwarded-groups")
}

#[tokio::test]
async fn whoever_joins_has_the_department_and_the_groups_and_keeps_them() {
    let menshen = setup(JOIN).start().await;
    let (mut first, page) = log_in_with(&menshen, "corp", "zhangsan").await;
    assert_eq!(page.answer.echoed("x-forwarded-groups"), ["guests,wiki"]);
    assert_eq!(allowed(&mut first).await, JOINED);
    let info = first.visit(&format!("{OWN_PAGES}/userinfo")).await.json();
    assert_eq!(info["groups"], json!(["guests", "wiki"]));
    let departments = info["departments"].as_array().unwrap();
    assert!(departments.contains(&json!("外包")), "{departments:?}");
    assert!(departments.contains(&json!("平台部")), "{departments:?}");
    // A check face narrows by the same groups.
    let cookie = first.cookie("menshen").expect("a session").value.clone();
    for (group, expected) in [("wiki", 202), ("others", 403)] {
        let query = format!("/.menshen/auth?allowed_groups={group}");
        let ask = TestRequest::get(&query)
            .header("X-Forwarded-Uri", "/echo")
            .session(&cookie);
        assert_eq!(ask.send(&menshen).await.status, expected, "{group}");
    }

    // The source says something else at the next login; older sessions see it, too.
    menshen
        .wecom
        .member("zhangsan", |one| one.department = vec![2]);
    assert_eq!(status(&mut first, "/finance").await, 403);
    let (mut second, _) = log_in_with(&menshen, "corp", "zhangsan").await;
    for browser in [&mut first, &mut second] {
        assert_eq!(status(browser, "/finance").await, 200);
        assert_eq!(allowed(browser).await, JOINED);
        assert_eq!(groups_header(browser).await, ["guests,wiki"]);
    }
    // They are not stored as if the source had said them.
    let services = menshen.running.live().services();
    let directory = services.people.directory();
    let login = "zhangsan".parse().unwrap();
    let account = directory.account_by_login(&login).await.unwrap().unwrap();
    let mut identities = services.store.identities(&account.id).await.unwrap();
    let (_, _, fields) = identities.remove(0);
    assert!(
        !fields.contains("guests") && !fields.contains("外包"),
        "{fields}"
    );
}

#[tokio::test]
async fn nobody_else_gets_them() {
    let menshen = setup(JOIN).start().await;
    // The other connector has no `join`.
    let (mut other, page) = log_in_with(&menshen, "other", "lisi").await;
    assert!(page.answer.echoed("x-forwarded-groups").is_empty());
    assert!(allowed(&mut other).await.is_empty());
    // Who has an account already does not join, and settings that change later change nobody.
    let menshen = setup("").start().await;
    let (mut known, _) = log_in_with(&menshen, "corp", "zhangsan").await;
    menshen.reload(&setup(JOIN)).await.unwrap();
    let (mut again, _) = log_in_with(&menshen, "corp", "zhangsan").await;
    let (mut new, _) = log_in_with(&menshen, "corp", "wangfang").await;
    for browser in [&mut known, &mut again] {
        assert!(allowed(browser).await.is_empty());
        assert!(groups_header(browser).await.is_empty());
    }
    assert_eq!(allowed(&mut new).await, JOINED);
    menshen.reload(&setup("")).await.unwrap();
    assert_eq!(allowed(&mut new).await, JOINED);
    let (mut new_again, _) = log_in_with(&menshen, "corp", "wangfang").await;
    assert_eq!(allowed(&mut new_again).await, JOINED);
}

#[tokio::test]
async fn they_belong_to_the_account_and_count_with_each_of_its_identities() {
    // `corp` creates the account, and `other` is linked to it.
    let menshen = setup(JOIN).start().await;
    menshen.wecom.set_shows_personal_fields(AGENT_ID, true);
    let (mut first, _) = log_in_with(&menshen, "corp", "zhangsan").await;
    let (mut linked, _) = log_in_with(&menshen, "other", "zhangsan").await;
    assert_eq!(account_id(&mut first).await, account_id(&mut linked).await);
    assert_eq!(allowed(&mut linked).await, JOINED);
    // `other` creates the account, and `corp` is linked to it: nobody joins.
    let join = format!("{JOIN}\nlink_by = ['mobile']");
    let menshen = setup(&join).start().await;
    menshen.wecom.set_shows_personal_fields(AGENT_ID, true);
    let (mut first, _) = log_in_with(&menshen, "other", "zhangsan").await;
    let (mut linked, _) = log_in_with(&menshen, "corp", "zhangsan").await;
    assert_eq!(account_id(&mut first).await, account_id(&mut linked).await);
    assert!(allowed(&mut linked).await.is_empty());
}

#[tokio::test]
async fn a_revalidation_leaves_them() {
    let menshen = setup(JOIN).wecom("revalidate = '2s'").start().await;
    let (mut zhang, _) = log_in_with(&menshen, "corp", "zhangsan").await;
    assert_eq!(status(&mut zhang, "/finance").await, 403);
    menshen
        .wecom
        .member("zhangsan", |one| one.department = vec![2]);
    menshen.advance(Duration::from_secs(3));
    let cookie = zhang.cookie("menshen").expect("a session").value.clone();
    eventually("in 财务部", async || {
        let finance = TestRequest::get("/finance").session(&cookie);
        finance.send(&menshen).await.status == 200
    })
    .await;
    assert_eq!(allowed(&mut zhang).await, JOINED);
    assert_eq!(groups_header(&mut zhang).await, ["guests,wiki"]);
}

#[tokio::test]
async fn names_that_the_source_does_not_tell_hide_no_department_of_menshen() {
    let menshen = setup(JOIN).start().await;
    let departments = "/cgi-bin/department/list";
    menshen.wecom.fail(departments, 60011, usize::MAX);
    let (mut li, _) = log_in_with(&menshen, "corp", "lisi").await;
    // Rules that read all names deny, because those of the source are not known.
    assert_eq!(allowed(&mut li).await, ["guests", "in-path", "in-name"]);
    assert_eq!(status(&mut li, "/finance").await, 403);
    // A person whom nobody gave the department does not get in.
    let (mut wang, _) = log_in_with(&menshen, "other", "wangfang").await;
    assert!(allowed(&mut wang).await.is_empty());
}
