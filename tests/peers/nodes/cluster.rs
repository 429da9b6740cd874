//! `Cluster`: PostgreSQL, menshen processes that share it, the simulated WeCom and an application.

use std::process::Command;
use std::time::{Duration, Instant};

use reqwest::header::{COOKIE, HOST, RETRY_AFTER};
use serde_json::{Value, json};
use url::Url;

use super::super::legacy_app::LegacyApp;
use super::super::postgres::server::Server;
use super::super::processes::{Program, TempDir, free_ports, until};
use super::super::visitor::Visitor;
use super::super::wecom::{AGENT_ID, Options, WeCom};
use super::config::{ADMIN_TOKEN, NodeConfig, wecom_table};
use super::link::Link;

/// The promise for every response while the store is away, with time for a busy machine.
const RESPONSE_TIMEOUT: Duration = Duration::from_secs(15);

/// Several nodes of one site.
pub(super) struct Cluster {
    pub(super) nodes: Vec<Node>,
    pub(super) server: Server,
    pub(super) front: Front,
    pub(super) wecom: WeCom,
    _app: LegacyApp,
    dir: TempDir,
}

/// A menshen process, and its connections to PostgreSQL.
pub(super) struct Node {
    pub(super) link: Link,
    program: Program,
    port: u16,
    admin_port: u16,
    number: usize,
}

/// The session of a person, as a browser holds it.
#[derive(Clone, Debug)]
pub(super) struct Session {
    cookies: String,
    /// The public ID of the session in the admin API.
    pub(super) id: String,
}

/// A response of a node.
#[derive(Debug)]
pub(super) struct Reply {
    pub(super) status: u16,
    pub(super) has_retry_after: bool,
    pub(super) took: Duration,
}

/// The site as browsers reach it through a load balancer.
#[derive(Clone, Debug)]
pub(super) struct Front {
    authority: String,
    ports: Vec<u16>,
}

impl Front {
    /// Requests a page of the application at a node.
    pub(super) async fn get(&self, node: usize, session: &Session, path: &str) -> Reply {
        let began = Instant::now();
        let request = self.request(node, session, path).send();
        let answer = tokio::time::timeout(RESPONSE_TIMEOUT, request).await;
        let answer = answer.unwrap_or_else(|_| panic!("node {node} gives no response in time"));
        let answer = answer.unwrap_or_else(|error| panic!("node {node}: {error}"));
        Reply {
            status: answer.status().as_u16(),
            has_retry_after: answer.headers().contains_key(RETRY_AFTER),
            took: began.elapsed(),
        }
    }

    /// A request for a page of the application, from a browser whose load balancer has chosen this node.
    pub(super) fn request(
        &self,
        node: usize,
        session: &Session,
        path: &str,
    ) -> reqwest::RequestBuilder {
        self.with_session(client().get(self.url(node, path)), session)
    }

    /// Like [`Self::request`], with POST.
    pub(super) fn post(
        &self,
        node: usize,
        session: &Session,
        path: &str,
    ) -> reqwest::RequestBuilder {
        self.with_session(client().post(self.url(node, path)), session)
    }

    /// A request of a source for a node.
    pub(super) fn event(&self, node: usize, path: &str) -> reqwest::RequestBuilder {
        client()
            .post(self.url(node, path))
            .header(HOST, &self.authority)
    }

    /// A navigation without a session, from a browser whose load balancer has chosen this node.
    pub(super) fn navigation(&self, node: usize, path: &str) -> reqwest::RequestBuilder {
        let request = client().get(self.url(node, path));
        let request = request.header(HOST, &self.authority);
        let request = request.header("accept", "text/html");
        let request = request.header("sec-fetch-mode", "navigate");
        request.header("sec-fetch-dest", "document")
    }

    /// The origin of the site.
    pub(super) fn origin(&self) -> String {
        format!("http://{}", self.authority)
    }

