//! Authorization responses by POST (`response_mode = 'form_post'`).

use menshen::config::Config;

use super::assert_signed_in_as;
use crate::browser::Browser;
use crate::provider::Provider;
use crate::setup::Setup;

const HTTPS: &str = "https://sso.test";
const FORM_POST: &str = "response_mode = 'form_post'";

fn setup(provider: &Provider) -> Setup {
    let setup = provider.setup(FORM_POST).external_url(HTTPS);
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
    let flow_cookie = pending.next().expect("a cookie of this login");
    assert!(
        flow_cookie.name.starts_with("__Host-menshen-flow-"),
        "{}",
        flow_cookie.name
    );
    assert!(flow_cookie.secure && flow_cookie.same_site == "none" && !flow_cookie.for_subdomains);
    assert!(pending.next().is_none());
    let page = browser.submit(&page).await;
    assert_signed_in_as(&page, "zhangsan");
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
    let menshen_urls = browser.visited.iter().filter(|url| url.starts_with(HTTPS));
    assert!(menshen_urls.clone().count() > 0);
    assert!(menshen_urls.into_iter().all(|url| !url.contains("code=")));
}

#[tokio::test]
async fn a_forged_form_post_creates_no_session() {
    let provider = Provider::new().await;
    let menshen = setup(&provider).start().await;
    let mut attacker = Browser::new(&menshen).over_https();
    provider.start_session(&mut attacker, "lisi");
    let start = format!("{HTTPS}/.menshen/start?connector=keycloak&rd=%2Fecho");
    let response_page = attacker.follow(&start).await;
    let mut victim = Browser::new(&menshen).over_https();
    let page = victim.submit(&response_page).await;
    assert_eq!(page.answer.status, 400, "{}", page.answer.text());
    assert!(victim.cookie("__Host-menshen").is_none());
    assert_eq!(provider.calls("token"), 0);
    let page = attacker.submit(&response_page).await;
    assert_signed_in_as(&page, "lisi");
}

#[tokio::test]
async fn a_silent_login_that_fails_by_post_ends_the_session_even_without_its_cookie() {
    for sends_cookie in [true, false] {
        let provider = Provider::new().await;
        let routes = "[[route]]\nname = 'app'\nhost = 'sso.test'\nupstream = ['{app}']\n\
                      reload_user = 'always'\n";
        let menshen = setup(&provider)
            .routes(routes)
            .session("cookie_same_site = 'none'")
            .start()
            .await;
        let mut browser = Browser::new(&menshen).over_https();
        provider.start_session(&mut browser, "zhangsan");
        let start = format!("{HTTPS}/.menshen/start?connector=keycloak&rd=%2Fecho");
        let page = browser.follow(&start).await;
        let page = browser.submit(&page).await;
        assert_signed_in_as(&page, "zhangsan");
        let copy = browser.clone();
        let echo = format!("{HTTPS}/echo");
        let headers = [("Sec-Fetch-Mode", "cors"), ("Sec-Fetch-Dest", "empty")];
        let status_of_copy = async || {
            let answer = copy.clone().send("GET", &echo, &headers, b"").await;
            answer.status
        };
        assert_eq!(status_of_copy().await, 200);
        menshen.advance(std::time::Duration::from_secs(30));
        provider.end_session_silently(&mut browser);
        let page = browser.follow(&echo).await;
        assert!(
            page.url.starts_with(&provider.url("/authorize")),
            "{}",
            page.url
        );
        if !sends_cookie {
            browser.withhold_from_other_sites("__Host-menshen");
        }
        let page = browser.submit(&page).await;
        assert!(page.url.contains("/sign_in?why=gone"), "{}", page.url);
        assert!(!sends_cookie || browser.cookie("__Host-menshen").is_none());
        // A copy of the cookie is worthless.
        assert_eq!(status_of_copy().await, 401, "{sends_cookie}");
        let audit = menshen.audit();
        let record = audit.last().unwrap();
        assert_eq!(
            (&record["event"], &record["login"]),
            (&"sign-out".into(), &"zhangsan".into()),
            "{record}"
        );
    }
}

#[tokio::test]
async fn form_post_without_https_is_refused_by_the_configuration() {
    let provider = Provider::new().await;
    let menshen = provider.setup("").start().await;
    let http_setup = provider.setup(FORM_POST);
    let text = http_setup.text(&menshen.wecom, &menshen.app);
    let error = Config::parse(&text, "test.toml").unwrap_err().to_string();
    assert!(
        error.contains("response_mode") && error.contains("https"),
        "{error}"
    );
    let text = setup(&provider).text(&menshen.wecom, &menshen.app);
    assert!(Config::parse(&text, "test.toml").is_ok());
}
