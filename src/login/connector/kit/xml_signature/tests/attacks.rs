//! Signature wrapping: documents that still contain what was signed, and want something else to be read.

use super::*;

const MALLORY: &str = "mallory@evil.example";

/// The text from the start of `<name` to the end of its last end tag.
fn element_text<'a>(document: &'a str, name: &str) -> &'a str {
    let start = document.find(&format!("<{name} ")).unwrap();
    let end_tag = format!("</{name}>");
    let end = document.rfind(&end_tag).unwrap() + end_tag.len();
    &document[start..end]
}

/// The element about somebody else, under another ID and without a signature.
fn forged(element: &str) -> String {
    let forged = element
        .replace("alice@corp.example", MALLORY)
        .replace("ID=\"_a1\"", "ID=\"_evil-a\"")
        .replace("ID=\"_r1\"", "ID=\"_evil-r\"");
    match forged.find("<ds:Signature ") {
        None => forged,
        Some(_) => forged.replace(element_text(&forged, "ds:Signature"), ""),
    }
}

fn unsigned(element: &str) -> String {
    element.replace(element_text(element, "ds:Signature"), "")
}

fn signed_response() -> String {
    sign(RESPONSE, "_r1", &Form::default())
}

/// The document with one piece replaced. The piece must be there.
fn bent(document: &str, from: &str, to: &str) -> String {
    assert!(document.contains(from), "{from} is not in {document}");
    document.replacen(from, to, 1)
}

/// The response of the identity provider is read as it is, in all three variants.
#[test]
fn honest_responses_are_read() {
    reads_alice(&signed_assertion());
    reads_alice(&signed_response());
    let both = sign(&signed_assertion(), "_r1", &Form::default());
    reads_alice(&both);
}

/// The wrappings 1 and 2: a forged response around the signed one.
#[test]
fn a_signed_response_inside_a_forged_one_is_refused() {
    let honest = signed_response();
    let honest = element_text(&honest, "samlp:Response");
    let signature = element_text(honest, "ds:Signature");
    let evil = forged(honest);
    let issuer_end = "</saml:Issuer>";
    // 1: the signed response inside the signature, in it all that the signature refers to.
    let wrapping = bent(
        signature,
        "</ds:SignatureValue>",
        &format!(
            "</ds:SignatureValue><ds:KeyInfo>{}</ds:KeyInfo>",
            unsigned(honest)
        ),
    );
    let first = bent(&evil, issuer_end, &format!("{issuer_end}{wrapping}"));
    // 2: the signed response before its signature.
    let second = bent(
        &evil,
        issuer_end,
        &format!("{issuer_end}{}{signature}", unsigned(honest)),
    );
    // The same with the ID of the signed response, which is then there twice.
    let same_id = evil.replace("_evil-r", "_r1");
    let third = bent(&same_id, issuer_end, &format!("{issuer_end}{wrapping}"));
    for document in [first, second, third] {
        let read = facts(&document, &[idp().verifying_key()]);
        assert!(read.is_err(), "{read:?}: {document}");
    }
}

/// The assertion of an honest response, and what the wrappings 3 to 8 are made of.
struct Pieces {
    honest: String,
    assertion: String,
    signature: String,
    /// The assertion without its signature.
    original: String,
    /// The assertion about somebody else, with the ID `_evil-a`.
    evil: String,
}

impl Pieces {
    fn new() -> Self {
        let honest = signed_assertion();
        let assertion = element_text(&honest, "saml:Assertion").to_owned();
        Self {
            signature: element_text(&assertion, "ds:Signature").to_owned(),
            original: unsigned(&assertion),
            evil: forged(&assertion),
            assertion,
            honest,
        }
    }

    /// The forged assertion with this ID and with `inside` after its issuer.
    fn evil(&self, id: &str, inside: &str) -> String {
        let evil = self.evil.replace("_evil-a", id);
        bent(&evil, "</saml:Issuer>", &format!("</saml:Issuer>{inside}"))
    }

    /// The signature with the signed assertion in a further element.
    fn signature_around(&self, element: &str) -> String {
        let end = "</ds:SignatureValue>";
        let original = &self.original;
        let wrapped = format!("{end}<ds:{element}>{original}</ds:{element}>");
        bent(&self.signature, end, &wrapped)
    }

    #[track_caller]
    fn refused(&self, replacement: &str) {
        let document = bent(&self.honest, &self.assertion, replacement);
        let read = facts(&document, &[idp().verifying_key()]);
        assert!(read.is_err(), "{read:?}: {document}");
    }
}

