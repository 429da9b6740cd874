//! Who a person is: by the source and the ID there, never by a name that two sources share.

use std::collections::BTreeMap;

use menshen::face::page::Cause;
use serde_json::Value;

use super::site::{HTTPS, LOGIN, Site, connectors};
use crate::browser::Browser;

async fn userinfo(browser: &mut Browser) -> Value {
    let answer = browser.visit(&format!("{HTTPS}/.menshen/userinfo")).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.json()
}

#[tokio::test]
async fn a_person_without_e_mail_and_mobile_signs_in_through_each_and_is_another_one_at_each() {
    let site =
        Site::start(|id| format!("login_prefix = '{id}-'\nlink_by = ['email', 'mobile']")).await;
    let mut accounts = BTreeMap::new();
    for round in 0..2 {
        for id in connectors() {
            let (mut browser, page) = site.sign_in(id).await;
            let login = format!("{id}-{LOGIN}");
            assert_eq!(
                (page.url.as_str(), page.answer.status),
                ("https://sso.test/echo", 200),
                "{id}: {}",
                page.answer.text()
            );
            assert_eq!(page.answer.echoed("x-forwarded-user"), [login.as_str()]);
            assert!(page.answer.echoed("x-forwarded-email").is_empty(), "{id}");
            let info = userinfo(&mut browser).await;
            assert_eq!(info["connector"], id);
            assert!(
                info["email"].is_null() && info["mobile"].is_null(),
                "{id}: {info}"
            );
            // The same person again at the second login.
            let account = info["id"].as_str().unwrap().to_owned();
            let known = accounts.insert(account, id);
            assert_eq!(known, (round == 1).then_some(id));
        }
    }
    assert_eq!(accounts.len(), connectors().count());
}

#[tokio::test]
async fn whoever_has_the_same_login_name_at_another_source_is_refused() {
    let site = Site::start(|_| "link_by = ['email', 'mobile']".to_owned()).await;
    let mut connectors = connectors();
    let first = connectors.next().unwrap();
    let (mut owner, page) = site.sign_in(first).await;
    assert_eq!(page.answer.echoed("x-forwarded-user"), [LOGIN]);
    let before = userinfo(&mut owner).await;
    for id in connectors {
        let (mut browser, page) = site.sign_in(id).await;
        assert_eq!(page.cause(), Some(Cause::LoginTaken), "{id}: {}", page.url);
        let answer = browser.visit(&format!("{HTTPS}/.menshen/userinfo")).await;
        assert_eq!(answer.status, 401, "{id}");
        assert_eq!(userinfo(&mut owner).await, before, "{id}");
    }
}
