//! Errors and invalid responses of a provider: an error page, a logged reason, no session, and a working
//! login afterwards.

use menshen::face::page::Cause;
use serde_json::{Value, json};

use super::provider::{ERROR_DESCRIPTION, Provider};
use super::{last_error, log_in_with, start_menshen, start_url};
use crate::browser::{Browser, href};
use crate::logging_in::OWN_PAGES;
use crate::setup::{Menshen, SSO_URL};

const JSON: &str = "Content-Type: application/json\r\n";
/// The body of a page that is not from the provider, such as the login page of a public network.
const FOREIGN_PAGE: &str = "<html>Hotel WiFi";

/// Asserts that a login ends with this error page, without a session and with `words` in the log.
async fn assert_login_fails(menshen: &Menshen, cause: Cause, words: &str, what: &str) {
    let (browser, page) = log_in_with(menshen, "gh").await;
    let text = page.answer.text();
    assert_eq!(page.cause(), Some(cause), "{what}: {text}");
    assert!(browser.cookie("menshen").is_none(), "{what}");
    assert!(
        href(&text, "/sign_in").is_some() || href(&text, "/start").is_some(),
        "{what}"
    );
    assert!(
        !text.contains(ERROR_DESCRIPTION) && !text.contains(FOREIGN_PAGE),
        "{what}"
    );
    let error = last_error(menshen);
    assert!(error.contains(words), "{what}: {error}");
}

#[tokio::test]
async fn every_authorization_error_has_a_page_and_a_logged_reason() {
    let provider = Provider::start().await;
    let menshen = start_menshen(&provider, "").await;
    let callback = format!("{OWN_PAGES}/callback/gh");
    for (error, cause, words) in [
        ("access_denied", Cause::LoginDeclined, "declined"),
        (
            "login_required",
            Cause::LoginDeclined,
            "the source must show a page",
        ),
        (
            "interaction_required",
            Cause::LoginDeclined,
            "the source must show a page",
        ),
        (
            "consent_required",
            Cause::LoginDeclined,
            "the source must show a page",
        ),
        (
            "account_selection_required",
            Cause::LoginDeclined,
            "the source must show a page",
        ),
        (
            "temporarily_unavailable",
            Cause::ProviderBusy,
            "temporarily_unavailable: hm",
        ),
        ("server_error", Cause::ProviderBusy, "server_error"),
        ("invalid_scope", Cause::ProviderMisconfigured, "`scopes`"),
        (
            "unauthorized_client",
            Cause::ProviderMisconfigured,
            "`client_id`",
        ),
        (
            "unsupported_response_type",
            Cause::ProviderMisconfigured,
            "`authorize_url`",
        ),
        ("invalid_request", Cause::ProviderMisconfigured, &callback),
        (
            "redirect_uri_mismatch",
            Cause::ProviderMisconfigured,
            &callback,
        ),
        (
            "application_suspended",
            Cause::ProviderMisconfigured,
            "application_suspended",
        ),
    ] {
        let response = format!("error={error}&error_description=hm&state=STATE");
        provider.state().authorization_response = Some(response);
        assert_login_fails(&menshen, cause, words, error).await;
    }
    assert_eq!(provider.calls("/token").len(), 0, "nothing was redeemed");
    // Anybody can write such a callback, so it says nothing about the provider.
    let site = menshen.running.live().site();
    let mut entries = site.login.entries().iter();
    let entry = entries.find(|entry| entry.id.as_str() == "gh").unwrap();
    let report = entry.health.report();
    assert!(report.last_problem.is_none(), "{report:?}");
    provider.restore();
    assert_eq!(log_in_with(&menshen, "gh").await.1.answer.status, 200);
}

