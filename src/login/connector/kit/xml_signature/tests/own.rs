//! What we sign ourselves.

use super::*;

const REQUEST: &str = "<samlp:AuthnRequest xmlns:samlp=\"urn:oasis:names:tc:SAML:2.0:protocol\" ID=\"_q1\" \
    Version=\"2.0\"><saml:Issuer xmlns:saml=\"urn:oasis:names:tc:SAML:2.0:assertion\">https://sp.example\
    </saml:Issuer><samlp:NameIDPolicy/></samlp:AuthnRequest>";

fn sign_own(document: &str, id: &str) -> Result<String, SignError> {
    sign_enveloped(document, id, &idp().private_key(), &idp().certificate)
}

#[test]
fn what_we_sign_verifies_and_has_its_signature_after_the_issuer() {
    let signed = sign_own(REQUEST, "_q1").unwrap();
    let root = read(&signed);
    let names: Vec<_> = root.elements().map(Element::local_name).collect();
    assert_eq!(names, ["Issuer", "Signature", "NameIDPolicy"]);
    let document = verify(&root, &root, &[idp().verifying_key()], POLICY).unwrap();
    assert_eq!(*document.root(), read(REQUEST));
    let others = [stranger().verifying_key()];
    assert!(matches!(
        verify(&root, &root, &others, POLICY),
        Err(SignatureRefusal::NoKeyVerifies)
    ));
    let bent = read(&signed.replace("https://sp.example", "https://evil.example"));
    assert!(matches!(
        verify(&bent, &bent, &[idp().verifying_key()], POLICY),
        Err(SignatureRefusal::Digest)
    ));
}

#[test]
fn an_element_inside_a_document_is_signed_and_then_the_document() {
    let inside = sign_own(RESPONSE, "_a1").unwrap();
    reads_alice(&inside);
    reads_alice(&sign_own(&inside, "_r1").unwrap());
    let metadata = "<md:EntityDescriptor xmlns:md=\"urn:oasis:names:tc:SAML:2.0:metadata\" ID=\"_m\" \
                    entityID=\"a\"><md:SPSSODescriptor/></md:EntityDescriptor>";
    let root = read(&sign_own(metadata, "_m").unwrap());
    assert!(
        root.elements()
            .next()
            .unwrap()
            .is(SIGNATURE_NAMESPACE, "Signature")
    );
    assert!(verify(&root, &root, &[idp().verifying_key()], POLICY).is_ok());
    assert!(matches!(
        sign_own(metadata, "_other"),
        Err(SignError::UnknownId)
    ));
    assert!(matches!(
        sign_own("<x", "_other"),
        Err(SignError::Document(_))
    ));
}

#[test]
fn keys_are_read_in_both_encodings_and_know_their_certificate() {
    let key = idp().private_key();
    assert!(key.belongs_to(&idp().verifying_key()));
    assert!(!key.belongs_to(&stranger().verifying_key()));
    let pkcs1 = Secret::new(include_str!("pkcs1.pem").to_owned());
    let certificate = STANDARD.decode(include_str!("xmlsec1.b64").trim()).unwrap();
    let certificate = VerifyingKey::from_certificate_der(&certificate).unwrap();
    assert!(
        PrivateKey::from_pem(&pkcs1)
            .unwrap()
            .belongs_to(&certificate)
    );
    assert!(!format!("{key:?}").contains("BEGIN"));
    let elliptic = signer(&rcgen::PKCS_ECDSA_P256_SHA256);
    for (pem, expected) in [
        (elliptic.pem.as_str(), PrivateKeyError::Unsupported),
        ("", PrivateKeyError::Malformed),
        (
            "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n",
            PrivateKeyError::Unsupported,
        ),
    ] {
        let read = PrivateKey::from_pem(&Secret::new(pem.to_owned()));
        assert_eq!(read.err(), Some(expected), "{pem}");
    }
}

const QUERY: &str = "SAMLRequest=fZ%2FB%2B%3D&RelayState=a%20b%2f";

#[test]
fn a_signed_query_verifies_over_its_bytes_as_received() {
    let keys = [idp().verifying_key()];
    let signed = sign_query(QUERY, &idp().private_key()).unwrap();
    let read = verify_query(&signed, &keys, POLICY).unwrap();
    assert_eq!(read.parameter, "SAMLRequest");
    assert_eq!(read.message, "fZ/B+=");
    assert_eq!(read.relay_state.as_deref(), Some("a b/"));
    // The order of the parameters and further ones do not matter; what is signed does.
    let mut pairs: Vec<_> = signed.split('&').collect();
    pairs.reverse();
    let reversed = format!("lang=zh&{}", pairs.join("&"));
    assert_eq!(verify_query(&reversed, &keys, POLICY).unwrap(), read);
    let response = sign_query("SAMLResponse=abcd", &idp().private_key()).unwrap();
    let read = verify_query(&response, &keys, POLICY).unwrap();
    assert_eq!((read.parameter, read.relay_state), ("SAMLResponse", None));
}

#[test]
fn altered_and_ambiguous_queries_are_refused() {
    let keys = [idp().verifying_key()];
    let signed = sign_query(QUERY, &idp().private_key()).unwrap();
    let altered = |from: &str, to: &str| {
        let altered = signed.replacen(from, to, 1);
        assert_ne!(altered, signed);
        altered
    };
    for query in [
        altered("fZ%2F", "fY%2F"),
        altered("fZ%2F", "fZ%2f"),
        altered("a%20b", "a+b"),
        altered("&RelayState=a%20b%2f", ""),
        altered("rsa-sha256", "rsa-sha512"),
        altered("SAMLRequest", "SAMLResponse"),
    ] {
        let refusal = verify_query(&query, &keys, POLICY).unwrap_err();
        assert!(
            matches!(refusal, SignatureRefusal::NoKeyVerifies),
            "{query}: {refusal:?}"
        );
    }
    for added in [
        "SAMLRequest=x",
        "SAMLResponse=x",
        "RelayState=x",
        "SigAlg=x",
        "Signature=x",
        "Relay%53tate=x",
    ] {
        for query in [format!("{signed}&{added}"), format!("{added}&{signed}")] {
            let refusal = verify_query(&query, &keys, POLICY).unwrap_err();
            assert!(
                matches!(refusal, SignatureRefusal::Parameter(_)),
                "{query}: {refusal:?}"
            );
        }
    }
    let unsigned = verify_query(QUERY, &keys, POLICY).unwrap_err();
    assert!(matches!(unsigned, SignatureRefusal::Unsigned));
    let others = verify_query(&signed, &[stranger().verifying_key()], POLICY).unwrap_err();
    assert!(matches!(others, SignatureRefusal::NoKeyVerifies));
    let sha1 = altered(
        "2001%2F04%2Fxmldsig-more%23rsa-sha256",
        "2000%2F09%2Fxmldsig%23rsa-sha1",
    );
    assert!(matches!(
        verify_query(&sha1, &keys, POLICY),
        Err(SignatureRefusal::Sha1)
    ));
    for query in ["", "SAMLRequest=a&SAMLResponse=b", "RelayState=x"] {
        assert!(matches!(
            verify_query(query, &keys, POLICY),
            Err(SignatureRefusal::Parameter("message"))
        ));
    }
    for lacking in ["SigAlg", "Signature"] {
        let query = signed.replacen(&format!("&{lacking}="), "&Other=", 1);
        assert!(matches!(
            verify_query(&query, &keys, POLICY),
            Err(SignatureRefusal::Parameter(what)) if what == lacking
        ));
    }
}
