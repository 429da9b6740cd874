//! Single logout with an OpenID provider: started by menshen, by the provider, and during a login.

use serde_json::{Value, json};

use crate::browser::{Browser, Page};
use crate::logging_in::OWN_PAGES;
use crate::provider::{Key, LOGOUT_EVENT, Misbehavior, Provider};
use crate::setup::{Menshen, SSO_URL};
use jsonwebtoken::Algorithm;

/// Whether the application receives requests of the browser.
async fn is_signed_in(browser: &mut Browser) -> bool {
    browser.visit(&format!("{SSO_URL}/echo")).await.status == 200
}

/// A new browser that signed in through the provider.
async fn sign_in(provider: &Provider, menshen: &Menshen, login: &str) -> Browser {
    let mut browser = Browser::new(menshen);
    let page = provider.sign_in(&mut browser, "keycloak", login).await;
    assert_eq!(page.answer.status, 200, "{}", page.answer.text());
    browser
}

async fn post_logout_token(provider: &Provider, menshen: &Menshen, token: &str) -> u16 {
    let answer = provider.post_logout_token(menshen.address(), "keycloak", token);
    answer.await.status
}

fn sid_claim(provider: &Provider, login: &str, nth: usize) -> Value {
    json!({ "sid": provider.sids(login)[nth] })
}

fn is_signed_out_page(page: &Page) -> bool {
    let text = page.answer.text();
    page.answer.status == 200 && text.contains("/sign_in") && !text.contains("id_token")
}

#[tokio::test]
async fn sign_out_redirects_to_the_provider_and_ends_on_a_page_that_starts_no_login() {
    let provider = Provider::new().await;
    let menshen = provider.setup("").start().await;
    let mut browser = sign_in(&provider, &menshen, "zhangsan").await;
    let mut copy = browser.clone();
    let page = browser
        .follow(&format!("{OWN_PAGES}/sign_out?rd=%2Fecho%3Fa%3D1"))
        .await;

    assert_eq!(provider.calls("end_session"), 1);
    let request = provider.last_request("end_session");
    assert_eq!(request.parameter("client_id"), Some("menshen"));
    assert_eq!(
        request.parameter("post_logout_redirect_uri"),
        Some(format!("{OWN_PAGES}/sign_out").as_str())
    );
    assert!(
        request
            .parameter("id_token_hint")
            .is_some_and(|hint| hint.split('.').count() == 3)
    );
    assert!(
        page.url
            .starts_with(&format!("{OWN_PAGES}/sign_out?state=")),
        "{}",
        page.url
    );
    assert!(is_signed_out_page(&page), "{}", page.answer.text());
    assert!(
        page.answer.text().contains("rd=/echo%3Fa%3D1"),
        "{}",
        page.answer.text()
    );
    // The session has ended in menshen in any case, and at the provider, too.
    assert!(!is_signed_in(&mut copy).await && !is_signed_in(&mut browser).await);
}

#[tokio::test]
async fn the_return_address_after_sign_out_cannot_be_forged() {
    let provider = Provider::new().await;
    let menshen = provider.setup("").start().await;
    let mut browser = Browser::new(&menshen);
    for state in ["https://evil.test/", "AAAA", "", "%00"] {
        let page = browser
            .follow(&format!("{OWN_PAGES}/sign_out?state={state}"))
            .await;
        assert!(is_signed_out_page(&page), "{state}");
        assert!(!page.answer.text().contains("evil"), "{state}");
    }
}

#[tokio::test]
async fn a_program_that_signs_out_is_not_redirected() {
    let provider = Provider::new().await;
    let menshen = provider.setup("").start().await;
    let mut browser = sign_in(&provider, &menshen, "zhangsan").await;
    let script_headers = [
        ("Origin", SSO_URL),
        ("Sec-Fetch-Mode", "cors"),
        ("Sec-Fetch-Dest", "empty"),
    ];
    let url = format!("{OWN_PAGES}/sign_out");
    assert_eq!(
        browser
            .send("POST", &url, &script_headers, b"")
            .await
            .status,
        200
    );
    assert_eq!(provider.calls("end_session"), 0);
    assert!(!is_signed_in(&mut browser).await);

    let mut browser = sign_in(&provider, &menshen, "zhangsan").await;
    let form_headers = [
        ("Origin", SSO_URL),
        ("Sec-Fetch-Mode", "navigate"),
        ("Sec-Fetch-Dest", "document"),
        ("Sec-Fetch-Site", "same-origin"),
    ];
    let answer = browser.send("POST", &url, &form_headers, b"").await;
    assert_eq!(answer.status, 303);
    assert!(
        answer
            .header("location")
            .unwrap()
            .starts_with(&provider.url("/end_session"))
    );
    assert!(!is_signed_in(&mut browser).await);
}

