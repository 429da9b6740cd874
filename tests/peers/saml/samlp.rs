//! samlp, whose signatures come from xml-crypto, and which encrypts with AES-GCM.

use std::process::Command;

use menshen::face::page::Cause;
use serde_json::json;

use super::super::op::Stage;
use super::super::processes::{Program, counterparts};
use super::super::visitor::echoed;
use super::{
    DEEP, Idp, Keys, assert_signed_in, is_signed_in, new_visitor, open, pass_on, sign_out,
};

fn start_idp(keys: &Keys) -> Idp {
    let installed = counterparts();
    let script = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/tests/peers/saml/samlp_idp.mjs"
    );
    let mut command = Command::new(installed.join("bin/node"));
    command
        .arg("--no-deprecation")
        .arg(script)
        .arg(installed.join("samlp"))
        .arg(keys.dir.path());
    Idp::of(
        "samlp",
        Program::start_stopped_by_stdin("samlp", &mut command),
    )
}

async fn start(keys: &Keys, idp: &Idp, lines: &str) -> Stage {
    let lines = format!("name_id_format = 'persistent'\n{lines}");
    let stage = Stage::start_secure_with(&keys.tables(&idp.at("/metadata"), &lines)).await;
    idp.set(json!({
        "certificate": keys.own,
        "entityId": stage.at("/.menshen/saml/corp/metadata"),
        "acs": stage.at("/.menshen/callback/corp"),
        "logout": stage.at("/.menshen/saml/corp/logout"),
    }))
    .await;
    stage
}

#[tokio::test(flavor = "multi_thread")]
async fn every_signature_and_an_encrypted_assertion_sign_in() {
    let keys = Keys::new();
    let idp = start_idp(&keys);
    for binding in ["redirect", "post"] {
        let stage = start(&keys, &idp, &format!("binding = '{binding}'")).await;
        for (assertion, response, encrypt) in [
            (true, false, false),
            (false, true, false),
            (true, true, false),
            (true, false, true),
            (true, true, true),
        ] {
            idp.set(json!({
                "signAssertion": assertion, "signResponse": response, "encrypt": encrypt,
            }))
            .await;
            let what = format!("{binding} {assertion} {response} {encrypt}");
            let page = open(&stage, &mut new_visitor(), DEEP).await;
            assert_signed_in(&stage, &page, &what);
            let groups = "%E7%A0%94%E5%8F%91%E4%B8%AD%E5%BF%83,%E8%B4%A2%E5%8A%A1%E9%83%A8";
            assert_eq!(echoed(&page.body, "x-forwarded-groups"), [groups], "{what}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unsigned_or_unencrypted_assertion_is_refused_where_it_must_not_be() {
    let keys = Keys::new();
    let idp = start_idp(&keys);
    for (lines, assertion, encrypt) in [
        ("", false, false),
        ("", false, true),
        ("encrypted = 'required'", true, false),
        ("signed = 'both'", true, true),
    ] {
        let stage = start(&keys, &idp, lines).await;
        idp.set(json!({ "signAssertion": assertion, "encrypt": encrypt }))
            .await;
        let mut visitor = new_visitor();
        let page = open(&stage, &mut visitor, DEEP).await;
        assert_eq!(
            page.cause(),
            Some(Cause::InvalidProviderResponse),
            "{lines}"
        );
        assert!(!is_signed_in(&stage, &visitor).await, "{lines}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn samlp_may_change_its_key() {
    let keys = Keys::new();
    let idp = start_idp(&keys);
    let stage = start(&keys, &idp, "").await;
    for signing in ["first", "second", "first"] {
        idp.set(json!({ "signing": signing })).await;
        stage.advance(11);
        let page = open(&stage, &mut new_visitor(), DEEP).await;
        assert_signed_in(&stage, &page, signing);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn single_logout_works_both_ways() {
    let keys = Keys::new();
    let idp = start_idp(&keys);
    let stage = start(&keys, &idp, "").await;
    // Here.
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
    // There: samlp verifies our answer and says that all is done.
    let page = open(&stage, &mut visitor, DEEP).await;
    assert_signed_in(&stage, &page, "again");
    let page = visitor.open(&idp.at("/slo")).await;
    let page = pass_on(&mut visitor, page).await;
    assert_eq!(
        (page.status, page.body.as_str()),
        (200, "OK"),
        "{}",
        page.url
    );
    assert!(!is_signed_in(&stage, &visitor).await);
}