    fn url(&self, node: usize, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.ports[node])
    }

    fn with_session(
        &self,
        request: reqwest::RequestBuilder,
        session: &Session,
    ) -> reqwest::RequestBuilder {
        let request = request.header(HOST, &self.authority);
        request.header(COOKIE, &session.cookies)
    }
}

impl Session {
    /// A session that is not ended by its ID.
    pub(super) fn with_unknown_id(cookies: String) -> Self {
        let id = String::new();
        Self { cookies, id }
    }
}

impl Cluster {
    /// Starts one node for each item of `notify`, which says whether it uses NOTIFY.
    pub(super) async fn start(notify: &[bool], grace: &'static str) -> Self {
        Self::start_with(Server::start, notify, grace).await
    }

    /// Starts two nodes with further tables.
    pub(super) async fn with_tables(tables: &str) -> Self {
        Self::start_from(Server::start, &[true, true], "5m", tables).await
    }

    /// Starts the nodes with a database server of this kind.
    pub(super) async fn start_with(
        server: fn() -> Server,
        notify: &[bool],
        grace: &'static str,
    ) -> Self {
        Self::start_from(server, notify, grace, "").await
    }

    async fn start_from(
        server: fn() -> Server,
        notify: &[bool],
        grace: &'static str,
        tables: &str,
    ) -> Self {
        let server = tokio::task::block_in_place(server);
        let any_port = || ([127, 0, 0, 1], 0).into();
        let wecom = WeCom::start(Options::default()).await.unwrap();
        let app = LegacyApp::start(any_port(), "门后").await.unwrap();
        let dir = TempDir::new();
        let database = server.new_database().await;
        let mut config = NodeConfig {
            authority: String::new(),
            database,
            grace,
            connectors: wecom_table(&wecom) + tables,
            app: app.base_url(),
        };
        let mut nodes = Vec::new();
        for (number, notify) in notify.iter().enumerate() {
            let node = Node::start(&mut config, &dir, &server, number, *notify).await;
            nodes.push(node);
        }
        wecom.set_agent_domains(AGENT_ID, &[&config.authority]);
        let front = Front {
            ports: nodes.iter().map(|node: &Node| node.port).collect(),
            authority: config.authority,
        };
        Self {
            nodes,
            server,
            front,
            wecom,
            _app: app,
            dir,
        }
    }

    /// Signs a person in at the first node.
    pub(super) async fn sign_in(&self, userid: &str) -> Session {
        let before = self.session_ids(userid).await;
        let cookies = self.try_sign_in(userid).await;
        let cookies = cookies.unwrap_or_else(|status| panic!("{userid} gets {status}"));
        let mut new = self.session_ids(userid).await;
        new.retain(|id| !before.contains(id));
        assert_eq!(new.len(), 1, "one new session: {new:?}");
        Session {
            cookies,
            id: new.remove(0),
        }
    }

    /// The cookies of a person who signs in at the first node, or the status of the page that says why not.
    pub(super) async fn try_sign_in(&self, userid: &str) -> Result<String, u16> {
        let url = format!("http://{}/echo", self.front.authority);
        let mut visitor = Visitor::new();
        let page = visitor.open(&url).await;
        if page.status == 503 {
            return Err(503);
        }
        let page = visitor.open(&page.link("/start?")).await;
        if page.status == 503 {
            return Err(503);
        }
        let chosen = WeCom::choose(page.url.as_str(), userid);
        let page = visitor.open(&chosen).await;
        match page.status {
            200 => Ok(visitor.cookies(&Url::parse(&url).unwrap())),
            status => Err(status),
        }
    }

    /// The public IDs of a person's sessions.
    async fn session_ids(&self, login: &str) -> Vec<String> {
        let url = self.nodes[0].admin_url(&format!("sessions?login={login}"));
        let answer = client().get(url).bearer_auth(ADMIN_TOKEN).send();
        let answer = answer.await.unwrap();
        // The first login creates the account.
        if answer.status() == 404 {
            return Vec::new();
        }
        let listed: Value = answer.json().await.unwrap();
        let sessions = listed["sessions"].as_array().unwrap().iter();
        let ids = sessions.map(|session| session["id"].as_str().unwrap().to_owned());
        ids.collect()
    }

