//! Signed and encrypted XML, made here and verified by xmlsec1, and made by xmlsec1 and read here. xmlsec1
//! has another parser (libxml2), another canonicalization and another library of ciphers.

use std::fmt::Write as _;
use std::fs;
use std::path::PathBuf;
use std::process::Command;

use menshen::login::connector::kit::xml::{Element, XmlLimits};
use menshen::login::connector::kit::xml_encryption::{DecryptionPolicy, decrypt};
use menshen::login::connector::kit::xml_signature::{
    PrivateKey, SignaturePolicy, SignatureRefusal, VerifyingKey, sign_enveloped, verify,
};
use menshen::secret::Secret;

const LIMITS: XmlLimits = XmlLimits {
    bytes: 256 << 10,
    elements: 10_000,
    depth: 64,
    attributes: 64,
};
const POLICY: SignaturePolicy = SignaturePolicy {
    allow_sha1: false,
    canonical_bytes_max: 4 << 20,
};
const DOCUMENTS: u64 = 40;

const PROTOCOL: &str = "urn:oasis:names:tc:SAML:2.0:protocol";
const ASSERTION: &str = "urn:oasis:names:tc:SAML:2.0:assertion";

/// A folder with a key and its certificate, in which xmlsec1 runs.
struct Folder {
    path: PathBuf,
    pem: String,
    certificate: Vec<u8>,
}

impl Folder {
    fn new(name: &str, algorithm: &'static rcgen::SignatureAlgorithm) -> Self {
        let key = if algorithm == &rcgen::PKCS_RSA_SHA256 {
            rcgen::KeyPair::generate_rsa_for(algorithm, rcgen::RsaKeySize::_2048).unwrap()
        } else {
            rcgen::KeyPair::generate_for(algorithm).unwrap()
        };
        let certificate = rcgen::CertificateParams::new(vec!["idp.example".to_owned()]);
        let certificate = certificate.unwrap().self_signed(&key).unwrap();
        let path =
            std::env::temp_dir().join(format!("menshen-xmlsec-{name}-{}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        let folder = Self {
            path,
            pem: key.serialize_pem(),
            certificate: certificate.der().to_vec(),
        };
        folder.write("key.pem", &folder.pem);
        folder.write("certificate.pem", &certificate.pem());
        folder
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.path.join(name), text).unwrap();
    }

    /// Runs xmlsec1; `Err` has its messages.
    fn xmlsec1(&self, arguments: &[&str]) -> Result<(), String> {
        let output = Command::new("xmlsec1")
            .args(arguments)
            .current_dir(&self.path)
            .output()
            .unwrap();
        if output.status.success() {
            Ok(())
        } else {
            Err(String::from_utf8_lossy(&output.stderr).into_owned())
        }
    }

    /// What xmlsec1 writes into `out.xml`.
    fn written(&self, arguments: &[&str]) -> String {
        let arguments = [arguments, &["--output", "out.xml", "in.xml"]].concat();
        self.xmlsec1(&arguments).unwrap();
        fs::read_to_string(self.path.join("out.xml")).unwrap()
    }

    fn verifies(&self, document: &str) -> Result<(), String> {
        self.write("in.xml", document);
        let id = format!("{PROTOCOL}:Response");
        self.xmlsec1(&[
            "--verify",
            "--pubkey-cert-pem",
            "certificate.pem",
            "--enabled-reference-uris",
            "same-doc",
            "--id-attr:ID",
            &id,
            "in.xml",
        ])
    }

    /// The document with its signature template filled in.
    fn signed(&self, template: &str, key: &[&str]) -> String {
        self.write("in.xml", template);
        let id = format!("{PROTOCOL}:Response");
        self.written(&[&["--sign"], key, &["--id-attr:ID", &id]].concat())
    }

    fn verifying_key(&self) -> VerifyingKey {
        VerifyingKey::from_certificate_der(&self.certificate).unwrap()
    }

    fn private_key(&self) -> PrivateKey {
        PrivateKey::from_pem(&Secret::new(self.pem.clone())).unwrap()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.path);
    }
}

const SIGNING_KEY: [&str; 2] = ["--privkey-pem", "key.pem,certificate.pem"];

/// The same numbers in every run.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % u64::try_from(bound).unwrap()).unwrap()
    }

    fn one<'a>(&mut self, of: &[&'a str]) -> &'a str {
        of[self.below(of.len())]
    }
}

/// A response with many uses of namespaces and special characters. `signature` comes after its issuer.
fn document(seed: u64, signature: &str) -> String {
    let mut numbers = Numbers(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
    let mut content = String::new();
    for _ in 0..6 {
        write_element(&mut numbers, 0, &mut content);
    }
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<samlp:Response xmlns:q='urn:q' \
         xmlns:samlp=\"{PROTOCOL}\" xmlns:p=\"urn:p\" xmlns:xs='urn:xs' ID='_r' xml:lang=\"zh\"\n  \
         Version=\"2.0\"><saml:Issuer xmlns:saml=\"{ASSERTION}\">a</saml:Issuer>{signature}{content}\
         </samlp:Response>\n"
    )
}

