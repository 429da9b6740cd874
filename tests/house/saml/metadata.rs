//! The metadata of the identity provider: when it is read, what of it is taken over, and the roll-over of keys.

use std::time::Duration;

use menshen::face::page::Cause;

use super::idp::Idp;
use super::metadata_document::other_entity;
use super::response::{IDP, shifted};
use super::signer::{Signer, bent};
use super::{
    Attempt, Document, HTTPS, assert_refused, assert_signed_in, keys, new_browser, setup,
    setup_with, sign_in, start_menshen, start_url,
};
use crate::setup::Menshen;

const NO_KEY: &str = "no key of the source verifies the signature";

/// Asserts that no login begins, with a page that says to come back later.
async fn assert_no_login_begins(menshen: &Menshen, what: &str) {
    let answer = new_browser(menshen).visit(&start_url()).await;
    assert_eq!(answer.status, 503, "{what}: {}", answer.text());
    assert!(answer.text().contains("<title>"), "{what}");
    let health = new_browser(menshen)
        .visit(&format!("{HTTPS}/public/echo"))
        .await;
    assert_eq!(health.status, 200, "{what}: the rest works");
}

async fn assert_signs_in(menshen: &Menshen, idp: &Idp, what: &str) {
    let (_, page) = sign_in(menshen, idp).await;
    assert_signed_in(&page, "zhangsan", what);
}

/// Asserts that a response with this key is refused.
async fn assert_key_refused(menshen: &Menshen, idp: &Idp, signer: Signer, what: &str) {
    let honest = std::mem::replace(&mut idp.state().signer, signer);
    let (_, page) = sign_in(menshen, idp).await;
    assert_refused(menshen, &page, Cause::InvalidProviderResponse, NO_KEY, what);
    idp.state().signer = honest;
}

#[tokio::test]
async fn the_metadata_is_read_again_after_the_interval() {
    let idp = Idp::start().await;
    let menshen = start_menshen(&idp, "metadata_refresh = '10m'").await;
    for _ in 0..3 {
        assert_signs_in(&menshen, &idp, "the first metadata").await;
    }
    assert_eq!(idp.metadata_requests(), 1);
    menshen.advance(Duration::from_secs(599));
    assert_signs_in(&menshen, &idp, "just before").await;
    assert_eq!(idp.metadata_requests(), 1);
    menshen.advance(Duration::from_secs(2));
    assert_signs_in(&menshen, &idp, "just after").await;
    assert_eq!(idp.metadata_requests(), 2);
}

#[tokio::test]
async fn the_metadata_itself_may_shorten_the_interval() {
    let idp = Idp::start().await;
    idp.state().metadata.cache_duration = Some("PT1M");
    let menshen = start_menshen(&idp, "").await;
    assert_signs_in(&menshen, &idp, "the first metadata").await;
    menshen.advance(Duration::from_secs(61));
    assert_signs_in(&menshen, &idp, "cacheDuration").await;
    assert_eq!(idp.metadata_requests(), 2);
    idp.state().metadata.cache_duration = Some("P1D");
    menshen.advance(Duration::from_secs(61));
    assert_signs_in(&menshen, &idp, "a longer cacheDuration").await;
    menshen.advance(Duration::from_secs(3601));
    assert_signs_in(&menshen, &idp, "does not extend the interval").await;
    assert_eq!(idp.metadata_requests(), 4);
}

#[tokio::test]
async fn a_new_key_costs_nobody_a_login_and_an_old_one_is_refused_after_the_refresh() {
    let idp = Idp::start().await;
    let menshen = start_menshen(&idp, "metadata_refresh = '1h'").await;
    assert_signs_in(&menshen, &idp, "the first key").await;
    // Both are published, and the old one still signs.
    idp.change_key(&[keys::first(), keys::second()], keys::first());
    assert_signs_in(&menshen, &idp, "the old key").await;
    // The new one signs before menshen knows it.
    menshen.advance(Duration::from_secs(11));
    idp.change_key(&[keys::first(), keys::second()], keys::second());
    assert_signs_in(&menshen, &idp, "the new key").await;
    assert_eq!(idp.metadata_requests(), 2);
    assert_key_refused(&menshen, &idp, Signer::with(keys::stranger()), "a stranger").await;
    // The old one leaves: it counts until the refresh, and not after it.
    idp.change_key(&[keys::second()], keys::second());
    menshen.advance(Duration::from_secs(3601));
    assert_signs_in(&menshen, &idp, "the only key").await;
    assert_key_refused(&menshen, &idp, Signer::with(keys::first()), "the old key").await;
}