    /// Ends a session through the admin API of a node; returns the status.
    pub(super) async fn revoke(&self, node: usize, session: &Session) -> u16 {
        let url = self.nodes[node].admin_url(&format!("sessions/{}", session.id));
        let answer = client().delete(url).bearer_auth(ADMIN_TOKEN).send();
        answer.await.unwrap().status().as_u16()
    }

    /// Ends all sessions of a person through the admin API of a node; returns the status.
    pub(super) async fn revoke_person(&self, node: usize, login: &str) -> u16 {
        self.post(node, "revoke", &json!({ "login": login })).await
    }

    /// Sends a request to the admin API of a node; returns the status.
    pub(super) async fn post(&self, node: usize, path: &str, body: &Value) -> u16 {
        let url = self.nodes[node].admin_url(path);
        let answer = client().post(url).bearer_auth(ADMIN_TOKEN);
        let answer = answer.json(body).send();
        answer.await.unwrap().status().as_u16()
    }

    /// Makes a node read its configuration again.
    pub(super) fn reload_node(&self, number: usize) {
        let id = self.nodes[number].program.id().to_string();
        let sent = Command::new("kill").args(["-HUP", &id]).status();
        assert!(sent.unwrap().success());
    }

    /// Waits until every node can read and write the store.
    pub(super) async fn wait_until_ready(&self) {
        for node in &self.nodes {
            until("every node is ready", async || node.is_ready().await).await;
        }
    }

    /// Kills a node as a crash does, and starts it again.
    pub(super) async fn restart_node(&mut self, number: usize) {
        let port = self.nodes[number].port;
        self.nodes[number].program.stop();
        let config = self.dir.path().join(format!("{number}.toml"));
        let mut program = menshen(&config);
        assert!(program.listens(port).await, "the node starts again");
        self.nodes[number].program = program;
    }

    /// Ends a node.
    pub(super) fn stop_node(&mut self, number: usize) {
        self.nodes[number].program.stop();
    }

    /// Whether all menshen processes still run.
    pub(super) fn assert_alive(&mut self) {
        for node in &mut self.nodes {
            assert!(!node.program.ended(), "node {} ended", node.number);
        }
    }
}

impl Node {
    async fn start(
        config: &mut NodeConfig,
        dir: &TempDir,
        server: &Server,
        number: usize,
        notify: bool,
    ) -> Self {
        let link = Link::to(server.port).await;
        for _ in 0..10 {
            let port = free_ports(2);
            if number == 0 {
                config.authority = format!("127.0.0.1:{port}");
            }
            let text = config.text(port, link.port, notify);
            let path = dir.write(&format!("{number}.toml"), &text);
            let mut program = menshen(&path);
            if program.listens(port).await {
                return Self {
                    link,
                    program,
                    port,
                    admin_port: port + 1,
                    number,
                };
            }
        }
        panic!("menshen finds no port");
    }

    pub(super) fn admin_url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}/api/{path}", self.admin_port)
    }

    pub(super) async fn is_ready(&self) -> bool {
        let url = format!("http://127.0.0.1:{}/readyz", self.admin_port);
        let answer = client().get(url).send().await;
        answer.is_ok_and(|answer| answer.status() == 200)
    }
}

fn menshen(config: &std::path::Path) -> Program {
    let mut command = Command::new(env!("CARGO_BIN_EXE_menshen"));
    command.args(["run", "-c"]).arg(config);
    Program::start("menshen", &mut command)
}

pub(super) fn client() -> reqwest::Client {
    use std::sync::OnceLock;
    static CLIENT: OnceLock<reqwest::Client> = OnceLock::new();
    let new = || {
        menshen::keys::install_crypto();
        let client = reqwest::Client::builder().no_proxy();
        // Connections belong to the runtime of one test.
        let client = client.pool_max_idle_per_host(0);
        client
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .unwrap()
    };
    CLIENT.get_or_init(new).clone()
}
