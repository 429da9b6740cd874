//! SAML 2.0 with three real identity providers: Keycloak, pysaml2 by pip and samlp from npm.
//! `tests/peers/saml/install` and `tests/peers/op/install` install them.

mod keycloak;
mod pysaml2;
mod samlp;

use std::path::PathBuf;

use serde_json::Value;

use super::op::Stage;
use super::processes::{Program, TempDir};
use super::visitor::{Page, Visitor, echoed};

/// A path with a query that only survives if it is treated as bytes.
const DEEP: &str = "/echo?from=a%20b&to=%E5%8C%97%E4%BA%AC&x=1+1";

/// The key of menshen and those of an identity provider.
#[derive(Debug)]
struct Keys {
    dir: TempDir,
    /// The certificate of menshen in PEM.
    own: String,
}

impl Keys {
    fn new() -> Self {
        let dir = TempDir::new();
        let rsa = |name| write_key(&dir, name, &rcgen::PKCS_RSA_SHA256);
        let own = rsa("own");
        rsa("first");
        rsa("second");
        write_key(&dir, "ec", &rcgen::PKCS_ECDSA_P256_SHA256);
        Self { dir, own }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// The tables of a connector to the identity provider with this metadata; `lines` follow in
    /// `[connector.corp.saml]`.
    fn tables(&self, metadata: &str, lines: &str) -> String {
        format!(
            "[connector.corp.saml]\nmetadata = '{metadata}'\nprivate_key = {{ file = '{}' }}\n\
             certificate = '{}'\n{lines}\n",
            self.path("own.key").display(),
            self.path("own.pem").display()
        )
    }
}

/// Writes a new key and its certificate, which is returned in PEM.
fn write_key(dir: &TempDir, name: &str, algorithm: &'static rcgen::SignatureAlgorithm) -> String {
    let key = if algorithm == &rcgen::PKCS_RSA_SHA256 {
        rcgen::KeyPair::generate_rsa_for(algorithm, rcgen::RsaKeySize::_2048).unwrap()
    } else {
        rcgen::KeyPair::generate_for(algorithm).unwrap()
    };
    let certificate = rcgen::CertificateParams::new(vec![format!("{name}.example")]).unwrap();
    let certificate = certificate.self_signed(&key).unwrap().pem();
    dir.write(&format!("{name}.key"), &key.serialize_pem());
    dir.write(&format!("{name}.pem"), &certificate);
    certificate
}

/// A running identity provider that a test controls.
#[derive(Debug)]
struct Idp {
    url: String,
    client: reqwest::Client,
    _program: Program,
}

impl Idp {
    /// Waits for the line with its base URL.
    fn of(name: &str, mut program: Program) -> Self {
        let url = program.line(|line| Some(line.strip_prefix("idp ")?.trim().to_owned()));
        Self {
            url: url.unwrap_or_else(|| panic!("{name} ends; tests/run installs it")),
            client: reqwest::Client::builder().no_proxy().build().unwrap(),
            _program: program,
        }
    }

    fn at(&self, path: &str) -> String {
        format!("{}{path}", self.url)
    }

    /// Changes its settings.
    async fn set(&self, settings: Value) {
        let request = self.client.put(self.at("/control")).json(&settings);
        let answer = request.send().await.unwrap();
        assert!(answer.status().is_success(), "{settings}");
    }
}

/// A client that accepts the certificate of menshen.
fn new_visitor() -> Visitor {
    Visitor::trusting("menshen.test")
}

/// The metadata of menshen.
async fn own_metadata(stage: &Stage) -> String {
    let url = stage.at("/.menshen/saml/corp/metadata");
    let page = new_visitor().open(&url).await;
    assert_eq!(page.status, 200, "{}", page.body);
    page.body
}

/// Submits the forms that pages submit by script, up to a page without a message of SAML.
async fn pass_on(visitor: &mut Visitor, mut page: Page) -> Page {
    for _ in 0..6 {
        if !page.body.contains("name=\"SAMLRe") {
            return page;
        }
        page = visitor.submit(&page, &[]).await;
    }
    panic!("messages without an end: {}", page.url);
}

/// Begins a login and follows it up to a page without a message: that of the application, or of the identity
/// provider if it asks for a password.
async fn open(stage: &Stage, visitor: &mut Visitor, path: &str) -> Page {
    let rd = url::form_urlencoded::byte_serialize(path.as_bytes()).collect::<String>();
    let start = stage.at(&format!("/.menshen/start?connector=corp&rd={rd}"));
    let page = visitor.open(&start).await;
    pass_on(visitor, page).await
}

async fn is_signed_in(stage: &Stage, visitor: &Visitor) -> bool {
    visitor.peek(&stage.at("/.menshen/userinfo")).await == 200
}

/// Asserts that zhangsan reached the application.
#[track_caller]
fn assert_signed_in(stage: &Stage, page: &Page, what: &str) {
    assert_eq!(
        (page.status, page.url.as_str()),
        (200, stage.at(DEEP).as_str()),
        "{what}: {}",
        page.body
    );
    assert_eq!(
        echoed(&page.body, "x-forwarded-user"),
        ["zhangsan"],
        "{what}"
    );
}

/// Signs out here and follows all messages to the last page.
async fn sign_out(stage: &Stage, visitor: &mut Visitor) -> Page {
    let page = visitor.open(&stage.at("/.menshen/sign_out?rd=/echo")).await;
    pass_on(visitor, page).await
}
