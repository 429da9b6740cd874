//! Tests of the administrator's listener without a socket.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

use http::header::{AUTHORIZATION, CONTENT_TYPE};
use http_body_util::{BodyExt as _, Full};
use serde_json::Value;
use tokio_util::sync::CancellationToken;

use super::*;
use crate::clock::{Clock, Timestamp};
use crate::keys::{self, KeyRing};
use crate::login::config::LoginConfig;
use crate::people::People;
use crate::people::audit_log::AuditLog;
use crate::people::profile::AuthContext;
use crate::people::session::{NewLogin, SessionConfig, SessionTimeouts};
use crate::request::head::{OriginalHeader, PrivateUpstreamConnections, Trust};
use crate::secret::Secret;
use crate::site::{self, Services, Site};
use crate::store::{
    self, Account, AccountId, Admission, AdmissionOutcome, DirectoryFields, SessionOrigin,
};
use crate::telemetry::{AccessRecord, FaceLabel, LogConfig, VerdictLabel};

const TOKEN: &str = "correct horse";
const TIMEOUTS: SessionTimeouts = SessionTimeouts {
    lifetime: Duration::from_secs(3600),
    idle_timeout: Duration::from_secs(600),
};

/// The configuration of a site without routes.
fn config_without_routes() -> site::Config {
    site::Config {
        external_url: "http://sso.test".parse().unwrap(),
        prefix: "/.menshen".to_owned(),
        trust: Trust::default(),
        original_uri_header: OriginalHeader::default(),
        verification_files: BTreeMap::new(),
        session: SessionConfig::default(),
        login: LoginConfig::default(),
        connectors: BTreeMap::new(),
        issuers: BTreeMap::new(),
        routes: Vec::new(),
        console: None,
        pages: site::PagesConfig::default(),
        client_share_max_percent: 75,
        anonymous_share_max_percent: 75,
        recheck_after: Duration::from_secs(10),
        managed: site::settings::ManagedConfig::default(),
        file: site::settings::FileSettings::default(),
        own_pages: &[],
    }
}

fn on_unix_socket() -> Connection {
    Connection {
        peer: Peer::Unix,
        tls: false,
        server_name: None,
        tls_subject: None,
        private_upstream_connections: PrivateUpstreamConnections::default(),
    }
}

struct TestAdmin {
    admin: Admin,
    live: Arc<LiveSite>,
    health: Arc<Health>,
    clock: Clock,
}

impl TestAdmin {
    async fn new(token: Option<&str>) -> Self {
        let store = store::open(&store::StoreUrl::MEMORY, &store::StoreOptions::default())
            .await
            .unwrap();
        let grace = Duration::from_secs(300);
        let clock = Clock::manual(Timestamp::from_unix_s(1_700_000_000));
        let sessions = Sessions::open(Arc::clone(&store), clock.clone(), 100, grace)
            .await
            .unwrap();
        let token = token.map(|text| SecretSource::Literal(Secret::new(text.to_owned())));
        let config = AdminConfig {
            listen: "127.0.0.1:0".to_owned(),
            token,
            tokens: Vec::new(),
            hosts: Vec::new(),
            wrong_tokens_per_client_per_minute: 60,
        };
        let telemetry = Telemetry::writing_to(&LogConfig::default(), Box::new(std::io::sink()));
        let shared = Services {
            people: People::new(Arc::clone(&store), Arc::clone(&sessions), clock.clone()),
            audit: Arc::new(AuditLog::new(
                Arc::clone(&store),
                telemetry.clone(),
                clock.clone(),
            )),
            store,
            sessions,
            clock: clock.clone(),
            telemetry,
        };
        let site = Site::build(&config_without_routes(), &shared, None)
            .await
            .unwrap();
        let live = Arc::new(LiveSite::new(site, shared, CancellationToken::new()));
        let health = Arc::new(Health::default());
        let readiness = Arc::new(Readiness::new(Arc::clone(&health), Arc::clone(&live)));
        let admin = Admin::new(&config, Arc::clone(&live), readiness, None).unwrap();
        Self {
            admin,
            live,
            health,
            clock,
        }
    }

