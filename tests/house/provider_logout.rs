//! Single sign-out with an OpenID provider: begun by menshen, by the provider, and during a login.

use serde_json::{Value, json};

use crate::browser::{Browser, Page};
use crate::logging_in::OWN_PAGES;
use crate::provider::{Key, LOGOUT_EVENT, Misbehavior, Provider};
use crate::setup::{Menshen, SSO_URL};
use jsonwebtoken::Algorithm;

/// Whether the application answers the browser.
async fn is_signed_in(browser: &mut Browser) -> bool {
    browser.visit(&format!("{SSO_URL}/echo")).await.status == 200
}

/// A browser that signed in at the provider.
async fn somebody(provider: &Provider, menshen: &Menshen, login: &str) -> Browser {
    let mut browser = Browser::new(menshen);
    let page = provider.sign_in(&mut browser, "keycloak", login).await;
    assert_eq!(page.answer.status, 200, "{}", page.answer.text());
    browser
}

async fn push(provider: &Provider, menshen: &Menshen, token: &str) -> u16 {
    let answer = provider.post_logout_token(menshen.address(), "keycloak", token);
    answer.await.status
}

fn sid(provider: &Provider, login: &str, which: usize) -> Value {
    json!({ "sid": provider.sids(login)[which] })
}

fn is_signed_out_page(page: &Page) -> bool {
    let text = page.answer.text();
    page.answer.status == 200 && text.contains("/sign_in") && !text.contains("id_token")
}

