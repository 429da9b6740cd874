//! Encrypted assertions.

use menshen::face::page::Cause;

use super::encryption::{
    AES_128_CBC, AES_128_GCM, AES_192_GCM, AES_256_CBC, AES_256_GCM, Encryption, KeyCipher,
    TRIPLE_DES,
};
use super::idp::{ASSERTION_ONLY, BOTH, Idp, RESPONSE_ONLY, UNSIGNED};
use super::signer::{Signer, bent, named_text};
use super::{
    Attempt, assert_refused, assert_signed_in, keys, last_refusal, setup_with, sign_in,
    start_menshen,
};

/// The one reason for everything that cannot be decrypted.
const NOT_OPENED: &str = "the assertion cannot be opened";

const INVALID: Cause = Cause::InvalidProviderResponse;

#[tokio::test]
async fn what_our_metadata_offers_is_opened() {
    let idp = Idp::start().await;
    let menshen = start_menshen(&idp, "").await;
    for content in [AES_128_GCM, AES_192_GCM, AES_256_GCM] {
        for key in [KeyCipher::OaepMgf1p, KeyCipher::OaepSha256] {
            for signed in [ASSERTION_ONLY, RESPONSE_ONLY, BOTH] {
                idp.state().signed = signed;
                idp.state().encryption = Some(Encryption {
                    key,
                    ..Encryption::of_content(content)
                });
                let (_, page) = sign_in(&menshen, &idp).await;
                assert_signed_in(&page, "zhangsan", &format!("{content} {key:?} {signed:?}"));
            }
        }
    }
}

#[tokio::test]
async fn an_encrypted_assertion_must_be_signed_like_any_other() {
    let idp = Idp::start().await;
    idp.state().encryption = Some(Encryption::default());
    let neither = "neither the response nor the assertion is signed";
    for (lines, signed, reason) in [
        // Everybody knows our certificate and can encrypt.
        ("", UNSIGNED, neither),
        (
            "signed = 'assertion'",
            RESPONSE_ONLY,
            "the assertion is not signed",
        ),
        (
            "signed = 'response'",
            ASSERTION_ONLY,
            "the response is not signed",
        ),
        (
            "signed = 'both'",
            ASSERTION_ONLY,
            "the response is not signed",
        ),
    ] {
        let menshen = start_menshen(&idp, lines).await;
        idp.state().signed = signed;
        let (_, page) = sign_in(&menshen, &idp).await;
        assert_refused(&menshen, &page, INVALID, reason, lines);
        idp.state().signed = BOTH;
        assert_signed_in(&sign_in(&menshen, &idp).await.1, "zhangsan", lines);
    }
    // A signature inside by somebody else.
    let menshen = start_menshen(&idp, "").await;
    for signed in [ASSERTION_ONLY, RESPONSE_ONLY] {
        idp.state().signed = signed;
        idp.state().signer = Signer::with(keys::stranger());
        let (_, page) = sign_in(&menshen, &idp).await;
        let reason = "no key of the source verifies";
        assert_refused(&menshen, &page, INVALID, reason, "a stranger");
    }
}

#[tokio::test]
async fn the_setting_can_demand_encryption() {
    let idp = Idp::start().await;
    for (lines, plain) in [
        ("encrypted = 'required'", false),
        ("encrypted = 'optional'", true),
        ("", true),
    ] {
        let menshen = start_menshen(&idp, lines).await;
        idp.state().encryption = None;
        let (_, page) = sign_in(&menshen, &idp).await;
        match plain {
            true => assert_signed_in(&page, "zhangsan", lines),
            false => assert_refused(
                &menshen,
                &page,
                INVALID,
                "the assertion is not encrypted",
                lines,
            ),
        }
        idp.state().encryption = Some(Encryption::default());
        assert_signed_in(&sign_in(&menshen, &idp).await.1, "zhangsan", lines);
    }
}

#[tokio::test]
async fn without_a_key_of_ours_nothing_encrypted_is_accepted() {
    let idp = Idp::start().await;
    let tables = idp.connector_toml_without_key("");
    let menshen = setup_with(&idp, &tables).start().await;
    idp.state().encryption = Some(Encryption::default());
    idp.state().signed = BOTH;
    let (_, page) = sign_in(&menshen, &idp).await;
    assert_refused(&menshen, &page, INVALID, NOT_OPENED, "no key");
    idp.state().encryption = None;
    assert_signed_in(&sign_in(&menshen, &idp).await.1, "zhangsan", "plain");
}

