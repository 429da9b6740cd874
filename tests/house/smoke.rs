//! The main path: a person without a session signs in with WeCom and reaches the application.

use crate::browser::Browser;
use crate::setup::{Menshen, SSO_URL};

#[tokio::test]
async fn a_person_signs_in_with_wecom_and_reaches_the_requested_page() {
    let menshen = Menshen::new().await;
    let mut browser = Browser::new(&menshen);
    let page = browser
        .sign_in(&format!("{SSO_URL}/echo?year=2026&q=%E5%BC%A0"), "zhangsan")
        .await;
    assert_eq!(page.url, format!("{SSO_URL}/echo?year=2026&q=%E5%BC%A0"));
    assert_eq!(page.answer.status, 200, "{}", page.answer.text());
    assert_eq!(page.answer.echoed("x-forwarded-user"), ["zhangsan"]);
    assert_eq!(
        page.answer.echoed("x-forwarded-name"),
        ["%E5%BC%A0%E4%B8%89"]
    );
}