fn write_element(numbers: &mut Numbers, depth: usize, text: &mut String) {
    let prefix = numbers.one(&["", "", "p:", "q:", "samlp:"]);
    let name = numbers.one(&["a", "b-1", "名"]);
    write!(text, "<{prefix}{name}").unwrap();
    for attribute in [
        " xmlns='urn:d'",
        " xmlns=''",
        " xmlns:p=\"urn:p2\"",
        " xmlns:q = 'urn:q'",
        " xmlns:xs='urn:xs2'",
        " xmlns:unused='urn:u'",
        " p:b='1'",
        " q:a='x&#9;y&#10;z'",
        "\n z=\"&quot;&apos;&lt;&amp;>\"",
        " b='a\n\tb'",
        " a=' 张 '",
        " xml:space=\"preserve\"",
    ] {
        let is_second_default = attribute == " xmlns=''" && text.ends_with("'urn:d'");
        if numbers.below(4) == 0 && !is_second_default {
            text.push_str(attribute);
        }
    }
    if numbers.below(5) == 0 {
        text.push_str("/>");
        return;
    }
    text.push('>');
    for _ in 0..numbers.below(5) {
        if depth < 6 && numbers.below(2) == 0 {
            write_element(numbers, depth + 1, text);
        } else {
            text.push_str(numbers.one(&[
                "text",
                " &amp; &lt; &gt; ' \" ",
                "\r\n",
                "\t",
                "&#13;&#x20AC;",
                "<![CDATA[<&>]]>",
                "<!-- a comment -->",
                "张三 > 李四",
                "&#x1F600;",
            ]));
        }
    }
    write!(text, "</{prefix}{name}>").unwrap();
}

/// A signature of the response for xmlsec1 to fill in.
fn template(method: &str, digest: &str, prefixes: &str) -> String {
    let exclusive = "http://www.w3.org/2001/10/xml-exc-c14n#";
    let inclusive = if prefixes.is_empty() {
        String::new()
    } else {
        format!("<ec:InclusiveNamespaces xmlns:ec=\"{exclusive}\" PrefixList=\"{prefixes}\"/>")
    };
    format!(
        "<ds:Signature xmlns:ds=\"http://www.w3.org/2000/09/xmldsig#\"><ds:SignedInfo>\n\
         <ds:CanonicalizationMethod Algorithm=\"{exclusive}\">{inclusive}</ds:CanonicalizationMethod>\n\
         <ds:SignatureMethod Algorithm=\"http://www.w3.org/{method}\"/>\n<ds:Reference URI=\"#_r\">\
         <ds:Transforms>\
         <ds:Transform Algorithm=\"http://www.w3.org/2000/09/xmldsig#enveloped-signature\"/>\
         <ds:Transform Algorithm=\"{exclusive}\">{inclusive}</ds:Transform></ds:Transforms>\
         <ds:DigestMethod Algorithm=\"http://www.w3.org/{digest}\"/><ds:DigestValue/></ds:Reference>\
         </ds:SignedInfo><ds:SignatureValue/><ds:KeyInfo><ds:X509Data/></ds:KeyInfo></ds:Signature>"
    )
}

const RSA: &str = "2001/04/xmldsig-more#rsa-sha256";
const SHA256: &str = "2001/04/xmlenc#sha256";

fn verified(document: &str, folder: &Folder) -> Result<Element, SignatureRefusal> {
    let root = Element::read(document.as_bytes(), LIMITS).unwrap();
    let signed = verify(&root, &root, &[folder.verifying_key()], POLICY)?;
    Ok(signed.root().clone())
}

#[test]
fn xmlsec1_verifies_what_we_sign() {
    let folder = Folder::new("ours", &rcgen::PKCS_RSA_SHA256);
    for seed in 1..=DOCUMENTS {
        let document = document(seed, "");
        let signed =
            sign_enveloped(&document, "_r", &folder.private_key(), &folder.certificate).unwrap();
        let at_xmlsec1 = folder.verifies(&signed);
        assert!(at_xmlsec1.is_ok(), "{at_xmlsec1:?}: {signed}");
        let altered = signed.replacen("Version=\"2.0\"", "Version=\"2.1\"", 1);
        assert!(folder.verifies(&altered).is_err());
    }
}