#[tokio::test]
async fn cbc_counts_only_if_allowed_and_only_inside_a_signed_response() {
    let idp = Idp::start().await;
    let strict = start_menshen(&idp, "").await;
    let lenient = start_menshen(&idp, "allow_cbc = true").await;
    for content in [AES_128_CBC, AES_256_CBC] {
        idp.state().encryption = Some(Encryption::of_content(content));
        for (signed, is_accepted) in [(ASSERTION_ONLY, false), (RESPONSE_ONLY, true), (BOTH, true)]
        {
            idp.state().signed = signed;
            let what = format!("{content} {signed:?}");
            let (_, page) = sign_in(&strict, &idp).await;
            assert_refused(&strict, &page, INVALID, NOT_OPENED, &what);
            let (_, page) = sign_in(&lenient, &idp).await;
            match is_accepted {
                true => assert_signed_in(&page, "zhangsan", &what),
                false => assert_refused(&lenient, &page, INVALID, NOT_OPENED, &what),
            }
        }
        // The signature of the response is verified before anything is decrypted.
        idp.state().signer = Signer::with(keys::stranger());
        let (_, page) = sign_in(&lenient, &idp).await;
        let reason = "no key of the source verifies";
        assert_refused(&lenient, &page, INVALID, reason, content);
        idp.state().signer = super::signer::honest();
    }
}

#[tokio::test]
async fn every_failure_of_decryption_is_one_answer() {
    let idp = Idp::start().await;
    let menshen = start_menshen(&idp, "allow_cbc = true").await;
    let altered = |content, at| Encryption {
        altered_at: Some(at),
        ..Encryption::of_content(content)
    };
    let mut seen = std::collections::BTreeSet::new();
    for (what, encryption) in [
        (
            "for somebody else",
            Encryption {
                recipient: keys::stranger(),
                ..Encryption::default()
            },
        ),
        (
            "RSA 1.5",
            Encryption {
                key: KeyCipher::Pkcs1,
                ..Encryption::default()
            },
        ),
        ("Triple DES", Encryption::of_content(TRIPLE_DES)),
        ("no cipher", Encryption::of_content("urn:x")),
        ("an altered nonce", altered(AES_256_GCM, 0)),
        ("altered content", altered(AES_256_GCM, 100)),
        ("CBC, an altered first block", altered(AES_128_CBC, 0)),
        ("CBC, an altered block", altered(AES_128_CBC, 100)),
    ] {
        // The signature of the response is valid: the padding of CBC could be tried otherwise.
        for signed in [RESPONSE_ONLY, BOTH] {
            idp.state().signed = signed;
            idp.state().encryption = Some(encryption);
            let (_, page) = sign_in(&menshen, &idp).await;
            assert_refused(&menshen, &page, INVALID, NOT_OPENED, what);
            seen.insert(last_refusal(&menshen));
        }
    }
    assert_eq!(seen.len(), 1, "{seen:?}");
    idp.state().encryption = Some(Encryption::of_content(AES_128_CBC));
    assert_signed_in(&sign_in(&menshen, &idp).await.1, "zhangsan", "unaltered");
}

/// Makes what is encrypted from an assertion.
type Wrap = (&'static str, fn(&str) -> String);

#[tokio::test]
async fn something_else_than_an_assertion_is_not_opened_as_one() {
    let idp = Idp::start().await;
    let menshen = start_menshen(&idp, "").await;
    let wrap: [Wrap; 5] = [
        ("two assertions", |assertion| {
            let other = assertion.replace(" ID=\"_", " ID=\"_2");
            format!("{assertion}{other}")
        }),
        ("text", |_| "admin".to_owned()),
        ("a response", |assertion| {
            format!("<samlp:Response xmlns:samlp=\"urn:x\">{assertion}</samlp:Response>")
        }),
        ("a document type", |assertion| {
            format!("<!DOCTYPE x>{assertion}")
        }),
        ("an encrypted assertion", |assertion| {
            Encryption::default().encrypt(assertion)
        }),
    ];
    for (what, inside) in wrap {
        let mut attempt = Attempt::begin(&menshen, &idp).await;
        let response = idp.response_to(&attempt.request);
        let assertion = response.assertion.xml();
        let assertion = super::signer::honest().sign(&assertion, &response.assertion.id);
        let encrypted = Encryption::default().encrypt(&inside(&assertion));
        let document = response.xml_with(&encrypted);
        let document = super::signer::honest().sign(&document, &response.id);
        let page = attempt.answer(&document).await;
        assert_refused(&menshen, &page, INVALID, NOT_OPENED, what);
    }
}

#[tokio::test]
async fn a_key_beside_the_encrypted_data_is_found() {
    let idp = Idp::start().await;
    let menshen = start_menshen(&idp, "").await;
    let mut attempt = Attempt::begin(&menshen, &idp).await;
    let response = idp.response_to(&attempt.request);
    let assertion = response.assertion.xml();
    let assertion = super::signer::honest().sign(&assertion, &response.assertion.id);
    let encrypted = Encryption::default().encrypt(&assertion);
    let key = named_text(&encrypted, "xenc:EncryptedKey").to_owned();
    let without = bent(&encrypted, &key, "");
    let namespace = "xmlns:xenc=\"http://www.w3.org/2001/04/xmlenc#\"";
    let key = bent(
        &key,
        "<xenc:EncryptedKey",
        &format!("<xenc:EncryptedKey {namespace}"),
    );
    let end = "</saml:EncryptedAssertion>";
    let beside = bent(&without, end, &format!("{key}{end}"));
    let page = attempt.answer(&response.xml_with(&beside)).await;
    assert_signed_in(&page, "zhangsan", "a key beside the data");
}