#[tokio::test]
async fn a_key_that_is_replaced_without_overlap_costs_nobody_a_login() {
    let idp = Idp::start().await;
    let menshen = start_menshen(&idp, "").await;
    assert_signs_in(&menshen, &idp, "the first key").await;
    menshen.advance(Duration::from_secs(11));
    // The login begins before the change and ends after it.
    let mut attempt = Attempt::begin(&menshen, &idp).await;
    idp.change_key(&[keys::p256()], keys::p256());
    let response = idp.write(&idp.response_to(&attempt.request));
    assert_signed_in(&attempt.answer(&response).await, "zhangsan", "the new key");
    assert_key_refused(&menshen, &idp, Signer::with(keys::first()), "the old key").await;
}

#[tokio::test]
async fn unknown_keys_cause_one_request_in_ten_seconds() {
    let idp = Idp::start().await;
    let menshen = start_menshen(&idp, "").await;
    assert_signs_in(&menshen, &idp, "the first metadata").await;
    menshen.advance(Duration::from_secs(11));
    for _ in 0..5 {
        let forged = Signer::with(keys::stranger());
        assert_key_refused(&menshen, &idp, forged, "a stranger").await;
    }
    assert_eq!(idp.metadata_requests(), 2);
    menshen.advance(Duration::from_secs(11));
    for _ in 0..5 {
        let forged = Signer::with(keys::stranger());
        assert_key_refused(&menshen, &idp, forged, "a stranger").await;
    }
    assert_eq!(idp.metadata_requests(), 3);
}

#[tokio::test]
async fn without_metadata_menshen_starts_and_logins_begin_as_soon_as_there_is_some() {
    let idp = Idp::start().await;
    idp.state().down = true;
    let menshen = start_menshen(&idp, "").await;
    assert_no_login_begins(&menshen, "no answer").await;
    idp.state().down = false;
    menshen.advance(Duration::from_secs(11));
    assert_signs_in(&menshen, &idp, "an answer").await;
}

/// Metadata that is not taken over; `METADATA` stands for the good document.
const BAD_ANSWERS: [(u16, &str); 9] = [
    (500, "METADATA"),
    (404, "METADATA"),
    (302, "METADATA"),
    (200, ""),
    (200, "<html>METADATA</html>"),
    (200, "<!DOCTYPE x>METADATA"),
    (200, "METADATAMETADATA"),
    (
        200,
        "<EntityDescriptor entityID=\"https://idp.example/metadata\"/>",
    ),
    (200, "{\"issuer\": \"https://idp.example/metadata\"}"),
];

#[tokio::test]
async fn bad_metadata_is_not_taken_over_at_the_start() {
    for (status, body) in BAD_ANSWERS {
        let idp = Idp::start().await;
        idp.state().metadata_answer = Some((status, body.to_owned()));
        let menshen = start_menshen(&idp, "").await;
        assert_no_login_begins(&menshen, body).await;
        idp.state().metadata_answer = None;
        menshen.advance(Duration::from_secs(11));
        assert_signs_in(&menshen, &idp, body).await;
    }
}

