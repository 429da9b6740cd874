//! `check --online`.

use menshen::login::connector::Finding;

use super::{TOKEN_PATH, start, start_source};
use crate::chinese::assert_text_is_chinese;
use crate::setup::Menshen;

pub(super) async fn findings(menshen: &Menshen) -> Vec<Finding> {
    let site = menshen.running.live().site();
    let mut entries = site.login.entries().iter();
    let entry = entries.find(|entry| entry.id.as_str() == "yzj").unwrap();
    let found = entry.connector.examine().await;
    found
        .iter()
        .for_each(|finding| assert_text_is_chinese(&finding.text));
    found
}

#[tokio::test]
async fn the_addresses_are_named_and_the_secret_is_tried() {
    let source = start_source().await;
    let menshen = start(&source).await;
    let found = findings(&menshen).await;
    assert!(found.iter().all(|finding| finding.good), "{found:?}");
    let text: Vec<_> = found
        .iter()
        .map(|finding| finding.text.to_string())
        .collect();
    let text = text.join("\n");
    for expected in [
        "http://sso.test/.menshen/enter/yzj",
        "http://sso.test/.menshen/callback/yzj",
        "/opencloud/openthird/qrlogin",
        "accepts app_id and app_secret",
    ] {
        assert!(text.contains(expected), "{expected}: {text}");
    }
}

#[tokio::test]
async fn a_wrong_secret_is_a_bad_finding_with_its_remedy() {
    let source = start_source().await;
    let menshen = start(&source).await;
    source.fail(TOKEN_PATH, 1103, "secret错误", 1);
    let found = findings(&menshen).await;
    let bad: Vec<_> = found.iter().filter(|finding| !finding.good).collect();
    assert_eq!(bad.len(), 1, "{found:?}");
    assert!(
        bad[0].text.to_string().contains("appSecret") && bad[0].text.to_string().contains("1103"),
        "{bad:?}"
    );
}
