//! Authorization responses by POST (`response_mode = 'form_post'`).

use menshen::config::Config;

use super::is_here;
use crate::browser::Browser;
use crate::provider::Provider;
use crate::setup::Setup;

const HTTPS: &str = "https://sso.test";
const BY_POST: &str = "response_mode = 'form_post'";

fn setup(provider: &Provider) -> Setup {
    let setup = provider.setup(BY_POST).external_url(HTTPS);
    setup.server("trusted_proxies = ['127.0.0.1']")
}

#[tokio::test]
async fn the_authorization_response_can_be_a_form_post() {
    let provider = Provider::new().await;
    let menshen = setup(&provider).start().await;
    let mut browser = Browser::new(&menshen).over_https();
    provider.start_session(&mut browser, "zhangsan");
    let start = format!("{HTTPS}/.menshen/start?connector=keycloak&rd=%2Fecho");
    let page = browser.follow(&start).await;
    assert!(
        page.url.starts_with(&provider.url("/authorize")),
        "{}",
        page.url
    );
    assert_eq!(
        provider
            .last_request("authorize")
            .parameter("response_mode"),
        Some("form_post")
    );
    let mut pending = browser
        .cookies()
        .iter()
        .filter(|cookie| cookie.name.contains("flow"));
    let one = pending.next().expect("a cookie of this login");
    assert!(one.name.starts_with("__Host-menshen-flow-"), "{}", one.name);
    assert!(one.secure && one.same_site == "none" && !one.for_subdomains);
    assert!(pending.next().is_none());
    let page = browser.submit(&page).await;
    is_here(&page, "zhangsan");
    assert_eq!(page.url, format!("{HTTPS}/echo"));
    let session = browser.cookie("__Host-menshen").expect("a session");
    assert_eq!(session.same_site, "lax");
    assert!(
        !browser
            .cookies()
            .iter()
            .any(|cookie| cookie.name.contains("flow"))
    );
    // No URL of menshen ever held a code.
    let ours = browser.visited.iter().filter(|url| url.starts_with(HTTPS));
    assert!(ours.clone().count() > 0);
    assert!(ours.into_iter().all(|url| !url.contains("code=")));
}

#[tokio::test]
async fn a_forged_form_post_creates_no_session() {
    let provider = Provider::new().await;
    let menshen = setup(&provider).start().await;
    let mut attacker = Browser::new(&menshen).over_https();
    provider.start_session(&mut attacker, "lisi");
    let start = format!("{HTTPS}/.menshen/start?connector=keycloak&rd=%2Fecho");
    let bait = attacker.follow(&start).await;
    let mut victim = Browser::new(&menshen).over_https();
    let page = victim.submit(&bait).await;
    assert_eq!(page.answer.status, 400, "{}", page.answer.text());
    assert!(victim.cookie("__Host-menshen").is_none());
    assert_eq!(provider.calls("token"), 0);
    let page = attacker.submit(&bait).await;
    is_here(&page, "lisi");
}

#[tokio::test]
async fn form_post_without_https_is_refused_by_the_configuration() {
    let provider = Provider::new().await;
    let menshen = provider.setup("").start().await;
    let plain = provider.setup(BY_POST);
    let text = plain.text(&menshen.wecom, &menshen.app);
    let error = Config::parse(&text, "test.toml").unwrap_err().to_string();
    assert!(
        error.contains("response_mode") && error.contains("https"),
        "{error}"
    );
    let text = setup(&provider).text(&menshen.wecom, &menshen.app);
    assert!(Config::parse(&text, "test.toml").is_ok());
}