#[tokio::test]
async fn the_last_good_metadata_is_kept_when_a_refresh_fails() {
    let idp = Idp::start().await;
    let menshen = start_menshen(&idp, "metadata_refresh = '10s'").await;
    assert_signs_in(&menshen, &idp, "the first metadata").await;
    let changed = bent(
        &idp.state().metadata.xml(),
        IDP,
        "https://evil.example/metadata",
    );
    let changed = changed.replace(
        &keys::first().certificate_base64(),
        &keys::stranger().certificate_base64(),
    );
    let mut answers = BAD_ANSWERS
        .map(|(status, body)| (status, body.to_owned()))
        .to_vec();
    answers.push((200, changed.clone()));
    answers.push((200, bent(&changed, "protocolSupport", "x")));
    for (status, body) in answers {
        menshen.advance(Duration::from_secs(11));
        let before = idp.metadata_requests();
        idp.state().metadata_answer = Some((status, body.clone()));
        assert_signs_in(&menshen, &idp, &body).await;
        assert!(idp.metadata_requests() > before, "{body}");
        let forged = Signer::with(keys::stranger());
        assert_key_refused(&menshen, &idp, forged, &body).await;
    }
    // No answer at all.
    idp.state().metadata_answer = None;
    menshen.advance(Duration::from_secs(11));
    let mut attempt = Attempt::begin(&menshen, &idp).await;
    menshen.advance(Duration::from_secs(11));
    idp.state().down = true;
    let response = idp.write(&idp.response_to(&attempt.request));
    assert_signed_in(&attempt.answer(&response).await, "zhangsan", "no answer");
}

#[tokio::test]
async fn metadata_counts_until_its_end() {
    let idp = Idp::start().await;
    let now = idp.clock.now();
    // What has ended already is not taken over.
    idp.state().metadata.valid_until = Some(shifted(now, -1));
    let menshen = start_menshen(&idp, "metadata_refresh = '10s'").await;
    assert_no_login_begins(&menshen, "in the past").await;
    idp.state().metadata.valid_until = Some(shifted(now, 600));
    menshen.advance(Duration::from_secs(11));
    assert_signs_in(&menshen, &idp, "in the future").await;
    // A refresh fails, or brings what has ended: the last good one counts until its own end.
    menshen.advance(Duration::from_secs(300));
    idp.state().metadata.valid_until = Some(shifted(now, 20));
    assert_signs_in(&menshen, &idp, "the last good one").await;
    let mut attempt = Attempt::begin(&menshen, &idp).await;
    menshen.advance(Duration::from_secs(300));
    assert_no_login_begins(&menshen, "after its end").await;
    let response = idp.write(&idp.response_to(&attempt.request));
    let page = attempt.answer(&response).await;
    assert_ne!(page.answer.status, 200, "its keys do not count either");
    idp.state().metadata.valid_until = None;
    menshen.advance(Duration::from_secs(11));
    assert_signs_in(&menshen, &idp, "without an end").await;
}

#[tokio::test]
async fn signed_metadata_counts_only_with_the_signature_of_the_certificate() {
    let idp = Idp::start().await;
    let path = idp
        .folder()
        .write("metadata.pem", &keys::second().certificate_pem);
    let lines = format!(
        "metadata_certificate = '{}'\nmetadata_refresh = '10s'",
        path.display()
    );
    type Change = fn(&Idp);
    let changes: [(&str, Change); 4] = [
        ("unsigned", |idp| idp.state().metadata.signer = None),
        ("the key inside", |idp| {
            idp.state().metadata.signer = Some(Signer::with(keys::first()));
        }),
        ("a stranger", |idp| {
            idp.state().metadata.signer = Some(Signer {
                key_info: keys::second().key_info(),
                ..Signer::with(keys::stranger())
            });
        }),
        ("altered", |idp| {
            let mut state = idp.state();
            state.metadata.signer = Some(Signer::with(keys::second()));
            let signed = state.metadata.xml();
            let (from, to) = (keys::first(), keys::stranger());
            let altered = bent(
                &signed,
                &from.certificate_base64(),
                &to.certificate_base64(),
            );
            state.metadata_answer = Some((200, altered));
        }),
    ];
    for (what, change) in changes {
        change(&idp);
        let menshen = start_menshen(&idp, &lines).await;
        assert_no_login_begins(&menshen, what).await;
        idp.state().metadata.signer = Some(Signer::with(keys::second()));
        idp.state().metadata_answer = None;
        menshen.advance(Duration::from_secs(11));
        assert_signs_in(&menshen, &idp, what).await;
        // Later as well.
        change(&idp);
        menshen.advance(Duration::from_secs(11));
        assert_signs_in(&menshen, &idp, what).await;
        let forged = Signer::with(keys::stranger());
        assert_key_refused(&menshen, &idp, forged, what).await;
        idp.state().metadata_answer = None;
    }
}

