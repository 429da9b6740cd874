//! How a response arrives: by POST, in the browser that began the login, once, and no larger than allowed.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use menshen::face::page::Cause;
use url::form_urlencoded;

use super::idp::Idp;
use super::signer::bent;
use super::{
    ACS, Attempt, HTTPS, assert_refused, assert_signed_in, is_signed_in, new_browser, page_of_idp,
    sign_in, start_menshen,
};
use crate::browser::Page;

const INVALID: Cause = Cause::InvalidProviderResponse;

/// Posts a form with these fields from a page of the identity provider.
async fn post_fields(attempt: &mut Attempt, fields: &[(&str, &str)]) -> Page {
    let inputs: String = fields
        .iter()
        .map(|(name, value)| format!("<input name=\"{name}\" value=\"{value}\">"))
        .collect();
    let html = format!("<form action=\"{ACS}\">{inputs}</form>");
    attempt.browser.submit(&page_of_idp(html)).await
}

#[tokio::test]
async fn a_response_counts_only_by_post() {
    let idp = Idp::start().await;
    let menshen = start_menshen(&idp, "").await;
    let mut attempt = Attempt::begin(&menshen, &idp).await;
    let message = STANDARD.encode(idp.write(&idp.response_to(&attempt.request)));
    let state = attempt.request.relay_state.clone().unwrap();
    let query = form_urlencoded::Serializer::new(String::new())
        .append_pair("SAMLResponse", &message)
        .append_pair("RelayState", &state)
        .finish();
    let url = format!("{ACS}?{query}");
    for method in ["GET", "HEAD", "PUT", "DELETE"] {
        let mut browser = attempt.browser.clone();
        let answer = browser
            .send(method, &url, &[("Accept", "text/html")], b"")
            .await;
        assert_eq!(
            (answer.status, answer.header("allow")),
            (405, Some("POST")),
            "{method}"
        );
        assert!(!is_signed_in(&mut browser).await, "{method}");
    }
    // A POST with the response in the query.
    let mut browser = attempt.browser.clone();
    let form = [("Content-Type", "application/x-www-form-urlencoded")];
    let answer = browser.send("POST", &url, &form, b"").await;
    assert!(answer.status >= 400, "{}", answer.status);
    assert!(!is_signed_in(&mut browser).await);
    let fields = [("SAMLResponse", message.as_str()), ("RelayState", &state)];
    let page = post_fields(&mut attempt, &fields).await;
    assert_signed_in(&page, "zhangsan", "a form");
}

#[tokio::test]
async fn a_response_stands_once_in_its_form_and_is_base64() {
    let idp = Idp::start().await;
    let menshen = start_menshen(&idp, "").await;
    for (what, reason) in [
        ("missing", "it is missing or repeated"),
        ("twice", "it is missing or repeated"),
        ("empty", "the response cannot be read"),
        ("not base64", "it is not base64"),
        ("base64url", "it is not base64"),
        ("two states", "did not ask for"),
    ] {
        let mut attempt = Attempt::begin(&menshen, &idp).await;
        let document = idp.write(&idp.response_to(&attempt.request));
        // Lengths that need padding, so that both alphabets differ.
        let message = STANDARD.encode(format!("{document}<!--?>?>-->"));
        let state = attempt.request.relay_state.clone().unwrap();
        let state = ("RelayState", state.as_str());
        let url_safe = message.replace('+', "-").replace('/', "_").replace('=', "");
        let good = ("SAMLResponse", message.as_str());
        let fields = match what {
            "missing" => vec![state],
            "twice" => vec![good, good, state],
            "empty" => vec![("SAMLResponse", ""), state],
            "not base64" => vec![("SAMLResponse", "%%%"), state],
            "base64url" => vec![("SAMLResponse", url_safe.as_str()), state],
            _ => vec![good, state, state],
        };
        let page = post_fields(&mut attempt, &fields).await;
        assert!(
            matches!(page.answer.status, 400 | 403),
            "{what}: {}",
            page.answer.status
        );
        let error = super::last_refusal(&menshen);
        assert!(error.contains(reason), "{what}: {error}");
        assert!(!is_signed_in(&mut attempt.browser).await, "{what}");
    }
    // Some identity providers break lines.
    let mut attempt = Attempt::begin(&menshen, &idp).await;
    let message = STANDARD.encode(idp.write(&idp.response_to(&attempt.request)));
    let lines: Vec<_> = message
        .as_bytes()
        .chunks(76)
        .map(|line| String::from_utf8_lossy(line).into_owned())
        .collect();
    let message = lines.join("\r\n");
    let state = attempt.request.relay_state.clone().unwrap();
    let fields = [("SAMLResponse", message.as_str()), ("RelayState", &state)];
    let page = post_fields(&mut attempt, &fields).await;
    assert_signed_in(&page, "zhangsan", "lines");
}

