//! Responses that menshen did not request.

use menshen::face::page::Cause;

use super::idp::{Idp, Person};
use super::{
    HTTPS, SamlResponse, is_signed_in, last_refusal, new_browser, page_of_idp, setup, start_menshen,
};
use crate::browser::{Browser, Page, href};
use crate::connector_features::flow_id_in;
use crate::setup::Menshen;
use crate::stores::TempDir;

const ON: &str = "idp_initiated = true";

/// A response that the identity provider sends on its own, about the person who is signed in.
fn unsolicited(idp: &Idp) -> String {
    let response = SamlResponse::unsolicited(&idp.state().person, idp.clock.now());
    idp.write(&response)
}

/// Posts it from a page of the identity provider.
async fn arrive(browser: &mut Browser, xml: &str, relay_state: Option<&str>) -> Page {
    super::post_response(browser, xml, relay_state).await
}

/// The login name of the person who is signed in.
async fn signed_in_user(browser: &Browser) -> Option<String> {
    let url = format!("{HTTPS}/.menshen/userinfo");
    let answer = browser.clone().send("GET", &url, &[], b"").await;
    let is_somebody = answer.status == 200;
    is_somebody.then(|| answer.json()["login"].as_str().unwrap().to_owned())
}

#[tokio::test]
async fn without_the_setting_a_page_offers_to_begin_a_login_here() {
    let idp = Idp::start().await;
    let menshen = start_menshen(&idp, "").await;
    for relay_state in [None, Some("/echo"), Some("https://evil.example/"), Some("")] {
        let mut browser = new_browser(&menshen);
        let page = arrive(&mut browser, &unsolicited(&idp), relay_state).await;
        let html = page.answer.text();
        assert_eq!(page.answer.status, 403, "{relay_state:?}: {html}");
        assert!(!is_signed_in(&mut browser).await, "{relay_state:?}");
        assert!(!html.contains("evil.example"), "{html}");
        assert!(last_refusal(&menshen).contains("did not ask for"));
        // Its button signs in, because the person is known at the identity provider.
        let start = href(&html, "/start?connector=idp").unwrap_or_else(|| panic!("{html}"));
        let start = url::Url::parse(&page.url).unwrap().join(&start).unwrap();
        let mut attempt = super::Attempt::begin_at(browser, &idp, start.as_str()).await;
        let page = attempt.finish().await;
        assert!(
            matches!(page.answer.status, 200 | 404),
            "{}",
            page.answer.text()
        );
        assert!(is_signed_in(&mut attempt.browser).await);
    }
}

#[tokio::test]
async fn with_the_setting_a_response_signs_in_and_its_relay_state_is_the_return_address() {
    let idp = Idp::start().await;
    let menshen = start_menshen(&idp, ON).await;
    for (relay_state, path) in [
        (Some("/echo?a=b"), "/echo?a=b"),
        (Some("https://sso.test/echo?c=d"), "/echo?c=d"),
        (Some("https://evil.example/"), "/"),
        (Some("//evil.example/"), "/"),
        (Some("javascript:alert(1)"), "/"),
        (None, "/"),
    ] {
        let mut browser = new_browser(&menshen);
        let page = arrive(&mut browser, &unsolicited(&idp), relay_state).await;
        assert_eq!(
            page.url,
            format!("{HTTPS}{path}"),
            "{relay_state:?}: {}",
            page.answer.text()
        );
        assert_eq!(signed_in_user(&browser).await.as_deref(), Some("zhangsan"));
        assert!(browser.visited.iter().all(|url| !url.contains("evil")));
        assert!(
            !browser
                .cookies()
                .iter()
                .any(|cookie| cookie.name.contains("flow"))
        );
    }
    // A login that begins here works as before.
    let (_, page) = super::sign_in(&menshen, &idp).await;
    super::assert_signed_in(&page, "zhangsan", "a solicited one");
}