#[tokio::test]
async fn of_several_entities_the_setting_chooses_one() {
    let idp = Idp::start().await;
    let others = ["https://one.example", "https://two.example"].map(other_entity);
    idp.state().metadata.others = others.to_vec();
    for (lines, works) in [
        (format!("idp_entity_id = '{IDP}'"), true),
        (String::new(), false),
        ("idp_entity_id = 'https://nobody.example'".to_owned(), false),
    ] {
        let menshen = start_menshen(&idp, &lines).await;
        if works {
            assert_signs_in(&menshen, &idp, &lines).await;
            // The keys of the others are not those of this one.
            let forged = Signer::with(keys::stranger());
            assert_key_refused(&menshen, &idp, forged, &lines).await;
        } else {
            assert_no_login_begins(&menshen, &lines).await;
        }
    }
    // The setting also counts for a single entity.
    idp.state().metadata.others.clear();
    let menshen = start_menshen(&idp, "idp_entity_id = 'https://nobody.example'").await;
    assert_no_login_begins(&menshen, "another entity").await;
    let menshen = start_menshen(&idp, &format!("idp_entity_id = '{IDP}'")).await;
    assert_signs_in(&menshen, &idp, "this entity").await;
}

#[tokio::test]
async fn every_key_without_a_use_or_for_signatures_counts() {
    for key_use in [None, Some("signing")] {
        let idp = Idp::start().await;
        idp.state().metadata.key_use = key_use;
        idp.state().metadata.keys = vec![keys::second(), keys::p384(), keys::first()];
        let menshen = start_menshen(&idp, "").await;
        for key in [keys::first(), keys::second(), keys::p384()] {
            idp.state().signer = Signer::with(key);
            assert_signs_in(&menshen, &idp, &format!("{key_use:?} {key:?}")).await;
        }
    }
}

#[tokio::test]
async fn metadata_may_be_a_file_that_is_read_again_when_it_changes() {
    let idp = Idp::start().await;
    let document = idp.state().metadata.xml();
    let path = idp.folder().write("idp.xml", &document);
    let tables = idp.connector_toml("").replace(
        &format!("'{}'", idp.url("/metadata")),
        &format!("{{ file = '{}' }}", path.display()),
    );
    let setup = setup_with(&idp, &tables);
    let menshen = setup.clone().start().await;
    assert_signs_in(&menshen, &idp, "a file").await;
    assert_eq!(idp.metadata_requests(), 0);
    idp.change_key(&[keys::second()], keys::second());
    let (_, page) = sign_in(&menshen, &idp).await;
    assert_eq!(page.cause(), Some(Cause::InvalidProviderResponse));
    let document = idp.state().metadata.xml();
    idp.folder().write("idp.xml", &document);
    menshen.reload(&setup).await.unwrap();
    assert_signs_in(&menshen, &idp, "the changed file").await;
    // A file that cannot be read does not replace the running configuration.
    idp.folder().write("idp.xml", "<x/>");
    assert!(menshen.reload(&setup).await.is_err());
    assert_signs_in(&menshen, &idp, "the file before").await;
}

#[tokio::test]
async fn a_response_with_the_issuer_of_another_entity_in_the_metadata_is_refused() {
    let idp = Idp::start().await;
    idp.state().metadata.others = vec![other_entity("https://one.example")];
    let menshen = setup(&idp, &format!("idp_entity_id = '{IDP}'"))
        .start()
        .await;
    let rows: [Document; 1] = [(
        "the key of another entity",
        |_, response| {
            let mut response = response.clone();
            response.issuer = Some("https://one.example".to_owned());
            response.assertion.issuer = response.issuer.clone();
            let assertion = response.assertion.xml();
            let signer = Signer::with(keys::stranger());
            response.xml_with(&signer.sign(&assertion, &response.assertion.id))
        },
        "the Issuer of the response is not the identity provider",
    )];
    super::assert_documents_refused(&menshen, &idp, &rows).await;
}
