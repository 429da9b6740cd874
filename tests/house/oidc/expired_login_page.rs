//! A login page that expired at the provider, or that another tab completed: the provider redirects
//! back with an error, and the login starts once more automatically.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use menshen::face::page::Cause;

use super::{assert_signed_in_as, last_error};
use crate::browser::{Browser, Page};
use crate::provider::{Misbehavior, Provider, start_url};
use crate::setup::{Menshen, SSO_URL, Setup};

/// The error and its description that Keycloak sends for an expired login page.
const EXPIRED: (&str, &str) = ("temporarily_unavailable", "authentication_expired");

/// Replaces the next `times` authorization responses by this error with this description.
fn error_responses(times: usize, error: (&'static str, &'static str)) -> Misbehavior {
    let remaining = Arc::new(AtomicUsize::new(times));
    Misbehavior::redirect_parameters(move |pairs| {
        let decrement = |count: usize| count.checked_sub(1);
        if remaining
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, decrement)
            .is_err()
        {
            return;
        }
        pairs.retain(|(name, _)| name != "code");
        pairs.push(("error".to_owned(), error.0.to_owned()));
        pairs.push(("error_description".to_owned(), error.1.to_owned()));
    })
}

/// Logs in with a person who is signed in at the provider.
async fn sign_in(provider: &Provider, menshen: &Menshen) -> (Browser, Page) {
    let mut browser = Browser::new(menshen);
    let page = provider.sign_in(&mut browser, "keycloak", "zhangsan").await;
    (browser, page)
}

fn flow_cookies(browser: &Browser) -> usize {
    let cookies = browser.cookies().iter();
    cookies.filter(|one| one.name.contains("flow")).count()
}

#[tokio::test]
async fn an_expired_login_page_at_the_provider_is_opened_again() {
    let provider = Provider::new().await;
    let menshen = provider.setup("").start().await;
    provider.misbehave(error_responses(1, EXPIRED));
    let (browser, page) = sign_in(&provider, &menshen).await;
    assert_signed_in_as(&page, "zhangsan");
    assert_eq!(page.url, format!("{SSO_URL}/echo"));
    assert_eq!(provider.calls("authorize"), 2);
    assert_eq!(
        flow_cookies(&browser),
        0,
        "the cookies of both logins are deleted"
    );
    // The audit log has the error.
    let audit = menshen.audit();
    let errors = audit.iter().filter_map(|line| line["error"].as_str());
    assert_eq!(errors.filter(|error| error.contains(EXPIRED.1)).count(), 1);
}

#[tokio::test]
async fn an_expired_login_is_repeated_once_only() {
    let provider = Provider::new().await;
    let menshen = provider.setup("").start().await;
    provider.misbehave(error_responses(100, EXPIRED));
    let (browser, page) = sign_in(&provider, &menshen).await;
    assert_eq!(page.cause(), Some(Cause::CodeRejectedTwice));
    assert_eq!(provider.calls("authorize"), 2);
    assert!(browser.cookie("menshen").is_none());
    assert!(last_error(&menshen).contains(EXPIRED.1));
    // A new login works as the first one does.
    provider.behave();
    let (_, page) = sign_in(&provider, &menshen).await;
    assert_signed_in_as(&page, "zhangsan");
}

#[tokio::test]
async fn other_errors_do_not_repeat_the_login() {
    let provider = Provider::new().await;
    let menshen = provider.setup("").start().await;
    for (error, cause) in [
        (
            ("temporarily_unavailable", "maintenance"),
            Cause::ProviderBusy,
        ),
        (
            ("temporarily_unavailable", "not authentication_expired"),
            Cause::ProviderBusy,
        ),
        (
            ("access_denied", "authentication_expired"),
            Cause::LoginDeclined,
        ),
    ] {
        provider.misbehave(error_responses(1, error));
        let calls_before = provider.calls("authorize");
        let (browser, page) = sign_in(&provider, &menshen).await;
        assert_eq!(page.cause(), Some(cause), "{error:?}");
        assert_eq!(provider.calls("authorize"), calls_before + 1, "{error:?}");
        assert!(browser.cookie("menshen").is_none());
        provider.behave();
    }
}

#[tokio::test]
async fn expired_login_pages_do_not_count_as_wrong_codes() {
    let provider = Provider::new().await;
    // A single wrong code would pause all logins with this connector; an expired page is not a wrong code.
    let tables = format!("{}[login]\nbad_codes_max = 1\n", provider.toml("keycloak"));
    let setup = Setup::default().clock(provider.clock()).tables(&tables);
    let menshen = setup.start().await;
    provider.misbehave(error_responses(6, EXPIRED));
    for _ in 0..3 {
        let (_, page) = sign_in(&provider, &menshen).await;
        assert_eq!(page.cause(), Some(Cause::CodeRejectedTwice));
    }
    let (_, page) = sign_in(&provider, &menshen).await;
    assert_signed_in_as(&page, "zhangsan");
}

#[tokio::test]
async fn a_login_that_another_tab_completed_ends_at_its_target() {
    let provider = Provider::new().await;
    let menshen = provider.setup("").start().await;
    let mut browser = Browser::new(&menshen);
    let callback = provider
        .callback_url(&mut browser, "keycloak", "zhangsan")
        .await;
    let page = browser.follow(&start_url("keycloak")).await;
    assert_signed_in_as(&page, "zhangsan");
    // The provider sends an error to the other tab.
    let mut error_callback = url::Url::parse(&callback).unwrap();
    let parameters: Vec<_> = error_callback
        .query_pairs()
        .filter(|(name, _)| name != "code")
        .map(|(name, value)| (name.into_owned(), value.into_owned()))
        .collect();
    error_callback
        .query_pairs_mut()
        .clear()
        .extend_pairs(parameters)
        .append_pair("error", EXPIRED.0)
        .append_pair("error_description", EXPIRED.1);
    let page = browser.follow(error_callback.as_str()).await;
    assert_signed_in_as(&page, "zhangsan");
    assert_eq!(page.url, format!("{SSO_URL}/echo"));
}
