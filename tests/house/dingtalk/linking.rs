//! `link_by`: the fields for which DingTalk vouches.

use serde_json::json;

use super::{ID, redirected_from, setup};
use crate::browser::Browser;
use crate::dingtalk_source::DingTalk;
use crate::logging_in::OWN_PAGES;
use crate::setup::Menshen;

/// A second connector to the same application, which links accounts by mobile number.
const OTHER: &str = "other";

async fn start() -> (Menshen, DingTalk) {
    let dingtalk = DingTalk::start().await.unwrap();
    let other = format!(
        "[connector.{OTHER}]\nauto_login = 'never'\nlink_by = ['mobile']\nlogin_prefix = 'other-'\n\
         [connector.{OTHER}.dingtalk]\n{}",
        dingtalk.settings()
    );
    let setup = setup(&dingtalk, &other);
    dingtalk.set_redirect_urls(&[
        &format!("{OWN_PAGES}/callback/{ID}"),
        &format!("{OWN_PAGES}/callback/{OTHER}"),
    ]);
    (setup.start().await, dingtalk)
}

/// Signs a person in with a connector; returns the ID of the account.
async fn account_of(menshen: &Menshen, connector: &str, userid: &str) -> String {
    let mut browser = Browser::new(menshen);
    let start = format!("{OWN_PAGES}/start?connector={connector}&rd=/echo");
    let is_login_page = |next: &str| next.contains("/oauth2/auth");
    let page = browser.follow_until(&start, is_login_page).await;
    let back = redirected_from(&mut browser, &DingTalk::choose(&page.url, userid)).await;
    browser.follow(&back).await;
    let record = menshen.audit().pop().unwrap();
    assert_eq!(
        (&record["event"], &record["connector"]),
        (&json!("login"), &json!(connector)),
        "{record}"
    );
    record["account"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_number_of_another_country_links_nobody_in_china() {
    let (menshen, dingtalk) = start().await;
    let zhang = account_of(&menshen, ID, "zhangsan").await;
    // The digits of 张三, in the United States.
    dingtalk.member("wangfang", |one| {
        "13800000001".clone_into(&mut one.mobile);
        "1".clone_into(&mut one.state_code);
    });
    assert_ne!(account_of(&menshen, OTHER, "wangfang").await, zhang);
    assert_eq!(account_of(&menshen, OTHER, "zhangsan").await, zhang);
}

#[tokio::test]
async fn a_number_of_another_country_links_its_owner() {
    let (menshen, dingtalk) = start().await;
    dingtalk.member("zhangsan", |one| {
        "51234567".clone_into(&mut one.mobile);
        "852".clone_into(&mut one.state_code);
    });
    let zhang = account_of(&menshen, ID, "zhangsan").await;
    assert_eq!(account_of(&menshen, OTHER, "zhangsan").await, zhang);
}
