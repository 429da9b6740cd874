//! `Menshen`: a whole menshen from configuration text, with a simulated WeCom and an upstream.

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

/// The host that logs people in, in every test.
pub(crate) const HOME: &str = "http://sso.test";

/// The routes most tests use: an application for everybody who is signed in, one for 财务部, one
/// for the public, and one on another host.
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

/// For tests that log in more often than people do.
pub(crate) const UNLIMITED: &str = r"
[login]
begins_per_client_per_minute = 1000000
begins_per_minute = 1000000
finishes_per_client_per_minute = 1000000
finishes_per_minute = 1000000
bad_codes_max = 1000000
";

/// A second connector to the same source, with the same people.
pub(crate) const OTHER_CONNECTOR: &str = r#"
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

/// How an instance of menshen is built: text with places for what is known only when everything runs.
#[derive(Clone, Debug)]
pub(crate) struct Setup {
    external_url: String,
    server: String,
    session: String,
    connector: String,
    wecom: String,
    more: String,
    routes: String,
    store: String,
    clock: Option<Clock>,
    access: bool,
    provided: Vec<(String, Arc<dyn Kind>)>,
}

impl Default for Setup {
    fn default() -> Self {
        Self {
            external_url: HOME.to_owned(),
            server: String::new(),
            session: String::new(),
            connector: String::new(),
            wecom: String::new(),
            more: String::new(),
            routes: ROUTES.to_owned(),
            store: "sqlite::memory:".to_owned(),
            clock: None,
            access: false,
            provided: Vec::new(),
        }
    }
}

impl Setup {
    /// What browsers type.
    pub(crate) fn external_url(self, url: &str) -> Self {
        Self {
            external_url: url.to_owned(),
            ..self
        }
    }

    /// Lines of `[server]`.
    pub(crate) fn server(self, lines: &str) -> Self {
        Self {
            server: lines.to_owned(),
            ..self
        }
    }

    /// Lines of `[session]`.
    pub(crate) fn session(self, lines: &str) -> Self {
        Self {
            session: lines.to_owned(),
            ..self
        }
    }

    /// Lines of `[connector.corp]`.
    pub(crate) fn connector(self, lines: &str) -> Self {
        Self {
            connector: lines.to_owned(),
            ..self
        }
    }

    /// Lines of `[connector.corp.wecom]`.
    pub(crate) fn wecom(self, lines: &str) -> Self {
        Self {
            wecom: lines.to_owned(),
            ..self
        }
    }

    /// Further tables; `{source}`, `{api}`, `{authorize}` and `{login}` are the source's addresses.
    pub(crate) fn more(self, text: &str) -> Self {
        Self {
            more: text.to_owned(),
            ..self
        }
    }

    /// Routes instead of [`ROUTES`]; `{app}` is the upstream's address.
    pub(crate) fn routes(self, text: &str) -> Self {
        Self {
            routes: text.to_owned(),
            ..self
        }
    }

    /// Where the store is.
    pub(crate) fn store(self, url: &str) -> Self {
        Self {
            store: url.to_owned(),
            ..self
        }
    }

    /// The time of somebody else, instead of a clock of its own.
    pub(crate) fn clock(self, clock: &Clock) -> Self {
        Self {
            clock: Some(clock.clone()),
            ..self
        }
    }

    /// With a connector that no document can name: a source of the test's own.
    pub(crate) fn provided(mut self, id: &str, lines: &str, kind: Arc<dyn Kind>) -> Self {
        // A document is of some kind; [`Self::config`] puts the connector in its place.
        self.more = format!(
            "{}\n[connector.{id}]\n{lines}\n[connector.{id}.oidc]\n\
             issuer = \"https://idp.test\"\nclient_id = \"menshen\"\n",
            self.more
        );
        self.provided.push((id.to_owned(), kind));
        self
    }

    /// With a record of every request among its records.
    pub(crate) fn access_log(self) -> Self {
        Self {
            access: true,
            ..self
        }
    }

    /// The configuration as an operator would write it.
    pub(crate) fn text(&self, source: &WeCom, app: &LegacyApp) -> String {
        let Self {
            external_url,
            server,
            session,
            connector,
            wecom,
            more,
            routes,
            store,
            clock: _,
            access,
            provided: _,
        } = self;
        let routes = routes.replace("{app}", &app.base_url());
        let more = more
            .replace("{source}", &source.base_url())
            .replace("{api}", &source.base_url())
            .replace("{authorize}", &source.authorize_url())
            .replace("{login}", &source.login_url());
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
[connector.corp]
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
{more}
{routes}
"#,
            api = source.base_url(),
            authorize = source.authorize_url(),
            login = source.login_url(),
        )
    }

    /// The configuration as the program has it.
    pub(crate) fn config(&self, source: &WeCom, app: &LegacyApp) -> Result<Config, String> {
        let text = self.text(source, app);
        let parsed = Config::parse(&text, "test.toml");
        let mut config = parsed.map_err(|error| error.to_string())?;
        for (id, kind) in &self.provided {
            let id = id.parse().expect("the id of a connector");
            let connector = config.connector.get_mut(&id).expect("it stands there");
            *connector = connector.clone().with_kind(Arc::clone(kind));
        }
        Ok(config)
    }

    /// Builds and starts everything.
    pub(crate) async fn start(self) -> Menshen {
        Menshen::start(self).await
    }
}

/// A running menshen. Dropping it stops everything.
pub(crate) struct Menshen {
    pub(crate) setup: Setup,
    pub(crate) source: WeCom,
    pub(crate) app: LegacyApp,
    pub(crate) clock: Clock,
    pub(crate) records: Records,
    pub(crate) running: Running,
}

impl Menshen {
    /// menshen most tests live in.
    pub(crate) async fn new() -> Self {
        Setup::default().start().await
    }

    async fn start(setup: Setup) -> Self {
        menshen::keys::install_crypto();
        let free: SocketAddr = ([127, 0, 0, 1], 0).into();
        let source = WeCom::start(Options::default())
            .await
            .expect("the source starts");
        let app = LegacyApp::start(free, "应用")
            .await
            .expect("the upstream starts");
        let host = setup.external_url.split_once("://").expect("a URL").1;
        source.set_agent_domains(AGENT_ID, &[host]);
        let clock = setup.clock.clone();
        let clock = clock.unwrap_or_else(|| Clock::manual(Timestamp::from_unix_s(1_800_000_000)));
        let records = Records::default();
        let config = setup.config(&source, &app);
        let config = config.unwrap_or_else(|error| panic!("{error}"));
        let running = start(config, &clock, &records).await;
        Self {
            setup,
            source,
            app,
            clock,
            records,
            running,
        }
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> SocketAddr {
        self.running.addresses()[0]
    }

    /// Time passes, here and at the source.
    pub(crate) fn advance(&self, by: Duration) {
        self.clock.advance(by);
        self.source.advance(by);
    }

    /// Who came, who left and who was turned away: every audit line so far.
    pub(crate) fn audit(&self) -> Vec<serde_json::Value> {
        self.running.live().services().telemetry.flush();
        self.records.audit()
    }

    /// Serves another configuration, as SIGHUP would.
    pub(crate) async fn reload(&self, setup: &Setup) -> Result<(), String> {
        let config = setup.config(&self.source, &self.app)?;
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

/// Starts an instance of menshen from configuration text, beside an instance of menshen.
pub(crate) async fn run(text: &str, clock: &Clock) -> Running {
    let config = Config::parse(text, "test.toml").unwrap_or_else(|error| panic!("{error}\n{text}"));
    start(config, clock, &Records::default()).await
}
