//! `check --online`: what must be entered at the portal, and the requests that are the same for everybody.

use menshen::login::connector::Finding;

use super::portal::{Portal, SECRET};
use super::{ID, start};
use crate::chinese::assert_text_is_chinese;
use crate::setup::Menshen;

async fn findings(menshen: &Menshen) -> Vec<Finding> {
    let site = menshen.running.live().site();
    let mut entries = site.login.entries().iter();
    let entry = entries.find(|entry| entry.id.as_str() == ID).unwrap();
    let found = entry.connector.examine().await;
    found
        .iter()
        .for_each(|finding| assert_text_is_chinese(&finding.text));
    found
}

#[tokio::test]
async fn the_addresses_and_the_shared_steps_are_checked() {
    let portal = Portal::start().await;
    let menshen = start(&portal.code_toml("entry = 'ticket'\norigins = ['https://a.test']")).await;
    let found = findings(&menshen).await;
    assert!(found.iter().all(|finding| finding.good), "{found:?}");
    let text: Vec<_> = found
        .iter()
        .map(|finding| finding.text.to_string())
        .collect();
    let text = text.join("\n");
    for expected in [
        "http://sso.test/.menshen/callback/ctr",
        "http://sso.test/.menshen/enter/ctr",
        "`ticket`",
        "answers the step `token`",
        "only a login shows whether these steps are right: `user`",
    ] {
        assert!(text.contains(expected), "{expected}: {text}");
    }
    assert_eq!(
        (portal.calls("/token").len(), portal.calls("/user").len()),
        (1, 0)
    );
}

#[tokio::test]
async fn a_wrong_secret_is_a_bad_finding() {
    let portal = Portal::start().await;
    let toml = portal
        .code_toml("")
        .replace(SECRET, "another-secret-of-the-portal");
    let menshen = start(&toml).await;
    let found = findings(&menshen).await;
    let bad: Vec<_> = found.iter().filter(|finding| !finding.good).collect();
    assert_eq!(bad.len(), 1, "{found:?}");
    assert!(
        bad[0]
            .text
            .to_string()
            .contains("`token`: `success` is not true"),
        "{bad:?}"
    );
    assert!(
        !bad[0].text.to_string().contains("another-secret"),
        "{bad:?}"
    );
}
