//! npm's certified oidc-provider, one process for each test, on its own port.

use std::process::Command;

use reqwest::Method;
use serde_json::{Value, json};
use url::Url;

use super::super::processes::{Program, counterparts};
use super::visitor::{Page, Visitor};
use super::{CLIENT_ID, CLIENT_SECRET};

/// Settings of the connector besides the client.
pub(super) const SETTINGS: &str = "scopes = ['openid', 'profile', 'email', 'groups']";

/// The configuration of an `oidc` connector.
pub(super) fn openid(issuer: &str) -> String {
    format!(
        "[connector.corp.oidc]
        issuer = '{issuer}'
        client_id = '{CLIENT_ID}'
        client_secret = '{CLIENT_SECRET}'
        {SETTINGS}"
    )
}

/// The configuration of an `oauth2` connector to the same provider.
pub(super) fn only_oauth2(issuer: &str) -> String {
    format!(
        "[connector.corp.mapping]
        login = 'profile.preferred_username'
        name = 'profile.name'
        email = 'profile.email'
        groups = 'profile.groups'
        [connector.corp.oauth2]
        client_id = '{CLIENT_ID}'
        client_secret = '{CLIENT_SECRET}'
        authorize_url = '{issuer}/auth'
        token_url = '{issuer}/token'
        profile_url = '{issuer}/me'
        subject = 'profile.sub'
        {SETTINGS}"
    )
}

/// A running provider, stopped when dropped.
#[derive(Debug)]
pub(crate) struct OidcProvider {
    pub(crate) issuer: String,
    client: reqwest::Client,
    program: Option<Program>,
}

impl OidcProvider {
    /// Starts a provider with options of `provider.mjs`.
    pub(crate) async fn start(wishes: Value) -> Self {
        menshen::keys::install_crypto();
        let installed = counterparts();
        let mut command = Command::new(installed.join("bin/node"));
        let launcher = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/peers/op/provider.mjs");
        command
            .arg(launcher)
            .arg(installed.join("npm"))
            .arg(wishes.to_string());
        let mut program = Program::start_stopped_by_stdin("oidc-provider", &mut command);
        let issuer = program.line(|line| Some(line.strip_prefix("issuer ")?.to_owned()));
        let provider = Self {
            issuer: issuer.expect("oidc-provider ended"),
            client: reqwest::Client::builder().no_proxy().build().unwrap(),
            program: Some(program),
        };
        let groups = json!(["研发中心", "财务部"]);
        let zhangsan = json!({
            "preferred_username": "zhangsan", "name": "张三", "groups": groups,
            "email": "zhangsan@corp.example", "email_verified": true,
        });
        provider.is("zhangsan", &zhangsan).await;
        let lisi = json!({ "preferred_username": "lisi", "name": "李四" });
        provider.is("lisi", &lisi).await;
        provider
    }

    /// Registers menshen at this URL as a client.
    pub(super) async fn register(&self, menshen: &str) {
        self.register_with(menshen, json!({})).await;
    }

    /// Registers with further client metadata (RFC 7591); null removes a value.
    pub(crate) async fn register_with(&self, menshen: &str, more: Value) {
        let mut client = json!({
            "client_id": CLIENT_ID,
            "client_secret": CLIENT_SECRET,
            "redirect_uris": [format!("{menshen}/.menshen/callback/corp")],
            "post_logout_redirect_uris": [format!("{menshen}/.menshen/sign_out")],
            "grant_types": ["authorization_code", "refresh_token"],
            "response_types": ["code"],
            "backchannel_logout_uri": format!("{menshen}/.menshen/backchannel-logout/corp"),
            "backchannel_logout_session_required": true,
        });
        for (name, value) in more.as_object().unwrap() {
            client[name] = value.clone();
        }
        client
            .as_object_mut()
            .unwrap()
            .retain(|_, value| !value.is_null());
        self.control(Method::PUT, "client", Some(&client)).await;
    }

