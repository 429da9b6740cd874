//! Keycloak: one server for all tests, because it starts slowly, and one realm for each test.

use std::process::Command;
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::Duration;

use menshen::keys;
use menshen::store::SessionId;
use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};

use super::super::processes::{Program, counterparts};
use super::super::webdriver::Browser;
use super::CLIENT_ID;
use super::visitor::{Page, Visitor};

/// The version that `install` downloads.
const DIRECTORY: &str = "keycloak-26.0.8";
/// The time-out of a start, which takes seconds on an idle machine.
const START: Duration = Duration::from_secs(180);
/// The template of every realm.
const REALM: &str = include_str!("realm.json");

/// The running server; it ends with this process.
struct Server {
    address: String,
    program: Mutex<Program>,
}

fn server() -> &'static Server {
    static SERVER: OnceLock<Option<Server>> = OnceLock::new();
    let server = SERVER.get_or_init(|| {
        let mut command = Command::new(concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/tests/peers/op/keycloak"
        ));
        command.arg("run").arg(counterparts().join(DIRECTORY));
        let mut program = Program::start_stopped_by_stdin("keycloak", &mut command);
        let address = program.line_within(START, |line| {
            let (_, address) = line.split_once("Listening on: ")?;
            Some(address.trim().to_owned())
        });
        if address.is_none() {
            program.show();
        }
        Some(Server {
            address: address?,
            program: Mutex::new(program),
        })
    });
    server
        .as_ref()
        .expect("Keycloak does not start; tests/run installs it")
}

/// The realm of one test.
#[derive(Debug)]
pub(crate) struct Realm {
    pub(crate) issuer: String,
    name: String,
    client: reqwest::Client,
}

impl Realm {
    /// Chooses a name; [`Realm::open`] creates the realm.
    pub(crate) fn new() -> Self {
        keys::install_crypto();
        let server = tokio::task::block_in_place(server);
        let name = format!("corp-{}", SessionId::new(keys::random())).to_lowercase();
        Self {
            issuer: format!("{}/realms/{name}", server.address),
            name,
            client: reqwest::Client::builder().no_proxy().build().unwrap(),
        }
    }

    /// Creates the realm with menshen at this URL as its client.
    pub(crate) async fn open(&self, menshen: &str) {
        let text = REALM.replace("{menshen}", menshen);
        let mut realm: Value = serde_json::from_str(&text).unwrap();
        realm["realm"] = json!(self.name);
        self.ask(Method::POST, "", Some(&realm)).await;
    }

    /// Adds a new signing key.
    pub(crate) async fn add_key(&self) {
        self.make_key("RS256").await;
    }

    async fn make_key(&self, algorithm: &str) {
        let realm = self.of_realm(Method::GET, "", None).await;
        let key = json!({
            "name": format!("newer {algorithm}"), "providerId": "rsa-generated",
            "providerType": "org.keycloak.keys.KeyProvider", "parentId": realm["id"],
            "config": { "priority": ["200"], "enabled": ["true"], "active": ["true"],
                "algorithm": [algorithm], "keySize": ["2048"] },
        });
        self.of_realm(Method::POST, "/components", Some(&key)).await;
    }

    /// Removes the original signing key.
    pub(crate) async fn forget_first_key(&self) {
        let path = "/components?type=org.keycloak.keys.KeyProvider&name=rsa-generated";
        let found = self.of_realm(Method::GET, path, None).await;
        let id = found[0]["id"].as_str().unwrap();
        self.of_realm(Method::DELETE, &format!("/components/{id}"), None)
            .await;
    }

    /// Signs ID tokens with another algorithm.
    pub(super) async fn sign_with(&self, algorithm: &str) {
        if algorithm.starts_with("PS") {
            // Otherwise Keycloak creates a key during the login, which takes long.
            self.make_key(algorithm).await;
        }
        let path = format!("/clients?clientId={CLIENT_ID}");
        let mut client = self.of_realm(Method::GET, &path, None).await[0].take();
        client["attributes"]["id.token.signed.response.alg"] = json!(algorithm);
        let path = format!("/clients/{}", client["id"].as_str().unwrap());
        self.of_realm(Method::PUT, &path, Some(&client)).await;
    }

