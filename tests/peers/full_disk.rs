//! A full file system under a menshen process.

use std::path::PathBuf;
use std::process::Command;

use menshen::face::page::Cause;
use serde_json::Value;

use super::legacy_app::LegacyApp;
use super::processes::{Program, TempDir, free_ports, until};
use super::visitor::{Page, Visitor};
use super::wecom::{AGENT_ID, CORP_ID, Options, SECRET, WeCom};

/// The store's mount point, and the size of its file system.
const DISK: &str = "/mnt";
const DISK_BYTES: usize = 16 << 20;

/// A menshen whose store is on a small file system in its own mount namespace.
struct Menshen {
    url: String,
    admin: String,
    program: Program,
    _wecom: WeCom,
    _app: LegacyApp,
    _dir: TempDir,
}

impl Menshen {
    async fn start() -> Self {
        let here = || ([127, 0, 0, 1], 0).into();
        let wecom = WeCom::start(Options::default()).await.unwrap();
        let app = LegacyApp::start(here(), "门后").await.unwrap();
        wecom.set_agent_domains(AGENT_ID, &["127.0.0.1"]);
        for _ in 0..10 {
            let dir = TempDir::new();
            let ports = free_ports(2);
            let (url, admin) = (address(ports), address(ports + 1));
            wecom.set_agent_domains(AGENT_ID, &[url.trim_start_matches("http://")]);
            let config = dir.write("menshen.toml", &configuration(&wecom, &app, &url, &admin));
            let disk = format!("mount -t tmpfs -o size={DISK_BYTES} tmpfs {DISK} && exec \"$@\"");
            let mut command = Command::new("unshare");
            command
                .args(["--mount", "sh", "-c", &disk, "sh"])
                .arg(env!("CARGO_BIN_EXE_menshen"))
                .args(["run", "-c"])
                .arg(config);
            let mut program = Program::start("menshen", &mut command);
            if program.listens(ports).await {
                return Self {
                    url,
                    admin,
                    program,
                    _wecom: wecom,
                    _app: app,
                    _dir: dir,
                };
            }
        }
        panic!("menshen finds no port");
    }

    /// A file beside the store, as this process sees it.
    fn beside_the_store(&self) -> PathBuf {
        format!("/proc/{}/root{DISK}/filled", self.program.id()).into()
    }

    /// Fills the disk to the last byte.
    fn fill(&self) {
        let filled = std::fs::write(self.beside_the_store(), vec![0; 2 * DISK_BYTES]);
        assert_eq!(filled.unwrap_err().kind(), std::io::ErrorKind::StorageFull);
    }

    fn free(&self) {
        std::fs::remove_file(self.beside_the_store()).unwrap();
    }

    async fn sign_in(&self, userid: &str) -> (Visitor, Page) {
        let mut visitor = Visitor::new();
        let page = visitor.open(&format!("{}/echo", self.url)).await;
        let page = visitor.open(&page.link("/start?")).await;
        let chosen = WeCom::choose(page.url.as_str(), userid);
        let page = visitor.open(&chosen).await;
        (visitor, page)
    }

    async fn ready(&self) -> (u16, Value) {
        let page = Visitor::new()
            .visit(&format!("{}/readyz", self.admin))
            .await;
        (page.status, serde_json::from_str(&page.body).unwrap())
    }
}

fn address(port: u16) -> String {
    format!("http://127.0.0.1:{port}")
}

fn configuration(wecom: &WeCom, app: &LegacyApp, url: &str, admin: &str) -> String {
    format!(
        r#"
        [server]
        listen = ["{listen}"]
        external_url = "{url}"
        [admin]
        listen = "{admin}"
        [store]
        url = "sqlite://{DISK}/menshen.db"
        [connector.corp.wecom]
        corp_id = "{CORP_ID}"
        agent_id = {AGENT_ID}
        secret = "{SECRET}"
        api_base = "{api}"
        authorize_url = "{authorize}"
        login_url = "{login}"
        [[route]]
        name = "behind"
        upstream = ["{app}"]
        "#,
        listen = url.trim_start_matches("http://"),
        admin = admin.trim_start_matches("http://"),
        api = wecom.base_url(),
        authorize = wecom.authorize_url(),
        login = wecom.login_url(),
        app = app.base_url(),
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_refuses_logins_and_recovers_when_freed() {
    let mut menshen = Menshen::start().await;
    let (mut zhang, page) = menshen.sign_in("zhangsan").await;
    assert_eq!(page.status, 200, "{}", page.body);
    let echo = format!("{}/echo", menshen.url);
    let (li, _) = menshen.sign_in("lisi").await;
    for _ in 0..2 {
        let kept = zhang.clone();
        assert_eq!(kept.peek(&echo).await, 200);
        menshen.fill();
        until("it is not ready", async || menshen.ready().await.0 == 503).await;
        let reason = menshen.ready().await.1["reasons"][0].clone();
        assert_eq!(reason, "the store cannot be written to: the disk is full");
        // Logins fail with a problem page; existing sessions continue.
        let (wang, page) = menshen.sign_in("wangfang").await;
        assert_eq!(
            (page.status, page.cause()),
            (503, Some(Cause::StoreUnavailable))
        );
        assert!(!wang.has("menshen"));
        assert_eq!(li.peek(&echo).await, 200);
        let page = zhang
            .visit(&format!("{}/.menshen/sign_out", menshen.url))
            .await;
        assert_eq!(
            (page.status, page.cause()),
            (503, Some(Cause::SignOutUnstored))
        );
        assert_ne!(kept.peek(&echo).await, 200, "signed out, stored or not");
        menshen.free();
        until("it is ready", async || menshen.ready().await.0 == 200).await;
        let (again, page) = menshen.sign_in("wangfang").await;
        assert_eq!(page.status, 200, "{}", page.body);
        assert_eq!(again.peek(&echo).await, 200);
        assert_eq!(li.peek(&echo).await, 200);
        assert_ne!(kept.peek(&echo).await, 200);
        (zhang, _) = menshen.sign_in("zhangsan").await;
    }
    assert!(!menshen.program.ended());
}