    async fn send(&self, method: &str, target: &str, token: &str, body: &str) -> (u16, String) {
        let request = Request::builder().method(method).uri(target);
        let request = request.header(AUTHORIZATION, format!("Bearer {token}"));
        let request = request
            .body(Full::new(Bytes::from(body.to_owned())))
            .unwrap();
        let response = self.admin.handle(request, &on_unix_socket()).await;
        let status = response.status().as_u16();
        let bytes = response.into_body().collect().await.unwrap().to_bytes();
        (status, String::from_utf8(bytes.to_vec()).unwrap())
    }

    async fn json(&self, method: &str, target: &str, body: &str) -> (u16, Value) {
        let (status, text) = self.send(method, target, TOKEN, body).await;
        (status, serde_json::from_str(&text).unwrap())
    }

    /// Logs a person in and returns their account and the public ID of their session.
    async fn log_in(&self, login: &str) -> (AccountId, String) {
        let sessions = &self.admin.sessions;
        let (via, subject) = ("corp".parse().unwrap(), login.parse().unwrap());
        // A login that began in the second of a revocation is refused.
        self.clock.advance(Duration::from_secs(1));
        let now = self.clock.now();
        let admission = Admission {
            connector: via,
            subject,
            login: login.parse().unwrap(),
            links: Vec::new(),
            vouched: Vec::new(),
            create: true,
            join: None,
            sync: true,
            is_login: true,
            entitlements: "{}".to_owned(),
            fields: DirectoryFields::default(),
            local_revision: None,
            at: now,
        };
        let AdmissionOutcome::Account(admitted) =
            self.live.services().store.admit(&admission).await.unwrap()
        else {
            panic!("{login} is not admitted");
        };
        let account = admitted.account;
        let (connector_epoch, everyone_epoch) = sessions.epochs_of(&admission.connector);
        let Account { id, .. } = account;
        let login = NewLogin {
            account,
            via: admission.connector,
            subject: admission.subject,
            provider_sid: None,
            auth_context: AuthContext::default(),
            tokens: None,
            expires_at: None,
            origin: SessionOrigin::default(),
            began_at: now,
            connector_epoch,
            everyone_epoch,
            needs_current_password: false,
        };
        let ring = KeyRing::new(&[keys::generate()], None).unwrap();
        let minting = sessions.mint(&ring, login, &TIMEOUTS).await.unwrap();
        (id, minting.public_id.to_string())
    }

    async fn listed_session_ids(&self, query: &str) -> Vec<String> {
        let (status, list) = self.json("GET", &format!("/api/sessions{query}"), "").await;
        assert_eq!(status, 200, "{list}");
        let sessions = list["sessions"].as_array().unwrap();
        sessions
            .iter()
            .map(|one| one["id"].as_str().unwrap().to_owned())
            .collect()
    }
}

#[tokio::test]
async fn only_requests_with_the_token_use_the_api() {
    let admin = TestAdmin::new(Some(TOKEN)).await;
    assert_eq!(admin.send("GET", "/api/sessions", TOKEN, "").await.0, 200);
    for wrong in ["", "correct hors", "correct horse!", "Correct horse"] {
        assert_eq!(
            admin.send("GET", "/api/sessions", wrong, "").await.0,
            401,
            "{wrong}"
        );
        assert_eq!(
            admin.send("POST", "/api/nowhere", wrong, "").await.0,
            401,
            "{wrong}"
        );
    }
    let closed = TestAdmin::new(None).await;
    assert_eq!(closed.send("GET", "/api/sessions", TOKEN, "").await.0, 404);
    assert_eq!(closed.send("GET", "/healthz", "", "").await.0, 200);
    assert_eq!(closed.send("GET", "/", "", "").await.0, 404);
}