    /// Removes a person from a top-level group.
    pub(super) async fn leave(&self, person: &str, group: &str) {
        let person = self.person(person).await;
        let groups = self
            .of_realm(Method::GET, &format!("/users/{person}/groups"), None)
            .await;
        let mut groups = groups.as_array().unwrap().iter();
        let group = groups.find(|one| one["name"] == group).unwrap();
        let path = format!("/users/{person}/groups/{}", group["id"].as_str().unwrap());
        self.of_realm(Method::DELETE, &path, None).await;
    }

    /// Ends all sessions of a person as an administrator.
    pub(crate) async fn end_sessions(&self, person: &str) {
        let person = self.person(person).await;
        self.of_realm(Method::POST, &format!("/users/{person}/logout"), None)
            .await;
    }

    /// The number of sessions of a person.
    pub(super) async fn sessions(&self, person: &str) -> usize {
        let person = self.person(person).await;
        let path = format!("/users/{person}/sessions");
        let sessions = self.of_realm(Method::GET, &path, None).await;
        sessions.as_array().unwrap().len()
    }

    /// Disables the account.
    pub(super) async fn disable(&self, person: &str) {
        let path = format!("/users/{}", self.person(person).await);
        let body = json!({ "enabled": false });
        self.of_realm(Method::PUT, &path, Some(&body)).await;
    }

    async fn person(&self, name: &str) -> String {
        let path = format!("/users?exact=true&username={name}");
        let found = self.of_realm(Method::GET, &path, None).await;
        found[0]["id"].as_str().unwrap().to_owned()
    }

    pub(crate) async fn of_realm(&self, method: Method, path: &str, body: Option<&Value>) -> Value {
        self.ask(method, &format!("/{}{path}", self.name), body)
            .await
    }

    /// The client that Keycloak reads from the metadata of a SAML service, as its console does.
    pub(crate) async fn client_of_metadata(&self, metadata: String) -> Value {
        let path = format!("/{}/client-description-converter", self.name);
        let body = reqwest::Body::from(metadata);
        self.send(Method::POST, &path, |request| {
            request.header("content-type", "text/plain").body(body)
        })
        .await
    }

    /// Sends a request as the administrator.
    async fn ask(&self, method: Method, path: &str, body: Option<&Value>) -> Value {
        self.send(method, path, |request| match body {
            Some(body) => request.json(body),
            None => request,
        })
        .await
    }

    async fn send(
        &self,
        method: Method,
        path: &str,
        with_body: impl FnOnce(RequestBuilder) -> RequestBuilder,
    ) -> Value {
        let server = server();
        let form = [
            ("grant_type", "password"),
            ("client_id", "admin-cli"),
            ("username", "admin"),
            ("password", "admin"),
        ];
        let token_url = format!(
            "{}/realms/master/protocol/openid-connect/token",
            server.address
        );
        let token = self.client.post(token_url).form(&form).send().await;
        let token: Value = token.unwrap().json().await.unwrap();
        let url = format!("{}/admin/realms{path}", server.address);
        let request = self
            .client
            .request(method, &url)
            .bearer_auth(token["access_token"].as_str().unwrap());
        let answer = with_body(request).send().await.unwrap();
        let (status, text) = (answer.status(), answer.text().await.unwrap());
        assert!(status.is_success(), "{url}: {status} {text}");
        serde_json::from_str(&text).unwrap_or_default()
    }
}

impl Drop for Realm {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let program = &server().program;
            program
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .show();
        }
    }
}

/// Signs in at Keycloak's page.
pub(crate) async fn sign_in(browser: &Browser, person: &str) {
    browser.click("main a[href*='connector=']").await;
    browser.fill("#username", person).await;
    browser
        .fill("#password", &format!("{person}-password"))
        .await;
    browser.click("#kc-login").await;
}

/// Signs in without a browser, from the requested URL to the final page.
pub(super) async fn sign_in_over_http(visitor: &mut Visitor, url: &str, person: &str) -> Page {
    let chooser = visitor.open(url).await;
    let page = visitor.open(&chooser.link("connector=corp")).await;
    let password = format!("{person}-password");
    let filled = [("username", person), ("password", &password)];
    visitor.submit(&page, &filled).await
}