#[tokio::test]
async fn sign_out_works_while_the_provider_is_down() {
    let provider = Provider::new().await;
    let menshen = provider.setup("").start().await;
    let mut browser = sign_in(&provider, &menshen, "zhangsan").await;
    provider.start_outage();
    let answer = browser.visit(&format!("{OWN_PAGES}/sign_out")).await;
    assert!(matches!(answer.status, 200 | 303), "{}", answer.text());
    assert!(!is_signed_in(&mut browser).await);
}

#[tokio::test]
async fn a_logout_token_ends_one_session_by_sid_and_all_sessions_by_subject() {
    let provider = Provider::new().await;
    let menshen = provider.setup("").start().await;
    let mut first = sign_in(&provider, &menshen, "zhangsan").await;
    let mut second = sign_in(&provider, &menshen, "zhangsan").await;
    let mut third = sign_in(&provider, &menshen, "zhangsan").await;
    let mut other = sign_in(&provider, &menshen, "lisi").await;

    let token = provider.logout_token(&sid_claim(&provider, "zhangsan", 0));
    assert_eq!(post_logout_token(&provider, &menshen, &token).await, 200);
    assert!(!is_signed_in(&mut first).await);
    assert!(
        is_signed_in(&mut second).await
            && is_signed_in(&mut third).await
            && is_signed_in(&mut other).await
    );

    let both = json!({ "sub": provider.sub("zhangsan"), "sid": provider.sids("zhangsan")[1] });
    assert_eq!(
        post_logout_token(&provider, &menshen, &provider.logout_token(&both)).await,
        200
    );
    assert!(!is_signed_in(&mut second).await && is_signed_in(&mut third).await);

    let all = provider.logout_token(&json!({ "sub": provider.sub("zhangsan") }));
    assert_eq!(post_logout_token(&provider, &menshen, &all).await, 200);
    assert!(!is_signed_in(&mut third).await && is_signed_in(&mut other).await);
    let audit = menshen.audit();
    let revoked: Vec<_> = audit
        .iter()
        .filter(|line| line["event"] == "revoked")
        .collect();
    assert_eq!(revoked.len(), 3);
    assert!(revoked.iter().all(|line| line["connector"] == "keycloak"));
}

#[tokio::test]
async fn a_session_without_a_sid_ends_with_any_session_of_its_person() {
    let provider = Provider::new().await;
    let menshen = provider.setup("").start().await;
    let mut with_sid = sign_in(&provider, &menshen, "zhangsan").await;
    let no_sid = Misbehavior::claims(|claims| {
        claims.as_object_mut().unwrap().remove("sid");
    });
    provider.misbehave(no_sid);
    let mut without_sid = sign_in(&provider, &menshen, "zhangsan").await;
    let mut other = sign_in(&provider, &menshen, "lisi").await;
    let mut logging_in = Browser::new(&menshen);
    let back = provider
        .callback_url(&mut logging_in, "keycloak", "zhangsan")
        .await;

    // A session ID alone does not identify the person.
    let sid_only = provider.logout_token(&json!({ "sid": "elsewhere" }));
    assert_eq!(post_logout_token(&provider, &menshen, &sid_only).await, 200);
    assert!(is_signed_in(&mut without_sid).await);

    let both = json!({ "sub": provider.sub("zhangsan"), "sid": "elsewhere" });
    let both = provider.logout_token(&both);
    assert_eq!(post_logout_token(&provider, &menshen, &both).await, 200);
    assert!(!is_signed_in(&mut without_sid).await);
    assert!(is_signed_in(&mut with_sid).await && is_signed_in(&mut other).await);
    let audit = menshen.audit();
    let last = audit.last().unwrap();
    let subject = provider.sub("zhangsan");
    assert_eq!(
        (&last["event"], &last["subject"]),
        (&"revoked".into(), &subject.into())
    );
    // A pending login without a session ID does not sign the person in, either.
    let page = logging_in.follow(&back).await;
    assert_ne!(page.answer.status, 200);
    assert!(!is_signed_in(&mut logging_in).await);
    menshen.advance(std::time::Duration::from_secs(1));
    sign_in(&provider, &menshen, "zhangsan").await;
}

