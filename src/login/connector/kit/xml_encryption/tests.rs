use aws_lc_rs::rsa::{OAEP_SHA1_MGF1SHA1, OAEP_SHA256_MGF1SHA256, OAEP_SHA384_MGF1SHA384};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::ciphers::*;
use super::*;
use crate::login::connector::kit::xml_signature::tests::{LIMITS, idp, read};
use crate::secret::Secret;
use encryptor::{Form, KeyPlace, encrypt, encrypt_blocks};

mod encryptor;

const SAML: &str = "urn:oasis:names:tc:SAML:2.0:assertion";
const CBC: &str = "http://www.w3.org/2001/04/xmlenc#aes256-cbc";
const PLAIN: &str = "<saml:NameID Format=\"urn:x\">alice@corp.example</saml:NameID>";

const STRICT: DecryptionPolicy = DecryptionPolicy {
    allow_cbc: false,
    limits: LIMITS,
};

const LENIENT: DecryptionPolicy = DecryptionPolicy {
    allow_cbc: true,
    limits: LIMITS,
};

fn open(document: &str, policy: DecryptionPolicy) -> Result<Element, NotDecrypted> {
    let root = read(document);
    let encrypted = root.elements().next().unwrap();
    decrypt(&root, encrypted, &idp().private_key(), policy)
}

#[track_caller]
fn opens(form: &Form<'_>, policy: DecryptionPolicy) {
    let element = open(&encrypt(form), policy).unwrap();
    assert!(element.is(SAML, "NameID"));
    assert_eq!(element.text(), "alice@corp.example");
}

#[test]
fn each_accepted_cipher_is_opened() {
    for (content_method, key_bytes) in [
        (AES_128_GCM_METHOD, 16),
        (AES_192_GCM_METHOD, 24),
        (AES_256_GCM_METHOD, 32),
    ] {
        opens(
            &Form {
                content_method,
                key_bytes,
                ..Form::default()
            },
            STRICT,
        );
    }
    let digest = |name: &str| {
        format!(
            "<ds:DigestMethod xmlns:ds=\"http://www.w3.org/2000/09/xmldsig#\" Algorithm=\"{name}\"/>"
        )
    };
    let sha1 = digest("http://www.w3.org/2000/09/xmldsig#sha1");
    let sha256 = digest("http://www.w3.org/2001/04/xmlenc#sha256");
    let mask = |name: &str| {
        format!(
            "<x:MGF xmlns:x=\"{XMLENC11_NAMESPACE}\" Algorithm=\"{XMLENC11_NAMESPACE}{name}\"/>"
        )
    };
    let both = |digest: &str, name: &str| [digest.to_owned(), mask(name)].concat();
    for (key_method, parameters, oaep) in [
        (RSA_OAEP_MGF1P_METHOD, sha1.clone(), &OAEP_SHA1_MGF1SHA1),
        (RSA_OAEP_METHOD, String::new(), &OAEP_SHA1_MGF1SHA1),
        (
            RSA_OAEP_METHOD,
            both(&sha1, "mgf1sha1"),
            &OAEP_SHA1_MGF1SHA1,
        ),
        (
            RSA_OAEP_METHOD,
            both(&sha256, "mgf1sha256"),
            &OAEP_SHA256_MGF1SHA256,
        ),
    ] {
        let form = Form {
            key_method,
            key_parameters: &parameters,
            oaep: Some(oaep),
            ..Form::default()
        };
        opens(&form, STRICT);
        // Under the name of another combination the same key is not opened.
        let other = both(&sha256, "mgf1sha512");
        let misnamed = Form {
            key_parameters: &other,
            ..form
        };
        assert_eq!(open(&encrypt(&misnamed), STRICT), Err(NotDecrypted));
    }
    let sha384 = Form {
        oaep: Some(&OAEP_SHA384_MGF1SHA384),
        ..Form::default()
    };
    assert_eq!(open(&encrypt(&sha384), LENIENT), Err(NotDecrypted));
}

#[test]
fn the_key_is_found_inside_and_beside_the_data() {
    for key_place in [
        KeyPlace::Inside,
        KeyPlace::Beside,
        KeyPlace::BesideWithReference,
    ] {
        for other_key in [false, true] {
            opens(
                &Form {
                    key_place,
                    other_key,
                    ..Form::default()
                },
                STRICT,
            );
        }
    }
    let elsewhere = encrypt(&Form {
        key_place: KeyPlace::BesideWithReference,
        ..Form::default()
    });
    assert_eq!(
        open(&elsewhere.replace("#_k1", "#_k2"), STRICT),
        Err(NotDecrypted)
    );
    assert_eq!(
        open(&elsewhere.replace("#_k1", "http://127.0.0.1:1/"), STRICT),
        Err(NotDecrypted)
    );
    let key = encrypt(&Form::default());
    let start = key.find("<e:EncryptedKey").unwrap();
    let end = key.find("</ds:KeyInfo>").unwrap();
    let many = [&key[..start], &key[start..end].repeat(5), &key[end..]].concat();
    assert_eq!(open(&many, STRICT), Err(NotDecrypted));
}

#[test]
fn cbc_needs_to_be_allowed() {
    for (method, key_bytes) in [("aes128", 16), ("aes192", 24), ("aes256", 32)] {
        let method = format!("{ENCRYPTION_NAMESPACE}{method}-cbc");
        let form = Form {
            content_method: &method,
            key_bytes,
            ..Form::default()
        };
        opens(&form, LENIENT);
        assert_eq!(open(&encrypt(&form), STRICT), Err(NotDecrypted));
    }
}

