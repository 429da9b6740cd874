//! Numbers by which people are linked, when the source takes them away or gives them to somebody else.

use super::*;
use crate::people::log_in_with;
use crate::setup::SECOND_CONNECTOR;
use crate::wecom::AGENT_ID;

/// A site whose second connector links people by their numbers. `lines` are settings of the first one.
async fn linked_by_number(lines: &str) -> Menshen {
    let linked = "[connector.other]\nlogin_prefix = 'o-'\nlink_by = ['mobile']\n";
    let second = SECOND_CONNECTOR.replace("[connector.other]\n", linked);
    let setup = Setup::default().wecom("sync_brake = 100").connector(lines);
    let setup = setup.tables(&format!("{second}{NO_LOGIN_LIMITS}"));
    let menshen = setup.start().await;
    menshen.wecom.set_shows_personal_fields(AGENT_ID, true);
    menshen
}

/// Takes the number away from a person; returns it.
fn take_number(menshen: &Menshen, userid: &str) -> String {
    let mut number = String::new();
    menshen
        .wecom
        .member(userid, |one| number = std::mem::take(&mut one.mobile));
    assert!(!number.is_empty());
    number
}

#[tokio::test]
async fn a_number_that_the_source_took_away_links_nobody_after_a_sync() {
    for lines in ["", "sync = false"] {
        let menshen = linked_by_number(lines).await;
        sync(&menshen).await;
        let user_of = async |userid: &'static str| {
            let (_, page) = log_in_with(&menshen, "other", userid).await;
            page.answer.echoed("x-forwarded-user")
        };
        assert_eq!(user_of("zhangsan").await, ["zhangsan"], "{lines}");
        let number = take_number(&menshen, "wangfang");
        sync(&menshen).await;
        menshen
            .wecom
            .member("lisi", |one| one.mobile = number.clone());
        assert_eq!(user_of("lisi").await, ["o-lisi"], "{lines}");
    }
}

#[tokio::test]
async fn a_number_that_goes_to_a_new_person_does_not_bring_the_account_with_it() {
    let menshen = linked_by_number("link_by = ['mobile']").await;
    menshen.wecom.delete_member("lisi");
    sync(&menshen).await;
    let zhang = account(&menshen, "zhangsan").await.unwrap();
    let number = take_number(&menshen, "zhangsan");
    menshen.wecom.member("lisi", |one| {
        one.department = vec![2];
        one.mobile = number;
    });
    sync(&menshen).await;
    let li = account(&menshen, "lisi").await.unwrap();
    assert_ne!(li.id, zhang.id);
}