#[tokio::test]
async fn an_expired_login_page_is_opened_once_more_only() {
    let provider = Provider::start().await;
    let menshen = start_menshen(&provider, "").await;
    let response = "error=temporarily_unavailable&error_description=authentication_expired";
    provider.state().authorization_response = Some(format!("{response}&state=STATE"));
    let requests_before = provider.state().authorize_requests.len();
    assert_login_fails(
        &menshen,
        Cause::CodeRejectedTwice,
        "authentication_expired",
        "expired",
    )
    .await;
    assert_eq!(
        provider.state().authorize_requests.len(),
        requests_before + 2
    );
    provider.restore();
    let mut browser = Browser::new(&menshen);
    provider.state().authorization_response = Some(format!("{response}&state=STATE"));
    let callback = browser
        .follow_until(&start_url("gh"), |next| next.contains("/callback/"))
        .await;
    provider.restore();
    let page = browser.follow(&callback.url).await;
    assert_eq!(page.url, format!("{SSO_URL}/echo?a=b"));
    assert_eq!(page.answer.status, 200);
}

#[tokio::test]
async fn a_response_with_a_repeated_parameter_is_refused() {
    let provider = Provider::start().await;
    let menshen = start_menshen(&provider, "").await;
    for response in [
        "code=CODE&code=CODE&state=STATE",
        "code=CODE&code=other&state=STATE",
        "code=CODE&state=STATE&state=STATE",
        "code=CODE&state=STATE&iss=a&iss=b",
        "code=CODE&state=STATE&error=a&error=b",
        "code=&state=STATE",
        "code=CODE%0d%0aX&state=STATE",
        "state=STATE",
        "error=&state=STATE",
        "error=a%20b&state=STATE",
    ] {
        provider.state().authorization_response = Some(response.to_owned());
        let (browser, page) = log_in_with(&menshen, "gh").await;
        assert_eq!(
            page.cause(),
            Some(Cause::InvalidProviderResponse),
            "{response}"
        );
        assert!(browser.cookie("menshen").is_none(), "{response}");
    }
    let long = format!("code={}&state=STATE", "c".repeat(4097));
    provider.state().authorization_response = Some(long);
    assert_eq!(
        log_in_with(&menshen, "gh").await.1.cause(),
        Some(Cause::InvalidProviderResponse)
    );
    assert_eq!(provider.calls("/token").len(), 0, "nothing was redeemed");
    // Unknown parameters may be repeated.
    provider.state().authorization_response = Some("code=CODE&state=STATE&utm=1&utm=2".to_owned());
    assert_eq!(log_in_with(&menshen, "gh").await.1.answer.status, 200);
}

#[tokio::test]
async fn every_token_endpoint_error_has_a_page_and_a_logged_reason() {
    let provider = Provider::start().await;
    let menshen = start_menshen(&provider, "").await;
    let callback = format!("{OWN_PAGES}/callback/gh");
    for (error, cause, words) in [
        (
            "invalid_client",
            Cause::ProviderMisconfigured,
            "`client_secret`",
        ),
        (
            "incorrect_client_credentials",
            Cause::ProviderMisconfigured,
            "`client_id`",
        ),
        (
            "unauthorized_client",
            Cause::ProviderMisconfigured,
            "`client_id`",
        ),
        (
            "redirect_uri_mismatch",
            Cause::ProviderMisconfigured,
            callback.as_str(),
        ),
        ("invalid_scope", Cause::ProviderMisconfigured, "`scopes`"),
        (
            "unsupported_grant_type",
            Cause::ProviderMisconfigured,
            "`token_url`",
        ),
        (
            "unknown_error",
            Cause::ProviderMisconfigured,
            "unknown_error: simulated refusal",
        ),
        (
            "temporarily_unavailable",
            Cause::ProviderBusy,
            "token answered",
        ),
        (
            "unverified_user_email",
            Cause::NotVisibleToApp,
            "not visible",
        ),
    ] {
        for status in [200, 400, 401] {
            let body =
                json!({ "error": error, "error_description": ERROR_DESCRIPTION }).to_string();
            provider.respond_with("/token", status, JSON, &body);
            let what = format!("{error} {status}");
            assert_login_fails(&menshen, cause, words, &what).await;
            assert!(
                last_error(&menshen).contains(&format!("answered {status}")),
                "{what}"
            );
        }
    }
    for body in ["{}", "{\"error\":\"slow\"}", "too many"] {
        provider.respond_with("/token", 429, JSON, body);
        assert_login_fails(&menshen, Cause::ProviderBusy, "429", body).await;
    }
    assert_eq!(
        provider.calls("/api/me").len(),
        0,
        "no profile was requested"
    );
    provider.restore();
    assert_eq!(log_in_with(&menshen, "gh").await.1.answer.status, 200);
}