#[tokio::test]
async fn an_unsolicited_response_counts_once_on_all_nodes() {
    let idp = Idp::start().await;
    let dir = TempDir::new();
    let one = setup(&idp, ON).store(&dir.url()).start().await;
    let other = setup(&idp, ON).store(&dir.url()).start().await;
    let response = unsolicited(&idp);
    let mut first = new_browser(&one);
    arrive(&mut first, &response, Some("/echo")).await;
    assert!(is_signed_in(&mut first).await);
    for menshen in [&one, &other] {
        let mut thief = new_browser(menshen);
        let page = arrive(&mut thief, &response, Some("/echo")).await;
        assert_eq!(page.cause(), Some(Cause::EntryTokenRefused));
        let error = last_refusal(menshen);
        assert!(error.contains("the token was used before"), "{error}");
        assert!(!is_signed_in(&mut thief).await);
    }
    // At the same moment.
    for _ in 0..3 {
        let response = unsolicited(&idp);
        let (mut a, mut b) = (new_browser(&one), new_browser(&other));
        tokio::join!(
            arrive(&mut a, &response, Some("/echo")),
            arrive(&mut b, &response, Some("/echo"))
        );
        let signed_in = [is_signed_in(&mut a).await, is_signed_in(&mut b).await];
        assert_eq!(
            signed_in.iter().filter(|it| **it).count(),
            1,
            "{signed_in:?}"
        );
    }
    assert!(is_signed_in(&mut first).await);
}

type Edit = (&'static str, fn(&mut SamlResponse), &'static str);

const WRONG: [Edit; 6] = [
    (
        "another audience",
        |response| response.assertion.audiences = vec![vec!["https://other.example".to_owned()]],
        "the Audience of the assertion is another service",
    ),
    (
        "another recipient",
        |response| {
            let other = Some("https://other.example".to_owned());
            response.assertion.confirmations[0].recipient = other;
        },
        "the confirmation is for another Recipient",
    ),
    (
        "another destination",
        |response| response.destination = Some("https://other.example".to_owned()),
        "the Destination of the response is not the callback URL",
    ),
    (
        "expired",
        |response| {
            let past = super::response::shifted(response.issued_at, -3600);
            response.assertion.confirmations[0].not_on_or_after = Some(past);
        },
        "the confirmation has expired",
    ),
    (
        "the answer to a request",
        |response| response.in_response_to = Some("_request".to_owned()),
        "the response answers a request, so it cannot begin a login",
    ),
    (
        "the confirmation of a request",
        |response| {
            let request = Some("_request".to_owned());
            response.assertion.confirmations[0].in_response_to = request;
        },
        "the response answers a request, so it cannot begin a login",
    ),
];

#[tokio::test]
async fn an_unsolicited_response_is_checked_like_a_requested_one() {
    let idp = Idp::start().await;
    let menshen = start_menshen(&idp, ON).await;
    for (what, edit, reason) in WRONG {
        let mut response = SamlResponse::unsolicited(&idp.state().person, idp.clock.now());
        edit(&mut response);
        let mut browser = new_browser(&menshen);
        let page = arrive(&mut browser, &idp.write(&response), Some("/echo")).await;
        assert_eq!(page.answer.status, 403, "{what}");
        let error = last_refusal(&menshen);
        assert!(error.contains(reason), "{what}: {error}");
        assert!(!is_signed_in(&mut browser).await, "{what}");
    }
    idp.state().signer = super::signer::Signer::with(super::keys::stranger());
    let mut browser = new_browser(&menshen);
    let page = arrive(&mut browser, &unsolicited(&idp), Some("/echo")).await;
    assert_eq!(page.cause(), Some(Cause::EntryTokenRefused));
    assert!(last_refusal(&menshen).contains("no key of the source verifies"));
    assert!(!is_signed_in(&mut browser).await);
}

#[tokio::test]
async fn the_response_to_a_login_of_somebody_else_does_not_arrive_unsolicited() {
    let idp = Idp::start().await;
    let menshen = start_menshen(&idp, ON).await;
    let attacker = super::Attempt::begin(&menshen, &idp).await;
    let response = idp.write(&idp.response_to(&attacker.request));
    for relay_state in [None, Some("/echo"), attacker.request.relay_state.as_deref()] {
        let mut victim = new_browser(&menshen);
        let page = arrive(&mut victim, &response, relay_state).await;
        assert!(page.answer.status >= 400, "{relay_state:?}");
        let reason = match relay_state == attacker.request.relay_state.as_deref() {
            true => "the browser sent no flow cookie for this login",
            false => "the response answers a request, so it cannot begin a login",
        };
        let error = last_refusal(&menshen);
        assert!(error.contains(reason), "{relay_state:?}: {error}");
        assert!(!is_signed_in(&mut victim).await, "{relay_state:?}");
    }
}

