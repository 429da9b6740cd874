use super::*;

fn form(signer: &'static Signer, method: &str, digest: &str) -> Form<'static> {
    Form {
        signer,
        signature_method: format!("http://www.w3.org/{method}"),
        digest_method: format!("http://www.w3.org/{digest}"),
        ..Form::default()
    }
}

fn elliptic(algorithm: &'static rcgen::SignatureAlgorithm) -> &'static Signer {
    static P256: OnceLock<Signer> = OnceLock::new();
    static P384: OnceLock<Signer> = OnceLock::new();
    let cell = if algorithm == &rcgen::PKCS_ECDSA_P256_SHA256 {
        &P256
    } else {
        &P384
    };
    cell.get_or_init(|| signer(algorithm))
}

#[test]
fn each_accepted_algorithm_verifies_and_not_under_another_key() {
    let p256 = elliptic(&rcgen::PKCS_ECDSA_P256_SHA256);
    let p384 = elliptic(&rcgen::PKCS_ECDSA_P384_SHA384);
    let keys = [idp(), p256, p384].map(Signer::verifying_key);
    for (signer, method, digest) in [
        (
            idp(),
            "2001/04/xmldsig-more#rsa-sha256",
            "2001/04/xmlenc#sha256",
        ),
        (
            idp(),
            "2001/04/xmldsig-more#rsa-sha384",
            "2001/04/xmldsig-more#sha384",
        ),
        (
            idp(),
            "2001/04/xmldsig-more#rsa-sha512",
            "2001/04/xmlenc#sha512",
        ),
        (
            idp(),
            "2007/05/xmldsig-more#sha256-rsa-MGF1",
            "2001/04/xmlenc#sha256",
        ),
        (
            idp(),
            "2007/05/xmldsig-more#sha384-rsa-MGF1",
            "2001/04/xmlenc#sha256",
        ),
        (
            idp(),
            "2007/05/xmldsig-more#sha512-rsa-MGF1",
            "2001/04/xmlenc#sha256",
        ),
        (
            p256,
            "2001/04/xmldsig-more#ecdsa-sha256",
            "2001/04/xmlenc#sha256",
        ),
        (
            p384,
            "2001/04/xmldsig-more#ecdsa-sha384",
            "2001/04/xmlenc#sha512",
        ),
    ] {
        let document = sign(RESPONSE, "_a1", &form(signer, method, digest));
        let read = facts(&document, &keys);
        assert_eq!(read.expect(method), alice());
        let others = [stranger().verifying_key()];
        for keys in [&others[..], &[]] {
            let read = facts(&document, keys);
            assert!(
                matches!(
                    read,
                    Err(Refusal::Signature(SignatureRefusal::NoKeyVerifies))
                ),
                "{method}: {read:?}"
            );
        }
    }
}

#[test]
fn a_signature_is_not_verified_as_one_of_another_algorithm() {
    let p256 = elliptic(&rcgen::PKCS_ECDSA_P256_SHA256);
    for (signer, method) in [
        (p256, "2001/04/xmldsig-more#rsa-sha256"),
        (p256, "2001/04/xmldsig-more#ecdsa-sha384"),
        (idp(), "2001/04/xmldsig-more#ecdsa-sha256"),
    ] {
        let document = sign(
            RESPONSE,
            "_a1",
            &form(signer, method, "2001/04/xmlenc#sha256"),
        );
        let read = facts(&document, &[p256.verifying_key(), idp().verifying_key()]);
        assert!(
            matches!(
                read,
                Err(Refusal::Signature(SignatureRefusal::NoKeyVerifies))
            ),
            "{method}: {read:?}"
        );
    }
}

#[test]
fn hmac_under_the_public_key_is_refused() {
    let certificate = STANDARD.encode(&idp().certificate);
    for secret in [
        idp().certificate.clone(),
        certificate.into_bytes(),
        Vec::new(),
    ] {
        let attacker = Signer {
            key: TestKey::Hmac(secret),
            certificate: Vec::new(),
            pem: String::new(),
        };
        for method in [
            "2001/04/xmldsig-more#hmac-sha256",
            "2000/09/xmldsig#hmac-sha1",
        ] {
            let form = Form {
                signer: &attacker,
                signature_method: format!("http://www.w3.org/{method}"),
                ..Form::default()
            };
            let refusal = refusal(&sign(RESPONSE, "_a1", &form));
            assert!(
                matches!(refusal, SignatureRefusal::Algorithm("signature method")),
                "{refusal:?}"
            );
        }
    }
}

#[test]
fn unknown_and_weak_algorithms_are_refused() {
    for method in [
        "2001/04/xmldsig-more#rsa-md5",
        "2000/09/xmldsig#dsa-sha1",
        "",
        "#rsa-sha256",
    ] {
        let refusal = refusal(&sign(
            RESPONSE,
            "_a1",
            &form(idp(), method, "2001/04/xmlenc#sha256"),
        ));
        assert!(
            matches!(refusal, SignatureRefusal::Algorithm(_)),
            "{method}: {refusal:?}"
        );
    }
    for digest in ["2001/04/xmldsig-more#md5", "2001/04/xmlenc#ripemd160", ""] {
        let method = "2001/04/xmldsig-more#rsa-sha256";
        let refusal = refusal(&sign(RESPONSE, "_a1", &form(idp(), method, digest)));
        assert!(
            matches!(refusal, SignatureRefusal::Algorithm(_)),
            "{digest}: {refusal:?}"
        );
    }
}

#[test]
fn sha1_needs_to_be_allowed() {
    let lenient = SignaturePolicy {
        allow_sha1: true,
        ..POLICY
    };
    let keys = [idp().verifying_key()];
    let digest = form(
        idp(),
        "2001/04/xmldsig-more#rsa-sha256",
        "2000/09/xmldsig#sha1",
    );
    let digest = sign(RESPONSE, "_a1", &digest);
    assert!(matches!(refusal(&digest), SignatureRefusal::Sha1));
    assert_eq!(facts_under(&digest, &keys, lenient).unwrap(), alice());
    let method = form(idp(), "2000/09/xmldsig#rsa-sha1", "2001/04/xmlenc#sha256");
    let method = sign(RESPONSE, "_a1", &method);
    assert!(matches!(refusal(&method), SignatureRefusal::Sha1));
    // The signer of this test cannot make this signature, so even an allowed one does not verify.
    assert!(matches!(
        facts_under(&method, &keys, lenient),
        Err(Refusal::Signature(SignatureRefusal::NoKeyVerifies))
    ));
}

#[test]
fn certificates_without_an_acceptable_key_are_refused() {
    let ed25519 = rcgen::KeyPair::generate_for(&rcgen::PKCS_ED25519).unwrap();
    let certificate = rcgen::CertificateParams::new(vec!["a.example".to_owned()]);
    let certificate = certificate.unwrap().self_signed(&ed25519).unwrap();
    assert_eq!(
        VerifyingKey::from_certificate_der(certificate.der()),
        Err(CertificateError::UnsupportedKey)
    );
    let good = &idp().certificate;
    for length in 0..good.len() {
        let cut = VerifyingKey::from_certificate_der(&good[..length]);
        assert_eq!(cut, Err(CertificateError::Malformed), "{length}");
    }
    let longer = [good.as_slice(), &[0]].concat();
    assert!(VerifyingKey::from_certificate_der(&longer).is_err());
    // A certificate with a key of 1024 bits.
    let weak = STANDARD.decode(WEAK_CERTIFICATE.trim()).unwrap();
    assert_eq!(
        VerifyingKey::from_certificate_der(&weak),
        Err(CertificateError::RsaKeySize)
    );
}

const WEAK_CERTIFICATE: &str = include_str!("certificate_1024.b64");