#[tokio::test]
async fn a_spent_code_repeats_the_login_once_only() {
    for (status, error) in [(400, "invalid_grant"), (200, "bad_verification_code")] {
        let provider = Provider::start().await;
        let menshen = start_menshen(&provider, "").await;
        let body = json!({ "error": error }).to_string();
        provider.respond_with("/token", status, JSON, &body);
        let (browser, page) = log_in_with(&menshen, "gh").await;
        assert_eq!(page.cause(), Some(Cause::CodeRejectedTwice), "{error}");
        assert!(browser.cookies().is_empty());
        assert_eq!(provider.state().authorize_requests.len(), 2, "{error}");
        provider.restore();
        // If only the first code is spent, the login succeeds.
        let mut browser = Browser::new(&menshen);
        let callback = browser
            .follow_until(&start_url("gh"), |next| next.contains("/callback/gh"))
            .await;
        provider.state().invalidate_codes();
        let page = browser.follow(&callback.url).await;
        assert_eq!(page.url, format!("{SSO_URL}/echo?a=b"), "{error}");
    }
}

#[tokio::test]
async fn an_invalid_token_response_creates_no_session() {
    let provider = Provider::start().await;
    let menshen = start_menshen(&provider, "").await;
    for fields in [
        json!({ "access_token": null }),
        json!({ "access_token": 7 }),
        json!({ "access_token": "a\r\nX-User: boss" }),
        json!({ "access_token": "x".repeat(20_000) }),
        json!({ "token_type": "mac" }),
        json!({ "token_type": 1 }),
        json!({ "expires_in": -1 }),
        json!({ "expires_in": "soon" }),
        json!({ "expires_in": [1] }),
        json!({ "refresh_token": {} }),
        json!({ "id_token": 1 }),
    ] {
        provider.state().token_fields = fields.clone();
        let what = fields.to_string().chars().take(60).collect::<String>();
        assert_login_fails(
            &menshen,
            Cause::ProviderUnreachable,
            "token answered",
            &what,
        )
        .await;
    }
    for fields in [
        json!({ "token_type": null }),
        json!({ "token_type": "BEARER" }),
        json!({ "expires_in": "3600" }),
        json!({ "expires_in": 1e300 }),
        json!({ "expires_in": null, "refresh_token": null }),
    ] {
        provider.state().token_fields = fields.clone();
        assert_eq!(
            log_in_with(&menshen, "gh").await.1.answer.status,
            200,
            "{fields}"
        );
    }
}

#[tokio::test]
async fn an_invalid_http_response_creates_no_session() {
    let provider = Provider::start().await;
    let menshen = start_menshen(&provider, "").await;
    let huge = format!(
        "{{\"access_token\":\"A\",\"id\":7,\"login\":\"boss\",\"x\":\"{}\"}}",
        "x".repeat(2 << 20)
    );
    // A valid body is accepted only with a successful status.
    let valid = "{\"access_token\":\"A\",\"token_type\":\"bearer\",\"id\":7,\"login\":\"boss\"}";
    let elsewhere = format!("{JSON}Location: {}/api/me\r\n", provider.url());
    for (status, headers, body) in [
        (200, "Content-Type: text/html\r\n", FOREIGN_PAGE),
        (200, JSON, ""),
        (200, JSON, "{\"access_token\":\"A\""),
        (200, JSON, "access_token=A&token_type=bearer"),
        (200, JSON, "null"),
        (200, JSON, "[]"),
        (200, JSON, &huge),
        (302, &elsewhere, valid),
        (307, &elsewhere, valid),
        (500, JSON, valid),
        (502, "Content-Type: text/html\r\n", "<html>bad gateway"),
    ] {
        for path in ["/token", "/api/me"] {
            provider.respond_with(path, status, headers, body);
            let excerpt: String = body.chars().take(40).collect();
            let what = format!("{status} {excerpt} at {path}");
            assert_login_fails(
                &menshen,
                Cause::ProviderUnreachable,
                "no usable response",
                &what,
            )
            .await;
            provider.restore();
        }
    }
    for content_type in [
        "",
        "Content-Type: text/html\r\n",
        "Content-Type: text/plain\r\n",
    ] {
        let person = json!({ "id": 7, "login": "zhangsan" }).to_string();
        provider.respond_with("/api/me", 200, content_type, &person);
        assert_eq!(
            log_in_with(&menshen, "gh").await.1.answer.status,
            200,
            "{content_type}"
        );
        provider.restore();
    }
    let redirected = provider.calls("/api/me").iter().any(|request| {
        request
            .single_header("authorization")
            .is_some_and(|value| value == "Bearer A")
    });
    assert!(!redirected, "redirects are not followed");
    assert_eq!(log_in_with(&menshen, "gh").await.1.answer.status, 200);
}

