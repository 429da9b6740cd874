//! The programs with which people reach what their team shares, unchanged: git, svn, rclone over
//! WebDAV, and curl. Behind menshen stands the Apache of Debian; programs sign in with a bearer token
//! of a real provider, or, where a program can send none, the network counts.

mod apache;
mod curl;
mod git;
mod svn;
mod webdav;

use std::process::Command;

use menshen::clock::Clock;
use serde_json::json;

use super::op::oidc_provider::OidcProvider;
use super::processes::TempDir;
use super::setup::Menshen;
use super::wecom::{AGENT_ID, CORP_ID, Options, SECRET, WeCom};
use apache::Apache;

/// For whom the tokens of the tests are made.
const AUDIENCE: &str = "urn:menshen:tests";
/// How many seconds a program may take.
const SECONDS_MAX: &str = "120";

/// Which HTTP a program speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Version {
    One,
    Two,
}

/// menshen with TLS before Apache, and a program with a token.
#[derive(Debug)]
struct Stage {
    /// What programs call it: scheme, host and port.
    url: String,
    token: String,
    apache: Apache,
    /// Where programs work; `tls.pem` in it is the certificate.
    dir: TempDir,
    _menshen: Menshen,
    _provider: OidcProvider,
    _wecom: WeCom,
}

/// What became of a program.
#[derive(Debug)]
struct CommandOutput {
    good: bool,
    /// What it said on both streams.
    said: String,
}

impl Stage {
    async fn start() -> Self {
        let wecom = WeCom::start(Options::default()).await.unwrap();
        let provider = OidcProvider::start(json!({})).await;
        let token = provider.token_of_a_program(AUDIENCE).await;
        let apache = Apache::start().await;
        let made = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
        let (certificate, key) = (made.cert.pem(), made.signing_key.serialize_pem());
        let menshen = Menshen::built(Clock::system(), |url, dir| {
            dir.write("tls.pem", &certificate);
            dir.write("tls.key", &key);
            configuration(url, dir, &wecom, &provider.issuer, apache.port)
        })
        .await;
        let dir = TempDir::new();
        dir.write("tls.pem", &certificate);
        Self {
            url: menshen.url.replace("http:", "https:"),
            token,
            apache,
            dir,
            _menshen: menshen,
            _provider: provider,
            _wecom: wecom,
        }
    }

    fn path(&self, name: &str) -> String {
        self.dir.path().join(name).display().to_string()
    }

    /// A program in the directory of the test, that knows nothing of who runs the tests.
    fn program(&self, name: &str) -> Command {
        let mut command = Command::new("timeout");
        command.env_clear().current_dir(self.dir.path());
        for known in ["PATH", "LD_LIBRARY_PATH"] {
            if let Some(value) = std::env::var_os(known) {
                command.env(known, value);
            }
        }
        command
            .env("HOME", self.dir.path())
            .env("LC_ALL", "C.UTF-8");
        command.args([SECONDS_MAX, name]);
        command
    }
}

/// Runs a program to its end.
async fn run(mut command: Command) -> CommandOutput {
    let ran = tokio::task::spawn_blocking(move || command.output()).await;
    let ran = ran.unwrap().unwrap();
    let said = [ran.stdout, ran.stderr].concat();
    CommandOutput {
        good: ran.status.success(),
        said: String::from_utf8_lossy(&said).into_owned(),
    }
}

/// The same for one that must come to a good end: what it said.
async fn done(command: Command) -> String {
    let shown = format!("{command:?}");
    let ran = run(command).await;
    assert!(ran.good, "{shown}:\n{}", ran.said);
    ran.said
}

/// A file's content that no compression makes small.
fn noise(bytes: usize) -> Vec<u8> {
    let mut state = 88_172_645_463_325_252_u64;
    let mut made = Vec::with_capacity(bytes + 8);
    while made.len() < bytes {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        made.extend_from_slice(&state.to_le_bytes());
    }
    made.truncate(bytes);
    made
}

fn configuration(url: &str, dir: &TempDir, wecom: &WeCom, issuer: &str, apache: u16) -> String {
    format!(
        r#"
        [server]
        listen = ["{listen}"]
        external_url = "https://{listen}"
        [server.tls]
        certificate = "{dir}/tls.pem"
        key = "{dir}/tls.key"

        [log]
        access = false
        [store]
        url = "sqlite://{dir}/menshen.db"

        [connector.corp.wecom]
        corp_id = "{CORP_ID}"
        agent_id = {AGENT_ID}
        secret = "{SECRET}"
        api_base = "{api}"

        [issuer.robots]
        url = "{issuer}"
        audiences = ["{AUDIENCE}"]

        [[route]]
        name = "shared"
        upstream = ["http://127.0.0.1:{apache}"]
        issuers = ["robots"]

        # svn sends no token: the network counts, and Apache asks for the account.
        [[route]]
        name = "svn"
        path = "/svn"
        upstream = ["http://127.0.0.1:{apache}"]
        access = "rule"
        allow = "in_network(request.ip, '127.0.0.0/8')"

        [[route]]
        name = "svn of another network"
        path = "/closed"
        upstream = ["http://127.0.0.1:{apache}"]
        access = "rule"
        allow = "in_network(request.ip, '10.0.0.0/8')"
        "#,
        listen = url.trim_start_matches("http://"),
        dir = dir.path().display(),
        api = wecom.base_url(),
    )
}