    /// An access token of a program for this audience.
    pub(crate) async fn token_of_a_program(&self, audience: &str) -> String {
        let client = json!({
            "client_id": "robot", "client_secret": CLIENT_SECRET, "redirect_uris": [],
            "response_types": [], "grant_types": ["client_credentials"],
        });
        self.control(Method::PUT, "client", Some(&client)).await;
        let form = [("grant_type", "client_credentials"), ("resource", audience)];
        let request = self
            .client
            .post(format!("{}/token", self.issuer))
            .form(&form);
        let request = request.basic_auth("robot", Some(CLIENT_SECRET));
        let answer: Value = request.send().await.unwrap().json().await.unwrap();
        let token = answer["access_token"].as_str();
        token
            .unwrap_or_else(|| panic!("no token: {answer}"))
            .to_owned()
    }

    /// Sets the claims of a person.
    pub(super) async fn is(&self, id: &str, claims: &Value) {
        self.control(Method::PUT, &format!("person/{id}"), Some(claims))
            .await;
    }

    /// Removes a person.
    pub(super) async fn gone(&self, id: &str) {
        self.control(Method::DELETE, &format!("person/{id}"), None)
            .await;
    }

    /// Signs with a new key, and keeps or removes the published old ones.
    pub(super) async fn rotate_keys(&self, keep: bool) {
        let path = if keep { "keys?keep=1" } else { "keys" };
        self.control(Method::POST, path, None).await;
    }

    /// The number of token requests with this grant and result.
    pub(super) async fn asked(&self, grant: &str, good: bool) -> usize {
        let all = self.all_asked().await;
        let same = |one: &&Value| one["grant"] == grant && one["good"] == good;
        all.iter().filter(same).count()
    }

    /// Whether an access token is still valid.
    pub(super) async fn honours(&self, token: &str) -> bool {
        let url = format!("{}/token/introspection", self.issuer);
        let request = self.client.post(url).form(&[("token", token)]);
        let request = request.basic_auth(CLIENT_ID, Some(CLIENT_SECRET));
        let answer: Value = request.send().await.unwrap().json().await.unwrap();
        answer["active"] == true
    }

    /// For each back-channel logout, whether the client accepted it.
    pub(super) async fn told_of_logout(&self) -> Vec<bool> {
        let all = self.all_asked().await;
        let told = all.iter().filter(|one| one["backchannel"] == true);
        told.map(|one| one["good"].as_bool().unwrap()).collect()
    }

    async fn all_asked(&self) -> Vec<Value> {
        let all = self.control(Method::GET, "asked", None).await;
        serde_json::from_str(&all).unwrap()
    }

    /// Stops the provider.
    pub(super) fn stop(&mut self) {
        self.program = None;
    }

    /// Starts the provider again at the same URL, with new keys and without state.
    pub(super) async fn start_again(&mut self) {
        let url: Url = self.issuer.parse().unwrap();
        let again = Self::start(json!({ "port": url.port() })).await;
        assert_eq!(again.issuer, self.issuer);
        *self = again;
    }

    async fn control(&self, method: Method, path: &str, body: Option<&Value>) -> String {
        let url = format!("{}/control/{path}", self.issuer);
        let mut request = self.client.request(method, url);
        if let Some(body) = body {
            request = request.json(body);
        }
        let answer = request.send().await.unwrap().error_for_status().unwrap();
        answer.text().await.unwrap()
    }
}

/// Follows the redirects from a requested URL to the provider's page.
pub(super) async fn to_provider(visitor: &mut Visitor, url: &str) -> Page {
    let chooser = visitor.open(url).await;
    visitor.open(&chooser.link("connector=corp")).await
}

/// Signs in from a requested URL to the final page; the person `nobody` declines.
pub(super) async fn sign_in(visitor: &mut Visitor, url: &str, person: &str) -> Page {
    let page = to_provider(visitor, url).await;
    visitor.submit(&page, &[("person", person)]).await
}
