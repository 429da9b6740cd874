//! The configurations of the nodes of a cluster.

use super::super::postgres::server::{Database, url};
use super::super::wecom::{AGENT_ID, CORP_ID, SECRET, WeCom};

pub(super) const ADMIN_TOKEN: &str = "the token of these tests";

/// What the configurations of all nodes have in common.
pub(super) struct NodeConfig {
    /// The authority of `external_url`, which belongs to the first node.
    pub(super) authority: String,
    pub(super) database: Database,
    pub(super) grace: &'static str,
    /// The tables of its connectors.
    pub(super) connectors: String,
    pub(super) app: String,
}

impl NodeConfig {
    pub(super) fn text(&self, port: u16, database_port: u16, notify: bool) -> String {
        let Self {
            authority,
            database,
            grace,
            connectors,
            app,
        } = self;
        let store = url(database_port, &database.name);
        format!(
            r#"
            [server]
            listen = ["127.0.0.1:{port}"]
            external_url = "http://{authority}"
            limits = {{ judged_again_after = "100ms" }}
            [admin]
            listen = "127.0.0.1:{admin}"
            token = "{ADMIN_TOKEN}"
            [session]
            store_outage_grace = "{grace}"
            [store]
            url = "{store}"
            notify = {notify}
            connections_max = 4
            [login]
            begins_per_client_per_minute = 10000
            finishes_per_client_per_minute = 10000
            {connectors}
            [[route]]
            name = "public"
            path = "/public"
            access = "public"
            upstream = ["{app}"]
            [[route]]
            name = "behind"
            upstream = ["{app}"]
            "#,
            admin = port + 1,
        )
    }
}

/// The connector `corp`.
pub(super) fn wecom_table(wecom: &WeCom) -> String {
    format!(
        r#"
            [connector.corp.wecom]
            corp_id = "{CORP_ID}"
            agent_id = {AGENT_ID}
            secret = "{SECRET}"
            api_base = "{api}"
            authorize_url = "{authorize}"
            login_url = "{login}"
        "#,
        api = wecom.base_url(),
        authorize = wecom.authorize_url(),
        login = wecom.login_url(),
    )
}