#[tokio::test]
async fn a_logout_token_is_accepted_once() {
    let provider = Provider::new().await;
    let menshen = provider.setup("").start().await;
    let mut browser = sign_in(&provider, &menshen, "zhangsan").await;
    let token = provider.logout_token(&json!({ "sub": provider.sub("zhangsan") }));
    assert_eq!(post_logout_token(&provider, &menshen, &token).await, 200);
    assert!(!is_signed_in(&mut browser).await);
    menshen.advance(std::time::Duration::from_secs(1));
    let mut signed_in_again = sign_in(&provider, &menshen, "zhangsan").await;
    assert_eq!(post_logout_token(&provider, &menshen, &token).await, 400);
    assert!(is_signed_in(&mut signed_in_again).await);
}

#[tokio::test]
async fn a_login_that_was_pending_at_the_logout_creates_no_session() {
    let provider = Provider::new().await;
    let menshen = provider.setup("").start().await;
    for claim in ["sid", "sub"] {
        let mut browser = Browser::new(&menshen);
        let back = provider
            .callback_url(&mut browser, "keycloak", "zhangsan")
            .await;
        // The provider names its session when the code is redeemed; a logout by subject needs no
        // session ID.
        let claims = match claim {
            "sub" => json!({ "sub": provider.sub("zhangsan") }),
            _ => sid_claim(&provider, "zhangsan", 0),
        };
        assert_eq!(
            post_logout_token(&provider, &menshen, &provider.logout_token(&claims)).await,
            200,
            "{claim}"
        );
        let page = browser.follow(&back).await;
        assert_ne!(page.answer.status, 200, "{claim}");
        assert!(!is_signed_in(&mut browser).await, "{claim}");
        menshen.advance(std::time::Duration::from_secs(1));
        let mut later = sign_in(&provider, &menshen, "zhangsan").await;
        assert!(is_signed_in(&mut later).await, "{claim}");
    }
}

/// Invalid logout tokens, each with a description.
fn invalid_tokens(provider: &Provider) -> Vec<(&'static str, String)> {
    let sub = provider.sub("zhangsan");
    let now = provider.clock().now().unix_s();
    let with = |claims: Value| logout_token_with(provider, &claims);
    let unpublished_key = Key::generate(Algorithm::ES256);
    let valid_claims = json!({
        "iss": provider.issuer(), "aud": "menshen", "iat": now, "exp": now + 120, "jti": "x",
        "sub": sub, "events": { LOGOUT_EVENT: {} },
    });
    vec![
        (
            "another issuer",
            with(json!({ "iss": "https://evil.test" })),
        ),
        ("another audience", with(json!({ "aud": "somebody" }))),
        ("no audience", with(json!({ "aud": null }))),
        ("no iat", with(json!({ "iat": null }))),
        ("issued long ago", with(json!({ "iat": now - 7200 }))),
        ("issued in the future", with(json!({ "iat": now + 7200 }))),
        ("expired", with(json!({ "exp": now - 300 }))),
        ("no jti", with(json!({ "jti": null }))),
        ("no events", with(json!({ "events": null }))),
        (
            "another event",
            with(json!({ "events": { "urn:other": {} } })),
        ),
        (
            "an event that is no object",
            with(json!({ "events": { LOGOUT_EVENT: true } })),
        ),
        ("a nonce", with(json!({ "nonce": "x" }))),
        (
            "neither subject nor session",
            provider.logout_token(&json!({})),
        ),
        (
            "a session ID that is a number",
            provider.logout_token(&json!({ "sid": 7 })),
        ),
        (
            "an unpublished key",
            unpublished_key.sign(&valid_claims, &json!({ "typ": "logout+jwt" })),
        ),
        (
            "another type",
            provider.sign(&valid_claims, &json!({ "typ": "at+jwt" })),
        ),
        (
            "no algorithm",
            provider.sign(&valid_claims, &json!({ "alg": "none" })),
        ),
        ("no token", "a.b.c".to_owned()),
        ("an empty token", String::new()),
    ]
}

