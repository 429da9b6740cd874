//! The example applications of `docs/assertion.md` in Python, Java and Go accept menshen's
//! assertions and refuse everything else. `tests/peers/assertion/install` installs the Python
//! library.

mod private_ca;

use std::process::Command;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use jsonwebtoken::EncodingKey;
use menshen::clock::{Clock, Timestamp};
use menshen::keys;
use menshen::secret::Secret;
use serde_json::{Value, json};

use super::legacy_app::LegacyApp;
use super::processes::{Program, TempDir, counterparts, free_ports};
use super::setup::Menshen;
use super::visitor::{Visitor, echoed};
use super::wecom::{AGENT_ID, CORP_ID, Options, SECRET, WeCom};

const HEADER: &str = "x-menshen-assertion";
/// Longer than an assertion is valid, and than the clock skew that the applications allow.
const TOO_LONG: Duration = Duration::from_secs(400);
/// The time limit of a compiler on a busy machine.
const COMPILED_WITHIN: Duration = Duration::from_secs(300);
/// The prefix of a P-256 public key in DER (RFC 5480).
const SPKI: &str = "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE";

/// menshen in front of an application that verifies assertions, and of one that echoes.
struct Stage {
    menshen: Menshen,
    clock: Clock,
    visitor: Visitor,
    _wecom: WeCom,
    _legacy: LegacyApp,
}

impl Stage {
    /// Starts menshen with this key in front of an application on this port, and signs a person in.
    /// Its clock is in the past.
    async fn start(key: &Secret<String>, port: u16) -> Self {
        let wecom = WeCom::start(Options::default()).await.unwrap();
        let legacy = LegacyApp::start(([127, 0, 0, 1], 0).into(), "应用");
        let legacy = legacy.await.unwrap();
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        let then_s = i64::try_from((now - TOO_LONG).as_secs()).unwrap();
        let clock = Clock::manual(Timestamp::from_unix_s(then_s));
        let text = |url: &str, dir: &TempDir| {
            let host = url.trim_start_matches("http://");
            wecom.set_agent_domains(AGENT_ID, &[host]);
            configuration(&wecom, &legacy, key, port, url, dir)
        };
        let menshen = Menshen::built(clock.clone(), text).await;
        let mut visitor = Visitor::new();
        let page = visitor.open(&format!("{}/echo", menshen.url)).await;
        let chosen = WeCom::choose(page.url.as_str(), "zhangsan");
        let page = visitor.open(&chosen).await;
        assert_eq!((page.status, page.url.path()), (200, "/echo"));
        Self {
            menshen,
            clock,
            visitor,
            _wecom: wecom,
            _legacy: legacy,
        }
    }

    /// The assertion that an application at this path receives.
    async fn assertion(&mut self, path: &str) -> String {
        let address = format!("{}{path}", self.menshen.url);
        let page = self.visitor.visit(&address).await;
        let mut all = echoed(&page.body, HEADER);
        assert_eq!(all.len(), 1, "{all:?}");
        all.remove(0)
    }

    /// The published key.
    async fn key(&self) -> Value {
        let address = format!("{}/.menshen/jwks.json", self.menshen.url);
        let page = Visitor::new().visit(&address).await;
        let document: Value = serde_json::from_str(&page.body).unwrap();
        document["keys"][0].clone()
    }
}

fn configuration(
    wecom: &WeCom,
    legacy: &LegacyApp,
    key: &Secret<String>,
    port: u16,
    url: &str,
    dir: &TempDir,
) -> String {
    format!(
        r#"
        [server]
        listen = ["{listen}"]
        external_url = "{url}"
        [log]
        access = false
        [session]
        keys = ["{key}"]
        [store]
        url = "sqlite://{dir}/menshen.db"
        [connector.corp]
        auto_login = "always"
        [connector.corp.wecom]
        corp_id = "{CORP_ID}"
        agent_id = {AGENT_ID}
        secret = "{SECRET}"
        api_base = "{api}"
        authorize_url = "{authorize}"
        login_url = "{login}"

        [[route]]
        name = "oa"
        upstream = ["http://127.0.0.1:{port}"]
        assertion = true
        audience = "oa"
        [[route]]
        name = "echo"
        path = "/echo"
        upstream = ["{legacy}"]
        assertion = true
        audience = "oa"
        [[route]]
        name = "hr"
        path = "/hr"
        strip_path = true
        upstream = ["{legacy}"]
        assertion = true
        audience = "hr"
        "#,
        listen = url.trim_start_matches("http://"),
        key = key.expose(),
        dir = dir.path().display(),
        api = wecom.base_url(),
        authorize = wecom.authorize_url(),
        login = wecom.login_url(),
        legacy = legacy.base_url(),
    )
}

