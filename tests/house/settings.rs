//! Settings at run time: what the admin API changes is checked, kept, in force at once, and shows no secret.

use std::net::SocketAddr;

use menshen::clock::{Clock, Timestamp};
use menshen::config::Config;
use menshen::run::Running;
use menshen::telemetry::Telemetry;
use serde_json::{Value, json};

use crate::browser::Browser;
use crate::legacy_app::LegacyApp;
use crate::records::Records;
use crate::setup::SSO_URL;
use crate::stores::TempDir;
use crate::wecom::{AGENT_ID, CORP_ID, Options, SECRET, WeCom};
use crate::wire::{self, Answer};

mod authorities;
mod bad_requests;
mod ended;
mod file_wins;
mod keys;
mod kinds;
mod login_choices;
mod machine;
mod metrics;
mod names;
mod nodes;
mod preconditions;
mod putting;
mod refusals;
mod secrets;
mod switching;
mod trial;
mod versions;

const TOKEN: &str = "correct-horse-battery-staple";

/// A site whose file has an application and the admin API, and no connector of its own.
struct ManagedSite {
    wecom: WeCom,
    app: LegacyApp,
    clock: Clock,
    records: Records,
    store: TempDir,
    running: Running,
}

impl ManagedSite {
    async fn start() -> Self {
        Self::start_with("").await
    }

    /// `tables` are further tables of the file.
    async fn start_with(tables: &str) -> Self {
        menshen::keys::install_crypto();
        let wecom = WeCom::start(Options::default()).await.unwrap();
        let any_port: SocketAddr = ([127, 0, 0, 1], 0).into();
        let app = LegacyApp::start(any_port, "应用").await.unwrap();
        wecom.set_agent_domains(AGENT_ID, &["sso.test"]);
        let (store, clock) = (TempDir::new(), manual_clock());
        let records = Records::default();
        let text = text(&store, &app, tables);
        let running = start_node(&text, &clock, &records).await.unwrap();
        Self {
            wecom,
            app,
            clock,
            records,
            store,
            running,
        }
    }

    /// The text of the file with these further tables.
    fn text(&self, tables: &str) -> String {
        text(&self.store, &self.app, tables)
    }

    /// Starts another node with the same store.
    async fn node(&self, tables: &str) -> Result<Running, String> {
        start_node(&self.text(tables), &self.clock, &Records::default()).await
    }

    async fn reload(&self, tables: &str) -> Result<(), String> {
        let config = Config::parse(&self.text(tables), "menshen.toml");
        let config = config.map_err(|error| error.to_string())?;
        let reloaded = self.running.reload(config).await;
        let reloaded =
            reloaded.map_err(|error| menshen::telemetry::error_chain(&error).to_string());
        reloaded.map(drop)
    }

    fn address(&self) -> SocketAddr {
        self.running.addresses()[0]
    }

    /// A login that begins in the moment of a revocation is refused, so some time passes.
    fn advance(&self) {
        let second = std::time::Duration::from_secs(1);
        self.clock.advance(second);
        self.wecom.advance(second);
    }

    fn browser(&self) -> Browser {
        Browser::at(self.address())
    }

    /// Sends a request of the admin API to this node.
    async fn api(&self, method: &str, path: &str, body: &Value) -> Answer {
        self.api_with("", method, path, body).await
    }

    /// The same with further header lines.
    async fn api_with(&self, headers: &str, method: &str, path: &str, body: &Value) -> Answer {
        call(&self.running, headers, method, path, body).await
    }

    /// Puts a connector, and requires that it is accepted.
    async fn put(&self, id: &str, table: &Value) -> Answer {
        let answer = self
            .api("PUT", &format!("/api/connectors/{id}"), table)
            .await;
        assert!(
            [200, 201].contains(&answer.status),
            "{} {}",
            answer.status,
            answer.text()
        );
        answer
    }

    /// The settings of a connector with the simulated WeCom.
    fn wecom_table(&self) -> Value {
        json!({
            "display_name": "企业微信",
            "wecom": {
                "corp_id": CORP_ID,
                "agent_id": AGENT_ID,
                "secret": SECRET,
                "api_base": self.wecom.base_url(),
                "authorize_url": self.wecom.authorize_url(),
                "login_url": self.wecom.login_url(),
            },
        })
    }

