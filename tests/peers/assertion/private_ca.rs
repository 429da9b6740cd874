//! The certificate of the issuer comes from an authority of its own: the applications read the keys only when they
//! trust it as the page says.

use std::process::Command;

use menshen::clock::Clock;
use menshen::keys;
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose};

use super::super::legacy_app::LegacyApp;
use super::super::processes::{Program, TempDir, free_ports};
use super::super::setup::Menshen;
use super::super::visitor::{Visitor, echoed};
use super::super::wecom::{AGENT_ID, Options, WeCom};
use super::{COMPILED_WITHIN, HEADER, block, configuration, go, java, python};

/// The authority on the page.
const CA: &str = "/etc/ssl/corp-ca.pem";
const TRUST_STORE: &str = "/etc/ssl/corp-ca.p12";

/// The section of the page.
fn section() -> String {
    let page = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/assertion.md");
    let page = std::fs::read_to_string(page).unwrap();
    let (_, section) = page.split_once("\n## A private CA\n").unwrap();
    section.split("\n## ").next().unwrap().to_owned()
}

/// The code in the row of a language that begins like this.
fn told(language: &str, begins: &str) -> String {
    let section = section();
    let mut rows = section.lines();
    let row = rows
        .find(|row| row.starts_with(&format!("| {language} |")))
        .unwrap();
    let mut codes = row.split('`').skip(1).step_by(2);
    codes
        .find(|code| code.starts_with(begins))
        .unwrap()
        .to_owned()
}

/// Writes an authority, and a certificate of it for localhost.
fn write_certificates(dir: &TempDir) {
    let mut authority = CertificateParams::new(Vec::new()).unwrap();
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    authority.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    let name = &mut authority.distinguished_name;
    name.push(DnType::CommonName, "Authority of the corporation");
    let (ca_key, key) = (KeyPair::generate().unwrap(), KeyPair::generate().unwrap());
    let ca = authority.self_signed(&ca_key).unwrap();
    let authority = Issuer::new(authority, ca_key);
    let mut own = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    own.use_authority_key_identifier_extension = true;
    let own = own.signed_by(&key, &authority).unwrap();
    dir.write("ca.pem", &ca.pem());
    dir.write("tls.pem", &own.pem());
    dir.write("tls.key", &key.serialize_pem());
}

/// menshen with such a certificate, and the assertion that an application behind it receives.
struct Stage {
    issuer: String,
    assertion: String,
    dir: TempDir,
    _menshen: Menshen,
    _wecom: WeCom,
    _legacy: LegacyApp,
}

impl Stage {
    async fn start() -> Self {
        let wecom = WeCom::start(Options::default()).await.unwrap();
        let legacy = LegacyApp::start(([127, 0, 0, 1], 0).into(), "应用");
        let (legacy, dir, key) = (legacy.await.unwrap(), TempDir::new(), keys::generate());
        write_certificates(&dir);
        let at = |url: &str| url.replace("http://127.0.0.1", "https://localhost");
        let menshen = Menshen::built(Clock::system(), |url, store| {
            let host = at(url);
            wecom.set_agent_domains(AGENT_ID, &[host.trim_start_matches("https://")]);
            let text = configuration(&wecom, &legacy, &key, 9, url, store);
            let written = format!("external_url = \"{url}\"");
            let here = format!(
                "external_url = \"{host}\"\n[server.tls]\ncertificate = \"{dir}/tls.pem\"\n\
                 key = \"{dir}/tls.key\"",
                dir = dir.path().display()
            );
            assert!(text.contains(&written), "{text}");
            text.replace(&written, &here)
        })
        .await;
        let issuer = at(&menshen.url);
        let mut visitor = Visitor::trusting("localhost");
        let page = visitor.open(&format!("{issuer}/echo")).await;
        let page = visitor
            .open(&WeCom::choose(page.url.as_str(), "zhangsan"))
            .await;
        let assertion = echoed(&page.body, HEADER).remove(0);
        Self {
            issuer,
            assertion,
            dir,
            _menshen: menshen,
            _wecom: wecom,
            _legacy: legacy,
        }
    }

    /// A file of the authority in place of that on the page.
    fn here(&self, text: &str) -> String {
        let path = |name: &str| self.dir.path().join(name).display().to_string();
        text.replace(CA, &path("ca.pem"))
            .replace(TRUST_STORE, &path("ca.p12"))
    }

    /// The status with which an application answers the assertion.
    async fn status_of(&self, command: impl Fn() -> Command) -> u16 {
        for _ in 0..5 {
            let (port, mut command) = (free_ports(1), command());
            command
                .env("ISSUER", &self.issuer)
                .env("AUDIENCE", "oa")
                .env("PORT", port.to_string())
                .env("no_proxy", "localhost")
                .env_remove("KEYS");
            let mut application = Program::start("application", &mut command);
            let line = |line: &str| line.starts_with("listening on ").then_some(());
            // It ends if another process took the port.
            if application.line_within(COMPILED_WITHIN, line).is_some() {
                let client = reqwest::Client::builder().no_proxy().build().unwrap();
                let request = client.get(format!("http://127.0.0.1:{port}/"));
                let answer = request.header(HEADER, &self.assertion).send().await;
                return answer.unwrap().status().as_u16();
            }
            application.show();
        }
        panic!("the application finds no port, or does not start");
    }
}

/// With a variable of the environment.
async fn trusts_by_variable(language: &str, command: impl Fn(&TempDir) -> Command) {
    let stage = Stage::start().await;
    let variable = stage.here(&told(language, "SSL_CERT_FILE="));
    let (name, value) = variable.split_once('=').unwrap();
    let strange = || {
        let mut command = command(&stage.dir);
        command.env_remove(name);
        command
    };
    assert_eq!(stage.status_of(strange).await, 401);
    let trusting = || {
        let mut command = command(&stage.dir);
        command.env(name, value);
        command
    };
    assert_eq!(stage.status_of(trusting).await, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_python_application_trusts_a_private_authority_as_the_page_says() {
    trusts_by_variable("Python", python).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_go_application_trusts_a_private_authority_as_the_page_says() {
    trusts_by_variable("Go", go).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_java_application_trusts_a_private_authority_as_the_page_says() {
    let stage = Stage::start().await;
    assert_eq!(stage.status_of(|| java(&stage.dir)).await, 401);
    let section = section();
    let (_, line) = section.split_once("\n```sh\n").unwrap();
    let line = stage.here(line.split("\n```").next().unwrap());
    let mut import = Command::new("sh");
    let imported = import.args(["-c", &line]).output().unwrap();
    assert!(imported.status.success(), "{imported:?}");
    let options = stage.here(&told("Java", "java "));
    let trusting = || {
        let mut command = Command::new("java");
        command.args(options.split(' ').skip(1));
        command.arg(stage.dir.write("Application.java", &block("java")));
        command
    };
    assert_eq!(stage.status_of(trusting).await, 200);
}
