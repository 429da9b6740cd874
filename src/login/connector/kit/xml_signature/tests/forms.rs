//! The forms of a signature: exactly one is accepted.

use super::*;

fn signed(form: &Form<'_>) -> String {
    sign(RESPONSE, "_a1", form)
}

#[test]
fn transforms_are_enveloped_then_exclusive_and_nothing_else() {
    let enveloped = transform(ENVELOPED);
    let exclusive = transform(EXCLUSIVE);
    let others = [
        "http://www.w3.org/TR/2001/REC-xml-c14n-20010315",
        "http://www.w3.org/2006/12/xml-c14n11",
        "http://www.w3.org/2001/10/xml-exc-c14n#WithComments",
        "http://www.w3.org/TR/1999/REC-xslt-19991116",
        "http://www.w3.org/TR/1999/REC-xpath-19991116",
        "http://www.w3.org/2002/06/xmldsig-filter2",
        "http://www.w3.org/2000/09/xmldsig#base64",
        "urn:unknown",
    ]
    .map(transform);
    let mut bad = vec![
        String::new(),
        enveloped.clone(),
        exclusive.clone(),
        [exclusive.clone(), enveloped.clone()].concat(),
        [enveloped.clone(), enveloped.clone()].concat(),
        [enveloped.clone(), exclusive.clone(), exclusive.clone()].concat(),
        [enveloped.clone(), enveloped.clone(), exclusive.clone()].concat(),
    ];
    for other in &others {
        bad.push([enveloped.as_str(), other].concat());
        bad.push([other, exclusive.as_str()].concat());
        bad.push([enveloped.as_str(), other, &exclusive].concat());
        bad.push([enveloped.as_str(), &exclusive, other].concat());
    }
    for transforms in bad {
        let refusal = refusal(&signed(&Form {
            transforms: transforms.clone(),
            ..Form::default()
        }));
        assert!(
            matches!(
                refusal,
                SignatureRefusal::Transforms | SignatureRefusal::Missing("Transform")
            ),
            "{transforms}: {refusal:?}"
        );
    }
    // An expression inside a transform that is allowed.
    let xpath =
        format!("<ds:Transform Algorithm=\"{ENVELOPED}\"><ds:XPath>1</ds:XPath></ds:Transform>");
    let refusal = refusal(&signed(&Form {
        transforms: [xpath, exclusive].concat(),
        ..Form::default()
    }));
    assert!(
        matches!(refusal, SignatureRefusal::UnexpectedContent(_)),
        "{refusal:?}"
    );
}

#[test]
fn only_the_exclusive_canonicalization_is_accepted() {
    for algorithm in [
        "http://www.w3.org/TR/2001/REC-xml-c14n-20010315",
        "http://www.w3.org/2001/10/xml-exc-c14n#WithComments",
        "http://www.w3.org/2006/12/xml-c14n11",
        "",
    ] {
        let refusal = refusal(&signed(&Form {
            canonicalization: format!("<ds:CanonicalizationMethod Algorithm=\"{algorithm}\"/>"),
            ..Form::default()
        }));
        assert!(
            matches!(refusal, SignatureRefusal::Canonicalization),
            "{algorithm}: {refusal:?}"
        );
    }
}

