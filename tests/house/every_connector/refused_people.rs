//! People whom a source authenticates and who may not sign in.

use menshen::face::page::Cause;

use super::code_source::{CodeSource, Who, has_session};

/// The page for a person, by kind of source.
fn expected(source: &CodeSource, who: Who) -> Cause {
    match (source, who) {
        // What a portal's `success` refuses is refused like a code.
        (CodeSource::Custom(_), _) => Cause::CodeRejectedTwice,
        (_, Who::Stranger) => Cause::NotMember,
        _ => Cause::InactiveMember,
    }
}

#[tokio::test]
async fn people_of_another_organisation_and_disabled_ones_are_refused_with_a_kind_page() {
    for source in CodeSource::all().await {
        let menshen = source.start().await;
        for who in [Who::Stranger, Who::Disabled] {
            let what = format!("{}, {who:?}", source.name());
            if let (CodeSource::Yunzhijia(yunzhijia), Who::Disabled) = (&source, who) {
                // It issues no ticket to somebody who left, and takes back the one of before.
                yunzhijia.person("left", |_| {});
                let mut browser = crate::browser::Browser::new(&menshen);
                let callback = source.callback(&mut browser, who).await;
                yunzhijia.delete_person("left");
                let page = browser.follow(&callback).await;
                assert!(page.url.contains("qrconnet"), "{what}: {}", page.url);
                assert!(!has_session(&browser), "{what}");
                continue;
            }
            let (browser, page) = source.sign_in(&menshen, who).await;
            let text = page.answer.text();
            assert_eq!(page.cause(), Some(expected(&source, who)), "{what}: {text}");
            assert!(!has_session(&browser), "{what}");
            let audit = menshen.audit();
            let last = audit.last().unwrap();
            assert_eq!(last["event"], "refused", "{what}: {last}");
        }
        source.assert_signs_in(&menshen).await;
    }
}