#[tokio::test]
async fn a_response_of_256_kib_is_read_and_a_larger_one_is_not() {
    let idp = Idp::start().await;
    let menshen = start_menshen(&idp, "").await;
    for (bytes, is_accepted) in [
        (256 * 1024, true),
        (256 * 1024 + 1, false),
        (2 * 1024 * 1024, false),
    ] {
        let mut attempt = Attempt::begin(&menshen, &idp).await;
        let document = idp.write(&idp.response_to(&attempt.request));
        let padding = " ".repeat(bytes - document.len());
        let page = attempt.answer(&format!("{document}{padding}")).await;
        if is_accepted {
            assert_signed_in(&page, "zhangsan", "256 KiB");
        } else {
            assert_eq!(page.answer.status, 400, "{bytes}");
            assert_eq!(page.cause(), Some(INVALID), "{bytes}");
        }
        if bytes == 256 * 1024 + 1 {
            let reason = "it is larger than 262144 bytes";
            assert_refused(&menshen, &page, INVALID, reason, "one byte more");
        }
    }
}

#[tokio::test]
async fn a_response_counts_only_in_the_browser_and_the_login_that_it_answers() {
    let idp = Idp::start().await;
    let menshen = start_menshen(&idp, "").await;
    let mut attempt = Attempt::begin(&menshen, &idp).await;
    let document = idp.write(&idp.response_to(&attempt.request));
    let state = attempt.request.relay_state.clone();
    // A browser that began no login, and one in which another login is under way.
    let mut lured = new_browser(&menshen);
    let page = super::post_response(&mut lured, &document, state.as_deref()).await;
    let missing = Cause::FlowCookieMissing;
    let no_cookie = "the browser sent no flow cookie for this login";
    assert_refused(
        &menshen,
        &page,
        missing,
        no_cookie,
        "a browser without the login",
    );
    assert!(!is_signed_in(&mut lured).await);
    let mut other = Attempt::begin(&menshen, &idp).await;
    let page = super::post_response(&mut other.browser, &document, state.as_deref()).await;
    assert_refused(&menshen, &page, missing, no_cookie, "another login");
    let page = other.answer(&document).await;
    let reason = "the response does not answer the request of this login";
    assert_refused(
        &menshen,
        &page,
        INVALID,
        reason,
        "the state of another login",
    );
    assert!(!is_signed_in(&mut other.browser).await);
    // Two logins of one browser.
    let mut second = Attempt::begin_at(attempt.browser.clone(), &idp, &super::start_url()).await;
    let page = second.answer(&document).await;
    assert_refused(
        &menshen,
        &page,
        INVALID,
        reason,
        "two logins of one browser",
    );
    // A state that nobody was given, and one that was changed.
    for state in ["a".repeat(32), bent(&state.clone().unwrap(), "", "x")] {
        let mut browser = attempt.browser.clone();
        let page = super::post_response(&mut browser, &document, Some(&state)).await;
        assert!(matches!(page.answer.status, 400 | 403), "{state}");
        assert!(!is_signed_in(&mut browser).await, "{state}");
    }
    assert_signed_in(
        &attempt.answer(&document).await,
        "zhangsan",
        "its own browser",
    );
}

#[tokio::test]
async fn a_pending_login_expires() {
    let idp = Idp::start().await;
    let menshen = start_menshen(&idp, "").await;
    let mut attempt = Attempt::begin(&menshen, &idp).await;
    menshen.advance(std::time::Duration::from_secs(601));
    let document = idp.write(&idp.response_to(&attempt.request));
    let page = attempt.answer(&document).await;
    assert_eq!(page.cause(), Some(Cause::LoginExpired));
    assert!(!is_signed_in(&mut attempt.browser).await);
    assert_signed_in(&sign_in(&menshen, &idp).await.1, "zhangsan", "in time");
}

#[tokio::test]
async fn only_the_paths_of_this_kind_are_answered() {
    let idp = Idp::start().await;
    let menshen = start_menshen(&idp, "").await;
    let mut browser = new_browser(&menshen);
    for path in [
        "/enter/idp?SAMLResponse=x",
        "/saml/other/metadata",
        "/saml/corp/metadata",
        "/saml/corp/logout",
        "/saml/idp",
        "/saml/idp/acs",
        "/saml",
    ] {
        let answer = browser.visit(&format!("{HTTPS}/.menshen{path}")).await;
        assert_eq!(answer.status, 404, "{path}");
    }
}