/// Shibboleth and Okta send it: the prefix in `xsi:type="xs:string"` is declared on the response only.
#[test]
fn inclusive_prefixes_are_honoured() {
    for list in [&["xs"][..], &["xs", "saml", "absent"], &[""]] {
        let names: Vec<_> = list
            .iter()
            .map(|prefix| {
                if prefix.is_empty() {
                    "#default"
                } else {
                    prefix
                }
            })
            .collect();
        let inclusive = format!(
            "<ec:InclusiveNamespaces xmlns:ec=\"{EXCLUSIVE}\" PrefixList=\"{}\"/>",
            names.join(" ")
        );
        let form = Form {
            canonicalization: format!(
                "<ds:CanonicalizationMethod Algorithm=\"{EXCLUSIVE}\">{inclusive}\
                 </ds:CanonicalizationMethod>"
            ),
            transforms: format!(
                "{}<ds:Transform Algorithm=\"{EXCLUSIVE}\">{inclusive}</ds:Transform>",
                transform(ENVELOPED)
            ),
            prefixes: list.to_vec(),
            ..Form::default()
        };
        let document = signed(&form);
        reads_alice(&document);
        if list.contains(&"xs") {
            // What the prefix stands for is signed then, also when only a text uses it.
            let rebound = document.replace("http://www.w3.org/2001/XMLSchema\"", "urn:other\"");
            let refusal = refusal(&rebound);
            assert!(
                matches!(refusal, SignatureRefusal::NoKeyVerifies),
                "{refusal:?}"
            );
        }
    }
    let prefixes: Vec<_> = (0..17).map(|number| format!("p{number}")).collect();
    let refusal = refusal(&signed(&Form {
        transforms: format!(
            "{}<ds:Transform Algorithm=\"{EXCLUSIVE}\"><ec:InclusiveNamespaces xmlns:ec=\"{EXCLUSIVE}\" \
             PrefixList=\"{}\"/></ds:Transform>",
            transform(ENVELOPED),
            prefixes.join(" ")
        ),
        ..Form::default()
    }));
    assert!(
        matches!(refusal, SignatureRefusal::UnexpectedContent(_)),
        "{refusal:?}"
    );
}

#[test]
fn a_signature_has_one_reference_and_it_names_its_parent() {
    let reference = "<ds:Reference URI=\"#_r1\"/>".to_owned();
    let refusal_of = |form: Form<'_>| refusal(&signed(&form));
    let several = refusal_of(Form {
        more_references: reference,
        ..Form::default()
    });
    assert!(
        matches!(several, SignatureRefusal::SeveralReferences),
        "{several:?}"
    );
    for uri in [
        "",
        "#_r1",
        "#",
        "#_a",
        "#_a1 ",
        "_a1",
        "#xpointer(id('_a1'))",
        "#xpointer(/)",
        "http://127.0.0.1:1/#_a1",
        "file:///etc/passwd",
    ] {
        let refusal = refusal_of(Form {
            uri: Some(uri.to_owned()),
            ..Form::default()
        });
        assert!(
            matches!(refusal, SignatureRefusal::ForeignReference),
            "{uri}: {refusal:?}"
        );
    }
}

#[test]
fn a_signature_without_an_id_to_refer_to_is_refused() {
    let honest = signed_assertion();
    for bent in [
        honest.replacen("ID=\"_a1\"", "", 1),
        honest.replacen("ID=\"_a1\"", "ID=\"\"", 1),
        honest.replacen("ID=\"_a1\"", "saml:ID=\"_a1\"", 1),
    ] {
        assert!(matches!(refusal(&bent), SignatureRefusal::MissingId));
    }
}

#[test]
fn a_digest_that_does_not_match_is_refused_although_it_is_signed() {
    let form = Form {
        bend_digest: true,
        ..Form::default()
    };
    assert!(matches!(refusal(&signed(&form)), SignatureRefusal::Digest));
}

#[test]
fn signed_info_is_covered_by_the_signature() {
    let honest = signed_assertion();
    for (from, to) in [
        ("<ds:DigestValue>", "<ds:DigestValue>AAAA"),
        ("xmlenc#sha256", "xmlenc#sha512"),
        ("<ds:SignedInfo>", "<ds:SignedInfo Id=\"s\">"),
        ("<ds:SignedInfo>\n", "<ds:SignedInfo>"),
    ] {
        let bent = honest.replacen(from, to, 1);
        assert_ne!(bent, honest);
        let refusal = refusal(&bent);
        assert!(
            matches!(refusal, SignatureRefusal::NoKeyVerifies),
            "{to}: {refusal:?}"
        );
    }
}