#[tokio::test]
async fn get_changes_nothing() {
    let admin = TestAdmin::new(Some(TOKEN)).await;
    let (account, session) = admin.log_in("alice").await;
    for target in [
        format!("/api/sessions/{session}"),
        "/api/revoke".to_owned(),
        format!("/api/accounts/{account}/close"),
    ] {
        assert_eq!(
            admin
                .send("GET", &target, TOKEN, "{\"everyone\":true}")
                .await
                .0,
            405,
            "{target}"
        );
    }
    assert_eq!(admin.listed_session_ids("").await, [session]);
    assert_eq!(admin.send("POST", "/metrics", "", "").await.0, 405);
}

#[tokio::test]
async fn sessions_are_listed_and_ended_individually() {
    let admin = TestAdmin::new(Some(TOKEN)).await;
    let (account, alice) = admin.log_in("alice").await;
    let (_, bob) = admin.log_in("bob").await;
    assert_eq!(admin.listed_session_ids("").await.len(), 2);
    assert_eq!(admin.listed_session_ids("?max=1").await.len(), 1);
    assert_eq!(admin.listed_session_ids("?login=ALICE").await, [&*alice]);
    assert_eq!(
        admin
            .listed_session_ids(&format!("?account={account}"))
            .await,
        [&*alice]
    );
    assert_eq!(
        admin.json("GET", "/api/sessions?login=eve", "").await.0,
        404
    );
    assert_eq!(
        admin.json("GET", "/api/sessions?maximum=1", "").await.0,
        400
    );

    assert_eq!(
        admin
            .json("DELETE", &format!("/api/sessions/{alice}"), "")
            .await
            .0,
        200
    );
    assert_eq!(
        admin
            .json("DELETE", &format!("/api/sessions/{alice}"), "")
            .await
            .0,
        404
    );
    assert_eq!(admin.json("DELETE", "/api/sessions/short", "").await.0, 404);
    assert_eq!(admin.listed_session_ids("").await, [bob]);
}

