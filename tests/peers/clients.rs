//! Programs of users, unchanged: git, svn, rclone over WebDAV, and curl, with Debian's Apache
//! behind menshen. Programs send a bearer token of a real provider or the access token of a person; for
//! programs that can do neither, the client's network is the rule.

mod access_tokens;
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

/// The audience of the tests' tokens.
const AUDIENCE: &str = "urn:menshen:tests";
/// The time limit of a program.
const SECONDS_MAX: &str = "120";

/// The HTTP version of a program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Version {
    One,
    Two,
}

/// menshen with TLS in front of Apache, and a program's token.
#[derive(Debug)]
struct Stage {
    /// The public origin.
    url: String,
    token: String,
    apache: Apache,
    /// The working directory of programs; `tls.pem` in it is the certificate.
    dir: TempDir,
    _menshen: Menshen,
    _provider: OidcProvider,
    _wecom: WeCom,
}

/// The result of a program.
#[derive(Debug)]
struct CommandOutput {
    good: bool,
    /// The output on both streams.
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
            wecom.set_agent_domains(AGENT_ID, &[url.trim_start_matches("http://")]);
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

    /// A program in the test's directory, without the environment of the user who runs the tests.
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

/// Runs a program that must succeed and returns its output.
async fn done(command: Command) -> String {
    let shown = format!("{command:?}");
    let ran = run(command).await;
    assert!(ran.good, "{shown}:\n{}", ran.said);
    ran.said
}

/// Content that does not compress.
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
        authorize_url = "{authorize}"
        login_url = "{login}"

        [issuer.robots]
        url = "{issuer}"
        audiences = ["{AUDIENCE}"]

        [[route]]
        name = "shared"
        upstream = ["http://127.0.0.1:{apache}"]
        issuers = ["robots"]

        [[route]]
        name = "people"
        path = "/people"
        upstream = ["http://127.0.0.1:{apache}"]
        access_tokens = true

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
        authorize = wecom.authorize_url(),
        login = wecom.login_url(),
    )
}