#[tokio::test]
async fn a_profile_without_subject_or_login_creates_no_session() {
    let provider = Provider::start().await;
    let menshen = start_menshen(&provider, "").await;
    let cases: [(Value, Cause, &str); 8] = [
        (
            json!({ "login": "zhangsan" }),
            Cause::InvalidProviderResponse,
            "`subject`",
        ),
        (
            json!({ "id": null, "login": "zhangsan" }),
            Cause::InvalidProviderResponse,
            "`subject`",
        ),
        (
            json!({ "id": [7], "login": "zhangsan" }),
            Cause::InvalidProviderResponse,
            "`subject`",
        ),
        (
            json!({ "id": "", "login": "zhangsan" }),
            Cause::InvalidProviderResponse,
            "`subject`",
        ),
        (
            json!({ "id": "x".repeat(513), "login": "z" }),
            Cause::InvalidProviderResponse,
            "`subject`",
        ),
        (json!({ "id": 7 }), Cause::NoLoginName, "no login"),
        (
            json!({ "id": 7, "login": "" }),
            Cause::NoLoginName,
            "no login",
        ),
        (json!("zhangsan"), Cause::ProviderUnreachable, "an object"),
    ];
    for (profile, cause, words) in cases {
        provider.person(profile.clone());
        assert_login_fails(&menshen, cause, words, &profile.to_string()).await;
    }
}

#[tokio::test]
async fn a_wrong_secret_is_only_reported_in_the_log() {
    let provider = Provider::start().await;
    let table = provider
        .connector_toml("gh", "", "")
        .replace(super::SECRET, "not-the-secret-at-all");
    let menshen = crate::setup::Setup::default().tables(&table).start().await;
    assert_login_fails(
        &menshen,
        Cause::ProviderMisconfigured,
        "`client_secret`",
        "a wrong secret",
    )
    .await;
    assert!(!last_error(&menshen).contains("not-the-secret"));
}

#[tokio::test]
async fn a_hanging_provider_times_out_and_does_not_block_sessions() {
    let provider = Provider::start().await;
    let menshen = start_menshen(&provider, "").await;
    let (mut signed_in, _) = log_in_with(&menshen, "gh").await;
    provider.hang("/token");
    let hanging_login = async {
        let page = log_in_with(&menshen, "gh").await.1;
        assert_eq!(
            (page.answer.status, page.cause()),
            (502, Some(Cause::ProviderUnreachable))
        );
    };
    let requests_of_session = async {
        for _ in 0..20 {
            assert_eq!(
                signed_in.visit(&format!("{SSO_URL}/echo")).await.status,
                200
            );
        }
    };
    futures_util::future::join(hanging_login, requests_of_session).await;
    assert!(last_error(&menshen).contains("not answered in time"));
    provider.restore();
    assert_eq!(log_in_with(&menshen, "gh").await.1.answer.status, 200);
}

#[tokio::test]
async fn sessions_go_on_when_the_provider_is_gone() {
    let provider = Provider::start().await;
    let menshen = start_menshen(&provider, "").await;
    let (mut signed_in, _) = log_in_with(&menshen, "gh").await;
    let mut logging_in = Browser::new(&menshen);
    let callback = logging_in
        .follow_until(&start_url("gh"), |next| next.contains("/callback/gh"))
        .await;
    drop(provider);
    let page = logging_in.follow(&callback.url).await;
    assert_eq!(page.cause(), Some(Cause::ProviderUnreachable));
    assert_eq!(
        signed_in.visit(&format!("{SSO_URL}/echo")).await.status,
        200
    );
}
