//! A source that is down, slow, lies, or is something else than it should be.

use menshen::face::page::Cause;

use super::code_source::{CodeSource, Who, has_session};
use crate::browser::Browser;
use crate::setup::SSO_URL;

/// Whether a session of before still passes.
async fn passes(browser: &mut Browser) -> bool {
    browser.visit(&format!("{SSO_URL}/echo")).await.status == 200
}

#[tokio::test]
async fn while_a_source_is_down_no_login_ends_and_sessions_continue() {
    for source in CodeSource::all().await {
        let what = source.name();
        let menshen = source.start().await;
        let mut signed_in = source.assert_signs_in(&menshen).await;
        let mut waiting = Browser::new(&menshen);
        let callback = source.callback(&mut waiting, Who::Employee).await;
        drop(source);
        let page = waiting.follow(&callback).await;
        assert_eq!(page.cause(), Some(Cause::ProviderUnreachable), "{what}");
        assert_eq!(page.answer.status, 502, "{what}");
        assert!(!has_session(&waiting), "{what}");
        assert!(passes(&mut signed_in).await, "{what}");
    }
}

#[tokio::test]
async fn a_source_that_does_not_answer_is_given_up_and_sessions_continue_meanwhile() {
    let rows = CodeSource::all()
        .await
        .into_iter()
        .map(|source| async move {
            let what = source.name();
            let menshen = source.start().await;
            let mut signed_in = source.assert_signs_in(&menshen).await;
            let path = source.paths().pop().unwrap();
            source.hang(&path);
            let mut waiting = Browser::new(&menshen);
            let callback = source.callback(&mut waiting, Who::Employee).await;
            let login = async {
                let page = waiting.follow(&callback).await;
                assert_eq!(page.cause(), Some(Cause::ProviderUnreachable), "{what}");
            };
            let session = async {
                for _ in 0..20 {
                    assert!(passes(&mut signed_in).await, "{what}");
                }
            };
            futures_util::future::join(login, session).await;
            assert!(!has_session(&waiting), "{what}");
            let audit = menshen.audit();
            let error = audit.last().unwrap()["error"].to_string();
            assert!(error.contains("not answered in time"), "{what}: {error}");
            source.restore(&path);
            source.assert_signs_in(&menshen).await;
        });
    futures_util::future::join_all(rows).await;
}

#[tokio::test]
async fn an_answer_that_lacks_the_proof_or_is_about_somebody_else_lets_nobody_in() {
    for source in CodeSource::all().await {
        for (path, lie) in source.lies() {
            let what = format!("{}: {path}: {lie}", source.name());
            // A new one, because tokens and their failures are kept.
            let menshen = source.start().await;
            source.answer(path, 200, &lie);
            let (browser, page) = source.sign_in(&menshen, Who::Employee).await;
            source.restore(path);
            assert!(page.cause().is_some(), "{what}: {}", page.url);
            assert!(!has_session(&browser), "{what}");
            assert_eq!(
                menshen.audit().last().unwrap()["event"],
                "refused",
                "{what}"
            );
        }
        let menshen = source.start().await;
        source.assert_signs_in(&menshen).await;
    }
}

#[tokio::test]
async fn a_page_in_place_of_an_answer_lets_nobody_in_and_is_not_shown() {
    const HTML: &str = "<!doctype html><title>Sign in to the Wi-Fi of the hotel</title>";
    for source in CodeSource::all().await {
        for path in source.paths() {
            for status in [200, 502] {
                let what = format!("{}: {path} {status}", source.name());
                let menshen = source.start().await;
                source.answer(&path, status, HTML);
                let (browser, page) = source.sign_in(&menshen, Who::Employee).await;
                source.restore(&path);
                assert_eq!(page.cause(), Some(Cause::ProviderUnreachable), "{what}");
                assert!(!has_session(&browser), "{what}");
                assert!(!page.answer.text().contains("hotel"), "{what}");
                menshen.audit();
                assert!(!menshen.records.text().contains("hotel"), "{what}");
            }
        }
        let menshen = source.start().await;
        source.assert_signs_in(&menshen).await;
    }
}
