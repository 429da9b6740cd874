//! OpenID Connect with two real providers: npm's certified oidc-provider over plain HTTP, and
//! Keycloak with Chromium. `tests/peers/op/install` installs both.

mod key_rotation;
pub(crate) mod keycloak;
pub(crate) mod oidc_provider;
mod outage;
mod provider_behaviour;
mod refreshing;
mod signing_in;
mod signing_out;

use std::time::{Duration, Instant};

use menshen::clock::Clock;
use tokio::task::JoinSet;

use super::legacy_app::LegacyApp;
use super::processes::TempDir;
use super::setup::{Menshen, common_tables, routes_by_group};
use super::visitor;

/// The client registered at both providers, and its secret.
const CLIENT_ID: &str = "menshen";
const CLIENT_SECRET: &str = "secret-of-the-client-menshen";

/// menshen in front of an application, with one connector to a provider.
#[derive(Debug)]
pub(crate) struct Stage {
    /// The public origin.
    pub(crate) url: String,
    _menshen: Menshen,
    _app: LegacyApp,
    clock: Clock,
    /// The task that advances the clock; it stops with the stage.
    _going: JoinSet<()>,
}

/// How often the clock is synchronised.
const TICK: Duration = Duration::from_millis(10);

impl Stage {
    /// Starts with the usual client and further lines of the connector's table.
    async fn start(issuer: &str, lines: &str) -> Self {
        let secret = format!("client_secret = '{CLIENT_SECRET}'");
        Self::start_as(issuer, &format!("{secret}\n{lines}")).await
    }

    /// Starts with all lines that follow the client's ID.
    async fn start_as(issuer: &str, lines: &str) -> Self {
        let table = format!(
            "[connector.corp.oidc]\nissuer = '{issuer}'\nclient_id = '{CLIENT_ID}'\n{lines}"
        );
        Self::start_with(&table).await
    }

    /// Starts with these tables of the connector.
    async fn start_with(tables: &str) -> Self {
        Self::built(tables, "http").await
    }

    /// Starts with TLS and a self-signed certificate.
    async fn start_secure(issuer: &str, lines: &str) -> Self {
        let table = format!("[connector.corp.oidc]\nissuer = '{issuer}'\n{lines}");
        let client = format!("client_id = '{CLIENT_ID}'\nclient_secret = '{CLIENT_SECRET}'");
        Self::built(&format!("{table}\n{client}"), "https").await
    }

    /// Starts with TLS and these tables of the connector.
    pub(crate) async fn start_secure_with(tables: &str) -> Self {
        Self::built(tables, "https").await
    }

    async fn built(tables: &str, scheme: &str) -> Self {
        let app = LegacyApp::start(([127, 0, 0, 1], 0).into(), "应用")
            .await
            .unwrap();
        let clock = Clock::manual(Clock::system().now());
        let mut going = JoinSet::new();
        going.spawn(go(clock.clone()));
        let menshen = Menshen::built(clock.clone(), |url, dir| {
            let external = url.replace("http", scheme);
            format!(
                "{}{}",
                configuration(tables, &external, dir, &app),
                if scheme == "https" {
                    certificate(dir)
                } else {
                    String::new()
                }
            )
        })
        .await;
        Self {
            url: menshen.url.replace("http", scheme),
            _menshen: menshen,
            _app: app,
            clock,
            _going: going,
        }
    }

    /// The URL of a path at menshen.
    pub(crate) fn at(&self, path: &str) -> String {
        format!("{}{path}", self.url)
    }

    /// Advances the clock of menshen, but not of the provider.
    pub(crate) fn advance(&self, seconds: u64) {
        self.clock.advance(Duration::from_secs(seconds));
    }
}

fn configuration(tables: &str, url: &str, dir: &TempDir, app: &LegacyApp) -> String {
    format!(
        r#"
        {common}
        [connector.corp]
        display_name = "公司账号"
        {tables}

        {routes}
        [[route]]
        name = "api"
        path = "/api"
        strip_path = true
        pass_access_token = true
        upstream = ["{app}"]
        "#,
        common = common_tables(url, dir),
        routes = routes_by_group(app),
        app = app.base_url(),
    )
}

/// Advances the clock with real time, because tokens that a provider issues now must not be in the
/// future.
async fn go(clock: Clock) {
    let mut ticks = tokio::time::interval(TICK);
    let mut last = Instant::now();
    loop {
        ticks.tick().await;
        // Whole milliseconds, the resolution of the clock.
        let gone = Duration::from_millis(u64::try_from(last.elapsed().as_millis()).unwrap());
        clock.advance(gone);
        last += gone;
    }
}

fn certificate(dir: &TempDir) -> String {
    let made = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
    let certificate = dir.write("tls.pem", &made.cert.pem());
    let key = dir.write("tls.key", &made.signing_key.serialize_pem());
    format!(
        "[server.tls]\ncertificate = '{}'\nkey = '{}'\n",
        certificate.display(),
        key.display()
    )
}