#[test]
fn rsa_1_5_and_triple_des_are_never_accepted() {
    for key_method in [
        "http://www.w3.org/2001/04/xmlenc#rsa-1_5",
        RSA_OAEP_MGF1P_METHOD,
        RSA_OAEP_METHOD,
        "",
    ] {
        let form = Form {
            key_method,
            oaep: None,
            ..Form::default()
        };
        assert_eq!(
            open(&encrypt(&form), LENIENT),
            Err(NotDecrypted),
            "{key_method}"
        );
    }
    for method in ["tripledes-cbc", "aes256-ctr", "kw-aes256"] {
        let document = encrypt(&Form {
            content_method: CBC,
            ..Form::default()
        });
        let document = document.replace("aes256-cbc", method);
        assert_eq!(open(&document, LENIENT), Err(NotDecrypted), "{method}");
    }
}

#[test]
fn every_failure_is_the_same_error() {
    let gcm = encrypt(&Form::default());
    let cbc = encrypt(&Form {
        content_method: CBC,
        ..Form::default()
    });
    let value = |document: &str| {
        let start = document.rfind("<e:CipherValue>").unwrap() + "<e:CipherValue>".len();
        let end = document.rfind("</e:CipherValue>").unwrap();
        document[start..end].to_owned()
    };
    let content = STANDARD.decode(value(&gcm)).unwrap();
    for at in 0..content.len() {
        let mut altered = content.clone();
        altered[at] ^= 1;
        let document = gcm.replace(&value(&gcm), &STANDARD.encode(altered));
        assert_eq!(open(&document, LENIENT), Err(NotDecrypted), "{at}");
    }
    let mut cases = vec![
        gcm.replace(&value(&gcm), ""),
        gcm.replace(&value(&gcm), "!"),
        gcm.replace("CipherValue", "CipherReference"),
        gcm.replacen("e:EncryptedKey", "e:Other", 2),
        cbc.replace(&value(&cbc), &STANDARD.encode([0; 16])),
        cbc.replace(&value(&cbc), &STANDARD.encode([0; 33])),
    ];
    // A key of another length, a label, and content that is not one element.
    cases.push(encrypt(&Form {
        key_bytes: 16,
        ..Form::default()
    }));
    let label = format!("<e:OAEPparams xmlns:e=\"{ENCRYPTION_NAMESPACE}\">AAAA</e:OAEPparams>");
    cases.push(encrypt(&Form {
        key_parameters: &label,
        ..Form::default()
    }));
    for plain in [
        &b""[..],
        b"text",
        b"<a/><b/>",
        b"<!DOCTYPE a><a/>",
        b"<undeclared:a/>",
        b"\xff",
        b"<a>&e;</a>",
    ] {
        for content_method in [AES_256_GCM_METHOD, CBC] {
            cases.push(encrypt(&Form {
                plain,
                content_method,
                ..Form::default()
            }));
        }
    }
    // Wrong paddings: too long, and none.
    for last in [0, 17, 255] {
        let mut blocks = vec![b' '; 32];
        blocks[31] = last;
        let blocks = encrypt_blocks(&[3; 32], blocks);
        cases.push(cbc.replace(&value(&cbc), &STANDARD.encode(blocks)));
    }
    for document in cases {
        assert_eq!(open(&document, LENIENT), Err(NotDecrypted), "{document}");
    }
    let tight = DecryptionPolicy {
        limits: XmlLimits {
            bytes: 10,
            ..LIMITS
        },
        ..STRICT
    };
    assert_eq!(open(&gcm, tight), Err(NotDecrypted));
}

/// The prefix `saml` is declared around the encrypted element only, and `xs` around the whole.
#[test]
fn prefixes_from_around_the_encrypted_element_are_known_inside() {
    let form = Form {
        plain: b"<saml:A xmlns:saml=\"urn:inner\"><own/></saml:A>",
        ..Form::default()
    };
    let element = open(&encrypt(&form), STRICT).unwrap();
    assert!(element.is("urn:inner", "A"));
    let outer = encrypt(&Form::default()).replace("<r ", "<r xmlns:xs=\"s\" xmlns=\"d\" ");
    let element = open(&outer, STRICT).unwrap();
    let declared: Vec<_> = element
        .declarations()
        .iter()
        .map(|declared| (&*declared.prefix, declared.namespace.as_deref()))
        .collect();
    assert_eq!(
        declared,
        [("xs", Some("s")), ("", Some("d")), ("saml", Some(SAML))]
    );
}

#[test]
fn another_key_does_not_open_it() {
    let document = encrypt(&Form::default());
    let pem = include_str!("../xml_signature/tests/pkcs1.pem").to_owned();
    let other = PrivateKey::from_pem(&Secret::new(pem)).unwrap();
    let root = read(&document);
    let encrypted = root.elements().next().unwrap();
    assert_eq!(
        decrypt(&root, encrypted, &other, LENIENT),
        Err(NotDecrypted)
    );
}

/// Made by `xmlsec1 --encrypt`.
#[test]
fn an_element_that_xmlsec1_encrypted_is_opened() {
    let pem = include_str!("../xml_signature/tests/pkcs1.pem").to_owned();
    let key = PrivateKey::from_pem(&Secret::new(pem)).unwrap();
    let root = read(include_str!("tests/xmlsec1_gcm.xml"));
    let element = decrypt(&root, &root, &key, STRICT).unwrap();
    assert!(element.is(SAML, "NameID"));
    assert_eq!(element.text(), "alice@corp.example");
}
