//! Which responses count: those of a login that this browser began, once.

use menshen::face::page::Cause;

use super::code_source::{CodeSource, Who, has_session};
use crate::browser::Browser;
use crate::logging_in::query_parameter;

#[tokio::test]
async fn a_response_with_another_state_is_refused_and_the_source_is_not_asked() {
    for source in CodeSource::all().await {
        let what = source.name();
        let menshen = source.start().await;
        let mut browser = Browser::new(&menshen);
        let callback = source.callback(&mut browser, Who::Employee).await;
        let state = query_parameter(&callback, "state").unwrap();
        for url in [
            callback.replace(&state, &"b".repeat(state.len())),
            callback.replace(&format!("state={state}"), "state="),
            callback.replace("state=", "stat="),
            format!("{callback}&state={state}"),
        ] {
            let answer = browser.visit(&url).await;
            assert!(
                [400, 403].contains(&answer.status),
                "{what}: {url}: {}",
                answer.status
            );
            assert!(!has_session(&browser), "{what}: {url}");
        }
        assert_eq!(source.redemptions(), 0, "{what}");
        // The right one counts still.
        assert_eq!(browser.follow(&callback).await.answer.status, 200, "{what}");
        assert!(has_session(&browser), "{what}");
    }
}

#[tokio::test]
async fn a_response_in_another_browser_is_refused_and_the_source_is_not_asked() {
    for source in CodeSource::all().await {
        let what = source.name();
        let menshen = source.start().await;
        let (mut browser, mut other) = (Browser::new(&menshen), Browser::new(&menshen));
        let callback = source.callback(&mut browser, Who::Employee).await;
        // Also in one that began a login of its own.
        source.callback(&mut other, Who::Employee).await;
        for other in [&mut other, &mut Browser::new(&menshen)] {
            let answer = other.visit(&callback).await;
            assert_eq!(answer.cause(), Some(Cause::FlowCookieMissing), "{what}");
            assert!(!has_session(other), "{what}");
        }
        assert_eq!(source.redemptions(), 0, "{what}");
        assert_eq!(browser.follow(&callback).await.answer.status, 200, "{what}");
    }
}

#[tokio::test]
async fn a_code_counts_once() {
    for source in CodeSource::all().await {
        let what = source.name();
        let menshen = source.start().await;
        let mut browser = Browser::new(&menshen);
        let callback = source.callback(&mut browser, Who::Employee).await;
        browser.follow(&callback).await;
        let session = browser.cookie("menshen").cloned();
        assert!(session.is_some(), "{what}");
        // Again in the same browser, which stays signed in, and in another one.
        browser.follow(&callback).await;
        assert_eq!(browser.cookie("menshen").cloned(), session, "{what}");
        let mut other = Browser::new(&menshen);
        other.visit(&callback).await;
        assert!(!has_session(&other), "{what}");
        assert_eq!(source.redemptions(), 1, "{what}");
        // The code in a login that is not finished: the source is asked and refuses it.
        let parameter = source.code_parameter();
        let used = query_parameter(&callback, parameter).unwrap();
        let mut thief = Browser::new(&menshen);
        let own = source.callback(&mut thief, Who::Employee).await;
        let own_code = query_parameter(&own, parameter).unwrap();
        thief.visit(&own.replace(&own_code, &used)).await;
        assert!(source.redemptions() > 1, "{what}");
        assert!(!has_session(&thief), "{what}");
    }
}