    /// The same as a table of the file.
    fn wecom_toml(&self, id: &str, lines: &str) -> String {
        format!(
            "[connector.{id}]\n{lines}\n[connector.{id}.wecom]\ncorp_id = \"{CORP_ID}\"\n\
             agent_id = {AGENT_ID}\nsecret = \"{SECRET}\"\napi_base = \"{}\"\n\
             authorize_url = \"{}\"\nlogin_url = \"{}\"\n",
            self.wecom.base_url(),
            self.wecom.authorize_url(),
            self.wecom.login_url(),
        )
    }

    /// The list of connectors, each as `GET /api/connectors` shows it.
    async fn connectors(&self) -> Vec<Value> {
        let answer = self.api("GET", "/api/connectors", &Value::Null).await;
        answer.json()["connectors"].as_array().unwrap().clone()
    }

    /// The version in force, and the tag of a connector.
    async fn state_of(&self, id: &str) -> (u64, Option<String>) {
        let shown = self
            .api("GET", &format!("/api/connectors/{id}"), &Value::Null)
            .await;
        let version = self.running.live().settings().version();
        (version, shown.header("etag").map(str::to_owned))
    }

    /// The audit records of changes, oldest first.
    fn changes(&self) -> Vec<Value> {
        self.running.live().services().telemetry.flush();
        let records = self.records.audit().into_iter();
        records
            .filter(|record| record["event"] == "config")
            .collect()
    }
}

fn manual_clock() -> Clock {
    Clock::manual(Timestamp::from_unix_s(1_800_000_000))
}

fn text(store: &TempDir, app: &LegacyApp, tables: &str) -> String {
    format!(
        "[server]\nlisten = [\"127.0.0.1:0\"]\nexternal_url = \"{SSO_URL}\"\n\
         [store]\nurl = \"{}\"\n[admin]\nlisten = \"127.0.0.1:0\"\ntoken = \"{TOKEN}\"\n\
         [[route]]\nname = \"app\"\nhost = \"sso.test\"\nupstream = [\"{}\"]\n{tables}",
        store.url(),
        app.base_url(),
    )
}

async fn start_node(text: &str, clock: &Clock, records: &Records) -> Result<Running, String> {
    let config = Config::parse(text, "menshen.toml").map_err(|error| error.to_string())?;
    let telemetry = Telemetry::writing_to(&config.log, Box::new(records.clone()));
    let started = menshen::run::start_with_telemetry(config, clock.clone(), telemetry).await;
    started.map_err(|error| menshen::telemetry::error_chain(&error).to_string())
}

async fn call(node: &Running, headers: &str, method: &str, path: &str, body: &Value) -> Answer {
    let body = match body {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    let length = body.len();
    let request = format!(
        "{method} {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {TOKEN}\r\n\
         {headers}Content-Length: {length}\r\nConnection: close\r\n\r\n{body}"
    );
    wire::send(node.admin_address().unwrap(), request.as_bytes()).await
}

/// Whether a person can sign in at this address and reach the application.
async fn signs_in(mut browser: Browser) -> bool {
    let page = browser
        .sign_in(&format!("{SSO_URL}/echo"), "zhangsan")
        .await;
    page.answer.status == 200 && page.answer.text().contains("zhangsan")
}

/// A browser whose person is signed in.
async fn signed_in(site: &ManagedSite) -> Browser {
    let mut browser = site.browser();
    let page = browser
        .sign_in(&format!("{SSO_URL}/echo"), "zhangsan")
        .await;
    assert_eq!(page.answer.status, 200, "{}", page.answer.text());
    browser
}

/// The status of a page that needs a session, for a program: no redirect leads to a login.
async fn status_with_session(browser: &Browser, at: SocketAddr) -> u16 {
    let cookie = &browser.cookie("menshen").unwrap().value;
    let request = crate::test_request::TestRequest::get("/echo").session(cookie);
    request.send_to(at).await.status
}