/// The code block of the page in this language.
fn block(language: &str) -> String {
    let page = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/assertion.md");
    let page = std::fs::read_to_string(page).unwrap();
    let opening = format!("\n```{language}\n");
    let mut blocks = page.split(&opening).skip(1);
    let (Some(block), None) = (blocks.next(), blocks.next()) else {
        panic!("not one block of {language} in docs/assertion.md");
    };
    block.split("\n```").next().unwrap().to_owned()
}

fn python(dir: &TempDir) -> Command {
    let mut command = Command::new(counterparts().join("python/bin/python3"));
    command.arg(dir.write("application.py", &block("python")));
    command
}

fn java(dir: &TempDir) -> Command {
    let mut command = Command::new("java");
    command.arg(dir.write("Application.java", &block("java")));
    command
}

/// Compiled first, because the child process of `go run` would outlive it.
fn go(dir: &TempDir) -> Command {
    let (source, program) = (dir.write("application.go", &block("go")), "application");
    let mut compile = Command::new("go");
    compile
        .args(["build", "-o", program])
        .arg(source)
        .current_dir(dir.path())
        .env("CGO_ENABLED", "0")
        .env("GOCACHE", counterparts().join("go-cache"))
        .env("GOPATH", counterparts().join("go"))
        .env("GOTOOLCHAIN", "local")
        .env("GOPROXY", "off");
    let mut compiling = Program::start("go build", &mut compile);
    let said = compiling.line_within(COMPILED_WITHIN, |line| Some(line.to_owned()));
    assert_eq!(said, None, "go build complains");
    Command::new(dir.path().join(program))
}

/// A running application and the menshen in front of it.
struct SigningPair {
    stage: Stage,
    address: String,
    _application: Program,
    _dir: TempDir,
}

impl SigningPair {
    async fn start(key: &Secret<String>, command: impl Fn(&TempDir) -> Command) -> Self {
        let dir = TempDir::new();
        for _ in 0..5 {
            let port = free_ports(1);
            let stage = Stage::start(key, port).await;
            let mut command = command(&dir);
            command
                .env("ISSUER", &stage.menshen.url)
                .env("AUDIENCE", "oa")
                .env("PORT", port.to_string())
                .env("no_proxy", "127.0.0.1")
                .env_remove("KEYS");
            let mut application = Program::start("application", &mut command);
            let line = |line: &str| line.strip_prefix("listening on ").map(str::to_owned);
            // It ends if another process took the port.
            if let Some(said) = application.line_within(COMPILED_WITHIN, line) {
                assert_eq!(said, port.to_string());
                return Self {
                    stage,
                    address: format!("http://127.0.0.1:{port}/"),
                    _application: application,
                    _dir: dir,
                };
            }
            application.show();
        }
        panic!("the application finds no port, or does not start");
    }

    /// The application's response to a direct request with this assertion.
    async fn call_directly(&self, assertion: Option<&str>) -> (u16, String) {
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        let request = client.get(&self.address);
        let request = match assertion {
            Some(assertion) => request.header(HEADER, assertion),
            None => request,
        };
        let answer = request.send().await.unwrap();
        (answer.status().as_u16(), answer.text().await.unwrap())
    }
}

/// Builds a token from its parts.
fn token(head: &Value, claims: &str, signature: &[u8]) -> String {
    let head = URL_SAFE_NO_PAD.encode(head.to_string());
    format!("{head}.{claims}.{}", URL_SAFE_NO_PAD.encode(signature))
}