#[tokio::test]
async fn sessions_of_an_account_a_connector_and_everyone_are_revoked() {
    let admin = TestAdmin::new(Some(TOKEN)).await;
    for body in [
        r#"{"login":"alice"}"#,
        r#"{"connector":"corp"}"#,
        r#"{"everyone":true}"#,
    ] {
        let (_, _) = admin.log_in("alice").await;
        assert_eq!(
            admin.json("POST", "/api/revoke", body).await.0,
            200,
            "{body}"
        );
        assert!(admin.listed_session_ids("").await.is_empty(), "{body}");
    }
    let (account, _) = admin.log_in("alice").await;
    let body = format!(r#"{{"account":"{account}"}}"#);
    assert_eq!(admin.json("POST", "/api/revoke", &body).await.0, 200);
    assert!(admin.listed_session_ids("").await.is_empty());
    for bad in [
        "",
        "{}",
        r#"{"everyone":false}"#,
        r#"{"account":"x"}"#,
        r#"{"login":"alice","everyone":true}"#,
    ] {
        assert_eq!(admin.json("POST", "/api/revoke", bad).await.0, 400, "{bad}");
    }
    assert_eq!(
        admin
            .json("POST", "/api/revoke", &"x".repeat(20_000))
            .await
            .0,
        413
    );
    assert_eq!(
        admin
            .json("POST", "/api/revoke", r#"{"login":"nobody"}"#)
            .await
            .0,
        404
    );
    let (status, answer) = admin
        .json("POST", "/api/revoke", r#"{"connector":"crop"}"#)
        .await;
    assert_eq!(
        (status, &answer["error"]),
        (404, &"there is no connector crop".into())
    );
}

#[tokio::test]
async fn a_parameter_with_nul_is_refused() {
    let admin = TestAdmin::new(Some(TOKEN)).await;
    for name in ["text", "login", "name", "email", "mobile", "department"] {
        let (status, answer) = admin
            .json("GET", &format!("/api/people?{name}=a%00b"), "")
            .await;
        assert_eq!(status, 400, "{name}");
        assert!(answer["error"].as_str().unwrap().contains("NUL"), "{name}");
        let text = format!("/api/people?{name}=a%2500");
        assert_eq!(admin.json("GET", &text, "").await.0, 200, "{name}");
    }
    for (method, path) in [
        ("GET", "/api/people/a%00b"),
        ("GET", "/api/sessions?login=a%00b"),
        ("DELETE", "/api/sessions/a%00b"),
        ("GET", "/api/routes/a%00b/people"),
        ("GET", "/api/explain?url=https%3A%2F%2Fa.test%2F%00"),
        ("POST", "/api/connectors/corp/directory/people/a%00b/sync"),
    ] {
        let status = admin.json(method, path, "").await.0;
        assert!([400, 404].contains(&status), "{path}: {status}");
    }
}

#[tokio::test]
async fn closing_an_account_ends_its_sessions_and_opening_it_allows_new_logins() {
    let admin = TestAdmin::new(Some(TOKEN)).await;
    let (account, _) = admin.log_in("alice").await;
    let close = format!("/api/accounts/{account}/close");
    assert_eq!(admin.json("POST", &close, "").await.0, 200);
    assert!(admin.listed_session_ids("").await.is_empty());
    let open = format!("/api/accounts/{account}/open");
    assert_eq!(admin.json("POST", &open, "").await.0, 200);
    let (_, new_session) = admin.log_in("alice").await;
    assert_eq!(admin.listed_session_ids("").await, [new_session]);
    let nobody = AccountId::new([9; 16]);
    assert_eq!(
        admin
            .json("POST", &format!("/api/accounts/{nobody}/close"), "")
            .await
            .0,
        404
    );
}

#[tokio::test]
async fn readiness_lists_its_reasons() {
    let admin = TestAdmin::new(None).await;
    let (status, answer) = admin.json("GET", "/readyz", "").await;
    assert_eq!(
        (status, answer["ready"].as_bool()),
        (503, Some(false)),
        "{answer}"
    );
    admin.health.set_site_loaded();
    admin
        .health
        .set_degraded(vec![Text::same("the last reload was refused").into()]);
    let (status, answer) = admin.json("GET", "/readyz", "").await;
    assert_eq!(
        (status, answer["ready"].as_bool()),
        (200, Some(true)),
        "{answer}"
    );
    assert_eq!(answer["degraded"][0], "the last reload was refused");
    admin.health.set_draining();
    assert_eq!(admin.json("GET", "/readyz", "").await.0, 503);
    assert_eq!(admin.send("GET", "/healthz", "", "").await.0, 200);
}

#[tokio::test]
async fn metrics_use_the_open_metrics_format() {
    let admin = TestAdmin::new(None).await;
    admin.admin.telemetry.record_request(&AccessRecord {
        at: Clock::system().now(),
        request_id: "r",
        client: IpAddr::from([127, 0, 0, 1]),
        method: "GET",
        host: "a",
        path: "/",
        face: FaceLabel::Own,
        route: None,
        route_counters: None,
        login: None,
        program: None,
        session: None,
        access_token: None,
        verdict: VerdictLabel::Deny,
        reason: None,
        status: 404,
        upstream: None,
        took: Duration::ZERO,
        upstream_took: None,
        bytes: None,
        cut: None,
    });
    let request = Request::get("/metrics")
        .body(Full::new(Bytes::new()))
        .unwrap();
    let response = admin.admin.handle(request, &on_unix_socket()).await;
    assert_eq!(response.headers()[CONTENT_TYPE], OPEN_METRICS_TYPE);
    let page = response.into_body().collect().await.unwrap().to_bytes();
    let page = String::from_utf8(page.to_vec()).unwrap();
    assert!(
        page.contains(r#"{face="own",verdict="deny",status="4xx"} 1"#),
        "{page}"
    );
    assert!(page.ends_with("# EOF\n"));
}
