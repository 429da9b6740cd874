//! Names of connectors and of the home page in both languages, and the order of the connectors.

use super::page;
use crate::logging_in::OWN_PAGES;
use crate::setup::{Menshen, SECOND_CONNECTOR, SSO_URL, Setup};

/// A connector of the simulated WeCom with this ID and these lines.
fn connector(id: &str, lines: &str) -> String {
    SECOND_CONNECTOR
        .replace("connector.other", &format!("connector.{id}"))
        .replace(
            "auto_login = \"never\"",
            &format!("auto_login = \"never\"\n{lines}"),
        )
}

/// The IDs of the connectors on the sign-in page.
async fn order(menshen: &Menshen) -> Vec<String> {
    let html = page(menshen, "en", &format!("{OWN_PAGES}/sign_in")).await;
    let links = html.split("/start?connector=").skip(1);
    let id = |rest: &str| rest.split(['&', '"']).next().unwrap_or_default().to_owned();
    links.map(id).collect()
}

#[tokio::test]
async fn a_connector_has_a_name_in_each_language() {
    let name = "display_name = { zh = \"集团账号\", en = \"Group account\" }";
    let menshen = Setup::default()
        .tables(&connector("other", name))
        .start()
        .await;
    let url = format!("{OWN_PAGES}/sign_in");
    for (language, shown, hidden) in [
        ("zh-CN", "<bdi>集团账号</bdi>", "Group account"),
        ("en", "<bdi>Group account</bdi>", "集团账号"),
    ] {
        let html = page(&menshen, language, &url).await;
        assert!(html.contains(shown) && !html.contains(hidden), "{html}");
        // One text is the name in both languages.
        assert!(html.contains("<bdi>企业微信</bdi>"), "{html}");
    }
}

#[tokio::test]
async fn the_sign_in_page_has_the_order_of_the_file() {
    let tables = |ids: [&str; 3]| ids.map(|id| connector(id, "")).concat();
    let setup = Setup::default().tables(&tables(["zeta", "alpha", "mike"]));
    let menshen = setup.start().await;
    assert_eq!(order(&menshen).await, ["corp", "zeta", "alpha", "mike"]);
    let moved = Setup::default().tables(&tables(["mike", "zeta", "alpha"]));
    menshen.reload(&moved).await.unwrap();
    assert_eq!(order(&menshen).await, ["corp", "mike", "zeta", "alpha"]);
    // `order` comes first, whatever the file begins with.
    let chosen = format!(
        "[login]\norder = [\"alpha\"]\n{}",
        tables(["mike", "zeta", "alpha"])
    );
    menshen
        .reload(&Setup::default().tables(&chosen))
        .await
        .unwrap();
    assert_eq!(order(&menshen).await, ["alpha", "corp", "mike", "zeta"]);
}

#[tokio::test]
async fn the_hints_stand_in_the_order_of_the_buttons() {
    let ding = "[connector.ding.dingtalk]\napp_key = \"ding1\"\napp_secret = \"plum-blossom\"\n\
                corp_id = \"ding2\"\n";
    for (first, hints) in [
        ("corp", ["用企业微信扫码", "用钉钉扫码"]),
        ("ding", ["用钉钉扫码", "用企业微信扫码"]),
    ] {
        let tables = format!("[login]\norder = [\"{first}\"]\n{ding}");
        let menshen = Setup::default().tables(&tables).start().await;
        let url = format!("{SSO_URL}/.menshen/sign_in");
        let html = page(&menshen, "zh-CN", &url).await;
        let places = hints.map(|hint| html.find(hint));
        assert!(places.is_sorted(), "{first} {places:?} {html}");
        assert!(places[0].is_some(), "{first} {places:?} {html}");
    }
}

#[tokio::test]
async fn the_home_page_has_its_name_on_pages() {
    let home = "home = { desktop = \"/desk\", name = { zh = \"工作台\", en = \"Workbench\" } }";
    let menshen = Setup::default().connector(home).start().await;
    let url = format!("{SSO_URL}/.menshen/nothing");
    let html = page(&menshen, "en", &url).await;
    assert!(html.contains("Go to <bdi>Workbench</bdi>"), "{html}");
    assert!(html.contains("href=\"http://sso.test/desk\""), "{html}");
    let html = page(&menshen, "zh-CN", &url).await;
    assert!(html.contains("进入<bdi>工作台</bdi>"), "{html}");
    let plain = Menshen::new().await;
    let html = page(&plain, "en", &url).await;
    assert!(html.contains("Go to the home page"), "{html}");
}
