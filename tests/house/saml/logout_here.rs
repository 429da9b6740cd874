//! Our sign-out, which ends the session at the identity provider as well.

use menshen::login::connector::kit::xml::Element;
use menshen::login::connector::kit::xml_signature::{SignaturePolicy, verify, verify_query};

use super::idp::{Binding, Idp};
use super::logout_message::LogoutMessage;
use super::metadata_document::{POST, REDIRECT};
use super::response::{ASSERTION, PERSISTENT, PROTOCOL, SUCCESS};
use super::signer::{Signer, honest};
use super::{
    ENTITY_ID, HTTPS, LOGOUT, is_signed_in, keys, new_browser, setup_with, sign_in, start_menshen,
};
use crate::browser::{Browser, Page};

const POLICY: SignaturePolicy = SignaturePolicy {
    allow_sha1: false,
    canonical_bytes_max: 1 << 20,
};

const SIGN_OUT: &str = "https://sso.test/.menshen/sign_out?rd=/echo";

/// Signs out, through the identity provider, up to the last page.
async fn sign_out(browser: &mut Browser) -> Page {
    let mut page = browser.follow(SIGN_OUT).await;
    for _ in 0..2 {
        if page.answer.text().contains("name=\"SAMLRe") {
            page = browser.submit(&page).await;
        }
    }
    page
}

fn child_text(root: &Element, namespace: &str, name: &str) -> Option<String> {
    let child = root.only_child(namespace, name).unwrap();
    child.map(Element::text)
}

#[tokio::test]
async fn a_sign_out_here_signs_out_at_the_identity_provider_and_returns() {
    for (bindings, binding) in [
        (vec![REDIRECT, POST], Binding::Redirect),
        (vec![POST], Binding::Post),
    ] {
        let idp = Idp::start().await;
        idp.state().metadata.logout_bindings = bindings;
        let menshen = start_menshen(&idp, "").await;
        let (mut browser, _) = sign_in(&menshen, &idp).await;
        let mut copy = browser.clone();
        let page = sign_out(&mut browser).await;
        assert_eq!(page.answer.status, 200, "{}", page.answer.text());
        assert!(page.url.starts_with(HTTPS), "{}", page.url);
        assert!(
            page.answer.text().contains("已退出"),
            "{}",
            page.answer.text()
        );
        assert!(!is_signed_in(&mut copy).await, "{binding:?}");
        let request = idp.received("LogoutRequest").pop().unwrap();
        assert_eq!(request.binding, binding);
        let root = request.root();
        match binding {
            Binding::Redirect => {
                let signed = verify_query(&request.query, &[keys::own().verifying_key()], POLICY);
                assert_eq!(signed.unwrap().parameter, "SAMLRequest");
            }
            Binding::Post => {
                verify(&root, &root, &[keys::own().verifying_key()], POLICY).unwrap();
            }
        }
        assert_eq!(
            root.attribute("Destination"),
            Some(idp.url("/slo").as_str())
        );
        assert_eq!(
            child_text(&root, ASSERTION, "Issuer").as_deref(),
            Some(ENTITY_ID)
        );
        let name = root.only_child(ASSERTION, "NameID").unwrap().unwrap();
        assert_eq!(name.text(), "p-zhangsan");
        assert_eq!(name.attribute("Format"), Some(PERSISTENT));
        let (index, _) = idp.state().sessions.last().unwrap().clone();
        assert_eq!(child_text(&root, PROTOCOL, "SessionIndex"), Some(index));
        assert!(request.relay_state.is_none_or(|state| state.len() <= 80));
    }
}

#[tokio::test]
async fn the_signed_out_page_says_when_the_identity_provider_did_not_sign_out() {
    let idp = Idp::start().await;
    let menshen = start_menshen(&idp, "").await;
    let (mut browser, _) = sign_in(&menshen, &idp).await;
    let clean = sign_out(&mut browser).await.answer.text();
    let responder = "urn:oasis:names:tc:SAML:2.0:status:Responder";
    for (status, signer) in [
        (responder, honest()),
        // What somebody else says proves nothing.
        (SUCCESS, Signer::with(keys::stranger())),
    ] {
        idp.state().logout_status = status;
        idp.state().logout_signer = signer;
        let (mut browser, _) = sign_in(&menshen, &idp).await;
        let page = sign_out(&mut browser).await;
        assert_eq!(page.answer.status, 200, "{status}: {}", page.answer.text());
        assert!(
            page.answer.text().contains("已退出"),
            "{}",
            page.answer.text()
        );
        assert_ne!(page.answer.text().len(), clean.len(), "{status}: a notice");
        assert!(!is_signed_in(&mut browser).await);
    }
}

#[tokio::test]
async fn an_answer_that_nobody_asked_for_ends_nothing() {
    let idp = Idp::start().await;
    let menshen = start_menshen(&idp, "").await;
    let (mut browser, _) = sign_in(&menshen, &idp).await;
    let message = LogoutMessage::response("_nothing", SUCCESS, idp.clock.now());
    let url = message.redirect_url(&honest(), None);
    let answer = browser.visit(&url).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert!(
        answer.header_values("set-cookie").count() == 0,
        "{:?}",
        answer.headers
    );
    assert!(is_signed_in(&mut browser).await);
    for query in [
        "",
        "SAMLResponse=x",
        "SAMLResponse=%%%&SigAlg=x&Signature=x",
    ] {
        let answer = new_browser(&menshen)
            .visit(&format!("{LOGOUT}?{query}"))
            .await;
        assert!(
            matches!(answer.status, 200 | 400),
            "{query}: {}",
            answer.status
        );
    }
    assert!(is_signed_in(&mut browser).await);
}

#[tokio::test]
async fn without_a_logout_service_or_a_key_a_sign_out_ends_the_session_here() {
    let idp = Idp::start().await;
    let without_key = setup_with(&idp, &idp.connector_toml_without_key(""));
    let without_key = without_key.start().await;
    let (mut browser, _) = sign_in(&without_key, &idp).await;
    let page = sign_out(&mut browser).await;
    assert!(page.url.starts_with(HTTPS), "{}", page.url);
    assert!(!is_signed_in(&mut browser).await);
    idp.state().metadata.logout_bindings.clear();
    let menshen = start_menshen(&idp, "").await;
    let (mut browser, _) = sign_in(&menshen, &idp).await;
    let page = sign_out(&mut browser).await;
    assert!(page.url.starts_with(HTTPS), "{}", page.url);
    assert!(!is_signed_in(&mut browser).await);
    assert_eq!(idp.received("LogoutRequest").len(), 0);
}

#[tokio::test]
async fn an_identity_provider_that_is_down_keeps_nobody_from_signing_out() {
    let idp = Idp::start().await;
    let menshen = start_menshen(&idp, "metadata_refresh = '10s'").await;
    let (mut browser, _) = sign_in(&menshen, &idp).await;
    idp.state().down = true;
    menshen.advance(std::time::Duration::from_secs(11));
    let answer = browser.visit(SIGN_OUT).await;
    assert!(matches!(answer.status, 200 | 303), "{}", answer.status);
    assert!(!is_signed_in(&mut browser).await);
}