#[test]
fn further_content_in_a_signature_is_refused() {
    let honest = signed_assertion();
    for (from, to) in [
        ("</ds:Signature>", "<ds:Object/></ds:Signature>"),
        ("</ds:Signature>", "text</ds:Signature>"),
        (
            "</ds:Signature>",
            "<ds:KeyInfo/><ds:KeyInfo/></ds:Signature>",
        ),
        ("</ds:SignatureValue>", "<ds:x/></ds:SignatureValue>"),
        (
            "</ds:SignatureMethod>",
            "<ds:HMACOutputLength>1</ds:HMACOutputLength></ds:SignatureMethod>",
        ),
        ("</ds:DigestValue>", "</ds:DigestValue><ds:Manifest/>"),
        ("<ds:Transforms>", "<ds:Transforms>text"),
        ("</ds:Reference>", "</ds:Reference><ds:Manifest/>"),
    ] {
        let bent = honest.replacen(from, to, 1);
        assert_ne!(bent, honest);
        let refusal = refusal(&bent);
        assert!(
            matches!(refusal, SignatureRefusal::UnexpectedContent(_)),
            "{to}: {refusal:?}"
        );
    }
    for (from, to, lacks) in [
        ("SignedInfo>", "Other>", "SignedInfo"),
        (
            "</ds:SignedInfo>",
            "</ds:SignedInfo><ds:SignedInfo/>",
            "SignatureValue",
        ),
        (
            "</ds:SignedInfo>",
            "</ds:SignedInfo><ds:KeyInfo/>",
            "SignatureValue",
        ),
        ("SignatureValue>", "Other>", "SignatureValue"),
        ("ds:Reference", "ds:Other", "Reference"),
        ("DigestValue>", "Other>", "DigestValue"),
        ("ds:SignatureMethod", "ds:Other", "SignatureMethod"),
    ] {
        let refusal = refusal(&honest.replace(from, to));
        assert!(
            matches!(refusal, SignatureRefusal::Missing(what) if what == lacks),
            "{refusal:?}"
        );
    }
    let no_base64 = honest.replacen("<ds:SignatureValue>\n", "<ds:SignatureValue>!", 1);
    assert!(matches!(
        refusal(&no_base64),
        SignatureRefusal::Encoding("SignatureValue")
    ));
}

/// The replacement for a signed element may not make us write without limit.
#[test]
fn a_signed_element_over_the_limit_is_refused() {
    let policy = SignaturePolicy {
        canonical_bytes_max: 200,
        ..POLICY
    };
    let read = facts_under(&signed_assertion(), &[idp().verifying_key()], policy);
    assert!(
        matches!(read, Err(Refusal::Signature(SignatureRefusal::TooLarge))),
        "{read:?}"
    );
}

/// Made by `xmlsec1 --sign`, so that signer and verifier do not share a mistake.
#[test]
fn signatures_of_xmlsec1_verify() {
    let certificate = STANDARD.decode(include_str!("xmlsec1.b64").trim()).unwrap();
    let keys = [VerifyingKey::from_certificate_der(&certificate).unwrap()];
    for document in [
        include_str!("xmlsec1_sha256.xml"),
        include_str!("xmlsec1_prefixes.xml"),
        include_str!("xmlsec1_both.xml"),
    ] {
        assert_eq!(facts(document, &keys).unwrap(), alice());
        let bent = document.replacen("alice@", "alicf@", 1);
        let read = facts(&bent, &keys);
        assert!(
            matches!(read, Err(Refusal::Signature(SignatureRefusal::Digest))),
            "{read:?}"
        );
    }
    let sha1 = include_str!("xmlsec1_sha1.xml");
    let read = facts(sha1, &keys);
    assert!(
        matches!(read, Err(Refusal::Signature(SignatureRefusal::Sha1))),
        "{read:?}"
    );
    let lenient = SignaturePolicy {
        allow_sha1: true,
        ..POLICY
    };
    assert_eq!(facts_under(sha1, &keys, lenient).unwrap(), alice());
}