#[test]
fn we_verify_what_xmlsec1_signs() {
    let rsa = Folder::new("rsa", &rcgen::PKCS_RSA_SHA256);
    for seed in 1..=DOCUMENTS {
        for prefixes in ["", "xs #default p"] {
            let template = document(seed, &template(RSA, SHA256, prefixes));
            let signed = rsa.signed(&template, &SIGNING_KEY);
            verified(&signed, &rsa).unwrap_or_else(|refusal| panic!("{refusal:?}: {signed}"));
            let altered = signed.replacen("Version=\"2.0\"", "Version=\"2.1\"", 1);
            assert!(matches!(
                verified(&altered, &rsa),
                Err(SignatureRefusal::Digest)
            ));
        }
    }
    let p256 = Folder::new("p256", &rcgen::PKCS_ECDSA_P256_SHA256);
    let p384 = Folder::new("p384", &rcgen::PKCS_ECDSA_P384_SHA384);
    for (folder, method, digest) in [
        (
            &rsa,
            "2001/04/xmldsig-more#rsa-sha384",
            "2001/04/xmldsig-more#sha384",
        ),
        (
            &rsa,
            "2001/04/xmldsig-more#rsa-sha512",
            "2001/04/xmlenc#sha512",
        ),
        (&p256, "2001/04/xmldsig-more#ecdsa-sha256", SHA256),
        (&p384, "2001/04/xmldsig-more#ecdsa-sha384", SHA256),
    ] {
        let template = document(7, &template(method, digest, ""));
        let signed = folder.signed(&template, &SIGNING_KEY);
        assert!(verified(&signed, folder).is_ok(), "{method}");
        let other = if std::ptr::eq(folder, &rsa) {
            &p256
        } else {
            &rsa
        };
        assert!(matches!(
            verified(&signed, other),
            Err(SignatureRefusal::NoKeyVerifies)
        ));
    }
}

#[test]
fn weak_signatures_that_xmlsec1_makes_are_refused() {
    let rsa = Folder::new("weak", &rcgen::PKCS_RSA_SHA256);
    let sha1 = template("2000/09/xmldsig#rsa-sha1", "2000/09/xmldsig#sha1", "");
    let signed = rsa.signed(&document(3, &sha1), &SIGNING_KEY);
    assert!(matches!(
        verified(&signed, &rsa),
        Err(SignatureRefusal::Sha1)
    ));
    let root = Element::read(signed.as_bytes(), LIMITS).unwrap();
    let allowed = SignaturePolicy {
        allow_sha1: true,
        ..POLICY
    };
    assert!(verify(&root, &root, &[rsa.verifying_key()], allowed).is_ok());
    rsa.write("secret", "a shared secret of thirty bytes");
    let hmac = template("2001/04/xmldsig-more#hmac-sha256", SHA256, "");
    let hmac = hmac.replace("<ds:X509Data/>", "<ds:KeyName/>");
    let signed = rsa.signed(&document(3, &hmac), &["--hmackey", "secret"]);
    assert!(matches!(
        verified(&signed, &rsa),
        Err(SignatureRefusal::Algorithm(_))
    ));
}

#[test]
fn we_open_what_xmlsec1_encrypts() {
    let folder = Folder::new("encrypted", &rcgen::PKCS_RSA_SHA256);
    let id = format!(
        "<saml:EncryptedID xmlns:saml=\"{ASSERTION}\"><saml:NameID>alice 张</saml:NameID></saml:EncryptedID>"
    );
    folder.write("data.xml", &id);
    for (cipher, session_key) in [
        ("2009/xmlenc11#aes128-gcm", "aes-128"),
        ("2009/xmlenc11#aes192-gcm", "aes-192"),
        ("2009/xmlenc11#aes256-gcm", "aes-256"),
        ("2001/04/xmlenc#aes128-cbc", "aes-128"),
        ("2001/04/xmlenc#aes192-cbc", "aes-192"),
        ("2001/04/xmlenc#aes256-cbc", "aes-256"),
        ("2001/04/xmlenc#tripledes-cbc", "des-192"),
    ] {
        for key_cipher in ["rsa-oaep-mgf1p", "rsa-1_5"] {
            folder.write(
                "in.xml",
                &format!(
                    "<e:EncryptedData xmlns:e=\"http://www.w3.org/2001/04/xmlenc#\" \
                     Type=\"http://www.w3.org/2001/04/xmlenc#Element\">\
                     <e:EncryptionMethod Algorithm=\"http://www.w3.org/{cipher}\"/>\
                     <ds:KeyInfo xmlns:ds=\"http://www.w3.org/2000/09/xmldsig#\"><e:EncryptedKey>\
                     <e:EncryptionMethod Algorithm=\"http://www.w3.org/2001/04/xmlenc#{key_cipher}\"/>\
                     <e:CipherData><e:CipherValue/></e:CipherData></e:EncryptedKey></ds:KeyInfo>\
                     <e:CipherData><e:CipherValue/></e:CipherData></e:EncryptedData>"
                ),
            );
            let encrypted = folder.written(&[
                "--encrypt",
                "--pubkey-cert-pem",
                "certificate.pem",
                "--session-key",
                session_key,
                "--xml-data",
                "data.xml",
                "--node-xpath",
                "/*/*",
            ]);
            let root = Element::read(encrypted.as_bytes(), LIMITS).unwrap();
            for allow_cbc in [false, true] {
                let policy = DecryptionPolicy {
                    allow_cbc,
                    limits: LIMITS,
                };
                let opened = decrypt(&root, &root, &folder.private_key(), policy);
                let is_accepted = key_cipher == "rsa-oaep-mgf1p"
                    && (cipher.ends_with("gcm") || (allow_cbc && cipher.contains("aes")));
                assert_eq!(
                    opened.is_ok(),
                    is_accepted,
                    "{cipher} {key_cipher} {allow_cbc}"
                );
                if let Ok(name_id) = opened {
                    assert_eq!(name_id.text(), "alice 张");
                }
            }
        }
    }
}