/// The wrappings 3, 4 and 7, and simpler ones.
#[test]
fn a_forged_assertion_beside_or_around_the_signed_one_is_refused() {
    let pieces = Pieces::new();
    let Pieces {
        assertion,
        signature,
        evil,
        ..
    } = &pieces;
    // 3: the forged one first, or last.
    pieces.refused(&format!("{evil}{assertion}"));
    pieces.refused(&format!("{assertion}{evil}"));
    // 4: the signed one inside the forged one.
    pieces.refused(&pieces.evil("_evil-a", assertion));
    // 7: the forged one in extensions.
    pieces.refused(&format!(
        "<samlp:Extensions>{evil}</samlp:Extensions>{assertion}"
    ));
    pieces.refused(&format!("{}{assertion}", pieces.evil("_a1", "")));
    pieces.refused(&format!("{evil}{signature}"));
    let twice = format!("{signature}{signature}");
    pieces.refused(&bent(assertion, signature, &twice));
}

/// The wrappings 5, 6 and 8.
#[test]
fn a_forged_assertion_with_the_signature_of_another_one_is_refused() {
    let pieces = Pieces::new();
    let Pieces {
        signature,
        original,
        ..
    } = &pieces;
    for id in ["_evil-a", "_a1"] {
        // 5: the signed one at the end.
        let evil = pieces.evil(id, signature);
        pieces.refused(&evil);
        pieces.refused(&format!("{evil}{original}"));
        // 6: the signed one inside the signature. 8: in an object of it.
        for element in ["KeyInfo", "Object"] {
            pieces.refused(&pieces.evil(id, &pieces.signature_around(element)));
        }
    }
}

/// A service provider that takes the first assertion it finds is not deceived either: the signature of one
/// element proves nothing about another one.
#[test]
fn a_signature_proves_only_the_element_that_holds_it() {
    let honest = signed_assertion();
    let assertion = element_text(&honest, "saml:Assertion");
    let document = bent(
        &honest,
        assertion,
        &format!("{}{assertion}", forged(assertion)),
    );
    let root = read(&document);
    let keys = [idp().verifying_key()];
    let assertions: Vec<_> = root.children_named(ASSERTION, "Assertion").collect();
    assert!(matches!(
        verify(&root, assertions[0], &keys, POLICY),
        Err(SignatureRefusal::Unsigned)
    ));
    let signed = verify(&root, assertions[1], &keys, POLICY).unwrap();
    assert_eq!(read_facts(signed.root()), alice());
    assert!(!is_signed(signed.root()));
    let elsewhere = read(&document);
    let foreign = elsewhere
        .children_named(ASSERTION, "Assertion")
        .nth(1)
        .unwrap();
    assert!(matches!(
        verify(&root, foreign, &keys, POLICY),
        Err(SignatureRefusal::ForeignElement)
    ));
}

#[test]
fn an_unsigned_response_is_refused() {
    assert!(matches!(refusal(RESPONSE), SignatureRefusal::Unsigned));
}

/// A signature that is there and does not verify refuses the whole, whatever else is signed.
#[test]
fn an_invalid_signature_of_the_response_is_not_ignored() {
    let form = Form {
        signer: stranger(),
        ..Form::default()
    };
    let document = sign(&signed_assertion(), "_r1", &form);
    assert!(matches!(
        refusal(&document),
        SignatureRefusal::NoKeyVerifies
    ));
}

#[test]
fn a_comment_does_not_cut_a_name_short() {
    let long = RESPONSE.replace("alice@corp.example", "alice@corp.example.evil.example");
    let signed = sign(&long, "_a1", &Form::default());
    let keys = [idp().verifying_key()];
    for cut in [
        "alice@corp.example<!-- -->",
        "alice@corp.example<![CDATA[]]>",
    ] {
        let document = bent(&signed, "alice@corp.example", cut);
        let read = facts(&document, &keys).unwrap();
        assert_eq!(read.name_id, "alice@corp.example.evil.example", "{cut}");
    }
    // The comment goes into the canonical form of no signature, so it may also have been there before.
    let commented = long.replace("alice@corp", "alice<!-- a -->@corp");
    let read = facts(&sign(&commented, "_a1", &Form::default()), &keys).unwrap();
    assert_eq!(read.name_id, "alice@corp.example.evil.example");
}

