//! `Menshen`: menshen started from configuration text, with a simulated WeCom and an upstream.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use menshen::clock::{Clock, Timestamp};
use menshen::config::Config;
use menshen::login::connector::Kind;
use menshen::run::Running;
use menshen::telemetry::Telemetry;

use crate::legacy_app::LegacyApp;
use crate::records::Records;
use crate::wecom::{AGENT_ID, CORP_ID, Options, SECRET, WeCom};

/// The `external_url` of most tests: logins take place on this host.
pub(crate) const SSO_URL: &str = "http://sso.test";

/// The routes of most tests: an application for every signed-in person, one for 财务部, a public one,
/// and applications on two other hosts.
pub(crate) const ROUTES: &str = r#"
[[route]]
name = "app"
host = "sso.test"
upstream = ["{app}"]

[[route]]
name = "finance"
host = "sso.test"
path = "/finance"
upstream = ["{app}"]
allow = "'财务部' in user.departments"

[[route]]
name = "public"
host = "sso.test"
path = "/public"
access = "public"
upstream = ["{app}"]

[[route]]
name = "oa"
host = "oa.test"
upstream = ["{app}"]

[[route]]
name = "hr"
host = "hr.test"
upstream = ["{app}"]
"#;

/// The table `[login]` without effective limits, for tests that log in often.
pub(crate) const NO_LOGIN_LIMITS: &str = r"
[login]
begins_per_client_per_minute = 1000000
begins_per_minute = 1000000
finishes_per_client_per_minute = 1000000
finishes_per_minute = 1000000
bad_codes_max = 1000000
";

/// A second connector to the same simulated WeCom, with the same people.
pub(crate) const SECOND_CONNECTOR: &str = r#"
[connector.other]
auto_login = "never"
[connector.other.wecom]
corp_id = "ww6d656e7368656e01"
agent_id = 1000002
secret = "simulated-secret-of-agent-1000002"
api_base = "{source}"
authorize_url = "{source}/connect/oauth2/authorize"
login_url = "{source}/wwlogin/sso/login"
"#;

/// The configuration of a test. Its texts may contain placeholders for addresses that exist only once
/// the simulated WeCom and the upstream run.
#[derive(Clone, Debug)]
pub(crate) struct Setup {
    external_url: String,
    server: String,
    session: String,
    connector: String,
    wecom: String,
    tables: String,
    routes: String,
    store: String,
    clock: Option<Clock>,
    access: bool,
    connector_kinds: Vec<(String, Arc<dyn Kind>)>,
    has_connector: bool,
}

impl Default for Setup {
    fn default() -> Self {
        Self {
            external_url: SSO_URL.to_owned(),
            server: String::new(),
            session: String::new(),
            connector: String::new(),
            wecom: String::new(),
            tables: String::new(),
            routes: ROUTES.to_owned(),
            store: "sqlite::memory:".to_owned(),
            clock: None,
            access: false,
            connector_kinds: Vec::new(),
            has_connector: true,
        }
    }
}

impl Setup {
    pub(crate) fn external_url(self, url: &str) -> Self {
        Self {
            external_url: url.to_owned(),
            ..self
        }
    }

    /// Sets lines of `[server]`.
    pub(crate) fn server(self, lines: &str) -> Self {
        Self {
            server: lines.to_owned(),
            ..self
        }
    }

    /// Sets lines of `[session]`.
    pub(crate) fn session(self, lines: &str) -> Self {
        Self {
            session: lines.to_owned(),
            ..self
        }
    }

    /// Sets lines of `[connector.corp]`.
    pub(crate) fn connector(self, lines: &str) -> Self {
        Self {
            connector: lines.to_owned(),
            ..self
        }
    }

    /// Sets lines of `[connector.corp.wecom]`.
    pub(crate) fn wecom(self, lines: &str) -> Self {
        Self {
            wecom: lines.to_owned(),
            ..self
        }
    }

    /// Sets further tables; `{source}`, `{api}`, `{authorize}` and `{login}` stand for addresses of the
    /// simulated WeCom.
    pub(crate) fn tables(self, text: &str) -> Self {
        Self {
            tables: text.to_owned(),
            ..self
        }
    }

    /// Replaces [`ROUTES`]; `{app}` stands for the address of the upstream.
    pub(crate) fn routes(self, text: &str) -> Self {
        Self {
            routes: text.to_owned(),
            ..self
        }
    }

    /// Adds routes.
    pub(crate) fn more_routes(self, text: &str) -> Self {
        Self {
            routes: format!("{}{text}", self.routes),
            ..self
        }
    }

    /// Sets the URL of the store.
    pub(crate) fn store(self, url: &str) -> Self {
        Self {
            store: url.to_owned(),
            ..self
        }
    }

    /// Uses this clock instead of a new one.
    pub(crate) fn clock(self, clock: &Clock) -> Self {
        Self {
            clock: Some(clock.clone()),
            ..self
        }
    }

    /// Adds a connector whose kind exists only in the test.
    pub(crate) fn connector_of_kind(mut self, id: &str, lines: &str, kind: Arc<dyn Kind>) -> Self {
        // The text needs a kind that the parser supports; [`Self::config`] replaces it.
        self.tables = format!(
            "{}\n[connector.{id}]\n{lines}\n[connector.{id}.oidc]\n\
             issuer = \"https://idp.test\"\nclient_id = \"menshen\"\n",
            self.tables
        );
        self.connector_kinds.push((id.to_owned(), kind));
        self
    }