/// Forged tokens made from a valid one.
fn forged(good: &str, key: &Value) -> Vec<(&'static str, String)> {
    let parts: Vec<_> = good.split('.').collect();
    let read = |at: usize| URL_SAFE_NO_PAD.decode(parts[at]).unwrap();
    let head: Value = serde_json::from_slice(&read(0)).unwrap();
    let mut claims: Value = serde_json::from_slice(&read(1)).unwrap();
    claims["login"] = json!("boss");
    let boss = URL_SAFE_NO_PAD.encode(claims.to_string());
    let mut signature = read(2);
    let with = |name: &str, value: Value| {
        let mut head = head.clone();
        head[name] = value;
        head
    };
    let mut all = vec![
        ("other claims", token(&head, &boss, &signature)),
        ("no signature", token(&head, parts[1], &[])),
        ("half a signature", token(&head, parts[1], &signature[..32])),
        ("zeros", token(&head, &boss, &[0; 64])),
        ("alg none", token(&with("alg", json!("none")), &boss, &[])),
        ("alg None", token(&with("alg", json!("None")), &boss, &[])),
        (
            "no alg",
            token(&with("alg", json!(null)), &boss, &signature),
        ),
        (
            "ES384",
            token(&with("alg", json!("ES384")), parts[1], &signature),
        ),
        (
            "no kid",
            token(&with("kid", json!(null)), parts[1], &signature),
        ),
        (
            "another kid",
            token(&with("kid", json!("x")), parts[1], &signature),
        ),
        ("two parts", format!("{}.{}", parts[0], parts[1])),
        ("four parts", format!("{good}.{}", parts[2])),
        ("no token", "zhangsan".to_owned()),
        ("dots", "..".to_owned()),
        ("nothing", String::new()),
    ];
    all.extend(by_shared_secrets(&with("alg", json!("HS256")), &boss, key));
    signature[40] ^= 1;
    all.push(("one bit", token(&head, parts[1], &signature)));
    all
}

/// Tokens signed by HS256 with public data, for verifiers that let the token choose the algorithm
/// and take the public key as a shared secret.
fn by_shared_secrets(head: &Value, claims: &str, key: &Value) -> Vec<(&'static str, String)> {
    let coordinates = ["x", "y"].map(|name| key[name].as_str().unwrap());
    let coordinates = coordinates.map(|text| URL_SAFE_NO_PAD.decode(text).unwrap());
    let mut spki = STANDARD.decode(SPKI).unwrap();
    spki.extend(coordinates.concat());
    let text = STANDARD.encode(&spki);
    let lines: Vec<_> = text
        .as_bytes()
        .chunks(64)
        .map(String::from_utf8_lossy)
        .collect();
    let pem = format!(
        "-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----\n",
        lines.join("\n")
    );
    let point = spki[spki.len() - 65..].to_vec();
    let secrets = [
        pem.into_bytes(),
        point,
        spki,
        key.to_string().into_bytes(),
        Vec::new(),
    ];
    let head = URL_SAFE_NO_PAD.encode(head.to_string());
    let input = format!("{head}.{claims}");
    let forged = secrets.into_iter().map(|secret| {
        let secret = EncodingKey::from_secret(&secret);
        let algorithm = jsonwebtoken::Algorithm::HS256;
        let signed = jsonwebtoken::crypto::sign(input.as_bytes(), &secret, algorithm).unwrap();
        ("HS256", format!("{input}.{signed}"))
    });
    forged.collect()
}

async fn verifies_assertions(command: impl Fn(&TempDir) -> Command) {
    let key = keys::generate();
    let mut pair = SigningPair::start(&key, command).await;
    let expired = pair.stage.assertion("/echo").await;
    pair.stage.clock.advance(TOO_LONG);
    let good = pair.stage.assertion("/echo").await;
    // Through menshen, and directly with a valid assertion.
    let page = pair
        .stage
        .visitor
        .visit(&format!("{}/", pair.stage.menshen.url))
        .await;
    assert_eq!(page.status, 200);
    assert!(
        page.body.starts_with("Hello zhangsan, account "),
        "{}",
        page.body
    );
    assert_eq!(pair.call_directly(Some(&good)).await, (200, page.body));

    let another = pair.stage.assertion("/hr/echo").await;
    let mut elsewhere = Stage::start(&key, 9).await;
    elsewhere.clock.advance(TOO_LONG);
    let elsewhere = elsewhere.assertion("/echo").await;
    let mut other_key = Stage::start(&keys::generate(), 9).await;
    other_key.clock.advance(TOO_LONG);
    let other_key = other_key.assertion("/echo").await;
    let mut bad = forged(&good, &pair.stage.key().await);
    bad.extend([
        ("expired", expired),
        ("for another audience", another),
        ("of another issuer with the same key", elsewhere),
        ("of another key", other_key),
    ]);
    for (what, assertion) in bad {
        let (status, said) = pair.call_directly(Some(&assertion)).await;
        assert_eq!(status, 401, "{what}: {said}");
        assert!(!said.contains("Hello"), "{what}: {said}");
    }
    assert_eq!(pair.call_directly(None).await.0, 401);
    // The application still works afterwards.
    assert_eq!(pair.call_directly(Some(&good)).await.0, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_python_application_verifies_assertions() {
    verifies_assertions(python).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_java_application_verifies_assertions() {
    verifies_assertions(java).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_go_application_verifies_assertions() {
    verifies_assertions(go).await;
}
