//! What a route demands of an authentication, and the times in an assertion.

use std::time::Duration;

use menshen::face::page::Cause;

use super::idp::Idp;
use super::response::{PASSWORD, PROTOCOL, shifted};
use super::{
    ASSERTION_NAMESPACE, Attempt, HTTPS, SamlResponse, assert_refused, assert_signed_in,
    new_browser, setup, sign_in, start_menshen,
};

const GOLD: &str = "urn:corp:gold";

/// A route with this demand at `/strict`, and one without.
fn routes(demand: &str) -> String {
    format!(
        "[[route]]\nname = 'strict'\nhost = 'sso.test'\npath = '/strict'\nstrip_path = true\n\
         upstream = ['{{app}}']\n{demand}\n\
         [[route]]\nname = 'app'\nhost = 'sso.test'\nupstream = ['{{app}}']\n"
    )
}

fn strict_start() -> String {
    format!("{HTTPS}/.menshen/start?connector=idp&rd=/strict/echo")
}

#[tokio::test]
async fn a_login_prompt_forces_an_authentication_and_an_old_one_does_not_count() {
    let idp = Idp::start().await;
    let menshen = setup(&idp, "").routes(&routes("prompt = 'login'"));
    let menshen = menshen.start().await;
    let now = idp.clock.now();
    for (seconds, is_accepted) in [(0, true), (-60, true), (-61, false), (-3600, false)] {
        idp.state().person.authenticated_at = Some(shifted(now, seconds));
        let mut attempt = Attempt::begin_at(new_browser(&menshen), &idp, &strict_start()).await;
        let forced = attempt.request.attribute("ForceAuthn");
        assert_eq!(forced.as_deref(), Some("true"));
        let page = attempt.finish().await;
        if is_accepted {
            assert_eq!(page.answer.status, 200, "{seconds}: {}", page.answer.text());
            assert_eq!(page.url, format!("{HTTPS}/strict/echo"));
        } else {
            let reason = "the authentication is older than the login";
            assert_refused(&menshen, &page, Cause::AuthTooWeak, reason, "ForceAuthn");
        }
    }
    // An ordinary login is not forced.
    let (_, page) = sign_in(&menshen, &idp).await;
    assert_signed_in(&page, "zhangsan", "an ordinary route");
    assert_eq!(idp.last_login().attribute("ForceAuthn"), None);
}

#[tokio::test]
async fn max_age_counts_from_the_instant_in_the_assertion() {
    let idp = Idp::start().await;
    let menshen = setup(&idp, "")
        .connector("auto_login = 'never'")
        .routes(&routes("max_age = '10m'"));
    let menshen = menshen.start().await;
    let strict = format!("{HTTPS}/strict/echo");
    idp.state().person.authenticated_at = Some(shifted(idp.clock.now(), -300));
    let (mut browser, page) = sign_in(&menshen, &idp).await;
    assert_signed_in(&page, "zhangsan", "an ordinary route");
    assert_eq!(browser.visit(&strict).await.status, 200, "five minutes old");
    menshen.advance(Duration::from_secs(301));
    assert_ne!(browser.visit(&strict).await.status, 200);
    // The identity provider insists on its old authentication.
    let mut attempt = Attempt::begin_at(browser.clone(), &idp, &strict_start()).await;
    let forced = attempt.request.attribute("ForceAuthn");
    assert_eq!(forced.as_deref(), Some("true"));
    // Just too old: the login is repeated once, and then there is a page.
    let again = attempt.finish().await;
    assert!(again.url.starts_with(&idp.url("/sso")), "{}", again.url);
    let page = attempt.browser.submit(&again).await;
    assert_eq!(
        page.cause(),
        Some(Cause::AuthTooWeak),
        "{}",
        page.answer.text()
    );
    assert_ne!(attempt.browser.visit(&strict).await.status, 200);
    idp.state().person.authenticated_at = None;
    let mut attempt = Attempt::begin_at(browser, &idp, &strict_start()).await;
    let page = attempt.finish().await;
    assert_eq!(
        (page.answer.status, page.url.as_str()),
        (200, strict.as_str())
    );
}

