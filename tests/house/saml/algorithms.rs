//! The algorithms of signatures: which sign in, and which do only if the settings allow it.

use menshen::face::page::Cause;

use super::idp::{ASSERTION_ONLY, Idp, RESPONSE_ONLY};
use super::keys::{self, ECDSA_SHA256, HMAC_SHA256, RSA_SHA1, TestKey};
use super::signer::{SHA1, SHA256, SHA384, SHA512, Signer};
use super::{assert_refused, assert_signed_in, sign_in, start_menshen};

const RSA_METHODS: [&str; 6] = [
    "http://www.w3.org/2001/04/xmldsig-more#rsa-sha256",
    "http://www.w3.org/2001/04/xmldsig-more#rsa-sha384",
    "http://www.w3.org/2001/04/xmldsig-more#rsa-sha512",
    "http://www.w3.org/2007/05/xmldsig-more#sha256-rsa-MGF1",
    "http://www.w3.org/2007/05/xmldsig-more#sha384-rsa-MGF1",
    "http://www.w3.org/2007/05/xmldsig-more#sha512-rsa-MGF1",
];

/// Signs with this method and digest.
fn use_method(idp: &Idp, key: &'static TestKey, method: &'static str, digest: &'static str) {
    idp.state().signer = Signer {
        method: Some(method),
        digest,
        ..Signer::with(key)
    };
}

#[tokio::test]
async fn each_algorithm_of_rsa_signs_in() {
    let idp = Idp::start().await;
    let menshen = start_menshen(&idp, "").await;
    for method in RSA_METHODS {
        for digest in [SHA256, SHA384, SHA512] {
            for signed in [ASSERTION_ONLY, RESPONSE_ONLY] {
                idp.state().signed = signed;
                use_method(&idp, keys::first(), method, digest);
                let (_, page) = sign_in(&menshen, &idp).await;
                assert_signed_in(&page, "zhangsan", &format!("{method} {digest}"));
            }
        }
        use_method(&idp, keys::stranger(), method, SHA256);
        let (_, page) = sign_in(&menshen, &idp).await;
        let invalid = Cause::InvalidProviderResponse;
        assert_refused(
            &menshen,
            &page,
            invalid,
            "no key of the source verifies",
            method,
        );
    }
}

#[tokio::test]
async fn elliptic_curves_sign_in_with_the_hash_of_their_size() {
    for key in [keys::p256(), keys::p384()] {
        let idp = Idp::start().await;
        idp.change_key(&[key], key);
        let menshen = start_menshen(&idp, "").await;
        for signed in [ASSERTION_ONLY, RESPONSE_ONLY] {
            idp.state().signed = signed;
            let (_, page) = sign_in(&menshen, &idp).await;
            assert_signed_in(&page, "zhangsan", key.method());
        }
        // The name of another algorithm makes no difference to the key.
        for method in [RSA_METHODS[0], ECDSA_SHA256] {
            if method != key.method() {
                use_method(&idp, key, method, SHA256);
                let (_, page) = sign_in(&menshen, &idp).await;
                let invalid = Cause::InvalidProviderResponse;
                assert_refused(
                    &menshen,
                    &page,
                    invalid,
                    "no key of the source verifies",
                    method,
                );
            }
        }
    }
}

#[tokio::test]
async fn sha_1_counts_only_if_the_settings_allow_it() {
    let idp = Idp::start().await;
    let strict = start_menshen(&idp, "").await;
    let lenient = start_menshen(&idp, "allow_sha1 = true").await;
    for (method, digest) in [
        (RSA_SHA1, SHA1),
        (RSA_SHA1, SHA256),
        (keys::RSA_SHA256, SHA1),
    ] {
        for signed in [ASSERTION_ONLY, RESPONSE_ONLY] {
            idp.state().signed = signed;
            let what = format!("{method} {digest} {signed:?}");
            use_method(&idp, keys::first(), method, digest);
            let (_, page) = sign_in(&strict, &idp).await;
            let invalid = Cause::InvalidProviderResponse;
            assert_refused(&strict, &page, invalid, "the signature uses SHA-1", &what);
            let (_, page) = sign_in(&lenient, &idp).await;
            assert_signed_in(&page, "zhangsan", &what);
            use_method(&idp, keys::stranger(), method, digest);
            let (_, page) = sign_in(&lenient, &idp).await;
            let reason = "no key of the source verifies";
            assert_refused(&lenient, &page, invalid, reason, &what);
        }
    }
}

#[tokio::test]
async fn no_other_algorithm_counts() {
    let idp = Idp::start().await;
    let menshen = start_menshen(&idp, "allow_sha1 = true").await;
    let invalid = Cause::InvalidProviderResponse;
    for method in [
        // With the certificate as the shared secret.
        HMAC_SHA256,
        "http://www.w3.org/2000/09/xmldsig#hmac-sha1",
        "http://www.w3.org/2000/09/xmldsig#dsa-sha1",
        "http://www.w3.org/2001/04/xmldsig-more#rsa-md5",
        "http://www.w3.org/2001/04/xmldsig-more#RSA-SHA256",
        "",
    ] {
        use_method(&idp, keys::first(), method, SHA256);
        let (_, page) = sign_in(&menshen, &idp).await;
        let reason = "the signature method is none of those that are accepted";
        assert_refused(&menshen, &page, invalid, reason, method);
    }
    for digest in ["http://www.w3.org/2001/04/xmldsig-more#md5", ""] {
        use_method(&idp, keys::first(), RSA_METHODS[0], digest);
        let (_, page) = sign_in(&menshen, &idp).await;
        let reason = "the digest method is none of those that are accepted";
        assert_refused(&menshen, &page, invalid, reason, digest);
    }
    use_method(&idp, keys::first(), RSA_METHODS[0], SHA256);
    assert_signed_in(&sign_in(&menshen, &idp).await.1, "zhangsan", "RSA-SHA256");
}
