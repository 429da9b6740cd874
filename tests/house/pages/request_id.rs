//! The request ID is on pages that say that something is wrong, and on no others.

use crate::browser::Browser;
use crate::logging_in::OWN_PAGES;
use crate::setup::{Menshen, SSO_URL};

fn has_request_id(html: &str) -> bool {
    assert!(html.contains("</html>"), "{html}");
    html.contains("class=\"request-id\"")
}

#[tokio::test]
async fn only_pages_about_a_problem_show_the_request_id() {
    let menshen = Menshen::new().await;
    let mut browser = Browser::new(&menshen);
    let sign_in = format!("{OWN_PAGES}/sign_in");
    let stranger = browser.visit(&sign_in).await;
    assert!(!has_request_id(&stranger.text()));
    browser
        .sign_in(&format!("{SSO_URL}/echo"), "zhangsan")
        .await;
    let signed_in = browser.visit(&sign_in).await;
    assert!(!has_request_id(&signed_in.text()));
    for (url, status) in [
        (format!("{OWN_PAGES}/nothing-here"), 404),
        (format!("{SSO_URL}/finance/a"), 403),
        (format!("{SSO_URL}/%zz"), 400),
    ] {
        let page = browser.visit(&url).await;
        assert_eq!(page.status, status, "{url}");
        assert!(has_request_id(&page.text()), "{url}");
    }
    let signed_out = browser.visit(&format!("{OWN_PAGES}/sign_out")).await;
    assert_eq!(signed_out.status, 200);
    assert!(!has_request_id(&signed_out.text()));
}