#[tokio::test]
async fn an_authentication_context_is_requested_and_demanded() {
    let idp = Idp::start().await;
    let demand = format!("acr_values = ['{GOLD}', 'urn:corp:silver']");
    let menshen = setup(&idp, "").routes(&routes(&demand)).start().await;
    for (context, is_accepted) in [
        (GOLD, true),
        ("urn:corp:silver", true),
        (PASSWORD, false),
        ("urn:corp:GOLD", false),
    ] {
        idp.state().person.context = context;
        let mut attempt = Attempt::begin_at(new_browser(&menshen), &idp, &strict_start()).await;
        let root = attempt.request.root();
        let requested = root.only_child(PROTOCOL, "RequestedAuthnContext");
        let requested = requested.unwrap().unwrap();
        let references = requested.children_named(ASSERTION_NAMESPACE, "AuthnContextClassRef");
        let references: Vec<_> = references.map(|it| it.text()).collect();
        assert_eq!(references, [GOLD, "urn:corp:silver"]);
        let comparison = requested.attribute("Comparison").unwrap_or("exact");
        assert_eq!(comparison, "exact");
        let page = attempt.finish().await;
        if is_accepted {
            assert_eq!(page.answer.status, 200, "{context}: {}", page.answer.text());
        } else {
            // The session is as strong as the assertion says, which is not enough for this route.
            assert_eq!(page.cause(), Some(Cause::AuthTooWeak), "{context}");
            assert_eq!(
                menshen.audit().pop().unwrap()["event"],
                "login",
                "{context}"
            );
            let strict = format!("{HTTPS}/strict/echo");
            assert_ne!(attempt.browser.visit(&strict).await.status, 200);
        }
    }
    // A route without the demand asks for nothing.
    let (_, page) = sign_in(&menshen, &idp).await;
    assert_signed_in(&page, "zhangsan", "an ordinary route");
    let root = idp.last_login().root();
    assert!(
        root.only_child(PROTOCOL, "RequestedAuthnContext")
            .unwrap()
            .is_none()
    );
}

#[tokio::test]
async fn the_end_of_the_session_at_the_provider_bounds_ours() {
    let idp = Idp::start().await;
    let menshen = start_menshen(&idp, "").await;
    idp.state().edit = Some(|response| {
        let end = shifted(response.issued_at, 600);
        let authn = response.assertion.authn.as_mut().unwrap();
        authn.session_not_on_or_after = Some(end);
    });
    let (mut browser, page) = sign_in(&menshen, &idp).await;
    assert_signed_in(&page, "zhangsan", "SessionNotOnOrAfter");
    idp.state().edit = None;
    let (mut unbounded, _) = sign_in(&menshen, &idp).await;
    menshen.advance(Duration::from_secs(599));
    assert!(super::is_signed_in(&mut browser).await);
    menshen.advance(Duration::from_secs(2));
    assert!(!super::is_signed_in(&mut browser).await);
    assert!(super::is_signed_in(&mut unbounded).await);
}

/// Which field of the response is set to a number of seconds from now.
type SetTime = fn(&mut SamlResponse, i64);

const ENDS: [(&str, SetTime, &str); 3] = [
    (
        "SubjectConfirmationData NotOnOrAfter",
        |response, seconds| {
            let end = shifted(response.issued_at, seconds);
            response.assertion.confirmations[0].not_on_or_after = Some(end);
        },
        "the confirmation has expired",
    ),
    (
        "Conditions NotOnOrAfter",
        |response, seconds| {
            response.assertion.not_on_or_after = Some(shifted(response.issued_at, seconds));
        },
        "the conditions have expired",
    ),
    (
        "SessionNotOnOrAfter",
        |response, seconds| {
            let end = shifted(response.issued_at, seconds);
            let authn = response.assertion.authn.as_mut().unwrap();
            authn.session_not_on_or_after = Some(end);
        },
        "the session at the provider has expired",
    ),
];

const STARTS: [(&str, SetTime, &str); 3] = [
    (
        "Conditions NotBefore",
        |response, seconds| {
            response.assertion.not_before = Some(shifted(response.issued_at, seconds));
        },
        "the conditions are not valid yet",
    ),
    (
        "SubjectConfirmationData NotBefore",
        |response, seconds| {
            let start = shifted(response.issued_at, seconds);
            response.assertion.confirmations[0].not_before = Some(start);
        },
        "the confirmation is not valid yet",
    ),
    (
        "IssueInstant",
        |response, seconds| {
            response.assertion.issued_at = shifted(response.issued_at, seconds);
        },
        "the assertion was issued in the future",
    ),
];

#[tokio::test]
async fn every_time_counts_within_the_skew() {
    for (lines, skew) in [("", 60), ("clock_skew = '5s'", 5), ("clock_skew = '0s'", 0)] {
        let idp = Idp::start().await;
        let menshen = start_menshen(&idp, lines).await;
        let ends = ENDS.iter().map(|row| (row, 1 - skew, -skew));
        let starts = STARTS.iter().map(|row| (row, skew, skew + 1));
        for ((what, set, reason), last_good, first_bad) in ends.chain(starts) {
            for seconds in [last_good, first_bad] {
                let mut attempt = Attempt::begin(&menshen, &idp).await;
                let mut response = idp.response_to(&attempt.request);
                set(&mut response, seconds);
                let page = attempt.answer(&idp.write(&response)).await;
                let what = format!("{what} {seconds} s, {lines}");
                // A session that has ended within the skew is not worth anything.
                let is_over = *reason == ENDS[2].2 && seconds <= 0;
                if seconds == first_bad {
                    let invalid = Cause::InvalidProviderResponse;
                    assert_refused(&menshen, &page, invalid, reason, &what);
                } else if !is_over {
                    assert_signed_in(&page, "zhangsan", &what);
                }
            }
        }
    }
}