    /// Leaves `[connector.corp]` out.
    pub(crate) fn without_connector(self) -> Self {
        Self {
            has_connector: false,
            ..self
        }
    }

    /// Enables the access log.
    pub(crate) fn access_log(self) -> Self {
        Self {
            access: true,
            ..self
        }
    }

    /// The text of the configuration file.
    pub(crate) fn text(&self, source: &WeCom, app: &LegacyApp) -> String {
        let Self {
            external_url,
            server,
            session,
            connector,
            wecom,
            tables,
            routes,
            store,
            clock: _,
            access,
            connector_kinds: _,
            has_connector,
        } = self;
        let routes = routes.replace("{app}", &app.base_url());
        let tables = tables
            .replace("{source}", &source.base_url())
            .replace("{api}", &source.base_url())
            .replace("{authorize}", &source.authorize_url())
            .replace("{login}", &source.login_url());
        let corp = format!(
            r#"[connector.corp]
display_name = "企业微信"
{connector}
[connector.corp.wecom]
corp_id = "{CORP_ID}"
agent_id = {AGENT_ID}
secret = "{SECRET}"
api_base = "{api}"
authorize_url = "{authorize}"
login_url = "{login}"
{wecom}
"#,
            api = source.base_url(),
            authorize = source.authorize_url(),
            login = source.login_url(),
        );
        let corp = if *has_connector { &corp } else { "" };
        format!(
            r#"
[server]
listen = ["127.0.0.1:0"]
external_url = "{external_url}"
{server}
[session]
{session}
[store]
url = "{store}"
[log]
access = {access}
{corp}
{tables}
{routes}
"#
        )
    }

    /// The parsed configuration.
    pub(crate) fn config(&self, source: &WeCom, app: &LegacyApp) -> Result<Config, String> {
        let text = self.text(source, app);
        let parsed = Config::parse(&text, "test.toml");
        let mut config = parsed.map_err(|error| error.to_string())?;
        for (id, kind) in &self.connector_kinds {
            let id = id.parse().expect("the ID of a connector");
            let connector = config
                .connector
                .get_mut(&id)
                .expect("the text has the connector");
            *connector = connector.clone().with_kind(Arc::clone(kind));
        }
        Ok(config)
    }

    /// Starts menshen, the simulated WeCom and the upstream.
    pub(crate) async fn start(self) -> Menshen {
        Menshen::start(self).await
    }
}

/// A running menshen. Dropping it stops everything.
pub(crate) struct Menshen {
    pub(crate) setup: Setup,
    pub(crate) wecom: WeCom,
    pub(crate) app: LegacyApp,
    pub(crate) clock: Clock,
    pub(crate) records: Records,
    pub(crate) running: Running,
}

impl Menshen {
    /// Menshen with the default [`Setup`].
    pub(crate) async fn new() -> Self {
        Setup::default().start().await
    }

    async fn start(setup: Setup) -> Self {
        menshen::keys::install_crypto();
        let any_port: SocketAddr = ([127, 0, 0, 1], 0).into();
        let wecom = WeCom::start(Options::default())
            .await
            .expect("the simulated WeCom starts");
        let app = LegacyApp::start(any_port, "应用")
            .await
            .expect("the upstream starts");
        let host = setup.external_url.split_once("://").expect("a URL").1;
        wecom.set_agent_domains(AGENT_ID, &[host]);
        let clock = setup.clock.clone();
        let clock = clock.unwrap_or_else(|| Clock::manual(Timestamp::from_unix_s(1_800_000_000)));
        let records = Records::default();
        let config = setup.config(&wecom, &app);
        let config = config.unwrap_or_else(|error| panic!("{error}"));
        let running = start(config, &clock, &records).await;
        Self {
            setup,
            wecom,
            app,
            clock,
            records,
            running,
        }
    }

    /// The address of its first listener.
    pub(crate) fn address(&self) -> SocketAddr {
        self.running.addresses()[0]
    }

    /// Advances the clocks of menshen and of the simulated WeCom.
    pub(crate) fn advance(&self, by: Duration) {
        self.clock.advance(by);
        self.wecom.advance(by);
    }

    /// All records of the audit log, oldest first.
    pub(crate) fn audit(&self) -> Vec<serde_json::Value> {
        self.running.live().services().telemetry.flush();
        self.records.audit()
    }

    /// Loads another configuration, as SIGHUP does.
    pub(crate) async fn reload(&self, setup: &Setup) -> Result<(), String> {
        let config = setup.config(&self.wecom, &self.app)?;
        let outcome = self.running.reload(config).await;
        outcome
            .map(drop)
            .map_err(|error| menshen::telemetry::error_chain(&error).to_string())
    }
}

async fn start(config: Config, clock: &Clock, records: &Records) -> Running {
    let telemetry = Telemetry::writing_to(&config.log, Box::new(records.clone()));
    menshen::run::start_with_telemetry(config, clock.clone(), telemetry)
        .await
        .expect("menshen starts")
}

/// Starts an instance of menshen from configuration text alone, without WeCom and an upstream.
pub(crate) async fn run(text: &str, clock: &Clock) -> Running {
    let config = Config::parse(text, "test.toml").unwrap_or_else(|error| panic!("{error}\n{text}"));
    start(config, clock, &Records::default()).await
}
