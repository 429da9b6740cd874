//! pysaml2, which signs with xmlsec1, demands signed requests and takes part in single logout.

use std::process::Command;

use menshen::face::page::Cause;
use serde_json::json;

use super::super::op::Stage;
use super::super::processes::{Program, counterparts};
use super::super::visitor::echoed;
use super::{
    DEEP, Idp, Keys, assert_signed_in, is_signed_in, new_visitor, open, own_metadata, pass_on,
    sign_out,
};

fn start_idp(keys: &Keys) -> Idp {
    let script = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/tests/peers/saml/pysaml2_idp.py"
    );
    let mut command = Command::new(counterparts().join("pysaml2/bin/python"));
    command.args(["-W", "ignore", script]).arg(keys.dir.path());
    Idp::of(
        "pysaml2",
        Program::start_stopped_by_stdin("pysaml2", &mut command),
    )
}

/// Starts menshen with these lines of its connector, and has pysaml2 read its metadata.
async fn start(keys: &Keys, idp: &Idp, lines: &str) -> Stage {
    let lines = format!("name_id_format = 'persistent'\n{lines}");
    let stage = Stage::start_secure_with(&keys.tables(&idp.at("/metadata"), &lines)).await;
    idp.set(json!({ "sp": own_metadata(&stage).await })).await;
    stage
}

#[tokio::test(flavor = "multi_thread")]
async fn every_signature_signs_in_whether_the_request_comes_by_redirect_or_post() {
    let keys = Keys::new();
    let idp = start_idp(&keys);
    for binding in ["redirect", "post"] {
        let stage = start(&keys, &idp, &format!("binding = '{binding}'")).await;
        for (assertion, response, algorithm) in [
            (true, false, "rsa-sha256"),
            (false, true, "rsa-sha256"),
            (true, true, "rsa-sha256"),
            (true, true, "rsa-sha512"),
        ] {
            idp.set(json!({
                "sign_assertion": assertion, "sign_response": response, "algorithm": algorithm,
            }))
            .await;
            let what = format!("{binding} {assertion} {response} {algorithm}");
            let page = open(&stage, &mut new_visitor(), DEEP).await;
            assert_signed_in(&stage, &page, &what);
            for (header, value) in [
                ("x-forwarded-name", "%E5%BC%A0%E4%B8%89"),
                ("x-forwarded-email", "zhangsan@corp.example"),
            ] {
                assert_eq!(echoed(&page.body, header), [value], "{what}");
            }
        }
        idp.set(json!({ "sign_assertion": false, "sign_response": false }))
            .await;
        let mut visitor = new_visitor();
        let page = open(&stage, &mut visitor, DEEP).await;
        assert_eq!(page.cause(), Some(Cause::InvalidProviderResponse));
        assert!(!is_signed_in(&stage, &visitor).await);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_elliptic_curve_signs_in() {
    let keys = Keys::new();
    let idp = start_idp(&keys);
    idp.set(json!({
        "signing": "ec", "published": ["ec"], "algorithm": "ecdsa-sha256", "sign_response": true,
    }))
    .await;
    let stage = start(&keys, &idp, "").await;
    let page = open(&stage, &mut new_visitor(), DEEP).await;
    assert_signed_in(&stage, &page, "ECDSA");
}

#[tokio::test(flavor = "multi_thread")]
async fn pysaml2_verifies_our_requests() {
    let keys = Keys::new();
    let idp = start_idp(&keys);
    let stage = start(&keys, &idp, "").await;
    let mut visitor = new_visitor();
    let start = stage.at("/.menshen/start?connector=corp&rd=/echo");
    let to_idp = visitor.visit(&start).await.leads_to().unwrap();
    let state = to_idp.query_pairs().find(|(name, _)| name == "RelayState");
    let state = state.unwrap().1.into_owned();
    let altered = to_idp.as_str().replace(&state, &"a".repeat(state.len()));
    assert_ne!(altered, to_idp.as_str());
    let page = visitor.visit(&altered).await;
    assert_eq!(page.status, 400, "{}", page.body);
    let unsigned = to_idp.as_str().split("&SigAlg=").next().unwrap();
    let page = visitor.visit(unsigned).await;
    assert_eq!(page.status, 400, "{}", page.body);
    let page = visitor.visit(to_idp.as_str()).await;
    assert_eq!(page.status, 200, "{}", page.body);
}

/// pysaml2 encrypts with Triple DES, which is refused in any case.
#[tokio::test(flavor = "multi_thread")]
async fn an_assertion_that_is_encrypted_with_triple_des_is_refused() {
    let keys = Keys::new();
    let idp = start_idp(&keys);
    let stage = start(&keys, &idp, "allow_cbc = true").await;
    idp.set(json!({ "encrypt": true, "sign_response": true }))
        .await;
    let mut visitor = new_visitor();
    let page = open(&stage, &mut visitor, DEEP).await;
    assert_eq!(page.cause(), Some(Cause::InvalidProviderResponse));
    assert!(!is_signed_in(&stage, &visitor).await);
    idp.set(json!({ "encrypt": false })).await;
    let page = open(&stage, &mut visitor, DEEP).await;
    assert_signed_in(&stage, &page, "not encrypted");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_keys_may_be_rolled_over_between_two_logins() {
    let keys = Keys::new();
    let idp = start_idp(&keys);
    let stage = start(&keys, &idp, "").await;
    for (signing, published) in [
        ("first", vec!["first"]),
        ("first", vec!["first", "second"]),
        ("second", vec!["first", "second"]),
        ("second", vec!["second"]),
        // Without an overlap.
        ("first", vec!["first"]),
    ] {
        idp.set(json!({ "signing": signing, "published": published }))
            .await;
        // An unknown key has the metadata read again at most every ten seconds.
        stage.advance(11);
        let page = open(&stage, &mut new_visitor(), DEEP).await;
        assert_signed_in(&stage, &page, &format!("{signing} {published:?}"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sign_out_here_signs_out_at_pysaml2() {
    let keys = Keys::new();
    let idp = start_idp(&keys);
    let stage = start(&keys, &idp, "").await;
    let mut visitor = new_visitor();
    let page = open(&stage, &mut visitor, DEEP).await;
    assert_signed_in(&stage, &page, "before");
    let copy = visitor.clone();
    let page = sign_out(&stage, &mut visitor).await;
    assert_eq!(page.status, 200, "{}", page.body);
    assert!(page.url.as_str().starts_with(&stage.url), "{}", page.url);
    assert!(page.body.contains("已退出"), "{}", page.body);
    assert!(visitor.visited.iter().any(|url| url.path() == "/slo"));
    assert!(!is_signed_in(&stage, &copy).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_logout_at_pysaml2_ends_the_session_here() {
    let keys = Keys::new();
    let idp = start_idp(&keys);
    let stage = start(&keys, &idp, "").await;
    for binding in ["redirect", "post"] {
        let mut stays = new_visitor();
        open(&stage, &mut stays, DEEP).await;
        let mut visitor = new_visitor();
        open(&stage, &mut visitor, DEEP).await;
        assert!(is_signed_in(&stage, &visitor).await);
        let url = idp.at(&format!("/logout?binding={binding}"));
        let page = visitor.open(&url).await;
        let page = pass_on(&mut visitor, page).await;
        assert!(page.body.contains("signed out at pysaml2"), "{}", page.body);
        let ended = visitor.visit(&idp.at("/ended")).await.body;
        assert!(ended.ends_with(":Success"), "{binding}: {ended}");
        assert!(!is_signed_in(&stage, &visitor).await, "{binding}");
        assert!(is_signed_in(&stage, &stays).await, "{binding}");
    }
}