/// A POST from a page of the identity provider with the headers of this kind of request.
async fn post_as(menshen: &Menshen, idp: &Idp, mode: &str, dest: &str) -> (u16, bool) {
    let mut browser = new_browser(menshen);
    let form = url::form_urlencoded::Serializer::new(String::new())
        .append_pair(
            "SAMLResponse",
            &base64::Engine::encode(&base64::engine::general_purpose::STANDARD, unsolicited(idp)),
        )
        .finish();
    let headers = [
        ("Content-Type", "application/x-www-form-urlencoded"),
        ("Origin", "https://idp.test"),
        ("Sec-Fetch-Site", "cross-site"),
        ("Sec-Fetch-Mode", mode),
        ("Sec-Fetch-Dest", dest),
    ];
    let answer = browser
        .send("POST", super::ACS, &headers, form.as_bytes())
        .await;
    (answer.status, is_signed_in(&mut browser).await)
}

#[tokio::test]
async fn only_a_navigation_brings_an_unsolicited_response() {
    let idp = Idp::start().await;
    let menshen = start_menshen(&idp, ON).await;
    for (mode, dest) in [
        ("cors", "empty"),
        ("no-cors", "image"),
        ("navigate", "iframe"),
    ] {
        let (status, is_signed_in) = post_as(&menshen, &idp, mode, dest).await;
        assert!((400..500).contains(&status), "{mode} {dest}: {status}");
        assert!(!is_signed_in, "{mode} {dest}");
    }
    let (status, _) = post_as(&menshen, &idp, "navigate", "document").await;
    assert_eq!(status, 303);
}

#[tokio::test]
async fn somebody_else_is_replaced_only_after_a_confirmation() {
    let idp = Idp::start().await;
    let menshen = start_menshen(&idp, ON).await;
    let mut browser = new_browser(&menshen);
    arrive(&mut browser, &unsolicited(&idp), Some("/echo")).await;
    assert_eq!(signed_in_user(&browser).await.as_deref(), Some("zhangsan"));
    // The same person: no question.
    let page = arrive(&mut browser, &unsolicited(&idp), Some("/echo")).await;
    assert_eq!(page.url, format!("{HTTPS}/echo"), "{}", page.answer.text());
    let before = browser.clone();
    idp.state().person = Person::named("lisi");
    let page = arrive(&mut browser, &unsolicited(&idp), Some("/echo")).await;
    let html = page.answer.text();
    assert_eq!(page.answer.status, 409, "{html}");
    assert!(html.contains("zhangsan") && html.contains("lisi"), "{html}");
    assert_eq!(signed_in_user(&browser).await.as_deref(), Some("zhangsan"));
    let headers = [
        ("Accept", "text/html"),
        ("Content-Type", "application/x-www-form-urlencoded"),
        ("Origin", HTTPS),
        ("Sec-Fetch-Mode", "navigate"),
        ("Sec-Fetch-Dest", "document"),
        ("Sec-Fetch-Site", "same-origin"),
    ];
    let form = format!("flow={}", flow_id_in(&html));
    let url = format!("{HTTPS}/.menshen/enter/idp");
    let mut stranger = new_browser(&menshen);
    let answer = stranger.send("POST", &url, &headers, form.as_bytes()).await;
    assert!(answer.status >= 400, "another browser");
    let answer = browser.send("POST", &url, &headers, form.as_bytes()).await;
    assert_eq!(
        (answer.status, answer.header("location")),
        (303, Some("/echo"))
    );
    assert_eq!(signed_in_user(&browser).await.as_deref(), Some("lisi"));
    assert_eq!(signed_in_user(&before).await, None, "the old session ended");
}

#[tokio::test]
async fn a_page_of_somebody_else_cannot_bring_a_response_of_the_attacker_silently() {
    let idp = Idp::start().await;
    let menshen = start_menshen(&idp, "").await;
    // The victim is signed in; the attacker's response, on a page of the attacker, changes nothing.
    let (mut victim, _) = super::sign_in(&menshen, &idp).await;
    idp.state().person = Person::named("attacker");
    let html = super::idp::form_page(super::ACS, "SAMLResponse", &unsolicited(&idp), None);
    let page = victim.submit(&page_of_idp(html)).await;
    assert_eq!(page.answer.status, 403);
    assert_eq!(signed_in_user(&victim).await.as_deref(), Some("zhangsan"));
}