/// A logout token for 张三 with these claims changed.
fn logout_token_with(provider: &Provider, changes: &Value) -> String {
    let mut claims = json!({ "sub": provider.sub("zhangsan") });
    for (name, value) in changes.as_object().unwrap() {
        claims[name] = value.clone();
    }
    provider.logout_token(&claims)
}

#[tokio::test]
async fn an_invalid_logout_token_ends_nothing() {
    let provider = Provider::new().await;
    let menshen = provider.setup("").start().await;
    let mut browser = sign_in(&provider, &menshen, "zhangsan").await;
    for (what, token) in invalid_tokens(&provider) {
        let status = post_logout_token(&provider, &menshen, &token).await;
        assert_eq!(status, 400, "{what}");
        assert!(is_signed_in(&mut browser).await, "{what}");
    }
    for (id, status) in [("corp", 404), ("nobody", 404)] {
        let answer = provider
            .post_logout_token(
                menshen.address(),
                id,
                &logout_token_with(&provider, &json!({})),
            )
            .await;
        assert_eq!(answer.status, status, "{id}");
    }
    let other_members = json!({ "events": { LOGOUT_EVENT: {}, "revoke_offline_access": true } });
    assert_eq!(
        post_logout_token(
            &provider,
            &menshen,
            &logout_token_with(&provider, &other_members)
        )
        .await,
        200
    );
    assert!(!is_signed_in(&mut browser).await);
}

#[tokio::test]
async fn the_front_channel_ends_only_a_session_that_it_names() {
    let provider = Provider::new().await;
    let menshen = provider.setup("").start().await;
    let mut browser = sign_in(&provider, &menshen, "zhangsan").await;
    let session_id = provider.sids("zhangsan")[0].clone();
    let issuer: String =
        url::form_urlencoded::byte_serialize(provider.issuer().as_bytes()).collect();
    let mut frame = Browser::new(&menshen);
    let address = format!("{OWN_PAGES}/frontchannel-logout/keycloak");
    for query in [
        String::new(),
        format!("iss={issuer}"),
        format!("sid={session_id}"),
        format!("iss=https%3A%2F%2Fevil.test&sid={session_id}"),
        format!("iss={issuer}&sid={session_id}&sid=other"),
    ] {
        let answer = frame.visit(&format!("{address}?{query}")).await;
        assert_eq!(answer.status, 400, "{query}");
        assert!(is_signed_in(&mut browser).await, "{query}");
    }
    let valid_url = format!("{address}?iss={issuer}&sid={session_id}");
    let answer = frame.send("HEAD", &valid_url, &[], b"").await;
    assert_eq!(answer.status, 405);
    let answer = frame
        .visit(&format!("{address}?iss={issuer}&sid=unknown"))
        .await;
    assert_eq!(answer.status, 200);
    assert!(is_signed_in(&mut browser).await);
    // Any browser can request the logout of an unknown session, so it is not in the audit log.
    let revocations = |menshen: &Menshen| {
        let audit = menshen.audit();
        audit
            .iter()
            .filter(|line| line["event"] == "revoked")
            .count()
    };
    assert_eq!(revocations(&menshen), 0);
    // The page of the provider loads the URL in a frame, without cookies of menshen.
    let frame_headers = [
        ("Sec-Fetch-Mode", "navigate"),
        ("Sec-Fetch-Dest", "iframe"),
        ("Sec-Fetch-Site", "cross-site"),
    ];
    let answer = frame.send("GET", &valid_url, &frame_headers, b"").await;
    assert_eq!(
        (answer.status, answer.header("x-frame-options")),
        (200, None)
    );
    assert!(!is_signed_in(&mut browser).await);
    assert_eq!(revocations(&menshen), 1);
    frame.send("GET", &valid_url, &frame_headers, b"").await;
    assert_eq!(revocations(&menshen), 1);
}