#[test]
fn every_altered_fact_is_noticed() {
    for honest in [signed_assertion(), signed_response()] {
        for (from, to) in [
            ("alice@corp", "mallory@corp"),
            ("reader &amp;", "admin &amp;"),
            ("Name=\"role\"", "Name=\"Role\""),
            ("Format=\"urn:x\"", "Format=\"urn:y\""),
            ("Format=\"urn:x\"", ""),
            (
                "<saml:Subject>",
                "<saml:Subject><saml:NameID>mallory</saml:NameID>",
            ),
            ("</saml:Subject>", "</saml:Subject> "),
            ("xsi:type=\"xs:string\"", "xsi:type=\"xs:int\""),
            (
                "xmlns:saml=\"urn:oasis",
                "xmlns:s2=\"u\" xmlns:saml=\"urn:oasis",
            ),
        ] {
            let document = bent(&honest, from, to);
            if from.starts_with("xmlns") {
                // A declaration that nothing uses is not part of what is signed.
                reads_alice(&document);
            } else {
                assert!(
                    matches!(refusal(&document), SignatureRefusal::Digest),
                    "{to}"
                );
            }
        }
    }
}

#[test]
fn keys_in_the_document_are_ignored() {
    let certificate = STANDARD.encode(&stranger().certificate);
    let key_info = format!(
        "<ds:KeyInfo><ds:X509Data><ds:X509Certificate>{certificate}</ds:X509Certificate></ds:X509Data>\
         </ds:KeyInfo>"
    );
    let foreign = Form {
        signer: stranger(),
        key_info: key_info.clone(),
        ..Form::default()
    };
    let document = sign(RESPONSE, "_a1", &foreign);
    assert!(matches!(
        refusal(&document),
        SignatureRefusal::NoKeyVerifies
    ));
    let misleading = Form {
        key_info,
        ..Form::default()
    };
    reads_alice(&sign(RESPONSE, "_a1", &misleading));
}

#[test]
fn identifiers_are_unique_whatever_they_are_called() {
    let honest = signed_assertion();
    for attribute in ["ID=\"_a1\"", "Id=\"_a1\"", "id=\"_a1\"", "saml:ID=\"_a1\""] {
        let bent = bent(
            &honest,
            "<samlp:Status>",
            &format!("<samlp:Status {attribute}>"),
        );
        assert!(
            matches!(refusal(&bent), SignatureRefusal::RepeatedId),
            "{attribute}"
        );
    }
    let with_other_id = bent(&honest, "<samlp:Status>", "<samlp:Status ID=\"_other\">");
    reads_alice(&with_other_id);
    let xml_id = bent(
        &honest,
        "<samlp:Status>",
        "<samlp:Status xml:id=\"_other\">",
    );
    let read = facts(&xml_id, &[idp().verifying_key()]);
    assert!(
        matches!(read, Err(Refusal::Xml(XmlError::Forbidden(_)))),
        "{read:?}"
    );
}

#[test]
fn document_types_and_entities_are_refused_before_any_signature() {
    let honest = signed_assertion();
    let laughs = "<!DOCTYPE x [<!ENTITY a \"aaaaaaaaaa\"><!ENTITY b \"&a;&a;&a;&a;&a;&a;&a;&a;\">\
                  <!ENTITY c \"&b;&b;&b;&b;&b;&b;&b;&b;\">]>";
    for doctype in [
        "<!DOCTYPE x>",
        "<!DOCTYPE x SYSTEM \"http://127.0.0.1:1/x.dtd\">",
        "<!DOCTYPE x [<!ENTITY e SYSTEM \"file:///etc/passwd\">]>",
        "<!DOCTYPE x [<!ATTLIST saml:Assertion ID ID #IMPLIED>]>",
        laughs,
    ] {
        for used in ["alice@", "&c;", "&e;"] {
            let document = bent(
                &honest,
                "<samlp:Response",
                &format!("{doctype}<samlp:Response"),
            );
            let read = facts(&bent(&document, "alice@", used), &[idp().verifying_key()]);
            assert!(
                matches!(read, Err(Refusal::Xml(XmlError::Forbidden(_)))),
                "{read:?}"
            );
        }
    }
    let stylesheet = bent(
        &honest,
        "<samlp:Status>",
        "<?xml-stylesheet href=\"x\"?><samlp:Status>",
    );
    assert!(facts(&stylesheet, &[idp().verifying_key()]).is_err());
}
