//! A menshen in the test process, built from a configuration text.

use menshen::clock::Clock;
use menshen::config::Config;
use menshen::people::administrators::Administrators;
use menshen::people::local_people::LocalPeople;
use menshen::run::{self, Running, StartError};
use menshen::site::settings::{Author, Change, ConnectorTable, Means, Precondition};
use menshen::store::SessionsQuery;

use super::legacy_app::LegacyApp;
use super::processes::{TempDir, free_ports};
use super::wecom::{AGENT_ID, CORP_ID, SECRET, WeCom};

/// The variable parts of the configuration.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Setup<'a> {
    /// The external URL; `None` uses the listener's address.
    pub(crate) external_url: Option<&'a str>,
    /// Further lines of `[server]`.
    pub(crate) server: &'a str,
    /// Routes and other tables after the connector.
    pub(crate) rest: &'a str,
}

/// A running menshen, stopped when dropped.
#[derive(Debug)]
pub(crate) struct Menshen {
    /// The origin of its listener.
    pub(crate) url: String,
    /// The configuration text it was started with.
    text: String,
    running: Running,
    _dir: TempDir,
}

impl Menshen {
    /// Starts menshen with one connector to the simulated WeCom.
    pub(crate) async fn start(wecom: &WeCom, setup: Setup<'_>) -> Self {
        Self::built(Clock::system(), |url, dir| {
            let external = setup.external_url.unwrap_or(url);
            let (_, host) = external.split_once("://").unwrap();
            wecom.set_agent_domains(AGENT_ID, &[host]);
            configuration(wecom, setup, dir, url, external)
        })
        .await
    }

    /// Starts menshen from a function of its listen address and directory.
    pub(crate) async fn built(clock: Clock, text: impl Fn(&str, &TempDir) -> String) -> Self {
        for _ in 0..100 {
            let url = format!("http://127.0.0.1:{}", free_ports(1));
            let dir = TempDir::new();
            let text = text(&url, &dir);
            let config = Config::parse(&text, "menshen.toml").unwrap_or_else(|e| panic!("{e}"));
            match run::start(config, clock.clone()).await {
                Ok(running) => {
                    return Self {
                        url,
                        text,
                        running,
                        _dir: dir,
                    };
                }
                // Another process took the port.
                Err(StartError::Bind(_)) => {}
                Err(error) => panic!("menshen does not start: {error:?}"),
            }
        }
        panic!("menshen finds no port");
    }

    /// The local administrators of the console.
    pub(crate) fn administrators(&self) -> Administrators {
        self.running.live().services().people.administrators()
    }

    /// Puts a managed connector, or replaces it.
    pub(crate) async fn put(&self, id: &str, table: serde_json::Value) {
        let serde_json::Value::Object(table) = table else {
            panic!("a connector is a table");
        };
        let change = Change::Put {
            id: id.parse().unwrap(),
            settings: ConnectorTable::from(table),
        };
        let author = Author {
            name: "deploy".to_owned(),
            means: Means::Api,
            client: None,
        };
        let changed = self
            .running
            .live()
            .change(change, Precondition::None, &author);
        changed.await.unwrap();
    }

    /// The number of sessions of people.
    pub(crate) async fn session_count(&self) -> usize {
        let sessions = &self.running.live().services().sessions;
        let query = SessionsQuery {
            max: 100,
            ..SessionsQuery::default()
        };
        sessions.list(&query).await.unwrap().len()
    }

    /// The address of the console.
    pub(crate) fn console_url(&self) -> String {
        let address = self.running.console_address().unwrap();
        format!("http://{address}/console")
    }

    /// The people of a connector whose passwords the store keeps.
    pub(crate) fn local_people(&self, connector: &str) -> LocalPeople {
        let site = self.running.live().site();
        let entry = site.login.entry(&connector.parse().unwrap()).unwrap();
        entry.connector.local_people().unwrap().clone()
    }

    /// Reloads with a changed configuration.
    pub(crate) async fn reload(&self, change: impl FnOnce(&str) -> String) {
        let config = Config::parse(&change(&self.text), "menshen.toml").unwrap();
        self.running.reload(config).await.unwrap();
    }
}

/// The tables of a menshen with this URL, and its store in a directory.
pub(crate) fn common_tables(url: &str, dir: &TempDir) -> String {
    format!(
        r#"
        [server]
        listen = ["{listen}"]
        external_url = "{url}"

        [log]
        access = false

        [store]
        url = "sqlite://{dir}/menshen.db"
        "#,
        listen = url.split_once("://").unwrap().1,
        dir = dir.path().display(),
    )
}

/// A route to an application for everybody, and one for 财务部.
pub(crate) fn routes_by_group(app: &LegacyApp) -> String {
    let app = app.base_url();
    format!(
        r#"
        [[route]]
        name = "app"
        upstream = ["{app}"]

        [[route]]
        name = "finance"
        path = "/finance"
        upstream = ["{app}"]
        allow = "'财务部' in user.groups"
        "#
    )
}

fn configuration(
    wecom: &WeCom,
    setup: Setup<'_>,
    dir: &TempDir,
    url: &str,
    external: &str,
) -> String {
    format!(
        r#"
        [server]
        listen = ["{listen}"]
        external_url = "{external}"
        {server}

        [log]
        access = false

        [store]
        url = "sqlite://{dir}/menshen.db"

        [connector.corp]
        display_name = "企业微信（模拟）"
        [connector.corp.wecom]
        corp_id = "{CORP_ID}"
        agent_id = {AGENT_ID}
        secret = "{SECRET}"
        api_base = "{api}"
        authorize_url = "{authorize}"
        login_url = "{login}"

        {rest}
        "#,
        listen = url.trim_start_matches("http://"),
        server = setup.server,
        dir = dir.path().display(),
        api = wecom.base_url(),
        authorize = wecom.authorize_url(),
        login = wecom.login_url(),
        rest = setup.rest,
    )
}