#[tokio::test]
async fn sign_out_redirects_to_the_provider_and_ends_on_a_page_that_begins_no_login() {
    let provider = Provider::new().await;
    let menshen = provider.setup("").start().await;
    let mut browser = somebody(&provider, &menshen, "zhangsan").await;
    let kept = browser.clone();
    let page = browser
        .follow(&format!("{OWN_PAGES}/sign_out?rd=%2Fecho%3Fa%3D1"))
        .await;

    assert_eq!(provider.calls("end_session"), 1);
    let asked = provider.last_request("end_session");
    assert_eq!(asked.parameter("client_id"), Some("menshen"));
    assert_eq!(
        asked.parameter("post_logout_redirect_uri"),
        Some(format!("{OWN_PAGES}/sign_out").as_str())
    );
    assert!(
        asked
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
    let mut kept = kept;
    assert!(!is_signed_in(&mut kept).await && !is_signed_in(&mut browser).await);
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
    let mut browser = somebody(&provider, &menshen, "zhangsan").await;
    let by_script = [
        ("Origin", SSO_URL),
        ("Sec-Fetch-Mode", "cors"),
        ("Sec-Fetch-Dest", "empty"),
    ];
    let url = format!("{OWN_PAGES}/sign_out");
    assert_eq!(
        browser.send("POST", &url, &by_script, b"").await.status,
        200
    );
    assert_eq!(provider.calls("end_session"), 0);
    assert!(!is_signed_in(&mut browser).await);

    let mut browser = somebody(&provider, &menshen, "zhangsan").await;
    let by_form = [
        ("Origin", SSO_URL),
        ("Sec-Fetch-Mode", "navigate"),
        ("Sec-Fetch-Dest", "document"),
        ("Sec-Fetch-Site", "same-origin"),
    ];
    let answer = browser.send("POST", &url, &by_form, b"").await;
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
    let mut browser = somebody(&provider, &menshen, "zhangsan").await;
    provider.start_outage();
    let answer = browser.visit(&format!("{OWN_PAGES}/sign_out")).await;
    assert!(matches!(answer.status, 200 | 303), "{}", answer.text());
    assert!(!is_signed_in(&mut browser).await);
}

#[tokio::test]
async fn a_logout_token_ends_one_session_by_sid_and_all_sessions_by_subject() {
    let provider = Provider::new().await;
    let menshen = provider.setup("").start().await;
    let mut first = somebody(&provider, &menshen, "zhangsan").await;
    let mut second = somebody(&provider, &menshen, "zhangsan").await;
    let mut third = somebody(&provider, &menshen, "zhangsan").await;
    let mut other = somebody(&provider, &menshen, "lisi").await;

    let token = provider.logout_token(&sid(&provider, "zhangsan", 0));
    assert_eq!(push(&provider, &menshen, &token).await, 200);
    assert!(!is_signed_in(&mut first).await);
    assert!(
        is_signed_in(&mut second).await
            && is_signed_in(&mut third).await
            && is_signed_in(&mut other).await
    );

    let both = json!({ "sub": provider.sub("zhangsan"), "sid": provider.sids("zhangsan")[1] });
    assert_eq!(
        push(&provider, &menshen, &provider.logout_token(&both)).await,
        200
    );
    assert!(!is_signed_in(&mut second).await && is_signed_in(&mut third).await);

    let all = provider.logout_token(&json!({ "sub": provider.sub("zhangsan") }));
    assert_eq!(push(&provider, &menshen, &all).await, 200);
    assert!(!is_signed_in(&mut third).await && is_signed_in(&mut other).await);
    let told = menshen.audit();
    let revoked: Vec<_> = told
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
    let mut named = somebody(&provider, &menshen, "zhangsan").await;
    let nameless = Misbehavior::claims(|claims| {
        claims.as_object_mut().unwrap().remove("sid");
    });
    provider.misbehave(nameless);
    let mut unnamed = somebody(&provider, &menshen, "zhangsan").await;
    let mut other = somebody(&provider, &menshen, "lisi").await;
    let mut coming = Browser::new(&menshen);
    let back = provider
        .callback_url(&mut coming, "keycloak", "zhangsan")
        .await;

    // A session id alone does not tell whose session it is.
    let alone = provider.logout_token(&json!({ "sid": "elsewhere" }));
    assert_eq!(push(&provider, &menshen, &alone).await, 200);
    assert!(is_signed_in(&mut unnamed).await);

    let both = json!({ "sub": provider.sub("zhangsan"), "sid": "elsewhere" });
    let both = provider.logout_token(&both);
    assert_eq!(push(&provider, &menshen, &both).await, 200);
    assert!(!is_signed_in(&mut unnamed).await);
    assert!(is_signed_in(&mut named).await && is_signed_in(&mut other).await);
    let told = menshen.audit();
    let last = told.last().unwrap();
    let subject = provider.sub("zhangsan");
    assert_eq!(
        (&last["event"], &last["subject"]),
        (&"revoked".into(), &subject.into())
    );
    // A pending login without a session id does not sign them in either.
    let page = coming.follow(&back).await;
    assert_ne!(page.answer.status, 200);
    assert!(!is_signed_in(&mut coming).await);
    menshen.advance(std::time::Duration::from_secs(1));
    somebody(&provider, &menshen, "zhangsan").await;
}

#[tokio::test]
async fn a_logout_token_is_accepted_once() {
    let provider = Provider::new().await;
    let menshen = provider.setup("").start().await;
    let mut browser = somebody(&provider, &menshen, "zhangsan").await;
    let token = provider.logout_token(&json!({ "sub": provider.sub("zhangsan") }));
    assert_eq!(push(&provider, &menshen, &token).await, 200);
    assert!(!is_signed_in(&mut browser).await);
    menshen.advance(std::time::Duration::from_secs(1));
    let mut back = somebody(&provider, &menshen, "zhangsan").await;
    assert_eq!(push(&provider, &menshen, &token).await, 400);
    assert!(is_signed_in(&mut back).await);
}

#[tokio::test]
async fn a_login_that_was_pending_at_the_logout_signs_nobody_in() {
    let provider = Provider::new().await;
    let menshen = provider.setup("").start().await;
    for by in ["sid", "sub"] {
        let mut browser = Browser::new(&menshen);
        let back = provider
            .callback_url(&mut browser, "keycloak", "zhangsan")
            .await;
        // The provider names its session when the code is redeemed; a logout by subject needs no
        // session id.
        let with = match by {
            "sub" => json!({ "sub": provider.sub("zhangsan") }),
            _ => sid(&provider, "zhangsan", 0),
        };
        assert_eq!(
            push(&provider, &menshen, &provider.logout_token(&with)).await,
            200,
            "{by}"
        );
        let page = browser.follow(&back).await;
        assert_ne!(page.answer.status, 200, "{by}");
        assert!(!is_signed_in(&mut browser).await, "{by}");
        menshen.advance(std::time::Duration::from_secs(1));
        let mut after = somebody(&provider, &menshen, "zhangsan").await;
        assert!(is_signed_in(&mut after).await, "{by}");
    }
}

/// Every invalid logout token, and what is wrong with it.
fn invalid_tokens(provider: &Provider) -> Vec<(&'static str, String)> {
    let sub = provider.sub("zhangsan");
    let now = provider.clock().now().unix_s();
    let with = |more: Value| with(provider, &more);
    let stranger = Key::generate(Algorithm::ES256);
    let whole = json!({
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
        ("over", with(json!({ "exp": now - 300 }))),
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
        ("nobody", provider.logout_token(&json!({}))),
        (
            "a session name that is none",
            provider.logout_token(&json!({ "sid": 7 })),
        ),
        (
            "a stranger's key",
            stranger.sign(&whole, &json!({ "typ": "logout+jwt" })),
        ),
        (
            "another type",
            provider.sign(&whole, &json!({ "typ": "at+jwt" })),
        ),
        (
            "no algorithm",
            provider.sign(&whole, &json!({ "alg": "none" })),
        ),
        ("no token", "a.b.c".to_owned()),
        ("nothing", String::new()),
    ]
}

/// A logout token for 张三 with other claims.
fn with(provider: &Provider, more: &Value) -> String {
    let mut claims = json!({ "sub": provider.sub("zhangsan") });
    for (name, value) in more.as_object().unwrap() {
        claims[name] = value.clone();
    }
    provider.logout_token(&claims)
}

#[tokio::test]
async fn an_invalid_logout_token_ends_nothing() {
    let provider = Provider::new().await;
    let menshen = provider.setup("").start().await;
    let mut browser = somebody(&provider, &menshen, "zhangsan").await;
    for (what, token) in invalid_tokens(&provider) {
        let status = push(&provider, &menshen, &token).await;
        assert_eq!(status, 400, "{what}");
        assert!(is_signed_in(&mut browser).await, "{what}");
    }
    for (id, status) in [("corp", 404), ("nobody", 404)] {
        let answer = provider
            .post_logout_token(menshen.address(), id, &with(&provider, &json!({})))
            .await;
        assert_eq!(answer.status, status, "{id}");
    }
    let other_members = json!({ "events": { LOGOUT_EVENT: {}, "revoke_offline_access": true } });
    assert_eq!(
        push(&provider, &menshen, &with(&provider, &other_members)).await,
        200
    );
    assert!(!is_signed_in(&mut browser).await);
}

#[tokio::test]
async fn the_front_channel_ends_only_a_session_that_it_names() {
    let provider = Provider::new().await;
    let menshen = provider.setup("").start().await;
    let mut browser = somebody(&provider, &menshen, "zhangsan").await;
    let name = provider.sids("zhangsan")[0].clone();
    let issuer: String =
        url::form_urlencoded::byte_serialize(provider.issuer().as_bytes()).collect();
    let mut frame = Browser::new(&menshen);
    let address = format!("{OWN_PAGES}/frontchannel-logout/keycloak");
    for query in [
        String::new(),
        format!("iss={issuer}"),
        format!("sid={name}"),
        format!("iss=https%3A%2F%2Fevil.test&sid={name}"),
        format!("iss={issuer}&sid={name}&sid=other"),
    ] {
        let answer = frame.visit(&format!("{address}?{query}")).await;
        assert_eq!(answer.status, 400, "{query}");
        assert!(is_signed_in(&mut browser).await, "{query}");
    }
    let named = format!("{address}?iss={issuer}&sid={name}");
    let answer = frame.send("HEAD", &named, &[], b"").await;
    assert_eq!(answer.status, 405);
    let unknown = frame
        .visit(&format!("{address}?iss={issuer}&sid=unknown"))
        .await;
    assert_eq!(unknown.status, 200);
    assert!(is_signed_in(&mut browser).await);
    // Any browser can name an unknown session; that is no audit event.
    let ended = |menshen: &Menshen| {
        let audit = menshen.audit();
        audit
            .iter()
            .filter(|line| line["event"] == "revoked")
            .count()
    };
    assert_eq!(ended(&menshen), 0);
    // Without cookies and in a frame, as the provider's page loads it.
    let framed = [
        ("Sec-Fetch-Mode", "navigate"),
        ("Sec-Fetch-Dest", "iframe"),
        ("Sec-Fetch-Site", "cross-site"),
    ];
    let answer = frame.send("GET", &named, &framed, b"").await;
    assert_eq!(
        (answer.status, answer.header("x-frame-options")),
        (200, None)
    );
    assert!(!is_signed_in(&mut browser).await);
    assert_eq!(ended(&menshen), 1);
    frame.send("GET", &named, &framed, b"").await;
    assert_eq!(ended(&menshen), 1);
}
